//! What a rule file says, before anything is made of it.

use std::fmt;

use crate::error::Place;
use crate::macros::Macro;
use crate::names::{BodyProcessor, Collection, OperatorName, Severity, Transform};

/// One directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Where it begins.
    pub place: Place,
    /// What it says.
    pub statement: Statement,
}

/// What a directive says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// `SecRule TARGETS TEST ACTIONS`
    Rule {
        /// What is looked at.
        targets: Vec<Target>,
        /// What is asked of it.
        test: Test,
        /// What is done when it holds.
        actions: Vec<Action>,
    },
    /// `SecAction ACTIONS`
    Action(Vec<Action>),
    /// `SecMarker NAME`
    Marker(String),
    /// `SecDefaultAction ACTIONS`
    Default(Vec<Action>),
    /// `Include GLOB`
    Include(String),
    /// `SecRuleRemoveBy…`
    Remove(Vec<Which>),
    /// `SecRuleUpdateTargetBy…`
    UpdateTargets(Which, Vec<Target>),
    /// `SecRuleUpdateActionById`
    UpdateActions(Which, Vec<Action>),
    /// Any other directive, by its canonical name.
    Setting(&'static str, Vec<String>),
}

/// Which rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// From, to: both included.
    Ids(u64, u64),
    /// That have this tag.
    Tag(Vec<u8>),
    /// That have this message.
    Msg(Vec<u8>),
}

/// One element of a rule's variables: `&REQUEST_HEADERS:Host`, `!ARGS:/^x/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `!`: what the rule does not look at.
    pub exclude: bool,
    /// `&`: how many there are, rather than what they are.
    pub count: bool,
    /// Where to look.
    pub collection: Collection,
    /// Which of its values.
    pub selector: Selector,
}

/// Which values of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// All of them.
    All,
    /// Those of this name, without regard to case.
    Key(Vec<u8>),
    /// Those whose name matches, without regard to case.
    Pattern(Vec<u8>),
    /// `XML:/*`: the text of the document.
    XmlText,
    /// `XML://@*`: the values of its attributes.
    XmlAttributes,
}

/// What is asked of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// Where.
    pub place: Place,
    /// `!`: the rule matches where the operator does not.
    pub negated: bool,
    /// The operator.
    pub operator: OperatorName,
    /// Its argument.
    pub argument: Vec<u8>,
}

/// One action of a rule, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Where.
    pub place: Place,
    /// What.
    pub kind: ActionKind,
}

/// What an action does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionKind {
    /// `id:1`
    Id(u64),
    /// `phase:2`, 1 to 5
    Phase(u8),
    /// `deny`, `pass`, `block` …
    Disruptive(Disruptive),
    /// `status:403`
    Status(u16),
    /// `t:none` is `None`
    Transform(Option<Transform>),
    /// `setvar:tx.a=+1`
    SetVar(SetVar),
    /// `expirevar:ip.a=60`
    ExpireVar {
        /// Which collection.
        collection: Collection,
        /// The variable's name.
        key: Macro,
        /// For how many seconds it is kept.
        seconds: Macro,
    },
    /// `ctl:ruleEngine=Off`
    Ctl(Ctl),
    /// `initcol:ip=%{REMOTE_ADDR}`, `setsid`, `setuid`, `setrsc`
    InitCol(Collection, Macro),
    /// `capture`
    Capture,
    /// `multiMatch`
    MultiMatch,
    /// `chain`
    Chain,
    /// `skipAfter:NAME`
    SkipAfter(String),
    /// `skip:2`
    Skip(u32),
    /// `log`, `nolog`
    Log(bool),
    /// `auditlog`, `noauditlog`
    AuditLog(bool),
    /// `msg:'…'`
    Msg(Macro),
    /// `logdata:'…'`
    LogData(Macro),
    /// `tag:'…'`
    Tag(Macro),
    /// `severity:CRITICAL`
    Severity(Severity),
    /// `ver`, `rev`, `maturity`, `accuracy`: told with a match, nothing else.
    Note(&'static str, String),
}

/// What becomes of the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disruptive {
    /// Nothing: go on.
    Pass,
    /// What the phase's default action says.
    Block,
    /// It is refused with a status.
    Deny,
    /// The connection is closed.
    Drop,
    /// It is sent elsewhere.
    Redirect(Macro),
    /// No further rule is asked: in this phase, in the request, or at all.
    Allow(Allow),
}

/// How far `allow` reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allow {
    /// The phase.
    Phase,
    /// Phases 1 and 2.
    Request,
    /// All phases but the last.
    All,
}

/// `setvar:COLLECTION.KEY=VALUE`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetVar {
    /// Which collection.
    pub collection: Collection,
    /// The variable's name.
    pub key: Macro,
    /// What becomes of it.
    pub change: Change,
}

/// What becomes of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is this.
    Set(Macro),
    /// This is added to it.
    Add(Macro),
    /// This is taken from it.
    Subtract(Macro),
    /// It is removed.
    Unset,
}

/// What a rule changes in how the transaction is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ctl {
    /// `ruleEngine`
    RuleEngine(EngineMode),
    /// `requestBodyAccess`
    RequestBodyAccess(bool),
    /// `responseBodyAccess`
    ResponseBodyAccess(bool),
    /// `requestBodyProcessor`
    RequestBodyProcessor(BodyProcessor),
    /// `forceRequestBodyVariable`
    ForceRequestBodyVariable(bool),
    /// `auditEngine`: whether the host should keep a record
    AuditEngine(bool),
    /// `ruleRemoveById`, `ruleRemoveByTag`, `ruleRemoveByMsg`
    RemoveRules(Which),
    /// `ruleRemoveTargetById`, `…ByTag`, `…ByMsg`
    RemoveTargets(Which, Target),
}

/// Whether rules are asked, and whether what they say counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineMode {
    /// Rules are asked and their word counts.
    On,
    /// Rules are asked; nothing is refused.
    DetectionOnly,
    /// No rule is asked.
    Off,
}

// === impl Target ===

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.exclude {
            f.write_str("!")?;
        }
        if self.count {
            f.write_str("&")?;
        }
        f.write_str(self.collection.name())?;
        match &self.selector {
            Selector::All => Ok(()),
            Selector::Key(key) => write!(f, ":{}", String::from_utf8_lossy(key)),
            Selector::Pattern(pattern) => write!(f, ":/{}/", String::from_utf8_lossy(pattern)),
            Selector::XmlText => f.write_str(":/*"),
            Selector::XmlAttributes => f.write_str("://@*"),
        }
    }
}
