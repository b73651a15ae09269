//! Conditions and values in CEL, the Common Expression Language, over one call.
//!
//! ```text
//! text ─► cel's parser ─► checked and compiled here ─► Expression      or ExprError, with its place in the text
//!                                                          │
//!                                      Exchange ───────────┴─► bool or text      or EvalError, which holds no value
//! ```
//!
//! The grammar is read by the `cel` crate. What it read is checked and evaluated here, because a gateway needs what that
//! crate's evaluator does not promise: types are checked when the configuration is loaded, not when a call comes; patterns and networks
//! are compiled once; the work of one evaluation is bounded; nothing is copied that is only compared; and no error repeats
//! what a caller sent. The tests hold both evaluators against one another.
//!
//! # What is different from a map
//!
//! A header or query parameter that stands more than once has no one value: reading it (`request.headers['x']`) is an error,
//! and so is reading one that is absent. Who asks decides what an error means: a rule that denies denies. So no caller
//! gets around a rule by repeating a header or by leaving it out. `'x' in request.headers` asks whether it is there;
//! `request.header_values['x']` has all of them, and none is an empty list.

mod compile;
mod eval;
mod reads;
mod scope;

pub use eval::EvalError;
pub use reads::Read;
pub use scope::{VARIABLES, Variable};

use haechi_guard::Exchange;

use self::compile::Node;
use self::scope::Type;

/// Longest expression in bytes: a screenful. The parser's recursion is bounded by it, too.
pub const EXPRESSION: usize = 2048;

/// Most parts of an expression. Each is evaluated at most once for each turn of a loop around it.
pub const PARTS: usize = 512;

/// Steps of one evaluation: a part is one, and so is each 64 bytes that are looked at. Enough for a loop over all headers
/// of a large head; about a millisecond.
pub const STEPS: u32 = 100_000;

/// Longest text that an expression makes, in bytes: what a header may hold.
pub const TEXT: usize = 8 * 1024;

/// An expression that may be evaluated.
#[derive(Debug)]
pub struct Expression {
    root: Node,
    claims: Vec<String>,
}

/// Why a text is no expression that can be used here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    at: Option<usize>,
    message: String,
}

// === impl Expression ===

impl Expression {
    /// Reads a condition.
    ///
    /// # Errors
    /// When it is not CEL, speaks of what does not exist, mixes types, or is not a condition.
    pub fn condition(text: &str) -> Result<Self, ExprError> {
        Self::of_type(text, Type::Bool, "a condition: true or false")
    }

    /// Reads an expression that makes a text.
    ///
    /// # Errors
    /// When it is not CEL, speaks of what does not exist, mixes types, or makes something else.
    pub fn text(text: &str) -> Result<Self, ExprError> {
        Self::of_type(text, Type::Text, "a text")
    }

    fn of_type(text: &str, wanted: Type, what: &str) -> Result<Self, ExprError> {
        let (root, found, claims) = compile::compile(text)?;
        if found != wanted && found != Type::Any {
            return Err(ExprError { at: None, message: format!("expected {what}, found {}", found.shown()) });
        }
        Ok(Self { root, claims })
    }

    /// Whether the condition holds.
    ///
    /// # Errors
    /// When that cannot be told: see [`EvalError`].
    pub fn holds(&self, exchange: &Exchange<'_>) -> Result<bool, EvalError> {
        eval::holds(&self.root, exchange)
    }

    /// The text that is made.
    ///
    /// # Errors
    /// When none can be made: see [`EvalError`].
    pub fn make(&self, exchange: &Exchange<'_>) -> Result<String, EvalError> {
        eval::make(&self.root, exchange)
    }

    /// Whether all that it reads is known.
    pub fn reads_only(&self, known: &dyn Fn(Read<'_>) -> bool) -> bool {
        reads::only(&self.root, known)
    }

    /// The claims it speaks of, by their first name: a principal need hold no others.
    pub fn claims(&self) -> &[String] {
        &self.claims
    }
}

// === impl ExprError ===

impl ExprError {
    pub(crate) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at: Some(at), message: message.into() }
    }

    /// Where in the text it is, counted in characters from 0.
    pub fn at(&self) -> Option<usize> {
        self.at
    }
}

impl std::fmt::Display for ExprError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at {
            Some(at) => write!(f, "at character {}: {}", at + 1, self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for ExprError {}

#[cfg(test)]
mod tests;
