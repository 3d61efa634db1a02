//! Success in the provider's own words, and what the header fields say of it.

use crate::setting;
use serde_json::{Value, json};
use tram_tests::{Origin, Station, casso, transaction};

#[test]
fn a_batch_says_the_first_that_fits_any_of_it() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.create_webhook(
        &json!({"provider": "casso", "webhook_url": origin.url("/"), "type": "IN"}),
    );
    let money_out = |id: u32| {
        let mut transaction = transaction(id);
        transaction["amount"] = json!(-5);
        transaction
    };
    let test = |text: &str| {
        let mut transaction = transaction(0);
        transaction["description"] = json!(text);
        transaction
    };
    let check = |batch: &[Value], outcome: &str, count: usize| {
        let answer = station.post_casso(&webhook, casso(batch));
        let ids = answer.assert_taken(outcome);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.text(), r#"{"success":true}"#);
        assert_eq!(ids.len(), count, "{batch:#?}");
        assert_eq!(answer.header("x-tram-event-id").is_some(), count > 0);
        let counted = answer.header("x-tram-event-count").unwrap();
        assert_eq!(counted, count.to_string(), "{batch:#?}");
        ids
    };
    let ids = check(&[transaction(1)], "accepted", 1);
    assert!(ids[0].starts_with("evt_"));
    check(&[transaction(1)], "duplicate", 0);
    check(&[transaction(2), transaction(3)], "accepted", 2);
    check(
        &[transaction(3), transaction(4), transaction(2)],
        "accepted",
        1,
    );
    check(&[transaction(5), transaction(5)], "accepted", 1);
    check(&[transaction(3), transaction(2)], "duplicate", 0);
    check(&[money_out(6)], "filtered", 0);
    check(&[money_out(6), transaction(1)], "duplicate", 0);
    check(&[money_out(6), transaction(7)], "accepted", 1);
    check(&[test("a")], "test", 1);
    check(&[test("b"), money_out(6)], "filtered", 1);
    check(&[test("c"), money_out(6), transaction(7)], "duplicate", 1);
    check(&[test("d"), transaction(7), transaction(8)], "accepted", 2);
    check(&[], "test", 1);

    let relayed = 7 + 5;
    let events = station.wait_for_events(&webhook, |events| {
        events.len() == relayed && events.iter().all(|event| event["status"] == "delivered")
    });
    assert!(events.iter().all(|event| event["object_id"] != "6"));
    assert_eq!(origin.count(), relayed);
}

#[test]
fn the_first_twenty_ids_are_named() {
    let (station, _origin, webhook) = setting();
    let batch: Vec<Value> = (1..=25).map(transaction).collect();
    let answer = station.post_casso(&webhook, casso(&batch));
    let named = answer.assert_taken("accepted");
    assert_eq!(named.len(), 20);
    assert_eq!(answer.header("x-tram-event-count"), Some("25"));
    let events = station.events(&webhook);
    assert_eq!(events.len(), 25);
    // Newest first, and the batch in its own order.
    let stored: Vec<&str> = events
        .iter()
        .filter_map(|event| event["id"].as_str())
        .collect();
    let mut named_last_first = named.clone();
    named_last_first.reverse();
    assert_eq!(stored[5..], named_last_first);
}

#[test]
fn the_answer_is_the_operators_where_one_is_set() {
    let (station, origin) = (Station::shared(), Origin::start());
    for (answer, status, content_type, body) in [
        (
            json!({"status": 202, "body": "đã nhận"}),
            202,
            Some("text/plain; charset=utf-8"),
            "đã nhận",
        ),
        (
            json!({"status": 200, "body": r#"{"return_code":1}"#}),
            200,
            Some("application/json"),
            r#"{"return_code":1}"#,
        ),
        (json!({"status": 204}), 204, None, ""),
        (json!({"status": 201}), 201, None, ""),
    ] {
        let webhook = station.create_webhook(&json!({
            "provider": "casso", "webhook_url": origin.url("/"), "settings": {"answer": answer}
        }));
        for outcome in ["accepted", "duplicate"] {
            let answer = station.post_casso(&webhook, casso(&[transaction(1)]));
            answer.assert_taken(outcome);
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("content-type"), content_type);
            assert_eq!(answer.text(), body);
        }
        let forged = station.post(&webhook.path, &[], casso(&[transaction(2)]));
        forged.assert_refused(401, "unauthenticated");
    }
}
