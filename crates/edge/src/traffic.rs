//! Whether a call is of a program or of a page that somebody looks at: the event's column `traffic`.
//!
//! What a contract names is `api`. For services without one the response says it: HTML, scripts, styles, images, fonts and
//! media are `page`; JSON, XML, gRPC and whatever else has a type of its own are `api`. Where the response has no telling type
//! (refused, redirected, empty, plain text, bytes), the request says it: what it sends, what its browser wants it for
//! (`Sec-Fetch-Dest`), what it accepts, and last the path's ending.

use haechi_wire::{CanonicalPath, Headers};
use http::{HeaderMap, Method};

/// What a call is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// A program's.
    Api,
    /// A page's, or of a part of one.
    Page,
}

/// Types of pages and their parts; those that end in `/` are families.
const PAGES: [&str; 15] = [
    "text/html",
    "application/xhtml+xml",
    "text/css",
    "text/javascript",
    "application/javascript",
    "application/x-javascript",
    "application/ecmascript",
    "application/wasm",
    "application/manifest+json",
    "image/",
    "font/",
    "application/font-",
    "video/",
    "audio/",
    "model/",
];

/// Endings of the paths of pages and their parts.
const ENDINGS: [&str; 18] = [
    "html",
    "htm",
    "css",
    "js",
    "mjs",
    "map",
    "png",
    "jpg",
    "jpeg",
    "gif",
    "svg",
    "ico",
    "webp",
    "avif",
    "woff",
    "woff2",
    "mp4",
    "webmanifest",
];

/// Types that tell neither.
const EITHER: [&str; 4] =
    ["text/plain", "application/octet-stream", "multipart/form-data", "application/x-www-form-urlencoded"];

// === impl Traffic ===

impl Traffic {
    /// What a response says.
    pub(crate) fn of_response(headers: &HeaderMap) -> Option<Self> {
        of_type(headers.get(http::header::CONTENT_TYPE)?.as_bytes())
    }

    /// What a request says.
    pub(crate) fn of_request(method: &Method, path: &CanonicalPath, headers: &Headers) -> Self {
        if let Some(traffic) = headers.get("content-type").and_then(of_type) {
            return traffic;
        }
        match headers.get("sec-fetch-dest") {
            Some(b"empty") => return Self::Api,
            Some(_) => return Self::Page,
            None => {}
        }
        if let Some(traffic) = headers
            .get("accept")
            .and_then(|accept| of_type(accept.split(|byte| *byte == b',').next().unwrap_or_default()))
        {
            return traffic;
        }
        let name = path.as_str().rsplit('/').next().unwrap_or_default();
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let known = ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending));
        if reads && known { Self::Page } else { Self::Api }
    }

    /// The word in events and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Page => "page",
        }
    }
}

/// What a media type says, without its parameters.
fn of_type(value: &[u8]) -> Option<Traffic> {
    let plain = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if plain.is_empty()
        || plain.starts_with(b"*")
        || EITHER.iter().any(|either| plain.eq_ignore_ascii_case(either.as_bytes()))
    {
        return None;
    }
    let is_page = PAGES.iter().any(|page| match page.as_bytes().last() {
        Some(b'/' | b'-') => {
            plain.get(..page.len()).is_some_and(|start| start.eq_ignore_ascii_case(page.as_bytes()))
        }
        _ => plain.eq_ignore_ascii_case(page.as_bytes()),
    });
    Some(if is_page { Traffic::Page } else { Traffic::Api })
}

#[cfg(test)]
mod tests {
    use haechi_wire::HeadersBuilder;

    use super::*;

    fn request(method: &Method, path: &str, fields: &[(&str, &str)]) -> Traffic {
        let mut headers = HeadersBuilder::with_capacity(4, 128);
        for (name, value) in fields {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        let path = CanonicalPath::parse(path.as_bytes()).expect("a path");
        Traffic::of_request(method, &path, &headers.finish())
    }

    #[test]
    fn a_response_says_by_its_type_what_it_is() {
        let of = |kind: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::CONTENT_TYPE, kind.parse().expect("a value"));
            Traffic::of_response(&headers)
        };
        for page in
            ["text/html; charset=utf-8", "IMAGE/png", "text/css", "application/javascript", "font/woff2"]
        {
            assert_eq!(of(page), Some(Traffic::Page), "{page}");
        }
        for api in ["application/json", "application/grpc+proto", "application/xml", "text/event-stream"] {
            assert_eq!(of(api), Some(Traffic::Api), "{api}");
        }
        for neither in ["text/plain", "application/octet-stream", ";"] {
            assert_eq!(of(neither), None, "{neither}");
        }
        assert_eq!(Traffic::of_response(&HeaderMap::new()), None);
    }

    #[test]
    fn a_request_says_it_where_the_response_does_not() {
        use Traffic::{Api, Page};
        for (method, path, fields, traffic) in [
            (Method::GET, "/", vec![], Api),
            (Method::GET, "/a.CSS", vec![], Page),
            (Method::POST, "/a.css", vec![], Api),
            (Method::GET, "/", vec![("accept", "text/html,application/json;q=0.9")], Page),
            (Method::GET, "/a.css", vec![("accept", "application/json")], Api),
            (Method::GET, "/", vec![("accept", "*/*"), ("sec-fetch-dest", "image")], Page),
            (Method::GET, "/a.js", vec![("sec-fetch-dest", "empty")], Api),
            (Method::POST, "/", vec![("content-type", "application/json"), ("accept", "text/html")], Api),
            (
                Method::POST,
                "/",
                vec![("content-type", "application/x-www-form-urlencoded"), ("accept", "text/html")],
                Page,
            ),
        ] {
            assert_eq!(request(&method, path, &fields), traffic, "{path} {fields:?}");
        }
    }
}
