//! Who is calling, by what trusted proxies say; and what is said of the caller to upstreams.
//!
//! A request that comes through a load balancer or a CDN comes from *its* address. Such proxies name their client in
//! `X-Forwarded-For` or `Forwarded` (RFC 7239); so does anybody who wants to look like somebody else. Hence:
//!
//! - Only what a trusted peer says is read. Each hop's word counts for the hop before it: the chain is walked from
//!   its right end, and the first address that is not a trusted proxy's is the caller.
//! - If the whole chain is trusted, its left end is the caller.
//! - A chain that cannot be read up to that address (`unknown`, an obfuscated name, rubbish, more than
//!   [`MAX_HOPS`] entries) says nothing: the peer stays.
//! - A proxy writes one of the two headers and may pass the other on as it came, so the forged one is not to be
//!   told from the true one. When both are there and name different callers, neither is believed: the peer stays
//!   and [`ClientView::doubt`] is [`Doubt::Disagreement`]. Refuse such a call or strip one header at the proxy.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::bytes_class::{is_token, trim_ows};
use crate::{Authority, Headers};

/// Most entries read of a chain. Real ones have one to four.
pub const MAX_HOPS: usize = 32;

/// Who is calling, and how, as the nearest trusted proxies tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientView {
    /// The caller's address. IPv4 is never in its IPv6-mapped form.
    pub addr: IpAddr,
    /// The scheme the caller used, if a trusted proxy says so.
    pub proto: Option<Scheme>,
    /// The host the caller asked for, if a trusted proxy says so.
    pub host: Option<Authority>,
    /// Why what a trusted proxy said was not believed.
    pub doubt: Option<Doubt>,
}

/// The scheme of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

/// Why the chain of a trusted peer was not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// It cannot be read up to the caller.
    Malformed,
    /// `Forwarded` and `X-Forwarded-For` name different callers.
    Disagreement,
}

/// One entry of a chain.
#[derive(Default)]
struct Hop {
    addr: Option<IpAddr>,
    proto: Option<Scheme>,
    host: Option<Authority>,
}

// === impl ClientView ===

impl ClientView {
    /// Tells the caller from the peer's address and, if the peer is among `trusted`, from the headers.
    pub fn of(peer: IpAddr, headers: &Headers, trusted: &[IpNet]) -> Self {
        let peer = peer.to_canonical();
        let direct = Self { addr: peer, proto: None, host: None, doubt: None };
        if !is_trusted(peer, trusted) {
            return direct;
        }
        let doubted = |doubt| Self { doubt: Some(doubt), ..direct.clone() };
        let standard = headers.get("forwarded").map(|_| read_forwarded(headers));
        let usual = headers.get("x-forwarded-for").map(|_| read_x_forwarded(headers));
        let caller = |chain: Option<Option<Vec<Hop>>>| match chain {
            None => Ok(None),
            Some(chain) => {
                chain.and_then(|chain| find_caller(chain, trusted)).map(Some).ok_or(Doubt::Malformed)
            }
        };
        let found = match (caller(standard), caller(usual)) {
            (Err(doubt), _) | (_, Err(doubt)) => return doubted(doubt),
            (Ok(Some(standard)), Ok(Some(usual))) if standard.addr != usual.addr => {
                return doubted(Doubt::Disagreement);
            }
            (Ok(Some(standard)), _) => standard,
            (Ok(None), Ok(usual)) => usual.unwrap_or_default(),
        };
        Self {
            addr: found.addr.unwrap_or(peer),
            proto: found.proto.or_else(|| Scheme::parse(last(headers, "x-forwarded-proto")?)),
            host: found.host.or_else(|| Authority::parse(last(headers, "x-forwarded-host")?).ok()),
            doubt: None,
        }
    }

