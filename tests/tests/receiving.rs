//! The table *Receiving* of the contract, row by row: what is answered, in which
//! order the checks go, and that nothing that is refused leaves a trace.

use serde_json::{Value, json};
use tram_tests::{
    Answer, Connection, Origin, Shared, Station, Webhook, casso, github_signature, now,
    standard_webhooks, transaction,
};

const LIMIT: usize = 1_048_576;

/// A webhook of Casso's, and where it relays to.
fn setting() -> (Shared, Origin, Webhook) {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    (station, origin, webhook)
}

/// What was refused is neither stored nor relayed: an event that comes later is the
/// only one of the webhook.
#[track_caller]
fn assert_no_trace(station: &Station, origin: &Origin, webhook: &Webhook) {
    assert_eq!(station.events(webhook), [] as [Value; 0]);
    let later = station.post_casso(webhook, casso(&[transaction("later")]));
    let ids = later.assert_taken("accepted");
    let _ = station.wait_for_status(&ids[0], "delivered");
    assert_eq!(station.events(webhook).len(), 1);
    assert_eq!(origin.count(), 1);
}

/// A body of exactly this many bytes with the transaction `id`.
fn body_of(bytes: usize, id: u32) -> Vec<u8> {
    let mut body = casso(&[transaction(id)]).into_bytes();
    body.resize(bytes, b' ');
    body
}

#[test]
fn an_id_that_is_unknown_or_malformed_is_not_found() {
    let station = Station::shared();
    for id in [
        "wh_00000000000000000000000000",
        "wh_0000000000000000000000000",
        "wh_000000000000000000000000000",
        "wh_0000000000000000000000000O",
        "WH_00000000000000000000000000",
        "wh_00000000000000000000000000/",
        "wh_00000000000000000000000000/0",
        "wh_",
        "",
        "evt_0000000000000000000000000",
        "wh%5F00000000000000000000000000",
    ] {
        let path = format!("/in/{id}");
        for method in ["POST", "GET", "DELETE"] {
            let answer = station.client().send(method, &path, &[], b"");
            answer.assert_refused(404, "webhook_not_found");
        }
        let head = station.client().send("HEAD", &path, &[], b"");
        assert_eq!((head.status, head.outcome()), (404, "refused"));
    }
}

#[test]
fn a_method_that_the_provider_does_not_use_is_refused() {
    let (station, origin, webhook) = setting();
    let body = casso(&[transaction(1)]);
    let headers = [("secure-token", webhook.secret.as_str())];
    let send = |method: &str, path: &str| {
        station
            .client()
            .send(method, path, &headers, body.as_bytes())
    };
    for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        let answer = send(method, &webhook.path);
        answer.assert_refused(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("POST"), "{method}");
    }
    let get = station.client().send("GET", &webhook.path, &headers, b"");
    get.assert_refused(405, "method_not_allowed");
    assert_no_trace(&station, &origin, &webhook);

    let custom = station.create_webhook(&json!({
        "provider": "custom", "webhook_url": origin.url("/"), "settings": {"header": "x-token"}
    }));
    let get = station.client().send("GET", &custom.path, &[], b"");
    get.assert_refused(405, "method_not_allowed");
    assert_eq!(get.header("allow"), Some("POST, PUT, PATCH"));
    for method in ["POST", "PUT", "PATCH"] {
        let headers = [("x-token", custom.secret.as_str())];
        let client = station.client();
        let answer = client.send(method, &custom.path, &headers, method.as_bytes());
        answer.assert_taken("accepted");
    }
}

#[test]
fn a_webhook_that_is_switched_off_is_to_be_tried_again() {
    let (station, origin, webhook) = setting();
    let toggle = format!("/webhooks/{}/toggle", webhook.id);
    let shown = station.api_expecting(200, "PATCH", &toggle, None);
    assert_eq!(shown["is_active"], false);
    let answer = station.post_casso(&webhook, casso(&[transaction(1)]));
    answer.assert_refused(503, "webhook_inactive");
    let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(wait > 0);
    let shown = station.api_expecting(200, "PATCH", &toggle, None);
    assert_eq!(shown["is_active"], true);
    assert_no_trace(&station, &origin, &webhook);
}

