use std::sync::Arc;

use crate::load::InMemory;
use crate::program::Fold;
use crate::rules::Rules;
use crate::transaction::{InterventionKind, Request, Transaction, Verdict};

fn load(text: &str) -> Arc<Rules> {
    Rules::builder(&InMemory::default())
        .text("a.conf", text)
        .build()
        .unwrap_or_else(|errors| panic!("{errors}"))
}

fn wrong(text: &str) -> String {
    Rules::builder(&InMemory::default()).text("a.conf", text).build().unwrap_err().to_string()
}

/// Both ways of running, which must agree.
fn run(text: &str, target: &str) -> Transaction {
    let rules = load(text);
    let request = Request { target: target.as_bytes(), ..Request::default() };
    let judge = |mut transaction: Transaction| {
        transaction.request_head();
        transaction.request_body(b"");
        transaction.finish(1);
        transaction
    };
    let (fast, plain) = (judge(rules.begin(&request)), judge(rules.begin_plainly(&request)));
    assert_eq!(fast.matches(), plain.matches(), "{text}");
    assert_eq!((fast.verdict(), fast.tx()), (plain.verdict(), plain.tx()), "{text}");
    fast
}

fn ids(text: &str, target: &str) -> Vec<u64> {
    run(text, target).matches().iter().map(|one| one.rule).collect()
}

fn folds(text: &str) -> Vec<Fold> {
    load(text).program.rules.iter().map(|rule| rule.fold).collect()
}

#[test]
fn defaults_hold_from_where_they_stand() {
    let text = "SecRule ARGS a \"id:1,phase:2,block\"
SecDefaultAction \"phase:2,deny,status:418,log,t:lowercase\"
SecRule ARGS b \"id:2,phase:2,block,chain\"
  SecRule ARGS c \"t:none\"
SecRule ARGS d \"id:3,phase:2,pass\"";
    assert_eq!(*run(text, "/?x=a").verdict(), Verdict::Pass);
    let Verdict::Refuse(refused) = run(text, "/?x=Bc").verdict().clone() else { panic!() };
    assert_eq!((refused.rule, refused.status, refused.kind), (2, 418, InterventionKind::Deny));
    assert_eq!(*run(text, "/?x=BC").verdict(), Verdict::Pass, "the second link has no transformation");
    assert_eq!(*run(text, "/?x=D").verdict(), Verdict::Pass);
}

#[test]
fn updates_and_removals_hold_wherever_they_stand() {
    let text = "SecRuleRemoveById 1 7-9
SecRule ARGS x \"id:1,phase:2,deny\"
SecRule ARGS x \"id:2,phase:2,pass,log,tag:'t',msg:'m'\"
SecRule ARGS x \"id:3,phase:2,pass,log,tag:'u'\"
SecRule ARGS x \"id:4,phase:2,pass,log\"
SecRuleRemoveByTag u
SecRuleUpdateTargetById 2 \"!ARGS:/^b/,REQUEST_METHOD\"
SecRuleUpdateActionById 4 \"deny,status:404\"
SecRuleUpdateTargetByMsg m !ARGS:c";
    assert_eq!(ids(text, "/?a=x"), [2, 4]);
    assert_eq!(ids(text, "/?bb=x"), [4]);
    assert_eq!(ids(text, "/?C=x"), [4]);
    assert!(matches!(run(text, "/?a=x").verdict(), Verdict::Refuse(refused) if refused.status == 404));
    let rules = load(&format!("{text}\nSecRuleRemoveById 99\nSecAuditLog x"));
    let notices: Vec<String> =
        rules.notices().iter().map(|notice| format!("{} {}", notice.place, notice.message)).collect();
    assert_eq!(notices.len(), 3, "{notices:?}");
    assert_eq!(notices[2], "a.conf:10:1 no rule is `99`: nothing is removed");
}

#[test]
fn jumps_go_forward_to_markers_and_over_rules() {
    let text = "SecRule ARGS:skip 1 \"id:1,phase:2,pass,nolog,skipAfter:END\"
SecRule ARGS:skip 2 \"id:2,phase:2,pass,nolog,skip:1\"
SecRule ARGS x \"id:3,phase:2,pass,log\"
SecRule ARGS x \"id:4,phase:2,pass,log\"
SecMarker END
SecRule ARGS x \"id:5,phase:2,pass,log\"";
    assert_eq!(ids(text, "/?a=x"), [3, 4, 5]);
    assert_eq!(ids(text, "/?a=x&skip=1"), [5]);
    assert_eq!(ids(text, "/?a=x&skip=2"), [4, 5]);
    assert!(
        wrong("SecMarker A\nSecRule ARGS x \"id:1,skipAfter:A\"")
            .contains("the marker stands before the rule")
    );
    assert!(wrong("SecRule ARGS x \"id:1,skipAfter:A\"").contains("no `SecMarker A` follows this rule"));
}

