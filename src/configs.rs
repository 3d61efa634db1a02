//! Where the configuration of a webhook comes from: this isolate's memory, then
//! KV, then the Registry, which alone is the truth.
//!
//! What comes from a cache is good enough to accept with, since the Mailbox
//! refuses an older version than it knows. It is never good enough to refuse
//! with: before a refusal the Registry is asked, at a bounded rate.

use crate::{clock, join, kv::Kv, log, objects};
use std::{cell::RefCell, rc::Rc, time::Duration};
use tram_core::{
    config_cache::{self, ConfigCache},
    ids::WebhookId,
    messages::{RegistryReply, RegistryRequest},
    own_json,
    time::Timestamp,
    webhook::Webhook,
};
use worker::{Context, Env};

/// How long KV keeps a configuration.
const KV_TTL_SECONDS: u32 = 86_400;
/// How long KV may take to say what it knows.
const KV_PATIENCE: Duration = Duration::from_millis(250);

/// A configuration and how it was come by.
#[derive(Clone)]
pub(crate) struct Known {
    /// The webhook.
    pub(crate) webhook: Rc<Webhook>,
    /// It comes from the Registry, just now.
    pub(crate) fresh: bool,
    /// The Registry or a Mailbox has confirmed it within the last minute.
    pub(crate) confirmed: bool,
}

/// What asking for a configuration came to.
pub(crate) enum Found {
    /// Here it is.
    Known(Known),
    /// There is no such webhook.
    Unknown,
    /// The Registry could not be asked.
    Unavailable,
    /// It was asked for this so often of late that it is not asked again.
    AskedEnough,
}

thread_local! {
    static MEMORY: RefCell<ConfigCache> = RefCell::new(ConfigCache::new(clock::now()));
}

/// The configuration in this isolate's memory, while it is believed.
pub(crate) fn at_hand(id: &WebhookId, now: Timestamp) -> Option<Known> {
    match MEMORY.with_borrow_mut(|memory| memory.look(id, now)) {
        config_cache::Known::Fresh { webhook, confirmed } => Some(Known {
            webhook,
            fresh: false,
            confirmed,
        }),
        _ => None,
    }
}

/// The configuration from wherever it is nearest.
pub(crate) async fn find(env: &Env, context: &Context, id: &WebhookId) -> Found {
    let now = clock::now();
    let old = match MEMORY.with_borrow_mut(|memory| memory.look(id, now)) {
        config_cache::Known::Fresh { webhook, confirmed } => {
            return Found::Known(Known {
                webhook,
                fresh: false,
                confirmed,
            });
        }
        config_cache::Known::Nobody => return Found::Unknown,
        config_cache::Known::NobodyOfOld => {
            // A deletion may have been undone. Where the Registry is not asked, what it
            // said last still holds.
            if !MEMORY.with_borrow_mut(|memory| memory.may_ask_for_unknown(now)) {
                return Found::Unknown;
            }
            return match load(env, context, id).await {
                Found::Unavailable => Found::Unknown,
                found => found,
            };
        }
        config_cache::Known::Old(webhook) => Some(webhook),
        config_cache::Known::Nothing => None,
    };
    if let Some(webhook) = from_kv(env, id).await {
        let webhook = Rc::new(webhook);
        remember(webhook.clone(), false);
        return Found::Known(Known {
            webhook,
            fresh: false,
            confirmed: false,
        });
    }
    if let Some(webhook) = old {
        // No unknown id. Where nobody can be asked, what is old is good enough to
        // accept with: the Mailbox knows better.
        return match load(env, context, id).await {
            Found::Unavailable => Found::Known(Known {
                webhook,
                fresh: false,
                confirmed: false,
            }),
            found => found,
        };
    }
    if MEMORY.with_borrow_mut(|memory| memory.may_ask_for_unknown(now)) {
        load(env, context, id).await
    } else {
        Found::Unavailable
    }
}

/// The configuration from the Registry before a refusal, at a bounded rate.
pub(crate) async fn before_refusing(env: &Env, context: &Context, id: &WebhookId) -> Found {
    let now = clock::now();
    if MEMORY.with_borrow_mut(|memory| memory.may_ask_before_refusing(id, now)) {
        load(env, context, id).await
    } else {
        Found::AskedEnough
    }
}

