//! KV as memory of what is done with: a marker says that an event was seen and
//! delivered, so that a further duplicate need not wake its Mailbox.
//!
//! A marker is never the judge of "new": one that is missing, late or unreadable
//! only costs a call to the Mailbox.

use crate::clock;
use std::{cell::RefCell, collections::HashMap, time::Duration};
use tram_core::{
    event::DedupeKey,
    ids::WebhookId,
    time::{MINUTE, Timestamp},
    webhook::Webhook,
};
use worker::{Context, Env};

/// How long a glance may hold up a request while repeats are coming.
const PATIENCE: Duration = Duration::from_millis(25);
/// How many webhooks with repeats are kept in mind.
const REMEMBERED: usize = 1_000;

thread_local! {
    /// Webhooks whose Mailbox lately said "duplicate", and until when that counts.
    static REPEATS: RefCell<HashMap<WebhookId, Timestamp>> = RefCell::default();
}

fn marker(key: &DedupeKey) -> String {
    use std::fmt::Write;
    let mut name = String::with_capacity(69);
    name.push_str("seen:");
    for byte in key {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// Whether this isolate has lately seen repeats for the webhook.
pub(crate) fn repeats_coming(webhook: &WebhookId) -> bool {
    let now = clock::now();
    REPEATS.with_borrow(|repeats| repeats.get(webhook).is_some_and(|until| now < *until))
}

/// Whether there is a marker; returns only if so, or when KV has said no.
pub(crate) async fn look(env: &Env, key: &DedupeKey) -> bool {
    let Ok(kv) = env.kv("KV") else { return false };
    matches!(kv.get(&marker(key)).text().await, Ok(Some(_)))
}

/// [`look`], within the patience there is for it.
pub(crate) async fn look_briefly(env: &Env, key: &DedupeKey) -> bool {
    clock::within(PATIENCE, look(env, key))
        .await
        .unwrap_or(false)
}

/// Remembers that the Mailbox knows this event as delivered.
pub(crate) fn seen(env: &Env, context: &Context, webhook: &Webhook, key: &DedupeKey) {
    let until = clock::now().plus(MINUTE);
    REPEATS.with_borrow_mut(|repeats| {
        if repeats.len() >= REMEMBERED {
            repeats.clear();
        }
        repeats.insert(webhook.id, until);
    });
    let Ok(kv) = env.kv("KV") else { return };
    let name = marker(key);
    let ttl = u64::from(webhook.dedupe_days).saturating_mul(86_400);
    context.wait_until(async move {
        if let Ok(put) = kv.put(&name, "1") {
            let _ = put.expiration_ttl(ttl).execute().await;
        }
    });
}
