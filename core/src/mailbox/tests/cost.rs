//! Rows written: what a Durable Object is paid by. Natively the rows of tables and
//! the alarms are counted; rows of indexes are known from the schema.

use super::*;
use crate::{messages::MailboxRequest, testing::samples::refused};

/// Rows of tables and alarms written by `work`.
fn rows(rig: &mut Rig, work: impl FnOnce(&mut Rig)) -> (u64, u64) {
    let before = (rig.db.changes(), rig.db.alarms_set());
    work(rig);
    (rig.db.changes() - before.0, rig.db.alarms_set() - before.1)
}

#[test]
fn an_event_has_one_index_and_a_wait_has_one() {
    let rig = Rig::new(1);
    let indexes = |table: &str| {
        rig.number(&format!(
            "SELECT count(*) FROM sqlite_schema WHERE tbl_name = '{table}' AND type = 'index'
             AND name NOT LIKE 'sqlite_autoindex%'"
        ))
    };
    assert_eq!(indexes("events"), 1);
    assert_eq!(indexes("payloads"), 0);
    assert_eq!(indexes("waiting"), 1);
    // WITHOUT ROWID: the primary key is the table, though it is listed.
    let hidden = rig.number(
        "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'sqlite_autoindex%'
         AND tbl_name IN ('events', 'payloads')",
    );
    assert_eq!(hidden, 0);
}

#[test]
fn a_lone_event_delivered_at_once_writes_five_rows() {
    let mut rig = Rig::new(1);
    // The event (and its key's index row) and the alarm.
    assert_eq!(
        rows(&mut rig, |rig| assert_eq!(rig.take("1").shard, 0)),
        (1, 1)
    );
    // Its success and the lease's alarm.
    assert_eq!(rows(&mut rig, |rig| assert_eq!(rig.run(200), 1)), (1, 1));
    // The lease's alarm fires as a check.
    rig.wait(millis(60_000));
    assert_eq!(rows(&mut rig, |rig| assert_eq!(rig.run(200), 0)), (0, 0));
}

#[test]
fn one_that_begins_its_run_writes_four_rows() {
    let mut rig = Rig::new(1);
    // The event (and its key's index row) and the lease's alarm.
    let cost = rows(&mut rig, |rig| {
        assert!(rig.offer_and_begin(vec![event("1", b"{}")]).begin);
    });
    assert_eq!(cost, (1, 1));
    let cost = rows(&mut rig, |rig| {
        rig.mailbox.begin_run();
        let job = rig.lease_one();
        rig.finish(&job, 200);
        rig.end_run();
    });
    assert_eq!(cost, (1, 0));
    // The alarm fires as a check.
    rig.wait(millis(60_000));
    assert_eq!(rows(&mut rig, |rig| assert_eq!(rig.run(200), 0)), (0, 0));
}

#[test]
fn in_a_run_an_event_writes_three_rows_and_sets_no_alarm() {
    let mut rig = Rig::new(1);
    rig.take("1");
    rig.mailbox.woken();
    rig.mailbox.begin_run();
    let first = rig.lease_one();
    let cost = rows(&mut rig, |rig| {
        let accepted = rig.offer(vec![event("2", b"{}")]);
        assert!(accepted.wake);
        let job = rig.lease_one();
        rig.finish(&job, 200);
    });
    assert_eq!(cost, (2, 0));
    rig.finish(&first, 200);
}

#[test]
fn a_large_payload_costs_one_row_more_and_is_not_rewritten() {
    let mut rig = Rig::new(1);
    let large = vec![b'x'; 1_048_576];
    let cost = rows(&mut rig, |rig| {
        drop(rig.offer(vec![event("1", &large)]));
    });
    assert_eq!(cost, (2, 1));
    assert_eq!(rig.count("payloads"), 1);
    assert_eq!(rows(&mut rig, |rig| assert_eq!(rig.run(200), 1)), (1, 1));
}

