//! Values as people write them: `800ms`, `4KiB`, `20/s`, `1%`.

use std::cmp::Ordering;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use haechi_guard::Country;
use ipnet::IpNet;
use serde::{Serialize, Serializer};

use crate::model::ListEntry;

/// Longest duration: a hundred years, so that a point in time plus a duration is a point in time.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);
/// Most calls of a rate, whatever its period: above it a rate limits nothing.
const MOST_CALLS: u64 = 1_000_000_000;

/// What an entry of a list is.
pub(crate) const LIST_ENTRY: &str =
    "an address or network (`192.0.2.1`, `2001:db8::/32`), a country (`KR`) or an operator (`AS4766`)";

/// The countries of ISO 3166-1, and Kosovo, which has a code that users assign.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW \
    BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD \
    GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP \
    KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG \
    NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR \
    SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

/// So many in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many; at least 1.
    pub count: u64,
    /// In how much time.
    pub period: Duration,
}

/// An `http` or `https` URL without user information, query or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    /// Whether it is `https`.
    pub tls: bool,
    /// Host name or address literal, lower case, without brackets.
    pub host: String,
    /// Port, the scheme's own if none is written.
    pub port: u16,
    /// Path; `/` if none is written.
    pub path: String,
}

/// Reads `800ms`, `2s`, `5m`, `1h`, `7d`: a whole number and a unit.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) =
        split(text).ok_or_else(|| shape("a duration", "`800ms`, `2s`, `5m`, `1h` or `7d`"))?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => return Err("a duration needs a unit: `ms`, `s`, `m`, `h` or `d`".to_owned()),
        _ => return Err(shape("a duration", "`800ms`, `2s`, `5m`, `1h` or `7d`")),
    };
    let duration = number.checked_mul(millis).map(Duration::from_millis);
    duration.filter(|duration| *duration <= LONGEST).ok_or_else(|| "the duration is too long".to_owned())
}

/// Reads `4KiB`, `1MiB`, `512B`, `2MB`: a whole number and a unit.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text).ok_or_else(|| shape("a size", "`512B`, `4KiB`, `1MiB` or `2GiB`"))?;
    let factor: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "" => return Err("a size needs a unit: `B`, `KiB`, `MiB` or `GiB`".to_owned()),
        _ => return Err(shape("a size", "`512B`, `4KiB`, `1MiB` or `2GiB`")),
    };
    number.checked_mul(factor).ok_or_else(|| "the size is too large".to_owned())
}

/// Reads `20/s`, `600/min`, `50k/day`.
pub fn rate(text: &str) -> Result<Rate, String> {
    let wrong = || shape("a rate", "`20/s`, `600/min` or `50k/day`");
    let (count, period) = text.split_once('/').ok_or_else(wrong)?;
    let (number, factor) = split(count).ok_or_else(wrong)?;
    let factor = match factor {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        _ => return Err(wrong()),
    };
    let period = match period {
        "s" | "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 3_600,
        "d" | "day" => 86_400,
        _ => return Err("a rate's period is `s`, `min`, `h` or `day`".to_owned()),
    };
    let count = number.saturating_mul(factor);
    if count == 0 {
        return Err("a rate allows at least one".to_owned());
    }
    if count > MOST_CALLS {
        return Err(format!("a rate allows at most {MOST_CALLS}"));
    }
    Ok(Rate { count, period: Duration::from_secs(period) })
}

/// Reads an entry of a list: `192.0.2.1`, `2001:db8::/32`, `KR`, `AS4766`.
pub fn list_entry(text: &str) -> Result<ListEntry, String> {
    if text.contains(['.', ':', '/']) {
        return network(text).map(ListEntry::Network);
    }
    let number = text.get(..2).filter(|start| start.eq_ignore_ascii_case("AS")).and_then(|_| text.get(2..));
    if let Some(number) = number.filter(|number| !number.is_empty()) {
        return match number.parse() {
            Ok(number) if number > 0 && text.bytes().skip(2).all(|byte| byte.is_ascii_digit()) => {
                Ok(ListEntry::Operator(number))
            }
            _ => Err("expected the number of an operator such as `AS4766`".to_owned()),
        };
    }
    let capitals = text.to_ascii_uppercase();
    match Country::new(&capitals) {
        Some(country) if COUNTRIES.split(' ').any(|known| known == capitals) => {
            Ok(ListEntry::Country(country))
        }
        Some(_) if capitals == "UK" => Err("no country has the code `UK`: write `GB`".to_owned()),
        Some(_) => Err(format!("no country has the code `{capitals}` (ISO 3166-1)")),
        None => Err(format!("expected {LIST_ENTRY}")),
    }
}

