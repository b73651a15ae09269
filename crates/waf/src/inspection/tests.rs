use std::net::Ipv4Addr;

use haechi_guard::Arrival;
use haechi_seclang::{InMemory, MemoryStore};
use haechi_wire::{CanonicalPath, HeadersBuilder, Query};
use http::Method;

use super::*;
use crate::policy::{AtLimit, Policy, Source};

fn waf(rules: &str) -> Arc<Waf> {
    let policy = Policy {
        rules: vec![Source::Path("a.conf".into())],
        paranoia: None,
        inbound: None,
        outbound: None,
        exclusions: Vec::new(),
        responses: true,
        body: 16,
        at_limit: AtLimit::Reject,
    };
    let files = InMemory::of(&[("a.conf", rules)]);
    Arc::new(Waf::compile(&policy, &files, Arc::new(MemoryStore::default())).expect("good rules"))
}

fn begin(waf: &Arc<Waf>, target: &str, protocol: &str, fields: &[(&str, &str)]) -> Inspection {
    begin_in(Mode::Enforce, waf, target, protocol, fields)
}

fn begin_in(mode: Mode, waf: &Arc<Waf>, target: &str, protocol: &str, fields: &[(&str, &str)]) -> Inspection {
    let path = CanonicalPath::parse(b"/a").expect("a path");
    let query = Query::parse(None, 8).expect("a query");
    let mut headers = HeadersBuilder::with_capacity(4, 64);
    for (name, value) in fields {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let headers = headers.finish();
    let (path_sent, query_sent) = target.split_once('?').unwrap_or((target, ""));
    let exchange = Exchange {
        now: UNIX_EPOCH,
        client: Ipv4Addr::new(192, 0, 2, 1).into(),
        authority: None,
        method: &Method::GET,
        path: &path,
        query: &query,
        headers: &headers,
        arrival: Arrival { protocol, ..Arrival::default() },
        channel: "",
        api: "shop",
        operation: "-",
        principal: None,
        response_headers: Vec::new(),
    };
    let query = Some(query_sent.as_bytes()).filter(|query| !query.is_empty());
    waf.begin(mode, &exchange, Seen { path: path_sent.as_bytes(), query, id: "id" })
}

fn told(word: Word) -> Option<(u16, &'static str, Option<String>)> {
    let denial = word.denial()?;
    assert!(!denial.disclose, "reasons are not for callers");
    Some((denial.status.as_u16(), denial.problem, denial.reasons[0].rule.clone()))
}

#[test]
fn rules_see_the_bytes_that_were_sent() {
    let waf = waf("SecRule REQUEST_URI_RAW \"@streq /a/%2e%2e/b?q=%31\" \"id:1,phase:1,deny,status:404\"\n\
         SecRule REQUEST_PROTOCOL \"@streq HTTP/2.0\" \"id:2,phase:1,deny\"\n");
    let refused = |status, rule: &str| Some((status, "request-refused", Some(rule.to_owned())));
    assert_eq!(told(begin(&waf, "/a/%2e%2e/b?q=%31", "1.1", &[]).head()), refused(404, "1"));
    assert_eq!(told(begin(&waf, "/", "2", &[]).head()), refused(403, "2"));
    assert_eq!(told(begin(&waf, "/", "1.1", &[]).head()), None);
}

#[test]
fn a_refusal_is_told_once_and_only_as_a_refusal() {
    let waf =
        waf("SecRule ARGS \"@contains x\" \"id:1,phase:2,redirect:https://evil.example/,log,msg:'an x'\"\n");
    let mut inspection = begin(&waf, "/?q=x", "1.1", &[]);
    assert_eq!(inspection.head(), Word::Allow);
    let denial = inspection.body(b"").denial().expect("refused");
    assert_eq!((denial.status.as_u16(), &*denial.reasons[0].detail), (403, "an x"));
    assert_eq!(denial.reasons[0].at.as_deref(), Some("ARGS:q"));
    assert_eq!(inspection.response_head(StatusCode::OK, &HeaderMap::new()), Word::Allow, "it was told");
}

#[test]
fn what_is_observed_is_asked_on_after_a_refusal() {
    let rules = "SecAction \"id:1,phase:1,deny,log\"\nSecRule ARGS \"x\" \"id:2,phase:2,deny,log\"\n";
    for (mode, found) in [(Mode::Enforce, &[1][..]), (Mode::Observe, &[1, 2])] {
        let mut inspection = begin_in(mode, &waf(rules), "/?q=x", "1.1", &[]);
        let refused = told(inspection.head());
        assert_eq!(refused, Some((403, "request-refused", Some("1".to_owned()))), "{mode}");
        assert_eq!(inspection.body(b""), Word::Allow, "it was told");
        let findings = inspection.finish(UNIX_EPOCH);
        assert_eq!(findings.found.iter().map(|one| one.rule).collect::<Vec<_>>(), found, "{mode}");
    }
}

#[test]
fn a_body_at_the_limit_is_judged_and_one_byte_more_is_refused() {
    let waf = waf("SecRule ARGS \"@contains bad\" \"id:1,phase:2,deny\"\n");
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let judge = |body: &str| {
        let mut inspection = begin(&waf, "/", "1.1", &form);
        assert_eq!(inspection.head(), Word::Allow);
        told(inspection.body(body.as_bytes())).map(|(status, problem, _)| (status, problem))
    };
    assert_eq!(judge("a=3456789012bad6"), Some((403, "request-refused")));
    assert_eq!(judge("a=34567890123456"), None);
    assert_eq!(judge("a=345678901234567"), Some((413, "body-too-large")));
}

#[test]
fn values_are_told_by_name_and_never_whole_texts() {
    let waf = waf("SecRule ARGS:q \"@contains x\" \"id:1,phase:2,pass,log,msg:'in q'\"\n\
         SecRule QUERY_STRING \"@contains x\" \"id:2,phase:2,pass,log,setvar:tx.blocking_inbound_anomaly_score=+5\"\n\
         SecRule ARGS:q \"@contains x\" \"id:3,phase:2,pass,nolog\"\n");
    let mut inspection = begin(&waf, "/?q=x&password=y", "1.1", &[]);
    inspection.head();
    inspection.body(b"");
    let findings = inspection.finish(UNIX_EPOCH);
    assert_eq!((findings.score, findings.outbound), (5, 0));
    let told: Vec<_> =
        findings.found.iter().map(|one| (one.rule, &*one.variable, one.value.as_deref())).collect();
    assert_eq!(told, [(1, "ARGS:q", Some("x")), (2, "QUERY_STRING", None)]);
}

#[test]
fn what_is_told_of_one_call_is_bounded() {
    let mut rules = String::new();
    for id in 1..=FOUND + 5 {
        rules.push_str(&format!("SecAction \"id:{id},phase:1,pass,log\"\n"));
    }
    let mut inspection = begin(&waf(&rules), "/", "1.1", &[]);
    inspection.head();
    assert_eq!(inspection.finish(UNIX_EPOCH).found.len(), FOUND);
}

#[test]
fn a_response_is_refused_as_the_services_failure() {
    let waf = waf("SecRule RESPONSE_BODY \"@contains ORA-00933\" \"id:1,phase:4,deny,log\"\n");
    let mut inspection = begin(&waf, "/", "1.1", &[]);
    inspection.head();
    inspection.body(b"");
    let head =
        |kind| HeaderMap::from_iter([(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind))]);
    inspection.response_head(StatusCode::OK, &head("application/json"));
    assert!(inspection.wants_response_body());
    let refused = told(inspection.response_body(b"{\"e\":\"ORA-00933\"}"));
    assert_eq!(refused, Some((502, "response-refused", Some("1".to_owned()))));
    let mut image = begin(&waf, "/", "1.1", &[]);
    image.head();
    image.body(b"");
    image.response_head(StatusCode::OK, &head("image/png"));
    assert!(!image.wants_response_body());
}
