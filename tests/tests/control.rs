//! The operator's hand on what is under way: pausing, cancelling, deleting, switching
//! off, and changing a webhook while something waits. That a duplicate of a failed
//! event is queued again is in `retrying.rs`; markers of deleted events are in `kv.rs`.

use serde_json::{Value, json};
use std::time::Duration;
use tram_tests::{
    Gate, Origin, PATIENCE, Reply, Station, Webhook, attempts_to, each_attempt, millis, wait_until,
    waits,
};

/// Longer than the next attempts in these tests are away.
const A_WHILE: Duration = Duration::from_millis(1_500);

/// Asks for a change of the webhook by one of its routes.
#[track_caller]
fn ask(station: &Station, webhook: &Webhook, method: &str, route: &str) -> Value {
    let path = format!("/webhooks/{}{route}", webhook.id);
    station.api_expecting(200, method, &path, None)
}

#[track_caller]
fn change(station: &Station, webhook: &Webhook, change: &Value) -> Value {
    let path = format!("/webhooks/{}", webhook.id);
    station.api_expecting(200, "PUT", &path, Some(change))
}

#[track_caller]
fn cancel(station: &Station, id: &str) -> Value {
    let path = format!("/events/{id}/cancel");
    station.api_expecting(200, "POST", &path, None)
}

#[test]
fn what_comes_and_waits_in_a_pause_goes_out_oldest_first_after_it() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook_with(&origin, &json!({"retry": waits(&[0.3; 50])}));
    origin.always(Reply::status(404));
    let failing = station.send_transaction(&webhook, 1);
    origin.wait_for(2);
    for _ in 0..2 {
        let paused = ask(&station, &webhook, "POST", "/pause");
        assert_eq!(paused["is_paused"], true);
    }
    // One attempt may have been under way.
    let mut ids = vec![failing];
    ids.extend((2..=6).map(|number| station.send_transaction(&webhook, number)));
    let held = origin.quiet_for(A_WHILE);
    for id in &ids {
        let event = station.event(id);
        assert_eq!(event["status"], "pending");
        assert_eq!(event["next_attempt_at"], Value::Null);
    }
    origin.always(Reply::status(200));
    assert_eq!(origin.quiet_for(Duration::from_millis(500)), held);

    for _ in 0..2 {
        let resumed = ask(&station, &webhook, "POST", "/resume");
        assert_eq!(resumed["is_paused"], false);
    }
    let last_attempts: Vec<i64> = ids
        .iter()
        .map(|id| {
            let event = station.wait_for_status(id, "delivered");
            let attempts = attempts_to(&event, 0);
            millis(&attempts.last().expect("an attempt")["started_at"])
        })
        .collect();
    assert_eq!(origin.count(), held + ids.len());
    // What had failed has its place when it was due, which was in the pause as well.
    assert!(last_attempts[1..].is_sorted(), "{last_attempts:?}");
}

#[test]
fn a_cancelled_event_is_tried_no_more_and_can_be_sent_again() {
    let (station, origin) = (Station::shared(), Origin::start());
    origin.always(Reply::status(404));
    let webhook = station.casso_webhook_with(&origin, &json!({"retry": waits(&[0.3; 50])}));
    let id = station.send_transaction(&webhook, 1);
    origin.wait_for(2);
    let cancelled = cancel(&station, &id);
    assert_eq!(cancelled["id"], id);
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(cancelled["next_attempt_at"], Value::Null);
    let tried = origin.quiet_for(A_WHILE);
    let event = station.event(&id);
    assert_eq!(event["status"], "cancelled");
    // An attempt that was under way is kept with the others.
    assert_eq!(event["attempts"], tried);
    assert_eq!(each_attempt(&event, "status_code").len(), tried);
    let list = format!("/events?webhook_id={}&status=cancelled", webhook.id);
    let list = station.api_expecting(200, "GET", &list, None);
    assert_eq!(list["data"][0]["id"], id);
    assert_eq!(cancel(&station, &id)["status"], "cancelled", "once more");

    origin.always(Reply::status(200));
    // A repeat of it is dropped: only a failed event's is a wish.
    station
        .post_transactions(&webhook, &[1])
        .assert_taken("duplicate");
    let other = station.send_transaction(&webhook, 2);
    station.wait_for_status(&other, "delivered");
    assert_eq!(station.event(&id)["status"], "cancelled");
    let path = format!("/events/{id}/resend");
    station.api_expecting(202, "POST", &path, None);
    station.wait_for_status(&id, "delivered");
    // What is delivered stays so.
    assert_eq!(cancel(&station, &id)["status"], "delivered");
}

