use proptest::prelude::*;

use super::*;

/// Reads in pieces of `step` bytes; the header and how many bytes it had.
fn read(bytes: &[u8], step: usize) -> Result<(Option<Header>, usize), ProxyRefusal> {
    let mut reader = HeaderReader::default();
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes.len().min(at + step);
        let read = reader.read(&bytes[at..end])?;
        assert!(read.taken > 0, "a step that takes nothing would never end");
        at += read.taken;
        if read.header.is_some() {
            return Ok((read.header, at));
        }
        assert_eq!(at, end, "without a header, all bytes were part of it");
    }
    Ok((None, at))
}

/// The same, whatever the pieces; the bytes after it are left alone.
fn whole(bytes: &[u8]) -> Result<Relayed, ProxyRefusal> {
    let mut followed = bytes.to_vec();
    followed.extend_from_slice(b"\x16\x03\x01\n rest");
    let expected = read(&followed, usize::MAX >> 1);
    for step in [1, 2, 7, 16] {
        assert_eq!(read(&followed, step), expected, "in steps of {step}");
    }
    expected.map(|(header, taken)| {
        assert_eq!(taken, bytes.len(), "{header:?}");
        header.expect("a whole header").relayed
    })
}

fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).expect("short").to_be_bytes();
    [SIGNATURE, &[command, family], &length, block].concat()
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &u16::try_from(value.len()).expect("short").to_be_bytes(), value].concat()
}

const V4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0x13, 0x88, 0x01, 0xbb];

fn with_checksum(command: u8, family: u8, addresses: &[u8], more: &[u8]) -> Vec<u8> {
    let mut bytes = v2(command, family, &[addresses, &tlv(CRC32C, &[0; 4]), more].concat());
    let at = FIXED + addresses.len() + 3;
    let sum = crc32c(&bytes, at).to_be_bytes();
    bytes[at..at + 4].copy_from_slice(&sum);
    bytes
}

#[test]
fn the_checksum_is_that_of_rfc_3720() {
    assert_eq!(crc32c(b"123456789", 100), 0xe306_9283);
    assert_eq!(crc32c(&[0; 32], 100), 0x8a91_36aa);
    assert_eq!(crc32c(&[0xff; 32], 100), 0x62a8_ab43);
    assert_eq!(crc32c(&[0xff; 32], 4), crc32c(&[&[0xff; 4][..], &[0; 4], &[0xff; 24]].concat(), 100));
}

#[test]
fn lines_of_version_1() {
    let caller = |text: &str| Ok(Relayed::Caller(text.parse().expect("an address")));
    for (line, expected) in [
        ("PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\n", caller("192.0.2.7:5000")),
        ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", caller("255.255.255.255:65535")),
        ("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", caller("0.0.0.0:0")),
        ("PROXY TCP6 2001:db8::7 ::1 5000 443\r\n", caller("[2001:db8::7]:5000")),
        ("PROXY TCP6 ::ffff:192.0.2.7 ::1 5000 443\r\n", caller("[::ffff:192.0.2.7]:5000")),
        ("PROXY UNKNOWN\r\n", Ok(Relayed::Unknown)),
        ("PROXY UNKNOWN ffff::1 ffff::1 65535 65535\r\n", Ok(Relayed::Unknown)),
    ] {
        assert_eq!(whole(line.as_bytes()), expected, "{line:?}");
    }
}

#[test]
fn malformed_lines_are_refused() {
    for line in [
        "PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\n",
        "PROXY TCP4  192.0.2.7 198.51.100.1 5000 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 5000 443 \r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 5000 443 1\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 5000\r\n",
        "PROXY TCP4 192.0.2.07 198.51.100.1 5000 443\r\n",
        "PROXY TCP4 192.0.2.256 198.51.100.1 5000 443\r\n",
        "PROXY TCP4 192.0.2 198.51.100.1 5000 443\r\n",
        "PROXY TCP4 2001:db8::7 ::1 5000 443\r\n",
        "PROXY TCP6 192.0.2.7 198.51.100.1 5000 443\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 5000 443\r\n",
        "PROXY TCP6 [::1] ::1 5000 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 05000 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 +5000 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1  443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\r\n",
        "PROXY TCP4\t192.0.2.7 198.51.100.1 5000 443\r\n",
        "PROXY TCP4 192.0.2.7\0 198.51.100.1 5000 443\r\n",
        "PROXY UNKNOWN\n",
        "PROXY \r\n",
        "PROXY UNKNOWNS\r\n",
    ] {
        let refused = whole(line.as_bytes()).expect_err(line);
        assert!(matches!(refused, ProxyRefusal::Line | ProxyRefusal::Family), "{line:?}: {refused:?}");
    }
    for line in
        ["PROXY UDP4 192.0.2.7 198.51.100.1 5000 443\r\n", "PROXY tcp4 192.0.2.7 198.51.100.1 5000 443\r\n"]
    {
        assert_eq!(whole(line.as_bytes()), Err(ProxyRefusal::Family), "{line:?}");
    }
    for start in [
        "proxy UNKNOWN\r\n",
        "PROXYUNKNOWN\r\n",
        "GET / HTTP/1.1\r\n",
        "PUT / HTTP/1.1\r\n",
        " PROXY UNKNOWN\r\n",
    ] {
        assert_eq!(whole(start.as_bytes()), Err(ProxyRefusal::Signature), "{start:?}");
    }
}

