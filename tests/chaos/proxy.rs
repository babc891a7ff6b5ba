//! A TCP proxy before a real server: it cuts connections with a reset, leaves them half-open, holds
//! back all that passes, or lets it pass slowly.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How bytes pass, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// As they come.
    Free,
    /// Not at all, for now; what came meanwhile passes later.
    Held,
    /// Each piece this much later.
    Slow(Duration),
}

/// What happens to the connections that are there, each time a number goes up.
#[derive(Clone, Copy, Default)]
struct Blows {
    cuts: u64,
    half_opens: u64,
}

struct Shared {
    to: u16,
    passage: watch::Receiver<Passage>,
    blows: watch::Receiver<Blows>,
    open: Arc<AtomicUsize>,
}

/// One proxy. It ends when it is dropped.
pub(crate) struct Proxy {
    port: u16,
    passage: watch::Sender<Passage>,
    blows: watch::Sender<Blows>,
    open: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// All proxies of the process share a thread of their own.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().expect("runtime")
    })
}

impl Proxy {
    /// Listens on this port and forwards to that one.
    pub(crate) fn start(port: u16, to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the proxy's port");
        listener.set_nonblocking(true).expect("a socket");
        let (passage, passages) = watch::channel(Passage::Free);
        let (blows, blown) = watch::channel(Blows::default());
        let open = Arc::new(AtomicUsize::new(0));
        let shared =
            Arc::new(Shared { to, passage: passages, blows: blown, open: Arc::clone(&open) });
        let task = runtime().spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            loop {
                // It fails where files run out, or if the client is gone already.
                match listener.accept().await {
                    Ok((client, _)) => drop(tokio::spawn(carry(client, Arc::clone(&shared)))),
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        });
        Self { port, passage, blows, open, task }
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many connections there are.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// How bytes pass from now on.
    pub(crate) fn set(&self, passage: Passage) {
        self.passage.send_replace(passage);
    }

    /// Resets every connection, on both sides.
    pub(crate) fn cut(&self) {
        self.blows.send_modify(|blows| blows.cuts += 1);
    }

    /// Ends every connection on the server's side; the client is never told, and what it sends is
    /// swallowed. New connections are not concerned.
    pub(crate) fn half_open(&self) {
        self.blows.send_modify(|blows| blows.half_opens += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        // The connections outlive the listener.
        self.cut();
    }
}

async fn carry(client: TcpStream, shared: Arc<Shared>) {
    // Before the server is asked: a blow in between is one too.
    let mut blows = shared.blows.clone();
    let before = *blows.borrow_and_update();
    shared.open.fetch_add(1, Ordering::Relaxed);
    carry_until_blown(client, &shared, &mut blows, before).await;
    shared.open.fetch_sub(1, Ordering::Relaxed);
}

async fn carry_until_blown(
    mut client: TcpStream,
    shared: &Shared,
    blows: &mut watch::Receiver<Blows>,
    before: Blows,
) {
    let Ok(mut server) = connect(shared.to).await else { return };
    let _ = client.set_nodelay(true);
    let blown = {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        tokio::select! {
            // Each direction by itself: one may be ended while the other goes on.
            _ = async {
                tokio::join!(
                    pass(&mut from_client, &mut to_server, shared.passage.clone()),
                    pass(&mut from_server, &mut to_client, shared.passage.clone()),
                )
            } => None,
            _ = blows.changed() => Some(*blows.borrow_and_update()),
        }
    };
    let half_open = blown.is_some_and(|now| now.cuts == before.cuts);
    if blown.is_some() {
        let _ = server.set_zero_linger();
    }
    if half_open {
        drop(server);
        swallow(&mut client, blows, before.cuts).await;
    }
    if blown.is_some() {
        let _ = client.set_zero_linger();
    }
}

async fn connect(port: u16) -> std::io::Result<TcpStream> {
    let server = TcpSocket::new_v4()?.connect(([127, 0, 0, 1], port).into()).await?;
    server.set_nodelay(true)?;
    Ok(server)
}

/// Reads and forgets, until the client gives up or all connections are cut.
async fn swallow(client: &mut TcpStream, blows: &mut watch::Receiver<Blows>, cuts: u64) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        tokio::select! {
            read = client.read(&mut buffer) => {
                if !matches!(read, Ok(1..)) {
                    return;
                }
            }
            changed = blows.changed() => {
                if changed.is_err() || blows.borrow_and_update().cuts != cuts {
                    return;
                }
            }
        }
    }
}

/// One direction, to its end.
async fn pass(
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    mut passage: watch::Receiver<Passage>,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let now = *passage.borrow();
        if let Passage::Slow(by) = now {
            tokio::time::sleep(by).await;
        }
        let held = |passage: &Passage| *passage != Passage::Held;
        if passage.wait_for(held).await.is_err() || to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
