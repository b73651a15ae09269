//! Payments by bank transfer: the customer gets an account to send to, and waits until the bank says that it is there.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use rusqlite::OptionalExtension;
use serde::Deserialize;
use serde_json::json;

use super::{broken, now_ms, paid, payments};
use crate::data::Data;

/// How long banks take. The shop's day is short.
const BANK_MS: i64 = 1_200;

#[derive(Deserialize)]
struct NewTransfer {
    order: i64,
    amount: f64,
    bank: String,
}

pub(crate) fn routes(data: Data) -> Router {
    Router::new().route("/transfers/", post(create)).route("/transfers/{id}", get(transfer)).with_state(data)
}

async fn create(State(data): State<Data>, Json(new): Json<NewTransfer>) -> Response {
    let sql = "INSERT INTO transfers (order_id, amount, bank, since_ms) VALUES (?1, ?2, ?3, ?4) RETURNING id";
    let row = (new.order, new.amount, &new.bank, now_ms());
    match data.lock().query_row(sql, row, |row| row.get::<_, i64>(0)) {
        // FLAW: the account's number is the transfer's, so everyone knows everyone's (CWE-340).
        Ok(id) => {
            let account = format!("{}-{id:08}", new.bank);
            (StatusCode::CREATED, Json(json!({ "id": id, "account": account, "state": "waiting" })))
                .into_response()
        }
        Err(error) => broken(error),
    }
}

/// FLAW: anyone may ask about anyone's (BOLA, API1:2023).
async fn transfer(State(data): State<Data>, Path(id): Path<i64>) -> Response {
    let sql = "SELECT order_id, amount, since_ms FROM transfers WHERE id = ?1";
    let found = data
        .lock()
        .query_row(sql, [id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, f64>(1)?, row.get::<_, i64>(2)?)))
        .optional();
    let (order, amount, since) = match found {
        Ok(Some(found)) => found,
        Ok(None) => return StatusCode::NOT_FOUND.into_response(),
        Err(error) => return broken(error),
    };
    if now_ms() - since < BANK_MS {
        return Json(json!({ "id": id, "state": "waiting" })).into_response();
    }
    // The order may be gone; the money is there all the same.
    if data.number(&format!("SELECT count(*) FROM payments WHERE method = 'transfer' AND order_id = {order}"))
        == 0
        && paid(&data, order).is_ok()
        && let Err(error) = payments::record(&data, order, amount, "transfer")
    {
        return broken(error);
    }
    Json(json!({ "id": id, "state": "arrived" })).into_response()
}
