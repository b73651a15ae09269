//! What of a query, a header and a body may be written down.

mod body;

use std::borrow::Cow;

pub(crate) use self::body::redact_body;
use crate::text::Text;

/// What stands for a value that is not written.
const HIDDEN: &str = "…";

/// Sensitive wherever they are in a parameter's name: no harmless name has them.
const PARTS: [&str; 15] = [
    "token",
    "secret",
    "passw",
    "passphrase",
    "passcode",
    "credential",
    "session",
    "signature",
    "apikey",
    "accesskey",
    "authkey",
    "privatekey",
    "jwt",
    "card",
    "cvv",
];

/// Sensitive as a word of a name (`api_key`, `apiKey`, `api-key`), for they are parts of harmless names too: `keyword`,
/// `author`, `zipcode`, `shipping`, `design`, `compass`.
const WORDS: [&str; 24] = [
    "key",
    "keys",
    "pass",
    "pwd",
    "passwd",
    "pw",
    "auth",
    "authorization",
    "authentication",
    "code",
    "sig",
    "sign",
    "hmac",
    "sid",
    "otp",
    "totp",
    "pin",
    "pan",
    "cvc",
    "csc",
    "assertion",
    "nonce",
    "ssn",
    "ticket",
];

/// How values begin that are secrets under any name: Haechi's own keys, JSON Web Tokens, and HTTP credentials.
const BEGINNINGS: [&str; 4] = ["hch_", "eyj", "bearer ", "basic "];

/// The query as it is recorded: `name=value&…`, at most `max` bytes, the values of sensitive names replaced by `…`.
///
/// `pairs` are decoded; what would blur their borders is percent-encoded again, so that no value can pass for a parameter.
/// Rather too much is hidden than too little: the names stay, and tell what was there.
pub fn redact_query<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>, max: usize) -> Text {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        push_encoded(&mut out, name, max);
        out.push('=');
        if is_sensitive(name) || is_secret(value) {
            out.push_str(HIDDEN);
        } else {
            push_encoded(&mut out, value, max);
        }
        if out.len() > max {
            break;
        }
    }
    let mut text = Text::from(out);
    text.truncate(max);
    text
}

/// A value as it is recorded beside its name, at most `max` bytes: `…` where it may be a secret.
pub fn redact_value(name: &str, value: &str, max: usize) -> Text {
    if is_secret_header(&name.to_ascii_lowercase()) || is_sensitive(name) || looks_secret(value) {
        return Text::Static(HIDDEN);
    }
    Text::lossy(value.as_bytes(), max)
}

/// Whether the values of a parameter of this name are secrets.
fn is_sensitive(name: &str) -> bool {
    // Most names are of small letters alone: nothing is copied for them.
    let plain = if name.bytes().all(|byte| byte.is_ascii_lowercase()) {
        Cow::Borrowed(name)
    } else {
        let letters = name.chars().filter(char::is_ascii_alphanumeric);
        Cow::Owned(letters.map(|c| c.to_ascii_lowercase()).collect())
    };
    PARTS.iter().any(|part| plain.contains(part)) || words(name).any(is_sensitive_word)
}

/// Whether a header of this name (in small letters) holds a secret.
pub(crate) fn is_secret_header(name: &str) -> bool {
    // Those of the `authorization` kind are sensitive words.
    matches!(name, "cookie" | "set-cookie") || is_sensitive(name)
}

/// Whether there is a secret anywhere in a text: by its looks, as `name=value` or `name: value` of a sensitive name (a URL in a text),
/// or within a document in the text.
pub(crate) fn looks_secret(text: &str) -> bool {
    let ends = |c: char| c.is_whitespace() || "&?;,<>\"'()#|/{}[]".contains(c);
    let named = |separator: char| {
        text.split(separator)
            .zip(text.split(separator).skip(1))
            .any(|(before, _)| before.trim_end_matches(ends).rsplit(ends).next().is_some_and(is_sensitive))
    };
    is_secret(text.trim())
        || text.trim_start().starts_with(['{', '['])
        || text.split(|c: char| ends(c) || c == '=' || c == ':').any(is_secret)
        || ["bearer ", "basic "].iter().any(|kind| text.to_ascii_lowercase().contains(kind))
        || named('=')
        || named(':')
        || has_card_number(text)
}

/// Whether a run of digits, in groups or not, is the number of a card.
fn has_card_number(text: &str) -> bool {
    text.split(|c: char| !(c.is_ascii_digit() || c == ' ' || c == '-'))
        .any(|run| is_card_number(run.trim_matches([' ', '-'])))
}

fn is_sensitive_word(word: &str) -> bool {
    // `key2`, `otp1`
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
    WORDS.iter().any(|sensitive| word.eq_ignore_ascii_case(sensitive))
}

