//! Senders told by settings: tokens, keyed hashes, batches.

use crate::webhook;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use tram_tests::{Origin, Station, hex, hmac_sha256, now};

#[test]
fn a_token_in_a_header_and_an_id_of_several_parts() {
    let (station, origin) = (Station::shared(), Origin::start());
    let settings = json!({
        "scheme": "token", "header": "Authorization", "prefix": "Apikey ",
        "event_id": ["/shop", "/order/id"], "event_name": "/kind"
    });
    let webhook = webhook(&station, &origin, "custom", settings);
    let token = format!("Apikey {}", webhook.secret);
    let post =
        |token: &str, body: &str| station.post(&webhook.path, &[("authorization", token)], body);
    let body = r#"{"kind":"paid","shop":"a","order":{"id":12},"n":1}"#;
    post(&webhook.secret, body).assert_refused(401, "unauthenticated");
    post("Apikey x", body).assert_refused(401, "unauthenticated");
    let ids = post(&token, body).assert_taken("accepted");
    post(&token, r#"{"shop":"a","order":{"id":"12"},"n":2}"#).assert_taken("duplicate");
    post(&token, r#"{"shop":"a1","order":{"id":"2"}}"#).assert_taken("accepted");
    // Where a part is missing, the bytes are the identity.
    post(&token, r#"{"shop":"a"}"#).assert_taken("accepted");
    post(&token, r#"{"shop":"a"}"#).assert_taken("duplicate");
    post(&token, r#"{"shop":"a" }"#).assert_taken("accepted");

    let request = station.relayed(&origin, &ids[0]);
    assert_eq!(request.text(), body);
    assert_eq!(request.header("authorization"), Some(token.as_str()));
    assert_eq!(station.event(&ids[0])["event"], "paid");
}

#[test]
fn a_keyed_hash_over_time_and_body() {
    let (station, origin) = (Station::shared(), Origin::start());
    let settings = json!({
        "scheme": "hmac", "header": "X-Sig", "algorithm": "sha256", "encoding": "base64", "prefix": "v0=",
        "signed": "{method}:{timestamp}:{id}:{body}", "timestamp_header": "X-Time", "timestamp_unit": "ms",
        "tolerance_seconds": 60, "event_id": "header:X-Id"
    });
    let webhook = webhook(&station, &origin, "custom", settings);
    let post = |at: u64, id: &str, signed_id: &str| {
        let signed = format!("POST:{at}:{signed_id}:body");
        let mac = hmac_sha256(webhook.secret.as_bytes(), signed.as_bytes());
        let signature = format!("v0={}", STANDARD.encode(mac));
        let at = at.to_string();
        let headers = [("x-sig", signature.as_str()), ("x-time", &at), ("x-id", id)];
        station.post(&webhook.path, &headers, "body")
    };
    let at = now() * 1_000;
    let ids = post(at, "a", "a").assert_taken("accepted");
    post(at - 5_000, "a", "a").assert_taken("duplicate");
    post(at, "b", "b").assert_taken("accepted");
    for (at, id, signed_id) in [
        (at, "c", "a"),
        (at - 120_000, "c", "c"),
        (at + 600_000, "c", "c"),
        (at / 1_000, "c", "c"),
    ] {
        post(at, id, signed_id).assert_refused(401, "unauthenticated");
    }
    let request = station.relayed(&origin, &ids[0]);
    assert_eq!(
        (request.text().as_str(), request.header("x-id")),
        ("body", Some("a"))
    );
    assert!(request.header("x-sig").is_some());
    let events = station.events(&webhook);
    assert_eq!(events.len(), 2);
}

#[test]
fn a_body_that_is_the_array_itself_is_split() {
    let (station, origin) = (Station::shared(), Origin::start());
    let settings = json!({"header": "x-token", "items": "", "event_id": "/id"});
    let webhook = webhook(&station, &origin, "custom", settings);
    assert_eq!(webhook.shown["settings"]["items"], "");
    let headers = [("x-token", webhook.secret.as_str())];
    let ids = station
        .post(&webhook.path, &headers, r#"[{"id":1}, {"id":2}]"#)
        .assert_taken("accepted");
    assert_eq!(ids.len(), 2);
    for (id, expected) in ids.iter().zip([r#"[{"id":1}]"#, r#"[{"id":2}]"#]) {
        assert_eq!(station.relayed(&origin, id).text(), expected);
    }
}

#[test]
fn a_signed_batch_is_cut_and_signed_again() {
    let (station, origin) = (Station::shared(), Origin::start());
    let settings = json!({
        "scheme": "hmac", "header": "X-Webhook-Signature", "items": "/transactions",
        "event_id": "/checksum"
    });
    let webhook = webhook(&station, &origin, "custom", settings);
    let sign = |body: &[u8]| hex(&hmac_sha256(webhook.secret.as_bytes(), body));
    let post = |body: &str| {
        let signature = sign(body.as_bytes());
        let headers = [
            ("x-webhook-signature", signature.as_str()),
            ("content-md5", "AAAA"),
        ];
        station.post(&webhook.path, &headers, body)
    };
    let body = r#"{"transactions":[{"checksum":"a","n": 1}, {"checksum":"b"}]}"#;
    let ids = post(body).assert_taken("accepted");
    let expected = [
        r#"{"transactions":[{"checksum":"a","n": 1}]}"#,
        r#"{"transactions":[{"checksum":"b"}]}"#,
    ];
    for (id, expected) in ids.iter().zip(expected) {
        let request = station.relayed(&origin, id);
        assert_eq!(request.text(), expected);
        // A handler that was written for the sender keeps working.
        let signature = sign(&request.body);
        assert_eq!(
            request.header("x-webhook-signature"),
            Some(signature.as_str())
        );
        assert_eq!(request.header("content-md5"), None);
    }
    post(r#"{"transactions":[{"checksum":"b"}]}"#).assert_taken("duplicate");
    let ids =
        post(r#"{"transactions":[{"checksum":"b"},{"checksum":"c"}]}"#).assert_taken("accepted");
    assert_eq!(ids.len(), 1);
    let alone = r#"{"transactions": [{"checksum":"d"}]}"#;
    let ids = post(alone).assert_taken("accepted");
    let request = station.relayed(&origin, &ids[0]);
    assert_eq!(request.text(), alone);
    assert_eq!(request.header("content-md5"), Some("AAAA"));
}
