//! Stripe: HMAC-SHA256 over `time.body`, one event per request.
//!
//! Source: <https://docs.stripe.com/webhooks#verify-manually>. The key is the whole
//! text of the secret, with its `whsec_`; `v0` are signatures for tests and prove
//! nothing. Several `v1` stand there while a secret is being rolled.

use super::{
    About, Facts, Identity, Provider, SUCCESS, SecretFrom, Unsigned, guide,
    presented::{prove, signed_bodies, stamped},
    signing, tolerance,
};
use crate::{
    event::Summary,
    headers::Headers,
    inbound::{Inbound, Refusal},
    json::Json,
    secret::Secret,
    signature,
    time::Timestamp,
    webhook::{Algorithm, Encoding, Retry, Settings},
};
use std::time::Duration;

const SIGNATURE: &str = "stripe-signature";

static ABOUT: About = About {
    id: "stripe",
    name: "Stripe",
    setup: guide(
        "In the Dashboard's Workbench > Webhooks add an endpoint with the ingest URL as Endpoint \
            URL, and paste its Signing secret (whsec_…) as secret here.",
    ),
    methods: &["POST"],
    settings: &["tolerance_seconds"],
    required_settings: &[],
    // Open: Stripe adds events as it grows.
    events: &[],
    same_events: &[],
    // Up to three days, in live mode.
    retry_window: Duration::from_secs(3 * 86_400),
    // The default of Stripe's libraries. Every try is signed anew.
    tolerance_seconds: Some(300),
    // Kept as it is: the key is the text itself.
    whsec: false,
    secret_from: SecretFrom::Provider,
    credential_headers: &[SIGNATURE],
    default_retry: Retry::default,
    answer: SUCCESS,
    documentation: guide("https://docs.stripe.com/webhooks"),
};

/// The table's entry.
pub(super) static STRIPE: Stripe = Stripe;

/// Stripe.
pub(super) struct Stripe;

/// No type of Stripe's: handlers pass over what they do not know.
const SAMPLE: &str = r#"{"id":"evt_tram_test","object":"event","api_version":"2025-10-29","created":1763632800,"livemode":false,"pending_webhooks":1,"request":null,"type":"tram.test","data":{"object":{"id":"prod_tram_test","object":"product","active":false,"name":"TRAM TEST","description":"TRAM TEST","livemode":false}}}"#;

impl Provider for Stripe {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn verify(
        &self,
        inbound: &Inbound,
        secret: &Secret,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let presented = stamped(inbound, SIGNATURE, "v1")?;
        signature::check_age(presented.at, now, tolerance(&ABOUT, settings))?;
        let (key, time) = (secret.expose().as_bytes(), presented.time.as_bytes());
        let proven = signed_bodies(inbound)
            .filter_map(|body| signature::keyed_hash(Algorithm::Sha256, key, &[time, b".", body]))
            .any(|mac| presented.holds(&mac));
        prove(proven)
    }

    fn describe(&self, _settings: &Settings, _inbound: &Inbound, content: &[u8]) -> Facts {
        let document = Json::parse(content);
        let text = |pointer: &str| document.and_then(|document| document.shown_at(pointer));
        let id = document
            .and_then(Json::object)
            .and_then(|event| event.id("id"));
        Facts {
            identity: id.map_or(Identity::Bytes, Identity::Proven),
            name: text("/type"),
            // A thin event names the object it is about.
            object_id: text("/data/object/id").or_else(|| text("/related_object/id")),
            summary: Summary {
                description: text("/data/object/description"),
                // Unix seconds, in version 2 RFC 3339. Amounts are in units that depend
                // on the currency: they are left to whoever knows it.
                occurred_at: text("/created")
                    .and_then(|at| {
                        Timestamp::parse_unix(&at).or_else(|| Timestamp::parse_rfc3339(&at))
                    })
                    .map(Timestamp::to_rfc3339),
                currency: text("/data/object/currency"),
                ..Summary::default()
            },
            // Events in test mode are events: the operator is testing with them.
            test: false,
        }
    }

    fn sample(&self, inbound: &mut Inbound, _: &Secret, _: &Settings) {
        inbound.body = SAMPLE.into();
    }

    fn sign(
        &self,
        request: Unsigned<'_>,
        secret: &Secret,
        _: &Settings,
        now: Timestamp,
    ) -> Option<Headers> {
        let time = now.seconds().to_string();
        let signed = [time.as_bytes(), b".", request.body];
        let prefix = ["t=", &time, ",v1="].concat();
        signing::keyed_hash(SIGNATURE, &prefix, Encoding::Hex, secret, &signed)
    }

