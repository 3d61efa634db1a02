//! A database that fails at any call, before or after the call took effect:
//! afterwards everything is there or nothing, and nothing acknowledged is lost.

use super::*;
use crate::{
    mailbox::{MailboxError, MailboxTrouble},
    messages::Accept,
    testing::{
        faulty::{Fault, Faulty},
        samples::destination,
    },
};

const FAULTS: [Fault; 2] = [Fault::Before, Fault::Stuck];

fn batch() -> Vec<NewEvent> {
    vec![
        event("old", b"another body"),
        event("1", b"{}"),
        event("2", &[7; 10_000]),
        NewEvent {
            test: true,
            ..event("0", b"{}")
        },
    ]
}

/// What is stored: events, payloads, conflicts of the old one, alarm.
fn state(rig: &Rig) -> (i64, i64, i64, Option<Timestamp>) {
    (
        rig.count("events"),
        rig.count("payloads"),
        rig.number("SELECT sum(conflicts) FROM events"),
        rig.alarm(),
    )
}

fn rig_with_an_old_event() -> Rig {
    let mut rig = Rig::new(1);
    rig.take("old");
    assert_eq!(rig.run(200), 1);
    rig.db.clear_alarm().unwrap();
    rig.mailbox.woken();
    rig.wait(millis(1_000));
    rig
}

#[test]
fn an_accept_is_stored_whole_or_not_at_all_wherever_it_fails() {
    check_accept(
        |mailbox, db, new, now| mailbox.accept(db, new, now),
        millis(1),
    );
}

#[test]
fn one_that_begins_a_run_is_stored_with_the_lease_s_alarm_or_not_at_all() {
    check_accept(
        |mailbox, db, new, now| mailbox.accept_and_begin(db, new, now),
        millis(60_000),
    );
}

type Accepting = fn(
    &mut Mailbox,
    &Faulty<'_, NativeDatabase>,
    &Accept,
    Timestamp,
) -> Result<Accepted, MailboxError>;

fn check_accept(accepting: Accepting, armed_in: Duration) {
    let nothing = (1, 0, 0, None);
    for fault in FAULTS {
        let mut failed = 0;
        for call in 0.. {
            let mut rig = rig_with_an_old_event();
            let whole = (4, 1, 1, Some(rig.now.plus(armed_in)));
            let db = Faulty::new(&rig.db);
            db.fail(call, fault);
            let outcome = accepting(&mut rig.mailbox, &db, &accept(batch()), rig.now);
            if db.is_armed() {
                assert!(outcome.is_ok());
                assert_eq!(state(&rig), whole);
                break;
            }
            failed += 1;
            assert!(outcome.is_err(), "call {call}, {fault:?}");
            let found = state(&rig);
            assert!(found == nothing || found == whole, "{call}: {found:?}");

            // The provider sends it again: to this object, or to a new one.
            for reopen in [false, true] {
                if reopen {
                    rig.reopen();
                }
                let accepted = rig.offer(batch());
                assert!(matches!(accepted.reply, AcceptReply::Taken(_)));
                assert!(rig.alarm().is_some(), "call {call}, {fault:?}");
            }
            let events = rig.count("events WHERE test = 0");
            assert_eq!(events, 3, "call {call}, {fault:?}");
            rig.run(200);
            assert_eq!(rig.count("events WHERE status <> 'delivered'"), 0);
        }
        // begin, the old one, its look-up and conflict, 3 events, 1 payload, alarm, end
        assert_eq!(failed, 10);
    }
}

