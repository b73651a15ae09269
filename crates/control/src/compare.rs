//! Is what is new worse than what was? A pure function of counts and a clock.
//!
//! A canary is compared with production over the same time. Each request was dealt by chance, so that under the null hypothesis (both
//! serve alike) the failures among all requests are spread over the two by the hypergeometric distribution, whatever their number, their
//! causes and their bursts: Fisher's exact test is then exactly right, for five requests as for five million. A new production can only
//! be compared with the time before, where a coincidence (an upstream that went away just then) cannot be told from a cause: there a
//! difference counts if it lasts.
//!
//! A difference must be both certain and large. Certain: less likely than [`CHANCE`] if there were none. Large: more than the guard
//! conditions of `haechi.yaml` allow. The figures are looked at every second, for hours, for several reasons: `CHANCE` is so small that
//! all these looks together are wrong less than once in a hundred rollouts even if they were independent.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use haechi_config::model::ActivationGuard;
use haechi_edge::Tally;

/// How unlikely a difference must be if there were none. An upstream that is gone is certain after five requests of a 5 % canary.
const CHANCE: f64 = 1e-7;
/// What nobody notices is no reason to take a change back, whatever its share.
const LEAST_SLOWER: Duration = Duration::from_millis(50);
/// The time of the comparison in parts; a new production must be worse in each of the last [`LASTING`].
const PARTS: u32 = 6;
const LASTING: usize = 3;
/// A new production that refuses more but still lets through this share of what was let through before is one that is attacked.
const STILL_ADMITTED: f64 = 0.7;
/// Samples kept of one comparison: a window at one a second, an hour long.
const SAMPLES: usize = 3600;

/// Two that are compared, as they go on.
#[derive(Debug)]
pub(crate) struct Comparison {
    guard: ActivationGuard,
    against: Against,
    started: Duration,
    samples: VecDeque<Sample>,
}

/// What the new one is compared with.
#[derive(Debug)]
enum Against {
    /// Production, at the same time.
    Production,
    /// What was before, over so long.
    Before(Box<Tally>, Duration),
}

/// What both had served at one moment.
#[derive(Clone, Debug)]
struct Sample {
    at: Duration,
    new: Tally,
    old: Tally,
}

/// What is to be said now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Judgement {
    /// Too early to say.
    Watching,
    /// As good as what it is compared with, over the whole time it is to be.
    Held,
    /// Worse.
    Worse(Finding),
}

/// In what it is worse.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    /// `server-errors`, `latency`, `refusals`.
    pub(crate) kind: &'static str,
    /// The figures, for a person.
    pub(crate) figures: String,
}

/// So many of so many.
#[derive(Clone, Copy, Debug)]
struct Part {
    count: u64,
    of: u64,
}

// === impl Comparison ===

impl Comparison {
    /// A canary, beside production. Times are of any one clock.
    pub(crate) fn of_canary(guard: ActivationGuard, now: Duration, production: Tally) -> Self {
        let first = Sample { at: now, new: Tally::default(), old: production };
        Self { guard, against: Against::Production, started: now, samples: VecDeque::from([first]) }
    }

    /// A new production, after what was `before` over the time `over`.
    pub(crate) fn of_production(
        guard: ActivationGuard,
        now: Duration,
        before: Tally,
        over: Duration,
    ) -> Self {
        let first = Sample { at: now, new: Tally::default(), old: Tally::default() };
        Self {
            guard,
            against: Against::Before(Box::new(before), over),
            started: now,
            samples: VecDeque::from([first]),
        }
    }

    /// Looks at what both have served by now.
    pub(crate) fn look(&mut self, now: Duration, new: Tally, production: Tally) -> Judgement {
        self.samples.push_back(Sample { at: now, new, old: production });
        // The first sample stays: it is the beginning. Of the others, one older than the window is needed.
        let begin = now.saturating_sub(self.guard.window);
        while self.samples.len() > 3
            && (self.samples.len() > SAMPLES || self.samples.get(2).is_some_and(|sample| sample.at <= begin))
        {
            self.samples.remove(1);
        }
        let Some(since_start) = self.over(now.saturating_sub(self.started)) else {
            return Judgement::Watching;
        };
        let finding = match &self.against {
            Against::Production => {
                // What few requests cannot show within a window, many windows can.
                let window = self.over(self.guard.window);
                [window, Some(since_start.clone())]
                    .into_iter()
                    .flatten()
                    .find_map(|(new, old)| self.worse(&new, &old))
            }
            Against::Before(before, over) => self.over(self.guard.window).and_then(|(new, _)| {
                let (new, before) = (with_unread(new), with_unread(Tally::clone(before)));
                let finding = self.worse(&new, &before)?;
                self.lasts(&finding, now, &before, *over).then_some(finding)
            }),
        };
        if let Some(finding) = finding {
            return Judgement::Worse(finding);
        }
        let long_enough = match self.against {
            Against::Production => self.guard.window,
            Against::Before(..) => self.guard.watch,
        };
        let enough = since_start.0.requests >= self.guard.least_requests;
        if now.saturating_sub(self.started) >= long_enough && enough {
            Judgement::Held
        } else {
            Judgement::Watching
        }
    }