#[test]
fn what_is_out_when_it_is_cancelled_is_delivered_if_it_is_taken() {
    let (station, origin) = (Station::shared(), Origin::start());
    let gate = Gate::before(&origin);
    let webhook = station.casso_webhook_with(&origin, &json!({"timeout_seconds": 30}));
    let id = station.send_transaction(&webhook, 1);
    gate.wait_for_arrivals(1);
    assert_eq!(cancel(&station, &id)["status"], "cancelled");
    gate.let_through(1);
    let event = station.wait_for_status(&id, "delivered");
    assert_eq!(event["attempts"], 1);
}

#[test]
fn switched_off_it_takes_nothing_new_and_relays_what_it_has() {
    let (station, origin) = (Station::shared(), Origin::start());
    origin.always(Reply::status(404));
    let webhook = station.casso_webhook_with(&origin, &json!({"retry": waits(&[0.3; 50])}));
    let id = station.send_transaction(&webhook, 1);
    origin.wait_for(1);
    assert_eq!(
        ask(&station, &webhook, "PATCH", "/toggle")["is_active"],
        false
    );
    let refused = station.post_transactions(&webhook, &[2]);
    assert_eq!(refused.problem(503), "webhook_inactive");
    let before = origin.count();
    origin.wait_for(before + 2);
    origin.always(Reply::status(200));
    station.wait_for_status(&id, "delivered");
}

#[test]
fn a_deleted_event_is_gone_with_what_waited_and_new_when_it_comes_again() {
    let (station, origin) = (Station::shared(), Origin::start());
    origin.always(Reply::status(404));
    let webhook = station.casso_webhook_with(&origin, &json!({"retry": waits(&[0.3; 50])}));
    let id = station.send_transaction(&webhook, 1);
    origin.wait_for(1);
    let path = format!("/events/{id}");
    let deleted = station.api_expecting(200, "DELETE", &path, None);
    assert_eq!(
        (&deleted["id"], &deleted["status"]),
        (&json!(id), &json!("pending"))
    );
    for (method, path) in [
        ("GET", path.clone()),
        ("DELETE", path.clone()),
        ("POST", format!("{path}/cancel")),
        ("POST", format!("{path}/resend")),
    ] {
        let answer = station.api(method, &path, None);
        assert_eq!(answer.problem(404), "event_not_found", "{method} {path}");
    }
    assert!(station.events(&webhook).is_empty());
    let relayed = origin.quiet_for(A_WHILE);

    origin.always(Reply::status(200));
    let again = station.send_transaction(&webhook, 1);
    assert_ne!(again, id);
    let event = station.wait_for_status(&again, "delivered");
    assert_eq!(event["attempts"], 1);
    assert_eq!(origin.count(), relayed + 1);
    station
        .post_transactions(&webhook, &[1])
        .assert_taken("duplicate");
}

#[test]
fn a_destination_that_is_taken_away_is_sent_nothing_more() {
    let (station, slow, quick) = (Station::shared(), Origin::start(), Origin::start());
    let gate = Gate::before_answer(&slow, Reply::status(404));
    let webhook = station.casso_webhook_with(
        &slow,
        &json!({
            "destinations": [{"url": slow.url("/hook")}, {"url": quick.url("/hook")}],
            "timeout_seconds": 30,
        }),
    );
    let ids: Vec<String> = (1..=8)
        .map(|number| station.send_transaction(&webhook, number))
        .collect();
    quick.wait_for(8);
    // One slot of the six is for the other destination.
    gate.wait_for_arrivals(5);
    let changed = change(
        &station,
        &webhook,
        &json!({"destinations": [{"url": quick.url("/hook")}]}),
    );
    let kept = &webhook.shown["destinations"][1]["id"];
    assert_eq!(&changed["destinations"][0]["id"], kept);
    gate.let_through(100);
    let arrived = slow.quiet_for(A_WHILE);
    for id in &ids {
        // Delivered to the one that there is, cancelled for the other.
        let event = station.wait_for_status(id, "delivered");
        let deliveries = event["deliveries"].as_array().expect("deliveries");
        let states: Vec<&Value> = deliveries.iter().map(|one| &one["status"]).collect();
        assert_eq!(states, ["cancelled", "delivered"], "{event:#}");
        assert!(attempts_to(&event, 0).len() <= 1);
    }
    assert_eq!(arrived, 5, "those that were out");
    let new = station.send_transaction(&webhook, 9);
    let event = station.wait_for_status(&new, "delivered");
    assert_eq!(event["deliveries"].as_array().map(Vec::len), Some(1));
    assert_eq!((slow.count(), quick.count()), (arrived, 9));
}

