//! The embedded store of `demo`, as the real SDK sees it.

mod conditions;
mod faults;
mod multipart;
mod objects;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use tempfile::TempDir;

use kafka_s3_sink::demo::store::{Fault, FaultPlan, RequestKind, Store, StoreOptions, When};

const BUCKET: &str = "lake";

struct World {
    store: Store,
    client: Client,
    dir: TempDir,
}

async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::start(StoreOptions::new(dir.path())).await.unwrap();
    store.create_bucket(BUCKET).unwrap();
    let client = client(&store.endpoint(), "demo-secret");
    World { store, client, dir }
}

/// As the sink has it: path style, and no retries of the SDK's own.
fn client(endpoint: &str, secret: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .retry_config(RetryConfig::disabled())
        .credentials_provider(Credentials::new("demo", secret, None, None, "test"))
        .build();
    Client::from_conf(config)
}

fn crc32(bytes: &[u8]) -> String {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    base64::engine::general_purpose::STANDARD.encode(crc.sum().to_be_bytes())
}

impl World {
    fn put(&self, key: &str, bytes: &[u8]) -> PutObjectFluentBuilder {
        self.client
            .put_object()
            .bucket(BUCKET)
            .key(key)
            .checksum_crc32(crc32(bytes))
            .body(ByteStream::from(bytes.to_vec()))
    }

    async fn get(&self, key: &str) -> Vec<u8> {
        let got = self.client.get_object().bucket(BUCKET).key(key).send().await.unwrap();
        got.body.collect().await.unwrap().to_vec()
    }

    /// All files under the store's folder that are no sidecars, by their paths.
    fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.dir.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.ends_with(".meta") {
                    folders.push(path);
                } else if path.is_file() {
                    let path = path.strip_prefix(self.dir.path()).unwrap();
                    found.push(path.to_str().unwrap().to_owned());
                }
            }
        }
        found.sort();
        found
    }
}

/// Status and code of an answer that is an error.
fn refusal<T: std::fmt::Debug, E>(result: Result<T, SdkError<E>>) -> (u16, String)
where
    E: ProvideErrorMetadata + std::fmt::Debug,
{
    let error = result.unwrap_err();
    let status = error.raw_response().unwrap_or_else(|| panic!("{error:?}")).status().as_u16();
    (status, error.code().unwrap_or_default().to_owned())
}
