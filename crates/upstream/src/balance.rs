//! Which address takes a call: of two drawn by weight, the one with less to do.

use std::sync::Arc;

use crate::clock::Millis;
use crate::health::Standing;
use crate::site::Peer;
use crate::upstream::{Target, Upstream};

/// An address that takes a call.
pub(crate) struct Choice<'u> {
    pub(crate) target: &'u Target,
    pub(crate) peer: Arc<Peer>,
    /// It was left out, and this call tries.
    pub(crate) trial: bool,
}

/// The address for a call that was tried at `tried`. Nothing if there is no other, or none at all.
///
/// If calls can go nowhere because all are left out, they go anywhere: a gateway that cannot tell good from bad does
/// better to try than to refuse.
pub(crate) fn choose<'u>(
    upstream: &'u Upstream,
    tried: &[Arc<Peer>],
    now: Millis,
    mut random: impl FnMut() -> u64,
) -> Option<Choice<'u>> {
    let choice = |target, peer: &Arc<Peer>| Choice { target, peer: peer.clone(), trial: false };
    // The common case: one address, which is never left out.
    if upstream.ejection.at_most < 1.0
        && let [target] = upstream.targets.as_slice()
        && let [peer] = target.site.peers().as_slice()
    {
        return tried.is_empty().then(|| choice(target, peer));
    }
    let is_new = |peer: &Arc<Peer>| !tried.iter().any(|other| Arc::ptr_eq(peer, other));
    if let Some(claimed) = review(upstream, now, is_new) {
        return Some(claimed);
    }
    let draw = |wanted: &dyn Fn(&Arc<Peer>) -> bool, random: &mut dyn FnMut() -> u64| {
        let (first, weight) = drawn(upstream, random(), wanted)?;
        let other = drawn(upstream, random(), &|peer| wanted(peer) && !Arc::ptr_eq(peer, &first.peer));
        Some(match other {
            Some((second, other)) if less(&second.peer, other, &first.peer, weight) => second,
            _ => first,
        })
    };
    draw(&|peer| is_new(peer) && peer.health.standing(now) == Standing::Good, &mut random)
        .or_else(|| draw(&is_new, &mut random))
}

/// Whether a call would find an address that is well, or may try one. What is not resolved yet may be.
pub(crate) fn is_well(upstream: &Upstream, now: Millis) -> bool {
    leave_out(upstream, now);
    let may_serve = |peer: &Arc<Peer>| matches!(peer.health.standing(now), Standing::Good | Standing::Trial);
    upstream.targets.iter().any(|target| {
        let peers = target.site.peers();
        peers.is_empty() || peers.iter().any(may_serve)
    })
}

/// Leaves out who failed too often; takes a trial that is due.
fn review<'u>(
    upstream: &'u Upstream,
    now: Millis,
    is_new: impl Fn(&Arc<Peer>) -> bool,
) -> Option<Choice<'u>> {
    for target in &upstream.targets {
        for peer in target.site.peers().iter() {
            if peer.health.standing(now) == Standing::Trial && is_new(peer) && peer.health.claim_trial() {
                return Some(Choice { target, peer: peer.clone(), trial: true });
            }
        }
    }
    leave_out(upstream, now);
    None
}

/// Leaves out who failed too often, as far as there is room.
fn leave_out(upstream: &Upstream, now: Millis) {
    let (mut all, mut out, mut outliers) = (0_u32, 0_u32, 0_u32);
    for target in &upstream.targets {
        for peer in target.site.peers().iter() {
            all += 1;
            match peer.health.standing(now) {
                Standing::Good => outliers += u32::from(peer.health.is_outlier(&upstream.ejection)),
                _ => out += 1,
            }
        }
    }
    if outliers == 0 {
        return;
    }
    let room = f64::from(all) * upstream.ejection.at_most;
    for target in &upstream.targets {
        for peer in target.site.peers().iter() {
            let outlier =
                peer.health.standing(now) == Standing::Good && peer.health.is_outlier(&upstream.ejection);
            if outlier && f64::from(out + 1) <= room {
                peer.health.eject(&upstream.ejection, now);
                out += 1;
            }
        }
    }
}

/// One of the wanted, by weight. Each address of a name has its endpoint's weight.
fn drawn<'u>(
    upstream: &'u Upstream,
    random: u64,
    wanted: &dyn Fn(&Arc<Peer>) -> bool,
) -> Option<(Choice<'u>, u32)> {
    let mut seen = 0_u64;
    let mut found = None;
    // One pass: each is taken in place of the last with its share of what was seen so far.
    let mut state = random;
    for target in &upstream.targets {
        for peer in target.site.peers().iter().filter(|peer| wanted(peer)) {
            seen += u64::from(target.weight);
            state = mix(state);
            if state % seen.max(1) < u64::from(target.weight) {
                found = Some((target, peer.clone()));
            }
        }
    }
    let (target, peer) = found?;
    Some((Choice { target, peer, trial: false }, target.weight))
}

/// Whether `a` has less to do than `b` for its weight.
fn less(a: &Peer, of_a: u32, b: &Peer, of_b: u32) -> bool {
    u64::from(a.health.load()) * u64::from(of_b) < u64::from(b.health.load()) * u64::from(of_a)
}

/// A number that looks random from one that is (splitmix64).
pub(crate) fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
