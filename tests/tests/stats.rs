//! `GET /stats`: figures of all shards, put together.

use serde_json::{Value, json};
use tram_tests::{Origin, PATIENCE, Station, casso, transaction, wait_until};

fn stats(station: &Station, query: &str) -> Value {
    station.api_expecting(200, "GET", &format!("/stats{query}"), None)
}

#[test]
fn figures_of_all_shards_are_put_together() {
    let (station, origin) = (Station::start(), Origin::start());
    assert_eq!(
        stats(&station, ""),
        json!({"counts": {"pending": 0, "delivered": 0, "failed": 0, "cancelled": 0},
            "oldest_pending_seconds": null, "destinations": [], "hours": []})
    );
    let webhook = station.create_webhook(&json!({
        "provider": "casso", "webhook_url": origin.url("/"), "shards": 8, "type": "IN",
    }));
    for id in 1..=20 {
        station
            .post_casso(&webhook, casso(&[transaction(id)]))
            .assert_taken("accepted");
    }
    for id in 1..=3 {
        station
            .post_casso(&webhook, casso(&[transaction(id)]))
            .assert_taken("duplicate");
    }
    let mut out = transaction(99);
    out["amount"] = json!(-5);
    station
        .post_casso(&webhook, casso(&[out]))
        .assert_taken("filtered");
    for _ in 0..4 {
        let forged = station.post(&webhook.path, &[("secure-token", "no")], "{}");
        assert_eq!(forged.status, 401);
    }
    let paused = station.create_webhook(&json!({
        "provider": "casso", "webhook_url": origin.url("/paused"), "is_paused": true,
    }));
    station
        .post_casso(&paused, casso(&[transaction(1)]))
        .assert_taken("accepted");

    let all = wait_until("all but one delivered", PATIENCE, || {
        let all = stats(&station, "");
        (all["counts"]["delivered"] == 20).then_some(all)
    });
    assert_eq!(all["counts"]["pending"], 1);
    assert!(all["oldest_pending_seconds"].is_u64(), "{all}");
    let destinations = all["destinations"].as_array().unwrap();
    assert_eq!(destinations.len(), 2);
    for destination in destinations {
        assert_eq!(destination["state"], "up");
    }
    let sum = |of: &Value, name: &str| -> u64 {
        let hours = of["hours"].as_array().unwrap();
        hours.iter().map(|hour| hour[name].as_u64().unwrap()).sum()
    };
    let figures = [
        "received",
        "delivered",
        "failed",
        "refused",
        "duplicate",
        "filtered",
    ];
    assert_eq!(figures.map(|name| sum(&all, name)), [21, 20, 0, 4, 3, 1]);
    let one = stats(&station, &format!("?webhook_id={}", paused.id));
    assert_eq!(figures.map(|name| sum(&one, name)), [1, 0, 0, 0, 0, 0]);
    assert_eq!(one["counts"]["pending"], 1);

    let answer = station.api("GET", "/stats?x=1", None);
    assert_eq!(answer.status, 422);
    let unknown = "/stats?webhook_id=wh_00000000000000000000000000";
    assert_eq!(station.api("GET", unknown, None).status, 404);
    assert_eq!(station.api("POST", "/stats", None).status, 405);
}
