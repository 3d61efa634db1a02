//! KV remembers and never decides: slow, failing, forgetful or absent, it changes
//! no outcome. And what is written into it, and when.

use serde_json::{Value, json};
use tram_tests::{
    Answer, Call, ELSEWHERE, FakeKv, Origin, PATIENCE, Reply, Station, Webhook, casso, transaction,
    wait_until,
};

/// One life of a webhook, through an isolate that knows it and one that must find
/// it first.
fn assert_contract_holds(station: &Station) {
    let origin = Origin::start();
    let new = |settings: Value| {
        let mut webhook = json!({"provider": "casso", "webhook_url": origin.url("/")});
        webhook
            .as_object_mut()
            .unwrap()
            .extend(settings.as_object().cloned().unwrap_or_default());
        station.create_webhook(&webhook)
    };
    let webhook = new(json!({"type": "IN"}));
    let elsewhere = |body: &str| station.post_casso_with(&webhook, &[ELSEWHERE], body);
    let here = |body: &str| station.post_casso(&webhook, body);
    let one = |id: u32| casso(&[transaction(id)]);

    let ids = elsewhere(&one(1)).assert_taken("accepted");
    let _ = station.wait_for_status(&ids[0], "delivered");
    for _ in 0..4 {
        here(&one(1)).assert_taken("duplicate");
        elsewhere(&one(1)).assert_taken("duplicate");
    }
    let ids = here(&one(2)).assert_taken("accepted");
    let _ = station.wait_for_status(&ids[0], "delivered");
    elsewhere(&one(2)).assert_taken("duplicate");
    elsewhere(&casso(&[transaction(1), transaction(3), transaction(2)])).assert_taken("accepted");
    here(&casso(&[transaction(0)])).assert_taken("test");
    let mut money_out = transaction(4);
    money_out["amount"] = json!(-1);
    here(&casso(&[money_out])).assert_taken("filtered");
    let forged = [("secure-token", "forged"), ELSEWHERE];
    station
        .post(&webhook.path, &forged, one(5))
        .assert_refused(401, "unauthenticated");
    station
        .post("/in/wh_00000000000000000000000000", &[ELSEWHERE], one(5))
        .assert_refused(404, "webhook_not_found");

    let path = format!("/webhooks/{}", webhook.id);
    let _ = station.api_expecting(200, "PATCH", &format!("{path}/toggle"), None);
    elsewhere(&one(6)).assert_refused(503, "webhook_inactive");
    let _ = station.api_expecting(200, "PATCH", &format!("{path}/toggle"), None);
    elsewhere(&one(6)).assert_taken("accepted");
    let secret = json!({"secret": "another-secret-0123456789"});
    let _ = station.api_expecting(200, "PUT", &path, Some(&secret));
    elsewhere(&one(7)).assert_refused(401, "unauthenticated");
    let _ = station.api_expecting(200, "DELETE", &path, None);
    elsewhere(&one(8)).assert_refused(404, "webhook_not_found");
    here(&one(8)).assert_refused(404, "webhook_not_found");

    // Several shards, each of which has its own call.
    let webhook = new(json!({"shards": 4}));
    let batch: Vec<Value> = (1..=20).map(transaction).collect();
    for (isolate, outcome) in [
        (&[][..], "accepted"),
        (&[ELSEWHERE], "duplicate"),
        (&[], "duplicate"),
    ] {
        station
            .post_casso_with(&webhook, isolate, casso(&batch))
            .assert_taken(outcome);
    }
    let relayed = 5 + 20;
    assert_eq!(origin.wait_for(relayed).len(), relayed);
}

#[test]
fn with_a_kv_that_works() {
    assert_contract_holds(&Station::builder().two_isolates().start());
    let kv = FakeKv::start();
    assert_contract_holds(&Station::builder().two_isolates().kv_at(&kv).start());
    assert!(!kv.calls_of("GET", "webhook:").is_empty(), "it was asked");
}

#[test]
fn with_a_kv_that_never_answers() {
    let kv = FakeKv::start();
    kv.hang();
    assert_contract_holds(&Station::builder().two_isolates().kv_at(&kv).start());
    assert!(!kv.calls_of("GET", "webhook:").is_empty(), "it was asked");
}

#[test]
fn with_a_kv_that_fails() {
    let kv = FakeKv::start();
    kv.fail();
    assert_contract_holds(&Station::builder().two_isolates().kv_at(&kv).start());
    assert!(!kv.calls_of("GET", "webhook:").is_empty(), "it was asked");
}

