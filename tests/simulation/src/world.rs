//! One simulated life: the clock, the platform with its alarm, the operator, the
//! providers. Things happen in the order of their time; after each the world is
//! checked.

use crate::{
    chance::hash,
    disk::Disk,
    edge::Object,
    model::{Model, destination_id, has},
    origin::Mood,
    plan::{Change, DESTINATIONS, Kind, Plan, Setup, Start, Step},
    previous,
    sabotage::Sabotage,
};
use std::{collections::BTreeSet, time::Duration};
use tram_core::{
    database::Database,
    delivery::Status,
    event::{DedupeKey, NewEvent},
    ids::Sequence,
    mailbox::view::EventQuery,
    messages::{MailboxReply, MailboxRequest},
    testing::{
        faulty::Fault,
        native::NativeDatabase,
        samples::{self, START},
    },
    time::{DAY, HOUR, Timestamp},
    webhook::{Destination, Retry, Webhook},
};

/// Nothing is overdue by more than a lease, and a moment.
const LEASE: Duration = Duration::from_secs(60);
const A_MOMENT: Duration = Duration::from_millis(1_500);
/// A handler that failed is called again after this.
const CALLED_AGAIN: Duration = Duration::from_secs(2);
/// More than this in one life is a spin.
const MOST_EVENTS: u32 = 60_000;
/// When all is healed, everything is settled within this.
const SETTLED_WITHIN: Duration = Duration::from_secs(40 * 3_600);
/// Then it is watched for so long …
const WATCHED: Duration = DAY.saturating_mul(4);
/// … in which so many alarms may be set, and rows be written.
const HARMLESS: u64 = 2;

/// What an event says that arrives.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) first: u8,
    pub(crate) count: u8,
    pub(crate) kind: Kind,
    pub(crate) stale: bool,
    /// How often the provider has sent it.
    pub(crate) sent: u32,
}

impl Post {
    /// The events in it.
    pub(crate) fn events(&self) -> Vec<NewEvent> {
        let numbers = (0..self.count).map(|n| u32::from(self.first) + u32::from(n));
        let doubled = (self.kind == Kind::Doubled).then_some(u32::from(self.first));
        numbers
            .chain(doubled)
            .map(|n| event(n, self.kind))
            .collect()
    }
}

/// The body of an event says its name.
pub(crate) fn body_of(name: &str) -> String {
    format!("{{\"id\":\"{name}\"")
}

fn event(number: u32, kind: Kind) -> NewEvent {
    let name = match kind {
        Kind::Test => format!("t{}", number % 3),
        _ => number.to_string(),
    };
    let mut body = body_of(&name).into_bytes();
    match kind {
        Kind::Conflict => body.extend_from_slice(b",\"again\":true}"),
        Kind::Large => {
            body.extend_from_slice(b",\"pad\":\"");
            body.resize(5_000, b'x');
            body.extend_from_slice(b"\"}");
        }
        _ => body.push(b'}'),
    }
    NewEvent {
        key: key(&name),
        body_sha256: key(&format!("{}{}", name, kind == Kind::Conflict)),
        name: None,
        object_id: Some(name),
        summary: tram_core::event::Summary::default(),
        test: kind == Kind::Test,
        body,
        header_changes: Vec::new(),
    }
}

/// The dedupe key of a name: as good as a digest here, and quicker.
pub(crate) fn key(name: &str) -> DedupeKey {
    let number = name
        .bytes()
        .fold(7, |sum, byte| hash(&[sum, u64::from(byte)]));
    let mut key = [0; 32];
    for (at, eight) in key.chunks_mut(8).enumerate() {
        eight.copy_from_slice(&hash(&[number, at as u64]).to_be_bytes());
    }
    key
}

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
    /// Sabotage: the alarm that was put off is set; what was looked up is stored.
    SetAlarm(Timestamp),
    Store(Post, Vec<DedupeKey>),
}

