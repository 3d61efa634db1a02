//! A new signing secret, beside which the old one goes on signing for a while, so
//! that the origin can be given the new one at leisure.

use super::{
    RegistryError, Written,
    input::{self, Rejected},
    store, store_changed,
};
use crate::{
    database::Database,
    ids::WebhookId,
    messages::{RegistryReply, Reveal},
    problem::FieldError,
    secret::Entropy,
    time::Timestamp,
};
use std::time::Duration;

/// The old secret signs for a day where nothing else is asked for.
const USUAL_GRACE_SECONDS: u32 = 86_400;
/// A secret that is to go should go some day.
const LONGEST_GRACE_SECONDS: u32 = 30 * 86_400;

/// How long the old secret is to sign beside the new one. The body may be empty, or
/// an object without it.
fn grace(body: &str) -> Result<Duration, Vec<FieldError>> {
    let seconds = input::read(body, &["grace_seconds"], |sent, mistakes| {
        sent.get("grace_seconds")
            .map_or(Some(USUAL_GRACE_SECONDS), |node| {
                node.whole(0, LONGEST_GRACE_SECONDS, mistakes)
            })
    })?;
    Ok(Duration::from_secs(u64::from(seconds.unwrap_or_default())))
}

/// Rotates; the answer shows the new secret in full.
pub(super) fn rotate(
    db: &impl Database,
    id: WebhookId,
    body: &str,
    entropy: &mut Entropy,
    now: Timestamp,
) -> Result<RegistryReply, RegistryError> {
    db.atomically(|| {
        let Some(mut webhook) = store::load(db, id)? else {
            return Ok(RegistryReply::NotFound);
        };
        let grace = match grace(body) {
            Ok(grace) => grace,
            Err(mistakes) => return Rejected::Mistakes(mistakes).into_reply(),
        };
        let new = input::generate_signing_secret(entropy)?;
        webhook.rotate_signing_secret(new, now, now.plus(grace));
        store_changed(db, &mut webhook, now)?;
        let reveal = Reveal {
            signing_secret: true,
            ..Reveal::default()
        };
        Ok(Written { webhook, reveal }.into_reply())
    })
}
