//! What happens in one simulated life of a Mailbox: a list of steps, made from a
//! seed up front, so that it can be printed, shortened and kept.
//!
//! The `Debug` text of a step is Rust: what a failure prints can be pasted into a
//! test.

use crate::{chance::Chance, origin::Mood};
use std::fmt;
use tram_core::webhook::Strict;

/// Destinations are numbered from 0 up to this.
pub const DESTINATIONS: u8 = 5;
/// Schedules that [`Setup`] and [`Change::Schedule`] choose from.
pub const SCHEDULES: u8 = 9;

/// One life, from its first moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Decides what the steps leave open: latencies, jitter, second tries.
    pub seed: u64,
    /// What there is at the beginning.
    pub setup: Setup,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// What there is at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The database.
    pub start: Start,
    /// Which destinations there are, a bit each.
    pub destinations: u8,
    /// The retry schedule, by number.
    pub schedule: u8,
    /// `give_up_after_hours`.
    pub give_up_hours: u32,
    /// `timeout_seconds`.
    pub timeout: u32,
    /// The event of that number is refused by destination 0 whatever its mood.
    pub poison: Option<u8>,
    /// What destinations want to hear.
    pub strict: Strict,
}

/// The database at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// None yet.
    New,
    /// Migrated and empty.
    Migrated,
    /// Written by the first release: so many events, delivered, fresh and waiting.
    Previous {
        /// How many.
        events: u8,
        /// Whether the alarm that it set is still there.
        armed: bool,
    },
}

/// What kind of post it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Small events.
    Plain,
    /// Too large for the event's own row.
    Large,
    /// The same ids with another body.
    Conflict,
    /// Test calls.
    Test,
    /// The first of them twice in one batch.
    Doubled,
}

/// A change of the webhook's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// These destinations from now on, a bit each.
    Destinations(u8),
    /// Another schedule.
    Schedule(u8),
    /// Another time after which a delivery is given up.
    GiveUp(u32),
    /// Pause or resume.
    Paused(bool),
    /// Switch on or off.
    Active(bool),
    /// Another time-out.
    Timeout(u32),
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many milliseconds pass.
    Wait(u64),
    /// A provider posts the events `first`, `first + 1` …
    Post {
        /// The first.
        first: u8,
        /// How many.
        count: u8,
        /// What of.
        kind: Kind,
        /// The edge still has the configuration before the last change.
        stale: bool,
    },
    /// An origin changes its mood.
    Origin(u8, Mood),
    /// The operator changes the webhook.
    Change(Change),
    /// The operator has an event delivered again: the one at that place among all,
    /// to that destination or all.
    Resend(u8, Option<u8>),
    /// The operator tries the webhook out.
    Test,
    /// The operator looks at an event and a page.
    Look(u8),
    /// The call to the database after so many more fails; it may have stuck.
    Fault {
        /// Calls until then.
        after: u8,
        /// It happened all the same.
        stuck: bool,
    },
    /// The object dies between two things it does.
    Crash,
    /// The object dies at the database call after so many more: before it or after.
    CrashAt {
        /// Calls until then.
        after: u8,
        /// The call was done.
        done: bool,
    },
    /// An idle object is forgotten.
    Evict,
    /// The next alarm never fires; the platform may still say that it is set.
    LoseAlarm {
        /// It does not say so.
        vanishes: bool,
    },
    /// Alarms fire so many milliseconds late from now on.
    LateAlarms(u64),
    /// The alarm fires though it is not due.
    SpuriousAlarm,
    /// The hourly visit.
    Visit,
    /// The clock goes back so many milliseconds.
    ClockBack(u64),
    /// The webhook is deleted.
    Retire,
}

/// How the steps of one life are chosen.
struct Temper {
    chance: Chance,
    /// Events that providers know.
    pool: u8,
    /// The usual wait: the power of two of its milliseconds.
    pace: u64,
    weights: [u64; 16],
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let setup = setup(&mut chance);
        let mut temper = temper(chance);
        let wanted = temper.chance.between(30, 150);
        let mut steps = Vec::new();
        for _ in 0..wanted {
            let step = temper.step();
            steps.push(step);
            // Duplicates like to come at once.
            if matches!(step, Step::Post { .. }) && temper.chance.percent(20) {
                steps.push(step);
            }
        }
        if temper.chance.percent(3) {
            steps.push(Step::Retire);
            steps.extend((0..8).map(|_| temper.step()));
        }
        if let Some(refusals) = &mut Refusals::of_seed(seed) {
            steps = steps
                .into_iter()
                .flat_map(|step| refusals.add(step))
                .collect();
        }
        Self { seed, setup, steps }
    }
}

/// What is put into half of the lives besides, from numbers of its own: origins that
/// answer, and refuse a part; trials.
struct Refusals {
    chance: Chance,
    percent: u64,
}

impl Refusals {
    fn of_seed(seed: u64) -> Option<Self> {
        let mut chance = Chance::new(seed ^ 0x7265_6675_7365_6421);
        let percent = chance.pick(&[0, 0, 4, 10]);
        (percent > 0).then_some(Self { chance, percent })
    }

    fn add(&mut self, step: Step) -> Vec<Step> {
        let mut steps = vec![step];
        if self.chance.percent(self.percent) {
            let number = self.chance.small(0, DESTINATIONS - 1);
            steps.push(Step::Origin(number, self.mood()));
        }
        if self.chance.percent(self.percent) {
            steps.push(Step::Test);
        }
        steps
    }

    fn mood(&mut self) -> Mood {
        match self.chance.below(4) {
            0 => Mood::RefusingOld(
                self.chance.pick(&[400, 401, 422]),
                self.chance.pick(&[5, 60, 300]),
            ),
            1 => Mood::RefusingSome(self.chance.pick(&[302, 404, 409])),
            2 => Mood::Answering(self.chance.pick(&[401, 422])),
            _ => Mood::ClosingKept,
        }
    }
}

