//! What once went wrong where several things meet: alerts, pauses, resends, clocks and
//! writes that fail.

use super::*;
use crate::{
    alert::Kind,
    delivery::Status,
    messages::{MailboxReply, MailboxRequest},
    testing::samples::destination,
    time::{HOUR, MINUTE},
    webhook::Retry,
};

impl Rig {
    /// As the edge does: tend, then alerts before each lease.
    fn edge_run(&mut self, status: u16) -> (usize, Vec<(Kind, u32)>) {
        self.db.clear_alarm().unwrap();
        self.mailbox.woken();
        self.mailbox.begin_run();
        self.mailbox.tend(&self.db, self.now).unwrap();
        let mut attempts = 0;
        let mut told = Vec::new();
        loop {
            told.extend(
                self.mailbox
                    .alerts(&self.db, self.now)
                    .unwrap()
                    .iter()
                    .map(|a| (a.kind, a.count)),
            );
            let jobs = self.lease(6);
            if jobs.is_empty() {
                break;
            }
            for job in jobs {
                self.finish(&job, status);
                attempts += 1;
            }
        }
        self.end_run();
        (attempts, told)
    }
}

fn alerting(retry: Retry) -> Webhook {
    let mut config = webhook(1);
    config.retry = retry;
    config.alert_url = Some("https://ops.example/".into());
    config
}

#[test]
fn lone_event_with_alerts_costs_no_alarm_more() {
    let cost = |config: &Webhook| {
        let mut rig = Rig::with(config);
        let before = (rig.db.changes(), rig.db.alarms_set());
        for n in 0..10 {
            rig.take(&n.to_string());
            rig.edge_run(200);
            rig.wait(MINUTE);
            // the lease's harmless check
            if rig.alarm().is_some_and(|at| at <= rig.now) {
                rig.edge_run(200);
            }
        }
        (rig.db.changes() - before.0, rig.db.alarms_set() - before.1)
    };
    assert_eq!(cost(&webhook(1)), cost(&alerting(Retry::Fibonacci)));
}

#[test]
fn waiting_alert_is_not_missed() {
    let mut rig = Rig::with(&alerting(Retry::Fixed {
        interval_seconds: 7_200.0,
        max_attempts: 9,
    }));
    rig.take("1");
    rig.edge_run(200);
    rig.wait(MINUTE * 15);
    rig.edge_run(200); // the needless check
    rig.wait(MINUTE);
    rig.take("2");
    rig.edge_run(404);
    let alarm = rig.alarm().unwrap();
    assert!(
        alarm <= rig.now.plus(MINUTE * 15),
        "woken after {:?}",
        alarm.since(rig.now)
    );
}

#[test]
fn two_alerts_have_two_ids() {
    let mut config = alerting(Retry::Custom {
        delays_seconds: Vec::new(),
    });
    config.retry = Retry::Custom {
        delays_seconds: Vec::new(),
    };
    let mut rig = Rig::with(&config);
    for n in 0..12 {
        rig.take(&n.to_string());
    }
    rig.run(500);
    let alerts = rig.mailbox.alerts(&rig.db, rig.now).unwrap();
    assert_eq!(alerts.len(), 2);
    let ids: Vec<String> = alerts
        .iter()
        .map(|alert| {
            let body = alert.body(&config);
            let out = alert
                .outgoing(
                    "https://ops.example/",
                    &body,
                    &config,
                    &Default::default(),
                    "1",
                    rig.now,
                )
                .unwrap();
            out.headers
                .iter()
                .find(|(n, _)| n == "webhook-id")
                .unwrap()
                .1
                .clone()
        })
        .collect();
    assert_ne!(
        ids[0],
        ids[1],
        "{:?}",
        alerts.iter().map(|a| a.kind).collect::<Vec<_>>()
    );
}

#[test]
fn asking_how_far_a_resend_is_does_not_resend() {
    let mut rig = Rig::new(1);
    for chunk in 0..2 {
        let batch = (0..300)
            .map(|n| event(&format!("{chunk}/{n}"), b"{}"))
            .collect();
        rig.offer(batch);
    }
    rig.run(200);
    rig.wait(HOUR);
    let query = EventQuery {
        status: Some(Status::Delivered),
        ..EventQuery::default()
    };
    let mut told = rig.job(1, JobKind::Resend, &query);
    rig.mailbox.ensure_armed(&rig.db, rig.now).unwrap();
    let (mut polls, mut sent) = (0, 0);
    while polls < 5 && (!told.done || polls < 3) {
        polls += 1;
        let end = rig.now.plus(MINUTE * 5);
        while let Some(at) = rig.alarm().filter(|at| *at <= end) {
            rig.now = rig.now.max(at);
            sent += rig.edge_run(200).0;
        }
        rig.now = end;
        told = rig.job(1, JobKind::Resend, &query);
        rig.mailbox.ensure_armed(&rig.db, rig.now).unwrap();
    }
    assert!(told.done);
    assert_eq!(sent, 600, "after {polls} polls");
}

