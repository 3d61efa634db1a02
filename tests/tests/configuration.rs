//! A change of configuration is obeyed by the very next request and the very next
//! delivery, however warm the caches are: of the isolate that made the change and
//! of another that still believes the old.

use serde_json::{Value, json};
use std::{sync::OnceLock, thread, time::Duration};
use tram_tests::{
    Answer, ELSEWHERE, Origin, PATIENCE, Reply, Station, Webhook, casso, transaction, wait_until,
};

/// The header of the isolate that makes the changes, and of the other.
const ISOLATES: [&[(&str, &str)]; 2] = [&[], &[ELSEWHERE]];

fn station() -> &'static Station {
    static STATION: OnceLock<Station> = OnceLock::new();
    STATION.get_or_init(|| Station::builder().two_isolates().start())
}

fn post(webhook: &Webhook, isolate: &[(&str, &str)], secret: &str, body: &str) -> Answer {
    let headers = [&[("secure-token", secret)], isolate].concat();
    station().post(&webhook.path, &headers, body)
}

/// A webhook that both isolates know.
fn warm(webhook: &Value) -> Webhook {
    let webhook = station().create_webhook(webhook);
    for (isolate, id) in ISOLATES.iter().zip(["warm-1", "warm-2"]) {
        let body = casso(&[transaction(id)]);
        post(&webhook, isolate, &webhook.secret, &body).assert_taken("accepted");
    }
    webhook
}

fn change(webhook: &Webhook, change: &Value) -> Value {
    let path = format!("/webhooks/{}", webhook.id);
    station().api_expecting(200, "PUT", &path, Some(change))
}

fn toggle(webhook: &Webhook) {
    let path = format!("/webhooks/{}/toggle", webhook.id);
    let _ = station().api_expecting(200, "PATCH", &path, None);
}

#[test]
fn a_webhook_made_a_moment_ago_works_at_once() {
    let origin = Origin::start();
    for isolate in ISOLATES {
        for shards in [1, 8] {
            let webhook = station().create_webhook(&json!({
                "provider": "casso", "webhook_url": origin.url("/"), "shards": shards
            }));
            let body = casso(&[transaction(1)]);
            post(&webhook, isolate, &webhook.secret, &body).assert_taken("accepted");
        }
    }
    let _ = origin.wait_for(4);
}

#[test]
fn a_rotated_secret_is_obeyed_by_the_very_next_request() {
    let origin = Origin::start();
    for first in [0, 1] {
        let webhook = warm(&json!({
            "provider": "casso", "webhook_url": origin.url("/"), "secret": "the-old-secret-0123456789"
        }));
        let new = "the-new-secret-0123456789";
        let shown = change(&webhook, &json!({"secret": new}));
        assert_eq!(shown["secret"], new);
        let old_first = casso(&[transaction("old")]);
        let new_first = casso(&[transaction("new")]);
        // The old one is refused first in one round, the new one taken first in the
        // other.
        if first == 0 {
            for isolate in ISOLATES {
                let answer = post(&webhook, isolate, &webhook.secret, &old_first);
                answer.assert_refused(401, "unauthenticated");
            }
        }
        post(&webhook, ISOLATES[1], new, &new_first).assert_taken("accepted");
        post(&webhook, ISOLATES[0], new, &new_first).assert_taken("duplicate");
        for isolate in ISOLATES {
            let answer = post(&webhook, isolate, &webhook.secret, &old_first);
            answer.assert_refused(401, "unauthenticated");
        }
    }
}

#[test]
fn two_secrets_prove_the_sender_while_the_provider_is_rotating() {
    let origin = Origin::start();
    let secrets = [
        "the-first-secret-0123456789",
        "the-second-secret-0123456789",
    ];
    let webhook = warm(&json!({
        "provider": "casso", "webhook_url": origin.url("/"), "secret": secrets[0]
    }));
    let prove = |isolate: &[(&str, &str)], secret: &str, id: &str| {
        post(&webhook, isolate, secret, &casso(&[transaction(id)])).status
    };
    let _ = change(&webhook, &json!({"secret": secrets}));
    for (isolate, id) in ISOLATES.iter().zip(["a", "b"]) {
        assert_eq!(prove(isolate, secrets[1], id), 200);
        assert_eq!(prove(isolate, secrets[0], &format!("{id}{id}")), 200);
    }
    let _ = change(&webhook, &json!({"secret": secrets[1]}));
    for (isolate, id) in ISOLATES.iter().zip(["c", "d"]) {
        assert_eq!(prove(isolate, secrets[0], id), 401);
        assert_eq!(prove(isolate, secrets[1], id), 200);
    }
}

