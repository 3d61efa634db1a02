//! The station describes itself: `GET /api/v1/openapi.json`. That answers are as described
//! is checked wherever any test asks the API; here it is served, and the methods of each
//! path are those that are described.

use std::collections::BTreeSet;
use tram_tests::{ADMIN_TOKEN, Answer, Station, description, methods};

const PATH: &str = "/api/v1/openapi.json";

fn send(station: &Station, method: &str, path: &str) -> Answer {
    station.client().send(method, path, &[], b"")
}

#[test]
fn the_description_is_told_to_anyone_as_everything_else_is() {
    let station = Station::shared();
    let answer = send(&station, "GET", PATH);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.assert_guarded();
    assert_eq!(&answer.json(), description());
    // Whatever a cache or a proxy asks for besides.
    let tag = ("if-none-match", "*");
    let again = station.client().send("GET", PATH, &[tag], b"");
    assert_eq!((again.status, again.body), (200, answer.body));

    for method in ["HEAD", "POST", "PUT", "DELETE", "PROPFIND"] {
        let answer = send(&station, method, PATH);
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET"), "{method}");
        if method != "HEAD" {
            assert_eq!(answer.problem(405), "method_not_allowed");
        }
    }
    let answer = send(&station, "GET", &format!("{PATH}?x=1"));
    assert_eq!(answer.mistakes(), BTreeSet::from(["?x".to_owned()]));
}

#[test]
fn it_is_told_where_nobody_may_manage() {
    let station = Station::builder().without("ADMIN_TOKEN").start();
    assert_eq!(send(&station, "GET", PATH).status, 200);
}

#[test]
fn files_beside_the_worker_change_nothing_for_other_routes() {
    let station = Station::shared();
    for path in [
        "/",
        "/index.html",
        "/openapi.json",
        "/assets/api/v1/openapi.json",
        "/_headers",
        "/in",
        "/api",
        "/healthz/",
    ] {
        let answer = send(&station, "GET", path);
        assert_eq!(answer.problem(404), "route_not_found", "{path}");
    }
    // Not even by another spelling, or below or beside it.
    for path in [
        "/api/v1/openapi.json/",
        "/api/v1/openapi",
        "/api/v1/%6fpenapi.json",
    ] {
        let answer = send(&station, "GET", path);
        assert_eq!(answer.problem(401), "unauthorized", "{path}");
    }
    let answer = send(&station, "GET", "/in/../api/v1/openapi.json");
    assert!([200, 404].contains(&answer.status), "{}", answer.text());
}

#[test]
fn every_path_takes_the_methods_that_are_described_and_no_other() {
    let station = Station::shared();
    let token = format!("Bearer {ADMIN_TOKEN}");
    let paths = description()["paths"].as_object().expect("paths");
    let mut asked = 0;
    for (template, item) in paths {
        // Which methods a webhook takes is its provider's business.
        if template.starts_with("/in/") {
            continue;
        }
        let path = template
            .replace("{webhook_id}", "wh_00000000000000000000000000")
            .replace("{event_id}", "evt_000000000000000000000000000000000000000");
        let known = methods(item);
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"] {
            let headers = [("authorization", token.as_str())];
            let answer = station.client().send(method, &path, &headers, b"");
            let described = known.contains(&method.to_lowercase());
            assert_eq!(
                answer.status != 405,
                described,
                "{method} {path}: {}",
                answer.status
            );
            let no_route = method != "HEAD"
                && answer.status == 404
                && answer.json()["code"] == "route_not_found";
            assert!(!no_route, "{method} {path}");
            asked += 1;
        }
    }
    assert!(asked > 100, "{asked}");
}
