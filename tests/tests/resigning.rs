//! The provider's own proof on its way to an origin that checks it as the provider
//! documents, its age of at most 300 seconds included, and knows nothing of the station.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{thread, time::Duration};
use tram_tests::{
    Origin, Received, Reply, Station, Webhook, assert_signed, hex, hmac_sha256, is_signed_by, now,
    sepay_signature, standard_webhooks, waits,
};

const TOLERANCE_SECONDS: u64 = 300;
const HOUR: u64 = 3_600;
const BODY: &str = r#"{"id":92704,"type":"paid","note":"chuyển tiền"}"#;

/// A provider as it signs, and as its documentation has origins check that.
struct Provider {
    id: &'static str,
    settings: Value,
    sign: fn(secret: &str, at: u64) -> Vec<(&'static str, String)>,
    /// The time that is signed, where the proof holds.
    check: fn(secret: &str, request: &Received) -> Option<u64>,
}

fn field<'r>(request: &'r Received, name: &str) -> &'r str {
    request.header(name).unwrap_or_default()
}

fn stripe(secret: &str, time: &str, body: &[u8]) -> String {
    let signed = [time.as_bytes(), b".", body].concat();
    let mac = hex(&hmac_sha256(secret.as_bytes(), &signed));
    format!("t={time},v1={mac}")
}

fn slack(secret: &str, time: &str, body: &[u8]) -> String {
    let signed = [b"v0:", time.as_bytes(), b":", body].concat();
    format!("v0={}", hex(&hmac_sha256(secret.as_bytes(), &signed)))
}

fn svix(secret: &str, at: u64) -> Vec<(&'static str, String)> {
    let [id, time, signature] = standard_webhooks(secret, "msg_1", at, BODY.as_bytes());
    vec![
        ("svix-id", id.1),
        ("svix-timestamp", time.1),
        ("svix-signature", signature.1),
    ]
}

fn check_standard(secret: &str, request: &Received, prefix: &str) -> Option<u64> {
    let field = |name| field(request, &format!("{prefix}-{name}")).to_owned();
    let time = field("timestamp").parse().ok()?;
    let expected = standard_webhooks(secret, &field("id"), time, &request.body);
    let signatures = field("signature");
    signatures
        .split(' ')
        .any(|one| one == expected[2].1)
        .then_some(time)
}

fn providers() -> [Provider; 5] {
    [
        Provider {
            id: "stripe",
            settings: json!({}),
            sign: |secret, at| {
                let value = stripe(secret, &at.to_string(), BODY.as_bytes());
                vec![("stripe-signature", value)]
            },
            check: |secret, request| {
                let given = field(request, "stripe-signature");
                let time = given.strip_prefix("t=")?.split(',').next()?;
                (given == stripe(secret, time, &request.body)).then(|| time.parse().ok())?
            },
        },
        Provider {
            id: "sepay-hmac",
            settings: json!({}),
            sign: |secret, at| {
                let value = sepay_signature(secret, at, BODY.as_bytes());
                vec![
                    ("x-sepay-timestamp", at.to_string()),
                    ("x-sepay-signature", value),
                ]
            },
            check: |secret, request| {
                let time = field(request, "x-sepay-timestamp").parse().ok()?;
                let expected = sepay_signature(secret, time, &request.body);
                (field(request, "x-sepay-signature") == expected).then_some(time)
            },
        },
        Provider {
            id: "custom",
            settings: json!({"header": "x-slack-signature", "scheme": "hmac", "prefix": "v0=",
                "signed": "v0:{timestamp}:{body}",
                "timestamp_header": "x-slack-request-timestamp"}),
            sign: |secret, at| {
                let value = slack(secret, &at.to_string(), BODY.as_bytes());
                vec![
                    ("x-slack-request-timestamp", at.to_string()),
                    ("x-slack-signature", value),
                ]
            },
            check: |secret, request| {
                let time = field(request, "x-slack-request-timestamp");
                let expected = slack(secret, time, &request.body);
                (field(request, "x-slack-signature") == expected).then(|| time.parse().ok())?
            },
        },
        Provider {
            id: "standard-webhooks",
            settings: json!({}),
            sign: |secret, at| standard_webhooks(secret, "msg_1", at, BODY.as_bytes()).into(),
            check: |secret, request| check_standard(secret, request, "webhook"),
        },
        Provider {
            id: "svix",
            settings: json!({}),
            sign: svix,
            check: |secret, request| check_standard(secret, request, "svix"),
        },
    ]
}

