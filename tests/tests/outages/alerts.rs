//! What the operator is told without asking, as the receiver of the alerts sees it.

use serde_json::{Value, json};
use std::{collections::BTreeSet, thread, time::Duration};
use tram_tests::{
    Origin, PATIENCE, Received, Reply, Station, Webhook, assert_signed, millis, now, wait_until,
    waits,
};

/// Asserts that an alert is one of this kind, of this webhook's only destination, and
/// signed; returns its `data`.
#[track_caller]
fn assert_alert(request: &Received, webhook: &Webhook, kind: &str) -> Value {
    assert_eq!(request.method, "POST");
    assert_eq!(request.header("content-type"), Some("application/json"));
    let agent = request.header("user-agent").unwrap_or_default();
    assert!(agent.starts_with("tram/"), "{agent}");
    let id = assert_signed(request, &webhook.signing_secret);
    assert!(id.starts_with("alert_"), "{id}");
    let body = request.json();
    assert_eq!(body["type"], kind, "{body}");
    let told_at = millis(&body["timestamp"]) / 1_000;
    assert!(now().abs_diff(told_at.unsigned_abs()) < 300, "{body}");
    let data = &body["data"];
    for (field, value) in [
        ("webhook_id", &json!(webhook.id)),
        ("webhook_name", &webhook.shown["name"]),
        ("provider", &json!("casso")),
        ("shard", &json!(0)),
        ("destination_id", &webhook.shown["destinations"][0]["id"]),
        ("url", &webhook.shown["destinations"][0]["url"]),
    ] {
        assert_eq!(&data[field], value, "{field} of {body}");
    }
    data.clone()
}

/// A webhook that gives up at once.
#[track_caller]
fn hasty(station: &Station, origin: &Origin, alert_url: Option<String>) -> Webhook {
    let more = json!({"retry": waits(&[]), "alert_url": alert_url, "name": "Cửa hàng"});
    station.casso_webhook_with(origin, &more)
}

pub(crate) fn going_down_and_coming_back_are_told_once_each_with_how_many_are_released() {
    let (station, origin, receiver) = (Station::shared(), Origin::start(), Origin::start());
    origin.always(Reply::status(503));
    let webhook = station.casso_webhook_with(
        &origin,
        &json!({"retry": waits(&[0.2; 100]), "alert_url": receiver.url("/alerts?to=ops")}),
    );
    let numbers: Vec<u64> = (1..=12).collect();
    station
        .post_transactions(&webhook, &numbers)
        .assert_taken("accepted");
    let down = receiver.wait_for(1).remove(0);
    assert_eq!(down.target, "/alerts?to=ops");
    let data = assert_alert(&down, &webhook, "destination.down");
    assert_eq!(
        (&data["count"], &data["event_id"]),
        (&json!(1), &json!(null))
    );

    origin.always(Reply::status(200));
    let told = receiver.wait_for_within(2, Duration::from_secs(60));
    let data = assert_alert(&told[1], &webhook, "destination.recovered");
    assert_eq!(data["count"], 12, "the probe and all behind it");
    assert_ne!(told[0].header("webhook-id"), told[1].header("webhook-id"));
    station.wait_for_events(&webhook, |events| {
        events.len() == 12 && events.iter().all(|event| event["status"] == "delivered")
    });
    assert_eq!(receiver.quiet_for(Duration::from_secs(1)), 2);
}

#[test]
fn failures_are_told_with_the_first_and_then_not_for_five_minutes() {
    let (station, origin, receiver) = (Station::shared(), Origin::start(), Origin::start());
    origin.always(Reply::status(404));
    let webhook = hasty(&station, &origin, Some(receiver.url("/")));
    let first = station.send_transaction(&webhook, 1);
    let alert = receiver.wait_for(1).remove(0);
    let data = assert_alert(&alert, &webhook, "delivery.failed");
    assert_eq!(
        (&data["count"], &data["event_id"]),
        (&json!(1), &json!(first))
    );
    for number in 2..=6 {
        let id = station.send_transaction(&webhook, number);
        station.wait_for_status(&id, "failed");
    }
    assert_eq!(receiver.quiet_for(Duration::from_secs(2)), 1);
    // What is delivered is nothing to tell.
    origin.always(Reply::status(200));
    let id = station.send_transaction(&webhook, 7);
    station.wait_for_status(&id, "delivered");
    assert_eq!(receiver.quiet_for(Duration::from_secs(1)), 1);
}

#[test]
fn the_stations_own_address_is_for_webhooks_without_one() {
    let (all, own, origin) = (Origin::start(), Origin::start(), Origin::start());
    let station = Station::builder()
        .variable("ALERT_URL", &all.url("/all"))
        .start();
    origin.always(Reply::status(404));
    let with = hasty(&station, &origin, Some(own.url("/own")));
    let without = hasty(&station, &origin, None);
    for webhook in [&with, &without] {
        station.send_transaction(webhook, 1);
    }
    assert_alert(&own.wait_for(1)[0], &with, "delivery.failed");
    assert_alert(&all.wait_for(1)[0], &without, "delivery.failed");
    assert_eq!(all.quiet_for(Duration::from_secs(1)), 1);
    assert_eq!(own.count(), 1);
}

pub(crate) fn a_receiver_that_hangs_or_fails_delays_no_delivery_and_is_given_up() {
    let station = Station::shared();
    thread::scope(|scope| {
        for deaf in [Reply::hang(), Reply::status(500)] {
            scope.spawn(|| nobody_hears(&station, deaf));
        }
    });
    wait_until("the log to say that it was not heard", PATIENCE, || {
        let log = station.log();
        (log.matches("an alert was not heard").count() >= 2).then_some(())
    });
}

fn nobody_hears(station: &Station, deaf: Reply) {
    let (origin, receiver) = (Origin::start(), Origin::start());
    receiver.always(deaf);
    origin.then(Reply::status(404));
    let webhook = hasty(station, &origin, Some(receiver.url("/")));
    station.send_transaction(&webhook, 1);
    receiver.wait_for(1);
    for number in 2..=11 {
        let id = station.send_transaction(&webhook, number);
        let event = station.wait_for_status(&id, "delivered");
        assert_eq!(event["attempts"], 1);
    }
    // It is tried three times, over more than ten seconds: the others did not wait for
    // the last.
    assert!(receiver.count() < 3, "{} tries", receiver.count());
    let tries = receiver.wait_for(3);
    let ids: BTreeSet<_> = tries
        .iter()
        .map(|request| request.header("webhook-id"))
        .collect();
    assert_eq!(ids.len(), 1, "one alert: {ids:?}");
    assert_signed(&tries[2], &webhook.signing_secret);
}
