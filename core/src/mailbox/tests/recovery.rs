//! A destination that answers is not held: whatever it says, and to whom.

use super::{
    health::{Seen, config, fixed, times},
    trial, *,
};
use crate::{
    delivery::Status,
    messages::{MailboxReply, MailboxRequest},
    testing::{
        faulty::{Fault, Faulty},
        samples::destination,
    },
    time::{HOUR, MINUTE},
    webhook::Retry,
};
use std::collections::BTreeSet;

/// When what is down is back.
const BACK: Duration = Duration::from_secs(610);
/// A probe's interval, and a moment.
const A_PROBE: Duration = Duration::from_secs(31);

/// Twelve events that a server found down: it has been probed since, up to `BACK`.
fn down(retry: Retry) -> (Rig, BTreeSet<EventId>) {
    let mut rig = Rig::with(&config(1, retry));
    let old = (0..12).map(|n| rig.take(&format!("old {n}"))).collect();
    rig.drive(START.plus(BACK), &mut |_, _| (5, 503));
    assert!(rig.mailbox.is_down(destination(0).id));
    (rig, old)
}

fn of(seen: &[Seen], event: EventId) -> Vec<Seen> {
    let its = seen.iter().filter(|one| one.event == event);
    its.copied().collect()
}

/// Casso's case: the handler knows the old ones and says so.
#[test]
fn twelve_old_events_that_are_refused_hold_up_no_good_one() {
    let (mut rig, old) = down(Retry::Fibonacci);
    let good = rig.take("good");
    let back = rig.now;
    let seen = rig.drive(back.plus(MINUTE * 10), &mut |job, _| {
        (
            5,
            if old.contains(&job.event.id) {
                422
            } else {
                200
            },
        )
    });
    let [taken] = of(&seen, good)[..] else {
        panic!("{seen:?}");
    };
    assert!(
        taken.at.since(back) <= A_PROBE,
        "{:?}",
        taken.at.since(back)
    );
    assert_eq!(rig.view(good).status, Status::Delivered);
    assert!(!rig.mailbox.is_down(destination(0).id));
}

/// The same with nothing that was never tried: 400 that are refused stand before it.
#[test]
fn a_good_event_waits_for_one_probe_and_not_for_all_that_are_refused() {
    let mut rig = Rig::with(&config(1, fixed(3_600.0, 9)));
    rig.take_many("old", 400);
    rig.wait(millis(5));
    let good = rig.take("good");
    rig.drive(START.plus(HOUR), &mut |_, _| (5, 503));
    let tried = rig.view(good).attempts;
    assert!(tried > 0, "it was the newest that was never tried");
    let back = rig.now;
    let seen = rig.drive(back.plus(MINUTE * 10), &mut |job, _| {
        (5, if job.event.id == good { 200 } else { 422 })
    });
    let taken = of(&seen, good)[0].at.since(back);
    assert!(
        taken <= A_PROBE + Duration::from_secs(401 / 20 + 1),
        "{taken:?}"
    );
}

/// Stripe's case: what is older than five minutes is refused for its age.
#[test]
fn where_age_is_refused_what_is_new_does_not_grow_old() {
    let (mut rig, _) = down(fixed(60.0, 5));
    let limit = Duration::from_secs(300);
    let mut origin = |job: &Job, now: Timestamp| {
        let age = now.since(job.event.id.sequence.at());
        (5, if age > limit { 400 } else { 200 })
    };
    for n in 0..30 {
        let new = rig.take(&format!("new {n}"));
        let end = rig.now.plus(A_PROBE);
        rig.drive(end, &mut origin);
        assert_eq!(rig.view(new).status, Status::Delivered, "{n}");
    }
    assert_eq!(rig.count("events WHERE status = 'failed'"), 12);
    assert_eq!(rig.count("health"), 0);
}

#[test]
fn any_answer_that_does_not_say_down_is_life() {
    for status in [200, 204, 301, 400, 401, 404, 409, 410, 422, 451] {
        let (mut rig, _) = down(fixed(36_000.0, 9));
        let end = rig.now.plus(A_PROBE + Duration::from_secs(1));
        let seen = rig.drive(end, &mut |_, _| (5, status));
        let distinct: BTreeSet<_> = seen.iter().map(|one| one.event).collect();
        assert_eq!((seen.len(), distinct.len()), (12, 12), "{status}");
    }
    for status in [429, 500, 503, 520, 599] {
        let (mut rig, _) = down(fixed(36_000.0, 9));
        let end = rig.now.plus(A_PROBE * 2);
        let seen = rig.drive(end, &mut |_, _| (5, status));
        assert_eq!(seen.len(), 2, "{status}");
    }
}

