//! Points in time and the notations they come in. The core never asks for the
//! time: it is told.
//!
//! In scope: Unix milliseconds, RFC 3339, HTTP dates, the local times of
//! Vietnamese banks. Out of scope: clocks, time zones other than fixed offsets.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A point in time: milliseconds since the Unix epoch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// One minute.
pub const MINUTE: Duration = Duration::from_secs(60);
/// One hour.
pub const HOUR: Duration = Duration::from_secs(3_600);
/// One day.
pub const DAY: Duration = Duration::from_secs(86_400);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since the Unix epoch; saturates.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// This much later; saturates.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis_of(duration)))
    }

    /// This much earlier; saturates.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis_of(duration)))
    }

    /// How long after `earlier` this is; zero when it is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// RFC 3339 in UTC with milliseconds: `2026-11-20T07:00:00.000Z`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let days = self.0.div_euclid(86_400_000);
        let of_day = self.0.rem_euclid(86_400_000);
        let (year, month, day) = civil_from_days(days);
        let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
        let (second, milli) = (of_day / 1_000 % 60, of_day % 1_000);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }

    /// Reads RFC 3339 with any offset (`T` or a blank between date and time, with
    /// or without a fraction of a second). `None` when it is not that.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let (local, rest) = parse_date_time(text)?;
        let (fraction, rest) = parse_fraction(rest)?;
        let offset = match rest.as_bytes() {
            [b'Z' | b'z'] => 0,
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
                let hours = two(*h1, *h2)?;
                let minutes = two(*m1, *m2)?;
                if hours > 23 || minutes > 59 {
                    return None;
                }
                let seconds = hours
                    .saturating_mul(3_600)
                    .saturating_add(minutes.saturating_mul(60));
                if *sign == b'-' {
                    seconds.saturating_neg()
                } else {
                    seconds
                }
            }
            _ => return None,
        };
        let seconds = local.saturating_sub(offset);
        Some(Self(seconds.saturating_mul(1_000).saturating_add(fraction)))
    }

    /// Reads whole seconds since the Unix epoch. `None` when anything but digits
    /// stands there.
    #[must_use]
    pub fn parse_unix(text: &str) -> Option<Self> {
        let is_number = text.bytes().all(|letter| letter.is_ascii_digit());
        text.parse()
            .ok()
            .filter(|_| is_number)
            .map(Self::from_seconds)
    }

    /// Reads the date and time of a Vietnamese provider: RFC 3339, or
    /// `YYYY-MM-DD HH:MM:SS` (`T` or a blank between, with or without a fraction of a
    /// second), or a date alone; UTC+7 where no zone is given.
    #[must_use]
    pub fn parse_vietnamese(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(at) = Self::parse_rfc3339(text) {
            return Some(at);
        }
        let (local, fraction) = match parse_date_time(text) {
            Some((local, rest)) => match parse_fraction(rest)? {
                (fraction, "") => (local, fraction),
                _ => return None,
            },
            None => (parse_date(text).filter(|(_, rest)| rest.is_empty())?.0, 0),
        };
        let at = Self::from_seconds(local.saturating_sub(7 * 3_600));
        Some(Self(at.0.saturating_add(fraction)))
    }

    /// Reads an HTTP date in any of its three forms: the preferred one, `Sun, 06 Nov 1994
    /// 08:49:37 GMT`, and the two obsolete ones that a recipient must accept (RFC 9110,
    /// section 5.6.7).
    #[must_use]
    pub fn parse_http_date(text: &str) -> Option<Self> {
        let at = httpdate::parse_http_date(text.trim()).ok()?;
        let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(Self(millis_of(since)))
    }
}

fn millis_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    if tens.is_ascii_digit() && ones.is_ascii_digit() {
        Some(
            i64::from(tens & 15)
                .saturating_mul(10)
                .saturating_add(i64::from(ones & 15)),
        )
    } else {
        None
    }
}

/// Seconds of a local `YYYY-MM-DD` at midnight, and what follows it.
fn parse_date(text: &str) -> Option<(i64, &str)> {
    let (date, rest) = text.split_at_checked(10)?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date.as_bytes() else {
        return None;
    };
    let year = two(*y1, *y2)?
        .saturating_mul(100)
        .saturating_add(two(*y3, *y4)?);
    let days = checked_days(year, two(*m1, *m2)?, two(*d1, *d2)?)?;
    Some((days.saturating_mul(86_400), rest))
}

/// Seconds of a local `YYYY-MM-DD HH:MM:SS` (or `T` between), and what follows it.
fn parse_date_time(text: &str) -> Option<(i64, &str)> {
    let (midnight, rest) = parse_date(text)?;
    let (clock, rest) = rest.split_at_checked(9)?;
    let [b'T' | b't' | b' ', h1, h2, b':', m1, m2, b':', s1, s2] = clock.as_bytes() else {
        return None;
    };
    let of_day = checked_seconds(0, two(*h1, *h2)?, two(*m1, *m2)?, two(*s1, *s2)?)?;
    Some((midnight.saturating_add(of_day), rest))
}

/// Milliseconds of a `.123…`, and what follows it; zero when there is none.
fn parse_fraction(text: &str) -> Option<(i64, &str)> {
    let Some(after) = text.strip_prefix('.') else {
        return Some((0, text));
    };
    let count = after.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, rest) = after.split_at_checked(count)?;
    if fraction.is_empty() {
        return None;
    }
    let mut padded: String = fraction.chars().take(3).collect();
    while padded.len() < 3 {
        padded.push('0');
    }
    Some((padded.parse().ok()?, rest))
}

