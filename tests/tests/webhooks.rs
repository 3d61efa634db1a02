//! Webhooks through `/api/v1`: created, shown, changed, deleted, listed; every
//! default, every mistake, and what of a secret is seen. Hostile destinations are
//! `destinations.rs`.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use tram_tests::{ADMIN_TOKEN, Origin, Reply, Station, Webhook};

const SECRET: &str = "khoá-bí-mật-0123456789";

#[track_caller]
fn mistakes(station: &Station, method: &str, path: &str, body: Option<&Value>) -> BTreeSet<String> {
    station.api(method, path, body).mistakes()
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[track_caller]
fn get(station: &Station, webhook: &Webhook) -> Value {
    station.api_expecting(200, "GET", &format!("/webhooks/{}", webhook.id), None)
}

#[track_caller]
fn put(station: &Station, webhook: &Webhook, change: &Value) -> Value {
    let path = format!("/webhooks/{}", webhook.id);
    station.api_expecting(200, "PUT", &path, Some(change))
}

/// A webhook to nowhere in particular.
#[track_caller]
fn casso(station: &Station) -> Webhook {
    station.create_webhook(&json!({
        "provider": "casso", "secret": SECRET, "webhook_url": "http://127.0.0.1:9/hook",
    }))
}

#[test]
fn what_is_not_sent_takes_its_default() {
    let station = Station::shared();
    let created = station.create_webhook(&json!({
        "provider": "casso", "secret": SECRET, "webhook_url": "http://127.0.0.1:9/hook",
    }));
    let shown = &created.shown;
    assert!(
        created.id.starts_with("wh_") && created.id.len() >= 3 + 26,
        "{}",
        created.id
    );
    let destination = shown["destinations"][0]["id"].as_str().expect("an id");
    assert!(destination.starts_with("dst_"), "{destination}");
    assert!(created.signing_secret.starts_with("whsec_") && created.signing_secret.len() == 50);
    let time = shown["created_at"].as_str().expect("a time");
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    assert_eq!(
        *shown,
        json!({
            "id": created.id,
            "name": "Casso",
            "provider": "casso",
            "settings": {},
            "ingest_url": station.url(&created.path),
            "webhook_url": "http://127.0.0.1:9/hook",
            "destinations": [{
                "id": destination,
                "url": "http://127.0.0.1:9/hook",
                "headers": {},
                "timeout_seconds": 5,
                "strict": "auto",
                "sign": true,
                "resign": "stale",
                "forward_credentials": true,
                "rate_per_second": 20,
            }],
            "is_active": true,
            "is_paused": false,
            "secret": SECRET,
            "signing_secret": created.signing_secret,
            "type": "ALL",
            "accounts": [],
            "allow_events": ["*"],
            "headers": {},
            "retry": {"schedule": "fibonacci"},
            "give_up_after_hours": 72,
            "retention_days": 30,
            "dedupe_days": 400,
            "alert_url": null,
            "alert_after_minutes": 15,
            "shards": 1,
            "warnings": [],
            "created_at": time,
            "updated_at": time,
        })
    );

    // Whole this once, and never again.
    let mut masked = shown.clone();
    masked["secret"] = json!("***6789");
    let tail = &created.signing_secret[created.signing_secret.len() - 4..];
    masked["signing_secret"] = json!(format!("***{tail}"));
    assert_eq!(get(&station, &created), masked);
}

#[test]
fn what_is_sent_is_shown_as_it_was_sent() {
    let station = Station::builder()
        .variable("PUBLIC_URL", "https://hooks.example.com/")
        .start();
    let webhook = json!({
        "name": "Webhook đơn hàng",
        "provider": "custom",
        "settings": {
            "header": "x-signature", "scheme": "hmac", "algorithm": "sha512", "encoding": "base64",
            "prefix": "v1=", "signed": "{timestamp}.{body}", "timestamp_header": "x-time",
            "timestamp_unit": "ms", "tolerance_seconds": null, "event_id": ["/id", "header:x-id"],
            "event_name": "/type", "items": "/data", "answer": {"status": 202, "body": "ok"},
        },
        "destinations": [
            {"url": "http://127.0.0.1:9/1", "headers": {"x-a": "b"}, "timeout_seconds": 30,
             "strict": true, "sign": false, "resign": "never", "forward_credentials": false,
             "rate_per_second": 7},
            {"url": "http://127.0.0.1:9/2"},
        ],
        "is_active": false,
        "is_paused": true,
        "secret": [SECRET, "short"],
        "type": "OUT",
        "accounts": ["88888888", "0001"],
        "allow_events": ["paid", "refunded"],
        "headers": {"x-from": "tram"},
        "retry": {"schedule": "exponential", "initial_seconds": 0.5, "factor": 2, "max_seconds": 60,
                  "max_attempts": 9},
        "give_up_after_hours": 24,
        "retention_days": 7,
        "dedupe_days": 90,
        "alert_url": "http://127.0.0.1:9/alerts?to=ops",
        "alert_after_minutes": 60,
        "shards": 3,
    });
    let created = station.create_webhook(&webhook);
    let mut expected = webhook.clone();
    for (name, value) in [
        ("id", json!(created.id)),
        (
            "ingest_url",
            json!(format!("https://hooks.example.com{}", created.path)),
        ),
        ("webhook_url", Value::Null),
        ("signing_secret", json!(created.signing_secret)),
        ("warnings", created.shown["warnings"].clone()),
        ("created_at", created.shown["created_at"].clone()),
        ("updated_at", created.shown["updated_at"].clone()),
    ] {
        expected[name] = value;
    }
    for (at, destination) in [
        json!({}),
        json!({"headers": {}, "timeout_seconds": 5, "strict": "auto", "sign": true,
               "resign": "stale",
               "forward_credentials": false, "rate_per_second": 20}),
    ]
    .iter()
    .enumerate()
    {
        let shown = &created.shown["destinations"][at]["id"];
        expected["destinations"][at]["id"] = shown.clone();
        for (name, value) in destination.as_object().into_iter().flatten() {
            expected["destinations"][at][name] = value.clone();
        }
    }
    assert_eq!(created.shown, expected);
    // One of the secrets could be guessed, and the second destination goes without.
    let warnings = created.shown["warnings"].as_array().expect("a list");
    let begin =
        |at: usize, with: &str| warnings[at].as_str().is_some_and(|it| it.starts_with(with));
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(begin(0, "secret is shorter") && begin(1, "destinations[1] is sent"));

    let shown = get(&station, &created);
    assert_eq!(shown["secret"], json!(["***6789", "***"]));
    // What was read can be sent back whole: nothing changes, not even the time.
    assert_eq!(put(&station, &created, &shown), shown);
    assert_eq!(get(&station, &created), shown);
    assert_eq!(put(&station, &created, &json!({})), shown);
}

#[test]
fn a_secret_that_is_not_sent_is_made_up_and_shown_once() {
    let station = Station::shared();
    let generated = |provider: &str| {
        let url = "http://127.0.0.1:9/hook";
        station.create_webhook(&json!({"provider": provider, "webhook_url": url}))
    };
    let casso = generated("casso");
    assert!(casso.secret.len() >= 64, "{}", casso.secret);
    assert_ne!(casso.secret, generated("casso").secret);
    let standard = generated("standard-webhooks");
    assert!(standard.secret.starts_with("whsec_") && standard.secret.len() == 50);
    for webhook in [casso, standard] {
        let shown = get(&station, &webhook)["secret"].clone();
        let tail = &webhook.secret[webhook.secret.len() - 4..];
        assert_eq!(shown, format!("***{tail}"));
    }
}

#[test]
fn a_new_secret_is_shown_and_what_stands_masked_beside_it_is_not() {
    let station = Station::shared();
    let webhook = casso(&station);
    let new = "the-new-secret-of-the-shop";
    let change = json!({"secret": [new, "***6789"]});
    let shown = put(&station, &webhook, &change);
    assert_eq!(shown["secret"], json!([new, "***6789"]));
    let shown = put(
        &station,
        &webhook,
        &json!({"secret": ["***6789", "***shop"]}),
    );
    assert_eq!(shown["secret"], json!(["***6789", "***shop"]));
}

#[test]
fn a_change_touches_what_is_sent_and_is_obeyed_at_once() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.create_webhook(&json!({
        "provider": "casso", "secret": SECRET, "webhook_url": origin.url("/hook"), "name": "before",
    }));
    let before = get(&station, &webhook);
    station.send_transaction(&webhook, 1);
    origin.wait_for(1);

    let changed = put(
        &station,
        &webhook,
        &json!({"name": "sau", "timeout_seconds": 9, "headers": {"x-new": "1"}}),
    );
    let mut expected = before.clone();
    expected["name"] = json!("sau");
    expected["destinations"][0]["timeout_seconds"] = json!(9);
    expected["headers"] = json!({"x-new": "1"});
    expected["updated_at"] = changed["updated_at"].clone();
    assert_eq!(changed, expected);
    assert_ne!(changed["updated_at"], before["updated_at"]);
    station.send_transaction(&webhook, 2);
    assert_eq!(origin.wait_for(2)[1].header("x-new"), Some("1"));

    // A new secret is shown in full in this answer; the old one proves nothing now.
    let new = "a-new-secret-0123456789";
    let changed = put(&station, &webhook, &json!({"secret": new}));
    assert_eq!(changed["secret"], new);
    assert_eq!(changed["signing_secret"], before["signing_secret"]);
    assert_eq!(get(&station, &webhook)["secret"], "***6789");
    let old = station.post_transactions(&webhook, &[3]);
    assert_eq!(old.problem(401), "unauthenticated");
    let rotated = Webhook {
        secret: new.to_owned(),
        ..webhook.clone()
    };
    station.send_transaction(&rotated, 3);

    // Where it goes.
    let elsewhere = Origin::start();
    let moved = put(
        &station,
        &webhook,
        &json!({"webhook_url": elsewhere.url("/there")}),
    );
    // Still the same destination: what is on its way to it follows.
    assert_eq!(
        moved["destinations"][0]["id"],
        before["destinations"][0]["id"]
    );
    assert_eq!(moved["destinations"][0]["timeout_seconds"], 9);
    station.send_transaction(&rotated, 4);
    assert_eq!(elsewhere.wait_for(1)[0].target, "/there");
}

