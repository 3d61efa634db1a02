//! What the Worker and its objects say to each other. Declared once for caller
//! and callee.
//!
//! A message is a version byte, then [MessagePack](https://msgpack.org) with named
//! fields: a deploy lets yesterday's Worker talk to today's object for some minutes, so
//! a new field has `#[serde(default)]`, and an unknown one is passed over. A message of
//! an unknown version is not understood: the sender hears 503 and tries again. A webhook
//! travels as the JSON that is stored.

use crate::{
    event::{DedupeKey, Envelope, NewEvent, Summary},
    ids::{DestinationId, EventId, JobId, Sequence, WebhookId},
    mailbox::{
        jobs::{JobKind, Progress},
        stats::{Stats, Tally},
        view::EventQuery,
    },
    refusals::Refused,
    time::Timestamp,
    webhook::Webhook,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::Cursor;

/// First byte of a message.
const VERSION: u8 = 2;
/// First byte of what was stored with [postcard](https://postcard.jamesmunns.com/wire-format).
const POSITIONAL: u8 = 1;

/// A message could not be written, or is not one of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a message of this version")]
pub struct NotUnderstood;

/// A message as bytes.
///
/// # Errors
/// When it cannot be written.
pub fn to_bytes<T: Serialize>(message: &T) -> Result<Vec<u8>, NotUnderstood> {
    let mut bytes = vec![VERSION];
    rmp_serde::encode::write_named(&mut bytes, message).map_err(|_| NotUnderstood)?;
    Ok(bytes)
}

/// Reads [`to_bytes`].
///
/// # Errors
/// When the bytes are of another version, another message, or cut short.
pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, NotUnderstood> {
    let Some((&VERSION, named)) = bytes.split_first() else {
        return Err(NotUnderstood);
    };
    let mut from = rmp_serde::Deserializer::new(Cursor::new(named));
    let message = T::deserialize(&mut from).map_err(|_| NotUnderstood)?;
    let is_whole = usize::try_from(from.position()) == Ok(named.len());
    is_whole.then_some(message).ok_or(NotUnderstood)
}

/// Reads a message that was stored, perhaps before fields were named: what was written
/// by position is understood as long as its type has not changed since.
///
/// # Errors
/// As for [`from_bytes`].
pub(crate) fn from_stored<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, NotUnderstood> {
    match bytes.split_first() {
        Some((&POSITIONAL, positional)) => match postcard::take_from_bytes(positional) {
            Ok((message, [])) => Ok(message),
            _ => Err(NotUnderstood),
        },
        _ => from_bytes(bytes),
    }
}

/// Configuration within a message: the JSON that is stored, which is understood
/// whatever fields it lacks.
mod as_json {
    use crate::own_json;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, de::DeserializeOwned, ser};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let json = own_json::write(value).map_err(|_| ser::Error::custom("not JSON"))?;
        to.serialize_str(&json)
    }

    pub(super) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        let json = String::deserialize(from)?;
        // The parser's own words could repeat a secret.
        own_json::read(&json).map_err(|_| de::Error::custom("not JSON"))
    }
}

/// The events of one request, for one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    /// The configuration that the sender was proven with.
    pub config_version: u64,
    /// Method, query and headers of the request.
    pub envelope: Envelope,
    /// The events, in the order they stood.
    pub events: Vec<NewEvent>,
}

/// An accept but for keys, hashes and bodies, which follow it as bytes.
#[derive(Serialize, Deserialize)]
struct Manifest {
    config_version: u64,
    envelope: Envelope,
    events: Vec<ManifestEvent>,
}

#[derive(Serialize, Deserialize)]
struct ManifestEvent {
    name: Option<String>,
    object_id: Option<String>,
    summary: Summary,
    test: bool,
    body_bytes: u32,
    header_changes: Vec<(String, Option<String>)>,
}

