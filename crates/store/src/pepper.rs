//! The key of the API keys' hashes: a file beside the database, so that a copied database alone is of no use.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;

use zeroize::Zeroizing;

use crate::error::StateError;
use crate::open::State;

const BYTES: usize = 32;

impl State {
    /// The pepper: made once (mode 0600), then the same for ever.
    ///
    /// # Errors
    /// When the file cannot be read or made, or is damaged: then no key could be verified, and the gateway must not
    /// start with a new one.
    pub fn pepper(&self) -> Result<Zeroizing<[u8; BYTES]>, StateError> {
        let path = self.dir.join("pepper");
        match std::fs::read(&path).map(Zeroizing::new) {
            Ok(bytes) => match <[u8; BYTES]>::try_from(bytes.as_slice()) {
                Ok(pepper) => Ok(Zeroizing::new(pepper)),
                Err(_) => Err(StateError::Io {
                    doing: format!(
                        "`{}` is not {BYTES} bytes long: restore it from a backup",
                        path.display()
                    ),
                    source: ErrorKind::InvalidData.into(),
                }),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => self.make_pepper(),
            Err(source) => Err(StateError::Io { doing: format!("cannot read `{}`", path.display()), source }),
        }
    }

    /// Written whole under another name first: a crash leaves no half pepper.
    fn make_pepper(&self) -> Result<Zeroizing<[u8; BYTES]>, StateError> {
        if !self.keys()?.is_empty() {
            return Err(StateError::Io {
                doing: "the file `pepper` is gone, without which no API key can be verified: restore it"
                    .to_owned(),
                source: ErrorKind::NotFound.into(),
            });
        }
        let mut pepper = Zeroizing::new([0; BYTES]);
        getrandom::fill(pepper.as_mut_slice())
            .map_err(|error| StateError::io("no random bytes")(std::io::Error::other(error.to_string())))?;
        let (new, path) = (self.dir.join("pepper.new"), self.dir.join("pepper"));
        let write = || -> std::io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(pepper.as_slice())?;
            file.sync_all()?;
            std::fs::rename(&new, &path)?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(StateError::io(format!("cannot write `{}`", path.display())))?;
        Ok(pepper)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_once_and_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = State::open(dir.path()).expect("open");
        let pepper = state.pepper().expect("made");
        assert_ne!(*pepper, [0; BYTES]);
        assert_eq!(*state.pepper().expect("read"), *pepper);
        let mode = std::fs::metadata(dir.path().join("pepper")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_pepper_is_not_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("pepper"), "short").expect("written");
        assert!(State::open(dir.path()).expect("open").pepper().is_err());
    }
}