/// The configuration from the Registry.
pub(crate) async fn load(env: &Env, context: &Context, id: &WebhookId) -> Found {
    ask(env, context, id, &RegistryRequest::Load(*id)).await
}

/// The same when a Mailbox knows the version `than`.
pub(crate) async fn load_newer(env: &Env, context: &Context, id: &WebhookId, than: u64) -> Found {
    let request = RegistryRequest::LoadNewer { webhook: *id, than };
    ask(env, context, id, &request).await
}

async fn ask(env: &Env, context: &Context, id: &WebhookId, request: &RegistryRequest) -> Found {
    match objects::registry(env, request).await {
        Ok(RegistryReply::Webhook { webhook, .. }) => {
            // Forgeries make it ask again and again: what it knew is not written again.
            // What is old may have left KV in the meantime.
            let now = clock::now();
            let known = MEMORY.with_borrow(|memory| memory.version(id, now));
            if known != Some(webhook.version) {
                to_kv(env, context, &webhook);
            }
            let webhook = Rc::new(*webhook);
            remember(webhook.clone(), true);
            Found::Known(Known {
                webhook,
                fresh: true,
                confirmed: true,
            })
        }
        Ok(RegistryReply::NotFound) => {
            let now = clock::now();
            MEMORY.with_borrow_mut(|memory| memory.remember_nobody(*id, now));
            Found::Unknown
        }
        Ok(_) => Found::Unavailable,
        Err(error) => {
            log::trouble(format_args!("configuration of {id}: {error}"));
            Found::Unavailable
        }
    }
}

/// A Mailbox has taken events that were proven with this version.
pub(crate) fn confirmed(webhook: &Webhook) {
    let now = clock::now();
    MEMORY.with_borrow_mut(|memory| memory.confirm(&webhook.id, webhook.version, now));
}

/// No configuration counts as confirmed any more until a Mailbox or the Registry has said
/// so again.
pub(crate) fn doubt_all() {
    MEMORY.with_borrow_mut(ConfigCache::doubt_all);
}

fn remember(webhook: Rc<Webhook>, confirmed: bool) {
    let now = clock::now();
    MEMORY.with_borrow_mut(|memory| memory.remember(webhook, confirmed, now));
}

fn kv_key(id: &WebhookId) -> String {
    format!("webhook:{id}")
}

async fn from_kv(env: &Env, id: &WebhookId) -> Option<Webhook> {
    // A KV that is slow, fails, is empty or holds another version's shape costs a call to
    // the Registry, no more.
    let (kv, key) = (Kv::of(env)?, kv_key(id));
    let text = clock::within(KV_PATIENCE, kv.get(&key)).await??;
    own_json::read(&text).ok()
}

/// Leaves a configuration in KV, beside the answer.
fn to_kv(env: &Env, context: &Context, webhook: &Webhook) {
    let (Some(kv), Ok(text)) = (Kv::of(env), own_json::write(webhook)) else {
        return;
    };
    let key = kv_key(&webhook.id);
    join::aside(context, async move {
        // A failure leaves an older version or none: both are recognised.
        kv.put(&key, &text, KV_TTL_SECONDS).await;
    });
}

/// Takes a deleted webhook's configuration, secrets and all, out of the caches.
pub(crate) fn forget(env: &Env, context: &Context, id: &WebhookId) {
    let now = clock::now();
    MEMORY.with_borrow_mut(|memory| memory.remember_nobody(*id, now));
    let Some(kv) = Kv::of(env) else { return };
    let key = kv_key(id);
    join::aside(context, async move {
        if let Err(error) = kv.delete(&key).await {
            log::trouble(format_args!(
                "configuration left in KV until it expires: {error}"
            ));
        }
    });
}

/// Puts a change into the caches at once; others learn of it from the Mailbox.
pub(crate) fn changed(env: &Env, context: &Context, webhook: &Webhook) {
    to_kv(env, context, webhook);
    remember(Rc::new(webhook.clone()), true);
}
