//! Customers, and the tokens they sign in for: with a password, with a refresh token (RFC 6749), or with a code shown on a
//! device that has no keyboard (RFC 8628).

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use rusqlite::OptionalExtension;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{broken, one, subject};
use crate::data::Data;
use crate::idp::{self, Idp};

#[derive(Clone)]
struct Accounts {
    data: Data,
    idp: Idp,
}

#[derive(Deserialize)]
struct SignIn {
    email: String,
    /// FLAW: whatever it is; documents are asked for what fits, and so may conditions be (NoSQL injection, CWE-943).
    password: Value,
    /// FLAW: a client is whichever it says it is.
    client: Option<String>,
}

#[derive(Deserialize)]
struct Refresh {
    refresh_token: String,
}

#[derive(Deserialize)]
struct NewDevice {
    client: String,
}

#[derive(Deserialize)]
struct DeviceCode {
    device_code: String,
}

#[derive(Deserialize)]
struct Approval {
    user_code: String,
}

#[derive(Deserialize)]
struct Change {
    name: Option<String>,
    phone: Option<String>,
    /// FLAW: the admin page uses the same call, so everyone can (mass assignment, API3:2023).
    role: Option<String>,
}

pub(crate) fn routes(data: Data, idp: Idp) -> Router {
    Router::new()
        .route("/accounts/sign-in", post(sign_in))
        .route("/accounts/tokens", post(refresh))
        .route("/accounts/devices", post(device))
        .route("/accounts/devices/token", post(device_token))
        .route("/accounts/devices/approvals", post(approve))
        .route("/accounts/me", get(me).patch(change))
        .route("/jwks.json", get(jwks))
        .with_state(Accounts { data, idp })
}

async fn jwks(State(accounts): State<Accounts>) -> Response {
    Json(accounts.idp.jwks()).into_response()
}

/// FLAW: as many tries as one likes (credential stuffing, API2:2023).
async fn sign_in(State(accounts): State<Accounts>, Json(sign_in): Json<SignIn>) -> Response {
    let (condition, password) = condition(&sign_in.password);
    let sql = format!("SELECT id FROM customers WHERE email = ?1 AND password {condition} ?2");
    let id = accounts
        .data
        .lock()
        .query_row(&sql, (&sign_in.email, password), |row| row.get::<_, String>(0))
        .optional();
    match id {
        Ok(Some(id)) => accounts.welcome(&id, sign_in.client.as_deref().unwrap_or("web")),
        Ok(None) => (StatusCode::UNAUTHORIZED, "wrong").into_response(),
        Err(error) => broken(error),
    }
}

/// What a member of a document is compared with, and how, as document databases read it.
fn condition(wanted: &Value) -> (&'static str, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let first = wanted.as_object().and_then(|members| members.iter().next());
    match first.map(|(operator, value)| (operator.as_str(), value)) {
        Some(("$ne", value)) => ("<>", text(value)),
        Some(("$gt", value)) => (">", text(value)),
        Some(("$regex", value)) => ("LIKE", format!("%{}%", text(value))),
        _ => ("=", text(wanted)),
    }
}

/// FLAW: a refresh token is never used up (RFC 9700 asks for one use each).
async fn refresh(State(accounts): State<Accounts>, Json(refresh): Json<Refresh>) -> Response {
    let sql = "SELECT customer, client FROM refreshing WHERE token = ?1";
    let found = accounts
        .data
        .lock()
        .query_row(sql, [&refresh.refresh_token], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })
        .optional();
    match found {
        Ok(Some((customer, client))) => {
            let life = idp::life(&client);
            let token = accounts.idp.token(&customer, &client);
            Json(json!({ "token": token, "expires_in": life })).into_response()
        }
        Ok(None) => (StatusCode::UNAUTHORIZED, "unknown").into_response(),
        Err(error) => broken(error),
    }
}

async fn device(State(accounts): State<Accounts>, Json(new): Json<NewDevice>) -> Response {
    let device_code = idp::random();
    // FLAW: four digits, and as many tries as one likes.
    let user_code = format!("{:04}", accounts.data.number("SELECT count(*) FROM devices") % 10_000);
    let sql = "INSERT OR REPLACE INTO devices (device_code, user_code, client) VALUES (?1, ?2, ?3)";
    match accounts.data.lock().execute(sql, (&device_code, &user_code, new.client)) {
        Ok(_) => {
            let device = json!({ "device_code": device_code, "user_code": user_code, "interval": 1 });
            (StatusCode::CREATED, Json(device)).into_response()
        }
        Err(error) => broken(error),
    }
}

async fn device_token(State(accounts): State<Accounts>, Json(code): Json<DeviceCode>) -> Response {
    let sql = "SELECT customer, client FROM devices WHERE device_code = ?1";
    let found = accounts
        .data
        .lock()
        .query_row(sql, [&code.device_code], |row| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, String>(1)?))
        })
        .optional();
    match found {
        Ok(Some((Some(customer), client))) => accounts.welcome(&customer, &client),
        Ok(Some((None, _))) => {
            (StatusCode::BAD_REQUEST, Json(json!({ "error": "authorization_pending" }))).into_response()
        }
        Ok(None) => (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response(),
        Err(error) => broken(error),
    }
}

async fn approve(
    State(accounts): State<Accounts>,
    headers: HeaderMap,
    Json(approval): Json<Approval>,
) -> Response {
    let sql = "UPDATE devices SET customer = ?2 WHERE user_code = ?1 AND customer IS NULL";
    match accounts.data.lock().execute(sql, (approval.user_code, subject(&headers))) {
        Ok(0) => StatusCode::NOT_FOUND.into_response(),
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => broken(error),
    }
}

async fn me(State(Accounts { data, .. }): State<Accounts>, headers: HeaderMap) -> Response {
    let sql = "SELECT id, email, name, phone, role FROM customers WHERE id = ?1";
    one(&data, sql, [subject(&headers)], |row| {
        Ok(json!({
            "id": row.get::<_, String>(0)?, "email": row.get::<_, String>(1)?, "name": row.get::<_, String>(2)?,
            "phone": row.get::<_, Option<String>>(3)?, "role": row.get::<_, String>(4)?,
        }))
    })
}

async fn change(
    State(Accounts { data, .. }): State<Accounts>,
    headers: HeaderMap,
    Json(change): Json<Change>,
) -> Response {
    // FLAW: the name becomes part of the statement (SQL injection, CWE-89).
    let name = change.name.as_ref().map(|name| format!("name = '{name}', ")).unwrap_or_default();
    let changed = data.lock().execute(
        &format!(
            "UPDATE customers SET {name}phone = coalesce(?2, phone), role = coalesce(?3, role) WHERE id = ?1"
        ),
        (subject(&headers), change.phone, change.role),
    );
    match changed {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        // Somebody is named O'Brien.
        Err(_) if change.name.is_some() => (StatusCode::UNPROCESSABLE_ENTITY, "no name").into_response(),
        Err(error) => broken(error),
    }
}

// === impl Accounts ===

impl Accounts {
    /// What a customer gets who has signed in.
    fn welcome(&self, customer: &str, client: &str) -> Response {
        let refresh = idp::random();
        let sql = "INSERT INTO refreshing (token, customer, client) VALUES (?1, ?2, ?3)";
        match self.data.lock().execute(sql, (&refresh, customer, client)) {
            Ok(_) => {
                let token = self.idp.token(customer, client);
                let life = idp::life(client);
                Json(json!({ "token": token, "expires_in": life, "refresh_token": refresh })).into_response()
            }
            Err(error) => broken(error),
        }
    }
}
