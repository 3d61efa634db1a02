//! What an attempt came to, and what becomes of its delivery.
//!
//! Rows written: taken at the first attempt 1; a failed first attempt 3 (the wait,
//! its place in the index, the event); a further failure 2; the end of a delivery
//! that waited 2 or 3. One more each time when what is known of the destination's
//! health changes with it.

use super::{
    Mailbox, MailboxError, Source,
    deliveries::{Deliveries, History, Record, State},
    health::{self, Health, Turn},
    waiting::{self, Waiting},
};
use crate::{
    alert::Kind,
    database::Database,
    delivery::{Job, Status, Verdict},
    ids::{DestinationId, Sequence},
    retry,
    time::{HOUR, Timestamp},
    webhook::Webhook,
};
use std::time::Duration;

/// After this long a delivery is given up.
pub(super) fn give_up_after(config: &Webhook) -> Duration {
    HOUR.saturating_mul(config.give_up_after_hours)
}

/// What the transaction did, for memory to follow once it is kept.
#[derive(Default)]
struct Outcome {
    /// It waits for another attempt.
    waits: bool,
    /// It has failed for good.
    failed: bool,
    /// The event had first attempts to make and has none now.
    settled: bool,
    alarm: Option<Timestamp>,
}

/// An attempt and what it changed of its destination's health.
struct Attempted<'a> {
    event: Sequence,
    destination: DestinationId,
    verdict: Verdict,
    /// The destination was down and is: schedules stand still.
    stands_still: bool,
    health: &'a Health,
}

/// Most deliveries are the only one of their event and taken at the first attempt: one
/// statement, which is none where the row is another.
fn taken_at_once(db: &impl Database, attempted: &Attempted<'_>) -> Result<bool, MailboxError> {
    let fresh = Record::new(attempted.destination, State::Fresh);
    let mut history = History::default();
    history.extend(attempted.verdict.broken_before.clone());
    history.push(attempted.verdict.attempt.clone());
    let mut taken = fresh.clone();
    taken.set(State::Delivered, history);
    Deliveries(vec![taken]).save_over(db, attempted.event, &Deliveries(vec![fresh]))
}

