//! What is on the menu.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{all, one};
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
        .route("/menu/pizzas/{id}", get(pizza))
        .route("/menu/pizzas/{id}/photo.jpg", get(photo))
        .with_state(data)
}

/// FLAW: the search text becomes part of the statement (SQL injection, CWE-89).
async fn list(State(data): State<Data>, Query(search): Query<Search>) -> Response {
    let filter = search.q.map(|q| format!("WHERE name LIKE '%{q}%'")).unwrap_or_default();
    let limit = search.limit.unwrap_or(50);
    all(
        &data,
        &format!("SELECT id, name, price, limited, korean FROM pizzas {filter} LIMIT {limit}"),
        [],
        row,
    )
}

async fn pizza(State(data): State<Data>, Path(id): Path<i64>) -> Response {
    one(&data, "SELECT id, name, price, limited, korean FROM pizzas WHERE id = ?1", [id], row)
}

async fn photo(State(data): State<Data>, Path(id): Path<i64>) -> Response {
    if data.number(&format!("SELECT count(*) FROM pizzas WHERE id = {id}")) == 0 {
        return StatusCode::NOT_FOUND.into_response();
    }
    ([(header::CONTENT_TYPE, "image/jpeg")], vec![0xd8; PHOTO]).into_response()
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Value> {
    Ok(json!({
        "id": row.get::<_, i64>(0)?, "name": row.get::<_, String>(1)?, "price": row.get::<_, f64>(2)?,
        "limited": row.get::<_, bool>(3)?, "korean": row.get::<_, String>(4)?,
    }))
}
