//! Finding the events that a list shows, newest first, where no index serves its
//! filters: so many rows are looked at and no more, in windows that grow. What is left
//! is for the next page: the place where the look ended is where that begins.
//!
//! An index would find them at once, and cost each event a written row: a thousand times
//! what it saves.

use super::{
    Mailbox, MailboxError, list, sql,
    view::EventQuery,
    waiting::{self, Span},
};
use crate::{
    database::{Database, Row, Value},
    delivery::Status,
    event::Summary,
    ids::{DestinationId, Sequence},
    search::Search,
    time::Timestamp,
};

/// Events that one page looks at. Twice as many rows are read at most: once to find
/// where a window ends, once to look through it.
pub(super) const MOST_LOOKED_AT: usize = 1_000;
/// A window is so many times the one before.
const GROWTH: usize = 4;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The events, newest first.
    pub(super) events: Vec<Sequence>,
    /// All were looked at down to this one, and more may follow; `None` when as many
    /// as wanted were found, or nothing is left.
    pub(super) down_to: Option<Sequence>,
}

impl Mailbox {
    /// Up to `wanted` events before `below` that the query is for. Looks at `most`.
    pub(super) fn find(
        &self,
        db: &impl Database,
        query: &EventQuery,
        below: Sequence,
        wanted: usize,
        most: usize,
    ) -> Result<Found, MailboxError> {
        let from = query.from.map_or_else(Sequence::default, |from| {
            Sequence::first_at(Timestamp::from_millis(from))
        });
        // What is pending and not younger than this has a row in `waiting`.
        let (young, destinations) = if query.status == Some(Status::Pending) {
            let young = self.first_attempts.not_before();
            (from.max(young), waiting::destinations(db)?)
        } else {
            (from, Vec::new())
        };
        let mut look = Look {
            query,
            wanted,
            search: search(query),
            window: wanted,
            left: most,
            found: Found::default(),
        };
        let span = Span { from: young, below };
        if look.through(db, span, None)? && young > from {
            let below = below.min(young);
            look.through(db, Span { from, below }, Some(&destinations))?;
        }
        Ok(look.found)
    }
}

/// What the query's text is looked for with.
pub(super) fn search(query: &EventQuery) -> Option<Search> {
    query.q.as_deref().map(Search::new)
}

/// Whether a row (its second column a summary) holds the text, if one is looked for.
pub(super) fn is_found(search: Option<&Search>, row: &Row) -> bool {
    search.is_none_or(|search| {
        let summary = sql::read_json::<Summary>(row, 1, "an event's summary");
        summary.is_ok_and(|summary| search.finds(&summary))
    })
}

/// A look under way.
struct Look<'q> {
    query: &'q EventQuery,
    search: Option<Search>,
    wanted: usize,
    window: usize,
    left: usize,
    found: Found,
}

impl Look<'_> {
    /// Looks through a span: through all events, or those that wait for one of the
    /// destinations. Whether it came to the end and wants more.
    fn through(
        &mut self,
        db: &impl Database,
        mut span: Span,
        waiting: Option<&[DestinationId]>,
    ) -> Result<bool, MailboxError> {
        while span.from < span.below {
            if self.left == 0 {
                self.found.down_to = Some(span.below);
                return Ok(false);
            }
            let window = self.window.min(self.left);
            let end = match waiting {
                _ if !list::is_selective(self.query) => None,
                None => nth(db, span, window)?,
                Some(destinations) => waiting::nth_of_each(db, destinations, span, window)?,
            };
            let seen = Span {
                from: end.unwrap_or(span.from),
                ..span
            };
            self.look(db, seen, waiting)?;
            if self.found.events.len() >= self.wanted {
                return Ok(false);
            }
            self.left = self.left.saturating_sub(window);
            self.window = self.window.saturating_mul(GROWTH);
            span.below = seen.from;
        }
        Ok(true)
    }

    fn look(
        &mut self,
        db: &impl Database,
        span: Span,
        waiting: Option<&[DestinationId]>,
    ) -> Result<(), MailboxError> {
        let mut values = vec![sql::sequence(span.below), sql::sequence(span.from)];
        // What a text is looked for in is all read: a window is small.
        let columns = match &self.search {
            None => "SELECT seq",
            Some(_) => "SELECT seq, summary",
        };
        let events = match waiting {
            None => " FROM events WHERE seq < ? AND seq >= ?".to_owned(),
            Some(destinations) => waiting::events(destinations),
        };
        let mut sql = [columns, &events].concat();
        list::narrow(self.query, &mut sql, &mut values);
        sql.push_str(" ORDER BY seq DESC");
        let more = self.wanted.saturating_sub(self.found.events.len());
        if self.search.is_none() {
            sql.push_str(" LIMIT ?");
            values.push(sql::size(more));
        }
        let rows = db.run(&sql, &values)?;
        let found = rows
            .iter()
            .filter(|row| is_found(self.search.as_ref(), row));
        for row in found.take(more) {
            self.found.events.push(sql::read_sequence(row, 0)?);
        }
        Ok(())
    }
}

/// The `n`th event of a span from the newest on; `None` when there are fewer.
fn nth(db: &impl Database, span: Span, n: usize) -> Result<Option<Sequence>, MailboxError> {
    let values: [Value; 3] = [
        sql::sequence(span.below),
        sql::sequence(span.from),
        sql::size(n.saturating_sub(1)),
    ];
    db.run(
        "SELECT seq FROM events WHERE seq < ? AND seq >= ? ORDER BY seq DESC LIMIT 1 OFFSET ?",
        &values,
    )?
    .first()
    .map(|row| sql::read_sequence(row, 0))
    .transpose()
}
