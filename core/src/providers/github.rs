//! GitHub webhooks: HMAC-SHA256 over the raw body; the delivery's id and the
//! event's name stand in headers that are not signed.
//!
//! Source: <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
//! and <https://docs.github.com/en/webhooks/webhook-events-and-payloads>. Bodies come
//! as JSON or, when the hook is so configured, as a form with the JSON in `payload`.
//!
//! Out of scope: `X-Hub-Signature` (SHA-1), which GitHub keeps for old receivers.

use super::{
    About, Facts, Identity, Provider, SUCCESS, SecretFrom, Unsigned, guide,
    presented::{any_signature, body_hashes},
    signing,
};
use crate::{
    event::Summary,
    form,
    headers::Headers,
    inbound::{Inbound, Refusal},
    json::{Json, is_blank},
    secret::Secret,
    time::Timestamp,
    webhook::{Encoding, Retry, Settings},
};
use std::{borrow::Cow, time::Duration};

const SIGNATURE: &str = "x-hub-signature-256";
const DELIVERY: &str = "x-github-delivery";
const EVENT: &str = "x-github-event";

static ABOUT: About = About {
    id: "github",
    name: "GitHub",
    setup: guide(
        "In the repository's or organisation's Settings > Webhooks > Add webhook, paste the \
            ingest URL as Payload URL and the secret as Secret. Either content type is taken.",
    ),
    methods: &["POST"],
    settings: &[],
    required_settings: &[],
    // Open: GitHub adds events as it grows.
    events: &[],
    same_events: &[],
    // Nothing is sent again by itself; for three days people can redeliver.
    retry_window: Duration::from_secs(3 * 86_400),
    tolerance_seconds: None,
    whsec: false,
    secret_from: SecretFrom::Owner,
    credential_headers: &[SIGNATURE, "x-hub-signature"],
    default_retry: Retry::default,
    answer: SUCCESS,
    documentation: guide(
        "https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
    ),
};

/// The table's entry.
pub(super) static GITHUB: GitHub = GitHub;

/// GitHub.
pub(super) struct GitHub;

/// What GitHub sends when a hook is made, which no handler deploys.
const SAMPLE: &str = r#"{"zen":"TRAM TEST: keep it logically awesome.","hook_id":0,"hook":{"type":"Repository","id":0,"name":"web","active":true,"events":["*"]},"repository":{"id":0,"name":"tram-test","full_name":"octocat/tram-test","private":false},"sender":{"login":"octocat","id":0}}"#;

