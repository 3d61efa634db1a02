//! Relaying, as a scripted origin sees it: what arrives, who signed it, when it comes
//! again, and what the operator is shown of it.
//!
//! That the runtime of local development drops or joins some header fields itself is
//! not tested here; nor are outages that outlast a station (`crash.rs`).

use serde_json::{Value, json};
use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tram_tests::{
    Origin, PATIENCE, Received, Reply, Station, Webhook, assert_signed, casso_body, signature,
};

/// Casso to `origin`, with quick tries, and `more` fields over that.
#[track_caller]
fn casso(station: &Station, origin: &Origin, more: &Value) -> Webhook {
    let mut webhook = json!({
        "provider": "casso",
        "webhook_url": origin.url("/hook"),
        "retry": custom(&[0.1; 20]),
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        webhook[name] = value.clone();
    }
    if webhook.get("destinations").is_some() {
        webhook
            .as_object_mut()
            .and_then(|webhook| webhook.remove("webhook_url"));
    }
    station.create_webhook(&webhook)
}

fn custom(delays_seconds: &[f64]) -> Value {
    json!({"schedule": "custom", "delays_seconds": delays_seconds})
}

/// The attempts of an event's delivery to its `destination`th destination.
fn attempts_to(event: &Value, destination: usize) -> Vec<Value> {
    event["deliveries"][destination]["attempts"]
        .as_array()
        .unwrap_or_else(|| panic!("no attempts in {event:#}"))
        .clone()
}

/// One field of each attempt of an event with one destination.
fn each(event: &Value, field: &str) -> Vec<Value> {
    let attempts = attempts_to(event, 0);
    attempts
        .iter()
        .map(|attempt| attempt[field].clone())
        .collect()
}

fn headers<'a>(received: &'a [Received], name: &str) -> Vec<Option<&'a str>> {
    received
        .iter()
        .map(|request| request.header(name))
        .collect()
}

fn unix_seconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a clock after 1970").as_secs()
}

/// Milliseconds since 1970 of a time as the API writes it, `2026-11-20T07:00:00.000Z`.
#[track_caller]
fn millis(time: &Value) -> i64 {
    let text = time.as_str().unwrap_or_else(|| panic!("no time: {time}"));
    let numbers: Vec<i64> = text
        .split(['-', 'T', ':', '.', 'Z'])
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse().expect("digits"))
        .collect();
    let [year, month, day, hour, minute, second, milli] = numbers[..] else {
        panic!("not a time with milliseconds: {text}");
    };
    // Days of the Gregorian calendar, counted from a March.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + milli
}

/// Holds requests to an origin until they are let through.
#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    news: Condvar,
}

#[derive(Default)]
struct GateState {
    arrived: usize,
    permits: usize,
}

impl Gate {
    /// A closed one before `origin`, which answers 200 behind it.
    fn before(origin: &Origin) -> Arc<Self> {
        let gate = Arc::new(Self::default());
        let keeper = Arc::clone(&gate);
        origin.answer_with(move |_| {
            keeper.pass();
            Reply::status(200)
        });
        gate
    }

    fn state(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().expect("no panic inside")
    }

    fn pass(&self) {
        let mut state = self.state();
        state.arrived += 1;
        self.news.notify_all();
        while state.permits == 0 {
            state = self.news.wait(state).expect("no panic inside");
        }
        state.permits -= 1;
    }

    fn let_through(&self, count: usize) {
        self.state().permits += count;
        self.news.notify_all();
    }

    #[track_caller]
    fn wait_for_arrivals(&self, count: usize) {
        let (state, _) = self
            .news
            .wait_timeout_while(self.state(), PATIENCE, |state| state.arrived < count)
            .expect("no panic inside");
        assert!(
            state.arrived >= count,
            "{} of {count} arrived",
            state.arrived
        );
    }
}

