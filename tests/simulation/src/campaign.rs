//! Many lives, on all cores, one seed a thread at a time.

use crate::{Lab, Plan, Sabotage, Seen};
use std::{
    cell::Cell,
    fmt, panic,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// What is to be lived.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The first seed.
    pub from: u64,
    /// How many, at most.
    pub seeds: u64,
    /// How long, at most.
    pub time: Option<Duration>,
    /// What is broken on purpose.
    pub sabotage: Option<Sabotage>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Seeds done.
    pub seeds: u64,
    /// What they saw, summed up.
    pub seen: Seen,
    /// How long it took.
    pub time: Duration,
    /// The lowest seed that failed, and what was found wrong.
    pub failed: Option<(u64, String)>,
}

thread_local! {
    /// For a panic that ends the process before anybody can say which seed it was.
    static SEED: Cell<Option<u64>> = const { Cell::new(None) };
}

impl Campaign {
    /// Lives all of it, or until a life fails.
    ///
    /// # Panics
    /// When a thread cannot be started.
    #[must_use]
    pub fn run(self) -> Report {
        name_the_seed();
        let begun = Instant::now();
        let next = AtomicU64::new(0);
        let stop = AtomicBool::new(false);
        let report = Mutex::new(Report::default());
        let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| self.work(begun, &next, &stop, &report));
            }
        });
        let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.time = begun.elapsed();
        report
    }

    fn work(self, begun: Instant, next: &AtomicU64, stop: &AtomicBool, report: &Mutex<Report>) {
        let mut lab = Lab::default();
        let mut own = Report::default();
        while !stop.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let over = self.time.is_some_and(|time| begun.elapsed() >= time);
            if at >= self.seeds || over {
                break;
            }
            let seed = self.from.wrapping_add(at);
            SEED.set(Some(seed));
            let life = lab.live(&Plan::of_seed(seed), self.sabotage, false);
            SEED.set(None);
            own.seeds += 1;
            own.seen.add(&life.seen);
            if let Some(wrong) = life.wrong {
                own.failed = Some((seed, wrong));
                stop.store(true, Ordering::Relaxed);
            }
        }
        let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
        report.seeds += own.seeds;
        report.seen.add(&own.seen);
        let lower = match (&report.failed, &own.failed) {
            (Some((known, _)), Some((seed, _))) => seed < known,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if lower {
            report.failed = own.failed;
        }
    }
}

fn name_the_seed() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if let Some(seed) = SEED.get() {
                eprintln!("seed {seed} panics:");
            }
            usual(info);
        }));
    });
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.time.as_secs_f64();
        let rate = self.seeds as f64 / seconds.max(0.001);
        let seen = &self.seen;
        write!(
            f,
            "{} seeds in {seconds:.1} s ({rate:.0} seeds/s): {} steps, {} events, {} attempts, {} deaths, {} faults, {} simulated days",
            self.seeds,
            seen.happened,
            seen.events,
            seen.attempts,
            seen.deaths,
            seen.faults,
            seen.seconds / 86_400,
        )
    }
}
