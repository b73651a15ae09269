//! The AI speaker: "the usual, please". Small calls, seldom; mishears now and then; prints a receipt on the kitchen's old
//! printer. HTTP/1.1 over TLS 1.3.

use http::{Method, StatusCode};
use serde_json::json;

use super::{Caller, Floor};
use crate::client::{Call, Device, Http, Tls};
use crate::day::EVENINGS;

const DEVICE: Device =
    Device { agent: "aispeaker/3 (voice)", tls: Some(Tls::V13), http: Http::One, keeps: true };

pub(crate) async fn customer(floor: Floor, number: usize) {
    let mut caller = Caller::new(floor, "speaker", 3, number, DEVICE);
    while caller.sign_in(number, "ai-speaker").await.is_none() {
        if caller.pause(500).await {
            return;
        }
    }
    let mut time = number as u64;
    while !caller.between(1300, &EVENINGS).await {
        time += 1;
        if the_usual(&mut caller, time).await.is_none() && caller.pause(500).await {
            return;
        }
    }
}

async fn the_usual(caller: &mut Caller, time: u64) -> Option<()> {
    if time % 4 == 1 {
        // "A Diavola for two" is not a Diavola, forty-two times.
        let heard = json!({ "items": [{ "pizza": 3, "quantity": 42 }] });
        caller.slip(&Call::json(Method::POST, "/orders/", &heard), StatusCode::BAD_REQUEST).await?;
    }
    let order = json!({ "items": [{ "pizza": 3, "quantity": 1 }] });
    let placed =
        caller.post("/orders/", &order, StatusCode::CREATED, |answer| answer.json()["total"] == 9.5).await?;
    let text = format!("order {}: 1 Diavola", placed.json()["id"]);
    let call = Call::bytes(Method::POST, "/receipts/", "text/plain", text);
    caller.call(&call, StatusCode::OK, &[], |answer| &*answer.body == b"done\n").await?;
    caller.get("/receipts/last", |answer| answer.body.len() > 1).await?;
    Some(())
}
