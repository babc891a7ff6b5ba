//! The HTTP endpoints: Prometheus, Kubernetes and people read, nobody writes.
//!
//! | path | answers | token |
//! |---|---|---|
//! | `/livez` | 200 while every thread beats, else 503 | no |
//! | `/readyz` | 200 if every condition holds, else 503; the body lists them | no |
//! | `/metrics` | Prometheus' text format | yes |
//! | `/status` | everything, as JSON | yes |
//!
//! The daemon gives it `Metrics` and `Status` and a future that ends it.

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

use self::token::Token;
use super::{Metrics, Status, TelemetryError};
use crate::config::HttpSettings;

/// Serves the endpoints on the present tokio runtime until `shutdown` resolves; the task ends
/// within two seconds after that. Answers the address that was bound, and `None` where
/// `http.listen` switches HTTP off.
pub async fn serve(
    settings: &HttpSettings,
    metrics: Arc<Metrics>,
    status: Arc<Status>,
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
    let router = routes::router(metrics, status, token);
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
