//! However many connections bring the same event at once, it is one event: stored
//! once, delivered once, and every sender hears success.

use serde_json::{Value, json};
use std::{sync::Barrier, thread};
use tram_tests::{Answer, ELSEWHERE, Origin, Station, Webhook, casso, transaction};

/// Lets `bodies.len()` senders go at the same moment, each on a connection of its
/// own, every other one through another isolate.
fn post_at_once(station: &Station, webhook: &Webhook, bodies: &[String]) -> Vec<Answer> {
    let start = Barrier::new(bodies.len());
    thread::scope(|scope| {
        let senders: Vec<_> = bodies
            .iter()
            .enumerate()
            .map(|(number, body)| {
                let start = &start;
                scope.spawn(move || {
                    let mut connection = station.client().connect().unwrap();
                    let mut headers = vec![("secure-token", webhook.secret.as_str())];
                    if number % 2 == 1 {
                        headers.push(ELSEWHERE);
                    }
                    start.wait();
                    connection.send("POST", &webhook.path, &headers, body.as_bytes())
                })
            })
            .collect();
        senders
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .collect()
    })
}

fn count_of(answers: &[Answer], outcome: &str) -> usize {
    for answer in answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.text(), r#"{"success":true}"#);
    }
    answers
        .iter()
        .filter(|answer| answer.outcome() == outcome)
        .count()
}

/// All events, once delivered, and what arrived.
fn assert_each_once(station: &Station, webhook: &Webhook, origin: &Origin, ids: &[u32]) {
    let events = station.wait_for_events(webhook, |events| {
        events.iter().all(|event| event["status"] == "delivered")
    });
    let mut stored: Vec<u32> = events
        .iter()
        .map(|event| event["object_id"].as_str().unwrap().parse().unwrap())
        .collect();
    stored.sort_unstable();
    assert_eq!(stored, ids);
    let mut arrived: Vec<Value> = origin
        .received()
        .iter()
        .map(|request| request.json()["data"][0]["id"].clone())
        .collect();
    arrived.sort_by_key(Value::as_u64);
    assert_eq!(json!(arrived), json!(ids));
    for event in &events {
        assert_eq!(event["attempts"], 1);
        assert_eq!(event["conflicts"], 0);
    }
}

#[test]
fn one_event_on_a_hundred_connections_is_accepted_once() {
    let station = Station::builder().two_isolates().start();
    for shards in [1, 8] {
        let origin = Origin::start();
        let webhook = station.create_webhook(&json!({
            "provider": "casso", "webhook_url": origin.url("/"), "shards": shards
        }));
        for id in 1..=3 {
            let bodies = vec![casso(&[transaction(id)]); 100];
            let answers = post_at_once(&station, &webhook, &bodies);
            assert_eq!(count_of(&answers, "accepted"), 1);
            assert_eq!(count_of(&answers, "duplicate"), 99);
        }
        assert_each_once(&station, &webhook, &origin, &[1, 2, 3]);
    }
}

#[test]
fn overlapping_batches_at_once_are_each_transaction_once() {
    let station = Station::builder().two_isolates().start();
    let origin = Origin::start();
    let webhook = station.create_webhook(&json!({
        "provider": "casso", "webhook_url": origin.url("/"), "shards": 4
    }));
    // Ten transactions in a row each, so that every one comes with several senders.
    let bodies: Vec<String> = (1..=40)
        .map(|first| {
            let batch: Vec<Value> = (first..first + 10).map(transaction).collect();
            casso(&batch)
        })
        .collect();
    let answers = post_at_once(&station, &webhook, &bodies);
    let new: usize = answers
        .iter()
        .map(|answer| answer.header("x-tram-event-count").unwrap())
        .map(|count| count.parse::<usize>().unwrap())
        .sum();
    assert_eq!(new, 49);
    let taken = count_of(&answers, "accepted") + count_of(&answers, "duplicate");
    assert_eq!(taken, 40);
    let ids: Vec<u32> = (1..=49).collect();
    assert_each_once(&station, &webhook, &origin, &ids);
}
