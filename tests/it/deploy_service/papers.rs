//! The man pages and completions, read by what reads them at the user's.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::said;
use crate::needs_servers;
use crate::support::tools;
use crate::support::workdir::WorkDir;

/// The folder that the program writes them into, as build.sh lets it.
fn papers() -> PathBuf {
    static PAPERS: OnceLock<WorkDir> = OnceLock::new();
    let dir = PAPERS.get_or_init(|| {
        let dir = WorkDir::new("papers");
        let mut command = Command::new(env!("CARGO_BIN_EXE_kafka-s3-sink"));
        let (code, text) = said(command.arg("papers").arg(dir.path()));
        assert_eq!(code, 0, "{text}");
        dir
    });
    dir.path().to_owned()
}

/// Whether a program is here; where not, it is said.
fn is_here(program: &str) -> bool {
    let here = Command::new(program).arg("--version").output().is_ok();
    if !here {
        tools::leave_out(&format!("needs {program} (tests/setup.sh test)"));
    }
    here
}

/// What groff says of a page with all its warnings on.
fn complaints(page: &str) -> String {
    let mut command = Command::new("groff");
    said(command.args(["-man", "-Tutf8", "-ww", "-z"]).arg(page)).1
}

#[test]
fn man_pages_are_set_without_a_warning() {
    needs_servers!();
    if !is_here("groff") {
        return;
    }
    let mut pages = 0;
    for entry in std::fs::read_dir(papers()).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "1") {
            pages += 1;
            assert_eq!(complaints(path.to_str().expect("text")), "", "{}", path.display());
        }
    }
    assert!(pages > 8, "{pages}");
    let wrong = papers().join("wrong.roff");
    std::fs::write(&wrong, ".TH x 1\n.XX no such macro\n").expect("a file");
    assert!(complaints(wrong.to_str().expect("text")).contains("XX"), "a warning is seen");
}

#[test]
fn shells_read_the_completions_and_complete() {
    needs_servers!();
    let bash = papers().join("kafka-s3-sink.bash");
    // As bash calls it, with the cursor behind `au`.
    let script = r#"
        set -e; bash -n "$1"; . "$1"
        function=$(complete -p kafka-s3-sink | sed 's/.* -F \([^ ]*\).*/\1/')
        COMP_WORDS=(kafka-s3-sink au) COMP_CWORD=1
        "$function" kafka-s3-sink au kafka-s3-sink
        echo "found: ${COMPREPLY[*]}""#;
    let (code, text) = said(Command::new("bash").args(["-c", script, "bash"]).arg(&bash));
    assert!(code == 0 && text.ends_with("found: audit\n"), "{code}: {text}");
    for (shell, file) in [("zsh", "_kafka-s3-sink"), ("fish", "kafka-s3-sink.fish")] {
        if is_here(shell) {
            let (code, text) = said(Command::new(shell).arg("-n").arg(papers().join(file)));
            assert_eq!((code, text.as_str()), (0, ""), "{shell}");
        }
    }
    if is_here("fish") {
        let script = "source $argv[1]; complete -C 'kafka-s3-sink au'";
        let file = papers().join("kafka-s3-sink.fish");
        let (code, text) = said(Command::new("fish").args(["-c", script]).arg(file));
        assert!(
            code == 0 && text.starts_with("audit\t") && text.lines().count() == 1,
            "{code}: {text}"
        );
    }
}
