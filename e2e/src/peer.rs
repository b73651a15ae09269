//! Upstreams that others wrote.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A server in Python that prints `listening on ADDRESS`. Killed when dropped.
pub struct Peer {
    child: Child,
    address: SocketAddr,
    _stdout: BufReader<std::process::ChildStdout>,
}

impl Peer {
    /// Starts one of `e2e/peers` with the Python of the tests' own environment.
    pub fn start(python: &Path, script: &str) -> Self {
        Self::run(Command::new(python).arg(peer(script)))
    }

    /// Starts a command that prints what a peer prints.
    pub fn run(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the peer starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("readable");
        let address = line.trim().strip_prefix("listening on ").expect("an address").parse();
        Self { child, address: address.expect("an address"), _stdout: stdout }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Where a script of `e2e/peers` stands.
pub fn peer(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script)
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
