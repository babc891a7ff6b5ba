//! A real Trino, of which Athena's engine comes: it finds tables in the Glue of a stand-in for AWS
//! and their objects in MinIO, projects the Hive partitions itself, and is asked over HTTP.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::minio::Minio;
use super::process::Process;
use super::workdir::{WorkDir, free_port};
use super::{http, tools};

const START_TIMEOUT: Duration = Duration::from_secs(120);

/// One server with its configuration in a folder of its own. Dropping it kills it by process id.
pub(crate) struct Trino {
    address: String,
    // Before the folder, so that it is dead before that goes.
    process: Process,
    dir: WorkDir,
}

impl Trino {
    /// Starts one over the tables of this Glue and the objects of this store, a MinIO.
    pub(crate) fn start(store: &str, glue: &str) -> Self {
        let (dir, port) = (WorkDir::new("trino"), free_port());
        let home = tools::dir().join("trino-476");
        let write = |name: &str, text: String| {
            std::fs::write(dir.path().join(name), text).expect("a configuration file");
        };
        std::fs::create_dir_all(dir.path().join("etc/catalog")).expect("a folder");
        write("etc/config.properties", config(port, &home));
        write("etc/catalog/awsdatacatalog.properties", catalog(store, glue));
        let log = dir.path().join("trino.log");
        let mut process = Process::start("Trino", java(&home, dir.path()), &log);
        let address = format!("127.0.0.1:{port}");
        process.wait_ready(START_TIMEOUT, || {
            http::get(&address, "/v1/info")
                .is_some_and(|(_, text)| text.contains("\"starting\":false"))
        });
        Self { address, process, dir }
    }

    /// The rows of a query, or the error that ended it with its cause.
    pub(crate) fn ask(&self, database: &str, query: &str) -> Result<Value, String> {
        let headers = [
            ("X-Trino-User", "test"),
            ("X-Trino-Catalog", "awsdatacatalog"),
            ("X-Trino-Schema", database),
        ];
        let (mut what, mut body) = ("POST /v1/statement".to_owned(), query);
        let mut rows = Vec::new();
        loop {
            let answer = http::request(&self.address, &what, &headers, body);
            let Some((200, text)) = answer else { return Err(format!("{what}: {answer:?}")) };
            let mut page: Value = serde_json::from_str(&text).expect("JSON");
            if page.get("error").is_some() {
                return Err(causes(&page["error"]["failureInfo"]));
            }
            if let Value::Array(more) = page["data"].take() {
                rows.extend(more);
            }
            let Some(next) = page["nextUri"].as_str() else { return Ok(Value::Array(rows)) };
            let (_, path) = next.split_once(&self.address).expect("a page of its own");
            (what, body) = (format!("GET {path}"), "");
        }
    }

    /// The rows of a query that must succeed.
    #[track_caller]
    pub(crate) fn rows(&self, database: &str, query: &str) -> Value {
        match self.ask(database, query) {
            Ok(rows) => rows,
            Err(error) => panic!("{query}: {error}"),
        }
    }
}

/// What went wrong, and what that came from.
fn causes(failure: &Value) -> String {
    let all = std::iter::successors(Some(failure), |one| one.get("cause"));
    let messages: Vec<_> = all.filter_map(|one| one["message"].as_str()).collect();
    messages.join(": ")
}

/// The server without its launcher, which would leave it in the background.
fn java(home: &Path, dir: &Path) -> Command {
    let mut command = Command::new(home.join("java/bin/java"));
    command
        .current_dir(dir)
        .args(["-Xmx640M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .args(["-Dconfig=etc/config.properties", "-Duser.timezone=UTC"])
        .args(["-Dnode.environment=test", "-Dnode.id=one"])
        .args(["-Dnode.bind-ip=127.0.0.1", "-Dnode.internal-address=127.0.0.1"])
        .arg(format!("-Dnode.data-dir={}", dir.join("data").display()))
        .arg("-cp")
        .arg(home.join("lib/*"))
        .arg("io.trino.server.TrinoServer");
    command
}

fn config(port: u16, home: &Path) -> String {
    let plugins = home.join("plugin");
    format!(
        "coordinator=true\nnode-scheduler.include-coordinator=true\nhttp-server.http.port={port}\n\
         discovery.uri=http://127.0.0.1:{port}\nplugin.dir={}\n\
         query.max-memory-per-node=256MB\nmemory.heap-headroom-per-node=128MB\n",
        plugins.display()
    )
}

fn catalog(store: &str, glue: &str) -> String {
    let (key, secret) = (Minio::ACCESS_KEY, Minio::SECRET_KEY);
    format!(
        "connector.name=hive\nhive.metastore=glue\nhive.partition-projection-enabled=true\n\
         hive.metastore.glue.endpoint-url={glue}\nhive.metastore.glue.region=us-east-1\n\
         hive.metastore.glue.aws-access-key=test\nhive.metastore.glue.aws-secret-key=test\n\
         fs.native-s3.enabled=true\ns3.endpoint={store}\ns3.region=us-east-1\n\
         s3.path-style-access=true\ns3.aws-access-key={key}\ns3.aws-secret-key={secret}\n"
    )
}
