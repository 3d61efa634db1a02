//! A failing plan made as short as it can be while it still fails.

use crate::{
    Lab, Sabotage,
    plan::{Plan, Start, Step},
};
use tram_core::webhook::Strict;

/// Lives at most.
const BUDGET: u32 = 4_000;

/// The plan with steps left out and waits cut, as long as something is found wrong.
/// Returned as it is when nothing is.
#[must_use]
pub fn shorten(plan: &Plan, sabotage: Option<Sabotage>) -> Plan {
    let mut shortener = Shortener {
        lab: Lab::default(),
        sabotage,
        kind: String::new(),
        left: BUDGET,
    };
    let mut plan = plan.clone();
    match shortener.lab.live(&plan, sabotage, false).wrong {
        Some(wrong) => shortener.kind = kind(&wrong),
        None => return plan,
    }
    loop {
        let before = plan.clone();
        shortener.drop_steps(&mut plan);
        shortener.simplify(&mut plan);
        if plan == before || shortener.left == 0 {
            return plan;
        }
    }
}

struct Shortener {
    lab: Lab,
    sabotage: Option<Sabotage>,
    /// What is wrong, so that it does not become another thing on the way.
    kind: String,
    left: u32,
}

/// A finding without its numbers.
fn kind(wrong: &str) -> String {
    let letter = |letter: &char| letter.is_ascii_alphabetic() || *letter == ' ';
    wrong.chars().filter(letter).take(30).collect()
}

impl Shortener {
    fn fails(&mut self, plan: &Plan) -> bool {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            return false;
        }
        let wrong = self.lab.live(plan, self.sabotage, false).wrong;
        wrong.is_some_and(|wrong| kind(&wrong) == self.kind)
    }

    /// Takes the new plan if it fails too.
    fn accept(&mut self, plan: &mut Plan, candidate: Plan) -> bool {
        let shorter = candidate != *plan && self.fails(&candidate);
        if shorter {
            *plan = candidate;
        }
        shorter
    }

    /// Leaves out halves, then quarters … then single steps.
    fn drop_steps(&mut self, plan: &mut Plan) {
        let mut size = plan.steps.len();
        while size > 0 {
            let mut from = 0;
            while from < plan.steps.len() {
                let mut candidate = plan.clone();
                let to = (from + size).min(plan.steps.len());
                candidate.steps.drain(from..to);
                if !self.accept(plan, candidate) {
                    from += size;
                }
            }
            size /= 2;
        }
    }

    fn simplify(&mut self, plan: &mut Plan) {
        for at in 0..plan.steps.len() {
            while simpler(plan.steps[at]).into_iter().any(|simpler| {
                let mut candidate = plan.clone();
                candidate.steps[at] = simpler;
                self.accept(plan, candidate)
            }) {}
        }
        for change in [
            |plan: &mut Plan| plan.setup.start = Start::Migrated,
            |plan: &mut Plan| plan.setup.destinations = 1,
            |plan: &mut Plan| plan.setup.schedule = 0,
            |plan: &mut Plan| plan.setup.give_up_hours = 72,
            |plan: &mut Plan| plan.setup.timeout = 5,
            |plan: &mut Plan| plan.setup.poison = None,
            |plan: &mut Plan| plan.setup.strict = Strict::Auto,
        ] {
            let mut candidate = plan.clone();
            change(&mut candidate);
            self.accept(plan, candidate);
        }
    }
}

/// Lesser steps of the same kind.
fn simpler(step: Step) -> Vec<Step> {
    match step {
        Step::Wait(millis) if millis > 1 => vec![Step::Wait(millis / 2)],
        Step::Post {
            first,
            count,
            kind,
            stale,
        } if count > 1 || stale => vec![Step::Post {
            first,
            count: count.div_ceil(2),
            kind,
            stale: false,
        }],
        Step::Fault { after, stuck } if after > 0 => vec![
            Step::Fault {
                after: after / 2,
                stuck,
            },
            Step::Fault {
                after: after - 1,
                stuck,
            },
        ],
        Step::CrashAt { after, done } if after > 0 => vec![
            Step::CrashAt {
                after: after / 2,
                done,
            },
            Step::CrashAt {
                after: after - 1,
                done,
            },
        ],
        _ => Vec::new(),
    }
}
