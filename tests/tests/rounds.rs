//! The hourly round, fired by hand: an alarm that the platform has lost is set again
//! without traffic, what is over its time is pruned, and an idle station is left as it
//! is. What a station has on disk is damaged or made older while it is off.

use serde_json::{Value, json};
use std::{thread, time::Duration};
use tram_tests::{Origin, PATIENCE, Station, StoredObject, now, wait_until, waits};

const DAY_SECONDS: i64 = 86_400;

fn millis_ago(seconds: i64) -> i64 {
    now().cast_signed().saturating_sub(seconds) * 1_000
}

/// Makes a Mailbox's events older. Their numbers are milliseconds, a thousand and
/// twenty-four to each.
#[track_caller]
fn age(mailbox: &StoredObject, days: i64) {
    let numbers = days * DAY_SECONDS * 1_000 * 1_024;
    let aged = mailbox.execute(&format!("UPDATE events SET seq = seq - {numbers}"));
    assert_eq!(aged, 1, "one event");
}

/// The Registry's notes of what is to be visited are due now.
#[track_caller]
fn all_visits_are_due(station: &Station) {
    let registry = &station.objects_on_disk("Registry")[0];
    assert_eq!(registry.execute("UPDATE visits SET due = 0"), 1);
}

#[test]
fn a_lost_alarm_is_set_again_by_the_next_round() {
    let (station, mut origin) = (Station::start(), Origin::start());
    origin.go_down();
    let retry = json!({"retry": waits(&[1.0; 100])});
    let ids: Vec<String> = (1..=3)
        .map(|number| {
            let webhook = station.casso_webhook_with(&origin, &retry);
            let id = station.send_transaction(&webhook, number);
            station.wait_for_event(&id, |event| event["attempts"].as_u64() >= Some(1));
            id
        })
        .collect();
    station.kill();
    // Of one the object knows nothing either; another believes that it should have
    // been woken an hour ago; the third's stands for an hour from now, and is not lost.
    let mailboxes = station.objects_on_disk("Mailbox");
    let [forgotten, believed, late] = &mailboxes[..] else {
        panic!("three mailboxes: {mailboxes:?}");
    };
    forgotten.lose_alarm(None);
    believed.lose_alarm(Some(millis_ago(3_600)));
    late.move_alarm(millis_ago(-3_600));
    origin.come_back();
    station.restart();
    thread::sleep(Duration::from_secs(2));
    assert_eq!(origin.count(), 0, "nothing wakes them");

    station.make_round();
    origin.wait_for(3);
    for id in &ids {
        station.wait_for_status(id, "delivered");
    }
    assert_eq!(origin.count(), 3);
}

#[test]
fn what_is_over_its_time_is_pruned_and_then_nothing_is_touched() {
    let (station, origin) = (Station::start(), Origin::start());
    let webhook =
        station.casso_webhook_with(&origin, &json!({"retention_days": 30, "dedupe_days": 60}));
    // A webhook that nothing has ever come to is nobody's to visit.
    let _ = station.casso_webhook(&origin);
    let id = station.send_transaction(&webhook, 1);
    let _ = station.relayed(&origin, &id);
    station.make_round();
    assert_eq!(
        station.event(&id)["body"].as_str().map(str::is_empty),
        Some(false)
    );

    // Its payload goes after 30 days; that it was there is remembered.
    station.kill();
    let mailbox = |station: &Station| {
        let mut all = station.objects_on_disk("Mailbox");
        all.retain(|object| object.name == format!("{}/0", webhook.id));
        all.remove(0)
    };
    age(&mailbox(&station), 31);
    all_visits_are_due(&station);
    station.restart();
    station.make_round();
    let event = wait_until("the payload to go", PATIENCE, || {
        let event = station.events(&webhook).remove(0);
        let id = event["id"].as_str().expect("an id");
        let event = station.event(id);
        event["body"].is_null().then_some(event)
    });
    assert_eq!(event["status"], "delivered");
    assert_eq!(event["object_id"], "1");
    let path = format!("/events/{}/resend", event["id"].as_str().expect("an id"));
    let gone = station.api("POST", &path, None);
    assert_eq!(gone.problem(409), "payload_gone");
    station
        .post_transactions(&webhook, &[1])
        .assert_taken("duplicate");

    // Rounds of an idle station leave every row of every object as it is.
    let everything = |station: &Station| -> Vec<Vec<String>> {
        ["Mailbox", "Registry"]
            .iter()
            .flat_map(|class| station.objects_on_disk(class))
            .map(|object| object.rows())
            .collect()
    };
    station.make_round();
    station.kill();
    station.fire_alarms(&["Mailbox", "Registry"]);
    let before = everything(&station);
    assert!(before.iter().flatten().count() > 5, "{before:?}");
    station.restart();
    let said = station.log().len();
    for _ in 0..3 {
        station.make_round();
    }
    let log = station.log().split_off(said);
    assert!(!log.contains("round") && !log.contains("mailbox"), "{log}");
    station.kill();
    assert_eq!(everything(&station), before);

    // After 60 days it is forgotten as a whole, and nobody comes by any more.
    age(&mailbox(&station), 30);
    all_visits_are_due(&station);
    station.restart();
    station.make_round();
    wait_until("the event to go", PATIENCE, || {
        station.events(&webhook).is_empty().then_some(())
    });
    station.kill();
    let visits = station.objects_on_disk("Registry")[0].number("SELECT count(*) FROM visits");
    assert_eq!(visits, 0);
    station.restart();
    let again = station.send_transaction(&webhook, 1);
    let event: Value = station.wait_for_status(&again, "delivered");
    assert_eq!(event["attempts"], 1, "it is new");
}
