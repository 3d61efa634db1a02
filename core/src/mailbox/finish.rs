//! What an attempt came to, and what becomes of its delivery.
//!
//! Rows written: taken at the first attempt 1; a failed first attempt 3 (the wait,
//! its place in the index, the event); a further failure 2; the end of a delivery
//! that waited 2 or 3.

use super::{
    Mailbox, MailboxError, Source,
    deliveries::{Deliveries, History, State},
    lease::give_up_after,
    waiting::{self, Waiting},
};
use crate::{
    database::Database,
    delivery::{Job, Status, Verdict},
    ids::{DestinationId, Sequence},
    retry,
    time::Timestamp,
    webhook::Webhook,
};

/// What the transaction did, for memory to follow once it is kept.
#[derive(Default)]
struct Outcome {
    /// It waits for another attempt.
    waits: bool,
    /// The event had first attempts to make and has none now.
    settled: bool,
    alarm: Option<Timestamp>,
}

impl Mailbox {
    /// Records an attempt and decides: taken, next try, or failed. `jitter` is
    /// random, 0 to 1. A job that is not in flight, or whose event is gone, is
    /// ignored.
    ///
    /// The wait before the next try ends at the latest when the delivery is given
    /// up: the last attempt is made then.
    ///
    /// # Errors
    /// When the database fails: the delivery is due again, since an attempt that
    /// is not recorded has to be repeated.
    pub fn finish(
        &mut self,
        db: &impl Database,
        job: &Job,
        verdict: Verdict,
        now: Timestamp,
        jitter: f64,
    ) -> Result<(), MailboxError> {
        let (event, destination) = (job.event.id.sequence, job.destination);
        let Some(source) = self.in_flight.remove(&(event, destination)) else {
            return Ok(());
        };
        let Some(config) = &self.config else {
            return Ok(());
        };
        if let Some(until) = verdict
            .not_before
            .filter(|until| !verdict.taken && *until > now)
        {
            let until = self.not_held(destination, until);
            self.holds.insert(destination, until);
        }
        match db.atomically(|| self.record(db, config, event, destination, verdict, now, jitter)) {
            Ok(outcome) => {
                if outcome.waits {
                    self.waiting.insert(destination, ());
                }
                if outcome.settled {
                    self.first_attempts.settled();
                }
                self.armed = outcome.alarm.or(self.armed);
                Ok(())
            }
            Err(error) => {
                // It may have stuck: the delivery may be in either place.
                if source == Source::Event {
                    self.first_attempts.put(event, destination);
                }
                self.waiting.insert(destination, ());
                self.armed = None;
                Err(error)
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the whole of one decision")]
    fn record(
        &self,
        db: &impl Database,
        config: &Webhook,
        event: Sequence,
        destination: DestinationId,
        verdict: Verdict,
        now: Timestamp,
        jitter: f64,
    ) -> Result<Outcome, MailboxError> {
        let Some(mut deliveries) = Deliveries::load(db, event)? else {
            return Ok(Outcome::default());
        };
        let was_fresh = deliveries.is_fresh();
        let Some(record) = deliveries.get_mut(destination) else {
            return Ok(Outcome::default());
        };
        let row = match record.state {
            State::Waiting => waiting::load(db, destination, event)?,
            _ => None,
        };
        let waited = row.is_some();
        let (mut row, mut history) = row.unwrap_or_else(|| {
            let new = Waiting {
                event,
                due: now,
                tries: 0,
                since: event.at(),
                made: 0,
            };
            (new, record.history())
        });
        history.push(verdict.attempt);
        row.tries = row.tries.saturating_add(1);

        let next = if verdict.taken {
            Err(State::Delivered)
        } else if record.state.status() != Status::Pending {
            // Ended while it was out: the attempt is kept, the end stands.
            Err(record.state)
        } else if !config
            .destinations
            .iter()
            .any(|known| known.id == destination)
        {
            Err(State::Cancelled)
        } else {
            let end = row.since.plus(give_up_after(config));
            retry::next_delay(&config.retry, row.tries, jitter)
                .filter(|_| now < end)
                .map(|delay| {
                    let scheduled = now.plus(delay);
                    verdict
                        .not_before
                        .map_or(scheduled, |not_before| scheduled.max(not_before))
                        .min(end)
                })
                .ok_or(State::Failed)
        };
        let mut outcome = Outcome::default();
        match next {
            Ok(due) => {
                row.due = due;
                outcome.waits = true;
                if !self.running && !config.is_paused {
                    outcome.alarm = self.arm(db, self.not_held(destination, due), now)?;
                }
                if waited {
                    waiting::postpone(db, destination, &row, &history)?;
                } else {
                    record.set(State::Waiting, History::default());
                    waiting::insert(db, destination, &row, &history)?;
                    deliveries.save(db, event)?;
                }
            }
            Err(state) => {
                record.set(state, history);
                if waited {
                    waiting::remove(db, destination, event)?;
                }
                deliveries.save(db, event)?;
            }
        }
        outcome.settled = was_fresh && !deliveries.is_fresh();
        Ok(outcome)
    }

    /// Ends a delivery without an attempt, unless it has ended: what could not be
    /// recorded may have been all the same.
    pub(super) fn end(
        &mut self,
        db: &impl Database,
        event: Sequence,
        destination: DestinationId,
        state: State,
    ) -> Result<(), MailboxError> {
        let settled = db.atomically(|| -> Result<bool, MailboxError> {
            let waited = waiting::load(db, destination, event)?;
            if waited.is_some() {
                waiting::remove(db, destination, event)?;
            }
            let Some(mut deliveries) = Deliveries::load(db, event)? else {
                return Ok(false);
            };
            let was_fresh = deliveries.is_fresh();
            if let Some(record) = deliveries
                .get_mut(destination)
                .filter(|record| record.state.status() == Status::Pending)
            {
                let history = waited.map_or_else(|| record.history(), |(_, history)| history);
                record.set(state, history);
                deliveries.save(db, event)?;
            }
            Ok(was_fresh && !deliveries.is_fresh())
        })?;
        if settled {
            self.first_attempts.settled();
        }
        Ok(())
    }
}