#[test]
fn a_request_arrives_as_it_came_less_what_belongs_to_its_way() {
    const DROPPED: &str = "must-not-arrive";
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.create_webhook(&json!({
        "provider": "custom",
        "settings": {"header": "x-auth"},
        "webhook_url": origin.url("/a%2Fb/hook?shop=1"),
    }));
    let body = [0, 255, 13, 10, 128, b'{'];
    let passed_on = [
        ("content-type", "application/x-bank; v=\"1\""),
        ("accept", "text/plain"),
        ("authorization", "Basic YTpi"),
        ("date", "Fri, 20 Nov 2026 07:00:00 GMT"),
        ("x-empty", ""),
        ("x-name", "Trạm, 驛"),
        ("x-auth", webhook.secret.as_str()),
    ];
    let dropped = [
        "cookie",
        "cf-ray",
        "cf-connecting-ip",
        "cf-anything",
        "cdn-loop",
        "x-forwarded-for",
        "x-forwarded-anything",
        "x-real-ip",
        "x-tram-attempt",
        "x-tram-test",
        "x-tram-anything",
        "accept-encoding",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
    ]
    .map(|name| (name, DROPPED));
    let sent = [
        &passed_on[..],
        &dropped,
        &[("expect", "100-continue"), ("user-agent", "Bank/1")],
    ]
    .concat();
    let path = format!("{}?vnp=%C3%A1%20b&c=+&c=", webhook.path);
    let answer = station.client().send("PUT", &path, &sent, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());

    let request = &origin.wait_for(1)[0];
    assert_eq!(request.method, "PUT");
    assert_eq!(request.target, "/a%2Fb/hook?shop=1&vnp=%C3%A1%20b&c=+&c=");
    assert_eq!(request.body, body);
    for (name, value) in passed_on {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    for (name, value) in &request.headers {
        assert!(!value.contains(DROPPED), "{name}: {value}");
        assert!(!name.eq_ignore_ascii_case("expect"), "{name}: {value}");
    }
    for (name, value) in [
        ("host", origin.address().to_string().as_str()),
        ("content-length", "6"),
        ("user-agent", concat!("tram/", env!("CARGO_PKG_VERSION"))),
        ("x-tram-attempt", "1"),
        ("x-tram-hops", "1"),
        ("x-tram-provider", "custom"),
        ("x-tram-webhook", &webhook.id),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert_eq!(request.header("x-tram-test"), None);
    let id = assert_signed(request, &webhook.signing_secret);
    assert_eq!(answer.header("x-tram-event-id"), Some(id.as_str()));
}

#[test]
fn the_operators_own_fields_come_last() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = casso(
        &station,
        &origin,
        &json!({
            "headers": {"X-From": "webhook", "x-who": "webhook", "User-Agent": "Shop/2"},
            "destinations": [{
                "url": origin.url("/hook"),
                "headers": {"x-who": "destination", "cf-access-client-id": "abc", "x-shop": "Cửa hàng"},
            }],
        }),
    );
    let sent = [
        ("secure-token", webhook.secret.as_str()),
        ("x-from", "provider"),
        ("x-who", "provider"),
        ("x-shop", "provider"),
        ("x-other", "provider"),
    ];
    let answer = station.post(&webhook.path, &sent, casso_body(&[1]));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let request = &origin.wait_for(1)[0];
    for (name, value) in [
        ("x-from", "webhook"),
        ("x-who", "destination"),
        ("x-shop", "Cửa hàng"),
        ("cf-access-client-id", "abc"),
        ("user-agent", "Shop/2"),
        ("x-other", "provider"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert_signed(request, &webhook.signing_secret);
}

#[test]
fn credentials_go_to_the_first_destination_and_to_whom_they_are_allowed() {
    let station = Station::shared();
    let origins = [Origin::start(), Origin::start(), Origin::start()];
    let [first, second, third] = &origins;
    let webhook = casso(
        &station,
        first,
        &json!({"destinations": [
            {"url": first.url("/hook")},
            {"url": second.url("/hook")},
            {"url": third.url("/hook"), "forward_credentials": true},
        ]}),
    );
    station.send_transaction(&webhook, 1);
    let arrived = origins.each_ref().map(|origin| {
        let request = origin.wait_for(1).remove(0);
        assert_eq!(request.text(), casso_body(&[1]));
        assert_signed(&request, &webhook.signing_secret);
        request.header("secure-token").map(str::to_owned)
    });
    let secret = Some(webhook.secret.clone());
    assert_eq!(arrived, [secret.clone(), None, secret]);
}

#[test]
fn every_attempt_is_signed_anew_under_one_id_and_counted() {
    let (station, origin) = (Station::shared(), Origin::start());
    origin.then(Reply::status(500)).then(Reply::status(500));
    let webhook = casso(&station, &origin, &json!({}));
    let sent = [
        ("secure-token", webhook.secret.as_str()),
        ("x-tram-hops", "2"),
    ];
    let answer = station.post(&webhook.path, &sent, casso_body(&[7]));
    let id = answer.header("x-tram-event-id").expect("an id").to_owned();
    station.wait_for_status(&id, "delivered");
    for _ in 0..2 {
        let path = format!("/events/{id}/resend");
        let queued = station.api_expecting(202, "POST", &path, None);
        assert_eq!(queued, json!({"queued": 1}));
        station.wait_for_status(&id, "delivered");
    }

    let received = origin.received();
    for request in &received {
        assert_eq!(assert_signed(request, &webhook.signing_secret), id);
        let timestamp = request.header("webhook-timestamp").expect("a timestamp");
        let signed_at: u64 = timestamp.parse().expect("Unix seconds");
        assert!(unix_seconds().abs_diff(signed_at) < 300, "{timestamp}");
        assert_eq!(request.text(), casso_body(&[7]));
    }
    let counted = ["1", "2", "3", "4", "5"].map(Some);
    assert_eq!(headers(&received, "x-tram-attempt"), counted);
    assert_eq!(headers(&received, "x-tram-hops"), [Some("3"); 5]);
    let event = station.event(&id);
    assert_eq!(each(&event, "number"), [1, 2, 3, 4, 5]);
    assert_eq!(each(&event, "status_code"), [500, 500, 200, 200, 200]);
    assert_eq!(event["attempts"], 5);
}

#[test]
fn a_test_call_says_that_it_is_one() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = casso(&station, &origin, &json!({}));
    let answer = station.post_transactions(&webhook, &[0]);
    assert_eq!(answer.header("x-tram-outcome"), Some("test"));
    let request = &origin.wait_for(1)[0];
    assert_eq!(request.header("x-tram-test"), Some("true"));
    assert_signed(request, &webhook.signing_secret);
}

#[test]
fn a_signed_senders_fields_travel_under_other_names_and_unsigned_as_they_came() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.create_webhook(&json!({
        "provider": "standard-webhooks",
        "destinations": [
            {"url": origin.url("/signed")},
            {"url": origin.url("/as-it-came"), "sign": false, "forward_credentials": true},
        ],
    }));
    let (body, timestamp) = (br#"{"type":"paid"}"#, unix_seconds().to_string());
    let theirs = signature(&webhook.secret, "msg_1", &timestamp, body);
    let sent = [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", timestamp.as_str()),
        ("webhook-signature", theirs.as_str()),
        ("webhook-other", "x"),
        ("user-agent", "Sender/1"),
    ];
    let answer = station.post(&webhook.path, &sent, body);
    assert_eq!(answer.status, 200, "{}", answer.text());

    let received = origin.wait_for(2);
    let to = |target: &str| {
        let request = received.iter().find(|request| request.target == target);
        request.unwrap_or_else(|| panic!("none to {target}"))
    };
    let signed = to("/signed");
    let id = assert_signed(signed, &webhook.signing_secret);
    assert_eq!(answer.header("x-tram-event-id"), Some(id.as_str()));
    assert_eq!(signed.header("webhook-other"), None);
    let unsigned = to("/as-it-came");
    for (name, value) in &sent[..4] {
        assert_eq!(unsigned.header(name), Some(*value), "{name}");
        let elsewhere = format!("x-tram-original-{name}");
        assert_eq!(signed.header(&elsewhere), Some(*value), "{elsewhere}");
        assert_eq!(unsigned.header(&elsewhere), None, "{elsewhere}");
    }
    assert_eq!(unsigned.header("user-agent"), Some("Sender/1"));
    assert_eq!(unsigned.header("x-tram-attempt"), Some("1"));
    assert_eq!(unsigned.header("x-tram-webhook"), Some(webhook.id.as_str()));
}

#[test]
fn without_signing_there_is_no_signature() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = casso(
        &station,
        &origin,
        &json!({"destinations": [{"url": origin.url("/hook"), "sign": false}]}),
    );
    station.send_transaction(&webhook, 1);
    let request = &origin.wait_for(1)[0];
    for (name, value) in &request.headers {
        assert!(
            !name.to_ascii_lowercase().starts_with("webhook-"),
            "{name}: {value}"
        );
    }
    assert_eq!(request.header("x-tram-provider"), Some("casso"));
}

#[test]
fn whatever_goes_wrong_is_tried_again_until_the_origin_takes_it() {
    let (station, origin) = (Station::shared(), Origin::start());
    for failure in [
        Reply::status(500).body("lỗi máy chủ"),
        Reply::status(404),
        Reply::status(422).body([0xff, b'!']),
        Reply::status(429),
        Reply::status(304),
        Reply::close(),
        Reply::garbage(),
        Reply::status(599),
        Reply::status(202).header("retry-after", "3600"),
    ] {
        origin.then(failure);
    }
    let webhook = casso(&station, &origin, &json!({}));
    let id = station.send_transaction(&webhook, 1);
    let event = station.wait_for_status(&id, "delivered");

    let received = origin.received();
    assert_eq!(received.len(), 9);
    for request in &received {
        assert_eq!(assert_signed(request, &webhook.signing_secret), id);
        assert_eq!(request.text(), casso_body(&[1]));
    }
    let statuses = json!([500, 404, 422, 429, 304, null, null, 599, 202]);
    assert_eq!(json!(each(&event, "status_code")), statuses);
    for (at, attempt) in attempts_to(&event, 0).iter().enumerate() {
        assert_eq!(attempt["error"].is_string(), at < 8, "{attempt}");
    }
    assert_eq!(attempts_to(&event, 0)[0]["response_body"], "lỗi máy chủ");
    assert_eq!(attempts_to(&event, 0)[2]["response_body"], "\u{fffd}!");
    assert_eq!(event["last_status_code"], 202);
    assert_eq!(event["next_attempt_at"], Value::Null);
}

#[test]
fn an_origin_that_is_down_gets_it_when_it_is_back() {
    let (station, mut origin) = (Station::shared(), Origin::start());
    origin.go_down();
    let webhook = casso(&station, &origin, &json!({"retry": custom(&[0.2; 100])}));
    let id = station.send_transaction(&webhook, 1);
    let waiting = station.wait_for_event(&id, |event| event["attempts"].as_u64() >= Some(2));
    assert_eq!(waiting["status"], "pending");
    assert_eq!(waiting["last_status_code"], Value::Null);
    let error = attempts_to(&waiting, 0)[0]["error"].clone();
    let error = error.as_str().expect("an error");
    assert!(error.starts_with("no connection"), "{error}");
    origin.come_back();
    let delivered = station.wait_for_status(&id, "delivered");
    assert_eq!(origin.count(), 1);
    assert_eq!(delivered["last_status_code"], 200);
}

#[test]
fn redirects_are_failures_and_not_followed() {
    let (station, origin) = (Station::shared(), Origin::start());
    for status in [301, 302, 303, 307, 308] {
        origin.then(Reply::status(status).header("location", &origin.url("/elsewhere")));
    }
    let webhook = casso(&station, &origin, &json!({}));
    let id = station.send_transaction(&webhook, 1);
    let event = station.wait_for_status(&id, "delivered");
    let statuses = [301, 302, 303, 307, 308, 200];
    assert_eq!(each(&event, "status_code"), statuses);
    for request in origin.received() {
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("POST", "/hook")
        );
    }
}

