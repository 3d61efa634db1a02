//! The provider's proof on its way, judged as an origin would that knows nothing of the
//! station: by the provider's own `verify`, which refuses what is older than 300 s.

use super::*;
use crate::{
    delivery::StoredEvent,
    event::Envelope,
    ids::{EventId, Sequence},
    inbound::Inbound,
    providers::{self, examples},
    secret::Secret,
    webhook::{PreviousSecret, Resign},
};
use serde_json::{Value, json};
use std::rc::Rc;

const SIGNED: Timestamp = Timestamp::from_seconds(1_795_158_000);
const SECRET: &str = "whsec_cHJvdmlkZXIgc2VjcmV0IG9mIHRoZSB0ZXN0cw==";
const OTHER: &str = "whsec_YW5vdGhlciBzZWNyZXQgb2YgdGhlIHRlc3Rz";
const BODY: &str = r#"{"id":"1","data":{"note":"chuyển/tiền <b>"},"error":0}"#;

/// All providers that sign a time, and settings that make `custom` one in each of its
/// ways.
fn signing_a_time() -> Vec<(&'static str, Value)> {
    let custom = |more: Value| {
        let mut settings = json!({"header": "X-Proof", "timestamp_header": "X-Time"});
        let fields = more.as_object().unwrap().clone();
        settings.as_object_mut().unwrap().extend(fields);
        ("custom", settings)
    };
    vec![
        ("stripe", json!({})),
        ("svix", json!({})),
        ("standard-webhooks", json!({})),
        ("sepay-hmac", json!({})),
        // It sets no limit itself; an origin may.
        ("casso-v2", json!({"tolerance_seconds": 300})),
        // As Slack signs.
        custom(json!({"scheme": "hmac", "prefix": "v0=", "signed": "v0:{timestamp}:{body}"})),
        custom(
            json!({"scheme": "hmac", "timestamp_unit": "ms", "encoding": "base64",
            "signed": "{id}.{timestamp}.{body}", "event_id": "header:X-Id"}),
        ),
        custom(json!({"scheme": "hmac", "signed": "{url}{timestamp}{body}",
            "url": "https://registered.example/a"})),
    ]
}

fn webhook(provider: &str, settings: &Value) -> Webhook {
    let mut webhook = examples::webhook(provider, SECRET, settings.clone());
    webhook.destinations[0].sign = false;
    webhook
}

/// A request as the provider sends it, signed at [`SIGNED`].
fn sent(webhook: &Webhook) -> StoredEvent {
    let provider = providers::find(&webhook.provider).unwrap();
    let mut inbound = examples::post(&[("x-id", "a-1"), ("content-type", "text/plain")], BODY);
    match webhook.provider.as_str() {
        "svix" => inbound.headers.push("svix-id", "msg_1"),
        "standard-webhooks" => inbound.headers.push("webhook-id", "msg_1"),
        _ => {}
    }
    let secret = Secret::new(SECRET.into());
    let proof = provider.sign((&inbound).into(), &secret, &webhook.settings, SIGNED);
    for (name, value) in proof.unwrap().iter() {
        inbound.headers.set(name, value);
    }
    stored(inbound)
}

fn stored(inbound: Inbound) -> StoredEvent {
    StoredEvent {
        id: EventId {
            sequence: Sequence::next(Sequence::default(), SIGNED),
            webhook: crate::ids::WebhookId::from_random([1; 16]),
            shard: 0,
        },
        envelope: Envelope {
            method: inbound.method,
            query: String::new(),
            headers: inbound.headers,
        },
        body: inbound.body,
        test: false,
    }
}

fn after(seconds: u64) -> Timestamp {
    SIGNED.plus(Duration::from_secs(seconds))
}

/// What leaves to the first destination at `now`.
fn relay(webhook: &Webhook, event: &StoredEvent, now: Timestamp) -> Inbound {
    let job = Job {
        event: Rc::new(event.clone()),
        destination: webhook.destinations[0].id,
        number: 2,
        connection_may_be_kept: false,
    };
    let credentials: Vec<&str> = providers::all_credential_headers().collect();
    let destination = &webhook.destinations[0];
    let station = Station::default();
    let sent = outgoing(webhook, destination, &job, &credentials, &station, "1", now).unwrap();
    Inbound {
        method: sent.method,
        headers: sent.headers.into_iter().collect(),
        body: sent.body.unwrap().to_vec(),
        ..Inbound::default()
    }
}

