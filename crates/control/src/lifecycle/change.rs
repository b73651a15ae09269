//! What is being changed: candidates, promotions, rollbacks, and the guard that watches them.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use haechi_config::model::OnChange;
use haechi_edge::{Tally, Target};
use haechi_guard::Mode;
use haechi_store::{ActivationRow, Outcome, Sources};

use super::made::Made;
use super::step::Step;
use super::{Activation, ChangeLine, GuardStatus, Lifecycle, lock};
use crate::api::{Activate, Rollback};
use crate::compare::{Comparison, Finding, Judgement};
use crate::keys::control_event;
use crate::watch::Watch;

/// What is being changed.
pub(crate) struct Change {
    pub(crate) production: Made,
    /// What served production before, to go back to at once.
    previous: Option<Made>,
    pub(crate) candidate: Option<Candidate>,
    watch: Watch,
    /// The gateway's own file: it is watched though another one may serve.
    own: PathBuf,
    /// What the gateway's own file would be made from, when it was looked at last; empty if it was not usable.
    disk: String,
    /// Files have changed that nobody has activated.
    pub(crate) files_changed: bool,
    /// What is on disk was refused.
    pub(crate) is_last_good: bool,
    guard: Option<Guard>,
    /// What production had served at moments of the last window.
    before: VecDeque<(Duration, Tally)>,
    pub(crate) last: Activation,
}

/// What may come after production.
pub(crate) struct Candidate {
    pub(crate) made: Made,
    pub(crate) step: Step,
}

/// The guard of the last change.
struct Guard {
    comparison: Option<Comparison>,
    mode: Mode,
    status: GuardStatus,
}

/// Something that happened by itself.
#[derive(Debug)]
pub(crate) struct Notice(pub(crate) String);

/// What is kept of a decision, beside when and what serves since.
struct Decision<'a> {
    who: &'a str,
    why: &'a str,
    stage: String,
    outcome: Outcome,
    about: Option<(String, String)>,
    message: String,
    changes: Vec<ChangeLine>,
    sources: Option<&'a Sources>,
}

// === impl Change ===

impl Change {
    pub(crate) fn new(own: PathBuf, production: Made, disk: String, is_last_good: bool) -> Self {
        let mut change = Self {
            production,
            previous: None,
            candidate: None,
            watch: Watch::default(),
            own,
            disk,
            files_changed: false,
            is_last_good,
            guard: None,
            before: VecDeque::new(),
            last: Activation::default(),
        };
        change.watch_files();
        change
    }

    pub(crate) fn guard_status(&self) -> Option<GuardStatus> {
        self.guard.as_ref().map(|guard| guard.status.clone())
    }

    /// What was compared no longer serves. What the guard itself has decided stays to be told.
    fn end_comparison(&mut self) {
        if let Some(guard) = &mut self.guard {
            guard.comparison = None;
        }
        self.guard = self.guard.take().filter(|guard| guard.status.state == "rolled-back");
    }

    /// From now on the files of what serves count, as they are now.
    fn watch_files(&mut self) {
        let files = self.files();
        self.watch.set(files);
    }

    /// The same, as they were when they were read.
    fn keep_watching(&mut self) {
        let files = self.files();
        self.watch.keep(files);
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files = self.production.snapshot.files.clone();
        let candidate = self.candidate.iter().flat_map(|candidate| &candidate.made.snapshot.files);
        for file in candidate.chain([&self.own]) {
            if !files.contains(file) {
                files.push(file.clone());
            }
        }
        files
    }

    /// What production served over the last window, and how long that is.
    fn baseline(&self, now: Duration, tally: &Tally) -> (Tally, Duration) {
        match self.before.front() {
            Some((at, earlier)) => (tally.since(earlier), now.saturating_sub(*at)),
            None => (Tally::default(), Duration::ZERO),
        }
    }
}

// === impl Lifecycle ===

