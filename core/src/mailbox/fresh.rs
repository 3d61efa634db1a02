//! Where first attempts are found: `events` whose `fresh` is 1, by number, without
//! an index.
//!
//! *Invariant*: every fresh row's number is at least the persisted cursor. The
//! cursor is moved seldom (a row written), so that opening reads a few hundred
//! settled rows at most; in between, what was read is remembered here.

use super::{
    MailboxError,
    deliveries::{Deliveries, State},
    schema, sql,
};
use crate::{
    database::{Database, Value},
    few::Few,
    ids::{DestinationId, Sequence},
};

/// The cursor is persisted after so many events have had their first attempts.
pub(super) const PERSIST_EVERY: u32 = 256;
/// Rows read at a time.
pub(super) const SCAN: usize = 32;
/// First attempts of one destination that are remembered; more go to `waiting`, so
/// that a slow destination's backlog does not stand between others and their
/// events.
pub(super) const READY: usize = 1_000;

const CURSOR: &str = "cursor";

/// First attempts to be made.
#[derive(Debug, Default)]
pub(super) struct FirstAttempts {
    /// Known and not leased.
    ready: Few<DestinationId, Few<Sequence, ()>>,
    /// Everything fresh below this number is in `ready` or in flight.
    scanned_to: Sequence,
    persisted: Sequence,
    /// Events that have had their first attempts since the cursor was persisted.
    settled: u32,
}

impl FirstAttempts {
    /// Finds where to begin.
    pub(super) fn open(db: &impl Database, last: Sequence) -> Result<Self, MailboxError> {
        let persisted = match schema::meta(db, CURSOR)? {
            Some(Value::Integer(number)) => Sequence::from_number(number)
                .ok_or_else(|| MailboxError::unreadable("the cursor"))?,
            Some(_) => return Err(MailboxError::unreadable("the cursor")),
            None => Sequence::default(),
        };
        let scanned_to = first_fresh(db, persisted)?.unwrap_or(sql::after(last));
        let settled = db.run(
            "SELECT count(*) FROM events WHERE seq >= ? AND seq < ?",
            &[sql::sequence(persisted), sql::sequence(scanned_to)],
        )?;
        let settled = settled
            .first()
            .map_or(Ok(0), |row| sql::read_count(row, 0))?;
        Ok(Self {
            ready: Few::default(),
            scanned_to,
            persisted,
            settled,
        })
    }

    /// No first attempt is to be made of an event before this one.
    pub(super) const fn not_before(&self) -> Sequence {
        self.persisted
    }

    /// Whether everything up to the last event is known.
    pub(super) fn is_caught_up(&self, last: Sequence) -> bool {
        self.scanned_to > last
    }

    /// The first event that is not known yet; `None` when all are.
    pub(super) fn beyond(
        &self,
        db: &impl Database,
        last: Sequence,
    ) -> Result<Option<Sequence>, MailboxError> {
        if self.is_caught_up(last) {
            return Ok(None);
        }
        first_fresh(db, self.scanned_to)
    }

    /// Reads on. First attempts for which there is no room are returned: they have
    /// to wait elsewhere before [`scanned`](Self::scanned) is called.
    pub(super) fn scan(
        &mut self,
        db: &impl Database,
        last: Sequence,
    ) -> Result<Scan, MailboxError> {
        let rows = db.run(
            "SELECT seq, deliveries FROM events
             WHERE seq >= ? AND fresh = 1 ORDER BY seq LIMIT ?",
            &[sql::sequence(self.scanned_to), sql::size(SCAN)],
        )?;
        let mut scan = Scan {
            to: sql::after(last),
            excess: Vec::new(),
            unreadable: Vec::new(),
        };
        for row in &rows {
            let event = sql::read_sequence(row, 0)?;
            if rows.len() >= SCAN {
                scan.to = sql::after(event);
            }
            let deliveries: Deliveries = match sql::read_json(row, 1, "an event's deliveries") {
                Ok(deliveries) => deliveries,
                Err(error) => {
                    scan.unreadable.push((event, error));
                    continue;
                }
            };
            for record in &deliveries.0 {
                if record.state != State::Fresh {
                    continue;
                }
                if self.count(record.destination) < READY {
                    self.put(event, record.destination);
                } else {
                    scan.excess.push((event, record.destination));
                }
            }
        }
        Ok(scan)
    }