#[test]
fn what_goes_round_in_circles_is_stopped() {
    let (station, origin, webhook) = setting();
    let post = |hops: &str, id: u32| {
        station.post_casso_with(
            &webhook,
            &[("x-tram-hops", hops)],
            casso(&[transaction(id)]),
        )
    };
    for hops in ["3", "4", "99999999999999999999", "-1", "1.5", "many"] {
        post(hops, 1).assert_refused(508, "loop");
    }
    assert_no_trace(&station, &origin, &webhook);
    for hops in ["0", "1", "2"] {
        let id: u32 = hops.parse().unwrap();
        post(hops, 10 + id).assert_taken("accepted");
    }
    let mut passed: Vec<String> = origin.wait_for(4)[1..]
        .iter()
        .map(|request| request.header("x-tram-hops").unwrap().to_owned())
        .collect();
    passed.sort();
    assert_eq!(passed, ["1", "2", "3"]);
}

#[test]
fn a_body_over_the_limit_is_refused_however_it_is_sent() {
    let (station, origin, webhook) = setting();
    let headers = [("secure-token", webhook.secret.as_str())];
    let too_large = body_of(LIMIT + 1, 1);
    let post = |body: &[u8]| station.client().post(&webhook.path, &headers, body);
    let chunked = |body: &[u8]| {
        let chunks: Vec<&[u8]> = body.chunks(60_000).collect();
        let client = station.client();
        client
            .post_chunked(&webhook.path, &headers, &chunks)
            .unwrap()
    };
    post(&too_large).assert_refused(413, "body_too_large");
    chunked(&too_large).assert_refused(413, "body_too_large");

    // Ten gigabytes are announced and a little comes: nobody waits for the rest.
    let mut connection = station.client().connect().unwrap();
    let head = connection.head(
        "POST",
        &webhook.path,
        &[headers[0], ("content-length", "10000000000")],
    );
    connection.write(head.as_bytes()).unwrap();
    connection.write(&too_large).unwrap();
    let answer = connection.read_answer().unwrap();
    answer.assert_refused(413, "body_too_large");

    // Less comes than was announced, and then nothing: whatever is said to that is
    // not success.
    let body = casso(&[transaction(2)]);
    let announced = u64::try_from(body.len()).unwrap() + 10;
    let cut_short =
        station
            .client()
            .post_announcing(&webhook.path, &headers, announced, body.as_bytes());
    assert!(cut_short.is_err() || cut_short.is_ok_and(|answer| answer.status >= 400));
    assert_no_trace(&station, &origin, &webhook);

    post(&body_of(LIMIT, 3)).assert_taken("accepted");
    chunked(&body_of(LIMIT, 4)).assert_taken("accepted");
    assert!(
        origin.wait_for(3)[1..]
            .iter()
            .all(|request| request.body.len() == LIMIT)
    );
}

#[test]
fn the_limit_can_be_set_and_has_one_of_its_own() {
    for (variable, limit) in [("2000", 2_000), ("999999999", 1_572_864)] {
        let station = Station::builder()
            .variable("MAX_BODY_BYTES", variable)
            .start();
        let origin = Origin::start();
        let webhook = station.casso_webhook(&origin);
        station
            .post_casso(&webhook, body_of(limit + 1, 1))
            .assert_refused(413, "body_too_large");
        assert_no_trace(&station, &origin, &webhook);
        let body = body_of(limit, 2);
        let ids = station.post_casso(&webhook, &body).assert_taken("accepted");
        let _ = station.wait_for_status(&ids[0], "delivered");
        assert!(origin.received()[1].body == body);
    }
}

