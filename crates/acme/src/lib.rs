//! Certificates that the gateway gets for itself (ACME, RFC 8555), and what can be told of any certificate.
//!
//! ```text
//! snapshot ──► Managed (what is wanted) ──► Acme::serve ──► thread: order, challenge, certificate ──► file
//!                 └─► Slot (what there is) ◄──────────────────────────────────────────────────────────┘
//! TLS layer, plaintext listeners ──► Challenges (what a server that validates is told)
//! ```
//!
//! - All of it happens on a thread of its own: no request waits for a certificate authority.
//! - A certificate is served from the moment it is there. The one before it stays until then, whatever fails.
//! - Renewal begins at two thirds of a certificate's life; failures back off, with jitter ([`schedule`]).
//! - Account keys and certificates lie in the data directory, for its owner only, each written whole or not at all.
//!
//! The protocol is `instant-acme`'s; its bytes travel over the gateway's own client ([`haechi_upstream`]), so there is
//! one TLS stack and one place where anything leaves.

mod acme;
mod certificate;
mod challenges;
mod courier;
mod files;
mod order;
pub mod schedule;

pub use acme::{Acme, Managed, Notice, Slot, SlotStatus};
pub use certificate::{Certified, Facts};
pub use challenges::{Challenges, TLS_ALPN};
pub use order::{Challenge, Wanted};
