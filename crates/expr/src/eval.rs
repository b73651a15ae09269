//! What an expression makes of one call.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::net::IpAddr;

use haechi_guard::Exchange;
use time::OffsetDateTime;

use crate::compile::{Arithmetic, Clock, Comparison, Loop, Node, Test};
use crate::scope::{Id, Source};
use crate::{STEPS, TEXT};

/// Why an expression makes nothing of a call. Holds nothing that the caller sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is explained by `detail`")]
pub enum EvalError {
    Absent,
    Repeated,
    NotText,
    NoClaim,
    Kind,
    Number,
    Address,
    TooLong,
    TooMuch,
}

/// A value while an expression is evaluated.
#[derive(Clone, Debug)]
pub(crate) enum Value<'e> {
    Bool(bool),
    Int(i64),
    Text(Cow<'e, str>),
    Time(i64),
    List(Vec<Value<'e>>),
    /// What no part of an expression takes: `null`, objects and fractions in claims.
    Nothing,
}

struct Run<'e> {
    exchange: &'e Exchange<'e>,
    steps: u32,
    locals: Vec<Value<'e>>,
}

type Made<'e> = Result<Value<'e>, EvalError>;

pub(crate) fn holds(root: &Node, exchange: &Exchange<'_>) -> Result<bool, EvalError> {
    Run { exchange, steps: STEPS, locals: Vec::new() }.bool(root)
}

pub(crate) fn make(root: &Node, exchange: &Exchange<'_>) -> Result<String, EvalError> {
    Ok(Run { exchange, steps: STEPS, locals: Vec::new() }.text(root)?.into_owned())
}

// === impl Run ===

impl<'e> Run<'e> {
    fn spend(&mut self, bytes: usize) -> Result<(), EvalError> {
        let cost = u32::try_from(bytes / 64).unwrap_or(u32::MAX).saturating_add(1);
        self.steps = self.steps.checked_sub(cost).ok_or(EvalError::TooMuch)?;
        Ok(())
    }

