//! What an event's row says of its deliveries: JSON, one record a destination.
//!
//! A destination is listed when the event comes; one that is configured later does
//! not get it. While a delivery waits, its attempts stand in its `waiting` row and
//! the record only says so.

use super::{
    MailboxError, clip,
    counted::{self, Standing},
    sql,
};
use crate::own_json::fields::read_in_place;
use crate::{
    database::{Database, Value},
    delivery::{Attempt, Status},
    ids::{DestinationId, Sequence},
    webhook::Destination,
};
use serde::{Deserialize, Serialize};

/// Of a delivery's attempts, so many from the first on are kept …
const FIRST_KEPT: usize = 5;
/// … and so many up to the last.
const LAST_KEPT: usize = 20;
/// Bytes of an answer that are kept.
const RESPONSE_BYTES: usize = 1_024;
/// Bytes of an error that are kept: together with the limits above, the attempts
/// of twenty destinations stay within a row.
const ERROR_BYTES: usize = 300;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// The first attempt is still to be made (or is being made).
    Fresh,
    /// It has a row in `waiting`.
    Waiting,
    /// Taken.
    Delivered,
    /// Given up.
    Failed,
    /// Stopped.
    Cancelled,
}

impl State {
    /// As it is shown.
    pub(super) const fn status(self) -> Status {
        match self {
            Self::Fresh | Self::Waiting => Status::Pending,
            Self::Delivered => Status::Delivered,
            Self::Failed => Status::Failed,
            Self::Cancelled => Status::Cancelled,
        }
    }
}

/// The attempts of a delivery: how many there were, and those that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct History {
    /// Attempts made in all.
    pub(super) made: u32,
    /// The first 5 and the last 20.
    pub(super) attempts: Vec<Attempt>,
}

impl History {
    /// Adds an attempt, if there was one.
    pub(super) fn extend(&mut self, attempt: Option<Attempt>) {
        if let Some(attempt) = attempt {
            self.push(attempt);
        }
    }

    /// Adds an attempt; the one that falls out of the middle is forgotten.
    pub(super) fn push(&mut self, mut attempt: Attempt) {
        self.made = self.made.saturating_add(1);
        attempt.number = self.made;
        attempt.response_body = kept(&attempt.response_body, RESPONSE_BYTES);
        attempt.error = attempt.error.map(|error| kept(&error, ERROR_BYTES));
        if self.attempts.len() >= FIRST_KEPT.saturating_add(LAST_KEPT) {
            self.attempts.remove(FIRST_KEPT);
        }
        self.attempts.push(attempt);
    }
}

/// The beginning of a text. Control characters, which JSON writes sixfold, are
/// replaced, so that a row's size can be relied on.
fn kept(text: &str, bytes: usize) -> String {
    let mut text: String = text
        .chars()
        .take(bytes)
        .map(|letter| match letter {
            '\t' | '\n' | '\r' => letter,
            '\0'..' ' => char::REPLACEMENT_CHARACTER,
            _ => letter,
        })
        .collect();
    clip(&mut text, bytes);
    text
}

/// One destination's delivery, as it stands in `events.deliveries`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Record {
    /// Where to.
    pub(super) destination: DestinationId,
    /// Where it stands.
    pub(super) state: State,
    /// Attempts made in all; counted in `waiting` while it waits.
    #[serde(skip_serializing_if = "is_zero")]
    made: u32,
    /// The attempts that are kept; in `waiting` while it waits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<Attempt>,
    /// It was delivered before it was queued again: whatever becomes of the resend,
    /// delivered it stays.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) was_delivered: bool,
}

