//! What the operator is told of requests that are refused: those that were, and one
//! that is asked about. What the sender hears is `receiving/`.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};
use tram_tests::{
    ELSEWHERE, Origin, PATIENCE, Shared, Station, Webhook, casso, hex, hmac_sha256, now,
    standard_webhooks, transaction, wait_until,
};

fn setting(provider: &str) -> (Shared, Origin, Webhook) {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook =
        station.create_webhook(&json!({"provider": provider, "webhook_url": origin.url("/")}));
    (station, origin, webhook)
}

/// The refusals that are shown once there are so many, newest first. No secret is
/// among them, whatever was sent.
#[track_caller]
fn refusals(station: &Station, webhook: &Webhook, count: usize) -> Vec<Value> {
    let path = format!("/webhooks/{}/refusals", webhook.id);
    wait_until("the refusals", PATIENCE, || {
        let answer = station.api("GET", &path, None);
        answer.assert_guarded();
        let text = answer.text();
        assert_eq!(answer.status, 200, "{text}");
        assert_no_secret(&text, webhook);
        let list = answer.json();
        assert_eq!(list["next_cursor"], Value::Null);
        let data = list["data"].as_array().expect("a list").clone();
        (data.len() == count).then_some(data)
    })
}

#[track_caller]
fn assert_no_secret(text: &str, webhook: &Webhook) {
    for secret in [&webhook.secret, &webhook.signing_secret] {
        let bare = secret.strip_prefix("whsec_").unwrap_or(secret);
        assert!(!text.contains(bare), "{text}");
    }
}

#[track_caller]
fn explained(station: &Station, webhook: &Webhook, question: &Value) -> Value {
    let path = format!("/webhooks/{}/explain", webhook.id);
    let told = station.api_expecting(200, "POST", &path, Some(question));
    assert_no_secret(&told.to_string(), webhook);
    told
}

fn each<'a>(refusals: &'a [Value], field: &str) -> Vec<&'a str> {
    let texts = refusals.iter().map(|one| one[field].as_str());
    texts.map(Option::unwrap_or_default).collect()
}

#[test]
fn casso_each_reason_is_told_with_what_was_seen() {
    let (station, origin, webhook) = setting("casso");
    let body = casso(&[transaction(1)]);
    let post = |headers: &[(&str, &str)]| {
        let answer = station.post(&webhook.path, headers, &body);
        answer.assert_refused(401, "unauthenticated");
    };
    assert_eq!(refusals(&station, &webhook, 0), [] as [Value; 0]);
    post(&[("user-agent", "Casso/1"), ("x-a", "1"), ("x-a", "2")]);
    post(&[("secure-token", "somebody-else-s-9876")]);
    let bearer = format!("Bearer {}", webhook.secret);
    post(&[
        ("x-casso", &webhook.secret),
        ("authorization", &bearer),
        (&webhook.secret, "the wrong way round"),
        ("x-secure-token", "somebody-else-s-9876"),
    ]);

    let shown = refusals(&station, &webhook, 3);
    let reasons = [
        "missing_header",
        "wrong_secret_or_altered_body",
        "missing_header",
    ];
    assert_eq!(each(&shown, "reason"), reasons);
    let (first, second, third) = (&shown[2], &shown[1], &shown[0]);
    let mut fields: Vec<_> = first.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(
        fields,
        [
            "at",
            "body_bytes",
            "body_sha256",
            "detail",
            "headers",
            "method",
            "reason"
        ]
    );
    let detail = first["detail"].as_str().unwrap();
    assert!(detail.starts_with("secure-token is missing or empty: "));
    assert_eq!(first["method"], "POST");
    assert_eq!(first["headers"]["user-agent"], "Casso/1");
    assert_eq!(first["headers"]["x-a"], "1, 2");
    assert_eq!(first["body_bytes"], body.len());
    let sha256 = first["body_sha256"].as_str().unwrap();
    assert_eq!(sha256.len(), 64);
    assert_eq!(second["headers"]["secure-token"], "***9876");
    for name in ["x-casso", "authorization", "x-secure-token"] {
        assert_eq!(third["headers"][name], "***", "{name}");
    }
    assert_eq!(third["headers"]["***"], "the wrong way round");
    assert_eq!(origin.count(), 0);
}

