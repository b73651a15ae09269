//! What channels tell about what their customers do. The fraud model learns from it.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::{broken, subject};
use crate::data::Data;

#[derive(Deserialize)]
struct Batch {
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    kind: String,
    value: Option<f64>,
}

pub(crate) fn routes(data: Data) -> Router {
    Router::new().route("/events/", post(take)).with_state(data)
}

/// FLAW: believed as it comes, and learned from (data poisoning).
async fn take(State(data): State<Data>, headers: HeaderMap, Json(batch): Json<Batch>) -> Response {
    let customer = subject(&headers);
    let connection = data.lock();
    for event in &batch.events {
        let row = (&event.kind, &customer, event.value.unwrap_or_default());
        if let Err(error) =
            connection.execute("INSERT INTO events (kind, customer, value) VALUES (?1, ?2, ?3)", row)
        {
            return broken(error);
        }
    }
    (StatusCode::ACCEPTED, Json(json!({ "taken": batch.events.len() }))).into_response()
}
