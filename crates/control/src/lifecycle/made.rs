//! Snapshots with what they were made from; and which of them a gateway serves when it starts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use haechi_config::model::OnChange;
use haechi_config::plan::diff;
use haechi_config::{Config, Diagnostics};
use haechi_edge::{Files, Lasting, Snapshot};
use haechi_store::{Sources, State, StateError};

use super::ChangeLine;
use crate::preflight::vet;

/// A snapshot, and the configuration it was made from.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) config: Arc<Config>,
    pub(crate) snapshot: Arc<Snapshot>,
    /// The digest of its sources.
    pub(crate) manifest: String,
}

/// What a gateway serves when it starts.
pub(crate) struct Boot {
    pub(crate) made: Made,
    /// What it was made from, if that is not kept yet.
    pub(crate) sources: Option<Sources>,
    /// What is on disk would be made from this; empty if it is not usable.
    pub(crate) disk: String,
    /// What somebody should know.
    pub(crate) notice: String,
    /// What is on disk was refused.
    pub(crate) is_last_good: bool,
}

/// Why a snapshot cannot be made from what was kept.
#[derive(Debug)]
pub(crate) enum RestoreError {
    /// It is no longer kept.
    Forgotten,
    /// It can no longer be made: most often a secret is gone.
    Refused(Diagnostics),
    State(StateError),
}

// === impl Made ===

impl Made {
    /// Compiles what is on disk. `own` is the gateway's own file, whose place may change from one start to the next.
    pub(crate) fn from_disk(
        file: &Path,
        own: &Path,
        listen: Option<std::net::SocketAddr>,
        lasting: &Lasting,
    ) -> Result<(Self, Sources), Diagnostics> {
        let mut config = Config::load(file)?;
        if let Some(listen) = listen {
            config.set_listen(listen);
        }
        let mut files = Files::on_disk(config.base());
        let snapshot = vet(&config, lasting, &mut files)?;
        let kept = if file == own {
            String::new()
        } else {
            std::path::absolute(file).unwrap_or_else(|_| file.to_owned()).to_string_lossy().into_owned()
        };
        let sources = Sources::new(kept, config.text().to_owned(), files.into_read());
        let manifest = sources.manifest.clone();
        Ok((Self { config: Arc::new(config), snapshot: Arc::new(snapshot), manifest }, sources))
    }

    /// Compiles what was kept, with the secrets as they are now.
    pub(crate) fn restored(
        manifest: &str,
        own: &Path,
        listen: Option<std::net::SocketAddr>,
        lasting: &Lasting,
        state: &State,
    ) -> Result<Self, RestoreError> {
        let sources = state.sources(manifest).map_err(RestoreError::State)?.ok_or(RestoreError::Forgotten)?;
        let file = if sources.file.is_empty() { own.to_owned() } else { PathBuf::from(&sources.file) };
        let mut config = Config::parse(&sources.config, &file).map_err(RestoreError::Refused)?;
        if let Some(listen) = listen {
            config.set_listen(listen);
        }
        let mut files = Files::kept(config.base(), sources.files);
        let snapshot = Snapshot::compile_from(&config, lasting, &mut files).map_err(RestoreError::Refused)?;
        Ok(Self { config: Arc::new(config), snapshot: Arc::new(snapshot), manifest: manifest.to_owned() })
    }

    /// What changes in meaning from `before` to this.
    pub(crate) fn changes_since(&self, before: &Self) -> Vec<ChangeLine> {
        let changes =
            diff((&before.config, &before.snapshot.contracts), (&self.config, &self.snapshot.contracts));
        changes
            .into_iter()
            .map(|change| ChangeLine {
                effect: change.effect.as_str().to_owned(),
                kind: change.kind.to_owned(),
                api: change.api,
                operation: change.operation,
                message: change.message,
            })
            .collect()
    }
}

/// Decides what to serve at the start: what is on disk, unless it is not usable, or has not changed since somebody (or the guard)
/// decided to serve something else. `fresh` serves what is on disk whatever was decided.
pub(crate) fn boot(
    own: &Path,
    listen: Option<std::net::SocketAddr>,
    fresh: bool,
    lasting: &Lasting,
    state: &State,
) -> Result<Boot, BootError> {
    let disk = Made::from_disk(own, own, listen, lasting);
    let last = state.activations(1).map_err(BootError::State)?.pop();
    let last = last.filter(|row| !row.production_manifest.is_empty() && !fresh);
    let restore = |manifest: &str| Made::restored(manifest, own, listen, lasting, state);
    match (disk, last) {
        (Ok((made, sources)), last) => {
            let disk = made.manifest.clone();
            let decided = last.filter(|row| {
                let is_decided = row.disk == disk || made.config.activation.on_change != OnChange::Production;
                is_decided && row.production_manifest != disk
            });
            let Some(row) = decided else {
                return Ok(Boot {
                    made,
                    sources: Some(sources),
                    disk,
                    notice: String::new(),
                    is_last_good: false,
                });
            };
            let other = restore(&row.production_manifest).map_err(|error| BootError::Decided {
                digest: row.production.clone(),
                error: error.to_string(),
            })?;
            let notice = format!(
                "serving {} as was decided at activation {}, not what is in `{}`: `haechi activate` serves that",
                row.production,
                row.id,
                own.display()
            );
            Ok(Boot { made: other, sources: None, disk, notice, is_last_good: false })
        }
        (Err(wrong), None) => Err(BootError::Config(Box::new(wrong))),
        (Err(wrong), Some(row)) => match restore(&row.production_manifest) {
            Ok(made) => {
                let notice = format!(
                    "{wrong}\nthe configuration on disk is refused: serving the last good one, {} of activation {}",
                    row.production, row.id
                );
                let disk = String::new();
                Ok(Boot { made, sources: None, disk, notice, is_last_good: true })
            }
            Err(error) => {
                let wrong = Box::new(wrong);
                Err(BootError::Nothing { wrong, digest: row.production, error: error.to_string() })
            }
        },
    }
}

/// Why a gateway has nothing to serve.
#[derive(Debug)]
pub(crate) enum BootError {
    Config(Box<Diagnostics>),
    State(StateError),
    Decided { digest: String, error: String },
    Nothing { wrong: Box<Diagnostics>, digest: String, error: String },
}

// === impl RestoreError ===

impl std::fmt::Display for RestoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Forgotten => f.write_str("what it was made from is no longer kept"),
            Self::Refused(wrong) => {
                write!(f, "it can no longer be made (secrets are not kept, but read anew):\n{wrong}")
            }
            Self::State(error) => error.fmt(f),
        }
    }
}

// === impl BootError ===

impl std::fmt::Display for BootError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(wrong) => wrong.fmt(f),
            Self::State(error) => error.fmt(f),
            Self::Decided { digest, error } => write!(
                f,
                "it was decided to serve {digest} instead of what is on disk, but {error}\n`haechi run --fresh` serves what is on disk"
            ),
            Self::Nothing { wrong, digest, error } => {
                write!(f, "{wrong}\nthe last good configuration, {digest}, cannot be served either: {error}")
            }
        }
    }
}
