//! Wakes a running alarm from a request to the same object: an alarm set while
//! one runs would fire only after it has returned.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    task::{Poll, Waker},
};

/// A flag that one task waits for. Raised twice before it is seen, it is seen
/// once.
#[derive(Default)]
pub(crate) struct Signal {
    raised: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Signal {
    /// Wakes the waiting task, or lets the next wait return at once.
    pub(crate) fn raise(&self) {
        self.raised.set(true);
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// Returns once raised.
    pub(crate) fn wait(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|context| {
            if self.raised.replace(false) {
                Poll::Ready(())
            } else {
                self.waiting.replace(Some(context.waker().clone()));
                Poll::Pending
            }
        })
    }
}
