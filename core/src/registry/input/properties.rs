//! What holds of whatever an operator sends: of mistakes that have nothing to do with
//! each other every one is named where it is, and what is accepted can be sent back as
//! it is shown and proves what its sender signs.

use super::tests::{Outcome, entropy, outcome, station};
use super::{Rules, create, update};
use crate::{
    messages::Reveal,
    providers,
    registry::{self, view},
    testing::fuzz::{SECRET, proves, settings},
    time::Timestamp,
    webhook::Webhook,
};
use proptest::{prelude::*, sample};
use serde_json::{Map, Value, json};

fn write(existing: Option<&Webhook>, body: &str) -> Outcome {
    let rules = Rules {
        providers: providers::ALL,
        station: &station(),
        now: Timestamp::from_millis(0),
    };
    let entropy = &mut entropy();
    outcome(match existing {
        Some(existing) => update(&rules, existing, body, entropy),
        None => create(&rules, body, entropy),
    })
}

/// A webhook of which everything is said.
fn whole() -> Value {
    json!({
        "name": "Đơn hàng", "provider": "custom",
        "settings": {"header": "x-sig", "scheme": "hmac", "algorithm": "sha512", "encoding": "base64",
            "prefix": "v1=", "signed": "{timestamp}.{url}.{body}", "url": "https://hooks.example.com/in/x",
            "timestamp_header": "x-time", "timestamp_unit": "ms", "tolerance_seconds": 60, "items": "/data",
            "event_id": ["/id", "header:x-id"], "event_name": ["/type", "/kind"],
            "answer": {"status": 202, "body": "ok"}},
        "destinations": [
            {"url": "https://a.example/", "headers": {"x-a": "1", "x-b": "2"}, "timeout_seconds": 9,
             "strict": true, "sign": false, "forward_credentials": false, "rate_per_second": 5},
            {"url": "https://b.example/", "headers": {"x-a": "1"}, "timeout_seconds": 9}],
        "timeout_seconds": 7, "strict": false, "is_active": true, "is_paused": false,
        "secret": ["one secret of several", "another of them all"], "type": "IN", "accounts": ["0011", "22"],
        "allow_events": ["paid", "sent"], "headers": {"x-from": "tram"},
        "retry": {"schedule": "exponential", "initial_seconds": 1, "factor": 2, "max_seconds": 60, "max_attempts": 9},
        "give_up_after_hours": 24, "retention_days": 30, "dedupe_days": 60,
        "alert_url": "https://ops.example/", "alert_after_minutes": 30, "shards": 4,
    })
}

/// Mistakes that have nothing to do with each other: where each is, and what is sent
/// there.
fn mistakes() -> Vec<(&'static str, Value)> {
    vec![
        ("/colour", json!(1)),
        ("/a~1b", json!(1)),
        ("/id", json!("wh_1")),
        ("/name", json!("")),
        ("/settings/colour", json!({})),
        ("/settings/header", json!("x sig")),
        ("/settings/algorithm", json!("md5")),
        ("/settings/encoding", json!(64)),
        ("/settings/prefix", json!(" v1=")),
        ("/settings/url", json!("hooks.example.com")),
        ("/settings/timestamp_unit", json!("d")),
        ("/settings/tolerance_seconds", json!(0)),
        ("/settings/items", json!("data")),
        ("/settings/event_name/0", json!("type")),
        ("/settings/event_name/1", json!(null)),
        ("/settings/answer/status", json!(302)),
        ("/settings/answer/body", json!([])),
        ("/settings/answer/headers", json!({})),
        ("/settings/access_key", json!("not of custom")),
        ("/destinations/0/url", json!("http://a.example/")),
        ("/destinations/0/uri", json!("")),
        ("/destinations/0/id", json!("dst_0000000000000")),
        ("/destinations/0/headers/x-a", json!("a\r\nb")),
        ("/destinations/0/headers/Host", json!("a")),
        ("/destinations/0/strict", json!(1)),
        ("/destinations/0/sign", json!("no")),
        ("/destinations/0/forward_credentials", json!(null)),
        ("/destinations/0/rate_per_second", json!(0)),
        ("/destinations/1/url", json!("https://10.0.0.1/")),
        ("/destinations/1/timeout_seconds", json!(31)),
        ("/destinations/1/headers", json!([])),
        ("/timeout_seconds", json!(0.5)),
        ("/strict", json!("yes")),
        ("/is_active", json!(0)),
        ("/is_paused", json!(null)),
        ("/secret/0", json!("")),
        ("/secret/1", json!("***5678")),
        ("/type", json!("in")),
        ("/accounts/0", json!("")),
        ("/accounts/1", json!(22)),
        ("/allow_events/0", json!(" paid")),
        ("/headers/x-tram-hops", json!("0")),
        ("/headers/x-from", json!({})),
        ("/retry/initial_seconds", json!(-1)),
        ("/retry/factor", json!(1e300)),
        ("/retry/max_attempts", json!(0)),
        ("/retry/delays_seconds", json!([])),
        ("/give_up_after_hours", json!(0)),
        ("/retention_days", json!("30")),
        ("/dedupe_days", json!(3_651)),
        ("/alert_url", json!("https://localhost/")),
        ("/alert_after_minutes", json!(u64::MAX)),
        ("/shards", json!(65)),
        ("/signing_secret", json!("whsec_YWJjZGVmZ2hpamtsbW5vcA==")),
        ("/warnings", json!([])),
    ]
}

