//! What is on the menu.

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use rusqlite::OptionalExtension;
use serde::Deserialize;
use serde_json::{Value, json};

use super::broken;
use crate::data::Data;

/// Bytes of a photo.
const PHOTO: usize = 200 * 1024;

#[derive(Deserialize)]
struct Search {
    q: Option<String>,
    limit: Option<u32>,
}

pub(crate) fn routes(data: Data) -> Router {
    Router::new()
        .route("/menu/pizzas", get(list))
        .route("/menu/pizzas/{id}", get(one))
        .route("/menu/pizzas/{id}/photo.jpg", get(photo))
        .with_state(data)
}

/// FLAW: the search text becomes part of the statement (SQL injection, CWE-89).
async fn list(State(data): State<Data>, Query(search): Query<Search>) -> Response {
    let filter = search.q.map(|q| format!("WHERE name LIKE '%{q}%'")).unwrap_or_default();
    let sql =
        format!("SELECT id, name, price, limited FROM pizzas {filter} LIMIT {}", search.limit.unwrap_or(50));
    let connection = data.lock();
    let rows = connection
        .prepare(&sql)
        .and_then(|mut statement| statement.query_map([], pizza)?.collect::<rusqlite::Result<Vec<_>>>());
    match rows {
        Ok(rows) => Json(rows).into_response(),
        Err(error) => broken(error),
    }
}

async fn one(State(data): State<Data>, Path(id): Path<i64>) -> Response {
    let sql = "SELECT id, name, price, limited FROM pizzas WHERE id = ?1";
    match data.lock().query_row(sql, [id], pizza).optional() {
        Ok(Some(pizza)) => Json(pizza).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => broken(error),
    }
}

async fn photo(State(data): State<Data>, Path(id): Path<i64>) -> Response {
    if data.number(&format!("SELECT count(*) FROM pizzas WHERE id = {id}")) == 0 {
        return StatusCode::NOT_FOUND.into_response();
    }
    ([(header::CONTENT_TYPE, "image/jpeg")], vec![0xd8; PHOTO]).into_response()
}

fn pizza(row: &rusqlite::Row<'_>) -> rusqlite::Result<Value> {
    Ok(json!({
        "id": row.get::<_, i64>(0)?, "name": row.get::<_, String>(1)?, "price": row.get::<_, f64>(2)?,
        "limited": row.get::<_, bool>(3)?,
    }))
}
