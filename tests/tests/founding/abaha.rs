//! Abaha's webhook document: its configuration, its list of events, its history, and
//! its three sends.

use crate::{assert_told, change, json_of, mistakes, payload};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tram_tests::{Answer, Origin, Reply, Station, Webhook, attempts_to, each_attempt};

const OK: &str = r#"{"status":200,"message":"OK"}"#;
const ORDER: &str = payload!("abaha-order.json");
const PRODUCT: &str = payload!("abaha-product.json");
const CUSTOMER: &str = payload!("abaha-customer.json");

/// A webhook of Abaha's to this origin, with `more` fields.
#[track_caller]
fn webhook(station: &Station, origin: &Origin, more: &Value) -> Webhook {
    let mut webhook = json!({
        "provider": "abaha", "webhook_url": origin.url("/api/ToanPV/webhook"),
        "settings": {"header": "X-Nguon-Tin"},
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        webhook[name] = value.clone();
    }
    station.create_webhook(&webhook)
}

fn post(station: &Station, webhook: &Webhook, body: &str) -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("x-nguon-tin", webhook.secret.as_str()),
    ];
    station.post(&webhook.path, &headers, body)
}

#[test]
fn the_three_samples_arrive_whole() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = webhook(&station, &origin, &json!({}));
    for (body, kind, object_id, fields) in [
        (ORDER, "order", "208610", 64),
        (PRODUCT, "product", "873167", 39),
        (CUSTOMER, "customer", "1347849", 43),
    ] {
        assert_eq!(
            json_of(body).as_object().map(serde_json::Map::len),
            Some(fields)
        );
        let ids = assert_told(&post(&station, &webhook, body), "accepted", OK);
        let request = station.relayed(&origin, &ids[0]);
        assert_eq!(request.text(), body);
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("POST", "/api/ToanPV/webhook")
        );
        let event = station.event(&ids[0]);
        assert_eq!(
            (&event["event"], &event["object_id"]),
            (&json!(kind), &json!(object_id))
        );
        assert_told(&post(&station, &webhook, body), "duplicate", OK);
    }
}

#[test]
fn the_header_s_key_and_value_are_the_operator_s_and_are_asked_for() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = webhook(
        &station,
        &origin,
        &json!({"secret": "gia-tri-cua-ban-0123456789"}),
    );
    for headers in [
        &[][..],
        &[("x-nguon-tin", "gia-tri-khac")],
        &[("x-nguon-tin", "")],
        &[("x-other", "gia-tri-cua-ban-0123456789")],
    ] {
        let refused = station.post(&webhook.path, headers, ORDER);
        refused.assert_refused(401, "unauthenticated");
    }
    let ids = assert_told(&post(&station, &webhook, ORDER), "accepted", OK);
    let request = station.relayed(&origin, &ids[0]);
    assert_eq!(
        request.header("X-Nguon-Tin"),
        Some("gia-tri-cua-ban-0123456789")
    );

    // At Abaha it is optional; nothing else could prove Abaha.
    let without = json!({"provider": "abaha", "webhook_url": origin.url("/")});
    let expected = BTreeSet::from(["/settings/header".to_owned()]);
    assert_eq!(mistakes(&station, &without), expected);
}

#[test]
fn fields_of_one_s_own_tell_your_server_where_it_comes_from() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = webhook(&station, &origin, &json!({"headers": {"X-Tin": "tram"}}));
    let ids = assert_told(&post(&station, &webhook, ORDER), "accepted", OK);
    let request = station.relayed(&origin, &ids[0]);
    assert_eq!(request.header("x-tin"), Some("tram"));
}

#[test]
fn only_the_chosen_events_are_kept_and_the_choice_can_be_changed() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = webhook(
        &station,
        &origin,
        &json!({"allow_events": ["order", "customer"]}),
    );
    assert_told(&post(&station, &webhook, ORDER), "accepted", OK);
    assert_told(&post(&station, &webhook, PRODUCT), "filtered", OK);
    assert_told(&post(&station, &webhook, CUSTOMER), "accepted", OK);
    change(&station, &webhook, &json!({"allow_events": ["product"]}));
    let ids = assert_told(&post(&station, &webhook, PRODUCT), "accepted", OK);
    let _ = station.relayed(&origin, &ids[0]);
    let kept: Vec<Value> = station
        .events(&webhook)
        .iter()
        .map(|event| event["event"].clone())
        .collect();
    assert_eq!(kept, ["product", "customer", "order"]);

    let mut unknown = json!({"provider": "abaha", "webhook_url": origin.url("/")});
    unknown["settings"] = json!({"header": "x-a"});
    unknown["allow_events"] = json!(["order", "invoice"]);
    let expected = BTreeSet::from(["/allow_events/1".to_owned()]);
    assert_eq!(mistakes(&station, &unknown), expected);
}

