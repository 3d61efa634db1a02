//! Which Mailboxes somebody should come by, and when: those with work pending, whose
//! alarm could be lost, and those that keep what will be over its time.
//!
//! A shard that is sent an event is noted at most once an hour; the hourly visit asks
//! it when it wants to be visited again, and forgets it when it has nothing left. So
//! an idle station costs nothing but one look into this table.

use super::{
    RegistryError,
    store::{integer, number, text},
};
use crate::{
    database::{Database, DatabaseError},
    ids::WebhookId,
    time::Timestamp,
};
use std::time::Duration;

/// Rounds are made every hour; one of them is over after this.
const ROUND: Duration = Duration::from_secs(1_800);
/// A visit that is not answered is due again after this.
const PATIENCE: Duration = Duration::from_secs(600);

/// A Mailbox to be visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// Whose it is.
    pub webhook: WebhookId,
    /// Which shard.
    pub shard: u8,
    /// Until then it is not begun again.
    until: Timestamp,
}

/// Notes that a Mailbox is to be visited: one row, unless it is noted already.
pub(super) fn note(
    db: &impl Database,
    webhook: WebhookId,
    shard: u8,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    db.run(
        "INSERT INTO visits (webhook, shard, due) VALUES (?, ?, ?)
         ON CONFLICT (webhook, shard) DO UPDATE SET due = excluded.due
         WHERE due > excluded.due",
        &[text(webhook), integer(shard), integer(now.millis())],
    )?;
    Ok(())
}

/// Mailboxes that are due. Until they are [`done`] they are so again after a while:
/// one row each.
pub(super) fn begin(
    db: &impl Database,
    limit: u32,
    now: Timestamp,
) -> Result<Vec<Visit>, RegistryError> {
    let rows = db.run(
        "SELECT webhook, shard FROM visits WHERE due <= ? ORDER BY due LIMIT ?",
        &[integer(now.millis()), integer(limit)],
    )?;
    let until = now.plus(PATIENCE);
    let mut visits = Vec::with_capacity(rows.len());
    for row in &rows {
        let visit = Visit {
            webhook: WebhookId::parse(row.text(0)?).ok_or_else(|| DatabaseError::unexpected(0))?,
            shard: number(row, 1)?,
            until,
        };
        db.run(
            "UPDATE visits SET due = ? WHERE webhook = ? AND shard = ?",
            &[
                integer(until.millis()),
                text(visit.webhook),
                integer(visit.shard),
            ],
        )?;
        visits.push(visit);
    }
    Ok(visits)
}

/// A Mailbox was visited: it says when the next visit is due, if ever. One row. What
/// was noted while the visit was under way stays noted.
pub(super) fn done(
    db: &impl Database,
    visit: &Visit,
    next: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let key = [
        text(visit.webhook),
        integer(visit.shard),
        integer(visit.until.millis()),
    ];
    match next {
        None => db.run(
            "DELETE FROM visits WHERE webhook = ? AND shard = ? AND due = ?",
            &key,
        )?,
        Some(next) => {
            let [webhook, shard, until] = key;
            // Not again in the same round.
            let next = next.max(now.plus(ROUND));
            db.run(
                "UPDATE visits SET due = ? WHERE webhook = ? AND shard = ? AND due = ?",
                &[integer(next.millis()), webhook, shard, until],
            )?
        }
    };
    Ok(())
}
