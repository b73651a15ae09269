//! From what the parser read to what is evaluated: names are found, types are checked, patterns are compiled.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cel::Env;
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators as op};
use ipnet::IpNet;
use regex::Regex;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::scope::{Id, Source, Type, VARIABLES};
use crate::{EXPRESSION, ExprError, PARTS};

/// Deepest nesting, also of what the parser leaves: each level of evaluation is a frame of the stack.
const DEPTH: usize = 64;

/// Largest compiled pattern. What the library itself would take (10 MiB) is more than a rule needs.
const PATTERN: usize = 256 * 1024;

/// A part of an expression.
#[derive(Debug)]
pub(crate) enum Node {
    Bool(bool),
    Int(i64),
    Text(Box<str>),
    Time(i64),
    List(Vec<Node>),
    Variable(Id),
    /// The variable of a loop, by how many loops stand around it.
    Local(usize),
    /// The one value of a name.
    One(Source, Box<Node>),
    /// All values of a name.
    Many(Source, Box<Node>),
    /// Whether a name has a value.
    Has(Source, Box<Node>),
    Claim(Box<[Box<str>]>),
    HasClaim(Box<[Box<str>]>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    If(Box<[Node; 3]>),
    Compare(Comparison, Box<[Node; 2]>),
    Arithmetic(Arithmetic, Box<[Node; 2]>),
    In(Box<[Node; 2]>),
    Test(Test, Box<[Node; 2]>),
    Matches(Box<Node>, Box<Regex>),
    InNetwork(Box<Node>, IpNet),
    Lower(Box<Node>),
    Upper(Box<Node>),
    Size(Box<Node>),
    ToText(Box<Node>),
    ToInt(Box<Node>),
    Clock(Clock, Box<Node>, i64),
    Loop(Loop, Box<[Node; 2]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// What is asked of two texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Contains,
    StartsWith,
    EndsWith,
}

/// What is asked of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loop {
    All,
    Exists,
    ExistsOne,
}

/// What is asked of a time; as in CEL, months and days of year and month are counted from 0, but for `getDate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    FullYear,
    Month,
    Date,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
}

/// What is being compiled.
struct Compiler {
    places: SourceInfo,
    parts: usize,
    depth: usize,
    /// Variables of loops, the outermost first.
    locals: Vec<(String, Type)>,
    claims: Vec<String>,
}

type Compiled = Result<(Node, Type), ExprError>;

/// Reads, checks and compiles; also tells which claims are spoken of.
pub(crate) fn compile(text: &str) -> Result<(Node, Type, Vec<String>), ExprError> {
    if text.len() > EXPRESSION {
        let message = format!("the expression is longer than {EXPRESSION} bytes");
        return Err(ExprError { at: None, message });
    }
    // Without macros: `has` and the loops are read below, with their types.
    let parser = || Env::default().with_optional_support(false).parser().parse_with_source_info(text);
    // The parser is generated code that unwraps what its grammar promises. Should it ever be wrong, the expression is refused.
    let parsed = catch_unwind(AssertUnwindSafe(parser))
        .map_err(|_| ExprError { at: None, message: "the expression cannot be read".to_owned() })?;
    let (tree, places) = parsed.map_err(|errors| {
        let Some(first) = errors.errors.first() else {
            return ExprError { at: None, message: "the expression cannot be read".to_owned() };
        };
        let line = usize::try_from(first.pos.0).unwrap_or_default().saturating_sub(1);
        let column = usize::try_from(first.pos.1).unwrap_or_default();
        let before: usize = text.split_inclusive('\n').take(line).map(|line| line.chars().count()).sum();
        let mut message = first.msg.lines().next().unwrap_or_default().to_owned();
        if let Some((end, _)) = message.char_indices().nth(100) {
            message.truncate(end);
        }
        ExprError::new(before + column.saturating_sub(1), message)
    })?;
    let mut compiler = Compiler { places, parts: 0, depth: 0, locals: Vec::new(), claims: Vec::new() };
    let (node, kind) = compiler.part(&tree)?;
    compiler.claims.sort();
    compiler.claims.dedup();
    Ok((node, kind, compiler.claims))
}

// === impl Compiler ===

impl Compiler {
    fn wrong<T>(&self, part: &IdedExpr, message: impl Into<String>) -> Result<T, ExprError> {
        let message = message.into();
        Err(match self.places.offset_for(first_of(part).id) {
            Some((start, _)) => ExprError::new(start as usize, message),
            None => ExprError { at: None, message },
        })
    }

