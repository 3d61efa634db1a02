//! The same done to many events: bounded in each wake, kept over the end of an object,
//! and one job however often it is asked for.

use super::{ends::short_lived, *};
use crate::{
    delivery::Status,
    mailbox::jobs::Resending,
    testing::faulty::{Fault, Faulty},
    webhook::Retry,
};

/// Nothing is tried again by itself.
fn rig() -> Rig {
    let mut config = short_lived();
    config.retry = Retry::Custom {
        delays_seconds: Vec::new(),
    };
    Rig::with(&config)
}

fn take_many(rig: &mut Rig, name: &str, count: usize) {
    for chunk in (0..count).collect::<Vec<_>>().chunks(400) {
        let batch = chunk.iter().map(|n| event(&format!("{name} {n}"), b"{}"));
        rig.offer(batch.collect());
    }
}

fn with(status: Option<Status>, q: Option<&str>) -> EventQuery {
    EventQuery {
        status,
        q: q.map(str::to_owned),
        ..EventQuery::default()
    }
}

/// Wakes the object whenever it wants to be, until it does not.
fn settle(rig: &mut Rig) {
    rig.mailbox.ensure_armed(&rig.db, rig.now).unwrap();
    let mut wakes = 0;
    while let Some(at) = rig.alarm() {
        rig.now = rig.now.max(at);
        rig.run_and_prune();
        wakes += 1;
        assert!(wakes < 3_000);
    }
}

#[test]
fn a_resend_of_many_is_bounded_in_each_wake_and_goes_on_where_it_was() {
    let mut rig = rig();
    take_many(&mut rig, "old", 1_200);
    rig.run(404);
    let kept = rig.take("kept");
    rig.run(200);
    let failed = with(Some(Status::Failed), None);
    let first = rig.job(1, JobKind::Resend, &failed);
    assert_eq!((first.queued, first.matched, first.done), (500, 500, false));
    // To ask again is to ask how far it is; another stands in line.
    assert_eq!(rig.job(1, JobKind::Resend, &failed), first);
    let waits = rig.job(2, JobKind::Resend, &with(None, Some("KEPT")));
    assert_eq!(waits, Progress::default());
    // It survives the object, and needs nobody to ask for it.
    for _ in 0..3 {
        rig.reopen();
    }
    settle(&mut rig);
    let done = |queued, matched| Progress {
        matched,
        queued,
        done: true,
    };
    assert_eq!(rig.count("events WHERE status = 'delivered'"), 1_201);
    assert_eq!(
        rig.number("SELECT sum(json_array_length(deliveries, '$[0].attempts')) FROM events"),
        2_402
    );
    assert_eq!(rig.view(kept).attempts, 2);
    assert_eq!(rig.job(1, JobKind::Resend, &failed), done(1_200, 1_200));
    assert_eq!(rig.job(2, JobKind::Resend, &failed), done(1, 1));
    assert_eq!(rig.job(3, JobKind::Resend, &failed), done(0, 0));
    assert_eq!(rig.mailbox.wake_at(&rig.db, rig.now).unwrap(), None);
}

#[test]
fn a_text_that_matches_nothing_is_looked_for_a_part_at_a_time() {
    let mut rig = rig();
    take_many(&mut rig, "many", 7_500);
    let nothing = with(None, Some("nowhere"));
    let first = rig.job(1, JobKind::Resend, &nothing);
    assert_eq!(first, Progress::default());
    let before = rig.db.changes();
    rig.mailbox.tend(&rig.db, rig.now).unwrap();
    let told = rig.job(1, JobKind::Resend, &nothing);
    assert_eq!((told.matched, told.done), (0, true));
    // A row for each thousand that was looked at.
    assert_eq!(rig.db.changes() - before, 3);
}

#[test]
fn what_comes_after_a_job_was_asked_for_is_left_alone() {
    let mut rig = rig();
    take_many(&mut rig, "before", 700);
    let all = with(None, Some("DH1234"));
    assert!(!rig.job(1, JobKind::Delete, &all).done);
    let new = rig.take("new");
    settle(&mut rig);
    assert_eq!(rig.count("events"), 1);
    assert_eq!(rig.view(new).status, Status::Delivered);
}

