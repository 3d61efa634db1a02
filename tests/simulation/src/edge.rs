//! The edge, as `src/mailbox_object.rs` and `src/receive.rs` drive the core: what
//! they await, takes simulated time here; where they wait, the object may die.

use crate::{
    chance::hash,
    disk::Disk,
    model::{destination_id, has},
    origin::{self, Fate, Mood},
    plan::{DESTINATIONS, Kind},
    sabotage::Sabotage,
    world::{Later, Post, World, body_of, mask_of, note},
};
use std::time::Duration;
use tram_core::{
    database::Database,
    delivery::{Attempt, Job, Response, Status, Verdict},
    event::{DedupeKey, Envelope, NewEvent},
    ids::Sequence,
    mailbox::{Mailbox, MailboxError},
    messages::{Accept, AcceptReply, MailboxReply, MailboxRequest, Taken},
    relay,
    time::Timestamp,
    webhook::{Destination, Webhook},
};

/// Attempts that may be out at once.
const SLOTS: usize = 6;
const LONGEST_RUN: Duration = Duration::from_secs(600);
const LAST_RESORT: Duration = Duration::from_secs(30);
/// How often one request may find that the configuration has moved on.
const RELOADS: usize = 3;
/// How often a provider sends what is not taken.
const SENT_AT_MOST: u32 = 4;

/// The object while it is in memory.
pub(crate) struct Object {
    pub(crate) core: Mailbox,
    /// There is news for the run.
    signal: bool,
    pub(crate) run: Option<Run>,
    /// What origins have asked this object.
    holds: [Timestamp; DESTINATIONS as usize],
}

/// `alarm()`, while it runs.
pub(crate) struct Run {
    deadline: Timestamp,
    pub(crate) under_way: Vec<UnderWay>,
    /// Nothing new is begun any more.
    trouble: bool,
    /// When it looks again, if nothing happens before.
    looks_at: Option<Timestamp>,
    /// The alarm that called it, until it first waits: dying before, it would be
    /// called again.
    called_by: Option<Timestamp>,
}

/// One request to an origin.
pub(crate) struct UnderWay {
    job: Job,
    to: u8,
    began: Timestamp,
    ends: Timestamp,
    /// `None`: its destination is gone.
    what: Option<(Destination, Fate)>,
}

/// Why the object could not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is dead: nobody hears anything.
    Died,
    /// It answered so.
    Failed,
}

/// Why a shard did not take its events.
enum NotTaken {
    Stale,
    Unavailable,
}

impl Object {
    /// When its run goes on.
    pub(crate) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let run = self.run.as_ref()?;
        let news = (self.signal && run.looks_at.is_some()).then_some(now);
        let ends = run.under_way.iter().map(|attempt| attempt.ends).min();
        news.into_iter().chain(ends).chain(run.looks_at).min()
    }

    /// Whether a slot may be missing for what is due.
    pub(crate) fn is_busy(&self, destinations: u8, now: Timestamp) -> bool {
        self.run.as_ref().is_some_and(|run| {
            let idle = (0..DESTINATIONS)
                .filter(|number| has(destinations, *number))
                .filter(|number| run.under_way.iter().all(|attempt| attempt.to != *number))
                .count();
            run.trouble || now >= run.deadline || run.under_way.len() + idle.min(SLOTS / 2) >= SLOTS
        })
    }
}

