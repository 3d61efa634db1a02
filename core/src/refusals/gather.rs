//! When refusals are written. The first is written at once, since an operator who sets
//! things up is waiting for it; those that come within the next seconds are gathered
//! and written together.
//!
//! This is the memory of one isolate, and may be lost with it: what is shown of refused
//! requests is a sample, not an account.

use super::{MOST, Refused};
use crate::{
    allowance::{Allowance, Rate},
    ids::WebhookId,
    time::Timestamp,
};
use std::time::Duration;

/// The least time between two writes for one webhook.
const BETWEEN_WRITES: Duration = Duration::from_secs(10);
/// A write that was to be made so long ago will not be: its request was cut off.
const LATE: Duration = Duration::from_secs(5);
/// How many are looked at closely enough to be kept, of one webhook.
const TAKEN: Rate = Rate {
    burst: 50.0,
    per_second: 5.0,
};
/// How many webhooks are kept in mind.
const MOST_WEBHOOKS: usize = 64;

/// The refusals of an isolate that are not written yet.
#[derive(Debug, Default)]
pub struct Gathering {
    webhooks: Vec<(WebhookId, Gathered)>,
}

#[derive(Debug)]
struct Gathered {
    /// In the order they came; at most [`MOST`].
    waiting: Vec<Refused>,
    /// The next write is made then or later.
    next_write: Timestamp,
    /// Somebody is waiting to make it.
    is_planned: bool,
    allowance: Allowance,
}

impl Gathering {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            webhooks: Vec::new(),
        }
    }

    /// Whether a refusal of this webhook is looked at closely enough to be kept, which
    /// costs many times what refusing it did. If so it is to be [`add`](Self::add)ed once
    /// the sender has its answer.
    pub fn admit(&mut self, webhook: WebhookId, now: Timestamp) -> bool {
        if self.find(webhook).is_none() {
            self.webhooks.retain(|(_, gathered)| !gathered.is_over(now));
            if self.webhooks.len() >= MOST_WEBHOOKS {
                return false;
            }
            let fresh = Gathered {
                waiting: Vec::new(),
                next_write: now,
                is_planned: false,
                allowance: Allowance::new(TAKEN, now),
            };
            self.webhooks.push((webhook, fresh));
        }
        self.find(webhook)
            .is_some_and(|gathered| gathered.allowance.take(now))
    }

    /// Takes a refusal that was admitted. Says after what time [`take`](Self::take) gives
    /// what is to be written; `None` when somebody has been told already.
    pub fn add(
        &mut self,
        webhook: WebhookId,
        now: Timestamp,
        refused: Refused,
    ) -> Option<Duration> {
        let gathered = self.find(webhook)?;
        if gathered.waiting.len() >= MOST {
            gathered.waiting.remove(0);
        }
        gathered.waiting.push(refused);
        if gathered.is_planned && !gathered.is_over(now) {
            return None;
        }
        gathered.is_planned = true;
        gathered.next_write = gathered.next_write.max(now);
        // A clock that went back does not put it off for long.
        Some(gathered.next_write.since(now).min(BETWEEN_WRITES))
    }

    /// What waits to be written of this webhook, in the order it came.
    pub fn take(&mut self, webhook: WebhookId, now: Timestamp) -> Vec<Refused> {
        let Some(gathered) = self.find(webhook) else {
            return Vec::new();
        };
        gathered.is_planned = false;
        gathered.next_write = now.plus(BETWEEN_WRITES);
        std::mem::take(&mut gathered.waiting)
    }

    fn find(&mut self, webhook: WebhookId) -> Option<&mut Gathered> {
        self.webhooks
            .iter_mut()
            .find(|(id, _)| *id == webhook)
            .map(|(_, gathered)| gathered)
    }
}

