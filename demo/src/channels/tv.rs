//! The TV: no keyboard, so it shows a code that is typed on a phone, and asks until it has been; then it asks every second
//! where the pizza is. HTTP/1.1 over TLS 1.2, a new connection for every call.

use http::{Method, StatusCode};
use serde_json::json;

use super::{Caller, Floor};
use crate::client::{Call, Device, Http, Tls};
use crate::day::EVENINGS;

const TV: Device = Device {
    agent: "Mozilla/5.0 (Web0S; Linux/SmartTV) PizzaTV/2.0",
    tls: Some(Tls::V12),
    http: Http::One,
    keeps: false,
};

/// The phone of who sits on the sofa.
const PHONE: Device = Device {
    agent: "PizzaShop/7.2 (Android 17; Pixel 11)",
    tls: Some(Tls::V13),
    http: Http::One,
    keeps: true,
};

pub(crate) async fn sofa(floor: Floor, number: usize) {
    let mut tv = Caller::new(floor.clone(), "tv", 5, number, TV);
    let mut phone = Caller::new(floor, "app", 2, number, PHONE);
    while sign_in(&mut tv, &mut phone, number).await.is_none() {
        if tv.pause(500).await {
            return;
        }
    }
    while !tv.between(1500, &EVENINGS).await {
        if evening(&mut tv).await.is_none() && tv.pause(500).await {
            return;
        }
    }
}

async fn sign_in(tv: &mut Caller, phone: &mut Caller, number: usize) -> Option<()> {
    let asked = json!({ "client": "tv" });
    let codes = tv
        .post("/accounts/devices", &asked, StatusCode::CREATED, |answer| {
            answer.json()["user_code"].is_string()
        })
        .await?
        .json();
    let waiting = json!({ "device_code": codes["device_code"] });
    let call = Call::json(Method::POST, "/accounts/devices/token", &waiting);
    // `authorization_pending`: nobody has typed it yet.
    tv.slip(&call, StatusCode::BAD_REQUEST).await?;
    phone.sign_in(number, "android").await?;
    let typed = json!({ "user_code": codes["user_code"] });
    let approval = Call::json(Method::POST, "/accounts/devices/approvals", &typed);
    phone.call(&approval, StatusCode::NO_CONTENT, &[], |_| true).await?;
    let token = tv.call(&call, StatusCode::OK, &[], |answer| answer.json()["token"].is_string()).await?;
    tv.signed_in(&token.json());
    Some(())
}

async fn evening(tv: &mut Caller) -> Option<()> {
    tv.get("/menu/pizzas?limit=6", |answer| answer.json().as_array().is_some_and(|list| list.len() == 6))
        .await?;
    let order = json!({ "items": [{ "pizza": 5, "quantity": 1 }], "note": "to the sofa" });
    let placed =
        tv.post("/orders/", &order, StatusCode::CREATED, |answer| answer.json()["total"] == 10.0).await?;
    let path = format!("/orders/{}", placed.json()["id"]);
    for _ in 0..4 {
        if tv.pause(500).await {
            break;
        }
        tv.get(&path, |answer| answer.json()["state"].is_string()).await?;
    }
    Some(())
}
