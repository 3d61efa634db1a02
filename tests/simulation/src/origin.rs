//! Origins as they are: quick, slow, down, asking for patience, lying.

use crate::chance::hash;
use std::time::Duration;
use tram_core::{
    delivery::{Answer, Failure},
    webhook::Destination,
};

/// How an origin behaves at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Takes everything, within a second.
    Up,
    /// Takes everything, after that many milliseconds (or lets it time out).
    Slow(u64),
    /// Refuses connections.
    Refusing,
    /// Never answers, and takes nothing.
    Hanging,
    /// Answers that status, and takes nothing.
    Answering(u16),
    /// Answers that status and `Retry-After` of so many seconds, and takes nothing.
    Patience(u16, u64),
    /// Takes every other attempt.
    Flapping,
    /// Takes it, and answers 500.
    LyingError,
    /// Takes it, and answers after the time-out.
    LyingLate,
    /// Takes it and answers 200, but the body breaks off.
    BreakingOff,
    /// Refuses with that status what is older than so many seconds; takes the rest.
    RefusingOld(u16, u64),
    /// Refuses with that status every other event, each of them always.
    RefusingSome(u16),
    /// Has closed the connection that was kept; takes what comes over a new one.
    ClosingKept,
}

/// What an origin can tell attempts apart by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    /// How long ago the event came.
    pub(crate) age: Duration,
    /// A number for its name.
    pub(crate) name: u64,
    /// A connection may be kept.
    pub(crate) kept: bool,
}

/// What will become of one attempt.
#[derive(Clone, Debug)]
pub(crate) struct Fate {
    /// How long it takes.
    pub(crate) lasts: Duration,
    /// The origin has really got the event.
    pub(crate) received: bool,
    pub(crate) result: Result<Answer, Failure>,
}

fn answer(status: u16, retry_after: Option<u64>) -> Result<Answer, Failure> {
    Ok(Answer {
        status,
        retry_after: retry_after.map(|seconds| seconds.to_string()),
        body: b"{\"success\":true}".to_vec(),
        body_incomplete: None,
    })
}

/// An attempt at an origin in that mood; `chance` decides what is left open.
pub(crate) fn attempt(mood: Mood, destination: &Destination, about: About, chance: u64) -> Fate {
    let time_out = u64::from(destination.timeout_seconds) * 1_000;
    let quick = 3 + chance % 400;
    let fate = |lasts: u64, received: bool, result| Fate {
        lasts: Duration::from_millis(lasts),
        received,
        result,
    };
    match mood {
        Mood::Up => fate(quick, true, answer(200, None)),
        Mood::Slow(millis) if millis < time_out => fate(millis, true, answer(200, None)),
        Mood::Slow(_) | Mood::Hanging => fate(time_out, false, Err(Failure::Timeout)),
        Mood::Refusing => fate(
            quick / 10,
            false,
            Err(Failure::Connection("refused".into())),
        ),
        Mood::Answering(status) => fate(quick, false, answer(status, None)),
        Mood::Patience(status, seconds) => fate(quick, false, answer(status, Some(seconds))),
        Mood::Flapping if hash(&[chance, 1]).is_multiple_of(2) => {
            fate(quick, true, answer(200, None))
        }
        Mood::Flapping => fate(quick, false, answer(503, None)),
        Mood::LyingError => fate(quick, true, answer(500, None)),
        Mood::LyingLate => fate(time_out, true, Err(Failure::Timeout)),
        Mood::RefusingOld(status, seconds) if about.age.as_secs() > seconds => {
            fate(quick, false, answer(status, None))
        }
        Mood::RefusingSome(status) if hash(&[about.name, 7]).is_multiple_of(2) => {
            fate(quick, false, answer(status, None))
        }
        Mood::ClosingKept if about.kept => {
            let lost = Failure::Connection("Error: Network connection lost.".into());
            fate(quick / 10, false, Err(lost))
        }
        Mood::RefusingOld(..) | Mood::RefusingSome(_) | Mood::ClosingKept => {
            fate(quick, true, answer(200, None))
        }
        Mood::BreakingOff => {
            let result = Answer {
                status: 200,
                retry_after: None,
                body: Vec::new(),
                body_incomplete: Some(Failure::Connection("reset".into())),
            };
            fate(quick, true, Ok(result))
        }
    }
}