#[test]
fn who_is_not_proven_hears_the_same_whatever_was_wrong() {
    let (station, origin, webhook) = setting();
    let body = casso(&[transaction(1)]);
    let mut heard: Vec<Answer> = Vec::new();
    let mut ask = |path: &str, headers: &[(&str, &str)], body: &[u8]| {
        let answer = station.post(path, headers, body);
        answer.assert_refused(401, "unauthenticated");
        heard.push(answer);
    };

    let secret = webhook.secret.as_str();
    let upper = secret.to_uppercase();
    let longer = format!("{secret}0");
    let twice = format!("{secret}, {secret}");
    for token in ["", "wrong", &secret[1..], &upper, &longer, &twice] {
        ask(&webhook.path, &[("secure-token", token)], body.as_bytes());
    }
    let bearer = format!("Bearer {secret}");
    ask(&webhook.path, &[], body.as_bytes());
    ask(&webhook.path, &[], b"");
    ask(
        &webhook.path,
        &[("authorization", &bearer)],
        body.as_bytes(),
    );
    ask(
        &webhook.path,
        &[("secure-token", secret), ("secure-token", secret)],
        body.as_bytes(),
    );

    let github = station
        .create_webhook(&json!({"provider": "github", "webhook_url": origin.url("/github")}));
    let signature = github_signature(&github.secret, b"{}");
    let truncated = &signature[..signature.len() - 2];
    let of_nobody = github_signature("", b"{}");
    for (signature, body) in [
        (signature.as_str(), "{ }"),
        (truncated, "{}"),
        (&of_nobody, "{}"),
        ("sha256=", "{}"),
        ("sha256=zz", "{}"),
    ] {
        ask(
            &github.path,
            &[("x-hub-signature-256", signature)],
            body.as_bytes(),
        );
    }

    let standard = station.create_webhook(
        &json!({"provider": "standard-webhooks", "webhook_url": origin.url("/standard")}),
    );
    let signed = |at: u64| standard_webhooks(&standard.secret, "msg_1", at, b"{}");
    for (fields, id, body) in [
        (signed(now() - 360), "msg_1", "{}"),
        (signed(now() + 360), "msg_1", "{}"),
        (signed(now()), "msg_2", "{}"),
        (signed(now()), "msg_1", "[]"),
    ] {
        let headers = [
            ("webhook-id", id),
            (fields[1].0, &fields[1].1),
            (fields[2].0, &fields[2].1),
        ];
        ask(&standard.path, &headers, body.as_bytes());
    }

    for answer in &heard {
        assert_eq!(answer.body, heard[0].body);
        assert_eq!(names(answer), names(&heard[0]));
    }
    for webhook in [&github, &standard] {
        assert_eq!(station.events(webhook), [] as [Value; 0]);
    }
    assert_no_trace(&station, &origin, &webhook);
}

/// The names of the header fields, but those of one answer in particular.
fn names(answer: &Answer) -> Vec<&str> {
    let mut names: Vec<&str> = answer
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn the_checks_go_in_order() {
    let (station, origin, webhook) = setting();
    let unknown = "/in/wh_00000000000000000000000000";
    let looping = ("x-tram-hops", "3");
    let too_large = vec![b' '; LIMIT + 1];
    let ask = |method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]| {
        station.client().send(method, path, headers, body)
    };

    ask("GET", unknown, &[looping], b"").assert_refused(404, "webhook_not_found");
    ask("POST", unknown, &[looping], &too_large).assert_refused(404, "webhook_not_found");
    let path = &webhook.path;
    ask("PUT", path, &[looping], &too_large).assert_refused(405, "method_not_allowed");
    ask("POST", path, &[looping], &too_large).assert_refused(508, "loop");
    ask("POST", path, &[looping], b"").assert_refused(508, "loop");
    ask("POST", path, &[], &too_large).assert_refused(413, "body_too_large");
    ask("POST", path, &[], b"").assert_refused(401, "unauthenticated");

    let toggle = format!("/webhooks/{}/toggle", webhook.id);
    let _ = station.api_expecting(200, "PATCH", &toggle, None);
    ask("GET", path, &[looping], b"").assert_refused(405, "method_not_allowed");
    ask("POST", path, &[looping], b"").assert_refused(503, "webhook_inactive");
    ask("POST", path, &[], &too_large).assert_refused(503, "webhook_inactive");
    ask("POST", path, &[], b"").assert_refused(503, "webhook_inactive");
    let _ = station.api_expecting(200, "PATCH", &toggle, None);
    assert_no_trace(&station, &origin, &webhook);
}