    /// What both have served over the last `time`, or since the beginning.
    fn over(&self, time: Duration) -> Option<(Tally, Tally)> {
        let last = self.samples.back()?;
        let begin = last.at.saturating_sub(time);
        let first = self.samples.iter().rev().find(|sample| sample.at <= begin).or(self.samples.front())?;
        Some((last.new.since(&first.new), last.old.since(&first.old)))
    }

    /// In what `new` is certainly and much worse than `old`.
    fn worse(&self, new: &Tally, old: &Tally) -> Option<Finding> {
        if new.requests < self.guard.least_requests {
            return None;
        }
        let failed =
            (Part { count: new.failed, of: new.requests }, Part { count: old.failed, of: old.requests });
        if is_worse(failed, self.guard.server_errors) {
            let figures = format!("calls failed: {}, {} {}", failed.0, self.name(), failed.1);
            return Some(Finding { kind: "server-errors", figures });
        }
        for (reason, count) in &new.reasons {
            let parts = (
                Part { count: *count, of: new.requests },
                Part { count: old.of(reason).min(old.requests), of: old.requests },
            );
            if is_worse(parts, self.guard.refusals) && self.keeps_out(new, old) {
                let figures =
                    format!("calls refused by `{reason}`: {}, {} {}", parts.0, self.name(), parts.1);
                return Some(Finding { kind: "refusals", figures });
            }
        }
        let refused =
            (Part { count: new.refused, of: new.requests }, Part { count: old.refused, of: old.requests });
        if is_worse(refused, self.guard.refusals) && self.keeps_out(new, old) {
            let figures = format!("calls refused: {}, {} {}", refused.0, self.name(), refused.1);
            return Some(Finding { kind: "refusals", figures });
        }
        self.slower(new, old)
    }

    /// Whether fewer are let through. At the same time this is what more refusals mean; after another time it need not be.
    fn keeps_out(&self, new: &Tally, old: &Tally) -> bool {
        match &self.against {
            Against::Production => true,
            Against::Before(_, over) => {
                let window = self.guard.window.min(
                    self.samples
                        .back()
                        .map_or(Duration::ZERO, |sample| sample.at.saturating_sub(self.started)),
                );
                rate(new.admitted(), window) < STILL_ADMITTED * rate(old.admitted(), *over)
            }
        }
    }

    /// Whether the slowest hundredth takes much longer.
    fn slower(&self, new: &Tally, old: &Tally) -> Option<Finding> {
        let (waits, others) = (&new.waited, &old.waited);
        if waits.total() < self.guard.least_requests || others.total() == 0 {
            return None;
        }
        let usual = others.quantile(0.99);
        let bound = usual.mul_f64(1.0 + self.guard.slower).max(usual + LEAST_SLOWER);
        let slow = Part { count: waits.longer_than(bound), of: waits.total() };
        let slow_before = Part { count: others.longer_than(bound), of: others.total() };
        let certain = binomial_tail(slow, 0.01) < CHANCE && fisher(slow, slow_before) < CHANCE;
        certain.then(|| Finding {
            kind: "latency",
            figures: format!(
                "the slowest hundredth took {:.0?} or longer, {} {:.0?}; longer than {:.0?} took {slow}",
                waits.quantile(0.99),
                self.name(),
                usual,
                bound
            ),
        })
    }

