//! The messenger bot: one server that talks with many, all over one HTTP/2 connection. What people type is not always a
//! pizza's name, and the function that suggests one is not always awake.

use http::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;

use super::{Caller, Floor};
use crate::client::{Call, Device, Http, Tls};
use crate::day::MEALS;

const DEVICE: Device = Device {
    agent: "order-bot/4.1 (+https://messenger.example/bots)",
    tls: Some(Tls::V13),
    http: Http::Two,
    keeps: true,
};

pub(crate) async fn bot(floor: Floor, key: String, conversations: usize) {
    let mut bot = Caller::new(floor, "messenger", 6, 0, DEVICE);
    bot.client.key(&key);
    let mut open = JoinSet::new();
    for number in 0..conversations {
        open.spawn(conversation(bot.share().await, number as u64));
    }
    while open.join_next().await.is_some() {}
}

async fn conversation(mut caller: Caller, number: u64) {
    let mut turn = number;
    while !caller.between(900 + 130 * number, &MEALS).await {
        turn += 1;
        if talk(&mut caller, turn).await.is_none() && caller.pause(500).await {
            return;
        }
    }
}

async fn talk(caller: &mut Caller, turn: u64) -> Option<()> {
    if turn % 4 == 1 {
        // "the one w/ cheese!!1"
        caller
            .slip(&Call::get("/menu/pizzas?q=the%20one%20w%2F%20cheese%21%211"), StatusCode::BAD_REQUEST)
            .await?;
    }
    caller.get("/menu/pizzas?q=Mar", |answer| answer.json()[0]["name"] == "Margherita").await?;
    // Whether the function is awake or not: it answers in time.
    let basket = json!({ "items": [1, 2] });
    caller.post("/functions/suggest", &basket, StatusCode::OK, |answer| answer.json()["pizza"] == 3).await?;
    let order = json!({ "items": [{ "pizza": 1, "quantity": 1 }, { "pizza": 2, "quantity": 1 }] });
    let placed =
        caller.post("/orders/", &order, StatusCode::CREATED, |answer| answer.json()["total"] == 13.5).await?;
    let score = json!({ "amount": 13.5 });
    caller
        .post("/fraud/scores", &score, StatusCode::OK, |answer| answer.json()["decision"] == "accept")
        .await?;
    let order = placed.json()["id"].clone();
    let payment = json!({ "order": order, "amount": 13.5, "method": "card" });
    caller
        .post("/payments/", &payment, StatusCode::CREATED, |answer| answer.json()["order"] == order)
        .await?;
    caller.tell("purchase", 13.5).await
}
