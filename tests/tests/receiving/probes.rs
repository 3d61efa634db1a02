//! Whether somebody is there, asked before an address is saved; and the ways in which
//! one address may be written.

use crate::{assert_no_trace, setting};
use serde_json::{Value, json};
use tram_tests::{Station, Webhook, casso, transaction};

#[test]
fn a_probe_is_answered_with_success_and_leaves_no_trace() {
    let (station, origin, webhook) = setting();
    let probe = |method: &str, path: &str, body: &[u8]| {
        // What browsers send with it; nobody is let in by that.
        let headers = [
            ("origin", "https://trello.example"),
            ("access-control-request-method", "POST"),
        ];
        let answer = station.client().send(method, path, &headers, body);
        assert_eq!(
            (answer.status, answer.outcome(), answer.text().as_str()),
            (200, "handshake", ""),
            "{method} {path}"
        );
        for name in [
            "x-tram-event-count",
            "x-tram-event-id",
            "access-control-allow-origin",
            "access-control-allow-methods",
            "content-type",
        ] {
            assert_eq!(answer.header(name), None, "{method} {name}");
        }
    };
    let path = webhook.path.as_str();
    for method in ["HEAD", "OPTIONS", "GET"] {
        probe(method, path, b"");
        probe(method, &format!("{path}/"), b"");
    }
    // A query is no secret of theirs; that of a GET could be a delivery.
    probe("HEAD", &format!("{path}?a=1"), b"");
    probe("OPTIONS", &format!("{path}?a=1"), b"what nobody reads");
    let get = |path: &str| station.client().send("GET", path, &[], b"");
    get(&format!("{path}?a=1")).assert_refused(405, "method_not_allowed");
    // Switched off it is there as well.
    let toggle = format!("/webhooks/{}/toggle", webhook.id);
    let _ = station.api_expecting(200, "PATCH", &toggle, None);
    probe("GET", path, b"");
    let _ = station.api_expecting(200, "PATCH", &toggle, None);
    assert_no_trace(&station, &origin, &webhook);

    // Nothing of it is a refusal: only the one GET that was.
    let refusals = format!("/webhooks/{}/refusals", webhook.id);
    let refused = station.api_expecting(200, "GET", &refusals, None);
    let methods: Vec<&Value> = refused["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["reason"])
        .collect();
    assert!(
        methods
            .iter()
            .all(|reason| **reason == "method_not_allowed"),
        "{refused}"
    );
    assert!(methods.len() <= 1, "{refused}");
}

#[test]
fn what_is_not_there_does_not_answer_a_probe() {
    let station = Station::shared();
    for method in ["HEAD", "OPTIONS", "GET"] {
        let path = "/in/wh_00000000000000000000000000";
        let answer = station.client().send(method, path, &[], b"");
        assert_eq!((answer.status, answer.outcome()), (404, "refused"));
    }
}

/// The path with every letter of the id percent-encoded.
fn escaped(webhook: &Webhook) -> String {
    let id: String = webhook
        .id
        .bytes()
        .map(|byte| format!("%{byte:02x}"))
        .collect();
    format!("/in/{id}")
}

#[test]
fn one_address_may_be_written_in_several_ways() {
    let (station, origin, webhook) = setting();
    let underscore = webhook.path.replace("wh_", "wh%5F");
    let addresses = [
        webhook.path.clone(),
        format!("{}/", webhook.path),
        underscore.clone(),
        format!("{underscore}/"),
        escaped(&webhook),
        format!("{}?a=1", escaped(&webhook)),
    ];
    let headers = [("secure-token", webhook.secret.as_str())];
    for (address, id) in addresses.iter().zip(1..) {
        let body = casso(&[transaction(id)]);
        let answer = station.client().post(address, &headers, &body);
        answer.assert_taken("accepted");
        let again = station.post_casso(&webhook, &body);
        again.assert_taken("duplicate");
    }
    origin.wait_for(addresses.len());
    for other in [
        format!("{}//", webhook.path),
        format!("{}/x", webhook.path),
        format!("{}%2F", webhook.path),
        format!("{}%", webhook.path),
        webhook.path.replace("wh_", "wh%255F"),
    ] {
        let answer = station.client().post(&other, &headers, "{}");
        answer.assert_refused(404, "webhook_not_found");
    }
}

#[test]
fn empty_notifications_and_those_told_apart_by_their_query_are_events_each() {
    let (station, origin, _) = setting();
    let webhook = station.create_webhook(&json!({
        "provider": "custom", "webhook_url": origin.url("/"), "settings": {"header": "x-token"}
    }));
    let headers = [("x-token", webhook.secret.as_str())];
    let post = |query: &str, body: &str| {
        let path = format!("{}{query}", webhook.path);
        station.client().post(&path, &headers, body)
    };
    for _ in 0..3 {
        post("", "").assert_taken("accepted");
        post("?state=exists", "").assert_taken("accepted");
    }
    for query in ["?order=1", "?order=2", ""] {
        post(query, "{}").assert_taken("accepted");
        post(query, "{}").assert_taken("duplicate");
    }
    let put = |body: &[u8]| station.client().send("PUT", &webhook.path, &headers, body);
    put(b"{}").assert_taken("accepted");
    put(b"{}").assert_taken("duplicate");
    origin.wait_for(10);
}
