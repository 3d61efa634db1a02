//! Relaying, as a scripted origin sees it: what arrives, who signed it, and who waits
//! for whom. What counts as taken and when a delivery is tried again is in
//! `retrying.rs`; outages that outlast a station are in `crash.rs`.
//!
//! Not tested here: what the runtime of local development drops or joins by itself.

use serde_json::{Value, json};
use tram_tests::{
    Gate, Origin, Received, Reply, Station, assert_signed, attempts_to, casso_body, each_attempt,
    now, waits,
};

fn headers<'a>(received: &'a [Received], name: &str) -> Vec<Option<&'a str>> {
    received
        .iter()
        .map(|request| request.header(name))
        .collect()
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
        "forwarded",
        "via",
        "true-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-original-forwarded-for",
        "x-tram-via",
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
    let webhook = station.casso_webhook_with(&origin,
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
    let webhook = station.casso_webhook_with(
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
    let webhook = station.casso_webhook_with(&origin, &json!({}));
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
        assert!(now().abs_diff(signed_at) < 300, "{timestamp}");
        assert_eq!(request.text(), casso_body(&[7]));
    }
    let counted = ["1", "2", "3", "4", "5"].map(Some);
    assert_eq!(headers(&received, "x-tram-attempt"), counted);
    assert_eq!(headers(&received, "x-tram-hops"), [Some("3"); 5]);
    let event = station.event(&id);
    assert_eq!(each_attempt(&event, "number"), [1, 2, 3, 4, 5]);
    assert_eq!(
        each_attempt(&event, "status_code"),
        [500, 500, 200, 200, 200]
    );
    assert_eq!(event["attempts"], 5);
}

#[test]
fn a_test_call_says_that_it_is_one() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook_with(&origin, &json!({}));
    let answer = station.post_transactions(&webhook, &[0]);
    assert_eq!(answer.header("x-tram-outcome"), Some("test"));
    let request = &origin.wait_for(1)[0];
    assert_eq!(request.header("x-tram-test"), Some("true"));
    assert_signed(request, &webhook.signing_secret);
}

#[test]
fn what_an_unsigned_sender_calls_as_the_station_does_travels_under_other_names() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook_with(
        &origin,
        &json!({"destinations": [
            {"url": origin.url("/signed")},
            {"url": origin.url("/as-it-came"), "sign": false, "forward_credentials": true},
        ]}),
    );
    let sent = [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", "1"),
        ("webhook-signature", "v1,eA=="),
        ("webhook-other", "x"),
        ("user-agent", "Sender/1"),
    ];
    let answer = station.post_casso_with(&webhook, &sent, casso_body(&[1]));
    let ids = answer.assert_taken("accepted");

    let received = origin.wait_for(2);
    let to = |target: &str| {
        let request = received.iter().find(|request| request.target == target);
        request.unwrap_or_else(|| panic!("none to {target}"))
    };
    let signed = to("/signed");
    assert_eq!(assert_signed(signed, &webhook.signing_secret), ids[0]);
    // Only what is replaced is moved.
    assert_eq!(signed.header("webhook-other"), Some("x"));
    let unsigned = to("/as-it-came");
    for (name, value) in &sent[..3] {
        assert_eq!(unsigned.header(name), Some(*value), "{name}");
        let elsewhere = format!("x-tram-original-{name}");
        assert_eq!(signed.header(&elsewhere), Some(*value), "{elsewhere}");
        assert_eq!(unsigned.header(&elsewhere), None, "{elsewhere}");
    }
    assert_eq!(unsigned.header("user-agent"), Some("Sender/1"));
    assert_eq!(unsigned.header("x-tram-attempt"), Some("1"));
    assert_eq!(unsigned.header("x-tram-webhook"), Some(webhook.id.as_str()));
    assert_eq!(unsigned.header("x-tram-event-id"), Some(ids[0].as_str()));
}

#[test]
fn without_signing_there_is_no_signature() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook_with(
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
fn a_destination_that_is_down_hinders_no_other() {
    let (station, mut down, up) = (Station::shared(), Origin::start(), Origin::start());
    down.go_down();
    let webhook = station.casso_webhook_with(
        &up,
        &json!({
            "destinations": [{"url": down.url("/hook")}, {"url": up.url("/hook")}],
            "retry": waits(&[0.2; 100]),
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
    let webhook = station.casso_webhook_with(&origin, &json!({"timeout_seconds": 30}));
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
    let webhook = station.casso_webhook_with(&origin, &json!({"timeout_seconds": 30}));
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
    let webhook = station.casso_webhook_with(&origin, &json!({"retry": waits(&[6.0])}));
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
