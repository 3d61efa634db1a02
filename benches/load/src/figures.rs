//! When each event was sent, answered and relayed, by one clock; and what the
//! middle and the slowest of them took.

use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// So many events can be followed in one process.
const FOLLOWED: usize = 2_000_000;

struct Event {
    sent: AtomicU64,
    answered: AtomicU64,
    arrived: AtomicU64,
}

/// Nanoseconds since the start, for each event; 0 is never.
#[derive(Clone)]
pub(crate) struct Times {
    start: Instant,
    events: Arc<Vec<Event>>,
}

impl Times {
    pub(crate) fn new() -> Self {
        let never = || Event {
            sent: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
        };
        Self {
            start: Instant::now(),
            events: Arc::new((0..FOLLOWED).map(|_| never()).collect()),
        }
    }

    fn event(&self, sequence: u64) -> &Event {
        let at = usize::try_from(sequence).expect("a sequence fits");
        self.events.get(at).expect("more events than are followed")
    }

    fn since_start(&self, at: Instant) -> u64 {
        u64::try_from((at - self.start).as_nanos())
            .expect("a run takes minutes")
            .max(1)
    }

    pub(crate) fn sent(&self, sequence: u64, at: Instant) {
        self.event(sequence)
            .sent
            .store(self.since_start(at), Relaxed);
    }

    pub(crate) fn answered(&self, sequence: u64, at: Instant) {
        self.event(sequence)
            .answered
            .store(self.since_start(at), Relaxed);
    }

    /// Only the first time counts.
    pub(crate) fn arrived(&self, sequence: u64, at: Instant) {
        let _ = self.event(sequence).arrived.compare_exchange(
            0,
            self.since_start(at),
            Relaxed,
            Relaxed,
        );
    }

    /// Waits until the events have arrived, or for as long as there is patience.
    pub(crate) fn arrivals(&self, first: u64, count: u64, patience: Duration) -> Value {
        let deadline = Instant::now() + patience;
        let all = first..first + count;
        let mut next = first;
        while next < all.end && Instant::now() < deadline {
            if self.event(next).arrived.load(Relaxed) == 0 {
                std::thread::sleep(Duration::from_millis(5));
            } else {
                next += 1;
            }
        }
        let mut arrived = Vec::new();
        let mut since_sent = Vec::new();
        let mut since_answered = Vec::new();
        for sequence in all {
            let event = self.event(sequence);
            let at = event.arrived.load(Relaxed);
            if at == 0 {
                continue;
            }
            arrived.push(at);
            since_sent.push(at.saturating_sub(event.sent.load(Relaxed)));
            // An event may be relayed before its sender has read the answer: 0.
            since_answered.push(at.saturating_sub(event.answered.load(Relaxed)));
        }
        arrived.sort_unstable();
        let span = match arrived.as_slice() {
            [first, .., last] => last - first,
            _ => 0,
        };
        json!({
            "arrived": arrived.len(),
            "seconds": seconds(span),
            "since_sent": quantiles(since_sent),
            "since_answered": quantiles(since_answered),
        })
    }
}

pub(crate) fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

/// The median and the 99th percentile, in milliseconds.
pub(crate) fn quantiles(mut nanos: Vec<u64>) -> Value {
    nanos.sort_unstable();
    let at = |per_cent: usize| {
        let place = (nanos.len() * per_cent / 100).min(nanos.len().saturating_sub(1));
        nanos.get(place).map(|nanos| seconds(*nanos) * 1000.0)
    };
    json!({ "p50": at(50), "p99": at(99) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_places_in_the_sorted_list() {
        let nanos = (1..=200).rev().map(|ms| ms * 1_000_000).collect();
        assert_eq!(quantiles(nanos), json!({ "p50": 101.0, "p99": 199.0 }));
        assert_eq!(quantiles(Vec::new()), json!({ "p50": null, "p99": null }));
    }
}
