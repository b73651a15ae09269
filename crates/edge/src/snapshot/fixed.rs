//! What the gateway answers itself: from settings to answers, and that no redirect leads back to itself.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use haechi_config::model::{self, Content};
use haechi_config::{Config, Diagnostic, Diagnostics};
use haechi_events::VerdictRecord;
use haechi_guard::Mode;
use haechi_wire::CanonicalPath;
use http::Method;

use super::compile::Compiler;
use super::{Operation, Snapshot, Target};
use crate::fixed::{Fixed, Redirect, Respond};
use crate::judge::{self, Findings};

/// Largest file of a fixed answer. Each is held in memory, and what is larger is a web server's to serve.
const CONTENT: u64 = 1024 * 1024;

/// A segment that no service is likely to be named by, for the paths that redirects are tried with.
const SAMPLE: &str = "/haechi-check";

/// A host for services of any host, and a name below `*.`: the name is reserved (RFC 6761).
const HOST: &str = "haechi-check.invalid";

/// Where a redirect leads is only looked at.
struct Unheard;

impl Compiler<'_> {
    pub(super) fn target(&mut self, name: &str, service: &model::Service) -> Option<Target> {
        match &service.target {
            model::Target::Upstream(upstream) => {
                self.upgradeable(&["services", name, "upgrade"], upstream, service.websocket.as_ref());
                Some(Target::Upstream(self.upstream(["services", name, "upstream"], upstream)?))
            }
            model::Target::Redirect(redirect) => {
                let redirect = Redirect::new(redirect, &service.prefix);
                self.canonical_to(name, service, &redirect);
                Some(Target::Fixed(Fixed::Redirect(redirect)))
            }
            model::Target::Respond(respond) => {
                let content = match &respond.content {
                    Content::Empty => Bytes::new(),
                    Content::Text(text) => Bytes::from(text.clone()),
                    Content::File(file) => self.content(name, file)?,
                };
                Some(Target::Fixed(Fixed::Respond(Respond::new(respond, content))))
            }
        }
    }

    fn content(&mut self, name: &str, file: &Path) -> Option<Bytes> {
        self.file(file.to_owned());
        let wrong = match self.sources.read(file, CONTENT) {
            Ok(content) if content.len() as u64 > CONTENT => {
                format!("`{}` is longer than 1 MiB", file.display())
            }
            Ok(content) => {
                self.digest.update(&content);
                return Some(Bytes::copy_from_slice(&content));
            }
            Err(error) => format!("cannot read `{}`: {error}", file.display()),
        };
        self.refuse(&["services", name, "respond", "body_file"], Diagnostic::new("content", wrong));
        None
    }

    /// Whether the paths that the redirect leads to are canonical, as far as that hangs on what is written.
    fn canonical_to(&mut self, name: &str, service: &model::Service, redirect: &Redirect) {
        for path in samples(service) {
            if redirect.path(&path).is_none() {
                let message = format!("`{path}` would lead to a path that is not in canonical form");
                let help = "write `{rest}` or `{path}` where a segment begins, without a slash before it; no `//`, no `..`";
                let at = ["services", name, "redirect", "to"];
                self.refuse(&at, Diagnostic::new("redirect", message).help(help));
                return;
            }
        }
    }
}

impl Snapshot {
    /// The redirects that lead to themselves, at once or over others.
    pub(super) fn loops(&self, config: &Config) -> Option<Diagnostics> {
        let mut wrong: Option<Diagnostics> = None;
        for (name, service) in &config.services {
            let Some(over) = samples(service).find_map(|path| self.leads_back(name, service, path)) else {
                continue;
            };
            let message = match over.as_slice() {
                [] => "the redirect leads to itself".to_owned(),
                over => format!("the redirect leads to itself, over `{}`", over.join("`, `")),
            };
            let help = "limit the service by `scheme`, `host`, `prefix` or `path` to what does not yet stand where it leads";
            let diagnostic = Diagnostic::new("redirect-loop", message).help(help);
            let more = config.diagnose(&["services", name, "redirect", "to"], diagnostic);
            match &mut wrong {
                Some(wrong) => wrong.extend(more),
                None => wrong = Some(more),
            }
        }
        wrong
    }

    /// The services on the way, if calls of this path come back to the service that sent them away.
    fn leads_back(&self, name: &str, service: &model::Service, mut path: CanonicalPath) -> Option<Vec<&str>> {
        let mut host = match service.host.as_deref() {
            None => HOST.to_owned(),
            Some(host) => host.replacen('*', "haechi-check", 1),
        };
        let method = service.methods.first().and_then(|method| Method::from_bytes(method.as_bytes()).ok())?;
        let mut secure = service.scheme != Some(model::Scheme::Http);
        let mut over = Vec::new();
        // As many steps as there are services: one that is not met by then is not on the way.
        for step in 0..=self.services.len() {
            let (operation, _) = judge::route(self, (&host, secure), &method, &path, &mut Unheard).ok()?;
            let Target::Fixed(Fixed::Redirect(redirect)) = &operation.target else { return None };
            match (step, *operation.api == *name) {
                (0, true) => {}
                // A more specific one takes this path.
                (0, false) => return None,
                (_, true) => return Some(over),
                (_, false) => over.push(&*operation.api),
            }
            path = redirect.path(&path)?;
            let (tls, to) = redirect.origin((secure, &host));
            (secure, host) = (tls, to.to_owned());
        }
        None
    }
}

// === impl Unheard ===

impl Findings for Unheard {
    fn api(&mut self, _: &Arc<str>) {}

    fn verdict(&mut self, _: VerdictRecord) {}

    fn denied(&mut self, _: &Operation, _: &'static str, _: Mode, _: &str) {}
}

/// Paths of the service's calls: where it begins, and one below.
fn samples(service: &model::Service) -> impl Iterator<Item = CanonicalPath> {
    let below = format!("{}{SAMPLE}", service.prefix.trim_end_matches('/'));
    let paths = [Some(service.prefix.clone()), (!service.exact).then_some(below)];
    paths.into_iter().flatten().filter_map(|path| CanonicalPath::parse(path.as_bytes()).ok())
}
