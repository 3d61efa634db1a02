//! The figures of older events, counted once and kept: one row for each hour in which
//! events came, and one for all hours that are not told any more.
//!
//! Events are counted a thousand at a time, in their order, once a thousand of them are
//! there and have settled. So a new event writes no row for its figures, and whoever asks
//! reads those rows and what has come since: no more, however much is stored. A later
//! change of a counted event (a retry that is delivered, a cancellation, a deletion)
//! writes its hour's row in the transaction of the change.

use super::{
    Mailbox, MailboxError,
    deliveries::Deliveries,
    schema, sql,
    stats::{KEPT, begin_of_hour},
};
use crate::{
    database::{Database, Value},
    delivery::Status,
    ids::{DestinationId, Sequence},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// Events that are counted at once.
pub(super) const CHUNK: usize = 1_000;
/// Those that came lately are not counted yet: most of them are about to change.
const SETTLED: Duration = Duration::from_secs(10);
/// Chunks that one request or wake counts at most.
const CHUNKS: usize = 10;
/// Where more is left, the object calls itself after this.
const NEXT: Duration = Duration::from_millis(500);

/// Where in `meta` the number stands that all counted events are below.
const COUNTED: &str = "counted";
/// The row of all hours that are not told any more.
const OLDER: i64 = 0;

/// How counting is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) chunk: usize,
    pub(super) chunks: usize,
    pub(super) settled: Duration,
}

pub(super) const PACE: Pace = Pace {
    chunk: CHUNK,
    chunks: CHUNKS,
    settled: SETTLED,
};

/// Which events are counted: all below a number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    below: Sequence,
    /// Writing it down failed and may have stuck: the stored number decides.
    unsure: bool,
}

/// What a counted event counts as, before it is changed.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    event: Sequence,
    status: Status,
    pending: Vec<DestinationId>,
    unsure: bool,
}

/// What was counted of an hour. Signed, so that changes can be written in the same form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Counts {
    /// Events by status: pending, delivered, failed, cancelled.
    pub(super) events: [i64; 4],
    /// Deliveries that are pending, by destination; none is not listed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) pending: BTreeMap<DestinationId, i64>,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        for (sum, count) in self.events.iter_mut().zip(other.events) {
            *sum = sum.saturating_add(count);
        }
        for (destination, count) in &other.pending {
            let sum = self.pending.entry(*destination).or_default();
            *sum = sum.saturating_add(*count);
        }
        self.pending.retain(|_, count| *count != 0);
    }
}

/// The place of a status in [`Counts::events`].
pub(super) const fn place(status: Status) -> usize {
    match status {
        Status::Pending => 0,
        Status::Delivered => 1,
        Status::Failed => 2,
        Status::Cancelled => 3,
    }
}

/// Counts, or changes of them, by the hour in which the events came.
#[derive(Clone, Debug, Default)]
pub(super) struct Hours(pub(super) BTreeMap<i64, Counts>);

impl Hours {
    /// Counts so many events more (or, below zero, fewer).
    pub(super) fn add(
        &mut self,
        event: Sequence,
        status: Status,
        pending: &[DestinationId],
        by: i64,
    ) {
        let mut counts = Counts::default();
        if let Some(count) = counts.events.get_mut(place(status)) {
            *count = by;
        }
        for destination in pending {
            counts.pending.insert(*destination, by);
        }
        self.0
            .entry(begin_of_hour(event.at()))
            .or_default()
            .add(&counts);
    }

    fn add_all(&mut self, other: &Self) {
        for (hour, counts) in &other.0 {
            self.0.entry(*hour).or_default().add(counts);
        }
    }

    /// Writes changes of counted events: one row for each hour.
    fn write(&self, db: &impl Database) -> Result<(), MailboxError> {
        for (hour, change) in self.0.iter().filter(|(_, one)| **one != Counts::default()) {
            let rows = db.run(
                "SELECT hour, counts FROM hours WHERE hour IN (?, ?) ORDER BY hour DESC LIMIT 1",
                &[sql::integer(*hour), sql::integer(OLDER)],
            )?;
            let (hour, mut counts) = match rows.first() {
                Some(row) => (row.integer(0)?, read(row.text(1)?)?),
                None => (*hour, Counts::default()),
            };
            counts.add(change);
            put(db, hour, &counts)?;
        }
        Ok(())
    }
}

