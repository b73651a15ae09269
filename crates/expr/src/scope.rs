//! What expressions may speak of.

use std::borrow::Cow;
use std::time::UNIX_EPOCH;

use haechi_guard::Exchange;

use crate::eval::Value;

/// What kind of value a part of an expression makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Int,
    Text,
    Time,
    /// A list of texts.
    Texts,
    /// A list of numbers.
    Ints,
    /// From a name to the one value it has.
    Map(Source),
    /// From a name to all its values.
    Lists(Source),
    /// What a token says; known only when a call comes.
    Any,
}

/// What has names and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Header,
    Query,
}

/// A variable, as the manual tells it.
#[derive(Debug)]
pub struct Variable {
    /// Its name with dots.
    pub name: &'static str,
    /// What it is, and what it is where there is nothing to say.
    pub meaning: &'static str,
    pub(crate) kind: Type,
    pub(crate) id: Id,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Id {
    Method,
    Path,
    Host,
    Scheme,
    Protocol,
    Headers,
    HeaderValues,
    Query,
    QueryValues,
    ClientIp,
    Country,
    Asn,
    TlsVersion,
    TlsCipher,
    TlsName,
    Identity,
    Subject,
    Credential,
    Kind,
    Collection,
    Client,
    Scopes,
    Claims,
    Channel,
    Api,
    Operation,
    Now,
}

const fn variable(name: &'static str, kind: Type, id: Id, meaning: &'static str) -> Variable {
    Variable { name, meaning, kind, id }
}

/// All variables.
pub static VARIABLES: [Variable; 27] = [
    variable("request.method", Type::Text, Id::Method, "the method, as in `GET`"),
    variable(
        "request.path",
        Type::Text,
        Id::Path,
        "the canonical path: no `//`, no `..`, no needless escapes",
    ),
    variable("request.host", Type::Text, Id::Host, "the host asked for, in lower case, without a port"),
    variable(
        "request.scheme",
        Type::Text,
        Id::Scheme,
        "`https` or `http`, as the caller or a trusted proxy came",
    ),
    variable("request.protocol", Type::Text, Id::Protocol, "`1.0`, `1.1` or `2`"),
    variable(
        "request.headers",
        Type::Map(Source::Header),
        Id::Headers,
        "name in lower case → the value; an error if it is absent, stands more than once or is not UTF-8",
    ),
    variable(
        "request.header_values",
        Type::Lists(Source::Header),
        Id::HeaderValues,
        "name in lower case → all values; an empty list if there is none",
    ),
    variable(
        "request.query",
        Type::Map(Source::Query),
        Id::Query,
        "name → the value, decoded; an error if it is absent or stands more than once",
    ),
    variable(
        "request.query_values",
        Type::Lists(Source::Query),
        Id::QueryValues,
        "name → all values, decoded; an empty list if there is none",
    ),
    variable(
        "client.ip",
        Type::Text,
        Id::ClientIp,
        "the caller's address: the peer's, or what trusted proxies say; IPv4 in IPv6 is IPv4",
    ),
    variable(
        "client.country",
        Type::Text,
        Id::Country,
        "two letters, as in `KR`; empty if it is not known; needs `geo.country`",
    ),
    variable(
        "client.asn",
        Type::Int,
        Id::Asn,
        "number of the network's operator; 0 if it is not known; needs `geo.asn`",
    ),
    variable("tls.version", Type::Text, Id::TlsVersion, "`1.2` or `1.3`; empty without TLS here"),
    variable("tls.cipher", Type::Text, Id::TlsCipher, "name of the cipher suite; empty without TLS here"),
    variable(
        "tls.name",
        Type::Text,
        Id::TlsName,
        "name the caller asked for in TLS; empty if it asked for none",
    ),
    variable(
        "principal.identity",
        Type::Text,
        Id::Identity,
        "the entry under `identity` that knows the caller; empty for an unknown caller, as all of `principal`",
    ),
    variable("principal.subject", Type::Text, Id::Subject, "whom the credential names"),
    variable(
        "principal.credential",
        Type::Text,
        Id::Credential,
        "a name of the credential that may be shown",
    ),
    variable("principal.kind", Type::Text, Id::Kind, "`api_key` or `token`"),
    variable("principal.collection", Type::Text, Id::Collection, "the collection of an API key"),
    variable("principal.client", Type::Text, Id::Client, "the OAuth client of a token"),
    variable("principal.scopes", Type::Texts, Id::Scopes, "the scopes of a token"),
    variable(
        "claims",
        Type::Any,
        Id::Claims,
        "what a token says, as in `claims.client_id`; an error if it does not, so ask `has(claims.client_id)` first",
    ),
    variable(
        "channel",
        Type::Text,
        Id::Channel,
        "the call's channel; empty if it has none, or in `channels`",
    ),
    variable("api", Type::Text, Id::Api, "name of the API or service"),
    variable("operation", Type::Text, Id::Operation, "id of the operation; `-` for a service"),
    variable("now", Type::Time, Id::Now, "when the request came"),
];

// === impl Type ===

impl Type {
    pub(crate) fn shown(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Int => "a number",
            Self::Text => "a text",
            Self::Time => "a time",
            Self::Texts => "a list of texts",
            Self::Ints => "a list of numbers",
            Self::Map(_) => "names with a value each",
            Self::Lists(_) => "names with lists of values",
            Self::Any => "a claim",
        }
    }
}

