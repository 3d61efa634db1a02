//! Query parameters, and the filters of a resend, which may stand in the body.

use super::{DOCUMENT, compiled, named, probes::probes, resolved};
use crate::{
    ids::JobId,
    mailbox::{jobs::JobKind, view::EventQuery},
    problem::Problem,
    query,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The parameters of a route, by name: their schemas and whether they are needed.
fn parameters(method: &str, path: &str) -> Vec<(String, Value, bool)> {
    let listed = DOCUMENT["paths"][path][method]["parameters"].as_array();
    let resolved = listed.unwrap().iter().map(resolved);
    resolved
        .filter(|parameter| parameter["in"] == "query")
        .map(|parameter| {
            let name = parameter["name"].as_str().unwrap().to_owned();
            (
                name,
                parameter["schema"].clone(),
                parameter["required"] == true,
            )
        })
        .collect()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// Each parameter is taken as its schema says; no other is.
#[track_caller]
fn check<T>(method: &str, path: &str, beside: &str, read: impl Fn(&str) -> Result<T, Problem>) {
    let parameters = parameters(method, path);
    let mut names = BTreeSet::new();
    for (name, schema, required) in &parameters {
        names.insert(name.clone());
        let judge = compiled(schema);
        assert_eq!(
            read("").is_err(),
            *required || !beside.is_empty(),
            "{path} {name}"
        );
        for probe in probes(schema).all {
            // In a query everything is text.
            let (text, value) = match &probe {
                Value::String(text) => (text.clone(), probe.clone()),
                Value::Number(number) if !number.is_f64() => (number.to_string(), probe.clone()),
                _ => continue,
            };
            if resolved(schema)["type"] == "string" && probe.is_number() {
                continue;
            }
            let beside = if name == "status" { "" } else { beside };
            let sent = format!("{name}={}&{beside}", encoded(&text));
            let taken = read(&sent);
            let told = taken.as_ref().err().map(|problem| &problem.errors);
            assert_eq!(
                taken.is_ok(),
                judge.is_valid(&value),
                "{path} {name}={text} {told:?}"
            );
        }
    }
    let Err(problem) = read("no_such_parameter=1") else {
        panic!("{path} takes anything");
    };
    let message = &problem.errors[0].message;
    let known = message.strip_prefix("is not known: use ").unwrap();
    let known = known
        .split(" (")
        .next()
        .unwrap()
        .split(", ")
        .map(str::to_owned);
    assert_eq!(names, known.collect(), "{path}");
}

#[test]
fn parameters_are_those_of_the_document() {
    check("get", "/api/v1/events", "", query::events);
    check("get", "/api/v1/stats", "", query::stats);
    check("get", "/metrics", "", query::stats);
    check("delete", "/api/v1/webhooks", "", query::webhook_url);
    for (method, path, kind) in [
        ("post", "/api/v1/events/resend", JobKind::Resend),
        ("post", "/api/v1/events/cancel", JobKind::Cancel),
        ("delete", "/api/v1/events", JobKind::Delete),
    ] {
        check(method, path, "status=pending", |sent| {
            query::job(kind, sent, b"")
        });
    }
    // What a cursor of webhooks is, the Registry knows.
    let names: Vec<_> = parameters("get", "/api/v1/webhooks")
        .into_iter()
        .map(|one| one.0)
        .collect();
    assert_eq!(names, ["per_page", "cursor"]);
    assert!(query::list("per_page=100&cursor=w0").is_ok());
    assert!(query::list("per_page=101").is_err());
}

#[test]
fn routes_without_parameters_take_none() {
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(listed) = operation.get("parameters") else {
                continue;
            };
            let in_query = listed.as_array().unwrap().iter().map(resolved);
            let any = in_query.filter(|one| one["in"] == "query").count() > 0;
            let taking = [
                "/api/v1/webhooks",
                "/api/v1/events",
                "/api/v1/events/resend",
                "/api/v1/events/cancel",
                "/api/v1/stats",
                "/metrics",
                "/healthz",
            ];
            assert!(!any || taking.contains(&path.as_str()), "{method} {path}");
        }
    }
    assert!(query::none("x=1").is_err());
}

#[test]
fn a_page_has_twenty_entries_unless_asked() {
    let per_page = &DOCUMENT["components"]["parameters"]["PerPage"]["schema"];
    let EventQuery {
        per_page: usual, ..
    } = query::events("").unwrap();
    assert_eq!(per_page["default"], usual);
}

#[test]
fn filters_in_a_body_are_those_of_the_document() {
    for (name, kind) in [
        ("ResendFilters", JobKind::Resend),
        ("CancelFilters", JobKind::Cancel),
    ] {
        let schema = named(name);
        let described = compiled(schema);
        for probe in probes(schema).all {
            let beside = if probe.get("status").is_some() {
                ""
            } else {
                "status=pending"
            };
            let read = query::job(kind, beside, probe.to_string().as_bytes());
            assert_eq!(read.is_ok(), described.is_valid(&probe), "{name} {probe}");
        }
    }
    let id = JobId::from_random([7; 16]);
    let asked = json!({"resend_id": id.to_string()});
    let read = query::job(JobKind::Resend, "", asked.to_string().as_bytes());
    assert_eq!(read.unwrap().1, Some(id));
}
