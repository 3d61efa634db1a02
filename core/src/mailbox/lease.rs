//! Which attempts are made now.
//!
//! Within a destination the oldest due goes first (a new event is due when it
//! came). Between destinations the one with the fewest attempts out goes first,
//! and a slot stays free for each that has none out: a slow destination does not
//! hinder the others.

use super::{
    Mailbox, MailboxError, Source,
    deliveries::{Deliveries, State},
    few::Few,
    payload::Payload,
    sql,
    waiting::{self, Waiting},
};
use crate::{
    database::Database,
    delivery::{Job, StoredEvent},
    ids::{DestinationId, EventId, Sequence, WebhookId},
    time::{HOUR, Timestamp},
    webhook::Webhook,
};
use std::{collections::VecDeque, rc::Rc, time::Duration};

/// Reads of new events in one lease.
const SCANS: u32 = 8;

/// After this long a delivery is given up.
pub(super) fn give_up_after(config: &Webhook) -> Duration {
    HOUR.saturating_mul(config.give_up_after_hours)
}

/// What one lease has read, so as not to read it twice.
struct Found {
    /// Due rows of `waiting`, oldest first.
    waiting: Few<DestinationId, VecDeque<Waiting>>,
    events: Few<Sequence, Rc<StoredEvent>>,
    scans_left: u32,
}

