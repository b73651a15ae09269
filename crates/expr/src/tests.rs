use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use haechi_guard::{Arrival, CredentialKind, Exchange, Principal};
use haechi_wire::{CanonicalPath, Headers, HeadersBuilder, Query};
use http::Method;
use proptest::prelude::*;

use super::*;

/// A request whose headers and query the tests know.
struct Call {
    path: CanonicalPath,
    query: Query,
    headers: Headers,
    principal: Option<Arc<Principal>>,
    client: IpAddr,
}

impl Call {
    fn new(headers: &[(&str, &[u8])], query: &str) -> Self {
        let mut builder = HeadersBuilder::with_capacity(headers.len(), 256);
        for (name, value) in headers {
            builder.push(name.as_bytes(), value);
        }
        let claims = serde_json::json!({
            "client_id": "ios", "age": 17, "admin": true, "roles": ["cook", "driver"], "realm": { "name": "pizza" },
            "https://x.example/role": "chef", "score": 0.5, "nothing": null,
        });
        let serde_json::Value::Object(claims) = claims else { panic!("an object") };
        let principal = Principal {
            identity: "customer".into(),
            subject: "anna".into(),
            credential: "c1".into(),
            kind: CredentialKind::Token,
            collection: None,
            client: Some("ios".into()),
            scopes: vec!["read".into(), "order".into()],
            claims,
        };
        Self {
            path: CanonicalPath::parse(b"/menu/7").expect("a path"),
            query: Query::parse(Some(query.as_bytes()), 100).expect("a query"),
            headers: builder.finish(),
            principal: Some(Arc::new(principal)),
            client: "::ffff:192.0.2.7".parse().expect("an address"),
        }
    }

    fn usual() -> Self {
        Self::new(
            &[
                ("User-Agent", b"Pizza/3.1 (iPhone)"),
                ("X-Twice", b"good"),
                ("x-twice", b"bad"),
                ("X-Bytes", b"\xff"),
                ("X-Empty", b""),
            ],
            "size=L&tag=a&tag=b&q=%EA%B9%80",
        )
    }

    fn exchange(&self) -> Exchange<'_> {
        Exchange {
            // A Thursday: 2026-12-24T18:30:05Z.
            now: UNIX_EPOCH + Duration::from_secs(1_798_137_005),
            client: self.client,
            authority: None,
            method: &Method::GET,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            arrival: Arrival {
                host: "API.Pizza.example",
                secure: true,
                protocol: "2",
                tls_version: "1.3",
                tls_name: "api.pizza.example",
                country: "KR",
                asn: 4766,
                ..Arrival::default()
            },
            channel: "app",
            api: "menu",
            operation: "getItem",
            principal: self.principal.clone(),
            response_headers: Vec::new(),
        }
    }
}

