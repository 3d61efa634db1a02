//! Delivering all events again that match a filter: a bounded number in each wake,
//! the oldest first, until all that were there when it was asked for are done.
//!
//! Where it stands is kept, so that an eviction does not end it. Each wish has an id, by
//! which the operator asks how far it is: to ask must never be to wish again.

use super::{Mailbox, MailboxError, list, resend, scan, schema, sql, view::EventQuery};
use crate::{
    database::{Database, Value},
    ids::{DestinationId, Sequence},
    messages,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Events of one transaction.
pub(super) const BATCH: usize = 100;
/// Events that one looks through for a text.
const LOOKED_AT: usize = 1_000;
/// Transactions of one wake.
const BATCHES: usize = 5;
/// The next wake comes after this.
const NEXT: Duration = Duration::from_millis(500);

const RESENDING: &str = "resending";

/// A resend of many, under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Resending {
    /// The wish.
    wish: i64,
    query: EventQuery,
    /// It has come this far …
    after: Sequence,
    /// … and goes so far.
    upto: Sequence,
    /// Deliveries that were queued.
    queued: u32,
}

/// How far a resend of many is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Deliveries queued so far.
    pub queued: u32,
    /// All that match have been gone through.
    pub done: bool,
}

/// After a failure it is tried again after this.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// The last wish in this database, under way or done with.
pub(super) fn load(db: &impl Database) -> Result<Option<Resending>, MailboxError> {
    Ok(match schema::meta(db, RESENDING)? {
        // One that cannot be read is over: the operator can ask again.
        Some(Value::Blob(bytes)) => messages::from_bytes(&bytes).ok(),
        _ => None,
    })
}

impl Resending {
    fn is_done(&self) -> bool {
        self.after >= self.upto
    }
}

impl Mailbox {
    /// Queues all events again that match, as the wish of that id. `None` when another
    /// is under way: this one is not taken, and has to be made again.
    ///
    /// # Errors
    /// When the database fails; what was queued until then goes on.
    pub fn resend_all(
        &mut self,
        db: &impl Database,
        query: &EventQuery,
        wish: i64,
        now: Timestamp,
    ) -> Result<Option<Progress>, MailboxError> {
        let Some(config) = &self.config else {
            return Ok(Some(Progress {
                queued: 0,
                done: true,
            }));
        };
        if self.under_way().is_some() {
            return Ok(None);
        }
        let wish = Resending {
            wish,
            query: query.clone(),
            after: Sequence::default(),
            upto: self.upper_bound(config, query),
            queued: 0,
        };
        schema::set_meta(db, RESENDING, sql::packed(&wish)?)?;
        self.resending = Some(wish);
        self.resend_after = None;
        self.resend_some(db, now).map(Some)
    }

    /// How far the wish of that id is. One that is not known is done with.
    #[must_use]
    pub fn how_far(&self, wish: i64) -> Progress {
        let known = self.resending.as_ref().filter(|known| known.wish == wish);
        Progress {
            queued: known.map_or(0, |known| known.queued),
            done: known.is_none_or(Resending::is_done),
        }
    }

    fn under_way(&self) -> Option<&Resending> {
        self.resending.as_ref().filter(|wish| !wish.is_done())
    }

    /// The next part of a resend of many, if one is under way.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) fn go_on_resending(
        &mut self,
        db: &impl Database,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        self.resend_some(db, now).map(|_| ())
    }

    fn resend_some(
        &mut self,
        db: &impl Database,
        now: Timestamp,
    ) -> Result<Progress, MailboxError> {
        if self.resend_after.is_some_and(|at| at > now) {
            return Ok(Progress {
                queued: 0,
                done: false,
            });
        }
        for _ in 0..BATCHES {
            let Some(resending) = self.under_way().cloned() else {
                break;
            };
            match self.resend_batch(db, &resending, now) {
                Ok(next) => self.resending = Some(next),
                Err(error) => {
                    // Not over and over, whatever is the matter.
                    self.resend_after = Some(now.plus(AFTER_FAILURE));
                    return Err(error);
                }
            }
        }
        Ok(Progress {
            queued: self.resending.as_ref().map_or(0, |last| last.queued),
            done: self.under_way().is_none(),
        })
    }

    /// When the object wants to be called to go on.
    pub(super) fn more_to_resend(&self, now: Timestamp) -> Option<Timestamp> {
        let next = now.plus(NEXT);
        self.under_way()
            .map(|_| self.resend_after.map_or(next, |after| after.max(next)))
    }

    /// One transaction.
    fn resend_batch(
        &mut self,
        db: &impl Database,
        resending: &Resending,
        now: Timestamp,
    ) -> Result<Resending, MailboxError> {
        let search = scan::search(&resending.query);
        let mut sql = "SELECT seq, summary FROM events WHERE seq > ? AND seq < ?".to_owned();
        let mut values = vec![
            sql::sequence(resending.after),
            sql::sequence(resending.upto),
        ];
        list::narrow(&resending.query, &mut sql, &mut values);
        sql.push_str(" ORDER BY seq LIMIT ?");
        // What a text is looked for in is read.
        let limit = if search.is_some() { LOOKED_AT } else { BATCH };
        values.push(sql::size(limit));
        let rows = db.run(&sql, &values)?;
        let events = rows
            .iter()
            .filter(|row| scan::is_found(search.as_ref(), row))
            .take(BATCH)
            .map(|row| sql::read_sequence(row, 0))
            .collect::<Result<Vec<_>, _>>()?;
        let mut next = resending.clone();
        next.after = match (events.last(), rows.last()) {
            (Some(last), _) if events.len() >= BATCH => *last,
            (_, Some(last)) if rows.len() >= limit => sql::read_sequence(last, 0)?,
            _ => resending.upto,
        };
        let configured = self.configured();
        let counted = self.counted;
        let stored = db.atomically(|| {
            let mut queued: Vec<DestinationId> = Vec::new();
            for event in events {
                let chosen = match resend::again(db, &configured, counted, event, None, now) {
                    // One that cannot be read must not stop the others.
                    Err(error) if error.is_unreadable() => None,
                    chosen => chosen?,
                };
                if let Some(chosen) = chosen {
                    let count = u32::try_from(chosen.len()).unwrap_or(u32::MAX);
                    next.queued = next.queued.saturating_add(count);
                    queued.extend(chosen);
                }
            }
            schema::set_meta(db, RESENDING, sql::packed(&next)?)?;
            Ok::<_, MailboxError>((next, queued))
        });
        let (next, queued) = match stored {
            Ok(stored) => stored,
            Err(error) => {
                self.armed = None;
                // It may have stuck.
                self.waiting.extend(self.configured());
                return Err(error);
            }
        };
        for destination in queued {
            self.waiting.insert(destination, ());
            // So many at once are not thrown at anybody.
            let mut health = self.health.get(&destination).cloned().unwrap_or_default();
            health.catch_up(now);
            self.health.insert(destination, health);
        }
        Ok(next)
    }
}
