//! A destination that is down is left alone but for a probe every 30 seconds, and gets
//! all that waits when it is back. One event that fails by itself puts nothing down.
//!
//! Times and order of attempts are read from the station's own record of them: what
//! arrives at an origin over several connections may overtake.

use serde_json::{Value, json};
use std::{thread, time::Duration};
use tram_tests::{Origin, Reply, Station, Webhook, attempts_to, casso_body, millis, waits};

/// Failures in a row that put a destination down, and how many more may be out then.
const DOWN_AFTER: usize = 10;
const SLOTS: usize = 6;
/// A probe comes 30 s after the last; the machine may be slow.
const A_PROBE_AND_MORE: Duration = Duration::from_secs(60);

/// An attempt as the station wrote it down.
#[derive(Clone, Debug)]
struct Attempt {
    started_at: i64,
    ended_at: i64,
    event: u64,
    status: Value,
}

/// All attempts to the webhook's `destination`th destination, in order of time.
#[track_caller]
fn attempts(station: &Station, webhook: &Webhook, destination: usize) -> Vec<Attempt> {
    let mut all = Vec::new();
    for event in station.events(webhook) {
        for attempt in attempts_to(&event, destination) {
            let started_at = millis(&attempt["started_at"]);
            let took = attempt["duration_ms"].as_i64().expect("milliseconds");
            let number = event["object_id"].as_str().expect("a transaction's id");
            all.push(Attempt {
                started_at,
                ended_at: started_at + took,
                event: number.parse().expect("a number"),
                status: attempt["status_code"].clone(),
            });
        }
    }
    all.sort_by_key(|attempt| (attempt.started_at, attempt.event));
    all
}

/// However long an attempt lasts, and however long ago the run began that it belongs to.
pub(crate) fn what_comes_late_waits_for_no_attempt_at_another_destination() {
    /// After this an object that nobody calls begins nothing new by itself.
    const LEFT_ALONE: Duration = Duration::from_secs(30);
    let (station, slow, well) = (Station::shared(), Origin::start(), Origin::start());
    slow.always(Reply::hang());
    let webhook = station.casso_webhook_with(
        &slow,
        &json!({
            "destinations": [
                {"url": slow.url("/hook"), "timeout_seconds": 29},
                {"url": well.url("/hook")},
            ],
            "retry": waits(&[0.2; 100]),
        }),
    );
    station.send_transaction(&webhook, 1);
    // The second attempt begins after 29 s, and is given as many.
    slow.wait_for_within(2, LEFT_ALONE.saturating_mul(2));
    thread::sleep(Duration::from_secs(3));
    station.send_transaction(&webhook, 2);
    well.wait_for_within(2, LEFT_ALONE.saturating_mul(2));
    let ended = attempts(&station, &webhook, 0).len();
    assert_eq!(ended, 1, "attempts at the slow one were waited for");
}

pub(crate) fn one_that_is_down_is_left_alone_probed_and_then_gets_all_oldest_first_at_its_rate() {
    const RATE: i64 = 10;
    let (station, down, well) = (Station::shared(), Origin::start(), Origin::start());
    down.always(Reply::status(503));
    let webhook = station.casso_webhook_with(
        &down,
        &json!({
            "destinations": [
                {"url": down.url("/hook"), "rate_per_second": RATE},
                {"url": well.url("/hook")},
            ],
            "retry": waits(&[0.2; 100]),
        }),
    );
    let ids: Vec<String> = (1..=5)
        .map(|number| station.send_transaction(&webhook, number))
        .collect();
    down.wait_for(DOWN_AFTER);
    let failed = down.quiet_for(Duration::from_secs(3));
    assert!(
        (DOWN_AFTER..DOWN_AFTER + SLOTS).contains(&failed),
        "{failed} attempts"
    );

    // What comes now waits, whenever its first attempt or its next would be due; what is
    // sent again is a probe at once. The other destination does not wait with it.
    let more: Vec<u64> = (6..=40).collect();
    station
        .post_transactions(&webhook, &more)
        .assert_taken("accepted");
    let only = json!({"destination_id": webhook.shown["destinations"][0]["id"]});
    for id in &ids {
        let path = format!("/events/{id}/resend");
        let queued = station.api_expecting(202, "POST", &path, Some(&only));
        assert_eq!(queued, json!({"queued": 1}));
    }
    well.wait_for(40);
    let asked_for = down.quiet_for(Duration::from_secs(3)) - failed;
    assert!((1..=ids.len()).contains(&asked_for), "{asked_for} attempts");
    let failed = failed + asked_for;

    // The probe is slow to be answered: nothing goes out beside it.
    down.then(Reply::status(200).after(Duration::from_secs(2)));
    down.always(Reply::status(200));
    down.wait_for_within(failed + 2, A_PROBE_AND_MORE);
    let late: Vec<u64> = (41..=45).collect();
    station
        .post_transactions(&webhook, &late)
        .assert_taken("accepted");
    let events = station.wait_for_events(&webhook, |events| {
        events.iter().all(|event| event["status"] == "delivered")
    });
    assert_eq!(events.len(), 45);

    let all = attempts(&station, &webhook, 0);
    let (failures, rest) = all.split_at(failed);
    assert!(failures.iter().all(|attempt| attempt.status == 503));
    assert!(rest.iter().all(|attempt| attempt.status == 200), "{rest:?}");
    assert_eq!(rest.len(), 45, "each is taken once");
    let [probe, released @ ..] = rest else {
        panic!("no probe");
    };
    let last_failure = failures.last().expect("failures").started_at;
    let waited = probe.started_at - last_failure;
    assert!(waited >= 30_000, "probed after {waited} ms");
    assert!(
        released[0].started_at >= probe.ended_at,
        "one probe at a time"
    );
    // Oldest first; what came during the release goes last, in its turn.
    let order: Vec<u64> = released.iter().map(|attempt| attempt.event).collect();
    let expected: Vec<u64> = (1..=45).filter(|event| *event != probe.event).collect();
    assert_eq!(order, expected);
    // Late timers are made up for by no more than 200 ms.
    let old = &released[..39];
    let took = old[38].started_at - old[0].started_at;
    let at_least = 38 * 1_000 / RATE - 300;
    assert!(took >= at_least, "39 released in {took} ms");
    // Nothing was attempted twice at the one that was well.
    assert_eq!(well.count(), 45);
}

#[test]
fn an_event_that_always_fails_ends_on_its_own_schedule_and_stops_nobody() {
    let (station, origin) = (Station::shared(), Origin::start());
    for status in [422, 500] {
        // An outage would need two events that fail as a server does.
        let poison = casso_body(&[1]);
        origin.answer_with(move |request| {
            Reply::status(if request.text() == poison {
                status
            } else {
                200
            })
        });
        // Alone at first: more failures in a row than an outage has.
        let webhook = station.casso_webhook_with(&origin, &json!({"retry": waits(&[0.2; 19])}));
        let poisonous = station.send_transaction(&webhook, 1);
        station.wait_for_event(&poisonous, |event| event["attempts"].as_u64() >= Some(12));
        for number in 2..=9 {
            let id = station.send_transaction(&webhook, number);
            let event = station.wait_for_status(&id, "delivered");
            assert_eq!(event["attempts"], 1, "{status}");
        }
        let event = station.wait_for_status(&poisonous, "failed");
        assert_eq!(event["attempts"], 20, "{status}");
        let after = station.send_transaction(&webhook, 10);
        assert_eq!(station.wait_for_status(&after, "delivered")["attempts"], 1);
    }
}
