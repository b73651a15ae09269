//! The phone app: stays signed in, orders, asks again and again where the pizza is.

use http::{Method, StatusCode};
use serde_json::json;

use super::{Caller, Floor};

const AGENT: &str = "PizzaShop/7.2 (iPhone; iOS 20.1)";

pub(crate) async fn customer(floor: Floor, number: usize) {
    let [_, _, _, last] = u32::try_from(number).unwrap_or(0).to_be_bytes();
    let mut caller = Caller::new(floor, "app", [127, 0, 2, last + 1], AGENT);
    if caller.sign_in(number).await.is_none() {
        return;
    }
    let mut round = 0u64;
    while !caller.pause(400).await {
        round += 1;
        if round_once(&mut caller, number, round).await.is_none() && caller.pause(500).await {
            return;
        }
    }
}

async fn round_once(caller: &mut Caller, number: usize, round: u64) -> Option<()> {
    let id = crate::data::customer(number).0;
    caller.get("/accounts/me", |answer| answer.json()["id"] == id.as_str()).await?;
    if round.is_multiple_of(5) {
        let phone = json!({ "phone": format!("+82 10 {round:04}") });
        let outcome = caller
            .client
            .call(Method::PATCH, "/accounts/me", "application/json", phone.to_string().into())
            .await;
        caller.judge(&Method::PATCH, "/accounts/me", StatusCode::NO_CONTENT, outcome, |_| true)?;
    }
    let order = json!({ "items": [{ "pizza": 4, "quantity": 1 }, { "pizza": 5, "quantity": 1 }] });
    let placed =
        caller.post("/orders/", &order, StatusCode::CREATED, |answer| answer.json()["total"] == 21.0).await?;
    let order = placed.json()["id"].clone();
    for _ in 0..3 {
        if caller.pause(500).await {
            return Some(());
        }
        caller.get(&format!("/orders/{order}"), |answer| answer.json()["customer"] == id.as_str()).await?;
    }
    Some(())
}
