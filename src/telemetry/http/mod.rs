//! The HTTP endpoints: Prometheus, Kubernetes and people read; who has the token may ask for a flush.
//!
//! | path | answers | token |
//! |---|---|---|
//! | `/livez` | 200 while every thread beats, else 503 | no |
//! | `/readyz` | 200 if every condition holds, else 503; the body lists them | no |
//! | `/metrics` | Prometheus' text format | if there is one |
//! | `/status` | everything, as JSON | if there is one |
//! | `POST /flush`, `POST /flush/TOPIC` | ends the open batches, and says what is to land, as JSON | always: without `http.token_file` nobody may |
//!
//! The daemon gives it `Metrics`, `Status`, what it does on request, and a future that ends it.
//! `ask` is the other end, for subcommands that speak with a running daemon.

mod ask;
mod routes;
mod scrape;
mod server;
#[cfg(test)]
mod tests;
mod token;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use self::ask::{Answer, AskError, Daemon, FlushAnswer, Position, ToLand};
use self::routes::Sources;
pub(crate) use self::server::CONNECTIONS;
use self::token::Token;
use super::{Metrics, Status, TelemetryError};
use crate::config::HttpSettings;
use crate::record::Unlanded;

/// What a running daemon does when it is asked to.
#[async_trait::async_trait]
pub trait Control: Send + Sync {
    /// Ends the open batches of a topic, or of all, and tells what has not landed by then; `None`
    /// before it reads.
    async fn flush(&self, topic: Option<&str>) -> Option<Vec<Unlanded>>;
}

/// Serves the endpoints on the present tokio runtime until `shutdown` resolves; the task ends
/// within two seconds after that. Answers the address that was bound, and `None` where
/// `http.listen` switches HTTP off.
pub async fn serve(
    settings: &HttpSettings,
    metrics: Arc<Metrics>,
    status: Arc<Status>,
    control: Arc<dyn Control>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<Option<(SocketAddr, JoinHandle<()>)>, TelemetryError> {
    let Some(wanted) = settings.listen else { return Ok(None) };
    let token = settings.token_file.as_deref().map(Token::read).transpose()?;
    let (listener, address) = bind(wanted).await?;
    tracing::info!(%address, token = token.is_some(), "HTTP endpoints are listening");
    if token.is_none() && !address.ip().is_loopback() {
        tracing::warn!(
            %address,
            "the HTTP endpoints can be read from other machines: set http.token_file, \
             or let http.listen be a loopback address"
        );
    }
    let sources = Sources { metrics, status, control, scrape: Arc::default() };
    let router = routes::router(sources, token);
    let task = tokio::spawn(server::run(listener, router, shutdown));
    Ok(Some((address, task)))
}

/// Whether the token that the settings name can be read.
pub fn check_token(settings: &HttpSettings) -> Result<(), TelemetryError> {
    settings.token_file.as_deref().map_or(Ok(()), |path| Token::read(path).map(drop))
}

async fn bind(wanted: SocketAddr) -> Result<(TcpListener, SocketAddr), TelemetryError> {
    let failed = |source| TelemetryError::Listen { address: wanted, source };
    let listener = TcpListener::bind(wanted).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
