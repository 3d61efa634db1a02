//! `GET /metrics`: the figures as a Prometheus server reads them, by a parser that takes
//! nothing else than the text format 0.0.4 says.

use serde_json::json;
use std::collections::BTreeMap;
use tram_tests::{ADMIN_TOKEN, Answer, Origin, PATIENCE, Station, casso, transaction, wait_until};

type Samples = BTreeMap<(String, Vec<(String, String)>), f64>;

fn scrape(station: &Station, method: &str, path: &str, token: Option<&str>) -> Answer {
    let token = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = token
        .iter()
        .map(|token| ("authorization", &**token))
        .collect();
    station.client().send(method, path, &headers, b"")
}

#[track_caller]
fn metrics(station: &Station, query: &str) -> Samples {
    let answer = scrape(
        station,
        "GET",
        &format!("/metrics{query}"),
        Some(ADMIN_TOKEN),
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let media_type = answer.header("content-type");
    assert_eq!(media_type, Some("text/plain; version=0.0.4; charset=utf-8"));
    answer.assert_guarded();
    parse(&answer.text())
}

/// All samples of a text, by name and labels; panics where it is not as the format
/// says: each family is one group with its help and type before it, each sample stands
/// once, and the last line ends.
#[track_caller]
fn parse(text: &str) -> Samples {
    assert!(text.ends_with('\n'), "the last line has no end");
    let (mut samples, mut families) = (Samples::new(), Vec::new());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let help = line
            .strip_prefix("# HELP ")
            .unwrap_or_else(|| panic!("{line}"));
        let (family, help) = help.split_once(' ').expect("a help");
        assert!(
            is_name(family) && !help.is_empty() && !help.contains('\\'),
            "{line}"
        );
        assert!(!families.contains(&family), "{family} twice");
        families.push(family);
        let kind = lines.next().expect("a type");
        assert_eq!(kind, format!("# TYPE {family} gauge"));
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (name, labels, value) = sample(line);
            assert_eq!(name, family, "{line}");
            let value: f64 = value.parse().unwrap_or_else(|why| panic!("{why}: {line}"));
            let before = samples.insert((name.to_owned(), labels), value);
            assert_eq!(before, None, "{line} twice");
        }
    }
    samples
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `name{label="value",…} value`, without a timestamp.
#[track_caller]
fn sample(line: &str) -> (&str, Vec<(String, String)>, &str) {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("{line}"));
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(label) && !label.starts_with("__"), "{line}");
            let mut value = String::new();
            let mut letters = after.char_indices();
            let end = loop {
                match letters.next().unwrap_or_else(|| panic!("no end: {line}")) {
                    (at, '"') => break at + 1,
                    (_, '\\') => match letters.next() {
                        Some((_, 'n')) => value.push('\n'),
                        Some((_, c @ ('\\' | '"'))) => value.push(c),
                        other => panic!("{other:?} escaped: {line}"),
                    },
                    (_, c) => value.push(c),
                }
            };
            labels.push((label.to_owned(), value));
            rest = &after[end..];
            match rest.split_at(1) {
                (",", more) => rest = more,
                ("}", more) => {
                    rest = more;
                    break;
                }
                _ => panic!("{line}"),
            }
        }
    }
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("{line}"));
    assert!(!value.contains(' '), "{line}");
    labels.sort();
    (name, labels, value)
}

fn value(samples: &Samples, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let mut labels: Vec<_> = labels
        .iter()
        .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()))
        .collect();
    labels.sort();
    samples.get(&(name.to_owned(), labels)).copied()
}

