//! A loaded specification.

mod load;

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{ContractError, Warning};
use crate::limits::Limits;
use crate::operation::Operation;

/// How a file is read.
pub type ReadFile<'r> = dyn FnMut(&Path) -> io::Result<Arc<[u8]>> + 'r;

/// One API as its OpenAPI document (2.0, 3.0 or 3.1) describes it: immutable, everything checked
/// and compiled.
pub struct Contract {
    title: String,
    version: String,
    servers: Vec<Server>,
    operations: Vec<Arc<Operation>>,
    by_id: HashMap<String, usize>,
    warnings: Vec<Warning>,
    files: Vec<PathBuf>,
}

/// Where an API is served, with server variables replaced by their defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    url: String,
    host: Option<String>,
    base_path: String,
}

impl Contract {
    /// Reads and compiles the specification at `path`, JSON or YAML, with the files its references
    /// name. Nothing is ever fetched over the network.
    ///
    /// # Errors
    /// [`ContractError`] lists what is wrong, each with file and JSON pointer.
    pub fn load(path: &Path, limits: &Limits) -> Result<Self, ContractError> {
        let most = limits.file_bytes;
        Self::load_with(path, limits, &mut |path| {
            let mut bytes = Vec::new();
            std::fs::File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
            Ok(bytes.into())
        })
    }

    /// The same with files from wherever `read` takes them. Of a file that is too long it need not read more than one byte beyond
    /// [`Limits::file_bytes`].
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn load_with(path: &Path, limits: &Limits, read: &mut ReadFile<'_>) -> Result<Self, ContractError> {
        load::load(path, limits, read)
    }

    /// `info.title`.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// `info.version`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The servers, in the author's order.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The base path of the first server (2.0: `basePath`), without a slash at its end; empty when
    /// there is none.
    #[must_use]
    pub fn base_path(&self) -> &str {
        self.servers.first().map_or("", |server| &server.base_path)
    }

    /// All operations, in the author's order.
    #[must_use]
    pub fn operations(&self) -> &[Arc<Operation>] {
        &self.operations
    }

    /// The operation of this id.
    #[must_use]
    pub fn operation(&self, id: &str) -> Option<&Arc<Operation>> {
        self.operations.get(*self.by_id.get(id)?)
    }

    /// What is allowed but probably not meant.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Every file that was read, the main one first: a change in any of them changes the contract.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

impl fmt::Debug for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contract")
            .field("title", &self.title)
            .field("version", &self.version)
            .field("operations", &self.operations.len())
            .finish_non_exhaustive()
    }
}

// === impl Server ===

impl Server {
    pub(crate) fn new(url: &str) -> Self {
        let (authority, path) = match url.split_once("//") {
            Some((_, rest)) => match rest.find('/') {
                Some(at) => rest.split_at(at),
                None => (rest, ""),
            },
            None => ("", url),
        };
        let host = authority.rsplit('@').next().unwrap_or_default();
        let host = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        let base_path =
            if path.is_empty() || path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Self { url: url.to_owned(), host: (!host.is_empty()).then(|| host.to_ascii_lowercase()), base_path }
    }

    /// The URL as written, variables replaced.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its host in lower case, without a port; `None` for a relative URL.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Its path without a slash at the end; may be empty.
    #[must_use]
    pub fn base_path(&self) -> &str {
        &self.base_path
    }
}

#[cfg(test)]
mod tests;
