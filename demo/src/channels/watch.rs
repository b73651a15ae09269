//! The watch: one tap orders again. Loses its connection on the way, and taps again with the same idempotency key: there
//! must be one order. Plaintext HTTP/1.1 over the phone's relay, no connection lasts.

use http::{Method, StatusCode};
use serde_json::json;

use super::{Caller, Floor};
use crate::client::{Call, Device, Http};
use crate::day::DAYTIME;

const DEVICE: Device =
    Device { agent: "PizzaWatch/1.4 (watchOS 13)", tls: None, http: Http::One, keeps: false };

pub(crate) async fn customer(floor: Floor, number: usize) {
    let mut caller = Caller::new(floor, "watch", 7, number, DEVICE);
    while caller.sign_in(number, "watch").await.is_none() {
        if caller.pause(500).await {
            return;
        }
    }
    let mut tap = number as u64;
    while !caller.between(1400, &DAYTIME).await {
        tap += 1;
        if once_again(&mut caller, number, tap).await.is_none() && caller.pause(500).await {
            return;
        }
    }
}

async fn once_again(caller: &mut Caller, number: usize, tap: u64) -> Option<()> {
    let key = format!("watch-{number}-{tap:06}");
    let order = json!({ "items": [{ "pizza": 2, "quantity": 1 }] });
    let call = Call::json(Method::POST, "/orders/", &order).once(&key);
    if tap.is_multiple_of(2) {
        // Into the lift.
        caller.lose(&call).await?;
        caller.pause(150).await;
    }
    let first = caller.call(&call, StatusCode::CREATED, &[], |answer| answer.json()["total"] == 6.0).await?;
    if tap.is_multiple_of(2) {
        let id = first.json()["id"].clone();
        caller.call(&call, StatusCode::CREATED, &[], |answer| answer.json()["id"] == id).await?;
    }
    let path = format!("/orders/{}", first.json()["id"]);
    caller.get(&path, |answer| answer.json()["total"] == 6.0).await?;
    caller.get("/notifications/", |answer| answer.json().is_array()).await?;
    Some(())
}
