//! Deliveries that wait for their next attempt: the rows of `waiting`.

use super::{MailboxError, deliveries::History, health::Stretch, sql};
use crate::{
    database::{Database, Row},
    ids::{DestinationId, Sequence},
    time::Timestamp,
};

/// One row, without its attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// The event.
    pub(super) event: Sequence,
    /// When its next attempt is due.
    pub(super) due: Timestamp,
    /// Attempts made since it was queued: where it stands in the schedule.
    pub(super) tries: u32,
    /// When it was queued: the event's arrival, or the last resend. Giving up is
    /// counted from here.
    pub(super) since: Timestamp,
    /// Attempts made in all.
    pub(super) made: u32,
    /// When the last of them since it was queued was over; the beginning of time when
    /// there was none (or none that a release before this noted).
    pub(super) tried: Timestamp,
}

fn read(row: &Row) -> Result<Waiting, MailboxError> {
    Ok(Waiting {
        event: sql::read_sequence(row, 0)?,
        due: sql::read_timestamp(row, 1)?,
        tries: sql::read_count(row, 2)?,
        since: sql::read_timestamp(row, 3)?,
        made: sql::read_count(row, 4)?,
        tried: sql::read_timestamp(row, 5)?,
    })
}

/// One delivery and its attempts; `None` when it does not wait.
pub(super) fn load(
    db: &impl Database,
    destination: DestinationId,
    event: Sequence,
) -> Result<Option<(Waiting, History)>, MailboxError> {
    let rows = db.run(
        "SELECT seq, due, tries, since, made, tried, attempts FROM waiting
         WHERE destination = ? AND seq = ?",
        &[sql::destination(destination), sql::sequence(event)],
    )?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let waiting = read(row)?;
    let history = History {
        made: waiting.made,
        attempts: sql::read_json(row, 6, "a delivery's attempts")?,
    };
    Ok(Some((waiting, history)))
}

/// The first `limit` of a destination, oldest due first.
pub(super) fn first(
    db: &impl Database,
    destination: DestinationId,
    limit: usize,
) -> Result<Vec<Waiting>, MailboxError> {
    db.run(
        "SELECT seq, due, tries, since, made, tried FROM waiting
         WHERE destination = ? ORDER BY due, seq LIMIT ?",
        &[sql::destination(destination), sql::size(limit)],
    )?
    .iter()
    .map(read)
    .collect()
}

/// The first `limit` of a destination after one event and up to another that were not
/// tried since some time, by the order in which the events came.
pub(super) fn stretch(
    db: &impl Database,
    destination: DestinationId,
    stretch: Stretch,
    limit: usize,
) -> Result<Vec<Waiting>, MailboxError> {
    db.run(
        "SELECT seq, due, tries, since, made, tried FROM waiting
         WHERE destination = ? AND seq > ? AND seq <= ? AND tried < ? ORDER BY seq LIMIT ?",
        &[
            sql::destination(destination),
            sql::sequence(stretch.after),
            sql::sequence(stretch.upto),
            sql::timestamp(stretch.tried_before),
            sql::size(limit),
        ],
    )?
    .iter()
    .map(read)
    .collect()
}

/// The newest `limit` of a destination that were never attempted, found among its
/// newest `among`.
pub(super) fn newest_untried(
    db: &impl Database,
    destination: DestinationId,
    among: usize,
    limit: usize,
) -> Result<Vec<Waiting>, MailboxError> {
    db.run(
        "SELECT seq, due, tries, since, made, tried FROM
             (SELECT * FROM waiting WHERE destination = ? ORDER BY seq DESC LIMIT ?)
         WHERE made = 0 ORDER BY seq DESC LIMIT ?",
        &[
            sql::destination(destination),
            sql::size(among),
            sql::size(limit),
        ],
    )?
    .iter()
    .map(read)
    .collect()
}

/// The first `limit` of a destination that were queued at or before `at`.
pub(super) fn queued_by(
    db: &impl Database,
    destination: DestinationId,
    at: Timestamp,
    limit: usize,
) -> Result<Vec<Waiting>, MailboxError> {
    db.run(
        "SELECT seq, due, tries, since, made, tried FROM waiting
         WHERE destination = ? AND since <= ? ORDER BY seq LIMIT ?",
        &[
            sql::destination(destination),
            sql::timestamp(at),
            sql::size(limit),
        ],
    )?
    .iter()
    .map(read)
    .collect()
}

/// Events from one on, and before another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: Sequence,
    pub(super) below: Sequence,
}

/// The place within a span above which each of the destinations has a share of `n`
/// rows at most (or one); `None` when all of them are.
pub(super) fn nth_of_each(
    db: &impl Database,
    destinations: &[DestinationId],
    span: Span,
    n: usize,
) -> Result<Option<Sequence>, MailboxError> {
    let share = n.checked_div(destinations.len()).unwrap_or(n);
    let mut place = None;
    for destination in destinations {
        let rows = db.run(
            "SELECT seq FROM waiting WHERE destination = ? AND seq < ? AND seq >= ?
             ORDER BY seq DESC LIMIT 1 OFFSET ?",
            &[
                sql::destination(*destination),
                sql::sequence(span.below),
                sql::sequence(span.from),
                sql::size(share.saturating_sub(1)),
            ],
        )?;
        if let Some(row) = rows.first() {
            place = place.max(Some(sql::read_sequence(row, 0)?));
        }
    }
    Ok(place)
}