fn configured(config: &Webhook, destination: DestinationId) -> bool {
    config
        .destinations
        .iter()
        .any(|known| known.id == destination)
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
        if verdict.attempt.status_code.is_some() {
            self.answered_at.insert(destination, now);
        }
        let before = self.health.get(&destination).cloned().unwrap_or_default();
        let mut after = before.clone();
        let held = verdict
            .not_before
            .filter(|until| !verdict.taken && *until > now);
        let mut turn = None;
        if configured(config, destination) {
            if verdict.server_down {
                turn = after.failed(event, now);
            } else if verdict.shows_life() {
                turn = after.answered(event, verdict.attempt.started_at, self.last, now);
            } else {
                after.probe_ended(event);
            }
            if let Some(until) = held {
                after.hold(until, now);
            }
        }
        let taken = verdict.taken;
        let attempted = Attempted {
            event,
            destination,
            verdict,
            stands_still: before.is_down() && after.is_down(),
            health: &after,
        };
        let at_once = source == Source::Event
            && attempted.verdict.taken
            && self.running
            && config.destinations.len() == 1
            && !self.counted.has(event)
            && health::is_stored(&before, &after);
        let stored = match at_once.then(|| taken_at_once(db, &attempted)).transpose() {
            Ok(Some(true)) => Ok(Outcome {
                settled: true,
                ..Outcome::default()
            }),
            Ok(_) => db.atomically(|| {
                health::save(db, destination, &before, &after)?;
                self.record(db, config, attempted, now, jitter)
            }),
            Err(error) => Err(error),
        };
        match stored {
            Ok(outcome) => {
                after.unsure = false;
                self.health.insert(destination, after);
                if outcome.waits {
                    self.waiting.insert(destination, ());
                    self.look_for_alerts();
                }
                if outcome.settled {
                    self.first_attempts.settled();
                }
                self.armed = outcome.alarm.or(self.armed);
                if outcome.failed {
                    self.tell_of_end(State::Failed, destination, event);
                }
                self.tell_of_turn(db, destination, turn, u32::from(taken));
                Ok(())
            }
            Err(error) => {
                let mut health = before;
                health.unsure = true;
                // What was asked for binds, written down or not.
                if let Some(until) = held {
                    health.hold(until, now);
                }
                self.health.insert(destination, health);
                // It may have stuck: the delivery may be in either place.
                self.give_back(event, destination, source);
                self.waiting.insert(destination, ());
                self.armed = None;
                Err(error)
            }
        }
    }

    /// Tells the operator what an attempt changed. `through`: how many got through that
    /// do not wait any more.
    pub(super) fn tell_of_turn(
        &mut self,
        db: &impl Database,
        destination: DestinationId,
        turn: Option<Turn>,
        through: u32,
    ) {
        match turn {
            Some(Turn::Down) => self.tell(Kind::DestinationDown, destination, 1, None),
            Some(Turn::Recovered) if self.tells() => {
                let waiting = self.pending_for(db, destination).unwrap_or(0);
                let released = waiting.saturating_add(through);
                self.tell(Kind::DestinationRecovered, destination, released, None);
            }
            _ => {}
        }
    }

    fn record(
        &self,
        db: &impl Database,
        config: &Webhook,
        attempted: Attempted<'_>,
        now: Timestamp,
        jitter: f64,
    ) -> Result<Outcome, MailboxError> {
        let Attempted {
            event,
            destination,
            verdict,
            stands_still,
            health,
        } = attempted;
        let Some(mut deliveries) = Deliveries::load(db, event)? else {
            return Ok(Outcome::default());
        };
        let before = self.counted.standing(event, &deliveries);
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
                tried: now,
            };
            (new, record.history())
        });
        row.tried = now;
        let answered = verdict.shows_life();
        history.extend(verdict.broken_before);
        history.push(verdict.attempt);

        let end = row.since.plus(give_up_after(config));
        let next = if verdict.taken {
            Err(State::Delivered)
        } else if record.state.status() != Status::Pending {
            // Ended while it was out: the attempt is kept, the end stands.
            Err(record.state)
        } else if !configured(config, destination) {
            Err(State::Cancelled)
        } else if record.was_delivered && answered {
            // A handler that knows the event refuses it rightly, and would again.
            Err(State::Delivered)
        } else if now >= end {
            Err(State::Failed)
        } else if stands_still {
            // A probe that told of the server alone costs the delivery nothing.
            Ok(row.due)
        } else {
            row.tries = row.tries.saturating_add(1);
            retry::next_delay(&config.retry, row.tries, jitter)
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
                if waited {
                    waiting::postpone(db, destination, &row, &history)?;
                } else {
                    record.set(State::Waiting, History::default());
                    waiting::insert(db, destination, &row, &history)?;
                    deliveries.save(db, event, before)?;
                }
            }
            Err(state) => {
                outcome.failed =
                    record.ends_as(state) == State::Failed && record.state != State::Failed;
                record.set(state, history);
                if waited {
                    waiting::remove(db, destination, event)?;
                }
                deliveries.save(db, event, before)?;
            }
        }
        outcome.settled = was_fresh && !deliveries.is_fresh();
        if !self.running && !config.is_paused && (outcome.waits || health.is_paced()) {
            // Down: any may be the next probe. Back: all go.
            let due = if health.is_down() || health.is_paced() {
                now
            } else {
                row.due
            };
            outcome.alarm = self.arm(db, health.earliest(due, now), now)?;
        }
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
        let counted = self.counted;
        let mut ends_as = state;
        let ended = db.atomically(|| -> Result<bool, MailboxError> {
            let waited = waiting::load(db, destination, event)?;
            if waited.is_some() {
                waiting::remove(db, destination, event)?;
            }
            let Some(mut deliveries) = Deliveries::load(db, event)? else {
                return Ok(false);
            };
            let before = counted.standing(event, &deliveries);
            let was_fresh = deliveries.is_fresh();
            if let Some(record) = deliveries
                .get_mut(destination)
                .filter(|record| record.state.status() == Status::Pending)
            {
                let history = waited.map_or_else(|| record.history(), |(_, history)| history);
                ends_as = record.ends_as(state);
                record.set(state, history);
                deliveries.save(db, event, before)?;
            }
            Ok(was_fresh && !deliveries.is_fresh())
        });
        let settled = match ended {
            Ok(settled) => settled,
            Err(error) => {
                self.set_aside(event, error)?;
                false
            }
        };
        if settled {
            self.first_attempts.settled();
        }
        self.tell_of_end(ends_as, destination, event);
        Ok(())
    }
}