#[test]
fn switching_off_and_on_is_obeyed_by_the_very_next_request() {
    let origin = Origin::start();
    let webhook = warm(&json!({"provider": "casso", "webhook_url": origin.url("/")}));
    for round in 0..2 {
        toggle(&webhook);
        let body = casso(&[transaction(format!("round {round}"))]);
        for isolate in ISOLATES.iter().rev() {
            let answer = post(&webhook, isolate, &webhook.secret, &body);
            answer.assert_refused(503, "webhook_inactive");
            assert!(answer.header("retry-after").is_some());
        }
        toggle(&webhook);
        post(&webhook, ISOLATES[1], &webhook.secret, &body).assert_taken("accepted");
        post(&webhook, ISOLATES[0], &webhook.secret, &body).assert_taken("duplicate");
    }
}

#[test]
fn a_changed_filter_is_obeyed_by_the_very_next_request() {
    let origin = Origin::start();
    let webhook = warm(&json!({
        "provider": "casso", "webhook_url": origin.url("/"), "type": "IN"
    }));
    let money_out = |id: &str| {
        let mut transaction = transaction(id);
        transaction["amount"] = json!(-5);
        casso(&[transaction])
    };
    let ask = |isolate: &[(&str, &str)], id: &str| {
        post(&webhook, isolate, &webhook.secret, &money_out(id))
    };
    for isolate in ISOLATES {
        ask(isolate, "1").assert_taken("filtered");
    }
    // What was not wanted a moment ago is now: it must not be lost to a cache.
    let _ = change(&webhook, &json!({"type": "ALL"}));
    ask(ISOLATES[1], "2").assert_taken("accepted");
    ask(ISOLATES[0], "3").assert_taken("accepted");
    let _ = change(&webhook, &json!({"type": "IN"}));
    ask(ISOLATES[1], "4").assert_taken("filtered");
    ask(ISOLATES[0], "5").assert_taken("filtered");
    let _ = change(&webhook, &json!({"type": "ALL", "accounts": ["1"]}));
    ask(ISOLATES[1], "6").assert_taken("filtered");
    let _ = change(&webhook, &json!({"accounts": ["1", "88888888"]}));
    ask(ISOLATES[1], "7").assert_taken("accepted");

    // In a batch with a duplicate, which alone could be answered from memory.
    let _ = change(&webhook, &json!({"type": "IN"}));
    let batch = |id: &str| {
        let mut out = transaction(id);
        out["amount"] = json!(-5);
        casso(&[transaction("warm-1"), out])
    };
    let ask = |body: &str| post(&webhook, ISOLATES[1], &webhook.secret, body);
    ask(&batch("8")).assert_taken("duplicate");
    ask(&casso(&[transaction("warm-1")])).assert_taken("duplicate");
    ask(&casso(&[transaction("warm-1")])).assert_taken("duplicate");
    let _ = change(&webhook, &json!({"type": "ALL"}));
    ask(&batch("8")).assert_taken("accepted");
}

#[test]
fn a_changed_answer_is_given_by_the_very_next_request() {
    let origin = Origin::start();
    let webhook = warm(&json!({"provider": "casso", "webhook_url": origin.url("/")}));
    let settings = json!({"settings": {"answer": {"status": 202, "body": "taken"}}});
    let _ = change(&webhook, &settings);
    for (isolate, id) in ISOLATES.iter().zip(["1", "2"]) {
        let answer = post(
            &webhook,
            isolate,
            &webhook.secret,
            &casso(&[transaction(id)]),
        );
        answer.assert_taken("accepted");
        assert_eq!((answer.status, answer.text().as_str()), (202, "taken"));
    }
}

#[test]
fn the_next_delivery_goes_to_the_new_url() {
    let (old, new) = (Origin::start(), Origin::start());
    let webhook = warm(&json!({"provider": "casso", "webhook_url": old.url("/old")}));
    let _ = old.wait_for(2);
    let _ = change(&webhook, &json!({"webhook_url": new.url("/new")}));
    for (isolate, id) in ISOLATES.iter().zip(["1", "2"]) {
        let answer = post(
            &webhook,
            isolate,
            &webhook.secret,
            &casso(&[transaction(id)]),
        );
        let ids = answer.assert_taken("accepted");
        let _ = station().wait_for_status(&ids[0], "delivered");
    }
    assert_eq!((old.count(), new.count()), (2, 2));
    assert_eq!(new.received()[0].target, "/new");
}

