//! Servers that take a connection and then do nothing: every request ends in time, and its
//! connection with it.

use std::time::{Duration, Instant};

use kafka_s3_sink::record::{StoreError, StoreErrorClass};
use kafka_s3_sink::s3::Store;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::fixtures::{MIB, address, connect, request, segments, settings};

/// A listener that accepts and does nothing else; the connections come out of the channel.
async fn mute() -> (String, mpsc::UnboundedReceiver<TcpStream>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
    let (sender, streams) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if sender.send(stream).is_err() {
                return;
            }
        }
    });
    (endpoint, streams)
}

async fn impatient(endpoint: &str) -> Store {
    let mut settings = settings(endpoint);
    settings.request_timeout = Duration::from_secs(1);
    settings.min_throughput = 16 * MIB;
    settings.multipart_threshold = 64 * MIB;
    connect(&settings).await
}

#[track_caller]
fn expect_timeout(error: &StoreError, started: Instant, at_least: f64) {
    assert_eq!(error.class, StoreErrorClass::Retry, "{error}");
    assert!(error.message.contains("no answer within"), "{error}");
    let took = started.elapsed().as_secs_f64();
    assert!((at_least..at_least + 3.0).contains(&took), "{took} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_reading_does_not_hang_a_put() {
    let (endpoint, mut streams) = mute().await;
    let store = impatient(&endpoint).await;
    // More than the buffers of both sockets hold, so the body cannot all be sent.
    let put = request("lake", "x", segments(&[16 * MIB as usize; 2]));
    let started = Instant::now();
    let error = store.put(&put).await.expect_err("it hangs");
    expect_timeout(&error, started, 3.0);

    // The connection is given up too, and with it the body's memory.
    let mut stream = streams.recv().await.expect("a connection");
    let mut got = 0;
    let drained = tokio::time::timeout(Duration::from_secs(5), async {
        let mut buffer = vec![0; 1 << 20];
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            got += read as u64;
        }
    });
    drained.await.expect("the connection is closed");
    assert!(got < put.body.len(), "all {got} bytes came through");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_does_not_hang_anything() {
    let (endpoint, mut streams) = mute().await;
    tokio::spawn(async move {
        // Reads all, says nothing.
        while let Some(mut stream) = streams.recv().await {
            tokio::spawn(async move { tokio::io::copy(&mut stream, &mut tokio::io::sink()).await });
        }
    });
    let store = impatient(&endpoint).await;
    let at = address("lake", "x");

    let started = Instant::now();
    let put = store.put(&request("lake", "x", segments(&[100]))).await;
    expect_timeout(&put.expect_err("put"), started, 1.0);
    let started = Instant::now();
    expect_timeout(&store.head(&at).await.expect_err("head"), started, 1.0);
    let started = Instant::now();
    expect_timeout(&store.any_object("lake", "raw/").await.expect_err("list"), started, 1.0);
    let started = Instant::now();
    expect_timeout(&store.delete(&at).await.expect_err("delete"), started, 1.0);
    let started = Instant::now();
    expect_timeout(&store.head_bucket("lake").await.expect_err("bucket"), started, 1.0);
    let started = Instant::now();
    expect_timeout(&store.clock_skew("lake").await.expect_err("clock"), started, 1.0);
    let started = Instant::now();
    let probe = store.probe_conditional_put("lake", "probe").await;
    // HEAD, then the race.
    expect_timeout(&probe.expect_err("probe"), started, 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_parts_that_never_begins_ends_in_time() {
    let (endpoint, _streams) = mute().await;
    let mut settings = settings(&endpoint);
    settings.request_timeout = Duration::from_secs(1);
    settings.min_throughput = 16 * MIB;
    let store = connect(&settings).await;
    let started = Instant::now();
    let put = request("lake", "x", segments(&[8 * MIB as usize]));
    expect_timeout(&store.put(&put).await.expect_err("it hangs"), started, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_in_the_middle_is_tried_again() {
    let (endpoint, mut streams) = mute().await;
    tokio::spawn(async move {
        while let Some(mut stream) = streams.recv().await {
            let mut some = [0; 4096];
            let _ = stream.read(&mut some).await;
        }
    });
    let started = Instant::now();
    let put = request("lake", "x", segments(&[16 * MIB as usize]));
    let error = impatient(&endpoint).await.put(&put).await.expect_err("it is cut");
    assert_eq!(error.class, StoreErrorClass::Retry, "{error}");
    assert!(started.elapsed() < Duration::from_secs(1), "told at once");
}