impl Accept {
    /// As bytes: the [frame](push_frame) of the manifest, then for each event its key,
    /// its body's hash and its body.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NotUnderstood> {
        let manifest = to_bytes(&Manifest {
            config_version: self.config_version,
            envelope: self.envelope.clone(),
            events: self
                .events
                .iter()
                .map(ManifestEvent::of)
                .collect::<Result<_, _>>()?,
        })?;
        let mut bytes = Vec::new();
        push_frame(&mut bytes, &manifest)?;
        for event in &self.events {
            bytes.extend(event.key);
            bytes.extend(event.body_sha256);
            bytes.extend(&event.body);
        }
        Ok(bytes)
    }

    /// Reads [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// When the bytes are of another version or cut short.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotUnderstood> {
        Self::read(bytes).ok_or(NotUnderstood)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (manifest, mut rest) = split_frame(bytes).ok()?;
        let manifest: Manifest = from_bytes(manifest).ok()?;
        let mut events = Vec::with_capacity(manifest.events.len());
        for event in manifest.events {
            let (key, after) = rest.split_first_chunk::<32>()?;
            let (hash, after) = after.split_first_chunk::<32>()?;
            let (body, after) = after.split_at_checked(usize::try_from(event.body_bytes).ok()?)?;
            rest = after;
            events.push(NewEvent {
                key: *key,
                body_sha256: *hash,
                name: event.name,
                object_id: event.object_id,
                summary: event.summary,
                test: event.test,
                body: body.to_vec(),
                header_changes: event.header_changes,
            });
        }
        rest.is_empty().then_some(Self {
            config_version: manifest.config_version,
            envelope: manifest.envelope,
            events,
        })
    }
}

impl ManifestEvent {
    fn of(event: &NewEvent) -> Result<Self, NotUnderstood> {
        Ok(Self {
            name: event.name.clone(),
            object_id: event.object_id.clone(),
            summary: event.summary.clone(),
            test: event.test,
            body_bytes: u32::try_from(event.body.len()).map_err(|_| NotUnderstood)?,
            header_changes: event.header_changes.clone(),
        })
    }
}

/// Adds a message to a message of many: its length in 4 bytes, little-endian, and itself.
/// The other half of this is written in JavaScript, beside the Worker's calls.
///
/// # Errors
/// When it is longer than can be said.
pub fn push_frame(to: &mut Vec<u8>, message: &[u8]) -> Result<(), NotUnderstood> {
    let length = u32::try_from(message.len()).map_err(|_| NotUnderstood)?;
    to.extend(length.to_le_bytes());
    to.extend(message);
    Ok(())
}

/// Reads what [`push_frame`] has made.
///
/// # Errors
/// When it is cut short.
pub fn frames(mut bytes: &[u8]) -> Result<Vec<&[u8]>, NotUnderstood> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let (message, rest) = split_frame(bytes)?;
        messages.push(message);
        bytes = rest;
    }
    Ok(messages)
}

/// The first message of many, and the bytes behind it.
fn split_frame(bytes: &[u8]) -> Result<(&[u8], &[u8]), NotUnderstood> {
    let (length, rest) = bytes.split_first_chunk().ok_or(NotUnderstood)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| NotUnderstood)?;
    rest.split_at_checked(length).ok_or(NotUnderstood)
}

/// What a Mailbox says to an [`Accept`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AcceptReply {
    /// The sender was proven with an older configuration than the Mailbox knows, or the
    /// webhook was deleted since: load this version from the Registry and prove again.
    Stale {
        /// The version the Mailbox has.
        version: u64,
    },
    /// The Mailbox knows no configuration, an older one than the accept's, or one
    /// without the provider's secrets: configure it, then send the accept again.
    Unconfigured,
    /// The webhook was deleted, it is not known as which version.
    Gone,
    /// Everything is stored, durably.
    Taken(Vec<Taken>),
}