/// What was not sent at all says nothing of the server.
#[test]
fn an_attempt_that_was_not_made_is_no_life() {
    let (mut rig, _) = down(Retry::Fibonacci);
    rig.wait(A_PROBE);
    let job = rig.lease_one();
    let mut not_sent = verdict(&job, 400, rig.now);
    not_sent.attempt.status_code = None;
    rig.finish_with(&job, not_sent);
    assert!(rig.mailbox.is_down(destination(0).id));
    assert_eq!(rig.lease(6).len(), 0, "and is a probe that was made");
}

#[test]
fn a_refused_probe_is_an_attempt_of_its_own_schedule() {
    let (mut rig, old) = down(fixed(60.0, 3));
    let probe = rig.take("probe");
    let back = rig.now;
    let seen = rig.drive(back.plus(HOUR), &mut |job, _| {
        (5, if job.event.id == probe { 422 } else { 200 })
    });
    let its = of(&seen, probe);
    assert_eq!(its[0], seen[0], "the newest that was never tried");
    // Not again with what is released: a minute later, and another.
    let gaps: Vec<u64> = its
        .windows(2)
        .map(|two| two[1].at.since(two[0].at).as_secs())
        .collect();
    assert_eq!(gaps, [60, 60]);
    assert_eq!(rig.view(probe).status, Status::Failed);
    for event in old {
        assert_eq!(rig.view(event).status, Status::Delivered);
    }
}

#[test]
fn what_is_refused_in_a_release_waits_for_its_own_time_also_after_an_eviction() {
    let mut rig = Rig::with(&config(1, fixed(600.0, 9)));
    rig.take_many("old", 100);
    rig.drive(START.plus(BACK), &mut |_, _| (5, 503));
    // Back, and half of it is sent when the object goes.
    let back = rig.now;
    let mut seen = Vec::new();
    while seen.len() < 50 {
        let end = rig.now.plus(millis(500));
        seen.extend(rig.drive(end, &mut |_, _| (5, 422)));
    }
    rig.reopen();
    let end = rig.now.plus(Duration::from_secs(10));
    seen.extend(rig.drive(end, &mut |_, _| (5, 422)));
    assert!(rig.now.since(back) < MINUTE);
    let distinct: BTreeSet<_> = seen.iter().map(|one| one.event).collect();
    assert_eq!((seen.len(), distinct.len()), (100, 100));
    assert_eq!(rig.count("health"), 0, "the release is over");
    // What comes now waits for none of them.
    let new = rig.take("new");
    let end = rig.now.plus(millis(100));
    let seen = rig.drive(end, &mut |_, _| (5, 200));
    assert_eq!(seen.iter().map(|one| one.event).collect::<Vec<_>>(), [new]);
}

#[test]
fn a_probe_is_the_newest_that_was_never_tried_then_turn_by_turn() {
    let (mut rig, old) = down(Retry::Fibonacci);
    let first = rig.take("first");
    rig.wait(millis(5));
    let second = rig.take("second");
    let seen = rig.drive(rig.now.plus(A_PROBE * 2), &mut |_, _| (5, 503));
    let events: Vec<EventId> = seen.iter().map(|one| one.event).collect();
    assert_eq!(events, [second, first]);
    // A new one does not take the turn of the others.
    let mut turns = Vec::new();
    for n in 0..7 {
        let seen = rig.drive(rig.now.plus(A_PROBE * 2), &mut |_, _| (5, 503));
        turns.extend(seen.iter().map(|one| one.event));
        let new = rig.take(&format!("new {n}"));
        let seen = rig.drive(rig.now.plus(A_PROBE), &mut |_, _| (5, 503));
        assert_eq!(seen[0].event, new);
        turns.extend(seen[1..].iter().map(|one| one.event));
    }
    let distinct: BTreeSet<EventId> = turns.iter().copied().collect();
    assert!(
        distinct.len() == turns.len() && turns.len() > 10,
        "{turns:?}"
    );
    assert!(old.intersection(&distinct).count() >= 8, "{turns:?}");
}

