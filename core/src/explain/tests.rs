use super::*;
use crate::{
    problem::Problem,
    providers::examples,
    secret::Secret,
    signature,
    time::Timestamp,
    webhook::{DirectionFilter, Encoding},
};
use serde_json::{Value, json};

const TOKEN: &str = "canary-token-0123456789";
const STANDARD: &str = "whsec_Y2FuYXJ5IHNlY3JldCBvZiB0aGUgdGVzdHM=";
const NOW: Timestamp = Timestamp::from_seconds(1_763_632_800);

fn asked(webhook: &Webhook, question: &Value) -> Result<Question, Problem> {
    read(
        webhook,
        "https://hooks.example.com",
        question.to_string().as_bytes(),
        NOW,
    )
}

#[track_caller]
fn ask(webhook: &Webhook, question: &Value) -> Value {
    let question = asked(webhook, question).unwrap();
    let told = explain(webhook, &question, 1_000);
    assert!(!told.contains("canary"), "{told}");
    serde_json::from_str(&told).unwrap()
}

fn casso() -> Webhook {
    examples::webhook("casso", TOKEN, json!({}))
}

fn transaction(id: u32, amount: i64) -> Value {
    json!({"id": id, "tid": "FT1", "description": "DH1", "amount": amount, "cusum_balance": 1,
        "when": "2026-11-20 09:15:00", "bank_sub_acc_id": "1903", "bankName": "VPBank"})
}

fn body(transactions: &[Value]) -> String {
    json!({"error": 0, "data": transactions}).to_string()
}

#[test]
fn an_authentic_request_is_told_letter_for_letter() {
    let question = asked(
        &casso(),
        &json!({"headers": {"Secure-Token": TOKEN}, "body": body(&[transaction(7, 5_000)])}),
    );
    assert_eq!(
        explain(&casso(), &question.unwrap(), 1_000),
        concat!(
            r#"{"authentic":true,"outcome":"accepted","events":[{"event":null,"object_id":"7","#,
            r#""test":false,"filtered":false,"summary":{"bank":"VPBank","account":"1903","#,
            r#""direction":"in","amount":"5000","transaction_id":"FT1","description":"DH1","payer":null,"currency":null,"#,
            r#""occurred_at":"2026-11-20T02:15:00.000Z"}}],"#,
            r#""answer":{"status":200,"body":"{\"success\":true}"}}"#,
        )
    );
}

#[test]
fn what_the_filters_drop_is_told_beside_what_they_keep() {
    let mut webhook = casso();
    webhook.direction = DirectionFilter::In;
    let ask = |transactions: &[Value]| {
        ask(
            &webhook,
            &json!({"headers": {"secure-token": TOKEN}, "body": body(transactions)}),
        )
    };
    let events = |told: &Value, field: &str| -> Vec<Value> {
        let events = told["events"].as_array().unwrap();
        events.iter().map(|event| event[field].clone()).collect()
    };
    let told = ask(&[transaction(1, -5), transaction(2, 5), transaction(3, -5)]);
    assert_eq!(told["outcome"], "accepted");
    assert_eq!(events(&told, "object_id"), ["1", "2", "3"]);
    assert_eq!(events(&told, "filtered"), [true, false, true]);
    let told = ask(&[transaction(1, -5)]);
    assert_eq!(told["outcome"], "filtered");
    assert_eq!(told["answer"]["status"], 200);
    let told = ask(&[transaction(0, -5)]);
    assert_eq!(told["outcome"], "test");
    assert_eq!(
        (events(&told, "test"), events(&told, "filtered")),
        (vec![json!(true)], vec![json!(false)])
    );
    assert_eq!(
        ask(&[transaction(0, 5), transaction(1, -5)])["outcome"],
        "filtered"
    );
    assert_eq!(ask(&[])["outcome"], "test");
}

#[test]
fn why_not_is_told_in_the_order_of_the_checks() {
    let mut webhook = casso();
    let large = "x".repeat(1_001);
    let reason = |webhook: &Webhook, question: Value| {
        let told = ask(webhook, &question);
        assert_eq!(told["authentic"], false, "{told}");
        assert!(!told["detail"].as_str().unwrap().is_empty(), "{told}");
        told["reason"].as_str().unwrap().to_owned()
    };
    let looping = json!({"x-tram-hops": "3"});
    for (question, expected) in [
        (json!({}), "missing_header"),
        (json!({"headers": {}}), "missing_header"),
        (
            json!({"headers": {"secure-token": "wrong"}}),
            "wrong_secret_or_altered_body",
        ),
        (json!({"body": large}), "body_too_large"),
        (json!({"headers": looping, "body": large}), "loop"),
        (
            json!({"headers": looping, "method": "put"}),
            "method_not_allowed",
        ),
    ] {
        assert_eq!(reason(&webhook, question.clone()), expected, "{question}");
    }
    webhook.is_active = false;
    let inactive = json!({"headers": {"secure-token": TOKEN}});
    assert_eq!(reason(&webhook, inactive), "webhook_inactive");
}