// === impl Id ===

impl Id {
    /// The value of a variable that is one; maps are asked by name.
    pub(crate) fn value<'e>(self, exchange: &'e Exchange<'_>) -> Value<'e> {
        let principal = exchange.principal.as_deref();
        let text = |text: Option<&'e str>| Value::Text(Cow::Borrowed(text.unwrap_or_default()));
        let arrival = &exchange.arrival;
        match self {
            Self::Method => text(Some(exchange.method.as_str())),
            Self::Path => text(Some(exchange.path.as_str())),
            Self::Host if arrival.host.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Value::Text(arrival.host.to_ascii_lowercase().into())
            }
            Self::Host => text(Some(arrival.host)),
            Self::Scheme => text(Some(if arrival.secure { "https" } else { "http" })),
            Self::Protocol => text(Some(arrival.protocol)),
            Self::ClientIp => Value::Text(exchange.client.to_canonical().to_string().into()),
            Self::Country => text(Some(arrival.country)),
            Self::Asn => Value::Int(arrival.asn.into()),
            Self::TlsVersion => text(Some(arrival.tls_version)),
            Self::TlsCipher => text(Some(arrival.tls_cipher)),
            Self::TlsName => text(Some(arrival.tls_name)),
            Self::Identity => text(principal.map(|principal| &*principal.identity)),
            Self::Subject => text(principal.map(|principal| &*principal.subject)),
            Self::Credential => text(principal.map(|principal| &*principal.credential)),
            Self::Kind => text(principal.map(|principal| principal.kind.as_str())),
            Self::Collection => text(principal.and_then(|principal| principal.collection.as_deref())),
            Self::Client => text(principal.and_then(|principal| principal.client.as_deref())),
            Self::Scopes => {
                let scopes = principal.map(|principal| principal.scopes.as_slice()).unwrap_or_default();
                Value::List(scopes.iter().map(|scope| text(Some(scope))).collect())
            }
            Self::Channel => text(Some(exchange.channel)),
            Self::Api => text(Some(exchange.api)),
            Self::Operation => text(Some(exchange.operation)),
            Self::Now => {
                let now = exchange.now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                Value::Time(i64::try_from(now).unwrap_or(i64::MAX))
            }
            Self::Headers | Self::HeaderValues | Self::Query | Self::QueryValues | Self::Claims => {
                Value::Nothing
            }
        }
    }
}