    /// The value of the outgoing `X-Forwarded-For`: the caller and, if another, the peer. The chain received is
    /// replaced, not extended: what nobody vouched for is not passed on.
    pub fn x_forwarded_for(&self, peer: IpAddr) -> String {
        let mut out = self.addr.to_string();
        if peer.to_canonical() != self.addr {
            let _ = write!(out, ", {}", peer.to_canonical());
        }
        out
    }

    /// The value of the outgoing `Forwarded` (RFC 7239, 4), with the same hops as
    /// [`x_forwarded_for`](Self::x_forwarded_for). `scheme` and `host` are those the call is judged under.
    pub fn forwarded(&self, peer: IpAddr, scheme: Scheme, host: Option<&Authority>) -> String {
        let mut out = String::with_capacity(64);
        push_for(&mut out, self.addr);
        let _ = write!(out, ";proto={}", scheme.as_str());
        if let Some(host) = host {
            // Quoted: a colon or a bracket is no token. An authority holds nothing that needs a backslash.
            let _ = write!(out, ";host=\"{host}\"");
        }
        if peer.to_canonical() != self.addr {
            out.push_str(", ");
            push_for(&mut out, peer.to_canonical());
        }
        out
    }
}

// === impl Scheme ===

impl Scheme {
    /// The value of `X-Forwarded-Proto`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn parse(text: &[u8]) -> Option<Self> {
        [Self::Http, Self::Https]
            .into_iter()
            .find(|scheme| text.eq_ignore_ascii_case(scheme.as_str().as_bytes()))
    }
}

fn is_trusted(addr: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&addr))
}

/// From the right: the first hop that is no trusted proxy, or the left end.
fn find_caller(chain: Vec<Hop>, trusted: &[IpNet]) -> Option<Hop> {
    let mut found = None;
    for hop in chain.into_iter().rev() {
        let outside = !is_trusted(hop.addr?, trusted);
        found = Some(hop);
        if outside {
            break;
        }
    }
    found
}

/// The chain of all `X-Forwarded-For` fields; an entry that is no address has none.
fn read_x_forwarded(headers: &Headers) -> Option<Vec<Hop>> {
    let mut chain = Vec::new();
    for value in headers.get_all("x-forwarded-for") {
        for entry in value.split(|&byte| byte == b',') {
            if chain.len() == MAX_HOPS {
                return None;
            }
            chain.push(Hop { addr: node(trim_ows(entry)), ..Hop::default() });
        }
    }
    Some(chain)
}

/// The chain of all `Forwarded` fields; `None` when they are not `1#( [pair] *( ";" [pair] ) )`.
fn read_forwarded(headers: &Headers) -> Option<Vec<Hop>> {
    let mut chain = Vec::new();
    for value in headers.get_all("forwarded") {
        let mut rest = value;
        loop {
            if chain.len() == MAX_HOPS {
                return None;
            }
            let (hop, tail) = read_element(rest)?;
            chain.push(hop);
            match tail {
                [b',', tail @ ..] => rest = tail,
                _ => break,
            }
        }
    }
    Some(chain)
}

/// One element: pairs parted by semicolons, no parameter twice. What is left starts with a comma or is empty.
fn read_element(mut rest: &[u8]) -> Option<(Hop, &[u8])> {
    let mut hop = Hop::default();
    let mut seen = (false, false, false);
    loop {
        rest = trim_ows(rest);
        let name_len = rest.iter().take_while(|&&byte| is_token(byte)).count();
        let (name, tail) = rest.split_at_checked(name_len)?;
        let tail = tail.strip_prefix(b"=")?;
        let (value, tail) = read_value(tail)?;
        match name.to_ascii_lowercase().as_slice() {
            b"for" if !std::mem::replace(&mut seen.0, true) => hop.addr = node(&value),
            b"proto" if !std::mem::replace(&mut seen.1, true) => hop.proto = Scheme::parse(&value),
            b"host" if !std::mem::replace(&mut seen.2, true) => hop.host = Authority::parse(&value).ok(),
            b"for" | b"proto" | b"host" => return None,
            _ => {}
        }
        match trim_ows(tail) {
            [b';', tail @ ..] => rest = tail,
            tail @ ([] | [b',', ..]) => return Some((hop, tail)),
            _ => return None,
        }
    }
}