#[test]
fn toggling_switches_receiving_off_and_on() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook =
        station.create_webhook(&json!({"provider": "casso", "webhook_url": origin.url("/")}));
    let path = format!("/webhooks/{}/toggle", webhook.id);
    station.send_transaction(&webhook, 1);

    let off = station.api_expecting(200, "PATCH", &path, None);
    assert_eq!(off["is_active"], false);
    let refused = station.post_transactions(&webhook, &[2]);
    assert_eq!(refused.problem(503), "webhook_inactive");
    assert_eq!(refused.header("x-tram-outcome"), Some("refused"));
    assert!(refused.header("retry-after").is_some());

    let on = station.api_expecting(200, "PATCH", &path, None);
    assert_eq!(on["is_active"], true);
    station.send_transaction(&webhook, 2);
    origin.wait_for(2);
}

#[test]
fn what_is_paused_is_received_and_held() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.create_webhook(&json!({
        "provider": "casso", "webhook_url": origin.url("/"), "is_paused": true,
    }));
    let id = station.send_transaction(&webhook, 1);
    let held = station.event(&id);
    assert_eq!(held["status"], "pending");
    assert_eq!(held["next_attempt_at"], Value::Null);
    assert_eq!(origin.count(), 0);
    put(&station, &webhook, &json!({"is_paused": false}));
    station.wait_for_status(&id, "delivered");
}

