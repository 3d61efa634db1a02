//! Trying a webhook out: a sample that gets one attempt to each destination, made by
//! whoever asked for it and at once.
//!
//! The event is stored first, for its id goes with the attempts, as one that has failed
//! at every destination: nothing is tried again by itself, and one whose attempts were
//! never reported says so. It counts as an event that came, and was delivered or failed.
//! A destination that answers it lives, and what waits for it is released; that one fails
//! it says nothing of its health.

use super::{
    Mailbox, MailboxError,
    accept::insert,
    deliveries::{Deliveries, History, Record, State},
    health,
    view::AttemptView,
};
use crate::{
    database::Database,
    delivery::{Status, Verdict},
    ids::{DestinationId, Sequence},
    messages::{Accept, AcceptReply, MailboxReply, Taken},
    own_json,
    time::Timestamp,
};
use serde::Serialize;
use std::cell::Cell;

/// What an operator is told of a trial.
#[derive(Serialize)]
struct Trial {
    event_id: String,
    attempts: Vec<Tried>,
}

#[derive(Serialize)]
struct Tried {
    destination_id: DestinationId,
    url: String,
    status: Status,
    number: u32,
    started_at: String,
    duration_ms: u64,
    status_code: Option<u16>,
    error: Option<String>,
    response_body: String,
}

/// What a trial's attempts came to, as `Mailbox::end_trial` reads it.
///
/// # Errors
/// When it cannot be written.
pub fn report(outcomes: Vec<(DestinationId, Verdict)>) -> Result<String, MailboxError> {
    let records = outcomes.into_iter().map(|(destination, verdict)| {
        let mut history = History::default();
        history.extend(verdict.broken_before);
        history.push(verdict.attempt);
        let state = if verdict.taken {
            State::Delivered
        } else {
            State::Failed
        };
        let mut record = Record::new(destination, state);
        record.set(state, history);
        record
    });
    own_json::write(&Deliveries(records.collect())).map_err(|_| MailboxError::unreadable("a trial"))
}

impl Mailbox {
    /// Stores the sample, also while the webhook is switched off or paused: whoever
    /// tries it out knows.
    ///
    /// # Errors
    /// When the database fails.
    pub fn begin_trial(
        &mut self,
        db: &impl Database,
        accept: &Accept,
        now: Timestamp,
    ) -> Result<AcceptReply, MailboxError> {
        let config = match self.config_for(accept.config_version) {
            Ok(config) => config,
            Err(reply) => return Ok(reply),
        };
        let last = Cell::new(self.last);
        let stored = db.atomically(|| {
            accept
                .events
                .iter()
                .map(|event| {
                    let state = State::Failed;
                    insert(db, config, &accept.envelope, event, now, &last, state)
                })
                .collect::<Result<Vec<_>, MailboxError>>()
        });
        let taken = stored.map(|stored| {
            let ids = stored.into_iter().map(|numbers| {
                Taken::Test(numbers.map(|(number, _)| Self::event_id(config, self.shard, number)))
            });
            AcceptReply::Taken(ids.collect())
        });
        // Stuck or not, its number is not given again.
        self.last = last.get();
        taken
    }

    /// Writes down what the attempts came to, and tells it. A delivery that has been
    /// sent again in the meantime is left alone. `answered`: the destinations that have
    /// shown that they live.
    ///
    /// # Errors
    /// When the database fails or the report cannot be read.
    pub(super) fn end_trial(
        &mut self,
        db: &impl Database,
        event: Sequence,
        report: &str,
        answered: &[DestinationId],
        now: Timestamp,
    ) -> Result<MailboxReply, MailboxError> {
        if self.config.is_none() {
            // Deleted in the meantime, with its tables.
            return Ok(MailboxReply::NotFound);
        }
        let report: Deliveries =
            own_json::read(report).map_err(|_| MailboxError::unreadable("a trial"))?;
        let counted = self.counted;
        self.heard_of_life(db, event, &report, answered, now)?;
        let stored = db.atomically(|| -> Result<bool, MailboxError> {
            let Some(mut deliveries) = Deliveries::load(db, event)? else {
                return Ok(false);
            };
            let before = counted.standing(event, &deliveries);
            for outcome in &report.0 {
                if let Some(record) = deliveries.get_mut(outcome.destination)
                    && record.state == State::Failed
                    && record.history().made == 0
                {
                    record.set(outcome.state, outcome.history());
                }
            }
            deliveries.save(db, event, before)?;
            Ok(true)
        })?;
        let Some(config) = self.config.as_ref().filter(|_| stored) else {
            return Ok(MailboxReply::NotFound);
        };
        // What it came to, whatever became of the event meanwhile.
        let tried = report.0.iter().flat_map(|outcome| {
            let configured = config.destinations.iter();
            let mut known = configured.filter(|known| known.id == outcome.destination);
            let url = known.next().map_or("", |known| known.url.as_str());
            let attempts = outcome.history().attempts.into_iter();
            attempts.map(move |attempt| {
                let attempt = AttemptView::from(attempt);
                Tried {
                    destination_id: outcome.destination,
                    url: url.to_owned(),
                    status: outcome.state.status(),
                    number: attempt.number,
                    started_at: attempt.started_at,
                    duration_ms: attempt.duration_ms,
                    status_code: attempt.status_code,
                    error: attempt.error,
                    response_body: attempt.response_body,
                }
            })
        });
        let trial = Trial {
            event_id: Self::event_id(config, self.shard, event).to_string(),
            attempts: tried.collect(),
        };
        own_json::write(&trial)
            .map(MailboxReply::Event)
            .map_err(|_| MailboxError::unreadable("a trial"))
    }

    /// Destinations have answered an attempt that others made: whatever they said, what
    /// waits for them is released. One row for each of which that is news.
    fn heard_of_life(
        &mut self,
        db: &impl Database,
        event: Sequence,
        report: &Deliveries,
        answered: &[DestinationId],
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        for destination in answered {
            let attempts = report.get(*destination).map(Record::history);
            let began = attempts.and_then(|history| Some(history.attempts.first()?.started_at));
            let (Some(before), Some(began)) = (self.health.get(destination).cloned(), began) else {
                continue;
            };
            let mut after = before.clone();
            let turn = after.answered(event, began, self.last, now);
            if let Err(error) = health::save(db, *destination, &before, &after) {
                if let Some(health) = self.health.get_mut(destination) {
                    health.unsure = true;
                }
                return Err(error);
            }
            after.unsure = false;
            self.health.insert(*destination, after);
            self.tell_of_turn(db, *destination, turn, 1);
        }
        Ok(())
    }
}
