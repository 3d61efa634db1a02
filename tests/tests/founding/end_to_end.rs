//! Each provider of the founding documents, and those in their shape, from its own
//! request to the operator's server: proven, answered in its words, listed with what
//! it says, relayed byte for byte, and never twice.
//!
//! The requests, and what is expected of each, are the known answers of
//! `tests/vectors`: their signatures were made by others.

use crate::{assert_told, json_of};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tram_tests::{Answer, Origin, Received, Station, Webhook, assert_signed, now, sepay_signature};

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

/// The header fields as they are sent now: SePay's signature must not be older than
/// five minutes.
fn headers_of(vector: &Value) -> BTreeMap<String, String> {
    let headers = vector["headers"].as_object().expect("header fields");
    let mut headers: BTreeMap<String, String> = headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), text(value)))
        .collect();
    if vector["provider"] == "sepay-hmac" {
        let (at, secret, body) = (now(), text(&vector["secret"]), text(&vector["body"]));
        let signature = sepay_signature(&secret, at, body.as_bytes());
        headers.insert("x-sepay-timestamp".to_owned(), at.to_string());
        headers.insert("x-sepay-signature".to_owned(), signature);
    }
    headers
}

/// A webhook for such requests, with this secret.
#[track_caller]
fn webhook_for(vector: &Value, secret: &str, origin: &Origin) -> Webhook {
    let settings = Some(&vector["settings"]).filter(|settings| settings.is_object());
    Station::shared().create_webhook(&json!({
        "provider": vector["provider"], "secret": secret, "webhook_url": origin.url("/hook"),
        "settings": settings.unwrap_or(&json!({})),
    }))
}

#[track_caller]
fn post(webhook: &Webhook, vector: &Value, headers: &BTreeMap<String, String>) -> Answer {
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    Station::shared().post(&webhook.path, &headers, text(&vector["body"]))
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

/// Follows every request of the provider on its own; says how many there were.
#[track_caller]
fn follow(provider: &str, answer: &str) -> usize {
    let station = Station::shared();
    let vectors = requests(provider);
    let elsewhere = Origin::start();
    let stranger = webhook_for(&vectors[0], "the-secret-of-somebody-else", &elsewhere);
    for vector in &vectors {
        let label = format!("{provider}: {}", vector["name"]);
        let origin = Origin::start();
        let webhook = webhook_for(vector, &text(&vector["secret"]), &origin);
        let headers = headers_of(vector);

        post(&stranger, vector, &headers).assert_refused(401, "unauthenticated");
        let events = vector["events"].as_array().expect("a list");
        let is_test = events.iter().all(|event| event["test"] == true);
        let outcome = if is_test { "test" } else { "accepted" };
        let ids = assert_told(&post(&webhook, vector, &headers), outcome, answer);
        assert_eq!(ids.len(), events.len(), "{label}");

        for (id, event) in ids.iter().zip(events) {
            let request = station.relayed(&origin, id);
            assert_relayed(&request, &headers, &text(&vector["body"]), event);
            assert_eq!(assert_signed(&request, &webhook.signing_secret), *id);
            assert_seen(&station.event(id), event);
        }
        if !is_test {
            assert_told(&post(&webhook, vector, &headers), "duplicate", answer);
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
        assert_eq!(origin.count(), events.len(), "{label}");
    }
    assert_eq!(station.events(&stranger), [] as [Value; 0], "{provider}");
    assert_eq!(elsewhere.count(), 0, "{provider}");
    vectors.len()
}

/// Sends all requests of the provider to one webhook; how many events they are, but
/// for test calls. What tells of the same transaction in other words is the same.
#[track_caller]
fn events_of_all(provider: &str) -> usize {
    let (station, origin) = (Station::shared(), Origin::start());
    let vectors = requests(provider);
    let secret = text(&vectors[0]["secret"]);
    let webhook = webhook_for(&vectors[0], &secret, &origin);
    for vector in &vectors {
        assert_eq!(vector["secret"], secret);
        assert_eq!(post(&webhook, vector, &headers_of(vector)).status, 200);
    }
    let events = station.events(&webhook);
    events.iter().filter(|event| event["test"] == false).count()
}

/// SHA-512 over the JSON with its keys sorted, as four languages write it.
#[test]
fn casso_v2() {
    assert_eq!(follow("casso-v2", SUCCESS), 16);
    assert_eq!(events_of_all("casso-v2"), 1);
}

/// JSON, form and multipart, as is chosen at SePay: one transaction.
#[test]
fn sepay() {
    assert_eq!(follow("sepay", SUCCESS), 4);
    assert_eq!(events_of_all("sepay"), 1);
}

/// JSON, form and multipart, as is chosen at SePay: one transaction.
#[test]
fn sepay_hmac() {
    assert_eq!(follow("sepay-hmac", SUCCESS), 4);
    assert_eq!(events_of_all("sepay-hmac"), 1);
}

/// All thirteen events.
#[test]
fn sepay_bankhub() {
    assert_eq!(follow("sepay-bankhub", SUCCESS), 13);
    assert_eq!(events_of_all("sepay-bankhub"), 13);
}

#[test]
fn sepay_bankhub_ipn() {
    assert_eq!(follow("sepay-bankhub-ipn", SUCCESS), 2);
    assert_eq!(events_of_all("sepay-bankhub-ipn"), 1);
}

/// A payment, its renewal and its end are three events of one transaction.
#[test]
fn sepay_pg() {
    assert_eq!(follow("sepay-pg", SUCCESS), 3);
    assert_eq!(events_of_all("sepay-pg"), 3);
}

/// Alone, in a batch, with either form of the signature.
#[test]
fn thueapi() {
    assert_eq!(follow("thueapi", SUCCESS), 5);
    assert_eq!(events_of_all("thueapi"), 3);
}

/// Orders, products and customers, whole, each as JSON, form and multipart. Abaha names
/// no event, so what is said does: a form says the same however it is framed.
#[test]
fn abaha() {
    assert_eq!(follow("abaha", r#"{"status":200,"message":"OK"}"#), 9);
    assert_eq!(events_of_all("abaha"), 6);
}

#[test]
fn payos() {
    assert_eq!(follow("payos", SUCCESS), 6);
    assert_eq!(events_of_all("payos"), 1);
}

#[test]
fn pay2s() {
    assert_eq!(follow("pay2s", SUCCESS), 1);
    assert_eq!(events_of_all("pay2s"), 3);
}

#[test]
fn beepay() {
    assert_eq!(follow("beepay", SUCCESS), 1);
    assert_eq!(events_of_all("beepay"), 1);
}
