//! Taking events in: what is new is stored and its alarm set in one transaction,
//! what was seen before is recognised. One event, while an alarm is set that will do, is
//! one statement, and needs no transaction around it.
//!
//! Rows written for one new event: 2 (the event and its key), 1 more when its
//! payload is large, and 1 for the alarm when none is set in time (where a run begins
//! at once, as its lease). For a duplicate: none; 1 when it is a conflict to be noted.

use super::{
    Mailbox, MailboxError, RETIRED_EARLIER, clip,
    counted::Counted,
    deliveries::{Deliveries, State},
    payload::Payload,
    prune, resend, sql,
};
use crate::{
    database::{Database, Value},
    delivery::Status,
    event::{DedupeKey, Envelope, NewEvent, Summary},
    ids::{DestinationId, Sequence},
    messages::{Accept, AcceptReply, Taken},
    time::Timestamp,
    webhook::Webhook,
};
use std::cell::Cell;

/// A payload up to this size (envelope and body) stands in the event's own row.
pub(super) const INLINE_BYTES: usize = 4_096;
/// Texts of a summary and names are cut after so many bytes: an event is not lost
/// for an immense description.
const TEXT_BYTES: usize = 2_048;
/// So many conflicts of an event are noted.
const CONFLICTS: u32 = 5;

/// What became of an accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The answer to the Worker.
    pub reply: AcceptReply,
    /// There is something new, and a run is under way that has to be told: no
    /// alarm was set for it.
    pub wake: bool,
    /// There is something new that may be sent at once, and no run is under way: one
    /// is to begin now, without waiting for the alarm. That is set as a lease, for
    /// the case that it never does.
    pub begin: bool,
}

/// An event that was seen before, as far as a repeat is concerned.
struct Known {
    event: Sequence,
    status: Status,
    conflicts: u32,
    body_sha256: Vec<u8>,
}

/// The events of one request, and how they are taken.
struct Offer<'a> {
    accept: &'a Accept,
    /// The test calls to relay.
    tests: Vec<DedupeKey>,
    /// Whoever offers them begins a run when he is told to.
    begins: bool,
}

/// What the transaction did, for memory to follow once it is kept.
struct Stored {
    taken: Vec<Taken>,
    /// The new events, each with the number that was the last before it.
    new: Vec<(Sequence, Sequence)>,
    requeued: bool,
    /// A run is to begin: something of it may be sent at once.
    begin: bool,
    alarm: Option<Timestamp>,
}

impl Mailbox {
    /// Takes the events of one request: all of them or, on an error, none. The alarm
    /// is set for them, unless a run is under way.
    ///
    /// # Errors
    /// When the database fails; the sender must not be told that it was taken.
    pub fn accept(
        &mut self,
        db: &impl Database,
        accept: &Accept,
        now: Timestamp,
    ) -> Result<Accepted, MailboxError> {
        self.take(db, accept, now, false)
    }

    /// The same for whoever begins a run when he is told to: an alarm and its wake
    /// less.
    ///
    /// # Errors
    /// As for [`accept`](Self::accept).
    pub fn accept_and_begin(
        &mut self,
        db: &impl Database,
        accept: &Accept,
        now: Timestamp,
    ) -> Result<Accepted, MailboxError> {
        self.take(db, accept, now, true)
    }

    fn take(
        &mut self,
        db: &impl Database,
        accept: &Accept,
        now: Timestamp,
        begins: bool,
    ) -> Result<Accepted, MailboxError> {
        let refused = |reply| {
            Ok(Accepted {
                reply,
                wake: false,
                begin: false,
            })
        };
        let config = match self.config_for(accept.config_version) {
            // Switched off since: the edge loads this version and refuses.
            Ok(config) if !config.is_active => {
                return refused(AcceptReply::Stale {
                    version: config.version,
                });
            }
            Ok(config) => config,
            Err(reply) => return refused(reply),
        };
        let destinations: Vec<DestinationId> = config
            .destinations
            .iter()
            .map(|destination| destination.id)
            .collect();
        let last = Cell::new(self.last);
        let offer = Offer {
            accept,
            tests: self.new_tests(accept, now),
            begins: begins && !self.running,
        };
        let stored = match self.store(db, config, &offer, now, &last) {
            Ok(stored) => stored,
            Err(error) => {
                // What failed may have stuck: its numbers are not given again, and
                // failed events may wait again.
                self.last = last.get();
                self.waiting.extend(destinations);
                self.armed = None;
                return Err(error);
            }
        };
        for (event, last_before) in &stored.new {
            self.first_attempts
                .arrived(*event, *last_before, &destinations);
        }
        if stored.requeued {
            self.waiting.extend(destinations);
            // Its payload may be back.
            self.prune_at = None;
        }
        self.last = last.get();
        self.armed = stored.alarm.or(self.armed);
        for test in &offer.tests {
            self.recent_tests.add(*test, now);
        }
        let something = stored.requeued || !stored.new.is_empty();
        Ok(Accepted {
            reply: AcceptReply::Taken(stored.taken),
            wake: self.running && something,
            begin: stored.begin,
        })
    }

