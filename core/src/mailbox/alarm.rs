//! The one alarm of the object. Each setting of it is a row written.
//!
//! *Invariants*: while anything is pending, an alarm is set no later than the
//! earliest due (in a run, and where one begins: no later than the lease, which the
//! end of the run corrects). It is set strictly in the future. A wake that finds
//! nothing to do does nothing.

use super::{MailboxError, Source, fresh::FirstAttempts, waiting};
use crate::{
    database::Database,
    ids::{DestinationId, Sequence},
    time::Timestamp,
};
use std::time::Duration;

/// In a run an alarm stands at most this far ahead: if the object dies, what was in
/// flight is tried again then.
pub(super) const LEASE: Duration = Duration::from_secs(60);
/// It is renewed when less is left than the longest attempt (30 s) and some air.
const LEASE_LEFT: Duration = Duration::from_secs(35);
/// How long a run waits before it looks again (and renews its lease), and how
/// shortly at least.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// How long it waits while something is due that it may not begin.
const HELD_BACK: Duration = Duration::from_secs(1);
/// A run with nothing under way goes on when it would be called again within this: to
/// stay awake for so short a time costs less than an alarm.
pub const LINGER: Duration = Duration::from_millis(999);
/// An alarm this long overdue has been lost by the platform: it is set again.
const LOST: Duration = Duration::from_secs(120);

/// Whether an alarm that should have fired will not.
pub(super) fn is_lost(armed: Timestamp, now: Timestamp) -> bool {
    now.since(armed) >= LOST
}

/// Alarms in the past have been seen to stall.
fn in_the_future(due: Timestamp, now: Timestamp) -> Timestamp {
    due.max(now.plus(Duration::from_millis(1)))
}

impl super::Mailbox {
    /// The alarm has fired: none is set any more.
    pub const fn woken(&mut self) {
        self.armed = None;
    }

    /// A run begins: from now on new work is told to it through memory. What a run
    /// before it left in flight, broken off by an error or by the platform, is due
    /// again: there is only one run at a time.
    pub fn begin_run(&mut self) {
        self.running = true;
        let left: Vec<_> = self
            .in_flight
            .iter()
            .map(|(key, source)| (*key, *source))
            .collect();
        for (key, source) in left {
            self.in_flight.remove(&key);
            self.give_back(key.0, key.1, source);
        }
    }

    /// A run ends: the alarm is set to the earliest due. Where nothing is pending,
    /// the lease's alarm stays and fires once as a harmless check.
    ///
    /// # Errors
    /// When the database fails.
    pub fn end_run(&mut self, db: &impl Database, now: Timestamp) -> Result<(), MailboxError> {
        self.running = false;
        let alarm = self
            .wake_at(db, now)?
            .map(|due| in_the_future(due, now))
            .filter(|at| self.armed != Some(*at));
        let oldest_out = self
            .in_flight
            .iter()
            .filter(|(_, source)| **source == Source::Event)
            .map(|((event, _), _)| *event)
            .chain(self.unreadable.first().copied())
            .min();
        let cursor = self.first_attempts.cursor_to_persist(oldest_out);
        if alarm.is_none() && cursor.is_none() {
            return Ok(());
        }
        let stored = db.atomically(|| {
            if let Some(at) = alarm {
                db.set_alarm(at)?;
            }
            if let Some(cursor) = cursor {
                FirstAttempts::persist(db, cursor)?;
            }
            Ok(alarm)
        });
        if let (Ok(_), Some(cursor)) = (&stored, cursor) {
            self.first_attempts.persisted(cursor);
        }
        self.committed(stored)
    }

    /// Sets the alarm when something is pending and none is set in time. Cheap
    /// enough for any wake; writes nothing when all is well.
    ///
    /// # Errors
    /// When the database fails.
    pub fn ensure_armed(&mut self, db: &impl Database, now: Timestamp) -> Result<(), MailboxError> {
        if self.armed_by(now, now) {
            return Ok(());
        }
        let stored = self.arm_for_pending(db, now);
        self.committed(stored)
    }

