//! Whatever is sent, nothing breaks: no 5xx, no panic, and a good event that comes
//! next is taken. What is authentic is kept, however strange it is.

use serde_json::{Value, json};
use std::{
    ops::Deref,
    sync::atomic::{AtomicU32, Ordering},
};
use tram_tests::{Answer, Origin, Shared, Station, Webhook, casso, transaction};

/// A station under test that must be as well afterwards as before.
struct Patient {
    station: Shared,
    origin: Origin,
    webhook: Webhook,
    good: AtomicU32,
}

impl Deref for Patient {
    type Target = Station;

    fn deref(&self) -> &Station {
        &self.station
    }
}

impl Patient {
    fn new() -> Self {
        let (station, origin) = (Station::shared(), Origin::start());
        let webhook = station.casso_webhook(&origin);
        Self {
            station,
            origin,
            webhook,
            good: AtomicU32::new(0),
        }
    }

    /// A good event is taken as if nothing had been.
    #[track_caller]
    fn assert_well(&self, after: &str) {
        let number = self.good.fetch_add(1, Ordering::Relaxed);
        let body = casso(&[transaction(format!("good {number}"))]);
        let answer = self.post_casso(&self.webhook, body);
        assert_eq!(answer.outcome(), "accepted", "after {after}");
    }

    /// Everything that was taken is delivered, and nobody has panicked.
    #[track_caller]
    fn discharge(self, taken: usize) {
        let expected = taken + self.good.load(Ordering::Relaxed) as usize;
        self.origin.wait_for(expected);
        let log = self.log();
        for word in [
            "panic",
            "unreachable",
            "Critical",
            "RuntimeError",
            "Uncaught",
        ] {
            let line = log.lines().find(|line| line.contains(word));
            assert_eq!(line, None, "in the station's log");
        }
    }
}

/// Short enough to be read in a message.
fn label(text: &str) -> String {
    text.chars().take(80).collect()
}

fn nested(open: &str, close: &str) -> String {
    format!("{}{}", open.repeat(100_000), close.repeat(100_000))
}

/// Texts that are not JSON, or are JSON that few expect.
fn strange_json() -> Vec<String> {
    let digits = "9".repeat(400);
    let mut texts: Vec<String> = [
        "",
        " ",
        "{",
        "[",
        "\"",
        "nul",
        "null",
        "true",
        "0",
        "-",
        "1e999",
        "-1e999",
        "\"text\"",
        "[]",
        "[[]]",
        "{}",
        "[1,]",
        "{\"a\":}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1}{",
        "{\"a\":1,}",
        "\u{feff}{\"a\":1}",
        "\"\\ud800\"",
        "{\"\\ud800\":1}",
        "\"\\u12\"",
        "{\"a\":1,\"a\":2}",
        "a=1&b=2",
        "<xml/>",
        "\0",
        "{\"\0\":\"\u{1}\"}",
        "NaN",
        "[Infinity]",
        "01",
        "{\"a\":1e400,\"b\":-1e-400,\"c\":1E+2}",
    ]
    .map(str::to_owned)
    .into();
    texts.push(digits);
    texts.push(nested("[", ""));
    texts.push(nested("[", "]"));
    texts.push(nested("{\"a\":", "}"));
    texts.push(format!("\"{}\"", "x".repeat(900_000)));
    texts.push(format!("[{}0]", "0,".repeat(10_000)));
    texts
}

#[test]
fn authentic_bodies_are_kept_however_strange() {
    let patient = Patient::new();
    let digits = "9".repeat(400);
    let mut bodies = strange_json();
    for element in [
        "{\"id\":1e999}".to_owned(),
        "{\"id\":-1e999,\"amount\":1e999}".to_owned(),
        format!("{{\"id\":{digits}}}"),
        format!("{{\"id\":\"{digits}a\",\"amount\":{digits}}}"),
        "{\"id\":1,\"id\":2}".to_owned(),
        "{\"id\":\"\\ud800\",\"tid\":\"\\udfff\"}".to_owned(),
        "{\"id\":{\"a\":1},\"description\":[1]}".to_owned(),
        "{\"id\":true,\"when\":\"9999-99-99 99:99:99\"}".to_owned(),
        "{\"id\":\"\\u0000\",\"when\":12,\"bankName\":null}".to_owned(),
        format!("{{\"id\":\"{}\"}}", "long".repeat(100_000)),
        format!("{{\"id\":5,\"description\":\"{}\"}}", "ả".repeat(200_000)),
        format!("{{\"id\":6,\"a\":{}}}", nested("[", "]")),
        nested("[ ", "]"),
        "null,null,\"x\",7".to_owned(),
        "{\"id\":8}],\"data\":[{\"id\":9}".to_owned(),
        format!("{}{{\"id\":10}}", "{\"id\":11},".repeat(10_000)),
    ] {
        bodies.push(format!("{{\"error\":0,\"data\":[{element}]}}"));
    }
    let mut taken = 0;
    for body in &bodies {
        let answer = patient.post_casso(&patient.webhook, body);
        let outcome = answer.outcome();
        assert_eq!(answer.status, 200, "{}: {}", label(body), answer.text());
        assert_eq!(outcome, "accepted", "{}", label(body));
        taken += answer.event_ids().len();
        let forged = [("secure-token", "forged")];
        patient
            .post(&patient.webhook.path, &forged, body)
            .assert_refused(401, "unauthenticated");
        patient.assert_well(&label(body));
    }
    for event in patient.events(&patient.webhook) {
        let _ = patient.event(event["id"].as_str().unwrap());
    }
    patient.discharge(taken);
}

