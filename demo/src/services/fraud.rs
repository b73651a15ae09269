//! How likely an order is fraud: how far its amount is from what purchases usually cost, as the stream of events tells.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::broken;
use crate::data::Data;

/// What purchases cost before any was seen.
const PRIOR: (f64, f64) = (15.0, 10.0);
/// Purchases of which the model is made.
const REMEMBERED: u32 = 500;

#[derive(Deserialize)]
struct Order {
    amount: f64,
}

pub(crate) fn routes(data: Data) -> Router {
    Router::new().route("/fraud/scores", post(score)).with_state(data)
}

/// FLAW: says what it looks at, and so how to get past it.
async fn score(State(data): State<Data>, Json(order): Json<Order>) -> Response {
    let sql = "SELECT avg(value), avg(value * value) FROM
        (SELECT value FROM events WHERE kind = 'purchase' ORDER BY id DESC LIMIT ?1)";
    let learned = data.lock().query_row(sql, [REMEMBERED], |row| {
        Ok(row.get::<_, Option<f64>>(0)?.zip(row.get::<_, Option<f64>>(1)?))
    });
    match learned {
        Ok(learned) => {
            let (mean, deviation) = learned.map_or(PRIOR, |(mean, squares)| (mean, spread(mean, squares)));
            let score = likelihood(order.amount, mean, deviation);
            let decision = if score < 0.9 { "accept" } else { "review" };
            Json(json!({ "score": score, "decision": decision, "usual": mean, "spread": deviation }))
                .into_response()
        }
        Err(error) => broken(error),
    }
}

/// The standard deviation, and never so little that one cent more is suspicious.
fn spread(mean: f64, squares: f64) -> f64 {
    (squares - mean * mean).max(0.0).sqrt().max(5.0)
}

/// 0 to 1: how far above the usual an amount is.
fn likelihood(amount: f64, mean: f64, deviation: f64) -> f64 {
    let far = ((amount - mean) / deviation).max(0.0);
    1.0 - (-far / 2.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usual_is_accepted_and_what_is_far_above_is_not() {
        let (mean, deviation) = (15.0, spread(15.0, 15.0 * 15.0));
        assert_eq!(likelihood(9.5, mean, deviation), 0.0);
        assert!(likelihood(24.0, mean, deviation) < 0.9);
        assert!(likelihood(200.0, mean, deviation) > 0.9);
    }
}
