//! Which delivery of a destination is attempted next.
//!
//! A destination that is well: the oldest due, a new event being due when it came.
//! One that is down: the next in turn of all that waits, due or not, one at a time.
//! One that has come back: what has waited, oldest first, due or not, and new events
//! in line behind, at the destination's rate.

use super::{
    Mailbox, MailboxError, Source,
    deliveries::{Deliveries, State},
    health::{self, Health, Stretch},
    waiting::{self, Waiting},
};
use crate::{
    database::Database,
    delivery::StoredEvent,
    few::Few,
    ids::{DestinationId, Sequence},
    time::Timestamp,
};
use std::{collections::VecDeque, rc::Rc, time::Duration};

/// Reads of new events in one lease.
const SCANS: u32 = 8;
/// How often a lease reads on where nothing of what it read goes out, because it is
/// given up.
const REFILLS: u32 = 50;

/// What one lease has read, so as not to read it twice.
pub(super) struct Found {
    /// Rows of `waiting` that may go now, in order.
    waiting: Few<DestinationId, VecDeque<Candidate>>,
    pub(super) events: Few<Sequence, Rc<StoredEvent>>,
    scans_left: u32,
    /// Something was taken out of it: what is not in it may be in the table.
    taken: bool,
    /// How often it may still be filled again.
    refills: u32,
    /// How many rows are worth reading at a time.
    rows: usize,
}

impl Found {
    pub(super) fn new(rows: usize) -> Self {
        Self {
            waiting: Few::default(),
            events: Few::default(),
            scans_left: SCANS,
            taken: false,
            refills: REFILLS,
            rows,
        }
    }
}

/// A delivery that could be attempted.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub(super) destination: DestinationId,
    /// Its place in the line: when it was due, or when its event came.
    pub(super) due: Timestamp,
    pub(super) event: Sequence,
    /// Its row when it waits; else its first attempt is meant.
    pub(super) waiting: Option<Waiting>,
    /// It goes because its destination has come back.
    released: bool,
}

impl Candidate {
    /// Where it goes back to when it is not finished.
    pub(super) const fn source(&self) -> Source {
        match self.waiting {
            None => Source::Event,
            Some(_) if self.released => Source::Released,
            Some(_) => Source::Waiting,
        }
    }
}