#[test]
fn with_a_kv_that_forgets() {
    let kv = FakeKv::start();
    kv.forget();
    assert_contract_holds(&Station::builder().two_isolates().kv_at(&kv).start());
    assert!(!kv.calls_of("PUT", "seen:").is_empty(), "it was told");
}

#[test]
fn without_a_kv() {
    assert_contract_holds(&Station::builder().two_isolates().without_kv().start());
}

#[test]
fn a_configuration_that_kv_makes_up_is_not_believed() {
    let kv = FakeKv::start();
    let station = Station::builder().two_isolates().kv_at(&kv).start();
    let origin = Origin::start();
    for (text, id) in [("", "1"), ("{}", "2"), ("not JSON", "3"), ("null", "4")] {
        let webhook = station.casso_webhook(&origin);
        let key = format!("webhook:{}", webhook.id);
        let _ = wait_until("the configuration to be cached", PATIENCE, || {
            kv.calls_of("PUT", &key).pop()
        });
        kv.set(&key, text);
        station
            .post_casso_with(&webhook, &[ELSEWHERE], casso(&[transaction(id)]))
            .assert_taken("accepted");
    }
}

/// A station, its KV, and a webhook.
fn recorded() -> (FakeKv, Station, Origin, Webhook) {
    let kv = FakeKv::start();
    let station = Station::builder().kv_at(&kv).start();
    let origin = Origin::start();
    let webhook = station.casso_webhook(&origin);
    (kv, station, origin, webhook)
}

fn markers(kv: &FakeKv) -> Vec<Call> {
    kv.calls_of("PUT", "seen:")
}

