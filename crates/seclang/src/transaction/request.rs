//! From what was sent to what rules look at.

use super::{Request, Transaction};
use crate::body::urlencoded;
use crate::names::{BodyProcessor, Collection};
use crate::transform::is_hex;

// === impl Transaction ===

impl Transaction {
    pub(super) fn take_request(&mut self, request: &Request<'_>) {
        use Collection as C;
        let mut line =
            Vec::with_capacity(request.method.len() + request.target.len() + request.protocol.len() + 2);
        line.extend_from_slice(request.method);
        line.push(b' ');
        line.extend_from_slice(request.target);
        if !request.protocol.is_empty() {
            line.push(b' ');
            line.extend_from_slice(request.protocol);
        }
        let uri = origin_form(request.target);
        let (path, query) = match memchr::memchr(b'?', uri) {
            Some(mark) => (uri.get(..mark).unwrap_or_default(), uri.get(mark + 1..).unwrap_or_default()),
            None => (uri, &b""[..]),
        };
        let filename = decoded(path);
        let slash =
            filename.iter().rposition(|byte| matches!(byte, b'/' | b'\\')).map_or(0, |slash| slash + 1);
        let (client, client_port) = (request.client.0.to_string(), request.client.1.to_string());
        let (server, server_port) = (request.server.0.to_string(), request.server.1.to_string());
        let ids = [
            (C::RequestLine, line.as_slice()),
            (C::RequestMethod, request.method),
            (C::RequestProtocol, request.protocol),
            (C::RequestUriRaw, request.target),
            (C::RequestUri, uri),
            (C::QueryString, query),
            (C::RequestFilename, filename.as_slice()),
            (C::PathInfo, filename.as_slice()),
            (C::RequestBasename, filename.get(slash..).unwrap_or_default()),
            (C::UniqueId, request.unique_id.as_bytes()),
            (C::RemoteAddr, client.as_bytes()),
            (C::RemoteHost, client.as_bytes()),
            (C::RemotePort, client_port.as_bytes()),
            (C::ServerAddr, server.as_bytes()),
            (C::ServerPort, server_port.as_bytes()),
        ];
        for (collection, text) in ids {
            self.data.put(&mut self.texts, collection, text);
        }
        let most = self.rules.program.settings.arguments;
        for (name, value) in request.headers.iter().take(most) {
            let pair = (self.texts.intern(name), self.texts.intern(value));
            self.data.request_headers.push(pair);
            self.notice_header(name, value);
        }
        if request.headers.len() > most {
            self.limit("headers");
        }
        let separator = self.rules.program.settings.separator;
        let mut invalid = false;
        let pairs = urlencoded::pairs(query, separator, &mut invalid);
        if invalid {
            self.data.put(&mut self.texts, C::UrlencodedError, b"1");
        }
        self.add_args(pairs);
        self.data.query_args = self.data.args.len();
    }

    fn notice_header(&mut self, name: &[u8], value: &[u8]) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("cookie") {
            self.take_cookies(value);
        } else if is("host") {
            let name = match value.iter().rposition(|byte| *byte == b':') {
                Some(colon) if !value.ends_with(b"]") => value.get(..colon).unwrap_or_default(),
                _ => value,
            };
            self.data.put(&mut self.texts, Collection::ServerName, name);
        } else if is("content-type") && self.processor.is_none() {
            self.processor = processor(value);
        } else if is("authorization") {
            let scheme = value.split(|byte| *byte == b' ').next().unwrap_or_default();
            self.data.put(&mut self.texts, Collection::AuthType, scheme);
        }
    }

    fn take_cookies(&mut self, header: &[u8]) {
        let settings = &self.rules.program.settings;
        let (separator, most) = (settings.cookie_separator, settings.arguments);
        for one in header.split(|byte| *byte == separator) {
            let one = one.trim_ascii_start();
            if one.is_empty() {
                continue;
            }
            if self.data.cookies.len() >= most {
                self.limit("cookies");
                return;
            }
            let (name, value) = match memchr::memchr(b'=', one) {
                Some(at) => (one.get(..at).unwrap_or_default(), one.get(at + 1..).unwrap_or_default()),
                None => (one, &b""[..]),
            };
            let pair = (self.texts.intern(name.trim_ascii_end()), self.texts.intern(value));
            self.data.cookies.push(pair);
        }
    }

    /// Adds arguments, up to the limit.
    pub(super) fn add_args<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) {
        let most = self.rules.program.settings.arguments;
        for (name, value) in pairs {
            if self.data.args.len() >= most {
                self.body_error("too many arguments");
                self.limit("arguments");
                return;
            }
            let (name, value) = (name.as_ref(), value.as_ref());
            self.data.args_size += name.len() + value.len();
            let pair = (self.texts.intern(name), self.texts.intern(value));
            self.data.args.push(pair);
        }
    }
}

