//! Where calls go.

use std::time::Duration;

use super::section;
use crate::model::{
    Sticky, Upstream, UpstreamBreaker, UpstreamEjection, UpstreamHealth, UpstreamMirror, UpstreamPart,
    UpstreamProtocol, UpstreamRetries, UpstreamSplit, UpstreamTls, WeightedUrl,
};
use crate::reader::{Fields, Mistakes, Share, list, names, scalar, word};
use crate::settings::{self, METHODS};
use crate::tree::{Node, Value};
use crate::value;

/// Most parts of a split: each has addresses, a breaker and series of metrics of its own.
const PARTS: usize = 8;

/// What the parts leave.
const MAIN: &str = "main";

/// What stands where the name of a part would, for the mirror.
const MIRROR: &str = "mirror";

pub(super) fn upstream(node: &Node, mistakes: &mut Mistakes) -> Option<Upstream> {
    let fields = Fields::open(node, &settings::UPSTREAM, mistakes);
    let urls = urls(&fields, mistakes);
    let protocol = match fields.get("protocol") {
        Some(node) => {
            let words = [("http1", UpstreamProtocol::Http1), ("http2", UpstreamProtocol::Http2)];
            word(node, &words, mistakes)
        }
        None => Some(UpstreamProtocol::Http1),
    };
    let [timeout, try_timeout, connect_timeout, refresh] =
        ["timeout", "try_timeout", "connect_timeout", "refresh"].map(|name| fields.time(name, mistakes));
    let body_timeout = fields.time("body_timeout", mistakes);
    let max_connections = fields.number("max_connections", mistakes);
    let retries = retries(&section(&fields, "retries", &settings::UPSTREAM_RETRIES, mistakes), mistakes);
    let ejection = ejection(&section(&fields, "ejection", &settings::UPSTREAM_EJECTION, mistakes), mistakes);
    let breaker = fields.get("breaker").map(|node| breaker(node, mistakes));
    let health = fields.get("health").map(|node| health(node, mistakes));
    let tls = tls(&section(&fields, "tls", &settings::UPSTREAM_TLS, mistakes), mistakes);
    let split = fields.get("split").map(|node| split(node, mistakes));
    let mirror = fields.get("mirror").map(|node| mirror(node, mistakes));
    Some(Upstream {
        urls,
        protocol: protocol?,
        timeout: timeout?,
        try_timeout,
        body_timeout: body_timeout?,
        connect_timeout: connect_timeout?,
        max_connections: usize::try_from(max_connections?).ok()?,
        refresh: refresh?,
        retries: retries?,
        ejection: ejection?,
        breaker: match breaker {
            Some(breaker) => Some(breaker?),
            None => None,
        },
        health: match health {
            Some(health) => Some(health?),
            None => None,
        },
        tls: tls?,
        split: match split {
            Some(split) => Some(split?),
            None => None,
        },
        mirror: match mirror {
            Some(mirror) => Some(mirror?),
            None => None,
        },
    })
}