    fn part(&mut self, part: &IdedExpr) -> Compiled {
        self.parts += 1;
        self.depth += 1;
        if self.parts > PARTS || self.depth > DEPTH {
            return self
                .wrong(part, format!("the expression has more than {PARTS} parts, or {DEPTH} levels"));
        }
        let compiled = match &part.expr {
            Expr::Literal(literal) => self.literal(part, literal),
            Expr::Ident(_) | Expr::Select(_) => self.name(part),
            Expr::Call(call) => self.call(part, call),
            Expr::List(list) => {
                let mut items = Vec::with_capacity(list.elements.len());
                let mut kind = None;
                for element in &list.elements {
                    let (node, found) = self.part(element)?;
                    if !matches!(found, Type::Text | Type::Int) || kind.is_some_and(|kind| kind != found) {
                        return self.wrong(element, "a list holds texts, or numbers");
                    }
                    kind = Some(found);
                    items.push(node);
                }
                let kind = if kind == Some(Type::Int) { Type::Ints } else { Type::Texts };
                Ok((Node::List(items), kind))
            }
            Expr::Map(_) | Expr::Struct(_) | Expr::Comprehension(_) | Expr::Unspecified => {
                self.wrong(part, "mappings and messages are not used here")
            }
        };
        self.depth -= 1;
        compiled
    }

    fn literal(&self, part: &IdedExpr, literal: &LiteralValue) -> Compiled {
        Ok(match literal {
            LiteralValue::Boolean(value) => (Node::Bool(*value.inner()), Type::Bool),
            LiteralValue::Int(value) => (Node::Int(*value.inner()), Type::Int),
            LiteralValue::String(value) => (Node::Text(value.inner().into()), Type::Text),
            LiteralValue::Null => return self.wrong(part, "`null` is not used here: ask with `has(…)`"),
            LiteralValue::Bytes(_) | LiteralValue::Double(_) | LiteralValue::UInt(_) => {
                return self.wrong(part, "expected a text, a whole number, `true` or `false`");
            }
        })
    }

    /// A variable, and what is selected from it.
    fn name(&mut self, part: &IdedExpr) -> Compiled {
        let Some(words) = words(part) else {
            return self.wrong(part, "only names have fields");
        };
        let Some(first) = words.first() else { return self.wrong(part, "expected a name") };
        if let Some(at) = self.locals.iter().rposition(|(name, _)| name == first) {
            let kind = self.locals.get(at).map_or(Type::Any, |(_, kind)| *kind);
            return match words.len() {
                1 => Ok((Node::Local(at), kind)),
                _ => self.wrong(part, format!("`{first}` has no fields")),
            };
        }
        let found = (1..=words.len().min(2)).rev().find_map(|len| {
            let name = words.get(..len)?.join(".");
            let variable = VARIABLES.iter().find(|variable| variable.name == name)?;
            Some((variable, words.get(len..).unwrap_or_default()))
        });
        let Some((variable, fields)) = found else {
            return self.wrong(part, unknown(&words));
        };
        match (variable.kind, fields) {
            (Type::Any, []) => self.wrong(part, "write which claim, as in `claims.client_id`"),
            (Type::Any, fields) => {
                self.claims.extend(fields.first().map(|name| (*name).to_owned()));
                Ok((Node::Claim(fields.iter().map(|name| (*name).into()).collect()), Type::Any))
            }
            (kind, []) => Ok((Node::Variable(variable.id), kind)),
            (Type::Map(source), [name]) => {
                Ok((Node::One(source, Box::new(Node::Text((*name).into()))), Type::Text))
            }
            (Type::Lists(source), [name]) => {
                Ok((Node::Many(source, Box::new(Node::Text((*name).into()))), Type::Texts))
            }
            _ => self.wrong(part, format!("`{}` has no such field", variable.name)),
        }
    }