#[test]
fn header_fields_may_be_repeated_long_missing_or_senseless() {
    let patient = Patient::new();
    let long = "a".repeat(8_192);
    let many: Vec<String> = (0..100).map(|number| format!("x-many-{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "1")).collect();
    let lists: Vec<Vec<(&str, &str)>> = vec![
        vec![("content-type", "text/plain")],
        vec![("content-type", "multipart/form-data; boundary=")],
        vec![("content-type", ";;;=\"")],
        vec![("content-type", "")],
        vec![("content-type", "application/json"), ("content-type", "x")],
        vec![("x-a", "1"), ("x-a", "2"), ("X-A", "")],
        vec![("x-long", &long), ("x-longer", &long)],
        vec![("cookie", &long), ("authorization", &long)],
        vec![("content-encoding", "gzip, br, \"")],
        vec![("content-encoding", &long)],
        vec![("transfer-coding", "x"), ("te", "trailers")],
        vec![("digest", ""), ("content-md5", "\"")],
        vec![("range", "bytes=0-"), ("if-none-match", "*")],
        vec![("webhook-id", &long), ("webhook-signature", "v1,")],
        vec![("x-tram-hops", "0"), ("x-tram-test", "true")],
        vec![("x-forwarded-for", "\t,,"), ("forwarded", "for=\"")],
        vec![("accept-encoding", "zstd"), ("expect", "nothing")],
        vec![("date", "yesterday"), ("x-utf8", "đơn hàng 🧾")],
        vec![("host", "xn--n-0ja.example")],
        vec![("host", "[::1]:9")],
        vec![("host", "1")],
        many,
    ];
    let mut taken = 0;
    for (headers, id) in lists.iter().zip(1..) {
        let named = format!("{:?}", headers[0]);
        let body = casso(&[transaction(id)]);
        let answer = patient.post_casso_with(&patient.webhook, headers, body);
        assert_eq!(answer.status, 200, "{}: {}", label(&named), answer.text());
        taken += answer.assert_taken("accepted").len();
        let _ = patient.post(&patient.webhook.path, headers, "");
        patient.assert_well(&label(&named));
    }

    // Bytes that are no text, by hand.
    let mut connection = patient.client().connect().unwrap();
    let body = casso(&[transaction("bytes")]);
    let length = body.len().to_string();
    let head = connection.head(
        "POST",
        &patient.webhook.path,
        &[
            ("secure-token", &patient.webhook.secret),
            ("content-length", &length),
            ("x-bytes", "(here)"),
        ],
    );
    let (before, after) = head.split_once("(here)").unwrap();
    let message = [
        before.as_bytes(),
        b"\xff\x80\xfe",
        after.as_bytes(),
        body.as_bytes(),
    ]
    .concat();
    connection.write(&message).unwrap();
    let answer = connection.read_answer().unwrap();
    taken += answer.assert_taken("accepted").len();
    patient.discharge(taken);
}

#[test]
fn queries_are_passed_on_as_they_were_written() {
    let patient = Patient::new();
    let long = format!("a={}", "b".repeat(8_000));
    for (query, id) in [
        "a=1&a=2&b",
        "%",
        "%zz=%",
        "a=%00%ff",
        "?",
        "&&==",
        "a=b?c=d/../e",
        "a[]=1|2^{3}\\",
        "a=%C4%91&b=+",
        &long,
    ]
    .into_iter()
    .zip(1..)
    {
        let path = format!("{}?{query}", patient.webhook.path);
        let headers = [("secure-token", patient.webhook.secret.as_str())];
        let answer = patient.post(&path, &headers, casso(&[transaction(id)]));
        let ids = answer.assert_taken("accepted");
        let _ = patient.wait_for_status(&ids[0], "delivered");
        let target = patient.origin.received().pop().unwrap().target;
        assert_eq!(target, format!("/hook?{query}"));
        assert_eq!(patient.event(&ids[0])["query"], *query);
    }
    patient.assert_well("queries");
    patient.discharge(10);
}

/// Asserts an answer that blames the sender.
#[track_caller]
fn assert_blamed(answer: &Answer, what: &str) {
    assert!(
        (400..500).contains(&answer.status),
        "{}: {} {}",
        label(what),
        answer.status,
        label(&answer.text())
    );
    let code = answer.json()["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    answer.assert_problem(answer.status, &code);
}

#[test]
fn paths_that_lead_nowhere_are_not_found() {
    let patient = Patient::new();
    let token = format!("Bearer {}", patient.admin_token());
    let long = format!("/in/{}", "a".repeat(10_000));
    let doubled = format!("/in{}", patient.webhook.path);
    let behind = format!("{}/webhooks", patient.webhook.path);
    for path in [
        "/",
        "/in",
        "/in/",
        "/in/%",
        "/in/%00",
        "/in/%zz",
        "/in/..%2f..%2fapi",
        "//in//",
        "/IN/wh_00000000000000000000000000",
        "/%",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1//webhooks",
        "/api/v1/webhooks/",
        "/api/v1webhooks",
        "/api/v1x/webhooks",
        "/api/v10/events",
        "/api/v1/webhooks/%",
        "/api/v1/webhooks/wh_0",
        "/api/v1/webhooks/wh_00000000000000000000000000",
        "/api/v1/webhooks/wh_00000000000000000000000000/x",
        "/api/v1/events/%00",
        "/api/v1/events/evt_",
        "/api/v1/events/evt_000000000000000000000000000000000000000000",
        "/api/v1/nothing",
        "/healthz/x",
        &long,
        &doubled,
        &behind,
    ] {
        for method in ["GET", "POST"] {
            let headers = [("authorization", token.as_str())];
            let answer = patient.client().send(method, path, &headers, b"");
            let what = format!("{method} {path}");
            assert_blamed(&answer, &what);
            assert!(
                [404, 405].contains(&answer.status),
                "{what}: {}",
                answer.status
            );
        }
    }
    patient.assert_well("paths");
    patient.discharge(0);
}

#[test]
fn a_method_of_another_world_does_nothing() {
    let patient = Patient::new();
    let token = format!("Bearer {}", patient.admin_token());
    let webhook = format!("/api/v1/webhooks/{}", patient.webhook.id);
    for method in ["PROPFIND", "PURGE", "MKCOL", "OPTIONS", "TRACE", "SEARCH"] {
        for path in [
            "/api/v1/webhooks",
            "/api/v1/events",
            "/api/v1/providers",
            &webhook,
        ] {
            let headers = [("authorization", token.as_str())];
            let answer = patient.client().send(method, path, &headers, b"");
            assert!(
                [405, 501].contains(&answer.status),
                "{method} {path}: {} {}",
                answer.status,
                label(&answer.text())
            );
        }
    }
    patient.assert_well("methods");
    patient.discharge(0);
}

#[test]
fn operators_are_told_what_is_wrong_with_their_json() {
    let patient = Patient::new();
    let one = format!("/webhooks/{}", patient.webhook.id);
    let before = patient.api_expecting(200, "GET", &one, None);
    let url = patient.origin.url("/");
    let long = "a".repeat(8_193);
    let mut bodies: Vec<Vec<u8>> = strange_json().into_iter().map(String::into_bytes).collect();
    for field in [
        json!({"name": "\u{0}"}),
        json!({"name": "a".repeat(100_000)}),
        json!({"retry": {"schedule": "fixed", "interval_seconds": -1, "max_attempts": 3}}),
        json!({"retry": {"schedule": "custom", "delays_seconds": vec![1; 10_000]}}),
        json!({"shards": 1e300}),
        json!({"shards": -1}),
        json!({"retention_days": 18_446_744_073_709_551_615_u64}),
        json!({"headers": {"x": long}}),
        json!({"headers": {"x": "a\r\nb"}}),
        json!({"destinations": vec![json!({"url": url}); 10_000]}),
        json!({"accounts": vec!["1"; 10_000]}),
        json!({"secret": vec!["s"; 10_000]}),
        json!({"settings": {"answer": {"status": 99_999, "body": []}}}),
        json!({"provider": "\u{202e}"}),
    ] {
        let mut webhook = json!({"provider": "casso", "webhook_url": url});
        let Some(object) = webhook.as_object_mut() else {
            unreachable!()
        };
        if field.get("destinations").is_some() {
            object.remove("webhook_url");
        }
        object.extend(field.as_object().cloned().unwrap_or_default());
        bodies.push(webhook.to_string().into_bytes());
    }
    for text in [
        r#"{"provider":"casso","webhook_url":1e999}"#,
        r#"{"provider":"casso","webhook_url":"https://\ud800/"}"#,
        r#"{"provider":"casso","shards":1e999}"#,
        r#"{"provider":"casso","give_up_after_hours":0.5}"#,
    ] {
        bodies.push(text.as_bytes().to_vec());
    }
    bodies.push(b"{\"name\":\"\xff\"}".to_vec());
    bodies.push(vec![b' '; 2_000_000]);

    let token = format!("Bearer {}", patient.admin_token());
    for content_type in ["application/json", "text/plain", ";"] {
        let headers = [
            ("authorization", token.as_str()),
            ("content-type", content_type),
        ];
        for body in &bodies {
            let what = label(&String::from_utf8_lossy(body));
            for (method, path) in [("POST", "/webhooks"), ("PUT", one.as_str())] {
                let path = format!("/api/v1{path}");
                let answer = patient.client().send(method, &path, &headers, body);
                // An object without a field changes nothing, which is no mistake.
                if method == "PUT" && body == b"{}" {
                    assert_eq!(answer.status, 200);
                    continue;
                }
                assert_blamed(&answer, &format!("{method} {what}"));
            }
        }
        patient.assert_well(content_type);
    }
    assert_eq!(patient.api_expecting(200, "GET", &one, None), before);

    let event = patient.events(&patient.webhook)[0]["id"].clone();
    let resend = format!("/api/v1/events/{}/resend", event.as_str().unwrap());
    for body in strange_json() {
        // Nothing, or an object that names no destination, means all of them.
        if !["", " ", "{}"].contains(&body.as_str()) {
            let headers = [("authorization", token.as_str())];
            let answer = patient.post(&resend, &headers, &body);
            assert_blamed(&answer, &format!("resend {}", label(&body)));
        }
    }
    patient.discharge(0);
}

#[test]
fn operators_are_told_what_is_wrong_with_their_parameters() {
    let patient = Patient::new();
    let long = format!("q={}", "b".repeat(8_000));
    for query in [
        "%",
        "%zz",
        "q=%ff",
        "q=%",
        "a",
        "=",
        "per_page=0",
        "per_page=1e3",
        "per_page=-1",
        "per_page=99999999999999999999999",
        "cursor=%00",
        "cursor=evt_",
        "status=",
        "from=now",
        "from=9999999999999-01-01T00:00:00Z",
        "to=-1",
        "webhook_id=wh_",
        "webhook_id[]=1",
        "include=attempts&include=attempts",
        &long,
    ] {
        for (method, path) in [
            ("GET", "/events"),
            ("GET", "/webhooks"),
            ("DELETE", "/webhooks"),
        ] {
            let answer = patient.api(method, &format!("{path}?{query}"), None);
            assert_blamed(&answer, &format!("{method} {path}?{query}"));
            assert_eq!(answer.status, 422, "{}", answer.text());
        }
    }
    patient.assert_well("parameters");
    patient.discharge(0);
}

#[test]
fn a_token_that_is_none_opens_nothing() {
    let patient = Patient::new();
    let token = patient.admin_token();
    let long = format!("Bearer {}", "a".repeat(8_192));
    let twice = format!("Bearer {token}, Bearer {token}");
    let tokens: [&[&str]; 9] = [
        &[],
        &[""],
        &["Bearer"],
        &["Bearer "],
        &["Bearer đơn hàng"],
        &["Basic Og=="],
        &[&long],
        &[&twice],
        &[token],
    ];
    let body = json!({"provider": "casso", "webhook_url": patient.origin.url("/")}).to_string();
    for values in tokens {
        let headers: Vec<(&str, &str)> = values
            .iter()
            .map(|value| ("authorization", *value))
            .collect();
        for (method, path) in [("GET", "/api/v1/webhooks"), ("POST", "/api/v1/webhooks")] {
            let body = if method == "POST" {
                body.as_bytes()
            } else {
                b""
            };
            let answer = patient.client().send(method, path, &headers, body);
            assert_eq!(answer.status, 401, "{:?}", label(&format!("{headers:?}")));
            assert_blamed(&answer, "a token");
            assert!(answer.header("www-authenticate").is_some());
        }
    }
    let list = patient.api_expecting(200, "GET", "/webhooks?per_page=100", None);
    assert!(
        list["data"]
            .as_array()
            .is_some_and(|all| !all.contains(&Value::Null))
    );
    patient.assert_well("tokens");
    patient.discharge(0);
}
