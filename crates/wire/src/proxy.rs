//! The PROXY protocol, versions 1 and 2 (HAProxy, `proxy-protocol.txt`, 2020/03/05): what a load balancer that passes
//! connections on says of the caller, in the first bytes of the connection, before TLS.
//!
//! Who may send it decides who the caller is, so there is one reading for each listener: it either requires a header
//! or never looks for one. Nothing is repaired and nothing is guessed:
//!
//! - A line of version 1 is spelt exactly as in section 2.1: single spaces, addresses and ports without leading zeros.
//! - A block of version 2 holds its addresses whole; what follows them is a list of TLVs that ends where the block ends.
//! - A CRC32c that is there is right (section 2.2.3).
//! - Only streams over IPv4 and IPv6 are taken: a datagram or a unix socket has no place on a TCP listener.
//!
//! ```
//! use haechi_wire::proxy::{HeaderReader, Relayed};
//!
//! let mut reader = HeaderReader::default();
//! let read = reader.read(b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\nGET /")?;
//! assert_eq!(read.taken, 44);
//! let Some(Relayed::Caller(caller)) = read.header.map(|header| header.relayed) else { panic!() };
//! assert_eq!(caller.to_string(), "192.0.2.7:5000");
//! # Ok::<(), haechi_wire::proxy::ProxyRefusal>(())
//! ```

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use memchr::memchr;

/// Longest line of version 1, with its line end (section 2.1).
pub const LINE: usize = 107;

/// Largest block of version 2, addresses and TLVs. The TLVs that are in use (ALPN, authority, certificate names, the
/// ids of cloud load balancers) need some hundred bytes; the 64 KiB that the length could say are never needed.
pub const BLOCK: usize = 4096;

const LINE_START: &[u8] = b"PROXY ";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const FIXED: usize = 16;
/// The TLV that holds the checksum of the whole header.
const CRC32C: u8 = 0x03;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// 1 or 2.
    pub version: u8,
    /// Whose connection it is.
    pub relayed: Relayed,
}

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relayed {
    /// That of this caller.
    Caller(SocketAddr),
    /// The sender's own: a health check (`LOCAL`).
    Local,
    /// The sender does not say (`UNKNOWN`, `UNSPEC`).
    Unknown,
}

/// One step of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// How many of the bytes belong to the header; the rest is the caller's.
    pub taken: usize,
    /// The header, once it is whole.
    pub header: Option<Header>,
}

/// Reads one header from bytes as they come, and never a byte beyond it.
#[derive(Clone, Debug, Default)]
pub struct HeaderReader {
    held: Vec<u8>,
}

/// Bytes that are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyRefusal {
    /// They begin neither like version 1 nor like version 2.
    Signature,
    /// A line of version 1 that is not spelt as it has to be.
    Line,
    /// A line of version 1 without an end within [`LINE`].
    LineTooLong,
    /// A version or a command that does not exist.
    Command,
    /// Neither a stream over IPv4 nor one over IPv6.
    Family,
    /// A block longer than [`BLOCK`].
    BlockTooLong,
    /// A block too short for its addresses.
    Addresses,
    /// TLVs that do not end where the block ends.
    Tlv,
    /// A checksum that is wrong, repeated or not four bytes long.
    Checksum,
}

// === impl HeaderReader ===

