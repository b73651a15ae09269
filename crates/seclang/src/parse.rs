//! Text to directives. Every mistake is told with its place; the parser goes on after it, so that all are told at once.

mod actions;
mod directives;
mod lines;
mod targets;

use std::sync::Arc;

use self::lines::{Line, Word};
use crate::ast::{Directive, Statement, Target, Test, Which};
use crate::error::{MISTAKES, RuleError, nearest};
use crate::names::{ABSENT_OPERATORS, OperatorName};

pub(crate) use self::actions::mode as engine_mode;
pub(crate) use self::directives::{SETTINGS, Treatment};

/// A file's directives, and what is wrong with it.
#[must_use]
pub fn parse(file: &str, text: &[u8]) -> (Vec<Directive>, Vec<RuleError>) {
    let file: Arc<str> = Arc::from(file);
    let mut directives = Vec::new();
    let mut errors = Vec::new();
    for line in lines::lines(&file, text) {
        match directive(&line, &mut errors) {
            Ok(statement) => directives.push(Directive { place: line.begin(), statement }),
            Err(error) => errors.push(error),
        }
        if errors.len() >= MISTAKES {
            break;
        }
    }
    (directives, errors)
}

/// The targets in a text that stands alone, as exclusions of the host do. The place in errors is within that text.
///
/// # Errors
///
/// What is no target.
pub fn parse_targets(text: &str) -> Result<Vec<Target>, RuleError> {
    let file: Arc<str> = Arc::from("targets");
    match lines::lines(&file, text.as_bytes()).as_slice() {
        [line] => targets::targets(line, Word { start: 0, end: line.text.len() }),
        _ => Ok(Vec::new()),
    }
}

