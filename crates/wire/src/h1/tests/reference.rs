//! A slow parser written from the grammar and the table in the module's documentation, on whole buffers, with
//! nothing remembered between calls. It says what a request means, or that it is refused, but not how.

use super::super::Framing;
use crate::Authority;

/// Names and values.
pub(super) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

#[derive(Debug, PartialEq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: Vec<u8>,
    pub(super) minor: u8,
    pub(super) fields: Fields,
    pub(super) framing: Framing,
    pub(super) persistent: bool,
    pub(super) expect_continue: bool,
    pub(super) upgrade: bool,
    pub(super) authority: Option<String>,
    pub(super) consumed: usize,
}

#[derive(Debug, PartialEq)]
pub(super) struct Body {
    pub(super) data: Vec<u8>,
    pub(super) trailers: Fields,
    pub(super) consumed: usize,
}

/// `Ok(None)`: no whole head. `Err`: a whole head, or its like, that is refused.
pub(super) fn request(bytes: &[u8]) -> Result<Option<Request>, ()> {
    let skipped = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    let bytes = &bytes[skipped..];
    if bytes.starts_with(b"\r\n") {
        return Err(());
    }
    let Some(end) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let lines = lines(&bytes[..end])?;
    let words: Vec<_> = lines[0].split(|byte| *byte == b' ').collect();
    let [method, target, version] = words[..] else { return Err(()) };
    let minor = match version {
        b"HTTP/1.0" => 0,
        b"HTTP/1.1" => 1,
        _ => return Err(()),
    };
    let method = std::str::from_utf8(method).map_err(|_| ())?.to_owned();
    check(is_token(method.as_bytes()) && method.len() <= 32 && method != "CONNECT")?;
    let named = target_authority(&method, target)?;
    let fields = fields(&lines[1..])?;

    let all = |name: &str| -> Vec<String> {
        let same = |field: &&(Vec<u8>, Vec<u8>)| field.0.eq_ignore_ascii_case(name.as_bytes());
        let latin1 = |value: &[u8]| value.iter().map(|byte| char::from(*byte)).collect::<String>();
        fields.iter().filter(same).map(|field| latin1(&field.1)).collect()
    };
    let elements = |name: &str| -> Vec<String> {
        let joined = all(name).join(",").to_ascii_lowercase();
        joined
            .split(',')
            .map(|part| part.trim_matches([' ', '\t']).to_owned())
            .filter(|part| !part.is_empty())
            .collect()
    };
    for (name, _) in &fields {
        let plain: String =
            name.iter().map(|b| if b.is_ascii_alphanumeric() { char::from(*b) } else { '-' }).collect();
        let folded = plain.to_ascii_lowercase();
        let framing = folded == "content-length" || folded == "transfer-encoding";
        check(!framing || name.to_ascii_lowercase() == folded.as_bytes())?;
    }

    let hosts = all("host");
    check(hosts.len() == 1 || (hosts.is_empty() && minor == 0))?;
    let host = match hosts.first() {
        Some(host) => Some(Authority::parse(host.as_bytes()).map_err(|_| ())?.to_string()),
        None => None,
    };
    check(named.is_none() || host.is_none() || named == host)?;

    let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
    let framing = match (&lengths[..], &codings[..]) {
        ([], []) => Framing::Empty,
        ([length], []) => {
            let number: u64 = length.parse().map_err(|_| ())?;
            check(number.to_string() == *length)?;
            Framing::Length(number)
        }
        ([], [coding]) if minor == 1 && coding.eq_ignore_ascii_case("chunked") => Framing::Chunked,
        _ => return Err(()),
    };
    let content = !matches!(framing, Framing::Empty | Framing::Length(0));
    check(method != "TRACE" || !content)?;

    let options = elements("connection");
    check(options.iter().all(|option| is_token(option.as_bytes())))?;
    check(!options.iter().any(|option| {
        "authorization cache-control content-encoding content-length content-type cookie expect forwarded host origin \
         range transfer-encoding via x-api-key x-real-ip"
            .split(' ')
            .any(|name| name == option)
            || option.starts_with("x-forwarded-")
    }))?;
    let has = |option: &str| options.iter().any(|other| other == option);

    let expects = all("expect");
    check(expects.is_empty() || (expects.len() == 1 && expects[0].eq_ignore_ascii_case("100-continue")))?;
    let h2c = elements("upgrade").iter().any(|protocol| protocol == "h2c");
    let upgrade = minor == 1 && has("upgrade") && all("upgrade").len() == 1 && !h2c;
    check(!upgrade || !content)?;

    Ok(Some(Request {
        method,
        target: target.to_vec(),
        minor,
        fields,
        framing,
        persistent: !has("close") && (minor == 1 || has("keep-alive")),
        expect_continue: !expects.is_empty() && minor == 1 && content,
        upgrade,
        authority: named.or(host),
        consumed: skipped + end + 4,
    }))
}

