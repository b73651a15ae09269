//! The copy of the database that one of the stores' instances reads from. It goes away now and then: until it is back, the
//! instance answers what is read 503, also when it is asked whether it is well. What is written goes elsewhere, and is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

/// How long it stays.
const HERE: Duration = Duration::from_secs(3);
/// How long it is away.
const AWAY: Duration = Duration::from_secs(3);

/// It, as it is now. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Replica {
    away: Arc<AtomicBool>,
    times: Arc<AtomicU64>,
}

// === impl Replica ===

impl Replica {
    /// An instance that reads from it.
    pub(crate) fn under(&self, routes: Router) -> Router {
        routes.layer(from_fn_with_state(self.clone(), read))
    }

    /// Goes and comes, for ever.
    pub(crate) async fn flap(self) {
        loop {
            tokio::time::sleep(HERE).await;
            self.leave();
            tokio::time::sleep(AWAY).await;
            self.away.store(false, Relaxed);
        }
    }

    /// How often it went.
    pub(crate) fn times(&self) -> u64 {
        self.times.load(Relaxed)
    }

    fn leave(&self) {
        self.away.store(true, Relaxed);
        self.times.fetch_add(1, Relaxed);
    }
}

async fn read(State(replica): State<Replica>, request: Request, next: Next) -> Response {
    if request.method() == Method::GET && replica.away.load(Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the copy is away").into_response();
    }
    next.run(request).await
}
