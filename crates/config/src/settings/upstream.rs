//! Where calls go: the settings that APIs and services share.

use super::{Form, METHODS, Section, setting};

pub(crate) static UPSTREAM: Section = Section {
    settings: &[
        setting(
            "urls",
            URLS,
            "",
            "One or more addresses, or `{ url: URL, weight: 3 }`. Of two drawn by weight the less busy takes a call. Required.",
        ),
        setting(
            "protocol",
            Form::Word(&["http1", "http2"]),
            "http1",
            "What is spoken. `http2` to an `http` address is spoken outright (h2c), to an `https` address it must be agreed (ALPN).",
        ),
        setting("timeout", Form::Duration, "30s", "Until the head of the response, over all tries."),
        setting("try_timeout", Form::Duration, "", "The same for one try; `timeout` if not set."),
        setting("body_timeout", Form::Duration, "60s", "Longest silence inside a response's body."),
        setting("connect_timeout", Form::Duration, "2s", "Setting up a connection."),
        setting(
            "max_connections",
            Form::Number { min: 1, max: 100_000 },
            "256",
            "Calls in flight to one address, for each worker; over `http1` each has a connection, over `http2` a hundred share one.",
        ),
        setting(
            "refresh",
            Form::Duration,
            "10s",
            "How often host names are resolved again. Every address of a name takes calls.",
        ),
        setting("retries", Form::Section(&UPSTREAM_RETRIES), "", "When a call is sent once more."),
        setting(
            "ejection",
            Form::Section(&UPSTREAM_EJECTION),
            "",
            "When an address is left out because calls to it fail.",
        ),
        setting(
            "breaker",
            Form::Section(&UPSTREAM_BREAKER),
            "",
            "When nothing is sent for a while; never if not set.",
        ),
        setting(
            "health",
            Form::Section(&UPSTREAM_HEALTH),
            "",
            "How addresses are asked whether they are well; they are not if not set.",
        ),
        setting("tls", Form::Section(&UPSTREAM_TLS), "", "How `https` upstreams prove who they are."),
        setting(
            "split",
            Form::Section(&UPSTREAM_SPLIT),
            "",
            "What of the calls goes to another version of the service; nothing if not set.",
        ),
        setting(
            "mirror",
            Form::Section(&UPSTREAM_MIRROR),
            "",
            "Where copies of calls go, for nobody's answer; nowhere if not set.",
        ),
    ],
};

const URLS: Form = Form::List(&Form::Either(&[Form::Url, Form::Section(&UPSTREAM_URL)]));

pub(crate) static UPSTREAM_SPLIT: Section = Section {
    settings: &[
        setting(
            "sticky",
            Form::Word(&["principal", "credential", "address"]),
            "",
            "By what a caller stays on its part; those without credentials by their address. Each call is dealt by itself if not set.",
        ),
        setting(
            "parts",
            Form::Names(&Form::Section(&UPSTREAM_PART)),
            "",
            "One to eight parts by name. What they leave is `main`, the addresses of `urls`. Required.",
        ),
    ],
};

pub(crate) static UPSTREAM_MIRROR: Section = Section {
    settings: &[
        setting(
            "urls",
            URLS,
            "",
            "Its addresses; how it is spoken to and trusted is as with the upstream. It sees what that sees, tokens and cookies included. Required.",
        ),
        setting("share", Form::Percent, "100%", "Of the calls that can be copied, as in `5%` or `0.5%`."),
        setting(
            "methods",
            Form::List(&Form::Word(&METHODS)),
            "[GET, HEAD]",
            "Methods of calls that are copied. Others change what is behind the mirror, too.",
        ),
    ],
};

pub(crate) static UPSTREAM_PART: Section = Section {
    settings: &[
        setting(
            "share",
            Form::Percent,
            "",
            "Of the calls, as in `10%` or `0.5%`; all parts together 100% at most. Required.",
        ),
        setting(
            "urls",
            URLS,
            "",
            "Its addresses; in all else a part is like the upstream it is of. Where none of them is well, `main` serves. Required.",
        ),
    ],
};

