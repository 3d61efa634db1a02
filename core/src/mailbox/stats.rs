//! What a Mailbox can tell of itself in figures: how many events stand where, how its
//! destinations are, and what came in each hour.
//!
//! Events are counted as they are stored, by the hour in which they came. What is not
//! stored (refused, repeated, filtered out) is counted where it is met and told in
//! batches: one row an hour, in shard 0, approximate.

use super::{Mailbox, MailboxError, health::Health, sql};
use crate::{
    database::Database,
    delivery::Status,
    ids::{DestinationId, Sequence, WebhookId},
    own_json,
    time::{DAY, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How far back hours are told.
const TOLD: Duration = DAY.saturating_mul(7);
/// How long what was counted in an hour is kept.
const KEPT: Duration = DAY.saturating_mul(8);

const HOUR_MILLIS: i64 = 3_600_000;

/// Requests and elements that left no event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Requests that were refused.
    pub refused: u32,
    /// Events that came again.
    pub duplicate: u32,
    /// Events that the webhook's filters dropped.
    pub filtered: u32,
}

impl Tally {
    /// Adds another.
    pub const fn add(&mut self, other: Self) {
        self.refused = self.refused.saturating_add(other.refused);
        self.duplicate = self.duplicate.saturating_add(other.duplicate);
        self.filtered = self.filtered.saturating_add(other.filtered);
    }
}

/// What came in one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hour {
    /// Where it begins (Unix milliseconds).
    pub begins: i64,
    /// Events that came, test calls included.
    pub received: u32,
    /// Those of them that are delivered now.
    pub delivered: u32,
    /// Those of them that have failed.
    pub failed: u32,
    /// What left no event.
    pub tally: Tally,
}

impl Hour {
    /// What [`figures`](Self::figures) are of.
    pub const FIGURES: [&str; 6] = [
        "received",
        "delivered",
        "failed",
        "refused",
        "duplicate",
        "filtered",
    ];

    /// Its figures, in the order of [`FIGURES`](Self::FIGURES).
    #[must_use]
    pub const fn figures(&self) -> [u32; 6] {
        [
            self.received,
            self.delivered,
            self.failed,
            self.tally.refused,
            self.tally.duplicate,
            self.tally.filtered,
        ]
    }
}

/// How a destination is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationStats {
    /// Whose: known to who has asked, and not said.
    #[serde(skip)]
    pub webhook: Option<WebhookId>,
    /// Which.
    pub id: DestinationId,
    /// Its URL.
    pub url: String,
    /// Down since then (Unix milliseconds).
    pub down_since: Option<i64>,
    /// Deliveries that are pending.
    pub pending: u32,
}

/// The figures of one Mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Events by status: pending, delivered, failed, cancelled.
    pub counts: [u32; 4],
    /// When the oldest pending event came (Unix milliseconds).
    pub oldest_pending: Option<i64>,
    /// Its destinations.
    pub destinations: Vec<DestinationStats>,
    /// The hours of the last seven days in which anything came, oldest first.
    pub hours: Vec<Hour>,
}

/// The place of a status in [`Stats::counts`].
const fn place(status: Status) -> usize {
    match status {
        Status::Pending => 0,
        Status::Delivered => 1,
        Status::Failed => 2,
        Status::Cancelled => 3,
    }
}

impl Stats {
    /// The same, with whose its destinations are.
    #[must_use]
    pub fn of(mut self, webhook: WebhookId) -> Self {
        for destination in &mut self.destinations {
            destination.webhook = Some(webhook);
        }
        self
    }

    /// Adds the figures of another Mailbox. Destinations of the same webhook are
    /// one, down when any shard says so.
    pub fn add(&mut self, other: Self) {
        for (sum, count) in self.counts.iter_mut().zip(other.counts) {
            *sum = sum.saturating_add(count);
        }
        self.oldest_pending = [self.oldest_pending, other.oldest_pending]
            .into_iter()
            .flatten()
            .min();
        for theirs in other.destinations {
            match self
                .destinations
                .iter_mut()
                .find(|ours| ours.id == theirs.id)
            {
                Some(ours) => {
                    ours.pending = ours.pending.saturating_add(theirs.pending);
                    ours.down_since = [ours.down_since, theirs.down_since]
                        .into_iter()
                        .flatten()
                        .min();
                }
                None => self.destinations.push(theirs),
            }
        }
        for hour in other.hours {
            let known = self
                .hours
                .binary_search_by_key(&hour.begins, |ours| ours.begins);
            match known {
                Ok(at) => {
                    if let Some(ours) = self.hours.get_mut(at) {
                        ours.received = ours.received.saturating_add(hour.received);
                        ours.delivered = ours.delivered.saturating_add(hour.delivered);
                        ours.failed = ours.failed.saturating_add(hour.failed);
                        ours.tally.add(hour.tally);
                    }
                }
                Err(at) => self.hours.insert(at, hour),
            }
        }
    }