#[test]
fn cancel_at_a_deleted_webhook_is_not_found() {
    let mut rig = Rig::new(1);
    let id = rig.take("1");
    rig.mailbox.retire(&rig.db, webhook(1).id, 2).unwrap();
    let ask = |rig: &mut Rig, request| rig.mailbox.handle(&rig.db, request, rig.now);
    let r = ask(&mut rig, MailboxRequest::Get(id.sequence));
    assert!(matches!(r, Ok(MailboxReply::NotFound)), "Get: {r:?}");
    let r = ask(&mut rig, MailboxRequest::Delete(id.sequence));
    assert!(matches!(r, Ok(MailboxReply::NotFound)), "Delete: {r:?}");
    let r = ask(&mut rig, MailboxRequest::Cancel(id.sequence));
    assert!(matches!(r, Ok(MailboxReply::NotFound)), "Cancel: {r:?}");
}

#[test]
fn a_clock_that_went_back_does_not_put_the_probe_off() {
    let mut rig = Rig::with(&webhook(1));
    rig.now = START.plus(HOUR * 2);
    for n in 0..12 {
        rig.take(&n.to_string());
    }
    rig.run(500);
    rig.now = START.plus(HOUR); // an hour back
    let begin = rig.now;
    rig.mailbox.ensure_armed(&rig.db, rig.now).unwrap();
    let mut wakes = 0;
    loop {
        let at = rig.alarm().unwrap();
        rig.now = rig.now.max(at);
        wakes += 1;
        if rig.edge_run(200).0 > 0 {
            break;
        }
        assert!(wakes < 1000);
    }
    assert!(
        rig.now.since(begin) <= MINUTE,
        "probed after {:?}, {wakes} wakes",
        rig.now.since(begin)
    );
}

#[test]
fn the_rate_is_divided_by_the_shards() {
    let mut config = webhook(1);
    config.shards = 64;
    config.destinations[0].rate_per_second = 1;
    let mut rig = Rig::with(&config);
    for n in 0..40 {
        rig.take(&n.to_string());
    }
    rig.run(500);
    let mut times = Vec::new();
    while times.len() < 10 {
        let at = rig.alarm().unwrap();
        rig.now = rig.now.max(at);
        let (n, _) = rig.edge_run(200);
        for _ in 0..n {
            times.push(rig.now);
        }
    }
    let gaps: Vec<u64> = times[1..]
        .windows(2)
        .map(|w| w[1].since(w[0]).as_secs())
        .collect();
    assert!(gaps.iter().all(|gap| *gap >= 64), "{gaps:?}");
}

#[test]
fn alerts_that_cannot_be_written_do_not_wake_over_and_over() {
    let mut rig = Rig::with(&alerting(Retry::Fixed {
        interval_seconds: 7_200.0,
        max_attempts: 9,
    }));
    rig.take("1");
    rig.edge_run(404);
    rig.wait(MINUTE * 15);
    // Every write of health fails from now on.
    rig.db
        .run(
            "CREATE TRIGGER full BEFORE INSERT ON health BEGIN SELECT RAISE(FAIL, 'full'); END",
            &[],
        )
        .unwrap();
    let mut wakes = 0;
    let end = rig.now.plus(Duration::from_secs(1));
    while let Some(at) = rig.alarm().filter(|at| *at <= end) {
        rig.now = rig.now.max(at);
        rig.db.clear_alarm().unwrap();
        rig.mailbox.woken();
        rig.mailbox.begin_run();
        let _ = rig.mailbox.tend(&rig.db, rig.now);
        let _ = rig.mailbox.alerts(&rig.db, rig.now);
        assert!(rig.lease(6).is_empty());
        rig.end_run();
        wakes += 1;
        if wakes > 500 {
            break;
        }
    }
    assert!(wakes < 5, "{wakes} wakes in a second");
}

