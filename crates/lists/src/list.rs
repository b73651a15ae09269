//! One list with a name.

use std::net::IpAddr;
use std::sync::Arc;

use haechi_guard::Country;
use ipnet::IpNet;

use crate::ranges::Networks;

/// Callers by where they come from.
#[derive(Debug)]
pub struct List {
    name: Arc<str>,
    networks: Networks,
    /// Sorted.
    countries: Box<[Country]>,
    /// Sorted.
    operators: Box<[u32]>,
}

/// A list in the making.
#[derive(Clone, Debug, Default)]
pub struct ListBuilder {
    /// Addresses and networks.
    pub networks: Vec<IpNet>,
    /// Countries of addresses.
    pub countries: Vec<Country>,
    /// Numbers of the operators (autonomous systems) of addresses.
    pub operators: Vec<u32>,
}

/// By what a caller is in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Its address.
    Address(IpAddr),
    /// Its address's country.
    Country(Country),
    /// Its address's operator.
    Operator(u32),
}

// === impl ListBuilder ===

impl ListBuilder {
    /// The list.
    pub fn build(mut self, name: &str) -> List {
        self.countries.sort_unstable();
        self.countries.dedup();
        self.operators.sort_unstable();
        self.operators.dedup();
        List {
            name: name.into(),
            networks: Networks::new(self.networks),
            countries: self.countries.into(),
            operators: self.operators.into(),
        }
    }
}

// === impl List ===

impl List {
    /// Its name in `haechi.yaml`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// By what a caller is in the list, if it is. An unknown country or operator is in none.
    pub fn find(&self, address: IpAddr, country: &str, operator: u32) -> Option<By> {
        if self.networks.contains(address) {
            return Some(By::Address(address.to_canonical()));
        }
        if let Some(country) = Country::new(country)
            && self.countries.binary_search(&country).is_ok()
        {
            return Some(By::Country(country));
        }
        let known = operator != 0 && self.operators.binary_search(&operator).is_ok();
        known.then_some(By::Operator(operator))
    }

    /// How many ranges of addresses, countries and operators it holds.
    pub fn entries(&self) -> usize {
        self.networks.ranges() + self.countries.len() + self.operators.len()
    }
}

// === impl By ===

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => write!(f, "its address {address}"),
            Self::Country(country) => write!(f, "its country {country}"),
            Self::Operator(number) => write!(f, "its operator AS{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_in_a_list_by_address_country_or_operator_and_by_nothing_unknown() {
        let country = |text| Country::new(text).expect("a country");
        let list = ListBuilder {
            networks: vec!["192.0.2.0/24".parse().expect("a network")],
            countries: vec![country("NO"), country("KR"), country("NO")],
            operators: vec![64_500, 4_766],
        }
        .build("some");
        let find = |address: &str, country: &str, operator| {
            list.find(address.parse().expect("an address"), country, operator)
        };
        let inside = "192.0.2.1".parse().expect("an address");
        assert_eq!(find("::ffff:192.0.2.1", "NO", 4_766), Some(By::Address(inside)));
        assert_eq!(find("198.51.100.1", "NO", 4_766), Some(By::Country(country("NO"))));
        assert_eq!(find("198.51.100.1", "SE", 4_766), Some(By::Operator(4_766)));
        assert_eq!(find("198.51.100.1", "SE", 1), None);
        assert_eq!(find("198.51.100.1", "", 0), None);
        assert_eq!(list.entries(), 5);
        let zero = ListBuilder { operators: vec![0], ..ListBuilder::default() }.build("zero");
        assert_eq!(zero.find(inside, "", 0), None, "an unknown operator is in no list");
    }
}
