//! What the core must be handed: the time, and chance; and waiting, which it
//! never does.

use futures_util::future::{self, Either};
use std::{future::Future, time::Duration};
use tram_core::{secret::Entropy, time::Timestamp};
use worker::{Delay, js_sys};

/// Now, as the runtime tells it. In production it only advances after I/O, so
/// nothing is ordered by it.
pub(crate) fn now() -> Timestamp {
    read(js_sys::Date::now())
}

/// What `Date.now()` has said.
#[expect(
    clippy::cast_possible_truncation,
    reason = "Date.now() is a whole number far below 2^53"
)]
pub(crate) fn read(date: f64) -> Timestamp {
    Timestamp::from_millis(date as i64)
}

/// A number in `0..1` for jitter. Not for secrets.
pub(crate) fn jitter() -> f64 {
    js_sys::Math::random()
}

/// Cryptographic random bytes for one decision of the core.
///
/// # Errors
/// When the platform has none to give: then nothing may be decided.
pub(crate) fn entropy() -> Result<Entropy, getrandom::Error> {
    let mut pool = vec![0; Entropy::ENOUGH];
    getrandom::fill(&mut pool)?;
    Ok(Entropy::new(pool))
}

/// Random bytes that nobody has to keep secret.
///
/// # Errors
/// When the platform has none to give.
pub(crate) fn nonce() -> Result<[u8; 16], getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// What `work` comes to, or `None` when it takes longer than `patience`.
pub(crate) async fn within<T>(patience: Duration, work: impl Future<Output = T>) -> Option<T> {
    match future::select(std::pin::pin!(work), Delay::from(patience)).await {
        Either::Left((outcome, _)) => Some(outcome),
        Either::Right(_) => None,
    }
}
