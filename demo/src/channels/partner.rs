//! The delivery partner: at night it reads what was delivered, and sends its batches of some tens of kilobytes; one with a
//! comment that is too long, which it shortens. The nights are short. HTTP/1.1 over TLS 1.2.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Caller, Floor};
use crate::client::{Call, Device, Http, Tls};
use crate::day::NIGHTS;

const DEVICE: Device = Device {
    agent: "courier-batch/1.8 python-requests/2.32",
    tls: Some(Tls::V12),
    http: Http::One,
    keeps: true,
};

pub(crate) async fn batch(floor: Floor, key: String) {
    let mut caller = Caller::new(floor, "partner", 4, 0, DEVICE);
    caller.client.key(&key);
    let mut number = 0u64;
    while !caller.between(300, &NIGHTS).await {
        number += 1;
        if send(&mut caller, number).await.is_none() && caller.pause(500).await {
            return;
        }
    }
}

async fn send(caller: &mut Caller, number: u64) -> Option<()> {
    let orders =
        caller.get("/orders/?state=delivered&limit=100", |answer| answer.json().is_array()).await?.json();
    let mut records: Vec<Value> = orders
        .as_array()?
        .iter()
        .map(|order| json!({ "order": order["id"], "courier": "bike 7", "cash": 0, "comment": null }))
        .collect();
    records.extend((1..=300).map(
        |number| json!({ "order": number, "courier": "van 2", "cash": 12.5, "comment": "left at the door" }),
    ));
    if number % 3 == 1 {
        let long = "the dog ".repeat(30);
        let record = json!({ "order": 1, "courier": "bike 7", "cash": 0, "comment": long });
        let body = json!({ "date": "2026-11-24", "records": [record] });
        caller
            .slip(&Call::json(Method::POST, "/payments/settlements", &body), StatusCode::BAD_REQUEST)
            .await?;
    }
    let count = records.len();
    let body = json!({ "date": "2026-11-24", "records": records });
    caller
        .post("/payments/settlements", &body, StatusCode::ACCEPTED, |answer| answer.json()["taken"] == count)
        .await?;
    Some(())
}
