//! How things end: cancelled, deleted, over their time, unreadable.

use super::*;
use crate::{
    delivery::Status,
    mailbox::prune::BATCH,
    messages::{MailboxReply, MailboxRequest},
    time::{DAY, HOUR},
    webhook::Retry,
};

impl Rig {
    fn ask(&mut self, request: MailboxRequest) -> MailboxReply {
        self.mailbox.handle(&self.db, request, self.now).unwrap()
    }

    /// As the edge does it: after any message the alarm is seen to.
    fn visit(&mut self) -> Option<Timestamp> {
        let reply = self.ask(MailboxRequest::Visit);
        self.mailbox.ensure_armed(&self.db, self.now).unwrap();
        match reply {
            MailboxReply::VisitAt(at) => at.map(Timestamp::from_millis),
            other => panic!("{other:?}"),
        }
    }

    fn status(&self, id: EventId) -> Status {
        self.view(id).status
    }
}

pub(super) fn short_lived() -> Webhook {
    let mut config = webhook(1);
    config.retention_days = 3;
    config.dedupe_days = 10;
    config.retry = Retry::Custom {
        delays_seconds: vec![60.0],
    };
    config
}

#[test]
fn cancelling_ends_what_is_pending_and_nothing_else() {
    let mut rig = Rig::new(3);
    let id = rig.take("1");
    let jobs = rig.lease(6);
    rig.finish(&jobs[0], 200);
    rig.finish(&jobs[1], 500);
    // The third is still out.
    assert_eq!(rig.mailbox.cancel(&rig.db, id.sequence), Ok(true));
    let states: Vec<Status> = rig
        .view(id)
        .deliveries
        .unwrap()
        .iter()
        .map(|delivery| delivery.status)
        .collect();
    assert_eq!(
        states,
        [Status::Delivered, Status::Cancelled, Status::Cancelled]
    );
    assert_eq!((rig.count("waiting"), rig.due()), (0, None));
    // What is out is noted when it ends, and not tried again …
    rig.finish(&jobs[2], 500);
    let third = rig.view(id).deliveries.unwrap().remove(2);
    assert_eq!((third.status, third.attempts.len()), (Status::Cancelled, 1));
    assert_eq!(rig.run(200), 0);
    // … and cancelling again changes nothing; a resend works as for any other.
    assert_eq!(rig.mailbox.cancel(&rig.db, id.sequence), Ok(true));
    rig.mailbox
        .resend(&rig.db, id.sequence, None, rig.now)
        .unwrap();
    assert_eq!(rig.run(200), 3);
    assert_eq!(rig.status(id), Status::Delivered);
    let unknown = Sequence::from_number(5).unwrap();
    assert_eq!(rig.mailbox.cancel(&rig.db, unknown), Ok(false));
}

#[test]
fn a_cancelled_delivery_that_is_taken_after_all_is_delivered() {
    let mut rig = Rig::new(1);
    let id = rig.take("1");
    let job = rig.lease_one();
    rig.mailbox.cancel(&rig.db, id.sequence).unwrap();
    rig.finish(&job, 200);
    assert_eq!(rig.status(id), Status::Delivered);
}

#[test]
fn cancelling_a_first_attempt_moves_no_cursor_past_another() {
    let mut rig = Rig::new(1);
    let ids: Vec<EventId> = (0..300).map(|n| rig.take(&n.to_string())).collect();
    for id in &ids[1..] {
        rig.mailbox.cancel(&rig.db, id.sequence).unwrap();
    }
    rig.end_run();
    rig.assert_cursor();
    rig.reopen();
    assert_eq!(rig.run(200), 1);
    assert_eq!(rig.status(ids[0]), Status::Delivered);
}