impl Lifecycle {
    /// Takes a change one step further. What is refused is recorded; what served goes on.
    ///
    /// # Errors
    /// Why it was refused, fit to be shown.
    pub(crate) fn activate(&self, request: &Activate, who: &str) -> Result<Activation, String> {
        let step: Step = request.stage.as_deref().unwrap_or("production").parse()?;
        let why = request.why.as_deref().unwrap_or("asked for");
        let mut change = lock(&self.change);
        let change = &mut *change;
        let promoted = match &change.candidate {
            Some(candidate) if step != Step::Staging && request.file.is_none() => {
                Some(candidate.made.clone())
            }
            _ => None,
        };
        let is_own = promoted.is_none() && request.file.as_deref().is_none_or(|file| file == self.config);
        let (made, sources, note) = match promoted {
            Some(made) => {
                let note = if change.watch.is_changed() {
                    change.files_changed = true;
                    "files have changed since the candidate was made: it is the candidate that goes on; \
                     `haechi activate --stage staging` makes a new one"
                } else {
                    ""
                };
                (made, None, note)
            }
            None => match self.compile(change, request.file.as_deref()) {
                Ok((made, sources)) => (made, Some(sources), ""),
                Err(message) => {
                    let decision = Decision {
                        who,
                        why,
                        stage: step.to_string(),
                        outcome: Outcome::Refused,
                        about: None,
                        message: message.clone(),
                        changes: Vec::new(),
                        sources: None,
                    };
                    self.decided(change, decision);
                    return Err(message);
                }
            },
        };
        if made.snapshot.digest == change.production.snapshot.digest {
            return Ok(self.unchanged(change, who, why, step, &made));
        }
        let target = step.target(change.production.config.activation.deal);
        // Read before the new one serves: what it is compared with.
        let (now, production) = (self.clock.elapsed(), self.gateway.production().counts.tally());
        let outcome = self.gateway.activate(made.snapshot.clone(), target).map_err(|error| error.to_string());
        let changes = made.changes_since(&change.production);
        let guard = change.production.config.activation.guard.clone();
        let guarded = guard.mode != Mode::Off && request.guard.unwrap_or(true);
        if outcome.is_ok() {
            let old = change.production.clone();
            let (baseline, over) = change.baseline(now, &production);
            change.candidate = None;
            let (comparison, message) = match step {
                Step::Staging => (None, "staging is not compared with production"),
                _ if !guarded => (None, "switched off"),
                Step::Canary(_) => (Some(Comparison::of_canary(guard.clone(), now, production)), ""),
                Step::Production if baseline.requests < guard.least_requests => {
                    (None, "too few requests before to compare with")
                }
                Step::Production => (Some(Comparison::of_production(guard.clone(), now, baseline, over)), ""),
            };
            if target == Target::Production {
                change.previous = Some(old);
                change.production = made.clone();
                change.before.clear();
            } else {
                change.candidate = Some(Candidate { made: made.clone(), step });
            }
            let state = if comparison.is_some() { "watching" } else { "off" };
            change.guard = Some(Guard {
                comparison,
                mode: guard.mode,
                status: GuardStatus {
                    activation: 0,
                    stage: step.to_string(),
                    state: state.to_owned(),
                    message: message.to_owned(),
                },
            });
            change.is_last_good = false;
            // A file may have changed since it was read.
            if is_own { change.keep_watching() } else { change.watch_files() }
        }
        let decision = Decision {
            who,
            why,
            stage: step.to_string(),
            outcome: if outcome.is_ok() { Outcome::Activated } else { Outcome::Refused },
            about: Some((made.snapshot.digest.to_string(), made.manifest.clone())),
            message: outcome.as_ref().err().cloned().unwrap_or_default(),
            changes,
            sources: sources.as_ref(),
        };
        let mut activation = self.decided(change, decision);
        outcome?;
        if let Some(guard) = &mut change.guard {
            guard.status.activation = activation.id;
        }
        note.clone_into(&mut activation.note);
        Ok(activation)
    }

    /// Compiles a file, or the gateway's own.
    fn compile(&self, change: &mut Change, file: Option<&Path>) -> Result<(Made, Sources), String> {
        let file = file.unwrap_or(&self.config);
        if file == self.config {
            change.watch.begin();
        }
        let made = Made::from_disk(file, &self.config, self.listen, &self.lasting);
        if file == self.config {
            // Also when it was refused: mending it is noticed.
            change.keep_watching();
            change.files_changed = false;
            change.disk = made.as_ref().map(|(made, _)| made.manifest.clone()).unwrap_or_default();
            change.is_last_good = made.is_err();
        }
        made.map_err(|wrong| wrong.to_string())
    }

    fn unchanged(&self, change: &mut Change, who: &str, why: &str, step: Step, made: &Made) -> Activation {
        let activation = Activation {
            at: crate::keys::stamp(SystemTime::now()),
            who: who.to_owned(),
            why: why.to_owned(),
            stage: step.to_string(),
            outcome: "unchanged".to_owned(),
            digest: made.snapshot.digest.to_string(),
            production: made.snapshot.digest.to_string(),
            ..Activation::default()
        };
        change.last = activation.clone();
        activation
    }

