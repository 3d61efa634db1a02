//! One simulated life: the clock, the platform with its alarm, the operator, the
//! providers. Things happen in the order of their time; after each the world is
//! checked.

use crate::{
    chance::hash,
    disk::Disk,
    model::Model,
    object::Object,
    origin::Mood,
    plan::{DESTINATIONS, Plan, Setup, Start, Step},
    platform::Platform,
    post::Post,
    previous,
    prompt::Prompt,
    sabotage::Sabotage,
    trial::Trial,
    webhook::webhook,
};
use std::{collections::BTreeSet, time::Duration};
use tram_core::{
    event::DedupeKey,
    ids::Sequence,
    testing::{faulty::Fault, native::NativeDatabase, samples::START},
    time::Timestamp,
    webhook::Webhook,
};

/// More than this in one life is a spin.
const MOST_EVENTS: u32 = 60_000;

/// What will happen later, besides attempts and alarms.
#[derive(Clone, Debug)]
pub(crate) enum Later {
    /// A provider sends again what was not taken.
    Post(Post),
    /// The Registry tells the Mailbox again.
    Configure,
    Retire,
    /// The hourly visit, which mends a lost alarm.
    Visit,
    /// What a trial's attempts came to.
    EndTrial(Trial),
    /// Sabotage: the alarm that was put off is set; what was looked up is stored.
    SetAlarm(Timestamp),
    Store(Post, Vec<DedupeKey>),
}

/// What is next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    Run,
    Alarm,
    Later(usize),
}

/// What one life has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Things that happened.
    pub happened: u64,
    /// Attempts made.
    pub attempts: u64,
    /// Events acknowledged.
    pub events: u64,
    /// Times the object died.
    pub deaths: u64,
    /// Database calls that failed.
    pub faults: u64,
    /// How long it was, in simulated seconds.
    pub seconds: u64,
}

impl Seen {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.happened += other.happened;
        self.attempts += other.attempts;
        self.events += other.events;
        self.deaths += other.deaths;
        self.faults += other.faults;
        self.seconds += other.seconds;
    }
}

/// See the [module](self).
pub(crate) struct World<'a> {
    pub(crate) seed: u64,
    pub(crate) setup: Setup,
    pub(crate) sabotage: Option<Sabotage>,
    pub(crate) now: Timestamp,
    /// The latest it has been, should the clock have gone back since.
    pub(crate) latest: Timestamp,
    pub(crate) disk: Disk<'a>,
    pub(crate) object: Option<Object>,
    pub(crate) platform: Platform,
    /// What the Registry holds; `None` once it is deleted.
    pub(crate) truth: Option<Webhook>,
    /// The version before, which an edge may still have.
    pub(crate) before: Option<Webhook>,
    /// The Mailbox is known to have the Registry's.
    pub(crate) confirmed: bool,
    /// … to have heard of its deletion.
    pub(crate) retired: bool,
    pub(crate) moods: [Mood; DESTINATIONS as usize],
    pub(crate) model: Model,
    /// Rows written when the database was last compared with the model.
    pub(crate) looked_at: Option<u64>,
    pub(crate) later: Vec<(Timestamp, Later)>,
    /// What must begin soon, because the operator asked for it or the origin answered.
    pub(crate) prompt: Vec<Prompt>,
    /// What the operator has sent again, and was not attempted since.
    pub(crate) asked: BTreeSet<(Sequence, u8)>,
    /// Nothing was attempted there since the configuration has changed: what the
    /// destination asked of the one before does not bind.
    pub(crate) changed: [bool; DESTINATIONS as usize],
    /// Sabotage: KV.
    pub(crate) markers: BTreeSet<DedupeKey>,
    /// Until now something excuses that a delivery does not begin.
    pub(crate) excused: Timestamp,
    pub(crate) seen: Seen,
    /// The first thing found wrong.
    pub(crate) wrong: Option<String>,
    pub(crate) trace: Option<Vec<String>>,
}