#[test]
fn the_next_attempt_of_what_waits_is_made_as_the_webhook_is_now() {
    let (station, old, new) = (Station::shared(), Origin::start(), Origin::start());
    old.always(Reply::status(404));
    new.then(Reply::status(404)).then(Reply::status(404));
    let webhook = station.casso_webhook_with(
        &old,
        &json!({"retry": waits(&[5.0, 600.0]), "headers": {"x-shop": "old"}}),
    );
    let id = station.send_transaction(&webhook, 1);
    old.wait_for(1);
    station.wait_for_event(&id, |event| event["attempts"] == 1);
    let changed = change(
        &station,
        &webhook,
        &json!({
            "webhook_url": new.url("/new"), "headers": {"x-shop": "new"},
            "retry": {"schedule": "fixed", "interval_seconds": 0.1, "max_attempts": 5},
        }),
    );
    let same = &webhook.shown["destinations"][0]["id"];
    assert_eq!(&changed["destinations"][0]["id"], same);
    let event = station.wait_for_status(&id, "delivered");
    assert_eq!(each_attempt(&event, "status_code"), [404, 404, 404, 200]);
    assert_eq!((old.count(), new.count()), (1, 3));
    for request in new.received() {
        assert_eq!(request.target, "/new");
        assert_eq!(request.header("x-shop"), Some("new"));
        assert_eq!(request.header("webhook-id"), Some(id.as_str()));
    }
    // A shorter schedule than has been used is used up with the next failure.
    old.forget();
    let long = station.casso_webhook_with(&old, &json!({"retry": waits(&[0.1, 0.1, 5.0, 600.0])}));
    let id = station.send_transaction(&long, 1);
    station.wait_for_event(&id, |event| event["attempts"] == 3);
    let _ = change(&station, &long, &json!({"retry": waits(&[0.1])}));
    let event = station.wait_for_status(&id, "failed");
    assert_eq!(event["attempts"], 4);
}

#[test]
fn what_is_deleted_or_taken_away_leaves_nothing_that_wakes() {
    let (station, slow, quick) = (Station::start(), Origin::start(), Origin::start());
    let gate = Gate::before_answer(&slow, Reply::status(404));
    let deleted = station.casso_webhook_with(&slow, &json!({"timeout_seconds": 30}));
    let narrowed = station.casso_webhook_with(
        &slow,
        &json!({
            "destinations": [{"url": quick.url("/hook")}, {"url": slow.url("/hook")}],
            "timeout_seconds": 30,
        }),
    );
    let mut ids = Vec::new();
    for number in 1..=9 {
        station.send_transaction(&deleted, number);
        ids.push(station.send_transaction(&narrowed, number));
    }
    // Six and five are out; the others wait.
    gate.wait_for_arrivals(11);
    let _ = ask(&station, &deleted, "DELETE", "");
    let only = json!({"destinations": [{"url": quick.url("/hook")}]});
    let _ = change(&station, &narrowed, &only);
    gate.let_through(100);
    assert_eq!(slow.quiet_for(A_WHILE), 11);
    station
        .post_transactions(&deleted, &[10])
        .assert_refused(404, "webhook_not_found");
    for id in &ids {
        station.wait_for_status(id, "delivered");
    }

    // At most the lease of what was out is left, which is fired once and not set again.
    station.kill();
    let mailboxes = station.objects_on_disk("Mailbox");
    let mailbox = mailboxes
        .iter()
        .find(|object| object.name == format!("{}/0", deleted.id))
        .expect("the object of the deleted webhook");
    let events = "SELECT count(*) FROM sqlite_master WHERE name = 'events'";
    assert_eq!(mailbox.number(events), 0, "its history is removed");
    station.fire_alarms(&["Mailbox", "Registry"]);
    assert_eq!((slow.count(), quick.count()), (11, 9));
    let log = station.log();
    assert!(!log.contains("mailbox"), "trouble in the log: {log}");
}

