//! The shop's services. They trust their network, as services behind gateways do; each flaw is named where it is.

pub(crate) mod accounts;
pub(crate) mod calls;
pub(crate) mod cash;
pub(crate) mod coupons;
pub(crate) mod delivery;
pub(crate) mod events;
pub(crate) mod fraud;
pub(crate) mod functions;
pub(crate) mod kitchen;
pub(crate) mod menu;
pub(crate) mod notifications;
pub(crate) mod orders;
pub(crate) mod pages;
pub(crate) mod payments;
pub(crate) mod receipts;
pub(crate) mod replica;
pub(crate) mod stores;
mod told;
pub(crate) mod transfers;
pub(crate) mod wallet;

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rusqlite::{OptionalExtension, Params, Row};
use serde_json::Value;

use crate::data::Data;
use crate::idp;

/// Who is calling, if the call says so. FLAW: the token's signature is not looked at.
fn subject(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let token = idp::believed_subject(text(header::AUTHORIZATION.as_str()));
    // Callers with a key have no token: the front says who they are. FLAW: whoever else says it is believed as well.
    token
        .or_else(|| text("x-haechi-subject").map(str::to_owned))
        // FLAW: a call without a credential is served as a guest's.
        .unwrap_or_else(|| "guest".to_owned())
}

/// All rows of a statement.
fn all(
    data: &Data,
    sql: &str,
    values: impl Params,
    row: fn(&Row<'_>) -> rusqlite::Result<Value>,
) -> Response {
    let connection = data.lock();
    let rows = connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_map(values, row)?.collect::<rusqlite::Result<Vec<_>>>());
    match rows {
        Ok(rows) => Json(rows).into_response(),
        Err(error) => broken(error),
    }
}

/// The one row of a statement; 404 if there is none.
fn one(
    data: &Data,
    sql: &str,
    values: impl Params,
    row: fn(&Row<'_>) -> rusqlite::Result<Value>,
) -> Response {
    let connection = data.lock();
    let found =
        connection.prepare_cached(sql).and_then(|mut statement| statement.query_row(values, row).optional());
    match found {
        Ok(Some(found)) => Json(found).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => broken(error),
    }
}

/// Marks an order as paid; what there is to answer if it cannot be.
fn paid(data: &Data, order: i64) -> Result<(), Box<Response>> {
    let sql = "UPDATE orders SET state = 'paid', since_ms = ?2 WHERE id = ?1";
    match data.lock().execute(sql, (order, now_ms())) {
        Ok(0) => Err(Box::new((StatusCode::UNPROCESSABLE_ENTITY, "no such order").into_response())),
        Ok(_) => Ok(()),
        Err(error) => Err(Box::new(broken(error))),
    }
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    i64::try_from(now).unwrap_or(i64::MAX)
}

/// The database refused: the shop says why, in its own words. FLAW: an attacker learns from it.
#[expect(clippy::needless_pass_by_value, reason = "handed errors by `map_err` and `match`")]
fn broken(error: rusqlite::Error) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
}