fn setup(chance: &mut Chance) -> Setup {
    let start = match chance.below(10) {
        0 => Start::New,
        1 | 2 => Start::Previous {
            events: chance.small(1, 20),
            armed: chance.percent(70),
        },
        _ => Start::Migrated,
    };
    Setup {
        start,
        destinations: destinations(chance),
        schedule: chance.small(0, SCHEDULES - 1),
        give_up_hours: chance.pick(&[1, 1, 3, 24, 72]),
        timeout: chance.pick(&[1, 5, 5, 10, 30]),
        poison: chance.percent(20).then(|| chance.small(0, 5)),
        strict: chance.pick(&[
            Strict::Auto,
            Strict::Auto,
            Strict::Auto,
            Strict::Success,
            Strict::Status,
        ]),
    }
}

/// One, two or three of them, one oftenest.
fn destinations(chance: &mut Chance) -> u8 {
    let mut chosen = 0;
    for _ in 0..chance.pick(&[1, 1, 2, 2, 3]) {
        chosen |= 1 << chance.small(0, DESTINATIONS - 1);
    }
    chosen
}

fn temper(mut chance: Chance) -> Temper {
    // Any kind of trouble is absent in some lives and thick in others.
    let usual = [
        240, 200, 90, 40, 20, 15, 25, 15, 25, 20, 10, 12, 10, 10, 4, 20,
    ];
    let mut weights = usual;
    for (at, weight) in weights.iter_mut().enumerate().skip(3) {
        *weight *= chance.pick(&[0, 1, 1, 1, 3]);
        if at == 15 {
            *weight /= 2;
        }
    }
    Temper {
        pool: chance.pick(&[3, 8, 20, 60]),
        pace: chance.between(4, 16),
        weights,
        chance,
    }
}

impl Temper {
    fn step(&mut self) -> Step {
        match self.chance.weighted(&self.weights) {
            0 | 15 => self.wait(),
            1 => self.post(),
            2 => Step::Origin(self.chance.small(0, DESTINATIONS - 1), self.mood()),
            3 => Step::Change(self.change()),
            4 => Step::Resend(
                self.chance.small(0, 255),
                self.chance
                    .percent(40)
                    .then(|| self.chance.small(0, DESTINATIONS - 1)),
            ),
            5 => Step::Look(self.chance.small(0, 255)),
            6 => Step::Fault {
                after: self.chance.small(0, 40),
                stuck: self.chance.percent(50),
            },
            7 => Step::Crash,
            8 => Step::CrashAt {
                after: self.chance.small(0, 40),
                done: self.chance.percent(50),
            },
            9 => Step::Evict,
            10 => Step::LoseAlarm {
                vanishes: self.chance.percent(50),
            },
            11 => Step::LateAlarms(self.chance.pick(&[0, 0, 700, 20_000, 60_000, 200_000])),
            12 => Step::SpuriousAlarm,
            13 => Step::Visit,
            _ => Step::ClockBack(self.chance.pick(&[1, 40, 900, 5_000])),
        }
    }

    fn wait(&mut self) -> Step {
        let longest = match self.chance.below(10) {
            0..=5 => 1 << self.pace,
            6 | 7 => 1 << (self.pace / 2),
            8 => 120_000,
            _ => 1 << self.chance.between(12, 24),
        };
        Step::Wait(self.chance.between(0, longest))
    }

    fn post(&mut self) -> Step {
        Step::Post {
            first: self.chance.small(0, self.pool - 1),
            count: self.chance.pick(&[1, 1, 1, 1, 2, 3, 8]),
            kind: match self.chance.below(20) {
                0 => Kind::Large,
                1 => Kind::Conflict,
                2 => Kind::Test,
                3 => Kind::Doubled,
                _ => Kind::Plain,
            },
            stale: self.chance.percent(10),
        }
    }

    fn mood(&mut self) -> Mood {
        match self.chance.below(16) {
            0..=4 => Mood::Up,
            5 => Mood::Slow(self.chance.pick(&[900, 4_000, 8_000, 29_000])),
            6 | 7 => Mood::Refusing,
            8 => Mood::Hanging,
            9 => Mood::Answering(self.chance.pick(&[500, 503, 404, 410, 302, 400])),
            10 | 11 => Mood::Patience(
                self.chance.pick(&[429, 503]),
                self.chance.pick(&[0, 1, 30, 600, 7_200]),
            ),
            12 => Mood::Flapping,
            13 => Mood::LyingError,
            14 => Mood::LyingLate,
            _ => Mood::BreakingOff,
        }
    }

    fn change(&mut self) -> Change {
        match self.chance.below(12) {
            0..=2 => Change::Destinations(destinations(&mut self.chance)),
            3 | 4 => Change::Schedule(self.chance.small(0, SCHEDULES - 1)),
            5 => Change::GiveUp(self.chance.pick(&[1, 2, 24, 72])),
            6 => Change::Paused(true),
            7 | 8 => Change::Paused(false),
            9 => Change::Active(self.chance.percent(30)),
            10 => Change::Active(true),
            _ => Change::Timeout(self.chance.pick(&[1, 5, 30])),
        }
    }
}

impl fmt::Display for Plan {
    /// As Rust, a step a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Plan {{")?;
        writeln!(f, "    seed: {},", self.seed)?;
        writeln!(f, "    setup: {:?},", self.setup)?;
        writeln!(f, "    steps: vec![")?;
        for step in &self.steps {
            writeln!(f, "        {step:?},")?;
        }
        writeln!(f, "    ],")?;
        write!(f, "}}")
    }
}