#[test]
fn a_resumed_backlog_is_paced_though_some_of_it_is_over_its_time() {
    let mut config = webhook(1);
    config.give_up_after_hours = 1;
    config.retry = Retry::Fixed {
        interval_seconds: 600.0,
        max_attempts: 9,
    };
    let took = |expired: usize| {
        let mut rig = Rig::with(&config);
        for n in 0..expired {
            rig.take(&format!("old{n}"));
        }
        rig.run(404);
        rig.wait(MINUTE * 9);
        for n in 0..300 {
            rig.take(&n.to_string());
        }
        rig.run(404);
        rig.change(|w| w.is_paused = true);
        rig.now = START.plus(MINUTE * 61);
        rig.change(|w| w.is_paused = false);
        let start = rig.now;
        let mut last = rig.now;
        while let Some(at) = rig.alarm() {
            rig.now = rig.now.max(at);
            if rig.edge_run(200).0 > 0 {
                last = rig.now;
            }
        }
        assert_eq!(rig.count("events WHERE status = 'delivered'"), 300);
        last.since(start)
    };
    let paced = took(0);
    let other = took(7);
    assert!(paced >= Duration::from_secs(14), "{paced:?}");
    assert!(
        other >= Duration::from_secs(14),
        "300 at 20 a second took {other:?}"
    );
}

#[test]
fn many_given_up_cost_few_wakes() {
    let mut config = webhook(1);
    config.give_up_after_hours = 1;
    config.retry = Retry::Fixed {
        interval_seconds: 60.0,
        max_attempts: 60,
    };
    let mut rig = Rig::with(&config);
    for n in 0..600 {
        rig.take(&n.to_string());
    }
    rig.run(404);
    rig.change(|w| w.is_paused = true);
    rig.wait(HOUR * 2);
    rig.change(|w| w.is_paused = false);
    let mut wakes = 0;
    let alarms = rig.db.alarms_set();
    while let Some(at) = rig.alarm() {
        rig.now = rig.now.max(at);
        rig.edge_run(200);
        wakes += 1;
    }
    assert!(
        wakes < 20,
        "{wakes} wakes, {} alarms",
        rig.db.alarms_set() - alarms
    );
}

#[test]
fn a_resend_of_many_that_fails_is_not_tried_over_and_over() {
    let mut rig = Rig::with(&{
        let mut c = webhook(1);
        c.retry = Retry::Custom {
            delays_seconds: Vec::new(),
        };
        c
    });
    rig.take("1");
    rig.run(404);
    rig.db
        .run(
            "CREATE TRIGGER full BEFORE INSERT ON waiting BEGIN SELECT RAISE(FAIL, 'full'); END",
            &[],
        )
        .unwrap();
    let query = EventQuery {
        status: Some(Status::Failed),
        ..EventQuery::default()
    };
    let id = JobId::from_random([1; 16]);
    let job = rig
        .mailbox
        .job(&rig.db, id, JobKind::Resend, &query, rig.now);
    assert!(job.is_err());
    rig.mailbox.ensure_armed(&rig.db, rig.now).unwrap();
    let mut wakes = 0;
    let end = rig.now.plus(HOUR);
    while let Some(at) = rig.alarm().filter(|at| *at <= end) {
        rig.now = rig.now.max(at);
        rig.db.clear_alarm().unwrap();
        rig.mailbox.woken();
        rig.mailbox.begin_run();
        let _ = rig.mailbox.tend(&rig.db, rig.now);
        rig.lease(6);
        rig.end_run();
        wakes += 1;
    }
    assert!(wakes < 200, "{wakes} wakes in an hour");
}

#[test]
fn a_duplicate_that_queues_nothing_writes_nothing() {
    let mut rig = Rig::with(&{
        let mut c = webhook(1);
        c.retry = Retry::Custom {
            delays_seconds: Vec::new(),
        };
        c
    });
    rig.take("1");
    rig.run(404);
    rig.change(|w| w.destinations = vec![destination(1)]);
    rig.db.clear_alarm().unwrap();
    rig.mailbox.woken();
    let before = (rig.db.changes(), rig.db.alarms_set());
    for _ in 0..5 {
        rig.offer(vec![event("1", b"{}")]);
        rig.wait(MINUTE);
        if rig.alarm().is_some() {
            rig.edge_run(200);
        }
    }
    assert_eq!(
        (rig.db.changes() - before.0, rig.db.alarms_set() - before.1),
        (0, 0)
    );
}

#[test]
fn a_shard_that_had_events_this_hour_is_visited_in_the_next_round() {
    // The edge notes a shard once an hour: an event that comes after the round, in the
    // same hour as one before it, is not noted again.
    let mut rig = Rig::new(1);
    rig.take("1");
    rig.run(200);
    rig.wait(Duration::from_secs(10));
    let next = rig.mailbox.visit_at(&rig.db, rig.now).unwrap().unwrap();
    assert!(
        next <= rig.now.plus(HOUR),
        "not visited for {} days",
        next.since(rig.now).as_secs() / 86_400
    );
}
