//! Requests as providers send them, for trying a webhook out: proven with the webhook's
//! own secret, so that they go through what a real one goes through, here and at the
//! origin. What they say is invented.

use crate::{
    inbound::Inbound,
    secret::Secret,
    signature,
    webhook::{Algorithm, Encoding},
};

/// `body` with the secret in a header field: alone, or behind the name of a scheme.
pub(super) fn with_token(
    inbound: &mut Inbound,
    body: &str,
    header: &str,
    scheme: &str,
    secret: &Secret,
) {
    inbound.body = body.as_bytes().to_vec();
    let value = [scheme, secret.expose()].join(" ");
    inbound.headers.push(header, value.trim_start());
}

/// `body` with its HMAC-SHA256 in a header field, as `prefix` and the value.
pub(super) fn with_signature(
    inbound: &mut Inbound,
    body: &str,
    header: &str,
    prefix: &str,
    encoding: Encoding,
    secret: &Secret,
) {
    inbound.body = body.as_bytes().to_vec();
    let value = [prefix, &mac(secret, &[&inbound.body], encoding)].concat();
    inbound.headers.push(header, value);
}

/// HMAC-SHA256 under the secret's text. Nothing for an empty one, which proves nothing.
pub(super) fn mac(secret: &Secret, parts: &[&[u8]], encoding: Encoding) -> String {
    let key = secret.expose().as_bytes();
    let mac = signature::keyed_hash(Algorithm::Sha256, key, parts);
    signature::encode(encoding, &mac.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::{ALL, examples};
    use crate::{receive, time::Timestamp};
    use serde_json::{Value, json};

    const NOW: Timestamp = Timestamp::from_millis(1_795_158_000_000);

    fn check(provider: &str, secret: &str, settings: Value) {
        let webhook = examples::webhook(provider, secret, settings.clone());
        let url = "https://hooks.example.com/in/wh_00000000000000000000000000";
        let (envelope, event) = receive::sample(&webhook, url, NOW)
            .unwrap_or_else(|problem| panic!("{provider} {settings}: {problem:?}"));
        assert!(event.test);
        assert_eq!(
            envelope.headers.get("content-type"),
            Some("application/json")
        );
        assert!(
            serde_json::from_slice::<Value>(&event.body).is_ok(),
            "{provider}"
        );
        let has = |name: &str| envelope.headers.get(name).is_some();
        for header in super::super::find(provider)
            .unwrap()
            .about()
            .credential_headers
        {
            assert!(
                has(header) || *header == "x-hub-signature",
                "{provider}: {header}"
            );
        }
        // What is known of it is read from it.
        let summary = serde_json::to_value(&event.summary).unwrap();
        let is_bank = !matches!(
            provider,
            "sepay-bankhub"
                | "abaha"
                | "standard-webhooks"
                | "svix"
                | "github"
                | "stripe"
                | "shopify"
                | "custom"
        );
        assert!(
            !is_bank || summary["amount"] == "200000",
            "{provider}: {summary}"
        );
        assert!(
            event.object_id.is_some() || provider == "custom",
            "{provider}: {event:?}"
        );
    }

    #[test]
    fn every_provider_takes_its_own_sample() {
        for provider in ALL {
            let about = provider.about();
            let secret = if about.whsec {
                "whsec_c2VjcmV0IGZvciB0ZXN0cyBvbmx5"
            } else {
                "a secret of 24 letters.."
            };
            let settings = match about.id {
                "abaha" | "custom" => json!({"header": "X-Shop-Token"}),
                _ => json!({}),
            };
            check(about.id, secret, settings);
        }
    }

    #[test]
    fn a_custom_one_is_proven_however_it_is_set_up() {
        for settings in [
            json!({"prefix": "Token "}),
            json!({"scheme": "hmac"}),
            json!({"scheme": "hmac", "algorithm": "sha512", "encoding": "base64", "prefix": "v1="}),
            json!({"scheme": "hmac", "signed": "{timestamp}.{body}", "timestamp_header": "X-Time"}),
            json!({"timestamp_header": "X-Time", "timestamp_unit": "ms"}),
            json!({"scheme": "hmac", "signed": "{id}|{method}|{url}|{body}", "event_id": "header:X-Id"}),
            json!({"scheme": "hmac", "signed": "{url}{body}", "url": "https://registered.example/a"}),
            json!({"items": "/data", "event_id": "/id"}),
            json!({"answer": {"status": 204}, "event_name": "header:X-Event"}),
        ] {
            let mut settings = settings;
            settings["header"] = "X-Proof".into();
            check("custom", "a secret of 24 letters..", settings);
        }
    }

    #[test]
    fn filters_do_not_drop_it() {
        let mut webhook = examples::webhook("casso", "a secret of 24 letters..", json!({}));
        webhook.accounts = vec!["nobody's".into()];
        webhook.allow_events.clear();
        assert!(receive::sample(&webhook, "https://a.example/in/wh", NOW).is_ok());
    }

    #[test]
    fn without_a_secret_that_proves_anything_there_is_none_and_it_says_why() {
        for (provider, secret) in [("casso", ""), ("svix", "not base64!"), ("nobody", "x")] {
            let webhook = examples::webhook(provider, secret, json!({}));
            let problem = receive::sample(&webhook, "https://a.example/in/wh", NOW).unwrap_err();
            assert_eq!((problem.status, problem.code), (409, "sample_refused"));
            assert!(!problem.detail.contains("base64!"), "{}", problem.detail);
        }
    }
}
