//! `effective` against the rule in one line: the operation's word, else the API's, else the gateway's, else the default.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::plan::{OperationView, Operations, diff};

/// What is written on one level; every level may say less.
#[derive(Clone, Debug, Default)]
struct Level {
    auth: Option<&'static str>,
    plan: Option<&'static str>,
    timeout: Option<u64>,
    body: Option<u64>,
    expose: Option<bool>,
    request: Option<Mode>,
    response: Option<Mode>,
    unknown_paths: Option<Mode>,
    unknown_parameters: Option<Mode>,
    identity: Option<Mode>,
    limits: Option<Mode>,
    lists: Option<Mode>,
    access: Option<Mode>,
    callers: Option<&'static str>,
    waf: Option<Mode>,
    paranoia: Option<u8>,
    exclusion: bool,
    rule: bool,
}

fn mode() -> impl Strategy<Value = Option<Mode>> {
    prop::option::of(prop::sample::select(vec![Mode::Off, Mode::Observe, Mode::Enforce]))
}

prop_compose! {
    fn level()(
        auth in prop::option::of(prop::sample::select(vec!["none", "[a]", "[a, b]"])),
        plan in prop::option::of(prop::sample::select(vec!["p", "{ default: p, a: q }", "{ b: q }"])),
        (timeout, body, expose) in (prop::option::of(1u64..5_000), prop::option::of(0u64..1_000_000), any::<Option<bool>>()),
        (request, response, unknown_paths, unknown_parameters) in (mode(), mode(), mode(), mode()),
        (identity, limits, lists, access) in (mode(), mode(), mode(), mode()),
        callers in prop::option::of(prop::sample::select(vec!["{}", "{ allow: [x] }", "{ allow: [x, y], deny: [y] }"])),
        rule in any::<bool>(),
        (waf, paranoia, exclusion) in (mode(), prop::option::of(1u8..=4), any::<bool>()),
    ) -> Level {
        Level {
            auth, plan, timeout, body, expose, request, response, unknown_paths, unknown_parameters, identity, limits, lists,
            access, callers, waf, paranoia, exclusion, rule,
        }
    }
}

/// The fields that are written, as YAML.
fn write(fields: &[(&str, Option<String>)]) -> String {
    let written: Vec<_> =
        fields.iter().filter_map(|(name, value)| Some(format!("{name}: {}", value.as_ref()?))).collect();
    format!("{{ {} }}", written.join(", "))
}

