//! Events as operators see them through `/api/v1`: lists over many webhooks and
//! shards, one event whole, sending it again; and that no secret is ever among it.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use tram_tests::{ADMIN_TOKEN, Origin, Reply, Station, Webhook, casso_body};

/// What a list shows of an event.
const IN_A_LIST: [&str; 15] = [
    "id",
    "webhook_id",
    "provider",
    "event",
    "object_id",
    "key",
    "received_at",
    "status",
    "test",
    "conflicts",
    "attempts",
    "last_status_code",
    "last_error",
    "next_attempt_at",
    "summary",
];

#[track_caller]
fn casso(station: &Station, origin: &Origin, shards: u8) -> Webhook {
    station.create_webhook(&json!({
        "provider": "casso", "webhook_url": origin.url("/hook"), "shards": shards,
        "retry": {"schedule": "custom", "delays_seconds": []},
    }))
}

#[track_caller]
fn list(station: &Station, query: &str) -> (Vec<Value>, Option<String>) {
    let list = station.api_expecting(200, "GET", &format!("/events?{query}"), None);
    let fields: BTreeSet<&String> = list.as_object().expect("an object").keys().collect();
    assert_eq!(fields.len(), 2, "{fields:?}");
    let data = list["data"].as_array().expect("a list").clone();
    (data, list["next_cursor"].as_str().map(str::to_owned))
}

/// The ids that a list of one page shows.
#[track_caller]
fn ids(station: &Station, query: &str) -> Vec<String> {
    let (data, next) = list(station, query);
    assert_eq!(next, None);
    data.iter().map(id).collect()
}

fn id(event: &Value) -> String {
    event["id"].as_str().expect("an id").to_owned()
}

