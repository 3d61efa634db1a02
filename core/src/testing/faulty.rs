//! A database that fails at a chosen call: before the call took effect, or after
//! it stuck, as storage does when the answer is lost.

use crate::{
    database::{Database, DatabaseError, Row, Value},
    time::Timestamp,
};
use std::cell::Cell;

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing happened.
    Before,
    /// It happened, but the caller is told that it failed.
    Stuck,
}

/// Wraps a database. Statements, alarms, the beginning and the end of a
/// transaction are counted as calls, from 0.
#[derive(Debug)]
pub struct Faulty<'a, D> {
    inner: &'a D,
    calls: Cell<u64>,
    planned: Cell<Option<(u64, Fault)>>,
}

impl<'a, D> Faulty<'a, D> {
    /// One that only counts.
    #[must_use]
    pub const fn new(inner: &'a D) -> Self {
        Self {
            inner,
            calls: Cell::new(0),
            planned: Cell::new(None),
        }
    }

    /// Makes the `nth` call from now on fail, once.
    pub fn fail(&self, nth: u64, fault: Fault) {
        self.planned
            .set(Some((self.calls.get().saturating_add(nth), fault)));
    }

    /// How many calls there were.
    #[must_use]
    pub const fn calls(&self) -> u64 {
        self.calls.get()
    }

    /// Whether the planned fault is still to come.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.planned.get().is_some()
    }

    fn next(&self) -> Option<Fault> {
        let call = self.calls.get();
        self.calls.set(call.saturating_add(1));
        let (at, fault) = self.planned.get()?;
        (at == call).then(|| {
            self.planned.set(None);
            fault
        })
    }

    fn through<T>(
        &self,
        call: impl FnOnce() -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        match self.next() {
            None => call(),
            Some(Fault::Before) => Err(DatabaseError::failed("injected".into())),
            Some(Fault::Stuck) => {
                call()?;
                Err(DatabaseError::failed("injected, yet it stuck".into()))
            }
        }
    }
}

impl<D: Database> Database for Faulty<'_, D> {
    fn run(&self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, DatabaseError> {
        self.through(|| self.inner.run(sql, parameters))
    }

    fn set_alarm(&self, at: Timestamp) -> Result<(), DatabaseError> {
        self.through(|| self.inner.set_alarm(at))
    }

    fn atomically<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        // Beginning cannot stick: without an end it is nothing.
        self.through(|| Ok(()))?;
        let mut stuck = false;
        let done = self.inner.atomically(|| -> Result<T, E> {
            let done = work()?;
            match self.next() {
                Some(Fault::Before) => Err(DatabaseError::failed("injected at the end".into()))?,
                Some(Fault::Stuck) => stuck = true,
                None => {}
            }
            Ok(done)
        })?;
        if stuck {
            Err(DatabaseError::failed(
                "injected at the end, yet it stuck".into(),
            ))?;
        }
        Ok(done)
    }
}