#[test]
fn an_origin_has_its_time_to_answer_and_no_more() {
    let (station, origin) = (Station::shared(), Origin::start());
    origin.then(Reply::hang());
    let webhook = casso(&station, &origin, &json!({"timeout_seconds": 1}));
    let id = station.send_transaction(&webhook, 1);
    let event = station.wait_for_status(&id, "delivered");
    let attempts = attempts_to(&event, 0);
    assert!(attempts.len() > 1, "{event:#}");
    assert_eq!(attempts[0]["error"], "timed out after 1 s");
    assert_eq!(attempts[0]["status_code"], Value::Null);
    assert!(
        attempts[0]["duration_ms"].as_u64() >= Some(950),
        "{event:#}"
    );
}

#[test]
fn the_status_decides_however_the_body_ends() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = casso(&station, &origin, &json!({"timeout_seconds": 3}));
    for (number, (body, reply)) in [
        ("stalled", Reply::status(200).body("stalled").stall()),
        ("", Reply::status(200).stall()),
        ("cut", Reply::status(201).body("cut").cut()),
        (
            "{\"success\":false}",
            Reply::json(&json!({"success": false})),
        ),
        ("xxxx", Reply::status(200).body("x".repeat(5_000_000))),
    ]
    .into_iter()
    .enumerate()
    {
        origin.then(reply);
        let id = station.send_transaction(&webhook, number as u64 + 1);
        let event = station.wait_for_event(&id, |event| event["attempts"].as_u64() >= Some(1));
        assert_eq!(event["status"], "delivered", "{body}: {event:#}");
        assert_eq!(event["attempts"], 1, "{body}: {event:#}");
        let kept = attempts_to(&event, 0)[0]["response_body"].clone();
        let kept = kept.as_str().expect("a text");
        assert!(
            kept.starts_with(body) && kept.len() <= 1_024,
            "{body}: {kept}"
        );
    }
    assert_eq!(origin.count(), 5);
}

