//! The request with which an operator tries a webhook out: the provider's sample,
//! proven like any other.

use super::judge;
use crate::{
    event::{Envelope, NewEvent},
    headers::Headers,
    inbound::{Inbound, Refusal},
    problem::Problem,
    providers,
    time::Timestamp,
    webhook::Webhook,
};

/// A sample of the webhook's provider as an event to store, marked as a test; the
/// filters do not touch it. `url` is the webhook's own.
///
/// # Errors
/// 409 when the webhook would refuse it, as it would refuse everything: it says why.
pub fn sample(
    webhook: &Webhook,
    url: &str,
    now: Timestamp,
) -> Result<(Envelope, NewEvent), Problem> {
    let mut inbound = Inbound {
        method: super::methods(webhook)
            .first()
            .copied()
            .unwrap_or("POST")
            .to_owned(),
        url: url.to_owned(),
        headers: Headers::new(),
        ..Inbound::default()
    };
    inbound.headers.push("content-type", "application/json");
    let provider = providers::find(&webhook.provider);
    if let (Some(provider), Some(secret)) = (provider, webhook.secrets.first()) {
        let settings = &webhook.settings;
        provider.sample(&mut inbound, secret, settings);
        let proof = provider.sign((&inbound).into(), secret, settings, now);
        for (name, value) in proof.iter().flat_map(Headers::iter) {
            inbound.headers.set(name, value);
        }
    }
    let refused = |why: Refusal| {
        Problem::new(
            409,
            "sample_refused",
            "The webhook would not take its own sample",
            why.to_string(),
        )
    };
    let intake = judge(webhook, &inbound, now, Some(&mut Vec::new())).map_err(refused)?;
    let event = intake.events.into_iter().next();
    let mut event = event.ok_or_else(|| refused(Refusal::NoSecret))?;
    event.test = true;
    let envelope = Envelope {
        method: inbound.method,
        query: inbound.query,
        headers: inbound.headers,
    };
    Ok((envelope, event))
}
