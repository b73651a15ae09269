//! The web shop in a browser: pages and what belongs to them, a search, photos; signs in (now and then with a typing
//! error), orders, pays by card, wallet or transfer, and now and then leaves a full cart behind. HTTP/2 over TLS 1.3.

use http::{Method, StatusCode};
use serde_json::json;

use super::{Caller, Floor};
use crate::client::{Call, Device, Http, Tls};
use crate::data::customer as name;
use crate::day::MEALS;

const DEVICE: Device = Device {
    agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36",
    tls: Some(Tls::V13),
    http: Http::Two,
    keeps: true,
};

/// What a visit begins with, and what the browser fetches for it.
const PAGES: [&str; 5] =
    ["/", "/assets/shop.css", "/assets/shop.js", "/assets/icon.svg", "/assets/pizza/4.svg"];

pub(crate) async fn customer(floor: Floor, number: usize) {
    let mut caller = Caller::new(floor, "web", 1, number, DEVICE);
    // Not all at once.
    let mut visit = number as u64;
    while !caller.between(800 + 70 * (number as u64 % 5), &MEALS).await {
        visit += 1;
        if visit_once(&mut caller, number, visit).await.is_none() && caller.pause(500).await {
            return;
        }
    }
}

async fn visit_once(caller: &mut Caller, number: usize, visit: u64) -> Option<()> {
    let pizza = visit % 5 + 1;
    for page in PAGES {
        caller.get(page, |answer| answer.body.len() > 100).await?;
    }
    let all = |list: serde_json::Value| list.as_array().is_some_and(|list| list.len() == 6);
    caller.get("/menu/pizzas?limit=20", |answer| all(answer.json())).await?;
    caller.get("/menu/pizzas?q=Bul", |answer| answer.json()[0]["name"] == "Bulgogi").await?;
    caller.get(&format!("/menu/pizzas/{pizza}"), |answer| answer.json()["id"] == pizza).await?;
    caller.get(&format!("/menu/pizzas/{pizza}/photo.jpg"), |answer| answer.body.len() == 200 * 1024).await?;
    if visit % 10 == number as u64 % 10 + 1 || visit == number as u64 + 1 {
        sign_in(caller, number, visit).await?;
    }
    if visit % 7 == 3 {
        // A cart that nobody pays.
        return caller.tell("abandoned", 15.0).await;
    }
    let order = json!({ "items": [{ "pizza": 1, "quantity": 2, "size": "L" }], "note": format!("ring {visit} times") });
    let placed =
        caller.post("/orders/", &order, StatusCode::CREATED, |answer| answer.json()["total"] == 15.0).await?;
    let id = placed.json()["id"].clone();
    match visit % 3 {
        0 => {
            let payment = json!({ "order": id, "amount": 15.0, "method": "card" });
            caller
                .post("/payments/", &payment, StatusCode::CREATED, |answer| answer.json()["order"] == id)
                .await?;
        }
        1 => by_wallet(caller, &id).await?,
        _ => by_transfer(caller, &id).await?,
    }
    caller.get(&format!("/track?order={id}"), |answer| answer.body.len() > 100).await?;
    caller.tell("purchase", 15.0).await?;
    let paid = |state: &serde_json::Value| state != "placed" && state != "cancelled";
    caller.get(&format!("/orders/{id}"), |answer| paid(&answer.json()["state"])).await?;
    Some(())
}

/// With a typing error first, now and then.
async fn sign_in(caller: &mut Caller, number: usize, visit: u64) -> Option<()> {
    if visit.is_multiple_of(2) {
        let typed = json!({ "email": name(number).1, "password": "pepperonni", "client": "web" });
        let call = Call::json(Method::POST, "/accounts/sign-in", &typed);
        caller.slip(&call, StatusCode::UNAUTHORIZED).await?;
    }
    caller.sign_in(number, "web").await
}

/// Pays in first when there is not enough left.
async fn by_wallet(caller: &mut Caller, order: &serde_json::Value) -> Option<()> {
    let payment = json!({ "order": order, "amount": 15.0 });
    for last in [false, true] {
        let call = Call::json(Method::POST, "/wallet/payments", &payment);
        let short: &[_] = if last { &[] } else { &[StatusCode::PAYMENT_REQUIRED] };
        let answer =
            caller.call(&call, StatusCode::CREATED, short, |answer| answer.json()["order"] == *order).await?;
        if answer.status == StatusCode::CREATED {
            break;
        }
        let more = json!({ "amount": 60 });
        caller
            .post("/wallet/top-ups", &more, StatusCode::CREATED, |answer| {
                answer.json()["balance"].is_number()
            })
            .await?;
    }
    Some(())
}

/// Asks the bank's way until the money has arrived.
async fn by_transfer(caller: &mut Caller, order: &serde_json::Value) -> Option<()> {
    let transfer = json!({ "order": order, "amount": 15.0, "bank": "nara" });
    let made = caller
        .post("/transfers/", &transfer, StatusCode::CREATED, |answer| answer.json()["state"] == "waiting")
        .await?;
    let path = format!("/transfers/{}", made.json()["id"]);
    // Banks take a second; on a bad day some more.
    for _ in 0..20 {
        if caller.pause(600).await {
            return None;
        }
        let asked = caller.get(&path, |answer| answer.json()["state"].is_string()).await?;
        if asked.json()["state"] == "arrived" {
            break;
        }
    }
    Some(())
}
