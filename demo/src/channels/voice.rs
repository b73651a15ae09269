//! The call centre's voice provider: tells by webhook who rings and who hung up, sends what was said, and asks for it
//! again, also before it is written. HTTP/1.1 over TLS 1.3.

use http::{Method, StatusCode};
use serde_json::json;

use super::{Caller, Floor};
use crate::client::{Call, Device, Http, Tls};
use crate::day::OPENING;

const DEVICE: Device = Device {
    agent: "voice-provider-webhooks/2 (Java/25)",
    tls: Some(Tls::V13),
    http: Http::One,
    keeps: true,
};

pub(crate) async fn provider(floor: Floor, key: String) {
    let mut caller = Caller::new(floor, "voice", 9, 0, DEVICE);
    caller.client.key(&key);
    let mut number = 0u64;
    while !caller.between(600, &OPENING).await {
        number += 1;
        if ring(&mut caller, number).await.is_none() && caller.pause(500).await {
            return;
        }
    }
}

async fn ring(caller: &mut Caller, number: u64) -> Option<()> {
    let call = format!("call-{number:06}");
    let path = format!("/calls/{call}/transcript");
    hook(caller, &call, "ringing").await?;
    if number % 3 == 1 {
        // Nothing is written while they still talk.
        caller.slip(&Call::get(&path), StatusCode::NOT_FOUND).await?;
    }
    if caller.pause(400).await {
        return Some(());
    }
    hook(caller, &call, "ended").await?;
    let text = json!({ "text": format!("Two Diavola please, call me back on +8210{number:06}.") });
    let said = Call::json(Method::PUT, &path, &text);
    caller.call(&said, StatusCode::NO_CONTENT, &[], |_| true).await?;
    caller.get(&path, |answer| answer.json()["text"] == text["text"]).await?;
    Some(())
}

async fn hook(caller: &mut Caller, call: &str, event: &str) -> Option<()> {
    let body = json!({ "call": call, "event": event, "from": "+821012345678" });
    caller.post("/calls/webhooks", &body, StatusCode::NO_CONTENT, |_| true).await?;
    Some(())
}
