//! A function in somebody's cloud, which suggests what goes with an order. It is started when it is called, and stopped when
//! nobody has called for a while: the first call waits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

/// How long a cold start takes.
pub(crate) const START: Duration = Duration::from_millis(700);
/// After so long without a call it is cold again.
const IDLE: Duration = Duration::from_secs(3);

/// When an instance is ready, and when it was last called.
#[derive(Clone, Default)]
struct Instance(Arc<Mutex<Option<(Instant, Instant)>>>);

#[derive(Deserialize)]
struct Order {
    items: Vec<i64>,
}

pub(crate) fn routes() -> Router {
    Router::new().route("/functions/suggest", post(suggest)).with_state(Instance::default())
}

/// FLAW: one may keep it awake, or wake it, as often as one likes; the shop pays for every start (API4:2023).
async fn suggest(State(instance): State<Instance>, Json(order): Json<Order>) -> Response {
    let wait = instance.called(Instant::now());
    tokio::time::sleep(wait).await;
    let pizza = (1..=5).find(|pizza| !order.items.contains(pizza)).unwrap_or(6);
    Json(json!({ "pizza": pizza, "cold": !wait.is_zero() })).into_response()
}

// === impl Instance ===

impl Instance {
    /// How long a call that comes now waits for the instance: the first for the whole start, those that come meanwhile
    /// for the rest of it.
    fn called(&self, now: Instant) -> Duration {
        let mut instance = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = match *instance {
            Some((ready, called)) if now.duration_since(called.max(ready)) < IDLE => ready,
            _ => now + START,
        };
        *instance = Some((ready, now));
        ready.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_call_after_a_silence_waits() {
        let instance = Instance::default();
        let start = Instant::now();
        let called = |millis| instance.called(start + Duration::from_millis(millis)).as_millis();
        assert_eq!(called(0), 700, "cold");
        assert_eq!(called(300), 400, "while it starts");
        assert_eq!(called(700), 0, "warm");
        assert_eq!(called(3_699), 0, "still warm");
        assert_eq!(called(6_700), 700, "cold again");
    }
}
