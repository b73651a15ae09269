use super::*;

fn row(outcome: Outcome, digest: &str, sources: &Sources) -> ActivationRow {
    ActivationRow {
        id: 0,
        at: time(1),
        who: "uid 0".to_owned(),
        why: "test".to_owned(),
        stage: "production".to_owned(),
        outcome,
        digest: digest.to_owned(),
        manifest: sources.manifest.clone(),
        message: String::new(),
        changes: String::new(),
        production: digest.to_owned(),
        production_manifest: sources.manifest.clone(),
        disk: sources.manifest.clone(),
    }
}

fn sources(config: &str, files: &[(&str, &str)]) -> Sources {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().into())).collect();
    Sources::new(String::new(), config.to_owned(), files)
}

fn count(state: &State, table: &str) -> i64 {
    state.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("read")
}

#[test]
fn what_a_snapshot_was_made_from_can_be_had_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut state = State::open(dir.path()).expect("open");
    let one = sources("haechi: 1", &[("a.yaml", "openapi: 3.1.0"), ("b.yaml", "same")]);
    let two = sources("haechi: 1 # changed", &[("a.yaml", "openapi: 3.0.0"), ("b.yaml", "same")]);
    let first = row(Outcome::Activated, "a", &one);
    let id = state.record_activation(&first, Some(&one)).expect("kept");
    state.record_activation(&row(Outcome::Activated, "b", &two), Some(&two)).expect("kept");
    drop(state);
    let state = State::open(dir.path()).expect("open");
    assert_eq!(state.activation(id).expect("read"), Some(ActivationRow { id, ..first }));
    assert_eq!(state.sources(&one.manifest).expect("read"), Some(one));
    assert_eq!(state.sources("unknown").expect("read"), None);
    assert_eq!(count(&state, "blobs"), 3, "what is the same is kept once");
    let before = state.production_before("b").expect("read").expect("there");
    assert_eq!(before.id, id);
    assert_eq!(state.production_before("a").expect("read"), None);
    assert_eq!(state.activations(1).expect("read").len(), 1);
}

#[test]
fn no_two_sources_are_mistaken_for_one_another() {
    let manifests = [
        sources("ab", &[]),
        sources("a", &[]),
        sources("a", &[("b", "")]),
        sources("a", &[("", "b")]),
        sources("a", &[("b", "c"), ("d", "")]),
        sources("a", &[("b", "cd")]),
    ]
    .map(|sources| sources.manifest);
    for (index, manifest) in manifests.iter().enumerate() {
        assert!(!manifests[index + 1..].contains(manifest));
    }
}

#[test]
fn sources_are_bounded_and_those_of_production_stay() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut state = State::open(dir.path()).expect("open");
    let first = sources("first", &[("f", "first")]);
    state.record_activation(&row(Outcome::Activated, "first", &first), Some(&first)).expect("kept");
    for number in 0..SOURCES + 10 {
        let text = number.to_string();
        let staged = sources(&text, &[("f", &text)]);
        let mut row = row(Outcome::Activated, &text, &staged);
        "staging".clone_into(&mut row.stage);
        "first".clone_into(&mut row.production);
        row.production_manifest.clone_from(&first.manifest);
        state.record_activation(&row, Some(&staged)).expect("kept");
    }
    assert!(state.sources(&first.manifest).expect("read").is_some(), "it serves");
    assert!(count(&state, "sources") <= SOURCES + 1);
    assert_eq!(count(&state, "blobs"), count(&state, "sources"));
    assert_eq!(count(&state, "activations"), SOURCES + 11);
}

#[test]
fn a_history_of_the_first_version_is_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let connection = rusqlite::Connection::open(dir.path().join("haechi.db")).expect("open");
    connection
        .execute_batch(&format!("{} PRAGMA user_version = 1;", crate::open::MIGRATIONS[0]))
        .expect("made");
    connection
        .execute_batch(
            "INSERT INTO activations (at, who, why, outcome, digest, message, config)
             VALUES (1, 'uid 0', 'start', 'activated', 'a', '', 'haechi: 1'), (2, 'uid 0', 'typo', 'refused', '', 'no', '')",
        )
        .expect("kept");
    drop(connection);
    let state = State::open(dir.path()).expect("open");
    let rows = state.activations(10).expect("read");
    assert_eq!(
        rows.iter().map(|row| row.outcome).collect::<Vec<_>>(),
        [Outcome::Refused, Outcome::Activated]
    );
    assert_eq!((rows[1].stage.as_str(), rows[1].digest.as_str()), ("production", "a"));
    assert_eq!(state.sources(&rows[1].manifest).expect("read"), None);
}