/// What is next.
#[derive(Clone, Copy, Debug)]
enum Next {
    Run,
    Alarm,
    Later(usize),
}

/// The platform's alarm, as far as it is not in the database.
#[derive(Default)]
pub(crate) struct Platform {
    /// Alarms fire so much later.
    late: Duration,
    /// The next is lost, and the platform may still say it is set.
    loses: Option<bool>,
    /// One was lost: what it was set to, and when that was.
    lost: Option<(Timestamp, Timestamp)>,
    /// It does not fire before then.
    not_before: Timestamp,
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
    latest: Timestamp,
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
    looked_at: Option<u64>,
    pub(crate) later: Vec<(Timestamp, Later)>,
    /// Sabotage: KV.
    pub(crate) markers: BTreeSet<DedupeKey>,
    /// Until now something excuses that a delivery does not begin.
    excused: Timestamp,
    pub(crate) seen: Seen,
    /// The first thing found wrong.
    wrong: Option<String>,
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

    fn make_ready(&mut self) {
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

    fn look_at_all_rows(&mut self) {
        if self.truth.is_some() {
            let looked = self.model.look_at_all(self.disk.native(), self.now);
            looked.unwrap_or_else(|wrong| self.accuse(wrong));
        }
    }

    fn verdict(&mut self) -> Result<(), String> {
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

    fn step(&mut self, step: Step) -> Result<(), String> {
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
                    .is_some_and(|object| object.run.is_none())
                {
                    self.object = None;
                }
            }
            Step::LoseAlarm { vanishes } => self.platform.loses = Some(vanishes),
            Step::LateAlarms(millis) => self.platform.late = Duration::from_millis(millis),
            Step::SpuriousAlarm => {
                if self
                    .object
                    .as_ref()
                    .is_none_or(|object| object.run.is_none())
                {
                    self.alarm_fires(true);
                }
            }
            Step::Visit => self.visit(),
            Step::ClockBack(millis) => {
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
    fn pass_until(&mut self, until: Timestamp) -> Result<(), String> {
        while let Some((at, next)) = self.next().filter(|(at, _)| *at <= until) {
            self.happens(at, next)?;
        }
        self.move_to(until);
        Ok(())
    }

    fn move_to(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
        self.latest = self.latest.max(at);
        self.disk.tell_time(self.now);
        // What excuses has done so all the time until now.
        self.excuse();
    }

    fn happens(&mut self, at: Timestamp, next: Next) -> Result<(), String> {
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

    fn happens_later(&mut self, what: Later) {
        match what {
            Later::Post(post) => {
                note!(self, "a provider sends again: {post:?}");
                self.post(post);
            }
            Later::Configure => self.configure(),
            Later::Retire => self.retire(),
            Later::Visit => self.visit(),
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

    fn next(&self) -> Option<(Timestamp, Next)> {
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

    /// When the platform will call the alarm, if it will. Only one runs at a time.
    fn fires_at(&self) -> Option<Timestamp> {
        if self
            .object
            .as_ref()
            .is_some_and(|object| object.run.is_some())
        {
            return None;
        }
        let alarm = self.living_alarm()?;
        Some(
            alarm
                .plus(self.platform.late)
                .max(self.platform.not_before)
                .max(self.now),
        )
    }

    /// The alarm that is set, unless it will never fire.
    fn living_alarm(&self) -> Option<Timestamp> {
        let alarm = self.disk.alarm()?;
        let lost = self.platform.lost.is_some_and(|(lost, _)| lost == alarm);
        (!lost && !self.disk.is_stalled(alarm)).then_some(alarm)
    }

    fn lost(&mut self, alarm: Timestamp) {
        self.platform.lost = Some((alarm, self.now));
        self.later(HOUR, Later::Visit);
    }

    /// A handler that failed before it waited is called again.
    pub(crate) fn call_again(&mut self, alarm: Timestamp) {
        if self.disk.alarm().is_none() {
            self.disk.put_alarm(Some(alarm));
        }
        self.platform.not_before = self.now.plus(CALLED_AGAIN);
    }

    pub(crate) fn excuse_now(&mut self) {
        self.excused = self.excused.max(self.now);
    }

    /// Whether anything excuses that what is due does not begin.
    fn excuse(&mut self) {
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

    fn check(&mut self) -> Result<(), String> {
        if self
            .platform
            .lost
            .is_some_and(|(lost, _)| self.living_alarm().is_some_and(|alarm| alarm != lost))
        {
            self.platform.lost = None;
        }
        self.excuse();
        if self.truth.is_some() {
            self.check_overdue();
            self.check_alarm();
        }
        self.verdict()
    }

    /// The earliest moment at which an attempt must have begun.
    fn must_begin(&self) -> Option<(Timestamp, Sequence, u8)> {
        let mask = self.destinations();
        self.model
            .pending()
            .filter_map(|(id, delivery)| {
                let at = self.model.must_begin(delivery, mask)?;
                Some((at, id, delivery.to))
            })
            .min()
    }

    /// The same, once everything that has ended unseen is known to have ended.
    fn must_begin_for_certain(&mut self) -> Option<(Timestamp, Sequence, u8)> {
        self.look_at_all_rows();
        if self.truth.is_some() {
            self.must_begin()
        } else {
            None
        }
    }

    fn check_overdue(&mut self) {
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

    fn check_alarm(&mut self) {
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

    fn change(&mut self, change: Change) {
        self.look_at_rows();
        let Some(truth) = &mut self.truth else {
            return;
        };
        self.before = Some(truth.clone());
        truth.version += 1;
        match change {
            Change::Destinations(mask) => {
                truth.destinations = destinations(mask, &self.setup, timeout_of(truth));
            }
            Change::Schedule(number) => truth.retry = schedule(number),
            Change::GiveUp(hours) => truth.give_up_after_hours = hours,
            Change::Paused(paused) => truth.is_paused = paused,
            Change::Active(active) => truth.is_active = active,
            Change::Timeout(seconds) => {
                let mask = mask_of(truth);
                truth.destinations = destinations(mask, &self.setup, seconds);
            }
        }
        self.confirmed = false;
        self.configure();
    }

    /// The Registry tells the Mailbox what there is, until it has heard.
    pub(crate) fn configure(&mut self) {
        let Some(truth) = self.truth.clone() else {
            return;
        };
        // What it does with it may happen though it fails.
        self.model.configured(&truth, mask_of(&truth), self.now);
        self.excuse_now();
        match self.ask(MailboxRequest::Configure {
            webhook: Box::new(truth.for_relaying()),
            shard: 0,
        }) {
            Ok(_) => self.confirmed = true,
            Err(_) => self.later(Duration::from_secs(5), Later::Configure),
        }
    }

    fn delete(&mut self) {
        if let Some(truth) = self.truth.take() {
            self.before = Some(truth);
            self.retire();
        }
    }

    fn retire(&mut self) {
        let Some(webhook) = self.before.as_ref().map(|webhook| webhook.id) else {
            return;
        };
        match self.ask(MailboxRequest::Retire { webhook }) {
            Ok(_) => self.retired = true,
            Err(_) => self.later(Duration::from_secs(5), Later::Retire),
        }
    }

    fn visit(&mut self) {
        let visited = self.fetch(|core, db, now| core.ensure_armed(db, now));
        let Some((_, since)) = self.platform.lost else {
            return;
        };
        // Until then the object may believe in the alarm.
        if visited.is_ok() && self.now.since(since) >= Duration::from_secs(150) {
            if self.must_begin_for_certain().is_none() {
                self.platform.lost = None;
            }
        } else {
            self.later(HOUR, Later::Visit);
        }
    }

    fn nth_event(&self, which: u8) -> Option<Sequence> {
        let count = self.model.events.len().max(1);
        self.model
            .events
            .keys()
            .nth(usize::from(which) % count)
            .copied()
    }

    fn resend(&mut self, which: u8, to: Option<u8>) {
        let Some(sequence) = self.nth_event(which).filter(|_| self.truth.is_some()) else {
            return;
        };
        let asked = self.ask(MailboxRequest::Resend {
            sequence,
            destination: to.map(destination_id),
        });
        let mask = self.mailbox_destinations();
        let known: Vec<u8> = self
            .model
            .events
            .get(&sequence)
            .map(|event| event.deliveries.iter().map(|known| known.to).collect())
            .unwrap_or_default();
        let mut chosen: Vec<u8> = (0..DESTINATIONS)
            .filter(|number| has(mask, *number))
            .filter(|number| to.map_or_else(|| known.contains(number), |to| to == *number))
            .collect();
        if chosen.is_empty() && to.is_none() {
            chosen = (0..DESTINATIONS).filter(|n| has(mask, *n)).collect();
        }
        match asked {
            Ok(MailboxReply::Queued(count)) if count as usize == chosen.len() => {
                self.model.resent(sequence, &chosen, self.now);
            }
            Ok(MailboxReply::NotFound) if chosen.is_empty() => {}
            Ok(other) => self.accuse(format!(
                "a resend of {sequence:?} to {chosen:?} came to {other:?}"
            )),
            Err(_) => self.unsure(&[sequence]),
        }
    }

    /// Something was tried with these events that failed and may have stuck.
    pub(crate) fn unsure(&mut self, events: &[Sequence]) {
        for id in events {
            if let Some(event) = self.model.events.get_mut(id) {
                event.loose = true;
                let compared = self.model.compare(self.disk.native(), *id, self.now);
                compared.unwrap_or_else(|wrong| self.accuse(wrong));
            }
        }
    }

    fn look(&mut self, which: u8) {
        if self.truth.is_none() {
            return;
        }
        let query = EventQuery {
            per_page: 3,
            include_attempts: true,
            ..EventQuery::default()
        };
        if let Ok(reply) = self.ask(MailboxRequest::List(query))
            && !matches!(reply, MailboxReply::Events(_))
        {
            self.accuse(format!("a list came to {reply:?}"));
        }
        let Some(id) = self.nth_event(which) else {
            return;
        };
        let configured = self.confirmed;
        match self.ask(MailboxRequest::Get(id)) {
            Ok(MailboxReply::Event(_)) | Err(_) => {}
            Ok(_) if !configured => {}
            Ok(other) => self.accuse(format!("{id:?} came to {other:?}")),
        }
    }

    /// What the Mailbox has been told, by number.
    pub(crate) fn mailbox_destinations(&self) -> u8 {
        self.object
            .as_ref()
            .and_then(|object| object.core.config())
            .map_or(0, mask_of)
    }

    /// Everything is well from now on; everything must come to its end.
    fn settle(&mut self) -> Result<(), String> {
        note!(self, "── the world is healed");
        self.disk.heal();
        self.platform.late = Duration::ZERO;
        self.platform.loses = None;
        self.setup.poison = None;
        self.moods = [Mood::Up; DESTINATIONS as usize];
        if let Some(truth) = &mut self.truth {
            truth.version += 1;
            truth.is_paused = false;
            truth.is_active = true;
            self.confirmed = false;
            self.configure();
        }
        self.visit();
        let healed = self.now;
        loop {
            self.check()?;
            self.look_at_rows();
            self.verdict()?;
            let pending = self.truth.is_some()
                && self
                    .model
                    .events
                    .values()
                    .any(|event| event.shown == Status::Pending);
            let running = self
                .object
                .as_ref()
                .is_some_and(|object| object.run.is_some());
            let busy = running || !self.later.is_empty();
            if !pending && !busy {
                break;
            }
            let Some((at, next)) = self.next() else {
                return Err("something is pending, and nothing will ever wake it".into());
            };
            if at > healed.plus(SETTLED_WITHIN) {
                return Err(format!(
                    "not settled {SETTLED_WITHIN:?} after the world was healed"
                ));
            }
            self.happens(at, next)?;
        }
        self.check_settled()?;
        self.watch()?;
        self.seen.seconds = self.now.since(START).as_secs();
        Ok(())
    }

    fn check_settled(&mut self) -> Result<(), String> {
        if self.truth.is_none() {
            return Ok(());
        }
        self.look_at_all_rows();
        self.verdict()?;
        let strays = self
            .disk
            .native()
            .run("SELECT (SELECT count(*) FROM waiting) + (SELECT count(*) FROM events WHERE fresh <> 0)", &[])
            .ok()
            .and_then(|rows| rows.first().and_then(|row| row.integer(0).ok()));
        if strays != Some(0) {
            return Err(format!("everything is settled, yet rows wait: {strays:?}"));
        }
        for (id, event) in &self.model.events {
            for delivery in &event.deliveries {
                // Failed and cancelled ones were found legitimate when they ended.
                if delivery.status == Status::Pending
                    || (delivery.status == Status::Delivered && !delivery.received)
                {
                    return Err(format!("{id:?} has not come to its end: {delivery:?}"));
                }
            }
        }
        Ok(())
    }

    /// Days without work: nothing is written any more.
    fn watch(&mut self) -> Result<(), String> {
        let native = self.disk.native();
        let (alarms, rows) = (native.alarms_set(), native.changes());
        let end = self.now.plus(WATCHED);
        for _ in 0..4 {
            self.object = None;
            self.visit();
            self.pass_until(self.now.plus(DAY))?;
        }
        self.pass_until(end)?;
        let (alarms, rows) = (native.alarms_set() - alarms, native.changes() - rows);
        if alarms > HARMLESS || rows > HARMLESS {
            return Err(format!(
                "without work {alarms} alarms were set and {rows} rows written in {WATCHED:?}"
            ));
        }
        Ok(())
    }
}

/// Which destinations a webhook has, a bit each.
pub(crate) fn mask_of(webhook: &Webhook) -> u8 {
    (0..DESTINATIONS)
        .filter(|number| {
            let id = destination_id(*number);
            webhook.destinations.iter().any(|known| known.id == id)
        })
        .fold(0, |mask, number| mask | 1 << number)
}

fn timeout_of(webhook: &Webhook) -> u32 {
    webhook
        .destinations
        .first()
        .map_or(5, |destination| destination.timeout_seconds)
}

fn destinations(mask: u8, setup: &Setup, timeout: u32) -> Vec<Destination> {
    (0..DESTINATIONS)
        .filter(|number| has(mask, *number))
        .map(|number| Destination {
            timeout_seconds: timeout,
            strict: setup.strict,
            ..samples::destination(number)
        })
        .collect()
}

fn webhook(setup: &Setup) -> Webhook {
    Webhook {
        destinations: destinations(setup.destinations, setup, setup.timeout),
        retry: schedule(setup.schedule),
        give_up_after_hours: setup.give_up_hours,
        ..samples::webhook(1)
    }
}

fn schedule(number: u8) -> Retry {
    match number {
        0 | 1 => Retry::Fibonacci,
        2 => Retry::Standard,
        3 => Retry::Fixed {
            interval_seconds: 300.0,
            max_attempts: 3,
        },
        4 => Retry::Fixed {
            interval_seconds: 20.0,
            max_attempts: 40,
        },
        5 => Retry::Exponential {
            initial_seconds: 0.5,
            factor: 2.0,
            max_seconds: 600.0,
            max_attempts: 12,
        },
        6 => Retry::Custom {
            delays_seconds: vec![0.5, 2.0, 60.0, 0.0, 1_000.0],
        },
        7 => Retry::Custom {
            delays_seconds: vec![0.0; 12],
        },
        _ => Retry::Custom {
            delays_seconds: Vec::new(),
        },
    }
}
