//! What is checked after everything that happens: nothing is overdue, and whatever
//! is pending will be woken for.

use crate::{plan::DESTINATIONS, webhook::mask_of, world::World};
use std::time::Duration;
use tram_core::{ids::Sequence, time::Timestamp};

/// Nothing is overdue by more than a lease, and a moment.
const LEASE: Duration = Duration::from_secs(60);
const A_MOMENT: Duration = Duration::from_millis(1_500);

impl World<'_> {
    pub(crate) fn excuse_now(&mut self) {
        self.excused = self.excused.max(self.now);
        self.prompt.clear();
    }

    /// Whether anything excuses that what is due does not begin.
    pub(crate) fn excuse(&mut self) {
        let late = self
            .fires_at()
            .is_some_and(|_| self.disk.alarm().is_some_and(|alarm| alarm < self.now));
        let paused = self.truth.as_ref().is_none_or(|truth| truth.is_paused);
        let busy = self.object.as_ref().is_some_and(|object| {
            let mask = self.destinations();
            object.is_busy(mask, self.now)
        });
        if late || paused || busy || !self.confirmed || self.platform.lost.is_some() {
            self.excuse_now();
        }
    }

    /// The Registry's destinations.
    pub(crate) fn destinations(&self) -> u8 {
        self.truth.as_ref().map_or(0, mask_of)
    }

    pub(crate) fn check(&mut self) -> Result<(), String> {
        if self
            .platform
            .lost
            .is_some_and(|(lost, _)| self.living_alarm().is_some_and(|alarm| alarm != lost))
        {
            self.platform.lost = None;
        }
        self.excuse();
        if !self.confirmed {
            // It may be stored, though the Mailbox goes on with the one before.
            self.model.may_be_cancelled(self.destinations());
        }
        if self.truth.is_some() {
            self.check_prompt();
            self.check_overdue();
            self.check_alarm();
        }
        self.verdict()
    }

    /// The earliest moment at which an attempt must have begun.
    pub(crate) fn must_begin(&self) -> Option<(Timestamp, Sequence, u8)> {
        let mask = self.destinations();
        let newest = (0..DESTINATIONS).filter_map(|to| {
            let (at, id) = self.model.must_probe(to, mask)?;
            Some((at, id, to))
        });
        self.model
            .pending()
            .filter_map(|(id, delivery)| {
                let at = self.model.must_begin(delivery, mask)?;
                Some((at, id, delivery.to))
            })
            .chain(newest)
            .min()
    }

    /// The same, once everything that has ended unseen is known to have ended.
    pub(crate) fn must_begin_for_certain(&mut self) -> Option<(Timestamp, Sequence, u8)> {
        self.look_at_all_rows();
        if self.truth.is_some() {
            self.must_begin()
        } else {
            None
        }
    }

    pub(crate) fn check_overdue(&mut self) {
        let overdue = |world: &Self, at: Timestamp| {
            world.now > at.max(world.excused).plus(LEASE).plus(A_MOMENT)
        };
        if self
            .must_begin()
            .is_some_and(|(at, _, _)| overdue(self, at))
            && let Some((at, id, to)) = self.must_begin_for_certain()
            && overdue(self, at)
        {
            self.accuse(format!(
                "{id:?} to destination {to} is overdue by {:?}",
                self.now.since(at)
            ));
        }
    }

    pub(crate) fn check_alarm(&mut self) {
        if let Some(run) = self.object.as_ref().and_then(|object| object.run.as_ref()) {
            if !run.under_way.is_empty() {
                let latest = self.latest.plus(LEASE);
                let alarm = self.living_alarm();
                if alarm.is_none_or(|alarm| alarm > latest) && self.platform.lost.is_none() {
                    self.accuse(format!("attempts are out without a lease: {alarm:?}"));
                }
            }
            return;
        }
        let paused = self.truth.as_ref().is_none_or(|truth| truth.is_paused);
        if paused || !self.confirmed || self.platform.lost.is_some() {
            return;
        }
        let wrong = |world: &Self, at: Timestamp| {
            let latest = at.max(world.latest).plus(LEASE).plus(A_MOMENT);
            world.living_alarm().is_none_or(|alarm| alarm > latest)
        };
        if self.must_begin().is_some_and(|(at, _, _)| wrong(self, at))
            && let Some((at, id, to)) = self.must_begin_for_certain()
            && wrong(self, at)
        {
            let alarm = self.disk.alarm();
            self.accuse(format!(
                "{id:?} to destination {to} must begin at {at:?}, but the alarm is {alarm:?}{}",
                if self.living_alarm().is_none() {
                    ", and will never fire"
                } else {
                    ""
                }
            ));
        }
    }
}
