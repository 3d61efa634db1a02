//! Who goes first, and who must not stand in whose way.

use super::*;
use crate::{ids::DestinationId, testing::samples::destination};
use std::collections::BTreeMap;

fn ids(jobs: &[Job]) -> Vec<EventId> {
    jobs.iter().map(|job| job.event.id).collect()
}

fn per_destination(jobs: &[Job]) -> BTreeMap<DestinationId, usize> {
    let mut counts = BTreeMap::new();
    for job in jobs {
        *counts.entry(job.destination).or_insert(0) += 1;
    }
    counts
}

#[test]
fn new_events_go_by_arrival_and_what_waits_by_due() {
    let mut rig = Rig::new(1);
    let first = rig.take("1");
    rig.run(500);
    rig.wait(millis(59_999));
    let before = rig.take("2");
    rig.wait(millis(2));
    let after = rig.take("3");
    assert_eq!(ids(&rig.lease(6)), [before, first, after]);
}

#[test]
fn five_thousand_that_are_due_go_six_at_a_time_oldest_first() {
    let mut rig = Rig::new(1);
    let mut arrived = Vec::new();
    for chunk in 0..10 {
        let batch = (0..500)
            .map(|n| event(&format!("{chunk}/{n}"), b"{}"))
            .collect();
        rig.offer(batch);
        rig.wait(millis(1));
    }
    rig.mailbox.begin_run();
    loop {
        let jobs = rig.lease(6);
        if jobs.is_empty() {
            break;
        }
        assert!(jobs.len() <= 6);
        arrived.extend(ids(&jobs));
        for job in jobs {
            rig.finish(&job, 404);
        }
    }
    rig.end_run();
    assert_eq!(arrived.len(), 5_000);
    assert!(arrived.is_sorted());
    assert_eq!(rig.count("waiting"), 5_000);
    rig.wait(millis(60_000));
    rig.reopen();
    let mut again = Vec::new();
    rig.mailbox.begin_run();
    loop {
        let jobs = rig.lease(6);
        if jobs.is_empty() {
            break;
        }
        again.extend(ids(&jobs));
        for job in jobs {
            rig.finish(&job, 200);
        }
    }
    rig.end_run();
    assert_eq!(again, arrived);
    assert_eq!(rig.count("waiting"), 0);
    assert_eq!(rig.due(), None);
}

#[test]
fn what_is_in_flight_is_not_leased_again_until_it_is_given_back() {
    let mut rig = Rig::new(2);
    rig.take("1");
    let jobs = rig.lease(6);
    assert_eq!(jobs.len(), 2);
    assert!(rig.lease(6).is_empty());
    assert_eq!(rig.due(), None);
    rig.mailbox.abandon(&jobs[0]);
    assert_eq!(rig.due(), Some(START));
    assert_eq!(rig.lease_one().destination, jobs[0].destination);
    // The same for one that waits.
    rig.finish(&jobs[1], 500);
    rig.wait(millis(60_000));
    let again = rig.lease_one();
    assert_eq!((again.destination, again.number), (jobs[1].destination, 2));
    assert!(rig.lease(6).is_empty());
    rig.mailbox.abandon(&again);
    assert_eq!(rig.lease_one().destination, jobs[1].destination);
}

#[test]
fn a_slow_destination_never_fills_all_slots() {
    let mut rig = Rig::new(2);
    let (slow, quick) = (destination(0).id, destination(1).id);
    for n in 0..100 {
        rig.take(&n.to_string());
    }
    let mut out = rig.lease(6);
    assert_eq!(per_destination(&out), [(slow, 3), (quick, 3)].into());
    // The quick one answers, the slow one never does.
    let mut quick_done = 0;
    for _ in 0..200 {
        let Some(at) = out.iter().position(|job| job.destination == quick) else {
            break;
        };
        let job = out.remove(at);
        rig.finish(&job, 200);
        quick_done += 1;
        out.extend(rig.lease(6 - out.len()));
    }
    assert_eq!(quick_done, 100);
    // It has had everything; the slow one has taken over all slots but one.
    assert_eq!(per_destination(&out), [(slow, 5)].into());
    // More of the slow one is due, but may not be begun: no reason to look for it
    // again and again.
    assert!(rig.lease(1).is_empty());
    assert_eq!(rig.mailbox.pause(&rig.db, rig.now), Ok(millis(1_000)));
    let late = rig.take("late");
    let job = rig.lease_one();
    assert_eq!((job.destination, job.event.id), (quick, late));
}

#[test]
fn a_long_backlog_of_one_destination_is_moved_aside() {
    let mut rig = Rig::new(2);
    let (slow, quick) = (destination(0).id, destination(1).id);
    for batch in 0..3 {
        let events = (0..800)
            .map(|n| event(&format!("{batch}/{n}"), b"{}"))
            .collect();
        rig.offer(events);
    }
    rig.reopen();
    let mut out = rig.lease(6);
    let mut quick_done = 0;
    while let Some(at) = out.iter().position(|job| job.destination == quick) {
        let job = out.remove(at);
        rig.finish(&job, 200);
        quick_done += 1;
        out.extend(rig.lease(6 - out.len()));
    }
    assert_eq!(quick_done, 2_400);
    assert!(rig.count("waiting") > 0);
    rig.assert_cursor();
    // Nothing of the slow one is lost, and it still goes by arrival.
    let mut slow_done: Vec<EventId> = Vec::new();
    loop {
        for job in std::mem::take(&mut out) {
            assert_eq!(job.destination, slow);
            slow_done.push(job.event.id);
            rig.finish(&job, 200);
        }
        out = rig.lease(6);
        if out.is_empty() {
            break;
        }
    }
    assert_eq!(slow_done.len(), 2_400);
    assert!(slow_done.is_sorted());
    assert_eq!(rig.count("events WHERE status <> 'delivered'"), 0);
}