impl World<'_> {
    /// Works with the core, which must be open.
    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Mailbox, &Disk<'_>, Timestamp) -> Result<T, MailboxError>,
    ) -> Result<T, Trouble> {
        let object = self.object.as_mut().ok_or(Trouble::Failed)?;
        let outcome = work(&mut object.core, &self.disk, self.now);
        self.heard(outcome)
    }

    /// What the core said, if there is still somebody to hear it.
    fn heard<T>(&mut self, outcome: Result<T, MailboxError>) -> Result<T, Trouble> {
        let fault = self.disk.take_fault();
        if fault {
            self.seen.faults += 1;
            self.excuse_now();
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
    fn ready(&mut self) -> Result<bool, Trouble> {
        if self.object.is_some() {
            return Ok(false);
        }
        let opened = Mailbox::open(&self.disk, self.disk.alarm(), self.now);
        let core = self.heard(opened)?;
        note!(self, "the object opens");
        self.object = Some(Object {
            core,
            signal: false,
            run: None,
            holds: [Timestamp::default(); DESTINATIONS as usize],
        });
        Ok(true)
    }

    /// A request to the object.
    pub(crate) fn fetch<T>(
        &mut self,
        work: impl FnOnce(&mut Mailbox, &Disk<'_>, Timestamp) -> Result<T, MailboxError>,
    ) -> Result<T, Trouble> {
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

    /// The platform calls the alarm.
    pub(crate) fn alarm_fires(&mut self, spurious: bool) {
        let called_by = if spurious { None } else { self.disk.alarm() };
        if !spurious {
            self.disk.put_alarm(None);
        }
        note!(self, "the alarm fires");
        match self.begin_run(called_by) {
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

    fn begin_run(&mut self, called_by: Option<Timestamp>) -> Result<(), Trouble> {
        self.ready()?;
        self.with(|core, _, _| {
            core.woken();
            core.begin_run();
            Ok(())
        })?;
        let deadline = self.now.plus(LONGEST_RUN);
        if let Some(object) = &mut self.object {
            object.run = Some(Run {
                deadline,
                under_way: Vec::new(),
                trouble: false,
                looks_at: None,
                called_by,
            });
        }
        Ok(())
    }

    fn run(&mut self) -> Option<&mut Run> {
        self.object.as_mut()?.run.as_mut()
    }

    /// An attempt of the run has ended, there is news, or it is time to look again.
    pub(crate) fn run_goes_on(&mut self) {
        if self.record_one() != Err(Trouble::Died) {
            self.goes_on();
        }
    }

    /// `deliver`, until it has to wait.
    fn goes_on(&mut self) {
        loop {
            let now = self.now;
            let Some(run) = self.run() else {
                return;
            };
            run.looks_at = None;
            let free = SLOTS.saturating_sub(run.under_way.len());
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
            if run.under_way.is_empty() {
                return self.end_run();
            }
            if run.under_way.iter().any(|attempt| attempt.ends <= now) {
                if self.record_one() == Err(Trouble::Died) {
                    return;
                }
                continue;
            }
            if let Some(wait) = wait
                && run.under_way.len() < SLOTS
            {
                if std::mem::take(&mut object.signal) {
                    continue;
                }
                run.looks_at = Some(now.plus(wait));
            }
            run.called_by = None;
            return;
        }
    }

    fn in_trouble(&mut self) {
        if let Some(run) = self.run() {
            run.trouble = true;
        }
    }

    /// Attempts for the free slots, begun; and how long the run may wait then.
    fn lease(&mut self, free: usize) -> Result<Duration, Trouble> {
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

    /// One attempt, from the configuration as it is now.
    fn begin(&mut self, job: Job) -> Result<(), Trouble> {
        let sequence = job.event.id.sequence;
        let Some(to) = (0..DESTINATIONS).find(|n| destination_id(*n) == job.destination) else {
            self.accuse("an attempt at an unknown destination");
            return Ok(());
        };
        self.judge_beginning(&job, to);
        if self.sabotage == Some(Sabotage::DoneBeforeSent) {
            let done = self.done(&job);
            self.with(|core, db, now| core.finish(db, &job, done, now, 0.0))?;
        }
        let config = self.object.as_ref().and_then(|object| object.core.config());
        let destination = config
            .and_then(|webhook| {
                webhook
                    .destinations
                    .iter()
                    .find(|known| known.id == job.destination)
            })
            .cloned();
        let name = self
            .model
            .events
            .get(&sequence)
            .map(|event| event.name.clone());
        let poison = self.setup.poison.map(|number| number.to_string());
        let mood = if to == 0 && poison.is_some() && poison == name {
            Mood::Answering(422)
        } else {
            self.moods[usize::from(to)]
        };
        let number = u64::from(job.number);
        let chance = self.chance(&[self.name_number(sequence), u64::from(to), number]);
        let what = destination.map(|destination| {
            let fate = origin::attempt(mood, &destination, chance);
            (destination, fate)
        });
        let lasts = what.as_ref().map_or(Duration::ZERO, |(_, fate)| fate.lasts);
        note!(
            self,
            "attempt {number} of event {} at destination {to}, {mood:?}",
            name.unwrap_or_default()
        );
        self.seen.attempts += 1;
        let (began, ends) = (self.now, self.now.plus(lasts));
        if let Some(run) = self.run() {
            run.under_way.push(UnderWay {
                job,
                to,
                began,
                ends,
                what,
            });
            if run.under_way.len() > SLOTS {
                self.accuse("more than six attempts are out");
            }
        }
        Ok(())
    }

    /// What tells events apart whenever they came.
    fn name_number(&self, event: Sequence) -> u64 {
        let name = self
            .model
            .events
            .get(&event)
            .map(|event| event.name.as_str());
        name.unwrap_or_default()
            .bytes()
            .fold(0, |sum, byte| sum * 256 + u64::from(byte))
    }

    /// Whether this attempt may begin.
    fn judge_beginning(&mut self, job: &Job, to: u8) {
        let sequence = job.event.id.sequence;
        if self.retired {
            return self.accuse("an attempt for a deleted webhook");
        }
        if self.truth.is_none() {
            return;
        }
        if !self.model.events.contains_key(&sequence) {
            self.look_at_rows();
        }
        let begun = self.model.begins(sequence, to, self.now);
        begun.unwrap_or_else(|wrong| self.accuse(wrong));
        if let Some(event) = self.model.events.get(&sequence)
            && !job.event.body.starts_with(body_of(&event.name).as_bytes())
        {
            self.accuse(format!("{sequence:?} is relayed with another's body"));
        }
        let Some(object) = &self.object else {
            return;
        };
        let paused = object.core.config().is_none_or(|config| config.is_paused);
        let held = object.holds[usize::from(to)] > self.now;
        if paused {
            self.accuse("an attempt while it is paused");
        }
        if held {
            self.accuse(format!("destination {to} had asked to be left alone"));
        }
    }

    /// Sabotage: as if it had been taken.
    fn done(&self, job: &Job) -> Verdict {
        Verdict {
            attempt: Attempt {
                number: job.number,
                started_at: self.now,
                duration_ms: 0,
                status_code: Some(200),
                error: None,
                response_body: String::new(),
            },
            taken: true,
            server_down: false,
            not_before: None,
        }
    }

    /// The first attempt that has ended is written down.
    fn record_one(&mut self) -> Result<(), Trouble> {
        let now = self.now;
        let Some(run) = self.run() else {
            return Ok(());
        };
        let ended = run
            .under_way
            .iter()
            .enumerate()
            .filter(|(_, attempt)| attempt.ends <= now)
            .min_by_key(|(_, attempt)| attempt.ends);
        let Some((at, _)) = ended else {
            return Ok(());
        };
        let attempt = run.under_way.remove(at);
        let recorded = self.record(attempt);
        if recorded == Err(Trouble::Failed) {
            self.in_trouble();
        }
        recorded
    }

    fn record(&mut self, attempt: UnderWay) -> Result<(), Trouble> {
        let (job, to) = (attempt.job, attempt.to);
        let sequence = job.event.id.sequence;
        let Some((destination, fate)) = attempt.what else {
            self.model.abandoned(sequence, to, false);
            return self.with(|core, _, _| {
                core.abandon(&job);
                Ok(())
            });
        };
        let response = Response {
            started_at: attempt.began,
            duration_ms: u64::try_from(self.now.since(attempt.began).as_millis()).unwrap_or(0),
            result: fate.result,
        };
        let verdict = relay::judge(&destination, job.number, response, self.now);
        let number = u64::from(job.number);
        let chance = self.chance(&[self.name_number(sequence), u64::from(to), number, 9]);
        // Whole 53 bits of it, as Math.random gives.
        let jitter = (chance >> 11) as f64 / (1_u64 << 53) as f64;
        let taken = verdict.taken;
        note!(
            self,
            "{}: destination {to} {}",
            job.event.id,
            verdict.attempt.error.as_deref().unwrap_or("has taken it")
        );
        if self.sabotage == Some(Sabotage::DoneBeforeSent) {
            self.model.abandoned(sequence, to, fate.received);
            return Ok(());
        }
        if let Some(object) = &mut self.object {
            let config = object.core.config();
            let moment = (self.now, jitter);
            self.model
                .ends((sequence, to), config, &verdict, fate.received, moment);
            if let Some(until) = verdict.not_before.filter(|_| !taken) {
                let known = &mut object.holds[usize::from(to)];
                *known = (*known).max(until);
            }
        }
        self.with(|core, db, now| core.finish(db, &job, verdict, now, jitter))?;
        self.model.written(sequence, to, taken);
        Ok(())
    }

    fn end_run(&mut self) {
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

    fn arm_last_resort(&mut self, called_by: Option<Timestamp>) {
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

    /// A provider posts; it tries again what is not taken.
    pub(crate) fn post(&mut self, post: Post) {
        self.look_at_rows();
        if self.sabotage != Some(Sabotage::CheckThenInsert) {
            return self.receive(&post);
        }
        let keys = post.events().into_iter().map(|event| event.key);
        let absent = keys
            .filter(|key| !self.model.keys.contains_key(key))
            .collect();
        let chance = self.chance(&[
            u64::from(post.first),
            self.now.millis().unsigned_abs(),
            self.later.len() as u64,
        ]);
        let after = Duration::from_millis(chance % 50);
        self.later(after, Later::Store(post, absent));
    }

    pub(crate) fn receive(&mut self, post: &Post) {
        if self.try_to_receive(post) || post.sent >= SENT_AT_MOST {
            return;
        }
        let again = Post {
            sent: post.sent + 1,
            stale: false,
            ..post.clone()
        };
        let chance = self.chance(&[u64::from(post.first), self.now.millis().unsigned_abs()]);
        self.later(
            Duration::from_millis(500 + chance % 60_000),
            Later::Post(again),
        );
    }

    /// Whether it is acknowledged.
    fn try_to_receive(&mut self, post: &Post) -> bool {
        let Some(truth) = self.truth.clone() else {
            return self.receive_for_a_deleted_one(post);
        };
        let events = post.events();
        if self.sabotage == Some(Sabotage::MarkerBeforeStore) && post.kind != Kind::Test {
            let seen = |event: &NewEvent| self.markers.contains(&event.key);
            if events.iter().all(seen) {
                let taken = vec![Taken::Duplicate { delivered: true }; events.len()];
                self.acknowledge(&events, taken, &[]);
                return true;
            }
            self.markers.extend(events.iter().map(|event| event.key));
        }
        let mut config = match &self.before {
            Some(before) if post.stale => before.clone(),
            _ => truth.clone(),
        };
        for _ in 0..RELOADS {
            if !config.is_active {
                if config.version == truth.version {
                    return false;
                }
                config = truth.clone();
                continue;
            }
            let failed: Vec<Sequence> = self.failed_among(&events);
            match self.store(&events, &config) {
                Ok(taken) => {
                    self.acknowledge(&events, taken, &failed);
                    return true;
                }
                Err(NotTaken::Stale) => {
                    if config.version == truth.version {
                        self.accuse("the Registry's own configuration is stale");
                    }
                    config = truth.clone();
                }
                Err(NotTaken::Unavailable) => {
                    self.unsure(&failed);
                    if self.sabotage == Some(Sabotage::FailureAsSuccess) {
                        let taken = vec![Taken::Duplicate { delivered: false }; events.len()];
                        self.acknowledge(&events, taken, &[]);
                        return true;
                    }
                    return false;
                }
            }
        }
        false
    }

    /// An edge that has not heard of it asks the Mailbox, which must refuse.
    fn receive_for_a_deleted_one(&mut self, post: &Post) -> bool {
        if let Some(before) = self.before.clone().filter(|_| post.stale)
            && self.retired
            && self.store(&post.events(), &before).is_ok()
        {
            self.accuse("events of a deleted webhook were taken");
        }
        // The provider hears 404 and may send again.
        false
    }

    /// Those of the events that are known to have failed.
    fn failed_among(&self, events: &[NewEvent]) -> Vec<Sequence> {
        events
            .iter()
            .filter(|event| !event.test)
            .filter_map(|event| self.model.keys.get(&event.key).copied())
            .filter(|id| {
                let known = self.model.events.get(id);
                known.is_some_and(|event| event.shown == Status::Failed)
            })
            .collect()
    }

    fn store(&mut self, events: &[NewEvent], config: &Webhook) -> Result<Vec<Taken>, NotTaken> {
        let accept = Accept {
            config_version: config.version,
            envelope: Envelope {
                method: "POST".into(),
                query: String::new(),
                headers: [("content-type", "application/json")].into_iter().collect(),
            },
            events: events.to_vec(),
        };
        let mut reply = self.accept(&accept)?;
        if reply == AcceptReply::Unconfigured {
            self.model.configured(config, mask_of(config), self.now);
            let configured = self.ask(MailboxRequest::Configure {
                webhook: Box::new(config.for_relaying()),
                shard: 0,
            });
            configured.map_err(|_| NotTaken::Unavailable)?;
            let version = self.truth.as_ref().map(|truth| truth.version);
            self.confirmed |= version == Some(config.version);
            reply = self.accept(&accept)?;
        }
        match reply {
            AcceptReply::Taken(taken) => Ok(taken),
            AcceptReply::Stale { .. } | AcceptReply::Gone => Err(NotTaken::Stale),
            AcceptReply::Unconfigured => Err(NotTaken::Unavailable),
        }
    }

    /// One call to the object; to a new one when it died and the platform says that
    /// a second may help.
    fn accept(&mut self, accept: &Accept) -> Result<AcceptReply, NotTaken> {
        let mut accepted = self.accept_once(accept);
        if accepted == Err(Trouble::Died) && hash(&[self.seed, self.seen.deaths]).is_multiple_of(2)
        {
            accepted = self.accept_once(accept);
        }
        accepted.map_err(|_| NotTaken::Unavailable)
    }

    fn accept_once(&mut self, accept: &Accept) -> Result<AcceptReply, Trouble> {
        self.disk
            .defers
            .set(self.sabotage == Some(Sabotage::AlarmAfterAnswer));
        let accepted = self.fetch(|core, db, now| core.accept(db, accept, now));
        self.disk.defers.set(false);
        if let Some(at) = self.disk.deferred.take() {
            let after = Duration::from_millis(1 + hash(&[self.seed, self.seen.happened]) % 40);
            self.later(after, Later::SetAlarm(at));
        }
        let accepted = accepted?;
        if let Some(object) = &mut self.object {
            object.signal |= accepted.wake;
        }
        Ok(accepted.reply)
    }

    /// The sender is told that these are taken: from now on they must not be lost.
    /// `failed`: those of them that had failed before.
    fn acknowledge(&mut self, events: &[NewEvent], taken: Vec<Taken>, failed: &[Sequence]) {
        if taken.len() != events.len() {
            self.accuse("not every event is accounted for");
        }
        let mask = self.mailbox_destinations();
        let destinations: Vec<u8> = (0..DESTINATIONS).filter(|n| has(mask, *n)).collect();
        for (event, taken) in events.iter().zip(taken) {
            let name = event.object_id.clone().unwrap_or_default();
            note!(self, "event {name}: {taken:?}");
            let told = match taken {
                Taken::New(id) | Taken::Test(Some(id)) => {
                    self.seen.events += 1;
                    let key = (!event.test).then_some(event.key);
                    let (id, now) = (id.sequence, self.now);
                    self.model.acknowledged(id, key, &name, &destinations, now)
                }
                Taken::Test(None) => Ok(()),
                Taken::Duplicate { .. } => self.acknowledge_again(&event.key, &name),
            };
            told.unwrap_or_else(|wrong| self.accuse(wrong));
        }
        for id in failed {
            self.model.wished(*id, mask, self.now);
        }
        self.look_at_rows();
    }

    fn acknowledge_again(&mut self, key: &DedupeKey, name: &str) -> Result<(), String> {
        if !self.model.keys.contains_key(key) {
            self.model.look(self.disk.native(), self.now)?;
        }
        let event = self
            .model
            .keys
            .get(key)
            .and_then(|id| self.model.events.get_mut(id));
        match event {
            Some(event) => {
                event.acknowledged = true;
                Ok(())
            }
            None => Err(format!("event {name} was acknowledged, but is not stored")),
        }
    }
}
