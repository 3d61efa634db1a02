//! `retry`: the wait before each next attempt.

use super::reader::{Mistakes, Node, Object};
use crate::webhook::Retry;

/// Attempts in all, the first included.
const MAX_ATTEMPTS: u32 = 1_000;
/// Waits that are named one by one.
const MAX_DELAYS: usize = 100;
/// The longest single wait, in seconds: a week, which is longer than most
/// deliveries are kept alive.
const MAX_DELAY: u32 = 7 * 86_400;
/// The strongest growth of an exponential schedule.
const MAX_FACTOR: u32 = 100;

/// Reads a schedule with the fields that are its own.
pub(super) fn read(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<Retry> {
    #[derive(Clone, Copy)]
    enum Schedule {
        Fibonacci,
        Fixed,
        Exponential,
        Standard,
        Custom,
    }
    const SCHEDULES: [(&str, Schedule); 5] = [
        ("fibonacci", Schedule::Fibonacci),
        ("fixed", Schedule::Fixed),
        ("exponential", Schedule::Exponential),
        ("standard", Schedule::Standard),
        ("custom", Schedule::Custom),
    ];
    let Some(schedule) = node.value.get("schedule") else {
        if node.fields(mistakes).is_some() {
            mistakes.add(format!("{}/schedule", node.pointer), "is missing");
        }
        return None;
    };
    match node
        .child("schedule", schedule)
        .choice(&SCHEDULES, mistakes)?
    {
        Schedule::Fibonacci => {
            node.object(&["schedule"], mistakes)?;
            Some(Retry::Fibonacci)
        }
        Schedule::Standard => {
            node.object(&["schedule"], mistakes)?;
            Some(Retry::Standard)
        }
        Schedule::Fixed => {
            let known = ["schedule", "interval_seconds", "max_attempts"];
            let fields = node.object(&known, mistakes)?;
            let interval_seconds = seconds(&fields, "interval_seconds", mistakes);
            let max_attempts = attempts(&fields, mistakes);
            Some(Retry::Fixed {
                interval_seconds: interval_seconds?,
                max_attempts: max_attempts?,
            })
        }
        Schedule::Exponential => {
            let known = [
                "schedule",
                "initial_seconds",
                "factor",
                "max_seconds",
                "max_attempts",
            ];
            let fields = node.object(&known, mistakes)?;
            let initial_seconds = seconds(&fields, "initial_seconds", mistakes);
            let factor = fields
                .need("factor", mistakes)
                .and_then(|node| node.number(1, MAX_FACTOR, mistakes));
            let max_seconds = seconds(&fields, "max_seconds", mistakes);
            let max_attempts = attempts(&fields, mistakes);
            let (initial_seconds, max_seconds) = (initial_seconds?, max_seconds?);
            if max_seconds < initial_seconds {
                mistakes.add(
                    format!("{}/max_seconds", node.pointer),
                    "must not be less than initial_seconds",
                );
            }
            Some(Retry::Exponential {
                initial_seconds,
                factor: factor?,
                max_seconds,
                max_attempts: max_attempts?,
            })
        }
        Schedule::Custom => {
            let fields = node.object(&["schedule", "delays_seconds"], mistakes)?;
            let delays = fields
                .need("delays_seconds", mistakes)?
                .list(MAX_DELAYS, mistakes)?;
            Some(Retry::Custom {
                delays_seconds: delays
                    .iter()
                    .filter_map(|delay| delay.number(0, MAX_DELAY, mistakes))
                    .collect(),
            })
        }
    }
}

fn seconds(fields: &Object<'_>, name: &str, mistakes: &mut Mistakes) -> Option<f64> {
    fields.need(name, mistakes)?.number(0, MAX_DELAY, mistakes)
}

fn attempts(fields: &Object<'_>, mistakes: &mut Mistakes) -> Option<u32> {
    fields
        .need("max_attempts", mistakes)?
        .whole(1, MAX_ATTEMPTS, mistakes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(retry: &Value) -> Result<Retry, Vec<String>> {
        let mut mistakes = Mistakes::default();
        let read = read(&Node::root(retry), &mut mistakes);
        let wrong: Vec<_> = mistakes.into_vec().into_iter().map(|m| m.pointer).collect();
        if wrong.is_empty() {
            Ok(read.unwrap())
        } else {
            Err(wrong)
        }
    }

    #[test]
    fn taken() {
        for (retry, read) in [
            (json!({"schedule": "fibonacci"}), Retry::Fibonacci),
            (json!({"schedule": "standard"}), Retry::Standard),
            (
                json!({"schedule": "fixed", "interval_seconds": 300, "max_attempts": 3}),
                Retry::Fixed {
                    interval_seconds: 300.0,
                    max_attempts: 3,
                },
            ),
            (
                json!({"schedule": "exponential", "initial_seconds": 0.5, "factor": 2, "max_seconds": 604800, "max_attempts": 1000}),
                Retry::Exponential {
                    initial_seconds: 0.5,
                    factor: 2.0,
                    max_seconds: 604_800.0,
                    max_attempts: 1_000,
                },
            ),
            (
                json!({"schedule": "custom", "delays_seconds": [0.5, 2, 0]}),
                Retry::Custom {
                    delays_seconds: vec![0.5, 2.0, 0.0],
                },
            ),
            (
                json!({"schedule": "custom", "delays_seconds": []}),
                Retry::Custom {
                    delays_seconds: vec![],
                },
            ),
        ] {
            assert_eq!(check(&retry), Ok(read), "{retry}");
        }
    }

    #[test]
    fn refused() {
        let fixed = |interval: Value, attempts: Value| json!({"schedule": "fixed", "interval_seconds": interval, "max_attempts": attempts});
        let exponential = |initial: Value, factor: Value, max: Value| json!({"schedule": "exponential", "initial_seconds": initial, "factor": factor, "max_seconds": max, "max_attempts": 5});
        for (retry, pointers) in [
            (json!("standard"), vec![""]),
            (json!(null), vec![""]),
            (json!({}), vec!["/schedule"]),
            (json!({"schedule": "hourly"}), vec!["/schedule"]),
            (json!({"schedule": "Fibonacci"}), vec!["/schedule"]),
            (json!({"schedule": 1}), vec!["/schedule"]),
            (
                json!({"schedule": "fibonacci", "max_attempts": 3}),
                vec!["/max_attempts"],
            ),
            (
                json!({"schedule": "standard", "delays_seconds": [1]}),
                vec!["/delays_seconds"],
            ),
            (
                json!({"schedule": "fixed"}),
                vec!["/interval_seconds", "/max_attempts"],
            ),
            (fixed(json!(-1), json!(3)), vec!["/interval_seconds"]),
            (fixed(json!("60"), json!(3)), vec!["/interval_seconds"]),
            (fixed(json!(604_801), json!(3)), vec!["/interval_seconds"]),
            (fixed(json!(60), json!(0)), vec!["/max_attempts"]),
            (fixed(json!(60), json!(1_001)), vec!["/max_attempts"]),
            (fixed(json!(60), json!(2.5)), vec!["/max_attempts"]),
            (fixed(json!(60), json!(-3)), vec!["/max_attempts"]),
            (
                exponential(json!(1), json!(0.5), json!(60)),
                vec!["/factor"],
            ),
            (
                exponential(json!(1), json!(101), json!(60)),
                vec!["/factor"],
            ),
            (
                exponential(json!(61), json!(2), json!(60)),
                vec!["/max_seconds"],
            ),
            (
                exponential(json!(-0.1), json!(2), json!(1e300)),
                vec!["/initial_seconds", "/max_seconds"],
            ),
            (json!({"schedule": "custom"}), vec!["/delays_seconds"]),
            (
                json!({"schedule": "custom", "delays_seconds": 5}),
                vec!["/delays_seconds"],
            ),
            (
                json!({"schedule": "custom", "delays_seconds": [1, -1, null, "2"]}),
                vec![
                    "/delays_seconds/1",
                    "/delays_seconds/2",
                    "/delays_seconds/3",
                ],
            ),
            (
                json!({"schedule": "custom", "delays_seconds": vec![1; 101]}),
                vec!["/delays_seconds"],
            ),
        ] {
            assert_eq!(
                check(&retry),
                Err(pointers.into_iter().map(str::to_owned).collect()),
                "{retry}"
            );
        }
    }
}
