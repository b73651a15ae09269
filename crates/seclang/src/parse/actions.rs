//! The actions of a rule: `id:1,phase:2,t:none,setvar:'tx.a=+1'`.

use super::lines::{Line, Word, unquote};
use super::{ids, targets};
use crate::ast::{Action, ActionKind, Allow, Change, Ctl, Disruptive, EngineMode, SetVar, Which};
use crate::error::{RuleError, nearest};
use crate::macros::Macro;
use crate::names::{BodyProcessor, Collection, Severity, Transform};

/// What is wrong with an action, and what to do about it.
type Wrong = (String, Option<String>);

/// Every action that rules may name.
const NAMES: &[&str] = &[
    "accuracy",
    "allow",
    "auditlog",
    "block",
    "capture",
    "chain",
    "ctl",
    "deny",
    "drop",
    "expirevar",
    "id",
    "initcol",
    "log",
    "logdata",
    "maturity",
    "msg",
    "multiMatch",
    "noauditlog",
    "nolog",
    "pass",
    "phase",
    "redirect",
    "rev",
    "setrsc",
    "setsid",
    "setuid",
    "setvar",
    "severity",
    "skip",
    "skipAfter",
    "status",
    "t",
    "tag",
    "ver",
];

/// Actions of ModSecurity that this engine does not do, and why.
const REFUSED: &[(&str, &str)] = &[
    ("append", "bodies are not rewritten"),
    ("prepend", "bodies are not rewritten"),
    ("deprecatevar", "use `expirevar`: a value that fades is not kept"),
    ("exec", "no programs are run"),
    ("pause", "nothing waits: use a limit of the gateway"),
    ("proxy", "requests are not sent elsewhere by rules: use `redirect` or `deny`"),
    ("sanitiseArg", "the host decides what of a match it writes down"),
    ("sanitiseMatched", "the host decides what of a match it writes down"),
    ("sanitiseMatchedBytes", "the host decides what of a match it writes down"),
    ("sanitiseRequestHeader", "the host decides what of a match it writes down"),
    ("sanitiseResponseHeader", "the host decides what of a match it writes down"),
    ("setenv", "there is no process environment to set"),
    ("xmlns", "paths with namespaces are not supported"),
];

/// One action as it is written: a range of the line for its name, and one for its value.
struct Raw {
    name: (usize, usize),
    value: Option<(usize, usize)>,
}

/// What is wrong goes to `errors`; what is right is returned.
pub(super) fn actions(line: &Line, word: Word, errors: &mut Vec<RuleError>) -> Vec<Action> {
    let mut list = Vec::new();
    for raw in split(line, word) {
        let place = line.place(raw.name.0);
        let name = String::from_utf8_lossy(slice(line, raw.name)).into_owned();
        let (value, at) = match raw.value {
            Some(range) => (Some(value(slice(line, range))), range.0),
            None => (None, raw.name.0),
        };
        match action(
            line,
            &name,
            value.as_deref(),
            Word { start: at, end: raw.value.map_or(at, |range| range.1) },
        ) {
            Ok(kind) => list.push(Action { place, kind }),
            Err((message, help)) => {
                let error = RuleError::new(&place, message);
                errors.push(match help {
                    Some(help) => error.help(help),
                    None => error,
                });
            }
        }
    }
    list
}

fn slice(line: &Line, (start, end): (usize, usize)) -> &[u8] {
    line.text.get(start..end).unwrap_or_default()
}

/// Without the quotes around it and the backslashes before quotes in it.
fn value(raw: &[u8]) -> Vec<u8> {
    match raw.strip_prefix(b"'").and_then(|raw| raw.strip_suffix(b"'")) {
        Some(inside) => unquote(&unquote(inside, b'\''), b'"'),
        None => unquote(raw, b'"'),
    }
}

/// Cuts at the commas that are in no single quotes. A quote counts only where a value begins.
fn split(line: &Line, word: Word) -> Vec<Raw> {
    let mut list = Vec::new();
    let mut at = word.start;
    while at < word.end {
        let start = at;
        let mut colon = None;
        let mut inside = false;
        let mut fresh = true;
        while at < word.end {
            match line.text.get(at).copied().unwrap_or_default() {
                b'\\' if inside => at += 1,
                b'\'' if inside => inside = false,
                b'\'' if fresh && colon.is_some() => inside = true,
                b',' if !inside => break,
                b':' if colon.is_none() => {
                    colon = Some(at);
                    fresh = true;
                    at += 1;
                    continue;
                }
                b' ' | b'\t' if fresh => {
                    at += 1;
                    continue;
                }
                _ => {}
            }
            fresh = false;
            at += 1;
        }
        let end = at.min(word.end);
        at = end + 1;
        let name = trim(line, start, colon.unwrap_or(end));
        if name.0 < name.1 || colon.is_some() {
            list.push(Raw { name, value: colon.map(|colon| trim(line, colon + 1, end)) });
        }
    }
    list
}

