//! Figures that are counted once and kept: always those of a full count, and what it
//! costs to ask for them does not grow with what is stored.

use super::{lists::Step, *};
use crate::{
    delivery::Status,
    ids::DestinationId,
    mailbox::{
        counted::{CHUNK, PACE, Pace},
        stats::{Hour, Stats, begin_of_hour},
    },
    testing::faulty::{Fault, Faulty},
    time::{DAY, HOUR},
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Whatever is there is counted at once, a few events at a time.
const QUICK: Pace = Pace {
    chunk: 3,
    chunks: 1_000,
    settled: Duration::ZERO,
};

/// What the rows say, each read.
fn full_count(rig: &Rig) -> Stats {
    let mut stats = Stats::default();
    let mut hours: BTreeMap<i64, Hour> = BTreeMap::new();
    let mut pending: BTreeMap<DestinationId, u32> = BTreeMap::new();
    let rows = rig
        .db
        .run("SELECT seq FROM events ORDER BY seq", &[])
        .unwrap();
    for row in rows {
        let sequence = Sequence::from_number(row.integer(0).unwrap()).unwrap();
        let view = rig.mailbox.get(&rig.db, sequence).unwrap().unwrap();
        let begins = begin_of_hour(sequence.at());
        let hour = hours.entry(begins).or_default();
        hour.begins = begins;
        hour.received += 1;
        match view.status {
            Status::Pending => {
                stats.counts[0] += 1;
                let came = sequence.at().millis();
                stats.oldest_pending = stats.oldest_pending.or(Some(came));
            }
            Status::Delivered => {
                stats.counts[1] += 1;
                hour.delivered += 1;
            }
            Status::Failed => {
                stats.counts[2] += 1;
                hour.failed += 1;
            }
            Status::Cancelled => stats.counts[3] += 1,
        }
        for delivery in view.deliveries.unwrap() {
            if delivery.status == Status::Pending {
                *pending.entry(delivery.destination_id).or_default() += 1;
            }
        }
    }
    let told = begin_of_hour(rig.now.minus(DAY * 7));
    stats.hours = hours
        .into_values()
        .filter(|hour| hour.begins >= told)
        .collect();
    stats.destinations = Vec::new();
    for known in &rig.mailbox.config().unwrap().destinations {
        stats
            .destinations
            .push(crate::mailbox::stats::DestinationStats {
                webhook: None,
                id: known.id,
                url: known.url.clone(),
                down_since: None,
                pending: pending.get(&known.id).copied().unwrap_or(0),
            });
    }
    stats
}

#[track_caller]
fn check(rig: &mut Rig, pace: Pace) {
    let expected = full_count(rig);
    let mut told = rig.mailbox.stats_at(&rig.db, pace, rig.now).unwrap();
    for one in &mut told.destinations {
        one.down_since = None;
    }
    assert_eq!(told, expected);
}

#[derive(Clone, Debug)]
enum Life {
    Step(Step),
    Count(usize),
    Later(u64),
    Job(JobKind, u8),
    Repeat(usize),
    Fail(u64, bool),
}

fn life() -> impl Strategy<Value = Life> {
    prop_oneof![
        12 => lists::step().prop_map(Life::Step),
        4 => (1_usize..6).prop_map(Life::Count),
        2 => prop_oneof![Just(1_u64), Just(5), Just(24), Just(200)].prop_map(Life::Later),
        1 => (prop_oneof![Just(JobKind::Resend), Just(JobKind::Cancel), Just(JobKind::Delete)], any::<u8>())
            .prop_map(|(kind, n)| Life::Job(kind, n)),
        1 => any::<usize>().prop_map(Life::Repeat),
        1 => (0_u64..12, any::<bool>()).prop_map(|(at, sticks)| Life::Fail(at, sticks)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(150)
    })]

    #[test]
    fn they_equal_a_full_count_after_whatever_happens(
        destinations in 1_u8..4,
        lives in prop::collection::vec(life(), 1..60),
    ) {
        let mut rig = lists::rig(1, 0, destinations);
        rig.change(|webhook| {
            webhook.retention_days = 3;
            webhook.dedupe_days = 10;
        });
        let mut events = Vec::new();
        for life in lives {
            match life {
                Life::Step(step) => lists::apply(&mut rig, &mut events, &step),
                Life::Count(chunk) => check(&mut rig, Pace { chunk, ..QUICK }),
                Life::Later(hours) => {
                    rig.wait(HOUR * u32::try_from(hours).unwrap());
                    rig.mailbox.tend(&rig.db, rig.now).unwrap();
                }
                Life::Job(kind, n) => {
                    let query = EventQuery {
                        status: match kind {
                            JobKind::Resend => Some(Status::Failed),
                            JobKind::Cancel => Some(Status::Pending),
                            JobKind::Delete => None,
                        },
                        event: Some("paid".to_owned()),
                        ..EventQuery::default()
                    };
                    rig.job(n, kind, &query);
                }
                Life::Repeat(which) => {
                    let count = events.len().max(1);
                    rig.offer(vec![event(&(which % count).to_string(), b"{}")]);
                }
                // What was counted may or may not have been written down.
                Life::Fail(which, sticks) => {
                    let faulty = Faulty::new(&rig.db);
                    faulty.fail(which, if sticks { Fault::Stuck } else { Fault::Before });
                    drop(rig.mailbox.stats_at(&faulty, QUICK, rig.now));
                }
            }
        }
        check(&mut rig, QUICK);
        check(&mut rig, PACE);
        rig.reopen();
        check(&mut rig, PACE);
    }
}

