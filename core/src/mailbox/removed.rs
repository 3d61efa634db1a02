//! Deliveries to destinations that are not configured any more: cancelled when they
//! are met.

use super::{Mailbox, MailboxError, deliveries::State, waiting};
use crate::{database::Database, ids::DestinationId};

/// Deliveries to removed destinations that are cancelled at once, so that no wake is long.
const CANCELLED_AT_ONCE: usize = 100;

impl Mailbox {
    /// Cancels deliveries to destinations that are not configured any more, some
    /// at a time.
    pub(super) fn cancel_removed(
        &mut self,
        db: &impl Database,
        configured: &[DestinationId],
    ) -> Result<(), MailboxError> {
        let mut left = CANCELLED_AT_ONCE;
        let fresh: Vec<DestinationId> = self
            .first_attempts
            .firsts()
            .map(|(id, _)| id)
            .filter(|id| !configured.contains(id))
            .collect();
        for id in fresh {
            while left > 0
                && let Some(event) = self.first_attempts.first(id)
            {
                self.end(db, event, id, State::Cancelled)?;
                self.first_attempts.take(event, id);
                left = left.saturating_sub(1);
            }
        }
        let waiting: Vec<DestinationId> = self
            .waiting
            .keys()
            .copied()
            .filter(|id| !configured.contains(id))
            .collect();
        for id in waiting {
            let skipped = self.not_to_be_leased(id);
            let rows = waiting::first(db, id, left.saturating_add(skipped))?;
            if rows.is_empty() && left > 0 {
                self.waiting.remove(&id);
            }
            for row in rows {
                if left > 0 && self.may_be_leased(row.event, id) {
                    self.end(db, row.event, id, State::Cancelled)?;
                    left = left.saturating_sub(1);
                }
            }
        }
        Ok(())
    }
}