fn trim(line: &Line, start: usize, end: usize) -> (usize, usize) {
    let raw = line.text.get(start..end).unwrap_or_default();
    let front = raw.len() - raw.trim_ascii_start().len();
    let back = raw.len() - raw.trim_ascii_end().len();
    (start + front, (end.max(start + front) - back).max(start + front))
}

fn action(line: &Line, name: &str, value: Option<&[u8]>, word: Word) -> Result<ActionKind, Wrong> {
    let lowered = name.to_ascii_lowercase();
    let needed =
        || value.filter(|value| !value.is_empty()).ok_or_else(|| (format!("`{name}` needs a value"), None));
    let text = || needed().map(|value| String::from_utf8_lossy(value).into_owned());
    let filled = || Macro::parse(needed()?).map_err(|message| (message, None));
    Ok(match lowered.as_str() {
        "id" => ActionKind::Id(number(&text()?, "an id is a number")?),
        "phase" => ActionKind::Phase(phase(&text()?)?),
        "pass" => ActionKind::Disruptive(Disruptive::Pass),
        "block" => ActionKind::Disruptive(Disruptive::Block),
        "deny" => ActionKind::Disruptive(Disruptive::Deny),
        "drop" => ActionKind::Disruptive(Disruptive::Drop),
        "redirect" => ActionKind::Disruptive(Disruptive::Redirect(filled()?)),
        "allow" => ActionKind::Disruptive(Disruptive::Allow(
            match value.map(<[u8]>::to_ascii_lowercase).as_deref() {
                None | Some(b"") => Allow::All,
                Some(b"phase") => Allow::Phase,
                Some(b"request") => Allow::Request,
                Some(other) => {
                    let other = String::from_utf8_lossy(other);
                    return Err((
                        format!("`allow` does not reach `{other}`"),
                        Some("use `allow`, `allow:phase` or `allow:request`".into()),
                    ));
                }
            },
        )),
        "status" => {
            let status: u16 = number(&text()?, "a status is a number from 100 to 599")?;
            if !(100..600).contains(&status) {
                return Err((
                    format!("{status} is no status"),
                    Some("a status is a number from 100 to 599".into()),
                ));
            }
            ActionKind::Status(status)
        }
        "t" => {
            let name = text()?;
            if name.eq_ignore_ascii_case("none") {
                ActionKind::Transform(None)
            } else {
                ActionKind::Transform(Some(Transform::parse(&name).ok_or_else(|| {
                    let help = nearest(&name, Transform::ALL.iter().map(|known| known.name()));
                    (
                        format!("`t:{name}` is no transformation"),
                        help.map(|meant| format!("did you mean `t:{meant}`?")),
                    )
                })?))
            }
        }
        "setvar" => ActionKind::SetVar(set_var(needed()?)?),
        "expirevar" => {
            let set = set_var(needed()?)?;
            let Change::Set(seconds) = set.change else {
                return Err((
                    "`expirevar` needs a number of seconds".into(),
                    Some("as in `expirevar:ip.attempts=60`".into()),
                ));
            };
            if !set.collection.is_persistent() {
                return Err((format!("`{}` ends with the transaction", set.collection.name()), None));
            }
            ActionKind::ExpireVar { collection: set.collection, key: set.key, seconds }
        }
        "ctl" => ActionKind::Ctl(ctl(line, needed()?, word)?),
        "initcol" => {
            let value = needed()?;
            let (name, key) = cut(value, b'=').ok_or_else(|| {
                (
                    "`initcol` needs a collection and a key".to_owned(),
                    Some("as in `initcol:ip=%{REMOTE_ADDR}`".to_owned()),
                )
            })?;
            let name = String::from_utf8_lossy(name);
            let collection = Collection::parse(&name)
                .filter(|collection| collection.is_persistent())
                .ok_or_else(|| {
                    (
                        format!("`{name}` is no persistent collection"),
                        Some("they are GLOBAL, IP, SESSION, USER and RESOURCE".to_owned()),
                    )
                })?;
            ActionKind::InitCol(collection, Macro::parse(key).map_err(|message| (message, None))?)
        }
        "setsid" => ActionKind::InitCol(Collection::Session, filled()?),
        "setuid" => ActionKind::InitCol(Collection::User, filled()?),
        "setrsc" => ActionKind::InitCol(Collection::Resource, filled()?),
        "capture" => ActionKind::Capture,
        "multimatch" => ActionKind::MultiMatch,
        "chain" => ActionKind::Chain,
        "skipafter" => ActionKind::SkipAfter(text()?),
        "skip" => ActionKind::Skip(number(&text()?, "`skip` takes how many rules are left out")?),
        "log" => ActionKind::Log(true),
        "nolog" => ActionKind::Log(false),
        "auditlog" => ActionKind::AuditLog(true),
        "noauditlog" => ActionKind::AuditLog(false),
        "msg" => ActionKind::Msg(filled()?),
        "logdata" => ActionKind::LogData(filled()?),
        "tag" => ActionKind::Tag(filled()?),
        "severity" => {
            let name = text()?;
            ActionKind::Severity(Severity::parse(&name).ok_or_else(|| {
                (
                    format!("`{name}` is no severity"),
                    Some("from EMERGENCY (0) over CRITICAL (2) to DEBUG (7)".to_owned()),
                )
            })?)
        }
        "ver" => ActionKind::Note("ver", text()?),
        "rev" => ActionKind::Note("rev", text()?),
        "maturity" => ActionKind::Note("maturity", text()?),
        "accuracy" => ActionKind::Note("accuracy", text()?),
        _ => {
            return Err(match REFUSED.iter().find(|(refused, _)| refused.eq_ignore_ascii_case(name)) {
                Some((_, why)) => (format!("`{name}` is not supported"), Some((*why).to_owned())),
                None => {
                    let help =
                        nearest(name, NAMES.iter().copied()).map(|meant| format!("did you mean `{meant}`?"));
                    (format!("`{name}` is no action"), help)
                }
            });
        }
    })
}

