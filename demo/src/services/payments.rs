//! Payments by card, and what the delivery partner settles.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{broken, paid};
use crate::data::Data;

#[derive(Deserialize)]
struct NewPayment {
    order: i64,
    /// FLAW: the caller says how much it pays.
    amount: f64,
    method: String,
}

#[derive(Deserialize)]
struct Batch {
    date: String,
    records: Vec<Value>,
}

#[derive(Deserialize)]
struct Settle {
    note: Option<String>,
}

pub(crate) fn routes(data: Data) -> Router {
    Router::new()
        .route("/payments/", post(create))
        .route("/payments/settlements", post(batch))
        // FLAW: left from the days of the old till, in no contract (API9:2023). Nobody asks who calls.
        .route("/payments/internal/settle", post(settle).get(settle))
        .route("/payments/v0/settle", post(settle))
        .with_state(data)
}

async fn create(State(data): State<Data>, Json(new): Json<NewPayment>) -> Response {
    if let Err(answer) = paid(&data, new.order) {
        return *answer;
    }
    match record(&data, new.order, new.amount, &new.method) {
        Ok(id) => {
            let payment = json!({ "id": id, "order": new.order, "amount": new.amount });
            (StatusCode::CREATED, Json(payment)).into_response()
        }
        Err(error) => broken(error),
    }
}

/// Keeps a payment, however it was made; its number.
pub(super) fn record(data: &Data, order: i64, amount: f64, method: &str) -> rusqlite::Result<i64> {
    let sql = "INSERT INTO payments (order_id, amount, method) VALUES (?1, ?2, ?3) RETURNING id";
    data.lock().query_row(sql, (order, amount, method), |row| row.get(0))
}

async fn batch(State(data): State<Data>, Json(batch): Json<Batch>) -> Response {
    let row = (format!("batch of {}", batch.date), i64::try_from(batch.records.len()).unwrap_or(i64::MAX));
    match data.lock().execute("INSERT INTO settlements (note, records) VALUES (?1, ?2)", row) {
        Ok(_) => (StatusCode::ACCEPTED, Json(json!({ "taken": batch.records.len() }))).into_response(),
        Err(error) => broken(error),
    }
}

async fn settle(State(data): State<Data>, Query(settle): Query<Settle>) -> Response {
    let note = settle.note.unwrap_or_default();
    match data.lock().execute("INSERT INTO settlements (note, records) VALUES (?1, 0)", [note]) {
        Ok(_) => StatusCode::OK.into_response(),
        Err(error) => broken(error),
    }
}