#[test]
fn one_event_while_an_alarm_is_set_is_stored_by_one_statement_or_not_at_all() {
    for fault in FAULTS {
        for reopen in [false, true] {
            let mut rig = Rig::new(1);
            rig.take("1");
            let alarm = rig.alarm();
            assert!(alarm.is_some());
            let offer = || accept(vec![event("2", b"{}")]);
            let db = Faulty::new(&rig.db);
            db.fail(0, fault);
            assert!(rig.mailbox.accept(&db, &offer(), rig.now).is_err());
            let stuck = matches!(fault, Fault::Stuck);
            assert_eq!(rig.count("events"), 1 + i64::from(stuck), "{fault:?}");
            if reopen {
                rig.reopen();
            }

            // Whether an alarm stands is asked again after a failure, and not after that.
            for (new, calls) in [("2", None), ("3", None), ("4", Some(1)), ("4", None)] {
                let db = Faulty::new(&rig.db);
                if let Some(calls) = calls {
                    db.fail(calls, Fault::Before);
                }
                let taken = rig
                    .mailbox
                    .accept(&db, &accept(vec![event(new, b"{}")]), rig.now);
                assert!(taken.is_ok(), "{fault:?}, {new}");
            }
            assert_eq!(rig.count("events"), 4, "{fault:?}");
            assert!(rig.alarm().is_some());
            assert_eq!(rig.run(200), 4, "{fault:?}");
        }
    }
}

#[test]
fn a_number_that_may_have_stuck_is_not_given_again() {
    let mut rig = Rig::new(1);
    let db = Faulty::new(&rig.db);
    // Begin, event, alarm: the end sticks.
    db.fail(3, Fault::Stuck);
    let lost = rig
        .mailbox
        .accept(&db, &accept(vec![event("1", b"{}")]), rig.now);
    assert!(lost.is_err());
    assert_eq!(rig.count("events"), 1);
    rig.take("2");
    assert_eq!(rig.run(200), 2);
}

/// A delivery at some point of its life, and what its next attempt came to.
fn check_finish(prepare: fn(&mut Rig), status: u16) {
    for fault in FAULTS {
        for call in 0.. {
            let mut rig = Rig::new(1);
            prepare(&mut rig);
            let job = rig.lease_one();
            let id = job.event.id;
            let before = (rig.view(id), rig.count("waiting"));
            let db = Faulty::new(&rig.db);
            db.fail(call, fault);
            let answer = verdict(&job, status, rig.now);
            let outcome = rig.mailbox.finish(&db, &job, answer, rig.now, 0.0);
            if db.is_armed() {
                assert_eq!(outcome, Ok(()));
                assert!(call > 3);
                break;
            }
            assert!(outcome.is_err(), "call {call}, {fault:?}");
            // Recorded whole, or not at all.
            let after = (rig.view(id), rig.count("waiting"));
            let recorded = after != before;
            assert_eq!(
                after.0.attempts,
                before.0.attempts + u32::from(recorded),
                "call {call}, {fault:?}"
            );
            assert!(after.1 <= 1);

            // It comes to its end all the same, in this object or a new one.
            for reopen in [false, true] {
                if reopen {
                    rig.reopen();
                }
                rig.mailbox.ensure_armed(&rig.db, rig.now).unwrap();
                while rig.due().is_some() {
                    rig.now = rig.alarm().expect("pending").max(rig.now);
                    rig.run(200);
                }
                assert_eq!(rig.view(id).status, crate::delivery::Status::Delivered);
                assert_eq!(rig.count("waiting"), 0);
                assert_eq!(rig.count("events WHERE fresh = 1"), 0);
            }
        }
    }
}

#[test]
fn an_attempt_is_recorded_whole_or_not_at_all_wherever_it_fails() {
    let fresh: fn(&mut Rig) = |rig| {
        rig.take("1");
    };
    let waiting: fn(&mut Rig) = |rig| {
        rig.take("1");
        rig.run(500);
        rig.wait(millis(60_000));
    };
    check_finish(fresh, 200);
    check_finish(fresh, 500);
    check_finish(waiting, 200);
    check_finish(waiting, 500);
}