/// Tells what happens, when somebody listens.
macro_rules! note {
    ($world:expr, $($words:tt)*) => {
        if let Some(trace) = &mut $world.trace {
            let since = $world.now.since(tram_core::testing::samples::START);
            let (seconds, millis) = (since.as_secs(), since.subsec_millis());
            let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
            let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
            trace.push(format!(
                "{days}d {hours:02}:{minutes:02}:{seconds:02}.{millis:03} {}",
                format_args!($($words)*)
            ));
        }
    };
}
pub(crate) use note;

impl<'a> World<'a> {
    /// The world before the first step.
    pub(crate) fn new(
        plan: &Plan,
        native: &'a NativeDatabase,
        sabotage: Option<Sabotage>,
        trace: bool,
    ) -> Self {
        let webhook = webhook(&plan.setup);
        let mut world = Self {
            seed: plan.seed,
            setup: plan.setup,
            sabotage,
            now: START,
            latest: START,
            disk: Disk::new(native, sabotage),
            object: None,
            platform: Platform::default(),
            truth: Some(webhook),
            before: None,
            confirmed: false,
            retired: false,
            moods: [Mood::Up; DESTINATIONS as usize],
            model: Model::default(),
            looked_at: None,
            later: Vec::new(),
            prompt: Vec::new(),
            asked: BTreeSet::new(),
            changed: [false; DESTINATIONS as usize],
            markers: BTreeSet::new(),
            excused: START,
            seen: Seen::default(),
            wrong: None,
            trace: trace.then(Vec::new),
        };
        world.disk.tell_time(START);
        world.make_ready();
        world
    }

    pub(crate) fn make_ready(&mut self) {
        let truth = self.truth.clone().expect("there is one at first");
        self.model
            .configured(&truth, self.setup.destinations, self.now);
        if let Start::Previous { events, armed } = self.setup.start {
            let native = self.disk.native();
            previous::write(native, &truth, events, self.seed, &mut self.model, self.now);
            self.confirmed = true;
            let alarm = self.now.plus(Duration::from_secs(1));
            if armed {
                self.disk.put_alarm(Some(alarm));
            } else {
                self.lost(alarm);
            }
        }
    }

    /// Lives the plan, heals the world, and watches it settle.
    pub(crate) fn live(&mut self, plan: &Plan) -> Result<(), String> {
        for step in &plan.steps {
            self.step(*step)?;
        }
        self.settle()
    }

    pub(crate) fn accuse(&mut self, what: impl Into<String>) {
        let what = what.into();
        note!(self, "WRONG: {what}");
        self.wrong.get_or_insert(what);
    }

    /// Compares what is stored with the model, as long as anything is.
    pub(crate) fn look_at_rows(&mut self) {
        let rows = self.disk.native().changes();
        if self.truth.is_some() && self.looked_at != Some(rows) {
            self.looked_at = Some(rows);
            let looked = self.model.look(self.disk.native(), self.now);
            looked.unwrap_or_else(|wrong| self.accuse(wrong));
        }
    }

    pub(crate) fn look_at_all_rows(&mut self) {
        if self.truth.is_some() {
            let looked = self.model.look_at_all(self.disk.native(), self.now);
            looked.unwrap_or_else(|wrong| self.accuse(wrong));
        }
    }

    pub(crate) fn verdict(&mut self) -> Result<(), String> {
        match self.wrong.take() {
            Some(wrong) => Err(wrong),
            None => Ok(()),
        }
    }

    /// A number for what the plan leaves open.
    pub(crate) fn chance(&self, parts: &[u64]) -> u64 {
        hash(&[self.seed, hash(parts)])
    }

    pub(crate) fn later(&mut self, after: Duration, what: Later) {
        self.later.push((self.now.plus(after), what));
    }

