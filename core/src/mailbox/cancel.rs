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
        let counted = self.counted;
        let stored = db.atomically(|| {
            let Some(mut deliveries) = Deliveries::load(db, event)? else {
                return Ok::<_, MailboxError>(None);
            };
            let before = counted.standing(event, &deliveries);
            let was_fresh = deliveries.is_fresh();
            let mut ended: Vec<DestinationId> = Vec::new();
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
                ended.push(record.destination);
            }
            if !ended.is_empty() {
                deliveries.save(db, event, before)?;
            }
            Ok(Some((ended, was_fresh)))
        })?;
        let Some((ended, was_fresh)) = stored else {
            return Ok(false);
        };
        for destination in ended {
            self.first_attempts.take(event, destination);
        }
        if was_fresh {
            self.first_attempts.settled();
        }
        Ok(true)
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
        let rows = db.run(
            "SELECT key, deliveries, status FROM events WHERE seq = ?",
            &[sql::sequence(event)],
        )?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let key = sql::read_bytes(row, 0)?
            .try_into()
            .map_err(|_| MailboxError::unreadable("an event's key"))?;
        let deliveries: Deliveries =
            sql::read_json(row, 1, "an event's deliveries").unwrap_or_default();
        let known: Vec<DestinationId> = deliveries
            .0
            .iter()
            .map(|record| record.destination)
            .chain(self.waiting.keys().copied())
            .collect();
        let status = sql::read_status(row, 2)?;
        let counted_as = self.counted.standing_as(event, status, &deliveries);
        db.atomically(|| -> Result<(), MailboxError> {
            counted::change(db, counted_as, None)?;
            for destination in &known {
                waiting::remove(db, *destination, event)?;
            }
            for table in ["payloads", "events"] {
                db.run(
                    &["DELETE FROM ", table, " WHERE seq = ?"].concat(),
                    &[sql::sequence(event)],
                )?;
            }
            Ok(())
        })?;
        for destination in known {
            self.first_attempts.take(event, destination);
        }
        self.unreadable.remove(&event);
        Ok(Some(Deleted { event: view, key }))
    }
}