    /// The configuration, when it is the one that the sender was proven with; else what
    /// the edge has to be told.
    pub(super) fn config_for(&self, version: u64) -> Result<&Webhook, AcceptReply> {
        match self.retired {
            None => {}
            Some(RETIRED_EARLIER) => return Err(AcceptReply::Gone),
            Some(version) => return Err(AcceptReply::Stale { version }),
        }
        match &self.config {
            None => Err(AcceptReply::Unconfigured),
            Some(config) if version > config.version => Err(AcceptReply::Unconfigured),
            Some(config) if version < config.version => Err(AcceptReply::Stale {
                version: config.version,
            }),
            Some(_) if self.lacks_secrets() => Err(AcceptReply::Unconfigured),
            Some(config) => Ok(config),
        }
    }

    fn store(
        &self,
        db: &impl Database,
        config: &Webhook,
        offer: &Offer<'_>,
        now: Timestamp,
        last: &Cell<Sequence>,
    ) -> Result<Stored, MailboxError> {
        let accept = offer.accept;
        let alone = self.insert_alone(db, config, offer, now, last)?;
        if let Some(Some(stored)) = alone {
            return Ok(stored);
        }
        let is_known = alone.is_some();
        db.atomically(|| {
            let mut stored = Stored {
                taken: Vec::with_capacity(accept.events.len()),
                new: Vec::new(),
                requeued: false,
                begin: false,
                alarm: None,
            };
            let mut tests = offer.tests.iter().peekable();
            for event in &accept.events {
                let taken = if event.test && tests.next_if_eq(&&event.key).is_none() {
                    Taken::Test(None)
                } else if !is_known
                    && let Some(numbers) =
                        insert(db, config, &accept.envelope, event, now, last, State::Fresh)?
                {
                    // Most events are new, and are not looked for first.
                    stored.new.push(numbers);
                    let id = Self::event_id(config, self.shard, numbers.0);
                    if event.test {
                        Taken::Test(Some(id))
                    } else {
                        Taken::New(id)
                    }
                } else {
                    let known = find(db, &event.key)?
                        .ok_or_else(|| MailboxError::unreadable("an event that is in the way"))?;
                    repeated(
                        db,
                        config,
                        &accept.envelope,
                        event,
                        &known,
                        self.counted,
                        now,
                        &mut stored.requeued,
                    )?
                };
                stored.taken.push(taken);
            }
            let work = stored.requeued || !stored.new.is_empty();
            if work && !config.is_paused {
                let due = self.any_earliest(now, now);
                stored.begin = offer.begins && due <= now;
                stored.alarm = if stored.begin {
                    self.arm_lease(db, now)?
                } else {
                    self.arm(db, due, now)?
                };
            }
            Ok(stored)
        })
    }

    /// Most requests bring one event, that is new, while an alarm is set that will do: one
    /// statement, which needs no transaction around it. `None` where more is to be done,
    /// and `Some(None)` when the event's key is there already.
    fn insert_alone(
        &self,
        db: &impl Database,
        config: &Webhook,
        offer: &Offer<'_>,
        now: Timestamp,
        last: &Cell<Sequence>,
    ) -> Result<Option<Option<Stored>>, MailboxError> {
        let [event] = offer.accept.events.as_slice() else {
            return Ok(None);
        };
        let due = self.any_earliest(now, now);
        let begin = offer.begins && due <= now && !config.is_paused;
        let is_armed = if begin {
            self.is_leased(now)
        } else {
            config.is_paused || self.armed_by(due, now)
        };
        if event.test || !is_armed {
            return Ok(None);
        }
        let places = places(&offer.accept.envelope, event)?;
        if places.1.is_some() {
            return Ok(None);
        }
        let inserted = insert_at(db, config, places, event, now, last, State::Fresh)?;
        Ok(Some(inserted.map(|numbers| Stored {
            taken: vec![Taken::New(Self::event_id(config, self.shard, numbers.0))],
            new: vec![numbers],
            requeued: false,
            begin,
            alarm: None,
        })))
    }

