//! Each provider from its signed request to the operator's server: what is proven,
//! what makes it the same event, and what arrives, byte for byte.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{
    thread,
    time::{Duration, Instant},
};
use tram_tests::{
    Answer, Origin, Received, Station, Webhook, assert_signed, casso, github_signature, hex,
    hmac_sha256, now, standard_webhooks, transaction,
};

/// A webhook with the station's own defaults.
fn webhook(station: &Station, origin: &Origin, provider: &str, settings: Value) -> Webhook {
    station.create_webhook(&json!({
        "provider": provider, "webhook_url": origin.url("/hook"), "settings": settings
    }))
}

/// The request that carried this event: there is exactly one.
#[track_caller]
fn relayed(station: &Station, origin: &Origin, id: &str) -> Received {
    let _ = station.wait_for_status(id, "delivered");
    let mut requests = origin.received();
    requests.retain(|request| request.header("webhook-id") == Some(id));
    assert_eq!(requests.len(), 1, "{requests:#?}");
    requests.remove(0)
}

#[test]
fn casso_a_batch_is_cut_byte_for_byte() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let elements = [
        r#"{"id" : 1, "tid":"A\u0042", "amount":1.50, "x":[1, 2]}"#,
        r#"{"id":2,"tid":"đơn hàng","amount":9007199254740993}"#,
        "{\n\t\"id\": \"3\"\n}",
    ];
    let (before, after) = ("{ \"error\":0,\r\n\"data\": [ ", " ],\"more\":[{}] }\n");
    let body = format!("{before}{}{after}", elements.join(" ,\n "));
    let answer = station.post_casso_with(
        &webhook,
        &[
            ("x-kept", "Trạm"),
            ("digest", "sha-256=AAAA"),
            ("content-md5", "AAAA"),
        ],
        &body,
    );
    let ids = answer.assert_taken("accepted");
    assert_eq!(ids.len(), 3);
    for (id, element) in ids.iter().zip(elements) {
        let request = relayed(&station, &origin, id);
        assert_eq!(request.text(), format!("{before}{element}{after}"));
        assert_eq!(assert_signed(&request, &webhook.signing_secret), *id);
        let header = |name: &str| request.header(name);
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("POST", "/hook")
        );
        assert_eq!(header("content-type"), Some("application/json"));
        assert_eq!(header("secure-token"), Some(webhook.secret.as_str()));
        assert_eq!(header("x-kept"), Some("Trạm"));
        assert_eq!(header("x-tram-provider"), Some("casso"));
        assert_eq!(header("x-tram-webhook"), Some(webhook.id.as_str()));
        assert_eq!(header("x-tram-attempt"), Some("1"));
        assert_eq!(header("x-tram-test"), None);
        assert_eq!((header("digest"), header("content-md5")), (None, None));
    }
}

#[test]
fn casso_a_single_transaction_arrives_as_it_came_and_is_understood() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let body = r#" {"error":0,"data":[ {"id":77,"tid":"FT1","amount":-1250.50,"when":"2026-11-20 07:30:00",
        "description":"tr\u1ea3 h\u00e0ng","bank_sub_acc_id":"8888","bankName":"VPBank","new":{}} ]}  "#;
    let digest = [("digest", "sha-256=AAAA")];
    let ids = station
        .post_casso_with(&webhook, &digest, body)
        .assert_taken("accepted");
    let request = relayed(&station, &origin, &ids[0]);
    assert_eq!(request.text(), body);
    assert_eq!(request.header("digest"), Some("sha-256=AAAA"));
    let event = station.event(&ids[0]);
    assert_eq!(event["body"], body);
    assert_eq!(event["object_id"], "77");
    assert_eq!(
        event["summary"],
        json!({
            "bank": "VPBank", "account": "8888", "direction": "out", "amount": "1250.50",
            "transaction_id": "FT1", "description": "trả hàng",
            "occurred_at": "2026-11-20T00:30:00.000Z"
        })
    );
}