/// Puts `value` where the pointer leads, which may be new in an object.
fn put(document: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let name = name.replace("~1", "/").replace("~0", "~");
    match document.pointer_mut(parent).unwrap() {
        Value::Object(fields) => {
            fields.insert(name, value);
        }
        Value::Array(list) => list[name.parse::<usize>().unwrap()] = value,
        other => panic!("nothing stands in {other}"),
    }
}

proptest! {
    #[test]
    fn every_mistake_is_named_where_it_is(
        chosen in sample::subsequence(mistakes(), 0..=mistakes().len()), named_twice: bool
    ) {
        let mut body = whole();
        // A header that is wrong as a whole has no fields.
        let mut expected: Vec<_> = chosen.iter().map(|(pointer, _)| (*pointer).to_owned()).collect();
        for (pointer, value) in chosen {
            put(&mut body, pointer, value);
        }
        let mut body = body.to_string();
        if named_twice {
            body = body.replacen('{', r#"{"headers":{},"#, 1);
            expected.retain(|pointer| !pointer.starts_with("/headers/"));
            expected.push("/headers".to_owned());
        }
        let found = write(None, &body).err().unwrap_or_default();
        let mut found: Vec<_> = found.into_iter().map(|(pointer, _)| pointer).collect();
        found.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(found, expected, "{}", body);
    }
}

/// Some of these settings.
fn some_of(all: Vec<(&'static str, Vec<Value>)>) -> impl Strategy<Value = Map<String, Value>> {
    let fields: Vec<_> = all
        .into_iter()
        .map(|(name, values)| {
            let one = sample::select(values).prop_map(move |value| (name.to_owned(), value));
            proptest::option::of(one)
        })
        .collect();
    fields.prop_map(|fields| fields.into_iter().flatten().collect())
}

fn texts(all: &[&str]) -> Vec<Value> {
    all.iter().map(|text| json!(text)).collect()
}

/// Settings of `custom`, most of which make sense.
fn custom_settings() -> impl Strategy<Value = Value> {
    let signed = [
        "{body}",
        "{timestamp}.{body}",
        "v0:{timestamp}:{body}",
        "{id}.{timestamp}.{body}",
        "{method}{url}{body}",
        "{url}",
        "{method}",
        "{timestamp}",
        "{body",
    ];
    let prefixes = [
        "",
        "sha256=",
        "v1,",
        "Bearer ",
        "HMAC a, b ",
        "t=1;v1=",
        " x",
        "{",
        "é=",
    ];
    let some = some_of(vec![
        ("scheme", texts(&["token", "hmac", "hmac", "hmac"])),
        ("algorithm", texts(&["sha1", "sha256", "sha512"])),
        ("encoding", texts(&["hex", "base64"])),
        ("prefix", texts(&prefixes)),
        ("signed", texts(&signed)),
        (
            "url",
            texts(&["https://hooks.example.com/in/y", "https://A.example"]),
        ),
        (
            "timestamp_header",
            texts(&["x-time", "X-TIME", "x-time", "X-Sig", "te"]),
        ),
        ("timestamp_unit", texts(&["s", "ms"])),
        ("tolerance_seconds", vec![json!(null), json!(1), json!(300)]),
        (
            "event_id",
            vec![
                json!("/id"),
                json!("header:x-id"),
                json!(["/id", "header: X-Id"]),
                json!("header:x-sig"),
                json!("header:x-time"),
                json!(["/id", "header:X-Time"]),
            ],
        ),
        ("event_name", vec![json!("/type"), json!("header:x-name")]),
        ("items", texts(&["", "/data", "data"])),
        (
            "answer",
            vec![json!({"status": 204}), json!({"status": 200, "body": "ok"})],
        ),
    ]);
    (
        some,
        sample::select(vec!["x-sig", "Authorization", "X-Sig", "host"]),
    )
        .prop_map(|(mut settings, header)| {
            settings.insert("header".to_owned(), json!(header));
            // What belongs to the other scheme would be refused most of the time.
            if settings.get("scheme") != Some(&json!("hmac")) {
                for name in ["algorithm", "encoding", "signed", "url"] {
                    settings.remove(name);
                }
            }
            Value::Object(settings)
        })
}

/// Settings of any other provider.
fn other_settings() -> impl Strategy<Value = Value> {
    some_of(vec![
        ("tolerance_seconds", vec![json!(null), json!(1), json!(300)]),
        ("header", texts(&["x-token"])),
        ("event_id", vec![json!("/id"), json!(["/a", "header:x-a"])]),
        ("event_name", vec![json!("/type")]),
        (
            "answer",
            vec![json!({"status": 201}), json!({"status": 200, "body": "ok"})],
        ),
    ])
    .prop_map(Value::Object)
}

fn any_webhook() -> impl Strategy<Value = Value> {
    let ids: Vec<_> = providers::ALL.iter().map(|p| p.about().id).collect();
    let others = (sample::select(ids), other_settings());
    let customs = custom_settings().prop_map(|settings| ("custom", settings));
    let more = some_of(vec![
        (
            "secret",
            vec![
                json!(SECRET),
                json!(["another secret", SECRET]),
                json!([SECRET]),
            ],
        ),
        ("name", texts(&["Đơn hàng", " "])),
        (
            "retry",
            vec![
                json!({"schedule": "standard"}),
                json!({"schedule": "custom", "delays_seconds": [0.1, 1, 1e3]}),
                json!({"schedule": "exponential", "initial_seconds": 0.1, "factor": 1.7, "max_seconds": 9.9, "max_attempts": 5}),
            ],
        ),
        (
            "headers",
            vec![json!({"X-From": "tram", "x-name": "Đơn\thàng"})],
        ),
        ("accounts", vec![json!(["0011"])]),
        ("allow_events", vec![json!(null), json!([]), json!(["*"])]),
        ("alert_url", texts(&["https://ops.example/"])),
        ("retention_days", vec![json!(4), json!(365)]),
        ("timeout_seconds", vec![json!(30)]),
        (
            "webhook_url",
            texts(&["https://SHOP.example", "https://8.8.8.8:8443/a?b=c"]),
        ),
    ]);
    (prop_oneof![others, customs], more).prop_map(|((provider, settings), mut webhook)| {
        webhook.insert("provider".to_owned(), json!(provider));
        webhook.insert("settings".to_owned(), settings);
        for (name, usual) in [("secret", SECRET), ("webhook_url", "https://shop.example/")] {
            webhook
                .entry(name.to_owned())
                .or_insert_with(|| json!(usual));
        }
        Value::Object(webhook)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, max_global_rejects: 4_096, ..ProptestConfig::default() })]

    #[test]
    fn what_is_accepted_proves_its_sender_and_can_be_sent_back(body in any_webhook()) {
        let written = write(None, &body.to_string());
        prop_assume!(written.is_ok());
        let webhook = written.unwrap().webhook;
        prop_assert!(proves(&webhook), "{}", body);
        for reveal in [
            Reveal::default(),
            Reveal { secrets: [true; 3], signing_secret: true },
        ] {
            let warnings = registry::warnings(&webhook);
            let shown = view::webhook(&webhook, "https://hooks.example.com", reveal, &warnings);
            let again = write(Some(&webhook), &shown.to_json()).unwrap();
            prop_assert_eq!(&again.webhook, &webhook);
            prop_assert_eq!(again.reveal, Reveal::default());
        }
    }
}

#[test]
fn the_time_may_be_a_part_of_the_id_that_is_signed() {
    let body = json!({"provider": "custom", "webhook_url": "https://shop.example/", "secret": SECRET,
        "settings": {"header": "x-sig", "scheme": "hmac", "signed": "{id}.{timestamp}.{body}",
            "timestamp_header": "x-time", "event_id": ["/id", "header: X-Time"]}});
    assert!(proves(&write(None, &body.to_string()).unwrap().webhook));
}

#[test]
fn every_provider_can_be_proven_with_nothing_but_what_it_needs() {
    for provider in providers::ALL {
        let id = provider.about().id;
        let body = json!({"provider": id, "webhook_url": "https://shop.example/",
            "secret": SECRET, "settings": settings(id)});
        let webhook = write(None, &body.to_string()).unwrap().webhook;
        assert!(proves(&webhook), "{id}");
    }
}
