//! When to try again.

use crate::webhook::{Retry, seconds};
use std::time::Duration;

/// `fibonacci` goes on for this long, as Casso does.
const FIBONACCI_FOR: u64 = 12 * 3_600;

/// The wait after `tries` failed attempts (at least 1); `None` when the schedule
/// is used up. `jitter`, 0 to 1, adds up to a tenth.
#[must_use]
pub fn next_delay(retry: &Retry, tries: u32, jitter: f64) -> Option<Duration> {
    let delay = match retry {
        Retry::Fibonacci => fibonacci(tries)?,
        Retry::Fixed {
            interval_seconds,
            max_attempts,
        } => (tries < *max_attempts).then(|| seconds(*interval_seconds))??,
        Retry::Exponential {
            initial_seconds,
            factor,
            max_seconds,
            max_attempts,
        } => {
            let power = i32::try_from(tries.saturating_sub(1)).ok()?;
            let wait = (initial_seconds * factor.powi(power)).min(*max_seconds);
            (tries < *max_attempts).then(|| seconds(wait))??
        }
        Retry::Standard => {
            let waits = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
            Duration::from_secs(*waits.get(usize::try_from(tries.checked_sub(1)?).ok()?)?)
        }
        Retry::Custom { delays_seconds } => {
            seconds(*delays_seconds.get(usize::try_from(tries.checked_sub(1)?).ok()?)?)?
        }
    };
    Some(delay.saturating_add(delay.mul_f64(jitter.clamp(0.0, 1.0) / 10.0)))
}

fn fibonacci(tries: u32) -> Option<Duration> {
    let (mut wait, mut next, mut spent) = (60_u64, 60_u64, 60_u64);
    for _ in 1..tries {
        (wait, next) = (next, wait.checked_add(next)?);
        spent = spent.checked_add(wait)?;
        if spent > FIBONACCI_FOR {
            return None;
        }
    }
    Some(Duration::from_secs(wait))
}
