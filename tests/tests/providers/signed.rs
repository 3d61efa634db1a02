//! GitHub and Standard Webhooks: signed bodies, of which the one signs the id and the
//! other does not. And SePay, whose test calls have the id 0.

use crate::webhook;
use serde_json::json;
use tram_tests::{
    Answer, Origin, Station, assert_signed, github_signature, is_signed_by, now, standard_webhooks,
};

#[test]
fn sepay_s_test_calls_are_relayed_marked_and_never_remembered() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = webhook(&station, &origin, "sepay", json!({}));
    let key = format!("Apikey {}", webhook.secret);
    let post = |id: u32, amount: u32| {
        let body =
            json!({"id": id, "transferType": "in", "transferAmount": amount, "content": "DH7"});
        let headers = [
            ("authorization", key.as_str()),
            ("content-type", "application/json"),
        ];
        station.post(&webhook.path, &headers, body.to_string())
    };
    for amount in [10_000, 20_000] {
        let ids = post(0, amount).assert_taken("test");
        let request = station.relayed(&origin, &ids[0]);
        assert_eq!(request.header("x-tram-test"), Some("true"));
        assert_eq!(request.json()["transferAmount"], amount);
        assert_eq!(station.event(&ids[0])["test"], true);
    }
    let ids = post(92_704, 10_000).assert_taken("accepted");
    let request = station.relayed(&origin, &ids[0]);
    assert_eq!(request.header("x-tram-test"), None);
    post(92_704, 10_000).assert_taken("duplicate");
}

#[test]
fn github_a_delivery_is_the_same_with_the_same_id_and_bytes() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = webhook(&station, &origin, "github", json!({}));
    let post = |delivery: &str, event: &str, body: &str| {
        let signature = github_signature(&webhook.secret, body.as_bytes());
        let headers = [
            ("content-type", "application/json"),
            ("x-github-event", event),
            ("x-github-delivery", delivery),
            ("x-hub-signature-256", &signature),
            ("user-agent", "GitHub-Hookshot/1"),
        ];
        station.post(&webhook.path, &headers, body)
    };
    let body = r#"{"action":"opened", "repository":{"full_name":"octo/đơn"}}"#;
    let ids = post("guid-1", "issues", body).assert_taken("accepted");
    post("guid-1", "issues", body).assert_taken("duplicate");
    // The id is not signed: it neither blocks other bytes nor passes for them.
    post("guid-1", "issues", r#"{"action":"closed"}"#).assert_taken("accepted");
    post("guid-2", "issues", body).assert_taken("accepted");

    let request = station.relayed(&origin, &ids[0]);
    assert_eq!(request.text(), body);
    assert_eq!(request.header("x-github-event"), Some("issues"));
    assert_eq!(request.header("x-github-delivery"), Some("guid-1"));
    let signature = github_signature(&webhook.secret, body.as_bytes());
    assert_eq!(
        request.header("x-hub-signature-256"),
        Some(signature.as_str())
    );
    let user_agent = request.header("user-agent").unwrap();
    assert!(user_agent.starts_with("tram/"), "{user_agent}");
    assert_signed(&request, &webhook.signing_secret);
    let event = station.event(&ids[0]);
    assert_eq!(
        (&event["event"], &event["object_id"]),
        (&json!("issues"), &json!("octo/đơn"))
    );

    let ping = post(
        "guid-3",
        "ping",
        r#"{"zen":"Keep it logically awesome.","hook_id":1}"#,
    );
    let ids = ping.assert_taken("test");
    let request = station.relayed(&origin, &ids[0]);
    assert_eq!(request.header("x-tram-test"), Some("true"));
}

#[test]
fn standard_webhooks_the_signed_id_names_the_message() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = webhook(&station, &origin, "standard-webhooks", json!({}));
    assert!(webhook.secret.starts_with("whsec_"));
    let post = |id: &str, at: u64, body: &str| -> Answer {
        let fields = standard_webhooks(&webhook.secret, id, at, body.as_bytes());
        let several = format!("v1a,AAAA v1,AAAA {}", fields[2].1);
        let headers = [
            (fields[0].0, fields[0].1.as_str()),
            (fields[1].0, fields[1].1.as_str()),
            (fields[2].0, several.as_str()),
        ];
        station.post(&webhook.path, &headers, body)
    };
    let body = r#"{"type":"invoice.paid","timestamp":"2026-11-20T00:00:00Z","data":{"id":"in_1"}}"#;
    let at = now() - 10;
    let ids = post("msg_1", at, body).assert_taken("accepted");
    // Signed anew for the next try.
    post("msg_1", at + 5, body).assert_taken("duplicate");
    post("msg_1", at + 6, r#"{"type":"other"}"#).assert_taken("duplicate");
    post("msg_2", at, body).assert_taken("accepted");

    let request = station.relayed(&origin, &ids[0]);
    assert_eq!(request.text(), body);
    // Its own message, with its signatures and the station's.
    assert_eq!(assert_signed(&request, &webhook.signing_secret), "msg_1");
    assert!(is_signed_by(&request, &webhook.secret));
    let field = |name: &str| request.header(name).unwrap().to_owned();
    assert_eq!(field("webhook-timestamp"), at.to_string());
    assert!(field("webhook-signature").starts_with("v1a,AAAA v1,AAAA v1,"));
    let event = station.event(&ids[0]);
    assert_eq!(event["event"], "invoice.paid");
    assert_eq!(event["object_id"], "in_1");
    assert_eq!(event["conflicts"], 1);
}
