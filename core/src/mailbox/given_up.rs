//! While a destination is down its deliveries' time runs on, and nothing is attempted
//! that would find out when it is over.

use super::{Mailbox, MailboxError, deliveries::State, finish::give_up_after, waiting};
use crate::{
    database::Database,
    time::{MINUTE, Timestamp},
    webhook::Webhook,
};

/// Deliveries that are given up at once while their destination is down, so that no
/// wake is long.
const EXPIRED_AT_ONCE: usize = 100;

impl Mailbox {
    /// Gives up what has waited too long for a destination that is down, some at a
    /// time.
    pub(super) fn give_up_waiting(
        &mut self,
        db: &impl Database,
        config: &Webhook,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        let give_up = give_up_after(config);
        let latest = now.minus(give_up);
        for id in config.destinations.iter().map(|known| known.id) {
            if !self.is_down(id) {
                continue;
            }
            let mut left = EXPIRED_AT_ONCE;
            while left > 0
                && let Some(event) = self.first_attempts.first(id)
                && event.at() <= latest
            {
                self.end(db, event, id, State::Failed)?;
                self.first_attempts.take(event, id);
                left = left.saturating_sub(1);
            }
            let expiry = self.health.get(&id).and_then(|health| health.expiry);
            if expiry.is_some_and(|at| at > now) {
                continue;
            }
            let rows = waiting::queued_by(db, id, latest, EXPIRED_AT_ONCE)?;
            let all = rows.len() < EXPIRED_AT_ONCE;
            for row in rows {
                if self.may_be_leased(row.event, id) {
                    self.end(db, row.event, id, State::Failed)?;
                }
            }
            if all {
                let next = waiting::first_queued(db, id)?
                    .map_or(now, |first| first.plus(give_up))
                    .max(now.plus(MINUTE));
                if let Some(health) = self.health.get_mut(&id) {
                    health.expiry = Some(next);
                }
            }
        }
        Ok(())
    }
}