/// What became of one event of an accept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Taken {
    /// New: stored and on its way.
    New(EventId),
    /// A test call: stored and on its way; `None` when an identical one was relayed
    /// within 5 seconds.
    Test(Option<EventId>),
    /// Seen before.
    Duplicate {
        /// Every delivery of it has been taken and this is no conflict, so a marker
        /// in KV may answer further ones with the same body.
        delivered: bool,
        /// Until when the Mailbox knows the event, by its configuration of today: a
        /// marker must not outlive that. Said where `delivered` is; a Mailbox of an
        /// earlier release never says it, and then there is no marker.
        #[serde(default)]
        known_until: Option<Timestamp>,
    },
}

/// What the Worker or the Registry asks of a Mailbox, besides an accept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum MailboxRequest {
    /// A new version of the webhook; an older one than known is ignored.
    Configure {
        /// The configuration with all its secrets: the Mailbox signs.
        #[serde(with = "as_json")]
        webhook: Box<Webhook>,
        /// Which shard this Mailbox is.
        shard: u8,
    },
    /// The webhook was deleted: cancel, forget, stay gone unless a later version comes.
    Retire {
        /// The webhook.
        webhook: WebhookId,
        /// The version that it was deleted as; a Registry of yesterday does not say.
        #[serde(default)]
        version: u64,
    },
    /// A page of events.
    List(EventQuery),
    /// One event, whole.
    Get(Sequence),
    /// Deliver again, whatever its state.
    Resend {
        /// The event.
        sequence: Sequence,
        /// Only to this destination; all of them when absent.
        destination: Option<DestinationId>,
    },
    /// Keep these refused requests, in the order they came.
    Refused(Vec<Refused>),
    /// The refused requests that are kept.
    Refusals,
    /// End every delivery of an event that is pending.
    Cancel(Sequence),
    /// Forget an event, and that it was ever seen.
    Delete(Sequence),
    /// Somebody comes by: a lost alarm is set again, and what is over its time is
    /// pruned.
    Visit,
    /// Do this to all events that match, or say how far it is.
    Job {
        /// The job.
        id: JobId,
        /// What is done.
        kind: JobKind,
        /// To which events.
        query: EventQuery,
    },
    /// Its figures.
    Stats,
    /// Add to what was counted of requests that left no event.
    Tally(Tally),
    /// What a trial's attempts came to.
    EndTrial {
        /// The event.
        sequence: Sequence,
        /// What `mailbox::trial::report` wrote.
        report: String,
        /// The destinations that have shown that they live: what waits for them is
        /// released.
        #[serde(default)]
        answered: Vec<DestinationId>,
    },
    /// Probe these destinations at once, where they are down: they may be back.
    Probe(Vec<DestinationId>),
}

/// What a Mailbox answers to a [`MailboxRequest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum MailboxReply {
    /// Done.
    Done,
    /// What yesterday's Mailbox calls a [`Page`](Self::Page): full unless it is the last.
    Events(ShownEvents),
    /// One event: the JSON that it is shown as.
    Event(String),
    /// How many deliveries were queued.
    Queued(u32),
    /// There is no such event (or destination).
    NotFound,
    /// The refused requests that are kept: the body of the API's answer.
    Refusals(String),
    /// The Mailbox knows no configuration, or one without the provider's secrets:
    /// configure it, then ask again.
    Unconfigured,
    /// It was deleted.
    Deleted {
        /// The JSON that it is shown as.
        event: String,
        /// Its key: a marker in KV goes by it.
        key: DedupeKey,
    },
    /// There is nothing to send again: the payload is not kept any more.
    PayloadGone,
    /// When to come by again (Unix milliseconds); `None` when there is no need.
    VisitAt(Option<i64>),
    /// How far a job is in this shard.
    Job(Progress),
    /// Its figures.
    Stats(Stats),
    /// A page, which may end before it is full.
    Page(ShownEvents),
}

