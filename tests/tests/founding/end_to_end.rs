//! Each provider of the founding documents, and those in their shape, from its own
//! request to the operator's server: proven, answered in its words, listed with what
//! it says, relayed byte for byte, and never twice.
//!
//! The requests, and what is expected of each, are the known answers of
//! `tests/vectors`: their signatures were made by others.

use crate::{assert_told, json_of};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tram_tests::{Origin, Received, Station, assert_signed, now, sepay_signature};

const SUCCESS: &str = r#"{"success":true}"#;

/// The provider's requests that are to be accepted, with the events they hold.
fn requests(provider: &str) -> Vec<Value> {
    let made = json_of(include_str!("../../vectors/made.json"));
    let all = made.as_array().expect("a list");
    let accepted = |vector: &&Value| {
        vector["provider"] == provider
            && vector["expect"] == "accept"
            && vector["events"].is_array()
    };
    all.iter().filter(accepted).cloned().collect()
}

fn headers_of(vector: &Value) -> BTreeMap<String, String> {
    let headers = vector["headers"].as_object().expect("header fields");
    headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), text(value)))
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// What was sent arrives, but what the event's own `headers` and `body` say otherwise.
#[track_caller]
fn assert_relayed(request: &Received, sent: &BTreeMap<String, String>, body: &str, event: &Value) {
    assert_eq!(request.text(), event["body"].as_str().unwrap_or(body));
    for (name, value) in sent {
        let resigned = event["headers"][name].as_str();
        let expected = resigned.unwrap_or(value);
        assert_eq!(request.header(name), Some(expected), "{name}");
    }
}

/// The event that the operator sees says what the request said.
#[track_caller]
fn assert_seen(seen: &Value, expected: &Value) {
    for (part, value) in expected.as_object().expect("an object") {
        let shown = match part.as_str() {
            "name" => &seen["event"],
            "object_id" | "test" => &seen[part],
            "body" | "headers" => continue,
            part => &seen["summary"][part],
        };
        assert_eq!(shown, value, "{part} of {seen:#}");
    }
}

/// Follows every request of the provider; says how many there were.
#[track_caller]
fn follow(provider: &str, answer: &str) -> usize {
    let station = Station::shared();
    let vectors = requests(provider);
    for vector in &vectors {
        let label = format!("{provider}: {}", vector["name"]);
        let origin = Origin::start();
        let create = |secret: &str| {
            let settings = match &vector["settings"] {
                Value::Null => json!({}),
                settings => settings.clone(),
            };
            station.create_webhook(&json!({
                "provider": provider, "secret": secret, "settings": settings,
                "webhook_url": origin.url("/hook"),
            }))
        };
        let (webhook, stranger) = (
            create(&text(&vector["secret"])),
            create("the-secret-of-somebody-else"),
        );
        let body = text(&vector["body"]);
        let mut headers = headers_of(vector);
        if provider == "sepay-hmac" {
            // As it is sent now: what is older than five minutes is refused.
            let at = now();
            let signature = sepay_signature(&webhook.secret, at, body.as_bytes());
            headers.insert("x-sepay-timestamp".to_owned(), at.to_string());
            headers.insert("x-sepay-signature".to_owned(), signature);
        }
        let sent: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let post = |path: &str| station.post(path, &sent, &body);

        post(&stranger.path).assert_refused(401, "unauthenticated");
        let events = vector["events"].as_array().expect("a list");
        let is_test = events.iter().all(|event| event["test"] == true);
        let outcome = if is_test { "test" } else { "accepted" };
        let ids = assert_told(&post(&webhook.path), outcome, answer);
        assert_eq!(ids.len(), events.len(), "{label}");

        for (id, event) in ids.iter().zip(events) {
            let request = station.relayed(&origin, id);
            assert_relayed(&request, &headers, &body, event);
            assert_eq!(assert_signed(&request, &webhook.signing_secret), *id);
            assert_seen(&station.event(id), event);
        }
        if !is_test {
            assert_told(&post(&webhook.path), "duplicate", answer);
        }
        let listed = station.events(&webhook);
        assert_eq!(listed.len(), events.len(), "{label}");
        // Newest first.
        for ((seen, id), event) in listed.iter().rev().zip(&ids).zip(events) {
            assert_eq!(seen["id"], *id, "{label}");
            assert_eq!(seen["provider"], provider, "{label}");
            assert_eq!(seen["status"], "delivered", "{label}");
            assert_seen(seen, event);
        }
        assert_eq!(station.events(&stranger), [] as [Value; 0], "{label}");
        assert_eq!(origin.count(), events.len(), "{label}");
    }
    vectors.len()
}

#[test]
fn casso_v2() {
    assert_eq!(follow("casso-v2", SUCCESS), 16);
}

/// JSON, form and multipart, as is chosen at SePay.
#[test]
fn sepay() {
    assert_eq!(follow("sepay", SUCCESS), 4);
}

/// JSON, form and multipart, as is chosen at SePay.
#[test]
fn sepay_hmac() {
    assert_eq!(follow("sepay-hmac", SUCCESS), 4);
}

/// All thirteen events.
#[test]
fn sepay_bankhub() {
    assert_eq!(follow("sepay-bankhub", SUCCESS), 13);
}

#[test]
fn sepay_bankhub_ipn() {
    assert_eq!(follow("sepay-bankhub-ipn", SUCCESS), 2);
}

#[test]
fn sepay_pg() {
    assert_eq!(follow("sepay-pg", SUCCESS), 3);
}

#[test]
fn thueapi() {
    assert_eq!(follow("thueapi", SUCCESS), 5);
}

/// Orders, products and customers, whole, each as JSON, form and multipart.
#[test]
fn abaha() {
    assert_eq!(follow("abaha", r#"{"status":200,"message":"OK"}"#), 9);
}

#[test]
fn payos() {
    assert_eq!(follow("payos", SUCCESS), 6);
}

#[test]
fn pay2s() {
    assert_eq!(follow("pay2s", SUCCESS), 1);
}

#[test]
fn beepay() {
    assert_eq!(follow("beepay", SUCCESS), 1);
}
