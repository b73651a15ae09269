//! W3C Trace Context: where a request stands in a distributed trace.

use crate::id::{SpanId, TraceId, is_within};

/// A request's place in a trace: its own server span, the client span of the call to the upstream, and the caller's
/// span if there is one.
///
/// Follows W3C Trace Context level 1 (`traceparent`), and level 2 for consistent sampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The caller's span.
    pub parent_span_id: Option<SpanId>,
    /// The server span: this request at the gateway.
    pub span_id: SpanId,
    /// The client span: the call to the upstream. It is the parent that the upstream sees.
    pub upstream_span_id: SpanId,
    /// Whether spans are exported.
    pub sampled: bool,
}

// === impl TraceContext ===

impl TraceContext {
    /// A new trace, of which the share `ratio` (0 to 1) is sampled.
    pub fn start(ratio: f64) -> Self {
        let trace_id = TraceId::generate();
        Self {
            trace_id,
            parent_span_id: None,
            span_id: SpanId::generate(),
            upstream_span_id: SpanId::generate(),
            sampled: is_sampled(trace_id, ratio),
        }
    }

    /// Continues the caller's trace with its sampling decision; nothing if `traceparent` is not valid, which W3C Trace
    /// Context says to treat as absent.
    ///
    /// Whether a caller may decide on sampling at all is for the edge to say.
    pub fn continued(traceparent: &[u8]) -> Option<Self> {
        let (version, rest) = field(traceparent, 2)?;
        let (trace, rest) = field(rest, 32)?;
        let (parent, rest) = field(rest, 16)?;
        let version = hex_byte(version)?;
        let flags = hex_byte(rest.get(..2)?)?;
        let end_fits = match version {
            0xff => false,
            0 => rest.len() == 2,
            // A later version may append fields, each after a hyphen.
            _ => matches!(rest.get(2), None | Some(b'-')),
        };
        if !end_fits {
            return None;
        }
        Some(Self {
            trace_id: TraceId::parse(trace)?,
            parent_span_id: Some(SpanId::parse(parent)?),
            span_id: SpanId::generate(),
            upstream_span_id: SpanId::generate(),
            sampled: flags & 1 == 1,
        })
    }

    /// The header's value for the upstream: 55 characters, the client span as the parent.
    pub fn traceparent(&self) -> String {
        format!(
            "00-{}-{}-{:02x}",
            self.trace_id.encode().as_str(),
            self.upstream_span_id.encode().as_str(),
            u8::from(self.sampled)
        )
    }
}

/// Whether a trace belongs to the share `ratio` (0 to 1) that is sampled. The same for every party that asks.
pub fn is_sampled(trace_id: TraceId, ratio: f64) -> bool {
    is_within(trace_id.random_bits(), ratio)
}

/// Splits off a field of `len` bytes and the hyphen behind it.
fn field(text: &[u8], len: usize) -> Option<(&[u8], &[u8])> {
    let (field, rest) = text.split_at_checked(len)?;
    Some((field, rest.strip_prefix(b"-")?))
}

fn hex_byte(text: &[u8]) -> Option<u8> {
    let text = str::from_utf8(text).ok()?;
    let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    lower.then(|| u8::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_goes_on_with_the_caller_as_parent() {
        let context = TraceContext::continued(VALID.as_bytes()).expect("valid");
        assert_eq!(context.trace_id.encode().as_str(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(
            context.parent_span_id.map(|id| id.encode().as_str().to_owned()).as_deref(),
            Some("00f067aa0ba902b7")
        );
        assert!(context.sampled);
        let sent = context.traceparent();
        assert_eq!(sent.len(), 55);
        let next = TraceContext::continued(sent.as_bytes()).expect("own header is valid");
        assert_eq!(next.parent_span_id, Some(context.upstream_span_id));
    }

    #[test]
    fn a_later_version_may_carry_more_fields() {
        let later = VALID.replacen("00", "cc", 1);
        assert!(TraceContext::continued(later.as_bytes()).is_some());
        assert!(TraceContext::continued(format!("{later}-what").as_bytes()).is_some());
        assert!(TraceContext::continued(format!("{later}.what").as_bytes()).is_none());
    }

    #[test]
    fn an_invalid_header_is_no_trace() {
        for text in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
        ] {
            assert_eq!(TraceContext::continued(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn sampling_follows_the_trace_id() {
        let low = TraceId::parse(b"4bf92f3577b34da6a300000000000001").expect("valid");
        let half = TraceId::parse(b"4bf92f3577b34da6a380000000000000").expect("valid");
        assert!(!is_sampled(low, 0.0));
        assert!(is_sampled(low, 0.001));
        assert!(!is_sampled(half, 0.5));
        assert!(is_sampled(half, 0.500_001));
        assert!(is_sampled(half, 1.0));
    }

    proptest! {
        /// Against a plain reading of the standard, on texts that are nearly right.
        #[test]
        fn the_parser_agrees_with_the_standard(
            at in 0..56usize,
            byte in prop_oneof![Just(b'-'), Just(b'0'), Just(b'f'), any::<u8>()],
            version in prop_oneof![Just("00"), Just("01"), Just("ff")],
            rest in prop_oneof![Just(""), Just("-"), Just("-x"), Just("x")],
        ) {
            let mut text = format!("{version}{}{rest}", VALID.trim_start_matches("00")).into_bytes();
            if let Some(slot) = text.get_mut(at) {
                *slot = byte;
            }
            let read = TraceContext::continued(&text).map(|context| {
                (context.trace_id, context.parent_span_id, context.sampled)
            });
            prop_assert_eq!(read, reference(&text), "{}", String::from_utf8_lossy(&text));
        }

        #[test]
        fn no_bytes_make_it_fail(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(TraceContext::continued(&bytes).is_some(), reference(&bytes).is_some());
        }
    }

    fn reference(text: &[u8]) -> Option<(TraceId, Option<SpanId>, bool)> {
        let text = str::from_utf8(text).ok()?;
        let fields: Vec<&str> = text.split('-').collect();
        let [version, trace, parent, flags, more @ ..] = &fields[..] else { return None };
        let hex = |field: &str, len: usize| {
            field.len() == len && field.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
        };
        let is_valid = hex(version, 2)
            && *version != "ff"
            && (*version != "00" || more.is_empty())
            && hex(trace, 32)
            && trace.contains(|c| c != '0')
            && hex(parent, 16)
            && parent.contains(|c| c != '0')
            && hex(flags, 2);
        let sampled = u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1);
        is_valid
            .then(|| Some((TraceId::parse(trace.as_bytes())?, SpanId::parse(parent.as_bytes()), sampled)))?
    }
}
