//! The control API: JSON over HTTP on a unix socket that only its owner can open.
//!
//! | | |
//! |---|---|
//! | `GET /v1/status` | [`Status`] |
//! | `POST /v1/activate` | [`Activate`] → [`Activation`]; 409 with diagnostics if it is refused |
//! | `POST /v1/rollback` | [`Rollback`] → [`Activation`]; 409 if it cannot be done |
//! | `GET /v1/activations?limit=N` | list of [`Activation`], newest first |
//! | `GET /v1/sources` | what production was made from: one [`Source`](crate::Source) a line |
//! | `GET /v1/keys`, `POST /v1/keys` | list of [`Key`]; [`CreateKey`] → [`NewKey`] |
//! | `POST /v1/keys/{id}/rotate`, `POST /v1/keys/{id}/revoke` | [`RotateKey`] → [`NewKey`]; → [`Key`] |
//! | `GET /v1/tls?since=SECONDS` | [`TlsReport`] |
//! | `GET /v1/events/count?by=COLUMN,…&since=SECONDS` | [`Counts`] |
//! | `GET /v1/events/{id}` | [`Explained`] |
//! | `GET /v1/events?lines=N&follow=true` | one event a line, as they come |
//! | `GET /metrics` | OpenMetrics text |
//!
//! Errors are problem details (RFC 9457) whose `detail` is fit to be shown.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use axum::{Json, Router};
use haechi_events::{Column, Counts, RequestId};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;

use crate::keys::{CreateKey, Key, NewKey, RotateKey};
use crate::lifecycle::{Activation, Lifecycle, Status};
use crate::tls_report::TlsReport;

/// A request is recorded when its response has left. Who asks about it at once may be faster: one look more, so much later.
const SOON: Duration = Duration::from_millis(500);

/// Most lines of the past that one request gets.
const LINES: usize = 10_000;

/// What is to be activated.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activate {
    /// `staging`, `canary=5%`, or `production`.
    #[serde(default)]
    pub stage: Option<String>,
    /// For the history.
    #[serde(default)]
    pub why: Option<String>,
    /// Another configuration than the gateway's own file.
    #[serde(default)]
    pub file: Option<std::path::PathBuf>,
    /// Whether it is taken back if it is worse; yes if not set.
    #[serde(default)]
    pub guard: Option<bool>,
}

/// What is to be served again.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// The activation whose snapshot is meant; the last change is taken back if not set.
    #[serde(default)]
    pub to: Option<i64>,
    /// For the history.
    #[serde(default)]
    pub why: Option<String>,
}

/// One request's event, and what it tells.
#[derive(Debug, Serialize, Deserialize)]
pub struct Explained {
    /// The event as recorded.
    pub event: serde_json::Value,
    /// What happened, for a person.
    pub explanation: String,
}

/// Most decisions that one request gets.
const ACTIVATIONS: u32 = 1000;

/// How many decisions are wanted.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    limit: Option<u32>,
}

/// Which events are wanted.
#[derive(Debug, Deserialize)]
pub(crate) struct Tail {
    #[serde(default)]
    lines: usize,
    #[serde(default)]
    follow: bool,
}

/// Which events are counted, and how.
#[derive(Debug, Deserialize)]
pub(crate) struct Count {
    by: String,
    since: u64,
}

/// Of which time.
#[derive(Debug, Deserialize)]
pub(crate) struct Since {
    #[serde(default)]
    since: u64,
}

/// Who asks: the user on the other end of the socket.
#[derive(Clone, Debug)]
pub(crate) struct Who(Arc<str>);

/// What went wrong, and how it is told.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) detail: String,
}

type Shared = State<Arc<Lifecycle>>;

/// All routes.
pub(crate) fn routes(lifecycle: Arc<Lifecycle>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/activate", post(activate))
        .route("/v1/rollback", post(rollback))
        .route("/v1/activations", get(activations))
        .route("/v1/sources", get(sources))
        .route("/v1/keys", get(list_keys).post(create_key))
        .route("/v1/keys/{id}/rotate", post(rotate_key))
        .route("/v1/keys/{id}/revoke", post(revoke_key))
        .route("/v1/tls", get(tls))
        .route("/v1/events", get(tail))
        .route("/v1/events/count", get(count))
        .route("/v1/events/{id}", get(event))
        .merge(metrics_routes())
        .with_state(lifecycle)
}

/// What may also be served to a metrics collector over TCP.
pub(crate) fn metrics_routes() -> Router<Arc<Lifecycle>> {
    Router::new().route("/metrics", get(metrics))
}

async fn status(State(lifecycle): Shared) -> Json<Status> {
    Json(lifecycle.status())
}

