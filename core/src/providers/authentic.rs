//! From an untrusted request to a proven one. The fields of [`Authentic`] are
//! private to this file, so that nothing, not even a provider, can make one
//! without passing [`authenticate`].

use super::{Provider, find};
use crate::{
    inbound::{Inbound, Refusal},
    secret::Secret,
    time::Timestamp,
    webhook::Webhook,
};

/// A request that its provider has proven to have sent. Only [`authenticate`]
/// makes one, and only one of these can become events.
///
/// ```compile_fail
/// use tram_core::{inbound::Inbound, providers::Authentic, secret::Secret};
/// let (inbound, secret) = (Inbound::default(), Secret::new("s".into()));
/// let provider = tram_core::providers::ALL[0];
/// let forged = Authentic { inbound: &inbound, provider, secret: &secret };
/// ```
pub struct Authentic<'a> {
    inbound: &'a Inbound,
    provider: &'static dyn Provider,
    webhook: &'a Webhook,
    /// The secret that proved it.
    secret: &'a Secret,
}

impl<'a> Authentic<'a> {
    /// The request.
    #[must_use]
    pub const fn inbound(&self) -> &'a Inbound {
        self.inbound
    }

    /// Who sent it.
    #[must_use]
    pub fn provider(&self) -> &'static dyn Provider {
        self.provider
    }

    /// The webhook it was proven for.
    #[must_use]
    pub const fn webhook(&self) -> &'a Webhook {
        self.webhook
    }

    /// The secret that proved it, for signing what is split.
    #[must_use]
    pub const fn secret(&self) -> &'a Secret {
        self.secret
    }
}

/// Proves that the webhook's provider sent this, with any of its secrets. An empty
/// secret is never tried.
///
/// # Errors
/// Why not: of several secrets, the reason that came furthest.
pub fn authenticate<'a>(
    webhook: &'a Webhook,
    inbound: &'a Inbound,
    now: Timestamp,
) -> Result<Authentic<'a>, Refusal> {
    let provider = find(&webhook.provider).ok_or(Refusal::NoSecret)?;
    let mut furthest = Refusal::NoSecret;
    for secret in webhook.secrets.iter().filter(|secret| !secret.is_empty()) {
        match provider.verify(inbound, secret, &webhook.settings, now) {
            Ok(()) => {
                return Ok(Authentic {
                    inbound,
                    provider,
                    webhook,
                    secret,
                });
            }
            Err(why) if distance(&why) > distance(&furthest) => furthest = why,
            Err(_) => {}
        }
    }
    Err(furthest)
}

/// How far verification came before it stopped.
const fn distance(refusal: &Refusal) -> u8 {
    match refusal {
        Refusal::NoSecret => 0,
        Refusal::MissingHeader(_) => 1,
        Refusal::MalformedHeader { .. } => 2,
        Refusal::UnknownVersion(_) => 3,
        Refusal::NotJson(_) => 4,
        Refusal::WrongSecretOrAlteredBody
        | Refusal::EncodingMismatch { .. }
        | Refusal::ReserializedBody { .. } => 5,
        // The signature was right, only the time was not.
        Refusal::StaleTimestamp { .. } | Refusal::FutureTimestamp { .. } => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{providers::examples, signature};
    use serde_json::json;

    const RIGHT: &str = "whsec_cmlnaHQgc2VjcmV0";
    const WRONG: &str = "whsec_d3Jvbmcgc2VjcmV0";

    fn check(secrets: &[&str], age: i64) -> Result<usize, &'static str> {
        let mut webhook = examples::webhook("standard-webhooks", "", json!({}));
        webhook.secrets = secrets
            .iter()
            .map(|secret| Secret::new((*secret).into()))
            .collect();
        let signature =
            signature::standard_webhooks_signature(&Secret::new(RIGHT.into()), "msg_1", 1_000, b"")
                .unwrap();
        let inbound = examples::post(
            &[
                ("webhook-id", "msg_1"),
                ("webhook-timestamp", "1000"),
                ("webhook-signature", &signature),
            ],
            "",
        );
        let now = Timestamp::from_seconds(1_000_i64.saturating_add(age));
        match authenticate(&webhook, &inbound, now) {
            Ok(authentic) => Ok(webhook
                .secrets
                .iter()
                .position(|secret| secret == authentic.secret())
                .unwrap()),
            Err(why) => Err(why.code()),
        }
    }

    #[test]
    fn any_secret_proves_and_the_furthest_reason_is_told() {
        assert_eq!(check(&[RIGHT], 0), Ok(0));
        assert_eq!(check(&[WRONG, "whsec_!", RIGHT], 0), Ok(2));
        assert_eq!(check(&[], 0), Err("no_secret"));
        assert_eq!(check(&["", ""], 0), Err("no_secret"));
        assert_eq!(check(&["whsec_!"], 0), Err("no_secret"));
        let wrong = Err("wrong_secret_or_altered_body");
        assert_eq!(check(&["whsec_!", WRONG, ""], 0), wrong);
        assert_eq!(check(&[RIGHT, WRONG], 301), Err("stale_timestamp"));
        assert_eq!(check(&[WRONG, RIGHT], -301), Err("future_timestamp"));
    }

    #[test]
    fn an_unknown_provider_proves_nothing() {
        let webhook = examples::webhook("no-such-provider", "secret", json!({}));
        let why = authenticate(&webhook, &Inbound::default(), Timestamp::default()).err();
        assert_eq!(why, Some(Refusal::NoSecret));
    }
}
