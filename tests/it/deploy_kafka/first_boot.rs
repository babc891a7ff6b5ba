//! The stack's user data, to its end, in a machine that is booted for it.
//!
//! The text is what a stack gives its instance, read back from a stand-in for AWS, and it runs as it
//! is. The machine is alone in a network of its own, in which `instance_world.py` is what an instance
//! finds around it: metadata of version 2 with keys of its role (a session of MinIO with the rights of
//! the stack's own policy), the time, S3 under its own name over TLS, and where to download from.
//!
//! The machine is Debian's and not Amazon's. So `dnf` is a script here, which takes the one name of
//! Amazon's for Debian's and has rpm install the project's package; chronyd watches the clock and cannot set it;
//! the disk is a loop device. cloud-init, which would run the text, is not here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::release::mirror;
use crate::deploy_service::rpm_package;
use crate::support::bucket::Bucket;
use crate::support::machine::Machine;
use crate::support::minio::Minio;
use crate::support::process::Process;
use crate::support::workdir::WorkDir;
use crate::support::{cloud, tools};

const BUCKET: &str = "lake-of-the-first-boot";
const PACKAGE: &str = "kafka-s3-sink.rpm";
const RECORDS: usize = 3_000;
const PATIENCE: Duration = Duration::from_secs(30);

