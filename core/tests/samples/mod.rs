//! Requests as each provider of the table would send them, signed here with the
//! product's own hashes, for tests and measurements alike.

#![allow(dead_code, reason = "each that includes this uses a part of it")]
#![allow(
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "made for tests"
)]

use serde_json::{Value, json};
use tram_core::{
    canonical_json::{Canonical, Notation},
    inbound::Inbound,
    json::Json,
    providers,
    secret::Secret,
    signature,
    webhook::{Algorithm, Encoding, Webhook},
};

/// The Unix time at which requests are made.
pub const AT: i64 = 1_700_000_000;
/// 24 bytes behind the prefix: no letter of the base64 is without meaning.
pub const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u";

/// The ids of all providers.
pub fn ids() -> impl Iterator<Item = &'static str> {
    providers::ALL.iter().map(|provider| provider.about().id)
}

/// A webhook of this provider; `id` tells it from others.
pub fn webhook(provider: &str, id: char, secret: &str) -> Webhook {
    let settings = match provider {
        "abaha" => json!({"header": "x-abaha"}),
        "custom" => json!({"header": "x-sig", "scheme": "hmac", "signed": "{timestamp}{body}",
            "timestamp_header": "x-time", "event_id": "/id"}),
        _ => json!({}),
    };
    serde_json::from_value(json!({
        "id": format!("wh_{id}0000000000000000000000000"), "version": 1, "name": "", "provider": provider,
        "settings": settings, "secrets": [secret], "destinations": [], "is_active": true, "is_paused": false,
        "signing_secret": "whsec_YWJj", "previous_signing_secret": null, "direction": "ALL",
        "accounts": [], "allow_events": ["*"], "headers": {}, "retry": {"schedule": "fibonacci"},
        "give_up_after_hours": 72, "retention_days": 30, "dedupe_days": 400, "shards": 1,
        "created_at": 0, "updated_at": 0
    }))
    .unwrap()
}

/// A request that the provider could have sent of an event with this id.
pub struct Sample {
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// The proof covers the body.
    pub signs: bool,
    /// Letters of the proof count in either case.
    pub hex: bool,
}

impl Sample {
    pub fn of(provider: &str, id: &str, at: i64) -> Self {
        Self::saying(provider, id, at, body(provider, id))
    }

