//! The receipt printer's server, written by hand in 2004 and lenient as servers were then.
//!
//! FLAWS: a line ends in LF; names are trimmed of spaces; any `Transfer-Encoding` that holds the word `chunked` is
//! believed, before `Content-Length`; of several lengths the last one counts; folded lines are unfolded. Each of these
//! is harmless alone, and request smuggling behind a front that reads otherwise (CWE-444).
//! And `/receipts/admin/refund` believes that the front lets nobody through.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::data::Data;

/// Longest request that is read.
const LONGEST: usize = 1024 * 1024;

pub(crate) async fn serve(listener: TcpListener, data: Data) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let data = data.clone();
        tokio::spawn(async move {
            // A peer that goes away is no news.
            let _ = connection(stream, data).await;
        });
    }
}

async fn connection(mut stream: TcpStream, data: Data) -> io::Result<()> {
    let mut unread = Vec::new();
    loop {
        let Some(head) = head(&mut stream, &mut unread).await? else { return Ok(()) };
        let body = match framing(&head) {
            Framing::Chunked => chunks(&mut stream, &mut unread).await?,
            Framing::Length(length) => {
                fill(&mut stream, &mut unread, length).await?;
                unread.drain(..length.min(unread.len())).collect()
            }
        };
        let (status, text) = answer(&head, &body, &data);
        let response = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        );
        stream.write_all(response.as_bytes()).await?;
    }
}

enum Framing {
    Length(usize),
    Chunked,
}

/// Reads up to an empty line, whatever ends the lines.
async fn head(stream: &mut TcpStream, unread: &mut Vec<u8>) -> io::Result<Option<String>> {
    loop {
        while unread.first().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
            unread.remove(0);
        }
        let text = String::from_utf8_lossy(unread).into_owned();
        let end = [text.find("\n\n").map(|at| at + 2), text.find("\n\r\n").map(|at| at + 3)]
            .into_iter()
            .flatten()
            .min();
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&unread.drain(..end.min(unread.len())).collect::<Vec<_>>())
                .into_owned();
            return Ok(Some(head.replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " ")));
        }
        if unread.len() > LONGEST || stream.read_buf(unread).await? == 0 {
            return Ok(None);
        }
    }
}

fn framing(head: &str) -> Framing {
    let mut length = 0;
    for line in head.lines().skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_ascii_lowercase());
        if name == "transfer-encoding" && value.contains("chunked") {
            return Framing::Chunked;
        }
        if name == "content-length" {
            length = value.parse().unwrap_or(0);
        }
    }
    Framing::Length(length)
}

async fn chunks(stream: &mut TcpStream, unread: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                break end;
            }
            more(stream, unread).await?;
        };
        let line: Vec<u8> = unread.drain(..=end).collect();
        let digits = String::from_utf8_lossy(&line);
        let digits = digits.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits.trim_start_matches("0x"), 16).unwrap_or(0);
        fill(stream, unread, size).await?;
        body.extend(unread.drain(..size.min(unread.len())));
        // The line end behind the data, if there is one.
        while size == 0 && unread.is_empty() {
            more(stream, unread).await?;
        }
        for end in [b'\r', b'\n'] {
            if unread.first() == Some(&end) {
                unread.remove(0);
            }
        }
        if size == 0 {
            return Ok(body);
        }
    }
}

async fn fill(stream: &mut TcpStream, unread: &mut Vec<u8>, length: usize) -> io::Result<()> {
    while unread.len() < length.min(LONGEST) {
        more(stream, unread).await?;
    }
    Ok(())
}

async fn more(stream: &mut TcpStream, unread: &mut Vec<u8>) -> io::Result<()> {
    match stream.read_buf(unread).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn answer(head: &str, body: &[u8], data: &Data) -> (&'static str, String) {
    let mut words = head.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let keep = |kind: &str, text: &str| {
        let kept = data.lock().execute("INSERT INTO receipts (kind, text) VALUES (?1, ?2)", (kind, text));
        if kept.is_ok() {
            ("200 OK", "done\n".to_owned())
        } else {
            ("500 Internal Server Error", String::new())
        }
    };
    match (method, path) {
        ("POST", "/receipts/") => keep("receipt", &String::from_utf8_lossy(body)),
        ("GET", "/receipts/last") => {
            ("200 OK", format!("{}\n", data.number("SELECT count(*) FROM receipts WHERE kind = 'receipt'")))
        }
        (_, "/receipts/admin/refund") => keep("refund", query),
        _ => ("404 Not Found", String::new()),
    }
}
