//! TLS to a real MinIO with a certificate of its own CA.

use std::path::Path;
use std::process::Command;

use kafka_s3_sink::record::{PutOutcome, StoreErrorClass};
use kafka_s3_sink::s3::Store;
use tempfile::TempDir;

use super::fixtures::{connect, is_child, large, run_child, settings, small};
use crate::support::minio::Minio;

/// A certificate for 127.0.0.1, signed by itself, where MinIO looks for it.
fn certificate() -> TempDir {
    let dir = TempDir::with_prefix("certs-").expect("a folder");
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args([
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=test",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "private.key", "-out", "public.crt"])
        .current_dir(dir.path())
        .output()
        .expect("openssl, which comes with the CA certificates of most systems");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    dir
}

async fn put_both() {
    let endpoint = std::env::var("TEST_ENDPOINT").expect("TEST_ENDPOINT");
    let store = Store::connect(&settings(&endpoint)).await.expect("settings");
    let outcome = store.put(&small("lake", "x")).await;
    if std::env::var_os("TEST_UNTRUSTED").is_some() {
        let error = outcome.expect_err("nobody knows the certificate");
        assert_eq!(error.class, StoreErrorClass::Configuration, "{error}");
        assert!(error.message.contains("SSL_CERT_FILE or AWS_CA_BUNDLE"), "{error}");
        return;
    }
    outcome.expect("it is trusted");
    assert_eq!(store.put(&large("lake", "y")).await, Ok(PutOutcome::Stored));
    store.delete(&super::fixtures::address("lake", "y")).await.expect("deleted");
}

async fn run(server: &Minio, name: &str, value: &Path) {
    let variables = [
        ("AWS_ACCESS_KEY_ID", Minio::ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", Minio::SECRET_KEY),
        ("TEST_ENDPOINT", &server.endpoint()),
        (name, value.to_str().expect("a plain path")),
    ];
    run_child("tls::a_certificate_is_trusted_if_it_is_named", &variables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_trusted_if_it_is_named() {
    if is_child() {
        return put_both().await;
    }
    let certificates = certificate();
    let Some(server) = Minio::start_with_tls(certificates.path()) else { return };
    let named = certificates.path().join("public.crt");
    std::fs::create_dir(server.data().join("drive/lake")).expect("a bucket");
    run(&server, "TEST_UNTRUSTED", Path::new("1")).await;
    run(&server, "AWS_CA_BUNDLE", &named).await;
    run(&server, "SSL_CERT_FILE", &named).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn https_to_a_server_without_it_says_so() {
    let Some(server) = Minio::shared() else { return };
    let endpoint = server.endpoint().replace("http://", "https://");
    let error = connect(&settings(&endpoint)).await.put(&small("lake", "x")).await;
    let error = error.expect_err("no TLS there");
    assert_eq!(error.class, StoreErrorClass::Configuration, "{error}");
    assert!(error.message.contains("http:// or https://"), "{error}");
}
