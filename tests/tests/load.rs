//! Much at once: one event on fifty connections, and a backlog of ten thousand.

use serde_json::{Value, json};
use std::{
    sync::{
        Barrier,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tram_tests::{Origin, Station, casso, transaction, wait_until, waits};

#[test]
fn one_event_a_thousand_times_on_fifty_connections_is_one_event_and_one_delivery() {
    const CONNECTIONS: usize = 50;
    const EACH: usize = 20;
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let body = casso(&[transaction(1)]);
    let headers = [("secure-token", webhook.secret.as_str())];
    let (start, accepted) = (Barrier::new(CONNECTIONS), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut connection = station.client().connect().expect("a connection");
                start.wait();
                for _ in 0..EACH {
                    let answer = connection.send("POST", &webhook.path, &headers, body.as_bytes());
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    assert_eq!(answer.text(), r#"{"success":true}"#);
                    match answer.outcome() {
                        "accepted" => _ = accepted.fetch_add(1, Ordering::Relaxed),
                        other => assert_eq!(other, "duplicate"),
                    }
                }
            });
        }
    });
    assert_eq!(accepted.into_inner(), 1);
    let events = station.wait_for_events(&webhook, |events| {
        events.iter().all(|event| event["status"] == "delivered")
    });
    let [event] = &events[..] else {
        panic!("one event: {events:#?}");
    };
    assert_eq!(
        (&event["attempts"], &event["conflicts"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(origin.quiet_for(Duration::from_millis(500)), 1);
}

/// Ten thousand events come while the origin refuses connections; then it is back.
fn backlog(rate_per_second: Option<u32>) {
    const EVENTS: u64 = 10_000;
    const BATCH: u64 = 50;
    const CONNECTIONS: u64 = 8;
    let (station, mut origin) = (Station::start(), Origin::start());
    let mut destination = json!({"url": origin.url("/hook")});
    if let Some(rate) = rate_per_second {
        destination["rate_per_second"] = json!(rate);
    }
    let webhook = station.casso_webhook_with(
        &origin,
        &json!({"destinations": [destination], "retry": waits(&[1.0; 100])}),
    );
    origin.go_down();
    let begun = Instant::now();
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut connection = station.client().connect().expect("a connection");
                let headers = [("secure-token", webhook.secret.as_str())];
                loop {
                    let first = next.fetch_add(BATCH, Ordering::Relaxed) + 1;
                    if first > EVENTS {
                        return;
                    }
                    let batch: Vec<Value> = (first..first + BATCH).map(transaction).collect();
                    let body = casso(&batch);
                    let answer = connection.send("POST", &webhook.path, &headers, body.as_bytes());
                    answer.assert_taken("accepted");
                    let count = answer.header("x-tram-event-count");
                    assert_eq!(count, Some(BATCH.to_string().as_str()));
                }
            });
        }
    });
    let came_in = begun.elapsed();
    origin.come_back();
    let back = Instant::now();
    let all = usize::try_from(EVENTS).expect("it fits");
    wait_until("everything", Duration::from_secs(3_600), || {
        thread::sleep(Duration::from_millis(200));
        (origin.count() >= all).then_some(())
    });
    wait_until("nothing to be pending", Duration::from_secs(60), || {
        let path = format!("/events?webhook_id={}&status=pending", webhook.id);
        let pending = station.api_expecting(200, "GET", &path, None);
        (pending["data"] == json!([])).then_some(())
    });

    let mut received = origin.received();
    received.sort_by_key(|request| request.at);
    let mut numbers: Vec<u64> = received
        .iter()
        .map(|request| request.json()["data"][0]["id"].as_u64().expect("an id"))
        .collect();
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(1..=EVENTS), "each once");
    let (first, last) = (received[0].at, received[all - 1].at);
    let peak = received
        .iter()
        .enumerate()
        .map(|(at, request)| {
            let end = request.at + Duration::from_secs(1);
            received[at..].partition_point(|later| later.at < end)
        })
        .max()
        .unwrap_or_default();
    let released = last.duration_since(first).as_secs_f64();
    println!(
        "rate {rate_per_second:?}: {EVENTS} events in {} batches over {CONNECTIONS} connections stored in {:.1} s; first probe that was taken {:.1} s after the origin was back; all delivered {released:.1} s after that, {:.0} a second, at most {peak} within one second, each once",
        EVENTS / BATCH,
        came_in.as_secs_f64(),
        first.duration_since(back).as_secs_f64(),
        EVENTS as f64 / released,
    );
}

/// `cargo test -p tram-tests --test load backlog -- --ignored --nocapture`; the figures
/// stand in `benches/RESULTS.md`.
#[test]
#[ignore = "takes a minute or two"]
fn backlog_at_a_high_rate() {
    backlog(Some(1_000));
}

/// The same at the rate that a destination has unless another is set.
#[test]
#[ignore = "takes ten minutes"]
fn backlog_at_the_default_rate() {
    backlog(None);
}
