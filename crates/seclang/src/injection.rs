//! SQL and script injection, found by the grammar of what is injected. Behind a trait, so that another detector can take its place.

/// Finds injected SQL and scripts.
pub trait InjectionDetector: Send + Sync {
    /// The fingerprint of the SQL that is injected.
    fn sql(&self, value: &[u8]) -> Option<String>;

    /// Whether a script is injected.
    fn script(&self, value: &[u8]) -> bool;
}

/// [`InjectionDetector`] by the crate `libinjectionrs`, a port of libinjection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Libinjection;

impl InjectionDetector for Libinjection {
    fn sql(&self, value: &[u8]) -> Option<String> {
        if is_word(value) {
            return None;
        }
        let result = libinjectionrs::detect_sqli(value);
        result.is_injection().then(|| result.fingerprint.map(|print| print.to_string()).unwrap_or_default())
    }

    fn script(&self, value: &[u8]) -> bool {
        // Without a tag or an assignment the tokenizer never meets what it looks for.
        memchr::memchr2(b'<', b'=', value).is_some() && libinjectionrs::detect_xss(value).is_injection()
    }
}

/// One bare word is one token, and no fingerprint of one word is an injection: such values cost nothing.
pub(crate) fn is_word(value: &[u8]) -> bool {
    value.first().is_none_or(u8::is_ascii_alphabetic) && value.iter().all(u8::is_ascii_alphanumeric)
}
