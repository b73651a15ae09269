//! The AI speaker: "the usual, please". Small calls, seldom; prints a receipt on the kitchen's old printer.

use http::{Method, StatusCode};
use serde_json::json;

use super::{Caller, Floor};

const AGENT: &str = "aispeaker/3 (voice)";

pub(crate) async fn customer(floor: Floor, number: usize) {
    let [_, _, _, last] = u32::try_from(number).unwrap_or(0).to_be_bytes();
    let mut caller = Caller::new(floor, "speaker", [127, 0, 3, last + 1], AGENT);
    if caller.sign_in(number).await.is_none() {
        return;
    }
    while !caller.pause(1300).await {
        if the_usual(&mut caller).await.is_none() && caller.pause(500).await {
            return;
        }
    }
}

async fn the_usual(caller: &mut Caller) -> Option<()> {
    let order = json!({ "items": [{ "pizza": 3, "quantity": 1 }] });
    let placed =
        caller.post("/orders/", &order, StatusCode::CREATED, |answer| answer.json()["total"] == 9.5).await?;
    let text = format!("order {}: 1 Diavola", placed.json()["id"]);
    let outcome = caller.client.call(Method::POST, "/receipts/", "text/plain", text.into()).await;
    caller
        .judge(&Method::POST, "/receipts/", StatusCode::OK, outcome, |answer| &*answer.body == b"done\n")?;
    caller.get("/receipts/last", |answer| answer.body.len() > 1).await?;
    Some(())
}