    fn call(&mut self, part: &IdedExpr, call: &CallExpr) -> Compiled {
        let name = call.func_name.as_str();
        match (name, call.target.as_deref(), call.args.as_slice()) {
            ("has", None, [what]) => self.has(what),
            ("all", Some(list), [variable, body]) => self.each(part, Loop::All, list, variable, body),
            ("exists", Some(list), [variable, body]) => self.each(part, Loop::Exists, list, variable, body),
            ("exists_one", Some(list), [variable, body]) => {
                self.each(part, Loop::ExistsOne, list, variable, body)
            }
            ("timestamp", None, [text]) => {
                let read = text_of(text).and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
                match read {
                    Some(time) => Ok((Node::Time(time.unix_timestamp()), Type::Time)),
                    None => self.wrong(text, "expected a time such as `'2026-12-24T18:00:00Z'`"),
                }
            }
            ("matches", Some(target), [pattern]) => {
                let target = self.of(target, Type::Text)?;
                let Some(text) = text_of(pattern) else {
                    return self.wrong(pattern, "a pattern is written out, so that it is compiled once");
                };
                match regex::RegexBuilder::new(text).size_limit(PATTERN).build() {
                    Ok(regex) => Ok((Node::Matches(target, Box::new(regex)), Type::Bool)),
                    Err(error) => {
                        let said = error.to_string();
                        let said = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
                        self.wrong(pattern, format!("no pattern that takes linear time: {said}"))
                    }
                }
            }
            ("inNetwork", Some(target), [network]) => {
                let target = self.of(target, Type::Text)?;
                match text_of(network).map(str::parse::<IpNet>) {
                    Some(Ok(network)) => Ok((Node::InNetwork(target, network), Type::Bool)),
                    _ => self.wrong(network, "expected a network such as `'10.0.0.0/8'`"),
                }
            }
            ("size", Some(of), []) | ("size", None, [of]) => {
                let (node, kind) = self.part(of)?;
                match kind {
                    Type::Text | Type::Texts | Type::Ints | Type::Any => {
                        Ok((Node::Size(Box::new(node)), Type::Int))
                    }
                    other => self.wrong(of, format!("{} has no size", other.shown())),
                }
            }
            ("lowerAscii", Some(of), []) => Ok((Node::Lower(self.of(of, Type::Text)?), Type::Text)),
            ("upperAscii", Some(of), []) => Ok((Node::Upper(self.of(of, Type::Text)?), Type::Text)),
            ("string", None, [of]) => {
                let (node, kind) = self.part(of)?;
                match kind {
                    Type::Text | Type::Int | Type::Bool | Type::Any => {
                        Ok((Node::ToText(Box::new(node)), Type::Text))
                    }
                    other => self.wrong(of, format!("{} makes no text", other.shown())),
                }
            }
            ("int", None, [of]) => {
                let (node, kind) = self.part(of)?;
                match kind {
                    Type::Text | Type::Int | Type::Time | Type::Any => {
                        Ok((Node::ToInt(Box::new(node)), Type::Int))
                    }
                    other => self.wrong(of, format!("{} makes no number", other.shown())),
                }
            }
            (_, Some(target), [text]) if test(name).is_some() => {
                let test = test(name).unwrap_or(Test::Contains);
                let both = [*self.of(target, Type::Text)?, *self.of(text, Type::Text)?];
                Ok((Node::Test(test, Box::new(both)), Type::Bool))
            }
            (_, Some(target), zone) if clock(name).is_some() && zone.len() < 2 => {
                let clock = clock(name).unwrap_or(Clock::Hours);
                let offset = match zone.first() {
                    None => 0,
                    Some(zone) => match text_of(zone).and_then(offset) {
                        Some(offset) => offset,
                        None => return self.wrong(zone, "expected an offset such as `'+09:00'`, or `'UTC'`"),
                    },
                };
                Ok((Node::Clock(clock, self.of(target, Type::Time)?, offset), Type::Int))
            }
            (_, None, args) => self.operator(part, name, args),
            _ => self.wrong(part, unknown_function(name)),
        }
    }