    /// The body of the API's answer.
    #[must_use]
    pub fn to_json(&self, now: Timestamp) -> String {
        let time = |millis: i64| Timestamp::from_millis(millis).to_rfc3339();
        let or_null = |text: Option<String>| text.unwrap_or_else(|| "null".to_owned());
        let quoted = |text: &str| own_json::write(text).unwrap_or_default();
        let [pending, delivered, failed, cancelled] = self.counts;
        let age = self.oldest_pending.map(|came| {
            now.since(Timestamp::from_millis(came))
                .as_secs()
                .to_string()
        });
        let destinations: Vec<String> = self
            .destinations
            .iter()
            .map(|one| {
                let state = if one.down_since.is_some() { "down" } else { "up" };
                format!(
                    r#"{{"destination_id":"{}","url":{},"state":"{state}","down_since":{},"pending":{}}}"#,
                    one.id,
                    quoted(&one.url),
                    or_null(one.down_since.map(|at| quoted(&time(at)))),
                    one.pending
                )
            })
            .collect();
        let hours: Vec<String> = self
            .hours
            .iter()
            .map(|hour| {
                format!(
                    r#"{{"hour":"{}","received":{},"delivered":{},"failed":{},"refused":{},"duplicate":{},"filtered":{}}}"#,
                    time(hour.begins),
                    hour.received,
                    hour.delivered,
                    hour.failed,
                    hour.tally.refused,
                    hour.tally.duplicate,
                    hour.tally.filtered
                )
            })
            .collect();
        format!(
            r#"{{"counts":{{"pending":{pending},"delivered":{delivered},"failed":{failed},"cancelled":{cancelled}}},"oldest_pending_seconds":{},"destinations":[{}],"hours":[{}]}}"#,
            or_null(age),
            destinations.join(","),
            hours.join(",")
        )
    }
}

/// Where the hour of a moment begins.
pub(super) const fn begin_of_hour(at: Timestamp) -> i64 {
    at.millis()
        .div_euclid(HOUR_MILLIS)
        .saturating_mul(HOUR_MILLIS)
}

impl Mailbox {
    /// The figures of this Mailbox. Reads every event's row once.
    ///
    /// # Errors
    /// When the database fails.
    pub fn stats(&self, db: &impl Database, now: Timestamp) -> Result<Stats, MailboxError> {
        let mut stats = Stats::default();
        let Some(config) = &self.config else {
            return Ok(stats);
        };
        let oldest_hour = begin_of_hour(now.minus(TOLD));
        let per_hour = Sequence::first_at(Timestamp::from_millis(HOUR_MILLIS)).number();
        // Numbers count from the Unix epoch, so that a division finds the hour. Whatever is
        // bound is floating point, which would divide into fractions.
        let rows = db.run(
            "SELECT seq / CAST(? AS INTEGER), status, count(*), min(seq) FROM events
             GROUP BY 1, 2 ORDER BY 1",
            &[sql::integer(per_hour)],
        )?;
        for row in &rows {
            let status = sql::read_status(row, 1)?;
            let count = sql::read_count(row, 2)?;
            let first = sql::read_sequence(row, 3)?;
            if let Some(sum) = stats.counts.get_mut(place(status)) {
                *sum = sum.saturating_add(count);
            }
            if status == Status::Pending {
                let came = first.at().millis();
                stats.oldest_pending = Some(stats.oldest_pending.map_or(came, |at| at.min(came)));
            }
            let begins = begin_of_hour(first.at());
            if begins < oldest_hour {
                continue;
            }
            let only = |wanted| if status == wanted { count } else { 0 };
            stats.add(Stats {
                hours: vec![Hour {
                    begins,
                    received: count,
                    delivered: only(Status::Delivered),
                    failed: only(Status::Failed),
                    tally: Tally::default(),
                }],
                ..Stats::default()
            });
        }
        for row in db.run(
            "SELECT hour, refused, duplicate, filtered FROM tallies WHERE hour >= ?",
            &[sql::integer(oldest_hour)],
        )? {
            stats.add(Stats {
                hours: vec![Hour {
                    begins: row.integer(0)?,
                    tally: Tally {
                        refused: sql::read_count(&row, 1)?,
                        duplicate: sql::read_count(&row, 2)?,
                        filtered: sql::read_count(&row, 3)?,
                    },
                    ..Hour::default()
                }],
                ..Stats::default()
            });
        }
        for destination in &config.destinations {
            let health = self.health.get(&destination.id);
            stats.destinations.push(DestinationStats {
                webhook: None,
                id: destination.id,
                url: destination.url.clone(),
                down_since: health.and_then(Health::down_since).map(Timestamp::millis),
                pending: self.pending_for(db, destination.id)?,
            });
        }
        Ok(stats)
    }

