//! A Mailbox's figures.

use super::*;
use crate::{
    delivery::Status,
    mailbox::stats::{Hour, Tally},
    testing::samples::destination,
    time::{DAY, HOUR},
};

#[test]
fn events_are_counted_by_status_and_by_the_hour_in_which_they_came() {
    let mut config = webhook(1);
    config.retry = crate::webhook::Retry::Fixed {
        interval_seconds: 36_000.0,
        max_attempts: 5,
    };
    let mut rig = Rig::with(&config);
    let old = START.minus(HOUR);
    rig.now = old;
    rig.take("waits");
    rig.run(404);
    rig.now = START;
    for n in 0..5 {
        rig.take(&n.to_string());
    }
    rig.run(200);
    let stats = rig.mailbox.stats(&rig.db, rig.now).unwrap();
    assert_eq!(stats.counts, [1, 5, 0, 0]);
    assert_eq!(stats.oldest_pending, Some(old.millis()));
    let hours: Vec<(i64, u32, u32)> = stats
        .hours
        .iter()
        .map(|hour| (hour.begins, hour.received, hour.delivered))
        .collect();
    assert_eq!(hours, [(old.millis(), 1, 0), (START.millis(), 5, 5)]);
    assert_eq!(stats.destinations.len(), 1);
    let one = &stats.destinations[0];
    assert_eq!(
        (one.id, one.pending, one.down_since),
        (destination(0).id, 1, None)
    );
    // Hours of long ago are not told, but their events count.
    rig.wait(DAY * 8);
    let stats = rig.mailbox.stats(&rig.db, rig.now).unwrap();
    assert_eq!((stats.hours.len(), stats.counts), (0, [1, 5, 0, 0]));
}

#[test]
fn a_destination_that_is_down_is_told_with_all_that_waits_for_it() {
    let mut rig = Rig::new(1);
    for n in 0..15 {
        rig.take(&n.to_string());
    }
    rig.run(500);
    let stats = rig.mailbox.stats(&rig.db, rig.now).unwrap();
    let one = &stats.destinations[0];
    assert_eq!((one.pending, one.down_since), (15, Some(START.millis())));
}

#[test]
fn a_sample_counts_and_a_failed_one_is_resent_with_all_that_failed() {
    let mut rig = Rig::new(1);
    let sample = accept(vec![NewEvent {
        test: true,
        ..event("sample", b"{}")
    }]);
    rig.mailbox.begin_trial(&rig.db, &sample, rig.now).unwrap();
    let stats = rig.mailbox.stats(&rig.db, rig.now).unwrap();
    assert_eq!(stats.counts, [0, 0, 1, 0]);
    assert_eq!((stats.hours[0].received, stats.hours[0].failed), (1, 1));
    let query = EventQuery {
        status: Some(Status::Failed),
        ..EventQuery::default()
    };
    assert_eq!(rig.job(1, JobKind::Resend, &query).queued, 1);
    assert_eq!(rig.run(200), 1);
    let stats = rig.mailbox.stats(&rig.db, rig.now).unwrap();
    assert_eq!(stats.counts, [0, 1, 0, 0]);
}

#[test]
fn what_left_no_event_is_one_row_an_hour_and_goes_after_a_week() {
    let mut rig = Rig::new(1);
    let tally = Tally {
        refused: 3,
        duplicate: 2,
        filtered: 1,
    };
    for _ in 0..4 {
        let before = rig.db.changes();
        rig.mailbox.tally(&rig.db, tally, rig.now).unwrap();
        assert_eq!(rig.db.changes() - before, 1);
        rig.wait(HOUR / 4);
    }
    rig.mailbox.tally(&rig.db, tally, rig.now).unwrap();
    let stats = rig.mailbox.stats(&rig.db, rig.now).unwrap();
    let hours: Vec<(i64, Tally)> = stats
        .hours
        .iter()
        .map(|hour: &Hour| (hour.begins, hour.tally))
        .collect();
    let four = Tally {
        refused: 12,
        duplicate: 8,
        filtered: 4,
    };
    let next = START.plus(HOUR).millis();
    assert_eq!(hours, [(START.millis(), four), (next, tally)]);
    rig.wait(DAY * 9);
    rig.mailbox.tally(&rig.db, tally, rig.now).unwrap();
    assert_eq!(rig.count("tallies"), 1);
    let huge = Tally {
        refused: u32::MAX,
        ..tally
    };
    rig.mailbox.tally(&rig.db, huge, rig.now).unwrap();
    let stats = rig.mailbox.stats(&rig.db, rig.now).unwrap();
    assert_eq!(stats.hours[0].tally.refused, u32::MAX);
}
