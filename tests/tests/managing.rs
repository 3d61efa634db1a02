//! Who may manage, and where: tokens, routes, methods, query parameters; and what is
//! told to anyone. Webhooks are `webhooks.rs`, events `events.rs`.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use tram_tests::{ADMIN_TOKEN, Answer, Station, Webhook};

/// Every route that needs a token.
const ROUTES: [(&str, &str); 27] = [
    ("GET", "/webhooks"),
    ("POST", "/webhooks"),
    ("DELETE", "/webhooks?webhook_url=https://shop.example/hook"),
    ("GET", "/webhooks/wh_00000000000000000000000000"),
    ("PUT", "/webhooks/wh_00000000000000000000000000"),
    ("DELETE", "/webhooks/wh_00000000000000000000000000"),
    ("PATCH", "/webhooks/wh_00000000000000000000000000/toggle"),
    ("GET", "/webhooks/wh_00000000000000000000000000/refusals"),
    ("POST", "/webhooks/wh_00000000000000000000000000/explain"),
    ("POST", "/webhooks/wh_00000000000000000000000000/pause"),
    ("POST", "/webhooks/wh_00000000000000000000000000/resume"),
    (
        "POST",
        "/webhooks/wh_00000000000000000000000000/rotate-secret",
    ),
    ("POST", "/webhooks/wh_00000000000000000000000000/test"),
    ("GET", "/events"),
    ("GET", "/events/evt_1"),
    ("DELETE", "/events/evt_1"),
    ("POST", "/events/evt_1/resend"),
    ("POST", "/events/evt_1/cancel"),
    ("POST", "/events/resend"),
    ("POST", "/events/cancel"),
    ("DELETE", "/events"),
    ("GET", "/jobs/job_00000000000000000000000000"),
    ("GET", "/stats"),
    ("GET", ""),
    ("GET", "/"),
    ("GET", "/nothing"),
    ("PROPFIND", "/webhooks"),
];

fn ask(station: &Station, method: &str, path: &str, authorization: Option<&str>) -> Answer {
    let headers = authorization.map(|value| ("authorization", value));
    let path = format!("/api/v1{path}");
    let headers: Vec<_> = headers.into_iter().collect();
    station.client().send(method, &path, &headers, b"")
}

/// A webhook to nowhere in particular.
#[track_caller]
fn casso(station: &Station) -> Webhook {
    station.create_webhook(&json!({
        "provider": "casso", "webhook_url": "http://127.0.0.1:9/hook",
    }))
}

#[test]
fn without_a_token_of_its_own_the_station_cannot_be_managed() {
    let station = Station::builder().without("ADMIN_TOKEN").start();
    for token in [None, Some("Bearer "), Some("Bearer undefined")] {
        for (method, path) in ROUTES {
            let answer = ask(&station, method, path, token);
            let code = answer.problem(503);
            assert_eq!(code, "management_disabled", "{method} {path} {token:?}");
        }
    }
    // What is no secret is told, and what is not managed goes on.
    assert_eq!(ask(&station, "GET", "/providers", None).status, 200);
    assert_eq!(
        station.client().send("GET", "/healthz", &[], b"").status,
        200
    );
    let nobody = station.post("/in/wh_00000000000000000000000000", &[], "{}");
    assert_eq!(nobody.problem(404), "webhook_not_found");
}