    fn operator(&mut self, part: &IdedExpr, name: &str, args: &[IdedExpr]) -> Compiled {
        match (name, args) {
            (op::LOGICAL_NOT, [of]) => Ok((Node::Not(self.of(of, Type::Bool)?), Type::Bool)),
            (op::NEGATE, [of]) => Ok((Node::Negate(self.of(of, Type::Int)?), Type::Int)),
            (op::LOGICAL_AND | op::LOGICAL_OR, [a, b]) => {
                let both = Box::new([*self.of(a, Type::Bool)?, *self.of(b, Type::Bool)?]);
                let node = if name == op::LOGICAL_AND { Node::And(both) } else { Node::Or(both) };
                Ok((node, Type::Bool))
            }
            (op::CONDITIONAL, [test, a, b]) => {
                let test = *self.of(test, Type::Bool)?;
                let ((a, one), (other_node, other)) = (self.part(a)?, self.part(b)?);
                if one != other && one != Type::Any && other != Type::Any {
                    return self.wrong(b, differ(one, other));
                }
                let kind = if one == Type::Any { other } else { one };
                Ok((Node::If(Box::new([test, a, other_node])), kind))
            }
            (op::INDEX, [of, key]) => self.index(part, of, key),
            (op::IN, [what, list]) => {
                let (what_node, found) = self.part(what)?;
                if let Ok((Node::Variable(_), Type::Map(source) | Type::Lists(source))) = self.again(list) {
                    if !matches!(found, Type::Text | Type::Any) {
                        return self.wrong(what, "names are texts");
                    }
                    return Ok((Node::Has(source, Box::new(what_node)), Type::Bool));
                }
                let (list_node, kind) = self.part(list)?;
                let fits = match kind {
                    Type::Texts => matches!(found, Type::Text | Type::Any),
                    Type::Ints => matches!(found, Type::Int | Type::Any),
                    Type::Any => matches!(found, Type::Text | Type::Int | Type::Bool | Type::Any),
                    _ => return self.wrong(list, format!("`in` asks a list, found {}", kind.shown())),
                };
                if !fits {
                    return self.wrong(what, format!("{} is never in {}", found.shown(), kind.shown()));
                }
                Ok((Node::In(Box::new([what_node, list_node])), Type::Bool))
            }
            (_, [a, b]) if comparison(name).is_some() => {
                let comparison = comparison(name).unwrap_or(Comparison::Equal);
                let ((one_node, one), (other_node, other)) = (self.part(a)?, self.part(b)?);
                let plain =
                    |kind| matches!(kind, Type::Bool | Type::Int | Type::Text | Type::Time | Type::Any);
                if !plain(one) || !plain(other) || (one != other && one != Type::Any && other != Type::Any) {
                    return self.wrong(part, differ(one, other));
                }
                Ok((Node::Compare(comparison, Box::new([one_node, other_node])), Type::Bool))
            }
            (_, [a, b]) if arithmetic(name).is_some() => {
                let arithmetic = arithmetic(name).unwrap_or(Arithmetic::Add);
                let ((one_node, one), (other_node, other)) = (self.part(a)?, self.part(b)?);
                let kind = if one == Type::Any { other } else { one };
                let other = if other == Type::Any { kind } else { other };
                let fits = kind == Type::Int || (kind == Type::Text && arithmetic == Arithmetic::Add);
                if !fits || kind != other {
                    return self.wrong(part, differ(one, other));
                }
                Ok((Node::Arithmetic(arithmetic, Box::new([one_node, other_node])), kind))
            }
            _ => self.wrong(part, unknown_function(name)),
        }
    }

    /// A part that must make this type.
    fn of(&mut self, part: &IdedExpr, wanted: Type) -> Result<Box<Node>, ExprError> {
        let (node, found) = self.part(part)?;
        if found == wanted || found == Type::Any {
            return Ok(Box::new(node));
        }
        self.wrong(part, format!("expected {}, found {}", wanted.shown(), found.shown()))
    }

    /// What a name is, without counting it.
    fn again(&mut self, part: &IdedExpr) -> Compiled {
        let (parts, claims) = (self.parts, self.claims.len());
        let found = match &part.expr {
            Expr::Ident(_) | Expr::Select(_) => self.name(part),
            _ => self.wrong(part, "no name"),
        };
        self.parts = parts;
        self.claims.truncate(claims);
        found
    }

    fn has(&mut self, what: &IdedExpr) -> Compiled {
        match self.name(what) {
            Ok((Node::One(source, name) | Node::Many(source, name), _)) => {
                Ok((Node::Has(source, name), Type::Bool))
            }
            Ok((Node::Claim(path), _)) => Ok((Node::HasClaim(path), Type::Bool)),
            Ok(_) => self.wrong(what, "`has` asks for a header, a query parameter or a claim"),
            Err(_) if matches!(what.expr, Expr::Call(_)) => self.wrong(
                what,
                "`has` takes a field: `has(claims.client_id)`; ask `'x-name' in request.headers`",
            ),
            Err(error) => Err(error),
        }
    }

    fn index(&mut self, part: &IdedExpr, of: &IdedExpr, key: &IdedExpr) -> Compiled {
        // `claims` alone is no value, but `claims['https://example.com/role']` is.
        if let Some(names) = words(of)
            && names.first() == Some(&"claims")
            && !self.locals.iter().any(|(name, _)| name == "claims")
        {
            let Some(name) = text_of(key) else {
                return self.wrong(key, "the name of a claim is written out");
            };
            let path: Vec<&str> = names.iter().skip(1).copied().chain([name]).collect();
            self.claims.extend(path.first().map(|name| (*name).to_owned()));
            return Ok((Node::Claim(path.into_iter().map(Box::from).collect()), Type::Any));
        }
        let (_, kind) = self.part(of)?;
        let key = |compiler: &mut Self| compiler.of(key, Type::Text);
        match kind {
            Type::Map(source) => Ok((Node::One(source, key(self)?), Type::Text)),
            Type::Lists(source) => Ok((Node::Many(source, key(self)?), Type::Texts)),
            _ => self.wrong(part, format!("{} is not asked by name", kind.shown())),
        }
    }