/// So many events, a hundred a second.
fn take_many(rig: &mut Rig, count: usize) {
    for chunk in (0..count).collect::<Vec<_>>().chunks(100) {
        let batch = chunk.iter().map(|n| event(&format!("many {n}"), b"{}"));
        rig.offer(batch.collect());
        rig.wait(millis(1_000));
    }
}

#[test]
fn yesterday_s_database_is_counted_a_part_at_a_time_and_says_so() {
    let mut rig = Rig::new(1);
    rig.change(|webhook| webhook.is_paused = true);
    take_many(&mut rig, 12 * CHUNK + 500);
    rig.wait(millis(20_000));
    let first = rig.mailbox.stats(&rig.db, rig.now).unwrap();
    assert_eq!((first.is_partial, first.counts), (true, [10_000, 0, 0, 0]));
    let shown = first.to_json(rig.now);
    assert!(shown.starts_with("{\"complete\":false,"), "{shown}");
    assert!(
        first
            .to_metrics(rig.now)
            .contains("\ntram_figures_complete 0\n")
    );
    // It calls itself to go on, and asking goes on as well.
    rig.mailbox.ensure_armed(&rig.db, rig.now).unwrap();
    let alarm = rig.alarm().expect("there is more to count");
    assert!(alarm <= rig.now.plus(millis(500)), "{alarm:?}");
    rig.now = alarm;
    rig.mailbox.woken();
    rig.mailbox.tend(&rig.db, rig.now).unwrap();
    let told = rig.mailbox.stats(&rig.db, rig.now).unwrap();
    assert_eq!((told.is_partial, told.counts), (false, [12_500, 0, 0, 0]));
    assert_eq!(told.destinations[0].pending, 12_500);
    assert_eq!(told.oldest_pending, Some(START.millis()));
    assert!(!told.to_json(rig.now).contains("complete"));
    assert!(!told.to_metrics(rig.now).contains("complete"));
    assert_eq!(rig.mailbox.wake_at(&rig.db, rig.now).unwrap(), None);
}

#[test]
fn counting_writes_two_rows_a_thousand_events_and_a_late_change_one() {
    let mut rig = Rig::new(1);
    take_many(&mut rig, CHUNK);
    let rows = |rig: &mut Rig, work: &dyn Fn(&mut Rig)| {
        let before = rig.db.changes();
        work(rig);
        rig.db.changes() - before
    };
    // Not yet: the last have only just come.
    assert_eq!(rows(&mut rig, &|rig| check(rig, PACE)), 0);
    rig.wait(millis(10_000));
    assert_eq!(rows(&mut rig, &|rig| check(rig, PACE)), 2);
    // Asking again writes nothing.
    assert_eq!(rows(&mut rig, &|rig| check(rig, PACE)), 0);
    let deliver = |rig: &mut Rig| {
        rig.mailbox.begin_run();
        let job = rig.lease_one();
        rig.finish(&job, 200);
    };
    assert_eq!(rows(&mut rig, &deliver), 2);
    check(&mut rig, PACE);
    rig.run(200);
    // One that is not counted writes no more than before.
    rig.take("new");
    assert_eq!(rows(&mut rig, &deliver), 1);
    check(&mut rig, PACE);
}

#[test]
fn what_goes_in_batches_writes_a_row_an_hour_and_old_hours_become_one() {
    let mut rig = Rig::new(1);
    rig.change(|webhook| {
        webhook.retention_days = 1;
        webhook.dedupe_days = 30;
    });
    for _ in 0..3 {
        for n in 0..400 {
            let id = format!("{n} {}", rig.now.millis());
            rig.offer(vec![event(&id, b"{}")]);
        }
        rig.run(200);
        rig.wait(HOUR);
    }
    check(&mut rig, QUICK);
    assert_eq!(rig.count("hours"), 3);
    rig.wait(DAY * 9);
    for n in 0..QUICK.chunk {
        rig.take(&format!("later {n}"));
    }
    rig.run(200);
    check(&mut rig, QUICK);
    assert_eq!(rig.count("hours"), 2, "one of them is of all that is older");
    rig.wait(DAY * 21);
    let stored = rig.count("events");
    let before = rig.db.changes();
    rig.mailbox.tend(&rig.db, rig.now).unwrap();
    // Four batches of keys, and what went of the payloads before.
    let gone = u64::try_from(stored - rig.count("events")).unwrap();
    assert_eq!(gone, 800);
    assert!(
        rig.db.changes() - before <= gone + 4 + 808,
        "{}",
        rig.db.changes() - before
    );
    check(&mut rig, QUICK);
}

#[test]
fn the_visit_of_each_hour_counts_so_that_nobody_needs_to_ask() {
    let mut rig = Rig::new(1);
    rig.change(|webhook| webhook.is_paused = true);
    take_many(&mut rig, CHUNK + 5);
    rig.wait(HOUR);
    let visit = crate::messages::MailboxRequest::Visit;
    rig.mailbox.handle(&rig.db, visit, rig.now).unwrap();
    assert_eq!(rig.count("hours"), 1);
    let query = EventQuery::default();
    assert!(!rig.mailbox.list(&rig.db, &query).unwrap().data.is_empty());
}
