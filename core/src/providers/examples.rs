//! Webhooks and requests for tests: everything a test does not speak of takes its
//! default.

use crate::{inbound::Inbound, webhook::Webhook};
use serde_json::{Value, json};

/// An active webhook with one destination, of this provider, secret and settings.
pub(crate) fn webhook(provider: &str, secret: &str, settings: Value) -> Webhook {
    serde_json::from_value(json!({
        "id": "wh_00000000000000000000000000", "version": 1, "name": "", "provider": provider,
        "settings": settings, "secrets": [secret],
        "destinations": [{"id": "dst_0000000000000", "url": "https://shop.example/hook",
            "headers": {}, "timeout_seconds": 5, "strict": false, "sign": true,
            "forward_credentials": true, "rate_per_second": 20}],
        "is_active": true, "is_paused": false, "signing_secret": "whsec_YWJj",
        "previous_signing_secret": null, "direction": "ALL", "accounts": [],
        "allow_events": ["*"], "headers": {}, "retry": {"schedule": "fibonacci"},
        "give_up_after_hours": 72, "retention_days": 30, "dedupe_days": 400, "shards": 1,
        "created_at": 0, "updated_at": 0
    }))
    .unwrap()
}

/// A POST with these headers and this body.
pub(crate) fn post(headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Inbound {
    Inbound {
        method: "POST".into(),
        url: "https://hooks.example.com/in/wh_00000000000000000000000000".into(),
        query: String::new(),
        headers: headers.iter().copied().collect(),
        body: body.as_ref().to_vec(),
        ..Inbound::default()
    }
}
