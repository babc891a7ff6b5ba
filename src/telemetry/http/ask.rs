//! The other end of the endpoints: what a subcommand asks of a daemon on this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{Method, Request, StatusCode};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::token;
use crate::config::HttpSettings;
use crate::record::Unlanded;
use crate::telemetry::TelemetryError;

/// How long one question may take.
const WITHIN: Duration = Duration::from_secs(10);
/// A status of ten thousand Kafka partitions is 6 MB.
const ANSWER_AT_MOST: usize = 64 << 20;

/// Why a daemon gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The settings do not say where it is.
    #[error("http.listen: {0}")]
    Where(&'static str),
    /// The token cannot be read.
    #[error(transparent)]
    Token(#[from] TelemetryError),
    /// Nobody is there, or it says nothing.
    #[error("no daemon answers at {address}: {reason}; does it run, with this http.listen?")]
    Silent {
        /// Where it was asked.
        address: SocketAddr,
        /// What went wrong.
        reason: String,
    },
}

/// What a daemon answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub code: u16,
    /// The body.
    pub body: String,
}

/// A daemon on this machine.
#[derive(Debug)]
pub struct Daemon {
    address: SocketAddr,
    token_file: Option<PathBuf>,
}

impl Daemon {
    /// The one that listens as the settings say.
    pub fn of(settings: &HttpSettings) -> Result<Self, AskError> {
        let Some(mut address) = settings.listen else {
            return Err(AskError::Where("it is \"off\", so nobody can ask this daemon"));
        };
        if address.port() == 0 {
            return Err(AskError::Where("with port 0 nobody knows the port: choose one"));
        }
        // Where it listens on all addresses, it does on this machine's own too.
        match address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        Ok(Self { address, token_file: settings.token_file.clone() })
    }

    /// Asks without a token: `/livez`, `/readyz`.
    pub async fn get_openly(&self, path: &str) -> Result<Answer, AskError> {
        self.ask(Method::GET, path, None).await
    }

    /// Asks with the token, if there is one.
    pub async fn get(&self, path: &str) -> Result<Answer, AskError> {
        self.ask(Method::GET, path, self.token()?).await
    }

    /// The same, for what changes something.
    pub async fn post(&self, path: &str) -> Result<Answer, AskError> {
        self.ask(Method::POST, path, self.token()?).await
    }

    fn token(&self) -> Result<Option<String>, AskError> {
        Ok(self.token_file.as_deref().map(token::first_line).transpose()?)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<String>,
    ) -> Result<Answer, AskError> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, "localhost");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let silent = |reason: String| AskError::Silent { address: self.address, reason };
        let request = request.body(Body::empty()).map_err(|error| silent(error.to_string()))?;
        match timeout(WITHIN, self.exchange(request)).await {
            Ok(answer) => answer.map_err(|error| silent(error.to_string())),
            Err(_) => Err(silent(format!("it says nothing for {} s", WITHIN.as_secs()))),
        }
    }

    async fn exchange(
        &self,
        request: Request<Body>,
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = to_bytes(Body::new(body), ANSWER_AT_MOST).await?;
        connection.abort();
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { code: head.status.as_u16(), body })
    }
}

impl Answer {
    /// Whether what was asked is so, or is being done.
    pub fn is_good(&self) -> bool {
        StatusCode::from_u16(self.code).is_ok_and(|code| code.is_success())
    }
}

/// The answer to `POST /flush`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlushAnswer {
    /// What is to land.
    pub unlanded: Vec<ToLand>,
}

/// What a Kafka partition has read that has not landed: it has when `end` is committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToLand {
    /// The topic.
    pub topic: String,
    /// The Kafka partition's number.
    pub partition: i32,
    /// The assignment.
    pub epoch: u64,
    /// The offset that will be committed.
    pub end: i64,
}

impl FlushAnswer {
    pub(super) fn of(unlanded: Vec<Unlanded>) -> Self {
        let held = |each: Unlanded| ToLand {
            topic: each.partition.topic.to_string(),
            partition: each.partition.partition,
            epoch: each.epoch.0,
            end: each.end.0,
        };
        Self { unlanded: unlanded.into_iter().map(held).collect() }
    }
}

/// What of `/status` tells how far a Kafka partition is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Position {
    /// The topic.
    pub topic: String,
    /// The Kafka partition's number.
    pub partition: i32,
    /// The assignment.
    pub epoch: u64,
    /// The next offset to read; not known before it is known where to begin.
    pub position: Option<i64>,
    /// The committed offset, if known.
    pub committed: Option<i64>,
    /// Why it has stopped, if it has.
    pub stop_reason: Option<String>,
}
