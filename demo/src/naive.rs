//! What stands in front of the shop with `--protect off`: the kind of relay that a shop writes in an afternoon.
//!
//! It looks at the first word of the path, keeps one connection to each service, and hands bytes on as they come. It reads
//! a length the way most servers do, believes `Transfer-Encoding` only when it is exactly `chunked` and there is no length, and lets
//! nobody through to `/receipts/admin`. All of it is reasonable; together with the old receipts server it is a hole.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::shop::{Shop, service_of};

/// Longest message that is handed on.
const LONGEST: usize = 4 * 1024 * 1024;

/// The relay, running. Stops when dropped.
pub(crate) struct Naive {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

// === impl Naive ===

impl Naive {
    pub(crate) async fn start(shop: Arc<Shop>, listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let shop = shop.clone();
                tokio::spawn(async move {
                    let _ = relay(stream, &shop).await;
                });
            }
        });
        Ok(Self { address, task })
    }
}

impl Drop for Naive {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn relay(mut caller: TcpStream, shop: &Shop) -> io::Result<()> {
    let mut unread = Vec::new();
    let mut services: HashMap<SocketAddr, (TcpStream, Vec<u8>)> = HashMap::new();
    while let Some(request) = message(&mut caller, &mut unread, true).await? {
        let text = String::from_utf8_lossy(&request);
        let target = text.split(' ').nth(1).unwrap_or_default();
        let service = shop.address(service_of(target)).filter(|_| !target.starts_with("/receipts/admin"));
        let Some(service) = service else {
            caller.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await?;
            continue;
        };
        let (stream, answers) = match services.remove(&service) {
            Some(known) => services.entry(service).or_insert(known),
            None => services.entry(service).or_insert((TcpStream::connect(service).await?, Vec::new())),
        };
        stream.write_all(&request).await?;
        let Some(response) = message(stream, answers, false).await? else { return Ok(()) };
        caller.write_all(&response).await?;
    }
    Ok(())
}

/// One message, byte for byte.
async fn message(stream: &mut TcpStream, unread: &mut Vec<u8>, request: bool) -> io::Result<Option<Vec<u8>>> {
    let end = loop {
        if let Some(at) = find(unread, b"\r\n\r\n") {
            break at + 4;
        }
        if unread.len() > LONGEST || stream.read_buf(unread).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(unread.get(..end).unwrap_or_default()).to_ascii_lowercase();
    let header = |name: &str| {
        head.split("\r\n")
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .next()
            .map(str::to_owned)
    };
    let length = header("content-length").and_then(|value| value.parse::<usize>().ok());
    let bodiless = !request && (head.starts_with("http/1.1 204") || head.starts_with("http/1.1 304"));
    let len = match (length, header("transfer-encoding").as_deref()) {
        _ if bodiless => end,
        (Some(length), _) => end + length,
        (None, Some("chunked")) => loop {
            if let Some(at) = unread.get(end..).and_then(last_chunk) {
                break end + at;
            }
            if unread.len() > LONGEST || stream.read_buf(unread).await? == 0 {
                return Ok(None);
            }
        },
        _ => end,
    };
    while unread.len() < len {
        if len > LONGEST || stream.read_buf(unread).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(unread.drain(..len).collect()))
}

/// Where a chunked body ends, if it is all there.
fn last_chunk(body: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line_end = at + find(body.get(at..)?, b"\r\n")?;
        let line = String::from_utf8_lossy(body.get(at..line_end)?).into_owned();
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).unwrap_or(0);
        at = line_end + 2 + size + 2;
        if size == 0 {
            return (body.len() >= at).then_some(at);
        }
    }
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}
