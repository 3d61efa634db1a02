//! The hourly round: Mailboxes that something has come to are noted at the Registry,
//! which visits them. An alarm that the platform has lost is so repaired without
//! traffic, and what is over its time is pruned.

use crate::{clock, join, log, objects};
use lru::LruCache;
use std::{cell::RefCell, num::NonZeroUsize};
use tram_core::{
    ids::WebhookId,
    messages::{RegistryReply, RegistryRequest},
};
use worker::{Context, Env};

/// Shards that this isolate keeps in mind.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();
/// One note an hour is enough: the round comes at its end.
const HOUR_SECONDS: i64 = 3_600;
/// After a note that failed the next is made so much later: a Registry that is slow is
/// not asked the more.
const REST_SECONDS: i64 = 300;

thread_local! {
    /// From when on (Unix seconds) a shard is to be noted again.
    static NOTED: RefCell<LruCache<(WebhookId, u8), i64>> =
        RefCell::new(LruCache::new(REMEMBERED));
}

/// Notes that something comes to a shard, once an hour, beside the answer. The hours of
/// shards begin at different times, so that not all are noted at once.
pub(crate) fn note(env: &Env, context: &Context, webhook: &WebhookId, shard: u8) {
    let now = clock::now().seconds();
    let key = (*webhook, shard);
    let due = NOTED.with_borrow_mut(|noted| noted.get(&key).is_none_or(|next| *next <= now));
    if !due {
        return;
    }
    let [first, second, ..] = *webhook.bytes();
    let offset = i64::from(u16::from_be_bytes([first, second]))
        .saturating_add(i64::from(shard).saturating_mul(53))
        .rem_euclid(HOUR_SECONDS);
    let hour = now.saturating_sub(offset).div_euclid(HOUR_SECONDS);
    let next = hour
        .saturating_add(1)
        .saturating_mul(HOUR_SECONDS)
        .saturating_add(offset);
    remember(key, next);
    let env = env.clone();
    join::aside(context, async move {
        let (webhook, shard) = key;
        match objects::registry(&env, &RegistryRequest::Note { webhook, shard }).await {
            Ok(RegistryReply::Done) => {}
            Ok(_) => remember(key, now.saturating_add(REST_SECONDS)),
            Err(error) => {
                log::trouble(format_args!(
                    "shard {shard} of {webhook} not noted: {error}"
                ));
                remember(key, now.saturating_add(REST_SECONDS));
            }
        }
    });
}

fn remember(key: (WebhookId, u8), next: i64) {
    NOTED.with_borrow_mut(|noted| noted.put(key, next));
}

/// Has the Registry visit all that is to be visited.
pub(crate) async fn make(env: &Env) {
    if let Err(error) = objects::registry(env, &RegistryRequest::MakeRound).await {
        log::trouble(format_args!("the hourly round broke off: {error}"));
    }
}
