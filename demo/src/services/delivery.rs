//! Delivery: what it costs, who carries it, and where the pizza is; to those who keep listening, over WebSocket.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use rusqlite::OptionalExtension;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{broken, now_ms};
use crate::data::Data;

/// How long a courier is on the road; what the kitchen takes it for as well.
const ROAD_MS: i64 = 4_000;
/// How often those who listen are told.
const TOLD: Duration = Duration::from_millis(300);
/// How often they are told at all.
const TIMES: u32 = 60;

#[derive(Deserialize)]
struct Quote {
    district: String,
}

#[derive(Deserialize)]
struct NewDelivery {
    order: i64,
    district: String,
}

pub(crate) fn routes(data: Data) -> Router {
    Router::new()
        .route("/delivery/", post(create))
        .route("/delivery/quotes", post(quote))
        .route("/delivery/orders/{order}", get(tracked))
        .route("/delivery/orders/{order}/live", get(live))
        .with_state(data)
}

async fn quote(Json(quote): Json<Quote>) -> Response {
    let minutes = 20 + quote.district.len() % 4 * 5;
    Json(json!({ "fee": 2.5, "minutes": minutes })).into_response()
}

async fn create(State(data): State<Data>, Json(new): Json<NewDelivery>) -> Response {
    let sql = "INSERT INTO deliveries (order_id, district) VALUES (?1, ?2)
        ON CONFLICT (order_id) DO UPDATE SET district = excluded.district RETURNING id";
    match data.lock().query_row(sql, (new.order, new.district), |row| row.get::<_, i64>(0)) {
        Ok(id) => (StatusCode::CREATED, Json(json!({ "id": id, "order": new.order }))).into_response(),
        Err(error) => broken(error),
    }
}

async fn tracked(State(data): State<Data>, Path(order): Path<i64>) -> Response {
    match position(&data, order) {
        Ok(Some(position)) => Json(position).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => broken(error),
    }
}

/// A text with the position now and then, until the pizza is there.
async fn live(State(data): State<Data>, Path(order): Path<i64>, upgrade: WebSocketUpgrade) -> Response {
    match position(&data, order) {
        Ok(Some(_)) => upgrade.on_upgrade(move |socket| tell(socket, data, order)),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => broken(error),
    }
}

async fn tell(mut socket: WebSocket, data: Data, order: i64) {
    for _ in 0..TIMES {
        let Ok(Some(position)) = position(&data, order) else { break };
        if socket.send(Message::text(position.to_string())).await.is_err() {
            return;
        }
        if position["state"] == "delivered" {
            break;
        }
        tokio::time::sleep(TOLD).await;
    }
    let _ = socket.send(Message::Close(None)).await;
    // Until the other side says goodbye, or is gone.
    let goodbye = async { while let Some(Ok(_)) = socket.recv().await {} };
    let _ = tokio::time::timeout(TOLD, goodbye).await;
}

/// Where an order is. FLAW: says it to anyone who can count, and so where customers live (BOLA, API1:2023).
pub(super) fn position(data: &Data, order: i64) -> rusqlite::Result<Option<Value>> {
    let sql = "SELECT state, since_ms, district FROM deliveries JOIN orders ON orders.id = order_id WHERE order_id = ?1";
    let found = data
        .lock()
        .query_row(sql, [order], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
        })
        .optional()?;
    Ok(found.map(|(state, since, district)| {
        let percent = on_the_road(&state, now_ms() - since);
        json!({ "order": order, "state": state, "district": district, "percent": percent })
    }))
}

/// How much of the way lies behind the courier.
fn on_the_road(state: &str, since_ms: i64) -> i64 {
    match state {
        "delivered" => 100,
        "delivering" => (since_ms * 100 / ROAD_MS).clamp(0, 99),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_courier_arrives_when_the_kitchen_says_so() {
        assert_eq!(on_the_road("baking", 9_000), 0);
        assert_eq!(
            [0, 1_000, 3_999, 4_000, 90_000].map(|since| on_the_road("delivering", since)),
            [0, 25, 99, 99, 99]
        );
        assert_eq!(on_the_road("delivered", 0), 100);
    }
}