/// A network is written by its first address, so that nobody means one address and writes eight bits of them.
fn network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => {
            text.parse().map_err(|_| shape("an address or a network", "`192.0.2.1` or `10.0.0.0/8`"))?
        }
    };
    if network == network.trunc() {
        return Ok(network);
    }
    let address = network.addr();
    Err(format!(
        "the network of this length around `{address}` is `{}`: write that, or `{address}` alone",
        network.trunc()
    ))
}

/// Reads `1%` or `0.5%`, as a share of 0 to 1.
pub fn percent(text: &str) -> Result<f64, String> {
    text.strip_suffix('%')
        .filter(|number| number.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
        .and_then(|number| number.parse::<f64>().ok())
        .filter(|number| (0.0..=100.0).contains(number))
        .map(|number| number / 100.0)
        .ok_or_else(|| shape("a percentage from 0% to 100%", "`1%` or `0.5%`"))
}

/// Reads `sha256/…`: 32 bytes in base64 (RFC 4648, section 4).
pub fn pin(text: &str) -> Option<[u8; 32]> {
    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text.strip_prefix("sha256/")?)
        .ok()?
        .try_into()
        .ok()
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.strip_prefix(' ').unwrap_or(unit)))
}

fn shape(what: &str, examples: &str) -> String {
    format!("expected {what} such as {examples}")
}

// === impl Rate ===

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.period.as_secs() {
            1 => write!(f, "{}/s", self.count),
            60 => write!(f, "{}/min", self.count),
            3_600 => write!(f, "{}/h", self.count),
            _ => write!(f, "{}/day", self.count),
        }
    }
}

impl Rate {
    /// Which of two rates lets more through in the long run; exact.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let scaled = |one: &Self, by: &Self| u128::from(one.count).saturating_mul(by.period.as_nanos());
        scaled(self, other).cmp(&scaled(other, self))
    }
}

// === impl HttpUrl ===

impl HttpUrl {
    /// Whether it is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (tls, rest) = if let Some(rest) = text.strip_prefix("https://") {
            (true, rest)
        } else if let Some(rest) = text.strip_prefix("http://") {
            (false, rest)
        } else {
            return Err("expected a URL that begins with `http://` or `https://`".to_owned());
        };
        // Asked of the whole, before any part of it is repeated in a message: it may be a password.
        if rest.contains('@') {
            return Err("a URL holds no user name or password here: credentials are secrets".to_owned());
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at_checked(at).unwrap_or((rest, "/")),
            None => (rest, "/"),
        };
        if path.contains(['?', '#']) || !path.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("expected a URL without query and fragment".to_owned());
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or("the `[` of the address is not closed")?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| "the URL's host is no IPv6 address")?;
                (host, port.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
        if host.is_empty() || !host.bytes().all(valid) {
            return Err("the URL's host is no host name".to_owned());
        }
        let port = match port {
            None => {
                if tls {
                    443
                } else {
                    80
                }
            }
            Some(port) => port.parse().ok().filter(|p| *p != 0).ok_or("the URL's port is no port")?,
        };
        Ok(Self { tls, host: host.to_ascii_lowercase(), port, path: path.to_owned() })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        let path = if self.path == "/" { "" } else { &self.path };
        let port = match (self.tls, self.port) {
            (true, 443) | (false, 80) => String::new(),
            (_, port) => format!(":{port}"),
        };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]{port}{path}", self.host),
            false => write!(f, "{scheme}://{}{port}{path}", self.host),
        }
    }
}

impl Serialize for HttpUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A duration as people write it.
pub fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if millis >= length && millis.is_multiple_of(length) {
            return format!("{}{unit}", millis / length);
        }
    }
    format!("{millis}ms")
}

