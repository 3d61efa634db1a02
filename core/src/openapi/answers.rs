//! What is answered: every shape that the code writes fits its schema, at its fullest
//! and at its barest, and the schemas tell which fields are always there.

use super::{DOCUMENT, compiled, keys, named, resolved, texts};
use crate::{
    delivery::Status,
    event::{Direction, Summary},
    explain,
    ids::{DestinationId, EventId, JobId, Sequence, WebhookId},
    inbound::{Inbound, Refusal},
    mailbox::{
        jobs::{JobKind, Progress},
        merge::events_json,
        stats::{DestinationStats, Hour, Stats, Tally},
        view::{AttemptView, DeliveryView, EventView},
    },
    messages::{JobReply, Reveal, ShownEvents},
    problem::{FieldError, Problem},
    providers, receive,
    refusals::{self, Judged, Objection, Refused},
    registry::view,
    secret::Secret,
    testing::samples::{self, START},
    token,
    webhook::{
        Algorithm, CustomAnswer, Encoding, OneOrMany, Retry, Scheme, Settings, TimestampUnit,
        Webhook,
    },
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Each of these fits the schema of that name. Where it is of one object, what is always
/// among them is `required`, and what is ever among them is all there is.
#[track_caller]
pub(crate) fn check(name: &str, samples: &[String]) {
    let schema = named(name);
    let described = compiled(schema);
    let samples: Vec<Value> = samples
        .iter()
        .map(|one| serde_json::from_str(one).unwrap())
        .collect();
    for sample in &samples {
        let wrong: Vec<_> = described
            .iter_errors(sample)
            .map(|e| format!("{}: {e}", e.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{name}: {wrong:#?} in {sample:#}");
    }
    let samples: Vec<&Value> = samples.iter().collect();
    fields(name, schema, &samples);
}

/// The fields of the samples against those of the schema, and so on within.
fn fields(place: &str, schema: &Value, samples: &[&Value]) {
    // These are shown as they were sent.
    let sent = ["Settings", "Retry", "Headers"];
    let target = schema["$ref"].as_str().unwrap_or_default();
    if sent.iter().any(|name| target.ends_with(name)) {
        return;
    }
    let schema = resolved(schema);
    if let Some(items) = schema.get("items") {
        let entries: Vec<&Value> = samples
            .iter()
            .filter_map(|one| one.as_array())
            .flatten()
            .collect();
        if !entries.is_empty() {
            fields(&format!("{place}[]"), items, &entries);
        }
    }
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let objects: Vec<&Value> = samples
        .iter()
        .copied()
        .filter(|one| one.is_object())
        .collect();
    assert!(!objects.is_empty(), "no sample of {place}");
    assert_eq!(schema["additionalProperties"], false, "{place}");
    let ever: BTreeSet<String> = objects.iter().flat_map(|one| keys(one)).collect();
    assert_eq!(
        ever,
        keys(&schema["properties"]),
        "{place}: what is ever there"
    );
    let always = ever
        .iter()
        .filter(|name| objects.iter().all(|one| one.get(name.as_str()).is_some()));
    assert_eq!(
        always.cloned().collect::<BTreeSet<_>>(),
        texts(&schema["required"]),
        "{place}: what is always there"
    );
    for (name, part) in properties {
        let within: Vec<&Value> = objects.iter().filter_map(|one| one.get(name)).collect();
        fields(&format!("{place}.{name}"), part, &within);
    }
}

fn bare() -> Webhook {
    Webhook {
        provider: "casso-v2".into(),
        secrets: vec![Secret::new("short".into())],
        ..samples::webhook(1)
    }
}

fn every_setting() -> Settings {
    let text = || Some("x".to_owned());
    Settings {
        tolerance_seconds: Some(None),
        url: text(),
        header: text(),
        access_key: text(),
        app_id: text(),
        scheme: Some(Scheme::Hmac),
        algorithm: Some(Algorithm::Sha1),
        encoding: Some(Encoding::Hex),
        prefix: Some(String::new()),
        signed: text(),
        timestamp_header: text(),
        timestamp_unit: Some(TimestampUnit::Milliseconds),
        event_id: Some(OneOrMany::One("/id".into())),
        event_name: Some(OneOrMany::Many(vec!["/a".into(), "/b".into()])),
        items: text(),
        answer: Some(CustomAnswer {
            status: 202,
            body: "ok".into(),
        }),
    }
}

fn full() -> Webhook {
    let secrets = ["whsec_abcdefghijklmnop", "another-secret-0123456789"];
    Webhook {
        settings: every_setting(),
        secrets: secrets.map(|text| Secret::new(text.into())).into(),
        accounts: vec!["1903".into()],
        headers: [("x-from".to_owned(), "tram".to_owned())].into(),
        alert_url: Some("https://alerts.example/x".into()),
        ..samples::webhook(3)
    }
}

fn retries() -> [Retry; 5] {
    [
        Retry::Fibonacci,
        Retry::Standard,
        Retry::Fixed {
            interval_seconds: 0.5,
            max_attempts: 3,
        },
        Retry::Exponential {
            initial_seconds: 1.0,
            factor: 1.5,
            max_seconds: 60.0,
            max_attempts: 9,
        },
        Retry::Custom {
            delays_seconds: vec![0.5, 60.0],
        },
    ]
}

fn shown(webhook: &Webhook, whole: bool) -> String {
    let reveal = Reveal {
        secrets: [whole; 3],
        signing_secret: whole,
    };
    let warnings = ["careful".to_owned()];
    view::webhook(webhook, "https://hooks.example.com", reveal, &warnings).to_json()
}

#[test]
fn webhooks() {
    let mut samples = vec![
        shown(&bare(), false),
        shown(&bare(), true),
        shown(&full(), false),
        shown(&full(), true),
    ];
    for retry in retries() {
        samples.push(shown(&Webhook { retry, ..bare() }, false));
    }
    for provider in providers::ALL {
        let provider = provider.about().id.to_owned();
        samples.push(shown(&Webhook { provider, ..bare() }, false));
    }
    check("Webhook", &samples);
    let base = "https://hooks.example.com";
    let page =
        |next: Option<&str>| view::webhooks_json(&[bare(), full()], base, next.map(str::to_owned));
    check("WebhookList", &[page(None), page(Some("w1"))]);
    check(
        "DeletedWebhooks",
        &[view::deleted_json(&[bare(), full()], base)],
    );
}

#[test]
fn schedules_have_each_their_own_fields() {
    let described = compiled(named("Retry"));
    for retry in retries() {
        let json = serde_json::to_value(&retry).unwrap();
        assert!(described.is_valid(&json), "{json}");
    }
    assert_eq!(
        named("Retry")["oneOf"].as_array().unwrap().len(),
        retries().len()
    );
}

#[test]
fn the_provider_table() {
    let table = providers::list_json(providers::ALL);
    check("ProviderList", std::slice::from_ref(&table));
    let known = keys(&named("Settings")["properties"]);
    let listed = resolved(&named("Provider")["properties"]["settings"]["items"]);
    assert_eq!(known, texts(&listed["enum"]));
    let every = serde_json::to_value(every_setting()).unwrap();
    assert_eq!(known, keys(&every));
    // Those that some provider takes are among them.
    let table: Value = serde_json::from_str(&table).unwrap();
    let taken = table["data"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|one| texts(&one["settings"]));
    assert!(taken.collect::<BTreeSet<_>>().is_subset(&known));
}

fn id() -> EventId {
    EventId {
        sequence: Sequence::first_at(START),
        webhook: WebhookId::from_random([255; 16]),
        shard: 63,
    }
}

fn summary() -> Summary {
    let text = || Some("1".to_owned());
    Summary {
        bank: text(),
        account: text(),
        direction: Some(Direction::Out),
        amount: text(),
        transaction_id: text(),
        description: text(),
        occurred_at: Some(START.to_rfc3339()),
        payer: text(),
        currency: text(),
        payer_account: text(),
    }
}

fn bare_event(deliveries: Option<Vec<DeliveryView>>) -> EventView {
    EventView {
        id: id(),
        webhook_id: id().webhook,
        provider: "github".into(),
        event: None,
        object_id: None,
        key: "0f".repeat(32),
        received_at: START.to_rfc3339(),
        status: Status::Pending,
        test: false,
        conflicts: 0,
        attempts: 0,
        last_status_code: None,
        last_error: None,
        next_attempt_at: None,
        summary: Summary::default(),
        headers: None,
        query: None,
        body: None,
        body_base64: None,
        deliveries,
    }
}

fn deliveries() -> Option<Vec<DeliveryView>> {
    let attempt = |status_code, error| AttemptView {
        number: 1,
        started_at: START.to_rfc3339(),
        duration_ms: 12,
        status_code,
        error,
        response_body: String::new(),
    };
    let delivery = |status| DeliveryView {
        destination_id: DestinationId::from_random([255; 8]),
        url: String::new(),
        status,
        attempts: vec![
            attempt(None, Some("timed out".into())),
            attempt(Some(200), None),
        ],
    };
    let all = [
        Status::Pending,
        Status::Delivered,
        Status::Failed,
        Status::Cancelled,
    ];
    Some(all.map(delivery).into())
}

#[test]
fn events() {
    let full = EventView {
        event: Some("push".into()),
        object_id: Some("7".into()),
        test: true,
        conflicts: 5,
        attempts: 26,
        last_status_code: Some(503),
        last_error: Some("the origin answered 503".into()),
        next_attempt_at: Some(START.to_rfc3339()),
        summary: summary(),
        ..bare_event(deliveries())
    };
    let write = |event: &EventView| event.shown().unwrap();
    check("ListedEvent", &[write(&bare_event(None)), write(&full)]);
    let page = |data: Vec<EventView>, next| {
        let data = data.iter().map(|event| (event.id, write(event))).collect();
        events_json(&ShownEvents { data, next })
    };
    check(
        "EventList",
        &[
            page(vec![full.clone()], Some(id())),
            page(vec![bare_event(None)], None),
        ],
    );
    let headers = Some([("content-type".to_owned(), "text/plain".to_owned())].into());
    let whole = EventView {
        headers,
        query: Some(String::new()),
        body: Some("x".into()),
        ..full
    };
    let binary = EventView {
        body: None,
        body_base64: Some("AA==".into()),
        ..whole.clone()
    };
    check(
        "Event",
        &[
            write(&whole),
            write(&binary),
            write(&bare_event(deliveries())),
        ],
    );
}

#[test]
fn jobs() {
    let job = |kind, failed| {
        let reply = JobReply {
            id: JobId::from_random([255; 16]),
            kind,
            progress: Progress {
                matched: 3,
                queued: 2,
                done: false,
            },
            failed,
        };
        reply.to_json()
    };
    let shard = (WebhookId::from_random([255; 16]), 63);
    check(
        "Job",
        &[
            job(JobKind::Resend, Vec::new()),
            job(JobKind::Resend, vec![shard]),
            job(JobKind::Cancel, vec![shard, shard]),
            job(JobKind::Delete, Vec::new()),
        ],
    );
}

#[test]
fn figures() {
    let destination = |down_since| DestinationStats {
        id: DestinationId::from_random([0; 8]),
        webhook: None,
        url: "https://shop.example/\"".into(),
        down_since,
        pending: 1,
    };
    let stats = Stats {
        counts: [1, 2, 3, 4],
        oldest_pending: Some(START.millis()),
        destinations: vec![destination(None), destination(Some(START.millis()))],
        hours: vec![Hour {
            begins: 0,
            received: 1,
            delivered: 1,
            failed: 1,
            tally: Tally::default(),
        }],
        ..Stats::default()
    };
    let partial = Stats {
        is_partial: true,
        as_of: Some(START.millis()),
        ..stats.clone()
    };
    check("Stats", &[stats.to_json(START), partial.to_json(START)]);
    let none: Value = serde_json::from_str(&Stats::default().to_json(START)).unwrap();
    assert!(compiled(named("Stats")).is_valid(&none));
}

/// One of each.
fn every_refusal() -> Vec<Refusal> {
    let all = vec![
        Refusal::NoSecret,
        Refusal::MissingHeader("x".into()),
        Refusal::MalformedHeader {
            header: "x".into(),
            why: "y".into(),
        },
        Refusal::UnknownVersion("x".into()),
        Refusal::StaleTimestamp {
            age_seconds: 1,
            tolerance_seconds: 1,
        },
        Refusal::FutureTimestamp { ahead_seconds: 1 },
        Refusal::WrongSecretOrAlteredBody,
        Refusal::EncodingMismatch {
            header: "x".into(),
            why: "y",
        },
        Refusal::ReserializedBody { spelling: "x" },
        Refusal::TooLargeToProve { bytes: 2, most: 1 },
        Refusal::NotJson("x".into()),
    ];
    for one in &all {
        // A new one has to be added above as well.
        match one {
            Refusal::NoSecret
            | Refusal::MissingHeader(_)
            | Refusal::MalformedHeader { .. }
            | Refusal::UnknownVersion(_)
            | Refusal::StaleTimestamp { .. }
            | Refusal::FutureTimestamp { .. }
            | Refusal::WrongSecretOrAlteredBody
            | Refusal::EncodingMismatch { .. }
            | Refusal::ReserializedBody { .. }
            | Refusal::TooLargeToProve { .. }
            | Refusal::NotJson(_) => {}
        }
    }
    all
}

#[test]
fn refused_requests() {
    let reasons = texts(&named("Reason")["enum"]);
    let problems = texts(&named("Problem")["properties"]["code"]["enum"]);
    let kept = |code: &String| {
        let code: &'static str = code.clone().leak();
        refusals::is_kept(&Problem::new(400, code, "", "")) && code != "unauthenticated"
    };
    let unproven = every_refusal().into_iter().map(|one| one.code().to_owned());
    let known: BTreeSet<_> = unproven.chain(problems.into_iter().filter(kept)).collect();
    assert_eq!(known, reasons);

    let webhook = bare();
    let inbound = Inbound {
        method: "POST".into(),
        headers: [("content-type", "text/plain")].into_iter().collect(),
        ..Inbound::default()
    };
    let refused = |body_was_read| {
        let judged = Judged {
            webhook: &webhook,
            inbound: &inbound,
            body_was_read,
            at: START,
        };
        judged.refused(Objection::Problem(&receive::body_too_large(1)))
    };
    let all: Vec<Refused> = vec![refused(true), refused(false)];
    check("RefusalList", &[refusals::to_json(&all)]);
    assert!(refusals::to_json(&samples::refused(START, 2)).starts_with("{\"data\":["));
    assert_eq!(
        named("RefusalList")["properties"]["data"]["maxItems"],
        refusals::MOST
    );
}

#[test]
fn explanations() {
    let webhook = Webhook {
        provider: "casso".into(),
        ..bare()
    };
    let explained = |question: Value| {
        let question = explain::read(&webhook, "", question.to_string().as_bytes(), START);
        explain::explain(&webhook, &question.unwrap(), 1_000)
    };
    let body = r#"{"error":0,"data":[{"id":7,"amount":1},{"id":0,"amount":1}]}"#;
    let gzip = json!({"secure-token": "short", "content-encoding": "gzip"});
    let right = json!({"secure-token": "short"});
    check(
        "Authentic",
        &[
            explained(json!({"headers": right, "body": body})),
            explained(json!({"headers": gzip, "body": body})),
        ],
    );
    check(
        "NotAuthentic",
        &[
            explained(json!({})),
            explained(json!({"headers": {"content-encoding": "gzip"}})),
        ],
    );
    let both = compiled(named("Explanation"));
    let told: Value = serde_json::from_str(&explained(json!({}))).unwrap();
    assert!(both.is_valid(&told));
}

#[test]
fn problems() {
    let mistake = FieldError {
        pointer: "/x".into(),
        message: "y".into(),
    };
    let all = [
        Problem::invalid(vec![mistake]),
        Problem::webhook_not_found(),
        Problem::event_not_found(),
        Problem::payload_gone(),
        Problem::job_not_found(),
        Problem::too_many_jobs(),
        Problem::route_not_found(),
        Problem::method_not_allowed(&["GET"]),
        Problem::try_again("x"),
        receive::body_too_large(1),
        receive::unsupported_encoding(),
        receive::unauthenticated(),
        token::authorise(None, None).unwrap_err(),
        token::authorise(Some("a"), None).unwrap_err(),
    ];
    let written: Vec<String> = all.iter().map(Problem::to_json).collect();
    check("Problem", &written);
    // Each with its headers is one of the answers that the document names.
    let responses = DOCUMENT["components"]["responses"].as_object().unwrap();
    for problem in &all {
        let body: Value = serde_json::from_str(&problem.to_json()).unwrap();
        let fitting = responses.values().filter(|response| {
            let schema = &response["content"]["application/problem+json"]["schema"];
            let headers = response["headers"].as_object();
            compiled(schema).is_valid(&body)
                && headers.into_iter().flatten().all(|(name, header)| {
                    let sent = problem
                        .headers
                        .iter()
                        .find(|(sent, _)| name.eq_ignore_ascii_case(sent));
                    match sent {
                        Some((_, value)) => compiled(&header["schema"]).is_valid(&json!(value)),
                        None => header["required"] == false,
                    }
                })
                && problem.headers.iter().all(|(sent, _)| {
                    let named = headers.into_iter().flatten();
                    named
                        .clone()
                        .any(|(name, _)| name.eq_ignore_ascii_case(sent))
                })
        });
        assert!(fitting.count() >= 1, "{body}");
    }
}