/// A page of one Mailbox's events, newest first. What is shown of each is written
/// by the Mailbox and passed on as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownEvents {
    /// The events, each the JSON that it is shown as, with their ids, by which pages
    /// are merged.
    pub data: Vec<(EventId, String)>,
    /// Where the next page begins, when there may be more: give it as `before`. All that
    /// match from here on are in `data`.
    pub next: Option<EventId>,
}

/// What the Worker asks of the Registry.
#[derive(Serialize, Deserialize)]
pub enum RegistryRequest {
    /// One webhook with its secrets, for receiving.
    Load(WebhookId),
    /// Create from the operator's JSON.
    Create(Write),
    /// All webhooks, newest first, a page at a time.
    List {
        /// 1 to 100.
        per_page: u32,
        /// Where the page before ended.
        cursor: Option<String>,
    },
    /// One webhook, for showing.
    Get(WebhookId),
    /// Change just the fields that are sent.
    Update(WebhookId, Write),
    /// Switch on or off.
    Toggle(WebhookId),
    /// Delete one.
    Delete(WebhookId),
    /// Delete all with this destination URL.
    DeleteByUrl(String),
    /// Hold relaying, or go on with it.
    Pause(WebhookId, bool),
    /// Something has come to a Mailbox: it is to be visited.
    Note {
        /// Its webhook.
        webhook: WebhookId,
        /// Which shard.
        shard: u8,
    },
    /// Visit all that is to be visited.
    MakeRound,
    /// A new signing secret, with the operator's JSON about it.
    RotateSecret(WebhookId, String),
    /// One webhook for receiving, as [`Load`](Self::Load), for one of whose Mailboxes an
    /// older version than it knows was not good enough. Where the Registry has no such
    /// version either, it gives what it has a later one, and tells all Mailboxes.
    LoadNewer {
        /// The webhook.
        webhook: WebhookId,
        /// The version that the Mailbox knows.
        than: u64,
    },
    /// Shards from a place on, of one webhook or of all.
    Shards {
        /// Of which webhook.
        webhook: Option<WebhookId>,
        /// From where on.
        from: ShardPlace,
    },
    /// Which of these shards there are.
    Known(Vec<(WebhookId, u8)>),
    /// The figures that all shards, or those of one webhook, have told; some of them are
    /// asked anew.
    Figures(Option<WebhookId>),
    /// Begin a job over all Mailboxes that may have an event that matches.
    BeginJob {
        /// What is done.
        kind: JobKind,
        /// To which events.
        query: EventQuery,
    },
    /// How far a job is.
    Job(JobId),
}

/// A place in the row of all shards: webhooks from the newest, and of each its shards
/// from the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardPlace {
    /// The webhook's number, which grows with every creation.
    pub webhook: i64,
    /// The shard.
    pub shard: u8,
}

impl ShardPlace {
    /// Where the row begins.
    pub const FIRST: Self = Self {
        webhook: (1 << 53) - 1,
        shard: 0,
    };
}

/// How far a job is over all Mailboxes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReply {
    /// The job.
    pub id: JobId,
    /// What is done.
    pub kind: JobKind,
    /// How far it is.
    pub progress: Progress,
    /// Shards in which it was given up, as they did not get on for a day.
    #[serde(default)]
    pub failed: Vec<(WebhookId, u8)>,
}