impl Provider for GitHub {
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
        any_signature(inbound, SIGNATURE, "sha256=", Encoding::Hex, &expected)
    }

    fn describe(&self, _settings: &Settings, inbound: &Inbound, content: &[u8]) -> Facts {
        let stated = |name: &str| {
            let value = inbound.headers.get(name).map(str::to_owned);
            value.filter(|value| !is_blank(value))
        };
        let document = self.document(inbound, content);
        let document = Json::parse(&document);
        let text = |pointer: &str| document.and_then(|document| document.shown_at(pointer));
        let name = stated(EVENT);
        Facts {
            // The event's name is not signed. A test call is outside dedupe memory, so
            // the signed body must say so as well: of all events only a ping has a zen.
            test: name.as_deref() == Some("ping") && text("/zen").is_some(),
            // A redelivery has the id of the first.
            identity: stated(DELIVERY).map_or(Identity::Bytes, Identity::Unproven),
            name,
            object_id: text("/repository/full_name").or_else(|| text("/organization/login")),
            summary: Summary {
                description: text("/action"),
                ..Summary::default()
            },
        }
    }

    fn document<'a>(&self, inbound: &Inbound, content: &'a [u8]) -> Cow<'a, [u8]> {
        let content_type = inbound.headers.get("content-type").unwrap_or_default();
        form::fields(content_type, content)
            .into_iter()
            .flatten()
            .find_map(|(name, value)| (name == b"payload").then_some(value))
            .map_or(Cow::Borrowed(content), Cow::Owned)
    }

    fn sample(&self, inbound: &mut Inbound, _: &Secret, _: &Settings) {
        inbound.headers.push(EVENT, "ping");
        inbound
            .headers
            .push(DELIVERY, "00000000-0000-0000-0000-000000000000");
        inbound.body = SAMPLE.into();
    }

    fn sign(
        &self,
        request: Unsigned<'_>,
        secret: &Secret,
        _: &Settings,
        _: Timestamp,
    ) -> Option<Headers> {
        signing::body_hash(request, SIGNATURE, "sha256=", Encoding::Hex, secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::{examples::post, facts};
    use serde_json::json;

    // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    const SECRET: &str = "It's a Secret to Everybody";
    const HEX: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn verify(inbound: &Inbound, secret: &str) -> Result<(), &'static str> {
        let secret = Secret::new(secret.into());
        GITHUB
            .verify(inbound, &secret, &Settings::default(), Timestamp::default())
            .map_err(|why| why.code())
    }

    #[test]
    fn the_signature_is_over_the_raw_body() {
        let check = |signature: &str, body: &str, secret: &str| {
            verify(&post(&[("X-Hub-Signature-256", signature)], body), secret)
        };
        let wrong = Err("wrong_secret_or_altered_body");
        let malformed = Err("malformed_header");
        let right = format!("sha256={HEX}");
        assert_eq!(check(&right, "Hello, World!", SECRET), Ok(()));
        let upper = format!("sha256={}", HEX.to_uppercase());
        assert_eq!(check(&upper, "Hello, World!", SECRET), Ok(()));
        assert_eq!(check(&right, "Hello, World?", SECRET), wrong);
        assert_eq!(
            check(&right, "Hello, World!", "it's a Secret to Everybody"),
            wrong
        );
        assert_eq!(
            check(right.strip_suffix("17").unwrap(), "Hello, World!", SECRET),
            wrong,
            "truncated"
        );
        assert_eq!(check(&right, "Hello, World!", ""), wrong);
        assert_eq!(check(HEX, "Hello, World!", SECRET), malformed);
        assert_eq!(check("sha256=", "Hello, World!", SECRET), malformed);
        assert_eq!(check("", "Hello, World!", SECRET), Err("missing_header"));
    }

    #[test]
    fn a_compressed_body_may_be_signed_either_way() {
        let signature = format!("sha256={HEX}");
        let mut inbound = post(&[("x-hub-signature-256", &signature)], "gzip bytes");
        assert!(verify(&inbound, SECRET).is_err());
        inbound.decoded = Some(b"Hello, World!".to_vec());
        assert_eq!(verify(&inbound, SECRET), Ok(()));
        inbound.decoded = Some(std::mem::replace(
            &mut inbound.body,
            b"Hello, World!".to_vec(),
        ));
        assert_eq!(verify(&inbound, SECRET), Ok(()));
    }

    fn describe(headers: &[(&str, &str)], body: &str) -> Facts {
        let inbound = post(headers, body);
        facts(&GITHUB, &Settings::default(), &inbound, &inbound.body)
    }

    #[test]
    fn the_delivery_names_it_and_the_body_tells_of_it() {
        let headers = [
            ("X-GitHub-Delivery", "72d3162e"),
            ("X-GitHub-Event", "issues"),
        ];
        let body = r#"{"action":"opened","repository":{"id":1,"full_name":"octocat/Hello-World"}}"#;
        let json = describe(&headers, body);
        assert_eq!(json.identity, Identity::Unproven("72d3162e".into()));
        assert_eq!(json.name.as_deref(), Some("issues"));
        assert_eq!(json.object_id.as_deref(), Some("octocat/Hello-World"));
        assert_eq!(json.summary.description.as_deref(), Some("opened"));
        assert!(!json.test);

        let form: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("payload", body)
            .finish();
        let headers = [
            headers[0],
            headers[1],
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        assert_eq!(describe(&headers, &form), json);

        assert_eq!(describe(&[], "Hello, World!").identity, Identity::Bytes);
    }

    #[test]
    fn a_ping_is_a_test_call_and_a_forged_one_is_not() {
        let ping = [("x-github-event", "ping"), ("x-github-delivery", "d")];
        let push = [("x-github-event", "push"), ("x-github-delivery", "d")];
        assert!(describe(&ping, r#"{"zen":"Keep it logically awesome.","hook_id":1}"#).test);
        assert!(!describe(&ping, r#"{"ref":"refs/heads/main"}"#).test);
        assert!(!describe(&push, r#"{"zen":"Keep it logically awesome."}"#).test);
    }

    #[test]
    fn pointers_look_into_the_payload_of_a_form() {
        let settings: Settings =
            serde_json::from_value(json!({"event_id": "/hook_id", "event_name": "/action"}))
                .unwrap();
        let inbound = post(
            &[(
                "content-type",
                "application/x-www-form-urlencoded; charset=utf-8",
            )],
            "payload=%7B%22hook_id%22%3A5%2C%22action%22%3A%22opened%22%7D",
        );
        let facts = facts(&GITHUB, &settings, &inbound, &inbound.body);
        assert_eq!(facts.identity, Identity::Proven("5".into()));
        assert_eq!(facts.name.as_deref(), Some("opened"));
    }
}
