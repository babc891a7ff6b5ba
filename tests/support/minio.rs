//! A real MinIO: started on a free port of the loopback interface with its data in a folder of its
//! own, stopped and started again at will, and ended by its process id.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Credentials, Region};

use super::disk::{self, Ballast};
use super::process::Process;
use super::workdir::{WorkDir, free_port};
use super::{http, tools};

const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The folder of its objects below that of its data.
const DRIVE: &str = "drive";

/// One MinIO server. Its process is behind a lock, so that one thread may stop it under another.
pub(crate) struct Minio {
    port: u16,
    process: Mutex<Option<Process>>,
    /// The folder with `public.crt` and `private.key`, if it speaks TLS.
    certificates: Option<PathBuf>,
    /// The process whose mounts have a small disk at its drive, if it has one: the disk outlives the
    /// server's own process.
    disk: Option<Process>,
    // After the process, so that it is dead before its folder goes.
    data: WorkDir,
}

impl Minio {
    /// The access key of its root user.
    pub(crate) const ACCESS_KEY: &str = "test-root";
    /// The secret of its root user.
    pub(crate) const SECRET_KEY: &str = "test-root-secret";
    /// The name of its one KMS key.
    pub(crate) const KMS_KEY: &str = "test-key";
    const KMS_SETTING: &str = "test-key:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

    /// Starts a server. `None` where the servers are not installed and the tests may go on
    /// without: then it has said what is left out, and the test returns.
    pub(crate) fn start() -> Option<Self> {
        Self::launch(None, None)
    }

    /// Starts a server whose drive holds so many bytes and no more. The drive is a mount that
    /// nobody else sees; it keeps what it holds when the server is stopped, and goes with this value.
    pub(crate) fn start_on_small_disk(bytes: u64) -> Option<Self> {
        Self::launch(None, Some(bytes))
    }

    /// Starts a server that speaks TLS with `public.crt` and `private.key` of this folder.
    pub(crate) fn start_with_tls(certificates: &Path) -> Option<Self> {
        Self::launch(Some(certificates.to_owned()), None)
    }

    fn launch(certificates: Option<PathBuf>, disk_bytes: Option<u64>) -> Option<Self> {
        tools::servers_are_here().then(|| Self::launch_here(certificates, disk_bytes))
    }

    /// Starts a server and does not ask for the other servers that tests take.
    pub(crate) fn start_alone() -> Self {
        Self::launch_here(None, None)
    }

    fn launch_here(certificates: Option<PathBuf>, disk_bytes: Option<u64>) -> Self {
        let (port, process) = (free_port(), Mutex::new(None));
        let data = WorkDir::new("minio");
        let (drive, log) = (data.path().join(DRIVE), data.path().join("disk.log"));
        let disk = disk_bytes.map(|bytes| disk::mounted(&drive, &log, bytes));
        let server = Self { port, process, certificates, disk, data };
        server.start_again();
        server
    }

    /// The server that tests share which do not harm it; it ends with the test process. `None` as
    /// with `start`.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Minio>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    /// `http://127.0.0.1:port`, or https.
    pub(crate) fn endpoint(&self) -> String {
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its access key.
    pub(crate) fn access_key(&self) -> &str {
        Self::ACCESS_KEY
    }

    /// Its secret.
    pub(crate) fn secret_key(&self) -> &str {
        Self::SECRET_KEY
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Option<u32> {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_ref().map(Process::pid)
    }

    /// The folder with its data.
    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// Ends it by SIGKILL; its data stays.
    pub(crate) fn stop(&self) {
        drop(self.process.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// SIGSTOP: connections stay, nothing answers.
    pub(crate) fn freeze(&self) {
        self.signal(libc::SIGSTOP);
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        self.signal(libc::SIGCONT);
    }

    fn signal(&self, signal: i32) {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_ref().expect("MinIO runs").signal(signal);
    }

    /// Starts it on the port and the data that it had, and waits until it is ready.
    pub(crate) fn start_again(&self) {
        let mut slot = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(slot.is_none(), "MinIO runs already");
        let log = self.data.path().join("minio.log");
        let mut process = Process::start("MinIO", self.command(), &log);
        let address = format!("127.0.0.1:{}", self.port);
        let tls = self.certificates.is_some();
        process.wait_ready(START_TIMEOUT, || {
            if tls {
                return TcpStream::connect(&address).is_ok();
            }
            // Its health page says yes before it takes requests. Once it does, it refuses this.
            http::get(&address, "/").is_some_and(|(status, _)| status == 403)
        });
        *slot = Some(process);
    }

    fn command(&self) -> Command {
        let mut command = self.program();
        if let Some(certificates) = &self.certificates {
            command.arg("--certs-dir").arg(certificates);
        }
        command
            .args(["server", "--quiet", "--address"])
            .arg(format!("127.0.0.1:{}", self.port))
            .arg(self.drive())
            .env("MINIO_ROOT_USER", Self::ACCESS_KEY)
            .env("MINIO_ROOT_PASSWORD", Self::SECRET_KEY)
            .env("MINIO_BROWSER", "off")
            // Asked by a name of S3's own it finds the bucket in it, as S3 does.
            .env("MINIO_DOMAIN", "s3.us-east-1.amazonaws.com")
            .env("MINIO_UPDATE", "off")
            .env("MINIO_KMS_SECRET_KEY", Self::KMS_SETTING);
        command
    }

    fn drive(&self) -> PathBuf {
        self.data.path().join(DRIVE)
    }

    /// MinIO itself, or as a guest among the mounts that have its small disk.
    fn program(&self) -> Command {
        let minio = tools::dir().join("bin/minio");
        let Some(disk) = &self.disk else { return Command::new(minio) };
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &disk.pid().to_string()]);
        if !disk::is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--").arg(minio);
        command
    }

    /// Fills the small disk until nothing more goes on it, but for this file.
    pub(crate) fn fill(&self) -> Ballast {
        // The mount is seen through the process alone.
        disk::fill(&disk::seen_by(self.pid().expect("MinIO runs"), &self.drive()))
    }

    /// A plain client of its root user, to look at what the code under test did.
    pub(crate) fn client(&self) -> Client {
        Self::client_at(&self.endpoint())
    }

    /// The same for another store that knows the same keys.
    pub(crate) fn client_at(endpoint: &str) -> Client {
        let keys = Credentials::new(Self::ACCESS_KEY, Self::SECRET_KEY, None, None, "tests");
        let config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(endpoint)
            .force_path_style(true)
            .credentials_provider(keys)
            // Nobody drives it between two looks, so it finds many connections closed.
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(50)
                    .with_initial_backoff(Duration::from_millis(5)),
            )
            .build();
        Client::from_conf(config)
    }

    /// Makes a bucket.
    pub(crate) async fn create_bucket(&self, name: &str) {
        self.client().create_bucket().bucket(name).send().await.expect("a new bucket");
    }
}