impl Provider {
    fn webhook(&self, station: &Station, tolerance: Value, destination: &Value) -> Webhook {
        let mut settings = self.settings.clone();
        settings["tolerance_seconds"] = tolerance;
        station.create_webhook(&json!({
            "provider": self.id, "settings": settings, "destinations": [destination],
            "retry": waits(&[2.0; 100]),
        }))
    }

    /// Sends what the provider signed at that time; the event's id.
    fn send(&self, station: &Station, webhook: &Webhook, at: u64) -> String {
        let fields = (self.sign)(&webhook.secret, at);
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let answer = station.post(&webhook.path, &fields, BODY);
        answer.assert_taken("accepted").remove(0)
    }

    /// Whether the origin's check takes it now.
    fn takes(&self, secret: &str, request: &Received) -> bool {
        let signed_at = (self.check)(secret, request);
        signed_at.is_some_and(|at| now().abs_diff(at) <= TOLERANCE_SECONDS)
    }
}

fn resend(station: &Station, id: &str) {
    let path = format!("/events/{id}/resend");
    let queued = station.api_expecting(202, "POST", &path, None);
    assert_eq!(queued, json!({"queued": 1}));
}

#[test]
fn what_was_signed_an_hour_ago_is_taken_at_the_first_attempt_a_retry_and_a_resend() {
    let station = Station::shared();
    for provider in providers() {
        for resign in ["stale", "never"] {
            let origin = Origin::start();
            let destination = json!({"url": origin.url("/hook"), "resign": resign});
            let webhook = provider.webhook(&station, Value::Null, &destination);
            origin.then(Reply::status(500));
            let id = provider.send(&station, &webhook, now() - HOUR);
            station.wait_for_status(&id, "delivered");
            resend(&station, &id);
            for (at, request) in origin.wait_for(3).iter().enumerate() {
                let taken = provider.takes(&webhook.secret, request);
                let what = format!("{} {resign}, attempt {}", provider.id, at + 1);
                assert_eq!(taken, resign == "stale", "{what}: {:#?}", request.headers);
                assert_eq!(request.text(), BODY);
                assert_eq!(request.header("x-tram-event-id"), Some(id.as_str()));
            }
        }
    }
}

#[test]
fn what_came_is_relayed_as_long_as_it_is_fresh_and_kept_as_it_came() {
    let station = Station::shared();
    for provider in providers() {
        let origin = Origin::start();
        origin.then(Reply::status(500));
        // A quarter of it is a second and a half; the retry leaves after two.
        let destination = json!({"url": origin.url("/hook")});
        let webhook = provider.webhook(&station, json!(6), &destination);
        let at = now();
        let id = provider.send(&station, &webhook, at);
        station.wait_for_status(&id, "delivered");
        let requests = origin.wait_for(2);
        let times: Vec<u64> = requests
            .iter()
            .map(|request| (provider.check)(&webhook.secret, request).expect("signed"))
            .collect();
        assert_eq!(times[0], at, "{}", provider.id);
        assert!(times[1] > at + 1, "{}: {times:?}", provider.id);
        let shown = station.event(&id);
        for (name, value) in (provider.sign)(&webhook.secret, at) {
            if !name.contains("signature") {
                assert_eq!(shown["headers"][name], value, "{}", provider.id);
            }
        }
        let shown = shown.to_string();
        let key = webhook.secret.trim_start_matches("whsec_");
        assert!(!shown.contains(key), "{}", provider.id);
    }
}

#[test]
fn what_waits_is_signed_with_the_secret_that_there_is_now() {
    let station = Station::shared();
    for provider in providers() {
        let origin = Origin::start();
        let destination = json!({"url": origin.url("/hook")});
        let webhook = provider.webhook(&station, Value::Null, &destination);
        let id = provider.send(&station, &webhook, now() - HOUR);
        station.wait_for_status(&id, "delivered");
        let new = format!("whsec_{}", STANDARD.encode("a secret that is quite new"));
        let path = format!("/webhooks/{}", webhook.id);
        station.api_expecting(200, "PUT", &path, Some(&json!({"secret": new})));
        resend(&station, &id);
        let requests = origin.wait_for(2);
        let takes = |request| [&webhook.secret, &new].map(|one| provider.takes(one, request));
        assert_eq!(takes(&requests[0]), [true, false], "{}", provider.id);
        assert_eq!(takes(&requests[1]), [false, true], "{}", provider.id);
    }
}