fn text<T: ToString>(value: Option<T>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn yaml(all: &Level, api: &Level, operation: &Level) -> String {
    let modes = |level: &Level| {
        let all = [
            ("identity", level.identity),
            ("limits", level.limits),
            ("lists", level.lists),
            ("access", level.access),
            ("waf", level.waf),
        ];
        Some(write(&all.map(|(name, mode)| (name, text(mode)))))
    };
    let rules = |level: &Level, name: &str| {
        level.rule.then(|| format!("[{{ name: {name}, when: 'false', status: 404 }}]"))
    };
    let waf = |level: &Level, id: u64| {
        let exclusions = level.exclusion.then(|| format!("[{{ rules: [{id}], reason: r }}]"));
        Some(write(&[("paranoia", text(level.paranoia)), ("exclusions", exclusions)]))
    };
    let validate = |level: &Level, paths| {
        let both = [
            ("request", text(level.request)),
            ("response", text(level.response)),
            ("unknown_parameters", text(level.unknown_parameters)),
            ("unknown_paths", paths),
        ];
        Some(write(&both))
    };
    let millis = |time: Option<u64>| time.map(|time| format!("{time}ms"));
    let bytes = |size: Option<u64>| size.map(|size| format!("{size}B"));
    let upstream = write(&[("urls", Some("http://u".into())), ("timeout", millis(api.timeout))]);
    let operation = write(&[
        ("auth", text(operation.auth)),
        ("plan", text(operation.plan)),
        ("timeout", millis(operation.timeout)),
        ("body", bytes(operation.body)),
        ("expose", text(operation.expose)),
        ("validate", validate(operation, None)),
        ("modes", modes(operation)),
        ("callers", text(operation.callers)),
        ("rules", rules(operation, "operation")),
        ("waf", waf(operation, 3)),
    ]);
    let callers = api.callers;
    let api = write(&[
        ("openapi", Some("o.yaml".into())),
        ("upstream", Some(upstream)),
        ("auth", Some(api.auth.unwrap_or("[b]").into())),
        ("plan", text(api.plan)),
        ("validate", validate(api, text(api.unknown_paths))),
        ("modes", modes(api)),
        ("callers", text(callers)),
        ("rules", rules(api, "api")),
        ("waf", waf(api, 2)),
        ("operations", Some(format!("{{ op: {operation} }}"))),
    ]);
    let identity = "{ a: { api_key: { collection: a } }, b: { api_key: { collection: b } } }";
    write(&[
        ("haechi", Some("1".into())),
        ("listen", Some("[{ address: \"127.0.0.1:1\" }]".into())),
        ("limits", Some(write(&[("body", bytes(all.body))]))),
        ("identity", Some(identity.into())),
        ("plans", Some("{ p: { rate: 1/s }, q: { rate: 2/s } }".into())),
        ("apis", Some(format!("{{ api: {api} }}"))),
        ("modes", modes(all)),
        ("lists", Some("{ x: { entries: [\"10.0.0.0/8\"] }, y: { files: [y.txt] } }".into())),
        ("callers", text(all.callers)),
        ("rules", rules(all, "all")),
        ("waf", waf(all, 1)),
    ])
}

/// The rule, written once more by hand.
fn expected(all: &Level, api: &Level, operation: &Level) -> OperationSettings {
    let auth = match operation.auth.or(api.auth).unwrap_or("[b]") {
        "none" => Auth::None,
        "[a]" => Auth::Any(vec!["a".into()]),
        "[b]" => Auth::Any(vec!["b".into()]),
        _ => Auth::Any(vec!["a".into(), "b".into()]),
    };
    let named = |name: &str| [(name.to_owned(), "q".to_owned())].into();
    let plan = match operation.plan.or(api.plan) {
        None => PlanChoice::default(),
        Some("p") => PlanChoice { default: Some("p".into()), ..PlanChoice::default() },
        Some("{ b: q }") => PlanChoice { default: None, by_identity: named("b") },
        Some(_) => PlanChoice { default: Some("p".into()), by_identity: named("a") },
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let callers = [all.callers, api.callers, operation.callers].into_iter().filter_map(|level| match level {
        None | Some("{}") => None,
        Some("{ allow: [x] }") => Some(Callers { allow: names(&["x"]), deny: Vec::new() }),
        Some(_) => Some(Callers { allow: names(&["x", "y"]), deny: names(&["y"]) }),
    });
    let rules = [("all", all.rule), ("api", api.rule), ("operation", operation.rule)];
    let rule = |name: &str| Rule { name: name.into(), when: "false".into(), status: 404, detail: None };
    let exclusions = [(1, all.exclusion), (2, api.exclusion), (3, operation.exclusion)];
    let excluded = |id| WafExclusion { rules: vec![id], reason: "r".into(), ..WafExclusion::default() };
    OperationSettings {
        exposed: operation.expose != Some(false),
        auth,
        plan,
        timeout: Duration::from_millis(operation.timeout.or(api.timeout).unwrap_or(30_000)),
        body: BodyLimit::Bytes(operation.body.or(all.body).unwrap_or(1024 * 1024)),
        compress: Compress::Public,
        websocket: None,
        validate_request: operation.request.or(api.request).unwrap_or(Mode::Enforce),
        validate_response: operation.response.or(api.response).unwrap_or(Mode::Off),
        unknown_paths: api.unknown_paths.unwrap_or(Mode::Enforce),
        unknown_parameters: operation.unknown_parameters.or(api.unknown_parameters).unwrap_or(Mode::Enforce),
        identity: operation.identity.or(api.identity).or(all.identity).unwrap_or(Mode::Enforce),
        limits: operation.limits.or(api.limits).or(all.limits).unwrap_or(Mode::Enforce),
        lists: operation.lists.or(api.lists).or(all.lists).unwrap_or(Mode::Enforce),
        callers: callers.collect(),
        access: operation.access.or(api.access).or(all.access).unwrap_or(Mode::Enforce),
        waf: operation.waf.or(api.waf).or(all.waf).unwrap_or(Mode::Enforce),
        waf_settings: WafSettings {
            rules: Vec::new(),
            paranoia: operation.paranoia.or(api.paranoia).or(all.paranoia),
            inbound: None,
            outbound: None,
            exclusions: exclusions
                .into_iter()
                .filter(|(_, written)| *written)
                .map(|(id, _)| excluded(id))
                .collect(),
            responses: false,
            body: 1024 * 1024,
            at_limit: AtLimit::Reject,
        },
        rules: rules.into_iter().filter(|(_, written)| *written).map(|(name, _)| rule(name)).collect(),
        rewrite: crate::model::Rewrite::default(),
    }
}

fn config(all: &Level, api: &Level, operation: &Level) -> Config {
    let text = yaml(all, api, operation);
    Config::parse(&text, Path::new("haechi.yaml")).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn operations() -> Operations {
    let view = |id: &str| OperationView { id: id.into(), method: "GET".into(), path: format!("/{id}") };
    Operations::from([("api".to_owned(), vec![view("op"), view("other")])])
}

proptest! {
    #[test]
    fn levels_are_put_together_by_one_rule(all in level(), api in level(), operation in level()) {
        let config = config(&all, &api, &operation);
        let found = &config.apis[0].1;
        prop_assert_eq!(effective(&config, found, "op"), expected(&all, &api, &operation));
        let without = expected(&all, &api, &Level::default());
        prop_assert_eq!(&effective(&config, found, "other"), &without);
        prop_assert_eq!(&api_defaults(&config, found), &without);
    }

    #[test]
    fn nothing_changes_from_a_configuration_to_itself_and_back_is_the_other_way(
        (all, api, operation) in (level(), level(), level()), (b_all, b_api, b_operation) in (level(), level(), level()),
    ) {
        use crate::plan::Effect::{Changed, Loosened, Tightened};
        let (a, b) = (config(&all, &api, &operation), config(&b_all, &b_api, &b_operation));
        let operations = operations();
        prop_assert_eq!(diff((&a, &operations), (&a, &operations)), []);
        let (there, back) = (diff((&a, &operations), (&b, &operations)), diff((&b, &operations), (&a, &operations)));
        // Which plan a caller gets is asked for those who may call now, so plans are not the same there and back.
        let ways = |changes: &[crate::plan::Change], turn: bool| {
            let mut ways: Vec<_> = changes.iter().filter(|change| change.kind != "plan").map(|change| {
                let effect = match change.effect {
                    Loosened if turn => Tightened,
                    Tightened if turn => Loosened,
                    effect => effect,
                };
                (effect, change.kind, change.operation.clone())
            }).collect();
            ways.sort();
            ways.dedup();
            ways
        };
        prop_assert_eq!(ways(&there, false), ways(&back, true), "{:?} {:?}", there, back);
        prop_assert!(there.iter().all(|change| matches!(change.kind, "plan" | "waf") || change.effect != Changed), "{:?}", there);
    }
}

#[test]
fn an_operation_rewrites_instead_of_its_api_and_header_fields_one_by_one() {
    let text = r#"haechi: 1
listen: [{ address: "127.0.0.1:1" }]
apis:
  api:
    openapi: a.yaml
    upstream: { urls: ["http://a"] }
    auth: none
    rewrite:
      strip_prefix: /v1
      add_prefix: /a
      path: [{ pattern: "/(?<b>.*)", to: "/x/{b}" }]
      host: keep
      request_headers: { set: { X-A: a, X-B: b }, add: { X-C: c, X-D: d }, remove: [X-E, X-F] }
    operations:
      op: { rewrite: { add_prefix: /b, host: other, request_headers: { set: { X-C: "{b}", X-E: e }, remove: [X-A] } } }
"#;
    let config = Config::parse(text, Path::new("haechi.yaml")).unwrap_or_else(|wrong| panic!("{wrong}"));
    let api = &config.apis[0].1;
    let rewrite = effective(&config, api, "op").rewrite;
    assert_eq!((rewrite.strip_prefix.as_deref(), rewrite.add_prefix.as_deref()), (Some("/v1"), Some("/b")));
    assert_eq!(
        (&rewrite.path, rewrite.host),
        (&api.rewrite.path, Some(crate::model::HostRewrite::Name("other".into())))
    );
    let headers = &rewrite.request_headers;
    let names = |fields: &std::collections::BTreeMap<String, _>| fields.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&headers.set), ["x-b", "x-c", "x-e"]);
    assert_eq!(names(&headers.add), ["x-d"]);
    assert_eq!(headers.remove, ["x-f", "x-a"]);
    assert_eq!(headers.set["x-c"].to_string(), "{b}", "the groups of the API's pattern are known");
    assert_eq!(effective(&config, api, "other").rewrite, api.rewrite);
}