#[test]
fn a_duplicate_writes_no_row() {
    let mut rig = Rig::new(1);
    rig.take("1");
    let again = |rig: &mut Rig| {
        for _ in 0..10 {
            let accepted = rig.offer(vec![event("1", b"{}"), event("1", b"{}")]);
            assert!(!accepted.wake);
        }
    };
    assert_eq!(rows(&mut rig, again), (0, 0), "pending");
    rig.run(200);
    assert_eq!(rows(&mut rig, again), (0, 0), "delivered");
    rig.reopen();
    assert_eq!(rows(&mut rig, again), (0, 0), "after opening again");
}

#[test]
fn a_conflict_writes_one_row_five_times() {
    let mut rig = Rig::new(1);
    rig.take("1");
    let cost = rows(&mut rig, |rig| {
        for n in 0..100 {
            rig.offer(vec![event("1", n.to_string().as_bytes())]);
        }
    });
    assert_eq!(cost, (5, 0));
}

#[test]
fn a_test_call_repeated_within_5_seconds_writes_no_row() {
    let mut rig = Rig::new(1);
    let test = || NewEvent {
        test: true,
        ..event("0", b"{}")
    };
    rig.offer(vec![test()]);
    assert_eq!(
        rows(&mut rig, |rig| drop(rig.offer(vec![test(), test()]))),
        (0, 0)
    );
}

#[test]
fn refused_requests_write_one_row_however_many_come() {
    let mut rig = Rig::new(1);
    for count in [1, 50, 1_000] {
        let cost = rows(&mut rig, |rig| {
            let request = MailboxRequest::Refused(refused(START, count));
            rig.mailbox.handle(&rig.db, request, START).unwrap();
        });
        assert_eq!(cost, (1, 0), "{count}");
        assert_eq!(rig.count("refusals"), 1);
    }
    let list = |rig: &mut Rig| {
        drop(
            rig.mailbox
                .handle(&rig.db, MailboxRequest::Refusals, START)
                .unwrap(),
        );
    };
    assert_eq!(rows(&mut rig, list), (0, 0));
}

#[test]
fn opening_and_configuring_again_write_no_row() {
    let mut rig = Rig::new(1);
    rig.take("1");
    let cost = rows(&mut rig, |rig| {
        rig.reopen();
        rig.mailbox
            .configure(&rig.db, &webhook(1), 0, START)
            .unwrap();
        let mut older = webhook(1);
        older.version = 0;
        rig.mailbox.configure(&rig.db, &older, 0, START).unwrap();
        rig.mailbox.ensure_armed(&rig.db, START).unwrap();
    });
    assert_eq!(cost, (0, 0));
}

#[test]
fn a_failed_attempt_writes_the_wait_and_a_further_one_only_that() {
    let mut rig = Rig::new(1);
    rig.take("1");
    // The wait (and its index row), the event, the destination's health; the lease's
    // alarm, which is the next attempt's as well.
    assert_eq!(rows(&mut rig, |rig| assert_eq!(rig.run(500), 1)), (3, 1));
    rig.wait(millis(60_000));
    assert_eq!(rows(&mut rig, |rig| assert_eq!(rig.run(500), 1)), (2, 1));
    rig.wait(millis(60_000));
    assert_eq!(rows(&mut rig, |rig| assert_eq!(rig.run(200), 1)), (3, 1));
    // One that is refused says nothing of the server.
    rig.take("2");
    assert_eq!(rows(&mut rig, |rig| assert_eq!(rig.run(404), 1)), (2, 1));
}

#[test]
fn the_cursor_is_written_once_in_256_events() {
    let mut rig = Rig::new(1);
    let mut cursors = 0;
    for n in 0..600 {
        rig.take(&n.to_string());
        let (changes, _) = rows(&mut rig, |rig| assert_eq!(rig.run(200), 1));
        cursors += changes - 1;
        rig.assert_cursor();
        rig.wait(millis(90_000));
        // Opening again must not begin the count anew.
        rig.reopen();
    }
    assert_eq!(cursors, 2);
    let cursor = rig.number("SELECT value FROM meta WHERE name = 'cursor'");
    let behind = rig.number(&format!(
        "SELECT count(*) FROM events WHERE seq >= {cursor}"
    ));
    assert_eq!(behind, 600 - 512);
}
