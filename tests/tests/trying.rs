//! Trying a webhook out, and giving its origin a new signing secret.

use serde_json::{Value, json};
use std::time::Duration;
use tram_tests::{
    Gate, Origin, PATIENCE, Reply, Station, Webhook, assert_signed, is_signed_by, wait_until, waits,
};

#[track_caller]
fn try_out(station: &Station, webhook: &Webhook) -> Value {
    let path = format!("/webhooks/{}/test", webhook.id);
    station.api_expecting(200, "POST", &path, None)
}

#[track_caller]
fn rotate(station: &Station, webhook: &Webhook, body: Option<&Value>) -> String {
    let path = format!("/webhooks/{}/rotate-secret", webhook.id);
    let shown = station.api_expecting(200, "POST", &path, body);
    assert_eq!(shown["id"], webhook.id);
    assert!(shown["secret"].as_str().unwrap().starts_with("***"));
    let secret = shown["signing_secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"), "in full");
    let path = format!("/webhooks/{}", webhook.id);
    let later = station.api_expecting(200, "GET", &path, None);
    let masked = later["signing_secret"].as_str().unwrap();
    assert!(masked.starts_with("***") && secret.ends_with(masked.trim_start_matches('*')));
    secret
}

#[test]
fn a_sample_is_sent_once_to_each_destination_and_what_came_of_it_is_told() {
    let (station, takes, refuses) = (Station::shared(), Origin::start(), Origin::start());
    refuses.always(Reply::status(500).body("no"));
    let webhook = station.create_webhook(&json!({
        "provider": "casso",
        "secret": "the-shop-s-key-0123456789",
        "destinations": [
            {"url": takes.url("/hook")},
            {"url": refuses.url("/hook"), "sign": false},
        ],
        // Nothing of it holds a sample back.
        "accounts": ["nobody's"],
        "allow_events": [],
        "retry": waits(&[0.1; 10]),
    }));
    let trial = try_out(&station, &webhook);
    let id = trial["event_id"].as_str().unwrap();
    let attempts = trial["attempts"].as_array().unwrap();
    let shown: Vec<Value> = attempts
        .iter()
        .map(|attempt| {
            assert!(
                attempt["destination_id"]
                    .as_str()
                    .unwrap()
                    .starts_with("dst_")
            );
            assert!(attempt["started_at"].is_string() && attempt["duration_ms"].is_u64());
            json!([
                attempt["url"],
                attempt["status"],
                attempt["number"],
                attempt["status_code"],
                attempt["error"].is_null(),
                attempt["response_body"],
            ])
        })
        .collect();
    assert_eq!(
        shown,
        [
            json!([takes.url("/hook"), "delivered", 1, 200, true, ""]),
            json!([refuses.url("/hook"), "failed", 1, 500, false, "no"]),
        ]
    );
    let received = takes.wait_for(1).remove(0);
    assert_eq!(assert_signed(&received, &webhook.signing_secret), id);
    assert_eq!(received.header("x-tram-test"), Some("true"));
    assert_eq!(received.header("x-tram-provider"), Some("casso"));
    assert_eq!(received.header("x-tram-attempt"), Some("1"));
    // A handler that was written for the provider takes it for one of its requests.
    assert_eq!(
        received.header("secure-token"),
        Some("the-shop-s-key-0123456789")
    );
    assert_eq!(
        received.json()["data"][0]["description"],
        "giao dich thu nghiem"
    );

    let event = station.event(id);
    assert_eq!(
        (&event["test"], &event["status"]),
        (&json!(true), &json!("failed"))
    );
    assert_eq!(event["summary"]["amount"], "1");
    // Not again by itself; as often as it is asked for.
    assert_eq!(refuses.quiet_for(Duration::from_millis(800)), 1);
    let again = try_out(&station, &webhook);
    assert_ne!(again["event_id"], id);
    assert_eq!((takes.count(), refuses.count()), (2, 2));
    // It can be sent again like any other.
    refuses.always(Reply::status(200));
    let path = format!("/events/{id}/resend");
    station.api_expecting(202, "POST", &path, None);
    station.wait_for_status(id, "delivered");
    // It was never taken for a transaction of the provider's.
    let list = format!("/events?webhook_id={}", webhook.id);
    let list = station.api_expecting(200, "GET", &list, None);
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
}

#[test]
fn every_provider_can_be_tried_out_and_so_can_what_is_switched_off_or_paused() {
    let (station, origin) = (Station::shared(), Origin::start());
    let providers = station.api_expecting(200, "GET", "/providers", None);
    for provider in providers["data"].as_array().unwrap() {
        let id = provider["id"].as_str().unwrap();
        let settings = match id {
            "abaha" | "custom" => json!({"header": "x-shop-token"}),
            _ => json!({}),
        };
        let webhook = station.create_webhook(&json!({
            "provider": id, "settings": settings, "webhook_url": origin.url(&format!("/{id}")),
            "is_active": id.len() % 2 == 0, "is_paused": id.len() % 3 == 0,
        }));
        let trial = try_out(&station, &webhook);
        assert_eq!(trial["attempts"][0]["status"], "delivered", "{id}: {trial}");
        let received = origin.received().pop().unwrap();
        assert_eq!(received.header("x-tram-provider"), Some(id));
        assert_signed(&received, &webhook.signing_secret);
        assert!(received.json().is_object(), "{id}");
    }
    assert_eq!(origin.count(), providers["data"].as_array().unwrap().len());
}

