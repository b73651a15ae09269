//! The variables of a rule: `REQUEST_COOKIES|!REQUEST_COOKIES:/^_ga/|&ARGS`.

use super::lines::{Line, Word, unquote};
use crate::ast::{Selector, Target};
use crate::error::{RuleError, nearest};
use crate::names::{ABSENT, Collection};

pub(super) fn targets(line: &Line, word: Word) -> Result<Vec<Target>, RuleError> {
    let mut targets = Vec::new();
    let mut at = word.start;
    loop {
        let end = element(line, at, word.end);
        let raw = line.text.get(at..end).unwrap_or_default();
        let blanks = raw.len() - raw.trim_ascii_start().len();
        targets.push(target(line, at + blanks, raw.trim_ascii())?);
        if end >= word.end {
            return Ok(targets);
        }
        at = end + 1;
    }
}

/// Where the element that begins at `start` ends: at the next `|` or `,` that is in no quotes and no pattern.
fn element(line: &Line, start: usize, end: usize) -> usize {
    let mut at = start;
    let mut inside: Option<u8> = None;
    let mut fresh = false;
    while at < end {
        let byte = line.text.get(at).copied().unwrap_or_default();
        match inside {
            Some(_) if byte == b'\\' => at += 1,
            Some(close) if byte == close => inside = None,
            Some(_) => {}
            None => match byte {
                b'|' | b',' => return at,
                b'\'' => inside = Some(b'\''),
                // `:/…/` is a pattern, but `XML:/*` is a path.
                b'/' if fresh
                    && line.text.get(at + 1) != Some(&b'*')
                    && line.text.get(at + 1) != Some(&b'/') =>
                {
                    inside = Some(b'/');
                }
                _ => {}
            },
        }
        fresh = byte == b':';
        at += 1;
    }
    end
}

fn target(line: &Line, start: usize, raw: &[u8]) -> Result<Target, RuleError> {
    let mut exclude = false;
    let mut count = false;
    let mut rest = raw;
    while let Some((first, tail)) = rest.split_first() {
        match first {
            b'!' if !exclude => exclude = true,
            b'&' if !count => count = true,
            _ => break,
        }
        rest = tail;
    }
    let here = line.place(start + (raw.len() - rest.len()));
    let (name, key) = match memchr::memchr(b':', rest) {
        Some(colon) => (rest.get(..colon).unwrap_or_default(), rest.get(colon + 1..)),
        None => (rest, None),
    };
    let name = String::from_utf8_lossy(name);
    let Some(collection) = Collection::parse(&name) else {
        let error = RuleError::new(&here, format!("`{name}` is no variable"));
        if let Some((_, why)) = ABSENT.iter().find(|(absent, _)| absent.eq_ignore_ascii_case(&name)) {
            return Err(RuleError::new(&here, format!("`{name}` is not supported")).help(*why));
        }
        return Err(match nearest(&name, Collection::ALL.iter().map(|known| known.name())) {
            Some(meant) => error.help(format!("did you mean `{meant}`?")),
            None => error,
        });
    };
    if key.is_some() && !collection.is_map() {
        return Err(RuleError::new(&here, format!("`{}` is one value: it has no names", collection.name()))
            .help("leave out the colon and what follows"));
    }
    let selector =
        selector(collection, key).map_err(|(message, help)| RuleError::new(&here, message).help(help))?;
    Ok(Target { exclude, count, collection, selector })
}

fn selector(collection: Collection, key: Option<&[u8]>) -> Result<Selector, (String, &'static str)> {
    let Some(key) = key else { return Ok(Selector::All) };
    let key = match key.strip_prefix(b"'").and_then(|key| key.strip_suffix(b"'")) {
        Some(inside) => unquote(inside, b'\''),
        None => unquote(key, b'"'),
    };
    if collection == Collection::Xml {
        return match key.as_slice() {
            b"/*" => Ok(Selector::XmlText),
            b"//@*" => Ok(Selector::XmlAttributes),
            _ => Err((
                format!("the path `{}` is not supported", String::from_utf8_lossy(&key)),
                "`XML:/*` is the text of a document, `XML://@*` are the values of its attributes",
            )),
        };
    }
    if let Some(pattern) = key.strip_prefix(b"/").and_then(|key| key.strip_suffix(b"/")) {
        return Ok(Selector::Pattern(pattern.to_vec()));
    }
    if key.is_empty() {
        return Err((
            "a name was expected after the colon".to_owned(),
            "leave out the colon to look at all values",
        ));
    }
    Ok(Selector::Key(key))
}
