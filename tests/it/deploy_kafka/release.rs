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
    let from = tools::dir().join(format!("kafka-{version}"));
    fetch_logging(&from);
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(from).arg("--exclude=libs/slf4j-simple*");
    tar.args(["--transform", "s,^logging,libs,", "--transform", &format!("s,^,{name}/,")]);
    run(tar.args(["-I", "gzip -1", "-cf"]).arg(&archive).args(["libs", "logging"]));
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

/// What a release has between Kafka and its logging, and reads the shipped files of it: log4j 2 for
/// Kafka 4, reload4j for 3.9. The servers of other tests have something plainer there.
fn fetch_logging(kafka: &Path) {
    let logging = kafka.join("logging");
    if logging.exists() {
        return;
    }
    let files = std::fs::read_dir(kafka.join("libs")).expect("libraries");
    let names: Vec<_> = files.map(|file| file.expect("a file").file_name()).collect();
    let number = |library: &str| {
        let number =
            |name: &&str| name.strip_prefix(library)?.strip_suffix(".jar").map(str::to_owned);
        names.iter().filter_map(|name| name.to_str()).find_map(|name| number(&name))
    };
    let artefact = match (number("log4j-core-"), number("slf4j-api-")) {
        (Some(log4j), _) => format!("org.apache.logging.log4j:log4j-slf4j-impl:{log4j}"),
        (None, slf4j) => format!("org.slf4j:slf4j-reload4j:{}", slf4j.expect("slf4j")),
    };
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"]);
    maven.arg(format!("-Dartifact={artefact}"));
    run(maven.arg(format!("-DoutputDirectory={}", logging.display())));
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
