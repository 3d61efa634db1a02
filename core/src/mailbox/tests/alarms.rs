//! When the object is woken.

use super::*;
use crate::{
    database::Value,
    mailbox::schema,
    messages::{MailboxReply, MailboxRequest},
};

#[test]
fn a_new_event_is_woken_for_at_once_and_a_second_sets_nothing() {
    let mut rig = Rig::new(1);
    assert_eq!(rig.alarm(), None);
    rig.take("1");
    assert_eq!(rig.alarm(), Some(START.plus(millis(1))));
    rig.wait(millis(50));
    rig.take("2");
    assert_eq!(rig.alarm(), Some(START.plus(millis(1))));
    assert_eq!(rig.db.alarms_set(), 1);
}

#[test]
fn an_alarm_that_is_too_late_for_a_new_event_is_moved() {
    let mut rig = Rig::new(1);
    rig.take("1");
    rig.run(500);
    assert_eq!(rig.alarm(), Some(rig.now.plus(millis(60_000))));
    rig.wait(millis(10));
    rig.take("2");
    assert_eq!(rig.alarm(), Some(rig.now.plus(millis(1))));
}

#[test]
fn in_a_run_without_an_alarm_a_new_event_sets_one() {
    let mut rig = Rig::new(1);
    rig.mailbox.woken();
    rig.mailbox.begin_run();
    let accepted = rig.offer(vec![event("1", b"{}")]);
    assert!(accepted.wake);
    assert_eq!(rig.alarm(), Some(rig.now.plus(millis(1))));
}

#[test]
fn what_begins_a_run_is_armed_for_as_its_lease_and_costs_one_alarm() {
    let mut rig = Rig::new(1);
    let accepted = rig.offer_and_begin(vec![event("1", b"{}")]);
    assert!(accepted.begin && !accepted.wake);
    assert_eq!(rig.alarm(), Some(rig.now.plus(millis(60_000))));
    rig.mailbox.begin_run();
    let job = rig.lease_one();
    rig.wait(millis(100));
    // In the run that it began.
    let accepted = rig.offer_and_begin(vec![event("2", b"{}")]);
    assert!(accepted.wake && !accepted.begin);
    rig.finish(&job, 200);
    let job = rig.lease_one();
    rig.finish(&job, 200);
    rig.end_run();
    assert_eq!(rig.db.alarms_set(), 1);
    // Within the lease another finds it set in time, and then not any more.
    for (waits, alarms) in [(20_000, 1), (10_000, 2)] {
        rig.wait(millis(waits));
        let accepted = rig.offer_and_begin(vec![event(&waits.to_string(), b"{}")]);
        assert!(accepted.begin);
        rig.mailbox.begin_run();
        let job = rig.lease_one();
        rig.finish(&job, 200);
        rig.end_run();
        assert_eq!(rig.db.alarms_set(), alarms);
    }
}

#[test]
fn a_run_that_was_to_begin_and_did_not_is_made_up_for_by_the_alarm() {
    let mut rig = Rig::new(1);
    assert!(rig.offer_and_begin(vec![event("1", b"{}")]).begin);
    rig.reopen();
    rig.now = rig.alarm().unwrap();
    assert_eq!(rig.run(200), 1);
    // A new object that is asked something before then does not wait so long.
    assert!(rig.offer_and_begin(vec![event("2", b"{}")]).begin);
    rig.reopen();
    rig.mailbox.ensure_armed(&rig.db, rig.now).unwrap();
    assert_eq!(rig.alarm(), Some(rig.now.plus(millis(1))));
}

#[test]
fn what_may_not_be_sent_at_once_begins_nothing() {
    let mut rig = Rig::new(1);
    let again = |rig: &mut Rig| rig.offer_and_begin(vec![event("1", b"{}")]);
    assert!(again(&mut rig).begin);
    assert!(!again(&mut rig).begin, "a duplicate");
    rig.mailbox.begin_run();
    let job = rig.lease_one();
    let mut asks = verdict(&job, 429, rig.now);
    asks.not_before = Some(rig.now.plus(millis(600_000)));
    rig.finish_with(&job, asks);
    rig.end_run();
    let held = rig.alarm();
    assert!(!rig.offer_and_begin(vec![event("2", b"{}")]).begin, "held");
    assert_eq!(rig.alarm(), held);
    rig.change(|webhook| webhook.is_paused = true);
    assert!(
        !rig.offer_and_begin(vec![event("3", b"{}")]).begin,
        "paused"
    );
}

