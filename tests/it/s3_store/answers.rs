//! An HTTP server that gives the answers a test wants, and keeps what it was asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::task::JoinHandle;

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: usize,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The access key that signed it.
    pub(crate) fn access_key(&self) -> &str {
        let signed = self.header("authorization").split_once("Credential=");
        signed.and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default()
    }
}

pub(crate) struct Server {
    endpoint: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers every request by `answer`.
    pub(crate) async fn start<A>(answer: A) -> Self
    where
        A: Fn(&Asked) -> Response + Clone + Send + Sync + 'static,
    {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        let app = Router::new().fallback(move |request: Request| async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.map_or(0, |bytes| bytes.len());
            let target = parts.uri.to_string();
            let asked = Asked { method: parts.method, target, headers: parts.headers, body };
            kept.lock().expect("asked").push(asked.clone());
            answer(&asked)
        });
        let task = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("it serves");
        });
        Self { endpoint, asked, task }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// All that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("asked").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An error as S3 says it.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Response {
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    (status_of(status), [("content-type", "application/xml")], body).into_response()
}

/// An answer of any kind.
pub(crate) fn plain(status: u16, kind: &'static str, body: &'static str) -> Response {
    (status_of(status), [("content-type", kind)], body).into_response()
}

/// What S3 says to a PUT that went through.
pub(crate) fn stored() -> Response {
    (StatusCode::OK, [("etag", "\"d41d8cd98f00b204e9800998ecf8427e\"")], "").into_response()
}

/// What S3 says when an upload is opened.
pub(crate) fn opened() -> Response {
    let body =
        "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>";
    plain(200, "application/xml", body)
}

/// What S3 says when an upload is completed.
pub(crate) fn completed() -> Response {
    let body =
        "<CompleteMultipartUploadResult><ETag>\"e-1\"</ETag></CompleteMultipartUploadResult>";
    plain(200, "application/xml", body)
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a status")
}
