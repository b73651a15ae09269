//! What is changed of calls: that no path it makes is refused for what is written.

use std::sync::Arc;

use haechi_config::{Diagnostic, model};
use haechi_wire::CanonicalPath;

use super::compile::{Compiler, canonical};
use crate::rewrite::Rewrite;

impl Compiler<'_> {
    /// A rewrite that is written at this place, with what it takes from above.
    pub(super) fn rewrite(&mut self, at: &[&str], rewrite: &model::Rewrite) -> Arc<Rewrite> {
        let prefixes = [("strip_prefix", &rewrite.strip_prefix), ("add_prefix", &rewrite.add_prefix)];
        for (name, prefix) in prefixes {
            if let Some(Err(message)) = prefix.as_deref().map(canonical) {
                self.refuse(&[at, &[name]].concat(), Diagnostic::new("rewrite", message));
            }
        }
        for (place, path) in rewrite.path.iter().enumerate() {
            // What groups hold is not known: a segment, or one with the slash before it, or nothing.
            let is_canonical = |group: &str| {
                let made = path.to.render(|_| group);
                CanonicalPath::parse(made.as_bytes()).is_ok_and(|parsed| parsed.as_str() == made)
            };
            if !["a", "/a", ""].into_iter().any(is_canonical) {
                let message =
                    format!("`{}` makes no path in canonical form, whatever its groups hold", path.to);
                let help = "a path begins with `/`, has no query, no `//` and no `..`, and is escaped where it must be";
                let place = place.to_string();
                let diagnostic = Diagnostic::new("rewrite", message).help(help);
                self.refuse(&[at, &["path", &place, "to"]].concat(), diagnostic);
            }
        }
        Arc::new(Rewrite::new(rewrite))
    }
}
