//! Lists, and who may call by them.

use std::path::PathBuf;

use haechi_guard::Country;
use ipnet::IpNet;

/// Callers by where they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerList {
    /// What is written in `haechi.yaml`.
    pub entries: Vec<ListEntry>,
    /// Files with more, one entry a line.
    pub files: Vec<PathBuf>,
}

/// Some callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListEntry {
    /// Of an address or a network.
    Network(IpNet),
    /// Whose address is in a country.
    Country(Country),
    /// Whose address is of an operator, by the number of its autonomous system.
    Operator(u32),
}

/// Files in MaxMind's format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Geo {
    /// Tells countries.
    pub country: Option<PathBuf>,
    /// Tells operators.
    pub asn: Option<PathBuf>,
}

/// Who may call, by names of lists; what is written on one level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callers {
    /// Callers in none of these are refused, unless it is empty.
    pub allow: Vec<String>,
    /// Callers in one of these are refused.
    pub deny: Vec<String>,
}