    fn each(
        &mut self,
        part: &IdedExpr,
        what: Loop,
        list: &IdedExpr,
        variable: &IdedExpr,
        body: &IdedExpr,
    ) -> Compiled {
        let (list_node, kind) = self.part(list)?;
        let item = match kind {
            Type::Texts => Type::Text,
            Type::Ints => Type::Int,
            Type::Any => Type::Any,
            _ => return self.wrong(list, format!("a loop goes over a list, found {}", kind.shown())),
        };
        let Expr::Ident(name) = &variable.expr else {
            return self.wrong(part, "a loop names its variable: `list.exists(x, x == 'a')`");
        };
        self.locals.push((name.clone(), item));
        let body = self.of(body, Type::Bool);
        self.locals.pop();
        Ok((Node::Loop(what, Box::new([list_node, *body?])), Type::Bool))
    }
}

/// The words of a dotted name.
fn words(part: &IdedExpr) -> Option<Vec<&str>> {
    let mut words = Vec::new();
    let mut part = part;
    loop {
        match &part.expr {
            Expr::Ident(name) => {
                words.push(name.as_str());
                words.reverse();
                return Some(words);
            }
            Expr::Select(select) if !select.test => {
                words.push(select.field.as_str());
                part = &select.operand;
            }
            _ => return None,
        }
    }
}

/// Where a dotted name begins.
fn first_of(mut part: &IdedExpr) -> &IdedExpr {
    while let Expr::Select(select) = &part.expr {
        part = &select.operand;
    }
    part
}

fn text_of(part: &IdedExpr) -> Option<&str> {
    match &part.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

fn test(name: &str) -> Option<Test> {
    Some(match name {
        "contains" => Test::Contains,
        "startsWith" => Test::StartsWith,
        "endsWith" => Test::EndsWith,
        _ => return None,
    })
}

fn clock(name: &str) -> Option<Clock> {
    Some(match name {
        "getFullYear" => Clock::FullYear,
        "getMonth" => Clock::Month,
        "getDate" => Clock::Date,
        "getDayOfMonth" => Clock::DayOfMonth,
        "getDayOfWeek" => Clock::DayOfWeek,
        "getDayOfYear" => Clock::DayOfYear,
        "getHours" => Clock::Hours,
        "getMinutes" => Clock::Minutes,
        "getSeconds" => Clock::Seconds,
        _ => return None,
    })
}

fn comparison(name: &str) -> Option<Comparison> {
    Some(match name {
        op::EQUALS => Comparison::Equal,
        op::NOT_EQUALS => Comparison::NotEqual,
        op::LESS => Comparison::Less,
        op::LESS_EQUALS => Comparison::LessEqual,
        op::GREATER => Comparison::Greater,
        op::GREATER_EQUALS => Comparison::GreaterEqual,
        _ => return None,
    })
}

fn arithmetic(name: &str) -> Option<Arithmetic> {
    Some(match name {
        op::ADD => Arithmetic::Add,
        op::SUBSTRACT => Arithmetic::Subtract,
        op::MULTIPLY => Arithmetic::Multiply,
        op::DIVIDE => Arithmetic::Divide,
        op::MODULO => Arithmetic::Modulo,
        _ => return None,
    })
}

/// Seconds east of Greenwich.
fn offset(text: &str) -> Option<i64> {
    if text == "UTC" {
        return Some(0);
    }
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let two = |digits: &str| -> Option<i64> {
        (digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| digits.parse().ok())?
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn differ(one: Type, other: Type) -> String {
    format!("{} and {} do not go together", one.shown(), other.shown())
}

fn unknown(words: &[&str]) -> String {
    let first = words.first().copied().unwrap_or_default();
    let prefix = format!("{first}.");
    let fields: Vec<_> =
        VARIABLES.iter().filter_map(|variable| variable.name.strip_prefix(&prefix)).collect();
    if !fields.is_empty() {
        return format!("`{first}` has: {}", fields.join(", "));
    }
    let mut roots: Vec<_> =
        VARIABLES.iter().map(|variable| variable.name.split('.').next().unwrap_or_default()).collect();
    roots.dedup();
    let word: String = first.chars().take(60).collect();
    format!("no variable is named `{word}`; there are: {}", roots.join(", "))
}

fn unknown_function(name: &str) -> String {
    let word: String = name.chars().take(60).collect();
    format!(
        "no such function, or not with these arguments: `{word}`; there are: has, size, contains, startsWith, endsWith, matches, \
         lowerAscii, upperAscii, inNetwork, exists, all, exists_one, string, int, timestamp, getHours …"
    )
}
