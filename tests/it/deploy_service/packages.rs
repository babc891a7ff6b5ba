//! The packages from outside: what is in them, what they ask for, and what is refused.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::{build, deb, repository, rpm_package, said};
use crate::needs_servers;
use crate::support::workdir::WorkDir;

/// The files of a package, from `/` down, and nothing of folders.
fn files_of_deb(package: &Path) -> BTreeSet<String> {
    let (code, text) = said(Command::new("dpkg-deb").arg("-c").arg(package));
    assert_eq!(code, 0, "{text}");
    let paths = text.lines().filter_map(|line| line.split_whitespace().last());
    paths.filter(|path| !path.ends_with('/')).map(|path| path[1..].to_owned()).collect()
}

/// What it writes, without what it says of this machine's own database, which another may hold.
fn rpm(args: &[&str], package: &Path) -> String {
    let output = Command::new("rpm").args(args).arg(package).output().expect("rpm");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Where the stack's user data looks for Kafka's script, and all that this needs beside it.
fn files_of_kafka() -> Vec<String> {
    let entries = std::fs::read_dir(repository().join("deploy/kafka")).expect("a folder");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
    let path = |name: std::ffi::OsString| {
        format!("/usr/share/kafka-s3-sink/kafka/{}", name.to_string_lossy())
    };
    entries.map(name).map(path).collect()
}

#[test]
fn both_bring_the_same_and_all_that_is_promised() {
    needs_servers!();
    let files = files_of_deb(&deb("0.1.0"));
    let listed =
        rpm(&["-qp", "--qf", "[%{FILEMODES:perms} %{FILENAMES}\n]"], &rpm_package("0.1.0"));
    let listed = listed.lines().filter(|line| !line.starts_with('d'));
    let listed: BTreeSet<_> = listed.filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(listed, files.iter().map(String::as_str).collect());
    let promised = [
        "/usr/bin/kafka-s3-sink",
        "/etc/kafka-s3-sink/sink.toml",
        "/usr/lib/systemd/system/kafka-s3-sink.service",
        "/usr/lib/systemd/system/kafka-s3-sink@.service",
        "/usr/share/man/man1/kafka-s3-sink.1.gz",
        "/usr/share/man/man1/kafka-s3-sink-run.1.gz",
        "/usr/share/bash-completion/completions/kafka-s3-sink",
        "/usr/share/zsh/site-functions/_kafka-s3-sink",
        "/usr/share/fish/vendor_completions.d/kafka-s3-sink.fish",
        "/usr/share/doc/kafka-s3-sink/complete.toml",
        "/usr/share/doc/kafka-s3-sink/LICENSES.txt.gz",
        "/usr/share/kafka-s3-sink/athena/count_by_hour.sql",
    ];
    for file in promised.map(str::to_owned).into_iter().chain(files_of_kafka()) {
        assert!(files.contains(&file), "no {file} in {files:#?}");
    }
}

#[test]
fn an_edited_configuration_is_the_administrators_in_both() {
    needs_servers!();
    const FILE: &str = "/etc/kafka-s3-sink/sink.toml";
    assert_eq!(rpm(&["-qp", "--configfiles"], &rpm_package("0.1.0")).trim(), FILE);
    let flags =
        rpm(&["-qp", "--qf", "[%{FILEFLAGS:fflags} %{FILENAMES}\n]"], &rpm_package("0.1.0"));
    // c: configuration, n: noreplace.
    assert!(flags.lines().any(|line| line == format!("cn {FILE}")), "{flags}");
    let (_, conffiles) =
        said(Command::new("dpkg-deb").arg("-I").arg(deb("0.1.0")).arg("conffiles"));
    assert_eq!(conffiles.trim(), FILE);
}

#[test]
fn they_ask_for_the_glibc_of_amazon_linux_2023_and_no_later_one() {
    needs_servers!();
    let wanted = rpm(&["-qp", "--requires"], &rpm_package("0.1.0"));
    assert!(wanted.contains("libc.so.6(GLIBC_2.34)(64bit)"), "{wanted}");
    let (_, wanted) = said(Command::new("dpkg-deb").arg("-f").arg(deb("0.1.0")).arg("Depends"));
    assert!(wanted.contains("libc6 (>= 2.34)"), "{wanted}");
}

#[test]
fn the_same_sources_make_the_same_packages() {
    needs_servers!();
    let again = WorkDir::new("again");
    let (code, said) = build(&["--version", "0.1.0"], again.path());
    assert_eq!(code, 0, "{said}");
    for first in [deb("0.1.0"), rpm_package("0.1.0")] {
        let second = again.path().join(first.file_name().expect("a name"));
        let same = std::fs::read(&first).expect("read") == std::fs::read(&second).expect("read");
        assert!(same, "{} differs", first.display());
    }
}

#[test]
fn licences_are_those_of_what_is_linked() {
    needs_servers!();
    let licences = |args: &[&str]| {
        let script = repository().join("deploy/packages/licences.sh");
        let (code, text) = said(Command::new(script).args(args));
        assert_eq!(code, 0, "{text}");
        ["isal-sys", "rdkafka-sys", "openssl-src"].map(|name| text.contains(&format!("\n{name} ")))
    };
    assert_eq!(licences(&["x86_64-unknown-linux-gnu"]), [true; 3]);
    // What is built for the other kind of machine goes without ISA-L.
    let other = ["aarch64-unknown-linux-gnu", "--no-default-features"];
    assert_eq!(licences(&other), [false, true, true]);
    let script = std::fs::read_to_string(repository().join("deploy/packages/build.sh"));
    let lists =
        ["licences.sh \"$target\" \"${linked[@]}\"", "--target \"$target\" \"${linked[@]}\""];
    assert!(lists.iter().all(|list| script.as_ref().expect("a script").contains(list)));
}

/// A program that calls what came with glibc 2.38, says its library.
const NEWER: &str = "int wanted(void); int main(void) { return wanted(); }";
const NEWER_LIBRARY: &str = "int wanted(void) { return 0; }";

#[test]
fn a_binary_for_a_newer_glibc_is_refused() {
    needs_servers!();
    let dir = WorkDir::new("newer");
    let script = format!(
        "cd '{}' && echo '{NEWER_LIBRARY}' > l.c && echo 'GLIBC_2.38 {{ global: wanted; }};' > map && \
         gcc -shared -Wl,--version-script=map -o liblater.so l.c && \
         echo '{NEWER}' > m.c && gcc -o newer m.c -L. -llater",
        dir.path().display()
    );
    let (code, text) = said(Command::new("bash").args(["-c", &script]));
    assert_eq!(code, 0, "{text}");
    let mut command = Command::new(repository().join("deploy/packages/build.sh"));
    command.arg("--no-sbom").arg("--binary").arg(dir.path().join("newer"));
    let (code, text) = said(command.arg("--out").arg(dir.path().join("out")));
    let wanted = "needs glibc 2.38, and 2.34 is the newest allowed: wanted";
    assert!(code == 1 && text.contains(wanted), "{code}: {text}");
}

#[test]
fn wishes_that_make_no_sense_are_told() {
    needs_servers!();
    let dir = WorkDir::new("wishes");
    for (args, wanted) in [
        (&["--arch", "sparc"][..], "--arch is x86_64 or aarch64"),
        (&["--color"], "--color: there is no such option"),
        (&["--version"], "--version wants a value"),
        (&["--binary", "/no/such/file"], "there is no /no/such/file"),
        (&["--settings", "/no/such.toml"], "there is no /no/such.toml"),
        (&["--binary", "/bin/sh-is-no-package", "--version", "v 1"], "v 1 is no version"),
    ] {
        let (code, said) = build(args, dir.path());
        assert!(code == 1 && said.contains(wanted), "{args:?}: {code} {said}");
    }
}