fn fields(object: &Value) -> BTreeSet<&str> {
    let object = object.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

#[track_caller]
fn mistakes(station: &Station, method: &str, path: &str, body: Option<&Value>) -> Vec<String> {
    let found = station.api(method, path, body).mistakes();
    found.into_iter().collect()
}

#[test]
fn an_event_is_shown_with_exactly_these_fields() {
    let (station, origin) = (Station::shared(), Origin::start());
    origin.always(Reply::status(201).body("đã nhận"));
    let webhook = casso(&station, &origin, 1);
    let sent = [
        ("secure-token", webhook.secret.as_str()),
        ("authorization", "Basic dXNlcjpwYXNzd29yZA=="),
        ("content-type", "application/json"),
        ("x-tram-hops", "1"),
    ];
    let path = format!("{}?a=%20b", webhook.path);
    let answer = station.post(&path, &sent, casso_body(&[42]));
    let event = answer.header("x-tram-event-id").expect("an id").to_owned();
    let mut whole = station.wait_for_status(&event, "delivered");

    let (data, _) = list(&station, &format!("webhook_id={}", webhook.id));
    let [listed] = &data[..] else {
        panic!("one event: {data:#?}");
    };
    assert_eq!(fields(listed), BTreeSet::from(IN_A_LIST));
    for name in IN_A_LIST {
        assert_eq!(listed[name], whole[name], "{name}");
    }
    assert_eq!(listed["key"].as_str().map(str::len), Some(64));
    let received_at = listed["received_at"].as_str().expect("a time");
    assert!(
        received_at.len() == 24 && received_at.ends_with('Z'),
        "{received_at}"
    );
    let expected = json!({
        "id": event,
        "webhook_id": webhook.id,
        "provider": "casso",
        "event": null,
        "object_id": "42",
        "key": listed["key"],
        "received_at": received_at,
        "status": "delivered",
        "test": false,
        "conflicts": 0,
        "attempts": 1,
        "last_status_code": 201,
        "last_error": null,
        "next_attempt_at": null,
        "summary": {
            "bank": "VPBank",
            "account": "88888888",
            "direction": "in",
            "amount": "100042",
            "transaction_id": "FT000042",
            "description": "Khách hàng chuyển tiền đơn hàng DH42",
            "payer": null,
            "currency": null,
            "occurred_at": "2026-11-20T03:30:00.000Z",
        },
    });
    let mut listed = listed.clone();
    // An integer or a decimal text: what the provider wrote.
    if let Some(amount) = listed["summary"]["amount"].as_u64() {
        listed["summary"]["amount"] = json!(amount.to_string());
    }
    assert_eq!(listed, expected);

    let headers = whole["headers"].take();
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-tram-hops", "1"),
        ("authorization", "***ZA=="),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    let tail = &webhook.secret[webhook.secret.len() - 4..];
    assert_eq!(headers["secure-token"], format!("***{tail}"));
    let attempt = &whole["deliveries"][0]["attempts"][0];
    assert!(attempt["started_at"].is_string() && attempt["duration_ms"].is_u64());
    let deliveries = json!([{
        "destination_id": webhook.shown["destinations"][0]["id"],
        "url": origin.url("/hook"),
        "status": "delivered",
        "attempts": [{
            "number": 1,
            "started_at": attempt["started_at"],
            "duration_ms": attempt["duration_ms"],
            "status_code": 201,
            "error": null,
            "response_body": "đã nhận",
        }],
    }]);
    assert_eq!(whole["deliveries"], deliveries);
    assert_eq!(whole["query"], "a=%20b");
    assert_eq!(whole["body"], casso_body(&[42]));
    let more = ["headers", "query", "body", "deliveries"];
    let all: BTreeSet<&str> = IN_A_LIST.into_iter().chain(more).collect();
    assert_eq!(fields(&whole), all);

    let query = format!("webhook_id={}&include=attempts", webhook.id);
    let with_attempts = &list(&station, &query).0[0];
    let all: BTreeSet<&str> = IN_A_LIST.into_iter().chain(["deliveries"]).collect();
    assert_eq!(fields(with_attempts), all);
    assert_eq!(with_attempts["deliveries"], deliveries);
}

#[test]
fn what_came_is_shown_whatever_it_was() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.create_webhook(&json!({
        "provider": "custom", "webhook_url": origin.url("/hook"),
        "settings": {"header": "x-auth", "event_id": "/id", "event_name": "/type"},
    }));
    let post = |body: &[u8]| {
        let answer = station.post(&webhook.path, &[("x-auth", &webhook.secret)], body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.header("x-tram-event-id").map(str::to_owned)
    };
    let bytes = post(&[0xff, 0, 0xfe]).expect("an event");
    let shown = station.event(&bytes);
    assert_eq!(shown["body_base64"], "/wD+");
    assert_eq!(shown.get("body"), None);

    let named = post(br#"{"id":7,"type":"order.paid"}"#).expect("an event");
    let again = post(br#"{"id":"7","type":"order.paid","changed":true}"#);
    assert_eq!(again, None, "a duplicate");
    let shown = station.wait_for_event(&named, |event| event["conflicts"] == 1);
    assert_eq!(shown["event"], "order.paid");
    assert_eq!(shown["body"], r#"{"id":7,"type":"order.paid"}"#);
    assert_eq!(
        ids(
            &station,
            &format!("webhook_id={}&event=order.paid", webhook.id)
        ),
        [named]
    );
}

#[test]
fn lists_are_narrowed() {
    let station = Station::start();
    let (good, bad) = (Origin::start(), Origin::start());
    bad.always(Reply::status(500));
    let (one, two) = (casso(&station, &good, 1), casso(&station, &bad, 2));
    let delivered = [1, 2].map(|number| station.send_transaction(&one, number));
    let failed = [3, 4].map(|number| station.send_transaction(&two, number));
    for event in &delivered {
        station.wait_for_status(event, "delivered");
    }
    for event in &failed {
        station.wait_for_status(event, "failed");
    }
    let newest_first = |events: [&String; 2]| events.map(String::clone).to_vec();
    let check = |query: &str, expected: Vec<String>| {
        assert_eq!(ids(&station, query), expected, "{query}");
    };
    let all = [&failed[1], &failed[0], &delivered[1], &delivered[0]];
    check("", all.map(String::clone).to_vec());
    check(
        &format!("webhook_id={}", one.id),
        newest_first([&delivered[1], &delivered[0]]),
    );
    check("status=failed", newest_first([&failed[1], &failed[0]]));
    check(
        "status=delivered",
        newest_first([&delivered[1], &delivered[0]]),
    );
    check("status=pending", vec![]);
    check("status=cancelled", vec![]);
    check("event=nothing", vec![]);
    check("q=FT000003", vec![failed[0].clone()]);
    check("q=ft000003", vec![failed[0].clone()]);
    check("q=%C4%91%C6%A1n+h%C3%A0ng+DH2", vec![delivered[1].clone()]);
    check("q=DON+HANG+dh2", vec![delivered[1].clone()]);
    check(
        "q=khach+hang+chuyen+tien+don+hang+dh2",
        vec![delivered[1].clone()],
    );
    check("q=100.004", vec![failed[1].clone()]);
    check("q=100%2C004", vec![failed[1].clone()]);
    check("q=100004", vec![failed[1].clone()]);
    check(
        "q=88888888&status=failed",
        newest_first([&failed[1], &failed[0]]),
    );
    check("q=%25", vec![]);
    let at = |event: &str| {
        let time = station.event(event)["received_at"].clone();
        time.as_str().expect("a time").to_owned()
    };
    let from = at(&delivered[1]);
    check(
        &format!("from={from}&to={from}"),
        vec![delivered[1].clone()],
    );
    let to = at(&failed[0]).replace('Z', "%2B00:00");
    check(
        &format!("from={from}&to={to}"),
        newest_first([&failed[0], &delivered[1]]),
    );
    check("to=2020-01-01T00:00:00Z", vec![]);
    check("from=2999-01-01T00:00:00%2B07:00", vec![]);

    for (query, wrong) in [
        ("per_page=0", "?per_page"),
        ("per_page=101", "?per_page"),
        ("cursor=nonsense", "?cursor"),
        ("webhook_id=nonsense", "?webhook_id"),
        ("status=ok", "?status"),
        ("from=yesterday", "?from"),
        ("to=2026-11-20", "?to"),
        ("from=2026-11-21T00:00:00Z&to=2026-11-20T00:00:00Z", "?from"),
        ("include=body", "?include"),
        ("q=", "?q"),
        ("q=a&q=b", "?q"),
        ("sort=asc", "?sort"),
    ] {
        let found = mistakes(&station, "GET", &format!("/events?{query}"), None);
        assert_eq!(found, [wrong], "{query}");
    }
    let found = mistakes(
        &station,
        "GET",
        "/events?status=ok&sort=asc&per_page=0",
        None,
    );
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn many_webhooks_and_shards_make_one_list_in_order_of_time() {
    let (station, origin) = (Station::start(), Origin::start());
    let webhooks = [1, 4, 2].map(|shards| casso(&station, &origin, shards));
    let send = |number: u64| {
        let webhook = &webhooks[usize::try_from(number % 3).expect("small")];
        station.send_transaction(webhook, number)
    };
    let mut expected: Vec<String> = (1..31).map(send).collect();
    // Ids sort by time.
    expected.sort_by(|one, other| other.cmp(one));

    let (default, next) = list(&station, "");
    assert_eq!((default.len(), next.is_some()), (20, true));
    let mut walked = Vec::new();
    let mut times = Vec::new();
    let mut cursor = None;
    for number in 100.. {
        let from = cursor.map(|cursor| format!("&cursor={cursor}"));
        let (page, next) = list(&station, &format!("per_page=7{}", from.unwrap_or_default()));
        assert!(page.len() <= 7);
        walked.extend(page.iter().map(id));
        times.extend(page.iter().map(|event| event["received_at"].to_string()));
        // What comes meanwhile moves nothing.
        send(number);
        let Some(next) = next else { break };
        cursor = Some(next);
    }
    assert_eq!(walked, expected);
    assert!(times.is_sorted_by(|one, other| one >= other), "{times:?}");

    // The same of one webhook with four shards, and page by page of one event.
    let query = format!("webhook_id={}", webhooks[1].id);
    let (whole, _) = list(&station, &format!("{query}&per_page=100"));
    assert!(whole.len() > 10);
    let mut walked = Vec::new();
    let mut cursor = String::new();
    loop {
        let (page, next) = list(&station, &format!("{query}&per_page=1{cursor}"));
        walked.extend(page.iter().map(id));
        let Some(next) = next else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(walked, whole.iter().map(id).collect::<Vec<_>>());

    // With more than 40 shards in all it is the same list, on more pages.
    casso(&station, &origin, 34);
    let (mut again, mut cursor, mut empty) = (Vec::new(), String::new(), 0);
    loop {
        let (page, next) = list(&station, &format!("per_page=7{cursor}"));
        empty += usize::from(page.is_empty());
        again.extend(page.iter().map(id));
        let Some(next) = next else { break };
        cursor = format!("&cursor={next}");
    }
    let newest_first = again.is_sorted_by(|one, other| one > other);
    assert!(newest_first && empty > 0, "{empty}");
    assert_eq!(again[again.len() - expected.len()..], expected);
    assert_eq!(
        list(&station, &format!("{query}&per_page=100")).0.len(),
        whole.len()
    );
}

#[test]
fn an_event_is_sent_again_whatever_its_state() {
    let (station, first, second) = (Station::shared(), Origin::start(), Origin::start());
    let webhook = station.create_webhook(&json!({
        "provider": "casso",
        "destinations": [{"url": first.url("/1")}, {"url": second.url("/2")}],
        "retry": {"schedule": "custom", "delays_seconds": []},
    }));
    second.then(Reply::status(500));
    let event = station.send_transaction(&webhook, 1);
    station.wait_for_status(&event, "failed");
    let path = format!("/events/{event}/resend");
    let resend = |body: Option<&Value>| station.api_expecting(202, "POST", &path, body);

    // The one that failed, alone; then both, twice.
    let other = webhook.shown["destinations"][1]["id"].clone();
    let queued = resend(Some(&json!({"destination_id": other})));
    assert_eq!(queued, json!({"queued": 1}));
    station.wait_for_status(&event, "delivered");
    assert_eq!((first.count(), second.count()), (1, 2));
    for times in 2..4 {
        assert_eq!(resend(None), json!({"queued": 2}));
        station.wait_for_status(&event, "delivered");
        assert_eq!((first.count(), second.count()), (times, times + 1));
    }
    let shown = station.event(&event);
    assert_eq!(shown["attempts"], 7);
    for origin in [&first, &second] {
        for request in origin.received() {
            assert_eq!(request.header("webhook-id"), Some(event.as_str()));
        }
    }

    // What was delivered stays so, whatever is answered to a repeat.
    second.then(Reply::status(500));
    assert_eq!(resend(Some(&json!({}))), json!({"queued": 2}));
    station.wait_for_status(&event, "delivered");
    let shown = station.event(&event);
    assert_eq!(
        (&shown["attempts"], &shown["last_error"]),
        (&json!(9), &Value::Null)
    );

    for body in [
        json!({"destination": other}),
        json!({"destination_id": 1}),
        json!({"destination_id": "dst_1"}),
        json!([]),
    ] {
        assert_eq!(
            mistakes(&station, "POST", &path, Some(&body)).len(),
            1,
            "{body}"
        );
    }
    for body in [json!({"destination_id": "dst_0000000000000"}), json!({})] {
        let unknown = if body == json!({}) {
            // A well-formed id of no event.
            path.replace(&event[4..9], "00000")
        } else {
            path.clone()
        };
        let answer = station.api_expecting(404, "POST", &unknown, Some(&body));
        assert_eq!(answer["code"], "event_not_found", "{body}");
    }
    let query = format!("{path}?destination_id=x");
    assert_eq!(
        mistakes(&station, "POST", &query, None),
        ["?destination_id"]
    );
    let query = format!("/events/{event}?include=attempts");
    assert_eq!(mistakes(&station, "GET", &query, None), ["?include"]);
}

#[test]
fn no_secret_is_ever_shown_again_or_logged() {
    const TOKEN: &str = "canary-provider-0123456789";
    const ROTATED: &str = "canary-rotated-9876543210";
    const WRONG: &str = "canary-wrong-5555555555";
    const BLANK: &str = "canary-blank-4444444444 ";
    const COOKIE: &str = "canary-cookie-3333333333";
    const BASIC: &str = "canary-basic-2222222222";
    let (station, origin) = (Station::start(), Origin::start());
    let webhook = station.create_webhook(&json!({
        "provider": "casso", "secret": [TOKEN, ROTATED], "webhook_url": origin.url("/hook"),
        "retry": {"schedule": "custom", "delays_seconds": [0.1]},
    }));
    let post = |token: &str, body: &str| {
        let headers = [
            ("secure-token", token),
            ("cookie", COOKIE),
            ("authorization", BASIC),
        ];
        station.post(&webhook.path, &headers, body)
    };
    origin.then(Reply::close()).always(Reply::status(500));
    let accepted = post(TOKEN, &casso_body(&[1]));
    let event = accepted
        .header("x-tram-event-id")
        .expect("an event")
        .to_owned();
    let refused = post(WRONG, &casso_body(&[2]));
    assert_eq!(refused.status, 401);
    let not_json = post(TOKEN, "not JSON");
    station.wait_for_status(&event, "failed");

    let one = format!("/webhooks/{}", webhook.id);
    let token = format!("Bearer {WRONG}");
    let headers = [("authorization", token.as_str())];
    let mut answers = vec![
        accepted,
        refused,
        not_json,
        station
            .client()
            .send("GET", "/api/v1/webhooks", &headers, b""),
        station.post("/in/wh_00000000000000000000000000", &headers, TOKEN),
    ];
    for (method, path, body) in [
        ("GET", "/webhooks", None),
        ("GET", one.as_str(), None),
        ("PUT", &one, Some(json!({"name": "other"}))),
        ("PUT", &one, Some(json!({"secret": BLANK}))),
        ("PUT", &one, Some(json!({"secret": [BLANK, 1]}))),
        ("PUT", &one, Some(json!({"signing_secret": WRONG}))),
        ("PATCH", &format!("{one}/toggle"), None),
        ("PATCH", &format!("{one}/toggle"), None),
        ("GET", "/events?include=attempts", None),
        ("GET", &format!("/events/{event}"), None),
        ("POST", &format!("/events/{event}/resend"), None),
        ("DELETE", &one, None),
    ] {
        answers.push(station.api(method, path, body.as_ref()));
    }
    let signing = webhook.signing_secret.trim_start_matches("whsec_");
    let secrets = [
        TOKEN,
        ROTATED,
        WRONG,
        BLANK.trim(),
        COOKIE,
        BASIC,
        ADMIN_TOKEN,
        signing,
    ];
    let log = station.log();
    assert!(log.contains("\"outcome\":\"refused\""), "a log: {log}");
    for secret in secrets {
        for answer in &answers {
            let text = format!("{:?}{}", answer.headers, answer.text());
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert!(!log.contains(secret), "{secret} in the log");
    }
}

#[test]
fn a_search_goes_on_where_a_page_ended() {
    let (station, origin) = (Station::start(), Origin::start());
    let webhook = casso(&station, &origin, 2);
    // Nothing is relayed, so that all are pending.
    let pause = format!("/webhooks/{}/pause", webhook.id);
    station.api_expecting(200, "POST", &pause, None);
    // Each shard gets more than one page looks at.
    let wanted = [7, 1_204].map(|number| {
        let sent = station.send_transaction(&webhook, number);
        for batch in 0..12 {
            let first = number * 1_000_000 + batch * 100;
            let numbers: Vec<u64> = (first..first + 100).collect();
            let answer = station.post_transactions(&webhook, &numbers);
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        sent
    });
    for filter in ["q=FT000007", "q=ft001204&status=pending", "event=nothing"] {
        let (mut found, mut pages, mut cursor) = (Vec::new(), 0, String::new());
        loop {
            let (page, next) = list(&station, &format!("{filter}&per_page=5{cursor}"));
            found.extend(page.iter().map(id));
            pages += 1;
            let Some(next) = next else { break };
            cursor = format!("&cursor={next}");
        }
        let expected: Vec<String> = match filter {
            "q=FT000007" => vec![wanted[0].clone()],
            "event=nothing" => vec![],
            _ => vec![wanted[1].clone()],
        };
        assert_eq!(found, expected, "{filter}");
        assert!((2..=4).contains(&pages), "{filter}: {pages} pages");
    }
}