#[test]
fn the_cursor_does_not_pass_a_first_attempt_that_is_out_or_given_back() {
    for give_back in [false, true] {
        let mut rig = Rig::new(1);
        let old = rig.take("old");
        let job = rig.lease_one();
        if give_back {
            rig.mailbox.abandon(&job);
            // It is held back while the others go.
            rig.mailbox
                .first_attempts
                .take(old.sequence, job.destination);
        }
        for n in 0..300 {
            rig.take(&n.to_string());
            let job = rig.lease_one();
            rig.finish(&job, 200);
        }
        if give_back {
            rig.mailbox
                .first_attempts
                .put(old.sequence, job.destination);
        }
        rig.end_run();
        rig.assert_cursor();
        rig.reopen();
        assert_eq!(ids(&rig.lease(6)), [old]);
        // Once it is done, the next opening counts what lies behind it, and the
        // cursor moves past them all.
        rig.reopen();
        assert_eq!(rig.run(200), 1);
        rig.reopen();
        rig.take("next");
        assert_eq!(rig.run(200), 1);
        let cursor = rig.number("SELECT value FROM meta WHERE name = 'cursor'");
        assert!(cursor > old.sequence.number());
    }
}

#[test]
fn jobs_of_one_event_share_its_body() {
    let mut rig = Rig::new(3);
    rig.offer(vec![event("1", &[7; 100_000])]);
    let jobs = rig.lease(6);
    assert_eq!(jobs.len(), 3);
    for job in &jobs {
        assert!(std::rc::Rc::ptr_eq(&job.event, &jobs[0].event));
    }
}

#[test]
fn a_new_url_under_the_same_id_goes_on_and_a_later_destination_gets_no_old_event() {
    let mut rig = Rig::new(1);
    let id = rig.take("1");
    rig.run(500);
    rig.change(|webhook| {
        webhook.destinations[0].url = "https://new.example/".into();
        webhook.destinations.push(destination(1));
    });
    rig.wait(millis(60_000));
    assert_eq!(rig.run(200), 1);
    let deliveries = rig.view(id).deliveries.unwrap();
    assert_eq!(deliveries.len(), 1);
    assert_eq!(deliveries[0].url, "https://new.example/");
    rig.take("2");
    assert_eq!(rig.run(200), 2);
}

#[test]
fn resending_reaches_those_that_replaced_the_destinations() {
    let mut rig = Rig::new(1);
    let id = rig.take("1");
    rig.run(200);
    rig.change(|webhook| webhook.destinations = vec![destination(5), destination(6)]);
    let queued = rig
        .mailbox
        .resend(&rig.db, id.sequence, None, rig.now)
        .unwrap();
    assert_eq!(queued, Some(2));
    assert_eq!(rig.run(200), 2);
    let removed = Some(destination(0).id);
    let queued = rig
        .mailbox
        .resend(&rig.db, id.sequence, removed, rig.now)
        .unwrap();
    assert_eq!(queued, None);
    let one = Some(destination(6).id);
    let queued = rig
        .mailbox
        .resend(&rig.db, id.sequence, one, rig.now)
        .unwrap();
    assert_eq!(queued, Some(1));
    let job = rig.lease_one();
    assert_eq!((job.destination, job.number), (destination(6).id, 2));
}

#[test]
fn resending_what_is_pending_makes_it_due_now_and_starts_its_schedule_again() {
    let mut rig = Rig::new(1);
    let id = rig.take("1");
    for minutes in [1, 1, 2, 3] {
        assert_eq!(rig.run(500), 1);
        rig.wait(crate::time::MINUTE * minutes);
    }
    rig.run(500);
    rig.wait(millis(1));
    rig.mailbox
        .resend(&rig.db, id.sequence, None, rig.now)
        .unwrap();
    assert_eq!(rig.alarm(), Some(rig.now.plus(millis(1))));
    assert_eq!(rig.run(500), 1);
    assert_eq!(rig.view(id).attempts, 6);
    assert_eq!(rig.due(), Some(rig.now.plus(crate::time::MINUTE)));
    // A first attempt that is still to be made is what was asked for already.
    let fresh = rig.take("2");
    let queued = rig
        .mailbox
        .resend(&rig.db, fresh.sequence, None, rig.now)
        .unwrap();
    assert_eq!(queued, Some(1));
    assert_eq!(rig.run(200), 1);
}

#[test]
fn many_deliveries_to_a_removed_destination_are_cancelled_wake_by_wake() {
    let mut rig = Rig::new(2);
    let batch = (0..450).map(|n| event(&n.to_string(), b"{}")).collect();
    rig.offer(batch);
    // Half of them wait, the others are fresh.
    rig.mailbox.begin_run();
    for _ in 0..75 {
        for job in rig.lease(6) {
            rig.finish(&job, 404);
        }
    }
    rig.change(|webhook| {
        webhook.destinations.remove(1);
    });
    rig.end_run();
    let mut wakes = 0;
    while rig.due().is_some() {
        rig.wait(millis(60_000));
        rig.run(200);
        wakes += 1;
        assert!(wakes < 20);
    }
    assert_eq!(rig.count("waiting"), 0);
    assert_eq!(rig.count("events WHERE status = 'delivered'"), 450);
    assert_eq!(
        rig.number("SELECT count(*) FROM events WHERE instr(deliveries, '\"cancelled\"') > 0"),
        450
    );
}
