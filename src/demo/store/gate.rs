//! The gate before the service: the listener, and the faults that requests meet on their way.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::service::S3Service;
use s3s::{Body, HttpError, HttpRequest, HttpResponse};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::faults::{Fault, Faults, RequestKind, When};

/// A pause after an accept that failed (no file descriptors left), instead of a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until it is dropped, and all of them with it.
pub(super) async fn serve(listener: TcpListener, service: S3Service, faults: Arc<Faults>) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, service.clone(), Arc::clone(&faults)));
            }
            Err(error) => {
                tracing::debug!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, service: S3Service, faults: Arc<Faults>) {
    let pass = service_fn(|request: Request<Incoming>| {
        pass(request.map(Body::from), service.clone(), Arc::clone(&faults))
    });
    // A client that goes away, and a connection that we cut, both end here.
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), pass).await {
        tracing::debug!(%error, "connection ended");
    }
}

async fn pass(
    mut request: HttpRequest,
    service: S3Service,
    faults: Arc<Faults>,
) -> Result<HttpResponse, HttpError> {
    let (method, uri) = (request.method(), request.uri());
    let kind = RequestKind::of(method, uri.path(), uri.query().unwrap_or_default());
    let Some((when, fault)) = faults.meet(kind, uri.path()) else {
        return service.call(request).await;
    };
    // The whole request first: a client that still writes would see a broken pipe instead.
    request.body_mut().store_all_limited(usize::MAX).await.map_err(HttpError::new)?;
    // On a task of its own: what is on its way arrives, though the client may be gone by then.
    let fate = tokio::spawn(undergo(request, service, when, fault));
    fate.await.map_err(|error| HttpError::new(Box::new(error)))?
}

async fn undergo(
    request: HttpRequest,
    service: S3Service,
    when: When,
    fault: Fault,
) -> Result<HttpResponse, HttpError> {
    match (when, fault) {
        (When::Before, Fault::Delay(time)) => {
            tokio::time::sleep(time).await;
            service.call(request).await
        }
        (When::Before, fault) => refuse(fault),
        (When::After, Fault::Delay(time)) => {
            let answer = service.call(request).await;
            tokio::time::sleep(time).await;
            answer
        }
        (When::After, fault) => {
            service.call(request).await?;
            refuse(fault)
        }
    }
}

/// An error of the service makes hyper close the connection without an answer.
fn refuse(fault: Fault) -> Result<HttpResponse, HttpError> {
    match fault.answer() {
        Some(error) => error.to_http_response().map_err(|error| HttpError::new(Box::new(error))),
        None => Err(HttpError::new(Box::new(io::Error::from(io::ErrorKind::ConnectionAborted)))),
    }
}
