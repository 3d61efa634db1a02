//! Waiting for what must come, with an end.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long anything that should happen soon may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none in time: names `what` was waited for.
#[track_caller]
pub fn wait_until<T>(what: &str, patience: Duration, question: impl FnMut() -> Option<T>) -> T {
    ask(patience, question)
        .unwrap_or_else(|| panic!("waited {} s in vain: {what}", patience.as_secs_f32()))
}

/// The same, with nothing to say when there is no answer in time.
#[track_caller]
pub(crate) fn ask<T>(patience: Duration, mut question: impl FnMut() -> Option<T>) -> Option<T> {
    let limit = Instant::now() + patience;
    loop {
        let answer = question();
        if answer.is_some() || Instant::now() >= limit {
            return answer;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
