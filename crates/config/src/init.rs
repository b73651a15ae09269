//! The first configuration: commented, and closed until it is opened.

use std::fmt::Write as _;
use std::path::Path;

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
    let plain: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
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
            r#"  # {title}: {count} operations. A call that the contract does not name is refused.
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
            count = api.operations,
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
    if plain && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '.' || c == '/') {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn names_come_from_files_and_differ() {
        let taken = vec!["orders".to_owned()];
        assert_eq!(api_name(Path::new("specs/Orders.yaml"), &taken), "orders-2");
        assert_eq!(api_name(Path::new("v1_api (2).json"), &[]), "v1-api--2");
        assert_eq!(api_name(Path::new("피자.yaml"), &[]), "api");
    }
}
