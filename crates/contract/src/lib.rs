//! Contracts: what an API accepts and answers, read from its OpenAPI document.
//!
//! [`Contract::load`] turns an OpenAPI 2.0, 3.0 or 3.1 document into [`Operation`]s; a [`Router`]
//! over all contracts tells which operation a request means; the operation judges the request's
//! head and body and the response's, and answers with [`Violation`]s. What a violation leads to is
//! decided elsewhere: nothing here knows of configuration, verdicts or the network.
//!
//! # What is checked
//!
//! * **Parameters** in path, query, header and cookie: required or not, style and
//!   `collectionFormat`, schema. Optionally, query parameters the contract does not name.
//! * **Bodies**: presence, media type (ranges, `+json`), JSON read strictly ([`json`]) and
//!   validated, URL-encoded forms validated. Multipart and other types: only the media type.
//! * **Responses**: status, media type, schema.
//! * **Formats**: `date`, `date-time`, `email`, `hostname`, `ipv4`, `ipv6`, `uri`,
//!   `uri-reference`, `uuid`, `json-pointer`, `byte`, `int32`, `int64`. All others are notes to
//!   the reader.
//! * `discriminator` is a note to the reader: `oneOf` and `anyOf` decide by the schemas alone.
//!
//! # What loading guarantees
//!
//! Every mistake in a specification is found by loading it, used or not: references, schemas,
//! patterns. Patterns run in linear time. Schemas that apply to themselves without end, or that fan
//! out beyond [`Limits::schema_applications`], do not load. Nothing is fetched.

mod contract;
mod error;
pub mod json;
mod limits;
mod media;
mod operation;
mod parameter;
mod pointer;
mod router;
mod schema;
mod source;
mod template;
#[cfg(test)]
mod testing;
mod violation;

pub use contract::{Contract, ReadFile, Server};
pub use error::{ContractError, Problem, Warning};
pub use limits::Limits;
pub use operation::{BodyNeed, HeadOptions, HeadView, Operation, OperationId};
pub use router::{ApiIndex, Lookup, Match, Params, RouteConflict, Router, RouterBuilder};
pub use violation::{MAX_VIOLATIONS, Place, Violation};