/// What the origin's own check says, with this secret.
fn check(webhook: &Webhook, secret: &str, came: &Inbound, now: Timestamp) -> &'static str {
    let provider = providers::find(&webhook.provider).unwrap();
    let secret = Secret::new(secret.into());
    match provider.verify(came, &secret, &webhook.settings, now) {
        Ok(()) => "taken",
        Err(why) => why.code(),
    }
}

fn taken_after(webhook: &Webhook, event: &StoredEvent, seconds: u64) -> &'static str {
    let now = after(seconds);
    check(webhook, SECRET, &relay(webhook, event, now), now)
}

#[test]
fn an_attempt_hours_later_is_still_taken_by_the_provider_s_own_check() {
    for (provider, settings) in signing_a_time() {
        let mut webhook = webhook(provider, &settings);
        let event = sent(&webhook);
        for seconds in [0, 75, 76, 299, 301, 3_600, 72 * 3_600] {
            let result = taken_after(&webhook, &event, seconds);
            assert_eq!(result, "taken", "{provider} {settings} after {seconds} s");
        }
        // What is stored stays as it came.
        let original = event.envelope.headers.clone();
        assert!(relay(&webhook, &event, after(75)).headers.iter().count() > 0);
        for (name, value) in original.iter() {
            let came = relay(&webhook, &event, after(75));
            assert_eq!(came.headers.get(name), Some(value), "{provider} {name}");
        }
        webhook.destinations[0].resign = Resign::Never;
        assert_eq!(taken_after(&webhook, &event, 299), "taken", "{provider}");
        assert_eq!(
            taken_after(&webhook, &event, 301),
            "stale_timestamp",
            "{provider}"
        );
    }
}

#[test]
fn all_providers_that_sign_a_time_are_tried_here() {
    let tried: Vec<&str> = signing_a_time().iter().map(|(id, _)| *id).collect();
    for provider in providers::ALL {
        let id = provider.about().id;
        // Those with settings that a sample needs.
        let settings = json!({"header": "X-Proof", "timestamp_header": "X-Time",
            "scheme": "hmac", "signed": "{timestamp}{body}"});
        let settings = if id == "custom" {
            settings
        } else {
            json!({"header": "X-Proof"})
        };
        let webhook = examples::webhook(id, SECRET, settings);
        let (envelope, _) =
            crate::receive::sample(&webhook, "https://hooks.example.com/in/x", SIGNED).unwrap();
        let signed_at = provider.signed_at(&envelope.headers, &webhook.settings);
        let expected = tried.contains(&id).then_some(SIGNED);
        assert_eq!(signed_at, expected, "{id}");
        // Whoever sets a limit signs a time.
        assert!(
            provider.about().tolerance_seconds.is_none() || expected.is_some(),
            "{id}"
        );
    }
}

#[test]
fn a_request_that_came_late_is_signed_anew_at_once() {
    for (provider, settings) in signing_a_time() {
        let webhook = webhook(provider, &settings);
        let mut event = sent(&webhook);
        // As a webhook takes it with its own tolerance switched off.
        event.id.sequence = Sequence::next(Sequence::default(), after(86_400));
        assert_eq!(taken_after(&webhook, &event, 86_400), "taken", "{provider}");
    }
}

#[test]
fn where_nobody_checks_the_time_what_was_old_when_it_came_goes_as_it_came() {
    let webhook = webhook("casso-v2", &json!({}));
    let mut event = sent(&webhook);
    event.id.sequence = Sequence::next(Sequence::default(), after(86_400));
    let original = event.envelope.headers.get("x-casso-signature");
    let is_original = |seconds: u64| {
        let came = relay(&webhook, &event, after(seconds));
        came.headers.get("x-casso-signature") == original
    };
    assert!(is_original(86_400 + 75));
    assert!(!is_original(86_400 + 76));
}

#[test]
fn a_tolerance_that_is_set_counts_where_it_is_the_shorter() {
    for (tolerance, first_anew) in [(json!(40), 11), (json!(86_400), 76), (Value::Null, 76)] {
        let webhook = webhook("stripe", &json!({"tolerance_seconds": tolerance}));
        let event = sent(&webhook);
        let original = event.envelope.headers.get("stripe-signature");
        let is_original = |seconds: u64| {
            let came = relay(&webhook, &event, after(seconds));
            came.headers.get("stripe-signature") == original
        };
        assert!(is_original(first_anew - 1), "{tolerance}");
        assert!(!is_original(first_anew), "{tolerance}");
    }
}

