//! Accepts connections, few and not for ever.
//!
//! `axum::serve` knows neither timeouts nor a limit of connections: clients that open them and
//! say nothing would eat the file descriptors that Kafka and the store need. Nor may they keep
//! others waiting, for an orchestrator kills a process whose probe is not answered: whoever comes
//! takes the place of the connection that has been open for longest.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Connections at a time; one more closes the oldest. A request is answered in milliseconds, so
/// only those that ask nothing, or do not read what they asked for, get as old as that.
pub(super) const CONNECTIONS: usize = 64;
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
    let (ending, ended) = watch::channel(());
    let mut open = VecDeque::with_capacity(CONNECTIONS);
    tokio::select! {
        () = accept(&listener, &router, &ended, &mut open) => {}
        () = shutdown => {}
    }
    drop(listener);
    // Connections hear of the end when the sender goes.
    drop(ending);
    let all = async {
        for connection in open {
            let _ = connection.await;
        }
    };
    // Each connection bounds its own end by the same grace; half a second is for scheduling.
    let _ = timeout(GRACE + Duration::from_millis(500), all).await;
}

/// Accepts for ever; `open` are the connections, the oldest first.
async fn accept(
    listener: &TcpListener,
    router: &Router,
    ended: &watch::Receiver<()>,
    open: &mut VecDeque<JoinHandle<()>>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                make_room(open).await;
                open.push_back(tokio::spawn(connection(stream, router.clone(), ended.clone())));
            }
            Err(error) => {
                // Out of descriptors, most likely: it passes, and a busy loop would not help.
                tracing::warn!(%error, "an HTTP connection could not be accepted");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Forgets connections that are closed, and closes the oldest if there are too many all the same.
async fn make_room(open: &mut VecDeque<JoinHandle<()>>) {
    open.retain(|connection| !connection.is_finished());
    while open.len() >= CONNECTIONS
        && let Some(oldest) = open.pop_front()
    {
        oldest.abort();
        // Its descriptor is free when this returns.
        let _ = oldest.await;
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
