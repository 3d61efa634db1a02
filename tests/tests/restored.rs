//! A Registry that knows less than its Mailboxes: its object was restored to an earlier
//! point, or has not told all of them yet.

use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use tram_tests::{
    Becomes, ELSEWHERE, Fate, Origin, Station, StoredObject, Webhook, casso, transaction,
};

fn registry(station: &Station) -> StoredObject {
    station.objects_on_disk("Registry").remove(0)
}

fn change(station: &Station, webhook: &Webhook, change: &Value) {
    let path = format!("/webhooks/{}", webhook.id);
    let _ = station.api_expecting(200, "PUT", &path, Some(change));
}

/// A webhook of two shards whose secrets stay as they are.
fn webhook(station: &Station, origin: &Origin) -> Webhook {
    station.casso_webhook_with(origin, &json!({"shards": 2}))
}

#[test]
fn a_registry_that_was_restored_goes_beyond_what_its_mailboxes_know() {
    // What KV remembers would hide it for a day.
    let station = Station::builder().without_kv().start();
    let (origin, other) = (Origin::start(), Origin::start());
    let [receives, tries, changes, deleted] = [(); 4].map(|()| webhook(&station, &origin));
    let all = [&receives, &tries, &changes, &deleted];
    let batch = |from: u64| (from..from + 20).collect::<Vec<_>>();
    for webhook in all {
        let answer = station.post_transactions(webhook, &batch(1));
        answer.assert_taken("accepted");
    }
    let _ = origin.wait_for(80);
    station.kill();
    let before = registry(&station).copy();
    station.restart();
    for webhook in all {
        change(&station, webhook, &json!({"name": "changed"}));
    }
    let path = format!("/webhooks/{}", deleted.id);
    let _ = station.api_expecting(200, "DELETE", &path, None);
    station.kill();
    registry(&station).put_back(&before);
    station.restart();

    let answer = station.post_transactions(&receives, &batch(101));
    assert_eq!(answer.assert_taken("accepted").len(), 20);
    station
        .post_transactions(&receives, &batch(1))
        .assert_taken("duplicate");
    let _ = origin.wait_for(100);

    let path = format!("/webhooks/{}/test", tries.id);
    let tried = station.api_expecting(200, "POST", &path, None);
    assert_eq!(tried["attempts"][0]["status_code"], 200, "{tried:#}");

    // A change is obeyed by what relays.
    change(
        &station,
        &changes,
        &json!({"webhook_url": other.url("/hook")}),
    );
    station
        .post_transactions(&changes, &batch(101))
        .assert_taken("accepted");
    let _ = other.wait_for(20);

    // A deletion is undone; what it forgot stays forgotten.
    station
        .post_transactions(&deleted, &batch(1))
        .assert_taken("accepted");
    let events = station.wait_for_events(&deleted, |events| {
        events.len() == 20 && events.iter().all(|event| event["status"] == "delivered")
    });
    assert_eq!(events.len(), 20);
}

/// One shard has not heard of a change that the other knows; so long they disagree on what
/// proves a sender.
#[test]
fn what_one_shard_took_before_another_was_stale_is_accepted_and_no_duplicate_of_itself() {
    let fate = Fate::start();
    let station = Station::builder().fated(&fate).two_isolates().start();
    let origin = Origin::start();
    let webhook = webhook(&station, &origin);
    let batch = |from: u32| casso(&(from..from + 20).map(transaction).collect::<Vec<_>>());
    let elsewhere = |body: String| station.post_casso_with(&webhook, &[ELSEWHERE], body);
    elsewhere(batch(1)).assert_taken("accepted");

    let failed = AtomicBool::new(false);
    fate.decide(move |call| {
        let tells = call.target == "/ask" && call.text().contains("the change");
        if tells && !failed.swap(true, Ordering::SeqCst) {
            Becomes::Failed
        } else {
            Becomes::Done
        }
    });
    change(&station, &webhook, &json!({"name": "the change"}));
    let answer = elsewhere(batch(101));
    assert_eq!(answer.assert_taken("accepted").len(), 20);
    assert_eq!(answer.header("x-tram-event-count"), Some("20"));
    elsewhere(batch(101)).assert_taken("duplicate");
    let _ = origin.wait_for(40);
}

/// The platform's Free plan lets one request make a thousand calls of objects.
#[test]
fn a_batch_over_64_shards_that_nobody_has_configured_makes_few_calls() {
    const SHARDS: usize = 64;
    let fate = Fate::start();
    let station = Station::builder().fated(&fate).start();
    let origin = Origin::start();
    fate.decide(|call| match call.target.as_str() {
        "/ask" => Becomes::Failed,
        _ => Becomes::Done,
    });
    let shards = json!({"shards": SHARDS, "is_paused": true});
    let webhook = station.casso_webhook_with(&origin, &shards);
    fate.decide(|_| Becomes::Done);
    let told_before = fate.calls("/ask").len();
    let ids: Vec<u64> = (1..=1_000).collect();
    let answer = station.post_transactions(&webhook, &ids);
    answer.assert_taken("accepted");
    assert_eq!(answer.header("x-tram-event-count"), Some("1000"));
    // Unconfigured, and then taken; with a note of each at the Registry that is four calls
    // a shard. The Registry tells them as well, when its time comes.
    assert_eq!(fate.calls("/accept").len(), 2 * SHARDS);
    assert!(fate.calls("/ask").len() - told_before <= 2 * SHARDS);
    station
        .post_transactions(&webhook, &ids)
        .assert_taken("duplicate");
    assert_eq!(fate.calls("/accept").len(), 3 * SHARDS);
}