/// The words of a name: `card_number`, `card-number`, `cardNumber`, `card[number]` have the same two.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_ascii_alphanumeric()).flat_map(|part| {
        let mut rest = part;
        std::iter::from_fn(move || {
            let mut before = false;
            let hump = |c: char| {
                let begins = c.is_ascii_uppercase() && before;
                before = !c.is_ascii_uppercase();
                begins
            };
            let at = rest.find(hump).unwrap_or(rest.len());
            let (word, after) = rest.split_at_checked(at)?;
            rest = after;
            (!word.is_empty()).then_some(word)
        })
    })
}

fn is_secret(value: &str) -> bool {
    BEGINNINGS.iter().any(|beginning| {
        value.get(..beginning.len()).is_some_and(|start| start.eq_ignore_ascii_case(beginning))
    }) || is_card_number(value)
}

/// Whether the value is the number of a payment card (ISO/IEC 7812): 13 to 19 digits, in groups or not, of the ranges of banks
/// and card networks, whose check digit (Luhn) is right. Times in milliseconds begin with 1, and are none.
fn is_card_number(value: &str) -> bool {
    if !value.starts_with(['2', '3', '4', '5', '6']) {
        return false;
    }
    let (mut sum, mut count) = (0u32, 0u32);
    for byte in value.bytes().rev() {
        match byte {
            b'0'..=b'9' => {
                let digit = u32::from(byte - b'0') << (count % 2);
                sum += if digit > 9 { digit - 9 } else { digit };
                count += 1;
            }
            b' ' | b'-' => {}
            _ => return false,
        }
        if count > 19 {
            return false;
        }
    }
    count >= 13 && sum.is_multiple_of(10)
}

/// Appends what of `text` can still be within `max`.
fn push_encoded(out: &mut String, text: &str, max: usize) {
    for c in text.chars() {
        if out.len() > max {
            return;
        }
        match c {
            '&' => out.push_str("%26"),
            '=' => out.push_str("%3D"),
            '%' => out.push_str("%25"),
            // One who writes it cannot make a value look hidden.
            '…' => out.push_str("%E2%80%A6"),
            _ => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redacted(pairs: &[(&str, &str)]) -> String {
        redact_query(pairs.iter().copied(), 512).to_string()
    }

    #[test]
    fn values_of_sensitive_names_are_not_recorded() {
        for name in [
            "token",
            "access_token",
            "id_token",
            "csrfToken",
            "key",
            "api_key",
            "API-Key",
            "apiKey",
            "apikey",
            "X-Amz-Signature",
            "X-Amz-Credential",
            "X-Amz-Security-Token",
            "password",
            "passwd",
            "pwd",
            "pass",
            "user_pass",
            "code",
            "auth_code",
            "sig",
            "client_secret",
            "clientSecret",
            "session",
            "sessionid",
            "PHPSESSIONID",
            "sid",
            "card",
            "cardNumber",
            "card[number]",
            "cvv",
            "cvc2",
            "otp",
            "pin",
            "SAMLResponseAssertion",
            "jwt",
            "Authorization",
            "key2",
            "userPIN",
        ] {
            assert_eq!(redacted(&[(name, "s3cret")]), format!("{name}=…"), "{name}");
        }
    }

    #[test]
    fn harmless_names_keep_their_values() {
        for name in [
            "q",
            "size",
            "page",
            "keyword",
            "keywords",
            "author",
            "zipcode",
            "postcode",
            "shipping",
            "design",
            "compass",
            "passenger",
            "spinning",
            "barcode",
            "monkey",
            "sort",
            "encoded",
            "state",
            "classname",
            "company",
            "assign",
        ] {
            assert_eq!(redacted(&[(name, "v")]), format!("{name}=v"), "{name}");
        }
    }

    #[test]
    fn secrets_are_known_by_their_looks_too() {
        for value in [
            "hch_live_abc_def_123",
            "eyJhbGciOiJFUzI1NiJ9.e30.c2ln",
            "Bearer abc",
            "4111111111111111",
            "4111 1111 1111 1111",
            "5500-0055-5555-5559",
        ] {
            assert_eq!(redacted(&[("q", value)]), "q=…", "{value}");
        }
        for value in ["4111111111111112", "411111111111", "20241124", "1732438000124", "hello", "eye", ""] {
            assert_eq!(redacted(&[("q", value)]), format!("q={value}"), "{value}");
        }
    }

    #[test]
    fn a_value_cannot_pass_for_a_parameter() {
        assert_eq!(
            redacted(&[("a", "1&b=2"), ("c=d", "…"), ("token", "x&y=z")]),
            "a=1%26b%3D2&c%3Dd=%E2%80%A6&token=…"
        );
    }

    proptest! {
        #[test]
        fn the_query_is_bounded_and_hides_whatever_the_order(
            names in proptest::collection::vec("[a-z&=_]{0,12}", 0..8),
            max in 0..200usize,
        ) {
            let pairs = names.iter().flat_map(|name| [(name.as_str(), "öffentlich"), ("new-password", "s3cret")]);
            let text = redact_query(pairs, max);
            prop_assert!(text.len() <= max);
            prop_assert!(!text.contains("s3cret"));
        }
    }
}