/// More than are kept in memory, and a new instance that has read none of them.
#[test]
fn the_newest_is_found_behind_a_backlog() {
    for reopen in [false, true] {
        let (mut rig, _) = down(Retry::Fibonacci);
        for batch in 0..12 {
            rig.take_many(&format!("backlog {batch}"), 100);
        }
        rig.wait(millis(5));
        let newest = rig.take("newest");
        if reopen {
            rig.reopen();
        }
        let seen = rig.drive(rig.now.plus(A_PROBE), &mut |_, _| (5, 503));
        assert_eq!(
            seen.iter().map(|one| one.event).collect::<Vec<_>>(),
            [newest]
        );
        // It was read before those that came before it: nobody gets it twice.
        let end = rig.now.plus(HOUR);
        let seen = rig.drive(end, &mut |_, _| (5, 200));
        let distinct: BTreeSet<_> = seen.iter().map(|one| one.event).collect();
        assert_eq!((seen.len(), distinct.len()), (1_213, 1_213), "{reopen}");
        assert_eq!((rig.count("waiting"), rig.count("health")), (0, 0));
        rig.assert_cursor();
    }
}

/// Makes the attempts that go out at once, and says of which events.
fn at_once(rig: &mut Rig, status: u16) -> Vec<EventId> {
    let end = rig.now.plus(millis(300));
    let seen = rig.drive(end, &mut |_, _| (1, status));
    seen.iter().map(|one| one.event).collect()
}

#[test]
fn a_resend_probes_at_once_with_its_own_event_and_its_refusal_releases_all() {
    let (mut rig, old) = down(fixed(3_600.0, 9));
    let chosen = *old.iter().nth(4).unwrap();
    let resend = |rig: &mut Rig, event: EventId| {
        let queued = rig.mailbox.resend(&rig.db, event.sequence, None, rig.now);
        assert_eq!(queued, Ok(Some(1)));
    };
    resend(&mut rig, chosen);
    assert_eq!(at_once(&mut rig, 503), [chosen], "still down");
    assert_eq!(at_once(&mut rig, 503), []);
    resend(&mut rig, chosen);
    let seen = at_once(&mut rig, 409);
    assert_eq!(seen[0], chosen);
    assert!(seen.len() > 4, "{}", seen.len());
    assert_eq!(at_once(&mut rig, 409).len() + seen.len(), 12);
}

/// A probe whose end cannot be written down is not out for ever.
#[test]
fn a_probe_that_could_not_be_recorded_stands_in_no_other_s_way() {
    let (mut rig, old) = down(fixed(3_600.0, 9));
    rig.wait(A_PROBE);
    let job = rig.lease_one();
    let db = Faulty::new(&rig.db);
    db.fail(0, Fault::Before);
    let failed = verdict(&job, 503, rig.now);
    let recorded = rig.mailbox.finish(&db, &job, failed, rig.now, 0.0);
    assert!(recorded.is_err());
    let chosen = *old.iter().next().unwrap();
    let queued = rig.mailbox.resend(&rig.db, chosen.sequence, None, rig.now);
    assert_eq!(queued, Ok(Some(1)));
    assert_eq!(at_once(&mut rig, 503), [chosen]);
}

/// What is released and cannot be recorded has its turn again, not its own time.
#[test]
fn a_released_event_that_could_not_be_recorded_stays_in_the_release() {
    let (mut rig, _) = down(fixed(36_000.0, 9));
    rig.wait(A_PROBE);
    let probe = rig.lease_one();
    rig.finish(&probe, 200);
    rig.wait(millis(200));
    let job = rig.lease_one();
    let db = Faulty::new(&rig.db);
    db.fail(0, Fault::Before);
    let taken = verdict(&job, 200, rig.now);
    let recorded = rig.mailbox.finish(&db, &job, taken, rig.now, 0.0);
    assert!(recorded.is_err());
    rig.mailbox.ensure_armed(&rig.db, rig.now).unwrap();
    let end = rig.now.plus(MINUTE);
    let seen = rig.drive(end, &mut |_, _| (5, 200));
    assert_eq!(of(&seen, job.event.id).len(), 1);
    assert_eq!(rig.count("events WHERE status = 'delivered'"), 12);
}

