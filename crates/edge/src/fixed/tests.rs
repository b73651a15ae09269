use std::path::Path;

use haechi_config::Config;
use haechi_wire::HeadersBuilder;
use proptest::prelude::*;

use super::*;

/// A redirect as it would be written, of a service below `prefix` on `*.pizza.example`.
fn redirect(prefix: &str, settings: &str) -> Redirect {
    let text = format!(
        "haechi: 1\nlisten: [{{ address: \"127.0.0.1:1\" }}]\nservices:\n  a: {{ host: \"*.pizza.example\", prefix: {prefix}, auth: none, redirect: {{ {settings} }} }}\n"
    );
    let config = Config::parse(&text, Path::new("haechi.yaml")).unwrap_or_else(|wrong| panic!("{wrong}"));
    match &config.services[0].1.target {
        model::Target::Redirect(redirect) => Redirect::new(redirect, prefix),
        _ => panic!("a redirect"),
    }
}

fn location(redirect: &Redirect, path: &str, query: Option<&str>) -> Option<String> {
    let path = CanonicalPath::parse(path.as_bytes()).expect("a path");
    let query = Query::parse(query.map(str::as_bytes), 9).expect("a query");
    let value = redirect.location("www.pizza.example", &path, &query)?;
    Some(value.to_str().expect("text").to_owned())
}

#[test]
fn a_redirect_leads_where_it_says() {
    for (prefix, settings, path, query, expected) in [
        ("/", "to: \"https://{host}{path}\"", "/", None, "https://www.pizza.example/"),
        ("/", "to: \"https://{host}{path}\"", "/a/b", Some("x=1"), "https://www.pizza.example/a/b?x=1"),
        ("/", "to: \"https://{host}:8443{path}\"", "/a", None, "https://www.pizza.example:8443/a"),
        ("/old", "to: \"/new{rest}\"", "/old/a", Some("x=1"), "/new/a?x=1"),
        ("/old", "to: \"/new{rest}\"", "/old", None, "/new"),
        ("/old", "to: \"/new{rest}\"", "/old/", None, "/new/"),
        ("/old", "to: \"{rest}\"", "/old", None, "/"),
        ("/old", "to: \"https://shop.example{rest}\"", "/old", None, "https://shop.example/"),
        ("/old", "to: \"https://SHOP.example:9\"", "/old/x", None, "https://shop.example:9/"),
        ("/old", "to: \"https://[::1]:9/a\"", "/old", None, "https://[::1]:9/a"),
        ("/old", "to: \"http://shop.example?a=b\"", "/old", Some("c=d&e"), "http://shop.example/?a=b&c=d&e"),
        ("/old", "to: \"/new?a=b\", keep_query: false", "/old", Some("c=d"), "/new?a=b"),
        ("/old", "to: /new, keep_query: false", "/old", Some("c=d"), "/new"),
    ] {
        assert_eq!(
            location(&redirect(prefix, settings), path, query).as_deref(),
            Some(expected),
            "{settings} {path}"
        );
    }
    assert_eq!(redirect("/", "to: /a").status, StatusCode::PERMANENT_REDIRECT);
    assert_eq!(redirect("/", "to: /a, status: 302").status, StatusCode::FOUND);
}

#[test]
fn what_would_lead_to_another_host_leads_nowhere() {
    for (prefix, to, path) in [
        ("/", "/{path}", "/evil.example"),
        ("/", "{path}{path}", "/"),
        ("/go", "/{rest}", "/go/evil.example"),
        ("/go", "https://shop.example{rest}.evil.example", "/go"),
        ("/go", "https://shop.example/..{rest}", "/go/a"),
    ] {
        assert_eq!(location(&redirect(prefix, &format!("to: \"{to}\"")), path, None), None, "{to} {path}");
    }
}

/// What a browser makes of a `Location`: the host it goes to, where that is not the one it came from. It takes `\` for `/`, and drops tabs
/// and newlines (the URL standard).
fn host(location: &str) -> Option<String> {
    let location = location.replace('\\', "/");
    let behind = location.split_once("://").map(|(_, behind)| behind).or_else(|| location.strip_prefix("//"));
    let end = |text: &str| text.find(['/', '?', '#']).unwrap_or(text.len());
    behind.map(|behind| {
        let authority = behind.get(..end(behind)).unwrap_or_default();
        authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_owned()
    })
}

