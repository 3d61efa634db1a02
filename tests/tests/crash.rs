//! Power failures: wrangler and the runtime are killed at once, in the worst moments,
//! and started again on what was on disk. Nothing acknowledged is lost, and all goes
//! on by itself: until the origin has everything, the station is asked for nothing
//! but `/healthz`, which wakes no object.

use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};
use tram_tests::{Origin, Received, Reply, Station, Webhook, casso_body, wait_until};

/// What was out when the power failed is due again when its lease ends, a minute after
/// it was given; and then the machine may be slow.
const A_LEASE_AND_MORE: Duration = Duration::from_secs(150);

#[track_caller]
fn casso(station: &Station, origin: &Origin, delays_seconds: &[f64]) -> Webhook {
    station.create_webhook(&json!({
        "provider": "casso",
        "webhook_url": origin.url("/hook"),
        "timeout_seconds": 30,
        "retry": {"schedule": "custom", "delays_seconds": delays_seconds},
    }))
}

fn ids_of(received: &[Received]) -> BTreeSet<String> {
    let ids = received
        .iter()
        .filter_map(|request| request.header("webhook-id"));
    ids.map(str::to_owned).collect()
}

/// Waits until the origin has heard of every one of these events.
#[track_caller]
fn wait_for_all(origin: &Origin, ids: &BTreeSet<String>) {
    wait_until("every event at the origin", A_LEASE_AND_MORE, || {
        ids.is_subset(&ids_of(&origin.received())).then_some(())
    });
}

fn attempts(event: &Value) -> u64 {
    event["attempts"].as_u64().unwrap_or_default()
}

#[test]
fn what_waits_for_its_next_try_is_tried_after_a_power_failure() {
    let (station, mut origin) = (Station::start(), Origin::start());
    origin.go_down();
    let webhook = casso(&station, &origin, &[1.0; 100]);
    let ids: BTreeSet<String> = (1..=10)
        .map(|number| station.send_transaction(&webhook, number))
        .collect();
    station.wait_for_events(&webhook, |events| {
        events.len() == 10 && events.iter().all(|event| attempts(event) > 0)
    });
    station.kill();
    origin.come_back();
    station.restart();
    wait_for_all(&origin, &ids);

    assert_eq!(ids_of(&origin.received()), ids);
    for id in &ids {
        let event = station.wait_for_status(id, "delivered");
        assert!(
            attempts(&event) > 1,
            "the attempts before are kept: {event:#}"
        );
    }
}

#[test]
fn what_is_out_when_the_power_fails_is_sent_again() {
    let (station, origin) = (Station::start(), Origin::start());
    origin.always(Reply::hang());
    let webhook = casso(&station, &origin, &[1.0; 100]);
    // Six are out, and three have not been tried at all.
    let ids: BTreeSet<String> = (1..=9)
        .map(|number| station.send_transaction(&webhook, number))
        .collect();
    let out = ids_of(&origin.wait_for(6));
    assert_eq!(out.len(), 6);
    station.kill();
    origin.always(Reply::status(200));
    origin.forget();
    station.restart();
    wait_for_all(&origin, &ids);

    assert_eq!(ids_of(&origin.received()), ids);
    for id in &ids {
        station.wait_for_status(id, "delivered");
    }
}

#[test]
fn what_was_acknowledged_before_the_power_failed_arrives_under_one_id() {
    let (station, origin) = (Station::start(), Origin::start());
    // Slower than the senders, so that more and more is acknowledged and still here.
    origin.always(Reply::status(200).after(Duration::from_millis(200)));
    let webhook = casso(&station, &origin, &[1.0; 100]);
    let next = AtomicU64::new(1);
    // Four senders, until the power fails in the midst of their posts: what a sender
    // has read a 2xx for, it will never send again.
    let post_until_it_fails = || {
        let mut acknowledged = BTreeMap::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let headers = [("secure-token", webhook.secret.as_str())];
            let body = casso_body(&[number]);
            match station
                .client()
                .try_send("POST", &webhook.path, &headers, body.as_bytes())
            {
                Ok(answer) if answer.status == 200 => {
                    let id = answer.header("x-tram-event-id").expect("a new event");
                    acknowledged.insert(body, id.to_owned());
                }
                _ => return acknowledged,
            }
        }
    };
    let acknowledged: BTreeMap<String, String> = thread::scope(|scope| {
        let senders: Vec<_> = (0..4).map(|_| scope.spawn(post_until_it_fails)).collect();
        origin.wait_for(20);
        station.kill();
        let joined = senders
            .into_iter()
            .map(|sender| sender.join().expect("no panic"));
        joined.flatten().collect()
    });
    assert!(
        acknowledged.len() > ids_of(&origin.received()).len(),
        "the origin is behind"
    );
    origin.always(Reply::status(200));
    station.restart();
    wait_for_all(&origin, &acknowledged.values().cloned().collect());

    let mut arrived: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for request in origin.received() {
        let id = request.header("webhook-id").expect("an id").to_owned();
        arrived.entry(request.text()).or_default().insert(id);
    }
    for (body, ids) in &arrived {
        assert_eq!(ids.len(), 1, "{body} came as {ids:?}");
    }
    for (body, id) in &acknowledged {
        assert!(arrived[body].contains(id), "{body} as {id}");
    }
    // A sender that has read no answer sends again: an event that it is, or a
    // duplicate of one that was stored unacknowledged.
    for number in 1..next.into_inner() {
        let again = station.post_transactions(&webhook, &[number]);
        let outcome = again.header("x-tram-outcome").unwrap_or_default();
        let was_acknowledged = acknowledged.contains_key(&casso_body(&[number]));
        assert!(
            outcome == "duplicate" || (outcome == "accepted" && !was_acknowledged),
            "{number}: {outcome}"
        );
    }
}