/// `Ok(None)`: not whole. Trailer names are not judged here.
pub(super) fn chunked(bytes: &[u8]) -> Result<Option<Body>, ()> {
    let mut data = Vec::new();
    let mut at = 0;
    loop {
        let Some(end) = find(&bytes[at..], b"\r\n") else { return Ok(None) };
        let line = &bytes[at..at + end];
        check(!line.contains(&b'\n') && !line.contains(&b'\r') && line.len() <= 256)?;
        let digits = line.iter().position(|byte| *byte == b';').unwrap_or(line.len());
        let size = std::str::from_utf8(&line[..digits]).map_err(|_| ())?;
        check((1..=16).contains(&size.len()) && size.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        check(is_extension(&line[digits..]))?;
        let size = u64::from_str_radix(size, 16).map_err(|_| ())?;
        at += end + 2;
        if size == 0 {
            break;
        }
        let Ok(size) = usize::try_from(size) else { return Ok(None) };
        if bytes.len() - at < size.saturating_add(2) {
            return Ok(None);
        }
        data.extend_from_slice(&bytes[at..at + size]);
        check(&bytes[at + size..at + size + 2] == b"\r\n")?;
        at += size + 2;
    }
    if bytes[at..].starts_with(b"\r\n") {
        return Ok(Some(Body { data, trailers: Vec::new(), consumed: at + 2 }));
    }
    let Some(end) = find(&bytes[at..], b"\r\n\r\n") else { return Ok(None) };
    let trailers = fields(&lines(&bytes[at..at + end])?)?;
    Ok(Some(Body { data, trailers, consumed: at + end + 4 }))
}

fn target_authority(method: &str, target: &[u8]) -> Result<Option<String>, ()> {
    check(!target.is_empty() && target.iter().all(|byte| *byte > b' ' && *byte != 0x7f && *byte != b'#'))?;
    if target[0] == b'/' {
        return Ok(None);
    }
    if target == b"*" {
        check(method == "OPTIONS")?;
        return Ok(None);
    }
    let lower = target.to_ascii_lowercase();
    let rest = lower.strip_prefix(b"http://").or(lower.strip_prefix(b"https://")).ok_or(())?;
    let authority = rest.split(|byte| *byte == b'/' || *byte == b'?').next().unwrap();
    Ok(Some(Authority::parse(authority).map_err(|_| ())?.to_string()))
}

fn fields(lines: &[&[u8]]) -> Result<Fields, ()> {
    lines
        .iter()
        .map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').ok_or(())?;
            let (name, mut value) = (&line[..colon], &line[colon + 1..]);
            check(is_token(name))?;
            check(value.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f)))?;
            while matches!(value.first(), Some(b' ' | b'\t')) {
                value = &value[1..];
            }
            while matches!(value.last(), Some(b' ' | b'\t')) {
                value = &value[..value.len() - 1];
            }
            Ok((name.to_vec(), value.to_vec()))
        })
        .collect()
}

/// Parted at CR LF; a CR or LF elsewhere is an error.
fn lines(mut text: &[u8]) -> Result<Vec<&[u8]>, ()> {
    let mut lines = Vec::new();
    loop {
        let end = find(text, b"\r\n");
        let line = &text[..end.unwrap_or(text.len())];
        check(!line.contains(&b'\r') && !line.contains(&b'\n'))?;
        lines.push(line);
        match end {
            Some(end) => text = &text[end + 2..],
            None => return Ok(lines),
        }
    }
}

/// `*( ";" token [ "=" ( token / quoted-string ) ] )`, by taking the first piece off and asking again.
fn is_extension(text: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(b";") else { return text.is_empty() };
    (1..=rest.len()).any(|name| {
        is_token(&rest[..name])
            && (is_extension(&rest[name..])
                || rest[name..].strip_prefix(b"=").is_some_and(|rest| {
                    (1..=rest.len()).any(|value| {
                        (is_token(&rest[..value]) || is_quoted(&rest[..value]))
                            && is_extension(&rest[value..])
                    })
                }))
    })
}

fn is_quoted(text: &[u8]) -> bool {
    let Some(mut inner) = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")) else {
        return false;
    };
    let plain = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    while let [byte, rest @ ..] = inner {
        inner = match (byte, rest) {
            (b'\\', [escaped, rest @ ..]) if plain(*escaped) => rest,
            (b'\\' | b'"', _) => return false,
            (byte, rest) if plain(*byte) => rest,
            _ => return false,
        };
    }
    true
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn check(holds: bool) -> Result<(), ()> {
    if holds { Ok(()) } else { Err(()) }
}
