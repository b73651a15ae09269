//! The judge against made-up traffic: many rollouts, good ones and bad ones, at all rates. No test waits: the clock is a number.

use haechi_edge::Waits;
use haechi_guard::Mode;

use super::*;

fn guard() -> ActivationGuard {
    ActivationGuard {
        mode: Mode::Enforce,
        window: Duration::from_secs(60),
        watch: Duration::from_secs(600),
        least_requests: 20,
        server_errors: 0.01,
        refusals: 0.05,
        slower: 1.0,
    }
}

/// A generator whose numbers a seed repeats (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn is(&mut self, share: f64) -> bool {
        self.next() < share
    }
}

/// How calls of one side go.
#[derive(Clone, Copy, Debug)]
struct Service {
    failed: f64,
    refused: f64,
    /// Middle of the waits; they spread over decades, as real ones do.
    wait: f64,
    slow: f64,
}

const USUAL: Service = Service { failed: 0.002, refused: 0.04, wait: 0.02, slow: 0.0 };

fn serve(tally: &mut Tally, service: Service, chance: &mut Chance) {
    tally.requests += 1;
    if chance.is(service.refused) {
        tally.refused += 1;
        let reason = if chance.is(0.5) { "identity:credentials-missing" } else { "limits:rate-exceeded" };
        match tally.reasons.iter_mut().find(|(known, _)| **known == *reason) {
            Some((_, count)) => *count += 1,
            None => tally.reasons.push((reason.into(), 1)),
        }
        return;
    }
    if chance.is(service.failed) {
        tally.failed += 1;
    }
    // A product of chances: most waits are short, a few are twenty times as long.
    let spread = (1.0 / (1.0 - chance.next() * 0.999)).sqrt();
    let wait = service.wait * spread + if chance.is(service.slow) { 2.0 } else { 0.0 };
    tally.waited.add(Duration::from_secs_f64(wait));
}

/// One rollout: `seconds` of `rate` calls a second, of which `share` go to the canary; when it was judged worse, and why.
fn rollout(
    seed: u64,
    (rate, share, seconds): (f64, f64, u64),
    canary: impl Fn(u64) -> Service,
    production: impl Fn(u64) -> Service,
) -> Option<(u64, Finding)> {
    let mut chance = Chance(seed);
    let (mut new, mut old) = (Tally::default(), Tally::default());
    let mut comparison = Comparison::of_canary(guard(), Duration::ZERO, old.clone());
    for second in 1..=seconds {
        let whole =
            (0..).take_while(|n| f64::from(*n) < rate.floor()).count() + usize::from(chance.is(rate.fract()));
        for _ in 0..whole {
            if chance.is(share) {
                serve(&mut new, canary(second), &mut chance);
            } else {
                serve(&mut old, production(second), &mut chance);
            }
        }
        let now = Duration::from_secs(second);
        if let Judgement::Worse(finding) = comparison.look(now, new.clone(), old.clone()) {
            return Some((second, finding));
        }
    }
    None
}

const RATES: [(f64, f64, u64); 6] = [
    (0.5, 0.5, 3600),
    (2.0, 0.25, 1800),
    (10.0, 0.05, 1800),
    (50.0, 0.05, 900),
    (200.0, 0.5, 300),
    (1000.0, 0.05, 120),
];

#[test]
fn no_good_canary_is_taken_back() {
    for seed in 0..20 {
        for traffic in RATES {
            let found = rollout(seed, traffic, |_| USUAL, |_| USUAL);
            assert_eq!(found, None, "{traffic:?} {seed}");
        }
    }
}

#[test]
fn what_hits_both_alike_is_not_the_canarys_fault() {
    // The upstream is away for a minute, then somebody guesses passwords for another.
    let trouble = |second: u64| match second {
        60..120 => Service { failed: 0.9, ..USUAL },
        180..240 => Service { refused: 0.95, ..USUAL },
        280..300 => Service { slow: 0.5, ..USUAL },
        _ => USUAL,
    };
    for seed in 0..40 {
        for traffic in [(5.0, 0.25, 400), (40.0, 0.05, 400), (100.0, 0.5, 400)] {
            let found = rollout(seed, traffic, trouble, trouble);
            assert_eq!(found, None, "{traffic:?} {seed}");
        }
    }
}

#[test]
fn every_faulty_canary_is_taken_back_within_its_first_bad_minute_and_a_half() {
    let faults = [
        ("server-errors", Service { failed: 1.0, ..USUAL }),
        ("refusals", Service { refused: 1.0, ..USUAL }),
        ("latency", Service { slow: 1.0, ..USUAL }),
    ];
    // Traffic of which a minute brings the canary at least the least number of requests.
    for (kind, fault) in faults {
        for seed in 0..60 {
            for traffic in [(10.0, 0.05, 120), (2.0, 0.25, 120), (200.0, 0.05, 120), (100.0, 0.5, 120)] {
                let found = rollout(seed, traffic, |_| fault, |_| USUAL);
                let (second, finding) = found.unwrap_or_else(|| panic!("{kind} {traffic:?} {seed}"));
                assert!(second <= 90, "{kind} {traffic:?} {seed}: after {second} s");
                assert_eq!(finding.kind, kind, "{traffic:?} {seed}");
            }
        }
    }
}

