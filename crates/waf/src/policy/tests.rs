use haechi_seclang::{InMemory, MemoryStore};

use super::*;

const RULES: &str = "SecRuleEngine DetectionOnly
SecRule ARGS \"@contains bad\" \"id:10,phase:2,deny,tag:'words',tag:'bad/words'\"
SecRule ARGS|REQUEST_HEADERS \"@contains worse\" \"id:11,phase:2,deny,tag:'words'\"
";

fn policy() -> Policy {
    Policy {
        rules: vec![Source::Path("rules.conf".into())],
        paranoia: None,
        inbound: None,
        outbound: None,
        exclusions: Vec::new(),
        responses: false,
        body: 1024,
        at_limit: AtLimit::Reject,
    }
}

fn compile(policy: &Policy, files: &[(&str, &str)]) -> Result<Waf, PolicyError> {
    Waf::compile(policy, &InMemory::of(files), Arc::new(MemoryStore::default()))
}

fn refuses(policy: &Policy, target: &str) -> bool {
    let waf = compile(policy, &[("rules.conf", RULES)]).unwrap_or_else(|error| panic!("{error:?}"));
    let request = haechi_seclang::Request { target: target.as_bytes(), ..haechi_seclang::Request::default() };
    let mut transaction = waf.rules.begin(&request);
    transaction.request_head();
    transaction.request_body(b"") != haechi_seclang::Verdict::Pass
}

fn excluding(exclusion: Exclusion) -> Policy {
    Policy { exclusions: vec![exclusion], ..policy() }
}

#[test]
fn an_exclusion_takes_away_what_it_names_and_nothing_else() {
    assert!(refuses(&policy(), "/?q=bad"), "the mode is the gateway's, whatever the file says");
    let by = |rules: &[u64], tags: &[&str], parameter: Option<&str>| {
        excluding(Exclusion {
            rules: rules.to_vec(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            parameter: parameter.map(str::to_owned),
            ..Exclusion::default()
        })
    };
    for (policy, passes, refused) in [
        (by(&[10], &[], None), "/?q=bad", "/?q=worse"),
        (by(&[10], &[], Some("q")), "/?q=bad", "/?r=bad"),
        (by(&[10], &[], Some("q")), "/?q=bad", "/?q=worse"),
        (by(&[], &["bad/words"], Some("q")), "/?q=bad", "/?q=worse"),
        (by(&[10], &[], Some("items.*.note")), "/?items.3.note=bad", "/?itemsx3.note=bad"),
        (by(&[10], &[], Some("a[*]")), "/?a[7]=bad", "/?a7=bad"),
    ] {
        assert!(!refuses(&policy, passes), "{policy:?} {passes}");
        assert!(refuses(&policy, refused), "{policy:?} {refused}");
    }
    assert!(!refuses(&by(&[], &["words"], None), "/?q=bad+worse"), "all rules of a tag");
}

#[test]
fn an_exclusion_of_what_is_not_there_is_told_by_its_place() {
    let exclusion = |rules: &[u64], tags: &[&str]| Exclusion {
        rules: rules.to_vec(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..Exclusion::default()
    };
    let exclusions =
        vec![exclusion(&[10], &["words"]), exclusion(&[11, 12], &[]), exclusion(&[], &["wrods"])];
    let policy = Policy { exclusions, ..policy() };
    let Err(PolicyError::Exclusions(told)) = compile(&policy, &[("rules.conf", RULES)]) else {
        panic!("it is taken")
    };
    let expected = [(1, "no rule is `12`"), (2, "no rule is tagged `wrods`")];
    assert_eq!(told, expected.map(|(index, what)| (index, what.to_owned())));
}

#[test]
fn what_is_set_beside_the_files_stands_between_setup_and_rules() {
    let files = [
        ("crs/crs-setup.conf", "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level=1\"\n"),
        (
            "crs/rules/a.conf",
            "SecRule TX:blocking_paranoia_level \"@ge 3\" \"id:2,phase:1,deny\"\n\
             SecRule TX:inbound_anomaly_score_threshold \"@eq 7\" \"id:3,phase:1,pass,log\"\n",
        ),
    ];
    let judge = |policy: &Policy| {
        let waf = compile(policy, &files).expect("good rules");
        let mut transaction = waf.rules.begin(&haechi_seclang::Request::default());
        let refused = transaction.request_head() != haechi_seclang::Verdict::Pass;
        (refused, waf.len())
    };
    let rules = vec![Source::Path("crs".into())];
    assert_eq!(judge(&Policy { rules: rules.clone(), ..policy() }), (false, 3));
    assert_eq!(judge(&Policy { rules, paranoia: Some(3), inbound: Some(7), ..policy() }), (true, 3));
}

#[test]
fn mistakes_name_their_file_and_line() {
    let wrong = compile(&policy(), &[("rules.conf", "\nSecRule ARGS \"@frob x\" \"id:1\"\n")]);
    let wrong = wrong.expect_err("it is taken");
    let place = wrong.rules()[0].place();
    assert_eq!((&*place.file, place.line), ("rules.conf", 2));
    let gone = Policy { rules: vec![Source::Path("gone/*.conf".into())], ..policy() };
    assert!(matches!(compile(&gone, &[]), Err(PolicyError::Source { index: 0, .. })));
}

#[test]
fn the_rules_that_come_with_the_program_need_no_file() {
    let judge = |inbound| {
        let policy = Policy { rules: vec![Source::Builtin], inbound, ..policy() };
        let waf = compile(&policy, &[]).unwrap_or_else(|error| panic!("{error:?}"));
        let target = b"/?id=1%27%20UNION%20SELECT%20password%20FROM%20users--%20";
        let request = haechi_seclang::Request { target, ..haechi_seclang::Request::default() };
        let mut transaction = waf.rules.begin(&request);
        transaction.request_head();
        transaction.request_body(b"") != haechi_seclang::Verdict::Pass
    };
    assert!(judge(None));
    assert!(!judge(Some(1_000)), "the threshold is theirs, too");
}
