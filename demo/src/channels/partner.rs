//! The delivery partner: reads what was paid, and sends its nightly batch of some tens of kilobytes. The nights are short.

use http::StatusCode;
use serde_json::{Value, json};

use super::{Caller, Floor};

const AGENT: &str = "courier-batch/1.8 python-requests/2.32";

pub(crate) async fn batch(floor: Floor, key: String) {
    let mut caller = Caller::new(floor, "partner", [127, 0, 4, 1], AGENT);
    caller.client.key(&key);
    while !caller.pause(1000).await {
        if night(&mut caller).await.is_none() && caller.pause(500).await {
            return;
        }
    }
}

async fn night(caller: &mut Caller) -> Option<()> {
    let orders = caller.get("/orders/?state=paid&limit=100", |answer| answer.json().is_array()).await?.json();
    let mut records: Vec<Value> = orders
        .as_array()?
        .iter()
        .map(|order| json!({ "order": order["id"], "courier": "bike 7", "cash": 0, "comment": null }))
        .collect();
    records.extend((1..=300).map(
        |number| json!({ "order": number, "courier": "van 2", "cash": 12.5, "comment": "left at the door" }),
    ));
    let count = records.len();
    let body = json!({ "date": "2026-11-24", "records": records });
    caller
        .post("/payments/settlements", &body, StatusCode::ACCEPTED, |answer| answer.json()["taken"] == count)
        .await?;
    Some(())
}
