//! Files made by a foreign writer (`tests/data/make.py`), read here and by the format's own reader.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

const COUNTRY: &[u8] = include_bytes!("../../tests/data/country.mmdb");
const COUNTRY_V4: &[u8] = include_bytes!("../../tests/data/country-v4.mmdb");
const ASN: &[u8] = include_bytes!("../../tests/data/asn.mmdb");

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The ends of all networks of the files, and their neighbours.
fn addresses() -> Vec<IpAddr> {
    let v4 = ["0.0.0.0", "127.0.0.5", "127.0.0.6", "192.0.2.0", "192.0.2.128", "192.0.3.0", "198.51.100.0"];
    let more = ["198.51.100.128", "198.51.101.0", "203.0.113.9", "255.255.255.255"];
    let v6 =
        ["2001:db8::", "2001:db8:8000::", "2001:db9::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::1:0:0"];
    let mut all = Vec::new();
    for text in v4.into_iter().chain(more).chain(v6) {
        for step in [-1i32, 0, 1] {
            all.push(match address(text) {
                IpAddr::V4(one) => Ipv4Addr::from_bits(one.to_bits().wrapping_add_signed(step)).into(),
                IpAddr::V6(one) => Ipv6Addr::from_bits(one.to_bits().wrapping_add_signed(step.into())).into(),
            });
        }
    }
    all
}

#[test]
fn the_tables_answer_as_the_formats_own_reader_does() {
    for file in [COUNTRY, COUNTRY_V4] {
        let (places, reader) =
            (Places::<Country>::read(file).expect("read"), Reader::from_source(file).expect("read"));
        for address in addresses() {
            if address.is_ipv6() && reader.metadata().ip_version == 4 {
                continue;
            }
            let found = reader.lookup(address).expect("looked up");
            let expected = Country::read(&found).expect("decoded").unwrap_or_default();
            assert_eq!(places.find(address), expected, "{address}");
        }
    }
    let (places, reader) = (Places::<u32>::read(ASN).expect("read"), Reader::from_source(ASN).expect("read"));
    for address in addresses() {
        let expected =
            u32::read(&reader.lookup(address).expect("looked up")).expect("decoded").unwrap_or_default();
        assert_eq!(places.find(address), expected, "{address}");
    }
}

#[test]
fn what_a_file_tells_is_found_and_nothing_else() {
    let places = Places::<Country>::read(COUNTRY).expect("read");
    let told = |text| places.find(address(text)).to_string();
    assert_eq!([told("192.0.2.9"), told("::ffff:192.0.2.9")], ["KR", "KR"]);
    assert_eq!([told("198.51.100.1"), told("198.51.100.200")], ["NO", "SE"]);
    assert_eq!([told("2001:db8::1"), told("2001:db8:8000::1")], ["KR", "NO"]);
    assert_eq!(told("203.0.113.1"), "", "where its holder is registered says nothing");
    assert_eq!(told("10.0.0.1"), "");
    assert!(places.built() > 1_700_000_000 && places.bytes() < 500, "{}", places.bytes());
    let operators = Places::<u32>::read(ASN).expect("read");
    assert_eq!(operators.find(address("2001:db8::1")), u32::MAX);
    assert_eq!(operators.find(address("10.0.0.1")), 0);
    assert_eq!(Places::<u32>::default().find(address("192.0.2.1")), 0);
}

#[test]
fn a_file_of_another_type_or_no_file_at_all_is_refused() {
    let country = |file: &[u8]| Places::<Country>::read(file).expect_err("refused").to_string();
    let operator = |file: &[u8]| Places::<u32>::read(file).expect_err("refused").to_string();
    assert!(country(ASN).contains("tells a country: it is a `GeoLite2-ASN`"), "{}", country(ASN));
    assert!(operator(COUNTRY).contains("number of an operator: it is a `GeoLite2-Country`"));
    for file in [&b""[..], b"# a list\n192.0.2.0/24\n", &COUNTRY[..COUNTRY.len() / 2]] {
        assert!(country(file).contains("no MaxMind file"), "{}", country(file));
    }
}

/// The file is read whole when it is loaded; so whatever is wrong is an error then, or a value, and never a panic or a walk without end.
#[test]
fn a_damaged_file_is_refused_or_read_and_never_more_than_that() {
    let mut random = 1u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).expect("31 bits") % below
    };
    let (mut refused, mut read) = (0, 0);
    for round in 0..20_000 {
        let whole = [COUNTRY, COUNTRY_V4, ASN][round % 3];
        let mut file = whole.to_vec();
        for _ in 0..=next(4) {
            let at = next(file.len());
            match next(4) {
                0 => file[at] ^= 1 << next(8),
                1 => file[at] = [0, 1, 0x20, 0x7f, 0xff][next(5)],
                2 => file.truncate(at.max(1)),
                // A piece from elsewhere, so that pointers and nodes lead to one another.
                _ => {
                    let (from, len) = (next(file.len()), next(12));
                    let piece: Vec<u8> = file.iter().copied().skip(from).take(len).collect();
                    let room = file.len() - at;
                    let piece = &piece[..piece.len().min(room)];
                    file[at..at + piece.len()].copy_from_slice(piece);
                }
            }
        }
        let outcome = std::panic::catch_unwind(|| {
            (Places::<Country>::walk(&file).is_ok(), Places::<u32>::walk(&file).is_ok())
        });
        match outcome.unwrap_or_else(|_| panic!("round {round}: a panic")) {
            (false, false) => refused += 1,
            _ => read += 1,
        }
    }
    assert!(refused > 1_000 && read > 1_000, "{refused} {read}: the damage is not what it should be");
}

/// Both sides of each of twenty nodes lead to the next one: two million networks in a hundred nodes, and no cycle.
#[test]
fn a_tree_whose_branches_meet_again_is_not_walked_to_its_end() {
    let reader = Reader::from_source(COUNTRY_V4).expect("read");
    let nodes = reader.metadata().node_count;
    assert_eq!(reader.metadata().record_size, 24);
    let mut file = COUNTRY_V4.to_vec();
    let number = |record: &[u8]| u32::from_be_bytes([0, record[0], record[1], record[2]]);
    let data = file.chunks(3).find(|record| number(record) > nodes).expect("a record").to_vec();
    for node in 0..20u8 {
        let next = if node < 19 { vec![0, 0, node + 1] } else { data.clone() };
        let at = usize::from(node) * 6;
        file[at..at + 6].copy_from_slice(&[next.clone(), next].concat());
    }
    let error = Places::<Country>::read(&file).expect_err("refused").to_string();
    assert!(error.contains("more networks than it can have"), "{error}");
}

/// Node 0 leads to itself on both sides: as many paths as there are addresses.
#[test]
fn a_tree_that_leads_back_to_itself_ends() {
    let mut file = COUNTRY.to_vec();
    file[..6].fill(0);
    assert!(Places::<Country>::read(&file).is_err());
}
