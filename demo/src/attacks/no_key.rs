//! Orders in nobody's name: no credential, an invented key, a key of the right form.

use http::Method;
use serde_json::json;

use super::Attacker;

pub(crate) async fn run(mut attacker: Attacker) {
    let mut bare = attacker.client(1, "curl/8.9");
    let mut keyed = attacker.client(1, "curl/8.9");
    for number in 0u64.. {
        if attacker.pause(200).await {
            return;
        }
        let order = json!({ "items": [{ "pizza": 6, "quantity": 10 }], "note": format!("no-key {number}") })
            .to_string();
        attacker.send(&mut bare, Method::POST, "/orders/", order.clone()).await;
        let key = match number % 3 {
            0 => "letmein".to_owned(),
            1 => format!("hch_live_{number:012}_{}_0000000", "0".repeat(40)),
            _ => "hch_live_".to_owned(),
        };
        keyed.key(&key);
        attacker.send(&mut keyed, Method::POST, "/orders/", order).await;
        attacker.send(&mut bare, Method::GET, "/orders/?state=paid", "").await;
    }
}