#[test]
fn it_is_signed_with_the_secret_that_proved_it_or_else_with_the_first() {
    let secrets = |all: &[&str]| all.iter().map(|one| Secret::new((*one).into())).collect();
    for (provider, settings) in signing_a_time() {
        if settings["scheme"] == "token" {
            continue;
        }
        let mut webhook = webhook(provider, &settings);
        let event = sent(&webhook);
        let mut signed_by = |all: &[&str]| {
            webhook.secrets = secrets(all);
            let came = relay(&webhook, &event, after(600));
            [SECRET, OTHER].map(|secret| check(&webhook, secret, &came, after(600)) == "taken")
        };
        assert_eq!(signed_by(&[OTHER, SECRET]), [true, false], "{provider}");
        // Rotated since.
        assert_eq!(signed_by(&[OTHER]), [false, true], "{provider}");
        assert_eq!(signed_by(&["", OTHER, "x"]), [false, true], "{provider}");
        // Not told yet: as it came.
        assert_eq!(signed_by(&[]), [false, false], "{provider}");
        assert_eq!(signed_by(&[""]), [false, false], "{provider}");
    }
}

#[test]
fn no_proof_goes_where_no_credential_does() {
    for (provider, settings) in signing_a_time() {
        let mut webhook = webhook(provider, &settings);
        webhook.destinations[0].forward_credentials = false;
        let event = sent(&webhook);
        for seconds in [0, 600] {
            let came = relay(&webhook, &event, after(seconds));
            let known = providers::find(provider).unwrap();
            for name in providers::credential_headers(known, &webhook.settings) {
                assert_eq!(came.headers.get(&name), None, "{provider} {name}");
            }
        }
    }
}

#[test]
fn what_the_station_cannot_sign_goes_as_it_came() {
    // The address that was posted to is not kept.
    let settings = json!({"header": "X-Proof", "timestamp_header": "X-Time",
        "scheme": "hmac", "signed": "{url}{timestamp}{body}"});
    let without_url = webhook("custom", &settings);
    let signed_url = sent(&without_url);
    // What was signed is behind the encoding, which is not read again.
    let encoded = webhook("stripe", &json!({}));
    let mut encoded_event = sent(&encoded);
    encoded_event
        .envelope
        .headers
        .push("content-encoding", "gzip");
    encoded_event.body = b"not what was signed".to_vec();
    // A time that nobody signs is what the sender says.
    let unsigned = |settings: Value| webhook("custom", &settings);
    let token = unsigned(json!({"header": "X-Proof", "timestamp_header": "X-Time"}));
    let body_alone = unsigned(json!({"header": "X-Proof", "timestamp_header": "X-Time",
        "scheme": "hmac", "signed": "{body}"}));
    let (sent_token, sent_body_alone) = (sent(&token), sent(&body_alone));
    let proofless = webhook("github", &json!({}));
    let ping = stored(examples::post(
        &[("x-hub-signature-256", "sha256=00")],
        BODY,
    ));
    for (webhook, event) in [
        (&without_url, &signed_url),
        (&encoded, &encoded_event),
        (&token, &sent_token),
        (&body_alone, &sent_body_alone),
        (&proofless, &ping),
    ] {
        let came = relay(webhook, event, after(600));
        for (name, value) in event.envelope.headers.iter() {
            assert_eq!(came.headers.get(name), Some(value), "{name}");
        }
    }
    // Over the bytes that are relayed it is made anew, whatever they are.
    encoded_event = sent(&encoded);
    encoded_event
        .envelope
        .headers
        .push("content-encoding", "gzip");
    assert_eq!(taken_after(&encoded, &encoded_event, 600), "taken");
}

#[test]
fn a_casso_signature_is_made_in_the_notation_that_it_came_in() {
    use crate::{
        canonical_json::{Canonical, Notation},
        json::Json,
        signature,
        webhook::{Algorithm, Encoding},
    };
    let webhook = webhook("casso-v2", &json!({}));
    let document = Canonical::of(Json::parse(BODY.as_bytes()).unwrap()).unwrap();
    for notation in Notation::ALL {
        let written = document.written(notation);
        let signed = |millis: i64| {
            let signed = format!("{millis}.{written}");
            let key = SECRET.as_bytes();
            let mac = signature::keyed_hash(Algorithm::Sha512, key, &[signed.as_bytes()]).unwrap();
            format!("t={millis},v1={}", signature::encode(Encoding::Hex, &mac))
        };
        let sent = signed(SIGNED.millis());
        let event = stored(examples::post(&[("x-casso-signature", &sent)], BODY));
        let came = relay(&webhook, &event, after(600));
        let expected = signed(after(600).millis());
        assert_eq!(
            came.headers.get("x-casso-signature"),
            Some(expected.as_str())
        );
    }
}