#[test]
fn three_sends_x_minutes_apart_then_failed_then_by_hand() {
    let (station, origin) = (Station::shared(), Origin::start());
    let untouched = webhook(&station, &origin, &json!({}));
    let fixed = |seconds: Value| json!({"schedule": "fixed", "interval_seconds": seconds, "max_attempts": 3});
    assert_eq!(untouched.shown["retry"], fixed(json!(300)));

    // x is the operator's choice.
    origin.always(Reply::status(500).body("lỗi"));
    let webhook = webhook(&station, &origin, &json!({"retry": fixed(json!(0.3))}));
    let ids = assert_told(&post(&station, &webhook, ORDER), "accepted", OK);
    let event = station.wait_for_status(&ids[0], "failed");
    assert_eq!(event["attempts"], 3);
    assert_eq!(event["next_attempt_at"], Value::Null);
    let sends = origin.received();
    assert_eq!(sends.len(), 3);
    for pair in sends.windows(2) {
        // The station's clock and ours count from different ends of the answer.
        let waited = pair[1].at.duration_since(pair[0].at).as_secs_f64();
        assert!(waited > 0.25, "{waited}");
    }

    origin.always(Reply::status(200));
    let path = format!("/events/{}/resend", ids[0]);
    station.api_expecting(202, "POST", &path, None);
    let event = station.wait_for_status(&ids[0], "delivered");
    assert_eq!(each_attempt(&event, "status_code"), [500, 500, 500, 200]);
    assert!(
        origin
            .received()
            .iter()
            .all(|request| request.text() == ORDER)
    );
}

#[test]
fn the_list_shows_what_abaha_s_report_shows() {
    let (station, origin) = (Station::shared(), Origin::start());
    let retry = json!({"schedule": "fixed", "interval_seconds": 0.1, "max_attempts": 2});
    let webhook = webhook(&station, &origin, &json!({"retry": retry}));
    for body in [ORDER, PRODUCT] {
        let ids = assert_told(&post(&station, &webhook, body), "accepted", OK);
        station.wait_for_status(&ids[0], "delivered");
    }
    origin.always(Reply::status(503));
    let ids = assert_told(&post(&station, &webhook, CUSTOMER), "accepted", OK);
    station.wait_for_status(&ids[0], "failed");

    let path = format!("/events?webhook_id={}", webhook.id);
    let list = station.api_expecting(200, "GET", &path, None);
    let rows = list["data"].as_array().expect("a list");
    let shown: Vec<_> = rows
        .iter()
        .map(|row| {
            assert!(row["received_at"].is_string(), "{row}");
            let texts =
                ["event", "object_id", "status"].map(|field| row[field].as_str().expect(field));
            (
                texts,
                row["attempts"].as_u64(),
                row["last_status_code"].as_u64(),
            )
        })
        .collect();
    // The newest first.
    assert_eq!(
        shown,
        [
            (["customer", "1347849", "failed"], Some(2), Some(503)),
            (["product", "873167", "delivered"], Some(1), Some(200)),
            (["order", "208610", "delivered"], Some(1), Some(200)),
        ]
    );
    let times: Vec<_> = rows.iter().map(|row| row["received_at"].as_str()).collect();
    assert!(
        times.is_sorted_by(|newer, older| newer >= older),
        "{times:?}"
    );
    let path = format!("{path}&event=product");
    let list = station.api_expecting(200, "GET", &path, None);
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
}

#[test]
fn the_history_shows_what_was_sent_and_what_was_received() {
    let (station, origin) = (Station::shared(), Origin::start());
    origin
        .then(Reply::status(500).body(r#"{"status":500,"message":"lỗi"}"#))
        .always(Reply::json(&json_of(OK)));
    let retry = json!({"schedule": "fixed", "interval_seconds": 0.1, "max_attempts": 3});
    let webhook = webhook(&station, &origin, &json!({"retry": retry}));
    let ids = assert_told(&post(&station, &webhook, ORDER), "accepted", OK);
    let event = station.wait_for_status(&ids[0], "delivered");
    assert_eq!(event["body"], ORDER);
    assert_eq!(event["headers"]["content-type"], "application/json");
    let history = attempts_to(&event, 0);
    assert_eq!(history.len(), 2);
    assert_eq!(history[0]["status_code"], 500);
    assert_eq!(
        history[0]["response_body"],
        r#"{"status":500,"message":"lỗi"}"#
    );
    assert_eq!(history[1]["status_code"], 200);
    let received = history[1]["response_body"].as_str().expect("a text");
    assert_eq!(json_of(received), json_of(OK));
    assert!(
        history
            .iter()
            .all(|attempt| attempt["started_at"].is_string())
    );
}