fn directive(line: &Line, errors: &mut Vec<RuleError>) -> Result<Statement, RuleError> {
    let words = line.words().map_err(|at| {
        RuleError::new(&line.place(at), "this quote is never closed")
            .help("close it on the same line, or end the line with a backslash to go on with the next")
    })?;
    let Some((name, arguments)) = words.split_first() else {
        return Err(RuleError::new(&line.begin(), "a directive was expected"));
    };
    let spelled = String::from_utf8_lossy(line.raw(*name)).into_owned();
    let count = |least: usize, most: usize| {
        if (least..=most).contains(&arguments.len()) {
            return Ok(());
        }
        let expected = if least == most { format!("{least}") } else { format!("{least} to {most}") };
        let place =
            arguments.get(most).map_or_else(|| line.place(line.text.len()), |word| line.place(word.start));
        Err(RuleError::new(
            &place,
            format!("`{spelled}` takes {expected} arguments, not {}", arguments.len()),
        )
        .help("put an argument that contains spaces in double quotes"))
    };
    let argument = |index: usize| arguments.get(index).copied().unwrap_or(*name);
    let lowered = spelled.to_ascii_lowercase();
    match lowered.as_str() {
        "secrule" => {
            count(2, 3)?;
            // All mistakes of a rule are told, not only the first.
            let targets = targets::targets(line, argument(0));
            let test = test(line, argument(1));
            let actions = match arguments.get(2) {
                Some(word) => actions::actions(line, *word, errors),
                None => Vec::new(),
            };
            match (targets, test) {
                (Ok(targets), Ok(test)) => Ok(Statement::Rule { targets, test, actions }),
                (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
                (Err(first), Err(second)) => {
                    errors.push(first);
                    Err(second)
                }
            }
        }
        "secaction" => {
            count(1, 1)?;
            Ok(Statement::Action(actions::actions(line, argument(0), errors)))
        }
        "secmarker" => {
            count(1, 1)?;
            Ok(Statement::Marker(text(line, argument(0))))
        }
        "secdefaultaction" => {
            count(1, 1)?;
            Ok(Statement::Default(actions::actions(line, argument(0), errors)))
        }
        "include" => {
            count(1, 1)?;
            Ok(Statement::Include(text(line, argument(0))))
        }
        "secruleremovebyid" => {
            count(1, usize::MAX)?;
            let mut which = Vec::new();
            for word in arguments {
                for id in text(line, *word).split([',', ' ']).filter(|id| !id.is_empty()) {
                    which.push(ids(id).ok_or_else(|| no_id(line, *word, id))?);
                }
            }
            Ok(Statement::Remove(which))
        }
        "secruleremovebytag" => {
            count(1, 1)?;
            Ok(Statement::Remove(vec![Which::Tag(line.value(argument(0)))]))
        }
        "secruleremovebymsg" => {
            count(1, 1)?;
            Ok(Statement::Remove(vec![Which::Msg(line.value(argument(0)))]))
        }
        "secruleupdatetargetbyid" | "secruleupdatetargetbytag" | "secruleupdatetargetbymsg" => {
            count(2, 2)?;
            let which = match lowered.as_str() {
                "secruleupdatetargetbytag" => Which::Tag(line.value(argument(0))),
                "secruleupdatetargetbymsg" => Which::Msg(line.value(argument(0))),
                _ => {
                    let id = text(line, argument(0));
                    ids(&id).ok_or_else(|| no_id(line, argument(0), &id))?
                }
            };
            Ok(Statement::UpdateTargets(which, targets::targets(line, argument(1))?))
        }
        "secruleupdateactionbyid" => {
            count(2, 2)?;
            let id = text(line, argument(0));
            let which = ids(&id).ok_or_else(|| no_id(line, argument(0), &id))?;
            Ok(Statement::UpdateActions(which, actions::actions(line, argument(1), errors)))
        }
        _ => {
            let Some(setting) = SETTINGS.iter().find(|setting| setting.0.eq_ignore_ascii_case(&spelled))
            else {
                return Err(unknown(line, *name, &spelled));
            };
            Ok(Statement::Setting(setting.0, arguments.iter().map(|word| text(line, *word)).collect()))
        }
    }
}

fn unknown(line: &Line, name: Word, spelled: &str) -> RuleError {
    const RULES: &[&str] = &[
        "SecRule",
        "SecAction",
        "SecMarker",
        "SecDefaultAction",
        "Include",
        "SecRuleRemoveById",
        "SecRuleRemoveByTag",
        "SecRuleRemoveByMsg",
        "SecRuleUpdateTargetById",
        "SecRuleUpdateTargetByTag",
        "SecRuleUpdateTargetByMsg",
        "SecRuleUpdateActionById",
    ];
    let error = RuleError::new(&line.place(name.start), format!("`{spelled}` is no directive"));
    match nearest(spelled, RULES.iter().copied().chain(SETTINGS.iter().map(|setting| setting.0))) {
        Some(meant) => error.help(format!("did you mean `{meant}`?")),
        None => error,
    }
}

/// `@rx pattern`, `!@pm a b`, or a bare pattern.
fn test(line: &Line, word: Word) -> Result<Test, RuleError> {
    let place = line.place(word.start);
    let whole = line.value(word);
    let mut rest = whole.trim_ascii_start();
    let negated = rest.first() == Some(&b'!');
    if negated {
        rest = rest.get(1..).unwrap_or_default().trim_ascii_start();
    }
    if rest.first() != Some(&b'@') {
        return Ok(Test { place, negated, operator: OperatorName::Rx, argument: rest.to_vec() });
    }
    let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
    let (name, argument) = rest.split_at(end);
    let name = String::from_utf8_lossy(name.get(1..).unwrap_or_default());
    let Some(operator) = OperatorName::parse(&name) else {
        let error = RuleError::new(&place, format!("`@{name}` is no operator"));
        if let Some((_, why)) = ABSENT_OPERATORS.iter().find(|(absent, _)| absent.eq_ignore_ascii_case(&name))
        {
            return Err(RuleError::new(&place, format!("`@{name}` is not supported")).help(*why));
        }
        return Err(match nearest(&name, OperatorName::ALL.iter().map(|operator| operator.name())) {
            Some(meant) => error.help(format!("did you mean `@{meant}`?")),
            None => error,
        });
    };
    // One space ends the operator's name; what follows belongs to its argument, but for patterns no rule means the blanks around it.
    let argument = if operator == OperatorName::Rx || operator == OperatorName::RxGlobal {
        argument.trim_ascii_start()
    } else {
        argument.trim_ascii()
    };
    Ok(Test { place, negated, operator, argument: argument.to_vec() })
}

fn text(line: &Line, word: Word) -> String {
    String::from_utf8_lossy(&line.value(word)).into_owned()
}

/// `942100` or `942100-942199`.
fn ids(text: &str) -> Option<Which> {
    let text = text.trim();
    match text.split_once('-') {
        Some((from, to)) => {
            let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
            (from <= to).then_some(Which::Ids(from, to))
        }
        None => text.parse().ok().map(|id| Which::Ids(id, id)),
    }
}

fn no_id(line: &Line, word: Word, spelled: &str) -> RuleError {
    RuleError::new(&line.place(word.start), format!("`{spelled}` is no rule id"))
        .help("an id is a number; a range is two of them with a hyphen, the smaller one first")
}

#[cfg(test)]
mod tests;
