//! The real binary, in a directory of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::eventually;

/// A running gateway. Killed when dropped.
pub struct Gateway {
    child: Child,
    dir: TempDir,
    addresses: Vec<SocketAddr>,
    _stdout: BufReader<std::process::ChildStdout>,
}

/// The binary that is tested: built beside the tests.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let binary = test.parent().and_then(Path::parent).expect("a target directory").join("haechi");
    assert!(binary.exists(), "`{}` is not built: run `make test`", binary.display());
    binary
}

impl Gateway {
    /// Starts `haechi run` with these files (path below the directory, text); one of them is `haechi.yaml`.
    pub fn start(files: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        for (path, text) in files {
            write(&dir.path().join(path), text);
        }
        Self::start_in(dir)
    }

    /// Starts `haechi run` in a directory that holds a `haechi.yaml`.
    pub fn start_in(dir: TempDir) -> Self {
        Self::start_as(dir, Command::new(binary()).arg("run"))
    }

    /// Starts it in such a directory by this command.
    pub fn start_as(dir: TempDir, command: &mut Command) -> Self {
        let mut child = command
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("haechi starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut addresses = Vec::new();
        loop {
            let mut line = String::new();
            if stdout.read_line(&mut line).expect("readable") == 0 {
                let status = child.wait().expect("its end");
                panic!("haechi ended before it was ready: {status}");
            }
            if let Some(address) = line.strip_prefix("listening on ") {
                addresses
                    .push(address.split_whitespace().next().unwrap_or_default().parse().expect("an address"));
            }
            if line.starts_with("ready") {
                break;
            }
        }
        Self { child, dir, addresses, _stdout: stdout }
    }

    /// The first listener's address.
    pub fn address(&self) -> SocketAddr {
        *self.addresses.first().expect("a listener")
    }

    /// All listeners' addresses, in the order of the configuration.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The gateway's directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Replaces a file as editors do: a new file, moved over the old one.
    pub fn replace(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        let new = path.with_extension("new");
        write(&new, text);
        std::fs::rename(new, path).expect("moved");
    }

    /// Runs a verb against this gateway.
    pub fn verb(&self, arguments: &[&str]) -> Output {
        Command::new(binary()).args(arguments).current_dir(self.dir.path()).output().expect("haechi runs")
    }

    /// Runs a verb that must succeed, and reads the JSON it prints.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.verb(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// The requests recorded, in the order in which they began, once there are as many as were `made`.
    ///
    /// A worker records a request when its response has left: what was answered last need not be recorded yet, nor last.
    pub fn requests(&self, made: usize) -> Vec<serde_json::Value> {
        let mut found = Vec::new();
        eventually(&format!("{made} requests are recorded"), || {
            found = self.events(100_000);
            found.retain(|event| event["kind"] == "request");
            found.len() >= made
        });
        found.sort_by_key(|event| event["time_us"].as_u64());
        found
    }

    /// An event that fits, once there is one.
    pub fn event(&self, what: &str, fits: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let mut found = None;
        eventually(&format!("an event: {what}"), || {
            found = self.events(100_000).into_iter().rev().find(&fits);
            found.is_some()
        });
        found.expect("just seen")
    }

    /// The last events, the oldest first. Those of the last requests may not be there yet: see [`Self::requests`].
    pub fn events(&self, lines: usize) -> Vec<serde_json::Value> {
        let output = self.verb(&["events", "tail", "--format", "json", "--lines", &lines.to_string()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().map(|line| serde_json::from_str(line).expect("an event")).collect()
    }

    /// Ends it at once, as a power cut would, and gives its directory back.
    pub fn kill(mut self) -> TempDir {
        self.child.kill().expect("killed");
        self.child.wait().expect("its end");
        let empty = TempDir::new().expect("a temporary directory");
        std::mem::replace(&mut self.dir, empty)
    }

    /// Asks it to end in good order (SIGTERM).
    pub fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().expect("its end")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a directory")).expect("created");
    std::fs::write(path, text).expect("written");
}
