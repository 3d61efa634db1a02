//! A run, from lease to lease, until nothing is due: begun by `alarm()`, or beside the
//! answer to an event.

use crate::{
    disk::Disk,
    object::{Run, SLOTS, Trouble},
    sabotage::Sabotage,
    world::{World, note},
};
use std::time::Duration;
use tram_core::{
    database::Database,
    mailbox::{LINGER, Mailbox, MailboxError},
    time::Timestamp,
};

const LONGEST_RUN: Duration = Duration::from_secs(600);
const LONGEST_BESIDE: Duration = Duration::from_secs(30);
const LAST_RESORT: Duration = Duration::from_secs(30);

impl World<'_> {
    /// The platform calls the alarm.
    pub(crate) fn alarm_fires(&mut self, spurious: bool) {
        let called_by = if spurious { None } else { self.disk.alarm() };
        if !spurious {
            self.disk.put_alarm(None);
        }
        note!(self, "the alarm fires");
        let begins = self.object.as_ref().is_some_and(|object| object.begins);
        if begins || self.run().is_some() {
            return self.alarm_in_a_run(called_by);
        }
        match self.begin_run(called_by, false) {
            Ok(()) => self.goes_on(),
            Err(Trouble::Failed) => self.arm_last_resort(called_by),
            // It had not waited yet.
            Err(Trouble::Died) => {
                if let Some(alarm) = called_by {
                    self.call_again(alarm);
                }
            }
        }
    }

    /// The object has been called: it stays in memory, and a run beside an answer goes on.
    pub(crate) fn called(&mut self) {
        let now = self.now;
        if let Some(run) = self.run().filter(|run| run.beside) {
            run.deadline = now.plus(LONGEST_BESIDE).min(run.ends);
        }
    }

    /// There is one run at a time, and this one is begun beside an answer.
    fn alarm_in_a_run(&mut self, called_by: Option<Timestamp>) {
        self.called();
        if let Some(object) = &mut self.object {
            object.core.woken();
            object.signal = true;
        }
        match self.with(|core, db, now| core.renew_lease(db, now)) {
            Ok(()) => {}
            Err(Trouble::Failed) => self.arm_last_resort(called_by),
            // It had not waited.
            Err(Trouble::Died) => {
                if let Some(alarm) = called_by {
                    self.call_again(alarm);
                }
            }
        }
    }

    /// The run that an accept was told to begin.
    pub(crate) fn begin_beside(&mut self) {
        if let Some(object) = &mut self.object {
            object.begins = false;
        }
        match self.begin_run(None, true) {
            Ok(()) => self.goes_on(),
            Err(Trouble::Failed) => self.arm_last_resort(None),
            Err(Trouble::Died) => {}
        }
    }

    pub(crate) fn begin_run(
        &mut self,
        called_by: Option<Timestamp>,
        beside: bool,
    ) -> Result<(), Trouble> {
        self.ready()?;
        self.with(|core, _, _| {
            if !beside {
                core.woken();
            }
            core.begin_run();
            Ok(())
        })?;
        let longest = if beside { LONGEST_BESIDE } else { LONGEST_RUN };
        let (deadline, ends) = (self.now.plus(longest), self.now.plus(LONGEST_RUN));
        if let Some(object) = &mut self.object {
            object.run = Some(Run {
                beside,
                deadline,
                ends,
                under_way: Vec::new(),
                trouble: false,
                looks_at: None,
                called_by,
                to_tell: 0,
                telling: None,
            });
        }
        // Relaying does not wait for it.
        self.died(|core, db, now| core.tend(db, now))
    }

    /// Work whose failure is logged, and no more.
    fn died(
        &mut self,
        work: impl FnOnce(&mut Mailbox, &Disk<'_>, Timestamp) -> Result<(), MailboxError>,
    ) -> Result<(), Trouble> {
        match self.with(work) {
            Err(Trouble::Died) => Err(Trouble::Died),
            Ok(()) | Err(Trouble::Failed) => Ok(()),
        }
    }

    /// Tells the operator, one thing at a time, in one of the slots.
    fn tell(&mut self) -> Result<(), Trouble> {
        let mut alerts = 0;
        self.died(|core, db, now| {
            alerts = core.alerts(db, now)?.len();
            Ok(())
        })?;
        let chance = self.chance(&[self.seen.happened, 3]);
        let ends = self.now.plus(Duration::from_millis(chance % 12_000));
        if let Some(run) = self.run() {
            run.to_tell += alerts;
            if run.to_tell > 0 && run.telling.is_none() {
                run.to_tell -= 1;
                run.telling = Some(ends);
            }
        }
        Ok(())
    }

    pub(crate) fn run(&mut self) -> Option<&mut Run> {
        self.object.as_mut()?.run.as_mut()
    }

    /// An attempt of the run has ended, there is news, or it is time to look again.
    pub(crate) fn run_goes_on(&mut self) {
        if self.object.as_ref().is_some_and(|object| object.begins) {
            return self.begin_beside();
        }
        let now = self.now;
        if let Some(run) = self.run() {
            run.telling = run.telling.filter(|ends| *ends > now);
        }
        if self.record_one() != Err(Trouble::Died) {
            self.goes_on();
        }
    }

    /// `deliver`, until it has to wait.
    pub(crate) fn goes_on(&mut self) {
        loop {
            let now = self.now;
            let Some(run) = self.run() else {
                return;
            };
            run.looks_at = None;
            if self.tell() == Err(Trouble::Died) {
                return;
            }
            let Some(run) = self.run() else {
                return;
            };
            let free = SLOTS.saturating_sub(run.used());
            let mut wait = None;
            if !run.trouble && now < run.deadline && free > 0 {
                match self.lease(free) {
                    Ok(pause) => wait = Some(pause),
                    Err(Trouble::Died) => return,
                    Err(Trouble::Failed) => self.in_trouble(),
                }
            }
            let Some(object) = &mut self.object else {
                return;
            };
            let Some(run) = &mut object.run else {
                return;
            };
            if run.used() == 0 && wait.is_none_or(|wait| wait > LINGER) {
                return self.end_run();
            }
            if run.under_way.iter().any(|attempt| attempt.ends <= now) {
                if self.record_one() == Err(Trouble::Died) {
                    return;
                }
                continue;
            }
            if run.used() < SLOTS {
                if std::mem::take(&mut object.signal) {
                    continue;
                }
                run.looks_at = wait.map(|wait| now.plus(wait));
            }
            // It is not relied on that the platform calls an alarm again whose handler
            // died, but where the database has failed besides.
            if !run.trouble {
                run.called_by = None;
            }
            return;
        }
    }

    pub(crate) fn in_trouble(&mut self) {
        if let Some(run) = self.run() {
            run.trouble = true;
        }
    }

    /// Attempts for the free slots, begun; and how long the run may wait then.
    pub(crate) fn lease(&mut self, free: usize) -> Result<Duration, Trouble> {
        self.disk
            .forgets
            .set(self.sabotage == Some(Sabotage::NoLease));
        let leased = self.with(|core, db, now| core.lease(db, now, free));
        self.disk.forgets.set(false);
        let jobs = leased?;
        if jobs.len() > free {
            self.accuse(format!("{} attempts for {free} slots", jobs.len()));
        }
        match self.with(|core, db, now| core.pause(db, now)) {
            Ok(pause) => {
                for job in jobs {
                    self.begin(job)?;
                }
                Ok(pause)
            }
            Err(Trouble::Died) => Err(Trouble::Died),
            Err(Trouble::Failed) => {
                self.with(|core, _, _| {
                    jobs.iter().for_each(|job| core.abandon(job));
                    Ok(())
                })?;
                Err(Trouble::Failed)
            }
        }
    }

    pub(crate) fn end_run(&mut self) {
        let ended = self.with(|core, db, now| core.end_run(db, now));
        if ended == Err(Trouble::Died) {
            return;
        }
        let run = self.object.as_mut().and_then(|object| object.run.take());
        let Some(run) = run else {
            return;
        };
        note!(self, "the run ends, alarm {:?}", self.disk.alarm());
        if run.trouble || ended.is_err() {
            self.arm_last_resort(run.called_by);
        }
    }

    pub(crate) fn arm_last_resort(&mut self, called_by: Option<Timestamp>) {
        let armed = self.disk.set_alarm(self.now.plus(LAST_RESORT));
        let failed = armed.is_err();
        let heard = self.heard(armed.map_err(MailboxError::from));
        if failed || heard.is_err() {
            // The platform holds the handler for failed.
            self.call_again(called_by.unwrap_or(self.now));
        }
        if let Some(object) = &mut self.object {
            object.core.woken();
        }
    }
}
