//! The daemon under test: the real binary as a child, started, frozen, killed and watched.

mod config;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use super::http;
use super::process::{End, Process};
use super::workdir::WorkDir;
pub(crate) use config::SinkConfig;

/// One running sink. Dropping it kills it by process id.
pub(crate) struct Sink {
    process: Process,
    /// What `http.token_file` held when it was started.
    token: Option<String>,
    // After the process, so that it is dead before its folder goes.
    dir: WorkDir,
}

impl Sink {
    /// Starts `kafka-s3-sink run`.
    pub(crate) fn run(config: &SinkConfig) -> Self {
        Self::spawn(config, &["run"])
    }

    /// Starts `kafka-s3-sink run --until-end`.
    pub(crate) fn run_until_end(config: &SinkConfig) -> Self {
        Self::spawn(config, &["run", "--until-end"])
    }

    /// Starts `kafka-s3-sink run` with this soft limit of open files.
    pub(crate) fn run_with_soft_limit(config: &SinkConfig, files: u32) -> Self {
        let mut command = Command::new("sh");
        let script = format!("ulimit -S -n {files} && exec \"$0\" run \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_kafka-s3-sink")]);
        Self::spawn_as(config, command)
    }

    /// Starts the binary with these arguments and `--config FILE`.
    pub(crate) fn spawn(config: &SinkConfig, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kafka-s3-sink"));
        command.args(args);
        Self::spawn_as(config, command)
    }

    fn spawn_as(config: &SinkConfig, mut command: Command) -> Self {
        let dir = WorkDir::new("sink");
        let file = dir.path().join("sink.toml");
        std::fs::write(&file, config.text()).expect("configuration file");
        command.arg("--config").arg(&file).current_dir(dir.path());
        command.envs(config.environment());
        // What the machine's own AWS settings say must not decide a test.
        command.env("AWS_EC2_METADATA_DISABLED", "true").env_remove("AWS_PROFILE");
        let log = dir.path().join("sink.log");
        let token = config.token();
        Self { process: Process::start("kafka-s3-sink", command, &log), token, dir }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// SIGKILL, and waits for the end.
    pub(crate) fn kill9(&mut self) -> End {
        self.process.signal(libc::SIGKILL);
        self.process.wait(Duration::from_secs(10)).expect("a killed process ends")
    }

    /// SIGTERM; `wait` tells how it ends.
    pub(crate) fn sigterm(&self) {
        self.process.signal(libc::SIGTERM);
    }

    /// Writes its configuration anew, and sends SIGHUP.
    pub(crate) fn reload(&self, config: &SinkConfig) {
        std::fs::write(self.file(), config.text()).expect("configuration file");
        self.process.signal(libc::SIGHUP);
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("sink.toml")
    }

    /// What a subcommand says that gets the same configuration: exit code, output, errors.
    pub(crate) fn ask(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kafka-s3-sink"));
        let output = command.args(args).arg("--config").arg(self.file()).output().expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// SIGSTOP: the process stands still, its connections stay.
    pub(crate) fn sigstop(&self) {
        self.process.signal(libc::SIGSTOP);
    }

    /// SIGCONT.
    pub(crate) fn sigcont(&self) {
        self.process.signal(libc::SIGCONT);
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<End> {
        self.process.ended()
    }

    /// Waits for its end, which may not come.
    pub(crate) fn end_within(&mut self, timeout: Duration) -> Option<End> {
        self.process.wait(timeout)
    }

    /// Waits for its end; panics with the end of its log if it does not come.
    pub(crate) fn wait(&mut self, timeout: Duration) -> End {
        let end = self.process.wait(timeout);
        end.unwrap_or_else(|| panic!("no end after {timeout:?}; log:\n{}", self.process.tail()))
    }

    /// Waits for its end, which must be exit code 0.
    pub(crate) fn wait_success(&mut self, timeout: Duration) -> End {
        let end = self.wait(timeout);
        assert!(end.status.success(), "{:?}; log:\n{}", end.status, self.process.tail());
        end
    }

    /// All that it has logged.
    pub(crate) fn log(&self) -> String {
        self.process.output()
    }

    /// Waits until a line of its log contains `text`, and returns that line.
    pub(crate) fn wait_for_log(&mut self, text: &str, timeout: Duration) -> String {
        let find = |log: String| log.lines().find(|line| line.contains(text)).map(str::to_owned);
        self.until(&format!("{text:?} in the log"), timeout, |sink| find(sink.log()))
    }

    /// Waits until it is ready.
    pub(crate) fn wait_ready(&mut self, timeout: Duration) {
        self.until("ready", timeout, |sink| sink.ready().then_some(()));
    }

    /// Waits until the sum of a metric over all its labels is at least `value`.
    pub(crate) fn wait_for_metric(&mut self, name: &str, value: f64, timeout: Duration) {
        self.until(&format!("{name} >= {value}"), timeout, |sink| {
            (sink.metric(name) >= value).then_some(())
        });
    }

    fn until<T>(
        &mut self,
        what: &str,
        timeout: Duration,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + timeout;
        loop {
            // Looked at before, so that what a child did last is still seen.
            let ended = self.ended();
            if let Some(found) = look(self) {
                return found;
            }
            let over = ended.is_some() || Instant::now() >= deadline;
            assert!(!over, "waited for {what} ({ended:?}); log:\n{}", self.process.tail());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Its HTTP address, once it has logged it.
    pub(crate) fn address(&self) -> Option<String> {
        http::logged_address(&self.log())
    }

    /// GET; the status and the body, or nothing where it does not answer.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let headers: Vec<_> = bearer.iter().map(|it| ("Authorization", it.as_str())).collect();
        http::request(&self.address()?, &format!("GET {path}"), &headers, "")
    }

    /// Whether `/readyz` says so.
    pub(crate) fn ready(&self) -> bool {
        self.get("/readyz").is_some_and(|(status, _)| status == 200)
    }

    /// All metrics, by name with labels as Prometheus prints them; none where it does not answer.
    pub(crate) fn metrics(&self) -> BTreeMap<String, f64> {
        let (status, text) = self.get("/metrics").unwrap_or_default();
        if status == 200 { http::parse_metrics(&text) } else { BTreeMap::new() }
    }

    /// The sum of a metric over all its labels; 0 where there is none.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let is_it = |key: &str| key.split('{').next() == Some(name);
        self.metrics().iter().filter(|(key, _)| is_it(key)).map(|(_, value)| value).sum()
    }

    /// Its resident size now.
    pub(crate) fn rss_kib(&self) -> u64 {
        self.status_field("VmRSS:")
    }

    /// Its largest resident size so far; `End` has it after the end.
    pub(crate) fn peak_rss_kib(&self) -> u64 {
        self.status_field("VmHWM:")
    }

    fn status_field(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    /// Processor time so far, user and system; `End` has it after the end.
    pub(crate) fn cpu(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.pid());
        let stat = std::fs::read_to_string(path).unwrap_or_default();
        // The name in brackets may hold spaces; user and system ticks are fields 14 and 15.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
        // SAFETY: sysconf has no preconditions.
        let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as u64;
        Duration::from_millis(ticks * 1000 / per_second)
    }
}