#[test]
fn a_line_is_at_most_107_bytes_long() {
    let line = |len: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(len - 16));
    assert_eq!(line(LINE).len(), LINE);
    assert_eq!(whole(line(LINE).as_bytes()), Ok(Relayed::Unknown));
    assert_eq!(whole(line(LINE + 1).as_bytes()), Err(ProxyRefusal::LineTooLong));
    // Without an end it is refused once no end could come in time.
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(LINE));
    assert_eq!(read(&endless.as_bytes()[..LINE - 1], 1), Ok((None, LINE - 1)));
    assert_eq!(read(&endless.as_bytes()[..LINE], 1), Err(ProxyRefusal::LineTooLong));
}

#[test]
fn blocks_of_version_2() {
    let v4 = Ok(Relayed::Caller("192.0.2.7:5000".parse().expect("an address")));
    let v6 = Ok(Relayed::Caller("[2001:db8::7]:5000".parse().expect("an address")));
    let mut six = [0; 36];
    six[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    six[15] = 7;
    six[31] = 1;
    six[32..].copy_from_slice(&[0x13, 0x88, 0x01, 0xbb]);
    assert_eq!(whole(&v2(0x21, 0x11, &V4)), v4);
    assert_eq!(whole(&v2(0x21, 0x21, &six)), v6);
    assert_eq!(whole(&v2(0x21, 0x00, &[])), Ok(Relayed::Unknown));
    assert_eq!(whole(&v2(0x20, 0x00, &[])), Ok(Relayed::Local));
    // The block of a health check is discarded, family and all.
    assert_eq!(whole(&v2(0x20, 0x11, &V4)), Ok(Relayed::Local));
    assert_eq!(whole(&v2(0x20, 0x31, &[0; 216])), Ok(Relayed::Local));
    let tlvs =
        [tlv(0x01, b"h2"), tlv(0x02, b"pizza.example"), tlv(0x04, &[0; 9]), tlv(0xea, b"vpce")].concat();
    assert_eq!(whole(&v2(0x21, 0x11, &[&V4[..], &tlvs].concat())), v4);
    assert_eq!(whole(&with_checksum(0x21, 0x11, &V4, &tlvs)), v4);
    assert_eq!(whole(&with_checksum(0x21, 0x21, &six, &[])), v6);
    assert_eq!(whole(&with_checksum(0x20, 0x00, &[], &tlvs)), Ok(Relayed::Local));
}

#[test]
fn malformed_blocks_are_refused() {
    let refused = |bytes: &[u8]| whole(bytes).expect_err("refused");
    for command in [0x00, 0x01, 0x11, 0x22, 0x2f, 0x31] {
        assert_eq!(refused(&v2(command, 0x11, &V4)), ProxyRefusal::Command, "{command:#x}");
    }
    for family in [0x01, 0x10, 0x12, 0x13, 0x20, 0x22, 0x31, 0x32, 0x41] {
        assert_eq!(refused(&v2(0x21, family, &[0; 216])), ProxyRefusal::Family, "{family:#x}");
    }
    assert_eq!(refused(&v2(0x21, 0x11, &V4[..11])), ProxyRefusal::Addresses);
    assert_eq!(refused(&v2(0x21, 0x11, &[])), ProxyRefusal::Addresses);
    assert_eq!(refused(&v2(0x21, 0x21, &[0; 35])), ProxyRefusal::Addresses);
    for torn in [&[1][..], &[1, 0], &[1, 0, 1], &[1, 0, 2, 9], &[4, 0, 0, 4]] {
        assert_eq!(refused(&v2(0x21, 0x11, &[&V4[..], torn].concat())), ProxyRefusal::Tlv, "{torn:?}");
        assert_eq!(refused(&v2(0x20, 0x00, torn)), ProxyRefusal::Tlv, "{torn:?}");
    }
    for broken in [tlv(CRC32C, &[0; 4]), tlv(CRC32C, &[0; 3]), tlv(CRC32C, &[])] {
        assert_eq!(refused(&v2(0x21, 0x11, &[&V4[..], &broken].concat())), ProxyRefusal::Checksum);
    }
    let twice = with_checksum(0x21, 0x11, &V4, &tlv(CRC32C, &[0; 4]));
    assert_eq!(refused(&twice), ProxyRefusal::Checksum);
}

#[test]
fn a_damaged_header_with_a_checksum_is_never_believed() {
    let good = with_checksum(0x21, 0x11, &V4, &tlv(0x02, b"pizza.example"));
    let caller = whole(&good).expect("good");
    for at in FIXED..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            // A flip may turn the checksum into another TLV: then there is none to fail. The source is elsewhere.
            if let Ok(read) = whole(&bad) {
                assert!(at >= FIXED + V4.len() && read == caller, "byte {at}, bit {bit}");
            }
        }
    }
}

