//! The kiosk in a store: reserves what is there, sells for cash, counts the till. Its line breaks now and then; it sells on,
//! and catches up at once when the line is back, twice where it does not know what has arrived. HTTP/1.1 over TLS 1.2, one
//! connection for long.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Caller, Floor};
use crate::client::{Call, Device, Http, Tls};
use crate::day::OPENING;

const DEVICE: Device =
    Device { agent: "PizzaKiosk/5.0 (Windows IoT)", tls: Some(Tls::V12), http: Http::One, keeps: true };
/// How long the line is broken.
const BROKEN_MS: u64 = 1_500;

pub(crate) async fn device(floor: Floor, number: usize, key: String) {
    let mut caller = Caller::new(floor, "kiosk", 8, number, DEVICE);
    caller.client.key(&key);
    let mut sale = number as u64;
    while !caller.between(700, &OPENING).await {
        sale += 1;
        let done = if sale.is_multiple_of(8) {
            catch_up(&mut caller, number, sale).await
        } else {
            sell(&mut caller, number, sale).await
        };
        if done.is_none() && caller.pause(500).await {
            return;
        }
    }
}

async fn sell(caller: &mut Caller, number: usize, sale: u64) -> Option<()> {
    let store = number + 1;
    caller.get(&format!("/stores/{store}"), |answer| answer.json()["id"] == store).await?;
    let wanted = json!({ "pizza": 3, "quantity": 2 });
    let path = format!("/stores/{store}/reservations");
    let call = Call::json(Method::POST, &path, &wanted);
    let reserved = caller
        .call(&call, StatusCode::CREATED, &[StatusCode::CONFLICT], |answer| {
            answer.json()["portions"].is_number()
        })
        .await?;
    if reserved.status == StatusCode::CONFLICT {
        // Sold out: the customer goes elsewhere.
        return caller.tell("abandoned", 19.0).await;
    }
    let key = format!("kiosk-{number}-{sale:06}");
    let order = order(caller, &key, None).await?;
    let payment = json!({ "order": order, "amount": 19.0, "given": 20.0 });
    caller
        .post("/cash/payments", &payment, StatusCode::CREATED, |answer| answer.json()["change"] == 1.0)
        .await?;
    if sale % 5 == 1 {
        let count = json!({ "till": number + 1, "counted": 19.0 });
        caller
            .post("/cash/counts", &count, StatusCode::CREATED, |answer| {
                answer.json()["difference"].is_number()
            })
            .await?;
    }
    caller.tell("purchase", 19.0).await
}

/// The line was broken; what was sold meanwhile is sent at once, the first of it twice.
async fn catch_up(caller: &mut Caller, number: usize, sale: u64) -> Option<()> {
    if caller.pause(BROKEN_MS).await {
        return Some(());
    }
    let keys: Vec<_> = (0..4).map(|sold| format!("kiosk-{number}-{sale:06}-{sold}")).collect();
    let first = order(caller, keys.first()?, None).await?;
    order(caller, keys.first()?, Some(&first)).await?;
    for key in keys.iter().skip(1) {
        order(caller, key, None).await?;
    }
    // A pizza that was taken off the menu meanwhile.
    let gone = json!({ "items": [{ "pizza": 77, "quantity": 1 }] });
    let call = Call::json(Method::POST, "/orders/", &gone);
    caller.slip(&call, StatusCode::UNPROCESSABLE_ENTITY).await
}

/// Places an order once, however often it is sent; its number, which must be `known` if it was sent before.
async fn order(caller: &mut Caller, key: &str, known: Option<&Value>) -> Option<Value> {
    let items = json!({ "items": [{ "pizza": 3, "quantity": 2 }] });
    let call = Call::json(Method::POST, "/orders/", &items).once(key);
    let right = |order: &Value| order["total"] == 19.0 && known.is_none_or(|id| order["id"] == *id);
    let placed = caller.call(&call, StatusCode::CREATED, &[], |answer| right(&answer.json())).await?;
    Some(placed.json()["id"].clone())
}