    /// Takes the last change back, or goes back to the snapshot of one activation.
    ///
    /// # Errors
    /// Why it cannot be done, fit to be shown.
    pub(crate) fn rollback(&self, request: &Rollback, who: &str) -> Result<Activation, String> {
        let why = request.why.as_deref().unwrap_or("asked for");
        let mut change = lock(&self.change);
        let change = &mut *change;
        match (request.to, &change.candidate) {
            (None, Some(_)) => {
                let activation = self.withdraw(change, who, why, String::new())?;
                self.metrics().rolled_back("hand");
                Ok(activation)
            }
            (None, None) => {
                let made = match change.previous.take() {
                    Some(previous) => previous,
                    None => {
                        let before = lock(&self.state)
                            .production_before(&change.production.snapshot.digest)
                            .map_err(|error| error.to_string())?
                            .ok_or("nothing served before that could be served again")?;
                        self.restore(before.id, &before.production_manifest)?
                    }
                };
                let activation = self.go_back(change, made, who, why, String::new())?;
                self.metrics().rolled_back("hand");
                Ok(activation)
            }
            (Some(id), _) => {
                let row = lock(&self.state)
                    .activation(id)
                    .map_err(|error| error.to_string())?
                    .ok_or_else(|| format!("there is no activation {id}: `haechi history` lists them"))?;
                if row.manifest.is_empty() {
                    return Err(format!("no snapshot was made in activation {id}: it cannot be served"));
                }
                let made = self.restore(id, &row.manifest)?;
                let activation = self.go_back(change, made, who, why, String::new())?;
                self.metrics().rolled_back("hand");
                Ok(activation)
            }
        }
    }

    fn restore(&self, id: i64, manifest: &str) -> Result<Made, String> {
        let state = lock(&self.state);
        Made::restored(manifest, &self.config, self.listen, &self.lasting, &state)
            .map_err(|error| format!("the snapshot of activation {id} cannot be served again: {error}"))
    }

    /// Takes the candidate back.
    fn withdraw(
        &self,
        change: &mut Change,
        who: &str,
        why: &str,
        message: String,
    ) -> Result<Activation, String> {
        self.gateway.withdraw().map_err(|error| error.to_string())?;
        let Some(candidate) = change.candidate.take() else { return Err("there is no candidate".to_owned()) };
        change.end_comparison();
        change.watch_files();
        let decision = Decision {
            who,
            why,
            stage: candidate.step.to_string(),
            outcome: Outcome::RolledBack,
            about: Some((candidate.made.snapshot.digest.to_string(), candidate.made.manifest.clone())),
            message,
            changes: change.production.changes_since(&candidate.made),
            sources: None,
        };
        Ok(self.decided(change, decision))
    }

    /// Serves an earlier snapshot in production.
    fn go_back(
        &self,
        change: &mut Change,
        made: Made,
        who: &str,
        why: &str,
        message: String,
    ) -> Result<Activation, String> {
        self.gateway
            .activate(made.snapshot.clone(), Target::Production)
            .map_err(|error| error.to_string())?;
        let left = std::mem::replace(&mut change.production, made);
        change.previous = None;
        change.candidate = None;
        change.before.clear();
        change.end_comparison();
        change.watch_files();
        let decision = Decision {
            who,
            why,
            stage: Step::Production.to_string(),
            outcome: Outcome::RolledBack,
            about: Some((left.snapshot.digest.to_string(), left.manifest.clone())),
            message,
            changes: change.production.changes_since(&left),
            sources: None,
        };
        Ok(self.decided(change, decision))
    }

    /// Keeps a decision in the history, the events and the metrics.
    fn decided(&self, change: &mut Change, decision: Decision<'_>) -> Activation {
        let now = SystemTime::now();
        let production = &change.production;
        let (digest, manifest) = decision.about.unwrap_or_default();
        let mut row = ActivationRow {
            id: 0,
            at: now,
            who: decision.who.to_owned(),
            why: decision.why.to_owned(),
            stage: decision.stage,
            outcome: decision.outcome,
            digest,
            manifest,
            message: decision.message,
            changes: serde_json::to_string(&decision.changes).unwrap_or_default(),
            production: production.snapshot.digest.to_string(),
            production_manifest: production.manifest.clone(),
            disk: change.disk.clone(),
        };
        // The disk may refuse; what serves serves all the same.
        row.id = lock(&self.state).record_activation(&row, decision.sources).unwrap_or_default();
        self.metrics().activation(decision.outcome.as_str());
        if change.last.production != row.production {
            self.metrics().set_snapshot(&row.production, now);
            self.metrics().set_geo(production.snapshot.geo_built());
        }
        let action = match decision.outcome {
            Outcome::Activated => "snapshot-activated",
            Outcome::Refused => "snapshot-refused",
            Outcome::RolledBack => "snapshot-rolled-back",
        };
        let detail = if row.message.is_empty() { row.stage.clone() } else { row.message.clone() };
        let _ = self.recorder.record_durable(control_event(action, decision.who, &row.digest, &detail));
        change.last = Activation::from(row);
        change.last.clone()
    }

