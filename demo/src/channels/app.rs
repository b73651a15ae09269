//! The phone app: stays signed in with tokens that expire soon, orders, has it delivered, asks again and again where the
//! pizza is. One half iPhones over HTTP/2, which listen to events; the other Androids over HTTP/1.1, which listen on a
//! WebSocket; both TLS 1.3.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Caller, Floor};
use crate::client::{Answer, Call, Device, Http, Tls};
use crate::day::MEALS;

const PHONES: [(&str, Device); 2] = [
    (
        "ios",
        Device {
            agent: "PizzaShop/7.2 (iPhone; iOS 20.1)",
            tls: Some(Tls::V13),
            http: Http::Two,
            keeps: true,
        },
    ),
    (
        "android",
        Device {
            agent: "PizzaShop/7.2 (Android 17; Pixel 11)",
            tls: Some(Tls::V13),
            http: Http::One,
            keeps: true,
        },
    ),
];

pub(crate) async fn customer(floor: Floor, number: usize) {
    let Some((client, device)) = PHONES.get(number % 2).copied() else { return };
    let mut caller = Caller::new(floor, "app", 2, number, device);
    while caller.sign_in(number, client).await.is_none() {
        if caller.pause(500).await {
            return;
        }
    }
    let mut round = number as u64;
    while !caller.between(500, &MEALS).await {
        round += 1;
        if round_once(&mut caller, number, client, round).await.is_none() && caller.pause(500).await {
            return;
        }
    }
}

async fn round_once(caller: &mut Caller, number: usize, client: &str, round: u64) -> Option<()> {
    let id = crate::data::customer(number).0;
    caller.get("/accounts/me", |answer| answer.json()["id"] == id.as_str()).await?;
    if round.is_multiple_of(5) {
        change_phone(caller, round).await?;
        let device = json!({ "platform": client, "token": format!("push-{number:08}") });
        let call = Call::json(Method::PUT, "/notifications/devices", &device);
        caller.call(&call, StatusCode::NO_CONTENT, &[], |_| true).await?;
        caller.get("/notifications/", |answer| answer.json().is_array()).await?;
    }
    if round % 6 == 2 {
        coupon(caller).await?;
    }
    let quote = json!({ "district": "mapo" });
    caller.post("/delivery/quotes", &quote, StatusCode::OK, |answer| answer.json()["fee"] == 2.5).await?;
    let order = json!({ "items": [{ "pizza": 4, "quantity": 1 }, { "pizza": 5, "quantity": 1 }] });
    let placed =
        caller.post("/orders/", &order, StatusCode::CREATED, |answer| answer.json()["total"] == 21.0).await?;
    let order = placed.json()["id"].clone();
    let payment = json!({ "order": order, "amount": 21.0, "method": "card" });
    caller
        .post("/payments/", &payment, StatusCode::CREATED, |answer| answer.json()["order"] == order)
        .await?;
    let delivery = json!({ "order": order, "district": "mapo" });
    caller
        .post("/delivery/", &delivery, StatusCode::CREATED, |answer| answer.json()["order"] == order)
        .await?;
    caller.tell("purchase", 21.0).await?;
    follow(caller, &order, &id, round).await
}

/// Asks where the pizza is.
async fn follow(caller: &mut Caller, order: &Value, customer: &str, round: u64) -> Option<()> {
    caller.get(&format!("/orders/{order}"), |answer| answer.json()["customer"] == customer).await?;
    if round.is_multiple_of(3) && caller.floor.protected {
        return listen(caller, order).await;
    }
    for _ in 0..3 {
        if caller.pause(600).await {
            return Some(());
        }
        let path = format!("/delivery/orders/{order}");
        caller.get(&path, |answer| answer.json()["percent"].is_number()).await?;
    }
    Some(())
}

/// Listens until it is there; not through a relay, which only knows calls and answers.
async fn listen(caller: &mut Caller, order: &Value) -> Option<()> {
    if caller.client.speaks(Http::Two) {
        let path = format!("/orders/{order}/events");
        let told = |answer: &Answer| {
            let text = String::from_utf8_lossy(&answer.body);
            text.starts_with("event: state\n") && text.contains("\"delivered\"")
        };
        caller.call(&Call::listen(&path), StatusCode::OK, &[], told).await?;
    } else {
        let path = format!("/delivery/orders/{order}/live");
        let there = |answer: &Answer| {
            answer
                .json()
                .as_array()
                .and_then(|told| told.last().cloned())
                .is_some_and(|last| last["percent"] == 100)
        };
        caller.websocket(&path, there).await?;
    }
    Some(())
}

/// With a slip of the finger first, now and then.
async fn change_phone(caller: &mut Caller, round: u64) -> Option<()> {
    if round.is_multiple_of(2) {
        let slip = json!({ "phone": "+82 ten" });
        caller.slip(&Call::json(Method::PATCH, "/accounts/me", &slip), StatusCode::BAD_REQUEST).await?;
    }
    let phone = json!({ "phone": format!("+82 10 {round:04}") });
    let call = Call::json(Method::PATCH, "/accounts/me", &phone);
    caller.call(&call, StatusCode::NO_CONTENT, &[], |_| true).await?;
    Some(())
}

/// A coupon is good once a day; customers try again all the same.
async fn coupon(caller: &mut Caller) -> Option<()> {
    let mine = caller
        .get("/coupons/", |answer| answer.json().as_array().is_some_and(|list| list.len() == 1))
        .await?;
    let redemption = json!({ "code": mine.json()[0]["code"] });
    let call = Call::json(Method::POST, "/coupons/redemptions", &redemption);
    caller
        .call(&call, StatusCode::OK, &[StatusCode::CONFLICT], |answer| answer.json()["percent"] == 10)
        .await?;
    Some(())
}