#[test]
fn a_mailbox_of_yesterday_is_told_the_secrets_by_a_resend_and_by_the_round() {
    let (station, origin) = (Station::start(), Origin::start());
    let [provider, ..] = providers();
    let destination = json!({"url": origin.url("/hook")});
    let webhooks = [(); 2].map(|()| provider.webhook(&station, Value::Null, &destination));
    let ids = webhooks
        .each_ref()
        .map(|webhook| provider.send(&station, webhook, now() - HOUR));
    origin.wait_for(2);
    for id in &ids {
        station.wait_for_status(id, "delivered");
    }
    station.kill();
    for mailbox in station.objects_on_disk("Mailbox") {
        let forgotten = mailbox.execute(
            "UPDATE meta SET value = json_set(value, '$.secrets', json('[]')) WHERE name = 'config'",
        );
        assert_eq!(forgotten, 1);
    }
    let registry = &station.objects_on_disk("Registry")[0];
    // Of the first the round does not hear.
    let first = &webhooks[0].id;
    registry.execute(&format!("DELETE FROM visits WHERE webhook = '{first}'"));
    assert_eq!(registry.execute("UPDATE visits SET due = 0"), 1);
    station.restart();
    origin.forget();
    resend(&station, &ids[0]);
    let request = &origin.wait_for(1)[0];
    assert!(provider.takes(&webhooks[0].secret, request));
    station.make_round();
    thread::sleep(Duration::from_secs(1));
    station.kill();
    for mailbox in station.objects_on_disk("Mailbox") {
        let known = "SELECT json_array_length(value, '$.secrets') FROM meta WHERE name = 'config'";
        assert_eq!(mailbox.number(known), 1);
    }
}

#[test]
fn where_the_provider_signs_by_the_specification_its_secret_and_the_station_s_both_prove() {
    let station = Station::shared();
    for provider in providers().into_iter().skip(3) {
        let origin = Origin::start();
        let webhook = station.create_webhook(&json!({
            "provider": provider.id, "settings": {"tolerance_seconds": null},
            "destinations": [
                {"url": origin.url("/first")},
                {"url": origin.url("/without"), "forward_credentials": false},
                {"url": origin.url("/unsigned"), "sign": false, "forward_credentials": true},
            ],
        }));
        for (count, age) in [(1, 0), (2, HOUR)] {
            origin.forget();
            // Another message each time.
            let (secret, at) = (&webhook.secret, now() - age);
            let message = format!("msg_{count}");
            let prefix = if provider.id == "svix" {
                "svix"
            } else {
                "webhook"
            };
            let signed = standard_webhooks(secret, &message, at, BODY.as_bytes());
            let fields: Vec<(String, &str)> = signed
                .iter()
                .map(|(name, value)| (name.replace("webhook", prefix), value.as_str()))
                .collect();
            let fields: Vec<(&str, &str)> = fields
                .iter()
                .map(|(name, value)| (name.as_str(), *value))
                .collect();
            let answer = station.post(&webhook.path, &fields, BODY);
            let id = answer.assert_taken("accepted").remove(0);
            let received = origin.wait_for(3);
            let to = |target: &str| {
                let found = received.iter().find(|request| request.target == target);
                found.unwrap_or_else(|| panic!("none to {target}"))
            };
            for request in &received {
                assert_eq!(request.header("x-tram-event-id"), Some(id.as_str()));
            }
            let what = format!("{} {age}", provider.id);
            let first = to("/first");
            assert_eq!(assert_signed(first, &webhook.signing_secret), message);
            assert!(is_signed_by(first, secret), "{what}");
            assert!(provider.takes(secret, first), "{what}");
            let without = to("/without");
            assert_eq!(assert_signed(without, &webhook.signing_secret), message);
            assert!(!is_signed_by(without, secret), "{what}");
            assert!(!provider.takes(secret, without), "{what}");
            let unsigned = to("/unsigned");
            assert!(provider.takes(secret, unsigned), "{what}");
            let own = &webhook.signing_secret;
            let is_own = check_standard(own, unsigned, "webhook").is_some();
            assert!(!is_own, "{what}");
        }
    }
}
