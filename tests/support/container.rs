//! The image as its users build it, and containers of it: buildah and podman, on the network of this
//! machine, so that the tests' servers are reached at 127.0.0.1.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::workdir::free_port;
use super::{http, tools};

/// Names an image that is there, in place of one that is built first.
const READY_IMAGE: &str = "KAFKA_S3_SINK_TEST_IMAGE";
/// Long enough for a busy machine; nothing waits it out unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(240);
const STAND_INS: &str = "localhost/kafka-s3-sink-test";

/// The image's name, once it is built; `None` where none can be, and the tests go on without.
pub(crate) fn image() -> Option<&'static str> {
    static IMAGE: OnceLock<Option<String>> = OnceLock::new();
    let image = IMAGE.get_or_init(|| match std::env::var(READY_IMAGE) {
        Ok(ready) => Some(ready),
        Err(_) => can_be_built().then(build),
    });
    if image.is_none() {
        tools::leave_out("needs an engine for containers (tests/setup.sh container, as root)");
    }
    image.as_deref()
}

fn can_be_built() -> bool {
    let there = |name| try_podman(&["image", "exists", &format!("{STAND_INS}/{name}")]).0 == 0;
    // SAFETY: geteuid cannot fail and touches no memory.
    let root = unsafe { libc::geteuid() } == 0;
    tools::engine_is_wanted() && root && there("base") && there("rust")
}

/// Builds it by the real Dockerfile. Layers are kept: a quarter of an hour at first, then only what a
/// change touches.
fn build() -> String {
    let name = format!("{STAND_INS}/sink");
    let mut command = Command::new("buildah");
    command.args(["bud", "--isolation", "chroot", "--layers", "--format", "docker"]);
    for (image, stand_in) in [("RUST_IMAGE", "rust"), ("BASE_IMAGE", "base")] {
        command.arg("--build-arg").arg(format!("{image}={STAND_INS}/{stand_in}"));
    }
    command.args([
        "--build-arg",
        "VERSION=0.0.1",
        "--build-arg",
        "REVISION=abcdef",
        "--tag",
        &name,
    ]);
    let output = command.arg(env!("CARGO_MANIFEST_DIR")).output().expect("buildah");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the image was not built:\n{log}");
    name
}

/// A command of podman: its exit code, its output, and what it said beside.
pub(crate) fn try_podman(args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new("podman");
    // Where its monitor leaves a file when a container is killed for want of memory.
    command.current_dir(env!("CARGO_TARGET_TMPDIR")).args(["--runtime", "runc"]);
    let output = command.args(args).output();
    let Ok(output) = output else { return (-1, String::new(), "no podman".to_owned()) };
    // Without systemd it cannot plan checks by itself, and says so each time.
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<_> = said.lines().filter(|line| !line.contains("systemd connection")).collect();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().unwrap_or(-1), text, said.join("\n"))
}

/// The same for one that must succeed; its output.
pub(crate) fn podman(args: &[&str]) -> String {
    let (code, text, said) = try_podman(args);
    assert_eq!(code, 0, "podman {args:?}: {text}\n{said}");
    text.trim().to_owned()
}

/// What a container is given: options of `podman run`, and the arguments of the program in it.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    options: Vec<String>,
    port: u16,
}

impl Wish {
    /// As little as can be: nothing to write to, no capability, 256 MiB.
    pub(crate) fn new() -> Self {
        let port = free_port();
        let options = [
            "--network=host",
            "--read-only",
            "--read-only-tmpfs=false",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
            // This engine's own defaults may be more than it is allowed to give.
            "--ulimit=nofile=16384:16384",
            "--ulimit=nproc=16384:16384",
        ];
        let options = options.map(str::to_owned).into();
        Self { options, port }
            .with("--memory=256m")
            .with(&format!("--env=KAFKA_S3_SINK__HTTP__LISTEN=127.0.0.1:{port}"))
            .with("--env=AWS_EC2_METADATA_DISABLED=true")
    }

