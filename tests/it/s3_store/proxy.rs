//! A TCP proxy in front of a real server that can lose a reply or stop reading.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is done to a request whose head matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It goes through, and the connection is cut in place of its reply.
    LoseReply,
    /// The proxy stops reading from this connection.
    Stall,
}

/// A request is meant if its first packet holds all of these words; each plan is used up once.
struct Plan {
    words: &'static [&'static str],
    fault: Fault,
}

#[derive(Default)]
struct State {
    connections: AtomicUsize,
    plans: Mutex<Vec<Plan>>,
    faults: AtomicUsize,
}

impl State {
    fn fault(&self, packet: &[u8]) -> Option<Fault> {
        let text = String::from_utf8_lossy(&packet[..packet.len().min(4096)]).into_owned();
        let mut plans = self.plans.lock().expect("plans");
        let index =
            plans.iter().position(|plan| plan.words.iter().all(|word| text.contains(word)))?;
        self.faults.fetch_add(1, Ordering::SeqCst);
        Some(plans.remove(index).fault)
    }
}

pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port and forwards to `to`.
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(carry(client, to, Arc::clone(&shared)));
            }
        });
        Self { port, state, task }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many faults have happened.
    pub(crate) fn faults(&self) -> usize {
        self.state.faults.load(Ordering::SeqCst)
    }

    /// Plans a fault for the next request whose head holds all these words.
    pub(crate) fn plan(&self, words: &'static [&'static str], fault: Fault) {
        self.state.plans.lock().expect("plans").push(Plan { words, fault });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, to: u16, state: Arc<State>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let lose = Arc::new(AtomicUsize::new(0));
    let replies = tokio::spawn(replies(from_server, to_client, Arc::clone(&lose)));
    requests(from_client, to_server, &state, &lose).await;
    let _ = replies.await;
}

async fn requests(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    state: &State,
    lose: &AtomicUsize,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = client.read(&mut buffer).await {
        match state.fault(&buffer[..read]) {
            Some(Fault::LoseReply) => lose.store(1, Ordering::SeqCst),
            // The sockets stay open as long as the other half reads, and nobody reads here.
            Some(Fault::Stall) => return std::future::pending().await,
            None => (),
        }
        if server.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

async fn replies(mut server: OwnedReadHalf, mut client: OwnedWriteHalf, lose: Arc<AtomicUsize>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = server.read(&mut buffer).await {
        // The request has had its effect; an interim "100 Continue" is no reply.
        let interim = buffer[..read].starts_with(b"HTTP/1.1 100");
        if !interim && lose.load(Ordering::SeqCst) == 1 {
            return;
        }
        if client.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