#[test]
fn the_figures_are_those_of_stats() {
    let (station, origin) = (Station::start(), Origin::start());
    let nothing = metrics(&station, "");
    assert_eq!(nothing.len(), 17);
    assert!(nothing.values().all(|value| *value == 0.0), "{nothing:?}");

    let webhook = station.create_webhook(&json!({
        "provider": "casso", "webhook_url": origin.url("/?token=of-the-destination"), "shards": 4,
        "name": "a\"} 1 # HELP x",
    }));
    let paused = station.create_webhook(&json!({
        "provider": "casso", "webhook_url": origin.url("/paused"), "is_paused": true,
    }));
    for id in [1, 2, 3, 3] {
        assert_eq!(
            station
                .post_casso(&webhook, casso(&[transaction(id)]))
                .status,
            200
        );
    }
    assert_eq!(station.post(&webhook.path, &[], "{}").status, 401);
    station.send_transaction(&paused, 1);
    let all = wait_until("all but one delivered", PATIENCE, || {
        let all = metrics(&station, "");
        (value(&all, "tram_events", &[("status", "delivered")]) == Some(3.0)).then_some(all)
    });
    assert_eq!(
        value(&all, "tram_events", &[("status", "pending")]),
        Some(1.0)
    );
    assert!(value(&all, "tram_oldest_pending_seconds", &[]).is_some());
    for (webhook, pending) in [(&webhook, 0.0), (&paused, 1.0)] {
        let destination = webhook.shown["destinations"][0]["id"].as_str().unwrap();
        let labels = [
            ("webhook_id", &*webhook.id),
            ("destination_id", destination),
        ];
        assert_eq!(value(&all, "tram_destination_up", &labels), Some(1.0));
        assert_eq!(
            value(&all, "tram_destination_pending", &labels),
            Some(pending)
        );
    }
    for (kind, count) in [
        ("received", 4.0),
        ("delivered", 3.0),
        ("failed", 0.0),
        ("refused", 1.0),
        ("duplicate", 1.0),
        ("filtered", 0.0),
    ] {
        let week = value(&all, "tram_last_7_days", &[("kind", kind)]);
        assert_eq!(week, Some(count), "{kind}");
        // The hour may have turned since.
        let hour = value(&all, "tram_this_hour", &[("kind", kind)]);
        assert!(hour.is_some_and(|hour| hour <= count), "{kind} {hour:?}");
    }
    let one = metrics(&station, &format!("?webhook_id={}", paused.id));
    assert_eq!(
        value(&one, "tram_last_7_days", &[("kind", "received")]),
        Some(1.0)
    );
    assert_eq!(one.len(), 19);
}

#[test]
fn it_is_as_closed_as_the_rest() {
    let station = Station::shared();
    for token in [None, Some("wrong")] {
        for method in ["GET", "POST"] {
            let answer = scrape(&station, method, "/metrics", token);
            assert_eq!(answer.problem(401), "unauthorized");
        }
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = scrape(&station, method, "/metrics", Some(ADMIN_TOKEN));
        assert_eq!(answer.problem(405), "method_not_allowed", "{method}");
        assert_eq!(answer.header("allow"), Some("GET"));
    }
    for path in ["/metrics/", "/api/v1/metrics", "/api/v1//metrics"] {
        let answer = scrape(&station, "GET", path, Some(ADMIN_TOKEN));
        assert_eq!(answer.problem(404), "route_not_found", "{path}");
    }
    let answer = scrape(&station, "GET", "/metrics?x=1", Some(ADMIN_TOKEN));
    assert_eq!(answer.problem(422), "invalid");
    let unmanaged = Station::builder().without("ADMIN_TOKEN").start();
    let answer = scrape(&unmanaged, "GET", "/metrics", Some(""));
    assert_eq!(answer.problem(503), "management_disabled");
}

#[test]
fn with_many_shards_some_are_asked_each_time_and_it_says_how_old_the_others_are() {
    let station = Station::start();
    let webhook = station.create_webhook(&json!({
        "provider": "casso", "webhook_url": "http://127.0.0.1:9/", "shards": 41,
        "is_paused": true,
    }));
    for number in 1..6 {
        station.send_transaction(&webhook, number);
    }
    let first = metrics(&station, "");
    assert_eq!(value(&first, "tram_figures_complete", &[]), Some(0.0));
    let second = metrics(&station, "");
    assert_eq!(value(&second, "tram_figures_complete", &[]), None);
    assert!(value(&second, "tram_figures_age_seconds", &[]).is_some_and(|age| age < 60.0));
    let pending = value(&second, "tram_events", &[("status", "pending")]);
    assert_eq!(pending, Some(5.0));
    let one = metrics(&station, &format!("?webhook_id={}", webhook.id));
    assert_eq!(one.len(), 20);
    let stats = station.api_expecting(200, "GET", "/stats", None);
    assert_eq!(stats["counts"]["pending"], 5);
    assert!(stats["as_of"].is_string() && stats.get("complete").is_none());
}
