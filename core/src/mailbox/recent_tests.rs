//! Test calls of the last seconds: identical ones are relayed once. The Mailbox decides
//! with it; an isolate that has just put one into its Mailbox keeps repeats to itself,
//! so that a test call that is replayed wakes nobody.

use crate::{event::DedupeKey, time::Timestamp};
use std::time::Duration;

/// Identical test calls within this time are relayed once.
const MEMORY: Duration = Duration::from_secs(5);
/// So many test calls are remembered: the latest.
const REMEMBERED: usize = 64;

/// The latest test calls, and when they came.
#[derive(Debug, Default)]
pub struct RecentTests(Vec<(DedupeKey, Timestamp)>);

impl RecentTests {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether this one came within the last seconds.
    #[must_use]
    pub fn has(&self, key: &DedupeKey, now: Timestamp) -> bool {
        let mut known = self.0.iter();
        known.any(|(known, at)| known == key && is_recent(*at, now))
    }

    /// Remembers one that has come.
    pub fn add(&mut self, key: DedupeKey, now: Timestamp) {
        self.0.retain(|(_, at)| is_recent(*at, now));
        if self.0.len() >= REMEMBERED {
            self.0.remove(0);
        }
        self.0.push((key, now));
    }
}

/// Within the last seconds, whichever way the clock was moved.
fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.since(at) < MEMORY && at.since(now) < MEMORY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_call_is_known_for_five_seconds_and_so_are_the_latest_64() {
        let at = |seconds: i64| Timestamp::from_seconds(1_000 + seconds);
        let mut recent = RecentTests::new();
        recent.add([1; 32], at(0));
        assert!(recent.has(&[1; 32], at(4)) && !recent.has(&[2; 32], at(4)));
        assert!(!recent.has(&[1; 32], at(5)));
        // Of a clock that was put back it is not known for longer.
        assert!(recent.has(&[1; 32], at(-4)) && !recent.has(&[1; 32], at(-5)));
        for n in 2..=65 {
            recent.add([n; 32], at(1));
        }
        assert!(!recent.has(&[1; 32], at(1)) && recent.has(&[2; 32], at(1)));
        recent.add([1; 32], at(100));
        assert_eq!(recent.0.len(), 1, "what is over has gone");
    }
}