    fn value(&mut self, node: &'e Node) -> Made<'e> {
        self.spend(0)?;
        Ok(match node {
            Node::Bool(value) => Value::Bool(*value),
            Node::Int(value) => Value::Int(*value),
            Node::Text(text) => Value::Text(Cow::Borrowed(text)),
            Node::Time(time) => Value::Time(*time),
            Node::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    list.push(self.value(item)?);
                }
                Value::List(list)
            }
            Node::Variable(id) => id.value(self.exchange),
            Node::Local(at) => {
                let local = self.locals.get(*at).cloned().unwrap_or(Value::Nothing);
                self.spend(if let Value::Text(text) = &local { text.len() } else { 0 })?;
                local
            }
            Node::One(source, name) => Value::Text(self.one(*source, name)?),
            Node::Many(source, name) => {
                let name = self.name(name)?;
                let mut list = Vec::new();
                for value in named(self.exchange, *source, &name) {
                    list.push(Value::Text(Cow::Borrowed(value.ok_or(EvalError::NotText)?)));
                }
                self.spend(list.len() * 64)?;
                Value::List(list)
            }
            Node::Has(source, name) => {
                let name = self.name(name)?;
                Value::Bool(named(self.exchange, *source, &name).next().is_some())
            }
            Node::Claim(path) => self.claim(path).map(of_claim).ok_or(EvalError::NoClaim)?,
            Node::HasClaim(path) => Value::Bool(self.claim(path).is_some()),
            Node::Not(of) => Value::Bool(!self.bool(of)?),
            Node::Negate(of) => Value::Int(self.int(of)?.checked_neg().ok_or(EvalError::Number)?),
            Node::And(both) => Value::Bool(self.both(both, false)?),
            Node::Or(both) => Value::Bool(self.both(both, true)?),
            Node::If(parts) => {
                let [test, then, otherwise] = &**parts;
                if self.bool(test)? { self.value(then)? } else { self.value(otherwise)? }
            }
            Node::Compare(comparison, both) => Value::Bool(self.compare(*comparison, both)?),
            Node::Arithmetic(arithmetic, both) => self.arithmetic(*arithmetic, both)?,
            Node::In(both) => Value::Bool(self.is_in(both)?),
            Node::Test(test, both) => {
                let [text, part] = &**both;
                let (text, part) = (self.text(text)?, self.text(part)?);
                self.spend(text.len() + part.len())?;
                Value::Bool(match test {
                    Test::Contains => text.contains(&*part),
                    Test::StartsWith => text.starts_with(&*part),
                    Test::EndsWith => text.ends_with(&*part),
                })
            }
            Node::Matches(of, regex) => {
                let text = self.text(of)?;
                // A pattern looks at a byte more slowly than a comparison does.
                self.spend(text.len().saturating_mul(8))?;
                Value::Bool(regex.is_match(&text))
            }
            Node::InNetwork(of, network) => {
                let address = match **of {
                    Node::Variable(Id::ClientIp) => self.exchange.client,
                    _ => self.text(of)?.parse().map_err(|_| EvalError::Address)?,
                };
                Value::Bool(contains(*network, address))
            }
            Node::Lower(of) => {
                Value::Text(self.folded(of, u8::is_ascii_uppercase, str::to_ascii_lowercase)?)
            }
            Node::Upper(of) => {
                Value::Text(self.folded(of, u8::is_ascii_lowercase, str::to_ascii_uppercase)?)
            }
            Node::Size(of) => {
                let size = match self.value(of)? {
                    Value::Text(text) => {
                        self.spend(text.len())?;
                        text.chars().count()
                    }
                    Value::List(list) => list.len(),
                    _ => return Err(EvalError::Kind),
                };
                Value::Int(i64::try_from(size).unwrap_or(i64::MAX))
            }
            Node::ToText(of) => match self.value(of)? {
                Value::Text(text) => Value::Text(text),
                Value::Int(number) => Value::Text(number.to_string().into()),
                Value::Bool(value) => Value::Text(Cow::Borrowed(if value { "true" } else { "false" })),
                _ => return Err(EvalError::Kind),
            },
            Node::ToInt(of) => Value::Int(match self.value(of)? {
                Value::Int(number) | Value::Time(number) => number,
                Value::Text(text) => text.parse().map_err(|_| EvalError::Number)?,
                _ => return Err(EvalError::Kind),
            }),
            Node::Clock(clock, of, offset) => {
                let Value::Time(time) = self.value(of)? else { return Err(EvalError::Kind) };
                Value::Int(read_clock(*clock, time.saturating_add(*offset)).ok_or(EvalError::Number)?)
            }
            Node::Loop(kind, parts) => {
                let [list, body] = &**parts;
                let Value::List(items) = self.value(list)? else { return Err(EvalError::Kind) };
                Value::Bool(self.turns(*kind, items, body)?)
            }
        })
    }

    fn bool(&mut self, node: &'e Node) -> Result<bool, EvalError> {
        match self.value(node)? {
            Value::Bool(value) => Ok(value),
            _ => Err(EvalError::Kind),
        }
    }

    fn int(&mut self, node: &'e Node) -> Result<i64, EvalError> {
        match self.value(node)? {
            Value::Int(value) => Ok(value),
            _ => Err(EvalError::Kind),
        }
    }

    fn text(&mut self, node: &'e Node) -> Result<Cow<'e, str>, EvalError> {
        match self.value(node)? {
            Value::Text(text) => Ok(text),
            _ => Err(EvalError::Kind),
        }
    }

    /// The name that is asked for; a header's in any case.
    fn name(&mut self, node: &'e Node) -> Result<Cow<'e, str>, EvalError> {
        let name = self.text(node)?;
        // All fields are gone over.
        self.spend((self.exchange.headers.len() + self.exchange.query.len()) * 8)?;
        Ok(name)
    }

    fn one(&mut self, source: Source, name: &'e Node) -> Result<Cow<'e, str>, EvalError> {
        let name = self.name(name)?;
        let mut values = named(self.exchange, source, &name);
        let value = values.next().ok_or(EvalError::Absent)?;
        if values.next().is_some() {
            return Err(EvalError::Repeated);
        }
        value.map(Cow::Borrowed).ok_or(EvalError::NotText)
    }

    fn claim(&self, path: &[Box<str>]) -> Option<&'e serde_json::Value> {
        let (first, rest) = path.split_first()?;
        let claims = &self.exchange.principal.as_ref()?.claims;
        rest.iter().try_fold(claims.get(&**first)?, |value, name| value.get(&**name))
    }

    /// `&&` and `||`: one side that decides does so even if the other cannot be told.
    fn both(&mut self, both: &'e [Node; 2], decides: bool) -> Result<bool, EvalError> {
        let [one, other] = both;
        match self.bool(one) {
            Ok(value) if value == decides => Ok(decides),
            Ok(_) => self.bool(other),
            Err(EvalError::TooMuch) => Err(EvalError::TooMuch),
            Err(error) => match self.bool(other) {
                Ok(value) if value == decides => Ok(decides),
                _ => Err(error),
            },
        }
    }

    fn turns(&mut self, kind: Loop, items: Vec<Value<'e>>, body: &'e Node) -> Result<bool, EvalError> {
        let (mut true_ones, mut failed) = (0_usize, None);
        for item in items {
            self.locals.push(item);
            let found = self.bool(body);
            self.locals.pop();
            match (kind, found) {
                (_, Err(EvalError::TooMuch)) => return Err(EvalError::TooMuch),
                (Loop::All, Ok(false)) => return Ok(false),
                (Loop::Exists, Ok(true)) => return Ok(true),
                (_, Ok(true)) => true_ones += 1,
                (_, Ok(false)) => {}
                (_, Err(error)) => failed = failed.or(Some(error)),
            }
        }
        match (failed, kind) {
            (Some(error), _) => Err(error),
            (None, Loop::All) => Ok(true),
            (None, Loop::Exists) => Ok(false),
            (None, Loop::ExistsOne) => Ok(true_ones == 1),
        }
    }

    fn compare(&mut self, comparison: Comparison, both: &'e [Node; 2]) -> Result<bool, EvalError> {
        let [one, other] = both;
        let (one, other) = (self.value(one)?, self.value(other)?);
        if let (Value::Text(one), Value::Text(other)) = (&one, &other) {
            self.spend(one.len().min(other.len()))?;
        }
        let order = one.order(&other);
        match comparison {
            // As in CEL, values of two kinds are not equal; which is the greater cannot be told.
            Comparison::Equal => Ok(order == Some(Ordering::Equal)),
            Comparison::NotEqual => Ok(order != Some(Ordering::Equal)),
            _ => {
                let order = order.ok_or(EvalError::Kind)?;
                Ok(match comparison {
                    Comparison::Less => order.is_lt(),
                    Comparison::LessEqual => order.is_le(),
                    Comparison::Greater => order.is_gt(),
                    _ => order.is_ge(),
                })
            }
        }
    }

    fn is_in(&mut self, both: &'e [Node; 2]) -> Result<bool, EvalError> {
        let [what, list] = both;
        let what = self.value(what)?;
        let cost = if let Value::Text(text) = &what { text.len() } else { 0 };
        // The usual list stands in the expression: it is not copied.
        if let Node::List(items) = list {
            for item in items {
                self.spend(cost)?;
                if self.value(item)?.order(&what) == Some(Ordering::Equal) {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        let Value::List(items) = self.value(list)? else { return Err(EvalError::Kind) };
        for item in items {
            self.spend(cost)?;
            if item.order(&what) == Some(Ordering::Equal) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn arithmetic(&mut self, arithmetic: Arithmetic, both: &'e [Node; 2]) -> Made<'e> {
        let [one, other] = both;
        match (self.value(one)?, self.value(other)?) {
            (Value::Int(one), Value::Int(other)) => match arithmetic {
                Arithmetic::Add => one.checked_add(other),
                Arithmetic::Subtract => one.checked_sub(other),
                Arithmetic::Multiply => one.checked_mul(other),
                Arithmetic::Divide => one.checked_div(other),
                Arithmetic::Modulo => one.checked_rem(other),
            }
            .map(Value::Int)
            .ok_or(EvalError::Number),
            (Value::Text(one), Value::Text(other)) if arithmetic == Arithmetic::Add => {
                let length = one.len() + other.len();
                if length > TEXT {
                    return Err(EvalError::TooLong);
                }
                self.spend(length)?;
                Ok(Value::Text(one + other))
            }
            _ => Err(EvalError::Kind),
        }
    }

    fn folded(
        &mut self,
        of: &'e Node,
        changes: impl Fn(&u8) -> bool,
        fold: impl Fn(&str) -> String,
    ) -> Result<Cow<'e, str>, EvalError> {
        let text = self.text(of)?;
        self.spend(text.len())?;
        Ok(if text.as_bytes().iter().any(changes) { fold(&text).into() } else { text })
    }
}

// === impl Value ===

impl Value<'_> {
    /// How two values of one kind compare.
    fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => Some(one.cmp(other)),
            (Self::Int(one), Self::Int(other)) | (Self::Time(one), Self::Time(other)) => Some(one.cmp(other)),
            (Self::Text(one), Self::Text(other)) => Some(one.cmp(other)),
            _ => None,
        }
    }
}

fn of_claim(claim: &serde_json::Value) -> Value<'_> {
    match claim {
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => number.as_i64().map_or(Value::Nothing, Value::Int),
        serde_json::Value::String(text) => Value::Text(Cow::Borrowed(text)),
        // A claim is as long as a token at most.
        serde_json::Value::Array(items) => Value::List(items.iter().map(flat).collect()),
        serde_json::Value::Null | serde_json::Value::Object(_) => Value::Nothing,
    }
}

/// An item of a list: lists in lists are nothing, so that no depth of a token is followed.
fn flat(item: &serde_json::Value) -> Value<'_> {
    if item.is_array() { Value::Nothing } else { of_claim(item) }
}

/// The values of a name that was made while evaluating; they live in the exchange, whatever becomes of the name.
fn named<'e>(
    exchange: &'e Exchange<'_>,
    source: Source,
    name: &str,
) -> impl Iterator<Item = Option<&'e str>> {
    let headers = exchange.headers.iter();
    let headers = headers
        .filter(move |field| source == Source::Header && field.name.eq_ignore_ascii_case(name.as_bytes()));
    let pairs = exchange.query.pairs().filter(move |(known, _)| source == Source::Query && *known == name);
    headers.map(|field| std::str::from_utf8(field.value).ok()).chain(pairs.map(|(_, value)| Some(value)))
}