#[test]
fn a_signed_time_is_judged_by_the_time_that_is_asked_for() {
    let webhook = examples::webhook("standard-webhooks", STANDARD, json!({}));
    let secret = Secret::new(STANDARD.into());
    let signature =
        signature::standard_webhooks_signature(&secret, "msg_1", &NOW.seconds().to_string(), b"{}")
            .unwrap();
    let pasted = format!(
        "> POST /in/wh_00000000000000000000000000?a=b HTTP/1.1\n> Host: hooks.example.com\r\n\
         * upload completely sent off\n}} [2 bytes data]\n> webhook-id: msg_1\n\
         webhook-timestamp:  {}\n> webhook-signature: {signature}\n>\n< HTTP/1.1 401 Unauthorized\n",
        NOW.seconds()
    );
    let ask = |at: Value| {
        let mut question = json!({"headers": pasted, "body": "{}"});
        if !at.is_null() {
            question["at"] = at;
        }
        let told = ask(&webhook, &question);
        (told["authentic"].clone(), told["reason"].clone())
    };
    assert_eq!(ask(Value::Null), (json!(true), Value::Null));
    assert_eq!(ask(json!("2025-11-20T17:00:00+07:00")).0, true);
    assert_eq!(ask(json!("2025-11-20T10:06:00Z")).1, "stale_timestamp");
    assert_eq!(ask(json!("2025-11-20T09:50:00Z")).1, "future_timestamp");
}

#[test]
fn a_request_is_read_as_it_would_come_in() {
    let question = asked(
        &casso(),
        &json!({
            "headers": "POST /in/x?a=1 HTTP/2\nX-A: 1\nx-a: 2:3 \n", "body_base64": "AP8=",
        }),
    )
    .unwrap();
    let inbound = &question.inbound;
    assert_eq!(inbound.headers.get("x-a"), Some("1, 2:3"));
    assert_eq!(inbound.body, [0, 255]);
    assert_eq!(inbound.query, "a=1");
    assert_eq!(
        inbound.url,
        "https://hooks.example.com/in/wh_00000000000000000000000000?a=1"
    );
    assert_eq!((inbound.method.as_str(), question.at), ("POST", NOW));
    // What is said beside it counts more.
    let said = json!({"headers": "GET /in/x?a=1 HTTP/2", "method": "PATCH", "query": "?b=2"});
    let inbound = asked(&casso(), &said).unwrap().inbound;
    assert_eq!(
        (inbound.method.as_str(), inbound.query.as_str()),
        ("PATCH", "b=2")
    );
    let usual = asked(&casso(), &json!({"body": "đơn"})).unwrap().inbound;
    assert_eq!(usual.body, "đơn".as_bytes());
    assert!(usual.url.ends_with("00000"), "{}", usual.url);
}

#[test]
fn what_is_said_to_be_compressed_is_noted() {
    let noted = |coding: &str| {
        let question = json!({"headers": {"content-encoding": coding, "secure-token": TOKEN}});
        ask(&casso(), &question)["note"].is_string()
    };
    assert!(noted("gzip") && noted(" GZIP ") && noted("br, zstd"));
    assert!(!noted("identity"));
}

#[test]
fn what_is_no_delivery_is_told_as_what_it_is() {
    let reason = |question: Value| ask(&casso(), &question)["reason"].clone();
    for method in ["HEAD", "OPTIONS", "GET"] {
        assert_eq!(reason(json!({"method": method})), "probe", "{method}");
    }
    let get = json!({"method": "GET", "query": "a=1"});
    assert_eq!(reason(get), "method_not_allowed");
    let headers = json!({"content-encoding": "compress", "secure-token": TOKEN});
    assert_eq!(reason(json!({"headers": headers})), "unsupported_encoding");
}

#[test]
fn mistakes_are_named_and_nothing_of_them_repeated() {
    let base64 = signature::encode(Encoding::Base64, b"x");
    for (question, pointers) in [
        (json!([]), vec![""]),
        (json!("x"), vec![""]),
        (json!({"header": {}, "x": 1}), vec!["/header", "/x"]),
        (json!({"headers": 1}), vec!["/headers"]),
        (json!({"headers": null}), vec!["/headers"]),
        (
            json!({"headers": {"a": 1, "b c": "x"}}),
            vec!["/headers/a", "/headers/b c"],
        ),
        (json!({"headers": {"": "x"}}), vec!["/headers/"]),
        (json!({"headers": "canary"}), vec!["/headers"]),
        (
            json!({"headers": "a: b\ncanary name: x\n{\"a\":1}"}),
            vec!["/headers"; 2],
        ),
        (json!({"headers": "a:b\n".repeat(201)}), vec!["/headers"]),
        (json!({"body": 1}), vec!["/body"]),
        (json!({"body_base64": "canary!"}), vec!["/body_base64"]),
        (
            json!({"body": "", "body_base64": base64}),
            vec!["/body_base64"],
        ),
        (json!({"method": ""}), vec!["/method"]),
        (json!({"method": "GE T"}), vec!["/method"]),
        (json!({"query": 1}), vec!["/query"]),
        (json!({"at": "canary"}), vec!["/at"]),
        (json!({"at": 1_763_632_800}), vec!["/at"]),
    ] {
        let problem = asked(&casso(), &question).unwrap_err();
        assert_eq!(problem.status, 422);
        let found: Vec<_> = problem.errors.iter().map(|one| &one.pointer).collect();
        assert_eq!(found, pointers, "{question}");
        let said = problem
            .errors
            .iter()
            .any(|one| one.message.contains("canary"));
        assert!(!said, "{problem:?}");
    }
    for bytes in [
        &b""[..],
        b"{",
        b"{\"body\":\"\xff\"}",
        b"{\"body\":\"1\",\"body\":\"2\"}",
    ] {
        let problem = read(&casso(), "", bytes, NOW).unwrap_err();
        assert_eq!((problem.status, problem.errors.len()), (422, 1));
    }
}