proptest! {
    /// Whatever a caller writes: a redirect leads to the host it names, in one line of visible ASCII.
    #[test]
    fn no_path_leads_a_redirect_elsewhere(
        raw in r"/(evil\.example|[a-z/\\%.;:@?#\x00-\x20]|%2f|%5c|%0d%0a|%09|\.\./|//|é){0,12}",
        query in r"(&|=|%0d%0aX:1|%23|[a-z/\\@:]){0,8}",
        to in prop::sample::select(vec![
            "{path}", "/{path}", "{rest}", "/{rest}", "/new{rest}", "{rest}{path}", "/a{rest}/{path}",
            "https://{host}{path}", "https://{host}/{path}", "https://{host}{rest}x", "https://shop.example{path}",
        ]),
        prefix in prop::sample::select(vec!["/", "/a", "/evil.example"]),
    ) {
        let (Ok(path), Ok(query)) = (CanonicalPath::parse(raw.as_bytes()), Query::parse(Some(query.as_bytes()), 99)) else {
            return Ok(());
        };
        let redirect = redirect(prefix, &format!("to: \"{to}\""));
        if let Some(location) = redirect.location("www.pizza.example", &path, &query) {
            let text = location.to_str().expect("visible ASCII");
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
            let expected = match to {
                to if to.starts_with("https://{host}") => Some("www.pizza.example"),
                to if to.starts_with("https://") => Some("shop.example"),
                _ => None,
            };
            let host = host(text);
            prop_assert_eq!(host.as_deref(), expected, "{} {}", to, text);
        }
    }
}

fn respond(status: u16, content: &str) -> Respond {
    let respond = model::Respond {
        status,
        headers: [("retry-after".to_owned(), "60".to_owned())].into(),
        content_type: "text/html".to_owned(),
        content: model::Content::Empty,
    };
    Respond::new(&respond, Bytes::from(content.to_owned()))
}

fn asked(fields: &[(&str, &str)]) -> Headers {
    let mut headers = HeadersBuilder::default();
    for (name, value) in fields {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    headers.finish()
}

fn body(answer: &Answer) -> &[u8] {
    match &answer.body {
        AnswerBody::Full(bytes) => bytes,
        _ => b"",
    }
}

#[test]
fn an_answer_is_told_with_its_length_to_head_and_not_at_all_to_who_holds_it() {
    let respond = respond(200, "hello");
    let answer = respond.answer(&Method::GET, &asked(&[]));
    assert_eq!((answer.status, body(&answer)), (StatusCode::OK, b"hello".as_slice()));
    assert_eq!(answer.headers[CONTENT_TYPE], "text/html");
    assert_eq!(answer.headers["retry-after"], "60");
    let etag = answer.headers[ETAG].to_str().expect("text").to_owned();
    let head = respond.answer(&Method::HEAD, &asked(&[]));
    assert_eq!(
        (body(&head), &head.headers[CONTENT_LENGTH], head.headers[ETAG].to_str().ok()),
        (b"".as_slice(), &HeaderValue::from(5), Some(&*etag))
    );
    for (held, status) in [
        (etag.clone(), 304),
        (format!("\"other\", W/{etag}"), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
        (etag.trim_matches('"').to_owned(), 200),
    ] {
        let answer = respond.answer(&Method::GET, &asked(&[("If-None-Match", &held)]));
        assert_eq!(answer.status, status, "{held}");
        assert_eq!(answer.headers.contains_key(CONTENT_TYPE), status == 200);
        assert_eq!(answer.headers[ETAG], etag);
        let posted = respond.answer(&Method::POST, &asked(&[("If-None-Match", &held)]));
        assert_eq!(posted.status, 200, "only what is read may be held");
    }
}

#[test]
fn only_a_content_has_a_type_and_only_a_good_answer_a_tag() {
    let closed = respond(503, "closed").answer(&Method::GET, &asked(&[("If-None-Match", "*")]));
    assert_eq!((closed.status, closed.headers.contains_key(ETAG)), (StatusCode::SERVICE_UNAVAILABLE, false));
    let empty = respond(204, "").answer(&Method::HEAD, &asked(&[]));
    assert!(!empty.headers.contains_key(CONTENT_TYPE) && !empty.headers.contains_key(CONTENT_LENGTH));
}
