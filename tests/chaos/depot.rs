//! The store as a scenario sees it, behind a proxy: MinIO on a small disk, or the embedded store,
//! which takes every conditional put for a plain one. And the disk on which sinks spool.

use std::path::PathBuf;
use std::time::Duration;

use kafka_s3_sink::demo::store::{Store, StoreOptions};
use tokio::runtime::Runtime;

use crate::proxy::Proxy;
use crate::stage::Stage;
use crate::support::bucket::{Bucket, Object};
use crate::support::disk::{Ballast, SmallDisk, fill};
use crate::support::minio::Minio;
use crate::support::workdir::{WorkDir, free_port};

/// Which store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// MinIO.
    Minio,
    /// One that ignores `If-None-Match`, as some do.
    Forgetful,
}

/// Holds the objects of a scenario many times over.
const DISK_BYTES: u64 = 512 << 20;

/// Fewer than all sinks want at once.
const SPOOL_BYTES: u64 = 4 << 20;

/// See the module.
pub(crate) struct Depot {
    server: Server,
    proxy: Proxy,
    spool: SmallDisk,
}

enum Server {
    Minio(Minio),
    // The store before its runtime, and its folder last: they go in this order.
    Embedded { store: Store, _runtime: Runtime, _dir: WorkDir },
}

impl Depot {
    /// Starts it.
    pub(crate) fn start(kind: Kind) -> Self {
        let server = match kind {
            Kind::Minio => {
                Server::Minio(Minio::start_on_small_disk(DISK_BYTES).expect("servers are here"))
            }
            Kind::Forgetful => forgetful(),
        };
        let endpoint = server.endpoint();
        let port = endpoint.rsplit(':').next().and_then(|port| port.parse().ok());
        let proxy = Proxy::start(free_port(), port.expect("a port"));
        Self { server, proxy, spool: SmallDisk::new(SPOOL_BYTES) }
    }

    /// Where sinks begin: at the proxy.
    pub(crate) fn faulty_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.proxy.port())
    }

    /// The proxy.
    pub(crate) fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Where sinks may spool.
    pub(crate) fn spool(&self) -> PathBuf {
        self.spool.path()
    }

    /// The disk of the spool is full for a while.
    pub(crate) fn fill_spool(&self, stage: &Stage<'_>, time: Duration) {
        let ballast = fill(&self.spool.path());
        stage.sleep(time);
        drop(ballast);
    }

    /// A bucket, reached without the proxy.
    pub(crate) fn bucket(&self, name: &str) -> Bucket {
        Bucket::at(&self.server.endpoint(), name)
    }

    /// Makes a bucket.
    pub(crate) fn create_bucket(&self, name: &str) -> Bucket {
        match &self.server {
            Server::Minio(minio) => Bucket::create(minio, name),
            Server::Embedded { store, .. } => {
                store.create_bucket(name).expect("a bucket");
                self.bucket(name)
            }
        }
    }

    /// Dies, and is back after a while with what it had.
    pub(crate) fn go_away(&self, stage: &Stage<'_>, time: Duration) {
        match &self.server {
            Server::Minio(minio) => {
                minio.stop();
                stage.sleep(time);
                minio.start_again();
            }
            Server::Embedded { store, .. } => {
                store.faults().set_away(true);
                stage.sleep(time);
                store.faults().set_away(false);
            }
        }
    }

    /// Stands still for a while; for the embedded store its network does.
    pub(crate) fn freeze(&self, stage: &Stage<'_>, time: Duration) {
        if let Server::Minio(minio) = &self.server {
            minio.freeze();
            stage.sleep(time);
            minio.thaw();
        }
    }

    /// Takes nothing more for a while.
    pub(crate) fn fill(&self, stage: &Stage<'_>, time: Duration) {
        match &self.server {
            Server::Minio(minio) => {
                let ballast: Ballast = minio.fill();
                stage.sleep(time);
                drop(ballast);
            }
            Server::Embedded { store, .. } => {
                store.faults().set_full(true);
                stage.sleep(time);
                store.faults().set_full(false);
            }
        }
    }

    /// Somebody else puts something where the sink's objects are.
    pub(crate) fn litter(&self, bucket: &str, topic: &str, number: u64) {
        for key in foreign_keys(topic, number) {
            let body = b"not ours\n".to_vec();
            self.bucket(bucket).put(&Object { key, body, ..Object::default() });
        }
    }

    /// What `litter` has put goes again, so that what is left can be counted.
    pub(crate) fn sweep(&self, bucket: &str, topic: &str, litters: u64) {
        for key in (0..litters).flat_map(|number| foreign_keys(topic, number)) {
            self.bucket(bucket).delete(&key);
        }
    }
}

impl Server {
    fn endpoint(&self) -> String {
        match self {
            Self::Minio(minio) => minio.endpoint(),
            Self::Embedded { store, .. } => store.endpoint(),
        }
    }
}

fn forgetful() -> Server {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().expect("runtime");
    let dir = WorkDir::new("store");
    let mut options = StoreOptions::new(dir.path().join("objects"));
    options.access_key = Minio::ACCESS_KEY.to_owned();
    options.secret_key = Minio::SECRET_KEY.to_owned();
    let store = runtime.block_on(Store::start(options)).expect("the embedded store");
    store.faults().set_ignores_if_none_match(true);
    Server::Embedded { store, _runtime: runtime, _dir: dir }
}

/// Names that look foreign, and nearly ours: another topic's, no offset, an offset too long.
fn foreign_keys(topic: &str, number: u64) -> Vec<String> {
    let folder = format!("raw/{topic}/dt=2026-11-20/hour=21");
    vec![
        format!("raw/{topic}/{number}-readme.txt"),
        format!("{folder}/other-{topic}-0-{number:020}.json.gz"),
        format!("{folder}/{topic}-0-{number}.json.gz"),
        format!("{folder}/{topic}-0-{number:024}.json.gz"),
        format!("raw/{topic}/_SUCCESS-{number}"),
    ]
}
