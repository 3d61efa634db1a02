//! Requests that are refused before their body counts, and the order of all checks.

use crate::{LIMIT, assert_no_trace, setting};
use serde_json::json;
use tram_tests::{Station, casso, transaction};

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
    for method in ["PUT", "PATCH", "DELETE", "PROPFIND"] {
        let answer = send(method, &webhook.path);
        answer.assert_refused(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("POST"), "{method}");
    }
    let asked = format!("{}?a=1", webhook.path);
    let get = station.client().send("GET", &asked, &headers, b"");
    get.assert_refused(405, "method_not_allowed");
    assert_no_trace(&station, &origin, &webhook);

    let custom = station.create_webhook(&json!({
        "provider": "custom", "webhook_url": origin.url("/"), "settings": {"header": "x-token"}
    }));
    let asked = format!("{}?a=1", custom.path);
    let get = station.client().send("GET", &asked, &[], b"");
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
    let packed = ("content-encoding", "compress");
    ask("POST", path, &[packed], &too_large).assert_refused(413, "body_too_large");
    ask("POST", path, &[packed], b"x").assert_refused(415, "unsupported_encoding");
    ask("POST", path, &[], b"").assert_refused(401, "unauthenticated");

    let toggle = format!("/webhooks/{}/toggle", webhook.id);
    let _ = station.api_expecting(200, "PATCH", &toggle, None);
    ask("DELETE", path, &[looping], b"").assert_refused(405, "method_not_allowed");
    ask("POST", path, &[looping], b"").assert_refused(503, "webhook_inactive");
    ask("POST", path, &[], &too_large).assert_refused(503, "webhook_inactive");
    ask("POST", path, &[], b"").assert_refused(503, "webhook_inactive");
    let _ = station.api_expecting(200, "PATCH", &toggle, None);
    assert_no_trace(&station, &origin, &webhook);
}

#[test]
fn requests_share_a_connection_and_refusals_do_not_break_it() {
    let (station, origin, webhook) = setting();
    let mut connection = station.client().connect().unwrap();
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
