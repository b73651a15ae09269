//! SQL and script injection, found by the grammar of what is injected. Behind a trait, so that another detector can take its place.

mod script;
mod sql;

/// Finds injected SQL and scripts.
pub trait InjectionDetector: Send + Sync {
    /// The fingerprint of the SQL that is injected.
    fn sql(&self, value: &[u8]) -> Option<String>;

    /// Whether a script is injected.
    fn script(&self, value: &[u8]) -> bool;
}

/// [`InjectionDetector`] by libinjection's grammars. SQL is read by this crate, in time that grows with the value and with nothing else; the words and fingerprints are
/// libinjection's, as the crate `libinjectionrs` holds them. Scripts are read by that crate, where a gate cannot prove that there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Libinjection;

impl InjectionDetector for Libinjection {
    fn sql(&self, value: &[u8]) -> Option<String> {
        sql::detect(value)
    }

    fn script(&self, value: &[u8]) -> bool {
        script::may_be_one(value) && libinjectionrs::detect_xss(value).is_injection()
    }
}

#[cfg(test)]
mod tests;
