//! The shop's wallet: money that was paid in before.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use rusqlite::OptionalExtension;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{broken, one, paid, payments, subject};
use crate::data::Data;

#[derive(Deserialize)]
struct TopUp {
    amount: f64,
}

#[derive(Deserialize)]
struct Payment {
    order: i64,
    amount: f64,
}

pub(crate) fn routes(data: Data) -> Router {
    Router::new()
        .route("/wallet/balance", get(balance))
        .route("/wallet/top-ups", post(top_up))
        .route("/wallet/payments", post(pay))
        .with_state(data)
}

async fn balance(State(data): State<Data>, headers: HeaderMap) -> Response {
    one(&data, "SELECT wallet FROM customers WHERE id = ?1", [subject(&headers)], row)
}

/// FLAW: nobody asks where the money comes from.
async fn top_up(State(data): State<Data>, headers: HeaderMap, Json(new): Json<TopUp>) -> Response {
    let sql = "UPDATE customers SET wallet = wallet + ?2 WHERE id = ?1 RETURNING wallet";
    let balance = data.lock().query_row(sql, (subject(&headers), new.amount), row).optional();
    match balance {
        Ok(Some(balance)) => (StatusCode::CREATED, Json(balance)).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => broken(error),
    }
}

/// FLAW: looks, and takes later: two calls at once pay with the same money (CWE-367).
async fn pay(State(data): State<Data>, headers: HeaderMap, Json(new): Json<Payment>) -> Response {
    let customer = subject(&headers);
    let sql = "SELECT wallet FROM customers WHERE id = ?1";
    let before = data.lock().query_row(sql, [&customer], |row| row.get::<_, f64>(0)).optional();
    match before {
        Ok(Some(before)) if before >= new.amount => {}
        Ok(_) => return (StatusCode::PAYMENT_REQUIRED, "not enough in the wallet").into_response(),
        Err(error) => return broken(error),
    }
    tokio::task::yield_now().await;
    if let Err(answer) = paid(&data, new.order) {
        return *answer;
    }
    let sql = "UPDATE customers SET wallet = wallet - ?2 WHERE id = ?1";
    let taken = data.lock().execute(sql, (customer, new.amount));
    match taken.and_then(|_| payments::record(&data, new.order, new.amount, "wallet")) {
        Ok(id) => {
            let payment = json!({ "id": id, "order": new.order, "amount": new.amount });
            (StatusCode::CREATED, Json(payment)).into_response()
        }
        Err(error) => broken(error),
    }
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Value> {
    Ok(json!({ "balance": row.get::<_, f64>(0)?, "currency": "EUR" }))
}