    pub(crate) fn step(&mut self, step: Step) -> Result<(), String> {
        if !matches!(step, Step::Wait(_)) {
            note!(self, "· {step:?}");
        }
        match step {
            Step::Wait(millis) => {
                let until = self.now.plus(Duration::from_millis(millis));
                self.pass_until(until)?;
            }
            Step::Post {
                first,
                count,
                kind,
                stale,
            } => self.post(Post {
                first,
                count,
                kind,
                stale,
                sent: 1,
            }),
            Step::Origin(number, mood) => {
                if let Some(known) = self.moods.get_mut(usize::from(number)) {
                    *known = mood;
                }
            }
            Step::Change(change) => self.change(change),
            Step::Resend(which, to) => self.resend(which, to),
            Step::Test => self.try_out(),
            Step::Look(which) => self.look(which),
            Step::Fault { after, stuck } => {
                let fault = if stuck { Fault::Stuck } else { Fault::Before };
                self.disk.plan(after, fault, false);
            }
            Step::CrashAt { after, done } => {
                let fault = if done { Fault::Stuck } else { Fault::Before };
                self.disk.plan(after, fault, true);
            }
            Step::Crash => self.die(),
            Step::Evict => {
                if self
                    .object
                    .as_ref()
                    .is_some_and(|object| object.run.is_none() && !object.begins)
                {
                    self.object = None;
                    self.prompt.clear();
                }
            }
            Step::LoseAlarm { vanishes } => self.platform.loses = Some(vanishes),
            Step::LateAlarms(millis) => self.platform.late = Duration::from_millis(millis),
            Step::SpuriousAlarm => {
                let run = self.object.as_ref().and_then(|object| object.run.as_ref());
                if run.is_none_or(|run| run.beside) {
                    self.alarm_fires(true);
                }
            }
            Step::Visit => self.visit(),
            Step::ClockBack(millis) => {
                self.prompt.clear();
                self.now = self.now.minus(Duration::from_millis(millis));
                self.disk.tell_time(self.now);
            }
            Step::Retire => self.delete(),
        }
        self.seen.happened += 1;
        self.check()?;
        self.look_at_rows();
        self.verdict()
    }

    /// Lets the time pass, and what it brings happen.
    pub(crate) fn pass_until(&mut self, until: Timestamp) -> Result<(), String> {
        while let Some((at, next)) = self.next().filter(|(at, _)| *at <= until) {
            self.happens(at, next)?;
        }
        self.move_to(until);
        Ok(())
    }

    pub(crate) fn move_to(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
        self.latest = self.latest.max(at);
        self.disk.tell_time(self.now);
        // What excuses has done so all the time until now.
        self.excuse();
    }

    pub(crate) fn happens(&mut self, at: Timestamp, next: Next) -> Result<(), String> {
        self.seen.happened += 1;
        if self.seen.happened > u64::from(MOST_EVENTS) {
            return Err("it does not come to rest".into());
        }
        self.move_to(at);
        match next {
            Next::Run => self.run_goes_on(),
            Next::Alarm => match self.platform.loses.take() {
                Some(vanishes) => {
                    let alarm = self.disk.alarm().unwrap_or(self.now);
                    note!(self, "the alarm is lost");
                    if vanishes {
                        self.disk.put_alarm(None);
                    }
                    self.lost(alarm);
                }
                None => self.alarm_fires(false),
            },
            Next::Later(place) => {
                let (_, what) = self.later.swap_remove(place);
                self.happens_later(what);
            }
        }
        self.check()
    }

    pub(crate) fn happens_later(&mut self, what: Later) {
        match what {
            Later::Post(post) => {
                note!(self, "a provider sends again: {post:?}");
                self.post(post);
            }
            Later::Configure => self.configure(),
            Later::Retire => self.retire(),
            Later::Visit => self.visit(),
            Later::EndTrial(trial) => self.end_trial(trial),
            Later::SetAlarm(at) => {
                let at = at.max(self.now.plus(Duration::from_millis(1)));
                self.disk.put_alarm(Some(at));
            }
            Later::Store(post, absent) => {
                self.disk.looked_up.replace(absent);
                self.receive(&post);
                self.disk.looked_up.borrow_mut().clear();
            }
        }
    }

    pub(crate) fn next(&self) -> Option<(Timestamp, Next)> {
        let run = self
            .object
            .as_ref()
            .and_then(|object| object.next(self.now))
            .map(|at| (at, Next::Run));
        let alarm = self.fires_at().map(|at| (at, Next::Alarm));
        let later = self
            .later
            .iter()
            .enumerate()
            .map(|(place, (at, _))| (*at, Next::Later(place)));
        run.into_iter()
            .chain(alarm)
            .chain(later)
            .min_by_key(|(at, _)| *at)
    }
}