#[test]
fn a_trial_says_what_is_wrong() {
    let (station, mut origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let ask = |path: &str, body: Option<&Value>| station.api("POST", path, body);
    let path = format!("/webhooks/{}/test", webhook.id);
    let answer = ask(&path, Some(&json!({"body": "{}"})));
    answer.assert_problem(422, "invalid");
    assert!(
        answer.mistakes().contains("/body"),
        "{:?}",
        answer.mistakes()
    );
    ask(&format!("{path}?now=1"), None).assert_problem(422, "invalid");
    ask("/webhooks/wh_00000000000000000000000000/test", None)
        .assert_problem(404, "webhook_not_found");
    assert_eq!(origin.count(), 0);
    assert_eq!(ask(&path, Some(&json!({}))).status, 200);

    origin.go_down();
    let trial = try_out(&station, &webhook);
    assert_eq!(trial["attempts"][0]["status"], "failed");
    assert_eq!(trial["attempts"][0]["status_code"], Value::Null);
    assert!(trial["attempts"][0]["error"].is_string());
    origin.come_back();
    let slow = Gate::before(&origin);
    let path = format!("/webhooks/{}", webhook.id);
    station.api_expecting(200, "PUT", &path, Some(&json!({"timeout_seconds": 1})));
    let trial = try_out(&station, &webhook);
    assert!(
        trial["attempts"][0]["error"]
            .as_str()
            .unwrap()
            .contains("1 s"),
        "{trial}"
    );
    slow.let_through(1);
}

#[test]
fn after_a_rotation_both_secrets_sign_until_the_grace_is_over() {
    let (station, origin) = (Station::shared(), Origin::start());
    origin.always(Reply::status(404));
    let webhook = station.casso_webhook_with(&origin, &json!({"retry": waits(&[0.2; 100])}));
    let old = webhook.signing_secret.clone();
    let id = station.send_transaction(&webhook, 1);
    origin.wait_for(1);
    let new = rotate(&station, &webhook, None);
    // What waits is signed with both from its next attempt on.
    let has_both = || {
        let last = origin.received().pop().expect("a request");
        is_signed_by(&last, &old) && is_signed_by(&last, &new)
    };
    wait_until("both secrets sign", PATIENCE, || has_both().then_some(()));
    // Whoever asks again because an answer was lost cuts nobody off.
    let newer = rotate(&station, &webhook, Some(&json!({"grace_seconds": 3})));
    let sign = |secret: &str| is_signed_by(&origin.received().pop().expect("a request"), secret);
    wait_until("three sign", PATIENCE, || {
        (has_both() && sign(&newer)).then_some(())
    });
    wait_until("one signs", PATIENCE, || {
        (sign(&newer) && !sign(&new) && !sign(&old)).then_some(())
    });
    // At once, where the secret is known to somebody.
    let last = rotate(&station, &webhook, Some(&json!({"grace_seconds": 0})));
    origin.always(Reply::status(200));
    station.wait_for_status(&id, "delivered");
    let received = origin.received().pop().unwrap();
    assert_eq!(assert_signed(&received, &last), id);
    assert!(!is_signed_by(&received, &newer));

    let path = format!("/webhooks/{}/rotate-secret", webhook.id);
    let answer = station.api("POST", &path, Some(&json!({"grace_seconds": "1 day"})));
    answer.assert_problem(422, "invalid");
    assert!(answer.mistakes().contains("/grace_seconds"));
    station
        .api(
            "POST",
            "/webhooks/wh_00000000000000000000000000/rotate-secret",
            None,
        )
        .assert_problem(404, "webhook_not_found");
}

#[test]
fn what_an_origin_repeats_of_a_credential_is_not_shown() {
    let (station, origin) = (Station::shared(), Origin::start());
    origin.answer_with(|request| {
        let echo: serde_json::Map<_, _> = request
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        Reply::json(&json!({ "you_sent": echo }))
    });
    let secret = "the-shop-s-key-0123456789";
    let webhook = station.create_webhook(&json!({
        "provider": "casso", "secret": secret,
        "destinations": [{"url": origin.url("/"), "headers": {"authorization": "Bearer of-the-shop-itself"}}],
    }));
    let trial = try_out(&station, &webhook);
    let id = trial["event_id"].as_str().unwrap();
    let list = format!("/events?webhook_id={}&include=attempts", webhook.id);
    let list = station.api_expecting(200, "GET", &list, None);
    for shown in [&trial, &station.event(id), &list] {
        let shown = shown.to_string();
        assert!(shown.contains("you_sent"), "{shown}");
        assert!(
            !shown.contains(secret) && !shown.contains("of-the-shop-itself"),
            "{shown}"
        );
    }
    assert_eq!(origin.received()[0].header("secure-token"), Some(secret));
}

#[test]
fn what_a_trial_has_stored_is_visited_like_anything_else() {
    let (station, origin) = (Station::start(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    try_out(&station, &webhook);
    // Noted beside the answer.
    std::thread::sleep(Duration::from_millis(500));
    station.kill();
    let registry = &station.objects_on_disk("Registry")[0];
    assert_eq!(registry.number("SELECT count(*) FROM visits"), 1);
}