#[test]
fn standard_webhooks_each_reason_is_told() {
    let (station, _origin, webhook) = setting("standard-webhooks");
    let post = |fields: &[(&str, &str)], body: &str| {
        let answer = station.post(&webhook.path, fields, body);
        answer.assert_refused(401, "unauthenticated");
    };
    let signed = |at: u64, body: &str| {
        let fields = standard_webhooks(&webhook.secret, "msg_1", at, b"{}");
        post(
            &fields
                .each_ref()
                .map(|(name, value)| (*name, value.as_str())),
            body,
        );
    };
    signed(now(), "[]");
    signed(now() - 360, "{}");
    signed(now() + 360, "{}");
    let at = now().to_string();
    post(&[("webhook-id", "msg_1"), ("webhook-timestamp", &at)], "{}");
    for (at, signature) in [(at.as_str(), "v9,AAAA"), ("soon", "v1,AAAA")] {
        let fields = [
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", at),
            ("webhook-signature", signature),
        ];
        post(&fields, "{}");
    }
    let shown = refusals(&station, &webhook, 6);
    let reasons = [
        "malformed_header",
        "unknown_version",
        "missing_header",
        "future_timestamp",
        "stale_timestamp",
        "wrong_secret_or_altered_body",
    ];
    assert_eq!(each(&shown, "reason"), reasons);
    let stale = &shown[4];
    assert!(
        stale["detail"].as_str().unwrap().contains("300 s allowed"),
        "{stale}"
    );
    // What is needed to see it is shown, the signature is not.
    assert_eq!(stale["headers"]["webhook-id"], "msg_1");
    let signature = stale["headers"]["webhook-signature"].as_str().unwrap();
    assert!(
        signature.starts_with("***") && signature.len() <= 7,
        "{signature}"
    );
}

#[test]
fn casso_v2_each_reason_is_told() {
    let (station, _origin, webhook) = setting("casso-v2");
    let body = r#"{"error":0,"data":{"id":1,"amount":5000}}"#;
    let post = |signature: &str, body: &str| {
        let answer = station.post(&webhook.path, &[("x-casso-signature", signature)], body);
        answer.assert_refused(401, "unauthenticated");
    };
    let signature = |version: &str| {
        let mac = hex(&hmac_sha256(b"another secret", body.as_bytes()));
        format!("t={}000,{version}={mac}", now())
    };
    post("", body);
    post(&signature("v2"), body);
    post(&signature("v1"), "not JSON");
    post(&signature("v1"), body);
    post("t=,v1=00", body);
    let shown = refusals(&station, &webhook, 5);
    let reasons = [
        "malformed_header",
        "wrong_secret_or_altered_body",
        "not_json",
        "unknown_version",
        "missing_header",
    ];
    assert_eq!(each(&shown, "reason"), reasons);
}

#[test]
fn what_is_refused_before_its_proof_is_told_as_well() {
    let (station, _origin, webhook) = setting("casso");
    let send = |method: &str, headers: &[(&str, &str)], body: &[u8]| {
        station.client().send(method, &webhook.path, headers, body)
    };
    send("PUT", &[("secure-token", &webhook.secret)], b"{}")
        .assert_refused(405, "method_not_allowed");
    send("POST", &[("x-tram-hops", "3")], b"{}").assert_refused(508, "loop");
    send("POST", &[], &vec![b' '; 1_048_577]).assert_refused(413, "body_too_large");
    send("POST", &[("content-encoding", "compress")], b"{}")
        .assert_refused(415, "unsupported_encoding");
    let toggle = format!("/webhooks/{}/toggle", webhook.id);
    let _ = station.api_expecting(200, "PATCH", &toggle, None);
    send("POST", &[], b"{}").assert_refused(503, "webhook_inactive");
    let shown = refusals(&station, &webhook, 5);
    let reasons = [
        "webhook_inactive",
        "unsupported_encoding",
        "body_too_large",
        "loop",
        "method_not_allowed",
    ];
    assert_eq!(each(&shown, "reason"), reasons);
    for one in &shown {
        // Of the others it is not read.
        let was_read = one["reason"] == "unsupported_encoding";
        assert_eq!(one["body_bytes"].is_u64(), was_read, "{one}");
        assert_eq!(one["body_sha256"].is_string(), was_read, "{one}");
        assert!(!one["detail"].as_str().unwrap().is_empty(), "{one}");
    }
    assert_eq!(shown[4]["method"], "PUT");
    assert_eq!(shown[4]["headers"]["secure-token"], "***");
}

