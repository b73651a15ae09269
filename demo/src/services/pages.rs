//! The web pages: what a browser shows. No contract tells what is here.

mod picture;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use crate::data::Data;

/// Path, media type and text of what never changes.
const FILES: [(&str, &str, &str); 6] = [
    ("/", "text/html; charset=utf-8", include_str!("../../pages/index.html")),
    ("/order", "text/html; charset=utf-8", include_str!("../../pages/order.html")),
    ("/track", "text/html; charset=utf-8", include_str!("../../pages/track.html")),
    ("/assets/shop.css", "text/css; charset=utf-8", include_str!("../../pages/shop.css")),
    ("/assets/shop.js", "text/javascript; charset=utf-8", include_str!("../../pages/shop.js")),
    ("/assets/icon.svg", "image/svg+xml", include_str!("../../pages/icon.svg")),
];

/// How long browsers keep what belongs to a page. Short: the shop is thrown away after the show.
const KEPT: &str = "max-age=60";

#[derive(Deserialize)]
struct Search {
    q: Option<String>,
}

pub(crate) fn routes(data: Data) -> Router {
    let mut router = Router::new()
        .route("/search", get(search))
        .route("/backup.sql", get(backup))
        .route("/assets/pizza/{file}", get(pizza));
    for (path, media, text) in FILES {
        let kept = if path.starts_with("/assets/") { KEPT } else { "no-cache" };
        let file =
            move || async move { ([(header::CONTENT_TYPE, media), (header::CACHE_CONTROL, kept)], text) };
        router = router.route(path, get(file));
    }
    router.with_state(data)
}

/// FLAW: last year's move left a backup where the pages are (CWE-530).
async fn backup(State(data): State<Data>) -> Response {
    let connection = data.lock();
    let taken = connection.execute("INSERT INTO downloads (file) VALUES ('backup.sql')", []).and_then(|_| {
        let mut statement = connection.prepare_cached("SELECT email, password FROM customers")?;
        let line = |row: &rusqlite::Row<'_>| {
            Ok(format!("{}\t{}\n", row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        };
        statement.query_map([], line)?.collect::<rusqlite::Result<String>>()
    });
    match taken {
        Ok(lines) => lines.into_response(),
        Err(error) => super::broken(error),
    }
}

async fn pizza(Path(file): Path<String>) -> Response {
    let picture = file.strip_suffix(".svg").and_then(|id| id.parse().ok()).and_then(picture::of);
    match picture {
        Some(picture) => ([(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, KEPT)], picture)
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// FLAW: shows what was searched for as it was written, markup and all (cross-site scripting, CWE-79).
async fn search(State(data): State<Data>, Query(search): Query<Search>) -> Response {
    let text = search.q.unwrap_or_default();
    let found = data.names_like(&text).unwrap_or_default();
    let items: String = found.iter().map(|name| format!("<li><span>{name}</span></li>")).collect();
    Html(format!(
        r#"<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Pizza Haechi</title><link rel="stylesheet" href="/assets/shop.css">
<main class="narrow"><h1>“{text}”</h1><ul class="lines">{items}</ul><p><a href="/">Menu · 메뉴</a></p></main>"#
    ))
    .into_response()
}
