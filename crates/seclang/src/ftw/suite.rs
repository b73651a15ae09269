//! The files of a suite.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

/// The tests of one rule.
#[derive(Debug, Deserialize)]
pub struct Suite {
    /// The rule that is tested.
    pub rule_id: u64,
    pub(super) tests: Vec<Test>,
    pub(super) meta: Option<Meta>,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct Meta {
    enabled: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Test {
    pub(super) test_id: u64,
    pub(super) stages: Vec<Stage>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Stage {
    pub(super) input: Input,
    pub(super) output: Output,
}

/// What is sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Input {
    pub(super) dest_addr: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) method: Option<String>,
    pub(super) uri: Option<String>,
    pub(super) version: Option<String>,
    pub(super) headers: Pairs,
    pub(super) ordered_headers: Vec<Pair>,
    pub(super) data: Option<String>,
    pub(super) encoded_data: Option<String>,
    pub(super) encoded_request: Option<String>,
    pub(super) autocomplete_headers: Option<bool>,
    pub(super) stop_magic: Option<bool>,
}

/// A header, where order and repetition matter.
#[derive(Debug, Deserialize)]
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) value: String,
}

/// Headers in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Pairs(pub(super) Vec<(String, String)>);

/// What should happen.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Output {
    pub(super) status: Option<u16>,
    pub(super) log: Option<Log>,
    pub(super) expect_error: Option<bool>,
    /// Stages of a server may need a second try; here nothing is left to chance.
    pub(super) retry_once: Option<bool>,
    pub(super) isolated: Option<bool>,
}

/// What should be logged.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Log {
    pub(super) expect_ids: Vec<u64>,
    pub(super) no_expect_ids: Vec<u64>,
    pub(super) match_regex: Option<String>,
    pub(super) no_match_regex: Option<String>,
}

/// What an engine does otherwise by design, and why.
#[derive(Debug, Default, Deserialize)]
pub struct Overrides {
    #[serde(default)]
    test_overrides: Vec<Override>,
}

#[derive(Debug, Deserialize)]
struct Override {
    rule_id: u64,
    test_ids: Vec<u64>,
    reason: String,
    output: Option<Output>,
}

/// A file that is no suite.
#[derive(Debug)]
pub struct SuiteError(String);

// === impl Suite ===

impl Suite {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// What makes it no suite.
    pub fn parse(text: &str) -> Result<Self, SuiteError> {
        // A file may hold tests that are all commented out.
        let says = |line: &str| !matches!(line.trim(), "" | "---") && !line.trim_start().starts_with('#');
        if !text.lines().any(says) {
            return Ok(Self { rule_id: 0, tests: Vec::new(), meta: None });
        }
        serde_saphyr::from_str(text).map_err(|error| SuiteError(error.to_string()))
    }

    /// Whether it is meant to run at all.
    pub(super) fn enabled(&self) -> bool {
        self.meta.as_ref().is_none_or(|meta| meta.enabled)
    }

    /// How many stages it has.
    #[must_use]
    pub fn stages(&self) -> usize {
        self.tests.iter().map(|test| test.stages.len()).sum()
    }
}

// === impl Meta ===

impl Default for Meta {
    fn default() -> Self {
        Self { enabled: true }
    }
}

// === impl Overrides ===

impl Overrides {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// What makes it no overrides file.
    pub fn parse(text: &str) -> Result<Self, SuiteError> {
        serde_saphyr::from_str(text).map_err(|error| SuiteError(error.to_string()))
    }

    /// Every test that is overridden, with the reason.
    pub fn reasons(&self) -> impl Iterator<Item = (String, &str)> {
        self.test_overrides.iter().flat_map(|one| {
            one.test_ids.iter().map(|test| (format!("{}-{test}", one.rule_id), one.reason.as_str()))
        })
    }

    /// What is expected instead, if anything is, of a test that is overridden.
    pub(super) fn of(&self, rule: u64, test: u64) -> Option<Option<&Output>> {
        let found =
            self.test_overrides.iter().find(|one| one.rule_id == rule && one.test_ids.contains(&test));
        found.map(|one| one.output.as_ref())
    }
}

// === impl SuiteError ===

impl fmt::Display for SuiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SuiteError {}

// === impl Pairs ===

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("headers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Option<String>>()? {
                    pairs.push((name, value.unwrap_or_default()));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