#[test]
fn a_lease_that_fails_leases_nothing() {
    for fault in FAULTS {
        for call in 0.. {
            let mut rig = Rig::new(2);
            rig.take("1");
            rig.run(500);
            rig.take("2");
            rig.reopen();
            rig.wait(millis(60_000));
            let db = Faulty::new(&rig.db);
            db.fail(call, fault);
            let outcome = rig.mailbox.lease(&db, rig.now, 6);
            if db.is_armed() {
                assert_eq!(outcome.unwrap().len(), 4);
                break;
            }
            assert!(outcome.is_err(), "call {call}, {fault:?}");
            assert_eq!(rig.lease(6).len(), 4, "call {call}, {fault:?}");
        }
    }
}

#[test]
fn resending_and_configuring_are_all_or_nothing_too() {
    for fault in FAULTS {
        for call in 0.. {
            let mut rig = Rig::new(2);
            let id = rig.take("1");
            rig.run(200);
            let db = Faulty::new(&rig.db);
            db.fail(call, fault);
            let outcome = rig.mailbox.resend(&db, id.sequence, None, rig.now);
            let over = db.is_armed();
            assert_eq!(outcome.is_ok(), over);
            assert!([0, 2].contains(&rig.count("waiting")));
            rig.reopen();
            let waiting = usize::try_from(rig.count("waiting")).unwrap();
            assert_eq!(rig.run(200), waiting, "call {call}, {fault:?}");
            if over {
                break;
            }
        }
        for call in 0.. {
            let mut rig = Rig::new(1);
            rig.change(|webhook| webhook.is_paused = true);
            rig.take("1");
            let mut resumed = webhook(1);
            resumed.version = 3;
            let db = Faulty::new(&rig.db);
            db.fail(call, fault);
            let outcome = rig.mailbox.configure(&db, &resumed, 0, rig.now);
            let over = db.is_armed();
            assert_eq!(outcome.is_ok(), over);
            // The Registry tells it again.
            rig.mailbox
                .configure(&rig.db, &resumed, 0, rig.now)
                .unwrap();
            assert!(rig.alarm().is_some(), "call {call}, {fault:?}");
            assert_eq!(rig.mailbox.config(), Some(&resumed));
            assert_eq!(rig.run(200), 1);
            if over {
                break;
            }
        }
    }
}

#[test]
fn the_end_of_a_run_that_fails_is_made_good_by_the_next_wake() {
    for fault in FAULTS {
        for call in 0.. {
            let mut rig = Rig::new(1);
            rig.take("1");
            rig.mailbox.woken();
            rig.mailbox.begin_run();
            let job = rig.lease_one();
            rig.finish(&job, 500);
            let db = Faulty::new(&rig.db);
            db.fail(call, fault);
            let outcome = rig.mailbox.end_run(&db, rig.now);
            let over = db.is_armed();
            assert_eq!(outcome.is_ok(), over);
            // Even without it the lease's alarm stands.
            assert!(rig.alarm().unwrap() <= rig.now.plus(millis(60_000)));
            rig.mailbox.ensure_armed(&rig.db, rig.now).unwrap();
            assert_eq!(rig.alarm(), rig.due(), "call {call}, {fault:?}");
            if over {
                break;
            }
        }
    }
}

#[test]
fn a_read_error_is_not_absence() {
    let mut rig = Rig::new(1);
    rig.take("1");
    let calls = {
        let db = Faulty::new(&rig.db);
        Mailbox::open(&db, None, START).unwrap();
        db.calls()
    };
    for call in 0..calls {
        let db = Faulty::new(&rig.db);
        db.fail(call, Fault::Before);
        let opened = Mailbox::open(&db, None, START);
        assert!(
            opened.is_err_and(|error| matches!(error.trouble(), MailboxTrouble::Database(_))),
            "call {call}"
        );
    }
}

