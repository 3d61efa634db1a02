//! What a Mailbox can tell of itself in figures: how many events stand where, how its
//! destinations are, and what came in each hour.
//!
//! Events are counted as they are stored, by the hour in which they came. What is not
//! stored (refused, repeated, filtered out) is counted where it is met and told in
//! batches: one row an hour, in shard 0, approximate.

use super::{
    Mailbox, MailboxError,
    counted::{self, PACE, Pace},
    health::Health,
    sql, waiting,
};
use crate::{
    database::Database,
    ids::{DestinationId, Sequence, WebhookId},
    own_json,
    time::{DAY, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// How far back hours are told.
const TOLD: Duration = DAY.saturating_mul(7);
/// How long what was counted in an hour is kept.
pub(super) const KEPT: Duration = DAY.saturating_mul(8);

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
    /// Whose: said where figures of several webhooks are added up.
    #[serde(default)]
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
    /// Some events are not counted yet: a database of a release that kept no figures is
    /// counted a part at a time.
    #[serde(default)]
    pub is_partial: bool,
    /// When the figures were told that are the oldest, where not all were asked for anew
    /// (Unix milliseconds).
    #[serde(default)]
    pub as_of: Option<i64>,
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
        self.is_partial |= other.is_partial;
        self.as_of = [self.as_of, other.as_of].into_iter().flatten().min();
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
        let mut special = String::new();
        if self.is_partial {
            special.push_str(r#""complete":false,"#);
        }
        if let Some(at) = self.as_of {
            special.extend([r#""as_of":""#, &time(at), r#"","#]);
        }
        format!(
            r#"{{{special}"counts":{{"pending":{pending},"delivered":{delivered},"failed":{failed},"cancelled":{cancelled}}},"oldest_pending_seconds":{},"destinations":[{}],"hours":[{}]}}"#,
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

/// Where the oldest hour begins that is told.
pub(crate) fn oldest_hour(now: Timestamp) -> i64 {
    begin_of_hour(now.minus(TOLD))
}

fn unsigned(count: i64) -> u32 {
    u32::try_from(count.max(0)).unwrap_or(u32::MAX)
}

impl Mailbox {
    /// The figures of this Mailbox. Reads what was counted and kept, and what has come
    /// since: no more, however much is stored.
    ///
    /// # Errors
    /// When the database fails.
    pub fn stats(&mut self, db: &impl Database, now: Timestamp) -> Result<Stats, MailboxError> {
        self.stats_at(db, PACE, now)
    }

    pub(super) fn stats_at(
        &mut self,
        db: &impl Database,
        pace: Pace,
        now: Timestamp,
    ) -> Result<Stats, MailboxError> {
        let mut stats = Stats::default();
        let Some(config) = self.config.clone() else {
            return Ok(stats);
        };
        let rest = self.count_on(db, pace, now)?;
        stats.is_partial = !rest.is_all;
        let oldest_hour = oldest_hour(now);
        let mut pending: BTreeMap<DestinationId, i64> = BTreeMap::new();
        let counted = counted::kept(db)?;
        for (begins, counts) in counted.0.iter().chain(&rest.hours.0) {
            let [_, delivered, failed, _] = counts.events.map(unsigned);
            for (sum, count) in stats.counts.iter_mut().zip(counts.events) {
                *sum = sum.saturating_add(unsigned(count));
            }
            for (destination, count) in &counts.pending {
                let sum = pending.entry(*destination).or_default();
                *sum = sum.saturating_add(*count);
            }
            let received = counts
                .events
                .iter()
                .fold(0_i64, |sum, one| sum.saturating_add(*one));
            if *begins >= oldest_hour && received > 0 {
                stats.add(Stats {
                    hours: vec![Hour {
                        begins: *begins,
                        received: unsigned(received),
                        delivered,
                        failed,
                        tally: Tally::default(),
                    }],
                    ..Stats::default()
                });
            }
        }
        if stats.counts.first().is_some_and(|pending| *pending > 0) {
            stats.oldest_pending = self.oldest_pending(db)?.map(Timestamp::millis);
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
                pending: pending
                    .get(&destination.id)
                    .map_or(0, |count| unsigned(*count)),
            });
        }
        Ok(stats)
    }

    /// When the oldest pending event came.
    fn oldest_pending(&self, db: &impl Database) -> Result<Option<Timestamp>, MailboxError> {
        let first_attempts = self.first_attempts.firsts().map(|(_, event)| event);
        let beyond = self.first_attempts.beyond(db, self.last)?;
        let mut oldest = first_attempts.chain(beyond).min();
        // What is out, or set aside, may have been cancelled.
        let out = self.in_flight.keys().map(|(event, _)| *event);
        let mut unknown: Vec<Sequence> = out.chain(self.unreadable.keys().copied()).collect();
        unknown.sort_unstable();
        for event in unknown {
            let rows = db.run(
                "SELECT 1 FROM events WHERE seq = ? AND status = 'pending'",
                &[sql::sequence(event)],
            )?;
            if !rows.is_empty() {
                oldest = oldest.into_iter().chain([event]).min();
                break;
            }
        }
        for destination in waiting::destinations(db)? {
            let waits = waiting::oldest(db, destination)?;
            oldest = oldest
                .into_iter()
                .chain(waits.map(|(_, event)| event))
                .min();
        }
        Ok(oldest.map(Sequence::at))
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
            ..Stats::default()
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
