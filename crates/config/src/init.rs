//! The first configuration: commented, and closed until it is opened.

use std::fmt::Write as _;
use std::path::Path;

/// Longest name that is made; one that is written may be longer.
const NAME: usize = 60;

/// An API to be served.
#[derive(Clone, Debug)]
pub struct InitApi {
    /// Its name in the file.
    pub name: String,
    /// Its contract, as it is to be written.
    pub openapi: String,
    /// Its title, for the comment.
    pub title: String,
    /// How many operations it has.
    pub operations: usize,
    /// Where its contract says the service is, if that is an HTTP URL.
    pub upstream: Option<String>,
}

/// A name for an API made from its file's name, different from those in `taken`.
pub fn api_name(file: &Path, taken: &[String]) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let plain = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    let plain: String = plain.skip_while(|c| *c == '-').take(NAME).collect();
    let plain = match plain.trim_matches('-') {
        "" => "api",
        plain => plain,
    };
    let mut name = plain.to_owned();
    let mut number = 2;
    while taken.contains(&name) {
        name = format!("{plain}-{number}");
        number += 1;
    }
    name
}

/// Writes the file.
pub fn write(apis: &[InitApi]) -> String {
    let mut out = String::from(
        r#"# haechi.yaml: how these APIs are guarded. What they are stands in their OpenAPI files.
# `haechi check` finds every mistake; `haechi schema` prints a JSON Schema for your editor.
haechi: 1

listen:
  # Only this machine can connect. To serve others: address "0.0.0.0:8443", and TLS.
  - address: "127.0.0.1:8080"
    # tls: { cert: file:tls.pem, key: file:tls.key }

identity:
  # Callers prove who they are with a key: haechi keys create --collection clients --name "my first client"
  clients: { api_key: { header: X-Api-Key, collection: clients } }
  # Or with tokens of your identity provider:
  # users: { jwt: { issuer: "https://id.example", audience: my-api, jwks: discover } }

plans:
  # How much a caller may do. Excess is refused with 429 and told in RateLimit headers.
  default: { rate: 20/s, burst: 40, per: credential }

apis:
"#,
    );
    for api in apis {
        let upstream = api.upstream.as_deref().unwrap_or("http://127.0.0.1:9000");
        let guess = if api.upstream.is_some() {
            "from the contract's first server"
        } else {
            "a guess: put your service's address here"
        };
        let _ = write!(
            out,
            r#"  # {title}: {operations}. A call that the contract does not name is refused.
  {name}:
    openapi: {openapi}
    upstream: {{ urls: [{upstream}] }} # {guess}
    auth: [clients] # nobody else gets in; `none` opens the API to everybody
    plan: default
    # validate: {{ request: observe }} # begin like this to see what would be refused
    # operations:
    #   someOperationId: {{ auth: none, body: 64KiB }}
"#,
            title = one_line(&api.title),
            operations = if api.operations == 1 {
                "1 operation".to_owned()
            } else {
                format!("{} operations", api.operations)
            },
            name = quoted(&api.name),
            openapi = quoted(&api.openapi),
            upstream = quoted(upstream),
        );
    }
    out
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(100).collect()
}

/// A text that YAML reads as that text.
fn quoted(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/' | '.'));
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic())
        || ["/", "./", "../"].iter().any(|start| text.starts_with(start));
    let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    if plain && begins && !words.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Config;
    use crate::model::Auth;

    #[test]
    fn what_is_written_is_read_and_closed() {
        let api = |name: &str, title: &str| InitApi {
            name: name.to_owned(),
            openapi: "./my specs/a: b.yaml".to_owned(),
            title: title.to_owned(),
            operations: 3,
            upstream: None,
        };
        let text = write(&[api("orders", "Orders\n  evil: true"), api("1-menu", "Menu # \"x\"")]);
        let config =
            Config::parse(&text, Path::new("haechi.yaml")).unwrap_or_else(|wrong| panic!("{wrong}\n{text}"));
        assert_eq!(config.apis.len(), 2);
        for (_, api) in &config.apis {
            assert_eq!(api.auth, Auth::Any(vec!["clients".to_owned()]));
            assert!(api.openapi.ends_with("my specs/a: b.yaml"));
        }
        assert!(config.listen.iter().all(|listen| listen.address.ip().is_loopback()));
    }

    proptest! {
        #[test]
        fn whatever_files_are_called_what_is_written_is_read(
            stems in proptest::collection::vec(prop_oneof![
                "\\PC{1,12}",
                "[a-z0-9._ -]{1,300}",
                prop::sample::select(vec!["null", "true", "no", "~", "1", "0x1", "1e3", "none", "default", ".inf", "<<", "="])
                    .prop_map(str::to_owned),
            ], 1..4),
            title in any::<String>(),
            upstream in prop::option::of(Just("http://[::1]:8080".to_owned())),
        ) {
            let mut apis: Vec<InitApi> = Vec::new();
            for stem in stems {
                let openapi = format!("{stem}.yaml");
                let taken: Vec<_> = apis.iter().map(|api| api.name.clone()).collect();
                let name = api_name(Path::new(&openapi), &taken);
                apis.push(InitApi { name, openapi, title: title.clone(), operations: 1, upstream: upstream.clone() });
            }
            let text = write(&apis);
            let config = Config::parse(&text, Path::new("haechi.yaml"));
            let config = config.map_err(|wrong| TestCaseError::fail(format!("{wrong}\n{text}")))?;
            let found: Vec<_> = config.apis.iter().map(|(name, api)| (name.clone(), api.openapi.clone())).collect();
            let expected: Vec<_> = apis.iter().map(|api| (api.name.clone(), Path::new(&api.openapi).to_owned())).collect();
            prop_assert_eq!(found, expected);
            prop_assert!(config.apis.iter().all(|(_, api)| api.auth == Auth::Any(vec!["clients".to_owned()])));
        }
    }

    #[test]
    fn names_come_from_files_and_differ() {
        let taken = vec!["orders".to_owned()];
        assert_eq!(api_name(Path::new("specs/Orders.yaml"), &taken), "orders-2");
        assert_eq!(api_name(Path::new("v1_api (2).json"), &[]), "v1-api--2");
        assert_eq!(api_name(Path::new("피자.yaml"), &[]), "api");
    }
}
