//! Clients: raw sockets, and programs others wrote.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use crate::PATIENCE;

/// A connection that sends exactly the bytes it is given.
pub struct Raw {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// One response.
#[derive(Debug)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// Its body, decoded.
    pub body: Vec<u8>,
    /// The lines after a chunked body.
    pub trailers: String,
}

impl Raw {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        stream.set_write_timeout(Some(PATIENCE)).expect("a deadline");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, unread: Vec::new() }
    }

    /// Sends. A peer that has closed already is no error: what it answered before can still be read.
    pub fn send(&mut self, bytes: &[u8]) -> &mut Self {
        let _ = self.stream.write_all(bytes);
        self
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) -> &mut Self {
        let _ = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// Reads one response; nothing if the connection ended first.
    pub fn response(&mut self) -> Option<Response> {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.more()?;
        };
        let head = String::from_utf8_lossy(&self.unread.drain(..end).collect::<Vec<_>>()).into_owned();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        if (100..200).contains(&status) {
            return Some(Response { status, head, body: Vec::new(), trailers: String::new() });
        }
        let lower = head.to_ascii_lowercase();
        let length = lower
            .split("content-length:")
            .nth(1)
            .and_then(|text| text.split("\r\n").next()?.trim().parse().ok());
        let mut trailers = String::new();
        let body = if let Some(length) = length {
            while self.unread.len() < length {
                self.more()?;
            }
            self.unread.drain(..length).collect()
        } else if lower.contains("transfer-encoding: chunked") {
            let (body, after) = self.chunks()?;
            trailers = after;
            body
        } else {
            Vec::new()
        };
        Some(Response { status, head, body, trailers })
    }

    /// Whether the peer has closed the connection without another byte. Waits until it does either.
    pub fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && self.more().is_none()
    }

    /// What was read and not looked at yet.
    pub fn take(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.unread)).into_owned()
    }

    /// Whether a line like this comes before the connection ends. What comes with it is read too.
    pub fn line_with(&mut self, text: &str) -> bool {
        while !self.unread.windows(text.len()).any(|window| window == text.as_bytes()) {
            if self.more().is_none() {
                return false;
            }
        }
        true
    }

    fn chunks(&mut self) -> Option<(Vec<u8>, String)> {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(self.line()?.trim(), 16).ok()?;
            if size == 0 {
                break;
            }
            while self.unread.len() < size + 2 {
                self.more()?;
            }
            body.extend(self.unread.drain(..size));
            self.unread.drain(..2);
        }
        let mut trailers = String::new();
        loop {
            match self.line()? {
                end if end == "\r\n" => return Some((body, trailers)),
                line => trailers += &line,
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let end = loop {
            if let Some(end) = self.unread.windows(2).position(|window| window == b"\r\n") {
                break end;
            }
            self.more()?;
        };
        Some(String::from_utf8_lossy(&self.unread.drain(..end + 2).collect::<Vec<_>>()).into_owned())
    }

    fn more(&mut self) -> Option<()> {
        let mut chunk = [0; 16 * 1024];
        let read = self.stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        self.unread.extend(chunk.iter().take(read));
        Some(())
    }
}

/// Whether a program is installed. Says so if not: the test that needs it is left out.
pub fn have(program: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).exists()));
    if !found {
        eprintln!("left out: `{program}` is not installed (see scripts/setup)");
    }
    found
}

/// The Python of the tests' own environment, if `scripts/setup` could make it.
pub fn python() -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    let target = test.ancestors().nth(3)?;
    let python = target.join("e2e-venv/bin/python");
    if !python.exists() {
        eprintln!("left out: `{}` does not exist (see scripts/setup)", python.display());
        return None;
    }
    Some(python)
}

/// Runs a program that must succeed; its standard output.
pub fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{stdout}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}
