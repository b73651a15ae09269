//! The attackers. Each family wants something that can be seen in the shop's data, and tries again and again.

mod contract_violation;
mod forged_token;
mod no_key;
mod nosqli;
mod over_rate;
mod scanner;
mod smuggling;
mod sqli;
mod template_injection;
mod unknown_path;
mod xss;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde::{Serialize, Serializer};
use tokio::task::JoinSet;

use crate::channels::Floor;
use crate::client::{Call, Client, Device, Http};
use crate::data::Data;
use crate::shop::Shop;

/// What an attack is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Calls without a credential.
    NoKey,
    /// Calls with a token that nobody issued, or not for this.
    ForgedToken,
    /// More calls than one customer makes.
    OverRate,
    /// Calls to what is in no contract.
    UnknownPath,
    /// Calls that say what no contract allows to say.
    ContractViolation,
    /// Bytes that two parsers read differently.
    Smuggling,
    /// Text that goes on as SQL.
    Sqli,
    /// Conditions where a value is expected.
    Nosqli,
    /// Script for other customers' browsers.
    Xss,
    /// Text that the shop's templates evaluate.
    TemplateInjection,
    /// Requests for everything that may lie about.
    Scanner,
}

/// What the attackers' own client calls itself.
const CLIENT: &str = "pizza-tool";

/// What an attacker has.
#[derive(Clone)]
pub(crate) struct Attacker {
    family: Family,
    pub(crate) floor: Floor,
    pub(crate) shop: Arc<Shop>,
}

// === impl Family ===

impl Family {
    /// All families.
    pub const ALL: [Self; 11] = [
        Self::NoKey,
        Self::ForgedToken,
        Self::OverRate,
        Self::UnknownPath,
        Self::ContractViolation,
        Self::Smuggling,
        Self::Sqli,
        Self::Nosqli,
        Self::Xss,
        Self::TemplateInjection,
        Self::Scanner,
    ];

    /// The name in options and summaries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoKey => "no-key",
            Self::ForgedToken => "forged-token",
            Self::OverRate => "over-rate",
            Self::UnknownPath => "unknown-path",
            Self::ContractViolation => "contract-violation",
            Self::Smuggling => "smuggling",
            Self::Sqli => "sqli",
            Self::Nosqli => "nosqli",
            Self::Xss => "xss",
            Self::TemplateInjection => "template-injection",
            Self::Scanner => "scanner",
        }
    }

    /// What the attacker wants.
    pub fn goal(self) -> &'static str {
        match self {
            Self::NoKey => "an order that no customer placed",
            Self::ForgedToken => "another customer's name changed",
            Self::OverRate => "a hundred limited pizzas held by one customer within ten seconds",
            Self::UnknownPath => "a settlement nobody is entitled to",
            Self::ContractViolation => {
                "an order at a price of the attacker's choice, or an administrator's role"
            }
            Self::Smuggling => "a refund through the old receipts server",
            Self::Sqli => "other customers' passwords and addresses in its own account",
            Self::Nosqli => "the token of a customer whose password it does not know",
            Self::Xss => "a message with script in another customer's inbox",
            Self::TemplateInjection => "the shop's secret in a message",
            Self::Scanner => "a backup of the customers that lies about",
        }
    }

    /// How often the goal was reached, as the shop's own data shows.
    pub(crate) fn succeeded(self, data: &Data) -> u64 {
        data.number(match self {
            Self::NoKey => "SELECT count(*) FROM orders WHERE note LIKE 'no-key %'",
            Self::ForgedToken => "SELECT count(*) FROM customers WHERE name LIKE 'forged %'",
            Self::OverRate => {
                "SELECT count(*) / 100 FROM holds a WHERE customer = 'c059' AND
                    (SELECT count(*) FROM holds b WHERE b.customer = a.customer
                        AND b.at_ms BETWEEN a.at_ms - 10000 AND a.at_ms) >= 100"
            }
            Self::UnknownPath => "SELECT count(*) FROM settlements WHERE note LIKE 'unknown-path%'",
            Self::ContractViolation => {
                "SELECT (SELECT count(*) FROM orders WHERE note LIKE 'contract-violation%' AND total < 1)
                    + (SELECT count(*) FROM customers WHERE role = 'admin')"
            }
            Self::Smuggling => "SELECT count(*) FROM receipts WHERE kind = 'refund'",
            // A later try overwrites what an earlier one got: the last is as good as any.
            Self::Sqli => {
                "SELECT count(*) FROM customers WHERE name LIKE '%pepperoni-%' OR name LIKE '%@pizza.example%'
                    OR name LIKE '%CREATE TABLE%'"
            }
            Self::Nosqli => "SELECT count(*) FROM refreshing WHERE client = 'nosqli'",
            Self::Xss => "SELECT count(*) FROM messages WHERE text LIKE 'xss: <%'",
            Self::TemplateInjection => {
                "SELECT count(*) FROM messages WHERE text LIKE 'template-injection %oregano-and-a-pinch-of-salt%'"
            }
            Self::Scanner => "SELECT count(*) FROM downloads WHERE file = 'backup.sql'",
        })
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Family {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::as_str).join(", ");
        Self::ALL
            .into_iter()
            .find(|family| family.as_str() == text)
            .ok_or_else(|| format!("no family of attacks is named `{text}`: there are {known}"))
    }
}

impl Serialize for Family {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Lets these families loose.
pub(crate) fn let_loose(families: &[Family], floor: &Floor, shop: &Arc<Shop>) -> JoinSet<()> {
    let mut attacks = JoinSet::new();
    for family in families {
        let attacker = Attacker { family: *family, floor: floor.clone(), shop: shop.clone() };
        match family {
            Family::NoKey => attacks.spawn(no_key::run(attacker)),
            Family::ForgedToken => attacks.spawn(forged_token::run(attacker)),
            Family::OverRate => attacks.spawn(over_rate::run(attacker)),
            Family::UnknownPath => attacks.spawn(unknown_path::run(attacker)),
            Family::ContractViolation => attacks.spawn(contract_violation::run(attacker)),
            Family::Smuggling => attacks.spawn(smuggling::run(attacker)),
            Family::Sqli => attacks.spawn(sqli::run(attacker)),
            Family::Nosqli => attacks.spawn(nosqli::run(attacker)),
            Family::Xss => attacks.spawn(xss::run(attacker)),
            Family::TemplateInjection => attacks.spawn(template_injection::run(attacker)),
            Family::Scanner => attacks.spawn(scanner::run(attacker)),
        };
    }
    attacks
}

// === impl Attacker ===

impl Attacker {
    fn client(&self, last: u8, agent: &'static str) -> Client {
        let device = Device { agent, tls: None, http: Http::One, keeps: true };
        Client::new(self.floor.gate.clone(), [127, 0, 66, last], device)
    }

    /// A token as the attacker's own client gets it: of no channel of the shop's.
    fn token(&self, customer: usize) -> String {
        self.shop.token(customer, CLIENT)
    }

    /// Sends a call and counts it. Whether it reached anything is not read from the answer.
    async fn send(&self, client: &mut Client, method: Method, path: &str, body: impl Into<Bytes>) {
        let outcome = client.call(&Call::bytes(method, path, "application/json", body)).await;
        let blocked = outcome.is_err() || outcome.is_ok_and(|answer| answer.status.is_client_error());
        self.floor.tally.attacked(self.family, blocked);
    }

    /// Counts a try that was made on a bare socket.
    fn sent(&self, blocked: bool) {
        self.floor.tally.attacked(self.family, blocked);
    }

    async fn pause(&mut self, millis: u64) -> bool {
        self.floor.pause(millis).await
    }
}
