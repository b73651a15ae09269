//! An upstream that remembers every byte it was sent.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An HTTP/1.1 server that answers every request with `200` and a small JSON body, and keeps what it read.
///
/// It reads requests as plainly as can be (a head, then `Content-Length` bytes or chunks up to the last one): what it
/// is sent comes from the gateway, which is what is tested.
pub struct Origin {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// One request as the origin read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Request line and headers.
    pub head: String,
    /// The decoded body.
    pub body: Vec<u8>,
}

impl Origin {
    /// Starts it on a free loopback port.
    pub fn start() -> Self {
        Self::answering(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{\"ok\": true}\n",
        )
    }

    /// Starts it with this answer to everything.
    pub fn answering(answer: impl Into<String>) -> Self {
        Self::run(answer.into(), Duration::ZERO, true)
    }

    /// Starts one that takes its time, and remembers nothing: for more requests than fit into memory.
    pub fn forgetful(time: Duration) -> Self {
        Self::run(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{\"ok\": true}\n"
                .to_owned(),
            time,
            false,
        )
    }

    fn run(answer: String, time: Duration, remembers: bool) -> Self {
        let answer: Arc<str> = answer.into();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (log.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, remembers.then_some(&*log), &answer, time));
            }
        });
        Self { address, seen }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All it was sent so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(mut stream: TcpStream, log: Option<&Mutex<Vec<Seen>>>, answer: &str, time: Duration) {
    let mut unread = Vec::new();
    while let Some(seen) = request(&mut stream, &mut unread) {
        if let Some(log) = log {
            log.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        }
        if !time.is_zero() {
            // A slow service is slow: this is no test that waits.
            let (_never, wait) = std::sync::mpsc::sync_channel::<()>(0);
            let _ = wait.recv_timeout(time);
        }
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn request(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<Seen> {
    let end = loop {
        if let Some(end) = find(unread, b"\r\n\r\n") {
            break end + 4;
        }
        more(stream, unread)?;
    };
    let head = String::from_utf8_lossy(&unread.drain(..end).collect::<Vec<_>>()).into_owned();
    let lower = head.to_ascii_lowercase();
    let mut body = Vec::new();
    if lower.contains("transfer-encoding: chunked") {
        loop {
            let line = loop {
                if let Some(end) = find(unread, b"\r\n") {
                    break unread.drain(..end + 2).collect::<Vec<_>>();
                }
                more(stream, unread)?;
            };
            let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).ok()?;
            while unread.len() < size + 2 {
                more(stream, unread)?;
            }
            body.extend(unread.drain(..size));
            unread.drain(..2);
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = lower.split("content-length: ").nth(1) {
        let length: usize = length.split("\r\n").next()?.parse().ok()?;
        while unread.len() < length {
            more(stream, unread)?;
        }
        body.extend(unread.drain(..length));
    }
    Some(Seen { head, body })
}

fn more(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 4096];
    let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
    unread.extend(chunk.iter().take(read));
    Some(())
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}
