//! What leaves no event (refused, repeated, filtered out) is counted in this isolate
//! and told to the webhook's first shard in batches: figures, and approximate. What a
//! dying isolate still holds is lost.

use crate::{join, log, objects, refusals::SHARD};
use lru::LruCache;
use std::{cell::RefCell, num::NonZeroUsize, time::Duration};
use tram_core::{ids::WebhookId, mailbox::stats::Tally, messages::MailboxRequest, time::Timestamp};
use worker::{Context, Delay, Env};

/// How long is gathered before it is told: within the time that an isolate is left to
/// finish what it has begun.
const GATHERED: Duration = Duration::from_secs(20);
/// Webhooks that are counted for at once. Of more, what was counted of the one that had
/// nothing to count for longest is let go.
const COUNTED: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();

thread_local! {
    /// What was counted, and since when.
    static TALLIES: RefCell<LruCache<WebhookId, (Tally, Timestamp)>> =
        RefCell::new(LruCache::new(COUNTED));
}

/// Counts, and sees to it that it is told.
pub(crate) fn add(env: &Env, context: &Context, webhook: WebhookId, tally: Tally, now: Timestamp) {
    if tally == Tally::default() {
        return;
    }
    let begins = TALLIES.with_borrow_mut(|tallies| {
        // One that was never told was cut off: it begins anew.
        let begun = |since: Timestamp| now.since(since) < GATHERED.saturating_mul(2);
        let (sum, since) = tallies.get_or_insert_mut(webhook, || (Tally::default(), now));
        let begins = *sum == Tally::default() || !begun(*since);
        sum.add(tally);
        if begins {
            *since = now;
        }
        begins
    });
    if !begins {
        return;
    }
    let env = env.clone();
    join::aside(context, async move {
        Delay::from(GATHERED).await;
        flush(&env, &webhook).await;
    });
}

/// Tells what this isolate still holds back of a webhook.
pub(crate) async fn flush(env: &Env, webhook: &WebhookId) {
    let Some((tally, _)) = TALLIES.with_borrow_mut(|tallies| tallies.pop(webhook)) else {
        return;
    };
    if let Err(error) = objects::mailbox(env, webhook, SHARD, &MailboxRequest::Tally(tally)).await {
        log::trouble(format_args!("counts of {webhook} not kept: {error}"));
    }
}

/// Tells all that this isolate holds back.
pub(crate) async fn flush_all(env: &Env) {
    let webhooks: Vec<WebhookId> =
        TALLIES.with_borrow(|tallies| tallies.iter().map(|(id, _)| *id).collect());
    join::all(webhooks.iter().map(|webhook| flush(env, webhook))).await;
}
