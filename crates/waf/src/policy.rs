//! Which rules hold for an operation, and what is different from their files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use haechi_seclang::{Loader, RuleError, RuleErrors, Rules, Store};

use crate::sources;

/// The ids of the rules that a policy becomes: above those that vendors reserve, so that no file has them.
const OWN: u64 = 4_294_000_000;

/// The names of what a policy becomes, in messages.
const SETUP: &str = "paranoia and threshold";
const EXCLUSIONS: &str = "exclusions";
const LIMITS: &str = "limits";

/// What rules see of responses unless a file says otherwise: what APIs and pages answer.
const RESPONSE_TYPES: &str = "text/plain text/html text/xml application/json application/problem+json";

/// The longest response that rules look at, in bytes. Whoever reads it whole knows the limit.
const RESPONSE: u64 = 1024 * 1024;

/// Which rules hold, and what is different from their files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// In the order in which they are read.
    pub rules: Vec<Source>,
    /// The rules up to this level are asked, 1 to 4; as the files say if not set.
    pub paranoia: Option<u8>,
    /// The anomaly score at which a request is refused; as the files say if not set.
    pub inbound: Option<u64>,
    /// The anomaly score at which a response is refused; as the files say if not set.
    pub outbound: Option<u64>,
    /// What rules do not look at.
    pub exclusions: Vec<Exclusion>,
    /// Whether responses are looked at.
    pub responses: bool,
    /// Bytes of a request's body that are looked at.
    pub body: u64,
    /// What becomes of a longer one.
    pub at_limit: AtLimit,
}

/// Where rules come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The rules that come with the program.
    Builtin,
    /// A file, files by a pattern of `*` and `?`, or a folder.
    Path(PathBuf),
}

/// What becomes of a body that is longer than what is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtLimit {
    /// It is refused.
    Reject,
    /// Its beginning is looked at.
    ProcessPartial,
}

/// What some rules do not look at; without a name, these rules are not asked at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclusion {
    /// Ids of rules.
    pub rules: Vec<u64>,
    /// Tags of rules.
    pub tags: Vec<String>,
    /// The name of a parameter of query, form or document. `*` stands for any letters.
    pub parameter: Option<String>,
    /// The name of a header.
    pub header: Option<String>,
    /// The name of a cookie.
    pub cookie: Option<String>,
}

/// Rules, ready to be asked. Shared by all operations with the same policy.
#[derive(Debug)]
pub struct Waf {
    pub(crate) rules: Arc<Rules>,
    policy: Policy,
}

/// Why a policy cannot be used.
#[derive(Debug)]
pub enum PolicyError {
    /// A source holds no rules.
    Source {
        /// Its place in the policy.
        index: usize,
        /// What is wrong with it.
        message: String,
    },
    /// Rule files hold mistakes.
    Rules(RuleErrors),
    /// Exclusions speak of what is not there: their places in the policy, and what is wrong.
    Exclusions(Vec<(usize, String)>),
}

// === impl Waf ===

impl Waf {
    /// Reads the rules of a policy. Collections are kept in `store`.
    ///
    /// # Errors
    /// Every mistake that can be found at once.
    pub fn compile(policy: &Policy, loader: &dyn Loader, store: Arc<dyn Store>) -> Result<Self, PolicyError> {
        // Nothing for the rules that come with the program.
        let mut parts: Vec<Option<PathBuf>> = Vec::new();
        for (index, source) in policy.rules.iter().enumerate() {
            match source {
                Source::Builtin => parts.push(None),
                Source::Path(path) => parts.extend(
                    files_of(path, loader)
                        .map_err(|message| PolicyError::Source { index, message })?
                        .into_iter()
                        .map(Some),
                ),
            }
        }
        let mut rules = Rules::builder(loader)
            .store(store)
            .text(LIMITS, format!("SecResponseBodyMimeType {RESPONSE_TYPES}\n"));
        let is_setup = |part: &Option<PathBuf>| part.as_deref().is_some_and(sources::is_setup);
        let after = parts.iter().rposition(is_setup).map_or(0, |at| at + 1);
        for (index, part) in parts.iter().enumerate() {
            if index == after {
                rules = rules.text(SETUP, policy.setup());
            }
            rules = match part {
                Some(file) => rules.path(file),
                None => haechi_waf_rules::add(rules),
            };
        }
        let rules = rules.text(EXCLUSIONS, policy.removals()).text(LIMITS, policy.limits()).build();
        let rules = rules.map_err(PolicyError::Rules)?;
        let unknown: Vec<_> = rules
            .notices()
            .iter()
            .filter(|notice| *notice.place.file == *EXCLUSIONS && notice.message.ends_with("updated"))
            .map(|notice| (policy.exclusion_at(notice.place.line), what(&notice.message)))
            .collect();
        if !unknown.is_empty() {
            return Err(PolicyError::Exclusions(unknown));
        }
        Ok(Self { rules, policy: policy.clone() })
    }

