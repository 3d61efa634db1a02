//! Schedules, giving up, and origins that ask for patience.

use super::*;
use crate::{delivery::Status, time::HOUR, webhook::Retry};

/// Runs at every alarm till nothing is pending; the attempts' times after the
/// event came, in seconds.
fn all_attempts(rig: &mut Rig, status: u16) -> Vec<u64> {
    let mut times = Vec::new();
    while rig.due().is_some() {
        rig.now = rig.alarm().expect("something is pending");
        for _ in 0..rig.run(status) {
            times.push(rig.now.since(START).as_secs());
        }
    }
    times
}

fn with(retry: Retry, give_up_after_hours: u32) -> Rig {
    let mut config = webhook(1);
    config.retry = retry;
    config.give_up_after_hours = give_up_after_hours;
    Rig::with(&config)
}

#[test]
fn a_schedule_that_outlives_the_give_up_time_ends_there_with_a_last_attempt() {
    let fixed = Retry::Fixed {
        interval_seconds: 1_500.0,
        max_attempts: 100,
    };
    let mut rig = with(fixed, 1);
    let id = rig.take("1");
    assert_eq!(all_attempts(&mut rig, 500), [0, 1_500, 3_000, 3_600]);
    assert_eq!(rig.view(id).status, Status::Failed);
}

#[test]
fn a_used_up_schedule_fails_before_the_give_up_time() {
    let custom = Retry::Custom {
        delays_seconds: vec![5.0, 10.0],
    };
    let mut rig = with(custom, 72);
    let id = rig.take("1");
    assert_eq!(all_attempts(&mut rig, 404), [0, 5, 15]);
    let view = rig.view(id);
    assert_eq!((view.status, view.attempts), (Status::Failed, 3));
    assert_eq!(view.last_status_code, Some(404));
    assert_eq!(view.next_attempt_at, None);
}

#[test]
fn what_was_held_up_beyond_its_time_fails_unless_it_was_never_tried() {
    let mut rig = with(Retry::Fibonacci, 1);
    let tried = rig.take("tried");
    rig.run(500);
    rig.change(|webhook| webhook.is_paused = true);
    let untried = rig.take("untried");
    rig.wait(HOUR * 2);
    rig.change(|webhook| webhook.is_paused = false);
    assert_eq!(rig.run_all(500), 1);
    assert_eq!(rig.due(), None);
    for (id, attempts) in [(tried, 1), (untried, 1)] {
        let view = rig.view(id);
        assert_eq!((view.status, view.attempts), (Status::Failed, attempts));
    }
}

#[test]
fn a_resend_has_its_own_time_and_schedule() {
    let mut rig = with(
        Retry::Custom {
            delays_seconds: vec![60.0],
        },
        1,
    );
    let id = rig.take("1");
    all_attempts(&mut rig, 500);
    rig.wait(HOUR * 100);
    rig.mailbox
        .resend(&rig.db, id.sequence, None, rig.now)
        .unwrap();
    assert_eq!(rig.view(id).status, Status::Pending);
    assert_eq!(all_attempts(&mut rig, 500).len(), 2);
    assert_eq!(rig.view(id).status, Status::Failed);
    assert_eq!(rig.view(id).attempts, 4);
}

#[test]
fn a_repeat_of_a_failed_event_wakes_for_the_failed_deliveries_only() {
    let mut config = webhook(2);
    config.retry = Retry::Custom {
        delays_seconds: Vec::new(),
    };
    let mut rig = Rig::with(&config);
    let id = rig.take("1");
    let jobs = rig.lease(6);
    rig.finish(&jobs[0], 200);
    rig.finish(&jobs[1], 500);
    assert_eq!(rig.view(id).status, Status::Failed);
    rig.wait(HOUR);
    let accepted = rig.offer(vec![event("1", b"{}")]);
    assert_eq!(
        accepted.reply,
        AcceptReply::Taken(vec![Taken::Duplicate {
            delivered: false,
            known_until: None
        }])
    );
    assert_eq!(rig.alarm(), Some(rig.now.plus(millis(1))));
    assert_eq!(rig.run(200), 1);
    let view = rig.view(id);
    assert_eq!((view.status, view.attempts), (Status::Delivered, 3));
}

#[test]
fn retry_after_counts_when_it_is_later_and_holds_the_destination() {
    let check = |asked: u64, expected: u64| {
        let mut rig = Rig::new(1);
        rig.take("1");
        rig.mailbox.begin_run();
        let job = rig.lease_one();
        let mut asks = verdict(&job, 429, rig.now);
        asks.not_before = Some(rig.now.plus(Duration::from_secs(asked)));
        rig.finish_with(&job, asks);
        rig.end_run();
        let due = START.plus(Duration::from_secs(expected));
        assert_eq!(rig.due(), Some(due), "asked for {asked} s");
        // A new event is held as well, and does not wake the object early.
        rig.take("2");
        let held = START.plus(Duration::from_secs(asked));
        assert_eq!(rig.alarm(), Some(due.min(held)), "asked for {asked} s");
        rig.now = held.minus(millis(1));
        assert!(rig.lease(6).is_empty());
        rig.now = due.max(held);
        assert_eq!(rig.run(200), 2);
    };
    check(3_600, 3_600);
    check(61, 61);
    check(30, 60);
}

#[test]
fn a_hold_is_for_one_destination_and_a_new_configuration_lifts_it() {
    let mut rig = Rig::new(2);
    rig.take("1");
    let jobs = rig.lease(6);
    let mut asks = verdict(&jobs[0], 503, rig.now);
    asks.not_before = Some(rig.now.plus(HOUR));
    rig.finish_with(&jobs[0], asks);
    rig.finish(&jobs[1], 200);
    rig.take("2");
    let open = rig.lease(6);
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].destination, jobs[1].destination);
    rig.change(|_| ());
    assert_eq!(rig.lease(6).len(), 1);
}
