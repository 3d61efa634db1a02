//! How often something may be done: so many at once, and so many more each second.

use crate::time::Timestamp;

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// At once, after a rest.
    pub burst: f64,
    /// Each second after that.
    pub per_second: f64,
}

/// How often an isolate asks the Registry before it refuses, for each webhook by itself:
/// a flood of forgeries must not become a flood of calls, and at one webhook it must not
/// keep the news from another.
pub const BEFORE_REFUSING: Rate = Rate {
    burst: 10.0,
    per_second: 2.0,
};
/// How often it asks for ids that neither it nor KV knows, all together: few are true.
pub const FOR_UNKNOWN_IDS: Rate = Rate {
    burst: 50.0,
    per_second: 5.0,
};

/// What is left of a [`Rate`]. Begins full.
#[derive(Clone, Debug)]
pub struct Allowance {
    rate: Rate,
    left: f64,
    at: Timestamp,
}

impl Allowance {
    /// A full one.
    #[must_use]
    pub const fn new(rate: Rate, now: Timestamp) -> Self {
        Self {
            rate,
            left: rate.burst,
            at: now,
        }
    }

    /// Takes one, if there is one. A clock that goes back gives nothing and takes
    /// nothing.
    pub fn take(&mut self, now: Timestamp) -> bool {
        let refill = now.since(self.at).as_secs_f64() * self.rate.per_second;
        self.left = (self.left + refill).min(self.rate.burst);
        self.at = now;
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_so_many_a_second() {
        let at = |seconds: i64| Timestamp::from_seconds(1_000 + seconds);
        let rate = Rate {
            burst: 3.0,
            per_second: 2.0,
        };
        let mut allowance = Allowance::new(rate, at(0));
        let mut taken = |seconds| {
            let asked = std::iter::repeat_with(|| allowance.take(at(seconds)));
            asked.take(10).filter(|may| *may).count()
        };
        assert_eq!(taken(0), 3);
        assert_eq!(taken(0), 0);
        assert_eq!(taken(1), 2);
        assert_eq!(taken(2), 2);
        assert_eq!(taken(100), 3, "a long rest gives a burst and no more");
        assert_eq!(taken(50), 0, "the clock went back");
        assert_eq!(taken(51), 2);
    }
}
