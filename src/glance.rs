//! KV as memory of what is done with: a marker says that an event was seen and
//! delivered, so that a further duplicate need not wake its Mailbox.
//!
//! A marker is never the judge of "new": one that is missing, late or unreadable
//! only costs a call to the Mailbox.

use crate::{clock, join, kv::Kv, log};
use lru::LruCache;
use std::{cell::RefCell, num::NonZeroUsize, time::Duration};
use tram_core::{
    event::{DedupeKey, NewEvent},
    ids::WebhookId,
    mailbox::recent_tests::RecentTests,
    time::{MINUTE, Timestamp},
    webhook::Webhook,
};
use worker::{Context, Env};

/// How long a glance may hold up a request while repeats are coming.
const PATIENCE: Duration = Duration::from_millis(25);
/// How many webhooks with repeats are kept in mind.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();
/// Seconds that KV keeps anything at least: what is to go earlier is not put there.
const SHORTEST_TTL: u32 = 60;

thread_local! {
    /// Webhooks whose Mailbox lately said "duplicate", and until when that counts.
    static REPEATS: RefCell<LruCache<WebhookId, Timestamp>> =
        RefCell::new(LruCache::new(REMEMBERED));
    /// Test calls that this isolate has lately put into their Mailbox.
    static TESTS: RefCell<RecentTests> = const { RefCell::new(RecentTests::new()) };
}

/// What is behind a marker: the hash of the body, as one with another body is a
/// conflict, which is for the Mailbox to note; and the version of the configuration, as
/// the Mailbox may remember less since: for another number of days, or because a job has
/// deleted events, after which the webhook has a new version.
fn value(webhook: &Webhook, event: &NewEvent) -> String {
    let version = webhook.version.to_string();
    [&hex(&event.body_sha256), "/v", &version].concat()
}

fn marker(key: &DedupeKey) -> String {
    ["seen:", &hex(key)].concat()
}

/// Takes the marker of a deleted event away: it is to be new when it comes again.
/// Another location may believe in it for a minute more. What a job deletes needs none of
/// this: see [`value`].
pub(crate) async fn forget(env: &Env, key: &DedupeKey) {
    let Some(kv) = Kv::of(env) else { return };
    if let Err(error) = kv.delete(&marker(key)).await {
        log::trouble(format_args!("marker left in KV until it expires: {error}"));
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Whether this isolate has lately seen repeats for the webhook.
pub(crate) fn repeats_coming(webhook: &WebhookId) -> bool {
    let now = clock::now();
    REPEATS.with_borrow(|repeats| repeats.peek(webhook).is_some_and(|until| now < *until))
}

/// Whether there is a marker; returns only if so, or when KV has said no.
async fn look(env: &Env, webhook: &Webhook, event: &NewEvent) -> bool {
    let Some(kv) = Kv::of(env) else { return false };
    let found = kv.get(&marker(&event.key)).await;
    found.is_some_and(|found| found == value(webhook, event))
}

/// Where to look for an event, and what stands there when it was seen and delivered.
pub(crate) fn at(webhook: &Webhook, event: &NewEvent) -> (String, String) {
    (marker(&event.key), value(webhook, event))
}

/// [`look`], within the patience there is for it.
pub(crate) async fn look_briefly(env: &Env, webhook: &Webhook, event: &NewEvent) -> bool {
    clock::within(PATIENCE, look(env, webhook, event))
        .await
        .unwrap_or(false)
}

/// Whether all of these are test calls that their Mailbox would not relay again.
pub(crate) fn repeated_tests(events: &[NewEvent]) -> bool {
    let now = clock::now();
    let is_repeated =
        |tests: &RecentTests, event: &NewEvent| event.test && tests.has(&event.key, now);
    TESTS.with_borrow(|tests| events.iter().all(|event| is_repeated(tests, event)))
}

/// Remembers the test calls that their Mailbox has taken.
pub(crate) fn told(events: &[NewEvent]) {
    let now = clock::now();
    TESTS.with_borrow_mut(|tests| {
        for event in events.iter().filter(|event| event.test) {
            if !tests.has(&event.key, now) {
                tests.add(event.key, now);
            }
        }
    });
}

/// Remembers that the Mailbox knows this event as delivered, and until when.
pub(crate) fn seen(
    env: &Env,
    context: &Context,
    webhook: &Webhook,
    event: &NewEvent,
    known_until: Timestamp,
) {
    let now = clock::now();
    REPEATS.with_borrow_mut(|repeats| repeats.put(webhook.id, now.plus(MINUTE)));
    let left = known_until.since(now).as_secs();
    let Some(ttl) = u32::try_from(left)
        .ok()
        .filter(|left| *left >= SHORTEST_TTL)
    else {
        return;
    };
    let Some(kv) = Kv::of(env) else { return };
    let (name, value) = (marker(&event.key), value(webhook, event));
    join::aside(context, async move {
        kv.put(&name, &value, ttl).await;
    });
}
