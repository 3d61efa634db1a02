//! When to try again: the wait that a schedule asks for after each failure, and
//! what an origin's `Retry-After` adds to it.
//!
//! Out of scope: who is tried again at all. Health, release and giving up are
//! the Mailbox's.

use crate::{
    time::{DAY, HOUR, MINUTE, Timestamp},
    webhook::{Retry, seconds},
};
use std::time::Duration;

/// How long the Fibonacci schedule goes on.
const FIBONACCI_WINDOW: Duration = Duration::from_secs(12 * 3_600);

/// The waits of the Standard Webhooks specification (section "Retries").
const STANDARD_SECONDS: [u64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// The most that `Retry-After` is followed for.
const LONGEST_RETRY_AFTER: Duration = HOUR;

/// Longer than anything is kept; keeps arithmetic far from its limits.
const LONGEST_DELAY: Duration = DAY.saturating_mul(1_000);

/// The wait before the next attempt, after `tries` attempts (1 or more) since the
/// delivery was queued; `None` when the schedule is used up. `jitter`, 0 to 1,
/// adds up to a tenth of the wait and never takes anything away.
///
/// `fibonacci` is 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233 minutes: 609 in
/// all. The next wait, 377 minutes, would end after the 12 hours, so there are 13
/// further attempts, 14 with the first. Casso says of its own schedule only that
/// the first wait is a minute and each next one the next Fibonacci number.
///
/// A wait that is negative or not a number cannot be configured; should one be
/// met in spite of that, it counts as a minute: the event is neither given up nor
/// thrown at the origin without a pause.
#[must_use]
pub fn next_delay(retry: &Retry, tries: u32, jitter: f64) -> Option<Duration> {
    let done = tries.max(1);
    let index = usize::try_from(done.saturating_sub(1)).ok()?;
    let delay = match retry {
        Retry::Fibonacci => fibonacci(done)?,
        Retry::Fixed {
            interval_seconds,
            max_attempts,
        } => within(done, *max_attempts, *interval_seconds)?,
        Retry::Exponential {
            initial_seconds,
            factor,
            max_seconds,
            max_attempts,
        } => {
            let exponent = i32::try_from(index).unwrap_or(i32::MAX);
            // `min` passes over a NaN, such as zero times infinity.
            let wait = (initial_seconds * factor.powi(exponent)).min(*max_seconds);
            within(done, *max_attempts, wait)?
        }
        Retry::Standard => Duration::from_secs(*STANDARD_SECONDS.get(index)?),
        Retry::Custom { delays_seconds } => sane(*delays_seconds.get(index)?),
    };
    Some(delay.saturating_add(up_to_a_tenth(delay, jitter)))
}

/// When the origin asked to be tried again, from a `Retry-After` field: seconds or
/// an HTTP date (RFC 9110, section 10.2.3). At most an hour ahead; `None` when it
/// is not in the future or cannot be read.
#[must_use]
pub fn retry_after(value: &str, now: Timestamp) -> Option<Timestamp> {
    let value = value.trim();
    let latest = now.plus(LONGEST_RETRY_AFTER);
    let asked = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit is a long time, and so the longest.
        value
            .parse()
            .map_or(latest, |seconds| now.plus(Duration::from_secs(seconds)))
    } else {
        Timestamp::parse_http_date(value)?
    };
    (asked > now).then(|| asked.min(latest))
}

fn fibonacci(number: u32) -> Option<Duration> {
    let (mut wait, mut next, mut sum) = (MINUTE, MINUTE, MINUTE);
    for _ in 1..number {
        (wait, next) = (next, wait.saturating_add(next));
        sum = sum.saturating_add(wait);
        if sum > FIBONACCI_WINDOW {
            return None;
        }
    }
    Some(wait)
}

fn within(done: u32, max_attempts: u32, wait_seconds: f64) -> Option<Duration> {
    (done < max_attempts).then(|| sane(wait_seconds))
}

fn sane(wait_seconds: f64) -> Duration {
    match seconds(wait_seconds) {
        Some(wait) => wait.min(LONGEST_DELAY),
        None if wait_seconds > 0.0 => LONGEST_DELAY,
        None => MINUTE,
    }
}

