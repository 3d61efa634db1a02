//! The provider's proof on an attempt: as it came, or made anew, and the message that
//! the station signs beside the provider where that signs after the Standard Webhooks
//! specification itself.

use super::Message;
use crate::{
    delivery::StoredEvent,
    headers::Headers,
    providers::{self, Renewal, StandardMessage},
    time::Timestamp,
    webhook::{Destination, Resign, Webhook},
};
use std::borrow::Cow;

/// The request's header fields with the provider's proof in them.
pub(super) struct Proof<'a> {
    provider: &'a str,
    pub(super) headers: Cow<'a, Headers>,
    /// It is sent along and, as far as the station knows, in time.
    counts: bool,
}

/// The proof of `event` as it goes to `destination`. `body` are the bytes that are
/// relayed.
pub(super) fn of<'a>(
    webhook: &'a Webhook,
    destination: &Destination,
    event: &'a StoredEvent,
    body: &[u8],
    now: Timestamp,
) -> Proof<'a> {
    let envelope = &event.envelope;
    let mut proof = Proof {
        provider: &webhook.provider,
        headers: Cow::Borrowed(&envelope.headers),
        counts: destination.forward_credentials,
    };
    if !proof.counts || destination.resign == Resign::Never {
        return proof;
    }
    match providers::renew(webhook, envelope, event.id.sequence.at(), body, now) {
        Renewal::AsItCame => {}
        Renewal::Stale => proof.counts = false,
        Renewal::Renewed(fields) => {
            let headers = proof.headers.to_mut();
            for (name, value) in fields.iter() {
                headers.set(name, value);
            }
        }
    }
    proof
}

impl Proof<'_> {
    fn standard_message(&self) -> Option<StandardMessage<'_>> {
        providers::find(self.provider)?.standard_message(&self.headers)
    }

    /// Whether the provider itself signs after the Standard Webhooks specification.
    pub(super) fn is_standard(&self) -> bool {
        self.standard_message().is_some()
    }

    /// The message that the station signs: the provider's, under the provider's id and
    /// with its signatures, where there is one; else the event.
    pub(super) fn message(&self, event: &str, now: Timestamp) -> Message {
        match self.standard_message() {
            None => Message::new(event, now),
            // A time that is over would end the station's signature, too.
            Some(theirs) if !self.counts => Message::new(theirs.id, now),
            Some(theirs) => Message {
                id: theirs.id.to_owned(),
                timestamp: theirs.timestamp.to_owned(),
                signatures: theirs
                    .signature
                    // A repeated field is joined by a comma.
                    .split_ascii_whitespace()
                    .map(|one| one.trim_end_matches(','))
                    .collect::<Vec<_>>()
                    .join(" "),
            },
        }
    }
}