impl JobReply {
    /// The body of the API's answer.
    #[must_use]
    pub fn to_json(&self) -> String {
        let Progress {
            matched,
            queued,
            done,
        } = self.progress;
        // Ids are letters and digits: nothing to escape.
        let id = self.id;
        let (kind, queued, resend_id) = match self.kind {
            // `resend_id` is what `job_id` was called before.
            JobKind::Resend => (
                "resend",
                format!(r#""queued":{queued},"#),
                format!(r#","resend_id":"{id}""#),
            ),
            JobKind::Cancel => ("cancel", String::new(), String::new()),
            JobKind::Delete => ("delete", String::new(), String::new()),
        };
        let failed: Vec<String> = self
            .failed
            .iter()
            .map(|(webhook, shard)| format!(r#"{{"webhook_id":"{webhook}","shard":{shard}}}"#))
            .collect();
        let failed = if failed.is_empty() {
            String::new()
        } else {
            format!(r#","failed_shards":[{}]"#, failed.join(","))
        };
        format!(
            r#"{{"job_id":"{id}","kind":"{kind}","matched":{matched},{queued}"done":{done}{resend_id}{failed}}}"#
        )
    }
}

/// An operator's JSON and where it came in.
#[derive(Clone, Serialize, Deserialize)]
pub struct Write {
    /// The body as it was sent.
    pub body: String,
    /// Rules of the station that the request came to.
    pub station: crate::destination_url::Station,
}

/// What the Registry answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum RegistryReply {
    /// A webhook. Secrets are whole: the Worker shows them masked, but for those
    /// named in `reveal`.
    Webhook {
        /// The webhook as stored.
        #[serde(with = "as_json")]
        webhook: Box<Webhook>,
        /// What is shown in full this once.
        reveal: Reveal,
        /// What the operator should know.
        warnings: Vec<String>,
    },
    /// A page.
    Webhooks {
        /// The webhooks, newest first.
        #[serde(with = "as_json")]
        webhooks: Vec<Webhook>,
        /// Where the next page begins.
        next_cursor: Option<String>,
    },
    /// These were deleted.
    Deleted(#[serde(with = "as_json")] Vec<Webhook>),
    /// There is no such webhook.
    NotFound,
    /// What was sent cannot be accepted.
    Invalid(Vec<Mistake>),
    /// Done.
    Done,
    /// Shards, as many as one request may ask.
    Shards {
        /// These.
        shards: Vec<(WebhookId, u8)>,
        /// Where to go on, when there are more.
        next: Option<ShardPlace>,
    },
    /// The figures.
    Figures(Stats),
    /// A job.
    Job(JobReply),
    /// Too many jobs are under way.
    TooMany,
}

/// The most secrets of one webhook, while its provider rotates them.
pub const MOST_SECRETS: usize = 3;

/// Which secrets an answer shows in full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reveal {
    /// Each of the secrets shared with the provider, in their order: only one that this
    /// request brought in full, or that was made for it.
    #[serde(default)]
    pub secrets: [bool; MOST_SECRETS],
    /// The secret Trạm signs with.
    pub signing_secret: bool,
}

/// [`FieldError`](crate::problem::FieldError), as it crosses between objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mistake {
    /// JSON pointer.
    pub pointer: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

/// Which shard an event belongs to: decided by its key, so that duplicates meet.
#[must_use]
pub fn shard_of(key: &DedupeKey, shards: u8) -> u8 {
    let (first, _) = key.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    let spread = u64::from_be_bytes(*first)
        .checked_rem(u64::from(shards))
        .unwrap_or(0);
    u8::try_from(spread).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn accept() -> Accept {
        Accept {
            config_version: 3,
            envelope: Envelope {
                method: "POST".into(),
                query: "a=1".into(),
                headers: [("Secure-Token", "x")].into_iter().collect(),
            },
            events: vec![
                NewEvent {
                    key: [1; 32],
                    body_sha256: [2; 32],
                    name: None,
                    object_id: Some("9".into()),
                    summary: Summary {
                        amount: Some("200500".into()),
                        ..Summary::default()
                    },
                    test: false,
                    body: vec![0, 255, 10],
                    header_changes: vec![("digest".into(), None)],
                },
                NewEvent {
                    key: [3; 32],
                    body_sha256: [4; 32],
                    name: Some("push".into()),
                    object_id: None,
                    summary: Summary::default(),
                    test: true,
                    body: vec![],
                    header_changes: vec![],
                },
            ],
        }
    }

    #[test]
    fn an_accept_survives_the_wire() {
        assert_eq!(
            Accept::from_bytes(&accept().to_bytes().unwrap()),
            Ok(accept())
        );
    }

    /// A message as JSON, to be read by people.
    fn spoken(bytes: &[u8]) -> Value {
        assert_eq!(bytes[0], VERSION);
        rmp_serde::from_slice(&bytes[1..]).unwrap()
    }

    #[test]
    fn the_wire_format_is_unchanged() {
        let bytes = accept().to_bytes().unwrap();
        let (manifest, rest) = split_frame(&bytes).unwrap();
        assert_eq!(
            spoken(manifest),
            json!({
                "config_version": 3,
                "envelope": {"method": "POST", "query": "a=1", "headers": [["secure-token", "x"]]},
                "events": [
                    {
                        "name": null, "object_id": "9", "test": false, "body_bytes": 3,
                        "summary": {
                            "bank": null, "account": null, "direction": null, "amount": "200500",
                            "transaction_id": null, "description": null, "occurred_at": null,
                            "payer": null, "currency": null, "payer_account": null
                        },
                        "header_changes": [["digest", null]]
                    },
                    {
                        "name": "push", "object_id": null, "test": true, "body_bytes": 0,
                        "summary": {
                            "bank": null, "account": null, "direction": null, "amount": null,
                            "transaction_id": null, "description": null, "occurred_at": null,
                            "payer": null, "currency": null, "payer_account": null
                        },
                        "header_changes": []
                    }
                ]
            })
        );
        let first = [[1_u8; 32].as_slice(), &[2; 32], &[0, 255, 10]].concat();
        let second = [[3_u8; 32], [4; 32]].concat();
        assert_eq!(rest, [first, second].concat());

        let id = EventId {
            sequence: Sequence::from_number(7).unwrap(),
            webhook: WebhookId::from_random([1; 16]),
            shard: 2,
        };
        let pinned = |message: Result<Vec<u8>, NotUnderstood>, expected: Value| {
            assert_eq!(spoken(&message.unwrap()), expected);
        };
        pinned(
            to_bytes(&AcceptReply::Stale { version: 300 }),
            json!({"Stale": {"version": 300}}),
        );
        pinned(to_bytes(&AcceptReply::Unconfigured), json!("Unconfigured"));
        pinned(to_bytes(&AcceptReply::Gone), json!("Gone"));
        pinned(
            to_bytes(&AcceptReply::Taken(vec![
                Taken::New(id),
                Taken::Test(None),
                Taken::Duplicate {
                    delivered: true,
                    known_until: Some(Timestamp::from_millis(5)),
                },
            ])),
            json!({"Taken": [
                {"New": spoken(&to_bytes(&id).unwrap())},
                {"Test": null},
                {"Duplicate": {"delivered": true, "known_until": 5}}
            ]}),
        );
        pinned(to_bytes(&MailboxReply::Queued(2)), json!({"Queued": 2}));
        // Not the same: yesterday's Worker does not know that a page may end before it is
        // full, and must not take it for a full one.
        let page = ShownEvents::default();
        pinned(
            to_bytes(&MailboxReply::Events(page.clone())),
            json!({"Events": {"data": [], "next": null}}),
        );
        pinned(
            to_bytes(&MailboxReply::Page(page)),
            json!({"Page": {"data": [], "next": null}}),
        );
        pinned(
            to_bytes(&MailboxRequest::Refused(vec![refused()])),
            json!({"Refused": [{"at": 1_795_158_000_123_i64, "json": "{}"}]}),
        );
        pinned(to_bytes(&RegistryReply::NotFound), json!("NotFound"));
    }

    fn refused() -> Refused {
        Refused {
            at: crate::time::Timestamp::from_millis(1_795_158_000_123),
            json: "{}".into(),
        }
    }

    #[test]
    fn what_was_stored_by_position_is_read() {
        let stored = hex::decode("0101f6878afcbe68027b7d").unwrap();
        assert_eq!(from_stored(&stored), Ok(vec![refused()]));
    }

    #[test]
    fn a_field_that_is_not_known_is_passed_over() {
        let newer = json!({"Stale": {"version": 3, "since": "yesterday", "more": [{}]}});
        assert_eq!(
            from_bytes(&to_bytes(&newer).unwrap()),
            Ok(AcceptReply::Stale { version: 3 })
        );
    }

    #[test]
    fn messages_in_one_are_framed_as_the_worker_s_script_frames_them() {
        let mut bytes = Vec::new();
        push_frame(&mut bytes, &[7; 258]).unwrap();
        push_frame(&mut bytes, &[]).unwrap();
        let pinned = "02010000".to_owned() + &"07".repeat(258) + "00000000";
        assert_eq!(hex::encode(&bytes), pinned);
        for cut in [1, 3, 4, 261, 263, 265] {
            assert_eq!(frames(&bytes[..cut]), Err(NotUnderstood), "{cut}");
        }
        assert_eq!(frames(&[]), Ok(vec![]));
    }

    #[test]
    fn a_webhook_travels_as_its_stored_json() {
        let webhook = Box::new(crate::testing::samples::webhook(1));
        let request = MailboxRequest::Configure {
            webhook: webhook.clone(),
            shard: 3,
        };
        let bytes = to_bytes(&request).unwrap();
        let json = serde_json::to_string(&webhook).unwrap();
        assert_eq!(
            spoken(&bytes),
            json!({"Configure": {"webhook": json, "shard": 3}})
        );
        match from_bytes(&bytes).unwrap() {
            MailboxRequest::Configure {
                webhook: read,
                shard: 3,
            } => assert_eq!(read, webhook),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn another_version_is_not_understood() {
        let mut bytes = to_bytes(&AcceptReply::Gone).unwrap();
        assert_eq!(from_bytes(&bytes), Ok(AcceptReply::Gone));
        bytes[0] = 3;
        assert_eq!(from_bytes::<AcceptReply>(&bytes), Err(NotUnderstood));
        bytes = to_bytes(&AcceptReply::Gone).unwrap();
        bytes.push(0);
        assert_eq!(from_bytes::<AcceptReply>(&bytes), Err(NotUnderstood));
        assert_eq!(from_bytes::<AcceptReply>(&[]), Err(NotUnderstood));
    }

    proptest! {
        #[test]
        fn cut_or_altered_bytes_never_panic(at in 0_usize..900, byte: u8) {
            let mut bytes = accept().to_bytes().unwrap();
            let cut = at.min(bytes.len());
            prop_assert_eq!(Accept::from_bytes(&bytes[..cut]).is_ok(), cut == bytes.len());
            if let Some(target) = bytes.get_mut(at) { *target = byte; }
            let _ = Accept::from_bytes(&bytes);
        }

        #[test]
        fn messages_in_one_are_the_same_again(messages: Vec<Vec<u8>>, at: usize) {
            let mut bytes = Vec::new();
            for message in &messages {
                push_frame(&mut bytes, message).unwrap();
            }
            prop_assert_eq!(frames(&bytes).unwrap(), messages.clone());
            // Cut short, there are fewer, whole ones, or it is not understood.
            let cut = at.checked_rem(bytes.len()).unwrap_or(0);
            if let Ok(fewer) = frames(&bytes[..cut]) {
                prop_assert!(fewer.len() < messages.len() || bytes.is_empty());
                prop_assert_eq!(&fewer[..], &messages[..fewer.len()]);
            }
        }

        #[test]
        fn frames_of_anything_never_panic(bytes: Vec<u8>) {
            if let Ok(messages) = frames(&bytes) {
                let mut again = Vec::new();
                for message in messages {
                    push_frame(&mut again, message).unwrap();
                }
                prop_assert_eq!(again, bytes);
            }
        }

        #[test]
        fn a_shard_is_within_bounds(key: [u8; 32], shards in 0_u8..=64) {
            prop_assert!(shard_of(&key, shards) < shards.max(1));
        }
    }
}
