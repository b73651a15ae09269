//! The legitimate channels, each with its own habits. They check what they get: an order must come back as it was placed.

mod app;
mod partner;
mod speaker;
mod web;

use std::net::SocketAddr;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::{Answer, Client};
use crate::data::{customer, password};
use crate::tally::{Complaint, Tally};

/// Customers of each channel; none is the one whose credentials are stolen.
const WEB: std::ops::Range<usize> = 0..6;
const APP: std::ops::Range<usize> = 10..16;
const SPEAKER: std::ops::Range<usize> = 20..23;

/// What every channel has.
#[derive(Clone)]
pub(crate) struct Floor {
    pub(crate) gateway: SocketAddr,
    pub(crate) tally: Tally,
    /// True when the shop closes.
    pub(crate) closing: watch::Receiver<bool>,
}

/// One caller of a channel, who complains when something is wrong.
pub(crate) struct Caller {
    channel: &'static str,
    floor: Floor,
    pub(crate) client: Client,
}

/// Opens all channels.
pub(crate) fn open(floor: &Floor, partner_key: String) -> JoinSet<()> {
    let mut channels = JoinSet::new();
    for number in WEB {
        channels.spawn(web::customer(floor.clone(), number));
    }
    for number in APP {
        channels.spawn(app::customer(floor.clone(), number));
    }
    for number in SPEAKER {
        channels.spawn(speaker::customer(floor.clone(), number));
    }
    channels.spawn(partner::batch(floor.clone(), partner_key));
    channels
}

// === impl Floor ===

impl Floor {
    /// Waits; true when the shop closes meanwhile.
    pub(crate) async fn pause(&mut self, millis: u64) -> bool {
        let closing = self.closing.wait_for(|closing| *closing);
        tokio::time::timeout(Duration::from_millis(millis), closing).await.is_ok()
    }
}

// === impl Caller ===

impl Caller {
    pub(crate) fn new(floor: Floor, channel: &'static str, source: [u8; 4], agent: &'static str) -> Self {
        let client = Client::new(floor.gateway, source, agent);
        Self { channel, floor, client }
    }

    pub(crate) async fn pause(&mut self, millis: u64) -> bool {
        self.floor.pause(millis).await
    }

    /// Signs in as a customer.
    pub(crate) async fn sign_in(&mut self, number: usize) -> Option<()> {
        let body = serde_json::json!({ "email": customer(number).1, "password": password(number) });
        let answer = self.post("/accounts/sign-in", &body, StatusCode::OK, |_| true).await?;
        self.client.token(answer.json()["token"].as_str().unwrap_or_default());
        Some(())
    }

    pub(crate) async fn get(&mut self, path: &str, is_right: impl FnOnce(&Answer) -> bool) -> Option<Answer> {
        let outcome = self.client.get(path).await;
        self.judge(&Method::GET, path, StatusCode::OK, outcome, is_right)
    }

    pub(crate) async fn post(
        &mut self,
        path: &str,
        body: &Value,
        status: StatusCode,
        is_right: impl FnOnce(&Answer) -> bool,
    ) -> Option<Answer> {
        let outcome = self.client.post(path, body).await;
        self.judge(&Method::POST, path, status, outcome, is_right)
    }

    /// Counts a call, and what there is to complain about.
    pub(crate) fn judge(
        &self,
        method: &Method,
        path: &str,
        status: StatusCode,
        outcome: Result<Answer, String>,
        is_right: impl FnOnce(&Answer) -> bool,
    ) -> Option<Answer> {
        let (answer, complaint) = match outcome {
            Err(error) => (None, Some(Complaint::Wrong(format!("{method} {path}: {error}")))),
            Ok(answer) if answer.status == status && is_right(&answer) => (Some(answer), None),
            Ok(answer) => {
                let text = String::from_utf8_lossy(&answer.body).chars().take(200).collect::<String>();
                let text = format!("{method} {path}: {} {text}", answer.status);
                let refused = answer.status.is_client_error();
                let complaint = if refused { Complaint::Refused(text) } else { Complaint::Wrong(text) };
                self.floor.tally.answered(self.channel, answer.took, Some(complaint));
                return None;
            }
        };
        let took = answer.as_ref().map_or(Duration::ZERO, |answer| answer.took);
        self.floor.tally.answered(self.channel, took, complaint);
        answer
    }
}
