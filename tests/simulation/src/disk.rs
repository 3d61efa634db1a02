//! The object's storage in the simulated world: the real SQLite, with faults,
//! deaths in the middle, an alarm that behaves as the platform's does, and the
//! sabotage that belongs here.

use crate::sabotage::Sabotage;
use std::cell::{Cell, RefCell};
use tram_core::{
    database::{Database, DatabaseError, Row, Value},
    event::DedupeKey,
    testing::{
        faulty::{Fault, Faulty},
        native::NativeDatabase,
    },
    time::Timestamp,
};

/// The words that let the index judge what is new.
const JUDGED: &str = "ON CONFLICT (key) WHERE test = 0 DO NOTHING";

/// The words that find the newest event that was never tried.
const NEWEST: &str = "FROM events WHERE seq >= ? ORDER BY seq DESC";
const OLDEST: &str = "FROM events WHERE seq >= ? ORDER BY seq";

/// See the [module](self).
pub(crate) struct Disk<'a> {
    /// What is really stored.
    native: &'a NativeDatabase,
    faulty: Faulty<'a, NativeDatabase>,
    sabotage: Option<Sabotage>,
    now: Cell<Timestamp>,
    /// The planned fault kills the object.
    deadly: Cell<bool>,
    dead: Cell<bool>,
    /// The planned fault has happened, and nobody has asked about it yet.
    struck: Cell<bool>,
    /// The alarm that is set, as long as it is known: it is asked for all the time.
    alarm: Cell<Option<Option<Timestamp>>>,
    /// An alarm that was set to a time that had passed: it will never fire.
    stalled: Cell<Option<Timestamp>>,
    /// Alarms are not set but remembered.
    pub(crate) defers: Cell<bool>,
    pub(crate) deferred: Cell<Option<Timestamp>>,
    /// Alarms are not set at all.
    pub(crate) forgets: Cell<bool>,
    /// Keys that were looked up, and not found, some time ago.
    pub(crate) looked_up: RefCell<Vec<DedupeKey>>,
}

impl<'a> Disk<'a> {
    pub(crate) fn new(native: &'a NativeDatabase, sabotage: Option<Sabotage>) -> Self {
        Self {
            native,
            faulty: Faulty::new(native),
            sabotage,
            now: Cell::new(Timestamp::default()),
            deadly: Cell::new(false),
            dead: Cell::new(false),
            struck: Cell::new(false),
            alarm: Cell::new(None),
            stalled: Cell::new(None),
            defers: Cell::new(false),
            deferred: Cell::new(None),
            forgets: Cell::new(false),
            looked_up: RefCell::new(Vec::new()),
        }
    }

