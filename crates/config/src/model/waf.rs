//! Rules that look for attacks.

use std::path::PathBuf;

/// What is written of the guard on one level; `None` where it is said elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waf {
    /// Where rules come from.
    pub rules: Option<Vec<WafSource>>,
    /// The rules up to this level are asked, 1 to 4.
    pub paranoia: Option<u8>,
    /// The anomaly score at which a request is refused.
    pub inbound: Option<u64>,
    /// The anomaly score at which a response is refused.
    pub outbound: Option<u64>,
    /// What rules do not look at, beside what the levels above say.
    pub exclusions: Vec<WafExclusion>,
    /// Whether responses are looked at.
    pub responses: Option<bool>,
    /// Bytes of a request's body that are looked at.
    pub body: Option<u64>,
    /// What becomes of a longer one.
    pub at_limit: Option<AtLimit>,
}

/// Where rules come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WafSource {
    /// Those that come with the program.
    Builtin,
    /// A file, files by a pattern, or a folder.
    Path(PathBuf),
}

/// What becomes of a body that is longer than what rules look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AtLimit {
    /// It is refused.
    #[default]
    Reject,
    /// Its beginning is looked at.
    ProcessPartial,
}

/// What some rules do not look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct WafExclusion {
    /// Ids of rules.
    pub rules: Vec<u64>,
    /// Tags of rules.
    pub tags: Vec<String>,
    /// The name of a parameter; `*` stands for any letters.
    pub parameter: Option<String>,
    /// The name of a header.
    pub header: Option<String>,
    /// The name of a cookie.
    pub cookie: Option<String>,
    /// Why.
    pub reason: String,
}
