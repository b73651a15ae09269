//! SecLang, the rule language of ModSecurity and of the OWASP Core Rule Set: parser, compiler and engine. It stands alone: no async code, and no I/O but for
//! reading rule files through a [`Loader`].
//!
//! ```
//! use haechi_seclang::{FileSystem, Request, Rules, Verdict};
//!
//! let rules = Rules::builder(&FileSystem)
//!     .text("own.conf", "SecRule ARGS \"@rx (?i)union\\s+select\" \"id:1,phase:2,deny,t:none,t:urlDecodeUni,msg:'SQL in %{MATCHED_VAR_NAME}'\"")
//!     .build()?;
//!
//! let mut transaction = rules.begin(&Request { target: b"/menu?q=1%20UNION%20SELECT%202", ..Request::default() });
//! assert_eq!(transaction.request_head(), Verdict::Pass);
//! let Verdict::Refuse(refused) = transaction.request_body(b"") else { panic!("it passed") };
//! assert_eq!((refused.rule, refused.status), (1, 403));
//! assert_eq!(transaction.matches()[0].message, "SQL in ARGS:q");
//! # Ok::<(), haechi_seclang::RuleErrors>(())
//! ```
//!
//! # The life of rules
//!
//! [`Rules::builder`] takes files and texts. They are parsed to directives ([`syntax`]), included files in their place; defaults, updates and removals are applied; what
//! is the same for every transaction is computed once. Every mistake is told with file, line, column and what to do; what the engine cannot do is a
//! mistake too, so that no rule is ever silently without effect. What changes no decision (the path of an audit log) is a [`Notice`].
//!
//! # The life of a transaction
//!
//! 1. [`Rules::begin`] takes the head of a request. Names and values become texts, each distinct one once.
//! 2. [`Transaction::request_head`] runs phase 1, [`Transaction::request_body`] reads the body by its type and runs phase 2, then
//!    [`Transaction::response_head`] and [`Transaction::response_body`] phases 3 and 4. Each returns a [`Verdict`]; the first refusal stays.
//! 3. [`Transaction::finish`] runs phase 5, whatever was decided, and gives persistent collections to the [`Store`].
//!
//! Within a phase, rules are asked in order. A rule looks at the values that its targets name, transforms each, and asks its operator. For each value that matches, its
//! effects happen; when all links of a chain have matched, the rule is told of in [`Transaction::matches`] and has its say.
//!
//! # What differs from ModSecurity
//!
//! - Values are bytes. Patterns are matched in linear time: look-around and back-references are refused when rules are loaded. `$` is the very end, as in
//!   ModSecurity 2.
//! - A chain is told of when it is complete, with what its last link looked at, as in ModSecurity 2; effects happen for each value that matches, as in both.
//! - `MATCHED_VARS` are those of the link before.
//! - JSON is flattened as in ModSecurity 3; arrays and empty objects are arguments of their own besides, without a value, so that their names are judged.
//!   `REQUEST_BODY` holds forms, and what no processor reads if rules ask for it, as in ModSecurity 2. JSON and XML are recognised by their media type.
//! - At a limit (`SecRequestBodyLimit`, `SecArgumentsLimit`, depth, parts, headers …) a transaction is refused with 413, in detection mode it only would
//!   be ([`Transaction::would_refuse`]); what is beyond the limit is not looked at.
//! - Request bodies are looked at unless a file says otherwise.

mod ast;
mod body;
mod compile;
mod engine;
mod error;
#[cfg(feature = "ftw")]
pub mod ftw;
mod hash;
mod injection;
mod load;
mod macros;
mod names;
mod operator;
mod parse;
mod pattern;
mod program;
mod rules;
mod signature;
mod store;
mod texts;
mod transaction;
mod transform;
mod vars;

pub use ast::EngineMode;
pub use error::{Notice, Place, RuleError, RuleErrors};
pub use injection::{InjectionDetector, Libinjection};
pub use load::{FILE, FILES, INCLUDES};
pub use load::{FileSystem, InMemory, Loader};
pub use names::{Collection, Severity};
pub use program::Settings;
pub use rules::{Rules, RulesBuilder};
pub use store::RECORDS;
pub use store::{MemoryStore, RecordKey, Store, StoreChange};
pub use transaction::{Intervention, InterventionKind, Match, Request, Transaction, Verdict};
pub use transaction::{MATCHES, TOLD};
pub use vars::Vars;

/// Parsing alone, for tools and fuzz targets.
pub mod syntax {
    pub use crate::ast::*;
    pub use crate::macros::Macro;
    pub use crate::names::{BodyProcessor, OperatorName, Transform};
    pub use crate::parse::{parse, parse_targets};
}
