//! Casso: a token in a header and an array of bank transactions.

use serde_json::json;
use std::{
    thread,
    time::{Duration, Instant},
};
use tram_tests::{Origin, Received, Station, assert_signed, casso, transaction};

#[test]
fn a_batch_is_cut_byte_for_byte() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let elements = [
        r#"{"id" : 1, "tid":"A\u0042", "amount":1.50, "x":[1, 2]}"#,
        r#"{"id":2,"tid":"đơn hàng","amount":9007199254740993}"#,
        "{\n\t\"id\": \"3\"\n}",
    ];
    let (before, after) = ("{ \"error\":0,\r\n\"data\": [ ", " ],\"more\":[{}] }\n");
    let body = format!("{before}{}{after}", elements.join(" ,\n "));
    let answer = station.post_casso_with(
        &webhook,
        &[
            ("x-kept", "Trạm"),
            ("digest", "sha-256=AAAA"),
            ("content-md5", "AAAA"),
        ],
        &body,
    );
    let ids = answer.assert_taken("accepted");
    assert_eq!(ids.len(), 3);
    for (id, element) in ids.iter().zip(elements) {
        let request = station.relayed(&origin, id);
        assert_eq!(request.text(), format!("{before}{element}{after}"));
        assert_eq!(assert_signed(&request, &webhook.signing_secret), *id);
        let header = |name: &str| request.header(name);
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("POST", "/hook")
        );
        assert_eq!(header("content-type"), Some("application/json"));
        assert_eq!(header("secure-token"), Some(webhook.secret.as_str()));
        assert_eq!(header("x-kept"), Some("Trạm"));
        assert_eq!(header("x-tram-provider"), Some("casso"));
        assert_eq!(header("x-tram-webhook"), Some(webhook.id.as_str()));
        assert_eq!(header("x-tram-attempt"), Some("1"));
        assert_eq!(header("x-tram-test"), None);
        assert_eq!((header("digest"), header("content-md5")), (None, None));
    }
}

#[test]
fn a_single_transaction_arrives_as_it_came_and_is_understood() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let body = r#" {"error":0,"data":[ {"id":77,"tid":"FT1","amount":-1250.50,"when":"2026-11-20 07:30:00",
        "description":"tr\u1ea3 h\u00e0ng","bank_sub_acc_id":"8888","bankName":"VPBank","new":{}} ]}  "#;
    let digest = [("digest", "sha-256=AAAA")];
    let ids = station
        .post_casso_with(&webhook, &digest, body)
        .assert_taken("accepted");
    let request = station.relayed(&origin, &ids[0]);
    assert_eq!(request.text(), body);
    assert_eq!(request.header("digest"), Some("sha-256=AAAA"));
    let event = station.event(&ids[0]);
    assert_eq!(event["body"], body);
    assert_eq!(event["object_id"], "77");
    assert_eq!(
        event["summary"],
        json!({
            "bank": "VPBank", "account": "8888", "direction": "out", "amount": "1250.50",
            "transaction_id": "FT1", "description": "trả hàng",
            "payer": null, "currency": null, "occurred_at": "2026-11-20T00:30:00.000Z"
        })
    );
}

