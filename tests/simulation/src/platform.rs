//! The platform's alarm: late, lost, called again, or set so that it never fires.

use crate::world::{Later, World};
use std::time::Duration;
use tram_core::time::{HOUR, Timestamp};

/// A handler that failed is called again after this.
const CALLED_AGAIN: Duration = Duration::from_secs(2);

/// The platform's alarm, as far as it is not in the database.
#[derive(Default)]
pub(crate) struct Platform {
    /// Alarms fire so much later.
    pub(crate) late: Duration,
    /// The next is lost, and the platform may still say it is set.
    pub(crate) loses: Option<bool>,
    /// One was lost: what it was set to, and when that was.
    pub(crate) lost: Option<(Timestamp, Timestamp)>,
    /// It does not fire before then.
    pub(crate) not_before: Timestamp,
}

impl World<'_> {
    /// When the platform will call the alarm, if it will. Only one runs at a time.
    pub(crate) fn fires_at(&self) -> Option<Timestamp> {
        let run = self.object.as_ref().and_then(|object| object.run.as_ref());
        if run.is_some_and(|run| !run.beside) {
            return None;
        }
        let alarm = self.living_alarm()?;
        Some(
            alarm
                .plus(self.platform.late)
                .max(self.platform.not_before)
                .max(self.now),
        )
    }

    /// The alarm that is set, unless it will never fire.
    pub(crate) fn living_alarm(&self) -> Option<Timestamp> {
        let alarm = self.disk.alarm()?;
        let lost = self.platform.lost.is_some_and(|(lost, _)| lost == alarm);
        (!lost && !self.disk.is_stalled(alarm)).then_some(alarm)
    }

    pub(crate) fn lost(&mut self, alarm: Timestamp) {
        self.platform.lost = Some((alarm, self.now));
        self.later(HOUR, Later::Visit);
    }

    /// A handler that failed before it waited is called again.
    pub(crate) fn call_again(&mut self, alarm: Timestamp) {
        if self.disk.alarm().is_none() {
            self.disk.put_alarm(Some(alarm));
        }
        self.platform.not_before = self.now.plus(CALLED_AGAIN);
    }
}
