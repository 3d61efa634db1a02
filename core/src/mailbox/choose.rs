//! Which delivery of a destination is attempted next.
//!
//! A destination that is well: the oldest due, a new event being due when it came.
//! One that is down: a probe, one at a time: what the operator asks for, else the newest
//! event that was never tried, else the next in turn of all that waits, due or not.
//! One that has come back: what has waited, oldest first, due or not, and new events
//! in line behind, at the destination's rate.

use super::{
    Mailbox, MailboxError, Source,
    deliveries::{Deliveries, State},
    health::{self, Health, NEVER, Stretch},
    sql,
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
/// Among so many of the newest events one is looked for that was never tried, and so
/// many that may be such are read.
const NEWEST: usize = 1_000;
const UNTRIED: usize = 32;

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
    /// It goes as a probe whose turn it is.
    in_turn: bool,
}

impl Candidate {
    const fn new(destination: DestinationId, event: Sequence, waiting: Option<Waiting>) -> Self {
        Self {
            destination,
            due: event.at(),
            event,
            waiting,
            released: false,
            in_turn: false,
        }
    }

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
            let health = self.health.get(&id);
            let may_begin = health.is_none_or(|health| health.may_begin_beside(count, now));
            if (count > 0 && free <= reserved) || !may_begin {
                continue;
            }
            if self.earliest(id, now, now) > now {
                continue;
            }
            let probes_only = health.is_some_and(|health| health.takes_probes_only(now));
            let candidate = match self.asked_for(db, id)? {
                Some(candidate) => Some(candidate),
                // What let it go was a wish that nothing is left of.
                None if self.earliest(id, now, now) > now => None,
                None if probes_only => self.probe(db, id, now, found)?,
                None => self.oldest(db, id, now, found)?,
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
                    rows.retain(|row| row.event != candidate.event);
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
                Some(interval) => {
                    health.begins(candidate.event, candidate.in_turn, now);
                    if health.is_paced() {
                        health.paced(interval, now);
                    }
                }
                None if health.asked_for() == Some(candidate.event) => health.forget_asked_for(),
                None => {}
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
            (Some(fresh), _) => Some(Candidate::new(destination, fresh, None)),
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
                due: row.due,
                ..Candidate::new(destination, row.event, Some(row))
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
            // Older than anything that has become due since.
            .map(|row| Candidate {
                released: true,
                ..Candidate::new(destination, row.event, Some(row))
            })
            .collect())
    }

    /// What the operator wants sent to a destination now, whatever else waits.
    fn asked_for(
        &mut self,
        db: &impl Database,
        destination: DestinationId,
    ) -> Result<Option<Candidate>, MailboxError> {
        let health = self.health.get(&destination);
        let Some(event) = health.and_then(Health::asked_for) else {
            return Ok(None);
        };
        if self.may_be_leased(event, destination) {
            let waiting = waiting::load(db, destination, event)?.map(|(row, _)| row);
            let fresh = |deliveries: Deliveries| {
                let record = deliveries.get(destination);
                record.is_some_and(|record| record.state == State::Fresh)
            };
            if waiting.is_some() || Deliveries::load(db, event)?.is_some_and(fresh) {
                return Ok(Some(Candidate::new(destination, event, waiting)));
            }
        }
        // It is out already, or has ended.
        if let Some(health) = self.health.get_mut(&destination) {
            health.forget_asked_for();
        }
        Ok(None)
    }

    /// What shows best whether a destination lives: an event that was never tried, since
    /// what was tried may be what it cannot take, and the newest, since what is old may
    /// be too old for it.
    fn probe(
        &mut self,
        db: &impl Database,
        destination: DestinationId,
        now: Timestamp,
        found: &mut Found,
    ) -> Result<Option<Candidate>, MailboxError> {
        let fresh = self.newest_fresh(db, destination)?;
        let limit = self.not_to_be_leased(destination).saturating_add(1);
        // Those for which there was no room among the first attempts.
        let parked = waiting::newest_untried(db, destination, NEWEST, limit)?
            .into_iter()
            .find(|row| self.may_be_leased(row.event, destination))
            .map(|row| Candidate::new(destination, row.event, Some(row)));
        let newest = [fresh, parked].into_iter().flatten();
        match newest.max_by_key(|candidate| candidate.event) {
            Some(candidate) => Ok(Some(candidate)),
            None => self.next_in_turn(db, destination, now, found),
        }
    }

    /// The newest event whose first attempt at a destination is still to be made, found
    /// among the newest of all.
    fn newest_fresh(
        &self,
        db: &impl Database,
        destination: DestinationId,
    ) -> Result<Option<Candidate>, MailboxError> {
        let rows = db.run(
            "SELECT seq, deliveries FROM
                 (SELECT seq, fresh, deliveries FROM events WHERE seq >= ? ORDER BY seq DESC LIMIT ?)
             WHERE fresh = 1 LIMIT ?",
            &[
                sql::sequence(self.first_attempts.not_before()),
                sql::size(NEWEST),
                sql::size(UNTRIED),
            ],
        )?;
        for row in &rows {
            let event = sql::read_sequence(row, 0)?;
            // What cannot be read is set aside where it is met in its turn.
            let deliveries = sql::read_json(row, 1, "an event's deliveries");
            let deliveries: Deliveries = deliveries.unwrap_or_default();
            let record = deliveries.get(destination);
            let is_fresh = record.is_some_and(|record| record.state == State::Fresh);
            if is_fresh && self.may_be_leased(event, destination) {
                return Ok(Some(Candidate::new(destination, event, None)));
            }
        }
        Ok(None)
    }

    /// Of all that waits for a destination, the one after the last that was probed in
    /// its turn.
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
                tried_before: NEVER,
            };
            let waiting = self.rows_of(db, destination, all, 1)?.pop_front();
            let fresh = self.first_attempts.next_after(destination, after);
            let fresh = fresh
                .filter(|fresh| waiting.is_none_or(|waiting| *fresh < waiting.event))
                .map(|event| Candidate::new(destination, event, None));
            // Whether it is released is for the answer to say.
            let waiting = waiting.map(|waiting| Candidate {
                released: false,
                ..waiting
            });
            if let Some(candidate) = fresh.or(waiting) {
                return Ok(Some(Candidate {
                    in_turn: true,
                    ..candidate
                }));
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
        // One that was read before the others of its time may be out already.
        let out = self.in_flight.iter();
        let first_attempts = out.filter(|(_, source)| **source == Source::Event);
        for ((event, destination), _) in first_attempts {
            self.first_attempts.take(*event, *destination);
        }
        for (event, destination) in scan.excess {
            if self.in_flight.has(&(event, destination)) {
                continue;
            }
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
        tried: Timestamp::default(),
    };
    waiting::insert(db, destination, &row, &history)?;
    // Pending as before: no figure changes.
    deliveries.save(db, event, None)?;
    Ok(!deliveries.is_fresh())
}