impl HeaderReader {
    /// Looks at the next bytes. Call again with what comes after the taken ones until there is a header.
    ///
    /// # Errors
    /// As soon as no bytes that follow could make a header of it.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Read, ProxyRefusal> {
        let mut taken = 0;
        loop {
            let rest = bytes.get(taken..).unwrap_or_default();
            let (wanted, is_line) = self.wanted(rest)?;
            let now = rest.get(..wanted).unwrap_or(rest);
            self.held.extend_from_slice(now);
            taken += now.len();
            if is_line && self.held.ends_with(b"\n") {
                return Ok(Read { taken, header: Some(line(&self.held)?) });
            }
            if now.len() < wanted || (is_line && taken == bytes.len()) {
                self.begins_well()?;
                return Ok(Read { taken, header: None });
            }
            // Before its length is believed: a reason must not depend on how the bytes are cut.
            self.begins_well()?;
            if !is_line && self.held.len() >= FIXED && self.missing()? == 0 {
                return Ok(Read { taken, header: Some(block(&self.held)?) });
            }
        }
    }

    /// How many of the next bytes certainly belong to the header, and whether it is a line.
    fn wanted(&self, next: &[u8]) -> Result<(usize, bool), ProxyRefusal> {
        self.begins_well()?;
        match self.held.first().or(next.first()) {
            Some(b'P') => {
                let room = LINE.saturating_sub(self.held.len());
                match memchr(b'\n', next) {
                    Some(end) if end < room => Ok((end + 1, true)),
                    _ if next.len() >= room => {
                        let begins =
                            self.held.iter().chain(next).zip(LINE_START).all(|(byte, wanted)| byte == wanted);
                        Err(if begins { ProxyRefusal::LineTooLong } else { ProxyRefusal::Signature })
                    }
                    _ => Ok((next.len(), true)),
                }
            }
            Some(b'\r') | None => Ok((self.missing()?, false)),
            Some(_) => Err(ProxyRefusal::Signature),
        }
    }

    /// Bytes of version 2 that are still to come, as far as can be told.
    fn missing(&self) -> Result<usize, ProxyRefusal> {
        if self.held.len() < FIXED {
            return Ok(FIXED - self.held.len());
        }
        let length = match self.held.get(14..FIXED) {
            Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
            _ => 0,
        };
        if length > BLOCK {
            return Err(ProxyRefusal::BlockTooLong);
        }
        Ok((FIXED + length).saturating_sub(self.held.len()))
    }

    /// Refuses what cannot become a header any more, as early as can be.
    fn begins_well(&self) -> Result<(), ProxyRefusal> {
        let start = if self.held.first() == Some(&b'P') { LINE_START } else { SIGNATURE };
        let len = self.held.len().min(start.len());
        if self.held.get(..len) == start.get(..len) { Ok(()) } else { Err(ProxyRefusal::Signature) }
    }
}

/// A whole line of version 1.
fn line(bytes: &[u8]) -> Result<Header, ProxyRefusal> {
    let text = bytes
        .strip_prefix(LINE_START)
        .ok_or(ProxyRefusal::Signature)?
        .strip_suffix(b"\r\n")
        .and_then(|text| std::str::from_utf8(text).ok())
        .ok_or(ProxyRefusal::Line)?;
    let header = |relayed| Ok(Header { version: 1, relayed });
    // What follows `UNKNOWN` is to be ignored up to the line's end (section 2.1).
    if text == "UNKNOWN" || text.starts_with("UNKNOWN ") {
        return header(Relayed::Unknown);
    }
    let mut words = text.split(' ');
    let mut word = || words.next().ok_or(ProxyRefusal::Line);
    let (family, source, destination, source_port, destination_port) =
        (word()?, word()?, word()?, word()?, word()?);
    if words.next().is_some() {
        return Err(ProxyRefusal::Line);
    }
    let address = |text: &str| -> Result<IpAddr, ProxyRefusal> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().map(IpAddr::from).map_err(|_| ProxyRefusal::Line),
            "TCP6" => text.parse::<Ipv6Addr>().map(IpAddr::from).map_err(|_| ProxyRefusal::Line),
            _ => Err(ProxyRefusal::Family),
        }
    };
    let (source, _) = (address(source)?, address(destination)?);
    let (source_port, _) = (port(source_port)?, port(destination_port)?);
    header(Relayed::Caller(SocketAddr::new(source, source_port)))
}

/// A port in decimal, without sign or leading zeros.
fn port(text: &str) -> Result<u16, ProxyRefusal> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().map_err(|_| ProxyRefusal::Line) } else { Err(ProxyRefusal::Line) }
}

