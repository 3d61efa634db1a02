//! As many lives as there is time for, with other seeds every day, and those that
//! once went wrong.

use std::{
    env,
    time::{Duration, SystemTime},
};
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
    strict: false,
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
