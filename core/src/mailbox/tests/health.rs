//! Destinations that go down and come back, under a clock that runs.

use super::*;
use crate::{
    delivery::Status,
    ids::DestinationId,
    mailbox::LINGER,
    testing::samples::destination,
    time::{HOUR, MINUTE},
    webhook::Retry,
};
use std::collections::{BTreeMap, BTreeSet};

/// An attempt as the origin saw it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) at: Timestamp,
    pub(super) event: EventId,
    pub(super) to: DestinationId,
    pub(super) status: u16,
}

/// What an origin does with an attempt: how long it takes, and its answer.
pub(super) type Origin<'a> = dyn FnMut(&Job, Timestamp) -> (u64, u16) + 'a;

impl Rig {
    /// Lets the clock run until `end`, waking the object at its alarms and driving it
    /// as the edge does: up to six attempts at once.
    pub(super) fn drive(&mut self, end: Timestamp, origin: &mut Origin<'_>) -> Vec<Seen> {
        let mut seen = Vec::new();
        while let Some(alarm) = self.alarm().filter(|at| *at <= end) {
            self.now = self.now.max(alarm);
            self.db.clear_alarm().unwrap();
            self.mailbox.woken();
            self.mailbox.begin_run();
            self.one_run(end, origin, &mut seen);
            self.end_run();
        }
        self.now = self.now.max(end);
        seen
    }

    fn one_run(&mut self, end: Timestamp, origin: &mut Origin<'_>, seen: &mut Vec<Seen>) {
        let mut out: Vec<(Timestamp, u16, Job)> = Vec::new();
        loop {
            for job in self.lease(6 - out.len()) {
                let (millis_taken, status) = origin(&job, self.now);
                seen.push(Seen {
                    at: self.now,
                    event: job.event.id,
                    to: job.destination,
                    status,
                });
                out.push((self.now.plus(millis(millis_taken)), status, job));
            }
            assert!(out.len() <= 6);
            let wait = self.mailbox.pause(&self.db, self.now).unwrap();
            if out.is_empty() && (wait > LINGER || self.now > end) {
                return;
            }
            out.sort_by_key(|(ends, _, _)| *ends);
            let look = self.now.plus(wait);
            match out.first() {
                Some((ends, _, _)) if out.len() == 6 || *ends <= look => {
                    let (ends, status, job) = out.remove(0);
                    self.now = self.now.max(ends);
                    self.finish(&job, status);
                }
                _ => self.now = look,
            }
        }
    }

    pub(super) fn take_many(&mut self, name: &str, count: usize) {
        let batch = (0..count)
            .map(|n| event(&format!("{name}/{n}"), b"{}"))
            .collect();
        self.offer(batch);
    }
}

pub(super) fn config(destinations: u8, retry: Retry) -> Webhook {
    let mut config = webhook(destinations);
    config.retry = retry;
    config
}

pub(super) fn fixed(seconds: f64, max_attempts: u32) -> Retry {
    Retry::Fixed {
        interval_seconds: seconds,
        max_attempts,
    }
}

pub(super) fn times(seen: &[Seen]) -> Vec<u64> {
    seen.iter()
        .map(|one| one.at.since(START).as_secs())
        .collect()
}

