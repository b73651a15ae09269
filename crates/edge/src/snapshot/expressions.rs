//! Expressions, and what is told by them.

use haechi_config::{Diagnostic, model};
use haechi_expr::{ExprError, Expression, Read};

use super::Channel;
use super::compile::Compiler;
use super::lists::FILES;

impl Compiler<'_> {
    /// An expression, or a diagnostic at its place.
    pub(super) fn expression(
        &mut self,
        path: &[&str],
        text: &str,
        read: impl Fn(&str) -> Result<Expression, ExprError>,
    ) -> Option<Expression> {
        match read(text) {
            Ok(expression) => {
                let geo = &self.config.geo;
                for (name, file) in [("client.country", &geo.country), ("client.asn", &geo.asn)] {
                    if file.is_none() && !expression.reads_only(&|read| read != Read::Variable(name)) {
                        let message = format!("`{name}` is never known: nothing tells it");
                        self.refuse(path, Diagnostic::new("geo", message).help(FILES));
                    }
                }
                self.claims.extend_from_slice(expression.claims());
                Some(expression)
            }
            Err(error) => {
                self.refuse(path, Diagnostic::new("expression", error.to_string()));
                None
            }
        }
    }

    pub(super) fn channels(&mut self) -> Vec<Channel> {
        let config = self.config;
        let channel = |(name, channel): &(String, model::Channel)| {
            let when = self.expression(&["channels", name, "when"], &channel.when, Expression::condition)?;
            Some(Channel {
                name: name.as_str().into(),
                when,
                max_body: channel.max_body,
                metrics: self.lasting.metrics.channel(Some(name)),
            })
        };
        config.channels.iter().filter_map(channel).collect()
    }
}
