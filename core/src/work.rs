//! How much is hashed and written anew, counted in bytes while tests run: what a request
//! costs without a clock.

use std::cell::Cell;

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

/// Adds bytes that were hashed or written.
pub(crate) fn add(bytes: usize) {
    BYTES.set(BYTES.get().saturating_add(bytes));
}

/// The bytes since the last call, on this thread.
pub(crate) fn take() -> usize {
    BYTES.take()
}