    /// The test calls to relay: those unlike the last seconds', each once.
    fn new_tests(&self, accept: &Accept, now: Timestamp) -> Vec<DedupeKey> {
        let mut new: Vec<DedupeKey> = Vec::new();
        for event in accept.events.iter().filter(|event| event.test) {
            let recent = self.recent_tests.has(&event.key, now);
            if !recent && !new.contains(&event.key) {
                new.push(event.key);
            }
        }
        new
    }
}

fn find(db: &impl Database, key: &DedupeKey) -> Result<Option<Known>, MailboxError> {
    db.run(
        "SELECT seq, status, conflicts, body_sha256 FROM events WHERE key = ? AND test = 0",
        &[sql::blob(key)],
    )?
    .first()
    .map(|row| {
        Ok(Known {
            event: sql::read_sequence(row, 0)?,
            status: sql::read_status(row, 1)?,
            conflicts: sql::read_count(row, 2)?,
            body_sha256: sql::read_bytes(row, 3)?,
        })
    })
    .transpose()
}

/// Notes a conflict, and takes the repeat of a failed event for a wish.
#[expect(clippy::too_many_arguments, reason = "each is another's")]
fn repeated(
    db: &impl Database,
    config: &Webhook,
    envelope: &Envelope,
    event: &NewEvent,
    known: &Known,
    counted: Counted,
    now: Timestamp,
    requeued: &mut bool,
) -> Result<Taken, MailboxError> {
    let conflict = known.body_sha256 != event.body_sha256;
    if conflict && known.conflicts < CONFLICTS {
        db.run(
            "UPDATE events SET conflicts = conflicts + 1 WHERE seq = ?",
            &[sql::sequence(known.event)],
        )?;
    }
    if known.status == Status::Failed
        && let Some(mut deliveries) = Deliveries::load(db, known.event)?
    {
        let before = counted.standing(known.event, &deliveries);
        let mut queued = false;
        for record in &mut deliveries.0 {
            let configured = config
                .destinations
                .iter()
                .any(|destination| destination.id == record.destination);
            if record.state == State::Failed && configured {
                resend::queue(db, known.event, record, now)?;
                queued = true;
            }
        }
        if queued {
            deliveries.save(db, known.event, before)?;
            if !Payload::is_kept(db, known.event)? {
                // It was over its time; here it is again, perhaps with another body.
                restore(db, known.event, envelope, event)?;
            }
            *requeued = true;
        }
    }
    let delivered = known.status == Status::Delivered && !conflict;
    Ok(Taken::Duplicate {
        delivered,
        known_until: delivered.then(|| prune::known_until(config, known.event)),
    })
}

/// Stores a new event, its deliveries in this state. Its number and the one before, or `None` when its key is
/// there already.
pub(super) fn insert(
    db: &impl Database,
    config: &Webhook,
    envelope: &Envelope,
    event: &NewEvent,
    now: Timestamp,
    last: &Cell<Sequence>,
    state: State,
) -> Result<Option<(Sequence, Sequence)>, MailboxError> {
    let places = places(envelope, event)?;
    insert_at(db, config, places, event, now, last, state)
}

