//! Rules that look for attacks.

use std::sync::Arc;

use haechi_config::{
    Diagnostic, OperationSettings, WafSettings, api_defaults, effective, model, service_settings,
};
use haechi_guard::Mode;
use haechi_waf::{AtLimit, Exclusion, Policy, PolicyError, Source, Waf};

use super::compile::Compiler;

/// Most sets of rules that differ in one snapshot: the Core Rule Set takes some ten megabytes, and each exclusion on a level of its own
/// makes another set.
const SETS: usize = 64;

/// The rules of one operation.
#[derive(Clone)]
pub(crate) struct Inspected {
    /// How far they may go.
    pub(crate) mode: Mode,
    pub(crate) waf: Arc<Waf>,
    /// Tells them apart from others.
    pub(crate) digest: Arc<str>,
    /// Whether bodies are held for them.
    pub(crate) reads_body: bool,
}

/// What is written on one level, and where.
type Level<'a> = (Vec<&'a str>, &'a model::Waf, Option<Mode>);

impl Compiler<'_> {
    /// Loads the rules of all operations, wherever they are written.
    pub(super) fn load_wafs(&mut self) {
        let config = self.config;
        let all: Level<'_> = (Vec::new(), &config.waf, config.modes.waf);
        for (name, api) in &config.apis {
            let of_api: Level<'_> = (vec!["apis", name], &api.waf, api.modes.waf);
            self.load_waf(&api_defaults(config, api), &[all.clone(), of_api.clone()]);
            for (id, operation) in &api.operations {
                let path = vec!["apis", name, "operations", id];
                let own: Level<'_> = (path, &operation.waf, operation.modes.waf);
                self.load_waf(&effective(config, api, id), &[all.clone(), of_api.clone(), own]);
            }
        }
        for (name, service) in &config.services {
            let own: Level<'_> = (vec!["services", name], &service.waf, service.modes.waf);
            self.load_waf(&service_settings(config, service), &[all.clone(), own]);
        }
        if self.wafs.is_empty() && self.wrong.is_none() {
            self.wants_rules(&all);
        }
    }

    fn load_waf(&mut self, settings: &OperationSettings, levels: &[Level<'_>]) {
        let settings = (&settings.waf_settings, settings.waf);
        if settings.0.rules.is_empty() {
            if let Some(last) = levels.last() {
                self.wants_rules(last);
            }
            return;
        }
        if settings.1 == Mode::Off || self.wafs.contains_key(settings.0) {
            return;
        }
        if self.wafs.len() >= SETS {
            let message = format!("there are more than {SETS} sets of rules that differ");
            let help = "write exclusions on a level above, where operations share them";
            self.refuse_once(&["waf"], Diagnostic::new("waf", message).help(help));
            return;
        }
        match self.lasting.wafs.load(&policy(settings.0), self.sources) {
            Ok(loaded) => {
                loaded.files.into_iter().for_each(|file| self.file(file));
                self.digest.update(loaded.digest.as_bytes());
                let digest: Arc<str> = loaded.digest.to_hex().as_str().into();
                self.wafs.insert(settings.0.clone(), (loaded.waf, digest));
            }
            Err(error) => self.refuse_policy(&error, levels),
        }
    }

    /// A level that says how rules are asked, though there are none, is a mistake: somebody thinks that they are.
    fn wants_rules(&mut self, (path, written, mode): &Level<'_>) {
        let help = "name rule files in `waf.rules`, here or on a level above";
        let no_rules = || Diagnostic::new("waf", "no rules that look for attacks are named").help(help);
        if **written != model::Waf::default() && written.rules.is_none() {
            self.refuse_once(&[path, &["waf"][..]].concat(), no_rules());
        }
        if matches!(mode, Some(Mode::Observe | Mode::Enforce)) && written.rules.is_none() {
            self.refuse_once(&[path, &["modes", "waf"][..]].concat(), no_rules());
        }
    }

    fn refuse_policy(&mut self, error: &PolicyError, levels: &[Level<'_>]) {
        let rules = levels.iter().rev().find(|(_, written, _)| written.rules.is_some());
        let rules = rules.map(|(path, ..)| [path, &["waf", "rules"][..]].concat()).unwrap_or_default();
        match error {
            PolicyError::Source { index, message } => {
                let index = index.to_string();
                self.refuse_once(
                    &[rules.as_slice(), &[index.as_str()]].concat(),
                    Diagnostic::new("waf", message.clone()),
                );
            }
            PolicyError::Rules(errors) => {
                for error in errors.list() {
                    let message = format!("the rules cannot be used: {}: {}", error.place(), error.message());
                    let diagnostic = Diagnostic::new("waf", message);
                    let diagnostic = match error.advice() {
                        Some(advice) => diagnostic.help(advice),
                        None => diagnostic,
                    };
                    self.refuse_once(&rules, diagnostic);
                }
            }
            PolicyError::Exclusions(wrong) => {
                for (index, message) in wrong {
                    let Some((path, index)) = written_at(*index, levels) else { continue };
                    let index = index.to_string();
                    let path = [path, &["waf", "exclusions", index.as_str()][..]].concat();
                    let message = format!("nothing is excluded: {message}");
                    let help = "the ids and tags of rules stand in the files that `waf.rules` names";
                    self.refuse_once(&path, Diagnostic::new("waf", message).help(help));
                }
            }
        }
    }

    /// What is written once may hold for many operations, and is told once.
    fn refuse_once(&mut self, path: &[&str], diagnostic: Diagnostic) {
        let key = format!("{}: {diagnostic:?}", path.join("/"));
        if self.told.insert(key) {
            self.refuse(path, diagnostic);
        }
    }

    /// The rules of an operation, if it has any that are asked.
    pub(super) fn waf(&self, settings: &OperationSettings) -> Option<Inspected> {
        let (waf, digest) = self.wafs.get(&settings.waf_settings).filter(|_| settings.waf != Mode::Off)?;
        Some(Inspected {
            mode: settings.waf,
            waf: waf.clone(),
            digest: digest.clone(),
            reads_body: settings.body != model::BodyLimit::Stream,
        })
    }
}

/// The level and the place in its list of an exclusion of all levels.
fn written_at<'a>(index: usize, levels: &'a [Level<'a>]) -> Option<(&'a [&'a str], usize)> {
    let mut left = index;
    for (path, written, _) in levels {
        if left < written.exclusions.len() {
            return Some((path, left));
        }
        left -= written.exclusions.len();
    }
    None
}

fn policy(settings: &WafSettings) -> Policy {
    let source = |source: &model::WafSource| match source {
        model::WafSource::Builtin => Source::Builtin,
        model::WafSource::Path(path) => Source::Path(path.clone()),
    };
    let exclusion = |one: &model::WafExclusion| Exclusion {
        rules: one.rules.clone(),
        tags: one.tags.clone(),
        parameter: one.parameter.clone(),
        header: one.header.clone(),
        cookie: one.cookie.clone(),
    };
    Policy {
        rules: settings.rules.iter().map(source).collect(),
        paranoia: settings.paranoia,
        inbound: settings.inbound,
        outbound: settings.outbound,
        exclusions: settings.exclusions.iter().map(exclusion).collect(),
        responses: settings.responses,
        body: settings.body,
        at_limit: match settings.at_limit {
            model::AtLimit::Reject => AtLimit::Reject,
            model::AtLimit::ProcessPartial => AtLimit::ProcessPartial,
        },
    }
}
