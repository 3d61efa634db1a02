//! Strange bodies, header fields and queries, sent to `/in/{webhook_id}`.

use crate::{Patient, label, nested, strange_json};
use serde_json::json;
use tram_tests::{casso, transaction};

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
        vec![("content-encoding", "gzip, br, ,")],
        vec![("content-encoding", ", identity,")],
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

#[test]
fn a_token_beyond_ascii_proves_its_sender() {
    let patient = Patient::new();
    let secret = "mật khẩu của đơn hàng";
    for provider in [
        json!({"provider": "casso", "secret": secret, "webhook_url": patient.origin.url("/")}),
        json!({"provider": "custom", "secret": secret, "webhook_url": patient.origin.url("/"),
            "settings": {"header": "authorization", "prefix": "Bearer"}}),
    ] {
        let webhook = patient.create_webhook(&provider);
        let bearer = format!("Bearer {secret}");
        let headers = [("secure-token", secret), ("authorization", &bearer)];
        let body = casso(&[transaction("token beyond ascii")]);
        let answer = patient.post(&webhook.path, &headers, &body);
        assert_eq!(answer.outcome(), "accepted", "{}", answer.text());
        for wrong in ["mật khẩu của đơn hang", "m?t kh?u c?a ??n h?ng"] {
            let bearer = format!("Bearer {wrong}");
            let headers = [("secure-token", wrong), ("authorization", &bearer)];
            let answer = patient.post(&webhook.path, &headers, &body);
            answer.assert_refused(401, "unauthenticated");
        }
    }
    patient.discharge(2);
}
