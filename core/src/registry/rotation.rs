//! A new signing secret, beside which the old one goes on signing for a while, so
//! that the origin can be given the new one at leisure.

use super::{
    RegistryError, Written,
    input::{
        Rejected,
        reader::{Mistakes, Node, Object},
    },
    store, store_changed,
};
use crate::{
    database::Database,
    ids::WebhookId,
    messages::{RegistryReply, Reveal},
    problem::{FieldError, Problem},
    secret::Entropy,
    time::Timestamp,
};
use std::time::Duration;

/// The old secret signs for a day where nothing else is asked for.
const USUAL_GRACE_SECONDS: u32 = 86_400;
/// A secret that is to go should go some day.
const LONGEST_GRACE_SECONDS: u32 = 30 * 86_400;

/// For a request that takes nothing: its body may be empty, or an object without fields.
///
/// # Errors
/// 422 with what is wrong.
pub fn no_fields(body: &str) -> Result<(), Problem> {
    read(body, &[], |_, _| ()).map_err(Problem::invalid)
}

/// Reads an operator's object of these fields, none of which is needed.
fn read<T>(
    body: &str,
    known: &[&str],
    read: impl FnOnce(&Object<'_>, &mut Mistakes) -> T,
) -> Result<T, Vec<FieldError>> {
    let body = if body.trim().is_empty() { "{}" } else { body };
    let mut mistakes = Mistakes::default();
    let body = super::input::parse(body, &mut mistakes);
    let sent = body
        .as_ref()
        .and_then(|body| Node::root(body).object(known, &mut mistakes));
    let read = sent.map(|sent| read(&sent, &mut mistakes));
    match read {
        Some(read) if mistakes.is_empty() => Ok(read),
        _ => Err(mistakes.into_vec()),
    }
}

/// How long the old secret is to sign beside the new one. The body may be empty, or
/// an object without it.
fn grace(body: &str) -> Result<Duration, Vec<FieldError>> {
    let seconds = read(body, &["grace_seconds"], |sent, mistakes| {
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
        let new = super::input::generate_signing_secret(entropy)?;
        webhook.rotate_signing_secret(new, now, now.plus(grace));
        store_changed(db, &mut webhook, now)?;
        let reveal = Reveal {
            signing_secret: true,
            ..Reveal::default()
        };
        Ok(Written { webhook, reveal }.into_reply())
    })
}
