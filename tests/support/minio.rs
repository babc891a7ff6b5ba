//! A real MinIO for tests: started on a free port of the loopback interface with its data in a
//! folder of its own, stopped and started again at will, and ended by its process id.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::disallowed_methods, reason = "it waits for a server")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Credentials, Region};
use tempfile::TempDir;

const START_TIMEOUT: Duration = Duration::from_secs(60);

/// One MinIO server.
pub(crate) struct Minio {
    binary: PathBuf,
    port: u16,
    child: Mutex<Option<Child>>,
    /// The folder with `public.crt` and `private.key`, if it speaks TLS.
    certificates: Option<PathBuf>,
    // After the process, so that it is dead before its folder goes.
    data: TempDir,
}

impl Minio {
    /// The access key of its root user.
    pub(crate) const ACCESS_KEY: &str = "test-root";
    /// The secret of its root user.
    pub(crate) const SECRET_KEY: &str = "test-root-secret";
    /// The name of its one KMS key.
    pub(crate) const KMS_KEY: &str = "test-key";
    const KMS_SETTING: &str = "test-key:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

    /// Starts a server. `None` where MinIO is not installed and the tests may go on without:
    /// then it has said what is left out, and the test returns.
    pub(crate) fn start() -> Option<Self> {
        Self::launch(None)
    }

    /// Starts a server that speaks TLS with `public.crt` and `private.key` of this folder.
    pub(crate) fn start_with_tls(certificates: &Path) -> Option<Self> {
        Self::launch(Some(certificates.to_owned()))
    }

    fn launch(certificates: Option<PathBuf>) -> Option<Self> {
        let binary = find_binary()?;
        let data = TempDir::with_prefix("minio-").expect("a folder");
        let (port, child) = (free_port(), Mutex::new(None));
        let server = Self { binary, port, child, certificates, data };
        server.start_again();
        Some(server)
    }

    /// The server that all tests of this process share which do not harm it; it ends with the
    /// last test that uses it. `None` as with `start`.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Minio>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&server);
        Some(server)
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

    /// The folder with its data.
    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// Ends it by SIGKILL; its data stays.
    pub(crate) fn stop(&self) {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut child) = child {
            child.kill().expect("MinIO dies");
            child.wait().expect("MinIO is dead");
        }
    }

    /// Starts it on the port and the data that it had, and waits until it is ready.
    pub(crate) fn start_again(&self) {
        let mut slot = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(slot.is_none(), "MinIO runs already");
        let child = slot.insert(self.spawn());
        let deadline = Instant::now() + START_TIMEOUT;
        while !self.is_ready() {
            let ended = child.try_wait().expect("wait");
            assert!(ended.is_none(), "MinIO ended at once: {ended:?}; {}", self.log());
            assert!(Instant::now() < deadline, "MinIO is not ready; {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn spawn(&self) -> Child {
        let log = std::fs::File::create(self.log_file()).expect("a log");
        let mut command = Command::new(&self.binary);
        if let Some(certificates) = &self.certificates {
            command.arg("--certs-dir").arg(certificates);
        }
        command
            .args(["server", "--quiet", "--address"])
            .arg(format!("127.0.0.1:{}", self.port))
            .arg(self.data.path().join("drive"))
            .env("MINIO_ROOT_USER", Self::ACCESS_KEY)
            .env("MINIO_ROOT_PASSWORD", Self::SECRET_KEY)
            .env("MINIO_BROWSER", "off")
            .env("MINIO_UPDATE", "off")
            .env("MINIO_KMS_SECRET_KEY", Self::KMS_SETTING)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("MinIO starts")
    }

    fn is_ready(&self) -> bool {
        if self.certificates.is_some() {
            return TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        }
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.write_all(b"GET / HTTP/1.1\r\nHost: minio\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        // Its health page says yes before it takes requests. Once it does, it refuses this one.
        ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 403"))
    }

    fn log_file(&self) -> PathBuf {
        self.data.path().join("minio.log")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// A plain client of its root user, to look at what the code under test did.
    pub(crate) fn client(&self) -> Client {
        let keys = Credentials::new(Self::ACCESS_KEY, Self::SECRET_KEY, None, None, "test");
        let config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(self.endpoint())
            .force_path_style(true)
            .credentials_provider(keys)
            .build();
        Client::from_conf(config)
    }

    /// Makes a bucket.
    pub(crate) async fn create_bucket(&self, name: &str) {
        self.client().create_bucket().bucket(name).send().await.expect("a new bucket");
    }
}

impl Drop for Minio {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The binary that `tests/setup.sh` has built. Where it is missing, `KAFKA_S3_SINK_TESTS` says
/// whether that is an error.
fn find_binary() -> Option<PathBuf> {
    let tools = std::env::var_os("KAFKA_S3_SINK_TEST_TOOLS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools"),
        PathBuf::from,
    );
    let binary = tools.join("bin/minio");
    if binary.exists() {
        return Some(binary);
    }
    let wanted = std::env::var_os("KAFKA_S3_SINK_TESTS").is_some();
    assert!(!wanted, "MinIO is not installed: run tests/setup.sh test");
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test");
    // Not eprintln!, which the test runner swallows when a test passes.
    let _ = writeln!(std::io::stderr(), "LEFT OUT {name}: needs MinIO (tests/setup.sh test)");
    None
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}