/// Whether a network holds an address; IPv4 in IPv6 is IPv4 on both sides.
fn contains(network: ipnet::IpNet, address: IpAddr) -> bool {
    network.contains(&address.to_canonical())
}

fn read_clock(clock: Clock, time: i64) -> Option<i64> {
    let time = OffsetDateTime::from_unix_timestamp(time).ok()?;
    Some(match clock {
        Clock::FullYear => time.year().into(),
        Clock::Month => i64::from(u8::from(time.month())) - 1,
        Clock::Date => time.day().into(),
        Clock::DayOfMonth => i64::from(time.day()) - 1,
        Clock::DayOfWeek => time.weekday().number_days_from_sunday().into(),
        Clock::DayOfYear => i64::from(time.ordinal()) - 1,
        Clock::Hours => time.hour().into(),
        Clock::Minutes => time.minute().into(),
        Clock::Seconds => time.second().into(),
    })
}

// === impl EvalError ===

impl EvalError {
    /// One sentence for the event.
    pub fn detail(self) -> &'static str {
        match self {
            Self::Absent => "a header or query parameter that it reads is absent",
            Self::Repeated => "a header or query parameter that it reads stands more than once",
            Self::NotText => "a header that it reads is not UTF-8",
            Self::NoClaim => "a claim that it reads is absent",
            Self::Kind => "a claim is of another kind than it expects",
            Self::Number => "a number is out of range, or no number",
            Self::Address => "a text is no address",
            Self::TooLong => "a text became longer than 8 KiB",
            Self::TooMuch => "it took too many steps",
        }
    }
}

impl std::fmt::Display for EvalError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.detail())
    }
}

impl std::error::Error for EvalError {}
