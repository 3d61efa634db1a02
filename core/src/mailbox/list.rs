//! Events as operators see them: a page, newest first, or one, whole.

use super::{
    Mailbox, MailboxError,
    deliveries::{Deliveries, History, Record, State},
    payload::Payload,
    scan, sql,
    view::{AttemptView, DeliveryView, EventQuery, EventView, PAGE_BYTES},
    waiting,
};
use crate::{
    base64,
    database::{Database, Row, Value},
    delivery::Attempt,
    ids::{EventId, Sequence},
    messages::ShownEvents,
    refusals,
    time::Timestamp,
    webhook::Webhook,
};
use std::time::Duration;

/// Later than any clock of ours.
const END_OF_TIME: Timestamp = Timestamp::from_millis(i64::MAX);

/// A delivery with its attempts, wherever they stand.
struct Told {
    record: Record,
    history: History,
    due: Option<Timestamp>,
}

impl Mailbox {
    /// A page of events, newest first.
    ///
    /// It may hold fewer than were asked for, even none, and say where the next one
    /// begins: so many are looked at and so much is shown at once, and no more.
    ///
    /// # Errors
    /// When the database fails.
    pub fn list(
        &self,
        db: &impl Database,
        query: &EventQuery,
    ) -> Result<ShownEvents, MailboxError> {
        self.page(db, query, scan::MOST_LOOKED_AT)
    }

    /// [`list`](Self::list), looking at so many.
    pub(super) fn page(
        &self,
        db: &impl Database,
        query: &EventQuery,
        most: usize,
    ) -> Result<ShownEvents, MailboxError> {
        let mut page = ShownEvents::default();
        let Some(config) = &self.config else {
            return Ok(page);
        };
        if query.webhook_id.is_some_and(|id| id != config.id) {
            return Ok(page);
        }
        let per_page = usize::try_from(query.per_page.clamp(1, 100)).unwrap_or(100);
        let below = self.upper_bound(config, query);
        let found = self.find(db, query, below, per_page.saturating_add(1), most)?;
        let mut bytes = 0_usize;
        for event in found.events {
            let Some((mut view, told)) = self.view(db, config, event)? else {
                continue;
            };
            if query.include_attempts {
                view.deliveries = Some(deliveries(config, told));
            }
            let shown = view.shown()?;
            bytes = bytes.saturating_add(shown.len());
            let is_full = page.data.len() >= per_page || bytes > PAGE_BYTES;
            if let Some((last, _)) = page.data.last().filter(|_| is_full) {
                page.next = Some(*last);
                return Ok(page);
            }
            page.data.push((view.id, shown));
        }
        page.next = found
            .down_to
            .map(|event| Self::event_id(config, self.shard, event));
        Ok(page)
    }

    /// One event, whole; `None` when there is none. Credentials among its headers
    /// are masked.
    ///
    /// # Errors
    /// When the database fails.
    pub fn get(
        &self,
        db: &impl Database,
        event: Sequence,
    ) -> Result<Option<EventView>, MailboxError> {
        let Some(config) = &self.config else {
            return Ok(None);
        };
        let Some((mut view, told)) = self.view(db, config, event)? else {
            return Ok(None);
        };
        view.deliveries = Some(deliveries(config, told));
        let payload = db.run(
            "SELECT envelope, body FROM events WHERE seq = ?",
            &[sql::sequence(event)],
        )?;
        let payload = payload
            .first()
            .and_then(|row| Payload::read(db, event, row).ok().flatten());
        if let Some(payload) = payload {
            view.headers = Some(refusals::of_event(config, &payload.envelope.headers));
            view.query = Some(payload.envelope.query);
            match String::from_utf8(payload.body) {
                Ok(text) => view.body = Some(text),
                Err(bytes) => view.body_base64 = Some(base64::encode(bytes.as_bytes())),
            }
        }
        Ok(Some(view))
    }

    /// The number below which the page's events are. Ids sort by number, webhook,
    /// shard: where a page of several Mailboxes ended at another's event, one of the
    /// same number here may still be to come.
    pub(super) fn upper_bound(&self, config: &Webhook, query: &EventQuery) -> Sequence {
        let before = query.before.map(|before| {
            let twin = EventId {
                sequence: before.sequence,
                webhook: config.id,
                shard: self.shard,
            };
            if twin < before {
                sql::after(before.sequence)
            } else {
                before.sequence
            }
        });
        let to = query.to.map(|to| {
            Sequence::first_at(Timestamp::from_millis(to).plus(Duration::from_millis(1)))
        });
        before
            .into_iter()
            .chain(to)
            .fold(sql::after(self.last), Sequence::min)
    }

