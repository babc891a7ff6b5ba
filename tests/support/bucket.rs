//! A bucket as its readers see it, and the oracle that counts what stands in it.

mod decode;
mod duckdb;
mod tally;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use tokio::runtime::Runtime;

use super::kafka::Expected;
use super::minio::Minio;
pub(crate) use duckdb::Table;
pub(crate) use tally::{Reading, Tally};

/// A bucket of a store, reached by a client that the daemon has no part in.
pub(crate) struct Bucket {
    name: String,
    endpoint: String,
    client: Client,
    runtime: Runtime,
}

/// An object with all that was stored beside its bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object {
    /// Its key.
    pub(crate) key: String,
    /// Its bytes as stored.
    pub(crate) body: Vec<u8>,
    /// Its user metadata, without `x-amz-meta-`.
    pub(crate) metadata: BTreeMap<String, String>,
    /// Its content type.
    pub(crate) content_type: Option<String>,
    /// Its content encoding, which ought to be none.
    pub(crate) content_encoding: Option<String>,
}

/// A key with the size of its object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The key.
    pub(crate) key: String,
    /// The stored bytes.
    pub(crate) size: u64,
}

impl Bucket {
    /// Makes a bucket.
    pub(crate) fn create(minio: &Minio, name: &str) -> Self {
        let this = Self::of(minio, name);
        let make = || {
            let made = this.runtime.block_on(this.client.create_bucket().bucket(name).send());
            made.map(drop).map_err(|error| format!("create bucket {name}: {error:?}"))
        };
        // A loaded MinIO now and then calls the empty body of such a request incomplete (400),
        // which the SDK does not try again.
        make().or_else(|_| make()).unwrap_or_else(|error| panic!("{error}"));
        this
    }

    /// A bucket that may or may not be there.
    pub(crate) fn of(minio: &Minio, name: &str) -> Self {
        Self::at(&minio.endpoint(), name)
    }

    /// A bucket of any store that knows MinIO's keys.
    pub(crate) fn at(endpoint: &str, name: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self {
            name: name.to_owned(),
            endpoint: endpoint.to_owned(),
            client: Minio::client_at(endpoint),
            runtime: runtime.expect("runtime"),
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The store's address.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The variables by which AWS's tools and libraries find the credentials.
    pub(crate) fn credentials(&self) -> [(&'static str, &'static str); 2] {
        [("AWS_ACCESS_KEY_ID", Minio::ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", Minio::SECRET_KEY)]
    }

    /// Reads everything of a topic and compares it with what is expected.
    pub(crate) fn read(&self, reading: &Reading, expected: &Expected) -> Tally {
        tally::read(self, reading, expected)
    }

    /// Reads the table below a prefix with DuckDB.
    pub(crate) fn query(&self, table: &str) -> Table {
        duckdb::query(self, table)
    }

    /// All keys below a prefix, in order.
    pub(crate) fn list(&self, prefix: &str) -> Vec<Listed> {
        let request = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
        let mut pages = request.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = self.runtime.block_on(pages.next()) {
            let page = page.unwrap_or_else(|error| panic!("list {prefix}: {error:?}"));
            found.extend(page.contents.unwrap_or_default().into_iter().map(|object| Listed {
                key: object.key.expect("a key"),
                size: object.size.unwrap_or_default() as u64,
            }));
        }
        found
    }

    /// What stands beside an object's bytes: its user metadata, without `x-amz-meta-`.
    pub(crate) fn metadata(&self, key: &str) -> BTreeMap<String, String> {
        let request = self.client.head_object().bucket(&self.name).key(key);
        let answer = self.runtime.block_on(request.send());
        let answer = answer.unwrap_or_else(|error| panic!("head {key}: {error:?}"));
        answer.metadata.unwrap_or_default().into_iter().collect()
    }

    /// One object.
    pub(crate) fn get(&self, key: &str) -> Object {
        let request = self.client.get_object().bucket(&self.name).key(key);
        let got = self.runtime.block_on(async {
            let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
            let metadata = answer.metadata().cloned().unwrap_or_default();
            Ok::<_, String>(Object {
                key: key.to_owned(),
                metadata: metadata.into_iter().collect(),
                content_type: answer.content_type.clone(),
                content_encoding: answer.content_encoding.clone(),
                body: answer.body.collect().await.map_err(|error| error.to_string())?.to_vec(),
            })
        });
        got.unwrap_or_else(|error| panic!("get {key}: {error}"))
    }

    /// The lines of one object, decompressed.
    pub(crate) fn lines(&self, key: &str) -> Vec<String> {
        let text = decode::text(key, &self.get(key).body);
        let text = text.unwrap_or_else(|error| panic!("{key}: {error}"));
        String::from_utf8(text).expect("UTF-8").lines().map(str::to_owned).collect()
    }

    /// Stores an object, over one of the same key if there is one.
    pub(crate) fn put(&self, object: &Object) {
        let put = || {
            let request = self.client.put_object().bucket(&self.name).key(&object.key);
            let request = request
                .body(ByteStream::from(object.body.clone()))
                .set_metadata(Some(object.metadata.clone().into_iter().collect()))
                .set_content_type(object.content_type.clone())
                .set_content_encoding(object.content_encoding.clone());
            self.runtime.block_on(request.send()).map(drop).map_err(|error| format!("{error:?}"))
        };
        // MinIO calls a drive that does not answer at once a full one, which the client believes.
        let stored = put().or_else(|_| {
            std::thread::sleep(Duration::from_secs(5));
            put()
        });
        stored.unwrap_or_else(|error| panic!("put {}: {error}", object.key));
    }

    /// Removes an object, as a lifecycle rule would.
    pub(crate) fn delete(&self, key: &str) {
        let request = self.client.delete_object().bucket(&self.name).key(key);
        let deleted = self.runtime.block_on(request.send());
        deleted.unwrap_or_else(|error| panic!("delete {key}: {error:?}"));
    }
}