    /// What it was made from.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.ids().filter(|id| *id < OWN).count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The part of a notice that says what is not there.
fn what(message: &str) -> String {
    message.split(": nothing").next().unwrap_or(message).to_owned()
}

fn files_of(path: &Path, loader: &dyn Loader) -> Result<Vec<PathBuf>, String> {
    match sources::files(path, loader) {
        Ok(files) if files.is_empty() => Err(format!("no file matches `{}`", path.display())),
        Ok(files) => Ok(files),
        Err(error) => Err(format!("`{}` cannot be listed: {error}", path.display())),
    }
}

// === impl Policy ===

impl Policy {
    /// What is set beside the files. It stands after those that set up a rule set, and before the rules.
    fn setup(&self) -> String {
        let mut all = Vec::new();
        if let Some(level) = self.paranoia {
            all.push(format!("blocking_paranoia_level={level}"));
            all.push(format!("detection_paranoia_level={level}"));
        }
        if let Some(score) = self.inbound {
            all.push(format!("inbound_anomaly_score_threshold={score}"));
            // The built-in rules have one threshold.
            all.push(format!("haechi_threshold={score}"));
        }
        all.extend(self.outbound.map(|score| format!("outbound_anomaly_score_threshold={score}")));
        if all.is_empty() {
            return String::new();
        }
        let variables: Vec<_> = all.iter().map(|one| format!("setvar:tx.{one}")).collect();
        format!("SecAction \"id:{OWN},phase:1,pass,nolog,{}\"\n", variables.join(","))
    }

    /// The exclusions: one line for each id and tag, two where rules are not asked at all.
    fn removals(&self) -> String {
        self.exclusions.iter().flat_map(Exclusion::lines).collect()
    }

    /// The exclusion that became this line.
    fn exclusion_at(&self, line: u32) -> usize {
        let mut left = usize::try_from(line).unwrap_or(usize::MAX);
        for (index, exclusion) in self.exclusions.iter().enumerate() {
            let lines: usize = exclusion.lines().map(|lines| lines.lines().count()).sum();
            if left <= lines {
                return index;
            }
            left -= lines;
        }
        self.exclusions.len().saturating_sub(1)
    }

    /// What the gateway decides, whatever files say. How far the guard may go is its mode, which is applied elsewhere.
    fn limits(&self) -> String {
        let mut out = String::from("SecRuleEngine On\nSecRequestBodyAccess On\n");
        let action = match self.at_limit {
            AtLimit::Reject => "Reject",
            AtLimit::ProcessPartial => "ProcessPartial",
        };
        let body = self.body;
        let _ = write!(
            out,
            "SecRequestBodyLimit {body}\nSecRequestBodyNoFilesLimit {body}\nSecRequestBodyLimitAction {action}\n\
             SecResponseBodyAccess {}\nSecResponseBodyLimit {RESPONSE}\nSecResponseBodyLimitAction ProcessPartial\n",
            if self.responses { "On" } else { "Off" },
        );
        out
    }
}

// === impl Exclusion ===

impl Exclusion {
    fn lines(&self) -> impl Iterator<Item = String> {
        let targets = self.targets();
        let line = move |by: &str, which: String| match &targets {
            // That nothing is removed may be due to another exclusion; that nothing is updated is due to there being no such rule.
            None => format!("SecRuleUpdateTargetBy{by} {which} \"!TX:0\"\nSecRuleRemoveBy{by} {which}\n"),
            Some(targets) => format!("SecRuleUpdateTargetBy{by} {which} \"{targets}\"\n"),
        };
        let ids = self.rules.iter().map(|id| ("Id", id.to_string()));
        let tags = self.tags.iter().map(|tag| ("Tag", format!("\"{tag}\"")));
        ids.chain(tags).map(move |(by, which)| line(by, which))
    }

    /// What is no longer looked at: values of this name, and the name.
    fn targets(&self) -> Option<String> {
        let of = |collections: &[&str], name: &Option<String>| {
            let name = pattern(name.as_deref()?);
            Some(collections.iter().map(|one| format!("!{one}:{name}")).collect::<Vec<_>>())
        };
        let arguments = ["ARGS", "ARGS_GET", "ARGS_POST", "ARGS_NAMES", "ARGS_GET_NAMES", "ARGS_POST_NAMES"];
        let all = [
            of(&arguments, &self.parameter),
            of(&["REQUEST_HEADERS", "REQUEST_HEADERS_NAMES"], &self.header),
            of(&["REQUEST_COOKIES", "REQUEST_COOKIES_NAMES"], &self.cookie),
        ];
        let all: Vec<_> = all.into_iter().flatten().flatten().collect();
        (!all.is_empty()).then(|| all.join("|"))
    }
}

/// A name as rules write it; with stars, as a pattern.
fn pattern(name: &str) -> String {
    if !name.contains('*') {
        return name.to_owned();
    }
    let mut out = String::from("/^");
    for letter in name.chars() {
        match letter {
            '*' => out.push_str(".*"),
            letter if letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-') => out.push(letter),
            letter => out.extend(['\\', letter]),
        }
    }
    out.push_str("$/");
    out
}

// === impl PolicyError ===

impl PolicyError {
    /// The mistakes in rule files.
    pub fn rules(&self) -> &[RuleError] {
        match self {
            Self::Rules(errors) => errors.list(),
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests;
