//! What counts as taken, and when a delivery is tried again until it is: failures of
//! every kind, time-outs, `strict`, `Retry-After`, schedules to their end.

use serde_json::{Value, json};
use std::time::Duration;
use tram_tests::{
    Origin, Reply, Station, assert_signed, attempts_to, casso_body, each_attempt, millis, waits,
};

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
    let webhook = station.casso_webhook_with(&origin, &json!({}));
    let id = station.send_transaction(&webhook, 1);
    let event = station.wait_for_status(&id, "delivered");

    let received = origin.received();
    assert_eq!(received.len(), 9);
    for request in &received {
        assert_eq!(assert_signed(request, &webhook.signing_secret), id);
        assert_eq!(request.text(), casso_body(&[1]));
    }
    let statuses = json!([500, 404, 422, 429, 304, null, null, 599, 202]);
    assert_eq!(json!(each_attempt(&event, "status_code")), statuses);
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
    let webhook = station.casso_webhook_with(&origin, &json!({"retry": waits(&[0.2; 100])}));
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
    let webhook = station.casso_webhook_with(&origin, &json!({}));
    let id = station.send_transaction(&webhook, 1);
    let event = station.wait_for_status(&id, "delivered");
    let statuses = [301, 302, 303, 307, 308, 200];
    assert_eq!(each_attempt(&event, "status_code"), statuses);
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
    let webhook = station.casso_webhook_with(&origin, &json!({"timeout_seconds": 1}));
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
    let status = json!({"timeout_seconds": 3, "strict": false});
    let webhook = station.casso_webhook_with(&origin, &status);
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
fn no_end_is_waited_for_once_all_is_read_that_is_kept() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook_with(&origin, &json!({"timeout_seconds": 30}));
    for (number, status) in [(1, 200), (2, 404)] {
        origin.then(Reply::status(status).body("x".repeat(1_024)).stall());
        let id = station.send_transaction(&webhook, number);
        let event = station.wait_for_status(&id, "delivered");
        let attempt = &attempts_to(&event, 0)[0];
        assert_eq!(attempt["status_code"], status, "{event:#}");
        assert_eq!(attempt["response_body"], "x".repeat(1_024), "{event:#}");
        assert!(attempt["duration_ms"].as_u64() < Some(30_000), "{event:#}");
    }
}

