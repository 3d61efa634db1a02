//! What is kept only for a time: payloads and refused requests for `retention_days`, keys (and with them
//! the event as a whole) for `dedupe_days`. In bounded batches, so that no wake is
//! long.
//!
//! A pending event is not touched: its payload is still to be sent. It ends within
//! `give_up_after_hours`, unless its webhook is paused.
//!
//! Nothing wakes the object for this alone but a visit: an event costs no alarm for
//! its end.

use super::{
    Mailbox, MailboxError,
    counted::{self, Counted, Standing},
    deliveries::Deliveries,
    refusals::{oldest_refused, prune_refused},
    schema, sql,
};
use crate::{
    database::{Database, Row, Value},
    ids::Sequence,
    time::{DAY, HOUR, Timestamp},
    webhook::Webhook,
};
use std::time::Duration;

/// Events that one batch deals with.
pub(super) const BATCH: usize = 200;
/// Of so many rows that shrink in a batch, one is put anew (see [`shrink`]): with every
/// one a row more would be written for hardly less room, with every third it is twice the
/// room.
const PUT_ANEW: usize = 2;
/// Where keys outlast payloads by fewer days than these, a row more costs more than the
/// room that it saves.
const WORTH_DAYS: u32 = 45;
/// Rows that lose less than this are left where they are.
const WORTH_BYTES: i64 = 512;
/// So are rows that say more of their deliveries: a batch is read at once, and has to fit
/// into memory.
const LONG_BYTES: usize = 4_096;
/// Batches of one wake.
const BATCHES: usize = 4;
/// Where there is more, the next batches follow after this.
const NEXT_BATCHES: Duration = Duration::from_secs(1);
/// What could not be pruned yet is looked at again after this.
const AGAIN: Duration = HOUR;

/// A shard to which nothing has come for so long is at rest.
const AT_REST: Duration = Duration::from_secs(7_200);

/// Where the events begin whose payloads are kept.
const PRUNED: &str = "pruned";

fn days(days: u32) -> Duration {
    DAY.saturating_mul(days)
}

/// Until when an event is known when it comes again: its key goes with the first pruning
/// after that.
pub(super) fn known_until(config: &Webhook, event: Sequence) -> Timestamp {
    event.at().plus(days(config.dedupe_days))
}

impl Mailbox {
    /// Prunes what is over its time, if anything can be: a few batches at most. Where
    /// more is left, [`wake_at`](Self::wake_at) says so.
    ///
    /// # Errors
    /// When the database fails; what was pruned until then is.
    pub(super) fn prune(&mut self, db: &impl Database, now: Timestamp) -> Result<(), MailboxError> {
        let Some(config) = self.config.clone() else {
            return Ok(());
        };
        for _ in 0..BATCHES {
            if self.prune_at.is_some_and(|at| at > now) {
                return Ok(());
            }
            let keys = prune_keys(db, &config, self.counted, now)?;
            let payloads = prune_payloads(db, &config, self.counted, now)?;
            if !keys && !payloads {
                prune_refused(db, now.minus(days(config.retention_days)))?;
                let next = next_end(db, &config)?;
                // What is over its time and still there is pending.
                self.prune_at = Some(next.unwrap_or(now.plus(DAY)).max(now.plus(AGAIN)));
                self.prune_more = false;
                return Ok(());
            }
        }
        self.prune_more = true;
        Ok(())
    }

    /// What cannot be pruned now is tried again, but not at once.
    pub(super) fn prune_later(&mut self, now: Timestamp) {
        self.prune_at = Some(now.plus(AGAIN));
        self.prune_more = false;
    }

    /// When the object wants to be called for pruning that is under way.
    pub(super) fn more_to_prune(&self, now: Timestamp) -> Option<Timestamp> {
        self.prune_more.then(|| now.plus(NEXT_BATCHES))
    }

