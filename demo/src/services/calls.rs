//! The call centre: who rings, and what was said. The voice provider tells it by webhook and sends transcripts.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use rusqlite::OptionalExtension;
use serde::Deserialize;
use serde_json::json;

use super::{broken, now_ms};
use crate::data::Data;

#[derive(Deserialize)]
struct Webhook {
    call: String,
    event: String,
    from: String,
}

#[derive(Deserialize)]
struct Transcript {
    text: String,
}

pub(crate) fn routes(data: Data) -> Router {
    Router::new()
        .route("/calls/webhooks", post(webhook))
        .route("/calls/next", post(next))
        .route("/calls/{id}/transcript", get(transcript).put(transcribed))
        .with_state(data)
}

/// FLAW: the provider signs what it sends, and nobody looks at the signature (CWE-347); what is sent again is taken again.
async fn webhook(State(data): State<Data>, Json(hook): Json<Webhook>) -> Response {
    let sql = "INSERT INTO calls (id, caller, state) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET state = excluded.state";
    match data.lock().execute(sql, (hook.call, hook.from, hook.event)) {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => broken(error),
    }
}

/// The call that has waited longest, for the agent who asks.
async fn next(State(data): State<Data>) -> Response {
    let sql = "UPDATE calls SET state = 'taken' WHERE id = (SELECT id FROM calls WHERE state = 'ringing' ORDER BY rowid LIMIT 1)
        RETURNING id, caller";
    let call = data
        .lock()
        .query_row(sql, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
        .optional();
    match call {
        Ok(Some((id, from))) => Json(json!({ "call": id, "from": from, "at": now_ms() })).into_response(),
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => broken(error),
    }
}

async fn transcribed(
    State(data): State<Data>,
    Path(id): Path<String>,
    Json(transcript): Json<Transcript>,
) -> Response {
    match data.lock().execute("UPDATE calls SET transcript = ?2 WHERE id = ?1", (id, transcript.text)) {
        Ok(0) => StatusCode::NOT_FOUND.into_response(),
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => broken(error),
    }
}

/// FLAW: whole, with the card number that was read out (CWE-359).
async fn transcript(State(data): State<Data>, Path(id): Path<String>) -> Response {
    let sql = "SELECT transcript FROM calls WHERE id = ?1 AND transcript IS NOT NULL";
    super::one(&data, sql, [id], |row| Ok(json!({ "text": row.get::<_, String>(0)? })))
}