fn read(json: &str) -> Result<Counts, MailboxError> {
    serde_json::from_str(json).map_err(|_| MailboxError::unreadable("the figures of an hour"))
}

fn put(db: &impl Database, hour: i64, counts: &Counts) -> Result<(), MailboxError> {
    let json = serde_json::to_string(counts)
        .map_err(|_| MailboxError::unreadable("the figures of an hour"))?;
    db.run(
        "INSERT INTO hours (hour, counts) VALUES (?, ?)
         ON CONFLICT (hour) DO UPDATE SET counts = excluded.counts",
        &[sql::integer(hour), Value::Text(json)],
    )?;
    Ok(())
}

/// All that is counted, one entry an hour.
pub(super) fn kept(db: &impl Database) -> Result<Hours, MailboxError> {
    let rows = db.run("SELECT hour, counts FROM hours", &[])?;
    let hours = rows
        .iter()
        .map(|row| Ok((row.integer(0)?, read(row.text(1)?)?)))
        .collect::<Result<_, MailboxError>>()?;
    Ok(Hours(hours))
}

/// The number that all counted events are below.
fn stored(db: &impl Database) -> Result<Sequence, MailboxError> {
    match schema::meta(db, COUNTED)? {
        Some(Value::Integer(number)) => Sequence::from_number(number)
            .ok_or_else(|| MailboxError::unreadable("what was counted")),
        Some(_) => Err(MailboxError::unreadable("what was counted")),
        None => Ok(Sequence::default()),
    }
}

impl Counted {
    pub(super) fn open(db: &impl Database) -> Result<Self, MailboxError> {
        Ok(Self {
            below: stored(db)?,
            unsure: false,
        })
    }

    /// The number that all counted events are below.
    pub(super) const fn below(self) -> Sequence {
        self.below
    }

    /// Whether an event is counted, or may be.
    pub(super) fn has(self, event: Sequence) -> bool {
        self.unsure || event < self.below
    }

    /// What an event counts as, to be held against what becomes of it; `None` when it is
    /// not counted.
    pub(super) fn standing(self, event: Sequence, deliveries: &Deliveries) -> Option<Standing> {
        self.standing_as(event, deliveries.status(), deliveries)
    }

    /// The same where the deliveries cannot be relied on.
    pub(super) fn standing_as(
        self,
        event: Sequence,
        status: Status,
        deliveries: &Deliveries,
    ) -> Option<Standing> {
        self.has(event).then(|| Standing {
            event,
            status,
            pending: deliveries.pending(),
            unsure: self.unsure,
        })
    }
}

/// Writes down what became of a counted event, within the transaction of the change:
/// one row where it counts otherwise now. `None` is a deletion.
pub(super) fn change(
    db: &impl Database,
    before: Option<Standing>,
    after: Option<&Deliveries>,
) -> Result<(), MailboxError> {
    change_all(db, before.into_iter().map(|before| (before, after)))
}

/// The same for many: one row for each hour.
pub(super) fn change_all<'a>(
    db: &impl Database,
    changes: impl Iterator<Item = (Standing, Option<&'a Deliveries>)>,
) -> Result<(), MailboxError> {
    let mut hours = Hours::default();
    let mut below = None;
    for (before, after) in changes {
        if before.unsure {
            let below = match below {
                Some(below) => below,
                None => *below.insert(stored(db)?),
            };
            if before.event >= below {
                continue;
            }
        }
        hours.add(before.event, before.status, &before.pending, -1);
        if let Some(after) = after {
            hours.add(before.event, after.status(), &after.pending(), 1);
        }
    }
    hours.write(db)
}

/// What is not counted yet.
pub(super) struct Rest {
    pub(super) hours: Hours,
    /// Nothing was left out.
    pub(super) is_all: bool,
}

/// A chunk of events from a number on, counted.
struct Chunk {
    hours: Hours,
    size: usize,
    last: Sequence,
}