    /// When somebody should come by: at once where something is pending, since its
    /// alarm may be lost, else when the next event is over its time. `None` when
    /// nothing is kept.
    ///
    /// # Errors
    /// When the database fails.
    pub fn visit_at(
        &self,
        db: &impl Database,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, MailboxError> {
        if self.retired.is_some() {
            return Ok(None);
        }
        if self.wake_at(db, now)?.is_some() {
            return Ok(Some(now));
        }
        // Lately at work: whoever noted that may not note again before something is
        // lost. One or two visits more, and it is at rest for certain.
        if self.last.at().plus(AT_REST) > now && self.last > Sequence::default() {
            return Ok(Some(now));
        }
        match &self.config {
            Some(config) => next_end(db, config),
            None => Ok(None),
        }
    }
}

/// Forgets events whose keys are over their time; whether there may be more.
fn prune_keys(
    db: &impl Database,
    config: &Webhook,
    counted: Counted,
    now: Timestamp,
) -> Result<bool, MailboxError> {
    let before = Sequence::first_at(now.minus(days(config.dedupe_days)));
    let rows = db.run(
        "SELECT seq, status FROM events WHERE seq < ? AND status <> 'pending' ORDER BY seq LIMIT ?",
        &[sql::sequence(before), sql::size(BATCH)],
    )?;
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Ok(false);
    };
    let range = [
        sql::sequence(sql::read_sequence(first, 0)?),
        sql::sequence(sql::read_sequence(last, 0)?),
    ];
    let gone = counted_as(counted, rows.iter(), 1)?;
    db.atomically(|| -> Result<(), MailboxError> {
        counted::change_all(db, gone.into_iter().map(|one| (one, None)))?;
        db.run(
            "DELETE FROM payloads WHERE seq BETWEEN ? AND ? AND seq IN
                (SELECT seq FROM events WHERE status <> 'pending')",
            &range,
        )?;
        db.run(
            "DELETE FROM events WHERE seq BETWEEN ? AND ? AND status <> 'pending'",
            &range,
        )?;
        Ok(())
    })?;
    Ok(rows.len() >= BATCH)
}