#[test]
fn the_alarm_of_a_run_that_an_accept_began_renews_its_lease() {
    let mut rig = Rig::new(1);
    rig.offer_and_begin(vec![event("1", b"{}")]);
    rig.mailbox.begin_run();
    let job = rig.lease_one();
    rig.wait(millis(60_000));
    rig.db.clear_alarm().unwrap();
    rig.mailbox.woken();
    rig.mailbox.renew_lease(&rig.db, rig.now).unwrap();
    assert_eq!(rig.alarm(), Some(rig.now.plus(millis(60_000))));
    rig.finish(&job, 200);
}

#[test]
fn a_lease_is_renewed_before_less_than_35_seconds_are_left() {
    let mut rig = Rig::new(1);
    for n in 0..10 {
        rig.take(&n.to_string());
    }
    rig.db.clear_alarm().unwrap();
    rig.mailbox.woken();
    rig.mailbox.begin_run();
    let mut set = Vec::new();
    for _ in 0..10 {
        let job = rig.lease_one();
        let left = rig.alarm().unwrap().since(rig.now);
        assert!(left > millis(35_000) && left <= millis(60_000), "{left:?}");
        set.push(rig.db.alarms_set());
        rig.wait(millis(10_000));
        rig.finish(&job, 200);
    }
    assert_eq!(set, [2, 2, 2, 3, 3, 3, 4, 4, 4, 5]);
}

#[test]
fn the_end_of_a_run_arms_at_the_earliest_due() {
    let mut rig = Rig::new(1);
    rig.take("1");
    rig.run(500);
    rig.wait(millis(30_000));
    rig.take("2");
    rig.run(500);
    assert_eq!(rig.alarm(), Some(START.plus(millis(60_000))));
    assert_eq!(rig.due(), rig.alarm());
}

#[test]
fn what_is_due_already_is_armed_for_in_the_future() {
    let mut rig = Rig::new(1);
    rig.take("1");
    rig.mailbox.begin_run();
    let job = rig.lease_one();
    rig.mailbox.abandon(&job);
    rig.wait(millis(5));
    rig.end_run();
    assert_eq!(rig.alarm(), Some(rig.now.plus(millis(1))));
}

#[test]
fn a_run_that_ends_with_attempts_out_keeps_a_lease_on_them() {
    let mut rig = Rig::new(1);
    rig.take("1");
    rig.run(500);
    rig.take("2");
    rig.mailbox.begin_run();
    rig.change(|webhook| webhook.give_up_after_hours = 1);
    let out = rig.lease_one();
    rig.end_run();
    assert!(rig.alarm().unwrap() <= rig.now.plus(millis(60_000)));
    rig.reopen();
    rig.wait(millis(60_000));
    let again: Vec<_> = rig.lease(6).iter().map(|job| job.event.id).collect();
    assert!(again.contains(&out.event.id));
}

#[test]
fn early_late_and_needless_wakes_do_nothing() {
    let mut rig = Rig::new(1);
    assert_eq!(rig.run(200), 0);
    assert_eq!(rig.alarm(), None);
    rig.take("1");
    rig.run(500);
    let due = START.plus(millis(60_000));
    rig.wait(millis(59_999));
    assert_eq!(rig.run(200), 0, "early");
    assert_eq!(rig.alarm(), Some(due));
    rig.wait(millis(100_000));
    assert_eq!(rig.run(200), 1, "late");
    assert_eq!(rig.run(200), 0, "again");
}

#[test]
fn any_wake_repairs_a_missing_or_lost_alarm() {
    let mut rig = Rig::new(1);
    rig.take("1");
    rig.db.clear_alarm().unwrap();
    rig.reopen();
    rig.mailbox.ensure_armed(&rig.db, rig.now).unwrap();
    assert_eq!(rig.alarm(), Some(rig.now.plus(millis(1))));
    // Set, but it did not fire.
    rig.wait(millis(119_000));
    rig.mailbox.ensure_armed(&rig.db, rig.now).unwrap();
    assert_eq!(rig.alarm(), Some(START.plus(millis(1))));
    rig.wait(millis(2_000));
    rig.mailbox.ensure_armed(&rig.db, rig.now).unwrap();
    assert_eq!(rig.alarm(), Some(rig.now.plus(millis(1))));
}

#[test]
fn a_paused_webhook_stores_without_waking_and_wakes_when_resumed() {
    let mut rig = Rig::new(1);
    rig.change(|webhook| webhook.is_paused = true);
    rig.take("1");
    assert_eq!((rig.alarm(), rig.due()), (None, None));
    assert!(rig.lease(6).is_empty());
    rig.wait(millis(1_000_000));
    rig.change(|webhook| webhook.is_paused = false);
    assert_eq!(rig.alarm(), Some(rig.now.plus(millis(1))));
    assert_eq!(rig.run(200), 1);
}

