//! Rows of `health` as they were before they were JSON: a version byte, then the fields
//! in order (postcard). A row stays so until it is next written.

use super::{Health, NEVER, Release, RetryAfter, Told};
use crate::{alert::Kind, time::Timestamp};
use serde::Deserialize;

const VERSION: u8 = 1;

#[derive(Deserialize)]
struct Stored {
    streak: u32,
    first: i64,
    several: bool,
    down_since: Option<Timestamp>,
    probed_at: Timestamp,
    turn: i64,
    held_until: Option<Timestamp>,
    release: Option<(i64, i64)>,
    told: Vec<StoredAlert>,
    told_of_waiting: bool,
}

#[derive(Deserialize)]
struct StoredAlert {
    kind: StoredKind,
    at: Option<Timestamp>,
    count: u32,
    event: i64,
}

/// By their place: never reorder.
#[derive(Deserialize)]
enum StoredKind {
    DeliveryFailed,
    DestinationDown,
    DestinationRecovered,
    EventsWaiting,
}

/// Reads such a row; `None` when it is none.
pub(super) fn read(bytes: &[u8]) -> Option<Health> {
    let fields = bytes.strip_prefix(&[VERSION])?;
    let stored: Stored = postcard::from_bytes(fields).ok()?;
    let told = stored.told.into_iter().map(|alert| {
        let kind = match alert.kind {
            StoredKind::DeliveryFailed => Kind::DeliveryFailed,
            StoredKind::DestinationDown => Kind::DestinationDown,
            StoredKind::DestinationRecovered => Kind::DestinationRecovered,
            StoredKind::EventsWaiting => Kind::EventsWaiting,
        };
        Told::new(kind, alert.at, alert.count, alert.event)
    });
    Some(Health {
        failures_in_row: stored.streak,
        first_failed_event: stored.first,
        several_events_failed: stored.several,
        down_since: stored.down_since,
        probed_at: stored.probed_at,
        last_probed_event: stored.turn,
        retry_after: stored.held_until.map(|until| RetryAfter {
            asked_at: Timestamp::default(),
            until,
        }),
        // Nobody noted when it began: all that waits is released.
        release: stored.release.map(|(after, up_to)| Release {
            after,
            up_to,
            began_at: NEVER,
        }),
        told: told.collect(),
        told_of_waiting: stored.told_of_waiting,
        ..Health::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Option<Timestamp> {
        Some(Timestamp::from_millis(millis))
    }

    fn check(row: &str, expected: &Health) {
        let bytes = hex::decode(row).unwrap();
        assert_eq!(read(&bytes).as_ref(), Some(expected), "{row}");
        // Written anew, it means the same.
        let json = serde_json::to_string(&expected.stored()).unwrap();
        assert_eq!(
            serde_json::from_str::<Health>(&json).unwrap(),
            expected.stored()
        );
    }

    /// Bytes that the code of that time made.
    #[test]
    fn rows_of_yesterday_are_read_and_mean_the_same() {
        let full = Health {
            failures_in_row: 300,
            first_failed_event: 1_795_157_900_000_000,
            several_events_failed: true,
            down_since: at(1_795_157_900_123),
            probed_at: Timestamp::from_millis(1_795_157_930_123),
            last_probed_event: 1_795_157_900_000_007,
            retry_after: Some(RetryAfter {
                asked_at: Timestamp::default(),
                until: Timestamp::from_millis(1_795_158_000_000),
            }),
            release: Some(Release {
                after: 5,
                up_to: 1_795_157_900_000_999,
                began_at: NEVER,
            }),
            told: vec![
                Told::new(Kind::DeliveryFailed, at(1_795_157_900_000), 0, 7),
                Told::new(Kind::DestinationDown, None, 1, 0),
                Told::new(Kind::DestinationRecovered, None, 2, 0),
                Told::new(Kind::EventsWaiting, at(5), 3, 9),
            ],
            told_of_waiting: true,
            ..Health::default()
        };
        check(
            "01ac0280ec8fcff8abb0060101b6edfdfbbe6896c281fcbe688eec8fcff8abb0060180868afcbe68010acefb8fcff8abb006040001c0ebfdfbbe68000e010001000200020003010a031201",
            &full,
        );
        let streak = Health {
            failures_in_row: 4,
            first_failed_event: 77,
            ..Health::default()
        };
        check("01049a010000000000000000", &streak);
        let held = Health {
            retry_after: full.retry_after,
            ..Health::default()
        };
        check("010000000000000180868afcbe68000000", &held);
        for no_row in ["", "02049a010000000000000000", "0104"] {
            assert_eq!(read(&hex::decode(no_row).unwrap()), None, "{no_row}");
        }
    }
}
