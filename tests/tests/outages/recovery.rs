//! A destination that answers is not held, whatever it answers, and what the operator does
//! is not kept waiting for the next probe.

use serde_json::json;
use std::{thread, time::Duration};
use tram_tests::{Origin, Received, Reply, Station, Webhook, casso_body, waits};

/// A probe comes 30 s after the last; the machine may be slow.
const A_PROBE_AND_MORE: Duration = Duration::from_secs(60);
/// Well before a probe would come by itself.
const AT_ONCE: Duration = Duration::from_secs(15);
const OLD: u64 = 12;

fn is_old(request: &Received) -> bool {
    (1..=OLD).any(|number| request.text() == casso_body(&[number]))
}

/// Twelve events, and a destination that has gone down over them.
fn down(station: &Station, origin: &Origin) -> Webhook {
    origin.always(Reply::status(503));
    let more = json!({"retry": waits(&[3_600.0; 9])});
    let webhook = station.casso_webhook_with(origin, &more);
    let old: Vec<u64> = (1..=OLD).collect();
    station
        .post_transactions(&webhook, &old)
        .assert_taken("accepted");
    origin.wait_for(10);
    let _ = origin.quiet_for(Duration::from_secs(2));
    let stats = station.api_expecting(200, "GET", "/stats", None);
    assert!(stats.to_string().contains("\"down\""), "{stats}");
    origin.forget();
    webhook
}

pub(crate) fn old_events_that_are_refused_hold_up_no_good_one() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = down(&station, &origin);
    // It is back, knows the old ones and says so.
    origin.answer_with(|request| Reply::status(if is_old(request) { 422 } else { 200 }));
    let good = station.send_transaction(&webhook, 99);
    let received = origin.wait_for_within(1, A_PROBE_AND_MORE);
    assert_eq!(
        received[0].text(),
        casso_body(&[99]),
        "the newest is the probe"
    );
    assert_eq!(station.wait_for_status(&good, "delivered")["attempts"], 1);
    origin.wait_for(13);
    assert_eq!(origin.quiet_for(Duration::from_secs(2)), 13, "each once");
    // And nothing is held any more.
    let next = station.send_transaction(&webhook, 100);
    assert_eq!(station.wait_for_status(&next, "delivered")["attempts"], 1);
}

pub(crate) fn what_the_operator_does_ends_an_outage_at_once() {
    let station = Station::shared();
    let deeds: [fn(&Station, &Webhook); 4] = [
        |station, webhook| {
            let path = format!("/webhooks/{}/test", webhook.id);
            station.api_expecting(200, "POST", &path, None);
        },
        |station, webhook| {
            let events = station.events(webhook);
            let path = format!(
                "/events/{}/resend",
                events[3]["id"].as_str().expect("an id")
            );
            station.api_expecting(202, "POST", &path, None);
        },
        |station, webhook| {
            let path = format!("/webhooks/{}", webhook.id);
            station.api_expecting(200, "PUT", &path, Some(&json!({"name": "Cửa hàng"})));
        },
        |station, webhook| {
            for what in ["pause", "resume"] {
                let path = format!("/webhooks/{}/{what}", webhook.id);
                station.api_expecting(200, "POST", &path, None);
            }
        },
    ];
    thread::scope(|scope| {
        for deed in deeds {
            let station = &station;
            scope.spawn(move || {
                let origin = Origin::start();
                let webhook = down(station, &origin);
                // It answers, and takes nothing of what is old.
                origin
                    .answer_with(|request| Reply::status(if is_old(request) { 409 } else { 200 }));
                deed(station, &webhook);
                origin.wait_for_within(12, AT_ONCE);
            });
        }
    });
}
