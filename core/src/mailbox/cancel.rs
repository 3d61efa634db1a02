//! Stopping and deleting: what the operator does not want any more.
//!
//! What is in flight cannot be called back. A cancelled delivery whose attempt is
//! taken after all is delivered; of a deleted event nothing is written down.

use super::{
    Mailbox, MailboxError, counted,
    deliveries::{Deliveries, State},
    sql,
    view::EventView,
    waiting,
};
use crate::{
    database::Database,
    delivery::Status,
    event::DedupeKey,
    ids::{DestinationId, Sequence},
};

/// A deleted event, and the key by which it was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// As it was.
    pub event: EventView,
    /// A marker that is kept elsewhere goes by it.
    pub key: DedupeKey,
}

/// Deliveries that were ended within a transaction, for memory to follow.
pub(super) struct Ended {
    event: Sequence,
    destinations: Vec<DestinationId>,
    /// It had first attempts to make and has none now.
    settled: bool,
    /// It is gone as a whole.
    gone: bool,
}

impl Mailbox {
    /// Ends every delivery of the event that is still pending. `false` when there is
    /// no such event.
    ///
    /// # Errors
    /// When the database fails.
    pub fn cancel(&mut self, db: &impl Database, event: Sequence) -> Result<bool, MailboxError> {
        if self.config.is_none() {
            return Ok(false);
        }
        let Some(ended) = db.atomically(|| self.cancel_within(db, event))? else {
            return Ok(false);
        };
        self.has_ended(ended);
        Ok(true)
    }

    /// The same within a transaction; [`has_ended`](Self::has_ended) follows.
    pub(super) fn cancel_within(
        &self,
        db: &impl Database,
        event: Sequence,
    ) -> Result<Option<Ended>, MailboxError> {
        let Some(mut deliveries) = Deliveries::load(db, event)? else {
            return Ok(None);
        };
        let before = self.counted.standing(event, &deliveries);
        let settled = deliveries.is_fresh();
        let mut destinations: Vec<DestinationId> = Vec::new();
        for record in &mut deliveries.0 {
            if record.state.status() != Status::Pending {
                continue;
            }
            let waited = waiting::load(db, record.destination, event)?;
            if waited.is_some() {
                waiting::remove(db, record.destination, event)?;
            }
            let history = waited.map_or_else(|| record.history(), |(_, history)| history);
            record.set(State::Cancelled, history);
            destinations.push(record.destination);
        }
        if !destinations.is_empty() {
            deliveries.save(db, event, before)?;
        }
        Ok(Some(Ended {
            event,
            destinations,
            settled,
            gone: false,
        }))
    }

    /// Memory follows what was ended.
    pub(super) fn has_ended(&mut self, ended: Ended) {
        for destination in ended.destinations {
            self.first_attempts.take(ended.event, destination);
        }
        if ended.settled {
            self.first_attempts.settled();
        }
        if ended.gone {
            self.unreadable.remove(&ended.event);
        }
    }

    /// Forgets the event, its deliveries and that it was ever seen. `None` when there
    /// is no such event.
    ///
    /// # Errors
    /// When the database fails.
    pub fn delete(
        &mut self,
        db: &impl Database,
        event: Sequence,
    ) -> Result<Option<Deleted>, MailboxError> {
        let Some(view) = self.get(db, event)? else {
            return Ok(None);
        };
        let stored = db.atomically(|| match self.delete_within(db, event)? {
            Some((Some(key), ended)) => Ok(Some((key, ended))),
            Some((None, _)) => Err(MailboxError::unreadable("an event's key")),
            None => Ok(None),
        })?;
        let Some((key, ended)) = stored else {
            return Ok(None);
        };
        self.has_ended(ended);
        Ok(Some(Deleted { event: view, key }))
    }

    /// The same within a transaction; [`has_ended`](Self::has_ended) follows. The key is
    /// missing where it cannot be read.
    pub(super) fn delete_within(
        &self,
        db: &impl Database,
        event: Sequence,
    ) -> Result<Option<(Option<DedupeKey>, Ended)>, MailboxError> {
        let rows = db.run(
            "SELECT key, deliveries, status FROM events WHERE seq = ?",
            &[sql::sequence(event)],
        )?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let key = sql::read_bytes(row, 0)?.try_into().ok();
        let deliveries: Deliveries =
            sql::read_json(row, 1, "an event's deliveries").unwrap_or_default();
        let status = sql::read_status(row, 2)?;
        let known: Vec<DestinationId> = deliveries
            .0
            .iter()
            .map(|record| record.destination)
            .chain(self.waiting.keys().copied())
            .collect();
        counted::change(
            db,
            self.counted.standing_as(event, status, &deliveries),
            None,
        )?;
        for destination in &known {
            waiting::remove(db, *destination, event)?;
        }
        for table in ["payloads", "events"] {
            db.run(
                &["DELETE FROM ", table, " WHERE seq = ?"].concat(),
                &[sql::sequence(event)],
            )?;
        }
        let ended = Ended {
            event,
            destinations: known,
            settled: false,
            gone: true,
        };
        Ok(Some((key, ended)))
    }
}
