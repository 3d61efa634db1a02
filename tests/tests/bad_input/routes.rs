//! Paths and methods that lead nowhere.

use crate::{Patient, assert_blamed, label};

#[test]
fn paths_that_lead_nowhere_are_not_found() {
    let patient = Patient::new();
    let token = format!("Bearer {}", patient.admin_token());
    let long = format!("/in/{}", "a".repeat(10_000));
    let doubled = format!("/in{}", patient.webhook.path);
    let behind = format!("{}/webhooks", patient.webhook.path);
    for path in [
        "/",
        "/in",
        "/in/",
        "/in/%",
        "/in/%00",
        "/in/%zz",
        "/in/..%2f..%2fapi",
        "//in//",
        "/IN/wh_00000000000000000000000000",
        "/%",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1//webhooks",
        "/api/v1/webhooks/",
        "/api/v1webhooks",
        "/api/v1x/webhooks",
        "/api/v10/events",
        "/api/v1/webhooks/%",
        "/api/v1/webhooks/wh_0",
        "/api/v1/webhooks/wh_00000000000000000000000000",
        "/api/v1/webhooks/wh_00000000000000000000000000/x",
        "/api/v1/events/%00",
        "/api/v1/events/evt_",
        "/api/v1/events/evt_000000000000000000000000000000000000000000",
        "/api/v1/nothing",
        "/healthz/x",
        &long,
        &doubled,
        &behind,
    ] {
        for method in ["GET", "POST"] {
            let headers = [("authorization", token.as_str())];
            let answer = patient.client().send(method, path, &headers, b"");
            let what = format!("{method} {path}");
            assert_blamed(&answer, &what);
            assert!(
                [404, 405].contains(&answer.status),
                "{what}: {}",
                answer.status
            );
        }
    }
    patient.assert_well("paths");
    patient.discharge(0);
}

#[test]
fn a_method_of_another_world_does_nothing() {
    let patient = Patient::new();
    let token = format!("Bearer {}", patient.admin_token());
    let webhook = format!("/api/v1/webhooks/{}", patient.webhook.id);
    for method in ["PROPFIND", "PURGE", "MKCOL", "OPTIONS", "TRACE", "SEARCH"] {
        for path in [
            "/api/v1/webhooks",
            "/api/v1/events",
            "/api/v1/providers",
            &webhook,
        ] {
            let headers = [("authorization", token.as_str())];
            let answer = patient.client().send(method, path, &headers, b"");
            assert!(
                [405, 501].contains(&answer.status),
                "{method} {path}: {} {}",
                answer.status,
                label(&answer.text())
            );
        }
    }
    patient.assert_well("methods");
    patient.discharge(0);
}
