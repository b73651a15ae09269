//! One customer, really signed in, holds all the limited pizzas: no exploit at all, only more calls than a customer makes.

use http::Method;

use super::Attacker;
use crate::data::STOLEN;

/// Calls a second.
const RATE: u64 = 50;

pub(crate) async fn run(mut attacker: Attacker) {
    let mut client = attacker.client(3, "okhttp/4.12");
    client.token(&attacker.token(STOLEN));
    while !attacker.pause(1000 / RATE).await {
        attacker.send(&mut client, Method::POST, "/orders/holds", r#"{"pizza":6}"#).await;
    }
}
