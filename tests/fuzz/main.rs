//! Runs the fuzz targets over the inputs that were kept: what fuzzing found worth keeping, and what
//! once failed. `tests/fuzz/run.sh` looks for more.

mod targets;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let mut count = 0;
    for (name, target) in targets::TARGETS {
        let folder = std::fs::read_dir(corpus.join(name)).expect("a corpus");
        let mut files: Vec<_> = folder.map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{name} has a corpus");
        for file in &files {
            let bytes = std::fs::read(file).expect("an input");
            let tried = std::panic::catch_unwind(|| target(&bytes));
            if tried.is_err() {
                println!("{name}: FAILED with {}", file.display());
                return ExitCode::FAILURE;
            }
        }
        println!("{name}: {} inputs: ok", files.len());
        count += files.len();
    }
    println!("{count} passed, 0 failed");
    ExitCode::SUCCESS
}
