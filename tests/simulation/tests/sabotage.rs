//! A simulation that passes everything proves nothing: each way of building the
//! relay wrongly must be found, and within few seeds.

use tram_simulation::{Lab, Plan, Sabotage, campaign::Campaign, shorten};

/// Seeds within which each must be found. Those that need a destination that is down and
/// lives again took up to 120, the others eight.
const BOUND: u64 = 1_000;

/// Finds it, and what is said of it.
fn found(sabotage: Sabotage) -> String {
    let report = Campaign {
        from: 0,
        seeds: BOUND,
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

fn check(sabotage: Sabotage, says: &str) {
    let wrong = found(sabotage);
    assert!(wrong.contains(says), "{sabotage:?}: {wrong}");
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
    found(Sabotage::DoneBeforeSent);
}

#[test]
fn a_refusal_that_is_no_life() {
    // What waits is overdue, or not released.
    found(Sabotage::RefusalIsNoLife);
}

#[test]
fn a_probe_of_the_oldest() {
    check(Sabotage::ProbeOldest, "overdue");
}

#[test]
fn a_trial_that_does_not_count() {
    // What waits is overdue, or not released.
    found(Sabotage::TestDoesNotCount);
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
