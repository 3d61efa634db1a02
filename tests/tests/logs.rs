//! What the Worker writes to its log: one line of JSON per inbound request, whatever
//! becomes of it, and one per attempt; and nothing that anybody sent.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use tram_tests::{Origin, PATIENCE, Reply, Station, casso, transaction, wait_until};

/// The lines of this kind, once there are so many and no more seem to come.
#[track_caller]
fn lines(station: &Station, kind: &str, count: usize) -> Vec<Value> {
    let of_kind = || {
        let mut lines = station.lines();
        lines.retain(|line| line["log"] == kind);
        lines
    };
    wait_until("so many lines", PATIENCE, || {
        (of_kind().len() >= count).then_some(())
    });
    // A request after them has been written down: none of them is still to come.
    let marker = format!("/in/wh_{}", "0".repeat(25) + "4");
    let nobody = station.post(&marker, &[], "{}");
    assert_eq!(nobody.status, 404);
    wait_until("the line behind them", PATIENCE, || {
        let marked = |line: &Value| line["webhook_id"] == marker["/in/".len()..];
        station.lines().iter().any(marked).then_some(())
    });
    let mut lines = of_kind();
    lines.retain(|line| line["webhook_id"] != marker["/in/".len()..]);
    assert_eq!(lines.len(), count, "{lines:#?}");
    lines
}

fn fields(line: &Value) -> BTreeSet<&str> {
    let fields = line.as_object().expect("an object");
    fields.keys().map(String::as_str).collect()
}

/// A line of an inbound request, without its time.
fn expected(
    webhook: Option<&str>,
    provider: Option<&str>,
    event: Option<&str>,
) -> impl Fn(&str, u16, u32, Option<&str>) -> Value {
    move |outcome, status, events, reason| {
        let mut line = json!({"log": "inbound", "event_id": event, "webhook_id": webhook,
            "provider": provider, "outcome": outcome, "status": status, "events": events});
        if let Some(reason) = reason {
            line["reason"] = json!(reason);
        }
        line
    }
}

#[test]
fn every_inbound_request_is_one_line_whatever_becomes_of_it() {
    let (station, origin) = (Station::start(), Origin::start());
    let webhook = station.create_webhook(&json!({
        "provider": "casso", "webhook_url": origin.url("/"), "type": "IN",
    }));
    let off = station.create_webhook(&json!({
        "provider": "sepay", "webhook_url": origin.url("/"), "is_active": false,
    }));
    let mut wanted = Vec::new();
    let (id, casso_s) = (Some(webhook.id.as_str()), Some("casso"));

    let new = station.post_casso(&webhook, casso(&[transaction(1), transaction(2)]));
    let ids = new.assert_taken("accepted");
    wanted.push(expected(id, casso_s, Some(&ids[0]))(
        "accepted", 200, 2, None,
    ));
    for event in &ids {
        station.wait_for_status(event, "delivered");
    }
    station
        .post_casso(&webhook, casso(&[transaction(1)]))
        .assert_taken("duplicate");
    wanted.push(expected(id, casso_s, None)("duplicate", 200, 0, None));
    let mut out = transaction(3);
    out["amount"] = json!(-5);
    station
        .post_casso(&webhook, casso(&[out]))
        .assert_taken("filtered");
    wanted.push(expected(id, casso_s, None)("filtered", 200, 0, None));
    let test = station.post_casso(&webhook, casso(&[transaction(0)]));
    let test = test.assert_taken("test");
    wanted.push(expected(id, casso_s, Some(&test[0]))("test", 200, 1, None));

    let forged = station.post(&webhook.path, &[("secure-token", "no")], "{}");
    assert_eq!(forged.status, 401);
    let wrong = Some("wrong_secret_or_altered_body");
    wanted.push(expected(id, casso_s, None)("refused", 401, 0, wrong));
    let probed = station.client().send("GET", &webhook.path, &[], b"");
    assert_eq!(probed.status, 200);
    wanted.push(expected(id, casso_s, None)("handshake", 200, 0, None));
    let put = station.client().send("PUT", &webhook.path, &[], b"");
    assert_eq!(put.status, 405);
    wanted.push(expected(id, casso_s, None)("refused", 405, 0, None));
    let large = station.post(&webhook.path, &[], vec![b'x'; 1_048_577]);
    assert_eq!(large.status, 413);
    wanted.push(expected(id, casso_s, None)("refused", 413, 0, None));
    let looped = station.post(&webhook.path, &[("x-tram-hops", "3")], "{}");
    assert_eq!(looped.status, 508);
    wanted.push(expected(id, casso_s, None)("refused", 508, 0, None));
    assert_eq!(station.post(&off.path, &[], "{}").status, 503);
    wanted.push(expected(Some(&off.id), Some("sepay"), None)(
        "refused", 503, 0, None,
    ));
    let unknown = "wh_00000000000000000000000000";
    assert_eq!(
        station.post(&format!("/in/{unknown}"), &[], "{}").status,
        404
    );
    wanted.push(expected(Some(unknown), None, None)("refused", 404, 0, None));
    // No id: what stands there instead is nobody's business.
    for path in ["/in/", "/in/canary-in-a-path", "/in/%0a%22%7b", "/in/x?q=1"] {
        assert_eq!(station.post(path, &[], "{}").status, 404);
        wanted.push(expected(None, None, None)("refused", 404, 0, None));
    }

    let mut found = lines(&station, "inbound", wanted.len());
    for line in &mut found {
        let ms = line.as_object_mut().expect("an object").remove("ms");
        assert!(ms.is_some_and(|ms| ms.is_u64()), "{line}");
    }
    assert_eq!(found, wanted);
}