    /// The earliest moment at which there is something to do, what is in flight
    /// aside; it may have passed. `None` when there is nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub fn next_due(
        &self,
        db: &impl Database,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, MailboxError> {
        let Some(config) = self.relaying() else {
            return Ok(None);
        };
        let configured = |id: DestinationId| config.destinations.iter().any(|known| known.id == id);
        let mut earliest: Option<Timestamp> = None;
        let mut consider =
            |due: Timestamp| earliest = Some(earliest.map_or(due, |known| known.min(due)));
        for (destination, event) in self.first_attempts.firsts() {
            if configured(destination) {
                // A clock that went back must not keep a new event waiting.
                consider(self.earliest(destination, event.at().min(now), now));
            } else {
                consider(now);
            }
        }
        if let Some(event) = self.first_attempts.beyond(db, self.last)? {
            consider(self.any_earliest(event.at().min(now), now));
        }
        for destination in self.waiting.keys() {
            if let Some(due) = self.waiting_due(db, *destination, now)? {
                if configured(*destination) {
                    consider(self.earliest(*destination, due, now));
                } else {
                    consider(now);
                }
            }
        }
        Ok(earliest)
    }

    /// How long a run that has just leased all it may need not look again, unless an
    /// attempt ends or there is news.
    ///
    /// # Errors
    /// When the database fails.
    pub fn pause(&self, db: &impl Database, now: Timestamp) -> Result<Duration, MailboxError> {
        Ok(match self.next_due(db, now)? {
            Some(due) if due > now => due.since(now).clamp(SHORTEST_WAIT, LONGEST_WAIT),
            // Due, but not to be begun: a slot is kept for another destination. To look
            // again at once would find the same.
            Some(_) => HELD_BACK,
            None => LONGEST_WAIT,
        })
    }

