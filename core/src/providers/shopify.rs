//! Shopify: HMAC-SHA256 over the raw body in base64; topic and ids stand in headers
//! that are not signed.
//!
//! Source: <https://shopify.dev/docs/apps/build/webhooks/subscribe/https> and
//! <https://shopify.dev/docs/apps/build/webhooks/ignore-duplicates>.
//!
//! `X-Shopify-Event-Id` is what Shopify says to recognise duplicates by. One event of
//! a shop is told under several topics (`orders/create`, `orders/updated`) and to
//! several subscriptions, so it names an event together with the topic. Requests
//! without it are named by `X-Shopify-Webhook-Id`, the id of the delivery, which its
//! retries keep.

use super::{
    About, Facts, Identity, Provider, SUCCESS, SecretFrom, Unsigned,
    bank::unsigned,
    guide,
    naming::unambiguous,
    presented::{any_signature, body_hashes, header},
    signing,
};
use crate::{
    event::Summary,
    headers::Headers,
    inbound::{Inbound, Refusal},
    json::Json,
    secret::Secret,
    time::Timestamp,
    webhook::{Encoding, Retry, Settings},
};
use std::time::Duration;

const SIGNATURE: &str = "x-shopify-hmac-sha256";
const TOPIC: &str = "x-shopify-topic";
const EVENT: &str = "x-shopify-event-id";
const DELIVERY: &str = "x-shopify-webhook-id";

static ABOUT: About = About {
    id: "shopify",
    name: "Shopify",
    setup: guide(
        "In the shop's Settings > Notifications > Webhooks create a webhook in the format JSON \
            with the ingest URL, and paste the key that signs them, shown on that page, as secret \
            here. For an app's subscriptions the secret is the app's client secret.",
    ),
    methods: &["POST"],
    settings: &[],
    required_settings: &[],
    // Open: topics are many and grow.
    events: &[],
    same_events: &[],
    // Eight more tries over four hours.
    retry_window: Duration::from_secs(4 * 3_600),
    tolerance_seconds: None,
    whsec: false,
    secret_from: SecretFrom::Provider,
    credential_headers: &[SIGNATURE],
    default_retry: Retry::default,
    answer: SUCCESS,
    documentation: guide("https://shopify.dev/docs/apps/build/webhooks"),
};

/// The table's entry.
pub(super) static SHOPIFY: Shopify = Shopify;

/// Shopify.
pub(super) struct Shopify;

/// No topic of Shopify's: an order, a product or a customer would be taken for one.
const SAMPLE: &str = r#"{"id":0,"title":"TRAM TEST","created_at":"2026-11-20T09:30:00+07:00","updated_at":"2026-11-20T09:30:00+07:00","test":true}"#;

impl Provider for Shopify {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn verify(
        &self,
        inbound: &Inbound,
        secret: &Secret,
        _settings: &Settings,
        _now: Timestamp,
    ) -> Result<(), Refusal> {
        let expected = body_hashes(inbound, secret);
        any_signature(inbound, SIGNATURE, "", Encoding::Base64, &expected)
    }

    fn describe(&self, _settings: &Settings, inbound: &Inbound, content: &[u8]) -> Facts {
        let stated = |name: &str| header(inbound, name).ok().map(str::to_owned);
        let document = Json::parse(content);
        let text = |pointer: &str| document.and_then(|document| document.shown_at(pointer));
        let first = |pointers: [&str; 2]| pointers.iter().find_map(|pointer| text(pointer));
        let name = stated(TOPIC);
        let event = stated(EVENT).and_then(|event| {
            // Two texts, so never the same as a delivery's id alone.
            unambiguous(&[name.clone().unwrap_or_default(), event])
        });
        Facts {
            identity: event
                .or_else(|| stated(DELIVERY))
                .map_or(Identity::Bytes, Identity::Unproven),
            name,
            object_id: first(["/id", "/admin_graphql_api_id"]),
            summary: Summary {
                amount: text("/total_price").and_then(|amount| unsigned(&amount)),
                transaction_id: text("/name"),
                description: first(["/title", "/email"]),
                occurred_at: first(["/updated_at", "/created_at"])
                    .and_then(|when| Timestamp::parse_rfc3339(&when))
                    .map(Timestamp::to_rfc3339),
                currency: text("/currency"),
                ..Summary::default()
            },
            // `X-Shopify-Test` is not signed, so it must not take a request out of dedupe
            // memory: a captured one could be replayed with it.
            test: false,
        }
    }

