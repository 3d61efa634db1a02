//! The provider's own proof, made by the station: for samples, for the parts of a split
//! body, and for attempts that leave so late that a check of the signed time would
//! refuse what the provider sent.

use super::{Provider, find};
use crate::{
    event::Envelope,
    headers::Headers,
    inbound::Inbound,
    secret::Secret,
    signature,
    time::Timestamp,
    webhook::{Algorithm, Encoding, Settings, Webhook},
};
use std::time::Duration;

/// A request that is to carry the provider's proof.
#[derive(Clone, Copy)]
pub struct Unsigned<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The URL that the provider posts to; `None` where it is not known.
    pub url: Option<&'a str>,
    /// The other header fields; those of an earlier proof may be among them.
    pub headers: &'a Headers,
    /// The body.
    pub body: &'a [u8],
}

impl<'a> From<&'a Inbound> for Unsigned<'a> {
    fn from(inbound: &'a Inbound) -> Self {
        Self {
            method: &inbound.method,
            url: Some(&inbound.url),
            headers: &inbound.headers,
            body: &inbound.body,
        }
    }
}

/// A message after the Standard Webhooks specification, as it stands in header fields.
#[derive(Clone, Copy)]
pub struct StandardMessage<'h> {
    /// Its id.
    pub id: &'h str,
    /// When it was signed: Unix seconds, as text.
    pub timestamp: &'h str,
    /// The signatures, with blanks between them.
    pub signature: &'h str,
}

/// The secret itself, alone or behind the name of a scheme.
pub(super) fn token(header: &str, scheme: &str, secret: &Secret) -> Option<Headers> {
    let value = [scheme, secret.expose()].join(" ");
    Some([(header, value.trim_start())].into_iter().collect())
}

/// HMAC-SHA256 under the secret's text, as `prefix` and the value. `None` for an empty
/// secret, which proves nothing.
pub(super) fn keyed_hash(
    header: &str,
    prefix: &str,
    encoding: Encoding,
    secret: &Secret,
    signed: &[&[u8]],
) -> Option<Headers> {
    let key = secret.expose().as_bytes();
    let mac = signature::keyed_hash(Algorithm::Sha256, key, signed)?;
    let value = [prefix, &signature::encode(encoding, &mac)].concat();
    Some([(header, value)].into_iter().collect())
}

/// The same over the body alone.
pub(super) fn body_hash(
    request: Unsigned<'_>,
    header: &str,
    prefix: &str,
    encoding: Encoding,
    secret: &Secret,
) -> Option<Headers> {
    keyed_hash(header, prefix, encoding, secret, &[request.body])
}

/// The part of the tolerance after which a proof is made anew: what is left of it is for
/// the way to the origin and for clocks that differ.
const PART_OF_TOLERANCE: u32 = 4;
/// How old a signed time may be at an origin that nothing else is known of, in seconds:
/// what the libraries of Stripe, Svix and Standard Webhooks take.
const USUAL_TOLERANCE_SECONDS: u32 = 300;

/// How old a signed time may be when an attempt leaves. A tolerance that is set wider
/// than the usual one says what the station takes, not what the origin does.
fn renewed_after(provider: &dyn Provider, settings: &Settings) -> Duration {
    let tolerance = super::tolerance(provider.about(), settings);
    let tolerance = tolerance.map_or(USUAL_TOLERANCE_SECONDS, |seconds| {
        seconds.min(USUAL_TOLERANCE_SECONDS)
    });
    Duration::from_secs(u64::from(tolerance))
        .checked_div(PART_OF_TOLERANCE)
        .unwrap_or_default()
}

/// What becomes of the provider's proof on an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It holds no time, or a recent one: it goes as it came.
    AsItCame,
    /// These header fields replace it.
    Renewed(Headers),
    /// Its time is old, and it cannot be made anew.
    Stale,
}

/// The provider's proof of a stored request, made anew when the request is older than a
/// quarter of the tolerance at `now`, or the proof where the provider has its age checked.
/// `body` are the bytes that are relayed.
#[must_use]
pub fn renew(
    webhook: &Webhook,
    envelope: &Envelope,
    received_at: Timestamp,
    body: &[u8],
    now: Timestamp,
) -> Renewal {
    let settings = &webhook.settings;
    let Some(provider) = find(&webhook.provider) else {
        return Renewal::AsItCame;
    };
    let Some(signed_at) = provider.signed_at(&envelope.headers, settings) else {
        return Renewal::AsItCame;
    };
    let is_checked = provider.about().tolerance_seconds.is_some()
        || matches!(settings.tolerance_seconds, Some(Some(_)));
    let since = if is_checked {
        signed_at.min(received_at)
    } else {
        // Nobody is told to check it: what was old when it came is taken as it is.
        received_at
    };
    if now.since(since) <= renewed_after(provider, settings) {
        return Renewal::AsItCame;
    }
    let request = Unsigned {
        method: &envelope.method,
        // The address that the provider was given may have changed since.
        url: None,
        headers: &envelope.headers,
        body,
    };
    secret_for(webhook, provider, request)
        .and_then(|secret| provider.sign(request, secret, settings, now))
        .map_or(Renewal::Stale, Renewal::Renewed)
}

/// The secret to sign with: the one that proved the request where it is still
/// configured, else the first.
fn secret_for<'w>(
    webhook: &'w Webhook,
    provider: &dyn Provider,
    request: Unsigned<'_>,
) -> Option<&'w Secret> {
    let mut secrets = webhook.secrets.iter().filter(|secret| !secret.is_empty());
    let coding = request.headers.get("content-encoding").map(str::trim);
    let is_encoded =
        coding.is_some_and(|it| !it.is_empty() && !it.eq_ignore_ascii_case("identity"));
    if !is_encoded && secrets.clone().nth(1).is_none() {
        return secrets.next();
    }
    let sent = Inbound {
        method: request.method.to_owned(),
        headers: request.headers.clone(),
        body: request.body.to_vec(),
        ..Inbound::default()
    };
    let settings = Settings {
        tolerance_seconds: Some(None),
        ..webhook.settings.clone()
    };
    let known: Vec<&Secret> = secrets.clone().collect();
    let proving = provider.verify_any(&sent, &known, &settings, Timestamp::default());
    // A proof over what is behind the encoding cannot be made from what is relayed.
    proving
        .ok()
        .or_else(|| secrets.next().filter(|_| !is_encoded))
}