/// The target without scheme and host.
fn origin_form(target: &[u8]) -> &[u8] {
    if target.first() == Some(&b'/') {
        return target;
    }
    let Some(scheme) = memchr::memmem::find(target, b"://") else { return target };
    let scheme_is_one =
        target.iter().take(scheme).all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    if !scheme_is_one {
        return target;
    }
    let rest = target.get(scheme + 3..).unwrap_or_default();
    match rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')) {
        Some(path) => rest.get(path..).unwrap_or_default(),
        None => b"/",
    }
}

/// `%41` to `A`; `+` stays.
fn decoded(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut at = 0;
    while let Some(byte) = path.get(at) {
        let digits = path.get(at + 1..at + 3).filter(|digits| digits.iter().all(|digit| is_hex(*digit)));
        match digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        {
            Some(value) if *byte == b'%' => {
                out.push(value);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

/// What reads a body of this type. ModSecurity chooses the first two itself and the others by rules of its recommended configuration.
fn processor(content_type: &[u8]) -> Option<BodyProcessor> {
    let media = content_type
        .split(|byte| matches!(byte, b';' | b',' | b' ' | b'\t'))
        .find(|part| !part.is_empty())?;
    let media = media.to_ascii_lowercase();
    match media.as_slice() {
        b"application/x-www-form-urlencoded" => Some(BodyProcessor::UrlEncoded),
        b"multipart/form-data" => Some(BodyProcessor::Multipart),
        b"application/json" => Some(BodyProcessor::Json),
        b"text/xml" | b"application/xml" => Some(BodyProcessor::Xml),
        other if other.ends_with(b"+json") => Some(BodyProcessor::Json),
        other if other.ends_with(b"+xml") => Some(BodyProcessor::Xml),
        _ => None,
    }
}

/// The clock's collections, in UTC.
pub(super) fn time(collection: Collection, seconds: u64) -> String {
    use Collection as C;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    // Howard Hinnant's days_from_civil, backwards: 400-year eras that begin in March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    match collection {
        C::TimeDay => day.to_string(),
        C::TimeEpoch => seconds.to_string(),
        C::TimeHour => hour.to_string(),
        C::TimeMin => minute.to_string(),
        // From nought, as C counts months.
        C::TimeMon => (month - 1).to_string(),
        C::TimeSec => second.to_string(),
        C::TimeWday => ((days + 4) % 7).to_string(),
        C::TimeYear => year.to_string(),
        _ => format!("{hour:02}:{minute:02}:{second:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_read_in_utc() {
        let at = |collection| time(collection, 1_709_210_096); // Thu 29 Feb 2024 12:34:56
        use Collection as C;
        let all =
            [C::TimeYear, C::TimeMon, C::TimeDay, C::TimeWday, C::TimeHour, C::TimeMin, C::TimeSec, C::Time];
        assert_eq!(all.map(at), ["2024", "1", "29", "4", "12", "34", "56", "12:34:56"]);
    }

    #[test]
    fn targets_lose_scheme_and_host() {
        for (target, uri) in [
            ("/a?b", "/a?b"),
            ("http://h/a", "/a"),
            ("http://h", "/"),
            ("http://h?q", "?q"),
            ("*", "*"),
            ("h:80", "h:80"),
            ("/a://b", "/a://b"),
        ] {
            assert_eq!(origin_form(target.as_bytes()), uri.as_bytes(), "{target}");
        }
        assert_eq!(decoded(b"/%41+%zz%4"), b"/A+%zz%4");
    }
}
