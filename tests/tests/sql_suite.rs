//! The Mailbox's statements inside a real Durable Object: every case of the core's
//! SQL suite, through the very shim that the station uses, and the rows that the
//! platform would bill, written and read, counted where it counts them.

use tram_tests::Station;

#[test]
fn every_case_holds_in_an_object() {
    let suite = Station::sql_suite().start();
    let get = |path: &str| suite.client().send("GET", path, &[], b"");
    let cases = get("/cases").json();
    let cases = cases.as_array().expect("a list");
    assert!(cases.len() >= 20, "{cases:?}");
    let mut failures = Vec::new();
    for case in cases {
        let case = case.as_str().expect("a name");
        let answer = get(&format!("/run/{case}"));
        if (answer.status, answer.text().as_str()) != (200, "ok") {
            failures.push(format!("{case}: {} {}", answer.status, answer.text()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(get("/run/no_such_case").status, 500);
}

#[test]
fn no_more_rows_are_written_than_are_paid_for() {
    let suite = Station::sql_suite().start();
    // Alarms are among them: `lone` is 2 for the event and its key, 1 for its success
    // and 2 alarms, which the 100 of `burst` share. Every second payload that goes has
    // its row put anew, which is three rows instead of one.
    for (scenario, most) in [
        ("lone", 5),
        ("duplicate", 0),
        ("burst", 302),
        ("third", 16),
        ("test", 4),
        ("refusals", 3),
        ("payloads", 201),
        ("keys", 100),
    ] {
        let answer = suite
            .client()
            .send("GET", &format!("/rows/{scenario}"), &[], b"");
        assert_eq!(answer.status, 200, "{scenario}: {}", answer.text());
        let rows: u64 = answer.text().parse().expect("a number");
        assert!(rows <= most, "{scenario}: {rows} rows instead of {most}");
    }
}

#[test]
fn a_page_reads_no_more_rows_than_it_says() {
    let suite = Station::sql_suite().start();
    // Of the 3,000 that are stored a thousand are looked at, once to find where a
    // window ends (there are four) and once to look through it.
    for (list, most) in [
        ("page", 42),
        ("delivered", 63),
        ("pending", 35),
        ("failed", 2_004),
        ("none", 2_004),
    ] {
        let answer = suite
            .client()
            .send("GET", &format!("/read/{list}"), &[], b"");
        assert_eq!(answer.status, 200, "{list}: {}", answer.text());
        let rows: u64 = answer.text().parse().expect("a number");
        assert!(rows <= most, "{list}: {rows} rows instead of {most}");
    }
}

#[test]
fn figures_read_no_more_rows_however_much_is_stored() {
    let suite = Station::sql_suite().start();
    // What is not counted for good yet, a thousand at most and each read twice, and a row
    // for each hour.
    for (stored, most) in [(100, 220), (1_900, 1_900), (12_000, 20)] {
        let answer = suite
            .client()
            .send("GET", &format!("/figures/{stored}"), &[], b"");
        assert_eq!(answer.status, 200, "{stored}: {}", answer.text());
        let rows: u64 = answer.text().parse().expect("a number");
        assert!(rows <= most, "{stored}: {rows} rows instead of {most}");
    }
}