#[test]
fn of_a_flood_the_newest_are_told_and_nothing_of_other_webhooks() {
    let (station, _origin, webhook) = setting("casso");
    let (_, _other, quiet) = setting("casso");
    for n in 0..200 {
        let n = n.to_string();
        let headers = [("secure-token", "forged"), ("x-n", n.as_str())];
        let answer = station.post(&webhook.path, &headers, "{}");
        answer.assert_refused(401, "unauthenticated");
    }
    let shown = refusals(&station, &webhook, 50);
    let numbers: Vec<u32> = shown
        .iter()
        .map(|one| one["headers"]["x-n"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(
        numbers.is_sorted_by(|newer, older| newer > older),
        "{numbers:?}"
    );
    let times = each(&shown, "at");
    assert!(
        times.is_sorted_by(|newer, older| newer >= older),
        "{times:?}"
    );
    assert_eq!(refusals(&station, &quiet, 0), [] as [Value; 0]);
    // A true one is taken as if nothing had been.
    let taken = station.post_casso(&webhook, casso(&[transaction(1)]));
    taken.assert_taken("accepted");
    assert_eq!(refusals(&station, &webhook, 50).len(), 50);
}

#[test]
fn they_are_written_without_being_asked_for_and_survive() {
    let station = Station::builder().two_isolates().start();
    let webhook = station
        .create_webhook(&json!({"provider": "casso", "webhook_url": "http://127.0.0.1:9/hook"}));
    let post = |isolate: &[(&str, &str)]| {
        let answer = station.post(&webhook.path, isolate, "{}");
        answer.assert_refused(401, "unauthenticated");
    };
    // Gathered in the other isolate, which nobody asks: the first is written at once,
    // the others by themselves soon after.
    for _ in 0..5 {
        post(&[ELSEWHERE]);
    }
    refusals(&station, &webhook, 5);
    post(&[]);
    refusals(&station, &webhook, 6);
    station.restart();
    let shown = refusals(&station, &webhook, 6);
    assert_eq!(each(&shown, "reason"), ["missing_header"; 6]);
}

#[test]
fn refusals_end_with_their_webhook_and_unknown_ones_have_none() {
    let (station, _origin, webhook) = setting("casso");
    station
        .post(&webhook.path, &[], "{}")
        .assert_refused(401, "unauthenticated");
    refusals(&station, &webhook, 1);
    let _ = station.api_expecting(200, "DELETE", &format!("/webhooks/{}", webhook.id), None);
    station
        .post(&webhook.path, &[], "{}")
        .assert_refused(404, "webhook_not_found");
    let unknown = "wh_00000000000000000000000000";
    for id in [&webhook.id, unknown, "wh_1", "x"] {
        for (method, route) in [("GET", "refusals"), ("POST", "explain")] {
            let answer = station.api(method, &format!("/webhooks/{id}/{route}"), Some(&json!({})));
            assert_eq!(answer.problem(404), "webhook_not_found", "{id} {route}");
        }
    }
    let (_, _, known) = setting("casso");
    let path = |route: &str| format!("/webhooks/{}/{route}", known.id);
    for (method, route, allow) in [("POST", "refusals", "GET"), ("GET", "explain", "POST")] {
        let answer = station.api(method, &path(route), None);
        assert_eq!(answer.problem(405), "method_not_allowed");
        assert_eq!(answer.header("allow"), Some(allow));
    }
    let odd = station.api("GET", &path("refusals?per_page=1"), None);
    assert_eq!(odd.mistakes(), BTreeSet::from(["?per_page".to_owned()]));
}

#[test]
fn explain_tells_what_would_become_of_a_request_and_does_none_of_it() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.create_webhook(&json!({
        "provider": "casso", "webhook_url": origin.url("/"), "accounts": ["88888888"]
    }));
    let mut elsewhere = transaction(2);
    elsewhere["bank_sub_acc_id"] = json!("1");
    elsewhere["subAccId"] = json!("1");
    let ask = |token: &str, transactions: &[Value]| {
        let headers = json!({"Secure-Token": token});
        let question = json!({"headers": headers, "body": casso(transactions)});
        explained(&station, &webhook, &question)
    };
    let told = ask(&webhook.secret, &[transaction(1), elsewhere.clone()]);
    assert_eq!(
        (&told["authentic"], &told["outcome"]),
        (&json!(true), &json!("accepted"))
    );
    assert_eq!(
        told["answer"],
        json!({"status": 200, "body": r#"{"success":true}"#})
    );
    let events = told["events"].as_array().unwrap();
    let field = |name: &str| {
        events
            .iter()
            .map(|one| one[name].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(field("object_id"), ["1", "2"]);
    assert_eq!(field("filtered"), [false, true]);
    assert_eq!(field("test"), [false, false]);
    assert_eq!(events[0]["summary"]["amount"], "100001");
    assert_eq!(ask(&webhook.secret, &[elsewhere])["outcome"], "filtered");
    assert_eq!(ask(&webhook.secret, &[transaction(0)])["outcome"], "test");

    let told = ask("wrong", &[transaction(1)]);
    assert_eq!(told["authentic"], false);
    assert_eq!(told["reason"], "wrong_secret_or_altered_body");
    let detail = told["detail"].as_str().unwrap();
    assert!(detail.starts_with("no secret of this webhook fits: "));
    let put = json!({"method": "PUT", "headers": {}});
    assert_eq!(
        explained(&station, &webhook, &put)["reason"],
        "method_not_allowed"
    );

    // Nothing was stored, relayed or kept; the transaction is still new.
    assert_eq!(station.events(&webhook), [] as [Value; 0]);
    assert_eq!(refusals(&station, &webhook, 0).len(), 0);
    let post = station.post_casso(&webhook, casso(&[transaction(1)]));
    post.assert_taken("accepted");
    assert_eq!(origin.wait_for(1).len(), 1);
}

#[test]
fn a_signature_in_another_notation_or_of_other_bytes_is_told_apart() {
    let (station, _origin, webhook) = setting("thueapi");
    let sent = br#"{"transactions": [{"id": "1", "checksum": "a"}]}"#;
    let signature = hex(&hmac_sha256(webhook.secret.as_bytes(), sent));
    let base64 = STANDARD.encode(hmac_sha256(webhook.secret.as_bytes(), sent));
    let anew = br#"{"transactions":[{"id":"1","checksum":"a"}]}"#;
    let post = |value: &str, body: &[u8]| {
        let fields = [("x-webhook-signature", value)];
        let answer = station.post(&webhook.path, &fields, body);
        assert_eq!(answer.status, 401);
        let problem = answer.text();
        assert!(!problem.contains("notation") && !problem.contains("encoding"));
    };
    post(&base64, sent);
    post(&signature, anew);
    post(&signature, b"{\"transactions\":[]}");
    let kept = refusals(&station, &webhook, 3);
    let mut reasons = each(&kept, "reason");
    reasons.reverse();
    let expected = [
        "encoding_mismatch",
        "reserialized_body",
        "wrong_secret_or_altered_body",
    ];
    assert_eq!(reasons, expected);
    for (body, value, reason) in [
        (&sent[..], &base64, expected[0]),
        (anew, &signature, expected[1]),
    ] {
        let question = json!({
            "headers": {"X-Webhook-Signature": value},
            "body": String::from_utf8_lossy(body),
        });
        assert_eq!(explained(&station, &webhook, &question)["reason"], reason);
    }
}

#[test]
fn explain_reads_what_curl_shows_and_judges_by_the_time_it_is_told() {
    let (station, _origin, webhook) = setting("standard-webhooks");
    // 2026-11-20T07:00:00Z
    let fields = standard_webhooks(&webhook.secret, "msg_1", 1_795_158_000, b"\x00\xff");
    let mut pasted = format!(
        "> POST {} HTTP/1.1\r\n> Host: hooks.example.com\r\n",
        webhook.path
    );
    for (name, value) in &fields {
        pasted += &format!("> {name}: {value}\r\n");
    }
    pasted += ">\n* upload completely sent off\n< HTTP/1.1 401 Unauthorized\n";
    let ask = |at: Option<&str>| {
        let mut question = json!({"headers": pasted, "body_base64": "AP8="});
        if let Some(at) = at {
            question["at"] = json!(at);
        }
        explained(&station, &webhook, &question)
    };
    assert_eq!(ask(Some("2026-11-20T14:04:00+07:00"))["authentic"], true);
    assert_eq!(
        ask(Some("2026-11-20T07:06:00Z"))["reason"],
        "stale_timestamp"
    );
    assert_eq!(
        ask(Some("2026-11-20T06:50:00Z"))["reason"],
        "future_timestamp"
    );
    let by_now = ask(None);
    assert_eq!(by_now["authentic"], false);
    assert!(
        by_now["reason"].as_str().unwrap().ends_with("_timestamp"),
        "{by_now}"
    );
}

#[test]
fn explain_names_every_mistake() {
    let (station, _origin, webhook) = setting("casso");
    let path = format!("/webhooks/{}/explain", webhook.id);
    for (question, pointers) in [
        (json!([]), vec![""]),
        (json!({"header": {}, "url": "x"}), vec!["/header", "/url"]),
        (
            json!({"headers": {"a": 1}, "body": 1, "method": "", "query": 1, "at": "noon"}),
            vec!["/at", "/body", "/headers/a", "/method", "/query"],
        ),
        (json!({"headers": "GET out"}), vec!["/headers"]),
        (
            json!({"body": "", "body_base64": "!"}),
            vec!["/body_base64"],
        ),
    ] {
        let mistakes = station.api("POST", &path, Some(&question)).mistakes();
        let expected: BTreeSet<_> = pointers.into_iter().map(str::to_owned).collect();
        assert_eq!(mistakes, expected, "{question}");
    }
    let token = format!("Bearer {}", station.admin_token());
    let headers = [("authorization", token.as_str())];
    for (body, pointer) in [
        (&b""[..], ""),
        (b"{", ""),
        (b"\xff", ""),
        (b"{\"at\":1,\"at\":1}", "/at"),
    ] {
        let answer = station.post(&format!("/api/v1{path}"), &headers, body);
        assert_eq!(answer.mistakes(), BTreeSet::from([pointer.to_owned()]));
    }
}

/// To be told, it takes as many secrets as there may be and JSON that every writer writes
/// otherwise: one who asks waits for that, and one who is refused does not.
#[test]
fn the_reason_is_found_after_the_answer_is_out() {
    let (station, origin) = (Station::start(), Origin::start());
    let secrets = ["a", "b", "c"].map(|letter| letter.repeat(40));
    let webhook = station.create_webhook(
        &json!({"provider": "github", "webhook_url": origin.url("/"), "secret": secrets}),
    );
    let element = r#"{"id":9,"note":"Đơn <7>\/\u007f"}"#;
    let body = format!("[{}]", vec![element; 1_700].join(","));
    let forged = format!("sha256={}", "0".repeat(64));
    let headers = [("x-hub-signature-256", forged.as_str())];
    let question = json!({"headers": {"x-hub-signature-256": forged}, "body": body});
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let (mut refused, mut told) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        let start = Instant::now();
        let answer = station.post(&webhook.path, &headers, &body);
        refused.push(start.elapsed());
        answer.assert_refused(401, "unauthenticated");
        // What is left to do of it has its time.
        thread::sleep(Duration::from_millis(300));
        let start = Instant::now();
        let reason = explained(&station, &webhook, &question)["reason"].clone();
        told.push(start.elapsed());
        assert_eq!(reason, "wrong_secret_or_altered_body");
    }
    let kept = refusals(&station, &webhook, 9);
    assert_eq!(each(&kept, "reason"), ["wrong_secret_or_altered_body"; 9]);
    let (refused, told) = (median(refused), median(told));
    assert!(
        refused * 2 < told,
        "refused in {refused:?}, told in {told:?}"
    );
}