#[test]
fn a_night_down_with_5000_waiting_is_probed_and_released_at_once_oldest_first_at_its_rate() {
    // Three attempts within ten minutes: without health all would be lost.
    let mut rig = Rig::with(&config(1, fixed(300.0, 3)));
    let back = START.plus(HOUR * 8);
    let mut seen = Vec::new();
    let mut origin = |_: &Job, now: Timestamp| (20, if now < back { 503 } else { 200 });
    for minute in 0..500 {
        rig.take_many(&minute.to_string(), 10);
        let end = START.plus(MINUTE * (minute + 1));
        seen.extend(rig.drive(end, &mut origin));
        if minute % 50 == 7 {
            // The object is evicted and comes back: health is not forgotten.
            rig.reopen();
        }
    }
    let down_at = seen[9].at;
    assert!(seen[..10].iter().all(|one| one.status == 503));
    // One probe per 30 s, never two at a time, and turn by turn.
    let probing = down_at.plus(Duration::from_secs(1))..back;
    let probes: Vec<&Seen> = seen
        .iter()
        .filter(|one| probing.contains(&one.at))
        .collect();
    assert!(
        probes
            .windows(2)
            .all(|two| two[1].at.since(two[0].at) >= Duration::from_secs(30))
    );
    let lasted = back.since(down_at).as_secs() / 30;
    let count = u64::try_from(probes.len()).unwrap();
    assert!(
        (lasted - 20..=lasted).contains(&count),
        "{count} probes in {lasted} turns"
    );
    let distinct: BTreeSet<EventId> = probes.iter().map(|one| one.event).collect();
    assert!(distinct.len() > probes.len() * 9 / 10, "turn by turn");
    // The first success lets all go, oldest first, new ones in line behind.
    let after: Vec<&Seen> = seen.iter().filter(|one| one.at >= back).collect();
    assert!(after[0].at.since(back) <= Duration::from_secs(30));
    let line: Vec<EventId> = after[1..].iter().map(|one| one.event).collect();
    assert!(line.is_sorted(), "oldest first");
    assert_eq!(line.len() + 1, 5_000);
    assert_eq!(rig.count("events WHERE status = 'delivered'"), 5_000);
    // At its rate: 20 a second, and no slower than that.
    for second in after.windows(21).map(|w| w[20].at.since(w[0].at)) {
        assert!(second >= millis(750), "21 within {second:?}");
    }
    let (first, last) = (after[1].at, after[4_000].at);
    let took = last.since(first).as_secs();
    assert!((195..=205).contains(&took), "4,000 took {took} s");
    assert_eq!((rig.count("waiting"), rig.count("health")), (0, 0));
    assert_eq!(rig.due(), None);
}

#[test]
fn schedules_stand_still_while_it_is_down() {
    let mut rig = Rig::with(&config(1, fixed(60.0, 3)));
    let back = START.plus(HOUR);
    for n in 0..12 {
        rig.take(&n.to_string());
    }
    let status = |now| if now < back { 500 } else { 404 };
    let seen = rig.drive(back, &mut |_, now| (1, status(now)));
    assert!(seen.len() > 100);
    assert_eq!(rig.count("events WHERE status = 'failed'"), 0);
    // It answers one of them, and refuses the others: they end on their schedule.
    let mut taken = 0;
    rig.drive(back.plus(HOUR), &mut |_, _| {
        taken += 1;
        (1, if taken == 1 { 200 } else { 404 })
    });
    assert_eq!(rig.count("events WHERE status = 'failed'"), 11);
    assert_eq!(rig.count("events WHERE status = 'delivered'"), 1);
    assert_eq!(rig.count("waiting"), 0);
}

#[test]
fn a_poisonous_event_ends_on_its_own_schedule_and_blocks_nobody() {
    for poison in [422, 500] {
        let mut rig = Rig::with(&config(1, fixed(60.0, 5)));
        let bad = rig.take("bad");
        let mut seen = Vec::new();
        for n in 0..100 {
            let good = rig.take(&n.to_string());
            let end = rig.now.plus(Duration::from_secs(10));
            let new = rig.drive(end, &mut |job, _| {
                (5, if job.event.id == bad { poison } else { 200 })
            });
            let delay = new
                .iter()
                .find(|one| one.event == good)
                .unwrap()
                .at
                .since(good.sequence.at());
            assert!(delay <= millis(1_100), "{poison}: {n} waited {delay:?}");
            seen.extend(new);
        }
        let bad_seen: Vec<Seen> = seen
            .iter()
            .filter(|one| one.event == bad)
            .copied()
            .collect();
        assert_eq!(times(&bad_seen), [0, 60, 120, 180, 240], "{poison}");
        assert_eq!(rig.view(bad).status, Status::Failed);
        assert_eq!(rig.count("events WHERE status = 'delivered'"), 100);
    }
}

#[test]
fn many_poisonous_events_cannot_keep_the_others_from_their_turn() {
    // 30 that time out and 30 that would be taken, the bad ones older.
    let mut rig = Rig::with(&config(1, fixed(60.0, 5)));
    rig.take_many("bad", 30);
    let bad: BTreeSet<EventId> = rig
        .db
        .run("SELECT seq FROM events", &[])
        .unwrap()
        .iter()
        .map(|row| EventId {
            sequence: Sequence::from_number(row.integer(0).unwrap()).unwrap(),
            webhook: webhook(1).id,
            shard: 0,
        })
        .collect();
    rig.wait(millis(5));
    rig.take_many("good", 30);
    rig.drive(START.plus(HOUR * 24), &mut |job, _| {
        (
            5_000,
            if bad.contains(&job.event.id) {
                504
            } else {
                200
            },
        )
    });
    assert_eq!(rig.count("events WHERE status = 'delivered'"), 30);
    // With nobody left to show that it lives, it is down for them until they are given up.
    rig.drive(START.plus(HOUR * 73), &mut |_, _| (5_000, 504));
    assert_eq!(rig.count("events WHERE status = 'failed'"), 30);
    assert_eq!(rig.due(), None);
}

