//! An upstream that fails as it is told to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::PATIENCE;

/// What an upstream does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers `200`.
    None,
    /// Closes connections without an answer, also those that are kept and new ones.
    Kill,
    /// Answers nothing and keeps the connection.
    Hang,
    /// Answers a head and the first byte of the body, then nothing.
    SlowBody,
    /// Answers a head and half of the body, then closes.
    ResetMidBody,
    /// Answers `503`.
    Unavailable,
}

/// An HTTP/1.1 server whose fault can be changed while it serves.
#[derive(Clone)]
pub struct Faulty {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    fault: Mutex<Fault>,
    changed: Condvar,
    served: AtomicUsize,
    /// Nobody listens any more.
    stopped: AtomicBool,
}

impl Faulty {
    /// Starts it, without a fault, on a free loopback port.
    pub fn start() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Starts it at this address.
    pub fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (changed, served, stopped) = (Condvar::new(), AtomicUsize::new(0), AtomicBool::new(false));
        let state = Arc::new(State { fault: Mutex::new(Fault::None), changed, served, stopped });
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let state = shared.clone();
                std::thread::spawn(move || state.serve(stream));
            }
        });
        Self { address, state }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it does from now on.
    pub fn set(&self, fault: Fault) {
        *self.state.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        self.state.changed.notify_all();
    }

    /// Ends it, as a process ends: connections are closed, and new ones refused from now on.
    pub fn stop(&self) {
        self.state.stopped.store(true, Ordering::Relaxed);
        self.set(Fault::Kill);
        // The first is taken, and ends the listener.
        while TcpStream::connect(self.address).is_ok() {
            std::thread::yield_now();
        }
    }

    /// Requests it answered well.
    pub fn served(&self) -> usize {
        self.state.served.load(Ordering::Relaxed)
    }
}

impl State {
    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the fault is another.
    fn outlast(&self, fault: Fault) {
        let current = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let _ended = self.changed.wait_timeout_while(current, PATIENCE * 4, |current| *current == fault);
    }

    fn serve(&self, mut stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
        let mut unread = Vec::new();
        while self.request(&mut stream, &mut unread) {
            let fault = self.fault();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\n";
            let answer = match fault {
                Fault::None => format!("{head}true"),
                Fault::Unavailable => {
                    "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_owned()
                }
                Fault::SlowBody => format!("{head}t"),
                Fault::ResetMidBody => format!("{head}tr"),
                Fault::Kill | Fault::Hang => String::new(),
            };
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
            match fault {
                Fault::None => drop(self.served.fetch_add(1, Ordering::Relaxed)),
                Fault::Unavailable => {}
                Fault::Kill | Fault::ResetMidBody => return,
                Fault::Hang | Fault::SlowBody => return self.outlast(fault),
            }
        }
    }

    /// Reads a request's head; false when the connection is over.
    fn request(&self, stream: &mut TcpStream, unread: &mut Vec<u8>) -> bool {
        loop {
            if let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
                unread.drain(..end + 4);
                return true;
            }
            let mut chunk = [0; 4096];
            match stream.read(&mut chunk) {
                Ok(0) => return false,
                Ok(read) => unread.extend(chunk.iter().take(read)),
                // A dead process keeps no connection open.
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    if self.fault() == Fault::Kill {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
    }
}