fn holds(text: &str) -> Result<bool, EvalError> {
    let condition = Expression::condition(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    condition.holds(&Call::usual().exchange())
}

#[test]
fn conditions_are_evaluated_as_cel_says() {
    for text in [
        "true",
        "request.method == 'GET' && request.path == '/menu/7'",
        "request.host == 'api.pizza.example' && request.scheme == 'https' && request.protocol == '2'",
        "request.headers['user-agent'].startsWith('Pizza/')",
        "request.headers['User-Agent'].contains('iPhone')",
        "'x-empty' in request.headers && !('x-none' in request.headers)",
        "request.headers['x-empty'] == ''",
        "request.query.size == 'L' && request.query['size'] in ['M', 'L']",
        "request.query.q == '김' && size(request.query.q) == 1",
        "request.query_values['tag'].exists(t, t == 'b') && request.query_values.tag.size() == 2",
        "request.header_values['x-twice'].all(v, v in ['good', 'bad'])",
        "request.header_values['x-none'].size() == 0",
        "request.header_values['x-twice'].exists_one(v, v == 'bad')",
        "has(request.query.size) && !has(request.query.sizes)",
        "client.ip == '192.0.2.7' && client.ip.inNetwork('192.0.2.0/24') && !client.ip.inNetwork('2001:db8::/32')",
        "client.country == 'KR' && client.asn == 4766 && client.asn in [1, 4766]",
        "tls.version == '1.3' && tls.cipher == '' && tls.name.endsWith('.example')",
        "principal.identity == 'customer' && principal.subject == 'anna' && principal.collection == ''",
        "'order' in principal.scopes && !('admin' in principal.scopes)",
        "claims.client_id in ['ios', 'android'] && claims.client_id == principal.client",
        "claims.age < 18 && claims.age + 1 == 18 && claims.admin",
        "'cook' in claims.roles && claims.roles.exists(r, r == 'driver')",
        "claims.realm.name == 'pizza' && has(claims.realm.name) && !has(claims.realm.none)",
        "claims['https://x.example/role'] == 'chef'",
        "channel == 'app' && api == 'menu' && operation == 'getItem'",
        "now > timestamp('2026-12-24T18:00:00Z') && now < timestamp('2026-12-25T03:31:00+09:00')",
        "now.getHours() == 18 && now.getHours('+09:00') == 3 && now.getDayOfWeek() == 4 && now.getDayOfWeek('+09:00') == 5",
        "now.getFullYear() == 2026 && now.getMonth() == 11 && now.getDate() == 24 && now.getDayOfMonth() == 23",
        "now.getMinutes('-00:30') == 0 && now.getSeconds() == 5 && now.getDayOfYear() == 357",
        "request.path.matches('^/menu/[0-9]+$') && !request.path.matches('^/orders')",
        "(request.method == 'GET' ? 'a' : 'b') == 'a'",
        "'a' + 'b' == 'ab' && 7 / 2 == 3 && 7 % 2 == 1 && -1 < 0 && 2 * 3 - 1 == 5",
        "'ABC'.lowerAscii() == 'abc' && 'abc'.upperAscii() == 'ABC'",
        "string(client.asn) == '4766' && int('42') == 42 && string(true) == 'true'",
        // One side that decides does so, whatever the other is.
        "true || claims.none == 'x'",
        "claims.none == 'x' || true",
        "!(false && claims.none == 'x') && !(claims.none == 'x' && false)",
        // Values of two kinds are not equal.
        "claims.age != 'x' && !(claims.age == '17')",
    ] {
        assert_eq!(holds(text), Ok(true), "{text}");
    }
}

#[test]
fn what_has_no_one_value_is_an_error() {
    for (text, error) in [
        ("request.headers['x-none'] == 'a'", EvalError::Absent),
        ("request.headers['x-none'] != 'a'", EvalError::Absent),
        ("request.headers['x-twice'] == 'good'", EvalError::Repeated),
        ("request.headers['x-bytes'] == 'a'", EvalError::NotText),
        ("request.header_values['x-bytes'].exists(v, v == 'a')", EvalError::NotText),
        ("request.query.tag == 'a'", EvalError::Repeated),
        ("request.query.none == 'a'", EvalError::Absent),
        ("claims.none == 'a'", EvalError::NoClaim),
        ("claims.realm.none == 'a'", EvalError::NoClaim),
        ("claims.client_id < 5", EvalError::Kind),
        ("claims.age.startsWith('1')", EvalError::Kind),
        ("claims.age", EvalError::Kind),
        ("'a' in claims.age", EvalError::Kind),
        ("claims.realm < 'a'", EvalError::Kind),
        ("int('x') == 1", EvalError::Number),
        ("9223372036854775807 + client.asn == 1", EvalError::Number),
        ("client.asn / 0 == 1", EvalError::Number),
        ("request.path.inNetwork('10.0.0.0/8')", EvalError::Address),
        ("false || claims.none == 'x'", EvalError::NoClaim),
        ("claims.none == 'x' && true", EvalError::NoClaim),
        ("['a', 'b'].exists(x, claims.none == x)", EvalError::NoClaim),
    ] {
        assert_eq!(holds(text), Err(error), "{text}");
    }
    let unknown = Call { principal: None, ..Call::usual() };
    let condition = Expression::condition("claims.client_id == 'ios'").expect("a condition");
    assert_eq!(condition.holds(&unknown.exchange()), Err(EvalError::NoClaim));
    let condition =
        Expression::condition("principal.subject == '' && !has(claims.client_id)").expect("a condition");
    assert_eq!(condition.holds(&unknown.exchange()), Ok(true));
}

#[test]
fn mistakes_are_found_when_it_is_read() {
    for (text, at, message) in [
        ("reqest.path == '/'", Some(0), "no variable is named `reqest`"),
        ("true && request.pth == '/'", Some(8), "`request` has: method, path, host"),
        ("channel == 5", None, "a text and a number do not go together"),
        ("request.path", None, "expected a condition: true or false, found a text"),
        ("request.headers == 'a'", None, "names with a value each and a text do not go together"),
        ("request.path.startWith('/')", None, "no such function, or not with these arguments: `startWith`"),
        ("request.path.matches('(')", Some(21), "no pattern that takes linear time"),
        ("request.path.matches('(a)\\\\1')", None, "no pattern that takes linear time"),
        ("request.path.matches(request.host)", None, "a pattern is written out"),
        ("client.ip.inNetwork('10.0.0.0/33')", None, "expected a network"),
        ("claims", None, "write which claim"),
        ("claims == 'a'", None, "write which claim"),
        ("request.path == null", None, "`null` is not used here"),
        ("1.5 < 2", None, "expected a text, a whole number"),
        ("request.path == ", None, ""),
        ("request.path == 'a", None, ""),
        ("'a' in 'abc'", None, "`in` asks a list"),
        ("5 in ['a']", None, "a number is never in a list of texts"),
        ("['a', 5].exists(x, true)", None, "a list holds texts, or numbers"),
        ("{'a': 1} == 'a'", None, ""),
        ("has(request.path)", None, "`has` asks for a header"),
        ("has(request.headers['a'])", None, "`has` takes a field"),
        ("now.getHours('Asia/Seoul') == 3", None, "expected an offset"),
        ("timestamp('yesterday') < now", None, "expected a time"),
        ("principal.scopes.exists(s)", None, "no such function"),
        ("request.path.exists(s, true)", None, "a loop goes over a list"),
        ("true ? 'a' : 1", None, "do not go together"),
        ("!request.path", Some(1), "expected true or false, found a text"),
        ("", None, ""),
    ] {
        let error = Expression::condition(text).expect_err(text);
        assert!(error.to_string().contains(message), "{text}: {error}");
        assert!(at.is_none() || error.at() == at, "{text}: {error:?}");
    }
}

#[test]
fn an_expression_at_its_limits_is_read_and_one_above_is_not() {
    let parts = |count: usize| vec!["true"; count.div_ceil(2)].join("||");
    assert!(Expression::condition(&parts(256)).is_ok());
    let long = |length: usize| format!("'{}' == ''", "a".repeat(length - 8));
    assert!(Expression::condition(&long(EXPRESSION)).is_ok());
    assert!(Expression::condition(&long(EXPRESSION + 1)).is_err());
    // The list, its size, a number and the comparison are parts, too.
    let list = |count: usize| format!("[{}].size() == 1", vec!["1"; count].join(","));
    assert!(Expression::condition(&list(PARTS - 4)).is_ok());
    assert!(Expression::condition(&list(PARTS - 3)).is_err());
    let nested = |levels: usize| format!("{}true{}", "(false || ".repeat(levels), ")".repeat(levels));
    assert!(Expression::condition(&nested(10)).is_ok());
    assert!(Expression::condition(&nested(150)).is_err());
}

#[test]
fn the_work_and_the_text_of_an_evaluation_are_bounded() {
    let many: Vec<(&str, &[u8])> = vec![("x-a", b"aaaa"); 400];
    let call = Call::new(&many, "");
    let condition = |text: &str| Expression::condition(text).expect("a condition").holds(&call.exchange());
    assert_eq!(condition("request.header_values['x-a'].all(v, v == 'aaaa')"), Ok(true));
    let nested = "request.header_values['x-a'].all(v, request.header_values['x-a'].all(w, v == w))";
    assert_eq!(condition(nested), Err(EvalError::TooMuch));
    let one_kib = vec![b'a'; 1024];
    let call = Call::new(&[("x-a", &one_kib)], "");
    let text = |parts: usize| {
        let text = vec!["request.headers['x-a']"; parts].join(" + ");
        Expression::text(&text).expect("a text").make(&call.exchange()).map(|text| text.len())
    };
    assert_eq!(text(8), Ok(TEXT));
    assert_eq!(text(9), Err(EvalError::TooLong));
}

#[test]
fn no_error_repeats_what_a_caller_sent() {
    let call =
        Call::new(&[("x-secret", b"hunter2"), ("x-secret", b"hunter2")], "token=hunter2&token=hunter2");
    for text in [
        "request.headers['x-secret'] == 'a'",
        "request.query.token == 'a'",
        "int(request.query_values['token'].exists(x, true) ? 'x' : 'y') == 1",
    ] {
        let condition = Expression::condition(text).expect("a condition");
        let error = condition.holds(&call.exchange()).expect_err(text);
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

#[test]
fn the_claims_that_are_spoken_of_are_known() {
    let text = "claims.b == 'x' || has(claims.a.c) || claims['d'] == 'y' || claims.b == 'z'";
    assert_eq!(Expression::condition(text).expect("a condition").claims(), ["a", "b", "d"]);
}

#[test]
fn every_variable_can_be_read() {
    for variable in &VARIABLES {
        let text = match variable.kind {
            Type::Any => format!("has({}.x)", variable.name),
            Type::Map(_) | Type::Lists(_) => format!("'x' in {}", variable.name),
            Type::Texts => format!("'x' in {}", variable.name),
            _ => format!("{0} == {0}", variable.name),
        };
        assert!(holds(&text).is_ok(), "{text}");
    }
}

fn manual() -> (&'static str, String) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/manual/rules.md");
    (path, std::fs::read_to_string(path).expect("the chapter"))
}

#[test]
fn the_manual_names_the_variables_that_there_are() {
    let (path, text) = manual();
    let head = "| name | what it is |\n|---|---|\n";
    let (before, after) = text.split_once(head).expect("the table");
    let (_, after) = after.split_once("\n## Operators").expect("the next section");
    let rows: String = VARIABLES
        .iter()
        .map(|variable| format!("| `{}` | {} |\n", variable.name, variable.meaning))
        .collect();
    let wanted = format!("{before}{head}{rows}\n## Operators{after}");
    if std::env::var_os("HAECHI_WRITE_DOCS").is_some() {
        std::fs::write(path, &wanted).expect("written");
    }
    let (_, written) = manual();
    assert!(written == wanted, "docs/manual/rules.md is out of date: test with HAECHI_WRITE_DOCS=1");
}

#[test]
fn the_manuals_examples_are_conditions() {
    let (_, text) = manual();
    let (_, table) = text.split_once("| what | example |").expect("the table");
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| ")).collect();
    for row in &rows {
        let example = row.split(" | ").nth(1).and_then(|cell| cell.split('`').nth(1)).expect("an example");
        let example = example.replace("\\|", "|");
        Expression::condition(&example).unwrap_or_else(|error| panic!("{example}: {error}"));
    }
    assert!(rows.len() > 12);
    let whens: Vec<_> = text.split("when: \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    for when in &whens {
        Expression::condition(when).unwrap_or_else(|error| panic!("{when}: {error}"));
    }
    assert!(whens.len() > 2);
}

/// What the library's own evaluator makes of it, with the same values.
fn reference(text: &str) -> Result<bool, ()> {
    let mut context = cel::Context::default();
    let map = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let request: HashMap<String, cel::Value> = HashMap::from([
        ("method".to_owned(), "GET".into()),
        ("path".to_owned(), "/menu/7".into()),
        ("headers".to_owned(), map(&[("a", "x"), ("b", "xyz")]).into()),
        ("query".to_owned(), map(&[("n", "7")]).into()),
    ]);
    context.add_variable_from_value("request", request);
    context.add_variable_from_value("client", HashMap::from([("asn".to_owned(), 7_i64)]));
    context.add_variable_from_value(
        "principal",
        HashMap::from([("scopes".to_owned(), vec!["x".to_owned(), "y".to_owned()])]),
    );
    context.add_variable_from_value("channel", "x".to_owned());
    let program = cel::Program::compile(text).map_err(|_| ())?;
    match program.execute(&context) {
        Ok(cel::Value::Bool(value)) => Ok(value),
        _ => Err(()),
    }
}

fn texts() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "request.method",
        "request.path",
        "request.headers['a']",
        "request.headers.b",
        "request.headers['none']",
        "request.query.n",
        "channel",
        "'x'",
        "'xyz'",
        "''",
        "'/menu'",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} + {b})")),
            (numbers_leaf(), inner.clone(), inner).prop_map(|(n, a, b)| format!("({n} < 8 ? {a} : {b})")),
        ]
    })
}

