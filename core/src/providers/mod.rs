//! Who sends, how they prove it, what they send and what they want to hear.
//!
//! One provider, one file, the same rooms in each: about, authenticate, split,
//! describe, answer, tests. [`ALL`] is the table. No provider's name appears
//! outside its file and the table.

pub mod settings;

use crate::{
    event::Summary,
    headers::Headers,
    inbound::{Inbound, Refusal},
    secret::Secret,
    time::Timestamp,
    webhook::{Settings, Webhook},
};
use std::time::Duration;

/// What the provider table says of one provider: `GET /api/v1/providers` shows it.
#[derive(Debug)]
pub struct About {
    /// The id that a webhook's `provider` names.
    pub id: &'static str,
    /// The name people know.
    pub name: &'static str,
    /// What to paste where at the provider.
    pub setup: &'static str,
    /// Methods that are taken.
    pub methods: &'static [&'static str],
    /// Settings that it takes, by field name (`answer`, `event_id` and
    /// `event_name` are taken by all and not repeated here).
    pub settings: &'static [&'static str],
    /// Those of them that it cannot do without.
    pub required_settings: &'static [&'static str],
    /// Event names that are known; empty when they are open or there are none.
    pub events: &'static [&'static str],
    /// How long after an event the provider itself may still send it again.
    pub retry_window: Duration,
    /// Default for `tolerance_seconds`; `None` is no limit or no timestamp.
    pub tolerance_seconds: Option<u32>,
    /// Secrets are `whsec_…` (base64 behind the prefix); else any text.
    pub whsec: bool,
    /// Lower-case header fields that carry the credential: relayed to the first
    /// destination and to those with `forward_credentials` only.
    pub credential_headers: &'static [&'static str],
    /// The usual success answer.
    pub answer: SuccessAnswer,
    /// Where this is documented.
    pub documentation: &'static str,
}

/// What the provider wants to hear when all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuccessAnswer {
    /// A 2xx.
    pub status: u16,
    /// `content-type`; empty for none.
    pub content_type: &'static str,
    /// The body.
    pub body: &'static str,
}

/// Where an identity stood, which decides how far it is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// In the authenticated part of the request: the id alone names the event.
    Proven(String),
    /// In an unsigned header: combined with the body's SHA-256, so that a forged id
    /// can neither block another event nor pass for it.
    Unproven(String),
    /// There is no usable id: SHA-256 of the element's bytes names it.
    Bytes,
}

/// What a provider's file reads from one element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What makes it the same event.
    pub identity: Identity,
    /// The event's name or kind.
    pub name: Option<String>,
    /// The id of what it is about.
    pub object_id: Option<String>,
    /// What a list shows.
    pub summary: Summary,
    /// A test call.
    pub test: bool,
}

/// How an authentic body falls into events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Split<'a> {
    /// One event: the body as it came.
    Whole,
    /// An empty batch: a call to see whether anybody answers.
    Ping,
    /// Several elements. Each is relayed inside the envelope as a one-element
    /// array: `before`, the element's bytes, `after`.
    Elements {
        /// The bytes of the body before the first element.
        before: &'a [u8],
        /// The bytes of each element, byte for byte.
        elements: Vec<&'a [u8]>,
        /// The bytes of the body after the last element.
        after: &'a [u8],
    },
}

/// One provider. The defaults fit a provider that sends one event per request.
pub trait Provider: Sync {
    /// Its entry in the table.
    fn about(&self) -> &'static About;

    /// Whether `secret` proves that the provider sent `inbound`. Called once for
    /// each secret by [`authenticate`], which is the only way to an [`Authentic`].
    ///
    /// # Errors
    /// Why it does not.
    fn verify(
        &self,
        inbound: &Inbound,
        secret: &Secret,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<(), Refusal>;

    /// How the (decoded) body falls into events.
    fn split<'a>(&self, _settings: &Settings, _content: &'a [u8]) -> Split<'a> {
        Split::Whole
    }

    /// Reads one element: `content` is the whole body, or the element's bytes
    /// where it was split.
    fn describe(&self, settings: &Settings, inbound: &Inbound, content: &[u8]) -> Facts;

    /// Signs a split body as the provider would, where it signs bodies: header
    /// fields to replace, or `None` to leave all as they came.
    fn resign(
        &self,
        _inbound: &Inbound,
        _secret: &Secret,
        _settings: &Settings,
        _body: &[u8],
    ) -> Option<Headers> {
        None
    }
}

/// All providers, in the order they are listed.
pub static ALL: &[&dyn Provider] = &[];

/// The provider of that id.
#[must_use]
pub fn find(id: &str) -> Option<&'static dyn Provider> {
    ALL.iter()
        .copied()
        .find(|provider| provider.about().id == id)
}

/// A request that its provider has proven to have sent. Only [`authenticate`]
/// makes one, and only one of these can become events.
pub struct Authentic<'a> {
    inbound: &'a Inbound,
    provider: &'static dyn Provider,
    /// The secret that proved it.
    secret: &'a Secret,
}

impl<'a> Authentic<'a> {
    /// The request.
    #[must_use]
    pub const fn inbound(&self) -> &'a Inbound {
        self.inbound
    }

    /// Who sent it.
    #[must_use]
    pub fn provider(&self) -> &'static dyn Provider {
        self.provider
    }

    /// The secret that proved it, for signing what is split.
    #[must_use]
    pub const fn secret(&self) -> &'a Secret {
        self.secret
    }
}

/// Proves that the webhook's provider sent this, with any of its secrets.
///
/// # Errors
/// Why not: of several secrets, the reason that came furthest.
pub fn authenticate<'a>(
    webhook: &'a Webhook,
    inbound: &'a Inbound,
    now: Timestamp,
) -> Result<Authentic<'a>, Refusal> {
    let provider = find(&webhook.provider).ok_or(Refusal::NoSecret)?;
    let mut refusal = Refusal::NoSecret;
    for secret in webhook.secrets.iter().filter(|secret| !secret.is_empty()) {
        match provider.verify(inbound, secret, &webhook.settings, now) {
            Ok(()) => {
                return Ok(Authentic {
                    inbound,
                    provider,
                    secret,
                });
            }
            Err(why) => refusal = why,
        }
    }
    Err(refusal)
}