/// [`insert`], its payload in these places. One statement unless that is large.
fn insert_at(
    db: &impl Database,
    config: &Webhook,
    (here, there): (Columns, Option<Columns>),
    event: &NewEvent,
    now: Timestamp,
    last: &Cell<Sequence>,
    state: State,
) -> Result<Option<(Sequence, Sequence)>, MailboxError> {
    let before = last.get();
    let number = Sequence::next(before, now);
    last.set(number);
    let deliveries = Deliveries::to(&config.destinations, state);
    // The key alone may be in the way. A number that is would be an error, not a
    // duplicate: an event must not be dropped for it.
    let inserted = db.run(
        "INSERT INTO events (seq, fresh, status, test, conflicts, key, body_sha256, name,
             object_id, summary, deliveries, envelope, body)
         VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (key) WHERE test = 0 DO NOTHING RETURNING seq",
        &[
            sql::sequence(number),
            sql::flag(deliveries.is_fresh()),
            sql::text(sql::status(deliveries.status())),
            sql::flag(event.test),
            sql::blob(&event.key),
            sql::blob(&event.body_sha256),
            sql::optional_text(clipped(event.name.as_ref()).as_deref()),
            sql::optional_text(clipped(event.object_id.as_ref()).as_deref()),
            sql::json(&clipped_summary(&event.summary))?,
            sql::json(&deliveries)?,
            here.0,
            here.1,
        ],
    )?;
    if inserted.is_empty() {
        last.set(before);
        return Ok(None);
    }
    if let Some(payload) = there {
        insert_payload(db, number, payload)?;
    }
    Ok(Some((number, before)))
}

/// An envelope and a body, or NULLs.
type Columns = (Value, Value);

/// A payload as it stands in the event's row, and in `payloads` when it is large.
fn places(
    envelope: &Envelope,
    event: &NewEvent,
) -> Result<(Columns, Option<Columns>), MailboxError> {
    let envelope = sql::json(&changed(envelope, &event.header_changes))?;
    let body = sql::blob(&event.body);
    let envelope_bytes = match &envelope {
        Value::Text(json) => json.len(),
        _ => 0,
    };
    let inline = envelope_bytes.saturating_add(event.body.len()) <= INLINE_BYTES;
    Ok(if inline {
        ((envelope, body), None)
    } else {
        ((Value::Null, Value::Null), Some((envelope, body)))
    })
}

fn insert_payload(
    db: &impl Database,
    event: Sequence,
    (envelope, body): Columns,
) -> Result<(), MailboxError> {
    db.run(
        "INSERT INTO payloads (seq, envelope, body) VALUES (?, ?, ?)",
        &[sql::sequence(event), envelope, body],
    )?;
    Ok(())
}

/// Gives an event its payload again, as it comes now: what is said of a body (its hash,
/// names, summary) follows the body that will be relayed, so that its next repeat is no
/// conflict.
fn restore(
    db: &impl Database,
    event: Sequence,
    envelope: &Envelope,
    again: &NewEvent,
) -> Result<(), MailboxError> {
    let (here, there) = places(envelope, again)?;
    db.run(
        "UPDATE events SET body_sha256 = ?, name = ?, object_id = ?, summary = ?,
             envelope = ?, body = ? WHERE seq = ?",
        &[
            sql::blob(&again.body_sha256),
            sql::optional_text(clipped(again.name.as_ref()).as_deref()),
            sql::optional_text(clipped(again.object_id.as_ref()).as_deref()),
            sql::json(&clipped_summary(&again.summary))?,
            here.0,
            here.1,
            sql::sequence(event),
        ],
    )?;
    if let Some(payload) = there {
        insert_payload(db, event, payload)?;
    }
    prune::prune_again_from(db, event)
}

fn changed(envelope: &Envelope, changes: &[(String, Option<String>)]) -> Envelope {
    let mut envelope = envelope.clone();
    for (name, value) in changes {
        match value {
            Some(value) => envelope.headers.set(name, value.as_str()),
            None => envelope.headers.remove(name),
        }
    }
    envelope
}

fn clipped(text: Option<&String>) -> Option<String> {
    text.map(|text| {
        let mut text = text.clone();
        clip(&mut text, TEXT_BYTES);
        text
    })
}

fn clipped_summary(summary: &Summary) -> Summary {
    Summary {
        bank: clipped(summary.bank.as_ref()),
        account: clipped(summary.account.as_ref()),
        direction: summary.direction,
        amount: clipped(summary.amount.as_ref()),
        transaction_id: clipped(summary.transaction_id.as_ref()),
        description: clipped(summary.description.as_ref()),
        occurred_at: clipped(summary.occurred_at.as_ref()),
        payer: clipped(summary.payer.as_ref()),
        payer_account: clipped(summary.payer_account.as_ref()),
        currency: clipped(summary.currency.as_ref()),
    }
}