read_in_place! {
    Record, unknown skipped,
    required { destination, state },
    optional { made, attempts, was_delivered },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Record {
    const fn blank() -> Self {
        Self::new(DestinationId::from_random([0; 8]), State::Fresh)
    }

    /// A delivery without attempts.
    pub(super) const fn new(destination: DestinationId, state: State) -> Self {
        Self {
            destination,
            state,
            made: 0,
            attempts: Vec::new(),
            was_delivered: false,
        }
    }

    /// Where the delivery stands when it comes to this end.
    pub(super) const fn ends_as(&self, end: State) -> State {
        match end {
            State::Failed | State::Cancelled if self.was_delivered => State::Delivered,
            end => end,
        }
    }

    /// It waits again, due now.
    pub(super) fn queued_again(&mut self) {
        self.was_delivered |= self.state == State::Delivered;
        self.state = State::Waiting;
    }

    /// The attempts, as far as they stand here.
    pub(super) fn history(&self) -> History {
        History {
            made: self.made,
            attempts: self.attempts.clone(),
        }
    }

    /// Takes the attempts out: they go to `waiting`.
    pub(super) fn take_history(&mut self) -> History {
        History {
            made: std::mem::take(&mut self.made),
            attempts: std::mem::take(&mut self.attempts),
        }
    }

    /// Ends or moves the delivery; what was delivered ends as that.
    pub(super) fn set(&mut self, state: State, history: History) {
        self.state = self.ends_as(state);
        self.was_delivered &= state == State::Waiting;
        self.made = history.made;
        self.attempts = history.attempts;
    }
}

/// All deliveries of one event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Deliveries(pub(super) Vec<Record>);

impl Deliveries {
    /// Of an event that just came.
    pub(super) fn to(destinations: &[Destination], state: State) -> Self {
        let records = destinations
            .iter()
            .map(|destination| Record::new(destination.id, state));
        Self(records.collect())
    }

    /// Reads those of one event; `None` when there is no such event.
    pub(super) fn load(db: &impl Database, event: Sequence) -> Result<Option<Self>, MailboxError> {
        db.run(
            "SELECT deliveries FROM events WHERE seq = ?",
            &[sql::sequence(event)],
        )?
        .first()
        .map(|row| sql::read_json(row, 0, "an event's deliveries"))
        .transpose()
    }

    /// Writes them, and what follows from them, into the event's row: one row; one more
    /// where figures that are kept change, by what the event counted as `before`.
    pub(super) fn save(
        &self,
        db: &impl Database,
        event: Sequence,
        before: Option<Standing>,
    ) -> Result<(), MailboxError> {
        db.run(
            "UPDATE events SET fresh = ?, status = ?, deliveries = ? WHERE seq = ?",
            &self.columns(event)?,
        )?;
        counted::change(db, before, Some(self))
    }

    /// The same where those of the event are still these. Whether they were.
    pub(super) fn save_over(
        &self,
        db: &impl Database,
        event: Sequence,
        before: &Self,
    ) -> Result<bool, MailboxError> {
        let [fresh, status, deliveries, event] = self.columns(event)?;
        let written = db.run(
            "UPDATE events SET fresh = ?, status = ?, deliveries = ?
             WHERE seq = ? AND deliveries = ? RETURNING 1",
            &[fresh, status, deliveries, event, sql::json(before)?],
        )?;
        Ok(!written.is_empty())
    }

    fn columns(&self, event: Sequence) -> Result<[Value; 4], MailboxError> {
        Ok([
            sql::flag(self.is_fresh()),
            sql::text(sql::status(self.status())),
            sql::json(self)?,
            sql::sequence(event),
        ])
    }

    /// The delivery to that destination.
    pub(super) fn get(&self, destination: DestinationId) -> Option<&Record> {
        self.0
            .iter()
            .find(|record| record.destination == destination)
    }

    /// The delivery to that destination.
    pub(super) fn get_mut(&mut self, destination: DestinationId) -> Option<&mut Record> {
        self.0
            .iter_mut()
            .find(|record| record.destination == destination)
    }

    /// The destinations that it is still on its way to.
    pub(super) fn pending(&self) -> Vec<DestinationId> {
        let pending = self
            .0
            .iter()
            .filter(|one| one.state.status() == Status::Pending);
        pending.map(|one| one.destination).collect()
    }

    /// Whether a first attempt is still to be made.
    pub(super) fn is_fresh(&self) -> bool {
        self.any(State::Fresh)
    }

    /// `pending` if any is, else `failed` if any is, else `delivered`, or
    /// `cancelled` when all are.
    pub(super) fn status(&self) -> Status {
        if self.any(State::Fresh) || self.any(State::Waiting) {
            Status::Pending
        } else if self.any(State::Failed) {
            Status::Failed
        } else if self.any(State::Delivered) {
            Status::Delivered
        } else {
            Status::Cancelled
        }
    }

    fn any(&self, state: State) -> bool {
        self.0.iter().any(|record| record.state == state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn attempt(body: &str) -> Attempt {
        Attempt {
            number: 0,
            started_at: Timestamp::from_millis(7),
            duration_ms: 3,
            status_code: Some(500),
            error: Some("status 500".into()),
            response_body: body.into(),
        }
    }

    fn destination(n: u8) -> DestinationId {
        DestinationId::from_random([n; 8])
    }

    #[test]
    fn the_first_5_and_the_last_20_attempts_are_kept() {
        let mut history = History::default();
        for _ in 0..100 {
            history.push(attempt(""));
        }
        let numbers: Vec<u32> = history.attempts.iter().map(|kept| kept.number).collect();
        assert_eq!(numbers, (1..=5).chain(81..=100).collect::<Vec<_>>());
        assert_eq!(history.made, 100);
    }

    #[test]
    fn answers_are_clipped_between_characters() {
        let mut history = History::default();
        history.push(attempt(&"ế".repeat(1_000)));
        assert_eq!(history.attempts[0].response_body, "ế".repeat(341));
    }

    #[test]
    fn twenty_destinations_at_their_worst_fit_into_a_row() {
        let mut history = History::default();
        for _ in 0..100 {
            let mut worst = attempt(&"\n\u{1}".repeat(2_000));
            worst.error = Some("\"".repeat(5_000));
            history.push(worst);
        }
        let all = Deliveries(
            (0..20)
                .map(|n| {
                    let mut record = Record::new(destination(n), State::Fresh);
                    record.set(State::Failed, history.clone());
                    record
                })
                .collect(),
        );
        let Ok(crate::database::Value::Text(json)) = sql::json(&all) else {
            panic!("not JSON");
        };
        assert!(json.len() < 1_900_000, "{}", json.len());
    }

    #[test]
    fn the_status_of_an_event_follows_from_its_deliveries() {
        use State::{Cancelled, Delivered, Failed, Fresh, Waiting};
        let check = |states: &[State], expected: Status| {
            let records = states.iter().map(|state| Record {
                state: *state,
                ..Record::new(destination(1), State::Fresh)
            });
            assert_eq!(
                Deliveries(records.collect()).status(),
                expected,
                "{states:?}"
            );
        };
        check(&[Fresh, Failed, Delivered], Status::Pending);
        check(&[Waiting, Cancelled], Status::Pending);
        check(&[Failed, Delivered, Cancelled], Status::Failed);
        check(&[Delivered, Cancelled], Status::Delivered);
        check(&[Cancelled, Cancelled], Status::Cancelled);
    }

    #[test]
    fn the_stored_format_is_unchanged() {
        let mut done = Record::new(destination(0), State::Fresh);
        let mut history = History::default();
        history.push(attempt("no"));
        done.set(State::Failed, history);
        let json = r#"[{"destination":"dst_0000000000000","state":"failed","made":1,"attempts":[{"number":1,"started_at":7,"duration_ms":3,"status_code":500,"error":"status 500","response_body":"no"}]},{"destination":"dst_0000000000000","state":"fresh"}]"#;
        let all = Deliveries(vec![done, Record::new(destination(0), State::Fresh)]);
        assert_eq!(serde_json::to_string(&all).unwrap(), json);
        assert_eq!(serde_json::from_str::<Deliveries>(json).unwrap(), all);
    }
}