/// A delivery that could be attempted.
struct Candidate {
    destination: DestinationId,
    due: Timestamp,
    event: Sequence,
    /// Its row when it waits; else its first attempt is meant.
    waiting: Option<Waiting>,
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
        let leased = self.fill(db, now, slots, &mut jobs).and_then(|()| {
            if self.in_flight.is_empty() {
                Ok(())
            } else {
                self.arm_lease(db, now)
            }
        });
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
        if let Some(Source::Event) = self.in_flight.remove(&(event, job.destination)) {
            self.first_attempts.put(event, job.destination);
        }
    }

    fn fill(
        &mut self,
        db: &impl Database,
        now: Timestamp,
        slots: usize,
        jobs: &mut Vec<Job>,
    ) -> Result<(), MailboxError> {
        let Some(config) = self.relaying() else {
            return Ok(());
        };
        if slots == 0 {
            return Ok(());
        }
        let webhook = config.id;
        let give_up = give_up_after(config);
        let configured: Vec<DestinationId> = config
            .destinations
            .iter()
            .map(|destination| destination.id)
            .collect();
        self.cancel_removed(db, &configured)?;
        let open: Vec<DestinationId> = configured
            .into_iter()
            .filter(|id| self.not_held(*id, now) <= now)
            .collect();
        let mut found = Found {
            waiting: self.read_waiting(db, &open, now, slots)?,
            events: Few::default(),
            scans_left: SCANS,
        };
        while jobs.len() < slots {
            let free = slots.saturating_sub(jobs.len());
            let Some(candidate) = self.choose(db, &open, free, now, &mut found)? else {
                return Ok(());
            };
            let key = (candidate.event, candidate.destination);
            let job = self.open_delivery(db, &candidate, webhook, give_up, now, &mut found)?;
            // Only now: had it failed, the delivery would still be where it was.
            match candidate.waiting {
                None => self.first_attempts.take(key.0, key.1),
                Some(_) => {
                    if let Some(rows) = found.waiting.get_mut(&key.1) {
                        rows.pop_front();
                    }
                }
            }
            if let Some(job) = job {
                let source = match candidate.waiting {
                    None => Source::Event,
                    Some(_) => Source::Waiting,
                };
                self.in_flight.insert(key, source);
                jobs.push(job);
            }
        }
        Ok(())
    }

    /// The due rows of each destination, without those in flight.
    fn read_waiting(
        &mut self,
        db: &impl Database,
        open: &[DestinationId],
        now: Timestamp,
        slots: usize,
    ) -> Result<Few<DestinationId, VecDeque<Waiting>>, MailboxError> {
        let mut found = Few::default();
        for id in open {
            if !self.waiting.has(id) {
                continue;
            }
            let limit = slots.saturating_add(self.in_flight_to(*id));
            let mut rows: VecDeque<Waiting> = waiting::first(db, *id, limit)?.into();
            if rows.is_empty() {
                // Nothing waits there any more: it is not asked for again.
                self.waiting.remove(id);
            }
            rows.retain(|row| row.due <= now && !self.in_flight.has(&(row.event, *id)));
            found.insert(*id, rows);
        }
        Ok(found)
    }

    fn choose(
        &mut self,
        db: &impl Database,
        open: &[DestinationId],
        free: usize,
        now: Timestamp,
        found: &mut Found,
    ) -> Result<Option<Candidate>, MailboxError> {
        let out: Vec<(DestinationId, usize)> = open
            .iter()
            .map(|id| (*id, self.in_flight_to(*id)))
            .collect();
        // A slot stays free for each that has none out, up to half of all slots.
        let all = out
            .iter()
            .map(|(_, count)| count)
            .sum::<usize>()
            .saturating_add(free);
        let idle = out.iter().filter(|(_, count)| *count == 0).count();
        let reserved = idle.min(all.div_euclid(2));
        let mut best: Option<(usize, Candidate)> = None;
        for (id, count) in out {
            if count > 0 && free <= reserved {
                continue;
            }
            let Some(candidate) = self.oldest(db, id, now, found)? else {
                continue;
            };
            let better = best.as_ref().is_none_or(|(least, known)| {
                (count, candidate.due, candidate.event) < (*least, known.due, known.event)
            });
            if better {
                best = Some((count, candidate));
            }
        }
        Ok(best.map(|(_, candidate)| candidate))
    }

    /// The oldest due of a destination, reading on through new events if need be.
    fn oldest(
        &mut self,
        db: &impl Database,
        destination: DestinationId,
        now: Timestamp,
        found: &mut Found,
    ) -> Result<Option<Candidate>, MailboxError> {
        while self.first_attempts.first(destination).is_none()
            && found.scans_left > 0
            && !self.first_attempts.is_caught_up(self.last)
        {
            found.scans_left = found.scans_left.saturating_sub(1);
            self.scan(db, now)?;
        }
        let fresh = self
            .first_attempts
            .first(destination)
            .map(|event| Candidate {
                destination,
                due: event.at(),
                event,
                waiting: None,
            });
        let waiting = found
            .waiting
            .get(&destination)
            .and_then(VecDeque::front)
            .map(|row| Candidate {
                destination,
                due: row.due,
                event: row.event,
                waiting: Some(*row),
            });
        Ok(match (fresh, waiting) {
            (Some(fresh), Some(waiting))
                if (waiting.due, waiting.event) < (fresh.due, fresh.event) =>
            {
                Some(waiting)
            }
            (Some(fresh), _) => Some(fresh),
            (None, waiting) => waiting,
        })
    }

    /// Reads new events; what a backlogged destination has no room for waits in the
    /// table instead.
    fn scan(&mut self, db: &impl Database, now: Timestamp) -> Result<(), MailboxError> {
        let scan = self.first_attempts.scan(db, self.last)?;
        for (event, destination) in scan.excess {
            // Before it is written: it may be, though that fails.
            self.waiting.insert(destination, ());
            if db.atomically(|| park(db, event, destination, now))? {
                self.first_attempts.settled();
            }
        }
        self.first_attempts.scanned(scan.to);
        Ok(())
    }

    /// Makes a job of a candidate. `None` when there is nothing to attempt after
    /// all: it has been settled, or is given up now.
    fn open_delivery(
        &mut self,
        db: &impl Database,
        candidate: &Candidate,
        webhook: WebhookId,
        give_up: Duration,
        now: Timestamp,
        found: &mut Found,
    ) -> Result<Option<Job>, MailboxError> {
        let (event, destination) = (candidate.event, candidate.destination);
        let (deliveries, stored) = match found.events.get(&event) {
            Some(stored) => (Deliveries::load(db, event)?, Some(Rc::clone(stored))),
            None => match self.read_event(db, event, webhook)? {
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
            (Some(State::Waiting), Some(row)) if is_given_up(row, give_up, now) => {
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
        Ok(Some(Job {
            event: stored,
            destination,
            number,
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

/// Moves a first attempt into `waiting`. Whether the event has none left.
fn park(
    db: &impl Database,
    event: Sequence,
    destination: DestinationId,
    now: Timestamp,
) -> Result<bool, MailboxError> {
    let Some(mut deliveries) = Deliveries::load(db, event)? else {
        return Ok(false);
    };
    let Some(record) = deliveries
        .get_mut(destination)
        .filter(|record| record.state == State::Fresh)
    else {
        return Ok(false);
    };
    record.state = State::Waiting;
    let history = record.take_history();
    let row = Waiting {
        event,
        due: event.at().min(now),
        tries: 0,
        since: event.at(),
        made: history.made,
    };
    waiting::insert(db, destination, &row, &history)?;
    deliveries.save(db, event)?;
    Ok(!deliveries.is_fresh())
}