    /// With a further option; the later one of a kind wins.
    pub(crate) fn with(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// Runs the image to its end: its exit code, its output, and what it said beside.
    pub(crate) fn run(&self, image: &str, args: &[&str]) -> (i32, String, String) {
        let options = self.options.iter().map(String::as_str);
        let all: Vec<_> = ["run", "--rm"].into_iter().chain(options).chain([image]).collect();
        try_podman(&[all.as_slice(), args].concat())
    }

    /// Starts it.
    pub(crate) fn start(&self, image: &str, args: &[&str]) -> Container {
        let options = self.options.iter().map(String::as_str);
        let all: Vec<_> = ["run", "--detach"].into_iter().chain(options).chain([image]).collect();
        let id = podman(&[all.as_slice(), args].concat());
        Container { id, address: format!("127.0.0.1:{}", self.port) }
    }
}

/// A container that was started. Dropping it kills and removes it.
pub(crate) struct Container {
    id: String,
    /// Where the sink in it listens.
    pub(crate) address: String,
}

impl Container {
    /// All that it has printed.
    pub(crate) fn log(&self) -> String {
        let (_, text, said) = try_podman(&["logs", &self.id]);
        text + &said
    }

    /// Sends its first process a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        podman(&["kill", "--signal", name, &self.id]);
    }

    /// What the image's HEALTHCHECK says: its exit code.
    pub(crate) fn healthcheck(&self) -> i32 {
        try_podman(&["healthcheck", "run", &self.id]).0
    }

    /// Runs the program once more beside the first.
    pub(crate) fn exec(&self, args: &[&str]) -> (i32, String, String) {
        try_podman(&[&["exec", &self.id, "kafka-s3-sink"], args].concat())
    }

    /// Whether it still runs.
    pub(crate) fn runs(&self) -> bool {
        self.state("Running") == "true"
    }

    /// Waits for something while it runs.
    pub(crate) fn wait_until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(self.runs(), "{what}: the container ended\n{}", self.log());
            assert!(Instant::now() < deadline, "waited for {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The sum of a metric over all its labels; 0 where there is none.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (_, text) = http::get(&self.address, "/metrics").unwrap_or_default();
        let is_it = |key: &str| key.split('{').next() == Some(name);
        let metrics = http::parse_metrics(&text);
        metrics.iter().filter(|(key, _)| is_it(key)).map(|(_, value)| value).sum()
    }

    /// The largest resident size of its first process so far.
    pub(crate) fn peak_rss(&self) -> u64 {
        let path = format!("/proc/{}/status", self.state("Pid"));
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.expect("a size") << 10
    }

    /// Waits for its end; the exit code.
    pub(crate) fn wait(&self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        while self.runs() {
            assert!(Instant::now() < deadline, "no end after {PATIENCE:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        self.state("ExitCode").parse().expect("a code")
    }

    /// The most memory that its control group has held, and its limit.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let group = self.control_group();
        let read = |names: [&str; 2]| {
            let text = names.iter().find_map(|name| std::fs::read_to_string(group.join(name)).ok());
            text.unwrap_or_default().trim().parse().expect("bytes")
        };
        (
            read(["memory.max_usage_in_bytes", "memory.peak"]),
            read(["memory.limit_in_bytes", "memory.max"]),
        )
    }

    /// Version 1 has one of its own for memory, version 2 one for all.
    fn control_group(&self) -> PathBuf {
        let pid = self.state("Pid");
        let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
        let path = |controller: &str| {
            let mut lines = text.lines().map(|line| line.splitn(3, ':').collect::<Vec<_>>());
            lines.find(|parts| parts[1] == controller).map(|parts| parts[2].to_owned())
        };
        match path("memory") {
            Some(path) => PathBuf::from(format!("/sys/fs/cgroup/memory{path}")),
            None => PathBuf::from(format!("/sys/fs/cgroup{}", path("").expect("a group"))),
        }
    }

    fn state(&self, name: &str) -> String {
        podman(&["inspect", "--format", &format!("{{{{.State.{name}}}}}"), &self.id])
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the container ends ---\n{}", self.log());
        }
        try_podman(&["rm", "--force", "--time=0", &self.id]);
    }
}
