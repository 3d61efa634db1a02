//! Power failures: wrangler and the runtime are killed at once, in the worst moments and
//! in any, and started again on what was on disk. Nothing acknowledged is lost.
//!
//! All goes on by itself: but for the storm, whose senders never rest, the station is
//! asked for nothing but `/healthz`, which wakes no object, until the origin has
//! everything.

use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant, UNIX_EPOCH},
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

/// What one storm came to.
struct Storm {
    kills: usize,
    seconds: f64,
    /// Transactions that a sender has read a 2xx for.
    acknowledged: usize,
    /// Of those, how many were stored by a post whose answer never came.
    found_stored: usize,
    /// Requests to the origin, how many of them it failed, and how many carried what it
    /// had taken already.
    requests: usize,
    failed: usize,
    repeated: usize,
}

/// Four senders, each as a provider does: a transaction until it is acknowledged, then
/// the next. Meanwhile the power fails again and again, at any moment, while the origin
/// fails every third request.
fn storm(kills: usize) -> Storm {
    let (station, origin) = (Station::start(), Origin::start());
    // Which requests the origin took, by their place; the others it failed.
    let asked = Arc::new(AtomicUsize::new(0));
    let taken: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let (count, took) = (Arc::clone(&asked), Arc::clone(&taken));
    origin.answer_with(move |request| {
        if count.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
            return Reply::status(500);
        }
        *took.lock().unwrap().entry(request.text()).or_default() += 1;
        Reply::status(200).after(Duration::from_millis(20))
    });
    let webhook = station.casso_webhook_with(
        &origin,
        &json!({"shards": 2, "retry": {"schedule": "custom", "delays_seconds": vec![0.5; 100]}}),
    );
    let next = AtomicU64::new(1);
    let calm = AtomicBool::new(false);
    // What each transaction was answered with in the end: its event, or "duplicate" of
    // one whose answer the power failure had swallowed.
    let send_until_calm = || {
        let mut acknowledged: BTreeMap<String, Option<String>> = BTreeMap::new();
        while !calm.load(Ordering::Relaxed) {
            let body = casso_body(&[next.fetch_add(1, Ordering::Relaxed)]);
            let mut posts = 0;
            let id = loop {
                posts += 1;
                let headers = [("secure-token", webhook.secret.as_str())];
                let answer =
                    station
                        .client()
                        .try_send("POST", &webhook.path, &headers, body.as_bytes());
                thread::sleep(Duration::from_millis(30));
                let Ok(answer) = answer else { continue };
                match (answer.status, answer.outcome()) {
                    (200, "accepted") => break Some(answer.assert_taken("accepted").remove(0)),
                    (200, outcome) => {
                        assert_eq!(outcome, "duplicate", "{body}");
                        assert!(posts > 1, "{body} was new");
                        break None;
                    }
                    _ => {}
                }
            };
            acknowledged.insert(body, id);
        }
        acknowledged
    };
    let start = Instant::now();
    let mut chance = Chance::from_the_clock();
    let acknowledged: BTreeMap<String, Option<String>> = thread::scope(|scope| {
        let senders: Vec<_> = (0..4).map(|_| scope.spawn(send_until_calm)).collect();
        for _ in 0..kills {
            thread::sleep(chance.up_to(Duration::from_secs(3)));
            station.kill();
            thread::sleep(chance.up_to(Duration::from_millis(500)));
            station.restart();
        }
        thread::sleep(Duration::from_secs(1));
        calm.store(true, Ordering::Relaxed);
        let joined = senders
            .into_iter()
            .map(|sender| sender.join().expect("no panic"));
        joined.flatten().collect()
    });
    wait_until("all that was acknowledged", A_LEASE_AND_MORE, || {
        let taken = taken.lock().unwrap();
        acknowledged
            .keys()
            .all(|body| taken.contains_key(body))
            .then_some(())
    });
    let seconds = start.elapsed().as_secs_f64();

    // Nothing stays pending: what arrived is known to have arrived.
    wait_until("nothing to be pending", A_LEASE_AND_MORE, || {
        let path = format!("/events?webhook_id={}&status=pending", webhook.id);
        let pending = station.api_expecting(200, "GET", &path, None);
        (pending["data"] == json!([])).then_some(())
    });

    let mut arrived: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for request in origin.received() {
        let id = request.header("webhook-id").expect("an id").to_owned();
        arrived.entry(request.text()).or_default().insert(id);
    }
    assert_eq!(arrived.len(), acknowledged.len(), "nothing else arrives");
    for (body, id) in &acknowledged {
        let ids: Vec<&String> = arrived[body].iter().collect();
        assert_eq!(ids.len(), 1, "{body} came as {ids:?}");
        assert!(id.is_none() || id.as_ref() == Some(ids[0]), "{body}");
    }
    let taken: usize = taken.lock().unwrap().values().sum();
    let requests = origin.count();
    Storm {
        kills,
        seconds,
        found_stored: acknowledged.values().filter(|id| id.is_none()).count(),
        acknowledged: acknowledged.len(),
        requests,
        failed: requests - taken,
        repeated: taken - acknowledged.len(),
    }
}

/// Enough for moments that nobody chose.
struct Chance(u64);

impl Chance {
    fn from_the_clock() -> Self {
        let nanos = UNIX_EPOCH.elapsed().expect("after 1970").as_nanos();
        let seed = u64::try_from(nanos % u128::from(u64::MAX)).expect("it fits");
        println!("chance begins at {seed}");
        Self(seed)
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        most.mul_f64((self.0 % 1_000) as f64 / 1_000.0)
    }
}

#[test]
fn what_is_acknowledged_between_power_failures_arrives_under_one_id() {
    let storm = storm(3);
    assert!(storm.acknowledged > 20, "{} events", storm.acknowledged);
}

/// `cargo test -p tram-tests --test crash -- --ignored --nocapture`; the figures stand
/// in `benches/RESULTS.md`.
#[test]
#[ignore = "takes minutes"]
fn a_long_storm() {
    let storm = storm(25);
    println!(
        "{} kills in {:.0} s: {} events acknowledged, {} of them stored by a post whose answer never came; all arrived, each under one id; {} requests to the origin, {} failed by it, {} of what it had taken before",
        storm.kills,
        storm.seconds,
        storm.acknowledged,
        storm.found_stored,
        storm.requests,
        storm.failed,
        storm.repeated,
    );
}