/// Forgets payloads that are over their time, and test calls as a whole, up to the
/// first pending event; whether there may be more.
fn prune_payloads(
    db: &impl Database,
    config: &Webhook,
    counted: Counted,
    now: Timestamp,
) -> Result<bool, MailboxError> {
    let from = kept_from(db)?;
    let before = Sequence::first_at(now.minus(days(config.retention_days)));
    let rows = db.run(
        &format!(
            "SELECT {KEPT}, iif(length(deliveries) > {LONG_BYTES}, NULL, deliveries),
                 status = 'pending',
                 iif(test = 1, 0, ifnull(length(envelope), 0) + ifnull(length(body), 0))
             FROM events WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT ?"
        ),
        &[sql::sequence(from), sql::sequence(before), sql::size(BATCH)],
    )?;
    let over: Vec<&Row> = rows
        .iter()
        .map_while(|row| match row.integer(COLUMNS) {
            Ok(0) => Some(Ok(row)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
        .collect::<Result<_, _>>()?;
    let Some(last) = over.last() else {
        return Ok(false);
    };
    let to = sql::after(sql::read_sequence(last, 0)?);
    let range = [sql::sequence(from), sql::sequence(to)];
    let is_test = |row: &&&Row| row.integer(TEST).is_ok_and(|test| test != 0);
    let gone = counted_as(counted, over.iter().filter(is_test).copied(), STATUS)?;
    db.atomically(|| -> Result<(), MailboxError> {
        counted::change_all(db, gone.into_iter().map(|one| (one, None)))?;
        for statement in [
            "DELETE FROM payloads WHERE seq >= ? AND seq < ?",
            "DELETE FROM events WHERE seq >= ? AND seq < ? AND test = 1",
        ] {
            db.run(statement, &range)?;
        }
        let rest = config.dedupe_days.saturating_sub(config.retention_days);
        shrink(db, &over, rest >= WORTH_DAYS)?;
        schema::set_meta(db, PRUNED, sql::sequence(to))
    })?;
    Ok(over.len() >= BATCH)
}

/// What of an event's row is kept as long as its key, beside its deliveries: all but the
/// payload.
pub(super) const KEPT: &str = "seq, fresh, status, test, conflicts, key, body_sha256, name, \
     object_id, summary";
/// Where among these the status and the test stand.
const STATUS: usize = 2;
const TEST: usize = 3;
/// How many columns these and the deliveries are.
const COLUMNS: usize = 11;

/// What events count as that go as a whole. None of them is pending.
fn counted_as<'a>(
    counted: Counted,
    rows: impl Iterator<Item = &'a Row>,
    status: usize,
) -> Result<Vec<Standing>, MailboxError> {
    let nowhere = Deliveries::default();
    let standings = rows.map(|row| {
        let event = sql::read_sequence(row, 0)?;
        Ok(counted.standing_as(event, sql::read_status(row, status)?, &nowhere))
    });
    let standings: Vec<Option<Standing>> = standings.collect::<Result<_, MailboxError>>()?;
    Ok(standings.into_iter().flatten().collect())
}

/// Takes the payloads out of events' rows, in their order.
///
/// SQLite leaves the pages of rows that have shrunk as they are, and numbers only grow:
/// nothing would fill them up. Where a row goes out, it joins its page with the next
/// ones; so some rows go out, and in again, where the room is worth it.
fn shrink(db: &impl Database, rows: &[&Row], worth: bool) -> Result<(), MailboxError> {
    let mut cut: Vec<i64> = Vec::new();
    let mut anew: Vec<&[Value]> = Vec::new();
    let mut large: usize = 0;
    // From the last: what comes after it has not shrunk.
    for row in rows.iter().rev() {
        let bytes = row.integer(COLUMNS.saturating_add(1))?;
        let kept = row.0.get(..COLUMNS);
        let is_long = kept.is_some_and(|kept| kept.last() == Some(&Value::Null));
        let is_large = worth && bytes >= WORTH_BYTES && !is_long;
        match kept {
            Some(kept) if is_large && large.is_multiple_of(PUT_ANEW) => anew.push(kept),
            _ if bytes > 0 => cut.push(row.integer(0)?),
            _ => {}
        }
        large = large.saturating_add(usize::from(is_large));
    }
    db.run(
        "UPDATE events SET envelope = NULL, body = NULL
         WHERE seq IN (SELECT value FROM json_each(?))",
        &[sql::json(&cut)?],
    )?;
    for kept in anew.iter().rev() {
        let number = kept.get(..1).unwrap_or_default();
        db.run("DELETE FROM events WHERE seq = ?", number)?;
        db.run(
            &format!(
                "INSERT INTO events ({KEPT}, deliveries) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            ),
            kept,
        )?;
    }
    Ok(())
}

/// When the first of what is kept is over its time.
fn next_end(db: &impl Database, config: &Webhook) -> Result<Option<Timestamp>, MailboxError> {
    let first_from = |from: Sequence, lasts: u32| -> Result<Option<Timestamp>, MailboxError> {
        db.run(
            "SELECT seq FROM events WHERE seq >= ? ORDER BY seq LIMIT 1",
            &[sql::sequence(from)],
        )?
        .first()
        .map(|row| Ok(sql::read_sequence(row, 0)?.at().plus(days(lasts))))
        .transpose()
    };
    let key = first_from(Sequence::default(), config.dedupe_days)?;
    let payload = first_from(kept_from(db)?, config.retention_days)?;
    let refused = oldest_refused(db)?.map(|at| at.plus(days(config.retention_days)));
    Ok(key.into_iter().chain(payload).chain(refused).min())
}

fn kept_from(db: &impl Database) -> Result<Sequence, MailboxError> {
    match schema::meta(db, PRUNED)? {
        Some(Value::Integer(number)) => {
            Sequence::from_number(number).ok_or_else(|| MailboxError::unreadable("what was pruned"))
        }
        Some(_) => Err(MailboxError::unreadable("what was pruned")),
        None => Ok(Sequence::default()),
    }
}

/// An event has its payload again, so that what was pruned must be gone over from
/// there: one row.
pub(super) fn prune_again_from(db: &impl Database, event: Sequence) -> Result<(), MailboxError> {
    if kept_from(db)? > event {
        schema::set_meta(db, PRUNED, sql::sequence(event))?;
    }
    Ok(())
}
