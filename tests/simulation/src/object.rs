//! The object at the edge, as `src/mailbox_object.rs` drives the core: what it awaits
//! takes simulated time here, and where it waits, or at any call to the database, it
//! may die.

use crate::{
    disk::Disk,
    model::has,
    origin::Fate,
    plan::DESTINATIONS,
    world::{Later, World, note},
};
use tram_core::{
    delivery::{Attempt, Job},
    mailbox::{Mailbox, MailboxError},
    messages::{MailboxReply, MailboxRequest},
    time::Timestamp,
    webhook::Destination,
};

/// Attempts that may be out at once.
pub(crate) const SLOTS: usize = 6;

/// The object while it is in memory.
pub(crate) struct Object {
    pub(crate) core: Mailbox,
    /// There is news for the run.
    pub(crate) signal: bool,
    /// A run is to begin beside the answer that is being given.
    pub(crate) begins: bool,
    pub(crate) run: Option<Run>,
    /// What origins have asked this object, and when.
    pub(crate) holds: [Timestamp; DESTINATIONS as usize],
    pub(crate) held_at: [Timestamp; DESTINATIONS as usize],
    /// No call has failed, so that it knows what is stored.
    pub(crate) knows: bool,
}

/// A run, while it lasts.
pub(crate) struct Run {
    /// No alarm called it: one may fire meanwhile.
    pub(crate) beside: bool,
    /// Then it begins nothing new; beside an answer, unless the object is called before.
    pub(crate) deadline: Timestamp,
    /// Then in any case.
    pub(crate) ends: Timestamp,
    pub(crate) under_way: Vec<UnderWay>,
    /// Alerts that wait to be told, one after the other, and when the one that is
    /// being told has been.
    pub(crate) to_tell: usize,
    pub(crate) telling: Option<Timestamp>,
    /// Nothing new is begun any more.
    pub(crate) trouble: bool,
    /// When it looks again, if nothing happens before.
    pub(crate) looks_at: Option<Timestamp>,
    /// The alarm that called it, until it first waits: dying before, it would be
    /// called again.
    pub(crate) called_by: Option<Timestamp>,
}

/// One request to an origin.
pub(crate) struct UnderWay {
    pub(crate) job: Job,
    pub(crate) to: u8,
    pub(crate) began: Timestamp,
    pub(crate) ends: Timestamp,
    /// `None`: its destination is gone.
    pub(crate) what: Option<(Destination, Fate)>,
    /// The attempt just before, which found its kept connection closed.
    pub(crate) broken: Option<Attempt>,
}

/// Why the object could not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is dead: nobody hears anything.
    Died,
    /// It answered so.
    Failed,
}

impl Object {
    /// When its run goes on.
    pub(crate) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        if self.begins {
            return Some(now);
        }
        let run = self.run.as_ref()?;
        let news = (self.signal && run.used() < SLOTS).then_some(now);
        let ends = run.under_way.iter().map(|attempt| attempt.ends).min();
        news.into_iter()
            .chain(ends)
            .chain(run.telling)
            .chain(run.looks_at)
            .min()
    }

    /// Whether a slot may be missing for what is due.
    pub(crate) fn is_busy(&self, destinations: u8, now: Timestamp) -> bool {
        self.run.as_ref().is_some_and(|run| {
            let idle = (0..DESTINATIONS)
                .filter(|number| has(destinations, *number))
                .filter(|number| run.under_way.iter().all(|attempt| attempt.to != *number))
                .count();
            run.trouble || now >= run.deadline || run.used() + idle.min(SLOTS / 2) >= SLOTS
        })
    }
}

impl Run {
    /// Slots that are used.
    pub(crate) fn used(&self) -> usize {
        self.under_way.len() + usize::from(self.telling.is_some())
    }
}

impl World<'_> {
    /// Works with the core, which must be open.
    pub(crate) fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Mailbox, &Disk<'_>, Timestamp) -> Result<T, MailboxError>,
    ) -> Result<T, Trouble> {
        let object = self.object.as_mut().ok_or(Trouble::Failed)?;
        let outcome = work(&mut object.core, &self.disk, self.now);
        let complaints = object.core.complaints();
        if !complaints.is_empty() {
            self.accuse(format!("it complains: {complaints:?}"));
        }
        self.heard(outcome)
    }

    /// What the core said, if there is still somebody to hear it.
    pub(crate) fn heard<T>(&mut self, outcome: Result<T, MailboxError>) -> Result<T, Trouble> {
        let fault = self.disk.take_fault();
        if fault {
            self.seen.faults += 1;
            self.excuse_now();
            if let Some(object) = &mut self.object {
                object.knows = false;
            }
        }
        if self.disk.take_death() {
            self.die();
            return Err(Trouble::Died);
        }
        outcome.map_err(|error| {
            note!(self, "the object failed: {error}");
            // Between two tries to delete it, its tables may be gone already.
            let is_half_deleted = self.truth.is_none() && !self.retired;
            if !fault && !is_half_deleted {
                self.accuse(format!("it failed without a fault: {error}"));
            }
            Trouble::Failed
        })
    }

    /// The object is gone, and what it had in flight with it.
    pub(crate) fn die(&mut self) {
        self.seen.deaths += 1;
        self.excuse_now();
        self.later
            .retain(|(_, later)| !matches!(later, Later::SetAlarm(_)));
        let Some(object) = self.object.take() else {
            return;
        };
        note!(self, "the object dies");
        let Some(run) = object.run else {
            return;
        };
        for attempt in &run.under_way {
            let sequence = attempt.job.event.id.sequence;
            // What was under way may still get there.
            let chance = self.chance(&[self.name_number(sequence), 5]);
            let received = attempt
                .what
                .as_ref()
                .is_some_and(|(_, fate)| fate.received && chance.is_multiple_of(2));
            self.model.abandoned(sequence, attempt.to, received);
        }
        if let Some(alarm) = run.called_by {
            self.call_again(alarm);
        }
    }

    /// Opens the core on first use; says whether it was.
    pub(crate) fn ready(&mut self) -> Result<bool, Trouble> {
        if self.object.is_some() {
            return Ok(false);
        }
        let opened = Mailbox::open(&self.disk, self.disk.alarm(), self.now);
        let mut core = self.heard(opened)?;
        core.set_station_alerts(self.seed.is_multiple_of(2));
        note!(self, "the object opens");
        self.object = Some(Object {
            core,
            signal: false,
            begins: false,
            run: None,
            holds: [Timestamp::default(); DESTINATIONS as usize],
            held_at: [Timestamp::default(); DESTINATIONS as usize],
            knows: true,
        });
        Ok(true)
    }

    /// A request to the object.
    pub(crate) fn fetch<T>(
        &mut self,
        work: impl FnOnce(&mut Mailbox, &Disk<'_>, Timestamp) -> Result<T, MailboxError>,
    ) -> Result<T, Trouble> {
        self.called();
        if self.ready()? {
            self.with(|core, db, now| core.ensure_armed(db, now))?;
        }
        self.with(work)
    }

    /// A request other than an accept.
    pub(crate) fn ask(&mut self, question: MailboxRequest) -> Result<MailboxReply, Trouble> {
        let configures = matches!(question, MailboxRequest::Configure { .. });
        let reply = self.fetch(|core, db, now| {
            let reply = core.handle(db, question, now)?;
            core.ensure_armed(db, now)?;
            Ok(reply)
        });
        if let Some(object) = &mut self.object {
            object.signal |= reply.is_ok();
            if configures {
                object.holds = Default::default();
            }
        }
        reply
    }
}
