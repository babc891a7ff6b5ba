//! Releases for the script to install.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::tools;
use crate::support::workdir::WorkDir;

/// A mirror with the releases of these versions, and `KEYS`; made once.
pub(super) fn mirror() -> &'static Path {
    static MIRROR: OnceLock<WorkDir> = OnceLock::new();
    let dir = MIRROR.get_or_init(|| {
        let dir = WorkDir::new("mirror");
        let gnupg = dir.path().join("gnupg");
        make_key(&gnupg);
        std::fs::write(dir.path().join("KEYS"), run(gpg(&gnupg).args(["--armor", "--export"])))
            .expect("KEYS");
        for version in ["3.9.1", "4.1.1", "4.2.0"] {
            release(dir.path(), &gnupg, version);
        }
        // Stops the agent that made the key.
        run(Command::new("gpgconf").arg("--homedir").arg(&gnupg).args(["--kill", "all"]));
        dir
    });
    dir.path()
}

fn make_key(gnupg: &Path) {
    std::fs::create_dir(gnupg).expect("a folder");
    std::fs::set_permissions(gnupg, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("rights");
    let name = "Release Manager <release@example.org>";
    let key = ["--passphrase", "", "--quick-generate-key", name, "ed25519", "sign", "never"];
    run(gpg(gnupg).args(key));
}

/// The archive, its hash as Apache writes it, and its signature.
fn release(mirror: &Path, gnupg: &Path, version: &str) {
    let name = format!("kafka_2.13-{version}");
    let archive = mirror.join(format!("{name}.tgz"));
    let libs = tools::dir().join(format!("kafka-{version}"));
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(libs).args(["--transform", &format!("s,^,{name}/,"), "-I", "gzip -1", "-cf"]);
    run(tar.arg(&archive).arg("libs"));
    let hash = String::from_utf8(run(Command::new("sha512sum").arg(&archive))).expect("text");
    let hash = hash[..128].to_uppercase();
    let groups: Vec<_> =
        hash.as_bytes().chunks(8).map(|part| String::from_utf8_lossy(part)).collect();
    let lines: Vec<_> = groups.chunks(4).map(|line| line.join(" ")).collect();
    let text = format!("{name}.tgz: {}\n", lines.join("\n                     "));
    std::fs::write(path(&archive, "sha512"), text).expect("a hash");
    run(gpg(gnupg)
        .args(["--armor", "--detach-sign", "-o"])
        .arg(path(&archive, "asc"))
        .arg(&archive));
}

fn path(archive: &Path, more: &str) -> PathBuf {
    PathBuf::from(format!("{}.{more}", archive.display()))
}

fn gpg(home: &Path) -> Command {
    let mut command = Command::new("gpg");
    command.arg("--homedir").arg(home).args(["--batch", "--quiet", "--yes"]);
    command
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("a program");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    output.stdout
}