    fn signed_at(&self, headers: &Headers, _: &Settings) -> Option<Timestamp> {
        let presented = stamped(headers, SIGNATURE, "v1").ok()?;
        Some(Timestamp::from_seconds(presented.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::examples::post;
    use serde_json::json;

    // stripe-dotnet, src/StripeTests/Services/Events/EventUtilityTest.cs
    const SECRET: &str = "webhook_secret";
    const AT: i64 = 1_533_204_620;
    const V1: &str = "v1=2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7";
    const V0: &str = "v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef";
    const BODY: &str = "{\n  \"id\": \"evt_123\",\n  \"object\": \"event\",\n  \"account\": \"acct_123\",\n  \"api_version\": \"2017-05-25\",\n  \"created\": 1533204620,\n  \"data\": {\n    \"object\": {\n      \"id\": \"cus_123\",\n      \"object\": \"customer\",\n      \"created\": 123456789,\n      \"email\": \"test@stripe.com\",\n      \"livemode\": false,\n      \"metadata\": {}\n    }\n  },\n  \"livemode\": false,\n  \"pending_webhooks\": 1,\n  \"request\": {\n    \"id\": \"req_123\",\n    \"idempotency_key\": \"idempotency-key-123\"\n  },\n  \"type\": \"customer.created\"\n}\n";

    fn verify_at(now: i64, settings: serde_json::Value, value: &str) -> Result<(), &'static str> {
        STRIPE
            .verify(
                &post(&[("Stripe-Signature", value)], BODY),
                &Secret::new(SECRET.into()),
                &serde_json::from_value(settings).unwrap(),
                Timestamp::from_seconds(now),
            )
            .map_err(|why| why.code())
    }

    #[test]
    fn any_v1_proves_and_v0_does_not() {
        let other = "v1=0000f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7";
        let wrong = Err("wrong_secret_or_altered_body");
        for (value, result) in [
            (format!("t=1533204620,{V1},{V0}"), Ok(())),
            (format!("t=1533204620,{other},{V1}"), Ok(())),
            (format!("t=1533204620,{V1},{other}"), Ok(())),
            (format!("t=1533204620, {V1}"), Ok(())),
            (
                format!("t=1533204620,{}", V1.to_uppercase().replace('V', "v")),
                Ok(()),
            ),
            (format!("t=1533204621,{V1}"), wrong),
            (format!("t=1533204620,{other}"), wrong),
            (format!("t=1533204620,{}", V0.replace("v0", "v1")), wrong),
            (format!("t=1533204620,{V0}"), Err("unknown_version")),
            (
                format!("t=1533204620,{}", V1.replace("v1", "v0")),
                Err("unknown_version"),
            ),
            (V1.to_owned(), Err("malformed_header")),
            (String::new(), Err("missing_header")),
        ] {
            assert_eq!(verify_at(AT, json!({}), &value), result, "{value}");
        }
    }

    #[test]
    fn age_is_limited_unless_the_operator_says_otherwise() {
        let at = |now, settings| verify_at(now, settings, &format!("t=1533204620,{V1}"));
        assert_eq!(at(AT + 300, json!({})), Ok(()));
        assert_eq!(at(AT + 301, json!({})), Err("stale_timestamp"));
        assert_eq!(at(AT - 301, json!({})), Err("future_timestamp"));
        assert_eq!(at(AT + 9_999, json!({"tolerance_seconds": null})), Ok(()));
    }

    #[test]
    fn the_whole_text_of_the_secret_is_the_key() {
        let key = b"whsec_c2VjcmV0";
        let mac = signature::keyed_hash(Algorithm::Sha256, key, &[b"1.{}"]).unwrap();
        let value = format!("t=1,v1={}", hex::encode(mac));
        let inbound = post(&[("stripe-signature", &value)], "{}");
        let verify = |secret: &str| {
            let secret = Secret::new(secret.into());
            let settings = Settings::default();
            STRIPE.verify(&inbound, &secret, &settings, Timestamp::from_seconds(1))
        };
        assert!(verify("whsec_c2VjcmV0").is_ok());
        assert!(verify("c2VjcmV0").is_err());
        assert!(verify("secret").is_err());
    }

    #[test]
    fn an_event_is_read() {
        let describe =
            |body: &str| STRIPE.describe(&Settings::default(), &post(&[], body), body.as_bytes());
        let facts = describe(BODY);
        assert_eq!(facts.identity, Identity::Proven("evt_123".into()));
        assert_eq!(facts.name.as_deref(), Some("customer.created"));
        assert_eq!(facts.object_id.as_deref(), Some("cus_123"));
        assert_eq!(
            facts.summary.occurred_at.as_deref(),
            Some("2018-08-02T10:10:20.000Z")
        );
        assert!(!facts.test, "test mode is no test call");
        let thin = describe(
            r#"{"id":"evt_test_65","object":"v2.core.event","type":"v1.billing.meter.error_report_triggered",
                "created":"2024-09-17T06:20:52.246Z","related_object":{"id":"mtr_test_61"}}"#,
        );
        assert_eq!(thin.object_id.as_deref(), Some("mtr_test_61"));
        assert_eq!(
            thin.summary.occurred_at.as_deref(),
            Some("2024-09-17T06:20:52.246Z")
        );
        assert_eq!(describe("[]").identity, Identity::Bytes);
    }
}
