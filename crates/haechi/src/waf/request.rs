//! A request in a file, as it would be on the wire. It is read leniently: what a gateway would refuse is worth measuring and explaining too.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use haechi_seclang::{Request, Rules, Transaction};
use std::sync::Arc;

use crate::output::Failure;

/// The largest request that is read from a file, in bytes.
const LARGEST: u64 = 64 << 20;

/// A request.
#[derive(Debug)]
pub(crate) struct RawRequest {
    pub(crate) path: PathBuf,
    pub(crate) method: Vec<u8>,
    pub(crate) target: Vec<u8>,
    protocol: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

// === impl RawRequest ===

impl RawRequest {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        use std::io::Read;
        let failed = |why: &dyn std::fmt::Display| Failure::new(format!("{}: {why}", path.display()));
        let mut text = Vec::new();
        let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
        file.take(LARGEST + 1).read_to_end(&mut text).map_err(|error| failed(&error))?;
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > LARGEST {
            return Err(failed(&format!("more than {LARGEST} bytes")));
        }
        let mut request = Self::parse(&text).map_err(|why| failed(&why))?;
        request.path = path.to_owned();
        Ok(request)
    }

    /// Lines may end as an editor leaves them. A body without a length is one all the same.
    fn parse(text: &[u8]) -> Result<Self, String> {
        let mut rest = text;
        let mut line = || {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (line, after) = match end {
                Some(end) => (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default()),
                None => (rest, [].as_slice()),
            };
            rest = after;
            line.strip_suffix(b"\r").unwrap_or(line)
        };
        let words: Vec<_> = line().split(|byte| *byte == b' ').collect();
        let [method, target @ .., protocol] = words.as_slice() else {
            return Err("no request: its first line should be `METHOD target HTTP/1.1`".to_owned());
        };
        if target.is_empty() || !protocol.starts_with(b"HTTP/") {
            return Err("no request: its first line should be `METHOD target HTTP/1.1`".to_owned());
        }
        let mut headers = Vec::new();
        let mut chunked = false;
        loop {
            let line = line();
            if line.is_empty() {
                break;
            }
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                return Err(format!("a header without a colon: `{}`", line.escape_ascii()));
            };
            let (name, value) = line.split_at(colon);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            chunked |= name.eq_ignore_ascii_case(b"transfer-encoding")
                && value.to_ascii_lowercase().ends_with(b"chunked");
            headers.push((name.to_vec(), value.to_vec()));
        }
        let body = if chunked { dechunked(rest) } else { rest.to_vec() };
        Ok(Self {
            path: PathBuf::new(),
            method: method.to_vec(),
            target: target.join(&b' '),
            protocol: protocol.to_vec(),
            headers,
            body,
        })
    }

    /// How it is called in what is printed.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Has rules look at its head and its body.
    pub(crate) fn judge(&self, rules: &Arc<Rules>, headers: &[(&[u8], &[u8])]) -> Transaction {
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut transaction = rules.begin(&Request {
            method: &self.method,
            target: &self.target,
            protocol: &self.protocol,
            headers,
            client: (local, 40_000),
            server: (local, 80),
            unique_id: "0",
            now: u64::try_from(now.as_micros()).unwrap_or(u64::MAX),
        });
        transaction.request_head();
        transaction.request_body(&self.body);
        transaction
    }

    /// Its headers as rules take them.
    pub(crate) fn headers(&self) -> Vec<(&[u8], &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect()
    }
}

/// What is between the sizes of chunks; what is no chunk ends it.
fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (size, data) = rest.split_at(end);
        let size = std::str::from_utf8(size).ok().and_then(|size| size.split([';', '\r']).next());
        let size = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let Some(size) = size.filter(|size| *size > 0) else { break };
        let data = data.get(1..).unwrap_or_default();
        out.extend_from_slice(data.get(..size.min(data.len())).unwrap_or_default());
        let after = data.get(size.min(data.len())..).unwrap_or_default();
        let after = after.strip_prefix(b"\r").unwrap_or(after);
        rest = after.strip_prefix(b"\n").unwrap_or(after);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_an_editor_is_a_request_too() {
        for end in ["\r\n", "\n"] {
            let text = "POST /a?b=c d HTTP/1.1|Host: x|X-Two:  1 2 ||a=1".replace('|', end);
            let request = RawRequest::parse(text.as_bytes()).unwrap();
            assert_eq!(
                (request.method.as_slice(), request.target.as_slice()),
                (b"POST".as_slice(), b"/a?b=c d".as_slice())
            );
            assert_eq!(request.headers(), [(b"Host".as_slice(), b"x".as_slice()), (b"X-Two", b"1 2")]);
            assert_eq!(request.body, b"a=1");
        }
    }

    #[test]
    fn chunks_are_joined() {
        let text = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=1\r\n2;x\r\n23\r\n0\r\n\r\n";
        assert_eq!(RawRequest::parse(text).unwrap().body, b"a=123");
    }

    #[test]
    fn what_is_no_request_is_told() {
        for text in ["", "hello", "GET /", "GET / HTTP/1.1\r\nno colon\r\n\r\n"] {
            assert!(RawRequest::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