    /// What is really stored: for the platform and for those who check.
    pub(crate) const fn native(&self) -> &'a NativeDatabase {
        self.native
    }

    /// The platform's clock.
    pub(crate) fn tell_time(&self, now: Timestamp) {
        self.now.set(now);
    }

    /// Makes a call to come fail, or the object die at it.
    pub(crate) fn plan(&self, after: u8, fault: Fault, deadly: bool) {
        self.faulty.fail(u64::from(after), fault);
        self.deadly.set(deadly);
    }

    /// No more planned faults.
    pub(crate) fn heal(&self) {
        // A call that is never reached.
        self.faulty.fail(u64::MAX, Fault::Before);
        self.deadly.set(false);
    }

    /// Whether the object has died at a call; asked once.
    pub(crate) fn take_death(&self) -> bool {
        self.dead.replace(false)
    }

    /// Whether a call has failed since this was asked.
    pub(crate) fn take_fault(&self) -> bool {
        self.struck.replace(false)
    }

    /// The alarm, as the platform would say.
    pub(crate) fn alarm(&self) -> Option<Timestamp> {
        if let Some(alarm) = self.alarm.get() {
            return alarm;
        }
        let alarm = self.native.alarm().expect("the alarm can be read");
        self.alarm.set(Some(alarm));
        alarm
    }

    /// The platform itself sets it or takes it away.
    pub(crate) fn put_alarm(&self, alarm: Option<Timestamp>) {
        self.alarm.set(None);
        let put = match alarm {
            Some(at) => self.native.set_alarm(at),
            None => self.native.clear_alarm(),
        };
        put.expect("the alarm can be changed");
    }

    /// Whether that alarm will never fire, because it was set to a time that had
    /// passed.
    pub(crate) fn is_stalled(&self, alarm: Timestamp) -> bool {
        self.stalled.get() == Some(alarm)
    }

    fn is(&self, sabotage: Sabotage) -> bool {
        self.sabotage == Some(sabotage)
    }

    /// What a call came to; here faults become deaths.
    fn seen<T, E: From<DatabaseError>>(
        &self,
        was_planned: bool,
        outcome: Result<T, E>,
    ) -> Result<T, E> {
        if was_planned && !self.faulty.is_armed() {
            self.struck.set(true);
            if self.deadly.replace(false) {
                self.dead.set(true);
            }
        }
        outcome
    }

    fn alive(&self) -> Result<(), DatabaseError> {
        if self.dead.get() {
            return Err(DatabaseError::failed("the object is dead".into()));
        }
        Ok(())
    }

    fn run_really(&self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, DatabaseError> {
        if self.is(Sabotage::CheckThenInsert) {
            if sql.contains("FROM events WHERE key = ?") {
                let looked_up = self.looked_up.borrow();
                let known = |key: &DedupeKey| parameters == [Value::Blob(key.to_vec())];
                if looked_up.iter().any(known) {
                    return Ok(Vec::new());
                }
            } else if sql.contains(JUDGED) {
                return self.faulty.run(&sql.replace(JUDGED, ""), parameters);
            }
        }
        if self.is(Sabotage::ProbeOldest) && sql.contains(NEWEST) {
            return self.faulty.run(&sql.replace(NEWEST, OLDEST), parameters);
        }
        if self.is(Sabotage::DeliveredIsForgotten) && sql.starts_with("UPDATE events SET") {
            let parameters: Vec<Value> = parameters.iter().map(forgetful).collect();
            return self.faulty.run(sql, &parameters);
        }
        self.faulty.run(sql, parameters)
    }
}

fn forgetful(value: &Value) -> Value {
    match value {
        Value::Text(text) => Value::Text(text.replace(",\"was_delivered\":true", "")),
        other => other.clone(),
    }
}

impl Database for Disk<'_> {
    fn run(&self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, DatabaseError> {
        self.alive()?;
        let planned = self.faulty.is_armed();
        let outcome = self.seen(planned, self.run_really(sql, parameters));
        let reads = sql.starts_with("SELECT");
        if outcome.is_err() && reads && self.is(Sabotage::ErrorAsAbsence) && !self.dead.get() {
            return Ok(Vec::new());
        }
        outcome
    }

    fn set_alarm(&self, at: Timestamp) -> Result<(), DatabaseError> {
        self.alive()?;
        if self.forgets.get() {
            return Ok(());
        }
        if self.defers.get() {
            self.deferred.set(Some(at));
            return Ok(());
        }
        let now = self.now.get();
        let soon = now.plus(std::time::Duration::from_millis(1));
        let at = if self.is(Sabotage::ArmedInThePast) && at <= soon {
            now
        } else {
            at
        };
        let planned = self.faulty.is_armed();
        self.alarm.set(None);
        let outcome = self.seen(planned, self.faulty.set_alarm(at));
        if self.alarm() == Some(at) {
            self.stalled.set((at <= now).then_some(at));
        }
        outcome
    }

    fn atomically<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.alive()?;
        let planned = self.faulty.is_armed();
        let outcome = self.faulty.atomically(work);
        if outcome.is_err() {
            self.alarm.set(None);
        }
        self.seen(planned && !self.struck.get(), outcome)
    }
}
