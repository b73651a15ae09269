//! Countries and operators of addresses, from files in MaxMind's format.
//!
//! A file is walked once, when it is loaded, into sorted tables. So every record that could ever be asked for has been read, a damaged file never
//! takes over, and a look-up needs nothing of the file.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use haechi_guard::Country;
use maxminddb::{LookupResult, MaxMindDbError, PathElement, Reader};

use crate::ranges::Number;

/// Most networks of a file. The largest that MaxMind makes have about ten million, and a damaged tree could have more than anybody can count.
const NETWORKS: usize = 20_000_000;

/// Countries or operators of addresses. The default knows none.
#[derive(Debug, Default)]
pub struct Places<V> {
    v4: Table<u32, V>,
    v6: Table<u128, V>,
    built: u64,
}

/// From each start on, up to the next, the value holds. Before the first nothing is known.
#[derive(Debug)]
struct Table<T, V> {
    starts: Vec<T>,
    values: Vec<V>,
}

/// What a file may tell of an address.
pub trait Told: Copy + Default + PartialEq {
    /// What it is, for a person.
    const WHAT: &str;

    /// The value in a record; `None` if it has none.
    fn read(record: &LookupResult<'_, &[u8]>) -> Result<Option<Self>, GeoError>;
}

/// Why a file cannot be used.
#[derive(Debug)]
pub struct GeoError(String);

// === impl Places ===

impl<V: Told> Places<V> {
    /// Reads a whole file.
    ///
    /// # Errors
    /// When it is damaged, or of another type: not one of its records tells what is asked.
    pub fn read(file: &[u8]) -> Result<Self, GeoError> {
        // The reader checks what it reads. Should it ever be wrong, the file is refused.
        catch_unwind(AssertUnwindSafe(|| Self::walk(file)))
            .unwrap_or_else(|_| Err(GeoError::new("it cannot be read")))
    }

    fn walk(file: &[u8]) -> Result<Self, GeoError> {
        let reader = Reader::from_source(file)?;
        let metadata = reader.metadata();
        let mut places = Self { built: metadata.build_epoch, ..Self::default() };
        // Many networks share a record.
        let mut read: HashMap<usize, V> = HashMap::new();
        // A sound tree has fewer ends than twice its nodes.
        let most = (metadata.node_count as usize).saturating_mul(2).saturating_add(1).min(NETWORKS);
        let mut networks = 0;
        for found in reader.networks(Default::default())? {
            let found = found?;
            networks += 1;
            if networks > most {
                return Err(GeoError::new("its tree has more networks than it can have"));
            }
            let Some(offset) = found.offset() else { continue };
            let value = match read.get(&offset) {
                Some(value) => *value,
                None => {
                    let value = V::read(&found)?.unwrap_or_default();
                    read.insert(offset, value);
                    value
                }
            };
            let network = found.network()?;
            match (network.network(), network.broadcast()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => {
                    places.v4.push(first.to_bits(), last.to_bits(), value)?
                }
                (IpAddr::V6(first), IpAddr::V6(last)) => {
                    places.v6.push(first.to_bits(), last.to_bits(), value)?
                }
                _ => {}
            }
        }
        if read.values().all(|value| *value == V::default()) {
            let kind: String = metadata.database_type.chars().filter(|c| !c.is_control()).take(60).collect();
            return Err(GeoError(format!("none of its records tells {}: it is a `{kind}`", V::WHAT)));
        }
        places.v4.shrink();
        places.v6.shrink();
        Ok(places)
    }

    /// What is known of an address; the default if nothing is.
    pub fn find(&self, address: IpAddr) -> V {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.find(address.to_bits()),
            IpAddr::V6(address) => self.v6.find(address.to_bits()),
        }
    }

    /// When the file was made, in seconds since 1970.
    pub fn built(&self) -> u64 {
        self.built
    }

    /// Bytes the tables take.
    pub fn bytes(&self) -> usize {
        self.v4.bytes() + self.v6.bytes()
    }
}

// === impl Table ===

impl<T, V> Default for Table<T, V> {
    fn default() -> Self {
        Self { starts: Vec::new(), values: Vec::new() }
    }
}

impl<T: Number, V: Copy + Default + PartialEq> Table<T, V> {
    /// Adds a range behind all that are there.
    fn push(&mut self, first: T, last: T, value: V) -> Result<(), GeoError> {
        if value == V::default() {
            return Ok(());
        }
        // The last start is that of what follows the range before.
        match self.starts.last() {
            Some(end) if first < *end => return Err(GeoError::new("its networks are not in order")),
            Some(end) if first == *end => {
                self.starts.pop();
                self.values.pop();
            }
            _ => {}
        }
        if self.values.last() != Some(&value) {
            self.starts.push(first);
            self.values.push(value);
        }
        // Nothing comes after the last address.
        if let Some(next) = last.next() {
            self.starts.push(next);
            self.values.push(V::default());
        }
        Ok(())
    }

    fn find(&self, address: T) -> V {
        let after = self.starts.partition_point(|start| *start <= address);
        after.checked_sub(1).and_then(|at| self.values.get(at)).copied().unwrap_or_default()
    }

    fn shrink(&mut self) {
        self.starts.shrink_to_fit();
        self.values.shrink_to_fit();
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.starts) + size_of_val(&*self.values)
    }
}

// === impl Told ===

impl Told for Country {
    const WHAT: &str = "a country";

    fn read(record: &LookupResult<'_, &[u8]>) -> Result<Option<Self>, GeoError> {
        let path = [PathElement::Key("country"), PathElement::Key("iso_code")];
        let Some(text) = record.decode_path::<&str>(&path)? else { return Ok(None) };
        match Self::new(text) {
            Some(country) => Ok(Some(country)),
            None => Err(GeoError::new("a country in it is not two capital letters")),
        }
    }
}

/// The number of an operator (autonomous system).
impl Told for u32 {
    const WHAT: &str = "the number of an operator";

    fn read(record: &LookupResult<'_, &[u8]>) -> Result<Option<Self>, GeoError> {
        Ok(record.decode_path(&[PathElement::Key("autonomous_system_number")])?)
    }
}

// === impl GeoError ===

impl GeoError {
    fn new(message: &str) -> Self {
        Self(message.to_owned())
    }
}

impl From<MaxMindDbError> for GeoError {
    fn from(error: MaxMindDbError) -> Self {
        Self(format!("it is damaged, or no MaxMind file: {error}"))
    }
}

impl fmt::Display for GeoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for GeoError {}
