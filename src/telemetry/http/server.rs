//! Accepts connections, few and not for ever.
//!
//! `axum::serve` knows neither timeouts nor a limit of connections: clients that open them and
//! say nothing would eat the file descriptors that Kafka and the store need.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// Connections at a time; more wait in the listener's backlog.
pub(crate) const CONNECTIONS: usize = 64;
/// How long a client may take to send the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// After this long a connection is closed between two requests.
const CONNECTION_LIFE: Duration = Duration::from_secs(300);
/// How long a request that has begun may go on after the end was asked for.
const GRACE: Duration = Duration::from_secs(2);

/// Serves until `shutdown` resolves and the requests that had begun are answered.
pub(super) async fn run(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let (ending, ended) = watch::channel(());
    tokio::select! {
        () = accept(&listener, &router, &permits, &ended) => {}
        () = shutdown => {}
    }
    drop(listener);
    // Connections hear of the end when the sender goes, and return their permits.
    drop(ending);
    let all = permits.acquire_many(CONNECTIONS as u32);
    // Each connection bounds its own end by the same grace; half a second is for scheduling.
    let _ = timeout(GRACE + Duration::from_millis(500), all).await;
}

async fn accept(
    listener: &TcpListener,
    router: &Router,
    permits: &Arc<Semaphore>,
    ended: &watch::Receiver<()>,
) {
    while let Ok(permit) = Arc::clone(permits).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection = connection(stream, router.clone(), ended.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: it passes, and a busy loop would not help.
                tracing::warn!(%error, "an HTTP connection could not be accepted");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router, mut ended: watch::Receiver<()>) {
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut serving = std::pin::pin!(serving);
    // What goes wrong on a connection is the client's affair.
    tokio::select! {
        _ = serving.as_mut() => return,
        _ = ended.changed() => {}
        () = sleep(CONNECTION_LIFE) => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = timeout(GRACE, serving).await;
}