pub(crate) static UPSTREAM_URL: Section = Section {
    settings: &[
        setting("url", Form::Url, "", "The address. Required."),
        setting(
            "weight",
            Form::Number { min: 1, max: 1000 },
            "1",
            "Its share of the calls, against the others'.",
        ),
    ],
};

/// Answers that may be tried elsewhere.
pub(crate) const RETRIED: [&str; 7] = ["reset", "timeout", "500", "502", "503", "504", "429"];

pub(crate) static UPSTREAM_RETRIES: Section = Section {
    settings: &[
        setting(
            "max",
            Form::Number { min: 0, max: 5 },
            "2",
            "How often an idempotent call that was sent is sent again. One that never left goes to the next address in any case.",
        ),
        setting(
            "on",
            Form::List(&Form::Word(&RETRIED)),
            "[reset, timeout]",
            "Why: the connection broke before an answer, a try took too long, or this status.",
        ),
        setting("share", Form::Percent, "20%", "How many of all calls; beyond it failures are answers."),
        setting(
            "floor",
            Form::Number { min: 1, max: 10_000 },
            "10",
            "Retries a second beside, whatever the traffic; ten seconds of them can be saved up.",
        ),
    ],
};

pub(crate) static UPSTREAM_EJECTION: Section = Section {
    settings: &[
        setting(
            "failures",
            Form::Number { min: 1, max: 1_000 },
            "5",
            "Failures in a row: no connection, no answer, an answer that breaks off, 502, 503 or 504.",
        ),
        setting(
            "for",
            Form::Duration,
            "5s",
            "For how long, the first time; doubled each time it happens again. Then one call tries.",
        ),
        setting("longest", Form::Duration, "5m", "For how long at most."),
        setting(
            "at_most",
            Form::Percent,
            "50%",
            "The share of an upstream's addresses that may be left out.",
        ),
    ],
};

pub(crate) static UPSTREAM_BREAKER: Section = Section {
    settings: &[
        setting("failures", Form::Percent, "", "The share of calls that fail, retries included. Required."),
        setting(
            "least_calls",
            Form::Number { min: 1, max: 100_000 },
            "20",
            "Calls of a window without which nothing is said.",
        ),
        setting("window", Form::Duration, "10s", "The time over which calls are counted."),
        setting(
            "open",
            Form::Duration,
            "5s",
            "How long nothing is sent; callers are told with `Retry-After`.",
        ),
        setting(
            "trials",
            Form::Number { min: 1, max: 1_000 },
            "3",
            "Calls that try at once when that is over; as many successes close it.",
        ),
    ],
};

pub(crate) static UPSTREAM_HEALTH: Section = Section {
    settings: &[
        setting("path", Form::Path, "", "What is asked for with `GET`. Required."),
        setting("interval", Form::Duration, "5s", "How often; a tenth more or less."),
        setting("timeout", Form::Duration, "2s", "How long an answer may take, connection included."),
        setting(
            "healthy",
            Form::Number { min: 1, max: 100 },
            "2",
            "Good answers in a row after which it is well again.",
        ),
        setting(
            "unhealthy",
            Form::Number { min: 1, max: 100 },
            "3",
            "Bad ones in a row after which it is not.",
        ),
        setting(
            "expect",
            Form::List(&Form::Number { min: 200, max: 599 }),
            "",
            "Statuses that are a good answer; any from 200 to 299 if not set.",
        ),
    ],
};

pub(crate) static UPSTREAM_TLS: Section = Section {
    settings: &[
        setting("ca", Form::Secret, "", "Certificate authorities in PEM; the web's if not set."),
        setting("cert", Form::Secret, "", "The gateway's own certificate chain in PEM (mutual TLS)."),
        setting("key", Form::Secret, "", "Its private key in PEM."),
        setting(
            "name",
            Form::Text,
            "",
            "The name that the certificate must carry; the URL's host if not set.",
        ),
        setting(
            "pins",
            Form::List(&Form::Text),
            "[]",
            "`sha256/…` (base64) of public keys of which the chain must hold one, beside being trusted.",
        ),
    ],
};