#[test]
fn one_transaction_is_one_event_however_it_is_written_or_batched() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let post = |body: &str| station.post_casso(&webhook, body);
    let first = post(r#"{"error":0,"data":[{"id":1,"amount":5}]}"#).assert_taken("accepted");
    for same in [
        r#"{"error":0,"data":[{"id":1,"amount":5}]}"#,
        r#"{"error":0,"data":[{"id":"1","amount":5}]}"#,
        r#"{ "data" : [ { "amount" : 5 , "id" : 1 } ] }"#,
        r#"{"error":0,"data":{"id":1,"amount":5}}"#,
        r#"{"error":0,"data":[{"id":1,"amount":5},{"id":1,"amount":5}]}"#,
        r#"{"error":0,"data":[{"id":"\u0031","amount":6}]}"#,
    ] {
        assert_eq!(post(same).assert_taken("duplicate"), [""; 0], "{same}");
    }
    // Four of them say it with other bytes.
    assert_eq!(station.event(&first[0])["conflicts"], 4);

    // One of three is old: the two others are relayed.
    let batch = r#"{"error":0,"data":[{"id":2},{"id":1,"amount":5},{"id":3}]}"#;
    let answer = post(batch);
    assert_eq!(answer.assert_taken("accepted").len(), 2);
    assert_eq!(answer.header("x-tram-event-count"), Some("2"));
    for (other, outcome) in [
        (r#"{"data":[{"id":1.0}]}"#, "accepted"),
        (r#"{"data":[{"id":"01"}]}"#, "accepted"),
        (r#"{"data":[{"id":3}]}"#, "duplicate"),
    ] {
        post(other).assert_taken(outcome);
    }
    let events = station.wait_for_events(&webhook, |events| {
        events.iter().all(|event| event["status"] == "delivered")
    });
    assert_eq!(events.len(), 5);
    let mut bodies: Vec<String> = origin.received().iter().map(Received::text).collect();
    bodies.sort();
    assert_eq!(
        bodies,
        [
            r#"{"data":[{"id":"01"}]}"#,
            r#"{"data":[{"id":1.0}]}"#,
            r#"{"error":0,"data":[{"id":1,"amount":5}]}"#,
            r#"{"error":0,"data":[{"id":2}]}"#,
            r#"{"error":0,"data":[{"id":3}]}"#,
        ]
    );
}

#[test]
fn test_calls_are_relayed_marked_and_never_remembered() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let call = |text: &str| {
        let mut call = transaction(0);
        call["description"] = json!(text);
        casso(&[call])
    };
    let forged = station.post(&webhook.path, &[("secure-token", "x")], call("forged"));
    forged.assert_refused(401, "unauthenticated");

    let first = station.post_casso(&webhook, call("first"));
    let first = first.assert_taken("test");
    let request = station.relayed(&origin, &first[0]);
    assert_eq!(request.text(), call("first"));
    assert_eq!(request.header("x-tram-test"), Some("true"));
    assert_eq!(station.event(&first[0])["test"], true);

    // Identical ones within five seconds are relayed once; a machine may be too slow
    // to send two within them, but not every time.
    let once = (0..5).any(|attempt| {
        let body = call(&format!("attempt {attempt}"));
        let begun = Instant::now();
        let before = station.post_casso(&webhook, &body).assert_taken("test");
        let again = station.post_casso(&webhook, &body).assert_taken("test");
        let in_time = begun.elapsed() < Duration::from_secs(4);
        assert_eq!(before.len(), 1);
        assert!(!in_time || again.is_empty());
        in_time
    });
    assert!(once, "the machine is too slow for this test");

    // Later, the first one counts as new again.
    thread::sleep(Duration::from_secs(6));
    let later = station.post_casso(&webhook, call("first"));
    let later = later.assert_taken("test");
    assert_eq!(later.len(), 1);
    assert_ne!(later, first);
    let _ = station.relayed(&origin, &later[0]);
}

#[test]
fn a_test_call_stands_beside_transactions_and_an_empty_batch_is_one() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let answer = station.post_casso(&webhook, casso(&[transaction(0), transaction(1)]));
    let ids = answer.assert_taken("accepted");
    let marks: Vec<Option<String>> = ids
        .iter()
        .map(|id| station.relayed(&origin, id))
        .map(|request| request.header("x-tram-test").map(str::to_owned))
        .collect();
    assert_eq!(marks, [Some("true".to_owned()), None]);

    for ping in [r#"{"error":0,"data":[]}"#, "{ \"data\" : [ ] }\n"] {
        let ids = station.post_casso(&webhook, ping).assert_taken("test");
        let request = station.relayed(&origin, &ids[0]);
        assert_eq!(request.text(), ping);
        assert_eq!(request.header("x-tram-test"), Some("true"));
    }
}