const DNF: &str = r#"#!/bin/sh
# dnf install -q -y NAME...
set -e
for name; do
  case $name in
    install | -q | -y) ;;
    java-17-amazon-corretto-headless) dpkg -s openjdk-17-jre-headless >/dev/null ;;
    /*.rpm) rpm --force-debian --nodeps --replacepkgs -U "$name" ;;
    *) echo "there is no package $name" >&2; exit 1 ;;
  esac
done
"#;

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A file as a disk; it goes with this value.
struct Disk(PathBuf);

impl Disk {
    fn new(dir: &Path) -> Self {
        let image = dir.join("disk");
        let file = std::fs::File::create(&image).expect("a file");
        file.set_len(4 << 30).expect("a file with nothing in it");
        let device = run(Command::new("losetup").args(["--find", "--show"]).arg(image));
        Self(PathBuf::from(device.trim()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.0).output();
    }
}

/// The machine, and what is around it.
pub(super) struct Site {
    pub(super) machine: Machine,
    // After the machine, which uses it.
    disk: Disk,
    pub(super) bucket: Bucket,
    /// Where the world reads what it hands out.
    dir: WorkDir,
}

impl Site {
    pub(super) fn new(bucket: &str) -> Option<Self> {
        if !tools::machine_is_here() {
            return None;
        }
        let bucket = Bucket::create(Minio::shared()?, bucket);
        let dir = WorkDir::new("first-boot");
        let files = dir.path().join("files");
        std::fs::create_dir(&files).expect("a folder");
        std::fs::copy(rpm_package("0.1.0"), files.join(PACKAGE)).expect("the package");
        let disk = Disk::new(dir.path());
        let machine = Machine::boot_alone(&[], &disk.0)?;
        let site = Self { machine, disk, bucket, dir };
        site.prepare();
        Some(site)
    }

    /// Another machine in the place of this one, of which only the disk is left.
    pub(super) fn replace_machine(&mut self) {
        self.machine.power_off();
        self.machine = Machine::boot_alone(&[], &self.disk.0).expect("another machine");
        self.prepare();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What Amazon's image would have, and the world's certificate and names.
    fn prepare(&self) {
        for entry in std::fs::read_dir(mirror()).expect("the mirror") {
            let path = entry.expect("a file").path();
            if path.is_file() {
                let link = self.file("files").join(path.file_name().expect("a name"));
                // A replaced machine finds the mirror as it was.
                if !link.exists() {
                    std::os::unix::fs::symlink(&path, link).expect("a link");
                }
            }
        }
        let names = ["downloads.apache.org", "archive.apache.org", "packages.example.org"];
        let store = ["s3.us-east-1.amazonaws.com", "*.s3.us-east-1.amazonaws.com"];
        let names_of = names.iter().chain(&store).map(|name| format!("DNS:{name}"));
        let names_of = names_of.collect::<Vec<_>>().join(",");
        let mut openssl = Command::new("openssl");
        openssl.current_dir(self.dir.path()).args(["req", "-x509", "-newkey", "ec", "-nodes"]);
        openssl.args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2", "-subj", "/CN=x"]);
        openssl.args(["-addext", &format!("subjectAltName={names_of}")]);
        openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        run(openssl.args(["-keyout", "private.key", "-out", "public.crt"]));
        let certificate = std::fs::read_to_string(self.file("public.crt")).expect("text");
        self.machine.write("/usr/local/share/ca-certificates/world.crt", &certificate);
        self.machine.run(&["update-ca-certificates"]);
        let hosts: String = names.iter().map(|name| format!("10.80.0.10 {name}\n")).collect();
        let buckets = format!("10.80.0.10 {}.s3.us-east-1.amazonaws.com\n", self.bucket.name());
        self.machine.write("/etc/hosts", &format!("127.0.0.1 localhost\n{hosts}{buckets}"));
        self.machine.write("/usr/local/bin/dnf", DNF);
        self.machine.run(&["chmod", "+x", "/usr/local/bin/dnf"]);
        let clock =
            "server 169.254.169.123 iburst minpoll 0 maxpoll 2\nbindcmdaddress /run/chrony/s\n";
        self.machine.write("/etc/chrony/chrony.conf", clock);
    }

    /// Metadata, time, S3 and downloads, until it is dropped.
    pub(super) fn world(&self, policy: &Value) -> Process {
        self.set_clock(3_600);
        std::fs::write(self.file("policy.json"), policy.to_string()).expect("a policy");
        for address in ["169.254.169.254", "169.254.169.123"] {
            self.machine.run(&["ip", "addr", "add", &format!("{address}/32"), "dev", "lo"]);
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/instance_world.py");
        let mut command = Command::new(cloud::program("python"));
        command.arg(script).arg(self.machine.init().to_string()).arg(self.dir.path());
        command.arg(self.bucket.endpoint().trim_start_matches("http://"));
        command.env("STORE_KEY", Minio::ACCESS_KEY).env("STORE_SECRET", Minio::SECRET_KEY);
        let log = self.file("world.log");
        // That an earlier one was ready is no sign of this one.
        let _ = std::fs::remove_file(&log);
        let mut world = Process::start("the world", command, &log);
        world.wait_ready(PATIENCE, || {
            std::fs::read_to_string(&log).is_ok_and(|text| text.contains("ready"))
        });
        world
    }

    /// How far the world's clock is off, in seconds.
    pub(super) fn set_clock(&self, offset: i64) {
        std::fs::write(self.file("clock-offset"), offset.to_string()).expect("a file");
    }

    pub(super) fn start_chrony(&self) {
        let start = "p=/run/chrony/chronyd.pid; if [ -e $p ]; then kill $(cat $p); fi; \
                     while [ -e $p ]; do sleep 0.1; done; chronyd -x";
        self.machine.run(&["bash", "-c", start]);
    }

    /// Runs user data as cloud-init would, with a little before it.
    pub(super) fn boot_once(&self, before: &str, user_data: &str) -> (i32, String) {
        self.machine.write("/var/lib/user-data", user_data);
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";
        // What is not there now does not come.
        let boot = ["env", "-i", path, "TRIES=1", "bash", "/var/lib/user-data"];
        if before.is_empty() {
            return self.machine.try_run(&boot);
        }
        // What is mounted is seen by this shell alone.
        let script = format!("{before} exec {}", boot.join(" "));
        self.machine.try_run(&["unshare", "--mount", "bash", "-c", &script])
    }

    #[track_caller]
    fn fails(&self, before: &str, user_data: &str, sentence: &str) {
        let (code, said) = self.boot_once(before, user_data);
        assert!(code == 1 && said.contains(sentence), "{sentence}: {code}: {said}");
    }

    /// The parameters of a stack that say where the package is.
    pub(super) fn package(&self) -> [(&'static str, String); 2] {
        let url = format!("https://packages.example.org/{PACKAGE}");
        [("PackageUrl", url), ("PackageSha256", self.sha256())]
    }

    /// The sink's program on the machine, with the stack's configuration.
    pub(super) fn sink(&self, args: &[&str]) -> String {
        let config = ["--config", "/etc/kafka-s3-sink/sink.toml"];
        self.machine.run(&[&["kafka-s3-sink"], args, &config].concat())
    }

    fn sha256(&self) -> String {
        run(Command::new("sha256sum").arg(self.file("files").join(PACKAGE)))[..64].to_owned()
    }
}

/// Records that stand in the bucket, each of them once.
pub(super) fn landed(bucket: &Bucket) -> usize {
    let mut seen = std::collections::BTreeSet::new();
    let mut count = 0;
    for listed in bucket.list("raw/orders/") {
        for line in bucket.lines(&listed.key) {
            let line: Value = serde_json::from_str(&line).expect("JSON");
            count += 1;
            seen.insert((line["_kafka"]["partition"].as_i64(), line["_kafka"]["offset"].as_i64()));
        }
    }
    assert_eq!(seen.len(), count, "some stand there twice");
    count
}

#[test]
fn an_instance_of_the_stack_runs_from_its_first_boot() {
    let Some(site) = Site::new(BUCKET) else { return };
    let [url, (_, sha256)] = &site.package();
    let common = [("BucketName", BUCKET), ("KafkaPartitions", "3")];
    let package = [(url.0, &*url.1), ("PackageSha256", &**sha256)];
    let with = |more: &[(&'static str, &str)]| {
        crate::deploy::instances::first_boot(&[&common[..], more].concat())
    };
    let (text, policy) = with(&package);
    let other = text.replace(sha256, &"0".repeat(64));

    site.fails("", &text, "no instance metadata: without it there are no credentials");
    let _world = site.world(&policy);
    site.start_chrony();
    site.fails("", &text, "the clock is not in step after a minute");
    site.set_clock(0);
    site.start_chrony();
    site.fails("", &with(&[]).0, "neither PackageUrl nor PackageS3Uri was given, so nothing");
    site.fails("", &other, "is not the one whose SHA-256 was given");
    site.fails("", &text.replace(PACKAGE, "none.rpm"), "the package could not be fetched from");
    let full = "printf '#!/bin/sh\\necho 99' > /df; chmod +x /df; mount --bind /df /usr/bin/df;";
    site.fails(full, &text, "only 99 MiB are free on /");
    site.fails("umount /dev/sdf;", &text, "there is no /dev/sdf for Kafka's data");

    for time in ["first", "second"] {
        let (code, said) = site.boot_once("", &text);
        assert!(code == 0 && said.contains("user-data: done\n"), "{time}: {code}: {said}");
        // What is there is somebody's choice from then on.
        let mark = "grep -q mine /etc/kafka-s3-sink/sink.toml || echo '# mine' >> /etc/kafka-s3-sink/sink.toml";
        site.machine.run(&["bash", "-c", mark]);
    }
    let machine = &site.machine;
    assert!(machine.run(&["cat", "/etc/kafka-s3-sink/sink.toml"]).contains("# mine"));
    assert_eq!(machine.run(&["grep", "-c", "/var/lib/kafka", "/etc/fstab"]), "1\n");
    assert!(machine.run(&["findmnt", "/var/lib/kafka"]).contains("xfs"));
    // Without its disk it would still boot.
    assert!(machine.run(&["cat", "/etc/fstab"]).contains(" xfs defaults,noatime,nofail 0 2\n"));
    for unit in ["kafka", "kafka-topics", "kafka-s3-sink"] {
        assert_eq!(machine.show(unit, "ActiveState"), "active", "{unit}");
        assert_eq!(machine.show(unit, "UnitFileState"), "enabled", "{unit}");
    }
    assert!(machine.read_journal().contains("orders: created, with 3 Kafka partitions"));

    site.sink(&["produce", "--topic", "orders", "--count", &RECORDS.to_string()]);
    machine.run(&["systemctl", "stop", "kafka-s3-sink"]);
    site.sink(&["run", "--until-end"]);
    assert_eq!(landed(&site.bucket), RECORDS);
    site.sink(&["audit", "--no-cache"]);
}
