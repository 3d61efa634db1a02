//! Refused requests of the webhook, for the operator. One row however many come, so
//! that a write is one row and deleting the webhook leaves none. They are kept as long as
//! events are: for `retention_days`.

use super::{Mailbox, MailboxError, sql};
use crate::{
    database::{Database, Row},
    messages::{self, MailboxReply},
    refusals::{self, Refused},
    time::Timestamp,
};

impl Mailbox {
    /// Keeps the newest of what is kept and what has come since.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) fn keep_refused(
        &mut self,
        db: &impl Database,
        come: Vec<Refused>,
    ) -> Result<MailboxReply, MailboxError> {
        if self.retired.is_some() {
            return Ok(MailboxReply::Done);
        }
        if self.config.is_none() {
            return Ok(MailboxReply::Unconfigured);
        }
        let mut kept = kept(db)?;
        refusals::add_newest(&mut kept, come);
        write(db, &kept)?;
        // They may be over their time before anything else is.
        self.prune_at = None;
        Ok(MailboxReply::Done)
    }

    /// What is kept, as the API shows it.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) fn refusals(&self, db: &impl Database) -> Result<MailboxReply, MailboxError> {
        let kept = if self.retired.is_some() {
            Vec::new()
        } else {
            kept(db)?
        };
        Ok(MailboxReply::Refusals(refusals::to_json(&kept)))
    }
}

/// Forgets those that came before this.
///
/// # Errors
/// When the database fails.
pub(super) fn prune_refused(db: &impl Database, before: Timestamp) -> Result<(), MailboxError> {
    let mut kept = kept(db)?;
    let count = kept.len();
    kept.retain(|one| one.at >= before);
    if kept.len() == count {
        return Ok(());
    }
    if kept.is_empty() {
        db.run("DELETE FROM refusals", &[])?;
        return Ok(());
    }
    write(db, &kept)
}

/// When the oldest of them came.
///
/// # Errors
/// When the database fails.
pub(super) fn oldest_refused(db: &impl Database) -> Result<Option<Timestamp>, MailboxError> {
    Ok(kept(db)?.last().map(|oldest| oldest.at))
}

fn write(db: &impl Database, kept: &Vec<Refused>) -> Result<(), MailboxError> {
    let bytes =
        messages::to_bytes(kept).map_err(|_| MailboxError::unreadable("what was refused"))?;
    db.run(
        "INSERT INTO refusals (id, data) VALUES (1, ?)
         ON CONFLICT (id) DO UPDATE SET data = excluded.data",
        &[sql::blob(&bytes)],
    )?;
    Ok(())
}

/// Newest first. What an earlier release wrote in another shape is not worth an error:
/// it is forgotten, and the next write begins anew.
fn kept(db: &impl Database) -> Result<Vec<Refused>, MailboxError> {
    let rows = db.run("SELECT data FROM refusals", &[])?;
    let bytes = rows.first().map(|row: &Row| row.blob(0)).transpose()?;
    Ok(bytes
        .and_then(|bytes| messages::from_stored(bytes).ok())
        .unwrap_or_default())
}