/// A size as people write it.
pub fn show_size(bytes: u64) -> String {
    for (unit, length) in [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= length && bytes.is_multiple_of(length) {
            return format!("{}{unit}", bytes / length);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_read_as_people_write_them() {
        assert_eq!(duration("800ms"), Ok(Duration::from_millis(800)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        assert_eq!(size("4KiB"), Ok(4096));
        assert_eq!(rate("50k/day"), Ok(Rate { count: 50_000, period: Duration::from_secs(86_400) }));
        assert_eq!(percent("0.5%"), Ok(0.005));
        let url = HttpUrl::parse("http://Orders:8080/v1").expect("a URL");
        assert_eq!((url.host.as_str(), url.port, url.path.as_str()), ("orders", 8080, "/v1"));
        assert_eq!(HttpUrl::parse("https://[::1]").expect("a URL").to_string(), "https://[::1]");
    }

    #[test]
    fn a_value_at_its_limit_is_read_and_one_above_is_not() {
        assert_eq!(duration("36500d"), Ok(LONGEST));
        assert!(duration("3153600001s").is_err());
        assert_eq!(rate("1000M/s").map(|rate| rate.count), Ok(MOST_CALLS));
        assert!(rate("1000000001/day").is_err());
        assert_eq!(size("17179869183GiB"), Ok(u64::MAX - ((1 << 30) - 1)));
        assert!(size("17179869184GiB").is_err());
    }

    #[test]
    fn an_entry_of_a_list_is_a_network_a_country_or_an_operator() {
        for (text, shown) in [
            ("192.0.2.1", "192.0.2.1/32"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::ffff:192.0.2.0/120", "::ffff:192.0.2.0/120"),
            ("KR", "KR"),
            ("kr", "KR"),
            ("no", "NO"),
            ("AS", "AS"),
            ("AS4766", "AS4766"),
            ("as4294967295", "AS4294967295"),
        ] {
            assert_eq!(list_entry(text).map(|entry| entry.to_string()), Ok(shown.to_owned()), "{text}");
        }
        for (text, says) in [
            ("UK", "write `GB`"),
            ("ZZ", "no country has the code `ZZ`"),
            ("KOR", "expected an address or network"),
            ("", "expected an address or network"),
            ("4766", "expected an address or network"),
            ("AS0", "such as `AS4766`"),
            ("AS4294967296", "such as `AS4766`"),
            ("AS+1", "such as `AS4766`"),
            ("10.0.0.1/8", "is `10.0.0.0/8`: write that, or `10.0.0.1` alone"),
            ("10.0.0.0/33", "expected an address or a network"),
            ("10.0.0.0-10.0.0.9", "expected an address or a network"),
            ("fe80::1%eth0", "expected an address or a network"),
            ("pizza.example", "expected an address or a network"),
        ] {
            let wrong = list_entry(text).expect_err(text);
            assert!(wrong.contains(says), "{text}: {wrong}");
        }
        assert_eq!(COUNTRIES.split_whitespace().count(), 250);
        let written: Vec<_> = COUNTRIES.split(' ').collect();
        assert!(written.is_sorted() && written.iter().all(|code| Country::new(code).is_some()));
    }

    #[test]
    fn rates_are_compared_over_different_periods() {
        let compare = |one: &str, other: &str| rate(one).expect("one").compare(&rate(other).expect("other"));
        assert_eq!(compare("60/min", "1/s"), Ordering::Equal);
        assert_eq!(compare("61/min", "1/s"), Ordering::Greater);
        assert_eq!(compare("86399/day", "1/s"), Ordering::Less);
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for text in ["", "5", "5 parsecs", "-5s", "s", "99999999999999999999d", "18446744073709551615d"] {
            assert!(duration(text).is_err(), "{text}");
            assert!(size(text).is_err(), "{text}");
            assert!(rate(text).is_err(), "{text}");
            assert!(percent(text).is_err(), "{text}");
        }
        for text in [
            "0/s",
            "5/fortnight",
            "5",
            "/s",
            "101%",
            "NaN%",
            "1e1%",
            "+1%",
            "20 / s",
            "2000M/s",
            "99999999999M/s",
        ] {
            assert!(rate(text).is_err() && percent(text).is_err(), "{text}");
        }
        for text in [
            "ftp://a",
            "http://",
            "http://u:p@a",
            "http://u:p/q@a",
            "http://a?b",
            "http://a:0",
            "http://a:70000",
            "http://a b",
            "http://[::1",
        ] {
            assert!(HttpUrl::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(millis in 1u64..u64::from(u32::MAX), bytes in 0u64..1 << 40) {
            prop_assert_eq!(duration(&show_duration(Duration::from_millis(millis))), Ok(Duration::from_millis(millis)));
            prop_assert_eq!(size(&show_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_makes_a_reader_panic(text in "\\PC{0,20}") {
            let _ = (duration(&text), size(&text), rate(&text), percent(&text), HttpUrl::parse(&text));
        }
    }
}
