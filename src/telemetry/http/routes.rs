//! Paths and their answers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;

use super::Control;
use super::ask::FlushAnswer;
use super::scrape::Scrape;
use super::token::Token;
use crate::telemetry::{Metrics, Status};

/// Where answers come from.
#[derive(Clone)]
pub(super) struct Sources {
    pub(super) metrics: Arc<Metrics>,
    pub(super) status: Arc<Status>,
    pub(super) control: Arc<dyn Control>,
    pub(super) scrape: Arc<Scrape>,
}

/// `get` answers HEAD too, without the body.
pub(super) fn router(sources: Sources, token: Option<Token>) -> Router {
    let open = Router::new().route("/livez", get(livez)).route("/readyz", get(readyz));
    let mut guarded = Router::new()
        .route("/metrics", get(metrics_text))
        .route("/status", get(full_status))
        .fallback(unknown);
    if let Some(token) = token {
        guarded = guarded
            .route("/flush", post(flush_all))
            .route("/flush/{topic}", post(flush_topic))
            .layer(middleware::from_fn_with_state(token, authorise));
    } else {
        // A page in a browser on this machine could ask too.
        guarded = guarded.route("/flush", post(no_token)).route("/flush/{topic}", post(no_token));
    }
    open.merge(guarded).with_state(sources)
}

async fn authorise(State(token): State<Token>, request: Request, next: Next) -> Response {
    let authorization = request.headers().get(AUTHORIZATION);
    if authorization.is_some_and(|value| token.allows(value.as_bytes())) {
        return next.run(request).await;
    }
    let challenge = [(WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, challenge, "this path wants the token of http.token_file\n")
        .into_response()
}

async fn livez(State(sources): State<Sources>) -> Response {
    let liveness = sources.status.liveness();
    json(ok_if(liveness.live), &liveness)
}

async fn readyz(State(sources): State<Sources>) -> Response {
    let readiness = sources.status.readiness();
    json(ok_if(readiness.ready), &readiness)
}

async fn full_status(State(sources): State<Sources>) -> Response {
    json(StatusCode::OK, &sources.status.full_report())
}

async fn metrics_text(State(sources): State<Sources>) -> Response {
    let content_type = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let Sources { metrics, status, scrape, .. } = sources;
    (content_type, scrape.text(&metrics, &status).await).into_response()
}

async fn flush_all(State(sources): State<Sources>) -> Response {
    flush(&sources, None).await
}

async fn flush_topic(State(sources): State<Sources>, Path(topic): Path<String>) -> Response {
    flush(&sources, Some(&topic)).await
}

async fn flush(sources: &Sources, topic: Option<&str>) -> Response {
    match sources.control.flush(topic).await {
        Some(unlanded) => json(StatusCode::ACCEPTED, &FlushAnswer::of(unlanded)),
        None => {
            let text = "the daemon does not read yet; /readyz says what it waits for\n";
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

async fn no_token() -> Response {
    let text = "nobody may ask for a flush without a token: set http.token_file, and restart\n";
    (StatusCode::FORBIDDEN, text).into_response()
}

async fn unknown() -> Response {
    let text = "there are /metrics, /livez, /readyz and /status, and POST /flush\n";
    (StatusCode::NOT_FOUND, text).into_response()
}

fn ok_if(holds: bool) -> StatusCode {
    if holds { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    match serde_json::to_string_pretty(body) {
        Ok(text) => (status, headers, text + "\n").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
