//! As many lives as there is time for, with other seeds every day, and those that
//! once went wrong.

use std::{
    env,
    time::{Duration, SystemTime},
};
use tram_core::webhook::Strict::*;
use tram_simulation::{Change::*, Kind::*, Mood::*, Step::*, *};

/// `npm test` sets it: how many seconds there are.
const SECONDS: &str = "TRAM_SIMULATION_SECONDS";

#[test]
fn nothing_goes_wrong_in_as_many_lives_as_there_is_time_for() {
    let seconds = env::var(SECONDS).map_or(5, |text| text.parse().expect("a number of seconds"));
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let from = since.expect("a clock that goes").as_secs() << 20;
    println!("seeds from {from}");
    let report = campaign::Campaign {
        from,
        seeds: u64::MAX,
        time: Some(Duration::from_secs(seconds)),
        sabotage: None,
    }
    .run();
    println!("{report}");
    assert!(report.seeds > 0);
    if let Some((seed, wrong)) = report.failed {
        let short = shorten(&Plan::of_seed(seed), None);
        panic!(
            "seed {seed}: {wrong}\nshortened:\n{short}\nagain: cargo run --profile simulation -p tram-simulation -- --seed {seed} --trace"
        );
    }
}

#[test]
fn a_seed_is_lived_the_same_way_again() {
    for seed in 0..20 {
        let plan = Plan::of_seed(seed);
        let mut lab = Lab::default();
        let first = lab.live(&plan, None, true);
        // In a database that was used before, too.
        let second = lab.live(&plan, None, true);
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.seen, second.seen, "seed {seed}");
    }
}

fn check(plan: Plan) {
    let life = Lab::default().live(&plan, None, true);
    assert_eq!(life.wrong, None, "{}", life.trace.join("\n"));
}

const SETUP: Setup = Setup {
    start: Start::Migrated,
    destinations: 1,
    schedule: 0,
    give_up_hours: 72,
    timeout: 5,
    poison: None,
    strict: Auto,
};

const fn post(first: u8, count: u8) -> Step {
    Post {
        first,
        count,
        kind: Plain,
        stale: false,
    }
}

/// The attempt's record stuck though it failed; then its destination was removed,
/// and the delivery was cancelled.
#[test]
fn what_was_taken_is_not_cancelled() {
    for after in 0..40 {
        check(Plan {
            seed: 76,
            setup: Setup {
                destinations: 0b1001,
                ..SETUP
            },
            steps: vec![
                post(1, 3),
                Wait(2),
                Fault { after, stuck: true },
                Wait(2_000),
                Change(Destinations(0b0010)),
                Wait(120_000),
            ],
        });
    }
}

/// A resend stuck though it failed, and the object did not know.
#[test]
fn what_was_queued_again_goes_out() {
    for after in 0..40 {
        check(Plan {
            seed: 965,
            setup: Setup {
                destinations: 0b1001,
                ..SETUP
            },
            steps: vec![
                post(0, 1),
                Wait(1_000),
                Fault { after, stuck: true },
                Resend(0, None),
                post(1, 1),
                Wait(200_000),
            ],
        });
    }
}

/// The same, by the repeat of an event that had failed.
#[test]
fn a_repeat_that_was_a_wish_goes_out() {
    for after in 0..40 {
        check(Plan {
            seed: 3,
            setup: Setup {
                schedule: 8,
                ..SETUP
            },
            steps: vec![
                Origin(0, Refusing),
                post(0, 1),
                Wait(1_000),
                Origin(0, Up),
                Fault { after, stuck: true },
                post(0, 1),
                Wait(200_000),
            ],
        });
    }
}

/// An alert that was to come stayed due in the pause, and the alarm spun.
#[test]
fn a_pause_lets_an_alert_wait_and_the_object_sleep() {
    check(Plan {
        seed: 578,
        setup: SETUP,
        steps: vec![post(3, 1), Wait(1), Change(Paused(true)), Wait(1_855_681)],
    });
}

/// A run that had begun nothing waited with no alarm set, and the object died.
#[test]
fn a_run_that_waits_with_nothing_out_may_die() {
    check(Plan {
        seed: 1702,
        setup: Setup {
            destinations: 0b1010,
            ..SETUP
        },
        steps: vec![
            Origin(3, Answering(500)),
            post(7, 1),
            Wait(2_930_094),
            post(2, 2),
            Wait(28_945),
            post(17, 1),
            Wait(157),
            Crash,
            Change(Destinations(0b1000)),
            Wait(1),
            Crash,
        ],
    });
}

/// Each was found to be wrong, in the Mailbox or in what was expected of it.
#[test]
fn seeds_that_once_failed() {
    let mut lab = Lab::default();
    for seed in [
        2, 16, 29, 76, 576, 578, 767, 965, 1_702, 6_311, 13_784, 23_973, 29_431, 1_006_878,
        1_032_241, 1_212_304, 5_002_776, 5_009_376, 5_046_511,
    ] {
        let life = lab.live(&Plan::of_seed(seed), None, false);
        assert_eq!(life.wrong, None, "seed {seed}");
    }
}
