//! From settings to the SDK's client: region, endpoint, credentials, and no retries of its own.
//!
//! Fed by `Store::connect`; nothing is asked of the store here. Credentials come from the SDK's
//! default chain (environment, profile, web identity, container, instance role by IMDSv2) when
//! the first request needs them, and again before they expire.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::identity::IdentityCache;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, Config, Credentials, SharedIdentityCache, StalledStreamProtectionConfig,
};
use hyper::Uri;

use super::errors::S3Error;
use super::tls;
use crate::config::S3Settings;

/// How long a connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Credentials are renewed this long before they expire (the SDK takes off up to a half of it at
/// random). Instance roles offer new ones five minutes ahead.
const RENEW_BEFORE: Duration = Duration::from_secs(120);

/// How long the chain of credentials may take; IMDS alone may try for several seconds.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(10);

/// The region of stores that know none.
const ANY_REGION: &str = "us-east-1";

/// A fresh cache of credentials.
pub(super) fn identity_cache() -> SharedIdentityCache {
    IdentityCache::lazy().buffer_time(RENEW_BEFORE).load_timeout(CREDENTIALS_TIMEOUT).build()
}

/// The SDK's configuration, and the endpoint as messages name it; `keys` stand in for the
/// default chain.
pub(super) async fn sdk_config(
    settings: &S3Settings,
    keys: Option<Credentials>,
) -> Result<(Config, String), S3Error> {
    let ca_bundle = std::env::var("AWS_CA_BUNDLE").ok().filter(|path| !path.is_empty());
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(tls::http_client(ca_bundle.as_deref())?)
        .identity_cache(identity_cache())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(keys) = keys {
        loader = loader.credentials_provider(keys);
    }
    let shared = with_place(loader, settings)?.load().await;
    let Some(region) = shared.region() else { return Err(S3Error::NoRegion) };
    let endpoint = match shared.endpoint_url() {
        Some(endpoint) => checked_endpoint(endpoint)?.to_owned(),
        None => format!("AWS in region {region}"),
    };
    Ok((store_config(&shared, settings), endpoint))
}

/// Region and endpoint, as far as the settings say them.
fn with_place(loader: ConfigLoader, settings: &S3Settings) -> Result<ConfigLoader, S3Error> {
    let loader = match &settings.endpoint {
        Some(endpoint) => loader.endpoint_url(checked_endpoint(endpoint)?),
        None => loader,
    };
    Ok(match (&settings.region, &settings.endpoint) {
        (Some(region), _) => loader.region(Region::new(region.clone())),
        // Off AWS the chain would ask IMDS, in vain and for seconds.
        (None, Some(_)) => loader.region(
            RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                .or_else(ProfileFileRegionProvider::new())
                .or_else(Region::new(ANY_REGION)),
        ),
        (None, None) => loader,
    })
}

/// What holds for the store alone, not for the services that hand out credentials: there the
/// SDK may retry, here the pipeline does, and counts.
fn store_config(shared: &SdkConfig, settings: &S3Settings) -> Config {
    Builder::from(shared)
        .force_path_style(settings.force_path_style)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build())
        .build()
}

fn checked_endpoint(endpoint: &str) -> Result<&str, S3Error> {
    let bad = |endpoint: &str, reason: &str| S3Error::Endpoint {
        endpoint: endpoint.to_owned(),
        reason: reason.to_owned(),
    };
    // A password in the address would end up in messages; the store ignores it anyway.
    if let Some((before, host)) = endpoint.split_once('@') {
        let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
        return Err(bad(&format!("{scheme}://{host}"), "it holds a user or a password"));
    }
    let uri: Uri = endpoint.parse().map_err(|_| bad(endpoint, "it is no URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(bad(endpoint, "it does not begin with http:// or https://"));
    }
    Ok(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_checked() {
        for good in ["http://127.0.0.1:9000", "https://s3.example.com", "https://host/base/path"] {
            assert_eq!(checked_endpoint(good).ok(), Some(good));
        }
        for (bad, words) in [
            ("minio:9000", "http://"),
            ("ftp://minio", "http://"),
            ("http://mi nio", "no URL"),
            ("minio", "http://"),
        ] {
            let error = checked_endpoint(bad).expect_err(bad).to_string();
            assert!(error.contains(words) && error.contains("s3.endpoint"), "{error}");
        }
    }

    #[test]
    fn a_password_in_the_endpoint_is_refused_and_not_repeated() {
        let error = checked_endpoint("http://me:hunter2@minio:9000").expect_err("a password");
        assert_eq!(
            error.to_string(),
            "s3.endpoint = \"http://minio:9000\": it holds a user or a password; \
             write it as https://host or http://host:port"
        );
    }
}
