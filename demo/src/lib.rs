//! The pizza shop: services with the flaws that shops have, channels through which customers order, and attackers who
//! want something.
//!
//! The shop knows the gateway by its address alone ([`Gateway`]): what it shows is what anyone would see. Whether an
//! attack reached its goal is read from the shop's own data, never from an answer.
//!
//! ```text
//! channels (web, app, speaker, TV, …) ─┐                  ┌─► 15 services with contracts (axum, SQLite)
//!                                      ├─► gateway ───────┼─► pages (a small web site)
//! attacks (eleven families) ───────────┘   or naive relay └─► receipts (a lenient server written by hand)
//! ```

#![expect(
    clippy::indexing_slicing,
    reason = "JSON values are indexed by name: a missing member is null, not a panic"
)]

mod attacks;
mod channels;
mod client;
mod config;
mod data;
mod day;
mod idp;
mod naive;
mod run;
mod services;
mod shop;
mod summary;
mod tally;
mod view;

pub use attacks::Family;
pub use config::{FILES, config_yaml, tls};
pub use run::{BoxFuture, ChannelCount, DemoError, DemoOptions, Gateway, GatewaySetup, StartGateway, run};
pub use shop::Shop;
pub use summary::{AttackSummary, GatewayCount, Latency, Legitimate, LineSummary, Summary, Upstreams};
pub use view::{Size, size};
