//! What the Worker and its objects say to each other. Declared once for caller
//! and callee; versioned, since a deploy lets yesterday's Worker talk to today's
//! object for a moment. The shapes are pinned by tests.
//!
//! An accept travels as bytes, everything else as JSON.

use crate::{
    event::{DedupeKey, Envelope, NewEvent, Summary},
    ids::{DestinationId, EventId, Sequence, WebhookId},
    mailbox::view::EventQuery,
    webhook::Webhook,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// First byte of an accept; grows when its shape changes.
const ACCEPT_VERSION: u8 = 1;

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

/// Why bytes are not an [`Accept`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an accept of a known version")]
pub struct NotAnAccept;

/// The part of an accept that is JSON; bodies follow it as bytes.
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
    #[serde(default)]
    header_changes: Vec<(String, Option<String>)>,
}

impl Accept {
    /// As bytes: version, length of the manifest, manifest, then for each event its
    /// key, its body's hash and its body.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let manifest = Manifest {
            config_version: self.config_version,
            envelope: self.envelope.clone(),
            events: self
                .events
                .iter()
                .map(|event| ManifestEvent {
                    name: event.name.clone(),
                    object_id: event.object_id.clone(),
                    summary: event.summary.clone(),
                    test: event.test,
                    body_bytes: u32::try_from(event.body.len()).unwrap_or(u32::MAX),
                    header_changes: event.header_changes.clone(),
                })
                .collect(),
        };
        let manifest = serde_json::to_vec(&manifest).unwrap_or_default();
        let bodies: usize = self
            .events
            .iter()
            .map(|event| event.body.len().saturating_add(64))
            .sum();
        let mut bytes = Vec::with_capacity(bodies.saturating_add(manifest.len()).saturating_add(5));
        bytes.push(ACCEPT_VERSION);
        bytes.extend(
            u32::try_from(manifest.len())
                .unwrap_or(u32::MAX)
                .to_le_bytes(),
        );
        bytes.extend(manifest);
        for event in &self.events {
            bytes.extend(event.key);
            bytes.extend(event.body_sha256);
            bytes.extend(&event.body);
        }
        bytes
    }

    /// Reads [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// When the bytes are of another version or cut short.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAnAccept> {
        Self::read(bytes).ok_or(NotAnAccept)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        if *version != ACCEPT_VERSION {
            return None;
        }
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (manifest, mut rest) = rest.split_at_checked(length)?;
        let manifest: Manifest = serde_json::from_slice(manifest).ok()?;
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

/// What a Mailbox says to an [`Accept`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcceptReply {
    /// The sender was proven with an older configuration than the Mailbox knows:
    /// load this version from the Registry and prove again.
    Stale {
        /// The version the Mailbox has.
        version: u64,
    },
    /// The Mailbox knows no configuration, or an older one than the accept's:
    /// configure it, then send the accept again.
    Unconfigured,
    /// The webhook was deleted.
    Gone,
    /// Everything is stored, durably.
    Taken(Vec<Taken>),
}

/// What became of one event of an accept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// New: stored and on its way.
    New(EventId),
    /// A test call: stored and on its way; `None` when an identical one was relayed
    /// within 5 seconds.
    Test(Option<EventId>),
    /// Seen before.
    Duplicate {
        /// Every delivery of it has been taken, so a marker in KV may answer
        /// further ones.
        delivered: bool,
    },
}

/// What the Worker or the Registry asks of a Mailbox, besides an accept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailboxRequest {
    /// A new version of the webhook; an older one than known is ignored.
    Configure {
        /// The configuration, without the provider's secrets.
        webhook: Box<Webhook>,
        /// Which shard this Mailbox is.
        shard: u8,
    },
    /// The webhook was deleted: cancel, forget, stay gone.
    Retire {
        /// The webhook.
        webhook: WebhookId,
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
}

/// What a Mailbox answers to a [`MailboxRequest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailboxReply {
    /// Done.
    Done,
    /// A page.
    Events(ShownEvents),
    /// One event, as it is shown.
    Event(Box<RawValue>),
    /// How many deliveries were queued.
    Queued(u32),
    /// There is no such event (or destination).
    NotFound,
}

/// A page of one Mailbox's events, newest first. What is shown of each is written
/// by the Mailbox and passed on as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ShownEvents {
    /// The events with their ids, by which pages are merged.
    pub data: Vec<(EventId, Box<RawValue>)>,
    /// Where the next page begins, when there is more: give it as `before`.
    pub next: Option<EventId>,
}

/// What the Worker asks of the Registry.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
}

/// An operator's JSON and where it came in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Write {
    /// The body as it was sent.
    pub body: String,
    /// Rules of the station that the request came to.
    pub station: crate::destination_url::Station,
}

/// What the Registry answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryReply {
    /// A webhook. Secrets are whole: the Worker shows them masked, but for those
    /// named in `reveal`.
    Webhook {
        /// The webhook as stored.
        webhook: Box<Webhook>,
        /// What is shown in full this once.
        reveal: Reveal,
        /// What the operator should know.
        warnings: Vec<String>,
    },
    /// A page.
    Webhooks {
        /// The webhooks, newest first.
        webhooks: Vec<Webhook>,
        /// Where the next page begins.
        next_cursor: Option<String>,
    },
    /// These were deleted.
    Deleted(Vec<Webhook>),
    /// There is no such webhook.
    NotFound,
    /// What was sent cannot be accepted.
    Invalid(Vec<Mistake>),
    /// It is stored, but some Mailbox could not be told yet; it will be.
    Unsettled,
}

/// Which secrets an answer shows in full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reveal {
    /// The secret shared with the provider.
    pub secret: bool,
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
        assert_eq!(Accept::from_bytes(&accept().to_bytes()), Ok(accept()));
    }

    #[test]
    fn the_wire_format_is_unchanged() {
        let bytes = accept().to_bytes();
        let manifest = r#"{"config_version":3,"envelope":{"method":"POST","query":"a=1","headers":[["secure-token","x"]]},"events":[{"name":null,"object_id":"9","summary":{"bank":null,"account":null,"direction":null,"amount":"200500","transaction_id":null,"description":null,"occurred_at":null},"test":false,"body_bytes":3,"header_changes":[["digest",null]]},{"name":"push","object_id":null,"summary":{"bank":null,"account":null,"direction":null,"amount":null,"transaction_id":null,"description":null,"occurred_at":null},"test":true,"body_bytes":0,"header_changes":[]}]}"#;
        assert_eq!(bytes[0], 1);
        assert_eq!(
            bytes[1..5],
            u32::try_from(manifest.len()).unwrap().to_le_bytes()
        );
        assert_eq!(
            std::str::from_utf8(&bytes[5..5 + manifest.len()]).unwrap(),
            manifest
        );
        assert_eq!(
            bytes[5 + manifest.len()..][..67],
            [[1_u8; 32].as_slice(), &[2; 32], &[0, 255, 10]].concat()
        );
    }

    proptest! {
        #[test]
        fn cut_or_altered_bytes_never_panic(at in 0_usize..700, byte: u8) {
            let mut bytes = accept().to_bytes();
            let cut = at.min(bytes.len());
            prop_assert_eq!(Accept::from_bytes(&bytes[..cut]).is_ok(), cut == bytes.len());
            if let Some(target) = bytes.get_mut(at) { *target = byte; }
            let _ = Accept::from_bytes(&bytes);
        }

        #[test]
        fn a_shard_is_within_bounds(key: [u8; 32], shards in 0_u8..=64) {
            prop_assert!(shard_of(&key, shards) < shards.max(1));
        }
    }
}