    /// Everything of the scan has found its place.
    pub(super) fn scanned(&mut self, to: Sequence) {
        self.scanned_to = to;
    }

    /// A new event, stored: known at once when everything before it is and there is
    /// room, else found by the next scan.
    pub(super) fn arrived(
        &mut self,
        event: Sequence,
        last_before: Sequence,
        destinations: &[DestinationId],
    ) {
        let room = destinations
            .iter()
            .all(|destination| self.count(*destination) < READY);
        if room && self.is_caught_up(last_before) {
            for destination in destinations {
                self.put(event, *destination);
            }
            self.scanned_to = sql::after(event);
        }
    }

    /// An event has no first attempts left.
    pub(super) fn settled(&mut self) {
        self.settled = self.settled.saturating_add(1);
    }

    /// Back to where it can be leased from.
    pub(super) fn put(&mut self, event: Sequence, destination: DestinationId) {
        match self.ready.get_mut(&destination) {
            Some(events) => events.insert(event, ()),
            None => {
                let mut events = Few::default();
                events.insert(event, ());
                self.ready.insert(destination, events);
            }
        }
    }

    /// Leased, or not to be attempted from here any more.
    pub(super) fn take(&mut self, event: Sequence, destination: DestinationId) {
        if let Some(events) = self.ready.get_mut(&destination) {
            events.remove(&event);
            if events.is_empty() {
                self.ready.remove(&destination);
            }
        }
    }

    /// The oldest of a destination.
    pub(super) fn first(&self, destination: DestinationId) -> Option<Sequence> {
        self.ready.get(&destination)?.first().copied()
    }

    /// The oldest of a destination behind that event.
    pub(super) fn next_after(
        &self,
        destination: DestinationId,
        event: Sequence,
    ) -> Option<Sequence> {
        self.ready
            .get(&destination)?
            .keys()
            .copied()
            .find(|known| *known > event)
    }

    /// The oldest of each destination that has any.
    pub(super) fn firsts(&self) -> impl Iterator<Item = (DestinationId, Sequence)> {
        self.ready
            .iter()
            .filter_map(|(destination, events)| Some((*destination, *events.first()?)))
    }

    fn count(&self, destination: DestinationId) -> usize {
        self.ready.get(&destination).map_or(0, Few::len)
    }

    /// Where the cursor may be moved to, when it is worth a row. `in_flight` is the
    /// oldest first attempt that is out.
    pub(super) fn cursor_to_persist(&self, in_flight: Option<Sequence>) -> Option<Sequence> {
        let lowest = self
            .firsts()
            .map(|(_, event)| event)
            .chain(in_flight)
            .fold(self.scanned_to, Sequence::min);
        (self.settled >= PERSIST_EVERY && lowest > self.persisted).then_some(lowest)
    }

    /// Writes the cursor: one row.
    pub(super) fn persist(db: &impl Database, cursor: Sequence) -> Result<(), MailboxError> {
        schema::set_meta(db, CURSOR, sql::sequence(cursor))
    }

    /// The cursor was written.
    pub(super) fn persisted(&mut self, cursor: Sequence) {
        self.persisted = cursor;
        self.settled = 0;
    }
}

/// What a scan came to.
pub(super) struct Scan {
    /// How far it read.
    pub(super) to: Sequence,
    /// First attempts for which there was no room.
    pub(super) excess: Vec<(Sequence, DestinationId)>,
    /// Events that cannot be read.
    pub(super) unreadable: Vec<(Sequence, MailboxError)>,
}

fn first_fresh(db: &impl Database, from: Sequence) -> Result<Option<Sequence>, MailboxError> {
    db.run(
        "SELECT seq FROM events WHERE seq >= ? AND fresh = 1 ORDER BY seq LIMIT 1",
        &[sql::sequence(from)],
    )?
    .first()
    .map(|row| sql::read_sequence(row, 0))
    .transpose()
}