    /// The same with this body; of payOS it is what the envelope holds as `data`.
    pub fn saying(provider: &str, id: &str, at: i64, body: String) -> Self {
        let mac = |algorithm, parts: &[&str]| {
            let parts: Vec<_> = parts.iter().map(|part| part.as_bytes()).collect();
            signature::keyed_hash(algorithm, SECRET.as_bytes(), &parts).unwrap()
        };
        let hex = |parts: &[&str]| signature::encode(Encoding::Hex, &mac(Algorithm::Sha256, parts));
        let time = at.to_string();
        let mut headers = match provider {
            "casso" => vec![("secure-token", SECRET.to_owned())],
            "sepay" | "sepay-bankhub-ipn" => {
                vec![("authorization", format!("Apikey {SECRET}"))]
            }
            "pay2s" => vec![("authorization", format!("Bearer {SECRET}"))],
            "sepay-bankhub" | "sepay-pg" => vec![("x-secret-key", SECRET.to_owned())],
            "abaha" => vec![("x-abaha", SECRET.to_owned())],
            "casso-v2" => {
                let document = Canonical::of(Json::parse(body.as_bytes()).unwrap()).unwrap();
                let written = document.written(Notation::JAVASCRIPT);
                let time = at.saturating_mul(1_000).to_string();
                let mac = mac(Algorithm::Sha512, &[&time, ".", &written]);
                let mac = signature::encode(Encoding::Hex, &mac);
                vec![("x-casso-signature", format!("t={time},v1={mac}"))]
            }
            "sepay-hmac" => vec![
                (
                    "x-sepay-signature",
                    format!("sha256={}", hex(&[&time, ".", &body])),
                ),
                ("x-sepay-timestamp", time.clone()),
            ],
            "thueapi" => vec![("x-webhook-signature", hex(&[&body]))],
            "beepay" => vec![("x-webhook-signature", format!("sha256={}", hex(&[&body])))],
            "github" => vec![("x-hub-signature-256", format!("sha256={}", hex(&[&body])))],
            "stripe" => {
                let mac = hex(&[&time, ".", &body]);
                vec![("stripe-signature", format!("t={time},v1={mac}"))]
            }
            "shopify" => {
                let mac = mac(Algorithm::Sha256, &[&body]);
                vec![(
                    "x-shopify-hmac-sha256",
                    signature::encode(Encoding::Base64, &mac),
                )]
            }
            "standard-webhooks" | "svix" => {
                let secret = Secret::new(SECRET.into());
                let signature = signature::standard_webhooks_signature(
                    &secret,
                    id,
                    &at.to_string(),
                    body.as_bytes(),
                );
                let names = if provider == "svix" {
                    ["svix-signature", "svix-timestamp"]
                } else {
                    ["webhook-signature", "webhook-timestamp"]
                };
                vec![(names[0], signature.unwrap()), (names[1], time.clone())]
            }
            "custom" => vec![("x-sig", hex(&[&time, &body])), ("x-time", time.clone())],
            "payos" => Vec::new(),
            other => panic!("no sample of {other}"),
        };
        let body = if provider == "payos" {
            let data: serde_json::Map<String, Value> = serde_json::from_str(&body).unwrap();
            let fields = data.iter().map(|(name, value)| match value {
                Value::String(text) => format!("{name}={text}"),
                other => format!("{name}={other}"),
            });
            let signed = fields.collect::<Vec<_>>().join("&");
            format!(r#"{{"data":{body},"signature":"{}"}}"#, hex(&[&signed]))
        } else {
            body
        };
        let signs = !matches!(
            provider,
            "casso"
                | "sepay"
                | "sepay-bankhub"
                | "sepay-bankhub-ipn"
                | "sepay-pg"
                | "pay2s"
                | "abaha"
        );
        headers.extend(match provider {
            "standard-webhooks" => Some(("webhook-id", id.to_owned())),
            "svix" => Some(("svix-id", id.to_owned())),
            "github" => Some(("x-github-delivery", id.to_owned())),
            "shopify" => Some(("x-shopify-event-id", id.to_owned())),
            _ => None,
        });
        Self {
            headers: headers
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            body,
            signs,
            hex: !matches!(provider, "shopify" | "standard-webhooks" | "svix"),
        }
    }

    pub fn inbound(&self) -> Inbound {
        Inbound {
            method: "POST".into(),
            url: "https://hooks.example.com/in/x".into(),
            headers: self
                .headers
                .iter()
                .map(|(name, value)| (name, value.as_str()))
                .collect(),
            body: self.body.clone().into_bytes(),
            ..Inbound::default()
        }
    }
}

/// What it says of an event with this id.
pub fn body(provider: &str, id: &str) -> String {
    let transaction = |name: &str| json!({name: id, "amount": 5000, "content": "đơn 7"});
    let body: Value = match provider {
        "casso" => json!({"error": 0, "data": [transaction("id")]}),
        "casso-v2" => json!({"error": 0, "data": transaction("id")}),
        "thueapi" | "pay2s" => json!({"transactions": [transaction("checksum")]}),
        "sepay-bankhub" => transaction("xid"),
        "sepay-bankhub-ipn" | "beepay" => transaction("transaction_id"),
        "sepay-pg" => {
            json!({"notification_type": "ORDER_PAID", "transaction": transaction("id")})
        }
        "abaha" => json!({"id": id, "cart_code": "0007"}),
        "payos" => json!({"amount": 5000, "paymentLinkId": "link", "reference": id}),
        "github" | "shopify" | "standard-webhooks" | "svix" => json!({"amount": 5000}),
        _ => transaction("id"),
    };
    body.to_string()
}
