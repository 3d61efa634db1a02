//! Delivering again, whatever an event's state.
//!
//! Without a destination: to those that the event was for and that are still
//! configured; when none of them is (all were replaced), to those that are
//! configured now. With one: to it, if it is configured.

use super::{
    Mailbox, MailboxError,
    counted::Counted,
    deliveries::{Deliveries, Record, State},
    payload::Payload,
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
                tried: Timestamp::default(),
            };
            waiting::insert(db, record.destination, &row, &history)?;
            record.queued_again();
        }
    }
    Ok(())
}

impl Mailbox {
    /// Queues the event's deliveries, or one of them, again. How many were queued:
    /// none when its payload is not kept any more; `None` when there is no such event
    /// or destination. A run under way should
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
        if self.config.is_none() {
            return Ok(None);
        }
        let configured = self.configured();
        let relaying = self.relaying().is_some();
        let counted = self.counted;
        let stored = db.atomically(|| {
            let chosen = again(db, &configured, counted, event, destination, now)?;
            let Some(chosen) = chosen else {
                return Ok(None);
            };
            // It goes at once, also where its destination is down or asked for patience.
            let alarm = if relaying && !chosen.is_empty() {
                self.arm(db, now, now)?
            } else {
                None
            };
            Ok(Some((chosen, alarm)))
        });
        match stored {
            Ok(None) => Ok(None),
            Ok(Some((chosen, alarm))) => {
                self.armed = alarm.or(self.armed);
                let queued = u32::try_from(chosen.len()).unwrap_or(u32::MAX);
                for destination in &chosen {
                    if let Some(health) = self.health.get_mut(destination) {
                        health.ask_for(event);
                    }
                }
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

    /// The next probe of each of these goes out at once.
    pub(super) fn ask_for_probes(&mut self, destinations: &[DestinationId]) {
        for destination in destinations {
            if let Some(health) = self.health.get_mut(destination) {
                health.ask_for_probe();
            }
        }
    }

    /// The destinations that are configured.
    pub(super) fn configured(&self) -> Vec<DestinationId> {
        self.config
            .iter()
            .flat_map(|config| &config.destinations)
            .map(|destination| destination.id)
            .collect()
    }
}

/// Queues an event's deliveries, or one of them, again, within a transaction: to
/// which destinations. None of them when the payload is not kept any more; `None`
/// when there is no such event or destination.
pub(super) fn again(
    db: &impl Database,
    configured: &[DestinationId],
    counted: Counted,
    event: Sequence,
    destination: Option<DestinationId>,
    now: Timestamp,
) -> Result<Option<Vec<DestinationId>>, MailboxError> {
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
        chosen.extend(configured);
    }
    if chosen.is_empty() {
        return Ok(None);
    }
    if !Payload::is_kept(db, event)? {
        return Ok(Some(Vec::new()));
    }
    let before = deliveries.clone();
    for id in &chosen {
        if deliveries.get(*id).is_none() {
            // Not a first attempt to be found by the cursor: it is past.
            deliveries.0.push(Record::new(*id, State::Cancelled));
        }
        if let Some(record) = deliveries.get_mut(*id) {
            queue(db, event, record, now)?;
        }
    }
    if deliveries != before {
        let counted_as = counted.standing(event, &before);
        deliveries.save(db, event, counted_as)?;
    }
    Ok(Some(chosen))
}
