//! The end of a life: the world is healed, and everything must come to its end.

use crate::{
    origin::Mood,
    plan::DESTINATIONS,
    world::{World, note},
};
use std::time::Duration;
use tram_core::{database::Database, delivery::Status, testing::samples::START, time::DAY};

/// When all is healed, everything is settled within this.
const SETTLED_WITHIN: Duration = Duration::from_secs(40 * 3_600);
/// Alarms, and rows, that may be written in the first days without work.
const TIDIED_UP: u64 = 8;

impl World<'_> {
    /// Everything is well from now on; everything must come to its end.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        note!(self, "── the world is healed");
        self.disk.heal();
        self.platform.late = Duration::ZERO;
        self.platform.loses = None;
        self.setup.poison = None;
        self.moods = [Mood::Up; DESTINATIONS as usize];
        if let Some(truth) = &mut self.truth {
            truth.version += 1;
            truth.is_paused = false;
            truth.is_active = true;
            self.confirmed = false;
            self.configure();
        }
        self.visit();
        let healed = self.now;
        loop {
            self.check()?;
            self.look_at_rows();
            self.verdict()?;
            let pending = self.truth.is_some()
                && self
                    .model
                    .events
                    .values()
                    .any(|event| event.shown == Status::Pending);
            let running = self
                .object
                .as_ref()
                .is_some_and(|object| object.run.is_some());
            let busy = running || !self.later.is_empty();
            if !pending && !busy {
                break;
            }
            let Some((at, next)) = self.next() else {
                return Err("something is pending, and nothing will ever wake it".into());
            };
            if at > healed.plus(SETTLED_WITHIN) {
                return Err(format!(
                    "not settled {SETTLED_WITHIN:?} after the world was healed"
                ));
            }
            self.happens(at, next)?;
        }
        self.check_settled()?;
        self.watch()?;
        self.seen.seconds = self.now.since(START).as_secs();
        Ok(())
    }

    pub(crate) fn check_settled(&mut self) -> Result<(), String> {
        if self.truth.is_none() {
            return Ok(());
        }
        self.look_at_all_rows();
        self.verdict()?;
        let strays = self
            .disk
            .native()
            .run("SELECT (SELECT count(*) FROM waiting) + (SELECT count(*) FROM events WHERE fresh <> 0)", &[])
            .ok()
            .and_then(|rows| rows.first().and_then(|row| row.integer(0).ok()));
        if strays != Some(0) {
            return Err(format!("everything is settled, yet rows wait: {strays:?}"));
        }
        for (id, event) in &self.model.events {
            for delivery in &event.deliveries {
                // Failed and cancelled ones were found legitimate when they ended.
                if delivery.status == Status::Pending
                    || (delivery.status == Status::Delivered
                        && !delivery.received
                        && !delivery.was_delivered)
                {
                    return Err(format!("{id:?} has not come to its end: {delivery:?}"));
                }
            }
        }
        Ok(())
    }

    /// Days without work: a little is tidied up, and then nothing is written any more.
    pub(crate) fn watch(&mut self) -> Result<(), String> {
        for allowed in [TIDIED_UP, 0] {
            let native = self.disk.native();
            let (alarms, rows) = (native.alarms_set(), native.changes());
            for _ in 0..2 {
                self.object = None;
                self.visit();
                self.pass_until(self.now.plus(DAY))?;
            }
            let (alarms, rows) = (native.alarms_set() - alarms, native.changes() - rows);
            if alarms > allowed || rows > allowed {
                return Err(format!(
                    "without work {alarms} alarms were set and {rows} rows written in two days"
                ));
            }
        }
        Ok(())
    }
}
