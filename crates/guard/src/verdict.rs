//! What a guard answers, and why.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

/// What a guard says of one exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing against it.
    Allow,
    /// Refuse. In [`Mode::Observe`](crate::Mode::Observe) the call goes on and this is recorded.
    Deny(Box<Denial>),
}

/// One fact behind a verdict. Written to the event and shown by `haechi why`; never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable kebab-case word, unique within the guard: `key-revoked`, `rate-exceeded`, `schema`.
    pub code: Cow<'static, str>,
    /// One sentence for a person: what was seen and what was expected.
    pub detail: String,
    /// Where: a JSON pointer into the body, a parameter or header name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The rule behind it: a pointer into the contract, a plan's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// A refusal: what the caller is told (status, detail, headers) and why (reasons, for the event).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The response's status.
    pub status: StatusCode,
    /// The kind of problem: last segment of the problem `type` URI (RFC 9457), kebab-case.
    pub problem: &'static str,
    /// What the caller is told. Helps an honest client, tells nothing else.
    pub detail: Cow<'static, str>,
    /// Headers the refusal carries: `WWW-Authenticate`, `Retry-After`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Why, for the event. Not sent to the caller unless `disclose` is set.
    pub reasons: Vec<Reason>,
    /// Whether the reasons are part of the problem's `errors` member. True for contract violations, which an
    /// honest client needs to mend its call; false for credentials.
    pub disclose: bool,
    /// What may be done before the guard is asked once more.
    pub remedy: Option<Remedy>,
}

/// Something the edge can do, after which the same guard may answer differently. Guards do no I/O themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Fetch the signing keys of this identity: the token names a key that is not among those known.
    RefreshKeys {
        /// The entry under `identity:`.
        identity: Arc<str>,
    },
}

// === impl Verdict ===

impl Verdict {
    /// The denial, if it is one.
    pub fn denial(self) -> Option<Box<Denial>> {
        match self {
            Self::Allow => None,
            Self::Deny(denial) => Some(denial),
        }
    }
}

impl From<Denial> for Verdict {
    fn from(denial: Denial) -> Self {
        Self::Deny(Box::new(denial))
    }
}

// === impl Reason ===

impl Reason {
    /// A reason without a place.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code: Cow::Borrowed(code), detail: detail.into(), at: None, rule: None }
    }

    /// The same reason, at this place.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.at = Some(place.into());
        self
    }

    /// The same reason, by this rule.
    #[must_use]
    pub fn rule(mut self, rule: impl Into<String>) -> Self {
        self.rule = Some(rule.into());
        self
    }
}

// === impl Denial ===

impl Denial {
    /// A refusal with one reason.
    pub fn new(
        status: StatusCode,
        problem: &'static str,
        detail: impl Into<Cow<'static, str>>,
        reason: Reason,
    ) -> Self {
        Self {
            status,
            problem,
            detail: detail.into(),
            headers: Vec::new(),
            reasons: vec![reason],
            disclose: false,
            remedy: None,
        }
    }

    /// The same refusal with this header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}