#[test]
fn flapping_neither_loses_nor_starves() {
    let mut rig = Rig::with(&config(1, Retry::Fibonacci));
    rig.take_many("old", 600);
    // Up for ten seconds of every two minutes.
    let up = |now: Timestamp| now.since(START).as_secs() % 120 >= 110;
    let mut seen = Vec::new();
    for round in 0..60 {
        rig.take_many(&format!("new {round}"), 5);
        let end = START.plus(MINUTE * 2 * (round + 1));
        seen.extend(rig.drive(end, &mut |_, now| (30, if up(now) { 200 } else { 500 })));
    }
    let end = rig.now.plus(HOUR);
    seen.extend(rig.drive(end, &mut |_, _| (30, 200)));
    assert_eq!(rig.count("events WHERE status = 'delivered'"), 900);
    let mut attempts: BTreeMap<EventId, usize> = BTreeMap::new();
    for one in &seen {
        *attempts.entry(one.event).or_default() += 1;
    }
    assert_eq!(attempts.len(), 900);
    let most = attempts.values().max().unwrap();
    assert!(*most <= 8, "{most} attempts of one");
}

#[test]
fn given_up_down_or_not() {
    let mut config = config(1, Retry::Fibonacci);
    config.give_up_after_hours = 2;
    let mut rig = Rig::with(&config);
    for n in 0..150 {
        rig.take(&n.to_string());
    }
    rig.drive(START.plus(HOUR), &mut |_, _| (5, 500));
    let late = rig.take("late");
    rig.drive(START.plus(HOUR * 2 + MINUTE * 5), &mut |_, _| (5, 500));
    assert_eq!(rig.count("events WHERE status = 'failed'"), 150);
    assert_eq!(rig.view(late).status, Status::Pending);
    rig.drive(START.plus(HOUR * 4), &mut |_, _| (5, 500));
    assert_eq!(rig.view(late).status, Status::Failed);
    assert_eq!((rig.count("waiting"), rig.due()), (0, None));
    // It is still down; the next event is a probe's business, and releases.
    let next = rig.take("next");
    let end = rig.now.plus(MINUTE);
    rig.drive(end, &mut |_, _| (5, 200));
    assert_eq!(rig.view(next).status, Status::Delivered);
    assert_eq!(rig.count("health"), 0);
}

#[test]
fn one_that_is_down_does_not_hinder_three_others_and_each_waits_for_itself() {
    let mut rig = Rig::with(&config(4, fixed(3_600.0, 100)));
    let ids: Vec<DestinationId> = (0..4).map(|n| destination(n).id).collect();
    let slow = ids[1];
    let mut late: u64 = 0;
    for n in 0..200 {
        let id = rig.take(&n.to_string());
        let end = rig.now.plus(Duration::from_secs(7));
        let seen = rig.drive(end, &mut |job, _| match job.destination {
            to if to == ids[0] => (5_000, 504),
            to if to == slow => (4_000, 200),
            to if to == ids[2] => (1, 404),
            _ => (1, 200),
        });
        let quick = seen
            .iter()
            .find(|one| one.event == id && one.to == ids[3])
            .unwrap();
        let delay = quick.at.since(id.sequence.at()).as_millis();
        late = late.max(u64::try_from(delay).unwrap());
    }
    assert!(late <= 1_010, "the quick one waited {late} ms");
    for (to, state) in [
        (ids[0], "waiting"),
        (slow, "delivered"),
        (ids[2], "waiting"),
        (ids[3], "delivered"),
    ] {
        let like = format!("\"{to}\",\"state\":\"{state}\"");
        let sql = format!("SELECT count(*) FROM events WHERE instr(deliveries, '{like}') > 0");
        let fresh = format!("\"{to}\",\"state\":\"fresh\"");
        let fresh = format!("SELECT count(*) FROM events WHERE instr(deliveries, '{fresh}') > 0");
        assert!(rig.number(&sql) + rig.number(&fresh) == 200, "{to} {state}");
    }
}

