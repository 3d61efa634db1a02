//! The Mailbox's statements inside a real Durable Object: every case of the core's
//! SQL suite, through the very shim that the station uses, and the rows that the
//! platform would bill, counted where it counts them.

use tram_tests::Station;

#[track_caller]
fn ask(station: &Station, path: &str) -> String {
    let answer = station.client().send("GET", path, &[], b"");
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.text()
}

#[test]
fn every_case_holds_in_an_object() {
    let suite = Station::sql_suite().start();
    let answer = suite.client().send("GET", "/cases", &[], b"").json();
    let cases = answer.as_array().expect("a list");
    assert!(cases.len() >= 20, "{answer}");
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let case = case.as_str().expect("a name");
            let answer = suite.client().send("GET", &format!("/run/{case}"), &[], b"");
            (answer.status != 200 || answer.text() != "ok")
                .then(|| format!("{case}: {} {}", answer.status, answer.text()))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let nothing = suite.client().send("GET", "/run/no_such_case", &[], b"");
    assert_eq!(nothing.status, 500);
}

#[test]
fn rows() {
    let suite = Station::sql_suite().start();
    for scenario in ["lone", "duplicate", "burst", "third", "test"] {
        println!("{scenario} {}", ask(&suite, &format!("/rows/{scenario}")));
    }
}
