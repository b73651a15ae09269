//! Customers, and the tokens they sign in for.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use rusqlite::OptionalExtension;
use serde::Deserialize;
use serde_json::json;

use super::{broken, subject};
use crate::data::Data;
use crate::idp::Idp;

#[derive(Clone)]
struct Accounts {
    data: Data,
    idp: Idp,
}

#[derive(Deserialize)]
struct SignIn {
    email: String,
    password: String,
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
        .route("/accounts/me", get(me).patch(change))
        .route("/jwks.json", get(jwks))
        .with_state(Accounts { data, idp })
}

async fn jwks(State(accounts): State<Accounts>) -> Response {
    Json(accounts.idp.jwks()).into_response()
}

/// FLAW: as many tries as one likes (credential stuffing, API2:2023).
async fn sign_in(State(Accounts { data, idp }): State<Accounts>, Json(sign_in): Json<SignIn>) -> Response {
    let sql = "SELECT id FROM customers WHERE email = ?1 AND password = ?2";
    let id = data
        .lock()
        .query_row(sql, (&sign_in.email, &sign_in.password), |row| row.get::<_, String>(0))
        .optional();
    match id {
        Ok(Some(id)) => Json(json!({ "token": idp.token(&id), "expires_in": 3600 })).into_response(),
        Ok(None) => (StatusCode::UNAUTHORIZED, "wrong").into_response(),
        Err(error) => broken(error),
    }
}

async fn me(State(Accounts { data, .. }): State<Accounts>, headers: HeaderMap) -> Response {
    let sql = "SELECT id, email, name, phone, role FROM customers WHERE id = ?1";
    let account = data.lock().query_row(sql, [subject(&headers)], |row| {
        Ok(json!({
            "id": row.get::<_, String>(0)?, "email": row.get::<_, String>(1)?, "name": row.get::<_, String>(2)?,
            "phone": row.get::<_, Option<String>>(3)?, "role": row.get::<_, String>(4)?,
        }))
    });
    match account.optional() {
        Ok(Some(account)) => Json(account).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => broken(error),
    }
}

async fn change(
    State(Accounts { data, .. }): State<Accounts>,
    headers: HeaderMap,
    Json(change): Json<Change>,
) -> Response {
    let changed = data.lock().execute(
        "UPDATE customers SET name = coalesce(?2, name), phone = coalesce(?3, phone), role = coalesce(?4, role) \
         WHERE id = ?1",
        (subject(&headers), change.name, change.phone, change.role),
    );
    match changed {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => broken(error),
    }
}