#[test]
fn what_is_deleted_is_gone() {
    let (station, origin) = (Station::shared(), Origin::start());
    origin.always(Reply::status(500));
    let webhook = station.create_webhook(&json!({
        "provider": "casso", "secret": SECRET, "webhook_url": origin.url("/"), "shards": 2,
        "retry": {"schedule": "custom", "delays_seconds": vec![0.3; 20]},
    }));
    let id = station.send_transaction(&webhook, 1);
    origin.wait_for(1);
    let path = format!("/webhooks/{}", webhook.id);
    let shown = get(&station, &webhook);
    let deleted = station.api_expecting(200, "DELETE", &path, None);
    assert_eq!(deleted, shown);
    let relayed = origin.count();

    for (method, path) in [
        ("GET", path.as_str()),
        ("DELETE", &path),
        ("GET", &format!("/events?webhook_id={}", webhook.id)),
    ] {
        let answer = station.api(method, path, None);
        assert_eq!(answer.problem(404), "webhook_not_found", "{method} {path}");
    }
    let answer = station.api("GET", &format!("/events/{id}"), None);
    assert_eq!(answer.problem(404), "event_not_found");
    let answer = station.post_transactions(&webhook, &[2]);
    assert_eq!(answer.problem(404), "webhook_not_found");

    // Its pending delivery is cancelled: while another one's retry comes and goes, at
    // most the attempt arrives that was out already.
    let other = station.create_webhook(&json!({
        "provider": "casso", "webhook_url": origin.url("/other"),
        "retry": {"schedule": "custom", "delays_seconds": [2.0]},
    }));
    let other = station.send_transaction(&other, 1);
    station.wait_for_status(&other, "failed");
    let late = origin.received().split_off(relayed);
    let late = late.iter().filter(|request| request.target == "/").count();
    assert!(late <= 1, "{late} attempts");
}