fn number<T: std::str::FromStr>(text: &str, help: &str) -> Result<T, Wrong> {
    text.trim().parse().map_err(|_| (format!("`{text}` is no such number"), Some(help.to_owned())))
}

fn phase(text: &str) -> Result<u8, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "request" => Ok(2),
        "response" => Ok(4),
        "logging" => Ok(5),
        other => match other.parse() {
            Ok(phase @ 1..=5) => Ok(phase),
            _ => Err((
                format!("`{text}` is no phase"),
                Some(
                    "1 request headers, 2 request body, 3 response headers, 4 response body, 5 logging"
                        .into(),
                ),
            )),
        },
    }
}

fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let index = memchr::memchr(at, text)?;
    Some((text.get(..index)?, text.get(index + 1..)?))
}

fn set_var(text: &[u8]) -> Result<SetVar, Wrong> {
    let (unset, text) = match text.strip_prefix(b"!") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (target, change) = match cut(text, b'=') {
        Some((target, value)) => (target, Some(value)),
        None => (text, None),
    };
    let (collection, key) = cut(target, b'.').or_else(|| cut(target, b':')).ok_or_else(|| {
        (
            format!("`{}` names no variable", String::from_utf8_lossy(target)),
            Some("as in `setvar:tx.score=+5`".to_owned()),
        )
    })?;
    let name = String::from_utf8_lossy(collection);
    let collection =
        Collection::parse(name.trim()).filter(|collection| collection.is_written()).ok_or_else(|| {
            (
                format!("`{name}` cannot be written"),
                Some("rules write TX, GLOBAL, IP, SESSION, USER and RESOURCE".to_owned()),
            )
        })?;
    let fill = |text: &[u8]| Macro::parse(text).map_err(|message| (message, None));
    let change = match change {
        _ if unset => Change::Unset,
        None => Change::Set(fill(b"1")?),
        Some(value) => match value.split_first() {
            Some((b'+', amount)) => Change::Add(fill(amount)?),
            Some((b'-', amount)) => Change::Subtract(fill(amount)?),
            _ => Change::Set(fill(value)?),
        },
    };
    Ok(SetVar { collection, key: fill(key)?, change })
}