#[test]
fn strict_also_asks_for_success_in_the_body() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = casso(
        &station,
        &origin,
        &json!({"strict": true, "timeout_seconds": 3}),
    );
    let padded = |bytes: usize| {
        let mut body = br#"{"success":true}"#.to_vec();
        body.resize(bytes, b' ');
        Reply::status(200).body(body)
    };
    let refusals = [
        Reply::status(200),
        Reply::status(204),
        Reply::json(&json!({"success": false})),
        Reply::json(&json!({"ok": true})),
        Reply::json(&json!({"success": "true"})),
        Reply::json(&json!([{"success": true}])),
        Reply::status(200).body("OK"),
        Reply::status(500).body(r#"{"success":true}"#),
        Reply::status(200).body(format!(
            "{{\"pad\":\"{}\",\"success\":true}}",
            "x".repeat(2_000_000)
        )),
        Reply::status(200).body(r#"{"success":true}"#).cut(),
        Reply::status(200).body(r#"{"success":true}"#).stall(),
    ];
    let count = refusals.len();
    for refusal in refusals {
        origin.then(refusal);
    }
    origin.always(Reply::json(&json!({"success": true})));
    let id = station.send_transaction(&webhook, 1);
    let event = station.wait_for_status(&id, "delivered");
    let attempts = attempts_to(&event, 0);
    assert_eq!(attempts.len(), count + 1, "{event:#}");
    for (at, attempt) in attempts.iter().enumerate() {
        assert_eq!(attempt["error"].is_string(), at < count, "{attempt}");
    }
    let errors = each(&event, "error");
    assert_eq!(
        errors[2],
        "strict: the body is not a JSON object with success: true"
    );
    assert_eq!(
        errors[8],
        "strict: no success: true in the first 64 KiB of the body"
    );
    assert_eq!(
        errors[10],
        "strict: the body did not come to its end: timed out after 3 s"
    );

    for (number, taken) in [
        Reply::status(201).body(r#"{"success":1,"message":"đã nhận"}"#),
        Reply::status(200).body("\u{feff} {\"success\" : true}\r\n"),
        padded(65_536),
    ]
    .into_iter()
    .enumerate()
    {
        origin.then(taken);
        let id = station.send_transaction(&webhook, number as u64 + 2);
        let event = station.wait_for_event(&id, |event| event["attempts"].as_u64() >= Some(1));
        assert_eq!(event["status"], "delivered", "{event:#}");
    }
}

#[test]
fn retry_after_of_a_503_is_waited_for_and_holds_the_destination() {
    let (station, origin) = (Station::shared(), Origin::start());
    origin.then(Reply::status(503).header("retry-after", "2"));
    let webhook = casso(&station, &origin, &json!({}));
    let first = station.send_transaction(&webhook, 1);
    station.wait_for_event(&first, |event| event["attempts"].as_u64() >= Some(1));
    let second = station.send_transaction(&webhook, 2);
    for id in [&first, &second] {
        station.wait_for_status(id, "delivered");
    }
    let received = origin.received();
    assert_eq!(received.len(), 3);
    // The station counts from when it had the answer, by a clock of its own.
    for later in &received[1..] {
        let waited = later.at.duration_since(received[0].at);
        assert!(waited >= Duration::from_millis(1_900), "{waited:?}");
    }
}

#[test]
fn retry_after_of_other_answers_is_nothing() {
    let (station, origin) = (Station::shared(), Origin::start());
    origin
        .then(Reply::status(500).header("retry-after", "3600"))
        .then(Reply::status(404).header("retry-after", "3600"))
        .then(Reply::status(503).header("retry-after", "soon"))
        .then(Reply::status(429).header("retry-after", "0"));
    let webhook = casso(&station, &origin, &json!({}));
    let id = station.send_transaction(&webhook, 1);
    let event = station.wait_for_status(&id, "delivered");
    assert_eq!(each(&event, "status_code"), [500, 404, 503, 429, 200]);
}

#[test]
fn a_used_up_schedule_is_failed_and_a_repeat_is_a_wish() {
    let (station, origin) = (Station::shared(), Origin::start());
    origin.always(Reply::status(500));
    let fixed = |max_attempts: u32| json!({"schedule": "fixed", "interval_seconds": 0.1, "max_attempts": max_attempts});
    let growing = json!({"schedule": "exponential", "initial_seconds": 0.05, "factor": 2, "max_seconds": 0.2, "max_attempts": 5});
    for (retry, attempts) in [
        (custom(&[0.1, 0.2]), 3),
        (custom(&[]), 1),
        (fixed(3), 3),
        (fixed(1), 1),
        (growing, 5),
    ] {
        let webhook = casso(&station, &origin, &json!({ "retry": retry }));
        let id = station.send_transaction(&webhook, 1);
        let event = station.wait_for_status(&id, "failed");
        assert_eq!(event["attempts"], attempts, "{retry}");
        assert_eq!(event["next_attempt_at"], Value::Null, "{retry}");
        assert_eq!(event["deliveries"][0]["status"], "failed", "{retry}");
    }

    let webhook = casso(&station, &origin, &json!({"retry": custom(&[0.1])}));
    let id = station.send_transaction(&webhook, 1);
    station.wait_for_status(&id, "failed");
    origin.always(Reply::status(200));
    origin.forget();
    let again = station.post_transactions(&webhook, &[1]);
    assert_eq!(
        (again.status, again.header("x-tram-outcome")),
        (200, Some("duplicate"))
    );
    let event = station.wait_for_status(&id, "delivered");
    assert_eq!(each(&event, "number"), [1, 2, 3]);
    // Delivered now: a further repeat is answered and dropped.
    let further = station.post_transactions(&webhook, &[1]);
    assert_eq!(further.header("x-tram-outcome"), Some("duplicate"));
    let other = station.send_transaction(&webhook, 2);
    station.wait_for_status(&other, "delivered");
    let arrived = origin.received();
    assert_eq!(
        headers(&arrived, "webhook-id"),
        [Some(id.as_str()), Some(other.as_str())]
    );
}

#[test]
fn the_next_attempt_stands_where_the_schedule_puts_it() {
    let (station, origin) = (Station::shared(), Origin::start());
    origin.always(Reply::status(500));
    for (retry, waits) in [
        (json!({"schedule": "fibonacci"}), vec![60]),
        (json!({"schedule": "standard"}), vec![5, 300, 1_800]),
        (
            json!({"schedule": "fixed", "interval_seconds": 300, "max_attempts": 3}),
            vec![300],
        ),
        (
            json!({"schedule": "exponential", "initial_seconds": 1, "factor": 90, "max_seconds": 600, "max_attempts": 9}),
            vec![1, 90, 600],
        ),
        (custom(&[0.0, 0.0, 7_200.0]), vec![0, 0, 7_200]),
    ] {
        let webhook = casso(&station, &origin, &json!({ "retry": retry }));
        let id = station.send_transaction(&webhook, 1);
        // As far as it comes within the time of a test.
        let soon = waits.iter().take_while(|wait| **wait < 5).count();
        let event = station.wait_for_event(&id, |event| {
            attempts_to(event, 0).len() > soon && !event["next_attempt_at"].is_null()
        });
        let attempts = attempts_to(&event, 0);
        let last = attempts.last().expect("an attempt");
        let ended = millis(&last["started_at"]) + last["duration_ms"].as_i64().expect("a number");
        let waits_for = millis(&event["next_attempt_at"]) - ended;
        let wait = waits[attempts.len() - 1] * 1_000;
        // Up to a tenth of jitter, and whatever time writing it down may take.
        assert!(
            (wait..=wait + wait / 10 + 5_000).contains(&waits_for),
            "{retry}: {waits_for} ms after attempt {}",
            attempts.len()
        );
    }
}

#[test]
fn the_first_five_and_the_last_twenty_attempts_are_kept() {
    let (station, origin) = (Station::shared(), Origin::start());
    origin.always(Reply::status(500));
    let webhook = casso(&station, &origin, &json!({"retry": custom(&[0.0; 29])}));
    let id = station.send_transaction(&webhook, 1);
    let event = station.wait_for_status(&id, "failed");
    let kept: Vec<u64> = (1..=5).chain(11..=30).collect();
    assert_eq!(each(&event, "number"), kept);
    assert_eq!(event["attempts"], 30);
    assert_eq!(origin.count(), 30);
}

#[test]
fn a_destination_that_is_down_hinders_no_other() {
    let (station, mut down, up) = (Station::shared(), Origin::start(), Origin::start());
    down.go_down();
    let webhook = casso(
        &station,
        &up,
        &json!({
            "destinations": [{"url": down.url("/hook")}, {"url": up.url("/hook")}],
            "retry": custom(&[0.2; 100]),
        }),
    );
    let id = station.send_transaction(&webhook, 1);
    up.wait_for(1);
    let event = station.wait_for_event(&id, |event| {
        event["deliveries"][1]["status"] == "delivered" && attempts_to(event, 0).len() > 1
    });
    assert_eq!(event["status"], "pending");
    assert_eq!(event["deliveries"][0]["status"], "pending");
    down.come_back();
    let event = station.wait_for_status(&id, "delivered");
    assert_eq!((down.count(), up.count()), (1, 1));
    assert_eq!(attempts_to(&event, 1).len(), 1);
}

#[test]
fn a_destination_that_is_slow_hinders_no_other() {
    let (station, slow, quick) = (Station::shared(), Origin::start(), Origin::start());
    let gate = Gate::before(&slow);
    let webhook = casso(
        &station,
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
    assert_eq!(slow.count(), 0);
    gate.let_through(8);
    for id in &ids {
        station.wait_for_status(id, "delivered");
    }
    assert_eq!((slow.count(), quick.count()), (8, 8));
}

#[test]
fn six_at_once_and_a_free_slot_is_filled() {
    let (station, origin) = (Station::shared(), Origin::start());
    let gate = Gate::before(&origin);
    let webhook = casso(&station, &origin, &json!({"timeout_seconds": 30}));
    let ids: Vec<String> = (1..=10)
        .map(|number| station.send_transaction(&webhook, number))
        .collect();
    gate.wait_for_arrivals(6);
    for arrivals in 7..=10 {
        gate.let_through(1);
        gate.wait_for_arrivals(arrivals);
    }
    gate.let_through(6);
    for id in &ids {
        station.wait_for_status(id, "delivered");
    }
    assert_eq!(origin.most_at_once(), 6);
    assert_eq!(origin.count(), 10);
}

#[test]
fn a_new_event_does_not_wait_for_a_slow_one() {
    let (station, origin) = (Station::shared(), Origin::start());
    let gate = Gate::before(&origin);
    let webhook = casso(&station, &origin, &json!({"timeout_seconds": 30}));
    let ids = [1, 2, 3].map(|number| {
        let id = station.send_transaction(&webhook, number);
        // All before it are still out.
        gate.wait_for_arrivals(usize::try_from(number).expect("small"));
        id
    });
    assert_eq!(origin.count(), 0, "none has been let through");
    gate.let_through(3);
    for id in &ids {
        station.wait_for_status(id, "delivered");
    }
}

#[test]
fn a_destination_is_judged_again_when_it_is_sent_to() {
    let mut station = Station::start();
    let origin = Origin::start();
    origin.always(Reply::status(500));
    let webhook = casso(&station, &origin, &json!({"retry": custom(&[6.0])}));
    let id = station.send_transaction(&webhook, 1);
    origin.wait_for(1);
    station.wait_for_event(&id, |event| event["attempts"] == 1);
    station.set_variable("ALLOW_PRIVATE_DESTINATIONS", None);
    station.restart();
    let event = station.wait_for_status(&id, "failed");
    let attempts = attempts_to(&event, 0);
    assert_eq!(attempts.len(), 2, "{event:#}");
    assert_eq!(
        attempts[1]["error"],
        "not sent: the destination's URL must begin with https://"
    );
    assert_eq!(attempts[1]["status_code"], Value::Null);
    assert_eq!(origin.count(), 1);
}
