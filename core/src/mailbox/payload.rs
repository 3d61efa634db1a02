//! What is relayed of an event: its envelope and body, in the event's own row when
//! they are small, else in `payloads`.

use super::{MailboxError, sql};
use crate::{
    database::{Database, Row},
    event::Envelope,
    ids::Sequence,
};

/// What is relayed of an event.
pub(super) struct Payload {
    pub(super) envelope: Envelope,
    pub(super) body: Vec<u8>,
}

impl Payload {
    /// From the event's row, whose first columns are `envelope` and `body`, or from
    /// `payloads`; `None` when it is not kept any more.
    pub(super) fn read(
        db: &impl Database,
        event: Sequence,
        row: &Row,
    ) -> Result<Option<Self>, MailboxError> {
        if !row.is_null(0)? {
            return Self::of(row).map(Some);
        }
        db.run(
            "SELECT envelope, body FROM payloads WHERE seq = ?",
            &[sql::sequence(event)],
        )?
        .first()
        .map(Self::of)
        .transpose()
    }

    /// Whether it is kept.
    pub(super) fn is_kept(db: &impl Database, event: Sequence) -> Result<bool, MailboxError> {
        let rows = db.run(
            "SELECT 1 FROM events WHERE seq = ? AND envelope IS NOT NULL
             UNION ALL SELECT 1 FROM payloads WHERE seq = ?",
            &[sql::sequence(event), sql::sequence(event)],
        )?;
        Ok(!rows.is_empty())
    }

    fn of(row: &Row) -> Result<Self, MailboxError> {
        Ok(Self {
            envelope: sql::read_json(row, 0, "an event's envelope")?,
            body: sql::read_bytes(row, 1)?,
        })
    }
}
