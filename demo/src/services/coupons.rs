//! Coupons.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use rusqlite::OptionalExtension;
use serde::Deserialize;
use serde_json::json;

use super::{all, broken, subject};
use crate::data::Data;

#[derive(Deserialize)]
struct Redemption {
    code: String,
}

pub(crate) fn routes(data: Data) -> Router {
    Router::new().route("/coupons/", get(list)).route("/coupons/redemptions", post(redeem)).with_state(data)
}

async fn list(State(data): State<Data>, headers: HeaderMap) -> Response {
    let sql = "SELECT code, percent, used FROM coupons WHERE customer = ?1";
    all(&data, sql, [subject(&headers)], |row| {
        Ok(
            json!({ "code": row.get::<_, String>(0)?, "percent": row.get::<_, i64>(1)?, "used": row.get::<_, bool>(2)? }),
        )
    })
}

/// FLAW: whose coupon it is does not matter, and one may try as many codes as one likes (API6:2023).
async fn redeem(State(data): State<Data>, Json(redemption): Json<Redemption>) -> Response {
    let connection = data.lock();
    let sql = "SELECT percent, used FROM coupons WHERE code = ?1";
    let found = connection
        .query_row(sql, [&redemption.code], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?)))
        .optional();
    let percent = match found {
        Ok(Some((percent, false))) => percent,
        Ok(Some((_, true))) => return (StatusCode::CONFLICT, "used already").into_response(),
        Ok(None) => return StatusCode::NOT_FOUND.into_response(),
        Err(error) => return broken(error),
    };
    match connection.execute("UPDATE coupons SET used = 1 WHERE code = ?1", [redemption.code]) {
        Ok(_) => Json(json!({ "percent": percent })).into_response(),
        Err(error) => broken(error),
    }
}