/// The end of a statement for the events of a span (its end, its beginning) that wait for
/// one of the destinations.
pub(super) fn events(destinations: &[DestinationId]) -> String {
    let mut sql = " FROM events WHERE seq IN
         (SELECT seq FROM waiting WHERE destination IN (''"
        .to_owned();
    for destination in destinations {
        // Letters and digits: nothing to escape. As parameters they could be too many.
        sql.extend([",'", &destination.to_string(), "'"]);
    }
    sql.push_str(") AND seq < ? AND seq >= ?)");
    sql
}

/// The first of a destination by arrival: since when it is queued, and its event.
pub(super) fn oldest(
    db: &impl Database,
    destination: DestinationId,
) -> Result<Option<(Timestamp, Sequence)>, MailboxError> {
    db.run(
        "SELECT since, seq FROM waiting WHERE destination = ? ORDER BY seq LIMIT 1",
        &[sql::destination(destination)],
    )?
    .first()
    .map(|row| Ok((sql::read_timestamp(row, 0)?, sql::read_sequence(row, 1)?)))
    .transpose()
}

/// When the one that was queued first was.
pub(super) fn first_queued(
    db: &impl Database,
    destination: DestinationId,
) -> Result<Option<Timestamp>, MailboxError> {
    let rows = db.run(
        "SELECT min(since) FROM waiting WHERE destination = ?",
        &[sql::destination(destination)],
    )?;
    match rows.first() {
        Some(row) if !row.is_null(0)? => sql::read_timestamp(row, 0).map(Some),
        _ => Ok(None),
    }
}

/// Writes a delivery that did not wait before: a row and its place in the index.
pub(super) fn insert(
    db: &impl Database,
    destination: DestinationId,
    waiting: &Waiting,
    history: &History,
) -> Result<(), MailboxError> {
    db.run(
        "INSERT INTO waiting (destination, seq, due, tries, since, made, tried, attempts)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        &[
            sql::destination(destination),
            sql::sequence(waiting.event),
            sql::timestamp(waiting.due),
            sql::count(waiting.tries),
            sql::timestamp(waiting.since),
            sql::count(history.made),
            sql::timestamp(waiting.tried),
            sql::json(&history.attempts)?,
        ],
    )?;
    Ok(())
}

/// After another failed attempt. Where `due` stays, one row is written; else two.
pub(super) fn postpone(
    db: &impl Database,
    destination: DestinationId,
    waiting: &Waiting,
    history: &History,
) -> Result<(), MailboxError> {
    db.run(
        "UPDATE waiting SET due = ?, tries = ?, made = ?, tried = ?, attempts = ?
         WHERE destination = ? AND seq = ?",
        &[
            sql::timestamp(waiting.due),
            sql::count(waiting.tries),
            sql::count(history.made),
            sql::timestamp(waiting.tried),
            sql::json(&history.attempts)?,
            sql::destination(destination),
            sql::sequence(waiting.event),
        ],
    )?;
    Ok(())
}

/// Due now, from the start of its schedule.
pub(super) fn restart(
    db: &impl Database,
    destination: DestinationId,
    event: Sequence,
    now: Timestamp,
) -> Result<(), MailboxError> {
    db.run(
        "UPDATE waiting SET due = ?, tries = 0, since = ?, tried = ?
         WHERE destination = ? AND seq = ?",
        &[
            sql::timestamp(now),
            sql::timestamp(now),
            sql::timestamp(Timestamp::default()),
            sql::destination(destination),
            sql::sequence(event),
        ],
    )?;
    Ok(())
}

/// Forgets it; its attempts must have gone elsewhere.
pub(super) fn remove(
    db: &impl Database,
    destination: DestinationId,
    event: Sequence,
) -> Result<(), MailboxError> {
    db.run(
        "DELETE FROM waiting WHERE destination = ? AND seq = ?",
        &[sql::destination(destination), sql::sequence(event)],
    )?;
    Ok(())
}

/// Every destination that has a delivery waiting: one look-up each.
pub(super) fn destinations(db: &impl Database) -> Result<Vec<DestinationId>, MailboxError> {
    let mut found = Vec::new();
    let mut last = String::new();
    loop {
        let rows = db.run(
            "SELECT min(destination) FROM waiting WHERE destination > ?",
            &[sql::text(&last)],
        )?;
        let Some(row) = rows.first().filter(|row| !row.is_null(0).unwrap_or(true)) else {
            return Ok(found);
        };
        found.push(sql::read_destination(row, 0)?);
        row.text(0)?.clone_into(&mut last);
    }
}
