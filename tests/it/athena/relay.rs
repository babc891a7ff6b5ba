//! What is asked of the store: a relay before it that keeps the first line of each request.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// Requests as they came; the threads of its connections end with them.
pub(super) struct Relay {
    port: u16,
    lines: Arc<Mutex<Vec<String>>>,
}

/// What a query asked of the store below one prefix, each with how often.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// Prefixes that were listed.
    pub(super) listed: BTreeMap<String, usize>,
    /// Keys of objects that were read.
    pub(super) read: BTreeMap<String, usize>,
}

impl Relay {
    /// Listens on a port of its own, in front of the server at that one.
    pub(super) fn start(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&lines);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                let [requests, replies] = [(&client, &server), (&server, &client)]
                    .map(|(from, to)| (from.try_clone(), to.try_clone()));
                let (Ok(from), Ok(to)) = requests else { continue };
                let log = Arc::clone(&log);
                std::thread::spawn(move || carry(from, to, Some(&log)));
                let (Ok(from), Ok(to)) = replies else { continue };
                std::thread::spawn(move || carry(from, to, None));
            }
        });
        Self { port, lines }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What was asked below a prefix since the last look at it, by whatever goes through here.
    pub(super) fn take(&self, bucket: &str, prefix: &str) -> Asked {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut asked = Asked::default();
        lines.retain(|line| {
            let Some((is_listing, key)) = key_of(line, bucket) else { return true };
            if !key.starts_with(prefix) {
                return true;
            }
            let of = if is_listing { &mut asked.listed } else { &mut asked.read };
            *of.entry(key).or_default() += 1;
            false
        });
        asked
    }
}

/// One direction of a connection, until it ends.
fn carry(mut from: TcpStream, mut to: TcpStream, log: Option<&Mutex<Vec<String>>>) {
    let (mut buffer, mut open) = (vec![0; 64 << 10], Vec::new());
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if let Some(log) = log {
            open.extend_from_slice(&buffer[..read]);
            while let Some(end) = open.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = open.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if line.starts_with("GET /") && line.ends_with(" HTTP/1.1") {
                    log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            }
        }
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// Whether a request is a listing, and of which prefix, or else which object it reads.
fn key_of(line: &str, bucket: &str) -> Option<(bool, String)> {
    let target = line.strip_prefix("GET /")?.strip_suffix(" HTTP/1.1")?;
    let below = target.strip_prefix(bucket)?;
    let (path, query) = below.split_once('?').unwrap_or((below, ""));
    let plain = |text: &str| {
        text.replace("%2F", "/").replace("%3D", "=").replace("%3d", "=").replace("%2f", "/")
    };
    match query.split('&').find_map(|part| part.strip_prefix("prefix=")) {
        Some(prefix) => Some((true, plain(prefix))),
        None => Some((false, plain(path.strip_prefix('/')?))),
    }
}
