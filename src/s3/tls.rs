//! The HTTP client: one pool of connections for the store and for the services that hand out
//! credentials, with TLS by rustls and the machine's own certificates.
//!
//! Fed by `connect`. `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the machine's certificates (so
//! rustls-native-certs has it), `AWS_CA_BUNDLE` does so as in the other AWS tools.

use std::time::Duration;

use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::errors::S3Error;

/// Idle connections are dropped before a store drops them (S3 does after about 20 s), for a
/// request that meets a connection just closed fails.
const POOL_IDLE: Duration = Duration::from_secs(15);

/// The HTTP client; `ca_bundle` is the value of `AWS_CA_BUNDLE`.
pub(super) fn http_client(ca_bundle: Option<&str>) -> Result<SharedHttpClient, S3Error> {
    let trust = match ca_bundle {
        Some(path) => TrustStore::empty().with_pem_certificate(read_bundle(path)?),
        None => TrustStore::default(),
    };
    let bad_context = |error| S3Error::CaBundle {
        path: ca_bundle.unwrap_or_default().to_owned(),
        reason: format!("{error}"),
    };
    let context = TlsContext::builder().with_trust_store(trust).build().map_err(bad_context)?;
    Ok(Builder::new()
        .pool_idle_timeout(POOL_IDLE)
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(context)
        .build_https())
}

/// Reads and checks a bundle here, for the SDK panics on a bad one at the first request.
fn read_bundle(path: &str) -> Result<String, S3Error> {
    let bad = |reason: String| S3Error::CaBundle { path: path.to_owned(), reason };
    let pem = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    check_pem(&pem).map_err(|reason| bad(reason.to_owned()))?;
    Ok(pem)
}

fn check_pem(pem: &str) -> Result<(), &'static str> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let mut rest = pem;
    let mut found = false;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let (body, after) = after.split_once(END).ok_or("a certificate has no end")?;
        let base64: String = body.split_whitespace().collect();
        let der = BASE64_STANDARD.decode(base64).map_err(|_| "a certificate is not base64")?;
        // Every certificate is an ASN.1 SEQUENCE.
        if der.first() != Some(&0x30) {
            return Err("a certificate is not DER");
        }
        (rest, found) = (after, true);
    }
    if found { Ok(()) } else { Err("it holds no certificate") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(body: &str) -> String {
        format!("# a comment\n-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn a_bundle_is_checked_before_the_sdk_sees_it() {
        assert_eq!(check_pem(&pem("MAA=")), Ok(()));
        assert_eq!(check_pem(&format!("{}{}", pem("MAA="), pem("MA\nA="))), Ok(()));
        assert_eq!(check_pem("hello"), Err("it holds no certificate"));
        assert_eq!(check_pem(&pem("!!")), Err("a certificate is not base64"));
        assert_eq!(check_pem(&pem("AAAA")), Err("a certificate is not DER"));
        assert_eq!(check_pem("-----BEGIN CERTIFICATE-----\nMAA="), Err("a certificate has no end"));
    }

    #[test]
    fn a_missing_bundle_is_named() {
        let error = http_client(Some("/no/such/bundle.pem")).expect_err("there is none");
        let words = error.to_string();
        assert!(
            words.contains("AWS_CA_BUNDLE") && words.contains("/no/such/bundle.pem"),
            "{words}"
        );
    }
}