    /// When the first of what waits for a destination is due, its health aside.
    fn waiting_due(
        &self,
        db: &impl Database,
        destination: DestinationId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, MailboxError> {
        // More rows than are in flight, so that one of them is not.
        let limit = self.not_to_be_leased(destination).saturating_add(1);
        let rows = waiting::first(db, destination, limit)?;
        let mut left = rows
            .iter()
            .filter(|row| self.may_be_leased(row.event, destination));
        let Some(first) = left.next() else {
            return Ok(None);
        };
        let health = self.health.get(&destination);
        let any = health.is_some_and(|health| health.sends_before_due(now));
        Ok(Some(if any { first.due.min(now) } else { first.due }))
    }

    /// When what is due at `due` may be sent to `destination`.
    pub(super) fn earliest(
        &self,
        destination: DestinationId,
        due: Timestamp,
        now: Timestamp,
    ) -> Timestamp {
        self.health
            .get(&destination)
            .map_or(due, |health| health.earliest(due, now))
    }

    /// When the first of all destinations may be sent what is due at `due`.
    pub(super) fn any_earliest(&self, due: Timestamp, now: Timestamp) -> Timestamp {
        self.config
            .iter()
            .flat_map(|config| &config.destinations)
            .map(|destination| self.earliest(destination.id, due, now))
            .min()
            .unwrap_or(due)
    }

    /// Whether a row of `waiting` is neither out nor set aside.
    pub(super) fn may_be_leased(&self, event: Sequence, destination: DestinationId) -> bool {
        !self.in_flight.has(&(event, destination)) && !self.unreadable.has(&event)
    }

    /// How many rows of `waiting` may be in the way of one that can be leased.
    pub(super) fn not_to_be_leased(&self, destination: DestinationId) -> usize {
        self.in_flight_to(destination)
            .saturating_add(self.unreadable.len())
    }

    /// How many attempts to a destination are out.
    pub(super) fn in_flight_to(&self, destination: DestinationId) -> usize {
        self.in_flight
            .keys()
            .filter(|(_, to)| *to == destination)
            .count()
    }

    /// When the object has to wake: for what is due, for what is in flight, for pruning
    /// or resending that is under way, and for what is to be told. It may have passed; `None` when there is no need.
    ///
    /// # Errors
    /// When the database fails.
    pub fn wake_at(
        &self,
        db: &impl Database,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, MailboxError> {
        let lease = (!self.in_flight.is_empty()).then(|| now.plus(LEASE));
        let due = self.next_due(db, now)?;
        let prune = self.more_to_prune(now);
        let jobs = self.more_jobs(now);
        let count = self.more_to_count(now);
        let alert = self.next_alert(due.is_some() || lease.is_some());
        let tending = prune.into_iter().chain(jobs).chain(count).chain(alert);
        let all = lease.into_iter().chain(due).chain(tending);
        Ok(all.min())
    }

    /// Whether an alarm is set that will wake the object for what is due then.
    pub(super) fn armed_by(&self, due: Timestamp, now: Timestamp) -> bool {
        self.armed.is_some_and(|armed| {
            let leased = self.running && armed <= now.plus(LEASE);
            !is_lost(armed, now) && (leased || armed <= in_the_future(due, now))
        })
    }

    /// Sets the alarm for what is due then, unless one is set that will do. Where
    /// none is set for certain, for anything else that is pending as well. Memory is
    /// left alone: [`committed`](Self::committed) sees to that.
    pub(super) fn arm(
        &self,
        db: &impl Database,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, MailboxError> {
        if self.armed_by(due, now) {
            return Ok(None);
        }
        let certain = self.armed.is_some_and(|armed| !is_lost(armed, now));
        let earlier = if certain || due <= now {
            None
        } else {
            self.wake_at(db, now)?
        };
        let at = in_the_future(earlier.map_or(due, |earlier| earlier.min(due)), now);
        db.set_alarm(at)?;
        Ok(Some(at))
    }

    /// [`arm`](Self::arm) for the earliest of what is pending, if anything is.
    pub(super) fn arm_for_pending(
        &self,
        db: &impl Database,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, MailboxError> {
        match self.wake_at(db, now)? {
            Some(due) => self.arm(db, due, now),
            None => Ok(None),
        }
    }

    /// In a run: what is in flight must be woken for if the object dies; and where
    /// nothing is, what is pending. To be called when the alarm fires in a run that it
    /// did not call.
    ///
    /// # Errors
    /// When the database fails.
    pub fn renew_lease(&mut self, db: &impl Database, now: Timestamp) -> Result<(), MailboxError> {
        if self.in_flight.is_empty() {
            // The run may wait all the same, for what is soon due or for an alert.
            return self.ensure_armed(db, now);
        }
        let stored = self.arm_lease(db, now);
        self.committed(stored)
    }

    /// For a run that is under way or begins now: what it has in flight must be woken
    /// for if the object dies. Memory is left alone: [`committed`](Self::committed)
    /// sees to that.
    pub(super) fn arm_lease(
        &self,
        db: &impl Database,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, MailboxError> {
        if self.is_leased(now) {
            return Ok(None);
        }
        let lease = now.plus(LEASE);
        db.set_alarm(lease)?;
        Ok(Some(lease))
    }

    /// Whether an alarm is set that will do as a lease.
    pub(super) fn is_leased(&self, now: Timestamp) -> bool {
        self.armed
            .is_some_and(|armed| armed > now.plus(LEASE_LEFT) && armed <= now.plus(LEASE))
    }

    /// Remembers the alarm once it is stored. After a failure it is unknown, and so
    /// the next one is set in any case.
    pub(super) fn committed(
        &mut self,
        stored: Result<Option<Timestamp>, MailboxError>,
    ) -> Result<(), MailboxError> {
        match stored {
            Ok(None) => Ok(()),
            Ok(alarm) => {
                self.armed = alarm;
                Ok(())
            }
            Err(error) => {
                self.armed = None;
                Err(error)
            }
        }
    }
}
