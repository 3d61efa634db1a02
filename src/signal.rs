//! Wakes a running alarm from a request to the same object: an alarm set while
//! one runs would fire only after it has returned.

use std::{
    cell::{Cell, RefCell},
    task::{Context, Waker},
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

    /// Whether it has been raised; if not, the task is woken when it is.
    pub(crate) fn is_raised(&self, context: &Context<'_>) -> bool {
        let raised = self.raised.replace(false);
        if !raised {
            self.waiting.replace(Some(context.waker().clone()));
        }
        raised
    }
}