#[test]
fn what_cannot_be_read_back_is_an_error_and_not_a_default() {
    for (name, value) in [
        ("config", "{"),
        ("shard", "x"),
        ("cursor", "x"),
        ("schema", "x"),
    ] {
        let rig = Rig::new(1);
        rig.db
            .run(
                "INSERT INTO meta (name, value) VALUES (?, ?)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                &[
                    crate::database::Value::Text(name.into()),
                    crate::database::Value::Text(value.into()),
                ],
            )
            .unwrap();
        let opened = Mailbox::open(&rig.db, None, START);
        let opened = opened.map(|_| ());
        assert!(
            opened.as_ref().is_err_and(MailboxError::is_unreadable),
            "{name}: {opened:?}"
        );
    }
}

#[test]
fn a_delivery_that_was_taken_is_not_cancelled_with_its_destination() {
    let mut rig = Rig::new(2);
    let id = rig.take("1");
    rig.mailbox.begin_run();
    for job in rig.lease(6) {
        // Recorded, though the object is told that it is not.
        let db = Faulty::new(&rig.db);
        db.fail(3, Fault::Stuck);
        let answer = verdict(&job, 200, rig.now);
        let outcome = rig.mailbox.finish(&db, &job, answer, rig.now, 0.0);
        assert!(outcome.is_err() && !db.is_armed());
    }
    assert_eq!(rig.view(id).status, crate::delivery::Status::Delivered);
    rig.change(|webhook| webhook.destinations.truncate(1));
    assert!(rig.lease(6).is_empty());
    rig.end_run();
    let deliveries = rig.view(id).deliveries.unwrap();
    for delivery in deliveries {
        assert_eq!(delivery.status, crate::delivery::Status::Delivered);
    }
    assert_eq!(rig.due(), None);
}

#[test]
fn this_very_object_goes_on_with_what_stuck() {
    let failed = || {
        let mut config = webhook(1);
        config.retry = crate::webhook::Retry::Custom {
            delays_seconds: Vec::new(),
        };
        let mut rig = Rig::with(&config);
        let id = rig.take("1");
        assert_eq!(rig.run(500), 1);
        assert_eq!(rig.view(id).status, crate::delivery::Status::Failed);
        (rig, id)
    };
    for resends in [true, false] {
        for call in 0.. {
            let (mut rig, id) = failed();
            let db = Faulty::new(&rig.db);
            db.fail(call, Fault::Stuck);
            let now = rig.now;
            let done = if resends {
                let outcome = rig.mailbox.resend(&db, id.sequence, None, now);
                outcome.is_ok()
            } else {
                let again = accept(vec![event("1", b"{}")]);
                rig.mailbox.accept(&db, &again, now).is_ok()
            };
            let over = db.is_armed();
            assert_eq!(done, over, "call {call}");
            let waiting = usize::try_from(rig.count("waiting")).unwrap();
            assert_eq!(rig.run(200), waiting, "call {call}, resends {resends}");
            if over {
                break;
            }
        }
    }
}

#[test]
fn a_backlog_that_was_moved_though_it_failed_is_delivered() {
    let mut rig = Rig::new(2);
    let slow = destination(0).id;
    for n in 0..1_002 {
        rig.take(&n.to_string());
    }
    rig.reopen();
    rig.mailbox.woken();
    rig.mailbox.begin_run();
    // The quick one takes everything that is in mind, the slow one nothing.
    let mut stuck = false;
    for _ in 0..1_002 {
        let db = Faulty::new(&rig.db);
        // Reading on, the beginning, the look, two writes: the end sticks.
        db.fail(5, Fault::Stuck);
        let Ok(jobs) = rig.mailbox.lease(&db, rig.now, 1) else {
            stuck = true;
            break;
        };
        if jobs[0].destination != slow {
            rig.finish(&jobs[0], 200);
        }
    }
    assert!(stuck);
    assert_eq!(rig.count("waiting"), 1);
    rig.run(200);
    assert_eq!(rig.count("events WHERE status <> 'delivered'"), 0);
}
