//! The one wide event of each request: what is in it, where it goes, what it tells.
//!
//! ```text
//! edge worker ─► Sink (bounded, never blocks) ─► writer thread ─► spool (NDJSON segments) ─► find, tail, explain
//!                                                     ├─► subscribers (`events tail --follow`)
//!                                                     └─► traces (OTLP), sampled
//! ```
//!
//! A full queue never slows a request: plain forwarded calls are then left out and counted, and the next one that is
//! written carries their weight. Refusals have a reserve of their own, and are summed up when even that is full.
//! If the configuration asks for it, heads and bodies of a sample are kept beside the events ([`KeptRequest`]), redacted.
//! Control events (keys, configuration) are on disk before they are acknowledged.

mod count;
mod event;
mod explain;
mod id;
mod metrics;
mod otlp;
mod recorder;
mod redact;
mod requests;
mod spool;
mod text;
mod trace;

pub use count::{Column, Counter, Counts, GROUPS, Group, UnknownColumn};
pub use event::{Event, Kind, Outcome, RuleMatch, VerdictRecord};
pub use explain::explain;
pub use id::{IdText, ParseIdError, RequestId, SpanId, TraceId, random};
pub use metrics::{
    CONTENT_TYPE as METRICS_CONTENT_TYPE, ChannelMetrics, InFlight, Metrics, OperationMetrics,
};
pub use otlp::encode as encode_spans;
pub use recorder::{Export, Options, Recorder, Sink};
pub use redact::{redact_query, redact_value};
pub use requests::{Keeping, KeptRequest, RequestOptions, RequestSink};
pub use spool::Spool;
pub use text::Text;
pub use trace::{TraceContext, is_sampled};
