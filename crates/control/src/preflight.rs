//! All that is looked at before a configuration may serve. `check`, `activate` and `run` come through here: what one refuses, the
//! others do. Nothing is made: what only a try can tell (an address in use, a full disk, whose directory it is) is told by `run`.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use haechi_config::{Config, Diagnostic, Diagnostics};
use haechi_edge::{Files, Lasting, Snapshot};

/// Longest path of a unix socket, without the zero at its end (`sockaddr_un`).
const SOCKET_PATH: usize = 107;
/// Longest name in a directory (`NAME_MAX` of the file systems in use).
const NAME: usize = 255;
/// Longest path of the directory of state: `SQLite` takes 512 bytes, of which its files' names and a zero are left out.
const DATA_PATH: usize = 480;

/// Makes of a configuration what a gateway serves, or says why none could serve it.
///
/// # Errors
/// All mistakes of the configuration and of the files it names; then what is in the way of the gateway's own files. Each at its place
/// in `haechi.yaml`.
pub fn vet(config: &Config, lasting: &Lasting, files: &mut Files) -> Result<Snapshot, Diagnostics> {
    let snapshot = Snapshot::compile_from(config, lasting, files)?;
    data(config)?;
    directory(config, &["events", "dir"], &config.events.dir)?;
    directory(config, &["limits", "body_dir"], &config.limits.body_dir)?;
    socket(config)?;
    Ok(snapshot)
}

/// Whether there can be a directory of state.
pub(crate) fn data(config: &Config) -> Result<(), Diagnostics> {
    if config.data.as_os_str().len() > DATA_PATH {
        let message = format!("`{}` is longer than the {DATA_PATH} bytes it may be", config.data.display());
        return refuse(config, &["data"], message);
    }
    directory(config, &["data"], &config.data)
}

fn directory(config: &Config, at: &[&str], dir: &Path) -> Result<(), Diagnostics> {
    // Neither need be there yet: whichever is made first is in the way of the other.
    let socket = &config.control.socket;
    if dir.starts_with(socket) {
        let message = format!(
            "`{}` cannot be a directory: `{}` is to be the control socket",
            dir.display(),
            socket.display()
        );
        return refuse(config, at, message);
    }
    match obstacle(dir) {
        Some(obstacle) => {
            refuse(config, at, format!("`{}` cannot be a directory: {obstacle}", dir.display()))
        }
        None => Ok(()),
    }
}

/// Whether there can be a control socket.
fn socket(config: &Config) -> Result<(), Diagnostics> {
    let socket = &config.control.socket;
    let refuse = |message| refuse(config, &["control", "socket"], message);
    if socket.as_os_str().len() > SOCKET_PATH {
        let message =
            format!("`{}` is longer than the {SOCKET_PATH} bytes of a socket's path", socket.display());
        return refuse(message);
    }
    if socket.file_name().is_none() || socket.as_os_str().as_bytes().ends_with(b"/") {
        return refuse(format!("`{}` names a directory, not a socket", socket.display()));
    }
    if std::fs::symlink_metadata(socket).is_ok_and(|found| !found.file_type().is_socket()) {
        return refuse(format!("`{}` is there, and is no socket", socket.display()));
    }
    match obstacle(socket) {
        Some(obstacle) => refuse(format!("`{}` cannot be made: {obstacle}", socket.display())),
        None => Ok(()),
    }
}

fn refuse(config: &Config, at: &[&str], message: String) -> Result<(), Diagnostics> {
    Err(config.diagnose(at, Diagnostic::new("path", message)))
}

/// What is in the way of a path: a name that cannot be one, or the nearest thing above it that is there and is no directory.
fn obstacle(path: &Path) -> Option<String> {
    if path.as_os_str().as_bytes().contains(&0) {
        return Some("a path holds no zero byte".to_owned());
    }
    if path.iter().any(|name| name.len() > NAME) {
        return Some(format!("a name in it is longer than {NAME} bytes"));
    }
    for above in path.ancestors().filter(|above| !above.as_os_str().is_empty()) {
        return match std::fs::metadata(above) {
            Ok(found) if found.is_dir() => None,
            Ok(found) if found.file_type().is_socket() && above == path => None,
            Ok(_) => Some(format!("`{}` is a file", above.display())),
            // A file where a directory should be is an error of another kind than absence.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !above.is_symlink() => continue,
            Err(error) => Some(format!("`{}`: {error}", above.display())),
        };
    }
    None
}