fn chunk(db: &impl Database, from: Sequence, limit: usize) -> Result<Chunk, MailboxError> {
    // Deliveries that are pending are alike in nearly all events: few groups.
    let rows = db.run(
        "SELECT min(seq), max(seq), status, iif(status = 'pending', deliveries, '[]'), count(*)
         FROM (SELECT seq, status, deliveries FROM events WHERE seq >= ? ORDER BY seq LIMIT ?)
         GROUP BY seq / CAST(? AS INTEGER), 3, 4",
        &[
            sql::sequence(from),
            sql::size(limit),
            // Whatever is bound is floating point, which would divide into fractions.
            sql::integer(Sequence::first_at(Timestamp::from_millis(3_600_000)).number()),
        ],
    )?;
    let mut chunk = Chunk {
        hours: Hours::default(),
        size: 0,
        last: from,
    };
    for row in &rows {
        let first = sql::read_sequence(row, 0)?;
        // One that cannot be read counts, and for no destination.
        let deliveries: Deliveries =
            sql::read_json(row, 3, "an event's deliveries").unwrap_or_default();
        let count = sql::read_count(row, 4)?;
        let status = sql::read_status(row, 2)?;
        chunk
            .hours
            .add(first, status, &deliveries.pending(), count.into());
        chunk.size = chunk
            .size
            .saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
        chunk.last = chunk.last.max(sql::read_sequence(row, 1)?);
    }
    Ok(chunk)
}

/// Adds hours that are not told any more to the row of all of them.
fn merge_old(db: &impl Database, now: Timestamp) -> Result<(), MailboxError> {
    let told = [
        sql::integer(OLDER),
        sql::integer(begin_of_hour(now.minus(KEPT))),
    ];
    let rows = db.run(
        "SELECT hour, counts FROM hours WHERE hour >= ? AND hour < ?",
        &told,
    )?;
    if rows.iter().all(|row| row.integer(0) == Ok(OLDER)) {
        return Ok(());
    }
    let mut sum = Counts::default();
    for row in &rows {
        sum.add(&read(row.text(1)?)?);
    }
    db.run("DELETE FROM hours WHERE hour > ? AND hour < ?", &told)?;
    put(db, OLDER, &sum)
}

impl Mailbox {
    /// Counts what can be counted for good, and the rest for this once. Bounded.
    pub(super) fn count_on(
        &mut self,
        db: &impl Database,
        pace: Pace,
        now: Timestamp,
    ) -> Result<Rest, MailboxError> {
        if self.counted.unsure {
            self.counted = Counted::open(db)?;
        }
        let mut rest = Rest {
            hours: Hours::default(),
            is_all: false,
        };
        let settled = now.minus(pace.settled);
        let mut from = self.counted.below;
        for _ in 0..pace.chunks {
            let chunk = chunk(db, from, pace.chunk)?;
            let is_last = chunk.size < pace.chunk;
            from = sql::after(chunk.last);
            let for_good = !is_last && rest.hours.0.is_empty() && chunk.last.at() <= settled;
            if for_good {
                self.keep_counted(db, &chunk.hours, from, now)?;
            } else {
                rest.hours.add_all(&chunk.hours);
            }
            if is_last {
                rest.is_all = true;
                break;
            }
        }
        self.count_more = !rest.is_all;
        Ok(rest)
    }

    fn keep_counted(
        &mut self,
        db: &impl Database,
        hours: &Hours,
        below: Sequence,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        let kept = db.atomically(|| -> Result<(), MailboxError> {
            for (hour, counts) in &hours.0 {
                let rows = db.run(
                    "SELECT counts FROM hours WHERE hour = ?",
                    &[sql::integer(*hour)],
                )?;
                let mut sum = match rows.first() {
                    Some(row) => read(row.text(0)?)?,
                    None => Counts::default(),
                };
                sum.add(counts);
                put(db, *hour, &sum)?;
            }
            merge_old(db, now)?;
            schema::set_meta(db, COUNTED, sql::sequence(below))
        });
        match kept {
            Ok(()) => self.counted.below = below,
            Err(_) => self.counted.unsure = true,
        }
        kept
    }

    /// Counts on where a database holds much that was never counted.
    pub(super) fn count_more(
        &mut self,
        db: &impl Database,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        if !self.count_more {
            return Ok(());
        }
        // Not over and over, whatever is the matter.
        self.count_more = false;
        self.count_on(db, PACE, now).map(|_| ())
    }

    /// When the object wants to be called to count on.
    pub(super) fn more_to_count(&self, now: Timestamp) -> Option<Timestamp> {
        self.count_more.then(|| now.plus(NEXT))
    }
}