#[test]
fn casso_one_transaction_is_one_event_however_it_is_written_or_batched() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let post = |body: &str| station.post_casso(&webhook, body);
    let first = post(r#"{"error":0,"data":[{"id":1,"amount":5}]}"#).assert_taken("accepted");
    for same in [
        r#"{"error":0,"data":[{"id":1,"amount":5}]}"#,
        r#"{"error":0,"data":[{"id":"1","amount":5}]}"#,
        r#"{ "data" : [ { "amount" : 5 , "id" : 1 } ] }"#,
        r#"{"error":0,"data":{"id":1,"amount":5}}"#,
        r#"{"error":0,"data":[{"id":1,"amount":5},{"id":1,"amount":5}]}"#,
        r#"{"error":0,"data":[{"id":"\u0031","amount":6}]}"#,
    ] {
        assert_eq!(post(same).assert_taken("duplicate"), [""; 0], "{same}");
    }
    // Four of them say it with other bytes.
    assert_eq!(station.event(&first[0])["conflicts"], 4);

    // One of three is old: the two others are relayed.
    let batch = r#"{"error":0,"data":[{"id":2},{"id":1,"amount":5},{"id":3}]}"#;
    let answer = post(batch);
    assert_eq!(answer.assert_taken("accepted").len(), 2);
    assert_eq!(answer.header("x-tram-event-count"), Some("2"));
    for (other, outcome) in [
        (r#"{"data":[{"id":1.0}]}"#, "accepted"),
        (r#"{"data":[{"id":"01"}]}"#, "accepted"),
        (r#"{"data":[{"id":3}]}"#, "duplicate"),
    ] {
        post(other).assert_taken(outcome);
    }
    let events = station.wait_for_events(&webhook, |events| {
        events.iter().all(|event| event["status"] == "delivered")
    });
    assert_eq!(events.len(), 5);
    let mut bodies: Vec<String> = origin.received().iter().map(Received::text).collect();
    bodies.sort();
    assert_eq!(
        bodies,
        [
            r#"{"data":[{"id":"01"}]}"#,
            r#"{"data":[{"id":1.0}]}"#,
            r#"{"error":0,"data":[{"id":1,"amount":5}]}"#,
            r#"{"error":0,"data":[{"id":2}]}"#,
            r#"{"error":0,"data":[{"id":3}]}"#,
        ]
    );
}

#[test]
fn casso_test_calls_are_relayed_marked_and_never_remembered() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let call = |text: &str| {
        let mut call = transaction(0);
        call["description"] = json!(text);
        casso(&[call])
    };
    let forged = station.post(&webhook.path, &[("secure-token", "x")], call("forged"));
    forged.assert_refused(401, "unauthenticated");

    let first = station.post_casso(&webhook, call("first"));
    let first = first.assert_taken("test");
    let request = relayed(&station, &origin, &first[0]);
    assert_eq!(request.text(), call("first"));
    assert_eq!(request.header("x-tram-test"), Some("true"));
    assert_eq!(station.event(&first[0])["test"], true);

    // Identical ones within five seconds are relayed once; a machine may be too slow
    // to send two within them, but not every time.
    let once = (0..5).any(|attempt| {
        let body = call(&format!("attempt {attempt}"));
        let begun = Instant::now();
        let before = station.post_casso(&webhook, &body).assert_taken("test");
        let again = station.post_casso(&webhook, &body).assert_taken("test");
        let in_time = begun.elapsed() < Duration::from_secs(4);
        assert_eq!(before.len(), 1);
        assert!(!in_time || again.is_empty());
        in_time
    });
    assert!(once, "the machine is too slow for this test");

    // Later, the first one counts as new again.
    thread::sleep(Duration::from_secs(6));
    let later = station.post_casso(&webhook, call("first"));
    let later = later.assert_taken("test");
    assert_eq!(later.len(), 1);
    assert_ne!(later, first);
    let _ = relayed(&station, &origin, &later[0]);
}

#[test]
fn casso_a_test_call_stands_beside_transactions_and_an_empty_batch_is_one() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let answer = station.post_casso(&webhook, casso(&[transaction(0), transaction(1)]));
    let ids = answer.assert_taken("accepted");
    let marks: Vec<Option<String>> = ids
        .iter()
        .map(|id| relayed(&station, &origin, id))
        .map(|request| request.header("x-tram-test").map(str::to_owned))
        .collect();
    assert_eq!(marks, [Some("true".to_owned()), None]);

    for ping in [r#"{"error":0,"data":[]}"#, "{ \"data\" : [ ] }\n"] {
        let ids = station.post_casso(&webhook, ping).assert_taken("test");
        let request = relayed(&station, &origin, &ids[0]);
        assert_eq!(request.text(), ping);
        assert_eq!(request.header("x-tram-test"), Some("true"));
    }
}

#[test]
fn github_a_delivery_is_the_same_with_the_same_id_and_bytes() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = webhook(&station, &origin, "github", json!({}));
    let post = |delivery: &str, event: &str, body: &str| {
        let signature = github_signature(&webhook.secret, body.as_bytes());
        let headers = [
            ("content-type", "application/json"),
            ("x-github-event", event),
            ("x-github-delivery", delivery),
            ("x-hub-signature-256", &signature),
            ("user-agent", "GitHub-Hookshot/1"),
        ];
        station.post(&webhook.path, &headers, body)
    };
    let body = r#"{"action":"opened", "repository":{"full_name":"octo/đơn"}}"#;
    let ids = post("guid-1", "issues", body).assert_taken("accepted");
    post("guid-1", "issues", body).assert_taken("duplicate");
    // The id is not signed: it neither blocks other bytes nor passes for them.
    post("guid-1", "issues", r#"{"action":"closed"}"#).assert_taken("accepted");
    post("guid-2", "issues", body).assert_taken("accepted");

    let request = relayed(&station, &origin, &ids[0]);
    assert_eq!(request.text(), body);
    assert_eq!(request.header("x-github-event"), Some("issues"));
    assert_eq!(request.header("x-github-delivery"), Some("guid-1"));
    let signature = github_signature(&webhook.secret, body.as_bytes());
    assert_eq!(
        request.header("x-hub-signature-256"),
        Some(signature.as_str())
    );
    let user_agent = request.header("user-agent").unwrap();
    assert!(user_agent.starts_with("tram/"), "{user_agent}");
    assert_signed(&request, &webhook.signing_secret);
    let event = station.event(&ids[0]);
    assert_eq!(
        (&event["event"], &event["object_id"]),
        (&json!("issues"), &json!("octo/đơn"))
    );

    let ping = post(
        "guid-3",
        "ping",
        r#"{"zen":"Keep it logically awesome.","hook_id":1}"#,
    );
    let ids = ping.assert_taken("test");
    let request = relayed(&station, &origin, &ids[0]);
    assert_eq!(request.header("x-tram-test"), Some("true"));
}

#[test]
fn standard_webhooks_the_signed_id_names_the_message() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = webhook(&station, &origin, "standard-webhooks", json!({}));
    assert!(webhook.secret.starts_with("whsec_"));
    let post = |id: &str, at: u64, body: &str| -> Answer {
        let fields = standard_webhooks(&webhook.secret, id, at, body.as_bytes());
        let several = format!("v1a,AAAA v1,AAAA {}", fields[2].1);
        let headers = [
            (fields[0].0, fields[0].1.as_str()),
            (fields[1].0, fields[1].1.as_str()),
            (fields[2].0, several.as_str()),
        ];
        station.post(&webhook.path, &headers, body)
    };
    let body = r#"{"type":"invoice.paid","timestamp":"2026-11-20T00:00:00Z","data":{"id":"in_1"}}"#;
    let at = now() - 10;
    let ids = post("msg_1", at, body).assert_taken("accepted");
    // Signed anew for the next try.
    post("msg_1", at + 5, body).assert_taken("duplicate");
    post("msg_1", at + 6, r#"{"type":"other"}"#).assert_taken("duplicate");
    post("msg_2", at, body).assert_taken("accepted");

    let request = relayed(&station, &origin, &ids[0]);
    assert_eq!(request.text(), body);
    assert_eq!(assert_signed(&request, &webhook.signing_secret), ids[0]);
    let original = |name: &str| {
        let name = format!("x-tram-original-webhook-{name}");
        request.header(&name).map(str::to_owned)
    };
    assert_eq!(original("id").as_deref(), Some("msg_1"));
    assert_eq!(original("timestamp"), Some(at.to_string()));
    assert!(original("signature").is_some());
    let event = station.event(&ids[0]);
    assert_eq!(event["event"], "invoice.paid");
    assert_eq!(event["object_id"], "in_1");
    assert_eq!(event["conflicts"], 1);
}

#[test]
fn custom_a_token_in_a_header_and_an_id_of_several_parts() {
    let (station, origin) = (Station::shared(), Origin::start());
    let settings = json!({
        "scheme": "token", "header": "Authorization", "prefix": "Apikey ",
        "event_id": ["/shop", "/order/id"], "event_name": "/kind"
    });
    let webhook = webhook(&station, &origin, "custom", settings);
    let token = format!("Apikey {}", webhook.secret);
    let post =
        |token: &str, body: &str| station.post(&webhook.path, &[("authorization", token)], body);
    let body = r#"{"kind":"paid","shop":"a","order":{"id":12},"n":1}"#;
    post(&webhook.secret, body).assert_refused(401, "unauthenticated");
    post("Apikey x", body).assert_refused(401, "unauthenticated");
    let ids = post(&token, body).assert_taken("accepted");
    post(&token, r#"{"shop":"a","order":{"id":"12"},"n":2}"#).assert_taken("duplicate");
    post(&token, r#"{"shop":"a1","order":{"id":"2"}}"#).assert_taken("accepted");
    // Where a part is missing, the bytes are the identity.
    post(&token, r#"{"shop":"a"}"#).assert_taken("accepted");
    post(&token, r#"{"shop":"a"}"#).assert_taken("duplicate");
    post(&token, r#"{"shop":"a" }"#).assert_taken("accepted");

    let request = relayed(&station, &origin, &ids[0]);
    assert_eq!(request.text(), body);
    assert_eq!(request.header("authorization"), Some(token.as_str()));
    assert_eq!(station.event(&ids[0])["event"], "paid");
}

#[test]
fn custom_a_keyed_hash_over_time_and_body() {
    let (station, origin) = (Station::shared(), Origin::start());
    let settings = json!({
        "scheme": "hmac", "header": "X-Sig", "algorithm": "sha256", "encoding": "base64", "prefix": "v0=",
        "signed": "{method}:{timestamp}:{id}:{body}", "timestamp_header": "X-Time", "timestamp_unit": "ms",
        "tolerance_seconds": 60, "event_id": "header:X-Id"
    });
    let webhook = webhook(&station, &origin, "custom", settings);
    let post = |at: u64, id: &str, signed_id: &str| {
        let signed = format!("POST:{at}:{signed_id}:body");
        let mac = hmac_sha256(webhook.secret.as_bytes(), signed.as_bytes());
        let signature = format!("v0={}", STANDARD.encode(mac));
        let at = at.to_string();
        let headers = [("x-sig", signature.as_str()), ("x-time", &at), ("x-id", id)];
        station.post(&webhook.path, &headers, "body")
    };
    let at = now() * 1_000;
    let ids = post(at, "a", "a").assert_taken("accepted");
    post(at - 5_000, "a", "a").assert_taken("duplicate");
    post(at, "b", "b").assert_taken("accepted");
    for (at, id, signed_id) in [
        (at, "c", "a"),
        (at - 120_000, "c", "c"),
        (at + 600_000, "c", "c"),
        (at / 1_000, "c", "c"),
    ] {
        post(at, id, signed_id).assert_refused(401, "unauthenticated");
    }
    let request = relayed(&station, &origin, &ids[0]);
    assert_eq!(
        (request.text().as_str(), request.header("x-id")),
        ("body", Some("a"))
    );
    assert!(request.header("x-sig").is_some());
    let events = station.events(&webhook);
    assert_eq!(events.len(), 2);
}

#[test]
fn custom_a_signed_batch_is_cut_and_signed_again() {
    let (station, origin) = (Station::shared(), Origin::start());
    let settings = json!({
        "scheme": "hmac", "header": "X-Webhook-Signature", "items": "/transactions",
        "event_id": "/checksum"
    });
    let webhook = webhook(&station, &origin, "custom", settings);
    let sign = |body: &[u8]| hex(&hmac_sha256(webhook.secret.as_bytes(), body));
    let post = |body: &str| {
        let signature = sign(body.as_bytes());
        let headers = [
            ("x-webhook-signature", signature.as_str()),
            ("content-md5", "AAAA"),
        ];
        station.post(&webhook.path, &headers, body)
    };
    let body = r#"{"transactions":[{"checksum":"a","n": 1}, {"checksum":"b"}]}"#;
    let ids = post(body).assert_taken("accepted");
    let expected = [
        r#"{"transactions":[{"checksum":"a","n": 1}]}"#,
        r#"{"transactions":[{"checksum":"b"}]}"#,
    ];
    for (id, expected) in ids.iter().zip(expected) {
        let request = relayed(&station, &origin, id);
        assert_eq!(request.text(), expected);
        // A handler that was written for the sender keeps working.
        let signature = sign(&request.body);
        assert_eq!(
            request.header("x-webhook-signature"),
            Some(signature.as_str())
        );
        assert_eq!(request.header("content-md5"), None);
    }
    post(r#"{"transactions":[{"checksum":"b"}]}"#).assert_taken("duplicate");
    let ids =
        post(r#"{"transactions":[{"checksum":"b"},{"checksum":"c"}]}"#).assert_taken("accepted");
    assert_eq!(ids.len(), 1);
    let alone = r#"{"transactions": [{"checksum":"d"}]}"#;
    let ids = post(alone).assert_taken("accepted");
    let request = relayed(&station, &origin, &ids[0]);
    assert_eq!(request.text(), alone);
    assert_eq!(request.header("content-md5"), Some("AAAA"));
}

#[test]
fn any_of_several_secrets_proves_the_sender() {
    let (station, origin) = (Station::shared(), Origin::start());
    let secrets = [
        "the-first-secret-0123456789",
        "the-second-secret-0123456789",
    ];
    let webhook = station.create_webhook(&json!({
        "provider": "github", "webhook_url": origin.url("/"), "secret": secrets
    }));
    let post = |secret: &str, body: &str| {
        let signature = github_signature(secret, body.as_bytes());
        station.post(&webhook.path, &[("x-hub-signature-256", &signature)], body)
    };
    post(secrets[0], "0").assert_taken("accepted");
    post(secrets[1], "1").assert_taken("accepted");
    post(secrets[1], "0").assert_taken("duplicate");
    post("the-third-secret-0123456789", "3").assert_refused(401, "unauthenticated");
    post(&secrets.join(","), "4").assert_refused(401, "unauthenticated");
    post("", "5").assert_refused(401, "unauthenticated");
    assert_eq!(origin.wait_for(2).len(), 2);
}

#[test]
fn known_answers_are_judged_as_they_say_when_posted_for_real() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../vectors/providers.json")).unwrap();
    let (station, origin) = (Station::shared(), Origin::start());
    let mut posted = 0;
    for vector in &vectors {
        let label = format!("{}: {}", vector["provider"], vector["name"]);
        let accept = vector["expect"] == "accept";
        let url = vector["url"].as_str().unwrap();
        let mut settings = vector["settings"].clone();
        if settings.is_null() {
            settings = json!({});
        }
        // A judgement that needs another clock, or the URL that others registered,
        // cannot be had here.
        let timed = vector["now"].as_i64().is_some_and(|now| now != 0);
        let elsewhere = !url.is_empty() && settings["url"].is_null();
        if timed && !accept || elsewhere {
            continue;
        }
        if timed {
            settings["tolerance_seconds"] = Value::Null;
        }
        let created = station.api(
            "POST",
            "/webhooks",
            Some(&json!({
                "provider": vector["provider"], "secret": vector["secret"], "settings": settings,
                "webhook_url": origin.url("/")
            })),
        );
        if created.status != 201 {
            // A secret that proves nothing cannot even be configured.
            assert!(
                !accept && created.status == 422,
                "{label}: {}",
                created.text()
            );
            continue;
        }
        let path = format!("/in/{}", created.json()["id"].as_str().unwrap());
        let headers: Vec<(&str, &str)> = vector["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let (method, body) = (&vector["method"], &vector["body"]);
        let body = body.as_str().unwrap().as_bytes();
        let answer = station
            .client()
            .send(method.as_str().unwrap(), &path, &headers, body);
        assert_eq!(
            answer.status / 100 == 2,
            accept,
            "{label}: {}",
            answer.text()
        );
        if !accept {
            answer.assert_refused(401, "unauthenticated");
        }
        posted += 1;
    }
    assert!(posted > 20, "{posted}");
}