#[test]
fn what_a_rule_may_not_say_is_refused() {
    for (text, told) in [
        ("SecRule ARGS x \"phase:1\"", "the rule has no id"),
        ("SecRule ARGS x \"id:1\"\nSecRule ARGS x \"id:1\"", "the id 1 is taken by the rule at a.conf:1:1"),
        ("SecRule ARGS x \"id:1,chain\"", "the chain has no next rule"),
        (
            "SecRule ARGS x \"id:1,chain\"\nSecRule ARGS x \"deny\"",
            "this action belongs to the first rule of a chain",
        ),
        ("SecRule !ARGS x \"id:1\"", "the rule looks at nothing"),
        ("SecDefaultAction \"pass\"", "default actions need a phase"),
        ("SecRule ARGS \"@rx (a\" \"id:1\"", "a.conf:1:15: the pattern is wrong: unclosed group"),
        ("SecRuleScript x.lua", "`SecRuleScript` is not supported"),
        ("SecRequestBodyLimit 0", "is no number from 1 to"),
        ("SecCookieFormat 1", "only Netscape cookies are read"),
    ] {
        let wrong = wrong(text);
        assert!(wrong.contains(told), "{text}: {wrong}");
    }
}

#[test]
fn the_beginning_is_run_once_and_for_all() {
    let text = "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.level=1\"
SecRule &TX:level \"@eq 0\" \"id:2,phase:1,pass,nolog,setvar:tx.level=9\"
SecRule &TX:other \"@eq 0\" \"id:3,phase:1,pass,nolog,setvar:tx.other=%{tx.level}0\"
SecRule ARGS x \"id:4,phase:1,pass,log,msg:'%{tx.other}'\"";
    assert_eq!(folds(text), [Fold::Gone, Fold::Gone, Fold::Gone, Fold::Open]);
    let transaction = run(text, "/?a=x");
    assert_eq!(
        (transaction.matches()[0].message.as_str(), transaction.tx().get(b"LEVEL")),
        ("10", Some(&b"1"[..]))
    );
}

const GATES: &str = "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.level=1\"
SecRule ARGS never \"id:2,phase:1,pass,nolog\"
SecRule TX:LEVEL \"@lt 1\" \"id:3,phase:2,pass,nolog,skipAfter:END\"
SecRule TX:LEVEL \"@lt 2\" \"id:4,phase:2,pass,nolog,tag:'gate',skipAfter:END\"
SecRule ARGS x \"id:5,phase:2,pass,log\"
SecMarker END\n";

#[test]
fn gates_are_folded_when_nothing_else_writes_what_they_read() {
    assert_eq!(folds(GATES), [Fold::Gone, Fold::Open, Fold::Gone, Fold::Always, Fold::Open]);
    assert_eq!(ids(GATES, "/?a=x"), Vec::<u64>::new());
}

#[test]
fn gates_are_not_folded_when_another_rule_may_write_what_they_read() {
    for writer in [
        "SecRule ARGS y \"id:9,phase:1,pass,nolog,setvar:tx.level=2\"",
        "SecRule ARGS y \"id:9,phase:1,pass,nolog,setvar:TX.Level=+1\"",
        "SecRule ARGS y \"id:9,phase:1,pass,nolog,setvar:'tx.lev%{ARGS.n}=2'\"",
        "SecRule ARGS y \"id:9,phase:1,pass,nolog,setvar:'tx.%{ARGS.n}=2'\"",
        "SecRule ARGS y \"id:9,phase:1,pass,nolog,setvar:!tx.level\"",
    ] {
        let text = format!("{GATES}{writer}");
        assert_eq!(folds(&text)[2..4], [Fold::Open, Fold::Open], "{writer}");
    }
    let text = format!("{GATES}SecRule ARGS y \"id:9,phase:1,pass,nolog,setvar:tx.level=2\"");
    assert_eq!(ids(&text, "/?a=x&b=y"), [5], "the gate opens when the level is raised");
}

#[test]
fn a_gate_that_ctl_removes_is_open() {
    for ctl in ["ctl:ruleRemoveById=4", "ctl:ruleRemoveByTag=gate"] {
        let text = format!("{GATES}SecRule ARGS y \"id:9,phase:1,pass,nolog,{ctl}\"");
        assert_eq!(ids(&text, "/?a=x&b=y"), [5], "{ctl}");
        assert_eq!(ids(&text, "/?a=x"), Vec::<u64>::new(), "{ctl}");
    }
    // A rule may lose what it looks at too.
    let text =
        format!("{GATES}SecRule ARGS y \"id:9,phase:1,pass,nolog,ctl:ruleRemoveTargetById=4;TX:level\"");
    assert_eq!(folds(&text)[3], Fold::Open);
    assert_eq!(ids(&text, "/?a=x&b=y"), [5]);
}

#[test]
fn captures_write_the_names_of_their_groups() {
    let text = "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.1=a\"
SecRule ARGS \"(.)x\" \"id:2,phase:1,pass,nolog,capture\"
SecRule TX:1 \"@streq a\" \"id:3,phase:2,pass,log\"";
    assert_eq!(folds(text)[2], Fold::Open);
    assert_eq!(ids(text, "/?a=bx"), Vec::<u64>::new());
    assert_eq!(ids(text, "/?a=c"), [3]);
}

/// `auditlog` of `SecDefaultAction`, as in the Core Rule Set's setup, made every gate one that leaves a trace: nothing was folded, and all paranoia levels' rules
/// were looked at in advance.
#[test]
fn nolog_is_noauditlog_whatever_the_defaults_say() {
    let defaults = "SecDefaultAction \"phase:1,log,auditlog,pass\"\n";
    let text = format!("{defaults}SecAction \"id:1,phase:1,nolog,setvar:tx.level=1\"\n");
    assert_eq!(folds(&text), [Fold::Gone]);
    let text = format!("{text}SecAction \"id:2,phase:1,nolog,auditlog\"\nSecAction \"id:3,phase:1\"");
    assert_eq!(ids(&text, "/"), [2, 3]);
}
