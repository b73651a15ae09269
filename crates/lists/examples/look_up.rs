//! What lists cost: `cargo run --release --package haechi-lists --example look_up [MMDB]`.
//!
//! 100,000 networks as public lists have them (four of five IPv4, single addresses to /16), the same in every run, are read from text, built, and
//! asked a million times. With a MaxMind file (one that tells countries), that too.

#![expect(clippy::expect_used, reason = "a tool for developers ends loudly")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use haechi_guard::Country;
use haechi_lists::{Networks, Places};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const NETWORKS: usize = 100_000;
const QUESTIONS: usize = 1_000_000;

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 32).unwrap_or_default()
    }

    fn address(&mut self) -> IpAddr {
        if !self.next().is_multiple_of(5) {
            return Ipv4Addr::from_bits(self.next()).into();
        }
        let half = u128::from(self.next()) << 64 | u128::from(self.next()) << 32 | u128::from(self.next());
        Ipv6Addr::from_bits(0x2000 << 112 | half).into()
    }

    fn network(&mut self) -> IpNet {
        let length = u8::try_from(self.next() % 17).unwrap_or_default();
        match self.address() {
            IpAddr::V4(address) => Ipv4Net::new(address, 32 - length).expect("a length").trunc().into(),
            IpAddr::V6(address) => Ipv6Net::new(address, 64 - length).expect("a length").trunc().into(),
        }
    }
}

fn main() {
    let mut random = Random(1);
    let text: String = (0..NETWORKS).map(|_| format!("{}\n", random.network())).collect();
    let addresses: Vec<_> = (0..QUESTIONS).map(|_| random.address()).collect();

    let start = Instant::now();
    let read: Vec<IpNet> = text.lines().map(|line| line.parse().expect("a network")).collect();
    let parsed = start.elapsed();
    let start = Instant::now();
    let networks = Networks::new(read);
    println!(
        "{NETWORKS} networks: {} KiB of text read in {parsed:.1?}, {} ranges built in {:.1?}, {} KiB",
        text.len() / 1024,
        networks.ranges(),
        start.elapsed(),
        networks.bytes() / 1024
    );
    ask(&addresses, |address| networks.contains(address));

    if let Some(file) = std::env::args().nth(1) {
        let file = std::fs::read(file).expect("the file");
        let start = Instant::now();
        let places = Places::<Country>::read(&file).expect("a file that tells countries");
        println!(
            "MaxMind file of {} KiB: read in {:.1?}, {} KiB",
            file.len() / 1024,
            start.elapsed(),
            places.bytes() / 1024
        );
        ask(&addresses, |address| places.find(address) != Country::default());
    }
}

fn ask(addresses: &[IpAddr], is_in: impl Fn(IpAddr) -> bool) {
    let start = Instant::now();
    let found = addresses.iter().filter(|address| black_box(is_in(**address))).count();
    let each = start.elapsed().as_nanos() / addresses.len() as u128;
    println!("  {found} of {} addresses are in it, {each} ns a question", addresses.len());
}
