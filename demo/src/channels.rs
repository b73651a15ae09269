//! The legitimate channels, each with its own habits, devices, hours and errors. They check what they get: an order must
//! come back as it was placed. What goes wrong by habit (a slip of the finger, a token that has expired) is expected, and
//! must go wrong; everything else is a complaint.

mod app;
mod call_centre;
mod caller;
mod kiosk;
mod messenger;
mod partner;
mod speaker;
mod tv;
mod voice;
mod watch;
mod web;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch as flag;
use tokio::task::JoinSet;

use crate::client::Gate;
use crate::day::{Day, Hours};
use crate::tally::Tally;

pub(crate) use caller::Caller;

/// Customers of each channel; none is one whose credentials are stolen.
const WEB: std::ops::Range<usize> = 0..6;
const APP: std::ops::Range<usize> = 6..12;
const SPEAKER: std::ops::Range<usize> = 12..15;
const TV: std::ops::Range<usize> = 15..18;
const WATCH: std::ops::Range<usize> = 18..21;
const AGENTS: std::ops::Range<usize> = 21..24;
/// Conversations of the messenger bot, over one connection.
const CONVERSATIONS: usize = 4;
const KIOSKS: usize = 3;

/// All channels, by the name that the summary and the gateway use.
pub(crate) const NAMES: [&str; 10] =
    ["web", "app", "speaker", "tv", "messenger", "watch", "kiosk", "call-centre", "voice", "partner"];

/// What every channel has.
#[derive(Clone)]
pub(crate) struct Floor {
    pub(crate) gate: Arc<Gate>,
    pub(crate) tally: Tally,
    pub(crate) day: Day,
    /// Whether somebody looks after the shop; if not, nobody refuses slips and old tokens.
    pub(crate) protected: bool,
    /// True when the shop closes.
    pub(crate) closing: flag::Receiver<bool>,
}

/// The keys of those who are no customers.
pub(crate) struct Keys {
    pub(crate) partner: String,
    pub(crate) messenger: String,
    pub(crate) voice: String,
    pub(crate) kiosks: Vec<String>,
}

/// The collection of each key, and the name it is made for.
pub(crate) const COLLECTIONS: [(&str, &str); 6] = [
    ("delivery-partners", "nightly batch"),
    ("messenger-bots", "order bot"),
    ("voice-providers", "webhooks"),
    ("kiosks", "kiosk 1"),
    ("kiosks", "kiosk 2"),
    ("kiosks", "kiosk 3"),
];

/// Opens all channels.
pub(crate) fn open(floor: &Floor, keys: Keys) -> JoinSet<()> {
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
    for number in TV {
        channels.spawn(tv::sofa(floor.clone(), number));
    }
    for number in WATCH {
        channels.spawn(watch::customer(floor.clone(), number));
    }
    for number in AGENTS {
        channels.spawn(call_centre::agent(floor.clone(), number));
    }
    for (number, key) in keys.kiosks.into_iter().take(KIOSKS).enumerate() {
        channels.spawn(kiosk::device(floor.clone(), number, key));
    }
    channels.spawn(messenger::bot(floor.clone(), keys.messenger, CONVERSATIONS));
    channels.spawn(voice::provider(floor.clone(), keys.voice));
    channels.spawn(partner::batch(floor.clone(), keys.partner));
    channels
}

// === impl Floor ===

impl Floor {
    /// Waits; true when the shop closes meanwhile.
    pub(crate) async fn pause(&mut self, millis: u64) -> bool {
        let closing = self.closing.wait_for(|closing| *closing);
        tokio::time::timeout(Duration::from_millis(millis), closing).await.is_ok()
    }

    /// Waits as long as the channel does between two visits at this hour; true when the shop closes meanwhile.
    pub(crate) async fn between(&mut self, millis: u64, hours: &Hours) -> bool {
        // At most this much of the wait lies at one hour's pace.
        const STEP: u64 = 100;
        let mut left = millis * 100;
        while left > 0 {
            if self.pause(STEP).await {
                return true;
            }
            left = left.saturating_sub(STEP * self.day.pace(hours, Instant::now()));
        }
        false
    }
}

// === impl Keys ===

impl Keys {
    /// The keys of [`COLLECTIONS`], in its order.
    pub(crate) fn new(keys: Vec<String>) -> Option<Self> {
        let mut keys = keys.into_iter();
        Some(Self {
            partner: keys.next()?,
            messenger: keys.next()?,
            voice: keys.next()?,
            kiosks: keys.collect(),
        })
    }
}