fn urls(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Vec<WeightedUrl> {
    let urls = fields.require("urls", mistakes).map(|node| {
        let urls = match &node.value {
            // One address with a weight stands for a list of one, as a plain one does.
            Value::Map(_) => vec![node],
            _ => list(node, true, mistakes),
        };
        if urls.is_empty() && matches!(node.value, Value::List(_)) {
            mistakes.value(node.place, "expected at least one URL");
        }
        urls
    });
    urls.unwrap_or_default().into_iter().filter_map(|node| url(node, mistakes)).collect()
}

fn url(node: &Node, mistakes: &mut Mistakes) -> Option<WeightedUrl> {
    if !matches!(node.value, Value::Map(_)) {
        return Some(WeightedUrl { url: scalar(node, mistakes)?, weight: 1 });
    }
    let fields = Fields::open(node, &settings::UPSTREAM_URL, mistakes);
    let (url, weight) = (fields.required("url", mistakes), small(&fields, "weight", mistakes));
    Some(WeightedUrl { url: url?, weight: weight? })
}

fn split(node: &Node, mistakes: &mut Mistakes) -> Option<UpstreamSplit> {
    let fields = Fields::open(node, &settings::UPSTREAM_SPLIT, mistakes);
    let sticky = fields.get("sticky").map(|node| {
        let words = [
            ("principal", Sticky::Principal),
            ("credential", Sticky::Credential),
            ("address", Sticky::Address),
        ];
        word(node, &words, mistakes)
    });
    let node = fields.require("parts", mistakes)?;
    let entries = names(node, &[MAIN, MIRROR], mistakes);
    if entries.is_empty() && matches!(node.value, Value::Map(_) | Value::Null) {
        mistakes.value(node.place, "expected at least one part");
    }
    if entries.len() > PARTS {
        mistakes.value(node.place, format!("expected at most {PARTS} parts"));
    }
    let mut taken = 0;
    let mut parts = Vec::new();
    for (key, node) in entries {
        let fields = Fields::open(node, &settings::UPSTREAM_PART, mistakes);
        let written = fields.require("share", mistakes).is_some();
        let share = if written { share(&fields, mistakes) } else { None };
        // The one that does not fit any more is told, and what comes after it.
        taken += share.unwrap_or_default();
        if taken > 1000 {
            let message = format!("the parts up to here take {}% of the calls", f64::from(taken) / 10.0);
            mistakes.value(fields.place_of("share"), message);
        }
        let urls = urls(&fields, mistakes);
        if let Some(share) = share {
            parts.push((key.name.clone(), UpstreamPart { share, urls }));
        }
    }
    let sticky = match sticky {
        Some(sticky) => Some(sticky?),
        None => None,
    };
    Some(UpstreamSplit { sticky, parts })
}

fn mirror(node: &Node, mistakes: &mut Mistakes) -> Option<UpstreamMirror> {
    let fields = Fields::open(node, &settings::UPSTREAM_MIRROR, mistakes);
    let (urls, share) = (urls(&fields, mistakes), share(&fields, mistakes));
    let methods = match fields.get("methods") {
        None => vec!["GET", "HEAD"],
        Some(node) => {
            let nodes = list(node, true, mistakes);
            if nodes.is_empty() && matches!(node.value, Value::List(_)) {
                mistakes.value(node.place, "expected at least one method");
            }
            let words = METHODS.map(|method| (method, method));
            nodes.into_iter().filter_map(|node| word(node, &words, mistakes)).collect()
        }
    };
    let mut methods: Vec<_> = methods.into_iter().map(str::to_owned).collect();
    methods.sort();
    methods.dedup();
    Some(UpstreamMirror { urls, share: share?, methods })
}

/// `share` in thousandths, or its default.
fn share(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Option<u16> {
    let Share(share) = fields.scalar("share", mistakes)?;
    let exact = share * 1000.0;
    let whole = exact.round();
    if (exact - whole).abs() > 1e-6 {
        let message = "a share is told to a tenth of a percent, as in `0.5%`";
        mistakes.value(fields.place_of("share"), message);
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is 0 to 1")]
    Some(whole as u16)
}

fn retries(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Option<UpstreamRetries> {
    let words: Vec<_> = settings::RETRIED.iter().map(|word| (*word, *word)).collect();
    let on: Vec<_> = match fields.get("on") {
        Some(node) => {
            let nodes = list(node, true, mistakes);
            nodes.into_iter().filter_map(|node| word(node, &words, mistakes)).collect()
        }
        None => vec!["reset", "timeout"],
    };
    let (max, floor) = (small(fields, "max", mistakes), small(fields, "floor", mistakes));
    let share: Option<Share> = fields.scalar("share", mistakes);
    Some(UpstreamRetries {
        max: max?,
        reset: on.contains(&"reset"),
        timeout: on.contains(&"timeout"),
        statuses: on.iter().filter_map(|word| word.parse().ok()).collect(),
        share: share?.0,
        floor: floor?,
    })
}

fn ejection(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Option<UpstreamEjection> {
    let failures = small(fields, "failures", mistakes);
    let (time, longest): (Option<Duration>, Option<Duration>) =
        (fields.time("for", mistakes), fields.time("longest", mistakes));
    if time > longest && longest.is_some() {
        mistakes.value(fields.place_of("for"), "an address is left out for no longer than `longest`");
    }
    let at_most: Option<Share> = fields.scalar("at_most", mistakes);
    Some(UpstreamEjection { failures: failures?, time: time?, longest: longest?, at_most: at_most?.0 })
}

fn breaker(node: &Node, mistakes: &mut Mistakes) -> Option<UpstreamBreaker> {
    let fields = Fields::open(node, &settings::UPSTREAM_BREAKER, mistakes);
    let failures: Option<Share> = fields.required("failures", mistakes);
    if failures.as_ref().is_some_and(|share| share.0 <= 0.0) {
        mistakes.value(
            fields.place_of("failures"),
            "at 0% the breaker would open with the first failure: write 1%",
        );
    }
    let [least_calls, trials] = ["least_calls", "trials"].map(|name| small(&fields, name, mistakes));
    let [window, open] = ["window", "open"].map(|name| fields.time(name, mistakes));
    Some(UpstreamBreaker {
        failures: failures?.0,
        least_calls: least_calls?,
        window: window?,
        open: open?,
        trials: trials?,
    })
}

fn health(node: &Node, mistakes: &mut Mistakes) -> Option<UpstreamHealth> {
    let fields = Fields::open(node, &settings::UPSTREAM_HEALTH, mistakes);
    let path: Option<String> = fields.required("path", mistakes);
    let plain =
        |path: &String| path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    if path.as_ref().is_some_and(|path| !plain(path)) {
        mistakes.value(fields.place_of("path"), "a path begins with `/` and holds no blanks");
    }
    let [interval, timeout] = ["interval", "timeout"].map(|name| fields.time(name, mistakes));
    let [healthy, unhealthy] = ["healthy", "unhealthy"].map(|name| small(&fields, name, mistakes));
    let mut expect = Vec::new();
    if let Some(node) = fields.get("expect") {
        let nodes =
            if matches!(node.value, Value::Number(_)) { vec![node] } else { list(node, false, mistakes) };
        for node in nodes {
            match scalar::<u64>(node, mistakes).map(u16::try_from) {
                Some(Ok(status)) if (200..600).contains(&status) => expect.push(status),
                Some(_) => mistakes.value(node.place, "a status is a number from 200 to 599"),
                None => {}
            }
        }
    }
    Some(UpstreamHealth {
        path: path?,
        interval: interval?,
        timeout: timeout?,
        healthy: healthy?,
        unhealthy: unhealthy?,
        expect,
    })
}

fn tls(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Option<UpstreamTls> {
    let (ca, name) = (fields.scalar("ca", mistakes), fields.scalar::<String>("name", mistakes));
    let (cert, key) = (fields.get("cert").is_some(), fields.get("key").is_some());
    let identity = if cert || key {
        let (cert, key) = (fields.required("cert", mistakes), fields.required("key", mistakes));
        cert.zip(key)
    } else {
        None
    };
    let mut pins = Vec::new();
    for node in fields.get("pins").map(|node| list(node, true, mistakes)).unwrap_or_default() {
        let Some(text) = scalar::<String>(node, mistakes) else { continue };
        match value::pin(&text) {
            Some(pin) => pins.push(pin),
            None => mistakes.value(node.place, "expected `sha256/` and 32 bytes in base64"),
        }
    }
    Some(UpstreamTls { ca, identity, name: name.map(|name| name.to_ascii_lowercase()), pins })
}

/// A number that is small by the bounds of its setting.
fn small(fields: &Fields<'_>, name: &str, mistakes: &mut Mistakes) -> Option<u32> {
    fields.number(name, mistakes).and_then(|number| u32::try_from(number).ok())
}