fn numbers_leaf() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "0",
        "7",
        "-3",
        "client.asn",
        "9223372036854775807",
        "size(channel)",
        "int(request.query.n)",
    ])
    .prop_map(str::to_owned)
}

fn numbers() -> impl Strategy<Value = String> {
    numbers_leaf().prop_recursive(2, 6, 2, |inner| {
        (inner.clone(), prop::sample::select(vec!["+", "-", "*", "/", "%"]), inner)
            .prop_map(|(a, op, b)| format!("({a} {op} {b})"))
    })
}

fn conditions() -> impl Strategy<Value = String> {
    let compare = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        (texts(), compare.clone(), texts()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (numbers(), compare, numbers()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (texts(), prop::sample::select(vec!["contains", "startsWith", "endsWith"]), texts())
            .prop_map(|(a, f, b)| format!("{a}.{f}({b})")),
        texts().prop_map(|a| format!("{a} in principal.scopes")),
        texts().prop_map(|a| format!("{a} in request.headers")),
        texts().prop_map(|a| format!("{a} in ['x', 'y', channel]")),
        texts().prop_map(|a| format!("principal.scopes.exists(s, s == {a})")),
        texts().prop_map(|a| format!("principal.scopes.all(s, s != {a})")),
        texts().prop_map(|a| format!("principal.scopes.exists_one(s, s == {a})")),
        Just("has(request.headers.a)".to_owned()),
        Just("has(request.headers.c)".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

proptest! {
    #[test]
    fn it_says_what_the_library_says(text in conditions()) {
        let call = Call::new(&[("a", b"x"), ("b", b"xyz")], "n=7");
        let mut exchange = call.exchange();
        (exchange.channel, exchange.arrival.asn) = ("x", 7);
        let principal = Principal { scopes: vec!["x".into(), "y".into()], ..(**call.principal.as_ref().expect("one")).clone() };
        exchange.principal = Some(Arc::new(principal));
        if let Ok(condition) = Expression::condition(&text) {
            prop_assert_eq!(condition.holds(&exchange).map_err(|_| ()), reference(&text), "{}", text);
        } else {
            prop_assert!(text.len() > 300, "{:?} {}", Expression::condition(&text), text);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,60}") {
        let _ = Expression::condition(&text);
    }

    #[test]
    fn no_sequence_of_words_makes_reader_or_evaluator_panic(words in prop::collection::vec(prop::sample::select(vec![
        "request", ".", "headers", "[", "]", "(", ")", "'a'", "\"b", "&&", "||", "!", "-", "==", "<", "in", "?", ":", "1", "0x", "true", "claims",
        "has", "exists", "x", ",", "{", "}", "b'x'", "1.5", "1u", "null", "now", "getHours", "matches", "size", "%", "/", "\\", "`", "\n", "//", "r'", "9223372036854775808",
    ]), 0..24), spaced in any::<bool>()) {
        let text = words.join(if spaced { " " } else { "" });
        if let Ok(condition) = Expression::condition(&text) {
            let _ = condition.holds(&Call::usual().exchange());
        }
    }
}
