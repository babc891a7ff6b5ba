//! The store as the rest of the program sees it, and what every request of this room shares:
//! a time limit that grows with the bytes, and errors that say what, where and how to mend it.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::{Config, Credentials};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use secrecy::{ExposeSecret, SecretString};

use super::classes::EXPIRED;
use super::connect;
use super::errors::{Asked, Cause, Failure, S3Error};
use crate::config::S3Settings;

/// A bucket's store. Cloning is cheap and shares the connections and the credentials.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    client: RwLock<Client>,
    settings: S3Settings,
    /// As messages name it.
    endpoint: String,
    /// Whether the completion of a multipart upload honours `If-None-Match`, as far as is known.
    conditional_complete: AtomicBool,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("endpoint", &self.inner.endpoint).finish_non_exhaustive()
    }
}

impl Store {
    /// A store with credentials from the SDK's default chain. Nothing is asked of the store yet,
    /// and missing credentials show at the first request.
    pub async fn connect(settings: &S3Settings) -> Result<Self, S3Error> {
        Ok(Self::new(connect::sdk_config(settings, None).await?, settings))
    }

    /// A store with these keys, for parts that bring a store of their own.
    pub async fn connect_with_keys(
        settings: &S3Settings,
        access_key_id: &str,
        secret_access_key: &SecretString,
    ) -> Result<Self, S3Error> {
        let secret = secret_access_key.expose_secret();
        let keys = Credentials::new(access_key_id, secret, None, None, "settings");
        Ok(Self::new(connect::sdk_config(settings, Some(keys)).await?, settings))
    }

    fn new((config, endpoint): (Config, String), settings: &S3Settings) -> Self {
        let inner = Inner {
            client: RwLock::new(Client::from_conf(config)),
            settings: settings.clone(),
            endpoint,
            conditional_complete: AtomicBool::new(true),
        };
        Self { inner: Arc::new(inner) }
    }

    pub(super) fn settings(&self) -> &S3Settings {
        &self.inner.settings
    }

    pub(super) fn client(&self) -> Client {
        self.inner.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn honours_conditional_complete(&self) -> bool {
        self.inner.conditional_complete.load(Ordering::Relaxed)
    }

    pub(super) fn set_conditional_complete(&self, honoured: bool) {
        self.inner.conditional_complete.store(honoured, Ordering::Relaxed);
    }

    /// How long a request that carries so many bytes may take.
    pub(super) fn limit(&self, bytes: u64) -> Duration {
        let settings = self.settings();
        settings.request_timeout
            + Duration::from_secs_f64(bytes as f64 / settings.min_throughput.max(1) as f64)
    }

    /// Sends one request and waits for its answer, but no longer than the limit. The SDK's own
    /// timers leave holes (none covers a server that stops reading), so this one is around
    /// everything: credentials, connection, body and answer. Dropping the request closes its
    /// connection.
    pub(super) async fn send<T, E>(
        &self,
        asked: &Asked,
        limit: Duration,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Failure>
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let cause = match tokio::time::timeout(limit, request).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Cause::from(&error),
            Err(_) => Cause::TimedOut(limit),
        };
        if cause.is_code(EXPIRED) || (cause.status() == Some(400) && asked.is_head()) {
            self.forget_credentials();
        }
        Err(self.failure(asked, cause))
    }

    /// A failure in words.
    pub(super) fn failure(&self, asked: &Asked, cause: Cause) -> Failure {
        Failure::new(asked, &self.inner.endpoint, cause)
    }

    /// The store refuses credentials that our clock or their issuer calls good: the next request
    /// fetches new ones, and does not wait until the cache thinks them old.
    fn forget_credentials(&self) {
        let mut client = self.inner.client.write().unwrap_or_else(PoisonError::into_inner);
        let config = client.config().to_builder().identity_cache(connect::identity_cache());
        *client = Client::from_conf(config.build());
    }
}