/// A token or a quoted string, unquoted.
fn read_value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(mut rest) = text.strip_prefix(b"\"") else {
        let len = text.iter().take_while(|&&byte| is_token(byte)).count();
        let (value, tail) = text.split_at_checked(len)?;
        return (len > 0).then(|| (value.to_vec(), tail));
    };
    let mut value = Vec::new();
    loop {
        match rest {
            [b'"', tail @ ..] => return Some((value, tail)),
            [b'\\', byte, tail @ ..] => {
                value.push(*byte);
                rest = tail;
            }
            [b'\\'] | [] => return None,
            [byte, tail @ ..] => {
                value.push(*byte);
                rest = tail;
            }
        }
    }
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:80`.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare =
        text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).filter(|text| text.contains(':'));
    let addr = bare
        .unwrap_or(text)
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|addr| addr.ip()))
        .ok()?;
    Some(addr.to_canonical())
}

/// The last element of the last field of this name: what the nearest proxy said.
fn last<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    headers.get_all(name).last()?.rsplit(|&byte| byte == b',').next().map(trim_ows)
}

fn push_for(out: &mut String, addr: IpAddr) {
    let _ = match addr {
        IpAddr::V4(addr) => write!(out, "for={addr}"),
        IpAddr::V6(addr) => write!(out, "for=\"[{addr}]\""),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HeadersBuilder;

    const PROXY: &str = "10.0.0.1";

    fn view(peer: &str, fields: &[(&str, &str)]) -> ClientView {
        let mut headers = HeadersBuilder::default();
        for (name, value) in fields {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        ClientView::of(peer.parse().unwrap(), &headers.finish(), &trusted)
    }

    fn addr(peer: &str, fields: &[(&str, &str)]) -> String {
        view(peer, fields).addr.to_string()
    }

    #[test]
    fn an_untrusted_peer_speaks_for_itself() {
        let fields = [("X-Forwarded-For", "1.1.1.1"), ("Forwarded", "for=1.1.1.1;proto=https")];
        let view = view("203.0.113.9", &fields);
        assert_eq!((view.addr.to_string().as_str(), view.proto, view.doubt), ("203.0.113.9", None, None));
    }

    #[test]
    fn the_rightmost_untrusted_address_is_the_caller() {
        for (value, expected) in [
            ("203.0.113.9", "203.0.113.9"),
            ("1.1.1.1, 203.0.113.9", "203.0.113.9"),
            ("1.1.1.1, 203.0.113.9, 10.2.0.1", "203.0.113.9"),
            ("rubbish, 203.0.113.9:4711", "203.0.113.9"),
            ("10.9.0.1, 10.2.0.1", "10.9.0.1"),
            ("[2001:db8::1]:80,10.2.0.1", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
        ] {
            assert_eq!(addr(PROXY, &[("X-Forwarded-For", value)]), expected, "{value}");
        }
        assert_eq!(addr("::ffff:10.0.0.1", &[("X-Forwarded-For", "203.0.113.9")]), "203.0.113.9");
    }

    #[test]
    fn several_fields_are_one_chain() {
        let fields = [("X-Forwarded-For", "1.1.1.1"), ("x-forwarded-for", "203.0.113.9")];
        assert_eq!(addr(PROXY, &fields), "203.0.113.9");
    }

    #[test]
    fn a_chain_that_cannot_be_read_leaves_the_peer() {
        for value in ["unknown", "1.1.1.1, _hidden, 10.1.1.1", "", "1.1.1.1,", "1.1.1.999", "[203.0.113.9]"] {
            let view = view(PROXY, &[("X-Forwarded-For", value)]);
            assert_eq!(
                (view.addr.to_string().as_str(), view.doubt),
                (PROXY, Some(Doubt::Malformed)),
                "{value}"
            );
        }
        for value in
            ["for", "for=", "for=1.1.1.1;for=2.2.2.2", "for=\"1.1.1.1", "for=1.1.1.1 x", "for=unknown", ";"]
        {
            let view = view(PROXY, &[("Forwarded", value)]);
            assert_eq!(
                (view.addr.to_string().as_str(), view.doubt),
                (PROXY, Some(Doubt::Malformed)),
                "{value}"
            );
        }
    }

    #[test]
    fn the_standard_header_is_read_with_its_quotes() {
        let value =
            r#"for=1.1.1.1, For="[2001:db8::1]:4711";Proto=https; host="Shop.example:8443" , for=10.1.1.1"#;
        let view = view(PROXY, &[("Forwarded", value)]);
        assert_eq!(view.addr.to_string(), "2001:db8::1");
        assert_eq!(view.proto, Some(Scheme::Https));
        assert_eq!(view.host.unwrap().as_str(), "shop.example:8443");
        assert_eq!(addr(PROXY, &[("Forwarded", r#"for="203.0.11\3.9""#)]), "203.0.113.9");
    }

    #[test]
    fn headers_that_disagree_are_both_disbelieved() {
        let fields = [("X-Forwarded-For", "203.0.113.9"), ("Forwarded", "for=1.1.1.1")];
        let view1 = view(PROXY, &fields);
        assert_eq!((view1.addr.to_string().as_str(), view1.doubt), (PROXY, Some(Doubt::Disagreement)));
        let fields = [("X-Forwarded-For", "9.9.9.9, 203.0.113.9"), ("Forwarded", "for=203.0.113.9")];
        assert_eq!(addr(PROXY, &fields), "203.0.113.9");
    }

    #[test]
    fn the_chain_is_bounded() {
        let chain = |hops: usize| vec!["10.1.1.1"; hops].join(",");
        assert_eq!(view(PROXY, &[("X-Forwarded-For", &chain(MAX_HOPS))]).doubt, None);
        assert_eq!(view(PROXY, &[("X-Forwarded-For", &chain(MAX_HOPS + 1))]).doubt, Some(Doubt::Malformed));
        let elements = vec!["for=10.1.1.1"; MAX_HOPS + 1].join(",");
        assert_eq!(view(PROXY, &[("Forwarded", &elements)]).doubt, Some(Doubt::Malformed));
    }

    #[test]
    fn scheme_and_host_are_the_nearest_proxys_word() {
        let fields = [("X-Forwarded-Proto", "http, HTTPS"), ("X-Forwarded-Host", "a.example, b.example")];
        let near = view(PROXY, &fields);
        assert_eq!((near.addr.to_string().as_str(), near.proto), (PROXY, Some(Scheme::Https)));
        assert_eq!(near.host.unwrap().as_str(), "b.example");
        assert_eq!(view(PROXY, &[("X-Forwarded-Proto", "gopher")]).proto, None);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let view1 = view(PROXY, &[("X-Forwarded-For", "6.6.6.6, 2001:db8::1")]);
        let peer = PROXY.parse().unwrap();
        let host = Authority::parse(b"shop.example:8443").unwrap();
        let usual = view1.x_forwarded_for(peer);
        let standard = view1.forwarded(peer, Scheme::Https, Some(&host));
        assert_eq!(usual, "2001:db8::1, 10.0.0.1");
        assert_eq!(standard, r#"for="[2001:db8::1]";proto=https;host="shop.example:8443", for=10.0.0.1"#);
        let again = view("10.0.0.2", &[("X-Forwarded-For", &usual), ("Forwarded", &standard)]);
        assert_eq!((again.addr, again.proto, again.host), (view1.addr, Some(Scheme::Https), Some(host)));
        assert_eq!(view("1.2.3.4", &[]).x_forwarded_for("1.2.3.4".parse().unwrap()), "1.2.3.4");
    }
}
