//! Delivering again, whatever an event's state.
//!
//! Without a destination: to those that the event was for and that are still
//! configured; when none of them is (all were replaced), to those that are
//! configured now. With one: to it, if it is configured.

use super::{
    Mailbox, MailboxError,
    deliveries::{Deliveries, Record, State},
    waiting::{self, Waiting},
};
use crate::{
    database::Database,
    ids::{DestinationId, Sequence},
    time::Timestamp,
};

/// Puts one delivery at the start of its schedule, due now; the numbering of its
/// attempts goes on. The record still has to be saved. One whose first attempt is
/// to be made is due already.
pub(super) fn queue(
    db: &impl Database,
    event: Sequence,
    record: &mut Record,
    now: Timestamp,
) -> Result<(), MailboxError> {
    match record.state {
        State::Fresh => {}
        State::Waiting => waiting::restart(db, record.destination, event, now)?,
        State::Delivered | State::Failed | State::Cancelled => {
            let history = record.take_history();
            let row = Waiting {
                event,
                due: now,
                tries: 0,
                since: now,
                made: history.made,
            };
            waiting::insert(db, record.destination, &row, &history)?;
            record.state = State::Waiting;
        }
    }
    Ok(())
}

impl Mailbox {
    /// Queues the event's deliveries, or one of them, again. How many were queued;
    /// `None` when there is no such event or destination. A run under way should
    /// look for work afterwards.
    ///
    /// # Errors
    /// When the database fails.
    pub fn resend(
        &mut self,
        db: &impl Database,
        event: Sequence,
        destination: Option<DestinationId>,
        now: Timestamp,
    ) -> Result<Option<u32>, MailboxError> {
        let Some(config) = &self.config else {
            return Ok(None);
        };
        let configured: Vec<DestinationId> = config
            .destinations
            .iter()
            .map(|destination| destination.id)
            .collect();
        let paused = config.is_paused;
        let stored = db.atomically(|| {
            let Some(mut deliveries) = Deliveries::load(db, event)? else {
                return Ok(None);
            };
            let mut chosen: Vec<DestinationId> = configured
                .iter()
                .copied()
                .filter(|id| match destination {
                    Some(wanted) => *id == wanted,
                    None => deliveries.get(*id).is_some(),
                })
                .collect();
            if chosen.is_empty() && destination.is_none() {
                chosen.clone_from(&configured);
            }
            if chosen.is_empty() {
                return Ok(None);
            }
            let alarm = if paused {
                None
            } else {
                let due = chosen.iter().map(|id| self.not_held(*id, now)).min();
                self.arm(db, due.unwrap_or(now), now)?
            };
            let before = deliveries.clone();
            for id in &chosen {
                if deliveries.get(*id).is_none() {
                    let mut record = Record::fresh(*id);
                    // Not a first attempt to be found by the cursor: it is past.
                    record.state = State::Cancelled;
                    deliveries.0.push(record);
                }
                if let Some(record) = deliveries.get_mut(*id) {
                    queue(db, event, record, now)?;
                }
            }
            if deliveries != before {
                deliveries.save(db, event)?;
            }
            Ok(Some((chosen, alarm)))
        });
        match stored {
            Ok(None) => Ok(None),
            Ok(Some((chosen, alarm))) => {
                self.armed = alarm.or(self.armed);
                let queued = u32::try_from(chosen.len()).unwrap_or(u32::MAX);
                self.waiting.extend(chosen);
                Ok(Some(queued))
            }
            Err(error) => {
                // It may have stuck.
                self.waiting.extend(configured);
                self.armed = None;
                Err(error)
            }
        }
    }
}
