//! What an operator sends to create or change a webhook: every mistake is found
//! and named, nothing is guessed.
//!
//! A change starts from the webhook as it is. A field that equals what is shown of
//! it is unchanged, so that what was read can be sent back whole, masks included;
//! every other field that is sent replaces what it names.

mod change;
mod destinations;
pub(crate) mod headers;
#[cfg(test)]
mod properties;
pub(crate) mod reader;
mod schedule;
mod secrets;
mod settings;
#[cfg(test)]
mod specification;
#[cfg(test)]
mod tests;

use super::view;
use crate::{
    destination_url::Station,
    ids::WebhookId,
    messages::Reveal,
    problem::{FieldError, Problem},
    providers::Provider,
    secret::{Entropy, EntropyExhausted, Secret},
    time::Timestamp,
    webhook::{DirectionFilter, Retry, Settings, USUAL_ALERT_AFTER, Webhook},
};
use change::Change;
use reader::{Mistakes, Node, Object};

/// Bytes of a request's body.
const MAX_BODY: usize = 262_144;
/// Payloads and history are kept at most this long.
const MAX_RETENTION_DAYS: u32 = 365;
const DEFAULT_GIVE_UP_HOURS: u32 = 72;
const DEFAULT_RETENTION_DAYS: u32 = 30;
const DEFAULT_DEDUPE_DAYS: u32 = 400;

// Dedupe memory outlives what is kept of an event, for every webhook: otherwise a
// captured request could be replayed.
const _: () = assert!(
    DEFAULT_RETENTION_DAYS <= MAX_RETENTION_DAYS && MAX_RETENTION_DAYS <= DEFAULT_DEDUPE_DAYS
);

/// What a request is judged by.
pub(crate) struct Rules<'a> {
    pub(crate) providers: &'static [&'static dyn Provider],
    pub(crate) station: &'a Station,
    pub(crate) now: Timestamp,
}

impl Rules<'_> {
    fn provider(&self, id: &str) -> Option<&'static dyn Provider> {
        self.providers
            .iter()
            .copied()
            .find(|provider| provider.about().id == id)
    }
}

/// A webhook as it is to be stored, and which of its secrets are new.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) webhook: Webhook,
    pub(crate) reveal: Reveal,
}

/// Why nothing is stored.
#[derive(Debug)]
pub(crate) enum Rejected {
    /// What was sent cannot be accepted.
    Mistakes(Vec<FieldError>),
    /// Too few random bytes were supplied.
    Entropy(EntropyExhausted),
}

impl From<EntropyExhausted> for Rejected {
    fn from(error: EntropyExhausted) -> Self {
        Self::Entropy(error)
    }
}

/// A new webhook from the operator's JSON.
pub(crate) fn create(
    rules: &Rules<'_>,
    body: &str,
    entropy: &mut Entropy,
) -> Result<Written, Rejected> {
    let webhook = Webhook {
        id: WebhookId::from_random(entropy.draw()?),
        version: 1,
        name: String::new(),
        provider: String::new(),
        settings: Settings::default(),
        secrets: Vec::new(),
        has_generated_secret: false,
        destinations: Vec::new(),
        is_active: true,
        is_paused: false,
        signing_secret: generate_signing_secret(entropy)?,
        previous_signing_secret: None,
        older_signing_secrets: Vec::new(),
        direction: DirectionFilter::All,
        accounts: Vec::new(),
        allow_events: vec!["*".to_owned()],
        headers: Default::default(),
        retry: Retry::default(),
        give_up_after_hours: DEFAULT_GIVE_UP_HOURS,
        retention_days: DEFAULT_RETENTION_DAYS,
        dedupe_days: DEFAULT_DEDUPE_DAYS,
        alert_url: None,
        alert_after_minutes: USUAL_ALERT_AFTER,
        shards: 1,
        created_at: rules.now,
        updated_at: rules.now,
    };
    write(rules, webhook, None, body, entropy)
}

/// The webhook `existing` after the operator's JSON. Its version and time of change
/// are left to the caller, who knows whether anything changed.
pub(crate) fn update(
    rules: &Rules<'_>,
    existing: &Webhook,
    body: &str,
    entropy: &mut Entropy,
) -> Result<Written, Rejected> {
    write(rules, existing.clone(), Some(existing), body, entropy)
}

fn write(
    rules: &Rules<'_>,
    webhook: Webhook,
    existing: Option<&Webhook>,
    body: &str,
    entropy: &mut Entropy,
) -> Result<Written, Rejected> {
    let mut mistakes = Mistakes::default();
    match parse(body, &mut mistakes) {
        Some(body) => Change::begin(rules, webhook, existing, &body, mistakes).finish(entropy),
        None => Err(Rejected::Mistakes(mistakes.into_vec())),
    }
}

/// A secret to sign with: `whsec_…`.
pub(super) fn generate_signing_secret(entropy: &mut Entropy) -> Result<Secret, EntropyExhausted> {
    secrets::generate(true, entropy)
}

pub(super) fn parse(body: &str, mistakes: &mut Mistakes) -> Option<serde_json::Value> {
    if body.len() > MAX_BODY {
        mistakes.add("", format!("is longer than {MAX_BODY} bytes"));
        return None;
    }
    reader::parse(body.as_bytes(), mistakes)
}

/// For a request that takes nothing: its body may be empty, or an object without fields.
///
/// # Errors
/// 422 with what is wrong.
pub fn no_fields(body: &str) -> Result<(), Problem> {
    read(body, &[], |_, _| ()).map_err(Problem::invalid)
}

/// Reads an operator's object of these fields, none of which is needed.
pub(super) fn read<T>(
    body: &str,
    known: &[&str],
    read: impl FnOnce(&Object<'_>, &mut Mistakes) -> T,
) -> Result<T, Vec<FieldError>> {
    let body = if body.trim().is_empty() { "{}" } else { body };
    let mut mistakes = Mistakes::default();
    let body = parse(body, &mut mistakes);
    let sent = body
        .as_ref()
        .and_then(|body| Node::root(body).object(known, &mut mistakes));
    let read = sent.map(|sent| read(&sent, &mut mistakes));
    match read {
        Some(read) if mistakes.is_empty() => Ok(read),
        _ => Err(mistakes.into_vec()),
    }
}

/// Drops every field that is sent as it is shown. `ingest_url` depends on where the
/// request came in, so there the path decides.
fn drop_unchanged(sent: &mut Object<'_>, existing: &Webhook) {
    let warnings = super::warnings(existing);
    let shown = view::webhook(existing, "", Reveal::default(), &warnings);
    let shown = reader::parse(shown.to_json().as_bytes(), &mut Mistakes::default());
    let shown = shown.unwrap_or_default();
    let path = format!("/in/{}", existing.id);
    sent.retain(|name, node| {
        let unchanged = if name == "ingest_url" {
            node.value.as_str().is_some_and(|url| url.ends_with(&path))
        } else {
            shown.get(name) == Some(node.value)
        };
        !unchanged
    });
}

/// Whether a secret is so short that it could be guessed.
pub(super) fn is_short(secret: &Secret) -> bool {
    secret.expose().chars().count() < 16
}
