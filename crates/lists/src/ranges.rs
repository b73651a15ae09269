//! Networks as sorted ranges that do not meet: 8 bytes for one of IPv4, 32 for one of IPv6, and a binary search for each question.

use std::net::IpAddr;

use ipnet::IpNet;

/// Networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

/// First and last of each, sorted, with something between any two.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ranges<T>(Box<[(T, T)]>);

/// An address as a number.
pub(crate) trait Number: Copy + Ord {
    /// The number after this one, if there is one.
    fn next(self) -> Option<Self>;
}

// === impl Networks ===

impl Networks {
    /// IPv4 in IPv6 (`::ffff:0:0/96`) is IPv4.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match (network.network().to_canonical(), network.broadcast().to_canonical()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => v4.push((first.to_bits(), last.to_bits())),
                _ => {
                    if let IpNet::V6(network) = network {
                        v6.push((network.network().to_bits(), network.broadcast().to_bits()));
                    }
                }
            }
        }
        Self { v4: Ranges::new(v4), v6: Ranges::new(v6) }
    }

    /// Whether an address is in one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.contains(address.to_bits()),
            IpAddr::V6(address) => self.v6.contains(address.to_bits()),
        }
    }

    /// How many ranges there are.
    pub fn ranges(&self) -> usize {
        self.v4.0.len() + self.v6.0.len()
    }

    /// Bytes they take.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.v4.0) + size_of_val(&*self.v6.0)
    }
}

// === impl Ranges ===

impl<T> Default for Ranges<T> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<T: Number> Ranges<T> {
    fn new(mut ranges: Vec<(T, T)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                // One that ends at the greatest number holds all that come after it.
                Some((_, end)) if end.next().is_none_or(|next| first <= next) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Self(merged.into())
    }

    fn contains(&self, number: T) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        let range = after.checked_sub(1).and_then(|at| self.0.get(at));
        range.is_some_and(|(_, last)| number <= *last)
    }
}

impl Number for u32 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Number for u128 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use ipnet::{Ipv4Net, Ipv6Net};
    use proptest::prelude::*;

    use super::*;

    fn networks(list: &[&str]) -> Networks {
        Networks::new(list.iter().map(|text| text.parse().expect("a network")))
    }

    #[test]
    fn networks_that_overlap_or_touch_become_one_range() {
        let all = networks(&["10.1.0.0/16", "10.0.0.0/16", "10.0.3.0/24", "10.2.0.0/32", "192.0.2.9/32"]);
        assert_eq!(all.ranges(), 2);
        assert_eq!(all.bytes(), 16);
        assert_eq!(networks(&["2001:db8::/33", "2001:db8:8000::/33", "::/128"]).bytes(), 64);
    }

    #[test]
    fn the_ends_of_a_network_and_of_all_numbers_are_where_they_should_be() {
        let list = networks(&["10.0.0.0/8", "255.255.255.0/24", "255.255.255.255/32", "ffff::/16"]);
        for (address, inside) in [
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("255.255.255.255", true),
            ("fffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
            ("ffff::", true),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
        ] {
            assert_eq!(list.contains(address.parse().expect("an address")), inside, "{address}");
        }
        let everything = networks(&["0.0.0.0/0", "::/0", "10.0.0.0/8"]);
        assert_eq!(everything.ranges(), 2);
        assert!(!Networks::default().contains(Ipv4Addr::LOCALHOST.into()));
    }

    #[test]
    fn ipv4_in_ipv6_is_ipv4_both_as_a_network_and_as_an_address() {
        let list = networks(&["::ffff:192.0.2.0/120"]);
        assert!(list.contains("192.0.2.7".parse().expect("an address")));
        let plain = networks(&["192.0.2.0/24"]);
        assert!(plain.contains("::ffff:192.0.2.7".parse().expect("an address")));
        assert_eq!(list, plain);
        let six = networks(&["::/0"]);
        assert!(!six.contains("192.0.2.7".parse().expect("an address")), "all of IPv6 is nothing of IPv4");
        assert!(!six.contains("::ffff:192.0.2.7".parse().expect("an address")));
    }

    /// Addresses and networks of a few bits, so that they meet.
    fn address() -> impl Strategy<Value = IpAddr> {
        let v4 = (0u32..64, any::<bool>())
            .prop_map(|(low, high)| IpAddr::V4(Ipv4Addr::from_bits(if high { u32::MAX - low } else { low })));
        let v6 = (0u128..64, 0u8..4).prop_map(|(low, where_)| {
            IpAddr::V6(Ipv6Addr::from_bits(match where_ {
                0 => low,
                1 => u128::MAX - low,
                2 => 0xffff_0000_0000 | low,
                _ => 0x2001_0db8 << 96 | low,
            }))
        });
        prop_oneof![v4, v6]
    }

    fn network() -> impl Strategy<Value = IpNet> {
        (address(), 0u8..9).prop_map(|(address, short)| match address {
            IpAddr::V4(address) => Ipv4Net::new(address, 32 - short).expect("a prefix").trunc().into(),
            IpAddr::V6(address) => Ipv6Net::new(address, 128 - short).expect("a prefix").trunc().into(),
        })
    }

    /// The plain way: every network is asked, IPv4 in IPv6 taken for IPv4.
    fn scan(networks: &[IpNet], address: IpAddr) -> bool {
        networks.iter().any(|network| {
            let plain = match network.network().to_canonical() {
                IpAddr::V4(first) if network.max_prefix_len() == 128 => {
                    IpNet::V4(Ipv4Net::new(first, network.prefix_len() - 96).expect("a prefix"))
                }
                _ => *network,
            };
            plain.contains(&address.to_canonical())
        })
    }

    proptest! {
        #[test]
        fn a_search_answers_as_a_scan_of_all_networks(
            list in prop::collection::vec(network(), 0..40),
            addresses in prop::collection::vec(address(), 1..40),
        ) {
            let built = Networks::new(list.iter().copied());
            for address in addresses {
                prop_assert_eq!(built.contains(address), scan(&list, address), "{}", address);
            }
        }
    }
}
