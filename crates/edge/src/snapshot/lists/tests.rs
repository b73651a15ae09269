use haechi_config::Config;

use super::*;
use crate::files::{Contents, Files};
use crate::lasting::Lasting;
use crate::snapshot::Snapshot;

const CONFIG: &str = r#"haechi: 1
listen: [{ address: "127.0.0.1:0" }]
services: { web: { upstream: { urls: ["http://127.0.0.1:1"] }, auth: none } }
"#;

/// A snapshot of these lines, whose list is this text.
fn compile(lines: &str, list: &str, lasting: &Lasting) -> Result<Snapshot, String> {
    let base = Path::new("/nowhere");
    let config =
        Config::parse(&format!("{CONFIG}{lines}"), &base.join("haechi.yaml")).expect("a configuration");
    let contents = Contents::from([("list.txt".to_owned(), list.as_bytes().into())]);
    Snapshot::compile_from(&config, lasting, &mut Files::kept(base, contents))
        .map_err(|wrong| wrong.to_string())
}

#[test]
fn a_file_has_one_entry_a_line_and_comments() {
    let text = "\u{feff}# ours\n\n192.0.2.0/24 # office\r\n  KR\n1.10.16.0/20 ; SBL256894\nnonsense\nAS4766";
    let shown: Vec<_> = lines(text)
        .map(|(line, entry)| (line, entry.map_or_else(|_| "wrong".to_owned(), |entry| entry.to_string())))
        .collect();
    let expected = [(3, "192.0.2.0/24"), (4, "KR"), (5, "1.10.16.0/20"), (6, "wrong"), (7, "AS4766")];
    assert_eq!(shown, expected.map(|(line, text)| (line, text.to_owned())));
}

#[test]
fn lists_are_read_up_to_their_limits() {
    let lasting = Lasting::for_check().expect("random bytes");
    let list = "lists: { a: { files: [list.txt] } }\n";
    let entries = "1.1.1.1\n".repeat(ENTRIES);
    assert!(compile(list, &entries, &lasting).is_ok());
    let wrong = compile(list, &(entries + "1.1.1.1\n"), &lasting).expect_err("one too many");
    assert!(wrong.contains("line 1000001: all lists together have more than 1000000 entries"), "{wrong}");
    let long = format!("#{}", "x".repeat(usize::try_from(LIST_FILE).expect("small") - 1));
    assert!(compile(list, &long, &lasting).is_ok());
    let wrong = compile(list, &(long + "x"), &lasting).expect_err("a byte too long");
    assert!(wrong.contains("it is too long"), "{wrong}");
}

#[test]
fn of_many_mistakes_the_first_are_told_and_the_others_counted() {
    let lasting = Lasting::for_check().expect("random bytes");
    let wrong = compile("lists: { a: { files: [list.txt] } }\n", &"nobody\n".repeat(1000), &lasting)
        .expect_err("wrong");
    assert!(wrong.contains("line 5: expected") && !wrong.contains("line 6:"), "{wrong}");
    assert!(wrong.contains("995 more lines are wrong"), "{wrong}");
}

#[test]
fn snapshots_share_what_the_same_file_tells() {
    let lasting = Lasting::for_check().expect("random bytes");
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../lists/tests/data");
    let with = |name: &str| {
        compile(&format!("geo: {{ country: {data}/{name} }}\n"), "", &lasting).expect("compiled")
    };
    let (first, second, other) = (with("country.mmdb"), with("country.mmdb"), with("country-later.mmdb"));
    let table = |snapshot: &Snapshot| snapshot.geo.country.clone().expect("a table");
    assert!(Arc::ptr_eq(&table(&first), &table(&second)) && !Arc::ptr_eq(&table(&first), &table(&other)));
    assert_ne!(first.digest, other.digest, "another file is another snapshot");
    let weak = Arc::downgrade(&table(&first));
    drop((first, second));
    assert!(weak.upgrade().is_none(), "what no snapshot reads is not held");
}
