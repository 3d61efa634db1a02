//! Keyed hashes and their notations.

use crate::secret::Secret;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A signature of the Standard Webhooks specification: `v1,` and the base64 of
/// HMAC-SHA256 over `id.timestamp.body`, keyed with the bytes whose base64 stands
/// behind `whsec_`. `None` when the secret is not of that form or empty.
#[must_use]
pub fn standard_webhooks_signature(
    secret: &Secret,
    id: &str,
    timestamp_seconds: i64,
    body: &[u8],
) -> Option<String> {
    let key = STANDARD
        .decode(secret.expose().strip_prefix("whsec_")?)
        .ok()?;
    if key.is_empty() {
        return None;
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{timestamp_seconds}.").as_bytes());
    mac.update(body);
    Some(format!(
        "v1,{}",
        STANDARD.encode(mac.finalize().into_bytes())
    ))
}
