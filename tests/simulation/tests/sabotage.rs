//! A simulation that passes everything proves nothing: each way of building the
//! relay wrongly must be found, and within few seeds.

use tram_simulation::{Lab, Plan, Sabotage, campaign::Campaign, shorten};

/// Seeds within which each must be found. Most were within eight, and all within 41.
const BOUND: u64 = 100;
/// Where a destination has to be down and to live again it took up to 279.
const RARE: u64 = 1_000;

/// How it shows that what waits does not go when it may: an object that is awake has not
/// sent it, or one that sleeps is woken too late.
const WAITS: &[&str] = &["overdue", "must begin at", "at once: "];

const fn bound(sabotage: Sabotage) -> u64 {
    match sabotage {
        Sabotage::RefusalIsNoLife | Sabotage::ProbeOldest | Sabotage::TestDoesNotCount => RARE,
        _ => BOUND,
    }
}

/// Finds it, and what is said of it.
fn found(sabotage: Sabotage) -> String {
    let report = Campaign {
        from: 0,
        seeds: bound(sabotage),
        time: None,
        sabotage: Some(sabotage),
    }
    .run();
    let (seed, wrong) = report.failed.expect("it is found out");
    println!(
        "{sabotage:?}: found with seed {seed}, after {} seeds: {wrong}",
        report.seeds
    );
    // What is found is found again, and without the sabotage there is nothing.
    let plan = Plan::of_seed(seed);
    let mut lab = Lab::default();
    let again = lab.live(&plan, Some(sabotage), false);
    assert_eq!(again.wrong, Some(wrong.clone()));
    assert_eq!(lab.live(&plan, None, false).wrong, None);
    wrong
}

/// It is found, and said to be one of these.
fn check_any(sabotage: Sabotage, says: &[&str]) {
    let wrong = found(sabotage);
    let known = says.iter().any(|says| wrong.contains(says));
    assert!(known, "{sabotage:?}: {wrong}");
}

fn check(sabotage: Sabotage, says: &str) {
    check_any(sabotage, &[says]);
}

#[test]
fn an_alarm_that_is_set_after_the_answer() {
    check(Sabotage::AlarmAfterAnswer, "will never fire");
}

#[test]
fn a_marker_that_is_written_before_the_event_is_stored() {
    check(
        Sabotage::MarkerBeforeStore,
        "acknowledged, but is not stored",
    );
}

#[test]
fn attempts_without_a_lease() {
    check(Sabotage::NoLease, "without a lease");
}

#[test]
fn an_alarm_that_is_set_in_the_past() {
    check(Sabotage::ArmedInThePast, "will never fire");
}

#[test]
fn a_check_before_an_insert() {
    check(Sabotage::CheckThenInsert, "stored twice");
}

#[test]
fn an_error_that_is_taken_for_absence() {
    // It shows in more than one way.
    found(Sabotage::ErrorAsAbsence);
}

#[test]
fn a_failure_that_is_acknowledged() {
    check(
        Sabotage::FailureAsSuccess,
        "acknowledged, but is not stored",
    );
}

#[test]
fn a_delivery_that_is_done_before_it_is_sent() {
    // What is sent again meanwhile is out twice.
    check_any(
        Sabotage::DoneBeforeSent,
        &["the origin has not got it", "attempted twice at once"],
    );
}

#[test]
fn a_refusal_that_is_no_life() {
    check_any(Sabotage::RefusalIsNoLife, WAITS);
}

#[test]
fn a_probe_of_the_oldest() {
    check(Sabotage::ProbeOldest, "overdue");
}

#[test]
fn a_trial_that_does_not_count() {
    check_any(Sabotage::TestDoesNotCount, WAITS);
}

#[test]
fn a_delivery_that_is_forgotten_when_it_is_sent_again() {
    check(Sabotage::DeliveredIsForgotten, "it was delivered, and is");
}

#[test]
fn a_failing_plan_is_shortened_and_fails_still() {
    let sabotage = Some(Sabotage::MarkerBeforeStore);
    let found = Campaign {
        from: 0,
        seeds: BOUND,
        time: None,
        sabotage,
    }
    .run();
    let (seed, _) = found.failed.expect("it is found out");
    let short = shorten(&Plan::of_seed(seed), sabotage);
    assert!(short.steps.len() <= 5, "{short}");
    let life = Lab::default().live(&short, sabotage, true);
    assert!(life.wrong.is_some());
    assert!(!life.trace.is_empty());
}