#[test]
fn a_resend_goes_out_while_it_asked_for_patience_and_an_answer_ends_that() {
    for (answer, follow) in [(200, 2), (422, 2), (503, 0)] {
        let mut rig = Rig::with(&config(1, fixed(60.0, 9)));
        let first = rig.take("1");
        let job = rig.lease_one();
        let mut asks = verdict(&job, 429, rig.now);
        asks.not_before = Some(rig.now.plus(HOUR));
        rig.finish_with(&job, asks);
        rig.wait(MINUTE);
        let others = [rig.take("2"), rig.take("3")];
        assert_eq!(at_once(&mut rig, 200), [], "held");
        let resent = rig.mailbox.resend(&rig.db, first.sequence, None, rig.now);
        assert_eq!(resent, Ok(Some(1)));
        let seen = at_once(&mut rig, answer);
        assert_eq!(seen[0], first);
        assert_eq!(seen.len(), 1 + follow, "{answer}");
        assert!(follow == 0 || seen[1..] == others);
    }
}

#[test]
fn a_change_and_the_end_of_a_pause_probe_at_once() {
    let changes: [fn(&mut Webhook); 3] = [
        |webhook| webhook.destinations[0].url = "https://other.example/hook".into(),
        |webhook| webhook.is_active = !webhook.is_active,
        |webhook| webhook.headers.clear(),
    ];
    for change in changes {
        let (mut rig, _) = down(fixed(3_600.0, 9));
        rig.change(change);
        assert_eq!(at_once(&mut rig, 503).len(), 1);
        assert_eq!(at_once(&mut rig, 503), []);
        rig.change(|webhook| webhook.is_paused = true);
        assert_eq!(at_once(&mut rig, 200), []);
        rig.change(|webhook| webhook.is_paused = false);
        assert!(at_once(&mut rig, 401).len() > 4);
    }
}

#[test]
fn a_test_that_is_answered_releases_all_and_one_that_fails_changes_nothing() {
    for (status, released) in [(503, 0), (200, 12), (401, 12)] {
        let (mut rig, _) = down(fixed(3_600.0, 9));
        let before = (rig.count("health"), rig.alarm());
        let id = trial::begin(&mut rig);
        rig.wait(millis(5));
        trial::end(&mut rig, id, &[(0, status)]);
        rig.mailbox.ensure_armed(&rig.db, rig.now).unwrap();
        if released == 0 {
            assert_eq!((rig.count("health"), rig.alarm()), before);
        }
        let end = rig.now.plus(Duration::from_secs(1));
        let seen = rig.drive(end, &mut |_, _| (1, 422));
        assert_eq!(seen.len(), released, "{status}");
        assert!(seen.is_empty() || times(&seen)[0] == rig.now.since(START).as_secs() - 1);
    }
}

#[test]
fn a_shard_that_is_told_of_a_test_probes_at_once() {
    let (mut rig, _) = down(fixed(3_600.0, 9));
    let request = MailboxRequest::Probe(vec![destination(0).id, destination(7).id]);
    let reply = rig.mailbox.handle(&rig.db, request, rig.now);
    assert!(matches!(reply, Ok(MailboxReply::Done)));
    rig.mailbox.ensure_armed(&rig.db, rig.now).unwrap();
    assert_eq!(at_once(&mut rig, 503).len(), 1);
}

/// A row that the code of yesterday wrote: down since a second before the start.
#[test]
fn what_was_down_yesterday_is_down_today() {
    let mut rig = Rig::with(&config(1, Retry::Fibonacci));
    rig.take("1");
    let since = START.minus(Duration::from_secs(1)).millis();
    let mut row = vec![1, 10, 2, 1, 1];
    for at in [since, since] {
        // As postcard writes an integer: zigzag, seven bits a byte.
        let mut rest = (at << 1).unsigned_abs();
        while rest >= 0x80 {
            row.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
            rest >>= 7;
        }
        row.push(u8::try_from(rest).unwrap());
    }
    row.extend([0, 0, 0, 0, 0]);
    rig.db
        .run(
            "INSERT INTO health (destination, state) VALUES (?, ?)",
            &[
                crate::database::Value::Text(destination(0).id.to_string()),
                crate::database::Value::Blob(row),
            ],
        )
        .unwrap();
    rig.reopen();
    assert!(rig.mailbox.is_down(destination(0).id));
    let seen = rig.drive(START.plus(MINUTE), &mut |_, _| (1, 503));
    assert_eq!(times(&seen), [29, 59]);
}
