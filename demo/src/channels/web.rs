//! The web shop: browses, looks at photos, signs in, orders, pays.

use http::StatusCode;
use serde_json::json;

use super::{Caller, Floor};

const AGENT: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36";

pub(crate) async fn customer(floor: Floor, number: usize) {
    let [_, _, _, last] = u32::try_from(number).unwrap_or(0).to_be_bytes();
    let mut caller = Caller::new(floor, "web", [127, 0, 1, last + 1], AGENT);
    let mut visit = 0u64;
    while !caller.pause(800 + 70 * (number as u64 % 5)).await {
        visit += 1;
        if visit_once(&mut caller, number, visit).await.is_none() && caller.pause(500).await {
            return;
        }
    }
}

async fn visit_once(caller: &mut Caller, number: usize, visit: u64) -> Option<()> {
    let pizza = visit % 5 + 1;
    caller
        .get("/menu/pizzas?limit=20", |answer| answer.json().as_array().is_some_and(|list| list.len() == 6))
        .await?;
    caller.get("/menu/pizzas?q=Bul", |answer| answer.json()[0]["name"] == "Bulgogi").await?;
    caller.get(&format!("/menu/pizzas/{pizza}"), |answer| answer.json()["id"] == pizza).await?;
    caller.get(&format!("/menu/pizzas/{pizza}/photo.jpg"), |answer| answer.body.len() == 200 * 1024).await?;
    if visit % 10 == 1 {
        caller.sign_in(number).await?;
    }
    let order = json!({ "items": [{ "pizza": 1, "quantity": 2, "size": "L" }], "note": format!("ring {visit} times") });
    let placed =
        caller.post("/orders/", &order, StatusCode::CREATED, |answer| answer.json()["total"] == 15.0).await?;
    let id = placed.json()["id"].clone();
    let payment = json!({ "order": id, "amount": 15.0, "method": "card" });
    caller.post("/payments/", &payment, StatusCode::CREATED, |answer| answer.json()["order"] == id).await?;
    caller.get(&format!("/orders/{id}"), |answer| answer.json()["state"] == "paid").await?;
    Some(())
}
