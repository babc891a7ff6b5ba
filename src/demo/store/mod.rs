//! An embedded S3 endpoint over a folder.
//!
//! ```text
//! TCP -> gate (faults) -> s3s (HTTP, signatures) -> endpoint -> files, multipart -> folder
//! ```
//! Fed by whatever S3 client comes with the right keys; feeds a folder that people, DuckDB and
//! `demo::count` read. Of the SDK it knows nothing.

mod answers;
mod endpoint;
mod failure;
mod faults;
mod files;
mod gate;
mod listing;
mod multipart;
mod receive;

pub use faults::{Fault, FaultPlan, Faults, RequestKind, When};

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::DemoError;
use endpoint::Endpoint;
use files::Tree;

/// How a store is started.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The folder that holds the objects; one process at a time.
    pub dir: PathBuf,
    /// The port on 127.0.0.1; 0 picks a free one.
    pub port: u16,
    /// The access key that clients sign with.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
}

impl StoreOptions {
    /// A free port and the keys `demo` and `demo-secret`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            port: 0,
            access_key: "demo".to_owned(),
            secret_key: "demo-secret".to_owned(),
        }
    }
}

/// A running store. It stops when it is dropped; what it holds stays in its folder.
pub struct Store {
    address: SocketAddr,
    dir: PathBuf,
    tree: Arc<Tree>,
    faults: Arc<Faults>,
    server: JoinHandle<()>,
}

impl Store {
    /// Opens the folder and listens.
    pub async fn start(options: StoreOptions) -> Result<Self, DemoError> {
        let StoreOptions { dir, port, access_key, secret_key } = options;
        let tree = Tree::open(&dir).map_err(|error| DemoError::files(&dir, error))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let (listener, address) = listener
            .and_then(|it| it.local_addr().map(|address| (it, address)))
            .map_err(|error| DemoError::Listen { port, reason: error.to_string() })?;
        let (tree, faults) = (Arc::new(tree), Arc::new(Faults::default()));
        let mut service = S3ServiceBuilder::new(Endpoint {
            tree: Arc::clone(&tree),
            uploads: Arc::default(),
            faults: Arc::clone(&faults),
        });
        service.set_auth(SimpleAuth::from_single(access_key, secret_key));
        let server = tokio::spawn(gate::serve(listener, service.build(), Arc::clone(&faults)));
        Ok(Self { address, dir, tree, faults, server })
    }

    /// What `s3.endpoint` is set to, with `s3.force_path_style`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes a bucket, if it is not there.
    pub fn create_bucket(&self, bucket: &str) -> Result<(), DemoError> {
        let made = self.tree.create_bucket(bucket);
        made.map(drop).map_err(|error| DemoError::files(&self.bucket_dir(bucket), error))
    }

    /// The folder that holds a bucket's objects under their keys.
    pub fn bucket_dir(&self, bucket: &str) -> PathBuf {
        self.dir.join(bucket)
    }

    /// The folder of the store.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The switches for what goes wrong.
    pub fn faults(&self) -> &Arc<Faults> {
        &self.faults
    }

    /// Closes the listener and all connections, and waits until they are closed.
    pub async fn stop(mut self) {
        self.server.abort();
        // The only end there is: it was aborted just now.
        let _ = (&mut self.server).await;
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.server.abort();
    }
}