    /// Whether it is as bad in each of the last parts of the window: a moment's trouble is not the change's fault.
    fn lasts(&self, finding: &Finding, now: Duration, before: &Tally, over: Duration) -> bool {
        let part = self.guard.window / PARTS;
        if now.saturating_sub(self.started) < part * u32::try_from(LASTING).unwrap_or(PARTS) {
            return false;
        }
        let at = |ago: Duration| {
            let begin = now.saturating_sub(ago);
            self.samples.iter().rev().find(|sample| sample.at <= begin).or(self.samples.front())
        };
        let mut from = part * u32::try_from(LASTING).unwrap_or(PARTS);
        while !from.is_zero() {
            let (Some(first), Some(last)) = (at(from), at(from.saturating_sub(part))) else { return false };
            let new = with_unread(last.new.since(&first.new));
            let as_bad = match finding.kind {
                "server-errors" => {
                    share(new.failed, new.requests)
                        >= share(before.failed, before.requests) + self.guard.server_errors
                }
                "latency" => {
                    let usual = before.waited.quantile(0.99);
                    let bound = usual.mul_f64(1.0 + self.guard.slower).max(usual + LEAST_SLOWER);
                    share(new.waited.longer_than(bound), new.waited.total()) > 0.01
                }
                _ => {
                    share(new.refused, new.requests)
                        >= share(before.refused, before.requests) + self.guard.refusals
                        && rate(new.admitted(), part) < STILL_ADMITTED * rate(before.admitted(), over)
                }
            };
            if !as_bad {
                return false;
            }
            from = from.saturating_sub(part);
        }
        true
    }

    fn name(&self) -> &'static str {
        match self.against {
            Against::Production => "in production",
            Against::Before(..) => "before",
        }
    }
}

/// What is no request was dealt to nobody; it counts where only one serves.
fn with_unread(mut tally: Tally) -> Tally {
    tally.requests += tally.unread;
    tally.refused += tally.unread;
    tally.unread = 0;
    tally
}

/// Whether the share is certainly greater, and by more than `most`.
fn is_worse((new, old): (Part, Part), most: f64) -> bool {
    share(new.count, new.of) > share(old.count, old.of) + most && fisher(new, old) < CHANCE
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
fn share(count: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { count as f64 / of as f64 }
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
fn rate(count: u64, over: Duration) -> f64 {
    if over.is_zero() { 0.0 } else { count as f64 / over.as_secs_f64() }
}

/// How likely it is that at least `new.count` of all that count fall to the `new.of`, if they fall by chance (Fisher's exact test,
/// one-sided).
fn fisher(new: Part, old: Part) -> f64 {
    let (all, counted) = (new.of + old.of, new.count + old.count);
    if share(new.count, new.of) <= share(counted, all) {
        return 1.0;
    }
    let ways = ln_choose(all, counted);
    let most = counted.min(new.of);
    tail(
        (new.count..=most)
            .map(|count| ln_choose(new.of, count) + ln_choose(old.of, counted.saturating_sub(count)) - ways),
    )
}

/// How likely at least `part.count` of `part.of` are, if each is with `chance`.
fn binomial_tail(part: Part, chance: f64) -> f64 {
    if share(part.count, part.of) <= chance {
        return 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
    tail((part.count..=part.of).map(|count| {
        ln_choose(part.of, count)
            + count as f64 * chance.ln()
            + (part.of - count) as f64 * (1.0 - chance).ln()
    }))
}

/// The sum of terms of which each is smaller than the one before, from their logarithms; ends when nothing more is added.
fn tail(terms: impl Iterator<Item = f64>) -> f64 {
    let mut sum = 0.0;
    for term in terms {
        let term = term.exp();
        sum += term;
        if term <= sum * 1e-9 {
            break;
        }
    }
    sum.min(1.0)
}

fn ln_choose(n: u64, k: u64) -> f64 {
    if k > n {
        return f64::NEG_INFINITY;
    }
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

/// The logarithm of n! (Stirling's series; off by less than 10⁻⁹ from 16 on, exact below).
#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
fn ln_factorial(n: u64) -> f64 {
    if n < 16 {
        return (2..=n).map(|factor| factor as f64).product::<f64>().ln();
    }
    let n = n as f64;
    n * n.ln() - n + 0.5 * (2.0 * std::f64::consts::PI * n).ln() + 1.0 / (12.0 * n)
        - 1.0 / (360.0 * n.powi(3))
        + 1.0 / (1260.0 * n.powi(5))
}

// === impl Part ===

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} ({:.1} %)", self.count, self.of, share(self.count, self.of) * 100.0)
    }
}