const CTLS: &[&str] = &[
    "auditEngine",
    "auditLogParts",
    "debugLogLevel",
    "forceRequestBodyVariable",
    "requestBodyAccess",
    "requestBodyLimit",
    "requestBodyProcessor",
    "responseBodyAccess",
    "responseBodyLimit",
    "ruleEngine",
    "ruleRemoveById",
    "ruleRemoveByMsg",
    "ruleRemoveByTag",
    "ruleRemoveTargetById",
    "ruleRemoveTargetByMsg",
    "ruleRemoveTargetByTag",
];

fn ctl(line: &Line, text: &[u8], word: Word) -> Result<Ctl, Wrong> {
    let (name, value) = cut(text, b'=').ok_or_else(|| {
        (
            format!("`ctl:{}` needs a value", String::from_utf8_lossy(text)),
            Some("as in `ctl:ruleEngine=Off`".to_owned()),
        )
    })?;
    let name = String::from_utf8_lossy(name).trim().to_owned();
    let spelled = String::from_utf8_lossy(value).into_owned();
    let which = |text: &[u8]| -> Result<Which, Wrong> {
        if name.ends_with("Tag") || name.to_ascii_lowercase().ends_with("tag") {
            return Ok(Which::Tag(text.to_vec()));
        }
        if name.to_ascii_lowercase().ends_with("msg") {
            return Ok(Which::Msg(text.to_vec()));
        }
        let text = String::from_utf8_lossy(text);
        ids(&text).ok_or_else(|| {
            (
                format!("`{text}` is no rule id"),
                Some("an id is a number; a range is two of them with a hyphen".to_owned()),
            )
        })
    };
    let switch = || match spelled.to_ascii_lowercase().as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err((format!("`{spelled}` is neither On nor Off"), None)),
    };
    Ok(match name.to_ascii_lowercase().as_str() {
        "ruleengine" => Ctl::RuleEngine(mode(&spelled)?),
        "requestbodyaccess" => Ctl::RequestBodyAccess(switch()?),
        "responsebodyaccess" => Ctl::ResponseBodyAccess(switch()?),
        "forcerequestbodyvariable" => Ctl::ForceRequestBodyVariable(switch()?),
        "auditengine" => Ctl::AuditEngine(!spelled.eq_ignore_ascii_case("off")),
        "requestbodyprocessor" => {
            Ctl::RequestBodyProcessor(BodyProcessor::parse(&spelled).ok_or_else(|| {
                (
                    format!("`{spelled}` reads no bodies"),
                    Some("URLENCODED, MULTIPART, JSON or XML".to_owned()),
                )
            })?)
        }
        "ruleremovebyid" | "ruleremovebytag" | "ruleremovebymsg" => Ctl::RemoveRules(which(value)?),
        "ruleremovetargetbyid" | "ruleremovetargetbytag" | "ruleremovetargetbymsg" => {
            let (rules, _) = cut(value, b';').ok_or_else(|| {
                (
                    format!("`ctl:{name}` needs rules and a variable"),
                    Some("as in `ctl:ruleRemoveTargetById=942100;ARGS:note`".to_owned()),
                )
            })?;
            // The target is read from the line, so that its mistakes have their place.
            let start = memchr::memchr(b';', line.raw(word)).map_or(word.start, |at| word.start + at + 1);
            let end = word.end - usize::from(line.text.get(word.start) == Some(&b'\''));
            let mut list = targets::targets(line, Word { start, end: end.max(start) })
                .map_err(|error| (error.message().to_owned(), error.advice().map(str::to_owned)))?;
            match (list.pop(), list.is_empty()) {
                (Some(one), true) => Ctl::RemoveTargets(which(rules)?, one),
                _ => return Err((format!("`ctl:{name}` takes one variable"), None)),
            }
        }
        other => {
            if ["auditlogparts", "debugloglevel"].contains(&other) {
                return Err((
                    format!("`ctl:{name}` has no effect here"),
                    Some("the host decides what it writes down: leave it out".to_owned()),
                ));
            }
            let help =
                nearest(&name, CTLS.iter().copied()).map(|meant| format!("did you mean `ctl:{meant}`?"));
            return Err((format!("`ctl:{name}` is not supported"), help));
        }
    })
}

pub(crate) fn mode(text: &str) -> Result<EngineMode, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "on" => Ok(EngineMode::On),
        "off" => Ok(EngineMode::Off),
        "detectiononly" => Ok(EngineMode::DetectionOnly),
        _ => Err((format!("`{text}` is no mode"), Some("On, DetectionOnly or Off".to_owned()))),
    }
}