    fn view(
        &self,
        db: &impl Database,
        config: &Webhook,
        event: Sequence,
    ) -> Result<Option<(EventView, Vec<Told>)>, MailboxError> {
        let rows = db.run(
            "SELECT status, test, conflicts, key, name, object_id, summary, deliveries
             FROM events WHERE seq = ?",
            &[sql::sequence(event)],
        )?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        // One that cannot be read must not hide the others, nor itself.
        let stored: Deliveries =
            sql::read_json(row, 7, "an event's deliveries").unwrap_or_default();
        let told = stored
            .0
            .into_iter()
            .map(|record| self.told(db, event, record))
            .collect::<Result<Vec<_>, MailboxError>>()?;
        let attempts = told
            .iter()
            .fold(0_u32, |sum, told| sum.saturating_add(told.history.made));
        let last: Option<&Attempt> = told
            .iter()
            .filter_map(|told| told.history.attempts.last())
            .max_by_key(|attempt| attempt.started_at);
        let last_error = told
            .iter()
            .filter(|told| told.record.state != State::Delivered)
            .filter_map(|told| told.history.attempts.last())
            .max_by_key(|attempt| attempt.started_at)
            .and_then(|attempt| attempt.error.clone());
        // While it is paused nothing is due.
        let next = told
            .iter()
            .filter_map(|told| told.due)
            .min()
            .filter(|_| !config.is_paused);
        let view = EventView {
            id: Self::event_id(config, self.shard, event),
            webhook_id: config.id,
            provider: config.provider.clone(),
            event: row.optional(4, Row::text)?.map(str::to_owned),
            object_id: row.optional(5, Row::text)?.map(str::to_owned),
            key: hex::encode(row.blob(3)?),
            received_at: event.at().to_rfc3339(),
            status: sql::read_status(row, 0)?,
            test: row.integer(1)? != 0,
            conflicts: sql::read_count(row, 2)?,
            attempts,
            last_status_code: last.and_then(|attempt| attempt.status_code),
            last_error,
            next_attempt_at: next.map(Timestamp::to_rfc3339),
            summary: sql::read_json(row, 6, "an event's summary").unwrap_or_default(),
            headers: None,
            query: None,
            body: None,
            body_base64: None,
            deliveries: None,
        };
        Ok(Some((view, told)))
    }

    fn told(
        &self,
        db: &impl Database,
        event: Sequence,
        record: Record,
    ) -> Result<Told, MailboxError> {
        let waiting = match record.state {
            State::Waiting => waiting::load(db, record.destination, event)?,
            _ => None,
        };
        let due = match (&waiting, record.state) {
            (Some((row, _)), _) => Some(row.due),
            (None, State::Fresh) => Some(event.at()),
            _ => None,
        };
        // Of one that is down or asked for patience, when it may be tried at the earliest.
        let due = due.map(|due| self.earliest(record.destination, due, END_OF_TIME));
        let history = waiting.map_or_else(|| record.history(), |(_, history)| history);
        Ok(Told {
            record,
            history,
            due,
        })
    }
}

fn deliveries(config: &Webhook, told: Vec<Told>) -> Vec<DeliveryView> {
    told.into_iter()
        .map(|told| DeliveryView {
            destination_id: told.record.destination,
            url: config
                .destinations
                .iter()
                .find(|known| known.id == told.record.destination)
                .map(|known| known.url.clone())
                .unwrap_or_default(),
            status: told.record.state.status(),
            attempts: told
                .history
                .attempts
                .into_iter()
                .map(AttemptView::from)
                .collect(),
        })
        .collect()
}

/// Whether more than a time is asked for: no index finds it.
pub(super) const fn is_selective(query: &EventQuery) -> bool {
    query.status.is_some() || query.event.is_some() || query.q.is_some()
}

/// Adds what the query asks for to a statement that has a WHERE: all but its text, which
/// [`Search`](crate::search::Search) finds.
pub(super) fn narrow(query: &EventQuery, sql: &mut String, values: &mut Vec<Value>) {
    let mut narrow = |condition: &str, value: Value| {
        sql.push_str(" AND ");
        sql.push_str(condition);
        values.push(value);
    };
    if let Some(from) = query.from {
        let from = Sequence::first_at(Timestamp::from_millis(from));
        narrow("seq >= ?", sql::sequence(from));
    }
    if let Some(status) = query.status {
        narrow("status = ?", sql::text(sql::status(status)));
    }
    if let Some(name) = &query.event {
        narrow("name = ?", sql::text(name));
    }
}
