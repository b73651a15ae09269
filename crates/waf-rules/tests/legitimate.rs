//! What people and programs send every day: nothing of it may be refused, and next to nothing may score.

#![expect(clippy::panic, reason = "tests fail loudly")]

use std::sync::Arc;

use haechi_seclang::{FileSystem, Match, Request, Rules};

/// Values, one a line; `\n` is a line break, `\\` a backslash.
const VALUES: &str = include_str!("legitimate.txt");

fn rules() -> Arc<Rules> {
    haechi_waf_rules::add(Rules::builder(&FileSystem)).build().unwrap_or_else(|errors| panic!("{errors}"))
}

fn values() -> impl Iterator<Item = String> {
    let comment = |line: &&str| line.is_empty() || (line.starts_with("# ") && !line.contains("\\n"));
    let lines = VALUES.lines().filter(move |line| !comment(line));
    lines.map(|line| line.replace("\\\\", "\u{1}").replace("\\n", "\n").replace('\u{1}', "\\"))
}

fn judged(rules: &Arc<Rules>, target: &str, headers: &[(&str, &str)], body: &str) -> Vec<Match> {
    let headers: Vec<(&[u8], &[u8])> =
        headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let mut transaction = rules.begin(&Request {
        method: if body.is_empty() { b"GET" } else { b"POST" },
        target: target.as_bytes(),
        headers: &headers,
        ..Request::default()
    });
    transaction.request_head();
    transaction.request_body(body.as_bytes());
    transaction.matches().to_vec()
}

fn encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text + &char::from(byte).to_string()
        } else {
            format!("{text}%{byte:02X}")
        }
    })
}

fn quoted(value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

const AGENT: (&str, &str) =
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/131.0.0.0");

#[test]
fn nothing_that_people_write_scores() {
    let rules = rules();
    let mut wrong = Vec::new();
    for value in values() {
        let name = encoded(&value);
        let json = quoted(&value);
        let sent = [
            judged(&rules, &format!("/v1/search?q={name}&page=2"), &[AGENT], ""),
            judged(
                &rules,
                "/v1/orders",
                &[AGENT, ("Content-Type", "application/x-www-form-urlencoded")],
                &format!("note={name}&quantity=2"),
            ),
            judged(
                &rules,
                "/v1/orders",
                &[AGENT, ("Content-Type", "application/json")],
                &format!("{{\"items\":[{{\"note\":{json},\"quantity\":2}}],\"total\":12.5}}"),
            ),
            judged(
                &rules,
                "/v1/orders",
                &[AGENT, ("Content-Type", "application/xml")],
                &format!(
                    "<order><note>{}</note></order>",
                    value.replace('&', "&amp;").replace('<', "&lt;").replace('\0', "")
                ),
            ),
        ];
        for (place, matches) in ["query", "form", "JSON", "XML"].iter().zip(sent) {
            for one in matches {
                wrong.push(format!("{place}: {value:?}: {} {} in {}", one.rule, one.message, one.variable));
            }
        }
    }
    assert!(wrong.is_empty(), "{} score:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_headers_of_everyday_clients_do_not_score() {
    let rules = rules();
    for agent in [
        "curl/8.5.0",
        "python-requests/2.32.3",
        "okhttp/4.12.0",
        "PostmanRuntime/7.43.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Dalvik/2.1.0 (Linux; U; Android 14; SM-S918N Build/UP1A.231005.007)",
        "PizzaShop/4.2 (iPhone; iOS 18.1; Scale/3.00)",
        "Go-http-client/2.0",
        "Java/17.0.9",
    ] {
        let headers = [
            ("Host", "api.pizza.example"),
            ("User-Agent", agent),
            ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"),
            ("Accept-Language", "ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7"),
            ("Accept-Encoding", "gzip, deflate, br, zstd"),
            (
                "Authorization",
                "Bearer eyJhbGciOiJFUzI1NiIsImtpZCI6InNob3AtMSJ9.eyJzdWIiOiJjMTIzIn0.c2lnbmF0dXJl",
            ),
            (
                "Cookie",
                "sid=7f3c9a52.Zm9v; _ga=GA1.1.1234567890.1700000000; prefs={\"theme\":\"dark\",\"size\":2}; cart=a%3A1%7Cb%3A2",
            ),
            ("Referer", "https://www.pizza.example/menu?size=L&sort=-price#top"),
            ("Sec-CH-UA", "\"Chromium\";v=\"131\", \"Not_A Brand\";v=\"24\""),
            ("If-None-Match", "W/\"5f-18c2\""),
            ("Range", "bytes=0-1023,2048-"),
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("X-Forwarded-For", "203.0.113.7, 10.0.0.1"),
            ("Origin", "https://www.pizza.example"),
        ];
        let matches = judged(&rules, "/menu/pizzas/42?lang=ko", &headers, "");
        assert!(matches.is_empty(), "{agent}: {matches:?}");
    }
}
