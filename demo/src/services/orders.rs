//! Orders.

use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use rusqlite::OptionalExtension;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::told::told;
use super::{all, broken, now_ms, one, subject};
use crate::data::Data;

/// How often those who follow an order look at it.
const LOOK: Duration = Duration::from_millis(150);
/// Looks that are spent on an order that nobody pays, and on any.
const LOOKS: (u32, u32) = (10, 200);

#[derive(Deserialize)]
struct NewOrder {
    items: Vec<Item>,
    note: Option<String>,
    /// FLAW: an old app sent the total along, and it is still believed (mass assignment, API3:2023).
    total: Option<f64>,
}

#[derive(Deserialize)]
struct Item {
    pizza: i64,
    /// FLAW: nobody asks whether it is positive.
    quantity: f64,
}

#[derive(Deserialize)]
struct Filter {
    state: Option<String>,
    limit: Option<u32>,
}

#[derive(Deserialize)]
struct Hold {
    pizza: i64,
}

pub(crate) fn routes(data: Data) -> Router {
    Router::new()
        .route("/orders/", get(list).post(create))
        .route("/orders/holds", post(hold))
        .route("/orders/{id}", get(order))
        .route("/orders/{id}/events", get(follow))
        .route("/orders/{id}/cancel", post(cancel))
        .with_state(data)
}

async fn list(State(data): State<Data>, Query(filter): Query<Filter>) -> Response {
    let sql = "SELECT id, customer, total, state, note FROM orders WHERE ?1 IS NULL OR state = ?1 ORDER BY id DESC LIMIT ?2";
    all(&data, sql, (filter.state, filter.limit.unwrap_or(50)), row)
}

/// A second call with the same idempotency key gets the same order. FLAW: whoever asks; the key alone counts.
async fn create(State(data): State<Data>, headers: HeaderMap, Json(new): Json<NewOrder>) -> Response {
    let connection = data.lock();
    let mut total = 0.0;
    for item in &new.items {
        let price: Option<f64> = match connection
            .query_row("SELECT price FROM pizzas WHERE id = ?1", [item.pizza], |row| row.get(0))
            .optional()
        {
            Ok(price) => price,
            Err(error) => return broken(error),
        };
        let Some(price) = price else {
            return (StatusCode::UNPROCESSABLE_ENTITY, format!("no pizza {}", item.pizza)).into_response();
        };
        total += price * item.quantity;
    }
    let total = new.total.unwrap_or(total);
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    let inserted = connection.query_row(
        "INSERT INTO orders (customer, total, state, note, idempotency, since_ms) VALUES (?1, ?2, 'placed', ?3, ?4, ?5)
         ON CONFLICT (idempotency) DO UPDATE SET idempotency = excluded.idempotency
         RETURNING id, customer, total, state, note",
        (subject(&headers), total, new.note, key, now_ms()),
        row,
    );
    match inserted {
        Ok(order) => (StatusCode::CREATED, Json(order)).into_response(),
        Err(error) => broken(error),
    }
}

/// FLAW: anyone may read anyone's order (BOLA, API1:2023).
async fn order(State(data): State<Data>, Path(id): Path<i64>) -> Response {
    one(&data, "SELECT id, customer, total, state, note FROM orders WHERE id = ?1", [id], row)
}

/// What becomes of an order, while it does: server-sent events, the last when it has been delivered.
async fn follow(State(data): State<Data>, Path(id): Path<i64>) -> Response {
    match state(&data, id) {
        Ok(Some(_)) => {}
        Ok(None) => return StatusCode::NOT_FOUND.into_response(),
        Err(error) => return broken(error),
    }
    let (sender, body) = told();
    tokio::spawn(tell(data, id, sender));
    ([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")], body).into_response()
}

async fn tell(data: Data, id: i64, listener: mpsc::Sender<Bytes>) {
    let mut last = String::new();
    for look in 0..LOOKS.1 {
        let Ok(Some(state)) = state(&data, id) else { return };
        if state != last {
            let event = format!("event: state\ndata: {}\n\n", json!({ "order": id, "state": state }));
            if listener.send(event.into()).await.is_err() {
                return;
            }
            last = state;
        }
        if matches!(&*last, "delivered" | "cancelled") || (last == "placed" && look >= LOOKS.0) {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn state(data: &Data, id: i64) -> rusqlite::Result<Option<String>> {
    data.lock().query_row("SELECT state FROM orders WHERE id = ?1", [id], |row| row.get(0)).optional()
}

async fn cancel(State(data): State<Data>, Path(id): Path<i64>) -> Response {
    match data.lock().execute("UPDATE orders SET state = 'cancelled' WHERE id = ?1", [id]) {
        Ok(0) => StatusCode::NOT_FOUND.into_response(),
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => broken(error),
    }
}

/// FLAW: nobody counts how much one customer holds (API6:2023, inventory denial).
async fn hold(State(data): State<Data>, headers: HeaderMap, Json(hold): Json<Hold>) -> Response {
    let row = (subject(&headers), hold.pizza, now_ms());
    match data.lock().execute("INSERT INTO holds (customer, pizza, at_ms) VALUES (?1, ?2, ?3)", row) {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => broken(error),
    }
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Value> {
    Ok(json!({
        "id": row.get::<_, i64>(0)?, "customer": row.get::<_, String>(1)?, "total": row.get::<_, f64>(2)?,
        "state": row.get::<_, String>(3)?, "note": row.get::<_, Option<String>>(4)?,
    }))
}
