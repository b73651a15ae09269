//! Rules as they are run: defaults applied, updates and removals done, names resolved.

use std::sync::Arc;

use crate::ast::{Ctl, EngineMode, SetVar};
use crate::error::Place;
use crate::macros::Macro;
use crate::names::{Collection, Severity, Transform};
use crate::operator::Operator;
use crate::pattern::Pattern;
use crate::vars::Vars;

/// How many phases there are.
pub(crate) const PHASES: usize = 5;

/// What the transaction is run against.
#[derive(Debug)]
pub(crate) struct Program {
    /// In the order they were written.
    pub(crate) rules: Vec<Rule>,
    /// For each phase the indices of its rules that can match at all.
    pub(crate) phases: [Vec<u32>; PHASES],
    /// What TX holds when the first rule runs that depends on the transaction.
    pub(crate) initial: Arc<Vars>,
    pub(crate) settings: Settings,
}

/// One rule, or a chain of them.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: u64,
    pub(crate) phase: u8,
    pub(crate) place: Place,
    pub(crate) links: Vec<Link>,
    pub(crate) outcome: Outcome,
    pub(crate) status: u16,
    pub(crate) log: bool,
    pub(crate) audit: bool,
    pub(crate) msg: Option<Macro>,
    pub(crate) logdata: Option<Macro>,
    pub(crate) severity: Option<Severity>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) notes: Vec<(&'static str, String)>,
    /// Where the phase goes on when the rule matches: a position in its list.
    pub(crate) jump: Option<u32>,
    pub(crate) fold: Fold,
}

/// A tag, and its text when that is always the same.
#[derive(Clone, Debug)]
pub(crate) enum Tag {
    Constant(Arc<str>),
    Filled(Macro),
}

/// What is known of a rule before any transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    /// Nothing: it has to be asked.
    Open,
    /// It always matches.
    Always,
    /// It never matches, or its effects are part of [`Program::initial`]: it is in no phase.
    Gone,
}

/// What a match makes of the transaction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Pass,
    Deny,
    Drop,
    Redirect(Macro),
    Allow(crate::ast::Allow),
}

/// One link of a chain.
#[derive(Debug)]
pub(crate) struct Link {
    /// Empty for `SecAction`, which always matches.
    pub(crate) targets: Vec<Looked>,
    pub(crate) steps: Vec<Transform>,
    /// Ask after each transformation, not only after the last.
    pub(crate) multi: bool,
    pub(crate) operator: Operator,
    pub(crate) negated: bool,
    pub(crate) capture: bool,
    pub(crate) effects: Vec<Effect>,
}

/// One thing a rule looks at, or keeps from looking at.
#[derive(Clone, Debug)]
pub(crate) struct Looked {
    pub(crate) exclude: bool,
    pub(crate) count: bool,
    pub(crate) collection: Collection,
    pub(crate) which: Selection,
}

/// Which values of a collection.
#[derive(Clone, Debug)]
pub(crate) enum Selection {
    All,
    /// In lower case.
    Key(Vec<u8>),
    Pattern(Pattern),
    XmlText,
    XmlAttributes,
}

/// What a match of a link does, chain completed or not.
#[derive(Debug)]
pub(crate) enum Effect {
    Set(SetVar),
    Expire {
        collection: Collection,
        key: Macro,
        seconds: Macro,
    },
    Ctl(Ctl),
    /// As `ctl:ruleRemoveTarget…`, its target compiled.
    RemoveTarget {
        rules: Vec<u32>,
        target: Looked,
    },
    /// As `ctl:ruleRemoveBy…`.
    RemoveRules(Vec<u32>),
    Init(Collection, Macro),
}

/// What directives set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `SecRuleEngine`
    pub mode: EngineMode,
    /// `SecRequestBodyAccess`. On unless a file says otherwise: a body nobody looks at is where attacks are put.
    pub request_body: bool,
    /// `SecResponseBodyAccess`. Off unless a file says otherwise: phase 4 needs the whole response first.
    pub response_body: bool,
    /// `SecResponseBodyMimeType`, in lower case
    pub response_types: Vec<String>,
    /// `SecRequestBodyLimit`, in bytes
    pub request_body_limit: usize,
    /// `SecRequestBodyNoFilesLimit`, in bytes: of a body without its uploads
    pub request_body_no_files_limit: usize,
    /// `SecRequestBodyLimitAction`: refuse what is larger, rather than judge its beginning
    pub request_body_reject: bool,
    /// `SecResponseBodyLimit`, in bytes
    pub response_body_limit: usize,
    /// `SecResponseBodyLimitAction`
    pub response_body_reject: bool,
    /// `SecRequestBodyJsonDepthLimit`: of JSON and of XML
    pub depth: usize,
    /// `SecArgumentsLimit`: of arguments, cookies and headers each
    pub arguments: usize,
    /// `SecUploadFileLimit`: of the parts of a multipart body that are files
    pub uploads: usize,
    /// `SecArgumentSeparator`
    pub separator: u8,
    /// `SecCookieV0Separator`
    pub cookie_separator: u8,
    /// `SecCollectionTimeout`, in seconds
    pub collection_timeout: u64,
    /// `SecWebAppId`
    pub web_app: String,
    /// `SecComponentSignature`
    pub signature: Vec<String>,
}

// === impl Rule ===

impl Rule {
    /// Whether a match does nothing but jump.
    pub(crate) fn is_mere_gate(&self) -> bool {
        !self.log
            && !self.audit
            && self.outcome == Outcome::Pass
            && self.links.iter().all(|link| link.effects.is_empty())
    }
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: EngineMode::On,
            request_body: true,
            response_body: false,
            response_types: vec!["text/plain".to_owned(), "text/html".to_owned()],
            // ModSecurity recommends 12.5 MiB with files, 128 KiB without; a gateway sees larger JSON than that.
            request_body_limit: 13_107_200,
            request_body_no_files_limit: 1 << 20,
            request_body_reject: true,
            response_body_limit: 512 << 10,
            response_body_reject: false,
            // Deeper than any schema in use; a parser that recursed would overflow its stack in the thousands.
            depth: 128,
            // ModSecurity's own default.
            arguments: 1_000,
            uploads: 100,
            separator: b'&',
            cookie_separator: b';',
            collection_timeout: 3_600,
            web_app: "default".to_owned(),
            signature: Vec::new(),
        }
    }
}

// === impl Selection ===

impl Selection {
    /// Whether a name is chosen. `folded` is it in lower case.
    pub(crate) fn takes(&self, name: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Key(key) => key.eq_ignore_ascii_case(name),
            Self::Pattern(pattern) => pattern.is_match(name),
            Self::XmlText => name == XML_TEXT,
            Self::XmlAttributes => name == XML_ATTRIBUTE,
        }
    }
}

/// Names of the values in `XML`.
pub(crate) const XML_TEXT: &[u8] = b"/*";
pub(crate) const XML_ATTRIBUTE: &[u8] = b"//@*";
