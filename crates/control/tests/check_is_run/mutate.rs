//! Damage, the same in every run.

use std::path::Path;

use serde_json::{Value, json};

use crate::bases::FILES;

/// Numbers that are the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % end.max(1) as u64).expect("small")
    }

    pub(crate) fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

/// Where everything in `value` stands, as JSON pointers.
pub(crate) fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    let mut step = |key: &str, value: &Value| {
        let inner = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        all.push(inner.clone());
        pointers(value, &inner, all);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| step(key, value)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, value)| step(&index.to_string(), value))
        }
        _ => {}
    }
}

/// Damages the configuration's meaning: something is left out, written twice, swapped, of another type, or slightly other.
pub(crate) fn mutate(value: &mut Value, random: &mut Random) {
    let mut all = Vec::new();
    pointers(value, "", &mut all);
    if all.is_empty() {
        return;
    }
    let (one, other) = (random.of(&all), random.of(&all));
    let (above, key) = one.rsplit_once('/').expect("a pointer");
    let copy = value.pointer(&other).expect("there").clone();
    match random.below(8) {
        0 => match value.pointer_mut(above) {
            Some(Value::Object(map)) => drop(map.remove(&key.replace("~1", "/"))),
            Some(Value::Array(list)) => drop(list.remove(key.parse().expect("an index"))),
            _ => {}
        },
        1 => match value.pointer_mut(above) {
            Some(Value::Object(map)) => {
                let names = ["other", "items", "partner", "tls", "acme", "a b", "default", "none", ""];
                map.insert(random.of(&names).to_owned(), copy);
            }
            Some(Value::Array(list)) => list.push(copy),
            _ => {}
        },
        2 if !one.starts_with(&other) && !other.starts_with(&one) => {
            let old = std::mem::replace(value.pointer_mut(&one).expect("there"), copy);
            *value.pointer_mut(&other).expect("there") = old;
        }
        3 => *value.pointer_mut(&one).expect("there") = copy,
        4 => {
            let kinds = [
                json!(null),
                json!(true),
                json!(0),
                json!(-1),
                json!(1e300),
                json!(""),
                json!([]),
                json!({}),
                json!("none"),
                json!(["none"]),
            ];
            *value.pointer_mut(&one).expect("there") = random.of(&kinds);
        }
        _ => perturb(value.pointer_mut(&one).expect("there"), random),
    }
}

fn perturb(value: &mut Value, random: &mut Random) {
    match value {
        Value::String(text) => {
            let at = random.below(text.len() + 1);
            let at = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
            let pieces = ["x", "0", " ", "\u{0}", "/", "..", ":", "é", "*", "%", "{", "//", "?", "#"];
            let words = [
                "file:gone",
                "file:items.yaml",
                "env:NOBODY",
                "discover",
                "0s",
                "9999d",
                "0/s",
                "64MiB",
                "[::1]:0",
                "enforce",
                "off",
                "./items.yaml",
                "./items.yaml/below",
                "/",
                "required",
                "*.example",
            ];
            match random.below(5) {
                0 => text.truncate(at),
                1 => text.insert_str(at, random.of(&pieces)),
                2 => random.of(&words).clone_into(text),
                3 => text.insert_str(at, &"y".repeat(random.of(&[60, 120, 260, 5_000]))),
                _ => drop(text.chars().nth(at).is_some().then(|| text.remove(at))),
            }
        }
        Value::Number(number) => {
            let number = number.as_i64().unwrap_or(1);
            let near = [number + 1, number - 1, number.saturating_mul(1000), 0, -number, 65_536, i64::MAX];
            *value = json!(random.of(&near));
        }
        other => *other = random.of(&[json!("x"), json!([[]]), json!({ "x": 1 })]),
    }
}

/// Damages a file that the configuration names, or its text, now and then; what became of the text.
pub(crate) fn damage(dir: &Path, text: String, random: &mut Random) -> String {
    let file = dir.join(random.of(&FILES));
    let content = std::fs::read(&file).expect("read");
    let at = random.below(content.len());
    let broken = match random.below(20) {
        0 => {
            std::fs::remove_file(file).expect("removed");
            return text;
        }
        1 => Vec::new(),
        2 => content[..at].to_vec(),
        3 => {
            let mut content = content;
            content[at] ^= 1 << random.below(7);
            content
        }
        4 => std::fs::read(dir.join(random.of(&FILES))).unwrap_or_default(),
        5 => {
            let at = random.below(text.chars().count());
            return text.chars().enumerate().filter(|(index, _)| *index != at).map(|(_, c)| c).collect();
        }
        _ => return text,
    };
    std::fs::write(file, broken).expect("written");
    text
}