impl Gathered {
    /// Nothing has come since the last write, or the write that was planned has not been
    /// made.
    fn is_over(&self, now: Timestamp) -> bool {
        now >= self.next_write.plus(LATE)
    }
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a test may fail, and says so by panicking"
)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn id(n: u8) -> WebhookId {
        WebhookId::from_random([n; 16])
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_000 + seconds)
    }

    fn add(all: &mut Gathering, webhook: u8, seconds: i64) -> Option<Duration> {
        let refused = Refused {
            at: at(seconds),
            json: String::new(),
        };
        let admitted = all.admit(id(webhook), at(seconds));
        admitted.then(|| all.add(id(webhook), at(seconds), refused))?
    }

    fn times(refused: &[Refused]) -> Vec<i64> {
        let seconds = refused.iter().map(|one| one.at.seconds() - 1_000);
        seconds.collect()
    }

    #[test]
    fn the_first_is_written_at_once_and_those_after_it_together() {
        let mut all = Gathering::new();
        assert_eq!(add(&mut all, 1, 0), Some(Duration::ZERO));
        assert_eq!(times(&all.take(id(1), at(0))), [0]);
        assert_eq!(add(&mut all, 1, 1), Some(SECOND * 9));
        for seconds in 2..9 {
            assert_eq!(add(&mut all, 1, seconds), None, "one is told, and no more");
        }
        // Each webhook by itself.
        assert_eq!(add(&mut all, 2, 3), Some(Duration::ZERO));
        assert_eq!(
            times(&all.take(id(1), at(10))),
            [1, 2, 3, 4, 5, 6, 7, 8],
            "in the order they came"
        );
        assert_eq!(times(&all.take(id(1), at(10))), [0; 0]);
        assert_eq!(add(&mut all, 1, 12), Some(SECOND * 8));
        assert_eq!(times(&all.take(id(1), at(20))), [12]);
        assert_eq!(
            add(&mut all, 1, 31),
            Some(Duration::ZERO),
            "at once after a rest"
        );
        assert_eq!(times(&all.take(id(3), at(31))), [0; 0]);
    }

    #[test]
    fn a_write_that_was_cut_off_is_made_by_the_next() {
        let mut all = Gathering::new();
        assert_eq!(add(&mut all, 1, 0), Some(Duration::ZERO));
        assert_eq!(add(&mut all, 1, 4), None, "it is under way");
        assert_eq!(add(&mut all, 1, 5), Some(Duration::ZERO));
        assert_eq!(times(&all.take(id(1), at(5))), [0, 4, 5]);
        assert_eq!(add(&mut all, 1, 6), Some(SECOND * 9));
        assert_eq!(add(&mut all, 1, 19), None);
        assert_eq!(add(&mut all, 1, 20), Some(Duration::ZERO));
        assert_eq!(times(&all.take(id(1), at(20))), [6, 19, 20]);
    }

    #[test]
    fn a_clock_that_goes_back_puts_nothing_off_for_long() {
        let mut all = Gathering::new();
        add(&mut all, 1, 500);
        all.take(id(1), at(500));
        assert_eq!(add(&mut all, 1, 0), Some(BETWEEN_WRITES));
    }

    #[test]
    fn a_flood_is_a_sample_of_its_newest() {
        let mut all = Gathering::new();
        let mut made = 0;
        let mut told = 0;
        for milli in 0..9_000 {
            let now = at(0).plus(Duration::from_millis(milli));
            if !all.admit(id(1), now) {
                continue;
            }
            made += 1;
            let refused = Refused {
                at: now,
                json: String::new(),
            };
            // The first write finds a moment at once.
            if all.add(id(1), now, refused) == Some(Duration::ZERO) {
                assert_eq!(all.take(id(1), now).len(), 1);
            } else {
                told += usize::from(milli == 1);
            }
        }
        assert_eq!(told, 1);
        assert!((50..=100).contains(&made), "{made}");
        let taken = all.take(id(1), at(10));
        assert_eq!(taken.len(), MOST);
        assert!(taken[49].at >= at(8), "{:?}", taken[49]);
    }

    #[test]
    fn webhooks_that_are_kept_in_mind_are_few() {
        let mut all = Gathering::new();
        for n in 0..64 {
            assert_eq!(add(&mut all, n, 0), Some(Duration::ZERO));
            all.take(id(n), at(0));
        }
        assert_eq!(add(&mut all, 64, 14), None, "no room yet");
        assert_eq!(all.take(id(64), at(14)), []);
        add(&mut all, 0, 14);
        assert_eq!(add(&mut all, 64, 15), Some(Duration::ZERO));
        assert_eq!(all.webhooks.len(), 2, "those that are over have gone");
        assert_eq!(times(&all.take(id(0), at(15))), [14]);
    }
}