#[test]
fn a_batch_says_the_first_that_fits_any_of_it() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.create_webhook(
        &json!({"provider": "casso", "webhook_url": origin.url("/"), "type": "IN"}),
    );
    let money_out = |id: u32| {
        let mut transaction = transaction(id);
        transaction["amount"] = json!(-5);
        transaction
    };
    let test = |text: &str| {
        let mut transaction = transaction(0);
        transaction["description"] = json!(text);
        transaction
    };
    let check = |batch: &[Value], outcome: &str, count: usize| {
        let answer = station.post_casso(&webhook, casso(batch));
        let ids = answer.assert_taken(outcome);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.text(), r#"{"success":true}"#);
        assert_eq!(ids.len(), count, "{batch:#?}");
        assert_eq!(answer.header("x-tram-event-id").is_some(), count > 0);
        let counted = answer.header("x-tram-event-count").unwrap();
        assert_eq!(counted, count.to_string(), "{batch:#?}");
        ids
    };
    let ids = check(&[transaction(1)], "accepted", 1);
    assert!(ids[0].starts_with("evt_"));
    check(&[transaction(1)], "duplicate", 0);
    check(&[transaction(2), transaction(3)], "accepted", 2);
    check(
        &[transaction(3), transaction(4), transaction(2)],
        "accepted",
        1,
    );
    check(&[transaction(5), transaction(5)], "accepted", 1);
    check(&[transaction(3), transaction(2)], "duplicate", 0);
    check(&[money_out(6)], "filtered", 0);
    check(&[money_out(6), transaction(1)], "duplicate", 0);
    check(&[money_out(6), transaction(7)], "accepted", 1);
    check(&[test("a")], "test", 1);
    check(&[test("b"), money_out(6)], "filtered", 1);
    check(&[test("c"), money_out(6), transaction(7)], "duplicate", 1);
    check(&[test("d"), transaction(7), transaction(8)], "accepted", 2);
    check(&[], "test", 1);

    let relayed = 7 + 5;
    let events = station.wait_for_events(&webhook, |events| {
        events.len() == relayed && events.iter().all(|event| event["status"] == "delivered")
    });
    assert!(events.iter().all(|event| event["object_id"] != "6"));
    assert_eq!(origin.count(), relayed);
}

#[test]
fn the_first_twenty_ids_are_named() {
    let (station, _origin, webhook) = setting();
    let batch: Vec<Value> = (1..=25).map(transaction).collect();
    let answer = station.post_casso(&webhook, casso(&batch));
    let named = answer.assert_taken("accepted");
    assert_eq!(named.len(), 20);
    assert_eq!(answer.header("x-tram-event-count"), Some("25"));
    let events = station.events(&webhook);
    assert_eq!(events.len(), 25);
    // Newest first, and the batch in its own order.
    let stored: Vec<&str> = events
        .iter()
        .filter_map(|event| event["id"].as_str())
        .collect();
    let mut named_last_first = named.clone();
    named_last_first.reverse();
    assert_eq!(stored[5..], named_last_first);
}

#[test]
fn the_answer_is_the_operators_where_one_is_set() {
    let (station, origin) = (Station::shared(), Origin::start());
    for (answer, status, content_type, body) in [
        (
            json!({"status": 202, "body": "đã nhận"}),
            202,
            Some("text/plain; charset=utf-8"),
            "đã nhận",
        ),
        (
            json!({"status": 200, "body": r#"{"return_code":1}"#}),
            200,
            Some("application/json"),
            r#"{"return_code":1}"#,
        ),
        (json!({"status": 204}), 204, None, ""),
        (json!({"status": 201}), 201, None, ""),
    ] {
        let webhook = station.create_webhook(&json!({
            "provider": "casso", "webhook_url": origin.url("/"), "settings": {"answer": answer}
        }));
        for outcome in ["accepted", "duplicate"] {
            let answer = station.post_casso(&webhook, casso(&[transaction(1)]));
            answer.assert_taken(outcome);
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("content-type"), content_type);
            assert_eq!(answer.text(), body);
        }
        let forged = station.post(&webhook.path, &[], casso(&[transaction(2)]));
        forged.assert_refused(401, "unauthenticated");
    }
}

#[test]
fn requests_share_a_connection_and_refusals_do_not_break_it() {
    let (station, origin, webhook) = setting();
    let mut connection: Connection = station.client().connect().unwrap();
    let proof = [("secure-token", webhook.secret.as_str())];
    for id in 1..=3 {
        let body = casso(&[transaction(id)]);
        connection
            .send("POST", &webhook.path, &[], body.as_bytes())
            .assert_refused(401, "unauthenticated");
        connection
            .send("POST", &webhook.path, &proof, body.as_bytes())
            .assert_taken("accepted");
    }
    origin.wait_for(3);
}
