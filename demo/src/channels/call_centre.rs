//! The call centre's agents: take the next call, look the store up, order for the caller, have large orders scored, tell the
//! customer. Between calls they ask whether somebody waits. HTTP/2 over TLS 1.2, through the office's proxy.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Caller, Floor};
use crate::client::{Call, Device, Http, Tls};
use crate::day::OPENING;

const DEVICE: Device =
    Device { agent: "AgentDesktop/11.3 (Electron)", tls: Some(Tls::V12), http: Http::Two, keeps: true };

pub(crate) async fn agent(floor: Floor, number: usize) {
    let mut caller = Caller::new(floor, "call-centre", 10, number, DEVICE);
    while caller.sign_in(number, "call-centre").await.is_none() {
        if caller.pause(500).await {
            return;
        }
    }
    let (mut call, mut taken) = (number as u64, 0);
    while !caller.between(800, &OPENING).await {
        call += 1;
        if take(&mut caller, call, &mut taken).await.is_none() && caller.pause(500).await {
            return;
        }
    }
}

/// `taken` counts the calls that somebody waited on: a slip belongs to the first of them, however few there are.
async fn take(caller: &mut Caller, number: u64, taken: &mut u64) -> Option<()> {
    let next = Call::bytes(Method::POST, "/calls/next", "", "");
    // Nobody waits: that is an answer, not an error.
    let Some(waiting) = next_call(caller, &next).await? else { return Some(()) };
    *taken += 1;
    caller.get("/stores/?district=songpa", |answer| answer.json()[0]["name"] == "Songpa").await?;
    let large = number.is_multiple_of(4);
    let (quantity, total) = if large { (10, 95.0) } else { (2, 19.0) };
    let decision = if large { "review" } else { "accept" };
    let score = json!({ "amount": total });
    caller
        .post("/fraud/scores", &score, StatusCode::OK, |answer| answer.json()["decision"] == decision)
        .await?;
    let order = json!({ "items": [{ "pizza": 3, "quantity": quantity }], "note": format!("call {}", waiting["call"]) });
    caller.post("/orders/", &order, StatusCode::CREATED, |answer| answer.json()["total"] == total).await?;
    if *taken % 3 == 1 {
        // A slip: the message without its text.
        let empty = json!({ "to": "c000", "text": "" });
        caller.slip(&Call::json(Method::POST, "/notifications/", &empty), StatusCode::BAD_REQUEST).await?;
    }
    let told =
        json!({ "to": crate::data::customer(super::APP.start).0, "text": "Your order is in the oven." });
    caller.post("/notifications/", &told, StatusCode::ACCEPTED, |_| true).await?;
    Some(())
}

/// The next call; none within if nobody waits.
async fn next_call(caller: &mut Caller, next: &Call<'_>) -> Option<Option<Value>> {
    let answer = caller
        .call(next, StatusCode::OK, &[StatusCode::NO_CONTENT], |answer| answer.json()["call"].is_string())
        .await?;
    Some(Some(answer.json()).filter(|call| !call.is_null()))
}