/// A whole header of version 2.
fn block(bytes: &[u8]) -> Result<Header, ProxyRefusal> {
    let (Some(&[command, family]), Some(block)) = (bytes.get(12..14), bytes.get(FIXED..)) else {
        return Err(ProxyRefusal::Addresses);
    };
    let header = |relayed| Ok(Header { version: 2, relayed });
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(ProxyRefusal::Command),
    };
    let (relayed, tlvs) = match family {
        0x00 => (Relayed::Unknown, block),
        // The addresses of the sender's own connection mean nothing and are to be discarded with the rest of the block.
        _ if is_local => return header(Relayed::Local),
        0x11 => match block.split_first_chunk::<12>() {
            Some((&[a, b, c, d, _, _, _, _, high, low, _, _], tlvs)) => {
                let source = Ipv4Addr::new(a, b, c, d);
                (Relayed::Caller(SocketAddr::new(source.into(), u16::from_be_bytes([high, low]))), tlvs)
            }
            None => return Err(ProxyRefusal::Addresses),
        },
        0x21 => match (block.first_chunk::<16>(), block.get(32..34), block.get(36..)) {
            (Some(source), Some(&[high, low]), Some(tlvs)) => {
                let source = Ipv6Addr::from(*source);
                (Relayed::Caller(SocketAddr::new(source.into(), u16::from_be_bytes([high, low]))), tlvs)
            }
            _ => return Err(ProxyRefusal::Addresses),
        },
        _ => return Err(ProxyRefusal::Family),
    };
    check_tlvs(bytes, tlvs)?;
    header(if is_local { Relayed::Local } else { relayed })
}

/// Walks the TLVs; nothing of them is used but the checksum.
fn check_tlvs(whole: &[u8], mut tlvs: &[u8]) -> Result<(), ProxyRefusal> {
    let mut checksum = None;
    while !tlvs.is_empty() {
        let Some((&[kind, high, low], rest)) = tlvs.split_first_chunk::<3>() else {
            return Err(ProxyRefusal::Tlv);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (Some(value), Some(next)) = (rest.get(..length), rest.get(length..)) else {
            return Err(ProxyRefusal::Tlv);
        };
        if kind == CRC32C {
            let sent: [u8; 4] = value.try_into().map_err(|_| ProxyRefusal::Checksum)?;
            let at = whole.len() - rest.len();
            if checksum.replace((at, u32::from_be_bytes(sent))).is_some() {
                return Err(ProxyRefusal::Checksum);
            }
        }
        tlvs = next;
    }
    match checksum {
        Some((at, sent)) if crc32c(whole, at) != sent => Err(ProxyRefusal::Checksum),
        _ => Ok(()),
    }
}

/// CRC32c (RFC 3720, appendix B.4) of the header, its own four bytes at `at` taken for zeros. Bit by bit: it is some hundred
/// bytes, once a connection.
fn crc32c(bytes: &[u8], at: usize) -> u32 {
    let sum = bytes.iter().enumerate().fold(u32::MAX, |sum, (index, byte)| {
        let byte = if (at..at + 4).contains(&index) { 0 } else { *byte };
        (0..8).fold(
            sum ^ u32::from(byte),
            |sum, _| {
                if sum & 1 == 1 { (sum >> 1) ^ 0x82f6_3b78 } else { sum >> 1 }
            },
        )
    });
    !sum
}

// === impl ProxyRefusal ===

impl ProxyRefusal {
    /// Every kind, for tables in manuals and tests.
    pub const ALL: &'static [Self] = &[
        Self::Signature,
        Self::Line,
        Self::LineTooLong,
        Self::Command,
        Self::Family,
        Self::BlockTooLong,
        Self::Addresses,
        Self::Tlv,
        Self::Checksum,
    ];

    /// A stable kebab-case word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Line => "line",
            Self::LineTooLong => "line-too-long",
            Self::Command => "command",
            Self::Family => "family",
            Self::BlockTooLong => "block-too-long",
            Self::Addresses => "addresses",
            Self::Tlv => "tlv",
            Self::Checksum => "checksum",
        }
    }
}

impl fmt::Display for ProxyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signature => "the connection does not begin with a PROXY header",
            Self::Line => "the PROXY line is not spelt `PROXY TCP4|TCP6 source destination port port`",
            Self::LineTooLong => "the PROXY line is longer than 107 bytes",
            Self::Command => "the PROXY header's version or command does not exist",
            Self::Family => "the PROXY header is about neither TCP over IPv4 nor TCP over IPv6",
            Self::BlockTooLong => "the PROXY header is larger than 4 KiB",
            Self::Addresses => "the PROXY header is too short for its addresses",
            Self::Tlv => "the PROXY header's TLVs do not end where it ends",
            Self::Checksum => "the PROXY header's checksum is wrong",
        })
    }
}

impl std::error::Error for ProxyRefusal {}
