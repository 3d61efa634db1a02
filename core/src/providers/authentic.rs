//! From an untrusted request to a proven one. The fields of [`Authentic`] are
//! private to this file, so that nothing, not even a provider, can make one
//! without passing [`authenticate`].

use super::{Proof, Provider, find};
use crate::{
    inbound::{Inbound, Refusal},
    secret::Secret,
    time::Timestamp,
    webhook::Webhook,
};

/// Where the sender signs what a body says, so many bytes of it are read before it is
/// proven: reading, sorting and writing JSON anew in several notations costs many times
/// what a hash of the same bytes does, and anybody may ask for it.
pub const MOST_READ_UNPROVEN: usize = 256 << 10;

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
    let settings = &webhook.settings;
    let secrets = webhook.secrets.iter().filter(|secret| !secret.is_empty());
    let secrets: Vec<&Secret> = secrets.collect();
    if secrets.is_empty() {
        return Err(Refusal::NoSecret);
    }
    let bytes = inbound.content().len();
    if provider.proof(settings) == Proof::Meaning && bytes > MOST_READ_UNPROVEN {
        return Err(Refusal::TooLargeToProve {
            bytes,
            most: MOST_READ_UNPROVEN,
        });
    }
    let secret = provider.verify_any(inbound, &secrets, settings, now)?;
    Ok(Authentic {
        inbound,
        provider,
        webhook,
        secret,
    })
}

/// The first of `secrets` that `verify` finds to be the one.
///
/// # Errors
/// Why none is: the reason that came furthest.
pub(super) fn first_that_proves<'s>(
    secrets: &[&'s Secret],
    mut verify: impl FnMut(&Secret) -> Result<(), Refusal>,
) -> Result<&'s Secret, Refusal> {
    let mut furthest = Refusal::NoSecret;
    for secret in secrets {
        match verify(secret) {
            Ok(()) => return Ok(secret),
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
        Refusal::NotJson(_) | Refusal::TooLargeToProve { .. } => 4,
        Refusal::WrongSecretOrAlteredBody
        | Refusal::EncodingMismatch { .. }
        | Refusal::ReserializedBody { .. } => 5,
        // Whether the signature is right has not been looked at.
        Refusal::StaleTimestamp { .. } | Refusal::FutureTimestamp { .. } => 6,
    }
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a test may fail, and says so by panicking"
)]
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
        let signature = signature::standard_webhooks_signature(
            &Secret::new(RIGHT.into()),
            "msg_1",
            "1000",
            b"",
        )
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

    const MIB: usize = 1 << 20;

    /// What authenticating a forgery of this provider comes to, and how many bytes were
    /// hashed and written for that: as many secrets as there may be, and a body of this
    /// length that every writer writes otherwise.
    fn forged(provider: &str, length: usize, age: i64) -> (&'static str, usize) {
        let settings = match provider {
            "abaha" => json!({"header": "x-abaha"}),
            "custom" => json!({"header": "x-sig", "scheme": "hmac", "signed": "{timestamp}.{body}",
                "timestamp_header": "x-time"}),
            _ => json!({}),
        };
        let mut webhook = examples::webhook(provider, "", settings);
        webhook.secrets = vec![Secret::new(WRONG.into()); 3];
        let mut inbound = examples::post(&[], "");
        let now = Timestamp::from_seconds(1_000_000);
        let secret = Secret::new(RIGHT.into());
        let sender = find(provider).unwrap();
        sender.sample(&mut inbound, &secret, &webhook.settings);
        let proof = sender.sign((&inbound).into(), &secret, &webhook.settings, now);
        for (name, value) in proof.iter().flat_map(crate::headers::Headers::iter) {
            inbound.headers.set(name, value);
        }
        let (before, after) = (
            r#"{"data":{"note":""#,
            format!(r#""}},"signature":"{}"}}"#, "0".repeat(64)),
        );
        let missing = length - before.len() - after.len();
        let note = "đ/<".repeat(missing / 4) + &"x".repeat(missing % 4);
        inbound.body = [before, &note, &after].concat().into_bytes();
        assert_eq!(inbound.body.len(), length);
        let _ = crate::work::take();
        let now = Timestamp::from_seconds(now.seconds() + age);
        let why = authenticate(&webhook, &inbound, now).err().unwrap();
        (why.code(), crate::work::take())
    }

    #[test]
    fn what_a_forgery_costs_is_bounded_for_every_provider() {
        // A small body measures what of the work is no body: times, ids, dots.
        let most = 3 * (MIB + 64);
        for provider in crate::providers::ALL {
            let about = provider.about();
            let (reason, bytes) = forged(about.id, MIB, 0);
            assert!(bytes <= most, "{}: {bytes} bytes for {reason}", about.id);
        }
    }

    #[test]
    fn who_signs_what_a_body_says_has_a_part_of_it_read_unproven() {
        for provider in ["casso-v2", "payos"] {
            assert_eq!(forged(provider, MIB, 0), ("too_large_to_prove", 0));
            let over = forged(provider, MOST_READ_UNPROVEN + 1, 0);
            assert_eq!(over, ("too_large_to_prove", 0));
            let (reason, bytes) = forged(provider, MOST_READ_UNPROVEN, 0);
            assert_eq!(reason, "wrong_secret_or_altered_body");
            assert!(bytes > MOST_READ_UNPROVEN, "{provider}: {bytes}");
            // Each notation is written once and hashed for each of the three secrets; of
            // these letters all of them together are less than eight times the body.
            assert!(bytes < 4 * 8 * MOST_READ_UNPROVEN, "{provider}: {bytes}");
        }
    }

    #[test]
    fn the_time_is_judged_before_anything_is_hashed() {
        let mut judged = Vec::new();
        for provider in crate::providers::ALL {
            let about = provider.about();
            if about.tolerance_seconds.is_none() {
                continue;
            }
            for (age, reason) in [(301, "stale_timestamp"), (-301, "future_timestamp")] {
                assert_eq!(forged(about.id, MIB, age), (reason, 0), "{}", about.id);
            }
            judged.push(about.id);
        }
        assert_eq!(
            judged,
            [
                "sepay-hmac",
                "standard-webhooks",
                "svix",
                "stripe",
                "custom"
            ]
        );
        // Where an age is no matter of course, it is judged as early when it is set.
        let mut webhook = examples::webhook("casso-v2", WRONG, json!({"tolerance_seconds": 300}));
        webhook.secrets = vec![Secret::new(WRONG.into()); 3];
        let header = format!("t=1000000,v1={}", "0".repeat(128));
        let inbound = examples::post(&[("x-casso-signature", &header)], "{}");
        let _ = crate::work::take();
        let why = authenticate(&webhook, &inbound, Timestamp::from_seconds(10_000)).err();
        assert_eq!(why.unwrap().code(), "stale_timestamp");
        assert_eq!(crate::work::take(), 0);
    }

    #[test]
    fn an_unknown_provider_proves_nothing() {
        let webhook = examples::webhook("no-such-provider", "secret", json!({}));
        let why = authenticate(&webhook, &Inbound::default(), Timestamp::default()).err();
        assert_eq!(why, Some(Refusal::NoSecret));
    }
}