#[test]
fn a_deleted_event_is_gone_and_new_when_it_comes_again() {
    let mut rig = Rig::new(2);
    let id = rig.take("1");
    let large = match rig.offer(vec![event("2", &[7; 9_000])]).reply {
        AcceptReply::Taken(taken) => match taken[0] {
            Taken::New(id) => id,
            ref other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let jobs = rig.lease(6);
    rig.finish(&jobs[0], 500);
    for gone in [id, large] {
        match rig.ask(MailboxRequest::Delete(gone.sequence)) {
            MailboxReply::Deleted { event, key } => {
                assert!(event.contains(&gone.to_string()));
                assert!(event.contains(&hex::encode(key)));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            rig.ask(MailboxRequest::Delete(gone.sequence)),
            MailboxReply::NotFound
        ));
    }
    for table in ["events", "payloads", "waiting"] {
        assert_eq!(rig.count(table), 0, "{table}");
    }
    // What was out is heard of by nobody, and nothing wakes the object for ever.
    for job in &jobs[1..] {
        rig.finish(job, 500);
    }
    assert_eq!((rig.count("waiting"), rig.due()), (0, None));
    assert_eq!(rig.run(200), 0);
    let again = rig.take("1");
    assert_ne!(again, id);
    assert_eq!(rig.run(200), 2);
}

#[test]
fn payloads_go_after_retention_and_keys_after_dedupe_in_bounded_batches() {
    let mut rig = Rig::with(&short_lived());
    for chunk in 0..3 {
        let batch = (0..400)
            .map(|n| {
                event(
                    &format!("{chunk}/{n}"),
                    if n == 7 { &[1; 9_000] } else { b"{}" },
                )
            })
            .collect();
        rig.offer(batch);
    }
    let mut test = event("test", b"{}");
    test.test = true;
    rig.offer(vec![test]);
    assert_eq!(rig.run(200), 1_201);
    assert_eq!(rig.count("payloads"), 3);
    rig.wait(HOUR * 3);
    assert_eq!(rig.visit(), Some(START.plus(DAY * 3)));
    rig.wait(DAY * 3 - HOUR * 4);
    rig.visit();
    assert_eq!(rig.count("events WHERE body IS NULL"), 3, "nothing yet");
    rig.wait(HOUR * 2);
    let before = rig.db.changes();
    rig.visit();
    let per_wake = i64::try_from(4 * BATCH).unwrap();
    let pruned = rig.count("events WHERE body IS NULL");
    assert!((per_wake..1_000).contains(&pruned), "{pruned}");
    assert!(rig.db.changes() - before < 1_000);
    // The rest follows by alarm, and then nothing more.
    let alarm = rig.alarm().expect("there is more");
    assert!(
        alarm <= rig.now.plus(millis(1_000)),
        "the object calls itself"
    );
    rig.now = alarm;
    rig.run_and_prune();
    assert_eq!(rig.count("events WHERE body IS NOT NULL"), 0);
    assert_eq!((rig.count("payloads"), rig.count("events")), (0, 1_200));
    assert_eq!(rig.alarm(), None);
    // A repeat is still recognised, and cannot be sent again.
    let repeat = rig.offer(vec![event("0/1", b"{}")]);
    assert_eq!(
        repeat.reply,
        AcceptReply::Taken(vec![Taken::Duplicate {
            delivered: true,
            // Counted from the event, not from its repeat.
            known_until: Some(START.plus(DAY * 10)),
        }])
    );
    assert_eq!(rig.visit(), Some(START.plus(DAY * 10)));
    rig.wait(DAY * 7);
    for _ in 0..3 {
        rig.visit();
        rig.run_and_prune();
    }
    assert_eq!(rig.count("events"), 0);
    assert_eq!(rig.visit(), None);
    assert_eq!(rig.alarm(), None);
    rig.take("0/1");
}

impl Rig {
    /// The alarm fires as the edge sees it: pruning first, then what is due.
    pub(super) fn run_and_prune(&mut self) {
        self.db.clear_alarm().unwrap();
        self.mailbox.woken();
        self.mailbox.begin_run();
        self.mailbox.tend(&self.db, self.now).unwrap();
        while let Some(job) = self.lease(1).pop() {
            self.finish(&job, 200);
        }
        self.end_run();
    }
}

#[test]
fn a_pending_event_keeps_its_payload_however_old() {
    let mut config = short_lived();
    config.is_paused = true;
    let mut rig = Rig::with(&config);
    let id = rig.take("1");
    rig.wait(DAY * 30);
    rig.visit();
    rig.change(|webhook| webhook.is_paused = false);
    assert_eq!(rig.run(200), 1);
    assert_eq!(rig.status(id), Status::Delivered);
    // Now it may go, as a whole.
    rig.wait(HOUR * 2);
    rig.visit();
    assert_eq!(rig.count("events"), 0);
}

#[test]
fn without_its_payload_an_event_is_not_sent_again_but_its_repeat_brings_it_back() {
    for size in [10, 9_000] {
        let mut rig = Rig::with(&short_lived());
        let body = vec![b'x'; size];
        rig.offer(vec![event("1", &body)]);
        rig.run(404);
        rig.wait(millis(60_000));
        rig.run(404);
        let id = Taken::Duplicate {
            delivered: false,
            known_until: None,
        };
        rig.wait(DAY * 4);
        rig.visit();
        let number = rig.number("SELECT seq FROM events");
        let sequence = Sequence::from_number(number).unwrap();
        let resend = MailboxRequest::Resend {
            sequence,
            destination: None,
        };
        assert!(matches!(rig.ask(resend), MailboxReply::PayloadGone));
        assert_eq!(rig.due(), None);
        let reply = rig.offer(vec![event("1", &body)]).reply;
        assert_eq!(reply, AcceptReply::Taken(vec![id]));
        let job = rig.lease_one();
        assert_eq!(job.event.body, body);
        rig.finish(&job, 200);
        rig.wait(HOUR * 2);
        rig.visit();
        assert_eq!(rig.count("events WHERE body IS NULL"), 1);
        assert_eq!(rig.count("payloads"), 0);
    }
}

#[test]
fn what_is_brought_back_is_known_by_the_body_that_it_came_back_with() {
    for (old, new) in [(10, 20), (10, 9_000), (9_000, 10), (9_000, 9_500)] {
        let mut rig = Rig::with(&short_lived());
        rig.offer(vec![event("1", &vec![b'x'; old])]);
        rig.run(404);
        rig.wait(millis(60_000));
        rig.run(404);
        rig.wait(DAY * 4);
        rig.visit();
        let mut altered = event("1", &vec![b'y'; new]);
        altered.name = Some("another".into());
        altered.summary.amount = Some("200".into());
        let conflicts = |rig: &mut Rig| {
            rig.offer(vec![altered.clone()]);
            rig.number("SELECT conflicts FROM events")
        };
        assert_eq!(conflicts(&mut rig), 1, "another body is noted");
        assert_eq!(conflicts(&mut rig), 1, "and is the event's from then on");
        let job = rig.lease_one();
        assert_eq!(job.event.body, vec![b'y'; new]);
        rig.finish(&job, 200);
        let shown = rig.view(job.event.id);
        assert_eq!(shown.event.as_deref(), Some("another"));
        assert_eq!(shown.summary.amount.as_deref(), Some("200"));
        assert!(matches!(
            rig.offer(vec![altered.clone()]).reply,
            AcceptReply::Taken(taken) if matches!(taken[..], [Taken::Duplicate { delivered: true, .. }])
        ));
        assert_eq!(conflicts(&mut rig), 1);
    }
}

#[test]
fn a_webhook_that_is_idle_neither_wakes_nor_grows() {
    let mut rig = Rig::with(&short_lived());
    rig.take("1");
    rig.run(200);
    let size = |rig: &Rig| (rig.count("events"), rig.count("waiting"), rig.count("meta"));
    rig.now = rig.alarm().unwrap();
    rig.run(200);
    let before = size(&rig);
    let changes = rig.db.changes();
    for _ in 0..48 {
        rig.wait(HOUR);
        assert_eq!(rig.alarm(), None);
        rig.visit();
    }
    assert_eq!(size(&rig), before);
    assert_eq!(rig.db.changes(), changes);
}

#[test]
fn refused_requests_go_after_retention_also_where_there_is_nothing_else() {
    let mut rig = Rig::with(&short_lived());
    let refused = |rig: &mut Rig| {
        let request = MailboxRequest::Refused(crate::testing::samples::refused(rig.now, 1));
        assert!(matches!(rig.ask(request), MailboxReply::Done));
    };
    let kept = |rig: &mut Rig| match rig.ask(MailboxRequest::Refusals) {
        MailboxReply::Refusals(list) => list.matches("\"n\"").count(),
        other => panic!("{other:?}"),
    };
    assert_eq!(rig.visit(), None);
    refused(&mut rig);
    let first = rig.now;
    assert_eq!(rig.visit(), Some(first.plus(DAY * 3)), "somebody comes by");
    rig.wait(DAY * 2);
    refused(&mut rig);
    assert_eq!(rig.visit(), Some(first.plus(DAY * 3)));
    rig.wait(DAY + HOUR);
    assert_eq!(rig.visit(), Some(first.plus(DAY * 5)));
    assert_eq!(kept(&mut rig), 1);
    rig.wait(DAY * 2);
    assert_eq!(rig.visit(), None);
    assert_eq!((kept(&mut rig), rig.count("refusals")), (0, 0));

    // A key that is kept for longer holds nothing up.
    rig.take("1");
    rig.run(200);
    rig.wait(DAY * 4);
    let keys_end = rig.visit();
    refused(&mut rig);
    let came = rig.now;
    assert_eq!(rig.visit(), Some(came.plus(DAY * 3)));
    rig.wait(DAY * 3 + HOUR);
    assert_eq!(rig.visit(), keys_end);
    assert_eq!((kept(&mut rig), rig.count("events")), (0, 1));
}

#[test]
fn a_visit_sets_a_lost_alarm_again_and_comes_back_while_anything_is_pending() {
    let mut rig = Rig::new(1);
    rig.take("1");
    rig.run(500);
    rig.db.clear_alarm().unwrap();
    rig.reopen();
    rig.wait(HOUR);
    assert_eq!(rig.visit(), Some(rig.now));
    assert_eq!(rig.alarm(), Some(rig.now.plus(millis(1))));
    rig.run(200);
    // Not at rest for certain yet: what came last may have lost its alarm.
    assert_eq!(rig.visit(), Some(rig.now));
    rig.wait(HOUR * 2);
    assert_eq!(rig.visit(), Some(START.plus(DAY * 30)));
}

#[test]
fn an_event_that_cannot_be_read_is_set_aside_and_the_others_go_on() {
    for column in ["deliveries = '{'", "envelope = '{'", "deliveries = x'00'"] {
        for fresh in [true, false] {
            let mut rig = Rig::new(1);
            let bad = rig.take("bad");
            if !fresh {
                rig.run(404);
            }
            let sql = format!(
                "UPDATE events SET {column} WHERE seq = {}",
                bad.sequence.number()
            );
            if rig.db.run(&sql, &[]).is_err() {
                continue; // STRICT refuses another type.
            }
            let good = rig.take("good");
            rig.reopen();
            rig.wait(millis(60_000));
            rig.mailbox.ensure_armed(&rig.db, rig.now).unwrap();
            assert_eq!(rig.run(200), 1, "{column} {fresh}");
            assert_eq!(rig.status(good), Status::Delivered);
            assert_eq!(rig.mailbox.complaints().len(), 1);
            // It does not wake the object over and over, and is not passed over: a
            // release that can read it delivers it.
            assert_eq!(rig.due(), None);
            rig.assert_cursor();
            assert_eq!(rig.status(bad), Status::Pending);
            let page = rig.mailbox.list(
                &rig.db,
                &EventQuery {
                    per_page: 10,
                    ..EventQuery::default()
                },
            );
            assert_eq!(page.unwrap().data.len(), 2);
            let next = rig.take("next");
            assert_eq!(rig.run(200), 1);
            assert_eq!(rig.status(next), Status::Delivered);
        }
    }
}

#[test]
fn an_unreadable_event_of_a_removed_destination_does_not_stop_the_others() {
    let mut rig = Rig::new(1);
    let bad = rig.take("bad");
    rig.run(404);
    let sql = format!(
        "UPDATE events SET deliveries = '{{' WHERE seq = {}",
        bad.sequence.number()
    );
    rig.db.run(&sql, &[]).unwrap();
    rig.change(|webhook| webhook.destinations = vec![crate::testing::samples::destination(4)]);
    let good = rig.take("good");
    assert_eq!(rig.run(200), 1);
    assert_eq!(rig.status(good), Status::Delivered);
    assert_eq!(rig.due(), None);
}

#[test]
fn an_event_that_cannot_be_read_does_not_stop_a_resend_of_many() {
    let mut config = short_lived();
    config.retry = Retry::Custom {
        delays_seconds: Vec::new(),
    };
    let mut rig = Rig::with(&config);
    let bad = rig.take("bad");
    let good = rig.take("good");
    rig.run(404);
    let sql = format!(
        "UPDATE events SET deliveries = '{{' WHERE seq = {}",
        bad.sequence.number()
    );
    rig.db.run(&sql, &[]).unwrap();
    let query = EventQuery {
        status: Some(Status::Failed),
        ..EventQuery::default()
    };
    let told = rig.job(1, JobKind::Resend, &query);
    assert_eq!((told.queued, told.done), (1, true));
    rig.run_and_prune();
    assert_eq!(rig.status(good), Status::Delivered);
}

#[test]
fn pruning_that_fails_is_not_tried_over_and_over() {
    use crate::testing::faulty::{Fault, Faulty};
    let mut rig = Rig::with(&short_lived());
    rig.take("1");
    rig.run(200);
    rig.wait(DAY * 4);
    let db = Faulty::new(&rig.db);
    db.fail(0, Fault::Before);
    assert!(rig.mailbox.tend(&db, rig.now).is_err());
    assert_eq!(rig.mailbox.wake_at(&rig.db, rig.now), Ok(None));
    rig.wait(HOUR);
    rig.mailbox.tend(&rig.db, rig.now).unwrap();
    assert_eq!(rig.count("events WHERE body IS NOT NULL"), 0);
}