    fn sample(&self, inbound: &mut Inbound, _: &Secret, _: &Settings) {
        inbound.headers.push(TOPIC, "tram/test");
        // As Shopify marks the test notifications of a shop.
        inbound.headers.push("x-shopify-test", "true");
        inbound
            .headers
            .push(EVENT, "00000000-0000-0000-0000-000000000000");
        inbound.body = SAMPLE.into();
    }

    fn sign(
        &self,
        request: Unsigned<'_>,
        secret: &Secret,
        _: &Settings,
        _: Timestamp,
    ) -> Option<Headers> {
        signing::body_hash(request, SIGNATURE, "", Encoding::Base64, secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::examples::post;

    // shopify-app-js, packages/apps/shopify-api/lib/webhooks/__tests__/validate.test.ts
    const SECRET: &str = "test_secret_key";
    const BASE64: &str = "B23tXN681gZ0qIWNRrgtzBE9XSDo5yaUu6wfmhu3a7g=";

    #[test]
    fn base64_of_the_raw_body_is_compared_exactly() {
        let verify = |value: &str, body: &str| {
            let secret = Secret::new(SECRET.into());
            let inbound = post(&[("X-Shopify-Hmac-Sha256", value)], body);
            SHOPIFY
                .verify(
                    &inbound,
                    &secret,
                    &Settings::default(),
                    Timestamp::default(),
                )
                .map_err(|why| why.code())
        };
        let body = r#"{"foo": "bar"}"#;
        let wrong = Err("wrong_secret_or_altered_body");
        assert_eq!(verify(BASE64, body), Ok(()));
        assert_eq!(
            verify(&BASE64.replace('B', "b"), body),
            wrong,
            "case counts"
        );
        assert_eq!(verify(BASE64, r#"{"foo":"bar"}"#), wrong);
        let mac = "076ded5cdebcd60674a8858d46b82dcc113d5d20e8e72694bbac1f9a1bb76bb8";
        assert!(verify(mac, body).is_err(), "hex");
        assert_eq!(
            verify(BASE64.trim_end_matches('='), body),
            Err("malformed_header")
        );
        assert_eq!(verify("", body), Err("missing_header"));
    }

    fn identity(headers: &[(&str, &str)]) -> Identity {
        let inbound = post(headers, "{}");
        SHOPIFY
            .describe(&Settings::default(), &inbound, b"{}")
            .identity
    }

    #[test]
    fn the_event_and_its_topic_name_it() {
        let event = ("X-Shopify-Event-Id", "e1");
        let create = ("X-Shopify-Topic", "orders/create");
        let update = ("X-Shopify-Topic", "orders/updated");
        let delivery = |id| ("X-Shopify-Webhook-Id", id);
        let named = identity(&[event, create, delivery("d1")]);
        assert_eq!(named, Identity::Unproven("13:orders/create2:e1".into()));
        assert_eq!(
            identity(&[event, create, delivery("d2")]),
            named,
            "subscribed twice"
        );
        assert_ne!(identity(&[event, update, delivery("d3")]), named);
        let alone = Identity::Unproven("d1".into());
        assert_eq!(identity(&[create, delivery("d1")]), alone);
        assert_eq!(identity(&[create]), Identity::Bytes);
    }

    #[test]
    fn an_order_is_read_and_an_unsigned_mark_makes_no_test_call() {
        let body = r##"{"id":820982911946154508,"admin_graphql_api_id":"gid://shopify/Order/820982911946154508","name":"#9999",
            "email":"jon@example.com","total_price":"388.00","test":true,"created_at":"2021-12-31T19:00:00-05:00","updated_at":"2021-12-31T20:00:00-05:00"}"##;
        let inbound = post(
            &[
                ("X-Shopify-Topic", "orders/create"),
                ("X-Shopify-Test", "true"),
            ],
            body,
        );
        let facts = SHOPIFY.describe(&Settings::default(), &inbound, body.as_bytes());
        assert_eq!(facts.name.as_deref(), Some("orders/create"));
        assert_eq!(facts.object_id.as_deref(), Some("820982911946154508"));
        assert_eq!(facts.summary.amount.as_deref(), Some("388.00"));
        assert_eq!(facts.summary.transaction_id.as_deref(), Some("#9999"));
        assert_eq!(
            facts.summary.occurred_at.as_deref(),
            Some("2022-01-01T01:00:00.000Z")
        );
        assert!(!facts.test);
    }
}