#[test]
fn cancelling_many_ends_what_is_pending_and_nothing_else() {
    let mut rig = rig();
    take_many(&mut rig, "delivered", 30);
    rig.run(200);
    rig.change(|webhook| webhook.is_paused = true);
    take_many(&mut rig, "pending", 800);
    let pending = with(Some(Status::Pending), None);
    let told = rig.job(1, JobKind::Cancel, &pending);
    assert_eq!((told.matched, told.queued, told.done), (500, 0, false));
    settle(&mut rig);
    assert_eq!(rig.job(1, JobKind::Cancel, &pending).matched, 800);
    assert_eq!(rig.count("events WHERE status = 'cancelled'"), 800);
    assert_eq!(rig.count("events WHERE status = 'delivered'"), 30);
    rig.change(|webhook| webhook.is_paused = false);
    assert_eq!((rig.run(200), rig.due()), (0, None));
    rig.assert_cursor();
}

#[test]
fn deleting_many_forgets_them() {
    let mut rig = rig();
    take_many(&mut rig, "gone", 250);
    rig.run(200);
    let kept = rig.take("kept");
    rig.run(404);
    let delivered = with(Some(Status::Delivered), None);
    rig.job(1, JobKind::Delete, &delivered);
    settle(&mut rig);
    assert_eq!(rig.job(1, JobKind::Delete, &delivered).matched, 250);
    assert_eq!(rig.count("events"), 1);
    assert_eq!(rig.view(kept).status, Status::Failed);
    // New when they come again.
    rig.take("gone 7");
}

#[test]
fn a_job_is_done_once_wherever_it_fails() {
    for kind in [JobKind::Resend, JobKind::Cancel, JobKind::Delete] {
        for fault in [Fault::Before, Fault::Stuck] {
            for nth in 0..60 {
                let mut rig = rig();
                take_many(&mut rig, "some", 3);
                rig.run(404);
                take_many(&mut rig, "more", 2);
                let query = match kind {
                    JobKind::Resend => with(Some(Status::Failed), None),
                    JobKind::Cancel => with(Some(Status::Pending), None),
                    JobKind::Delete => with(Some(Status::Failed), None),
                };
                let id = JobId::from_random([1; 16]);
                let db = Faulty::new(&rig.db);
                db.fail(nth, fault);
                let failed = rig.mailbox.job(&db, id, kind, &query, rig.now).is_err();
                let was_reached = !db.is_armed();
                // The Registry asks again, until it is done.
                let mut told = Progress::default();
                for _ in 0..5 {
                    told = rig.job(1, kind, &query);
                    rig.wait(millis(61_000));
                    rig.mailbox.tend(&rig.db, rig.now).unwrap();
                }
                let at = format!("{kind:?} {fault:?} {nth}, failed {failed}");
                let (matched, queued) = match kind {
                    JobKind::Resend => (3, 3),
                    JobKind::Cancel => (2, 0),
                    JobKind::Delete => (3, 0),
                };
                assert_eq!(
                    (told.matched, told.queued, told.done),
                    (matched, queued, true),
                    "{at}"
                );
                let expected = match kind {
                    JobKind::Resend => (5, 0, 0),
                    JobKind::Cancel => (0, 3, 2),
                    JobKind::Delete => (2, 0, 0),
                };
                let count = |status: &str| rig.count(&format!("events WHERE status = '{status}'"));
                let found = (count("pending"), count("failed"), count("cancelled"));
                assert_eq!(found, expected, "{at}");
                if !was_reached {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_resend_that_an_earlier_release_has_begun_goes_on() {
    let mut rig = rig();
    take_many(&mut rig, "old", 300);
    rig.run(404);
    let rows = rig
        .db
        .run("SELECT seq FROM events ORDER BY seq", &[])
        .unwrap();
    let number = |at: usize| Sequence::from_number(rows[at].integer(0).unwrap()).unwrap();
    let begun = Resending {
        wish: 7,
        query: with(Some(Status::Failed), None),
        after: number(99),
        upto: number(299),
        queued: 100,
    };
    // As that wrote it, by position.
    let bytes = postcard::to_extend(&begun, vec![1]).unwrap();
    for (stored, delivered) in [(bytes, 199), (vec![9], 199)] {
        let value = crate::database::Value::Blob(stored);
        crate::mailbox::schema::set_meta(&rig.db, "resending", value).unwrap();
        rig.reopen();
        settle(&mut rig);
        assert_eq!(rig.count("events WHERE status = 'delivered'"), delivered);
        assert_eq!(rig.count("meta WHERE name = 'resending'"), 0);
        assert_eq!(rig.count("jobs WHERE done = 1"), 1);
    }
}

#[test]
fn fifty_jobs_that_are_done_with_are_remembered() {
    let mut rig = rig();
    for n in 0..120 {
        assert!(rig.job(n, JobKind::Delete, &with(None, Some("x"))).done);
    }
    assert_eq!(rig.count("jobs"), 50);
}
