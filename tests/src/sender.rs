//! Sends as providers do: their bodies, and their signatures computed from the
//! providers' own documentation, without the code under test.

use crate::{api::Webhook, client::Answer, origin::Origin, station::Station};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
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

/// A bank transaction as Casso tells of it.
#[must_use]
pub fn transaction(id: impl Into<Value>) -> Value {
    json!({
        "id": id.into(), "tid": "FT26324000001", "description": "NGUYEN THI ANH chuyển tiền DH1001",
        "amount": 599_000, "cusum_balance": 25_599_000, "when": "2026-11-20 10:30:00",
        "bank_sub_acc_id": "88888888", "subAccId": "88888888", "bankName": "VPBank"
    })
}

/// Casso's body with these transactions.
#[must_use]
pub fn casso(transactions: &[Value]) -> String {
    json!({"error": 0, "data": transactions}).to_string()
}

impl Station {
    /// A webhook of Casso's to this origin, with retries that tests can wait for.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    #[track_caller]
    pub fn casso_webhook(&self, origin: &Origin) -> Webhook {
        self.create_webhook(&json!({
            "provider": "casso", "webhook_url": origin.url("/hook"),
            "retry": {"schedule": "custom", "delays_seconds": [0.2, 0.2, 0.2]}
        }))
    }

    /// A POST as Casso makes it, with this webhook's secret.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn post_casso(&self, webhook: &Webhook, body: impl AsRef<[u8]>) -> Answer {
        self.post_casso_with(webhook, &[], body)
    }

    /// The same with further header fields.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn post_casso_with(
        &self,
        webhook: &Webhook,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let casso = [
            ("content-type", "application/json"),
            ("secure-token", webhook.secret.as_str()),
        ];
        self.post(&webhook.path, &[&casso, headers].concat(), body)
    }
}