#[test]
fn who_has_no_right_token_is_turned_away_at_every_route() {
    let station = Station::shared();
    let (almost, doubled) = (
        format!("Bearer {ADMIN_TOKEN}x"),
        format!("Bearer {ADMIN_TOKEN},{ADMIN_TOKEN}"),
    );
    let basic = format!("Basic {ADMIN_TOKEN}");
    for token in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer wrong"),
        Some(ADMIN_TOKEN),
        Some(&almost),
        Some(&doubled),
        Some(&basic),
    ] {
        for (method, path) in ROUTES {
            let answer = ask(&station, method, path, token);
            let code = answer.problem(401);
            assert_eq!(code, "unauthorized", "{method} {path} {token:?}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    let lower = format!("bearer {ADMIN_TOKEN}");
    assert_eq!(ask(&station, "GET", "/webhooks", Some(&lower)).status, 200);
}

#[test]
fn two_tokens_are_taken_while_they_are_being_rotated() {
    let station = Station::builder()
        .variable(
            "ADMIN_TOKEN",
            "the-new-token-0123456789, the-old-token-9876543210",
        )
        .start();
    let status = |token: &str| {
        let authorization = format!("Bearer {token}");
        ask(&station, "GET", "/webhooks", Some(&authorization)).status
    };
    assert_eq!(status("the-new-token-0123456789"), 200);
    assert_eq!(status("the-old-token-9876543210"), 200);
    assert_eq!(
        status("the-new-token-0123456789, the-old-token-9876543210"),
        401
    );
    assert_eq!(status(","), 401);
    assert_eq!(status(ADMIN_TOKEN), 401);
}

#[test]
fn routes_that_are_none_and_methods_that_are_not_taken() {
    let station = Station::shared();
    let webhook = casso(&station);
    let (one, event) = (format!("/webhooks/{}", webhook.id), "/events/evt_1");
    for path in [
        "",
        "/",
        "/nothing",
        "/webhook",
        "/webhooks/a/b/c",
        &format!("{one}/nothing"),
        "/events/evt_1/nothing",
        "/Webhooks",
    ] {
        let answer = station.api("GET", path, None);
        assert_eq!(answer.problem(404), "route_not_found", "{path}");
    }
    for path in [
        "/",
        "/in",
        "/api",
        "/api/v2/webhooks",
        "/api/v10/webhooks",
        "/api/v1webhooks",
    ] {
        let token = format!("Bearer {ADMIN_TOKEN}");
        let headers = [("authorization", token.as_str())];
        let answer = station.client().send("GET", path, &headers, b"");
        assert_eq!(answer.problem(404), "route_not_found", "{path}");
    }
    for (method, path, allow) in [
        ("PUT", "/webhooks", "GET, POST, DELETE"),
        ("POST", one.as_str(), "GET, PUT, DELETE"),
        ("GET", &format!("{one}/toggle"), "PATCH"),
        ("PATCH", &format!("{one}/pause"), "POST"),
        ("GET", &format!("{one}/resume"), "POST"),
        ("PUT", "/events", "GET, DELETE"),
        ("GET", "/events/resend", "POST"),
        ("DELETE", "/events/cancel", "POST"),
        ("DELETE", "/jobs/job_1", "GET"),
        ("PUT", event, "GET, DELETE"),
        ("GET", &format!("{event}/resend"), "POST"),
        ("DELETE", &format!("{event}/cancel"), "POST"),
        ("POST", "/providers", "GET"),
    ] {
        let answer = station.api(method, path, None);
        assert_eq!(answer.problem(405), "method_not_allowed", "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
    for (method, path, code) in [
        (
            "GET",
            "/webhooks/wh_00000000000000000000000000",
            "webhook_not_found",
        ),
        (
            "PUT",
            "/webhooks/wh_00000000000000000000000000",
            "webhook_not_found",
        ),
        (
            "DELETE",
            "/webhooks/wh_00000000000000000000000000",
            "webhook_not_found",
        ),
        (
            "PATCH",
            "/webhooks/wh_00000000000000000000000000/toggle",
            "webhook_not_found",
        ),
        (
            "POST",
            "/webhooks/wh_00000000000000000000000000/pause",
            "webhook_not_found",
        ),
        (
            "POST",
            "/webhooks/wh_00000000000000000000000000/resume",
            "webhook_not_found",
        ),
        ("POST", "/webhooks/nonsense/pause", "webhook_not_found"),
        ("GET", "/webhooks/nonsense", "webhook_not_found"),
        ("GET", "/webhooks/", "webhook_not_found"),
        ("DELETE", "/webhooks/", "webhook_not_found"),
        ("GET", "/events/nonsense", "event_not_found"),
        ("POST", "/events/nonsense/resend", "event_not_found"),
        ("POST", "/events/nonsense/cancel", "event_not_found"),
        ("DELETE", "/events/nonsense", "event_not_found"),
        ("GET", "/jobs/nonsense", "job_not_found"),
        (
            "GET",
            "/jobs/job_00000000000000000000000000",
            "job_not_found",
        ),
        (
            "GET",
            "/events?webhook_id=wh_00000000000000000000000000",
            "webhook_not_found",
        ),
    ] {
        let body = (method == "PUT").then(|| json!({}));
        let answer = station.api(method, path, body.as_ref());
        assert_eq!(answer.problem(404), code, "{method} {path}");
    }
}

#[test]
fn variables_that_mean_nothing_are_told_of() {
    let station = Station::builder()
        .variable("MANAGEMENT_ORIGINS", "https://a.example, admin.example.com")
        .variable("MAX_BODY_BYTES", "a-canary-of-2MB")
        .start();
    let details = "/healthz?details";
    let unproven = station.client().send("GET", details, &[], b"");
    assert_eq!(unproven.problem(401), "unauthorized");
    let token = format!("Bearer {ADMIN_TOKEN}");
    let headers = [("authorization", token.as_str())];
    let told = station.client().send("GET", details, &headers, b"");
    assert_eq!(told.status, 200);
    let told = told.json();
    assert_eq!(told["status"], "ok");
    let warnings = told["warnings"].as_array().expect("warnings");
    let variables: Vec<_> = warnings.iter().map(|one| &one["variable"]).collect();
    assert_eq!(variables, ["MAX_BODY_BYTES", "MANAGEMENT_ORIGINS"]);
    assert!(warnings[1]["message"].as_str().unwrap().contains("entry 2"));
    // And in the log without being asked for, once, and not what it was set to.
    let log = station.log();
    for variable in ["MAX_BODY_BYTES", "MANAGEMENT_ORIGINS"] {
        let lines = log
            .lines()
            .filter(|line| line.contains("the variable") && line.contains(variable));
        assert_eq!(lines.count(), 1, "{variable}: {log}");
    }
    assert!(!log.contains("a-canary"), "{log}");

    let right = Station::shared()
        .client()
        .send("GET", details, &headers, b"");
    assert_eq!(right.json()["warnings"], json!([]));
}

#[test]
fn health_and_providers_are_told_to_anyone() {
    let station = Station::shared();
    let healthy = station.client().send("GET", "/healthz", &[], b"");
    assert_eq!(healthy.status, 200);
    healthy.assert_guarded();
    assert_eq!(healthy.json()["status"], "ok");
    assert_eq!(healthy.json()["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        station.client().send("HEAD", "/healthz", &[], b"").status,
        200
    );
    let posted = station.post("/healthz", &[], "");
    assert_eq!(posted.problem(405), "method_not_allowed");

    let answer = ask(&station, "GET", "/providers", None);
    assert_eq!(answer.status, 200);
    answer.assert_guarded();
    let table = answer.json();
    assert_eq!(table["next_cursor"], Value::Null);
    let providers = table["data"].as_array().expect("a list");
    let mut ids = BTreeSet::new();
    for provider in providers {
        let id = provider["id"].as_str().expect("an id");
        assert!(ids.insert(id), "{id} twice");
        for text in ["name", "setup"] {
            assert!(
                provider[text].as_str().is_some_and(|text| !text.is_empty()),
                "{id} {text}"
            );
        }
        for list in ["methods", "settings", "events"] {
            assert!(provider[list].is_array(), "{id} {list}");
        }
        assert!(provider["retry_window_seconds"].as_u64() > Some(0), "{id}");
        let link = provider["documentation"].as_str().unwrap_or_default();
        assert!(link.starts_with("https://"), "{id} {link}");
    }
    for id in ["casso", "github", "standard-webhooks", "custom"] {
        assert!(ids.contains(id), "{id}");
    }
    // However the address is written that asks for nothing more; and nowhere else.
    let again = ask(&station, "GET", "/providers?", None);
    assert_eq!((again.status, again.body), (200, answer.body));
    for path in ["/providers.json", "/providers/", "/%70roviders"] {
        let answer = ask(&station, "GET", path, None);
        assert_eq!(answer.problem(401), "unauthorized", "{path}");
    }
}

#[test]
fn what_people_read_of_providers_is_no_part_of_the_program() {
    let list = include_str!("../../assets/api/v1/providers.json");
    let list: Value = serde_json::from_str(list).expect("JSON");
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../build/index_bg.wasm");
    let program = std::fs::read(program).expect("the wasm");
    let holds = |text: &str| {
        let text = text.as_bytes();
        program.windows(text.len()).any(|window| window == text)
    };
    for provider in list["data"].as_array().expect("a list") {
        assert!(holds(provider["name"].as_str().expect("a name")));
        for field in ["setup", "documentation"] {
            let text = provider[field].as_str().expect("a text");
            assert!(!holds(text), "compiled into the wasm: {text}");
        }
    }
}

#[test]
fn query_parameters_are_read_as_strictly() {
    let station = Station::shared();
    let webhook = casso(&station);
    let one = format!("/webhooks/{}", webhook.id);
    for (method, path, parameter) in [
        ("GET", "/webhooks?per_page=0", "?per_page"),
        ("GET", "/webhooks?per_page=101", "?per_page"),
        ("GET", "/webhooks?per_page=ten", "?per_page"),
        ("GET", "/webhooks?per_page=5&per_page=6", "?per_page"),
        ("GET", "/webhooks?cursor=nonsense", "?cursor"),
        ("GET", "/webhooks?page=2", "?page"),
        ("POST", "/webhooks?name=a", "?name"),
        ("GET", &format!("{one}?include=attempts"), "?include"),
        ("PUT", &format!("{one}?name=a"), "?name"),
        ("DELETE", &format!("{one}?force=1"), "?force"),
        ("PATCH", &format!("{one}/toggle?on=1"), "?on"),
        ("POST", &format!("{one}/pause?hours=1"), "?hours"),
        ("POST", &format!("{one}/resume?now=1"), "?now"),
        ("GET", "/providers?per_page=1", "?per_page"),
    ] {
        let found = station.api(method, path, None).mistakes();
        assert_eq!(
            found,
            BTreeSet::from([parameter.to_owned()]),
            "{method} {path}"
        );
    }
    let still = station.api_expecting(200, "GET", &one, None);
    assert_eq!(
        (&still["is_active"], &still["is_paused"]),
        (&json!(true), &json!(false))
    );
}

#[test]
fn answers_are_never_kept_and_never_guessed_at() {
    let station = Station::shared();
    let webhook = casso(&station);
    for (method, path, status) in [
        ("GET", "/webhooks".to_owned(), 200),
        ("GET", format!("/webhooks/{}", webhook.id), 200),
        ("PATCH", format!("/webhooks/{}/toggle", webhook.id), 200),
        ("GET", "/events".to_owned(), 200),
        ("DELETE", format!("/webhooks/{}", webhook.id), 200),
    ] {
        let answer = station.api(method, &path, None);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"));
        answer.assert_guarded();
    }
    // A provider's answer is its own, and is not kept either.
    let webhook = casso(&station);
    let taken = station.post_casso(&webhook, r#"{"error":0,"data":[]}"#);
    assert_eq!(taken.text(), r#"{"success":true}"#);
    assert_eq!(taken.header("content-type"), Some("application/json"));
    assert_eq!(taken.header("cache-control"), Some("no-store"));
    assert_eq!(taken.header("x-content-type-options"), Some("nosniff"));
    let refused = station.post(&webhook.path, &[], "{}");
    assert_eq!(refused.problem(401), "unauthenticated");
}