fn assert_duplicate(answer: &Answer) {
    answer.assert_taken("duplicate");
    assert_eq!(answer.text(), r#"{"success":true}"#);
}

#[test]
fn a_marker_is_written_for_what_is_delivered_and_comes_again() {
    let (kv, station, _origin, webhook) = recorded();
    let body = casso(&[transaction(1)]);
    let ids = station.post_casso(&webhook, &body).assert_taken("accepted");
    let event = station.wait_for_status(&ids[0], "delivered");
    assert_eq!(markers(&kv), [], "nothing is written for a new event");

    assert_duplicate(&station.post_casso(&webhook, &body));
    let marker = wait_until("the marker", PATIENCE, || markers(&kv).pop());
    assert_eq!(
        marker.key,
        format!("seen:{}", event["key"].as_str().unwrap())
    );
    // As long as the Mailbox will know it: counted from the event.
    let ttl = marker.ttl.expect("an end");
    assert!((400 * 86_400 - 300..=400 * 86_400).contains(&ttl), "{ttl}");

    // From now on KV knows. A duplicate that reached the Mailbox would be marked again.
    let before = kv.calls_of("GET", &marker.key).len();
    for _ in 0..10 {
        assert_duplicate(&station.post_casso(&webhook, &body));
    }
    wait_until("KV to be asked each time", PATIENCE, || {
        (kv.calls_of("GET", &marker.key).len() >= before + 10).then_some(())
    });
    // The glance has only 25 ms: a busy machine may miss that now and then.
    assert!(markers(&kv).len() < 6, "{:#?}", markers(&kv));

    // While repeats come the glance goes first, and does not stop what is new.
    let ids = station
        .post_casso(&webhook, casso(&[transaction(2)]))
        .assert_taken("accepted");
    let _ = station.wait_for_status(&ids[0], "delivered");
    kv.hang();
    assert_duplicate(&station.post_casso(&webhook, &body));
    station
        .post_casso(&webhook, casso(&[transaction(3)]))
        .assert_taken("accepted");
    kv.fail();
    assert_duplicate(&station.post_casso(&webhook, &body));
    kv.work();
    kv.remove(&marker.key);
    let count = markers(&kv).len();
    assert_duplicate(&station.post_casso(&webhook, &body));
    wait_until("the marker to be written anew", PATIENCE, || {
        (markers(&kv).len() > count).then_some(())
    });
}

#[test]
fn a_marker_does_not_outlive_the_memory_that_it_stands_for() {
    let (kv, station, _origin, webhook) = recorded();
    let delivered = |n: u32| {
        let body = casso(&[transaction(n)]);
        let ids = station.post_casso(&webhook, &body).assert_taken("accepted");
        let _ = station.wait_for_status(&ids[0], "delivered");
        body
    };
    let one = delivered(1);
    station.kill();
    // A day less three hours before it is forgotten.
    let millis: i64 = (399 * 24 + 3) * 3_600 * 1_000;
    let mailbox = &station.objects_on_disk("Mailbox")[0];
    mailbox.execute(&format!("UPDATE events SET seq = seq - {}", millis * 1_024));
    station.restart();
    assert_duplicate(&station.post_casso(&webhook, &one));
    let marker = wait_until("the marker", PATIENCE, || markers(&kv).pop());
    let ttl = marker.ttl.expect("an end");
    assert!((21 * 3_600 - 600..=21 * 3_600).contains(&ttl), "{ttl}");

    // With a shorter memory it stands for nothing any more: the Mailbox is asked, which has
    // forgotten by then.
    let path = format!("/webhooks/{}", webhook.id);
    let shorter = json!({"dedupe_days": 60});
    let _ = station.api_expecting(200, "PUT", &path, Some(&shorter));
    // A run prunes first.
    delivered(3);
    let ids = station.post_casso(&webhook, &one).assert_taken("accepted");
    let _ = station.wait_for_status(&ids[0], "delivered");

    // What is forgotten within a minute is not remembered in KV at all.
    let count = markers(&kv).len();
    let two = delivered(2);
    station.kill();
    let millis: i64 = 60 * 24 * 3_600 * 1_000 - 50_000;
    let mailbox = &station.objects_on_disk("Mailbox")[0];
    mailbox.execute(&format!("UPDATE events SET seq = seq - {}", millis * 1_024));
    station.restart();
    assert_duplicate(&station.post_casso(&webhook, &two));
    assert_duplicate(&station.post_casso(&webhook, &two));
    assert_eq!(markers(&kv).len(), count);
}

#[test]
fn a_deleted_event_takes_its_marker_along() {
    let (kv, station, origin, webhook) = recorded();
    let body = casso(&[transaction(1)]);
    let first = station
        .post_casso(&webhook, &body)
        .assert_taken("accepted")
        .remove(0);
    let _ = station.wait_for_status(&first, "delivered");
    assert_duplicate(&station.post_casso(&webhook, &body));
    let marker = wait_until("the marker", PATIENCE, || markers(&kv).pop());

    let path = format!("/events/{first}");
    let deleted = station.api_expecting(200, "DELETE", &path, None);
    assert_eq!(deleted["id"], first);
    assert_eq!(kv.calls_of("DELETE", "seen:")[0].key, marker.key);
    let gone = station.api("DELETE", &path, None);
    assert_eq!(gone.problem(404), "event_not_found");
    // It is new when it comes again, and is recognised as that one from then on.
    let second = station
        .post_casso(&webhook, &body)
        .assert_taken("accepted")
        .remove(0);
    assert_ne!(second, first);
    let _ = station.relayed(&origin, &second);
    assert_duplicate(&station.post_casso(&webhook, &body));
    assert_eq!(origin.count(), 2);
}

#[test]
fn what_many_are_deleted_with_takes_their_markers_along() {
    let (kv, station, origin, webhook) = recorded();
    let bodies = [1, 2, 3].map(|n| casso(&[transaction(n)]));
    for body in &bodies {
        let ids = station.post_casso(&webhook, body).assert_taken("accepted");
        let _ = station.wait_for_status(&ids[0], "delivered");
        assert_duplicate(&station.post_casso(&webhook, body));
    }
    wait_until("the markers", PATIENCE, || {
        (markers(&kv).len() >= 3).then_some(())
    });
    let path = format!("/events?webhook_id={}", webhook.id);
    let begun = station.api_expecting(202, "DELETE", &path, None);
    let path = format!("/jobs/{}", begun["job_id"].as_str().unwrap());
    let done = wait_until("the end of the job", PATIENCE, || {
        let told = station.api_expecting(200, "GET", &path, None);
        (told["done"] == true).then_some(told)
    });
    assert_eq!(done["matched"], 3);
    // KV still has them; they stand for nothing any more.
    assert_eq!(kv.calls_of("DELETE", "seen:"), []);
    for body in &bodies {
        let ids = station.post_casso(&webhook, body).assert_taken("accepted");
        let _ = station.wait_for_status(&ids[0], "delivered");
    }
    assert_eq!(origin.count(), 6);
}

#[test]
fn no_marker_is_written_for_what_is_not_delivered() {
    let (kv, station, origin, webhook) = recorded();
    let body = casso(&[transaction(1)]);
    origin.always(Reply::status(500));
    let ids = station.post_casso(&webhook, &body).assert_taken("accepted");
    for _ in 0..3 {
        assert_duplicate(&station.post_casso(&webhook, &body));
    }
    let _ = station.wait_for_status(&ids[0], "failed");
    // A wish: it is queued again, every time.
    for _ in 0..2 {
        let so_far = origin.count();
        assert_duplicate(&station.post_casso(&webhook, &body));
        let _ = origin.wait_for(so_far + 1);
        let _ = station.wait_for_status(&ids[0], "failed");
    }
    assert_eq!(markers(&kv), []);

    origin.always(Reply::status(200));
    assert_duplicate(&station.post_casso(&webhook, &body));
    let _ = station.wait_for_status(&ids[0], "delivered");
    assert_eq!(markers(&kv), []);
    assert_duplicate(&station.post_casso(&webhook, &body));
    let _ = wait_until("the marker", PATIENCE, || markers(&kv).pop());
}

#[test]
fn test_calls_and_batches_leave_no_markers() {
    let (kv, station, _origin, webhook) = recorded();
    let batch = casso(&[transaction(1), transaction(2)]);
    for body in [&batch, &casso(&[transaction(0)])] {
        let ids = station.post_casso(&webhook, body).event_ids();
        for id in &ids {
            let _ = station.wait_for_status(id, "delivered");
        }
        for _ in 0..3 {
            let answer = station.post_casso(&webhook, body);
            assert_eq!(answer.status, 200);
        }
    }
    // Only a request with one event is looked up: of others a marker, at five dollars a
    // million, would never be read.
    assert_eq!(markers(&kv), []);
    assert_eq!(kv.calls_of("GET", "seen:"), []);
}

#[test]
fn a_conflict_is_noted_although_there_is_a_marker() {
    let (kv, station, _origin, webhook) = recorded();
    let body = casso(&[transaction(1)]);
    let ids = station.post_casso(&webhook, &body).assert_taken("accepted");
    let _ = station.wait_for_status(&ids[0], "delivered");
    assert_duplicate(&station.post_casso(&webhook, &body));
    let _ = wait_until("the marker", PATIENCE, || markers(&kv).pop());
    let mut altered = transaction(1);
    for amount in 1..=2 {
        altered["amount"] = json!(amount);
        let altered = casso(std::slice::from_ref(&altered));
        assert_duplicate(&station.post_casso(&webhook, altered));
        assert_duplicate(&station.post_casso(&webhook, &body));
    }
    assert_eq!(station.event(&ids[0])["conflicts"], 2);
}

#[test]
fn forgeries_do_not_write_what_kv_holds_already() {
    let (kv, station, _origin, webhook) = recorded();
    let written = || kv.calls_of("PUT", "webhook:").len();
    station
        .post_casso(&webhook, casso(&[transaction(1)]))
        .assert_taken("accepted");
    wait_until("the configuration in KV", PATIENCE, || {
        (written() > 0).then_some(())
    });
    let before = written();
    for _ in 0..5 {
        station
            .post(
                &webhook.path,
                &[("secure-token", "forged")],
                casso(&[transaction(2)]),
            )
            .assert_refused(401, "unauthenticated");
    }
    // What is written comes after the answer: a new secret's is the last of it.
    let secret = json!({"secret": "another-secret-0123456789"});
    let path = format!("/webhooks/{}", webhook.id);
    let _ = station.api_expecting(200, "PUT", &path, Some(&secret));
    wait_until("the new configuration in KV", PATIENCE, || {
        (written() > before).then_some(())
    });
    assert_eq!(written(), before + 1);
}

#[test]
fn without_kv_what_is_known_is_received_also_when_it_is_old_news() {
    // More than the ids that an isolate asks for without knowing them.
    const WEBHOOKS: usize = 60;
    let (station, origin) = (Station::builder().without_kv().start(), Origin::start());
    let webhooks: Vec<_> = (0..WEBHOOKS)
        .map(|_| station.casso_webhook(&origin))
        .collect();
    // As long as an isolate believes what it knows.
    std::thread::sleep(std::time::Duration::from_secs(61));
    for webhook in &webhooks {
        station
            .post_transactions(webhook, &[1])
            .assert_taken("accepted");
    }
}