#[test]
fn a_fault_that_begins_late_is_found_within_the_window() {
    for seed in 0..20 {
        let late = |second| if second > 600 { Service { failed: 0.3, ..USUAL } } else { USUAL };
        let (second, finding) = rollout(seed, (50.0, 0.1, 700), late, |_| USUAL).expect("found");
        assert!((601..=660).contains(&second), "{second}");
        assert_eq!(finding.kind, "server-errors");
    }
}

#[test]
fn few_requests_say_nothing_and_hold_nothing() {
    let mut comparison = Comparison::of_canary(guard(), Duration::ZERO, Tally::default());
    let (mut new, mut old) = (Tally::default(), Tally::default());
    for second in 1..=19 {
        new.requests += 1;
        new.failed += 1;
        old.requests += 100;
        let now = Duration::from_secs(second * 10);
        assert_eq!(comparison.look(now, new.clone(), old.clone()), Judgement::Watching);
    }
    new.requests += 1;
    new.failed += 1;
    let judged = comparison.look(Duration::from_secs(200), new, old);
    assert!(matches!(judged, Judgement::Worse(_)), "at the limit it is judged: {judged:?}");
}

#[test]
fn a_good_canary_holds_after_a_window() {
    let mut comparison = Comparison::of_canary(guard(), Duration::ZERO, Tally::default());
    let tally = Tally { requests: 100, ..Tally::default() };
    let look = |comparison: &mut Comparison, second| {
        comparison.look(Duration::from_secs(second), tally.clone(), tally.clone())
    };
    assert_eq!(look(&mut comparison, 59), Judgement::Watching);
    assert_eq!(look(&mut comparison, 60), Judgement::Held);
}

/// A new production: a minute of `before`, then `after`.
fn straight(
    seed: u64,
    rate: u64,
    seconds: u64,
    before: Service,
    after: impl Fn(u64) -> (u64, Service),
) -> Option<(u64, Finding)> {
    let mut chance = Chance(seed);
    let (mut was, mut new) = (Tally::default(), Tally::default());
    (0..rate * 60).for_each(|_| serve(&mut was, before, &mut chance));
    let minute = Duration::from_secs(60);
    let mut comparison = Comparison::of_production(guard(), Duration::ZERO, was, minute);
    for second in 1..=seconds {
        let (factor, service) = after(second);
        (0..rate * factor).for_each(|_| serve(&mut new, service, &mut chance));
        let judged = comparison.look(Duration::from_secs(second), new.clone(), Tally::default());
        if let Judgement::Worse(finding) = judged {
            return Some((second, finding));
        }
    }
    None
}

#[test]
fn a_new_production_is_compared_with_the_time_before() {
    for seed in 0..20 {
        assert_eq!(straight(seed, 20, 600, USUAL, |_| (1, USUAL)), None);
        // Ten times the calls, all the more of them refused: an attack, not a fault.
        let attacked = Service { refused: 0.9, ..USUAL };
        assert_eq!(straight(seed, 20, 300, USUAL, |_| (10, attacked)), None);
        // A moment's trouble passes.
        let blip =
            |second| (1, if (5..15).contains(&second) { Service { failed: 0.5, ..USUAL } } else { USUAL });
        assert_eq!(straight(seed, 20, 300, USUAL, blip), None);
        for (kind, fault) in [
            ("server-errors", Service { failed: 1.0, ..USUAL }),
            ("refusals", Service { refused: 1.0, ..USUAL }),
            ("latency", Service { slow: 1.0, ..USUAL }),
        ] {
            let (second, finding) = straight(seed, 20, 120, USUAL, |_| (1, fault)).expect(kind);
            assert!(second <= 90 && finding.kind == kind, "{kind}: {second} {finding:?}");
        }
    }
}

#[test]
fn the_exact_tests_are_exact() {
    // Fisher's tea taster: three of four, p = 17/70.
    let tea = fisher(Part { count: 3, of: 4 }, Part { count: 1, of: 4 });
    assert!((tea - 17.0 / 70.0).abs() < 1e-12, "{tea}");
    // Five of five against none of 95: one in the number of ways to choose 5 of 100.
    let gone = fisher(Part { count: 5, of: 5 }, Part { count: 0, of: 95 });
    assert!((gone * 75_287_520.0 - 1.0).abs() < 1e-6, "{gone}");
    let coins = binomial_tail(Part { count: 8, of: 10 }, 0.5);
    assert!((coins - 56.0 / 1024.0).abs() < 1e-12, "{coins}");
    let large = fisher(Part { count: 600_000, of: 1_000_000 }, Part { count: 500_000, of: 1_000_000 });
    assert!(large < 1e-200);
    for n in [15u64, 16, 40, 170] {
        let slow: f64 = (2..=n).map(|factor| (factor as f64).ln()).sum();
        assert!((ln_factorial(n) - slow).abs() < 1e-8, "{n}");
    }
}

#[test]
fn memory_is_bounded() {
    let mut comparison = Comparison::of_canary(guard(), Duration::ZERO, Tally::default());
    for second in 1..=10_000 {
        comparison.look(Duration::from_secs(second), Tally::default(), Tally::default());
    }
    assert!(comparison.samples.len() <= 64, "{}", comparison.samples.len());
    let _: Waits = Waits::default();
}