#[test]
fn all_that_failed_are_sent_again_at_once() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.create_webhook(&json!({
        "provider": "casso", "webhook_url": origin.url("/"), "shards": 4,
        "retry": {"schedule": "custom", "delays_seconds": []},
    }));
    origin.always(Reply::status(422));
    for id in 1..=30 {
        station
            .post_transactions(&webhook, &[id])
            .assert_taken("accepted");
    }
    let failed = |count: usize| {
        let path = format!(
            "/events?webhook_id={}&status=failed&per_page=100",
            webhook.id
        );
        let list = station.api_expecting(200, "GET", &path, None);
        (list["data"].as_array().unwrap().len() == count).then_some(())
    };
    wait_until("all to fail", PATIENCE, || failed(30));
    origin.always(Reply::status(200));
    let path = format!("/events/resend?webhook_id={}", webhook.id);
    let told = station.api_expecting(202, "POST", &path, None);
    assert_eq!((&told["queued"], &told["done"]), (&json!(30), &json!(true)));
    assert_eq!(told["matched"], 30);
    let id = told["job_id"].as_str().unwrap();
    let path = format!("/jobs/{id}");
    assert_eq!(station.api_expecting(200, "GET", &path, None), told);
    // As it was asked for before.
    assert_eq!(told["resend_id"], id);
    let path = format!("/events/resend?webhook_id={}&resend_id={id}", webhook.id);
    let asked = station.api_expecting(202, "POST", &path, None);
    assert_eq!(asked, told);
    wait_until("all to be taken", PATIENCE, || failed(0));
    // The same as JSON; nothing has failed any more.
    let filters = json!({"webhook_id": webhook.id, "status": "failed"});
    let told = station.api_expecting(202, "POST", "/events/resend", Some(&filters));
    assert_eq!((&told["queued"], &told["done"]), (&json!(0), &json!(true)));
    let without = station.api("POST", "/events/resend", None);
    assert_eq!(without.status, 422);
}

/// The job of an answer, when it is done.
#[track_caller]
fn wait_for_job(station: &Station, begun: &Value) -> Value {
    let path = format!("/jobs/{}", begun["job_id"].as_str().unwrap());
    wait_until("the job to be done", PATIENCE, || {
        let told = station.api_expecting(200, "GET", &path, None);
        (told["done"] == true).then_some(told)
    })
}

#[test]
fn all_that_match_are_stopped_or_forgotten_and_a_busy_shard_takes_the_next_job_too() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.create_webhook(&json!({
        "provider": "casso", "webhook_url": origin.url("/"), "shards": 2, "is_paused": true,
    }));
    for batch in 0..15 {
        let numbers: Vec<u64> = (0..100).map(|n| batch * 100 + n + 1).collect();
        assert_eq!(station.post_transactions(&webhook, &numbers).status, 200);
    }
    let of_all = format!("webhook_id={}", webhook.id);
    // Three at once: whichever shard is busy, each is taken and has its id.
    let paths = [
        ("POST", format!("/events/cancel?{of_all}")),
        ("POST", format!("/events/cancel?{of_all}&q=FT000007")),
        ("DELETE", format!("/events?{of_all}&q=FT000008")),
    ];
    let begun = paths.map(|(method, path)| station.api_expecting(202, method, &path, None));
    assert_eq!(begun[0]["done"], false, "{begun:?}");
    let done = begun.map(|begun| wait_for_job(&station, &begun));
    let told = |at: usize| (&done[at]["kind"], &done[at]["matched"]);
    assert_eq!(told(0), (&json!("cancel"), &json!(1_500)));
    // What the first has stopped is pending no more.
    assert_eq!(told(1), (&json!("cancel"), &json!(0)));
    assert_eq!(told(2), (&json!("delete"), &json!(1)));
    let stats = station.api_expecting(200, "GET", &format!("/stats?{of_all}"), None);
    assert_eq!(
        (&stats["counts"]["cancelled"], &stats["counts"]["pending"]),
        (&json!(1_499), &json!(0))
    );
    // Forgotten: the same transaction is new.
    let again = station.post_transactions(&webhook, &[8]);
    again.assert_taken("accepted");
    assert_eq!(origin.count(), 0);
    for (method, path) in [
        ("POST", "/events/cancel"),
        ("DELETE", "/events"),
        ("POST", "/events/cancel?status=failed"),
        ("DELETE", "/events?resend_id=job_00000000000000000000000000"),
    ] {
        assert_eq!(
            station.api(method, path, None).status,
            422,
            "{method} {path}"
        );
    }
    let unknown = "/events?webhook_id=wh_00000000000000000000000000";
    let answer = station.api("DELETE", unknown, None);
    assert_eq!(answer.problem(404), "webhook_not_found");
}