fn up_to_a_tenth(delay: Duration, jitter: f64) -> Duration {
    // Not a number is no jitter.
    let share = if jitter > 0.0 { jitter.min(1.0) } else { 0.0 };
    let tenth = delay.checked_div(10).unwrap_or_default();
    tenth.mul_f64(share).min(tenth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All waits of a schedule, in seconds, without jitter.
    fn waits(retry: &Retry) -> Vec<f64> {
        (1..100)
            .map_while(|tries| next_delay(retry, tries, 0.0))
            .map(|wait| wait.as_secs_f64())
            .collect()
    }

    #[test]
    fn fibonacci_waits_13_times_and_stays_within_12_hours() {
        let minutes = [1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233];
        assert_eq!(
            waits(&Retry::Fibonacci),
            minutes.map(|minute| f64::from(minute * 60))
        );
        assert!(minutes.iter().sum::<i32>() <= 720);
        assert!(minutes.iter().sum::<i32>() + 144 + 233 > 720);
        assert_eq!(next_delay(&Retry::Fibonacci, 14, 0.0), None);
        assert_eq!(next_delay(&Retry::Fibonacci, u32::MAX, 0.0), None);
    }

    #[test]
    fn fixed_counts_the_first_attempt() {
        let abaha = Retry::Fixed {
            interval_seconds: 300.0,
            max_attempts: 3,
        };
        assert_eq!(waits(&abaha), [300.0, 300.0]);
        let once = Retry::Fixed {
            interval_seconds: 300.0,
            max_attempts: 1,
        };
        assert_eq!(waits(&once), [0.0; 0]);
    }

    #[test]
    fn exponential_grows_to_its_longest_wait() {
        let retry = |factor, max_attempts| Retry::Exponential {
            initial_seconds: 0.5,
            factor,
            max_seconds: 10.0,
            max_attempts,
        };
        assert_eq!(
            waits(&retry(3.0, 7)),
            [0.5, 1.5, 4.5, 10.0, 10.0, 10.0],
            "six waits between seven attempts"
        );
        assert_eq!(waits(&retry(1.0, 3)), [0.5, 0.5]);
        assert_eq!(
            next_delay(&retry(3.0, u32::MAX), u32::MAX - 1, 0.0),
            Some(Duration::from_secs(10))
        );
    }

    #[test]
    fn standard_is_as_specified() {
        let (minute, hour) = (60.0, 3_600.0);
        assert_eq!(
            waits(&Retry::Standard),
            [
                5.0,
                5.0 * minute,
                30.0 * minute,
                2.0 * hour,
                5.0 * hour,
                10.0 * hour,
                14.0 * hour,
                20.0 * hour,
                24.0 * hour
            ]
        );
    }

    #[test]
    fn custom_is_the_list_and_then_nothing() {
        let retry = Retry::Custom {
            delays_seconds: vec![0.5, 2.0, 0.0],
        };
        assert_eq!(waits(&retry), [0.5, 2.0, 0.0]);
    }

    #[test]
    fn a_wait_that_is_no_number_of_seconds_is_a_minute_and_a_huge_one_is_bounded() {
        for (seconds, expected) in [
            (f64::NAN, MINUTE),
            (-1.0, MINUTE),
            (f64::NEG_INFINITY, MINUTE),
            (f64::INFINITY, LONGEST_DELAY),
            (1e300, LONGEST_DELAY),
        ] {
            let custom = Retry::Custom {
                delays_seconds: vec![seconds],
            };
            assert_eq!(next_delay(&custom, 1, 0.0), Some(expected), "{seconds}");
        }
    }

    #[test]
    fn no_attempt_yet_counts_as_the_first() {
        assert_eq!(
            next_delay(&Retry::Standard, 0, 0.0),
            next_delay(&Retry::Standard, 1, 0.0)
        );
    }

    #[test]
    fn retry_after_reads_seconds_and_dates_up_to_an_hour() {
        let now = Timestamp::parse_rfc3339("1994-11-06T08:49:37Z").unwrap();
        let check = |value: &str, seconds: Option<u64>| {
            let expected = seconds.map(|seconds| now.plus(Duration::from_secs(seconds)));
            assert_eq!(retry_after(value, now), expected, "{value:?}");
        };
        check("30", Some(30));
        check(" 30 ", Some(30));
        check("3600", Some(3_600));
        check("3601", Some(3_600));
        check("99999999999999999999999999", Some(3_600));
        check("Sun, 06 Nov 1994 08:49:47 GMT", Some(10));
        check("Sun, 06 Nov 1994 09:49:37 GMT", Some(3_600));
        check("Mon, 07 Nov 1994 08:49:37 GMT", Some(3_600));
        check("Sun, 06 Nov 1994 08:49:37 GMT", None);
        check("Sat, 05 Nov 1994 08:49:37 GMT", None);
        check("0", None);
        check("-5", None);
        check("+5", None);
        check("1.5", None);
        check("5, 10", None);
        check("soon", None);
        check("", None);
    }

    fn a_tenth_more(wait: Duration) -> Duration {
        wait.saturating_add(wait.checked_div(10).unwrap())
    }

    fn any_retry() -> impl Strategy<Value = Retry> {
        prop_oneof![
            Just(Retry::Fibonacci),
            Just(Retry::Standard),
            (any::<f64>(), any::<u32>()).prop_map(|(interval_seconds, max_attempts)| {
                Retry::Fixed {
                    interval_seconds,
                    max_attempts,
                }
            }),
            (any::<f64>(), any::<f64>(), any::<f64>(), any::<u32>()).prop_map(
                |(initial_seconds, factor, max_seconds, max_attempts)| Retry::Exponential {
                    initial_seconds,
                    factor,
                    max_seconds,
                    max_attempts,
                }
            ),
            proptest::collection::vec(any::<f64>(), 0..5)
                .prop_map(|delays_seconds| Retry::Custom { delays_seconds }),
        ]
    }

    proptest! {
        #[test]
        fn jitter_adds_up_to_a_tenth_and_takes_nothing(
            retry in any_retry(),
            tries in prop_oneof![0_u32..20, any::<u32>()],
            jitter in prop_oneof![0.0..=1.0, any::<f64>()],
        ) {
            match (next_delay(&retry, tries, 0.0), next_delay(&retry, tries, jitter)) {
                (Some(plain), Some(jittered)) => {
                    prop_assert!(plain <= jittered);
                    prop_assert!(jittered <= a_tenth_more(plain));
                }
                (plain, jittered) => prop_assert_eq!(plain, jittered),
            }
        }

        #[test]
        fn all_of_the_jitter_is_used(tries in 1_u32..=9) {
            let plain = next_delay(&Retry::Standard, tries, 0.0).unwrap();
            prop_assert_eq!(next_delay(&Retry::Standard, tries, 1.0), Some(a_tenth_more(plain)));
        }

        #[test]
        fn retry_after_is_later_than_now_and_at_most_an_hour(value in "\\PC{0,30}|[0-9]{0,30}", now: i64) {
            let now = Timestamp::from_millis(now);
            if let Some(at) = retry_after(&value, now) {
                prop_assert!(at > now && at.since(now) <= HOUR);
            }
        }
    }
}