#[test]
fn all_webhooks_to_one_url_are_deleted_together() {
    let station = Station::shared();
    let url = "http://127.0.0.1:9/to-be-deleted?shop=1";
    let create = |webhook: Value| station.create_webhook(&webhook).id;
    let one = create(json!({"provider": "casso", "webhook_url": url}));
    let two = create(json!({"provider": "github", "destinations": [
        {"url": "http://127.0.0.1:9/other"}, {"url": url},
    ]}));
    let kept = create(json!({"provider": "casso", "webhook_url": "http://127.0.0.1:9/other"}));

    let encoded = "http%3A%2F%2F127.0.0.1%3A9%2Fto-be-deleted%3Fshop%3D1";
    let path = format!("/webhooks?webhook_url={encoded}");
    let deleted = station.api_expecting(200, "DELETE", &path, None);
    let ids: BTreeSet<String> = deleted["deleted"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|webhook| webhook["id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(ids, set(&[&one, &two]));
    assert_eq!(deleted.as_object().map(serde_json::Map::len), Some(1));
    for id in [&one, &two] {
        let answer = station.api("GET", &format!("/webhooks/{id}"), None);
        assert_eq!(answer.problem(404), "webhook_not_found");
    }
    station.api_expecting(200, "GET", &format!("/webhooks/{kept}"), None);
    assert_eq!(
        station.api("DELETE", &path, None).problem(404),
        "webhook_not_found"
    );

    for query in [
        "",
        "?",
        "?webhook_url=",
        "?url=x",
        "?webhook_url=a&webhook_url=b",
        "?webhook_url=a&x=1",
    ] {
        assert!(!mistakes(&station, "DELETE", &format!("/webhooks{query}"), None).is_empty());
    }
}

#[test]
fn all_mistakes_are_named_at_once() {
    let station = Station::shared();
    let wrong = json!({
        "name": "",
        "provider": "casso",
        "colour": "red",
        "settings": {"header": "x-a", "unknown": 1},
        "destinations": [
            {"url": "http://127.0.0.1:9/hook", "timeout_seconds": 31, "strict": 1, "colour": 1,
             "headers": {"webhook-id": "a", "x-b": "a\r\nhost: b"}},
            {"timeout_seconds": 0, "rate_per_second": 0},
        ],
        "is_active": "true",
        "secret": "",
        "signing_secret": "whsec_AAAA",
        "type": "in",
        "accounts": [1],
        "allow_events": "*",
        "headers": {"Host": "a", "x-tram-hops": "0", "x-a": null},
        "retry": {"schedule": "fixed", "interval_seconds": -1},
        "give_up_after_hours": 0,
        "retention_days": 366,
        "dedupe_days": 1.5,
        "alert_url": "ops.example",
        "alert_after_minutes": 0,
        "shards": 65,
        "id": "wh_1",
        "created_at": "2026-11-20T07:00:00.000Z",
    });
    let found = mistakes(&station, "POST", "/webhooks", Some(&wrong));
    let expected = set(&[
        "/name",
        "/colour",
        "/settings/unknown",
        "/settings/header",
        "/destinations/0/timeout_seconds",
        "/destinations/0/strict",
        "/destinations/0/colour",
        "/destinations/0/headers/webhook-id",
        "/destinations/0/headers/x-b",
        "/destinations/1/url",
        "/destinations/1/timeout_seconds",
        "/destinations/1/rate_per_second",
        "/is_active",
        "/secret",
        "/signing_secret",
        "/type",
        "/accounts/0",
        "/allow_events",
        "/headers/Host",
        "/headers/x-tram-hops",
        "/headers/x-a",
        "/retry/interval_seconds",
        "/retry/max_attempts",
        "/give_up_after_hours",
        "/retention_days",
        "/dedupe_days",
        "/alert_url",
        "/alert_after_minutes",
        "/shards",
        "/id",
        "/created_at",
    ]);
    assert_eq!(found, expected);
}

#[test]
fn what_cannot_be_accepted_changes_nothing() {
    let station = Station::shared();
    let url = "http://127.0.0.1:9/hook";
    for (wrong, pointer) in [
        (json!({}), "/provider"),
        (json!({"provider": "casso"}), "/webhook_url"),
        (
            json!({"provider": "nobody", "webhook_url": url}),
            "/provider",
        ),
        (
            json!({"provider": "casso", "webhook_url": null}),
            "/webhook_url",
        ),
        (
            json!({"provider": "casso", "webhook_url": url, "destinations": [{"url": url}]}),
            "/webhook_url",
        ),
        (
            json!({"provider": "casso", "destinations": []}),
            "/destinations",
        ),
        (
            json!({"provider": "casso", "destinations": [{"url": url}, {"url": url}]}),
            "/destinations/1/url",
        ),
        (
            json!({"provider": "casso", "webhook_url": url, "secret": []}),
            "/secret",
        ),
        (
            json!({"provider": "casso", "webhook_url": url, "secret": ["a", "b", "c", "d"]}),
            "/secret",
        ),
        (
            json!({"provider": "casso", "webhook_url": url, "secret": "***6789"}),
            "/secret",
        ),
        (
            json!({"provider": "casso", "webhook_url": url, "settings": {"header": "x-a"}}),
            "/settings/header",
        ),
        (
            json!({"provider": "custom", "webhook_url": url}),
            "/settings/header",
        ),
        (
            json!({"provider": "casso", "webhook_url": url, "settings": {"answer": {"status": 500}}}),
            "/settings/answer/status",
        ),
        (
            json!({"provider": "casso", "webhook_url": url, "retry": {"schedule": "never"}}),
            "/retry/schedule",
        ),
        (
            json!({"provider": "casso", "webhook_url": url, "dedupe_days": 29}),
            "/dedupe_days",
        ),
        (
            json!({"provider": "github", "webhook_url": url, "retention_days": 2}),
            "/retention_days",
        ),
        (
            json!({"provider": "casso", "webhook_url": url, "give_up_after_hours": 721}),
            "/give_up_after_hours",
        ),
        (json!([]), ""),
        (json!("casso"), ""),
        (json!(null), ""),
    ] {
        let found = mistakes(&station, "POST", "/webhooks", Some(&wrong));
        assert!(found.contains(pointer), "{wrong}: {found:?}");
    }
    let token = format!("Bearer {ADMIN_TOKEN}");
    for (body, pointers) in [
        (&b""[..], &[""][..]),
        (b"{", &[""]),
        (b"\xff", &[""]),
        (
            b"{\"provider\":\"casso\",\"provider\":\"casso\"}",
            &["/provider", "/webhook_url"],
        ),
    ] {
        let headers = [("authorization", token.as_str())];
        let answer = station.post("/api/v1/webhooks", &headers, body);
        assert_eq!(answer.mistakes(), set(pointers));
    }

    let webhook = casso(&station);
    let before = get(&station, &webhook);
    for (wrong, pointer) in [
        (json!({"name": "new", "shards": 2}), "/shards"),
        (json!({"name": "new", "secret": "***1234"}), "/secret"),
        (
            json!({"name": "new", "signing_secret": "x"}),
            "/signing_secret",
        ),
        (json!({"name": "new", "id": "wh_1"}), "/id"),
        (
            json!({"name": "new", "updated_at": "2026-11-20T07:00:00Z"}),
            "/updated_at",
        ),
        (
            json!({"name": "new", "destinations": [{"id": "dst_0000000000000", "url": url}]}),
            "/destinations/0/id",
        ),
        (json!({"name": "new", "is_active": null}), "/is_active"),
    ] {
        let path = format!("/webhooks/{}", webhook.id);
        let found = mistakes(&station, "PUT", &path, Some(&wrong));
        assert_eq!(found, set(&[pointer]), "{wrong}");
    }
    assert_eq!(get(&station, &webhook), before);
}

#[test]
fn a_list_is_paged_from_the_newest_and_stays_put() {
    let station = Station::start();
    let create = || casso(&station).id;
    let mut ids: Vec<String> = (0..5).map(|_| create()).collect();
    ids.reverse();
    let page = |query: &str| {
        let list = station.api_expecting(200, "GET", &format!("/webhooks{query}"), None);
        let fields = list.as_object().expect("an object");
        assert_eq!(fields.len(), 2, "{list}");
        let data = list["data"].as_array().expect("a list");
        let ids: Vec<String> = data
            .iter()
            .map(|webhook| webhook["id"].as_str().expect("an id").to_owned())
            .collect();
        (ids, list["next_cursor"].as_str().map(str::to_owned))
    };
    assert_eq!(page(""), (ids.clone(), None));
    assert_eq!(page("?per_page=5"), (ids.clone(), None));
    let (first, cursor) = page("?per_page=2");
    assert_eq!(first, ids[..2]);
    // What comes or goes meanwhile moves nothing.
    create();
    station.api_expecting(200, "DELETE", &format!("/webhooks/{}", ids[1]), None);
    let (second, cursor) = page(&format!("?per_page=2&cursor={}", cursor.expect("more")));
    assert_eq!(second, ids[2..4]);
    let (third, cursor) = page(&format!("?per_page=2&cursor={}", cursor.expect("more")));
    assert_eq!((third, cursor), (ids[4..].to_vec(), None));

    for _ in 0..16 {
        create();
    }
    let (default, cursor) = page("");
    assert_eq!((default.len(), cursor.is_some()), (20, true));
}