#[test]
fn every_attempt_is_one_line() {
    let (station, origin) = (Station::start(), Origin::start());
    origin.then(Reply::status(500)).then(Reply::status(302));
    let webhook = station.create_webhook(&json!({
        "provider": "casso", "webhook_url": origin.url("/?token=canary-in-a-url"),
        "retry": {"schedule": "custom", "delays_seconds": [0.1, 0.1]},
    }));
    let id = station.send_transaction(&webhook, 7);
    station.wait_for_status(&id, "delivered");
    let found = lines(&station, "attempt", 3);
    let outcomes: Vec<_> = found
        .iter()
        .map(|line| {
            (
                line["outcome"].clone(),
                line["status"].clone(),
                line["number"].clone(),
            )
        })
        .collect();
    let one =
        |outcome: &str, status: u16, number: u32| (json!(outcome), json!(status), json!(number));
    assert_eq!(
        outcomes,
        [
            one("not_taken", 500, 1),
            one("not_taken", 302, 2),
            one("taken", 200, 3)
        ]
    );
    for line in &found {
        assert_eq!(line["event_id"], id);
        assert_eq!(line["webhook_id"], webhook.id);
        assert_eq!(line["provider"], "casso");
        assert!(line["ms"].is_u64(), "{line}");
        assert_eq!(
            line["destination_id"],
            webhook.shown["destinations"][0]["id"]
        );
        let why = (line["outcome"] == "not_taken").then_some(&line["last_error"]);
        assert_eq!(fields(line).len(), 9 + why.iter().count(), "{line}");
        assert!(why.is_none_or(Value::is_string), "{line}");
    }
    assert!(!station.log().contains("canary"));
}

#[test]
fn the_platform_is_told_to_keep_these_lines_and_none_of_its_own() {
    let configuration = include_str!("../../wrangler.toml");
    let configuration: toml_edit::DocumentMut = configuration.parse().unwrap();
    let observability = &configuration["observability"];
    assert_eq!(observability["enabled"].as_bool(), Some(true));
    let logs = &observability["logs"];
    assert_eq!(logs["enabled"].as_bool(), Some(true));
    assert_eq!(logs["invocation_logs"].as_bool(), Some(false));
    assert_eq!(logs["head_sampling_rate"].as_integer(), Some(1));
    // Spans hold URLs and the values of SQL: off, whatever a later date turns on.
    assert_eq!(observability["traces"]["enabled"].as_bool(), Some(false));
    assert_eq!(observability["redact_query_string"].as_bool(), Some(true));
}
