//! Rules.

use std::sync::Arc;

use haechi_access::{Rule, Rules};
use haechi_config::{OperationSettings, model};
use haechi_expr::Expression;
use haechi_guard::Mode;
use http::StatusCode;

use super::compile::Compiler;

impl Compiler<'_> {
    /// Reads the conditions of all rules, wherever they are written.
    pub(super) fn conditions(&mut self) {
        let config = self.config;
        self.conditions_at(&["rules"], &config.rules);
        for (name, api) in &config.apis {
            self.conditions_at(&["apis", name, "rules"], &api.rules);
            for (id, operation) in &api.operations {
                self.conditions_at(&["apis", name, "operations", id, "rules"], &operation.rules);
            }
        }
        for (name, service) in &config.services {
            self.conditions_at(&["services", name, "rules"], &service.rules);
        }
    }

    fn conditions_at(&mut self, path: &[&str], rules: &[model::Rule]) {
        for (index, rule) in rules.iter().enumerate() {
            let index = index.to_string();
            let path = [path, &[&index, "when"]].concat();
            if let Some(when) = self.expression(&path, &rule.when, Expression::condition) {
                self.conditions.insert(rule.when.clone(), Arc::new(when));
            }
        }
    }

    /// The rules of an operation, if it has any that are asked.
    pub(super) fn rules(&self, settings: &OperationSettings) -> Option<Arc<Rules>> {
        if settings.rules.is_empty() || settings.access == Mode::Off {
            return None;
        }
        let rule = |rule: &model::Rule| {
            Some(Rule {
                name: rule.name.as_str().into(),
                when: self.conditions.get(&rule.when)?.clone(),
                text: rule.when.as_str().into(),
                status: StatusCode::from_u16(rule.status).ok()?,
                detail: rule.detail.as_deref().map(Into::into),
            })
        };
        Some(Arc::new(Rules::new(settings.rules.iter().filter_map(rule).collect())))
    }
}