#[test]
fn a_webhook_that_is_switched_off_relays_what_it_has() {
    let mut rig = Rig::new(1);
    rig.take("1");
    rig.change(|webhook| webhook.is_active = false);
    let refused = rig.offer(vec![event("2", b"{}")]);
    assert_eq!(refused.reply, AcceptReply::Stale { version: 2 });
    assert_eq!(rig.run(200), 1);
}

#[test]
fn the_configuration_decides_who_is_taken() {
    let mut rig = Rig::new(1);
    rig.change(|_| ());
    for (version, expected) in [
        (1, AcceptReply::Stale { version: 2 }),
        (2, AcceptReply::Taken(Vec::new())),
        (3, AcceptReply::Unconfigured),
    ] {
        let mut request = accept(Vec::new());
        request.config_version = version;
        let accepted = rig.mailbox.accept(&rig.db, &request, START).unwrap();
        assert_eq!(accepted.reply, expected, "version {version}");
    }
    let new = NativeDatabase::in_memory().unwrap();
    let mut unconfigured = Mailbox::open(&new, None, START).unwrap();
    let accepted = unconfigured
        .accept(&new, &accept(vec![event("1", b"{}")]), START)
        .unwrap();
    assert_eq!(accepted.reply, AcceptReply::Unconfigured);
}

#[test]
fn another_webhook_s_or_shard_s_messages_are_refused() {
    let mut rig = Rig::new(1);
    let mut other = webhook(1);
    other.version = 9;
    other.id = crate::ids::WebhookId::from_random([1; 16]);
    let wrong = Err(crate::mailbox::MailboxTrouble::Misdirected.into());
    assert_eq!(rig.mailbox.configure(&rig.db, &other, 0, START), wrong);
    assert_eq!(rig.mailbox.retire(&rig.db, other.id, 2), wrong);
    other.id = webhook(1).id;
    assert_eq!(rig.mailbox.configure(&rig.db, &other, 1, START), wrong);
}

#[test]
fn a_configuration_of_yesterday_is_completed_at_the_same_version() {
    let mut rig = Rig::new(1);
    let waits = rig.take("1");
    let stored = |rig: &Rig| {
        let rows = rig
            .db
            .run("SELECT value FROM meta WHERE name = 'config'", &[]);
        let json = rows.unwrap()[0].text(0).unwrap().to_owned();
        serde_json::from_str::<serde_json::Value>(&json).unwrap()["secrets"].clone()
    };
    assert_eq!(stored(&rig), serde_json::json!(["secret of the provider"]));
    // Yesterday's Mailbox kept none.
    rig.db
        .run(
            "UPDATE meta SET value = json_set(value, '$.secrets', json('[]')) WHERE name = 'config'",
            &[],
        )
        .unwrap();
    rig.reopen();
    let job = |n, kind| MailboxRequest::Job {
        id: JobId::from_random([n; 16]),
        kind,
        query: EventQuery {
            q: Some("none".to_owned()),
            ..EventQuery::default()
        },
    };
    let unconfigured = |rig: &mut Rig| {
        let request = accept(vec![event("2", b"{}")]);
        let accepted = rig.mailbox.accept(&rig.db, &request, START).unwrap();
        let resend = MailboxRequest::Resend {
            sequence: waits.sequence,
            destination: None,
        };
        let is = |reply: MailboxReply| matches!(reply, MailboxReply::Unconfigured);
        [
            accepted.reply == AcceptReply::Unconfigured,
            is(rig
                .mailbox
                .handle(&rig.db, MailboxRequest::Visit, START)
                .unwrap()),
            is(rig.mailbox.handle(&rig.db, resend, START).unwrap()),
            is(rig
                .mailbox
                .handle(&rig.db, job(1, JobKind::Resend), START)
                .unwrap()),
        ]
    };
    assert_eq!(unconfigured(&mut rig), [true; 4]);
    // Nothing is signed for the other jobs.
    let deleted = rig
        .mailbox
        .handle(&rig.db, job(2, JobKind::Delete), START)
        .unwrap();
    assert!(matches!(deleted, MailboxReply::Job(progress) if progress.done));
    // What waits goes on meanwhile; and who has none to tell changes nothing.
    assert_eq!(rig.run(500), 1);
    let mut same = webhook(1);
    same.secrets.clear();
    rig.mailbox.configure(&rig.db, &same, 0, START).unwrap();
    assert_eq!(unconfigured(&mut rig), [true; 4]);
    rig.mailbox
        .configure(&rig.db, &webhook(1), 0, START)
        .unwrap();
    assert_eq!(unconfigured(&mut rig), [false; 4]);
    rig.reopen();
    assert_eq!(unconfigured(&mut rig), [false; 4]);
    assert_eq!(stored(&rig), serde_json::json!(["secret of the provider"]));
}