#[test]
fn a_deleted_webhook_is_gone_and_so_is_what_was_pending() {
    let origin = Origin::start();
    let webhook = warm(&json!({
        "provider": "casso", "webhook_url": origin.url("/"),
        "retry": {"schedule": "custom", "delays_seconds": [1, 1, 1, 1, 1]}
    }));
    let _ = origin.wait_for(2);
    origin.always(Reply::status(500));
    let body = casso(&[transaction("pending")]);
    let ids = post(&webhook, ISOLATES[0], &webhook.secret, &body).assert_taken("accepted");
    let _ = origin.wait_for(3);

    let path = format!("/webhooks/{}", webhook.id);
    let deleted = station().api_expecting(200, "DELETE", &path, None);
    assert_eq!(deleted["id"], webhook.id);
    let so_far = origin.count();
    for isolate in ISOLATES.iter().rev() {
        for body in [&body, &casso(&[transaction("another")])] {
            let answer = post(&webhook, isolate, &webhook.secret, body);
            answer.assert_refused(404, "webhook_not_found");
        }
    }
    station()
        .api("GET", &path, None)
        .assert_problem(404, "webhook_not_found");
    let event = format!("/events/{}", ids[0]);
    station()
        .api("GET", &event, None)
        .assert_problem(404, "event_not_found");
    let list = format!("/events?webhook_id={}", webhook.id);
    station()
        .api("GET", &list, None)
        .assert_problem(404, "webhook_not_found");
    // Longer than the next attempts were away; one may have been under way.
    thread::sleep(Duration::from_secs(3));
    assert!(origin.count() <= so_far + 1, "{}", origin.count());
}

#[test]
fn duplicates_meet_whichever_of_64_shards_is_theirs() {
    let origin = Origin::start();
    let webhook = station().create_webhook(&json!({
        "provider": "casso", "webhook_url": origin.url("/"), "shards": 64
    }));
    let ask = |isolate: &[(&str, &str)], ids: std::ops::Range<u32>| {
        let batch: Vec<Value> = ids.map(transaction).collect();
        post(&webhook, isolate, &webhook.secret, &casso(&batch))
    };
    let answer = ask(ISOLATES[0], 0..101);
    assert_eq!(answer.header("x-tram-event-count"), Some("101"));
    for id in (1..100).step_by(7) {
        ask(ISOLATES[1], id..id + 1).assert_taken("duplicate");
    }
    ask(ISOLATES[0], 1..101).assert_taken("duplicate");
    let answer = ask(ISOLATES[1], 90..111);
    answer.assert_taken("accepted");
    assert_eq!(answer.header("x-tram-event-count"), Some("10"));
    // The 0 is a test call.
    let _ = origin.wait_for(111);
    assert_eq!(origin.count(), 111);

    // A change reaches every shard.
    let _ = change(&webhook, &json!({"secret": "the-new-secret-0123456789"}));
    for id in 200..210 {
        let body = casso(&[transaction(id)]);
        let answer = post(&webhook, ISOLATES[1], &webhook.secret, &body);
        answer.assert_refused(401, "unauthenticated");
    }
}

#[test]
fn a_flood_does_not_stop_a_rotated_secret_for_long() {
    let origin = Origin::start();
    let webhook = warm(&json!({"provider": "casso", "webhook_url": origin.url("/")}));
    let flood = |isolate: &'static [(&'static str, &'static str)]| {
        thread::scope(|scope| {
            for thread in 0..6 {
                let webhook = &webhook;
                scope.spawn(move || {
                    let mut connection = station().client().connect().unwrap();
                    let forged = [&[("secure-token", "forged")], isolate].concat();
                    for number in 0..50 {
                        let body = casso(&[transaction(number)]);
                        let unknown = format!("/in/wh_{:025}0", thread * 1_000 + number);
                        let mut ask =
                            |path: &str| connection.send("POST", path, &forged, body.as_bytes());
                        ask(&webhook.path).assert_refused(401, "unauthenticated");
                        // Of so many, not each is worth a look-up.
                        let status = ask(&unknown).status;
                        assert!([404, 503].contains(&status), "{status}");
                    }
                });
            }
        });
    };
    for (isolate, secret) in ISOLATES
        .into_iter()
        .zip(["a-second-secret-0123456789", "a-third-secret-0123456789"])
    {
        flood(isolate);
        let _ = change(&webhook, &json!({"secret": secret}));
        let body = casso(&[transaction(secret)]);
        let answer = wait_until("the new secret to be taken", PATIENCE, || {
            Some(post(&webhook, isolate, secret, &body)).filter(|answer| answer.status == 200)
        });
        answer.assert_taken("accepted");
        let old = post(
            &webhook,
            isolate,
            &webhook.secret,
            &casso(&[transaction("old")]),
        );
        old.assert_refused(401, "unauthenticated");
    }
    let events = station().wait_for_events(&webhook, |events| {
        events.iter().all(|event| event["status"] == "delivered")
    });
    assert_eq!(events.len(), 4, "nothing forged was stored");
}