    /// Adds to what was counted in this hour: one row, and some of long ago go.
    ///
    /// # Errors
    /// When the database fails.
    pub fn tally(
        &self,
        db: &impl Database,
        tally: Tally,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        if self.config.is_none() {
            return Ok(());
        }
        db.run(
            "INSERT INTO tallies (hour, refused, duplicate, filtered) VALUES (?, ?, ?, ?)
             ON CONFLICT (hour) DO UPDATE SET
                 refused = min(refused + excluded.refused, 4294967295),
                 duplicate = min(duplicate + excluded.duplicate, 4294967295),
                 filtered = min(filtered + excluded.filtered, 4294967295)",
            &[
                sql::integer(begin_of_hour(now)),
                sql::count(tally.refused),
                sql::count(tally.duplicate),
                sql::count(tally.filtered),
            ],
        )?;
        db.run(
            "DELETE FROM tallies WHERE hour < ?",
            &[sql::integer(begin_of_hour(now.minus(KEPT)))],
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::arithmetic_side_effects,
        reason = "a test may fail, and says so by panicking"
    )]

    use super::*;
    use crate::{
        testing::samples::{START, destination},
        time::HOUR,
    };

    fn hour(hours: u32, received: u32, refused: u32) -> Hour {
        Hour {
            begins: START.plus(HOUR * hours).millis(),
            received,
            delivered: received,
            failed: 0,
            tally: Tally {
                refused,
                ..Tally::default()
            },
        }
    }

    fn shard(pending: u32, oldest: Option<i64>, down: Option<i64>, hours: Vec<Hour>) -> Stats {
        Stats {
            counts: [pending, 1, 2, 3],
            oldest_pending: oldest,
            destinations: vec![DestinationStats {
                webhook: None,
                id: destination(0).id,
                url: "https://shop.example/\"".into(),
                down_since: down,
                pending,
            }],
            hours,
        }
    }

    #[test]
    fn shards_add_up_in_the_order_of_time() {
        let mut all = Stats::default();
        all.add(shard(
            5,
            Some(START.millis()),
            None,
            vec![hour(1, 1, 0), hour(3, 3, 1)],
        ));
        all.add(shard(
            7,
            None,
            Some(9),
            vec![hour(0, 9, 0), hour(3, 4, 2), hour(4, 1, 0)],
        ));
        assert_eq!(all.counts, [12, 2, 4, 6]);
        assert_eq!(all.oldest_pending, Some(START.millis()));
        assert_eq!(all.destinations.len(), 1);
        assert_eq!(
            (all.destinations[0].pending, all.destinations[0].down_since),
            (12, Some(9))
        );
        let hours: Vec<(i64, u32, u32)> = all
            .hours
            .iter()
            .map(|hour| (hour.begins, hour.received, hour.tally.refused))
            .collect();
        let at = |hours: u32| START.plus(HOUR * hours).millis();
        assert_eq!(
            hours,
            [(at(0), 9, 0), (at(1), 1, 0), (at(3), 7, 3), (at(4), 1, 0)]
        );
    }

    #[test]
    fn it_is_shown_letter_for_letter() {
        let stats = shard(
            1,
            Some(START.millis()),
            Some(START.millis()),
            vec![hour(0, 2, 3)],
        );
        let expected = concat!(
            r#"{"counts":{"pending":1,"delivered":1,"failed":2,"cancelled":3},"oldest_pending_seconds":60,"#,
            r#""destinations":[{"destination_id":"dst_0000000000000","url":"https://shop.example/\"","#,
            r#""state":"down","down_since":"2026-11-20T07:00:00.000Z","pending":1}],"#,
            r#""hours":[{"hour":"2026-11-20T07:00:00.000Z","received":2,"delivered":2,"failed":0,"refused":3,"duplicate":0,"filtered":0}]}"#,
        );
        let json = stats.to_json(START.plus(Duration::from_secs(60)));
        assert_eq!(json, expected);
        serde_json::from_str::<serde_json::Value>(&json).unwrap();
        let nothing = Stats::default().to_json(START);
        assert!(
            nothing.contains("\"oldest_pending_seconds\":null"),
            "{nothing}"
        );
    }
}
