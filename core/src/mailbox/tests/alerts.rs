//! What the operator is told, how often, and what it costs when nobody listens.

use super::*;
use crate::{
    alert::{Alert, Kind},
    testing::samples::destination,
    time::{HOUR, MINUTE},
    webhook::Retry,
};

fn config(retry: Retry) -> Webhook {
    let mut config = webhook(1);
    config.retry = retry;
    config.alert_url = Some("https://ops.example/".into());
    config
}

fn once() -> Retry {
    Retry::Custom {
        delays_seconds: Vec::new(),
    }
}

impl Rig {
    fn alerts(&mut self) -> Vec<Alert> {
        self.mailbox.alerts(&self.db, self.now).unwrap()
    }

    fn told(&mut self) -> Vec<(Kind, u32)> {
        let alerts = self.alerts();
        alerts
            .iter()
            .map(|alert| (alert.kind, alert.count))
            .collect()
    }
}

#[test]
fn failures_are_told_at_most_once_in_five_minutes_and_none_is_forgotten() {
    let mut rig = Rig::with(&config(once()));
    let first = rig.take("1");
    rig.run(404);
    let alerts = rig.alerts();
    assert_eq!(alerts.len(), 1);
    assert_eq!(
        (
            alerts[0].kind,
            alerts[0].count,
            alerts[0].event,
            alerts[0].destination
        ),
        (Kind::DeliveryFailed, 1, Some(first), destination(0).id)
    );
    assert_eq!(rig.told(), []);
    for n in 0..7 {
        rig.take(&format!("more {n}"));
        rig.wait(millis(1_000));
    }
    rig.run(404);
    assert_eq!(rig.told(), []);
    // The object sleeps, and is woken for what is still to be told.
    rig.end_run();
    let alarm = rig.alarm().unwrap();
    assert!(alarm <= START.plus(MINUTE * 5));
    rig.reopen();
    rig.now = START.plus(MINUTE * 5);
    assert_eq!(rig.told(), [(Kind::DeliveryFailed, 7)]);
    rig.wait(HOUR);
    assert_eq!(rig.told(), []);
    assert_eq!(rig.count("health"), 0);
}

#[test]
fn going_down_and_coming_back_are_told_with_how_many_are_released() {
    let mut rig = Rig::with(&config(Retry::Fibonacci));
    for n in 0..25 {
        rig.take(&n.to_string());
    }
    rig.run(500);
    assert_eq!(rig.told(), [(Kind::DestinationDown, 1)]);
    rig.wait(Duration::from_secs(30));
    let job = rig.lease_one();
    rig.finish(&job, 200);
    assert_eq!(rig.told(), [(Kind::DestinationRecovered, 25)]);
}

#[test]
fn the_oldest_that_waits_too_long_is_told_once() {
    let mut rig = Rig::with(&config(Retry::Fixed {
        interval_seconds: 3_600.0,
        max_attempts: 9,
    }));
    let old = rig.take("old");
    rig.run(404);
    assert_eq!(rig.told(), []);
    rig.end_run();
    // Nothing is due for an hour, but this is.
    assert_eq!(rig.alarm(), Some(START.plus(MINUTE * 15)));
    rig.wait(MINUTE * 15);
    let alerts = rig.alerts();
    assert_eq!((alerts.len(), alerts[0].kind), (1, Kind::EventsWaiting));
    assert_eq!((alerts[0].event, alerts[0].count), (Some(old), 1));
    rig.wait(MINUTE * 30);
    rig.reopen();
    assert_eq!(rig.told(), []);
    rig.wait(MINUTE * 15);
    rig.run(200);
    assert_eq!(rig.told(), []);
    // Another that waits is another story.
    rig.take("next");
    rig.run(404);
    assert_eq!(rig.told(), []);
    rig.wait(MINUTE * 15);
    assert_eq!(rig.told(), [(Kind::EventsWaiting, 1)]);
}

#[test]
fn new_events_of_one_that_is_down_count_as_waiting() {
    let mut rig = Rig::with(&config(Retry::Fibonacci));
    for n in 0..12 {
        rig.take(&n.to_string());
    }
    rig.run(500);
    rig.alerts();
    rig.wait(MINUTE * 15);
    for n in 20..30 {
        rig.take(&n.to_string());
    }
    assert_eq!(rig.told(), [(Kind::EventsWaiting, 22)]);
}

#[test]
fn without_an_address_nothing_is_collected_written_or_woken_for() {
    let mut rig = Rig::with(&{
        let mut config = config(once());
        config.alert_url = None;
        config
    });
    rig.take("1");
    rig.run(404);
    let before = rig.db.changes();
    assert_eq!(rig.told(), []);
    assert_eq!((rig.db.changes(), rig.count("health")), (before, 0));
    rig.end_run();
    // The station's own address counts for all.
    rig.mailbox.set_station_alerts(true);
    rig.take("2");
    rig.run(404);
    assert_eq!(rig.told(), [(Kind::DeliveryFailed, 1)]);
}

#[test]
fn what_is_delivered_at_once_costs_no_more_with_an_address() {
    let rows = |config: &Webhook| {
        let mut rig = Rig::with(config);
        let before = rig.db.changes();
        for n in 0..10 {
            rig.take(&n.to_string());
            rig.run(200);
            rig.alerts();
        }
        (rig.db.changes() - before, rig.alarm())
    };
    assert_eq!(rows(&config(once())), rows(&webhook(1)));
}

#[test]
fn in_a_pause_nobody_is_told_and_nothing_wakes_for_it() {
    let mut rig = Rig::with(&config(Retry::Fibonacci));
    rig.take("1");
    rig.run(404);
    rig.alerts();
    rig.change(|webhook| webhook.is_paused = true);
    rig.wait(HOUR);
    rig.run(404);
    assert_eq!(rig.told(), []);
    rig.end_run();
    assert_eq!(rig.mailbox.wake_at(&rig.db, rig.now), Ok(None));
    rig.change(|webhook| webhook.is_paused = false);
    assert_eq!(rig.told(), [(Kind::EventsWaiting, 1)]);
}
