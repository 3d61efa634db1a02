//! The hourly round: Mailboxes that something has come to are noted at the Registry,
//! which visits them. An alarm that the platform has lost is so repaired without
//! traffic, and what is over its time is pruned.

use crate::{clock, objects};
use std::{cell::RefCell, collections::HashMap};
use tram_core::{
    ids::WebhookId,
    messages::{RegistryReply, RegistryRequest},
};
use worker::{Env, console_error};

/// Shards that this isolate keeps in mind.
const REMEMBERED: usize = 4_096;
/// One note an hour is enough: the round comes at its end.
const HOUR_SECONDS: i64 = 3_600;

thread_local! {
    /// The hour in which a shard was noted last.
    static NOTED: RefCell<HashMap<(WebhookId, u8), i64>> = RefCell::default();
}

/// Notes that something comes to a shard, once an hour. A note that fails is made
/// with the next event.
pub(crate) async fn note(env: &Env, webhook: &WebhookId, shard: u8) {
    let hour = clock::now().seconds().div_euclid(HOUR_SECONDS);
    let key = (*webhook, shard);
    if NOTED.with_borrow(|noted| noted.get(&key) == Some(&hour)) {
        return;
    }
    let request = RegistryRequest::Note {
        webhook: *webhook,
        shard,
    };
    match objects::registry(env, &request).await {
        Ok(RegistryReply::Done) => NOTED.with_borrow_mut(|noted| {
            if noted.len() >= REMEMBERED {
                noted.clear();
            }
            noted.insert(key, hour);
        }),
        Ok(_) => {}
        Err(error) => console_error!("shard {shard} of {webhook} not noted: {error}"),
    }
}

/// Has the Registry visit all that is to be visited.
pub(crate) async fn make(env: &Env) {
    if let Err(error) = objects::registry(env, &RegistryRequest::MakeRound).await {
        console_error!("the hourly round broke off: {error}");
    }
}
