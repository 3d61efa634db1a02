use super::*;
use crate::{
    delivery::StoredEvent,
    event::Envelope,
    ids::{DestinationId, EventId, Sequence, WebhookId},
    secret::Secret,
    webhook::{DirectionFilter, PreviousSecret, Resign, Retry, Settings},
};
use proptest::prelude::*;
use std::rc::Rc;

const NOW: Timestamp = Timestamp::from_millis(1_763_632_800_999);
const CREDENTIALS: [&str; 1] = ["secure-token"];
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const BODY: &[u8] = br#"{"error":0,"data":[{"id":5001,"amount":200500}]}"#;

fn destination(number: u8, url: &str) -> Destination {
    Destination {
        id: DestinationId::from_random([number; 8]),
        url: url.into(),
        headers: BTreeMap::new(),
        timeout_seconds: 5,
        strict: Strict::Auto,
        sign: true,
        // As the first has it unless somebody says otherwise.
        forward_credentials: number == 1,
        resign: Resign::default(),
        rate_per_second: 20,
    }
}

fn webhook() -> Webhook {
    Webhook {
        id: WebhookId::from_random([1; 16]),
        version: 1,
        name: "Webhook đơn hàng".into(),
        provider: "casso".into(),
        settings: Settings::default(),
        secrets: vec![],
        has_generated_secret: false,
        destinations: vec![
            destination(1, "https://shop.example/hook"),
            destination(2, "https://books.example/in?tenant=7"),
        ],
        is_active: true,
        is_paused: false,
        signing_secret: Secret::new(SECRET.into()),
        previous_signing_secret: None,
        older_signing_secrets: Vec::new(),
        direction: DirectionFilter::All,
        accounts: vec![],
        allow_events: vec!["*".into()],
        headers: BTreeMap::new(),
        retry: Retry::Fibonacci,
        give_up_after_hours: 72,
        retention_days: 30,
        dedupe_days: 400,
        alert_url: None,
        alert_after_minutes: 15,
        shards: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn event() -> StoredEvent {
    StoredEvent {
        id: EventId {
            sequence: Sequence::next(Sequence::default(), NOW),
            webhook: WebhookId::from_random([1; 16]),
            shard: 0,
        },
        envelope: Envelope {
            method: "POST".into(),
            query: String::new(),
            headers: [
                ("content-type", "application/json"),
                ("secure-token", "casso-secret"),
                ("user-agent", "axios/1.7"),
                ("accept", "*/*"),
                ("accept-encoding", "gzip, br"),
                ("content-length", "48"),
                ("host", "hooks.example.com"),
                ("cf-connecting-ip", "203.0.113.9"),
                ("cf-ray", "8f"),
                ("x-forwarded-for", "203.0.113.9"),
                ("x-real-ip", "203.0.113.9"),
            ]
            .into_iter()
            .collect(),
        },
        body: BODY.to_vec(),
        test: false,
    }
}

fn job(event: StoredEvent) -> Job {
    Job {
        event: Rc::new(event),
        destination: DestinationId::from_random([1; 8]),
        number: 3,
        connection_may_be_kept: false,
    }
}

fn send<'a>(webhook: &Webhook, to: usize, job: &'a Job) -> Outgoing<'a> {
    outgoing(
        webhook,
        &webhook.destinations[to],
        job,
        &CREDENTIALS,
        &Station::default(),
        "0.1.0",
        NOW,
    )
    .unwrap()
}

