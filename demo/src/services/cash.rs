//! Payments in cash, at a till or at the door, and what is counted in the evening.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::{broken, paid, payments};
use crate::data::Data;

#[derive(Deserialize)]
struct Payment {
    order: i64,
    amount: f64,
    given: f64,
}

#[derive(Deserialize)]
struct Count {
    /// FLAW: the till says which till it is.
    till: i64,
    counted: f64,
}

pub(crate) fn routes(data: Data) -> Router {
    Router::new().route("/cash/payments", post(pay)).route("/cash/counts", post(count)).with_state(data)
}

async fn pay(State(data): State<Data>, Json(new): Json<Payment>) -> Response {
    if new.given < new.amount {
        return (StatusCode::UNPROCESSABLE_ENTITY, "not enough was given").into_response();
    }
    if let Err(answer) = paid(&data, new.order) {
        return *answer;
    }
    match payments::record(&data, new.order, new.amount, "cash") {
        Ok(id) => {
            let payment = json!({ "id": id, "order": new.order, "change": new.given - new.amount });
            (StatusCode::CREATED, Json(payment)).into_response()
        }
        Err(error) => broken(error),
    }
}

/// FLAW: a difference is written down and nobody looks at it.
async fn count(State(data): State<Data>, Json(new): Json<Count>) -> Response {
    let connection = data.lock();
    let sql = "INSERT INTO counts (till, counted, difference)
        VALUES (?1, ?2, ?2 - (SELECT coalesce(sum(amount), 0) FROM payments WHERE method = 'cash')) RETURNING difference";
    match connection.query_row(sql, (new.till, new.counted), |row| row.get::<_, f64>(0)) {
        Ok(difference) => (StatusCode::CREATED, Json(json!({ "difference": difference }))).into_response(),
        Err(error) => broken(error),
    }
}
