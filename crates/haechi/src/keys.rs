//! `haechi keys`: make, list, rotate and revoke API keys.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use haechi_control::{CreateKey, Key, NewKey, RotateKey};

use crate::output::{Failure, Format, json, line, table};
use crate::{Target, converse};

/// Make, list, rotate and revoke API keys.
#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a key and show it, once
    Create {
        #[command(flatten)]
        common: Common,
        /// The collection it belongs to
        #[arg(long)]
        collection: String,
        /// What its owner calls it
        #[arg(long)]
        name: String,
        /// How long it is valid, as in `90d`; for ever if not given
        #[arg(long, value_parser = duration, value_name = "TIME")]
        expires: Option<Duration>,
    },
    /// List keys; never the keys themselves
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Make a key that takes the place of another, which stays valid for a while
    Rotate {
        #[command(flatten)]
        common: Common,
        /// The old key's id
        id: String,
        /// How long the old key stays valid
        #[arg(long, value_parser = duration, default_value = "1d", value_name = "TIME")]
        grace: Duration,
    },
    /// Revoke a key for ever, from the next request on
    Revoke {
        #[command(flatten)]
        common: Common,
        /// The key's id
        id: String,
    },
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    target: Target,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Keys {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Create { common, collection, name, expires } => {
                let client = common.target.client()?;
                let request =
                    CreateKey { collection, name, valid_seconds: expires.map(|time| time.as_secs()) };
                let key: NewKey = converse(client.post("/v1/keys", &request))?;
                new_key(common.format, &key)?;
            }
            Verb::List { common } => {
                let client = common.target.client()?;
                let keys: Vec<Key> = converse(client.get("/v1/keys"))?;
                match common.format {
                    Format::Json => json(&keys)?,
                    Format::Table => list(keys)?,
                }
            }
            Verb::Rotate { common, id, grace } => {
                let client = common.target.client()?;
                let request = RotateKey { grace_seconds: grace.as_secs() };
                let key: NewKey = converse(client.post(&format!("/v1/keys/{id}/rotate"), &request))?;
                new_key(common.format, &key)?;
            }
            Verb::Revoke { common, id } => {
                let client = common.target.client()?;
                let key: Key = converse(client.post(&format!("/v1/keys/{id}/revoke"), &()))?;
                match common.format {
                    Format::Json => json(&key)?,
                    Format::Table => line(&format!("revoked {}", key.id))?,
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn new_key(format: Format, key: &NewKey) -> Result<(), Failure> {
    match format {
        Format::Json => json(key),
        Format::Table => {
            eprintln!("key {} of collection `{}`; it is shown this once:", key.id, key.collection);
            line(&key.key)
        }
    }
}

fn list(keys: Vec<Key>) -> Result<(), Failure> {
    let rows = keys.into_iter().map(|key| {
        let ends = key.revoked.or(key.expires).unwrap_or_default();
        vec![key.id, key.collection, key.name, key.state, key.created, ends]
    });
    let none = "no keys; make one with `haechi keys create --collection NAME --name NAME`";
    table(&["id", "collection", "name", "state", "created", "ends"], rows.collect(), none)
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    haechi_config::value::duration(text)
}
