//! Bad JSON, parameters and tokens, sent to `/api/v1`.

use crate::{Patient, assert_blamed, label, strange_json};
use serde_json::{Value, json};
use tram_tests::Answer;

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

/// The pointers of a 422's mistakes, sorted.
#[track_caller]
fn pointers(answer: &Answer) -> Vec<String> {
    answer.assert_problem(422, "invalid");
    let answer = answer.json();
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    let mut pointers: Vec<_> = errors
        .iter()
        .map(|error| {
            assert!(error["message"].as_str().is_some_and(|it| it.len() > 5));
            error["pointer"].as_str().unwrap_or("none").to_owned()
        })
        .collect();
    pointers.sort_unstable();
    pointers
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let patient = Patient::new();
    let one = format!("/webhooks/{}", patient.webhook.id);
    let before = patient.api_expecting(200, "GET", &one, None);
    let url = patient.origin.url("/");
    let token = format!("Bearer {}", patient.admin_token());
    let headers = [("authorization", token.as_str())];
    let send = |method: &str, path: &str, body: &str| {
        let path = format!("/api/v1{path}");
        patient
            .client()
            .send(method, &path, &headers, body.as_bytes())
    };
    let settings = r#"{"header":"Host","scheme":"hmac","signed":"{boddy}","colour":1,"answer":{"status":302},
        "event_id":["id",7,"header:x-id"],"items":"a","timestamp_unit":"d","prefix":" v1="}"#;
    let destinations = format!(
        r#"[{{"url":"ftp://a.example/","headers":{{"Host":"a","x-a":"a\r\nb"}},"rate_per_second":1e400}},
            {{"url":"{url}","sign":"no"}}, {{"url":"{url}"}}]"#
    );
    let wrong = format!(
        r#"{{"provider":"custom","name":"","name":"twice","settings":{settings},"destinations":{destinations},
            "secret":["hunter2","","hunter2"],"type":"in","accounts":[" 1"],"allow_events":[""],
            "headers":{{"webhook-id":"a"}},"retry":{{"schedule":"fixed","interval_seconds":-1,"max_attempts":1e400}},
            "retention_days":2,"dedupe_days":1,"give_up_after_hours":49,"alert_url":"x","shards":0.5,"a/b":1}}"#
    );
    let mut expected = vec![
        "/a~1b",
        "/accounts/0",
        "/alert_url",
        "/allow_events/0",
        "/dedupe_days",
        "/destinations/0/headers/Host",
        "/destinations/0/headers/x-a",
        "/destinations/0/rate_per_second",
        "/destinations/0/url",
        "/destinations/1/sign",
        "/destinations/2/url",
        "/give_up_after_hours",
        "/headers/webhook-id",
        "/name",
        "/name",
        "/retention_days",
        "/retry/interval_seconds",
        "/retry/max_attempts",
        "/secret/1",
        "/secret/2",
        "/settings/answer/status",
        "/settings/colour",
        "/settings/event_id/0",
        "/settings/event_id/1",
        "/settings/header",
        "/settings/items",
        "/settings/prefix",
        "/settings/signed",
        "/settings/timestamp_unit",
        "/shards",
        "/type",
    ];
    expected.sort_unstable();
    for (method, path) in [("POST", "/webhooks"), ("PUT", one.as_str())] {
        let answer = send(method, path, &wrong);
        assert_eq!(pointers(&answer), expected, "{method}");
        assert!(!answer.text().contains("hunter2"), "{}", answer.text());
    }

    // Each could be saved, were it not that nothing could ever be proven with it.
    let custom = |settings: &str| {
        format!(
            r#"{{"provider":"custom","webhook_url":"{url}","settings":{{"header":"x-s",{settings}}}}}"#
        )
    };
    for (body, pointer) in [
        (custom(r#""header":"x-s""#), "/settings/header"),
        (
            custom(r#""scheme":"hmac","signed":"{timestamp}{body}""#),
            "/settings/timestamp_header",
        ),
        (
            custom(r#""scheme":"hmac","signed":"{id}{body}""#),
            "/settings/event_id",
        ),
        (
            custom(r#""scheme":"hmac","signed":"{method}""#),
            "/settings/signed",
        ),
        (
            custom(r#""timestamp_header":"X-S""#),
            "/settings/timestamp_header",
        ),
        (
            custom(r#""event_name":"header:X-S""#),
            "/settings/event_name",
        ),
        (
            format!(r#"{{"provider":"abaha","webhook_url":"{url}"}}"#),
            "/settings/header",
        ),
        (
            format!(r#"{{"provider":"svix","webhook_url":"{url}","secret":"whsec_?"}}"#),
            "/secret",
        ),
        (
            format!(r#"{{"provider":"casso","webhook_url":"{url}","secret":"a\nb"}}"#),
            "/secret",
        ),
        (
            format!(r#"{{"provider":"casso","webhook_url":"{url}","secret":[]}}"#),
            "/secret",
        ),
    ] {
        assert_eq!(
            pointers(&send("POST", "/webhooks", &body)),
            [pointer],
            "{body}"
        );
    }

    // The other bodies.
    patient.assert_well("mistakes");
    let event = patient.events(&patient.webhook)[0]["id"].clone();
    let event = event.as_str().unwrap_or_default();
    for (path, body, expected) in [
        (
            format!("/events/{event}/resend"),
            r#"{"destination":"x","id":1}"#,
            vec!["/destination", "/id"],
        ),
        (
            format!("/events/{event}/resend"),
            r#"{"destination_id":"dst_"}"#,
            vec!["/destination_id"],
        ),
        (
            "/events/resend".to_owned(),
            r#"{"q":1,"a/b":"1","status":"lost"}"#,
            vec!["/a~1b", "/q", "/status"],
        ),
        (
            "/events/resend?status=lost".to_owned(),
            r#"{"q":"x"}"#,
            vec!["?status"],
        ),
        (
            format!("/events/{event}/cancel"),
            r#"{"reason":"a"}"#,
            vec!["/reason"],
        ),
        (format!("{one}/pause"), r#"{"a":1,"b":2}"#, vec!["/a", "/b"]),
        (format!("{one}/resume"), "[]", vec![""]),
        (format!("{one}/test"), r#"{"id":"7"}"#, vec!["/id"]),
        (
            format!("{one}/explain"),
            r#"{"at":"now","method":"","headers":{"a b":"x","c":1},"body":"1","body":"2","x":1}"#,
            vec![
                "/at",
                "/body",
                "/headers/a b",
                "/headers/c",
                "/method",
                "/x",
            ],
        ),
    ] {
        assert_eq!(
            pointers(&send("POST", &path, body)),
            expected,
            "{path} {body}"
        );
    }
    let toggle = format!("{one}/toggle");
    let answer = send("PATCH", &toggle, r#"{"is_active":true}"#);
    assert_eq!(pointers(&answer), ["/is_active"]);
    assert_eq!(patient.api_expecting(200, "GET", &one, None), before);
    for body in ["", " ", "{}"] {
        assert_eq!(send("PATCH", &toggle, body).status, 200, "{body:?}");
    }
    assert_eq!(send("PATCH", &toggle, "").status, 200);
    patient.assert_well("mistakes");
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
