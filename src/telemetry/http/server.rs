//! Accepts connections, few and not for ever.
//!
//! `axum::serve` knows neither timeouts nor a limit of connections: clients that open them and
//! say nothing would eat the file descriptors that Kafka and the store need. Nor may they keep
//! others waiting, for an orchestrator kills a process whose probe is not answered: whoever comes
//! takes the place of the oldest connection that has nothing to be answered.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Connections at a time; one more closes an old one.
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
            let _ = connection.task.await;
        }
    };
    // Each connection bounds its own end by the same grace; half a second is for scheduling.
    let _ = timeout(GRACE + Duration::from_millis(500), all).await;
}

/// A connection that was accepted.
struct Open {
    task: JoinHandle<()>,
    /// A request of it is being answered. What is done is only sent, and counts no more: a client
    /// that does not read makes room too.
    answering: Arc<AtomicBool>,
}

/// Accepts for ever; `open` are the connections, the oldest first.
async fn accept(
    listener: &TcpListener,
    router: &Router,
    ended: &watch::Receiver<()>,
    open: &mut VecDeque<Open>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                make_room(open).await;
                let answering = Arc::<AtomicBool>::default();
                let served = connection(stream, router.clone(), ended.clone(), answering.clone());
                open.push_back(Open { task: tokio::spawn(served), answering });
            }
            Err(error) => {
                // Out of descriptors, most likely: it passes, and a busy loop would not help.
                tracing::warn!(%error, "an HTTP connection could not be accepted");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Forgets connections that are closed, and closes one if there are too many all the same.
async fn make_room(open: &mut VecDeque<Open>) {
    open.retain(|connection| !connection.task.is_finished());
    if open.len() < CONNECTIONS {
        return;
    }
    let idle = open.iter().position(|connection| !connection.answering.load(Ordering::Relaxed));
    if let Some(closed) = open.remove(idle.unwrap_or_default()) {
        closed.task.abort();
        // Its descriptor is free when this returns.
        let _ = closed.task.await;
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    mut ended: watch::Receiver<()>,
    answering: Arc<AtomicBool>,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request| {
        answering.store(true, Ordering::Relaxed);
        let (answer, answering) = (router.call(request), &answering);
        async move {
            let answer = answer.await;
            answering.store(false, Ordering::Relaxed);
            answer
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
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
