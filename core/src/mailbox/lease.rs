//! Which attempts are made now, and what is sent with them.
//!
//! A leased attempt is in flight until it is finished or given back. What goes first
//! is chosen in `choose`.

use super::{
    Mailbox, MailboxError, Source,
    choose::{Candidate, Found},
    deliveries::{Deliveries, State},
    finish::give_up_after,
    payload::Payload,
    sql,
    waiting::{self, Waiting},
};
use crate::{
    database::Database,
    delivery::{Job, StoredEvent},
    ids::{DestinationId, EventId, Sequence, WebhookId},
    relay::KEPT_FOR,
    time::Timestamp,
    webhook::Webhook,
};
use std::{rc::Rc, time::Duration};

/// The time between two attempts at a destination's rate, of which each shard has its
/// share.
fn interval(config: &Webhook, destination: DestinationId) -> Duration {
    let rate = config
        .destinations
        .iter()
        .find(|known| known.id == destination)
        .map_or(1, |known| known.rate_per_second.max(1));
    Duration::from_secs(1)
        .saturating_mul(u32::from(config.shards.max(1)))
        .checked_div(rate)
        .unwrap_or_default()
}

impl Mailbox {
    /// At most `slots` attempts to be made now. They are in flight until
    /// [`finish`](Self::finish) or [`abandon`](Self::abandon).
    ///
    /// # Errors
    /// When the database fails; then nothing is leased.
    pub fn lease(
        &mut self,
        db: &impl Database,
        now: Timestamp,
        slots: usize,
    ) -> Result<Vec<Job>, MailboxError> {
        let mut jobs = Vec::new();
        let leased = self
            .fill(db, now, slots, &mut jobs)
            .and_then(|()| self.renew_lease(db, now));
        match leased {
            Ok(()) => Ok(jobs),
            Err(error) => {
                for job in &jobs {
                    self.abandon(job);
                }
                Err(error)
            }
        }
    }

    /// Gives a leased attempt back that could not be made: it is due again.
    pub fn abandon(&mut self, job: &Job) {
        let event = job.event.id.sequence;
        if let Some(source) = self.in_flight.remove(&(event, job.destination)) {
            self.give_back(event, job.destination, source);
        }
    }

    /// Puts what was leased back where it was.
    pub(super) fn give_back(
        &mut self,
        event: Sequence,
        destination: DestinationId,
        source: Source,
    ) {
        if let Some(health) = self.health.get_mut(&destination) {
            health.probe_ended(event);
        }
        match source {
            Source::Event => self.first_attempts.put(event, destination),
            Source::Waiting => {}
            Source::Released => {
                if let Some(health) = self.health.get_mut(&destination) {
                    health.go_back(event);
                }
            }
        }
    }

    fn fill(
        &mut self,
        db: &impl Database,
        now: Timestamp,
        slots: usize,
        jobs: &mut Vec<Job>,
    ) -> Result<(), MailboxError> {
        let Some(config) = self.relaying().cloned() else {
            return Ok(());
        };
        if slots == 0 {
            return Ok(());
        }
        let configured: Vec<DestinationId> = config
            .destinations
            .iter()
            .map(|destination| destination.id)
            .collect();
        self.cancel_removed(db, &configured)?;
        self.give_up_waiting(db, &config, now)?;
        let mut found = Found::new(slots);
        while jobs.len() < slots {
            let free = slots.saturating_sub(jobs.len());
            let Some(candidate) = self.choose(db, &configured, free, now, &mut found)? else {
                return Ok(());
            };
            let job = match self.open_delivery(db, &candidate, &config, now, &mut found) {
                Ok(job) => job,
                Err(error) => {
                    self.set_aside(candidate.event, error)?;
                    None
                }
            };
            // Only now: had it failed, the delivery would still be where it was.
            let interval = interval(&config, candidate.destination);
            self.chosen(
                &candidate,
                job.is_some().then_some(interval),
                now,
                &mut found,
            );
            if let Some(job) = job {
                let key = (candidate.event, candidate.destination);
                self.in_flight.insert(key, candidate.source());
                jobs.push(job);
            }
        }
        Ok(())
    }

    /// Makes a job of a candidate. `None` when there is nothing to attempt after
    /// all: it has been settled, or is given up now.
    fn open_delivery(
        &mut self,
        db: &impl Database,
        candidate: &Candidate,
        config: &Webhook,
        now: Timestamp,
        found: &mut Found,
    ) -> Result<Option<Job>, MailboxError> {
        let (event, destination) = (candidate.event, candidate.destination);
        let (deliveries, stored) = match found.events.get(&event) {
            Some(stored) => (Deliveries::load(db, event)?, Some(Rc::clone(stored))),
            None => match self.read_event(db, event, config.id)? {
                Some((deliveries, stored)) => (Some(deliveries), stored.map(Rc::new)),
                None => (None, None),
            },
        };
        let state = deliveries
            .as_ref()
            .and_then(|deliveries| deliveries.get(destination))
            .map(|record| record.state);
        let number = match (state, &candidate.waiting) {
            (Some(State::Fresh), None) => 1,
            (Some(State::Waiting), Some(row)) if is_given_up(row, give_up_after(config), now) => {
                self.end(db, event, destination, State::Failed)?;
                return Ok(None);
            }
            (Some(State::Waiting), Some(row)) => row.made.saturating_add(1),
            // A row without its event, or left behind.
            (_, Some(_)) => {
                waiting::remove(db, destination, event)?;
                return Ok(None);
            }
            (_, None) => return Ok(None),
        };
        let Some(stored) = stored else {
            // Its payload is not kept any more: there is nothing to send.
            self.end(db, event, destination, State::Failed)?;
            return Ok(None);
        };
        found.events.insert(event, Rc::clone(&stored));
        let answered_at = self.answered_at.get(&destination);
        Ok(Some(Job {
            event: stored,
            destination,
            number,
            connection_may_be_kept: answered_at.is_some_and(|at| now.since(*at) < KEPT_FOR),
        }))
    }

    /// The deliveries of an event, and what is relayed of it unless that is not
    /// kept any more; `None` when there is no such event.
    fn read_event(
        &self,
        db: &impl Database,
        event: Sequence,
        webhook: WebhookId,
    ) -> Result<Option<(Deliveries, Option<StoredEvent>)>, MailboxError> {
        let rows = db.run(
            "SELECT envelope, body, test, deliveries FROM events WHERE seq = ?",
            &[sql::sequence(event)],
        )?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let test = row.integer(2)? != 0;
        let deliveries = sql::read_json(row, 3, "an event's deliveries")?;
        let stored = Payload::read(db, event, row)?.map(|payload| StoredEvent {
            id: EventId {
                sequence: event,
                webhook,
                shard: self.shard,
            },
            envelope: payload.envelope,
            body: payload.body,
            test,
        });
        Ok(Some((deliveries, stored)))
    }
}

/// Whether a delivery's time is over. One that has not been attempted since it was
/// queued is, once, whatever held it up; so is one whose wait was cut short to end
/// at that very time.
fn is_given_up(row: &Waiting, give_up: Duration, now: Timestamp) -> bool {
    let end = row.since.plus(give_up);
    row.tries > 0 && row.due < end && now > end
}
