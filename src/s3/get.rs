//! Reading an object, as a stream of pieces.
//!
//! Fed by `cli`. The sink itself never reads what it wrote.

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;

use super::client::Store;
use super::errors::{Asked, Cause};
use crate::record::{ObjectAddress, StoreError};

/// The bytes of an object, as they come.
pub struct ObjectBytes {
    store: Store,
    asked: Asked,
    stream: ByteStream,
}

impl Store {
    /// Begins to read an object; `None` if there is none of that name.
    pub async fn get(&self, address: &ObjectAddress) -> Result<Option<ObjectBytes>, StoreError> {
        let asked = Asked::new("GetObject", "s3:GetObject", address);
        let get = self.client().get_object().bucket(&*address.bucket).key(&*address.key);
        match self.send(&asked, self.limit(0), get.send()).await {
            Ok(answer) => {
                self.must_have_tag(&asked, answer.e_tag())?;
                Ok(Some(ObjectBytes { store: self.clone(), asked, stream: answer.body }))
            }
            Err(failure) if failure.is_missing() => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }
}

impl ObjectBytes {
    /// The next piece; `None` at the end. Each may take as long as a request may.
    pub async fn next(&mut self) -> Option<Result<Bytes, StoreError>> {
        let limit = self.store.limit(0);
        let cause = match tokio::time::timeout(limit, self.stream.next()).await {
            Ok(Some(Ok(piece))) => return Some(Ok(piece)),
            Ok(None) => return None,
            Ok(Some(Err(error))) => Cause::Unreachable(super::errors::chain(&error)),
            Err(_) => Cause::TimedOut(limit),
        };
        Some(Err(self.store.failure(&self.asked, cause).into()))
    }
}