async fn activate(
    State(lifecycle): Shared,
    ConnectInfo(Who(who)): ConnectInfo<Who>,
    Json(request): Json<Activate>,
) -> Result<Json<Activation>, ApiError> {
    blocking(move || lifecycle.activate(&request, &who))
        .await?
        .map(Json)
        .map_err(|refused| ApiError { status: StatusCode::CONFLICT, detail: refused })
}

async fn rollback(
    State(lifecycle): Shared,
    ConnectInfo(Who(who)): ConnectInfo<Who>,
    Json(request): Json<Rollback>,
) -> Result<Json<Activation>, ApiError> {
    blocking(move || lifecycle.rollback(&request, &who))
        .await?
        .map(Json)
        .map_err(|refused| ApiError { status: StatusCode::CONFLICT, detail: refused })
}

async fn activations(
    State(lifecycle): Shared,
    Query(page): Query<Page>,
) -> Result<Json<Vec<Activation>>, ApiError> {
    Ok(Json(blocking(move || lifecycle.activations(page.limit.unwrap_or(20).min(ACTIVATIONS))).await??))
}

async fn sources(State(lifecycle): Shared) -> Result<Response, ApiError> {
    let lines = blocking(move || lifecycle.sources()).await??;
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

async fn list_keys(State(lifecycle): Shared) -> Result<Json<Vec<Key>>, ApiError> {
    Ok(Json(blocking(move || lifecycle.keys().list()).await??))
}

async fn create_key(
    State(lifecycle): Shared,
    ConnectInfo(Who(who)): ConnectInfo<Who>,
    Json(request): Json<CreateKey>,
) -> Result<Json<NewKey>, ApiError> {
    Ok(Json(blocking(move || lifecycle.keys().create(&request, &who)).await??))
}

async fn rotate_key(
    State(lifecycle): Shared,
    ConnectInfo(Who(who)): ConnectInfo<Who>,
    Path(id): Path<String>,
    Json(request): Json<RotateKey>,
) -> Result<Json<NewKey>, ApiError> {
    Ok(Json(blocking(move || lifecycle.keys().rotate(&id, &request, &who)).await??))
}

async fn revoke_key(
    State(lifecycle): Shared,
    ConnectInfo(Who(who)): ConnectInfo<Who>,
    Path(id): Path<String>,
) -> Result<Json<Key>, ApiError> {
    Ok(Json(blocking(move || lifecycle.keys().revoke(&id, &who)).await??))
}

async fn event(State(lifecycle): Shared, Path(id): Path<String>) -> Result<Json<Explained>, ApiError> {
    let id: RequestId = id.parse().map_err(|error| ApiError {
        status: StatusCode::BAD_REQUEST,
        detail: format!("`{id}` is no request id: {error}"),
    })?;
    for patience in [SOON, Duration::ZERO] {
        let asked = lifecycle.clone();
        if let Some(found) = blocking(move || asked.find(id)).await?? {
            return Ok(Json(found));
        }
        tokio::time::sleep(patience).await;
    }
    let detail = format!("no event of the request `{id}` is kept");
    Err(ApiError { status: StatusCode::NOT_FOUND, detail })
}

/// The last events, then those that come.
async fn tail(State(lifecycle): Shared, Query(tail): Query<Tail>) -> Result<Response, ApiError> {
    let stream = blocking(move || lifecycle.tail(tail.lines.min(LINES), tail.follow)).await??;
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::new(stream)).into_response())
}

/// The kept events by columns.
async fn count(
    State(lifecycle): Shared,
    Query(Count { by, since }): Query<Count>,
) -> Result<Json<Counts>, ApiError> {
    let by = by
        .split(',')
        .map(str::parse::<Column>)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|unknown| ApiError::new(StatusCode::BAD_REQUEST, unknown.to_string()))?;
    Ok(Json(blocking(move || lifecycle.count(by, Duration::from_secs(since))).await??))
}

async fn tls(
    State(lifecycle): Shared,
    Query(Since { since }): Query<Since>,
) -> Result<Json<TlsReport>, ApiError> {
    Ok(Json(blocking(move || lifecycle.tls_report(Duration::from_secs(since))).await??))
}

async fn metrics(State(lifecycle): Shared) -> impl IntoResponse {
    // Read when asked for, so that it is never stale.
    lifecycle.count_connections();
    ([(CONTENT_TYPE, haechi_events::METRICS_CONTENT_TYPE)], lifecycle.metrics().encode())
}

/// Disk and compilation must not hold up other requests.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ApiError {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        detail: format!("the work ended early: {error}"),
    })
}

// === impl Who ===

impl Connected<IncomingStream<'_, UnixListener>> for Who {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let user = stream.io().peer_cred().map(|credentials| credentials.uid());
        Self(user.map_or_else(|_| "unknown".into(), |uid| format!("uid {uid}").into()))
    }
}

// === impl ApiError ===

impl ApiError {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    /// Something the caller can do nothing about.
    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = serde_json::json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        (self.status, [(CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}