    /// Keeps what is served at the start.
    pub(crate) fn begin(&self, who: &str, why: &str, sources: Option<&Sources>) {
        let mut change = lock(&self.change);
        let about = (change.production.snapshot.digest.to_string(), change.production.manifest.clone());
        let decision = Decision {
            who,
            why,
            stage: Step::Production.to_string(),
            outcome: Outcome::Activated,
            about: Some(about),
            message: String::new(),
            changes: Vec::new(),
            sources,
        };
        self.decided(&mut change, decision);
    }

    /// Looks at the files; a change that has settled is activated, staged or told, as `activation.on_change` says.
    pub(crate) fn watch(&self) -> Option<Notice> {
        let step = {
            let mut change = lock(&self.change);
            if !change.watch.has_settled_change() {
                return None;
            }
            let in_canary =
                change.candidate.as_ref().is_some_and(|candidate| candidate.step != Step::Staging);
            let step = match change.production.config.activation.on_change {
                OnChange::Production if change.candidate.is_none() => Some("production"),
                OnChange::Staging if !in_canary => Some("staging"),
                _ => None,
            };
            if step.is_none() {
                change.watch_files();
                change.files_changed = true;
                let what = if change.candidate.is_some() { "while a candidate is in progress" } else { "" };
                return Some(Notice(format!("files have changed {what}: `haechi activate` serves them")));
            }
            step
        };
        let request = Activate {
            stage: step.map(str::to_owned),
            why: Some("a file has changed".to_owned()),
            ..Activate::default()
        };
        Some(Notice(match self.activate(&request, "file watch") {
            Ok(activation) => {
                format!(
                    "{} {} in {} (a file has changed)",
                    activation.outcome, activation.digest, activation.stage
                )
            }
            Err(message) => format!("refused, the last good configuration goes on:\n{message}"),
        }))
    }

    /// How often the guard looks.
    pub(crate) fn pace(&self) -> Duration {
        let window = lock(&self.change).production.config.activation.guard.window;
        (window / 10).clamp(Duration::from_millis(100), Duration::from_secs(1))
    }

    /// Looks at what was served, and takes a change back that is worse than what was there.
    pub(crate) fn guard(&self) -> Option<Notice> {
        let mut change = lock(&self.change);
        let change = &mut *change;
        let (now, production) = (self.clock.elapsed(), self.gateway.production().counts.tally());
        let window = change.production.config.activation.guard.window;
        change.before.push_back((now, production.clone()));
        while change.before.get(1).is_some_and(|(at, _)| *at + window <= now) {
            change.before.pop_front();
        }
        let guard = change.guard.as_mut()?;
        let comparison = guard.comparison.as_mut()?;
        let new = match self.gateway.canary() {
            Some(canary) => canary.counts.tally(),
            None => production.clone(),
        };
        match comparison.look(now, new, production) {
            Judgement::Watching => None,
            Judgement::Held => {
                "held".clone_into(&mut guard.status.state);
                // A canary goes on to be watched; a new production has become what others are compared with.
                if change.candidate.is_none() {
                    guard.comparison = None;
                }
                None
            }
            Judgement::Worse(finding) if guard.mode == Mode::Enforce => {
                guard.comparison = None;
                "rolled-back".clone_into(&mut guard.status.state);
                guard.status.message.clone_from(&finding.figures);
                self.take_back(change, &finding)
            }
            Judgement::Worse(finding) => {
                let is_new = guard.status.state != "worse";
                "worse".clone_into(&mut guard.status.state);
                guard.status.message.clone_from(&finding.figures);
                is_new.then(|| {
                    let object = guard.status.activation.to_string();
                    let event = control_event("snapshot-worse", "guard", &object, &finding.figures);
                    let _ = self.recorder.record_durable(event);
                    Notice(format!("worse than what was there, and only told: {}", finding.figures))
                })
            }
        }
    }

    fn take_back(&self, change: &mut Change, finding: &Finding) -> Option<Notice> {
        let (why, message) = (format!("guard: {}", finding.kind), finding.figures.clone());
        let outcome = if change.candidate.is_some() {
            self.withdraw(change, "guard", &why, message)
        } else {
            let previous = change.previous.take()?;
            self.go_back(change, previous, "guard", &why, message)
        };
        self.metrics().rolled_back(finding.kind);
        Some(Notice(match outcome {
            Ok(activation) => format!(
                "ROLLED BACK {} ({}): {}; {} serves",
                activation.digest, activation.stage, finding.figures, activation.production
            ),
            Err(error) => format!("{} should be rolled back, but: {error}", finding.figures),
        }))
    }
}