#[test]
fn an_answer_that_says_it_failed_is_no_success_unless_the_status_alone_is_to_count() {
    let (station, origin) = (Station::shared(), Origin::start());
    let refusals = || {
        [
            Reply::json(&json!({"success": false, "message": "đơn không có"})),
            Reply::status(201).body("\u{feff}{\"success\": 0}"),
            Reply::status(200).body(format!(
                "{{\"pad\":\"{}\",\"success\":false}}",
                "x".repeat(60_000)
            )),
            // The end of its body is not awaited for ever.
            Reply::json(&json!({"success": false})).stall(),
        ]
    };
    let soon = json!({"timeout_seconds": 2});
    let webhook = station.casso_webhook_with(&origin, &soon);
    assert_eq!(webhook.shown["destinations"][0]["strict"], "auto");
    for refusal in refusals() {
        origin.then(refusal);
    }
    let id = station.send_transaction(&webhook, 1);
    let event = station.wait_for_status(&id, "delivered");
    let errors = each_attempt(&event, "error");
    assert_eq!(errors.len(), 5, "{event:#}");
    for (error, status) in errors.iter().zip([200, 201, 200, 200]) {
        let expected = format!(
            "the origin answered {status}, but its body says that it failed (success is false or 0)"
        );
        assert_eq!(*error, expected.as_str());
    }
    for (number, taken) in [
        Reply::status(200).body("OK"),
        Reply::json(&json!({"success": "false"})),
        Reply::json(&json!({"data": {"success": false}})),
        Reply::status(200).body(r#"{"success":false"#).cut(),
        Reply::status(200).body("x".repeat(300_000)),
        Reply::status(200).body("x".repeat(3_000)).stall(),
    ]
    .into_iter()
    .enumerate()
    {
        origin.then(taken);
        let id = station.send_transaction(&webhook, number as u64 + 2);
        let event = station.wait_for_event(&id, |event| event["attempts"].as_u64() >= Some(1));
        assert_eq!(event["status"], "delivered", "{event:#}");
    }

    let path = format!("/webhooks/{}", webhook.id);
    let only_status = json!({"strict": false});
    let shown = station.api_expecting(200, "PUT", &path, Some(&only_status));
    assert_eq!(shown["destinations"][0]["strict"], false);
    for (number, taken) in refusals().into_iter().enumerate() {
        origin.then(taken);
        let id = station.send_transaction(&webhook, number as u64 + 20);
        let event = station.wait_for_event(&id, |event| event["attempts"].as_u64() >= Some(1));
        assert_eq!(event["status"], "delivered", "{event:#}");
    }
    let auto = json!({"strict": "auto"});
    let shown = station.api_expecting(200, "PUT", &path, Some(&auto));
    assert_eq!(shown["destinations"][0]["strict"], "auto");
}

/// As on the platform's Free plan, where one call of an object may make 50 requests.
#[test]
fn a_run_that_may_make_no_more_requests_is_gone_on_with_by_the_alarm_and_nothing_fails() {
    const MOST: u32 = 10;
    let station = Station::builder().most_requests(MOST).start();
    let origin = Origin::start();
    let webhook = station.casso_webhook_with(
        &origin,
        &json!({
            "destinations": [{"url": origin.url("/hook"), "rate_per_second": 1000}],
            "retry": waits(&[1.0; 5]),
        }),
    );
    let path = format!("/webhooks/{}", webhook.id);
    let _ = station.api_expecting(200, "POST", &format!("{path}/pause"), None);
    let ids: Vec<u64> = (1..=60).collect();
    station
        .post_transactions(&webhook, &ids)
        .assert_taken("accepted");
    let _ = station.api_expecting(200, "POST", &format!("{path}/resume"), None);
    let _ = origin.wait_for(ids.len());
    let events = station.wait_for_events(&webhook, |events| {
        events.iter().all(|event| event["status"] == "delivered")
    });
    for event in events {
        assert_eq!(event["attempts"], 1, "{event:#}");
    }
}

#[test]
fn strict_also_asks_for_success_in_the_body() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook =
        station.casso_webhook_with(&origin, &json!({"strict": true, "timeout_seconds": 3}));
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
        padded(65_536).stall(),
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
    let errors = each_attempt(&event, "error");
    assert_eq!(
        errors[2],
        "strict: the body is not a JSON object with success: true"
    );
    assert_eq!(
        errors[8],
        "strict: no success: true in the first 64 KiB of the body"
    );
    for stalled in &errors[10..12] {
        assert_eq!(
            stalled,
            "strict: the body did not come to its end: timed out after 3 s"
        );
    }

    for (number, taken) in [
        Reply::status(201).body(r#"{"success":1,"message":"đã nhận"}"#),
        Reply::status(200).body("\u{feff} {\"success\" : true}\r\n"),
        padded(65_536),
        // More than is looked at: its end cannot matter.
        padded(65_537).stall(),
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
fn retry_after_is_waited_for_and_holds_the_destination() {
    let station = Station::shared();
    for status in [503, 429] {
        let origin = Origin::start();
        origin.then(Reply::status(status).header("retry-after", "2"));
        let webhook = station.casso_webhook_with(&origin, &json!({}));
        let first = station.send_transaction(&webhook, 1);
        station.wait_for_event(&first, |event| event["attempts"].as_u64() >= Some(1));
        let second = station.send_transaction(&webhook, 2);
        for id in [&first, &second] {
            station.wait_for_status(id, "delivered");
        }
        let received = origin.received();
        assert_eq!(received.len(), 3, "{status}");
        // The station counts from when it had the answer, by a clock of its own.
        for later in &received[1..] {
            let waited = later.at.duration_since(received[0].at);
            assert!(
                waited >= Duration::from_millis(1_900),
                "{status}: {waited:?}"
            );
        }
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
    let webhook = station.casso_webhook_with(&origin, &json!({}));
    let id = station.send_transaction(&webhook, 1);
    let event = station.wait_for_status(&id, "delivered");
    assert_eq!(
        each_attempt(&event, "status_code"),
        [500, 404, 503, 429, 200]
    );
}

#[test]
fn a_used_up_schedule_is_failed_and_a_repeat_is_a_wish() {
    let (station, origin) = (Station::shared(), Origin::start());
    origin.always(Reply::status(500));
    let fixed = |max_attempts: u32| json!({"schedule": "fixed", "interval_seconds": 0.1, "max_attempts": max_attempts});
    let growing = json!({"schedule": "exponential", "initial_seconds": 0.05, "factor": 2, "max_seconds": 0.2, "max_attempts": 5});
    for (retry, attempts) in [
        (waits(&[0.1, 0.2]), 3),
        (waits(&[]), 1),
        (fixed(3), 3),
        (fixed(1), 1),
        (growing, 5),
    ] {
        let webhook = station.casso_webhook_with(&origin, &json!({ "retry": retry }));
        let id = station.send_transaction(&webhook, 1);
        let event = station.wait_for_status(&id, "failed");
        assert_eq!(event["attempts"], attempts, "{retry}");
        assert_eq!(event["next_attempt_at"], Value::Null, "{retry}");
        assert_eq!(event["deliveries"][0]["status"], "failed", "{retry}");
    }

    let webhook = station.casso_webhook_with(&origin, &json!({"retry": waits(&[0.1])}));
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
    assert_eq!(each_attempt(&event, "number"), [1, 2, 3]);
    // Delivered now: a further repeat is answered and dropped.
    let further = station.post_transactions(&webhook, &[1]);
    assert_eq!(further.header("x-tram-outcome"), Some("duplicate"));
    let other = station.send_transaction(&webhook, 2);
    station.wait_for_status(&other, "delivered");
    let arrived = origin.received();
    let arrived: Vec<_> = arrived
        .iter()
        .map(|request| request.header("webhook-id"))
        .collect();
    assert_eq!(arrived, [Some(id.as_str()), Some(other.as_str())]);
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
        (waits(&[0.0, 0.0, 7_200.0]), vec![0, 0, 7_200]),
    ] {
        let webhook = station.casso_webhook_with(&origin, &json!({ "retry": retry }));
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
    let webhook = station.casso_webhook_with(&origin, &json!({"retry": waits(&[0.0; 29])}));
    let id = station.send_transaction(&webhook, 1);
    let event = station.wait_for_status(&id, "failed");
    let kept: Vec<u64> = (1..=5).chain(11..=30).collect();
    assert_eq!(each_attempt(&event, "number"), kept);
    assert_eq!(event["attempts"], 30);
    assert_eq!(origin.count(), 30);
}

#[test]
fn the_length_of_a_chunked_answer_is_what_its_chunks_say() {
    let (station, origin) = (Station::shared(), Origin::start());
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunks = "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    origin.always(Reply::garbage().body([head, chunks].concat()));
    let webhook = station.casso_webhook(&origin);
    let id = station.send_transaction(&webhook, 1);
    let events = station.wait_for_events(&webhook, |events| {
        events.iter().all(|event| event["status"] == "delivered")
    });
    assert_eq!(events.len(), 1);
    let event = station.api_expecting(200, "GET", &format!("/events/{id}"), None);
    assert_eq!(attempts_to(&event, 0)[0]["response_body"], "hello world");
}

/// A schedule by which nothing is tried again while a test lasts.
const MUCH_LATER: [f64; 3] = [3_600.0; 3];

#[test]
fn a_kept_connection_that_was_closed_is_tried_once_more_at_once() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook_with(&origin, &json!({"retry": waits(&MUCH_LATER)}));
    // Nothing can be kept yet.
    origin.then(Reply::close());
    let first = station.send_transaction(&webhook, 1);
    let event = station.wait_for_event(&first, |event| event["attempts"] == 1);
    assert_eq!(event["status"], "pending");
    let second = station.send_transaction(&webhook, 2);
    station.wait_for_status(&second, "delivered");

    origin.forget();
    origin.then(Reply::close());
    let third = station.send_transaction(&webhook, 3);
    let event = station.wait_for_status(&third, "delivered");
    assert_eq!(json!(each_attempt(&event, "number")), json!([1, 2]));
    assert_eq!(
        json!(each_attempt(&event, "status_code")),
        json!([null, 200])
    );
    let numbers: Vec<_> = origin
        .received()
        .iter()
        .map(|request| request.header("x-tram-attempt").map(str::to_owned))
        .collect();
    assert_eq!(json!(numbers), json!(["1", "2"]));

    // Once, and not twice; and it is one step of the schedule.
    origin.then(Reply::close()).then(Reply::close());
    let fourth = station.send_transaction(&webhook, 4);
    let event = station.wait_for_event(&fourth, |event| event["attempts"] == 2);
    assert_eq!(event["status"], "pending");
    let at = millis(&event["next_attempt_at"]);
    let hour = at - millis(&attempts_to(&event, 0)[1]["started_at"]);
    assert!((3_500_000..4_100_000).contains(&hour), "{hour}");
}

#[test]
fn what_was_delivered_stays_so_when_it_is_sent_again_and_refused() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook_with(&origin, &json!({"retry": waits(&[0.2; 3])}));
    let id = station.send_transaction(&webhook, 1);
    station.wait_for_status(&id, "delivered");
    let resend = format!("/events/{id}/resend");
    for (failure, attempts) in [(409, 2), (422, 3), (500, 7)] {
        origin.always(Reply::status(failure));
        station.api_expecting(202, "POST", &resend, None);
        let event = station.wait_for_event(&id, |event| {
            event["attempts"] == attempts && event["status"] != "pending"
        });
        assert_eq!(event["status"], "delivered", "{failure}");
        assert_eq!(event["last_status_code"], failure);
    }
    let failed = station.api_expecting(
        200,
        "GET",
        &format!("/events?webhook_id={}&status=failed", webhook.id),
        None,
    );
    assert_eq!(failed["data"], json!([]));
}