/// The values of one field, in order.
fn values<'a>(outgoing: &'a Outgoing<'_>, name: &str) -> Vec<&'a str> {
    outgoing
        .headers
        .iter()
        .filter(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
        .collect()
}

/// What leaves when the original request has these fields.
fn relayed(fields: &[(&str, &str)], sign: bool) -> Vec<(String, String)> {
    let mut event = event();
    event.envelope.headers = fields.iter().copied().collect();
    let mut webhook = webhook();
    webhook.destinations[0].sign = sign;
    send(&webhook, 0, &job(event)).headers
}

#[test]
fn a_whole_request_to_each_of_two_destinations() {
    let mut webhook = webhook();
    webhook.headers = [
        ("X-From".into(), "tram".into()),
        ("accept".into(), "b".into()),
    ]
    .into();
    webhook.destinations[1].headers = [("x-from".into(), "books".into())].into();
    webhook.destinations[1].timeout_seconds = 20;
    webhook.destinations[1].strict = Strict::Status;
    let job = job(event());
    // Computed apart, after the specification's text.
    let id = "evt_0pl85ksjjg002081040g2081040g2081040g200";
    let signature = "v1,QvWmrs9XdcsMbTGgFEY3nzxgwtFAgxv+cwSxMCTBtKQ=";
    let fields = |fields: &[(&str, &str)]| -> Vec<(String, String)> {
        fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };

    assert_eq!(
        send(&webhook, 0, &job),
        Outgoing {
            method: "POST".into(),
            url: "https://shop.example/hook".into(),
            headers: fields(&[
                ("content-type", "application/json"),
                ("secure-token", "casso-secret"),
                ("x-tram-event-id", id),
                ("x-tram-attempt", "3"),
                ("x-tram-provider", "casso"),
                ("x-tram-webhook", "wh_040g2081040g2081040g208104"),
                ("x-tram-hops", "1"),
                ("user-agent", "tram/0.1.0"),
                ("webhook-id", id),
                ("webhook-timestamp", "1763632800"),
                ("webhook-signature", signature),
                ("x-from", "tram"),
                ("accept", "b"),
            ]),
            body: Some(BODY),
            timeout: Duration::from_secs(5),
            read_limit: 65_537,
        }
    );
    assert_eq!(
        send(&webhook, 1, &job),
        Outgoing {
            method: "POST".into(),
            url: "https://books.example/in?tenant=7".into(),
            headers: fields(&[
                ("content-type", "application/json"),
                ("x-tram-event-id", id),
                ("x-tram-attempt", "3"),
                ("x-tram-provider", "casso"),
                ("x-tram-webhook", "wh_040g2081040g2081040g208104"),
                ("x-tram-hops", "1"),
                ("user-agent", "tram/0.1.0"),
                ("webhook-id", id),
                ("webhook-timestamp", "1763632800"),
                ("webhook-signature", signature),
                ("accept", "b"),
                ("x-from", "books"),
            ]),
            body: Some(BODY),
            timeout: Duration::from_secs(20),
            read_limit: 1_024,
        }
    );
}

#[test]
fn the_signature_is_the_specification_s() {
    // standard-webhooks/standard-webhooks, libraries/python, test_sign_function.
    let signature = standard_webhooks_signature(
        &Secret::new(SECRET.into()),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "1614265330",
        br#"{"test": 2432232314}"#,
    );
    assert_eq!(
        signature.as_deref(),
        Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
    );
}

/// HMAC-SHA256 of what the specification says is signed, put together here.
fn expected_signature(key: &str, id: &str, body: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use hmac::{Hmac, KeyInit, Mac};
    let key = STANDARD
        .decode(key.strip_prefix("whsec_").unwrap())
        .unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(id.as_bytes());
    mac.update(b".1763632800.");
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[test]
fn a_rotated_secret_signs_beside_the_new_one_in_its_grace_time() {
    let mut webhook = webhook();
    let job = job(event());
    let id = job.event.id.to_string();
    let [new, old] = [SECRET, OLD_SECRET].map(|key| expected_signature(key, &id, BODY));
    let mut check = |until: Timestamp, expected: &str| {
        webhook.previous_signing_secret = Some(PreviousSecret {
            secret: Secret::new(OLD_SECRET.into()),
            until,
        });
        let sent = send(&webhook, 0, &job);
        assert_eq!(values(&sent, "webhook-signature"), [expected]);
    };
    check(NOW.plus(Duration::from_millis(1)), &format!("{new} {old}"));
    check(NOW, &new);
    check(NOW.minus(Duration::from_secs(1)), &new);
    // Rotated again in the meantime: all whose time is not over sign.
    let [first, second] = ["whsec_Zmlyc3Q=", "whsec_c2Vjb25k"];
    webhook.older_signing_secrets = [(first, 1), (second, 0)]
        .map(|(secret, seconds)| PreviousSecret {
            secret: Secret::new(secret.into()),
            until: NOW.plus(Duration::from_secs(seconds)),
        })
        .into();
    let sent = send(&webhook, 0, &job);
    let beside = expected_signature(first, &id, BODY);
    assert_eq!(
        values(&sent, "webhook-signature"),
        [format!("{new} {beside}")]
    );
}

#[test]
fn nothing_leaves_unsigned_that_should_be_signed() {
    for unusable in ["", "whsec_", "plain text", "whsec_not base64!"] {
        let mut webhook = webhook();
        webhook.signing_secret = Secret::new(unusable.into());
        let job = job(event());
        let attempt = |webhook: &Webhook| {
            outgoing(
                webhook,
                &webhook.destinations[0],
                &job,
                &CREDENTIALS,
                &Station::default(),
                "0.1.0",
                NOW,
            )
            .map(|sent| sent.headers.len())
        };
        assert_eq!(
            attempt(&webhook),
            Err("the webhook's signing secret cannot be used: rotate it to get a new one".into()),
            "{unusable:?}"
        );
        webhook.destinations[0].sign = false;
        assert!(attempt(&webhook).is_ok(), "{unusable:?}");
    }
}

#[test]
fn a_get_has_its_query_and_no_body_and_signs_the_empty_one() {
    for method in ["GET", "HEAD"] {
        let mut event = event();
        event.envelope.method = method.into();
        event.envelope.query = "vnp_Amount=100000&vnp_SecureHash=ab%2Fc+d".into();
        let job = job(event);
        let sent = send(&webhook(), 1, &job);
        assert_eq!(
            (sent.method.as_str(), sent.body, sent.url.as_str()),
            (
                method,
                None,
                "https://books.example/in?tenant=7&vnp_Amount=100000&vnp_SecureHash=ab%2Fc+d"
            )
        );
        let expected = expected_signature(SECRET, &job.event.id.to_string(), b"");
        assert_eq!(values(&sent, "webhook-signature"), [expected]);
    }
}

#[test]
fn queries_are_joined_the_destination_s_first() {
    let check = |url: &str, query: &str, expected: &str| {
        assert_eq!(with_query(url, query), expected);
    };
    check("https://a.example/h", "", "https://a.example/h");
    check("https://a.example/h", "b=1", "https://a.example/h?b=1");
    check(
        "https://a.example/h?a=0",
        "b=1",
        "https://a.example/h?a=0&b=1",
    );
    check("https://a.example/h?", "b=1", "https://a.example/h?b=1");
    check(
        "https://a.example/h?a=0&",
        "b=1",
        "https://a.example/h?a=0&b=1",
    );
    check("https://a.example/h#f", "b=1", "https://a.example/h?b=1#f");
    check(
        "https://a.example/h?a#f?",
        "b=1",
        "https://a.example/h?a&b=1#f?",
    );
    check(
        "https://a.example/h?a",
        "b=%20+%C3%A1&b=?",
        "https://a.example/h?a&b=%20+%C3%A1&b=?",
    );
    check(
        "https://a.example/h",
        "b=1#c",
        "https://a.example/h?b=1%23c",
    );
}

#[test]
fn what_belongs_to_the_connection_or_the_way_here_is_not_passed_on() {
    let dropped = [
        ("connection", "close, X-Once"),
        ("x-once", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-authenticate", "Basic"),
        ("proxy-authorization", "Basic eA=="),
        ("proxy-connection", "close"),
        ("te", "trailers"),
        ("trailer", "digest"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("host", "hooks.example.com"),
        ("content-length", "12"),
        ("accept-encoding", "gzip"),
        ("expect", "100-continue"),
        ("cookie", "a=b"),
        ("cf-ray", "1"),
        ("cf-connecting-ip", "203.0.113.9"),
        ("cf-visitor", "{}"),
        ("cdn-loop", "cloudflare"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-anything", "x"),
        ("x-real-ip", "203.0.113.9"),
        ("forwarded", "for=203.0.113.9"),
        ("via", "1.1 proxy"),
        ("true-client-ip", "203.0.113.9"),
        ("X-Client-IP", "203.0.113.9"),
        ("X-Cluster-Client-IP", "203.0.113.9"),
        ("x-original-forwarded-for", "203.0.113.9"),
        ("x-tram-via", "wh_forged"),
        ("x-tram-test", "true"),
        ("x-tram-original-webhook-id", "forged"),
    ];
    let forged = ("x-tram-event-id".to_owned(), "evt_forged".to_owned());
    assert!(!relayed(&[("x-tram-event-id", "evt_forged")], false).contains(&forged));
    let passed = [
        ("content-type", "application/json; charset=utf-8"),
        ("content-encoding", "gzip"),
        ("authorization", "Bearer of something else"),
        ("x-github-event", "push"),
        ("x-note", "Trạm\tdịch"),
        ("x-note", "twice"),
        ("x-empty", ""),
        ("date", "Thu, 20 Nov 2025 10:00:00 GMT"),
    ];
    for sign in [true, false] {
        let headers = relayed(&[dropped.as_slice(), &passed].concat(), sign);
        for (name, value) in dropped {
            let left = headers
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name));
            assert_eq!(left, None, "{name}: {value}");
        }
        for (at, (name, value)) in passed.into_iter().enumerate() {
            assert_eq!(headers[at], (name.to_owned(), value.to_owned()));
        }
    }
}

#[test]
fn credentials_go_where_they_are_wanted() {
    let mut webhook = webhook();
    webhook
        .destinations
        .push(destination(3, "https://third.example/"));
    webhook.destinations[2].forward_credentials = true;
    let job = job(event());
    let token = |webhook: &Webhook, to| values(&send(webhook, to, &job), "secure-token").len();
    assert_eq!([0, 1, 2].map(|to| token(&webhook, to)), [1, 0, 1]);
    webhook.destinations[0].forward_credentials = false;
    assert_eq!(token(&webhook, 0), 0);
}

#[test]
fn the_header_that_the_settings_name_is_a_credential() {
    let mut webhook = webhook();
    webhook.settings.header = Some("X-Shop-Key".into());
    let mut event = event();
    event.envelope.headers.push("x-shop-key", "k");
    let job = job(event);
    assert_eq!(values(&send(&webhook, 0, &job), "x-shop-key"), ["k"]);
    assert!(values(&send(&webhook, 1, &job), "x-shop-key").is_empty());
}

#[test]
fn what_another_provider_sends_under_the_station_s_names_travels_under_others() {
    let inbound = [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", "1"),
        ("webhook-signature", "v1,eA=="),
    ];
    let extra = ("webhook-extra".to_owned(), "e".to_owned());
    let signed = relayed(&[&inbound[..], &[("webhook-extra", "e")]].concat(), true);
    for (name, value) in inbound {
        let moved = (format!("x-tram-original-{name}"), value.to_owned());
        assert!(signed.contains(&moved), "{name}");
        assert!(
            !signed.contains(&(name.to_owned(), value.to_owned())),
            "{name}"
        );
    }
    assert!(signed.contains(&extra), "only what is replaced is moved");
}

#[test]
fn a_credential_that_is_held_back_is_held_back_under_its_other_name_too() {
    let webhook = webhook();
    let mut event = event();
    event.envelope.headers.push("webhook-signature", "v1,eA==");
    let job = job(event);
    let original = |to: usize| {
        let sent = outgoing(
            &webhook,
            &webhook.destinations[to],
            &job,
            &["webhook-signature"],
            &Station::default(),
            "0.1.0",
            NOW,
        )
        .unwrap();
        values(&sent, "x-tram-original-webhook-signature").len()
    };
    assert_eq!([original(0), original(1)], [1, 0]);
}

#[test]
fn without_signing_nothing_inbound_is_replaced() {
    let inbound = [("webhook-id", "msg_1"), ("user-agent", "GitHub-Hookshot/1")];
    let expected = |fields: &[(&str, &str)]| -> Vec<(String, String)> {
        fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    assert_eq!(
        relayed(&inbound, false),
        expected(&[
            ("webhook-id", "msg_1"),
            ("user-agent", "GitHub-Hookshot/1"),
            (
                "x-tram-event-id",
                "evt_0pl85ksjjg002081040g2081040g2081040g200"
            ),
            ("x-tram-attempt", "3"),
            ("x-tram-provider", "casso"),
            ("x-tram-webhook", "wh_040g2081040g2081040g208104"),
            ("x-tram-hops", "1"),
        ])
    );
    assert!(relayed(&[], false).contains(&("user-agent".into(), "tram/0.1.0".into())));
}

#[test]
fn the_webhooks_that_a_request_has_passed_are_named_to_the_next() {
    let id = |n: u8| WebhookId::from_random([n; 16]).to_string();
    let before = |inbound: &[(&str, &str)]| {
        let headers = relayed(inbound, true);
        let named = |name: &str| {
            let mut values = headers.iter().filter(|(known, _)| known == name);
            let value = values.next().map(|(_, value)| value.clone());
            assert_eq!(values.next(), None, "{name} twice");
            value
        };
        assert_eq!(named("x-tram-webhook"), Some(webhook().id.to_string()));
        named("x-tram-via")
    };
    let (one, two, three) = (id(1), id(2), id(3));
    assert_eq!(before(&[]), None);
    assert_eq!(before(&[("x-tram-webhook", "wh_1")]), None);
    assert_eq!(before(&[("x-tram-webhook", &one)]), Some(one.clone()));
    let chain = format!("{one}, {two}");
    let passed = before(&[("x-tram-via", &two), ("x-tram-webhook", &one)]);
    assert_eq!(passed, Some(chain.clone()));
    // No more of them than stations that a request may pass.
    let long = format!("{two}, {three}, {two}, {three}");
    let passed = before(&[("x-tram-webhook", &one), ("x-tram-via", &long)]);
    assert_eq!(passed, Some(format!("{one}, {two}, {three}")));
}

#[test]
fn hops_count_on() {
    let check = |inbound: &[(&str, &str)], expected: &str| {
        let headers = relayed(inbound, true);
        let hops: Vec<_> = headers
            .iter()
            .filter(|(name, _)| name == "x-tram-hops")
            .collect();
        assert_eq!(hops, [&("x-tram-hops".to_owned(), expected.to_owned())]);
    };
    check(&[], "1");
    check(&[("x-tram-hops", "1")], "2");
    check(&[("x-tram-hops", "1, 2")], "3");
    check(&[("x-tram-hops", "2"), ("x-tram-hops", "1")], "3");
    check(&[("x-tram-hops", "-4")], "1");
    check(&[("x-tram-hops", "many")], "1");
    check(&[("x-tram-hops", "4294967295")], "4294967295");
}

#[test]
fn a_test_says_so() {
    let mut test = event();
    test.test = true;
    let test = job(test);
    assert_eq!(values(&send(&webhook(), 0, &test), "x-tram-test"), ["true"]);
    let real = job(event());
    assert!(values(&send(&webhook(), 0, &real), "x-tram-test").is_empty());
}

#[test]
fn configured_fields_come_last_but_not_in_the_station_s_name() {
    let mut webhook = webhook();
    webhook.headers = [
        ("User-Agent", "Shop/1"),
        ("Content-Type", "text/plain"),
        ("CF-Access-Client-Id", "id.access"),
        ("Authorization", "Bearer shop"),
        ("Webhook-Id", "forged"),
        ("X-Tram-Attempt", "9"),
        ("Host", "elsewhere.example"),
        ("Content-Length", "1"),
        ("Connection", "upgrade"),
        ("Transfer-Encoding", "chunked"),
        ("x-line", "a\r\nx-forged: 1"),
        ("x bad name", "a"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let job = job(event());
    let sent = send(&webhook, 0, &job);
    for (name, expected) in [
        ("user-agent", "Shop/1"),
        ("content-type", "text/plain"),
        ("cf-access-client-id", "id.access"),
        ("authorization", "Bearer shop"),
        ("x-tram-attempt", "3"),
        ("webhook-id", &job.event.id.to_string()),
    ] {
        assert_eq!(values(&sent, name), [expected], "{name}");
    }
    for name in [
        "host",
        "content-length",
        "connection",
        "transfer-encoding",
        "x-line",
        "x bad name",
    ] {
        assert!(values(&sent, name).is_empty(), "{name}");
    }
}

#[test]
fn values_that_cannot_be_sent_are_dropped_with_their_field() {
    let headers = relayed(
        &[
            ("x-cr", "a\rb"),
            ("x-lf", "a\nb"),
            ("x-nul", "a\0b"),
            ("x-del", "a\u{7f}b"),
            ("x-good", "a b"),
        ],
        true,
    );
    let left: Vec<_> = headers
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| ["x-cr", "x-lf", "x-nul", "x-del", "x-good"].contains(name))
        .collect();
    assert_eq!(left, ["x-good"]);
}

#[test]
fn the_url_is_judged_again_when_sending() {
    let check = |url: &str, station: &Station| {
        let mut webhook = webhook();
        webhook.destinations[0].url = url.into();
        let job = job(event());
        outgoing(
            &webhook,
            &webhook.destinations[0],
            &job,
            &CREDENTIALS,
            station,
            "0.1.0",
            NOW,
        )
        .map(|sent| sent.url)
    };
    let public = Station::default();
    let local = Station {
        own_hosts: vec!["hooks.example.com".into()],
        allow_private: true,
    };
    assert_eq!(
        check("http://shop.example/hook", &public),
        Err("the destination's URL must begin with https://".into())
    );
    assert_eq!(
        check("http://shop.example/hook", &local),
        Ok("http://shop.example/hook".into())
    );
    assert_eq!(
        check("https://hooks.example.com/in/x", &local),
        Err("the destination's URL is this station itself: events would go in a circle".into())
    );
}

#[test]
fn the_time_allowed_stays_within_1_to_30_seconds() {
    for (configured, expected) in [(0, 1), (1, 1), (12, 12), (30, 30), (u32::MAX, 30)] {
        let mut webhook = webhook();
        webhook.destinations[0].timeout_seconds = configured;
        let job = job(event());
        let sent = send(&webhook, 0, &job);
        assert_eq!(sent.timeout, Duration::from_secs(expected));
    }
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(
            [
                OF_THE_CONNECTION.as_slice(),
                &[
                    "cookie",
                    "via",
                    "x-real-ip",
                    "cf-ray",
                    "x-forwarded-host",
                    "x-tram-hops",
                    "x-tram-webhook"
                ],
                &[
                    "secure-token",
                    "Secure-Token",
                    "webhook-id",
                    "Webhook-Signature"
                ],
                &["user-agent", "content-type", "x-named"],
            ]
            .concat()
        )
        .prop_map(str::to_owned),
        "[A-Za-z-]{1,12}",
        "\\PC{0,6}",
    ]
}

fn any_fields() -> impl Strategy<Value = Vec<(String, String)>> {
    let value = prop_oneof!["[ -~]{0,12}", "(X-Named|close|,){0,3}", any::<String>()];
    proptest::collection::vec((any_name(), value), 0..12)
}

proptest! {
    #[test]
    fn no_forbidden_field_ever_leaves(
        inbound in any_fields(),
        of_webhook in any_fields(),
        of_destination in any_fields(),
        sign: bool,
        to in 0_usize..2,
        method in "(GET|HEAD|POST|PUT|DELETE|)",
        query in "\\PC{0,20}",
        body: Vec<u8>,
    ) {
        let configured_credential = of_webhook
            .iter()
            .chain(&of_destination)
            .any(|(name, _)| name.eq_ignore_ascii_case("secure-token"));
        let mut webhook = webhook();
        webhook.headers = of_webhook.into_iter().collect();
        webhook.destinations[to].headers = of_destination.into_iter().collect();
        webhook.destinations[to].sign = sign;
        let mut event = event();
        event.envelope = Envelope { method, query, headers: inbound.into_iter().collect() };
        event.body = body;
        let job = job(event);
        let sent = send(&webhook, to, &job);

        let own_x_tram = ["event-id", "attempt", "provider", "webhook", "hops"];
        for (name, value) in &sent.headers {
            prop_assert!(is_name(name) && is_value(value), "{name}: {value}");
            prop_assert!(!OF_THE_CONNECTION.contains(&name.as_str()), "{name}");
            if let Some(rest) = name.strip_prefix("x-tram-") {
                let original = sign && rest.starts_with("original-webhook-");
                prop_assert!(original || own_x_tram.contains(&rest), "{name}");
            }
        }
        for own in own_x_tram {
            prop_assert_eq!(values(&sent, &format!("x-tram-{own}")).len(), 1, "{}", own);
        }
        if sign {
            let id = job.event.id.to_string();
            let signature = expected_signature(SECRET, &id, sent.body.unwrap_or_default());
            prop_assert_eq!(values(&sent, "webhook-id"), [id.as_str()]);
            prop_assert_eq!(values(&sent, "webhook-timestamp"), ["1763632800"]);
            prop_assert_eq!(values(&sent, "webhook-signature"), [signature.as_str()]);
            let other = |(name, _): &&(String, String)| {
                name.starts_with("webhook-")
                    && !["webhook-id", "webhook-timestamp", "webhook-signature"].contains(&name.as_str())
            };
            // The sender's, never the operator's.
            let came = |(name, _): &(String, String)| {
                let original = &job.event.envelope.headers;
                original.get(name).is_some()
            };
            prop_assert!(sent.headers.iter().filter(other).all(came));
        }
        if to == 1 && !configured_credential {
            prop_assert!(values(&sent, "secure-token").is_empty());
        }
        if let Some(body) = sent.body {
            prop_assert!(std::ptr::eq(body, job.event.body.as_slice()), "not the event's own bytes");
        }
        prop_assert_eq!(sent.body.is_none(), sent.method == "GET" || sent.method == "HEAD");
    }

    #[test]
    fn any_destination_and_query_is_sent_to_the_configured_host_or_not_at_all(
        url in "(https?://)?(shop\\.example|[a-z.@:/\\\\]{0,10})\\PC{0,20}",
        query in "\\PC{0,20}",
        allow_private: bool,
    ) {
        let mut webhook = webhook();
        webhook.destinations[0].url = url.clone();
        let mut event = event();
        event.envelope.query = query;
        let job = job(event);
        let station = Station { own_hosts: vec![], allow_private };
        if let Ok(sent) = outgoing(
            &webhook, &webhook.destinations[0], &job, &CREDENTIALS, &station, "0.1.0", NOW,
        ) {
            let configured = url::Url::parse(&url).unwrap();
            let sent = url::Url::parse(&sent.url).unwrap();
            prop_assert_eq!(sent.origin(), configured.origin());
            prop_assert_eq!(sent.path(), configured.path());
        }
    }
}
