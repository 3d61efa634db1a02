//! Lives as many seeds as one has time for, or one again, step by step.
//!
//! ```text
//! cargo run --profile simulation -p tram-simulation -- --seeds 1000 [--from S] [--seconds T]
//! cargo run --profile simulation -p tram-simulation -- --seed X [--trace]
//! ```

use std::{env, process::ExitCode, time::Duration};
use tram_simulation::{Lab, Plan, campaign::Campaign, shorten};

const USAGE: &str =
    "usage: tram-simulation [--seeds N] [--from S] [--seconds T] | --seed X [--trace]";

/// What is asked for.
#[derive(Default)]
struct Asked {
    seeds: Option<u64>,
    from: u64,
    seconds: Option<u64>,
    seed: Option<u64>,
    trace: bool,
}

fn read(mut words: impl Iterator<Item = String>) -> Option<Asked> {
    let mut asked = Asked::default();
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|value| value.parse().ok());
        match word.as_str() {
            "--seeds" => asked.seeds = Some(number()?),
            "--from" => asked.from = number()?,
            "--seconds" => asked.seconds = Some(number()?),
            "--seed" => asked.seed = Some(number()?),
            "--trace" => asked.trace = true,
            _ => return None,
        }
    }
    Some(asked)
}

fn main() -> ExitCode {
    let Some(asked) = read(env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match asked.seed {
        Some(seed) => one(seed, asked.trace),
        None => many(&asked),
    }
}

fn one(seed: u64, trace: bool) -> ExitCode {
    let plan = Plan::of_seed(seed);
    let life = Lab::default().live(&plan, None, trace);
    for line in &life.trace {
        println!("{line}");
    }
    println!("seed {seed}: {:?}", life.seen);
    match life.wrong {
        None => {
            println!("nothing wrong");
            ExitCode::SUCCESS
        }
        Some(wrong) => failed(seed, &wrong),
    }
}

fn many(asked: &Asked) -> ExitCode {
    let report = Campaign {
        from: asked.from,
        seeds: asked.seeds.unwrap_or(u64::MAX),
        time: asked
            .seconds
            .or_else(|| asked.seeds.is_none().then_some(60))
            .map(Duration::from_secs),
        sabotage: None,
    }
    .run();
    println!("{report}");
    match report.failed {
        None => ExitCode::SUCCESS,
        Some((seed, wrong)) => failed(seed, &wrong),
    }
}

fn failed(seed: u64, wrong: &str) -> ExitCode {
    println!("seed {seed} FAILED: {wrong}");
    let short = shorten(&Plan::of_seed(seed), None);
    let life = Lab::default().live(&short, None, true);
    println!(
        "shortened to {} steps: {}",
        short.steps.len(),
        life.wrong.unwrap_or_default()
    );
    println!("{short}");
    for line in life.trace {
        println!("  {line}");
    }
    println!("again: cargo run --profile simulation -p tram-simulation -- --seed {seed} --trace");
    ExitCode::FAILURE
}