fn checked_seconds(days: i64, hour: i64, minute: i64, second: i64) -> Option<i64> {
    // 60 is a leap second; it is read as the second after it.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let of_day = hour
        .checked_mul(3_600)?
        .checked_add(minute.checked_mul(60)?)?
        .checked_add(second)?;
    days.checked_mul(86_400)?.checked_add(of_day)
}

fn checked_days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if day < 1 || day > length {
        None
    } else {
        Some(days_from_civil(year, month, day))
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date (H. Hinnant's
/// `days_from_civil`).
#[expect(
    clippy::arithmetic_side_effects,
    reason = "year has four digits, month and day are checked"
)]
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
#[expect(
    clippy::arithmetic_side_effects,
    reason = "days of an i64 of milliseconds are far from the limits"
)]
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rfc3339_agrees_with_chrono(millis in -62_135_596_800_000_i64..253_402_300_799_000) {
            let ours = Timestamp::from_millis(millis).to_rfc3339();
            let theirs = DateTime::<Utc>::from_timestamp_millis(millis).unwrap();
            prop_assert_eq!(&ours, &theirs.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
            prop_assert_eq!(Timestamp::parse_rfc3339(&ours), Some(Timestamp::from_millis(millis)));
            // `Retry-After` names what is to come.
            let at = (millis >= 0).then(|| Timestamp::from_seconds(millis.div_euclid(1_000)));
            for form in ["%a, %d %b %Y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"] {
                let http = theirs.format(form).to_string();
                prop_assert_eq!(Timestamp::parse_http_date(&http), at);
            }
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,40}") {
            let _ = Timestamp::parse_rfc3339(&text);
            let _ = Timestamp::parse_http_date(&text);
            let _ = Timestamp::parse_vietnamese(&text);
        }
    }

    #[test]
    fn offsets_and_refusals() {
        let noon = Timestamp::parse_rfc3339("2026-11-20T12:00:00Z").unwrap();
        assert_eq!(
            Timestamp::parse_rfc3339("2026-11-20T19:00:00.000+07:00"),
            Some(noon)
        );
        assert_eq!(
            Timestamp::parse_rfc3339("2026-11-20 05:30:00-06:30"),
            Some(noon)
        );
        for bad in [
            "",
            "2026-11-20",
            "2026-02-29T00:00:00Z",
            "2026-11-20T24:00:00Z",
            "2026-11-20T12:00:00",
            "2026-11-20T12:00:00.Z",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn unix_times_are_digits() {
        let check = |text: &str| Timestamp::parse_unix(text).map(Timestamp::millis);
        assert_eq!(check("1768312100"), Some(1_768_312_100_000));
        assert_eq!(check("0"), Some(0));
        assert_eq!(check("9223372036854775807"), Some(i64::MAX), "saturates");
        for other in [
            "",
            "-1",
            "+1",
            "1.5",
            "1e9",
            " 1",
            "9223372036854775808",
            "soon",
        ] {
            assert_eq!(check(other), None, "{other:?}");
        }
    }

    #[test]
    fn vietnamese_local_time_is_utc_plus_7() {
        let at = Timestamp::parse_vietnamese("2026-03-22 15:34:12").unwrap();
        assert_eq!(at.to_rfc3339(), "2026-03-22T08:34:12.000Z");
        let date = Timestamp::parse_vietnamese("2020-11-02").unwrap();
        assert_eq!(date.to_rfc3339(), "2020-11-01T17:00:00.000Z");
        let zoned = Timestamp::parse_vietnamese("2026-03-22T15:34:12Z").unwrap();
        assert_eq!(zoned.to_rfc3339(), "2026-03-22T15:34:12.000Z");
        for (text, utc) in [
            ("2025-10-14 10:59:30.123", "2025-10-14T03:59:30.123Z"),
            ("2025-10-14T10:59:30.123", "2025-10-14T03:59:30.123Z"),
            ("2025-10-14T10:59:30.5", "2025-10-14T03:59:30.500Z"),
            ("2025-10-14T10:59:30.123456789", "2025-10-14T03:59:30.123Z"),
            ("2025-10-14T10:59:30", "2025-10-14T03:59:30.000Z"),
            ("2025-10-14T10:59:30.123+07:00", "2025-10-14T03:59:30.123Z"),
        ] {
            let at = Timestamp::parse_vietnamese(text).map(Timestamp::to_rfc3339);
            assert_eq!(at.as_deref(), Some(utc), "{text}");
        }
        for bad in [
            "hôm qua",
            "2025-10-14 10:59:30.",
            "2025-10-14 10:59:30.123x",
            "2025-10-14 10:59:30 123",
        ] {
            assert_eq!(Timestamp::parse_vietnamese(bad), None, "{bad}");
        }
    }

    #[test]
    fn http_dates_are_read_in_all_three_forms() {
        let at = Timestamp::from_seconds(784_111_777);
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            " Sun, 06 Nov 1994 08:49:37 GMT ",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(Timestamp::parse_http_date(text), Some(at), "{text}");
        }
        for bad in [
            "",
            "06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 +0700",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "1994-11-06T08:49:37Z",
        ] {
            assert_eq!(Timestamp::parse_http_date(bad), None, "{bad}");
        }
    }
}
