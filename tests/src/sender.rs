//! Signs as providers do: computed from the providers' own documentation, without the
//! code under test.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::{
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

/// Now, in Unix seconds.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// HMAC-SHA256 of `message`.
#[must_use]
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// In lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// GitHub's `x-hub-signature-256`.
#[must_use]
pub fn github_signature(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", hex(&hmac_sha256(secret.as_bytes(), body)))
}

/// SePay's `x-sepay-signature` over a body sent at `timestamp`, in Unix seconds.
#[must_use]
pub fn sepay_signature(secret: &str, timestamp: u64, body: &[u8]) -> String {
    let signed = [format!("{timestamp}.").as_bytes(), body].concat();
    format!("sha256={}", hex(&hmac_sha256(secret.as_bytes(), &signed)))
}

/// The header fields of the Standard Webhooks specification.
///
/// # Panics
/// When the secret is not `whsec_` and base64.
#[must_use]
pub fn standard_webhooks(
    secret: &str,
    id: &str,
    timestamp: u64,
    body: &[u8],
) -> [(&'static str, String); 3] {
    let key = secret
        .strip_prefix("whsec_")
        .and_then(|key| STANDARD.decode(key).ok())
        .expect("a whsec_ secret");
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let signature = format!("v1,{}", STANDARD.encode(hmac_sha256(&key, &signed)));
    [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", timestamp.to_string()),
        ("webhook-signature", signature),
    ]
}
