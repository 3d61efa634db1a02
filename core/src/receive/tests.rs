//! The receiving rules, told request by request.

use super::*;
use crate::{
    event::{DedupeKey, Direction},
    ids::{EventId, Sequence, WebhookId},
    providers::examples::{post, webhook},
    signature,
    webhook::{Algorithm, DirectionFilter, Encoding},
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn casso() -> Webhook {
    webhook("casso", "token", json!({}))
}

fn casso_post(body: impl AsRef<[u8]>) -> Inbound {
    post(&[("secure-token", "token")], body)
}

fn take(webhook: &Webhook, inbound: &Inbound) -> Intake {
    receive(webhook, inbound, Timestamp::default()).unwrap()
}

fn take_casso(body: impl AsRef<[u8]>) -> Intake {
    take(&casso(), &casso_post(body))
}

/// The key of the one event of this body.
fn key(body: &str) -> DedupeKey {
    let intake = take_casso(body);
    assert_eq!(intake.events.len(), 1, "{body}");
    intake.events[0].key
}

fn bodies(intake: &Intake) -> Vec<&str> {
    intake
        .events
        .iter()
        .map(|event| std::str::from_utf8(&event.body).unwrap())
        .collect()
}

#[test]
fn what_could_not_be_stored_is_unavailable_and_anything_else_refused() {
    for (problem, outcome) in [
        (Problem::try_again("later"), "unavailable"),
        (unauthenticated(), "refused"),
        (Problem::webhook_not_found(), "refused"),
    ] {
        assert_eq!(outcome_of_refused(&problem), outcome, "{}", problem.code);
    }
}

#[test]
fn the_checks_before_the_body_stand_in_order() {
    let mut off = casso();
    off.is_active = false;
    let hops = |value: &str| [("x-tram-hops", value)].into_iter().collect::<Headers>();
    let check = |webhook: &Webhook, method: &str, headers: &Headers| {
        precheck(webhook, method, headers).map_err(|problem| (problem.status, problem.code))
    };
    let none = Headers::new();
    assert_eq!(check(&casso(), "POST", &none), Ok(()));
    let not_allowed = Err((405, "method_not_allowed"));
    for method in ["GET", "PUT", "HEAD", "OPTIONS", "post", ""] {
        assert_eq!(check(&casso(), method, &none), not_allowed, "{method}");
    }
    assert_eq!(check(&off, "GET", &hops("3")), not_allowed);
    assert_eq!(
        check(&off, "POST", &hops("3")),
        Err((503, "webhook_inactive"))
    );
    for (value, result) in [
        ("0", Ok(())),
        ("2", Ok(())),
        ("3", Err((508, "loop"))),
        ("4", Err((508, "loop"))),
        ("99999999999", Err((508, "loop"))),
        ("-1", Err((508, "loop"))),
        ("+1", Err((508, "loop"))),
        ("1, 1", Err((508, "loop"))),
        ("", Err((508, "loop"))),
        ("many", Err((508, "loop"))),
    ] {
        assert_eq!(check(&casso(), "POST", &hops(value)), result, "{value:?}");
    }
    let own = casso().id.to_string();
    let other = WebhookId::from_random([7; 16]).to_string();
    let chain = format!("{other}, {own}");
    for (name, value, result) in [
        ("x-tram-webhook", own.as_str(), Err((508, "loop"))),
        ("X-Tram-Webhook", &own, Err((508, "loop"))),
        ("x-tram-webhook", &chain, Err((508, "loop"))),
        ("x-tram-via", &own, Err((508, "loop"))),
        ("x-tram-via", &chain, Err((508, "loop"))),
        ("x-tram-webhook", &other, Ok(())),
        ("x-tram-webhook", "", Ok(())),
        ("x-tram-webhook", "wh_", Ok(())),
        ("x-tram-via", &other, Ok(())),
    ] {
        let headers = [(name, value)].into_iter().collect();
        assert_eq!(check(&casso(), "POST", &headers), result, "{name}: {value}");
    }
    let refused = precheck(&casso(), "GET", &none).unwrap_err();
    assert_eq!(refused.headers, [("allow", "POST".to_owned())]);
    let inactive = precheck(&off, "POST", &none).unwrap_err();
    assert_eq!(inactive.headers, [("retry-after", "60".to_owned())]);
}

#[test]
fn unproven_requests_become_nothing() {
    let refusal = |headers: &[(&str, &str)]| {
        receive(&casso(), &post(headers, "{}"), Timestamp::default())
            .map_err(|why| why.code())
            .unwrap_err()
    };
    assert_eq!(refusal(&[]), "missing_header");
    assert_eq!(
        refusal(&[("secure-token", "tokeN")]),
        "wrong_secret_or_altered_body"
    );
    let without_secret = webhook("casso", "", json!({}));
    assert_eq!(
        receive(&without_secret, &casso_post("{}"), Timestamp::default()),
        Err(Refusal::NoSecret)
    );
    assert_eq!(unauthenticated().status, 401);
    assert_eq!(body_too_large(5).status, 413);
}

#[test]
fn a_single_transaction_is_relayed_exactly_as_it_came() {
    let body = "\u{feff}{ \"error\" : 0,\r\n \"data\":[ {\"id\": 7 ,\"amount\":5} ] }\n";
    let mut inbound = casso_post(body);
    inbound.headers.push("digest", "sha-256=x");
    let intake = take(&casso(), &inbound);
    assert_eq!(bodies(&intake), [body]);
    let event = &intake.events[0];
    assert_eq!(event.header_changes, []);
    // The same transaction in another envelope has the same content.
    let again = take(
        &casso(),
        &casso_post(r#"{"data":[{"id": 7 ,"amount":5},{"id":8}]}"#),
    );
    assert_eq!(again.events[0].body_sha256, event.body_sha256);
    let altered = take(&casso(), &casso_post(r#"{"data":[{"id": 7 ,"amount":6}]}"#));
    assert_ne!(altered.events[0].body_sha256, event.body_sha256);
    assert_eq!(event.object_id.as_deref(), Some("7"));
    assert_eq!(event.summary.direction, Some(Direction::In));
    assert_eq!(intake.filtered, 0);
    assert_eq!(
        intake.reply,
        Reply {
            status: 200,
            content_type: "application/json".into(),
            body: r#"{"success":true}"#.into()
        }
    );
}

#[test]
fn a_batch_is_split_and_meets_its_elements_again() {
    let body = r#"{"error":0,"data":[{"id":1,"a":1.50},{"id":"2"} , {"id":3}]}"#;
    let mut inbound = casso_post(body);
    for name in ["Digest", "Content-MD5", "Content-Digest", "x-other"] {
        inbound.headers.push(name, "x");
    }
    let intake = take(&casso(), &inbound);
    assert_eq!(
        bodies(&intake),
        [
            r#"{"error":0,"data":[{"id":1,"a":1.50}]}"#,
            r#"{"error":0,"data":[{"id":"2"}]}"#,
            r#"{"error":0,"data":[{"id":3}]}"#,
        ]
    );
    let dropped = ["digest", "content-md5", "content-digest"].map(|name| (name.to_owned(), None));
    assert_eq!(intake.events[0].header_changes, dropped);
    let keys: Vec<_> = intake.events.iter().map(|event| event.key).collect();
    assert_eq!(keys[0], key(r#"{"data":[{"id":"1","other":true}]}"#));
    assert_eq!(keys[1], key(r#"{"data":[{"id":2}]}"#));
    assert_eq!(
        keys[2],
        key(r#"{"data":{"id":3}}"#),
        "one object in the array's stead"
    );
}

#[test]
fn the_same_transaction_twice_in_a_batch_is_shown_twice() {
    let intake = take_casso(r#"{"data":[{"id":1},{"id":1}]}"#);
    assert_eq!(intake.events.len(), 2);
    assert_eq!(intake.events[0].key, intake.events[1].key);
}

#[test]
fn test_calls_are_marked_and_named_by_their_bytes() {
    let intake = take_casso(r#"{"data":[{"id":0,"amount":1},{"id":5},{"id":"0"}]}"#);
    let tests: Vec<_> = intake.events.iter().map(|event| event.test).collect();
    assert_eq!(tests, [true, false, true]);
    assert_ne!(intake.events[0].key, intake.events[2].key);
    assert_ne!(
        key(r#"{"data":[{"id":0}]}"#),
        key(r#"{"data":[{"id":0,"x":1}]}"#)
    );
    assert_eq!(
        key(r#"{"data":[{"id":0}]}"#),
        key(r#"{"error":0,"data":[{"id":0}]}"#)
    );

    let ping = take_casso(r#"{"error":0,"data":[]}"#);
    assert_eq!(bodies(&ping), [r#"{"error":0,"data":[]}"#]);
    assert!(ping.events[0].test);
}

#[test]
fn a_test_call_of_sepay_is_marked_however_it_is_written() {
    let sepay = webhook("sepay", "token", json!({}));
    let take = |content_type, body: &str| {
        let headers = [
            ("authorization", "Apikey token"),
            ("content-type", content_type),
        ];
        take(&sepay, &post(&headers, body)).events.remove(0)
    };
    let first = take("application/json", r#"{"id":0,"transferAmount":5000}"#);
    let second = take("application/json", r#"{"id":0,"transferAmount":6000}"#);
    let form = take(
        "application/x-www-form-urlencoded",
        "id=0&transferAmount=5000",
    );
    assert!(first.test && second.test && form.test);
    // Named by what it says: the second is no duplicate of the first.
    assert_ne!(first.key, second.key);
    assert!(!take("application/json", r#"{"id":92704}"#).test);
}

#[test]
fn a_body_that_is_the_array_is_split_where_items_is_empty() {
    let settings = json!({"header": "x-token", "items": "", "event_id": "/id"});
    let custom = webhook("custom", "token", settings);
    let take = |body: &str| take(&custom, &post(&[("x-token", "token")], body));
    let batch = take(r#" [{"id":1}, {"id":2} ]"#);
    assert_eq!(bodies(&batch), [r#" [{"id":1} ]"#, r#" [{"id":2} ]"#]);
    let ids: Vec<_> = batch
        .events
        .iter()
        .map(|it| it.object_id.as_deref())
        .collect();
    assert_eq!(ids, [Some("1"), Some("2")]);
    let alone = take(r#"[{"id":2}]"#);
    assert_eq!(alone.events[0].key, batch.events[1].key);
    assert_eq!(bodies(&take(r#"{"id":3}"#)), [r#"{"id":3}"#]);
    assert!(take("[]").events[0].test);
}

#[test]
fn strange_is_no_reason_to_lose_it() {
    let long = format!(r#"{{"data":[{}]}}"#, vec![r#"{"id":1}"#; 1_001].join(","));
    let strange: [&[u8]; 9] = [
        b"",
        b"not json",
        b"\xff\xfe",
        b"{\"data\":[{\"id\":1}",
        b"{\"data\":\"x\"}",
        b"{\"error\":0,\"data\":null}",
        b"{\"data\":[{\"tid\":\"no id\"}]}",
        b"[[[[",
        long.as_bytes(),
    ];
    let mut keys = Vec::new();
    for body in strange {
        let intake = take_casso(body);
        assert_eq!(intake.events.len(), 1, "{body:?}");
        assert_eq!(intake.events[0].body, body);
        assert!(!intake.events[0].test);
        keys.push(intake.events[0].key);
    }
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 9, "each is an event of its own");
}

#[test]
fn all_that_is_relayed_tells_events_without_an_id_apart() {
    let keyed = |method: &str, query: &str, body: &str| {
        let mut inbound = casso_post(body);
        method.clone_into(&mut inbound.method);
        query.clone_into(&mut inbound.query);
        take(&casso(), &inbound).events[0].key
    };
    let mut keys = Vec::new();
    for (method, query, body) in [
        ("POST", "", "{}"),
        ("POST", "", "{ }"),
        ("POST", "order=1", "{}"),
        ("POST", "order=2", "{}"),
        ("PUT", "", "{}"),
        ("PUT", "order=1", "{}"),
        // One element alone is relayed in what stands around it.
        ("POST", "", r#"{"data":[{"tid":"T"}]}"#),
        ("POST", "", r#"{"account":1,"data":[{"tid":"T"}]}"#),
        ("POST", "", r#"{"account":2,"data":[{"tid":"T"}]}"#),
        ("POST", "order=1", r#"{"data":[{"tid":"T"}]}"#),
    ] {
        let key = keyed(method, query, body);
        assert_eq!(keyed(method, query, body), key, "the same again");
        keys.push(key);
    }
    let all = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), all, "each is an event of its own");
    // In a batch as alone.
    let batch = take_casso(r#"{"data":[{"tid":"T"},{"tid":"U"}]}"#);
    assert_eq!(batch.events[0].key, key(r#"{"data":[{"tid":"T"}]}"#));
    assert_eq!(batch.events[1].key, key(r#"{"data":[{"tid":"U"}]}"#));
    // With an id it is the same event, however it is sent.
    let with_id = r#"{"data":[{"id":1}]}"#;
    assert_eq!(keyed("PUT", "order=1", with_id), key(with_id));
}

#[test]
fn an_empty_body_without_an_id_is_never_a_duplicate() {
    let custom = |settings: Value| {
        let mut all = json!({"header": "secure-token"});
        all.as_object_mut()
            .unwrap()
            .extend(settings.as_object().unwrap().clone());
        webhook("custom", "token", all)
    };
    let keyed = |webhook: &Webhook, nonce: u8, decoded: Option<Vec<u8>>| {
        let mut inbound = casso_post("");
        inbound.headers.push("x-id", "7");
        inbound.nonce = [nonce; 16];
        if decoded.is_some() {
            inbound.body = b"gzip of nothing".to_vec();
        }
        inbound.decoded = decoded;
        take(webhook, &inbound).events[0].key
    };
    let without_id = custom(json!({}));
    for decoded in [None, Some(Vec::new())] {
        assert_ne!(
            keyed(&without_id, 1, decoded.clone()),
            keyed(&without_id, 2, decoded.clone())
        );
        // The same request, judged again by a newer configuration, is the same.
        assert_eq!(
            keyed(&without_id, 1, decoded.clone()),
            keyed(&without_id, 1, decoded)
        );
    }
    let with_id = custom(json!({"event_id": "header:x-id"}));
    assert_eq!(keyed(&with_id, 1, None), keyed(&with_id, 2, None));
    // A body says something, whatever the nonce.
    let full = |nonce: u8| {
        let mut inbound = casso_post("{}");
        inbound.nonce = [nonce; 16];
        take(&without_id, &inbound).events[0].key
    };
    assert_eq!(full(1), full(2));
}

#[test]
fn keys_have_this_shape() {
    // Stored for up to 400 days: with another shape each event would be new once more.
    let hex = |key: DedupeKey| signature::encode(Encoding::Hex, &key);
    let keyed = |webhook: &Webhook, query: &str, body: &str| {
        let mut inbound = casso_post(body);
        query.clone_into(&mut inbound.query);
        inbound.headers.push("x-id", "7");
        inbound.nonce = [9; 16];
        hex(take(webhook, &inbound).events[0].key)
    };
    let unsigned = json!({"header": "secure-token", "event_id": "header:x-id"});
    for (kind, key, pinned) in [
        (
            "id",
            keyed(&casso(), "", r#"{"data":[{"id":1}]}"#),
            "be313697200313162f196385b181dcceae5927075570542a002e672e8b9b92a1",
        ),
        (
            "unsigned id",
            keyed(&webhook("custom", "token", unsigned), "", "{}"),
            "db671985cea5f127cdb91b1e4f5279c3503afb7ce2604898bf8b6166edcc8701",
        ),
        (
            "test",
            keyed(&casso(), "", r#"{"data":[{"id":0}]}"#),
            "0a43d09362d38459c1a6d8d5f8834e326fe24d5497bbb0f4c9377c7954706dc9",
        ),
        (
            "bytes",
            keyed(&casso(), "", "{}"),
            "93682cb9735f863153b6fc416ca106c83cca4ae1864e758f4ac442a0b895a05f",
        ),
        (
            "bytes and query",
            keyed(&casso(), "a=1", "{}"),
            "47d023eacadfab637e4886ac44a511dc1dff0b535bfb9b12fa3264a9852b8c17",
        ),
        (
            "element",
            keyed(&casso(), "", r#"{"data":[{"tid":1}]}"#),
            "07362ef6081fa193d56dfc2ccf1e6892fe91ed20bbcd2ffad518685c4a199eae",
        ),
        (
            "nonce",
            keyed(&casso(), "", ""),
            "bde60ee2525c8fd5ab29eb8d631c99644f83256f11680c719ae3f829bc0dc1b5",
        ),
    ] {
        assert_eq!(key, pinned, "{kind}");
    }
}

#[test]
fn a_forged_id_neither_blocks_nor_passes_for_another() {
    let webhook = webhook("github", "secret", json!({}));
    let keyed = |delivery: &str, body: &str| {
        let mac = signature::keyed_hash(Algorithm::Sha256, b"secret", &[body.as_bytes()]).unwrap();
        let signature = format!("sha256={}", signature::encode(Encoding::Hex, &mac));
        let headers = [
            ("x-hub-signature-256", signature.as_str()),
            ("x-github-delivery", delivery),
        ];
        take(&webhook, &post(&headers, body)).events[0].key
    };
    assert_eq!(keyed("a", "{}"), keyed("a", "{}"), "a redelivery");
    assert_ne!(keyed("a", "{}"), keyed("a", "{ }"));
    assert_ne!(keyed("a", "{}"), keyed("b", "{}"));
}

#[test]
fn compressed_bodies_are_read_and_relayed_as_they_came() {
    let received = |body: &str| {
        let mut inbound = casso_post("gzip bytes");
        inbound.headers.push("content-encoding", "gzip");
        inbound.decoded = Some(body.into());
        take(&casso(), &inbound)
    };
    let single = received(r#"{"data":[{"id":1}]}"#);
    assert_eq!(bodies(&single), ["gzip bytes"]);
    assert_eq!(single.events[0].header_changes, []);
    assert_eq!(single.events[0].key, key(r#"{"data":[{"id":1}]}"#));
    let batch = received(r#"{"data":[{"id":1},{"id":2}]}"#);
    assert_eq!(
        bodies(&batch),
        [r#"{"data":[{"id":1}]}"#, r#"{"data":[{"id":2}]}"#]
    );
    let decoded = [("content-encoding".to_owned(), None)];
    assert_eq!(batch.events[1].header_changes, decoded);
}

#[test]
fn what_is_refused_whatever_is_in_it_is_not_unpacked() {
    let now = Timestamp::from_seconds(1_000);
    let wanted = |provider: &str, headers: &[(&str, &str)], settings: Value| {
        let webhook = webhook(provider, "token", settings);
        wants_decoded(&webhook, &post(headers, "packed"), now)
    };
    let mac = |secret: &[u8]| {
        let mac = signature::keyed_hash(Algorithm::Sha256, secret, &[b"packed"]).unwrap();
        format!("sha256={}", signature::encode(Encoding::Hex, &mac))
    };
    let (right, other) = (mac(b"token"), mac(b"other"));
    let casso_v2 = |time: i64| format!("t={time},v1={}", "00".repeat(64));
    let limited = json!({"tolerance_seconds": 300});
    let signed_id = json!({"header": "x-sig", "scheme": "hmac", "signed": "{id}",
        "event_id": "header:x-id"});
    for (provider, header, value, settings, expected) in [
        ("casso", "secure-token", "token", json!({}), true),
        ("casso", "secure-token", "other", json!({}), false),
        ("casso", "x", "token", json!({}), false),
        ("github", "x-hub-signature-256", &right, json!({}), true),
        // It may be over what is packed.
        ("github", "x-hub-signature-256", &other, json!({}), true),
        (
            "github",
            "x-hub-signature-256",
            "sha256=x",
            json!({}),
            false,
        ),
        ("github", "x", &right, json!({}), false),
        (
            "casso-v2",
            "x-casso-signature",
            &casso_v2(0),
            json!({}),
            true,
        ),
        (
            "casso-v2",
            "x-casso-signature",
            &casso_v2(0),
            limited.clone(),
            false,
        ),
        ("casso-v2", "x-casso-signature", "v1=00", json!({}), false),
        (
            "stripe",
            "stripe-signature",
            "t=1000,v1=00",
            json!({}),
            true,
        ),
        ("stripe", "stripe-signature", "t=1,v1=00", json!({}), false),
        ("payos", "x", "", json!({}), true),
        ("custom", "x-sig", "00", signed_id, false),
    ] {
        let headers = [(header, value), ("x-id", "7")];
        assert_eq!(
            wanted(provider, &headers, settings),
            expected,
            "{provider} {value}"
        );
    }
}

#[test]
fn one_address_may_be_written_in_several_ways() {
    let id = "wh_a0000000000000000000000000";
    let known = WebhookId::parse(id);
    assert!(known.is_some());
    for segment in [
        id,
        "wh_a0000000000000000000000000/",
        "wh%5fa0000000000000000000000000",
        "wh%5F%610000000000000000000000000/",
        "%77%68_a0000000000000000000000000",
    ] {
        assert_eq!(addressed(segment), known, "{segment}");
    }
    for other in [
        "",
        "/",
        "wh_a0000000000000000000000000//",
        "wh_a0000000000000000000000000/x",
        "wh_a0000000000000000000000000%2F",
        "wh%255fa0000000000000000000000000",
        "wh%5",
        "%ff",
    ] {
        assert_eq!(addressed(other), None, "{other}");
    }
}

#[test]
fn probes_are_what_no_provider_delivers_by() {
    let probe = |method: &str, query: &str| is_probe(&casso(), method, query);
    for method in ["HEAD", "OPTIONS"] {
        assert!(probe(method, "") && probe(method, "a=1"), "{method}");
    }
    assert!(probe("GET", "") && !probe("GET", "a=1"));
    for method in ["POST", "PUT", "DELETE", "get", ""] {
        assert!(!probe(method, ""), "{method}");
    }
    for provider in providers::ALL {
        let about = provider.about();
        let settings = json!({"header": "x-token"});
        let webhook = webhook(about.id, "token", settings);
        for method in about.methods {
            assert!(!is_probe(&webhook, method, ""), "{} {method}", about.id);
        }
    }
    assert_eq!((probed().status, probed().body.as_str()), (200, ""));
}

#[test]
fn filters_drop_and_count() {
    let body =
        r#"{"data":[{"id":1,"amount":5},{"id":2,"amount":-5},{"id":3},{"id":0,"amount":-1}]}"#;
    let mut webhook = casso();
    webhook.direction = DirectionFilter::In;
    let intake = take(&webhook, &casso_post(body));
    assert_eq!(intake.filtered, 1);
    assert_eq!(
        bodies(&intake),
        [
            r#"{"data":[{"id":1,"amount":5}]}"#,
            r#"{"data":[{"id":3}]}"#,
            r#"{"data":[{"id":0,"amount":-1}]}"#,
        ]
    );
}

#[test]
fn split_bodies_are_signed_again() {
    let settings = json!({"header": "x-sig", "scheme": "hmac", "algorithm": "sha512", "encoding": "base64",
        "signed": "{timestamp}.{body}", "timestamp_header": "x-time", "items": "/items", "event_id": "/id"});
    let webhook = webhook("custom", "key", settings);
    let body = r#"{"items":[{"id":1},{"id":2}]}"#;
    let mac =
        signature::keyed_hash(Algorithm::Sha512, b"key", &[b"1000.", body.as_bytes()]).unwrap();
    let mac = signature::encode(Encoding::Base64, &mac);
    let inbound = post(&[("x-sig", &mac), ("x-time", "1000")], body);
    let now = Timestamp::from_seconds(1_000);
    let batch = receive(&webhook, &inbound, now).unwrap();
    assert_eq!(batch.events.len(), 2);
    for event in batch.events {
        let [(time_field, Some(time)), (field, Some(value))] = event.header_changes.as_slice()
        else {
            panic!("two replaced fields: {:?}", event.header_changes);
        };
        assert_eq!((time_field.as_str(), field.as_str()), ("x-time", "x-sig"));
        let part = post(&[("x-sig", value), ("x-time", time)], &event.body);
        let again = receive(&webhook, &part, now).unwrap();
        assert_eq!(again.events[0].key, event.key);
        assert_eq!(again.events[0].body, event.body);
    }
}

#[test]
fn what_is_shown_is_bounded_and_amounts_are_never_cut() {
    let long = "đ".repeat(5_000);
    let digits = "9".repeat(300);
    let intake = take_casso(format!(
        r#"{{"data":[{{"id":"{long}","description":"{long}","amount":{digits},"tid":"t"}}]}}"#
    ));
    let event = &intake.events[0];
    let count = |text: &Option<String>| text.as_ref().map(|text| text.chars().count());
    assert_eq!(count(&event.object_id), Some(200));
    assert_eq!(count(&event.summary.description), Some(1_000));
    assert_eq!(event.summary.amount, None);
    assert_eq!(event.summary.direction, Some(Direction::In));
}

#[test]
fn the_operator_may_answer_in_his_own_words() {
    let answer = |answer: Value| reply(&webhook("casso", "t", json!({"answer": answer})));
    let words = |status, content_type: &str, body: &str| Reply {
        status,
        content_type: content_type.into(),
        body: body.into(),
    };
    assert_eq!(answer(json!({"status": 204})), words(204, "", ""));
    assert_eq!(
        answer(json!({"status": 201, "body": "{}"})),
        words(201, "application/json", "{}")
    );
    assert_eq!(
        answer(json!({"status": 200, "body": "OK"})),
        words(200, "text/plain; charset=utf-8", "OK")
    );
}

#[test]
fn the_outcome_is_the_first_that_fits() {
    let new = || Taken::New(id(1));
    let duplicate = || Taken::Duplicate {
        delivered: true,
        known_until: None,
    };
    let test = || Taken::Test(None);
    for (filtered, taken, expected) in [
        (0, vec![new()], "accepted"),
        (1, vec![test(), duplicate(), new()], "accepted"),
        (1, vec![test(), duplicate()], "duplicate"),
        (1, vec![test()], "filtered"),
        (1, vec![], "filtered"),
        (0, vec![test()], "test"),
        (0, vec![Taken::Test(Some(id(1)))], "test"),
    ] {
        assert_eq!(outcome(filtered, &taken), expected, "{filtered} {taken:?}");
    }
}

fn id(number: i64) -> EventId {
    EventId {
        sequence: Sequence::from_number(number).unwrap(),
        webhook: WebhookId::from_random([0; 16]),
        shard: 0,
    }
}

#[test]
fn the_first_twenty_event_ids_are_named() {
    assert_eq!(event_ids_header(&[]), None);
    assert_eq!(
        event_ids_header(&[
            Taken::Duplicate {
                delivered: false,
                known_until: None
            },
            Taken::Test(None)
        ]),
        None
    );
    let two = [
        Taken::New(id(1)),
        Taken::Duplicate {
            delivered: true,
            known_until: None,
        },
        Taken::Test(Some(id(2))),
    ];
    assert_eq!(event_ids_header(&two), Some(format!("{},{}", id(1), id(2))));
    let many: Vec<_> = (0..30).map(|number| Taken::New(id(number))).collect();
    let named = event_ids_header(&many).unwrap();
    assert_eq!(named.split(',').count(), 20);
    assert!(named.starts_with(&id(0).to_string()));
}

#[test]
fn keys_are_unchanged() {
    // Stored for 400 days: another key for the same event would let it in again.
    let hex = |key: DedupeKey| signature::encode(Encoding::Hex, &key);
    assert_eq!(
        hex(key(r#"{"data":[{"id":1}]}"#)),
        "be313697200313162f196385b181dcceae5927075570542a002e672e8b9b92a1"
    );
    assert_eq!(
        hex(key("not json")),
        "58d3f57bad29b42f7aa15200a32b2e46a2affa106a807d7fb11ad4ede89cad0c"
    );
}

proptest! {
    #[test]
    fn keys_are_equal_exactly_when_provider_webhook_and_id_are(
        providers in prop::sample::subsequence(vec!["casso", "custom"], 2),
        same_provider: bool, webhooks: [bool; 2], ids in prop::array::uniform2("[0-9a-b\":]{1,3}"),
    ) {
        let keyed = |provider: &str, webhook_number: bool, id: &str| {
            let settings = if provider == "custom" {
                json!({"header": "secure-token", "items": "/data", "event_id": "/id"})
            } else { json!({}) };
            let mut webhook = webhook(provider, "token", settings);
            webhook.id = WebhookId::from_random([u8::from(webhook_number); 16]);
            let body = json!({"data": [{"id": id}]}).to_string();
            take(&webhook, &casso_post(body)).events[0].key
        };
        prop_assume!(ids.iter().all(|id| id != "0"));
        let second = if same_provider { providers[0] } else { providers[1] };
        let same = keyed(providers[0], webhooks[0], &ids[0]) == keyed(second, webhooks[1], &ids[1]);
        prop_assert_eq!(same, same_provider && webhooks[0] == webhooks[1] && ids[0] == ids[1]);
    }

    #[test]
    fn one_changed_byte_anywhere_is_refused(
        body in prop::collection::vec(any::<u8>(), 1..60), secret in "[a-zA-Z0-9]{1,40}",
        at: prop::sample::Index, bit in 0_u8..8, scheme in 0_usize..3,
    ) {
        let secret_bytes = secret.as_bytes();
        let standard = scheme == 2;
        let (provider, stored) = if standard {
            ("standard-webhooks", format!("whsec_{}", signature::encode(Encoding::Base64, secret_bytes)))
        } else { (["github", "custom"][scheme], secret.clone()) };
        let settings = if scheme == 1 {
            json!({"header": "x-sig", "scheme": "hmac", "encoding": "base64", "algorithm": "sha1",
                "signed": "{timestamp}.{body}", "timestamp_header": "x-time"})
        } else { json!({}) };
        let webhook = webhook(provider, &stored, settings);
        let mac = |algorithm, signed: &[&[u8]]| signature::keyed_hash(algorithm, secret_bytes, signed).unwrap();
        let inbound = match scheme {
            0 => {
                let hex = signature::encode(Encoding::Hex, &mac(Algorithm::Sha256, &[&body]));
                post(&[("x-hub-signature-256", &format!("sha256={hex}"))], &body)
            }
            1 => {
                let text = signature::encode(Encoding::Base64, &mac(Algorithm::Sha1, &[b"1000.", &body]));
                post(&[("x-sig", &text), ("x-time", "1000")], &body)
            }
            _ => {
                let text = signature::standard_webhooks_signature(&webhook.secrets[0], "msg", "1000", &body).unwrap();
                post(&[("webhook-id", "msg"), ("webhook-timestamp", "1000"), ("webhook-signature", &text)], &body)
            }
        };
        let now = Timestamp::from_seconds(1_000);
        prop_assert!(receive(&webhook, &inbound, now).is_ok());

        let mut altered = inbound.clone();
        let place = at.index(altered.body.len());
        altered.body[place] ^= 1 << bit;
        prop_assert!(receive(&webhook, &altered, now).is_err());

        for (name, value) in inbound.headers.iter() {
            let mut letters: Vec<char> = value.chars().collect();
            let place = at.index(letters.len());
            // Hex is read in either case: another digit, not another case.
            letters[place] = if letters[place] == '1' { '2' } else { '1' };
            let mut altered = inbound.clone();
            altered.headers.set(name, letters.into_iter().collect::<String>());
            prop_assert!(receive(&webhook, &altered, now).is_err(), "{} {}", name, value);
        }

        let mut other = secret_bytes.to_vec();
        let place = at.index(other.len());
        other[place] = if other[place] == b'x' { b'y' } else { b'x' };
        let text = if standard {
            format!("whsec_{}", signature::encode(Encoding::Base64, &other))
        } else { String::from_utf8(other).unwrap() };
        let mut wrong = webhook.clone();
        wrong.secrets = vec![crate::secret::Secret::new(text)];
        prop_assert!(receive(&wrong, &inbound, now).is_err());
    }

    #[test]
    fn a_batch_loses_and_invents_nothing(
        ids in prop::collection::vec(1_u64..50, 2..12), blank in "[ \n]{0,2}",
    ) {
        let elements: Vec<_> = ids.iter().map(|id| format!("{{\"id\":{id},{blank}\"t\":\"[,]\"}}")).collect();
        let body = format!("{{\"error\":0,\"data\":[{}]}}", elements.join(&format!("{blank},")));
        let intake = take_casso(&body);
        prop_assert_eq!(intake.events.len(), ids.len());
        for (event, (id, element)) in intake.events.iter().zip(ids.iter().zip(&elements)) {
            let relayed = std::str::from_utf8(&event.body).unwrap();
            prop_assert_eq!(relayed, format!("{{\"error\":0,\"data\":[{element}]}}"));
            prop_assert_eq!(event.object_id.clone(), Some(id.to_string()));
            prop_assert_eq!(event.key, key(relayed));
        }
    }

    #[test]
    fn whatever_comes_is_refused_or_taken(
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..80),
            r#"\{"(data|id|payload)":[\[\]{}0-9",:a-z\\]{0,30}\}"#.prop_map(String::into_bytes),
        ],
        values in prop::collection::vec("\\PC{0,20}|v1,[A-Za-z0-9+/=]{0,12}|sha256=[0-9a-f]{0,9}|[0-9]{1,20}", 12),
        decoded: Option<Vec<u8>>, secret in "\\PC{0,10}", now: i64, method in "\\PC{0,5}",
    ) {
        let names = ["secure-token", "x-hub-signature-256", "x-github-event", "x-github-delivery", "webhook-id",
            "webhook-timestamp", "webhook-signature", "x-sig", "x-time", "x-id", "content-type", "x-tram-hops"];
        let headers: Vec<_> = names.iter().copied().zip(values.iter().map(String::as_str)).collect();
        let mut inbound = post(&headers, &body);
        inbound.decoded = decoded;
        for provider in providers::ALL {
            for settings in [
                json!({}),
                json!({"header": "x-sig", "items": "/data", "event_id": ["header:x-id", "/id"], "event_name": "/type"}),
                json!({"header": "x-sig", "scheme": "hmac", "signed": "{id}{timestamp}{url}{method}{body}", "prefix": "v1,",
                    "timestamp_header": "x-time", "timestamp_unit": "ms", "event_id": "header:x-id", "items": ""}),
            ] {
                // Also past the proof: with the credential as the secret.
                for secret in [secret.as_str(), values[0].trim(), values[7].trim()] {
                    let webhook = webhook(provider.about().id, secret, settings.clone());
                    let _ = precheck(&webhook, &method, &inbound.headers);
                    if let Ok(intake) = receive(&webhook, &inbound, Timestamp::from_millis(now)) {
                        prop_assert!(!intake.events.is_empty() || intake.filtered > 0);
                    }
                }
            }
        }
    }
}

#[test]
fn the_largest_body_is_bounded_whatever_is_set() {
    for (variable, bytes) in [
        (None, 1_048_576),
        (Some(""), 1_048_576),
        (Some("-1"), 1_048_576),
        (Some("many"), 1_048_576),
        (Some(" 2048 "), 2_048),
        (Some("0"), 0),
        (Some("1572864"), 1_572_864),
        (Some("99999999999"), 1_572_864),
    ] {
        assert_eq!(max_body_bytes(variable), bytes, "{variable:?}");
    }
}

#[test]
fn a_form_is_named_by_what_it_says_and_relayed_as_it_came() {
    let shop = webhook("abaha", "v4lue", json!({"header": "x-abaha"}));
    let send = |content_type: &str, body: &str| {
        let inbound = post(
            &[("x-abaha", "v4lue"), ("content-type", content_type)],
            body,
        );
        let intake = take(&shop, &inbound);
        assert_eq!(bodies(&intake), [body]);
        assert_eq!(intake.events[0].header_changes, []);
        (intake.events[0].key, intake.events[0].body_sha256)
    };
    let multipart = |boundary: &str, status: &str| {
        let part = |name: &str, value: &str| {
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )
        };
        let parts = [
            part("id", "7"),
            part("cart_code", "0007"),
            part("status", status),
        ];
        let body = format!("{}--{boundary}--\r\n", parts.concat());
        send(&format!("multipart/form-data; boundary={boundary}"), &body)
    };
    assert_eq!(
        multipart("one", "5"),
        multipart("other", "5"),
        "framed anew"
    );
    assert_ne!(multipart("one", "5").0, multipart("one", "6").0);
    let urlencoded = |body: &str| send("application/x-www-form-urlencoded", body);
    assert_eq!(
        urlencoded("id=7&cart_code=0007&status=5"),
        multipart("x", "5")
    );
    assert_ne!(
        urlencoded("id=7&cart_code=%ff"),
        urlencoded("id=7&cart_code=%fe")
    );
    // What only looks like a form keeps its bytes.
    assert_ne!(
        send("multipart/form-data; boundary=x", "--x--"),
        send("multipart/form-data; boundary=x", "--x--\r\n")
    );
}
