//! The web pages: what a browser shows. No contract tells what is here.

use axum::Router;

pub(crate) fn routes() -> Router {
    Router::new()
}
