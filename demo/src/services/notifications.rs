//! Notifications: which devices a customer has, and what is told there.

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::{all, broken, subject};
use crate::data::Data;

/// Most messages that are told at once.
const PAGE: u32 = 20;

/// What nobody outside should know: the key that the shop signs vouchers with.
const SECRET: &str = "oregano-and-a-pinch-of-salt";

#[derive(Deserialize)]
struct Device {
    platform: String,
    token: String,
}

#[derive(Deserialize)]
struct Since {
    since: Option<i64>,
}

#[derive(Deserialize)]
struct Message {
    to: String,
    text: String,
}

pub(crate) fn routes(data: Data) -> Router {
    Router::new()
        .route("/notifications/", get(list).post(send))
        .route("/notifications/devices", put(register))
        .with_state(data)
}

async fn register(State(data): State<Data>, headers: HeaderMap, Json(device): Json<Device>) -> Response {
    let sql = "INSERT OR REPLACE INTO subscriptions (customer, platform, token) VALUES (?1, ?2, ?3)";
    match data.lock().execute(sql, (subject(&headers), device.platform, device.token)) {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => broken(error),
    }
}

async fn list(State(data): State<Data>, headers: HeaderMap, Query(since): Query<Since>) -> Response {
    let sql = "SELECT id, text FROM messages WHERE customer = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    all(&data, sql, (subject(&headers), since.since.unwrap_or(0), PAGE), |row| {
        Ok(json!({ "id": row.get::<_, i64>(0)?, "text": row.get::<_, String>(1)? }))
    })
}

/// FLAW: any text to any customer, in the shop's name, shown as it is (cross-site scripting, CWE-79).
async fn send(State(data): State<Data>, Json(message): Json<Message>) -> Response {
    let text = filled(&message.text, &message.to);
    match data.lock().execute("INSERT INTO messages (customer, text) VALUES (?1, ?2)", (message.to, text)) {
        Ok(_) => StatusCode::ACCEPTED.into_response(),
        Err(error) => broken(error),
    }
}

/// A text with its templates filled in: `{{ customer }}`. FLAW: anybody's text is a template, and templates see the settings of the shop
/// (template injection, CWE-1336).
fn filled(text: &str, customer: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((expression, behind)) = after.split_once("}}") else { break };
        out.push_str(before);
        // What comes behind a bar says how it is shown.
        match expression.split('|').next().unwrap_or_default().trim() {
            "customer" => out.push_str(customer),
            "config.SECRET" => out.push_str(SECRET),
            _ => {}
        }
        rest = behind;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_in() {
        assert_eq!(filled("Dear {{ customer }}, {{x}}it is {{ready", "c001"), "Dear c001, it is {{ready");
        assert_eq!(filled("{{config.SECRET|safe}}", "c001"), SECRET);
    }
}
