//! What was delivered stays delivered; and the attempt that follows at once on one whose
//! kept connection was closed.

use super::{
    health::{config, fixed},
    *,
};
use crate::{delivery::Status, testing::samples::destination, time::HOUR};

fn delivered(max_attempts: u32) -> (Rig, EventId) {
    let mut rig = Rig::with(&config(1, fixed(60.0, max_attempts)));
    let id = rig.take("1");
    assert_eq!(rig.run(200), 1);
    (rig, id)
}

fn resend(rig: &mut Rig, id: EventId) {
    let queued = rig.mailbox.resend(&rig.db, id.sequence, None, rig.now);
    assert_eq!(queued, Ok(Some(1)));
    assert_eq!(rig.view(id).status, Status::Pending, "under way");
}

/// The statuses that the origin has answered, attempt by attempt.
fn answers(rig: &Rig, id: EventId) -> Vec<Option<u16>> {
    let deliveries = rig.view(id).deliveries.unwrap();
    let attempts = deliveries[0].attempts.iter();
    attempts.map(|attempt| attempt.status_code).collect()
}

#[test]
fn a_resend_that_the_handler_refuses_leaves_delivered_what_was() {
    for refusal in [301, 400, 401, 409, 422] {
        let (mut rig, id) = delivered(5);
        rig.mailbox.set_station_alerts(true);
        for n in 1..4 {
            resend(&mut rig, id);
            assert_eq!(rig.run(refusal), 1);
            assert_eq!(rig.view(id).status, Status::Delivered);
            assert_eq!(answers(&rig, id).len(), 1 + n);
            assert_eq!(answers(&rig, id)[n], Some(refusal));
        }
        assert_eq!(rig.due(), None, "it is not tried again");
        assert_eq!(rig.count("waiting"), 0);
        let alerts = rig.mailbox.alerts(&rig.db, rig.now).unwrap();
        assert!(alerts.is_empty(), "{alerts:?}");
        rig.reopen();
        assert_eq!(rig.view(id).status, Status::Delivered);
    }
}

#[test]
fn a_resend_to_a_server_that_fails_is_tried_by_the_schedule_and_ends_delivered() {
    let (mut rig, id) = delivered(3);
    rig.mailbox.set_station_alerts(true);
    resend(&mut rig, id);
    let seen = rig.drive(START.plus(HOUR), &mut |_, _| (5, 500));
    assert_eq!(seen.len(), 3);
    assert_eq!(rig.view(id).status, Status::Delivered);
    assert_eq!(rig.count("waiting"), 0);
    let alerts = rig.mailbox.alerts(&rig.db, rig.now).unwrap();
    assert!(alerts.is_empty(), "{alerts:?}");
    // The server comes back in time: taken, as ever.
    resend(&mut rig, id);
    let mut tries = 0;
    let end = rig.now.plus(HOUR);
    rig.drive(end, &mut |_, _| {
        tries += 1;
        (5, if tries == 1 { 500 } else { 200 })
    });
    assert_eq!(answers(&rig, id)[4..], [Some(500), Some(200)]);
}

#[test]
fn a_resend_that_is_stopped_given_up_or_has_lost_its_destination_ends_delivered() {
    let stop: [fn(&mut Rig, EventId); 4] = [
        |rig, id| assert_eq!(rig.mailbox.cancel(&rig.db, id.sequence), Ok(true)),
        |rig, _| rig.change(|webhook| webhook.destinations = vec![destination(5)]),
        |rig, _| {
            // Down all the time, until nothing more is tried.
            rig.take("2");
            let end = rig.now.plus(HOUR * 100);
            rig.drive(end, &mut |_, _| (5, 500));
        },
        |rig, id| {
            let sql = "UPDATE events SET body = NULL, envelope = NULL WHERE seq = ?";
            let number = crate::database::Value::Integer(id.sequence.number());
            rig.db.run(sql, &[number]).unwrap();
        },
    ];
    for stop in stop {
        let (mut rig, id) = delivered(50);
        resend(&mut rig, id);
        stop(&mut rig, id);
        rig.run_all(500);
        assert_eq!(rig.view(id).status, Status::Delivered);
        assert_eq!(rig.count("waiting"), 0);
    }
}

#[test]
fn what_had_failed_fails_again() {
    let mut rig = Rig::with(&config(1, fixed(60.0, 1)));
    let id = rig.take("1");
    rig.run(422);
    resend(&mut rig, id);
    rig.run(422);
    assert_eq!(rig.view(id).status, Status::Failed);
}

#[test]
fn both_attempts_are_kept_and_the_schedule_counts_one() {
    let mut rig = Rig::with(&config(1, fixed(10.0, 3)));
    let id = rig.take("1");
    let job = rig.lease_one();
    assert!(!job.connection_may_be_kept, "it has not answered yet");
    rig.finish(&job, 404);
    for (round, status) in [(0, 500), (1, 200)] {
        rig.wait(Duration::from_secs(11));
        let job = rig.lease_one();
        assert!(job.connection_may_be_kept);
        assert_eq!(job.number, 2 + 2 * round);
        let mut broken = verdict(&job, 500, rig.now).attempt;
        broken.status_code = None;
        let mut ended = verdict(&job.again(), status, rig.now);
        ended.broken_before = Some(broken);
        rig.finish_with(&job, ended);
    }
    assert_eq!(rig.view(id).status, Status::Delivered);
    rig.wait(Duration::from_secs(60));
    rig.take("2");
    assert!(!rig.lease_one().connection_may_be_kept, "too long ago");
    let expected = [Some(404), None, Some(500), None, Some(200)];
    assert_eq!(answers(&rig, id), expected);
    let deliveries = rig.view(id).deliveries.unwrap();
    let numbers = deliveries[0].attempts.iter().map(|attempt| attempt.number);
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

#[test]
fn a_first_attempt_that_was_repeated_is_delivered_in_one_row() {
    let mut rig = Rig::new(1);
    let first = rig.take("1");
    rig.mailbox.begin_run();
    let job = rig.lease_one();
    rig.finish(&job, 200);
    let second = rig.take("2");
    let job = rig.lease_one();
    let mut ended = verdict(&job.again(), 200, rig.now);
    ended.broken_before = Some(verdict(&job, 500, rig.now).attempt);
    let before = rig.db.changes();
    rig.finish_with(&job, ended);
    assert_eq!(rig.db.changes() - before, 1);
    assert_eq!(
        (answers(&rig, first).len(), answers(&rig, second).len()),
        (1, 2)
    );
}
