//! Why bytes are refused.

use std::fmt;

/// Bytes that are not one unambiguous request. The connection is answered with [`status`](Self::status) and closed:
/// where the next message would start is no longer known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    kind: RefusalKind,
    offset: Option<usize>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $status:literal $code:literal $sentence:literal;)*) => {
        /// What was wrong. Each kind has a status, a stable code and one sentence.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum RefusalKind {
            $($(#[$doc])* $name,)*
        }

        impl RefusalKind {
            /// Every kind, for tables in manuals and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The response's status.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// A stable kebab-case word.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What was seen and what was expected.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

kinds! {
    /// RFC 9112, 2.2. Lenient readers end a line here, strict ones do not.
    BareLf 400 "bare-lf" "a line feed without a carriage return before it; lines end in CR LF";
    /// RFC 9112, 2.2.
    BareCr 400 "bare-cr" "a carriage return without a line feed after it; lines end in CR LF";
    /// RFC 9112, 2.2: one empty line before a request is let through, for old clients; two are not.
    EmptyLines 400 "empty-lines" "more than one empty line before the request line";
    /// RFC 9112, 3.
    InvalidRequestLine 400 "invalid-request-line" "the request line is not `method SP target SP version`";
    /// RFC 9110, 9.1: a token; at most 32 bytes here.
    InvalidMethod 400 "invalid-method" "the method is not a token of at most 32 bytes";
    /// RFC 9112, 2.3.
    InvalidVersion 400 "invalid-version" "the version is not spelt `HTTP/1.1` or `HTTP/1.0`";
    /// RFC 9110, 15.6.6.
    UnsupportedVersion 505 "unsupported-version" "the version is none of HTTP/1.1 and HTTP/1.0";
    /// RFC 9112, 3.2.
    InvalidTarget 400 "invalid-target" "the request target is in none of the forms of RFC 9112, 3.2 or holds a control byte";
    /// RFC 9112, 3.2: a target has no fragment.
    FragmentInTarget 400 "fragment-in-target" "the request target holds a fragment (`#`)";
    /// RFC 9110, 15.5.15.
    TargetTooLong 414 "target-too-long" "the request target is longer than the limit";
    /// Haechi is no forward proxy.
    ConnectRefused 400 "connect-refused" "CONNECT asks for a tunnel; this is not a forward proxy";
    /// RFC 9112, 3.2.4.
    AsteriskTarget 400 "asterisk-target" "the target `*` is for OPTIONS only";
    /// RFC 6585, 5.
    HeadTooLarge 431 "head-too-large" "the request head is larger than the limit";
    /// RFC 6585, 5.
    TooManyHeaders 431 "too-many-headers" "there are more header fields than the limit";
    /// RFC 9112, 2.2.
    LeadingWhitespace 400 "leading-whitespace" "whitespace between the request line and the first header field";
    /// RFC 9112, 5.2.
    ObsFold 400 "obs-fold" "a header line starts with whitespace; folded lines are obsolete";
    /// RFC 9112, 5.1.
    SpaceBeforeColon 400 "space-before-colon" "whitespace between a header name and its colon";
    /// RFC 9112, 5.
    MissingColon 400 "missing-colon" "a header line without a colon";
    /// RFC 9110, 5.1.
    EmptyHeaderName 400 "empty-header-name" "a header line starts with a colon";
    /// RFC 9110, 5.1.
    InvalidHeaderName 400 "invalid-header-name" "a header name is not a token";
    /// RFC 9110, 5.5.
    InvalidHeaderValue 400 "invalid-header-value" "a header value holds a control byte";
    /// `Content_Length`, `Transfer.Encoding`: CGI-like upstreams fold them onto the framing fields.
    LookAlikeHeader 400 "look-alike-header" "a header name differs from a framing field only by its separator";
    /// RFC 9112, 3.2.
    MissingHost 400 "missing-host" "an HTTP/1.1 request without Host";
    /// RFC 9112, 3.2.
    RepeatedHost 400 "repeated-host" "more than one Host field";
    /// RFC 9112, 3.2.
    InvalidHost 400 "invalid-host" "the host is no name, IPv4 or bracketed IPv6 address with an optional port";
    /// RFC 9110, 4.2.4.
    UserInfo 400 "user-info" "the authority holds user information (`@`)";
    /// RFC 9112, 3.2.2: proxies are to replace Host; a mismatch is a routing trick.
    HostMismatch 400 "host-mismatch" "Host differs from the authority of the absolute-form target";
    /// RFC 9112, 6.3. Leading zeros are refused too: some readers take them for octal.
    InvalidContentLength 400 "invalid-content-length" "Content-Length is no plain decimal number without sign or leading zeros";
    /// RFC 9112, 6.3, even when the values are equal.
    RepeatedContentLength 400 "repeated-content-length" "more than one Content-Length";
    /// RFC 9112, 6.1.
    LengthAndEncoding 400 "content-length-with-transfer-encoding" "both Content-Length and Transfer-Encoding";
    /// RFC 9112, 6.1: any coding but one plain `chunked`.
    InvalidTransferEncoding 400 "invalid-transfer-encoding" "Transfer-Encoding is other than exactly `chunked`";
    /// RFC 9112, 6.1.
    RepeatedTransferEncoding 400 "repeated-transfer-encoding" "more than one Transfer-Encoding field";
    /// RFC 9112, 6.1.
    EncodingInHttp10 400 "transfer-encoding-in-http-1-0" "Transfer-Encoding in an HTTP/1.0 request";
    /// RFC 9110, 10.1.1.
    InvalidExpect 417 "unsupported-expectation" "Expect is other than exactly `100-continue`";
    /// RFC 9110, 7.6.1.
    InvalidConnection 400 "invalid-connection" "Connection is no list of tokens";
    /// RFC 9110, 7.6.1: end-to-end fields are not to be listed. Naming them makes a naive proxy strip them.
    ConnectionNamesField 400 "connection-names-end-to-end-field" "Connection names a framing, routing or credential field";
    /// RFC 9110, 7.8: an upgrade whose content would be read as the new protocol's first bytes.
    UpgradeWithBody 400 "upgrade-with-body" "a protocol upgrade with content";
    /// RFC 9110, 9.3.8.
    TraceWithBody 400 "trace-with-body" "TRACE with content";
    /// RFC 9112, 7.1.
    InvalidChunkSize 400 "invalid-chunk-size" "a chunk size is not 1 to 16 hexadecimal digits";
    /// RFC 9112, 7.1.1; no whitespace around `;` and `=`.
    InvalidChunkExtension 400 "invalid-chunk-extension" "a chunk extension is not `;name`, `;name=token` or `;name=\"text\"`";
    /// A chunk line is a few digits; a long one is an attack on memory.
    ChunkLineTooLong 400 "chunk-line-too-long" "a chunk size line is longer than the limit";
    /// The extensions of one body together: they carry nothing for us and cost time.
    ChunkExtensionsTooLong 400 "chunk-extensions-too-long" "the chunk extensions of one body are longer than the limit";
    /// RFC 9112, 7.1.
    InvalidChunkEnd 400 "invalid-chunk-end" "chunk data is not followed by CR LF";
    /// RFC 6585, 5.
    TrailersTooLarge 431 "trailers-too-large" "the trailer section is larger than the limit";
    /// RFC 9110, 6.5.1.
    ForbiddenTrailer 400 "forbidden-trailer" "a trailer field that frames, routes, authenticates or describes the content";
}

// === impl Refusal ===

impl Refusal {
    pub(crate) const fn new(kind: RefusalKind) -> Self {
        Self { kind, offset: None }
    }

    pub(crate) const fn at(kind: RefusalKind, offset: usize) -> Self {
        Self { kind, offset: Some(offset) }
    }

    /// What was wrong.
    pub const fn kind(self) -> RefusalKind {
        self.kind
    }

    /// The status of the response: 400, or 414, 417, 431, 505 where HTTP has a word for it.
    pub const fn status(self) -> u16 {
        self.kind.status()
    }

    /// A stable kebab-case word for events and problem types.
    pub const fn code(self) -> &'static str {
        self.kind.code()
    }

    /// Where: bytes from the start of the head, of the chunk line or of the trailer section. `None` where the
    /// fault is in no single place.
    pub const fn offset(self) -> Option<usize> {
        self.offset
    }
}

impl From<RefusalKind> for Refusal {
    fn from(kind: RefusalKind) -> Self {
        Self::new(kind)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.sentence())?;
        match self.offset {
            Some(offset) => write!(f, " (at byte {offset})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_kebab_case_and_statuses_client_errors_or_505() {
        let mut codes: Vec<_> = RefusalKind::ALL.iter().map(|kind| kind.code()).collect();
        for (kind, code) in RefusalKind::ALL.iter().zip(&codes) {
            assert!(
                code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{code}"
            );
            assert!(matches!(kind.status(), 400 | 414 | 417 | 431 | 505), "{code}");
        }
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), RefusalKind::ALL.len());
    }

    #[test]
    fn a_refusal_says_what_and_where() {
        let refusal = Refusal::at(RefusalKind::BareLf, 7);
        assert_eq!(
            refusal.to_string(),
            "a line feed without a carriage return before it; lines end in CR LF (at byte 7)"
        );
    }
}