/// A deletion drops the tables and leaves the schema's version: the migrations of later
/// releases do not find what they change.
#[test]
fn a_webhook_that_an_earlier_release_deleted_opens_and_a_deletion_can_be_undone() {
    // The version of the deletion was not kept by the first releases.
    for (retired, undone) in [(1, false), (4, true)] {
        for released in 1..=schema::MIGRATIONS.len() {
            let db = NativeDatabase::in_memory().unwrap();
            schema::make_meta(&db).unwrap();
            schema::migrate(&db, &schema::MIGRATIONS[..released]).unwrap();
            schema::set_meta(&db, "retired", Value::Integer(retired)).unwrap();
            schema::drop_all(&db).unwrap();
            let answer = |mailbox: &mut Mailbox, config_version| {
                let mut request = accept(vec![event("1", b"{}")]);
                request.config_version = config_version;
                mailbox.accept(&db, &request, START).unwrap().reply
            };
            let gone = if undone {
                AcceptReply::Stale { version: 4 }
            } else {
                AcceptReply::Gone
            };
            let mut mailbox = Mailbox::open(&db, None, START).unwrap();
            assert_eq!(answer(&mut mailbox, 4), gone, "{released}");
            let mut newer = webhook(1);
            newer.version = 5;
            mailbox.configure(&db, &newer, 0, START).unwrap();
            for _ in 0..2 {
                let reply = answer(&mut mailbox, 5);
                let taken = matches!(reply, AcceptReply::Taken(_));
                assert_eq!(taken, undone, "{released}: {reply:?}");
                mailbox = Mailbox::open(&db, None, START).unwrap();
            }
        }
    }
}

#[test]
fn of_a_webhook_that_is_deleted_no_secret_rests() {
    let mut rig = Rig::new(1);
    rig.take("1");
    rig.mailbox.retire(&rig.db, webhook(1).id, 1).unwrap();
    assert_eq!(rig.mailbox.config(), None);
    let rows = rig.db.run("SELECT value FROM meta", &[]).unwrap();
    assert!(rows.iter().all(|row| row.text(0).is_err()), "{rows:?}");
}

#[test]
fn what_a_broken_off_run_left_in_flight_is_due_again_in_the_next() {
    let mut rig = Rig::new(1);
    for n in 0..3 {
        rig.take(&n.to_string());
    }
    let ids = |jobs: &[Job]| -> Vec<_> { jobs.iter().map(|job| job.event.id).collect() };
    rig.mailbox.woken();
    rig.mailbox.begin_run();
    let first = rig.lease(6);
    assert_eq!(first.len(), 3);
    // One has failed and waits; the run ends without having heard of the others.
    rig.finish(&first[0], 500);
    rig.end_run();
    rig.mailbox.woken();
    rig.mailbox.begin_run();
    let again = rig.lease(6);
    assert_eq!(ids(&again), ids(&first[1..]));
    for job in &again {
        rig.finish(job, 200);
    }
    // The same of a delivery that waits.
    rig.wait(millis(60_000));
    assert_eq!(ids(&rig.lease(6)), ids(&first[..1]));
    rig.end_run();
    rig.mailbox.begin_run();
    assert_eq!(ids(&rig.lease(6)), ids(&first[..1]));
}

#[test]
fn a_run_pauses_until_the_next_is_due_and_never_long() {
    let mut rig = Rig::new(1);
    let pause = |rig: &Rig| rig.mailbox.pause(&rig.db, rig.now).unwrap();
    assert_eq!(pause(&rig), millis(20_000));
    rig.take("1");
    rig.run(500);
    assert_eq!(pause(&rig), millis(20_000));
    rig.wait(millis(59_000));
    assert_eq!(pause(&rig), millis(1_000));
    rig.wait(millis(999));
    assert_eq!(pause(&rig), millis(1));
}

#[test]
fn a_run_that_begins_nothing_is_called_again_should_it_die() {
    let mut config = webhook(1);
    config.retry = crate::webhook::Retry::Custom {
        delays_seconds: vec![0.5, 60.0],
    };
    for (waits, before) in [(1, millis(100)), (2, millis(30_000))] {
        let mut rig = Rig::with(&config);
        rig.take("1");
        rig.run(500);
        for _ in 1..waits {
            rig.now = rig.alarm().unwrap();
            rig.run(500);
        }
        // Too early: it waits for what is due soon, or tells the operator something.
        rig.now = rig.due().unwrap().minus(before);
        rig.db.clear_alarm().unwrap();
        rig.mailbox.woken();
        rig.mailbox.begin_run();
        assert!(rig.lease(6).is_empty());
        assert_eq!(rig.alarm(), rig.due());
    }
}