/// The entries of `webhook-signature` that these secrets made, by the specification.
fn signers(came: &Inbound, secrets: &[&str]) -> Vec<usize> {
    let field = |name| came.headers.get(name).unwrap();
    let entries = field("webhook-signature").split(' ');
    let of = |entry: &str| {
        secrets.iter().position(|secret| {
            let secret = Secret::new((*secret).into());
            let (id, time) = (field("webhook-id"), field("webhook-timestamp"));
            standard_webhooks_signature(&secret, id, time, &came.body).as_deref() == Some(entry)
        })
    };
    entries.map(|entry| of(entry).unwrap_or(99)).collect()
}

#[test]
fn where_the_provider_signs_by_the_specification_both_sign_its_message() {
    const OWN: &str = "whsec_b3duIHNlY3JldA==";
    const BEFORE: &str = "whsec_YmVmb3Jl";
    let all = [SECRET, OWN, BEFORE];
    for provider in ["standard-webhooks", "svix"] {
        let mut webhook = webhook(provider, &json!({}));
        webhook.destinations[0].sign = true;
        webhook.signing_secret = Secret::new(OWN.into());
        let event = sent(&webhook);
        for seconds in [0, 76, 86_400] {
            let came = relay(&webhook, &event, after(seconds));
            let field = |name| came.headers.get(name).unwrap();
            assert_eq!(field("webhook-id"), "msg_1");
            assert_eq!(field("x-tram-event-id"), event.id.to_string());
            let signed_at = if seconds <= 75 { 0 } else { seconds };
            let time = after(signed_at).seconds().to_string();
            assert_eq!(field("webhook-timestamp"), time);
            assert_eq!(signers(&came, &all), [0, 1], "{provider}");
            // Its own library, and one of the specification.
            for library in [provider, "standard-webhooks"] {
                let library = Webhook {
                    provider: library.into(),
                    ..webhook.clone()
                };
                assert_eq!(check(&library, SECRET, &came, after(seconds)), "taken");
            }
            assert!(
                came.headers
                    .iter()
                    .all(|(name, _)| !name.starts_with("x-tram-original-"))
            );
        }
        webhook.previous_signing_secret = Some(PreviousSecret {
            secret: Secret::new(BEFORE.into()),
            until: after(200),
        });
        let signing = |webhook: &Webhook, seconds| {
            let came = relay(webhook, &event, after(seconds));
            assert_eq!(came.headers.get("webhook-id"), Some("msg_1"));
            let time = came.headers.get("webhook-timestamp").unwrap().to_owned();
            (
                signers(&came, &all),
                time == after(seconds).seconds().to_string(),
            )
        };
        assert_eq!(signing(&webhook, 100), (vec![0, 1, 2], true));
        assert_eq!(signing(&webhook, 200), (vec![0, 1], true));
        let never = |webhook: &mut Webhook, resign| webhook.destinations[0].resign = resign;
        never(&mut webhook, Resign::Never);
        assert_eq!(
            signing(&webhook, 600),
            (vec![0, 1], false),
            "all as it came"
        );
        never(&mut webhook, Resign::Stale);
        // Not told yet: what the provider signed is over, the station's goes on.
        webhook.secrets.clear();
        assert_eq!(signing(&webhook, 70), (vec![0, 1, 2], false));
        assert_eq!(signing(&webhook, 600), (vec![1], true));
        webhook.destinations[0].forward_credentials = false;
        assert_eq!(signing(&webhook, 250), (vec![1], true));
    }
}

#[test]
fn what_svix_sends_under_the_specification_s_names_stays_under_them() {
    let mut webhook = webhook("svix", &json!({}));
    let secret = Secret::new(SECRET.into());
    let time = SIGNED.seconds().to_string();
    let signature = standard_webhooks_signature(&secret, "msg_1", &time, BODY.as_bytes()).unwrap();
    let standard = [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", time.as_str()),
        ("webhook-signature", signature.as_str()),
    ];
    // An id that proves nothing is not signed for.
    let forged = [("svix-id", "msg_forged")];
    for fields in [&standard[..], &[&standard[..], &forged].concat()] {
        let event = stored(examples::post(fields, BODY));
        for sign in [false, true] {
            webhook.destinations[0].sign = sign;
            for seconds in [0, 600] {
                let came = relay(&webhook, &event, after(seconds));
                assert_eq!(check(&webhook, SECRET, &came, after(seconds)), "taken");
                assert_eq!(came.headers.get("webhook-id"), Some("msg_1"));
                assert_eq!(came.headers.get("svix-signature"), None);
            }
        }
    }
}