#[test]
fn a_block_is_at_most_4_kib() {
    let most = [&V4[..], &tlv(0x04, &vec![0; BLOCK - V4.len() - 3])].concat();
    assert_eq!(most.len(), BLOCK);
    assert!(whole(&v2(0x21, 0x11, &most)).is_ok());
    let more = [&V4[..], &tlv(0x04, &vec![0; BLOCK - V4.len() - 2])].concat();
    // Refused by what the length says, before the block is read.
    assert_eq!(read(&v2(0x21, 0x11, &more)[..FIXED], 1), Err(ProxyRefusal::BlockTooLong));
}

/// Found by the fuzzer: the reason was another one when all bytes came at once.
#[test]
fn a_reason_does_not_depend_on_how_the_bytes_are_cut() {
    let mut block = v2(0x21, 0x11, &[0; BLOCK + 1]);
    block[3] = b'x';
    assert_eq!(whole(&block), Err(ProxyRefusal::Signature));
    assert_eq!(whole(&[b'P'; 200]), Err(ProxyRefusal::Signature));
}

#[test]
fn every_refusal_has_a_word_of_its_own() {
    let words: std::collections::BTreeSet<_> = ProxyRefusal::ALL.iter().map(|kind| kind.code()).collect();
    assert_eq!(words.len(), ProxyRefusal::ALL.len());
}

proptest! {
    /// Whatever comes, in whatever pieces: the same answer, no byte beyond the header, bounded memory.
    #[test]
    fn any_bytes_mean_the_same_in_any_pieces(
        start in prop_oneof![Just(Vec::new()), Just(LINE_START.to_vec()), Just(SIGNATURE.to_vec()), Just(v2(0x21, 0x11, &V4))],
        rest in proptest::collection::vec(any::<u8>(), 0..300),
        step in 1_usize..40,
    ) {
        let bytes = [start, rest].concat();
        prop_assert_eq!(read(&bytes, step), read(&bytes, usize::MAX >> 1));
    }

    #[test]
    fn what_is_written_is_read(
        address in any::<std::net::IpAddr>(),
        port in any::<u16>(),
        tlvs in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..5),
    ) {
        let source = SocketAddr::new(address, port);
        let (family, addresses, word) = match address {
            IpAddr::V4(v4) => (0x11, [&v4.octets()[..], &[0; 4], &port.to_be_bytes(), &[0; 2]].concat(), "TCP4"),
            IpAddr::V6(v6) => (0x21, [&v6.octets()[..], &[0; 16], &port.to_be_bytes(), &[0; 2]].concat(), "TCP6"),
        };
        let tlvs: Vec<u8> =
            tlvs.iter().filter(|(kind, _)| *kind != CRC32C).flat_map(|(kind, value)| tlv(*kind, value)).collect();
        prop_assert_eq!(whole(&with_checksum(0x21, family, &addresses, &tlvs)), Ok(Relayed::Caller(source)));
        let line = format!("PROXY {word} {address} {address} {port} 443\r\n");
        prop_assert_eq!(whole(line.as_bytes()), Ok(Relayed::Caller(source)));
    }
}