#[test]
fn a_429_with_retry_after_holds_the_destination_even_after_an_eviction() {
    let mut rig = Rig::with(&config(1, fixed(1.0, 5)));
    rig.take("1");
    let job = rig.lease_one();
    let mut asks = verdict(&job, 429, rig.now);
    asks.not_before = Some(rig.now.plus(MINUTE * 10));
    rig.finish_with(&job, asks);
    rig.reopen();
    rig.take("2");
    let seen = rig.drive(START.plus(HOUR), &mut |_, _| (1, 200));
    assert_eq!(times(&seen), [600, 600]);
    assert_eq!(rig.count("health"), 0);
}

#[test]
fn rates_divide_among_the_shards() {
    let mut config = config(1, Retry::Fibonacci);
    config.shards = 4;
    config.destinations[0].rate_per_second = 8;
    let mut rig = Rig::with(&config);
    rig.take_many("1", 100);
    let back = START.plus(MINUTE);
    let seen = rig.drive(START.plus(HOUR), &mut |_, now| {
        (1, if now < back { 500 } else { 200 })
    });
    let after: Vec<Timestamp> = seen
        .iter()
        .map(|one| one.at)
        .filter(|at| *at > back)
        .collect();
    assert_eq!(after.len(), 100);
    let took = after[99].since(after[1]).as_secs();
    assert!((48..=50).contains(&took), "98 at 2 a second took {took} s");
}

#[test]
fn what_gathered_in_a_pause_goes_out_at_the_rate() {
    let mut rig = Rig::with(&config(1, Retry::Fibonacci));
    rig.change(|webhook| webhook.is_paused = true);
    rig.take_many("1", 100);
    rig.wait(HOUR);
    rig.change(|webhook| webhook.is_paused = false);
    let began = rig.now;
    let end = began.plus(MINUTE);
    let seen = rig.drive(end, &mut |_, _| (1, 200));
    assert_eq!(seen.len(), 100);
    let took = seen[99].at.since(seen[0].at).as_millis();
    assert!((4_700..=5_000).contains(&took), "took {took} ms");
    // Afterwards nothing is spaced out.
    rig.take_many("2", 50);
    let now = rig.now;
    let seen = rig.drive(now.plus(millis(100)), &mut |_, _| (1, 200));
    assert_eq!(seen.len(), 50);
}

#[test]
fn a_new_url_is_not_down_and_the_old_ones_health_is_forgotten() {
    let mut rig = Rig::with(&config(1, Retry::Fibonacci));
    for n in 0..12 {
        rig.take(&n.to_string());
    }
    rig.drive(START.plus(MINUTE), &mut |_, _| (1, 500));
    assert_eq!(rig.count("health"), 1);
    rig.change(|webhook| webhook.destinations = vec![destination(5)]);
    assert_eq!(rig.count("health"), 0);
    let new = rig.take("new");
    let end = rig.now.plus(millis(100));
    let seen = rig.drive(end, &mut |_, _| (1, 200));
    assert_eq!(seen.iter().map(|one| one.event).collect::<Vec<_>>(), [new]);
}

#[test]
fn what_a_broken_off_run_left_of_a_release_has_its_turn_again() {
    let mut rig = Rig::with(&config(1, fixed(36_000.0, 9)));
    rig.take_many("1", 40);
    let back = START.plus(MINUTE);
    // Down, and back with the first probe after a minute: a few are released.
    let end = back.plus(Duration::from_secs(1));
    rig.drive(end, &mut |_, now| (1, if now < back { 500 } else { 200 }));
    let done = rig.count("events WHERE status = 'delivered'");
    assert!((2..40).contains(&done), "{done}");
    // The alarm is broken off with six out.
    rig.mailbox.begin_run();
    rig.wait(Duration::from_secs(5));
    let mut out = 0;
    while out < 3 {
        out += rig.lease(1).len();
        rig.wait(millis(50));
    }
    let end = rig.now.plus(MINUTE * 2);
    rig.drive(end, &mut |_, _| (1, 200));
    assert_eq!(rig.count("events WHERE status = 'delivered'"), 40);
}
