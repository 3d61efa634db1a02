//! Lets a test decide when an origin answers, instead of guessing at times.

use crate::{origin::Origin, reply::Reply, wait::PATIENCE};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Holds requests to an origin until they are let through.
#[derive(Debug, Default)]
pub struct Gate {
    state: Mutex<GateState>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    arrived: usize,
    permits: usize,
}

impl Gate {
    /// A closed one before `origin`, which answers 200 behind it.
    #[must_use]
    pub fn before(origin: &Origin) -> Arc<Self> {
        Self::before_answer(origin, Reply::status(200))
    }

    /// A closed one before `origin`, which answers this behind it.
    #[must_use]
    pub fn before_answer(origin: &Origin, reply: Reply) -> Arc<Self> {
        let gate = Arc::new(Self::default());
        let keeper = Arc::clone(&gate);
        origin.answer_with(move |_| {
            keeper.pass();
            reply.clone()
        });
        gate
    }

    /// A closed one, before nothing.
    #[must_use]
    pub fn closed() -> Arc<Self> {
        Arc::default()
    }

    fn state(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits to be let through.
    pub fn pass(&self) {
        let mut state = self.state();
        state.arrived += 1;
        self.news.notify_all();
        while state.permits == 0 {
            state = self
                .news
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.permits -= 1;
    }

    /// Lets so many more through, those that wait first.
    pub fn let_through(&self, count: usize) {
        self.state().permits += count;
        self.news.notify_all();
    }

    /// Waits until so many have come to the gate, let through or not.
    ///
    /// # Panics
    /// When they do not come within [`PATIENCE`].
    #[track_caller]
    pub fn wait_for_arrivals(&self, count: usize) {
        let (state, _) = self
            .news
            .wait_timeout_while(self.state(), PATIENCE, |state| state.arrived < count)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(
            state.arrived >= count,
            "{} of {count} arrived",
            state.arrived
        );
    }
}
