//! How many connections each address holds, over all workers.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks are taken once a connection, not once a request; a few shards keep workers apart.
const SHARDS: usize = 16;

/// Open connections, in all and by address. An IPv6 caller is its /64: it owns all of it.
#[derive(Debug)]
pub(crate) struct Addresses {
    shards: [Mutex<HashMap<IpAddr, u32>>; SHARDS],
    hasher: RandomState,
}

/// One open connection; counted until dropped.
#[derive(Debug)]
pub(crate) struct Place {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

// === impl Addresses ===

impl Addresses {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { shards: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new() })
    }

    /// Counts one more connection of `address`, unless it holds `most` already.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr, most: u32) -> Option<Place> {
        let address = network(address);
        let mut shard = self.shard(address)?;
        let count = shard.entry(address).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        drop(shard);
        Some(Place { addresses: self.clone(), address })
    }

    fn shard(&self, address: IpAddr) -> Option<MutexGuard<'_, HashMap<IpAddr, u32>>> {
        let hash = usize::try_from(self.hasher.hash_one(address) % SHARDS as u64).unwrap_or_default();
        // A holder of the lock cannot panic; if it ever did, the counts are still whole.
        self.shards.get(hash).map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(mut shard) = self.addresses.shard(self.address)
            && let Some(count) = shard.get_mut(&self.address)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                shard.remove(&self.address);
            }
        }
    }
}

/// What one caller may own of addresses: an IPv4 address, an IPv6 /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_gets_so_many_connections_and_them_back() {
        let addresses = Addresses::new();
        let first = addresses.enter(address("192.0.2.1"), 2);
        let second = addresses.enter(address("192.0.2.1"), 2);
        assert!(first.is_some() && second.is_some());
        assert!(addresses.enter(address("192.0.2.1"), 2).is_none());
        assert!(addresses.enter(address("192.0.2.2"), 2).is_some());
        drop(first);
        assert!(
            addresses.enter(address("::ffff:192.0.2.1"), 2).is_some(),
            "a mapped address is the same caller"
        );
    }

    #[test]
    fn an_ipv6_caller_is_its_network() {
        let addresses = Addresses::new();
        let _held = addresses.enter(address("2001:db8::1"), 1);
        assert!(addresses.enter(address("2001:db8::ffff:1"), 1).is_none());
        assert!(addresses.enter(address("2001:db8:0:1::1"), 1).is_some());
    }

    #[test]
    fn addresses_without_connections_take_no_memory() {
        let addresses = Addresses::new();
        for last in 0..=255 {
            drop(addresses.enter(IpAddr::from([192, 0, 2, last]), 1));
        }
        assert_eq!(addresses.shards.iter().map(|shard| shard.lock().expect("lock").len()).sum::<usize>(), 0);
    }
}
