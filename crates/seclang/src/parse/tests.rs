use super::*;
use crate::ast::{Action, ActionKind, Change, Ctl, Disruptive, Selector};
use crate::names::Collection;

fn one(text: &str) -> Statement {
    let (mut directives, errors) = parse("a.conf", text.as_bytes());
    assert_eq!(errors, [], "{text}");
    assert_eq!(directives.len(), 1, "{text}");
    directives.remove(0).statement
}

/// The first mistake, as it is shown.
fn wrong(text: &str) -> String {
    let (_, errors) = parse("a.conf", text.as_bytes());
    errors.first().unwrap_or_else(|| panic!("`{text}` was taken")).to_string()
}

fn rule(text: &str) -> (Vec<Target>, Test, Vec<ActionKind>) {
    let Statement::Rule { targets, test, actions } = one(text) else { panic!("{text}") };
    (targets, test, actions.into_iter().map(|Action { kind, .. }| kind).collect())
}

#[test]
fn a_rule_has_targets_a_test_and_actions() {
    let (targets, test, actions) = rule(
        "SecRule REQUEST_COOKIES|!REQUEST_COOKIES:/^_ga(?:_\\w+)?$/|&ARGS:'/a|b/'|XML:/*|XML://@* \"!@rx ^a\\\"b\\\\\" \\\n    \"id:1,\\\n    phase:2,deny,msg:'it\\'s, so',setvar:'tx.a_%{TX.1}=+%{tx.b}'\"",
    );
    let shown: Vec<String> = targets.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        ["REQUEST_COOKIES", "!REQUEST_COOKIES:/^_ga(?:_\\w+)?$/", "&ARGS:/a|b/", "XML:/*", "XML://@*"]
    );
    assert_eq!(targets[2].selector, Selector::Pattern(b"a|b".to_vec()));
    assert_eq!(
        (test.negated, test.operator, test.argument.as_slice()),
        (true, OperatorName::Rx, &b"^a\"b\\\\"[..])
    );
    assert_eq!(actions[0], ActionKind::Id(1));
    assert_eq!(actions[2], ActionKind::Disruptive(Disruptive::Deny));
    let ActionKind::Msg(msg) = &actions[3] else { panic!() };
    assert_eq!(msg.constant(), Some(&b"it's, so"[..]));
    let ActionKind::SetVar(set) = &actions[4] else { panic!() };
    assert_eq!(set.key.source(), b"a_%{TX.1}");
    assert!(matches!(&set.change, Change::Add(amount) if amount.source() == b"%{TX.b}"));
}

#[test]
fn a_pattern_without_an_operator_is_one_for_rx() {
    let (_, test, _) = rule("SecRule ARGS \"!attack\"");
    assert_eq!(
        (test.negated, test.operator, test.argument.as_slice()),
        (true, OperatorName::Rx, &b"attack"[..])
    );
}

#[test]
fn a_comment_is_one_line_wherever_it_stands() {
    let (directives, errors) = parse(
        "a.conf",
        b"# SecRule x \\\nSecMarker A\n   #SecMarker B\nSecAction \\\n# between\n  \"id:1,phase:1\"\r\n\nSecMarker \"C\"\n",
    );
    assert_eq!(errors, []);
    assert_eq!(directives.len(), 3);
    assert_eq!(directives[1].place.to_string(), "a.conf:4:1");
}

#[test]
fn ctl_takes_rules_and_targets() {
    let (_, _, actions) = rule(
        "SecRule ARGS x \"id:1,phase:1,ctl:ruleRemoveTargetById=942100-942199;ARGS:/^a_b/,ctl:ruleRemoveTargetByTag=x;REQUEST_FILENAME,ctl:ruleRemoveById=7\"",
    );
    let ActionKind::Ctl(Ctl::RemoveTargets(which, target)) = &actions[2] else { panic!("{actions:?}") };
    assert_eq!(*which, Which::Ids(942_100, 942_199));
    assert_eq!(target.collection, Collection::Args);
}

#[test]
fn every_mistake_has_its_place_and_what_to_do() {
    let cases = [
        ("SecRul ARGS x", "a.conf:1:1: `SecRul` is no directive\n  help: did you mean `SecRule`?"),
        ("\n  SecRule ARGZ x \"id:1\"", "a.conf:2:11: `ARGZ` is no variable\n  help: did you mean `ARGS`?"),
        (
            "SecRule ARGS|&TX:a|ARG \"@rx x\"",
            "a.conf:1:20: `ARG` is no variable\n  help: did you mean `ARGS`?",
        ),
        ("SecRule ARGS \"@rxx a\"", "a.conf:1:15: `@rxx` is no operator\n  help: did you mean `@rx`?"),
        (
            "SecRule ARGS x \\\n  \"id:1,\\\n  t:lowercas\"",
            "a.conf:3:3: `t:lowercas` is no transformation\n  help: did you mean `t:lowercase`?",
        ),
        (
            "SecRule ARGS x \"id:1,exec:/bin/x\"",
            "a.conf:1:22: `exec` is not supported\n  help: no programs are run",
        ),
        (
            "SecRule ARGS x \"id:1,setvar:args.a=1\"",
            "a.conf:1:22: `args` cannot be written\n  help: rules write TX, GLOBAL, IP, SESSION, USER and RESOURCE",
        ),
        (
            "SecRule REQUEST_METHOD:x y",
            "a.conf:1:9: `REQUEST_METHOD` is one value: it has no names\n  help: leave out the colon and what follows",
        ),
        (
            "SecRule XML:/a/b y",
            "a.conf:1:9: the path `/a/b` is not supported\n  help: `XML:/*` is the text of a document, `XML://@*` are the values of its attributes",
        ),
        (
            "SecRule ARGS \"x",
            "a.conf:1:14: this quote is never closed\n  help: close it on the same line, or end the line with a backslash to go on with the next",
        ),
        ("SecRule ARGS x \"id:1,msg:'%{NOPE}'\"", "a.conf:1:22: `%{NOPE}` names no variable"),
        ("SecRule GEO x", "a.conf:1:9: `GEO` is not supported\n  help: there is no geographic database"),
        (
            "SecMarker",
            "a.conf:1:10: `SecMarker` takes 1 arguments, not 0\n  help: put an argument that contains spaces in double quotes",
        ),
        (
            "SecAction \"id:1,phase:6\"",
            "a.conf:1:17: `6` is no phase\n  help: 1 request headers, 2 request body, 3 response headers, 4 response body, 5 logging",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(wrong(text), expected, "{text}");
    }
}

#[test]
fn all_mistakes_of_a_rule_are_told() {
    let (_, errors) = parse("a.conf", b"SecRule ARGZ \"@rxx\" \"id:x,foo\"");
    assert_eq!(errors.len(), 4, "{errors:?}");
}

#[test]
fn mistakes_are_told_up_to_a_number() {
    let (_, errors) = parse("a.conf", "nonsense\n".repeat(10_000).as_bytes());
    assert_eq!(errors.len(), MISTAKES);
}