impl Mailbox {
    /// The next attempt, of whatever destination. Between destinations the one with
    /// the fewest attempts out goes first, and a slot stays free for each that has
    /// none out: a slow destination does not hinder the others.
    pub(super) fn choose(
        &mut self,
        db: &impl Database,
        configured: &[DestinationId],
        free: usize,
        now: Timestamp,
        found: &mut Found,
    ) -> Result<Option<Candidate>, MailboxError> {
        let out: Vec<(DestinationId, usize)> = configured
            .iter()
            .filter(|id| {
                !self
                    .health
                    .get(id)
                    .is_some_and(|health| health.is_closed(now))
            })
            .map(|id| (*id, self.in_flight_to(*id)))
            .collect();
        // Up to half of all slots stay free.
        let all = out
            .iter()
            .map(|(_, count)| count)
            .sum::<usize>()
            .saturating_add(free);
        let idle = out.iter().filter(|(_, count)| *count == 0).count();
        let reserved = idle.min(all.div_euclid(2));
        let mut best: Option<(usize, Candidate)> = None;
        for (id, count) in out {
            if count > 0 && (free <= reserved || self.is_down(id)) {
                continue;
            }
            if self.earliest(id, now, now) > now {
                continue;
            }
            let candidate = if self.is_down(id) {
                self.next_in_turn(db, id, now, found)?
            } else {
                self.oldest(db, id, now, found)?
            };
            let Some(candidate) = candidate else {
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

    /// The candidate goes out (the next to a destination that is paced may after the
    /// interval), or there was nothing to attempt after all: memory follows.
    pub(super) fn chosen(
        &mut self,
        candidate: &Candidate,
        goes_out: Option<Duration>,
        now: Timestamp,
        found: &mut Found,
    ) {
        let destination = candidate.destination;
        match candidate.waiting {
            None => self.first_attempts.take(candidate.event, destination),
            Some(_) => {
                found.taken = true;
                let emptied = found.waiting.get_mut(&destination).is_some_and(|rows| {
                    rows.pop_front();
                    rows.is_empty()
                });
                if emptied && goes_out.is_none() && found.refills > 0 {
                    found.refills = found.refills.saturating_sub(1);
                    found.waiting.remove(&destination);
                }
            }
        }
        if let Some(health) = self.health.get_mut(&destination) {
            match goes_out {
                Some(_) if health.is_down() => health.probed(candidate.event, now),
                Some(interval) if health.is_paced() => health.paced(interval, now),
                _ => {}
            }
            if candidate.released {
                health.advance(candidate.event);
            }
        }
    }

    pub(super) fn is_down(&self, destination: DestinationId) -> bool {
        self.health.get(&destination).is_some_and(Health::is_down)
    }

    /// The oldest of a destination that may go now.
    fn oldest(
        &mut self,
        db: &impl Database,
        destination: DestinationId,
        now: Timestamp,
        found: &mut Found,
    ) -> Result<Option<Candidate>, MailboxError> {
        let fresh = self.first_attempt(db, destination, now, found)?;
        let waiting = self.first_waiting(db, destination, fresh, now, found)?;
        let candidate = match (fresh, waiting) {
            (Some(fresh), Some(waiting)) if (waiting.due, waiting.event) < (fresh.at(), fresh) => {
                Some(waiting)
            }
            (Some(fresh), _) => Some(Candidate {
                destination,
                due: fresh.at(),
                event: fresh,
                waiting: None,
                released: false,
            }),
            (None, waiting) => waiting,
        };
        let nothing_left = !found.taken && self.first_attempts.is_caught_up(self.last);
        if let Some(health) = self.health.get_mut(&destination)
            && let Some(until) = health.calm_until()
            && candidate.map_or(nothing_left, |candidate| candidate.due > until)
        {
            health.caught_up();
        }
        Ok(candidate)
    }

    /// The oldest first attempt of a destination, reading on through new events if
    /// need be.
    fn first_attempt(
        &mut self,
        db: &impl Database,
        destination: DestinationId,
        now: Timestamp,
        found: &mut Found,
    ) -> Result<Option<Sequence>, MailboxError> {
        while self.first_attempts.first(destination).is_none()
            && found.scans_left > 0
            && !self.first_attempts.is_caught_up(self.last)
        {
            found.scans_left = found.scans_left.saturating_sub(1);
            self.scan(db, now)?;
        }
        Ok(self.first_attempts.first(destination))
    }

    /// The first row of `waiting` that may go now.
    fn first_waiting(
        &mut self,
        db: &impl Database,
        destination: DestinationId,
        fresh: Option<Sequence>,
        now: Timestamp,
        found: &mut Found,
    ) -> Result<Option<Candidate>, MailboxError> {
        if !found.waiting.has(&destination) {
            let rows = match self.released(db, destination, fresh, now, found.rows)? {
                Some(rows) => rows,
                None => self.due(db, destination, now, found.rows)?,
            };
            found.waiting.insert(destination, rows);
        }
        Ok(found
            .waiting
            .get(&destination)
            .and_then(VecDeque::front)
            .copied())
    }

    /// The due rows of a destination, without those in flight.
    fn due(
        &mut self,
        db: &impl Database,
        destination: DestinationId,
        now: Timestamp,
        rows: usize,
    ) -> Result<VecDeque<Candidate>, MailboxError> {
        if !self.waiting.has(&destination) {
            return Ok(VecDeque::new());
        }
        let limit = rows.saturating_add(self.not_to_be_leased(destination));
        let rows = waiting::first(db, destination, limit)?;
        if rows.is_empty() {
            // Nothing waits there any more: it is not asked for again.
            self.waiting.remove(&destination);
        }
        Ok(rows
            .into_iter()
            .filter(|row| row.due <= now && self.may_be_leased(row.event, destination))
            .map(|row| Candidate {
                destination,
                due: row.due,
                event: row.event,
                waiting: Some(row),
                released: false,
            })
            .collect())
    }

    /// The next rows of a release; `None` when there is none (any more). `fresh` is
    /// the oldest first attempt: those that have gathered belong to the release.
    fn released(
        &mut self,
        db: &impl Database,
        destination: DestinationId,
        fresh: Option<Sequence>,
        now: Timestamp,
        rows: usize,
    ) -> Result<Option<VecDeque<Candidate>>, MailboxError> {
        loop {
            let health = self.health.get(&destination);
            let Some(stretch) = health.and_then(Health::stretch) else {
                return Ok(None);
            };
            let candidates = self.rows_of(db, destination, stretch, rows)?;
            if !candidates.is_empty() {
                return Ok(Some(candidates));
            }
            let Some(health) = self.health.get_mut(&destination) else {
                return Ok(None);
            };
            if health.next_round() {
                continue;
            }
            // One that is out may come back to its place in the line.
            let out = self
                .in_flight
                .iter()
                .any(|((_, to), source)| *to == destination && *source == Source::Released);
            if out || fresh.is_some_and(|fresh| Some(fresh) <= health.released_to()) {
                return Ok(Some(candidates));
            }
            let before = health.clone();
            health.end_release();
            // What has come meanwhile stands in line behind.
            health.catch_up(now);
            let after = health.clone();
            if let Err(error) = health::save(db, destination, &before, &after) {
                self.health.insert(destination, before);
                return Err(error);
            }
            return Ok(None);
        }
    }

    fn rows_of(
        &self,
        db: &impl Database,
        destination: DestinationId,
        stretch: Stretch,
        rows: usize,
    ) -> Result<VecDeque<Candidate>, MailboxError> {
        let limit = rows.saturating_add(self.not_to_be_leased(destination));
        Ok(waiting::stretch(db, destination, stretch, limit)?
            .into_iter()
            .filter(|row| self.may_be_leased(row.event, destination))
            .map(|row| Candidate {
                destination,
                // Older than anything that has become due since.
                due: row.event.at(),
                event: row.event,
                waiting: Some(row),
                released: true,
            })
            .collect())
    }

    /// Of all that waits for a destination that is down, the one after the last that
    /// was probed.
    fn next_in_turn(
        &mut self,
        db: &impl Database,
        destination: DestinationId,
        now: Timestamp,
        found: &mut Found,
    ) -> Result<Option<Candidate>, MailboxError> {
        self.first_attempt(db, destination, now, found)?;
        let turn = self
            .health
            .get(&destination)
            .map(Health::turn)
            .unwrap_or_default();
        for after in [turn, Sequence::default()] {
            let all = Stretch {
                after,
                upto: self.last,
            };
            let waiting = self.rows_of(db, destination, all, 1)?.pop_front();
            let fresh = self.first_attempts.next_after(destination, after);
            let fresh = fresh
                .filter(|fresh| waiting.is_none_or(|waiting| *fresh < waiting.event))
                .map(|event| Candidate {
                    destination,
                    due: event.at(),
                    event,
                    waiting: None,
                    released: false,
                });
            // Whether it is released is for the success to say.
            let waiting = waiting.map(|waiting| Candidate {
                released: false,
                ..waiting
            });
            if let Some(candidate) = fresh.or(waiting) {
                return Ok(Some(candidate));
            }
        }
        Ok(None)
    }

    /// Reads new events; what a backlogged destination has no room for waits in the
    /// table instead.
    fn scan(&mut self, db: &impl Database, now: Timestamp) -> Result<(), MailboxError> {
        let scan = self.first_attempts.scan(db, self.last)?;
        for (event, error) in scan.unreadable {
            self.set_aside(event, error)?;
        }
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
    // Pending as before: no figure changes.
    deliveries.save(db, event, None)?;
    Ok(!deliveries.is_fresh())
}
