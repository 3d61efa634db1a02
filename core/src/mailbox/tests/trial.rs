//! Trying a webhook out: stored, attempted by others, reported.

use super::*;
use crate::{
    delivery::Status,
    ids::DestinationId,
    mailbox::trial::report,
    messages::{MailboxReply, MailboxRequest},
    testing::{
        faulty::{Fault, Faulty},
        samples::destination,
    },
};

fn sample() -> crate::messages::Accept {
    accept(vec![NewEvent {
        test: true,
        ..event("sample", b"{}")
    }])
}

pub(super) fn begin(rig: &mut Rig) -> EventId {
    let mut accept = sample();
    accept.config_version = rig.mailbox.config().unwrap().version;
    match rig.mailbox.begin_trial(&rig.db, &accept, rig.now).unwrap() {
        AcceptReply::Taken(taken) => match taken.as_slice() {
            [Taken::Test(Some(id))] => *id,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// Reports what each destination answered.
pub(super) fn end(rig: &mut Rig, id: EventId, statuses: &[(u8, u16)]) -> MailboxReply {
    let answered = statuses
        .iter()
        .filter(|(_, status)| *status < 500)
        .map(|(to, _)| destination(*to).id)
        .collect();
    let outcomes = statuses
        .iter()
        .map(|(to, status)| {
            let job = Job {
                event: std::rc::Rc::new(crate::delivery::StoredEvent {
                    id,
                    envelope: sample().envelope,
                    body: Vec::new(),
                    test: true,
                }),
                destination: destination(*to).id,
                number: 1,
                connection_may_be_kept: false,
            };
            (job.destination, verdict(&job, *status, rig.now))
        })
        .collect();
    let request = MailboxRequest::EndTrial {
        sequence: id.sequence,
        report: report(outcomes).unwrap(),
        answered,
    };
    rig.mailbox.handle(&rig.db, request, rig.now).unwrap()
}

fn states(rig: &Rig, id: EventId) -> Vec<(Status, usize)> {
    let deliveries = rig.view(id).deliveries.unwrap();
    let state =
        |delivery: &crate::mailbox::view::DeliveryView| (delivery.status, delivery.attempts.len());
    deliveries.iter().map(state).collect()
}

#[test]
fn a_trial_is_attempted_by_nobody_else() {
    let mut rig = Rig::new(2);
    rig.db.clear_alarm().unwrap();
    rig.mailbox.woken();
    let id = begin(&mut rig);
    assert_eq!(rig.alarm(), None, "nothing is due");
    assert_eq!(states(&rig, id), [(Status::Failed, 0), (Status::Failed, 0)]);
    let MailboxReply::Event(told) = end(&mut rig, id, &[(0, 200), (1, 503)]) else {
        panic!()
    };
    crate::openapi::check("Trial", std::slice::from_ref(&told));
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["event_id"], id.to_string());
    assert_eq!(told["attempts"][0]["status"], "delivered");
    assert_eq!(told["attempts"][1]["status"], "failed");
    assert_eq!(told["attempts"][1]["error"], "status 503");
    assert_eq!(
        states(&rig, id),
        [(Status::Delivered, 1), (Status::Failed, 1)]
    );
    rig.reopen();
    assert_eq!((rig.due(), rig.lease(6).len()), (None, 0));
    // Others are found past it.
    let next = rig.take("next");
    assert_eq!(rig.run(200), 2);
    assert_eq!(rig.view(next).status, Status::Delivered);
    assert_eq!(begin(&mut rig).shard, 0, "as often as is asked");
    assert!(
        rig.mailbox
            .health
            .iter()
            .all(|(_, health)| !health.is_down())
    );
}

#[test]
fn what_was_sent_again_or_has_gone_in_the_meantime_is_left_alone() {
    let mut rig = Rig::new(2);
    let id = begin(&mut rig);
    let second: DestinationId = destination(1).id;
    rig.mailbox
        .resend(&rig.db, id.sequence, Some(second), rig.now)
        .unwrap();
    let MailboxReply::Event(told) = end(&mut rig, id, &[(0, 200), (1, 503)]) else {
        panic!()
    };
    // Told is what the trial came to, not what the event is by now.
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["attempts"][1]["status_code"], 503);
    assert_eq!(told["attempts"][1]["status"], "failed");
    assert_eq!(states(&rig, id)[1], (Status::Pending, 0));
    assert_eq!(rig.run_all(200), 1);
    // A report that comes twice, or of what is not there, changes nothing.
    end(&mut rig, id, &[(0, 500), (1, 500), (5, 500)]);
    assert_eq!(
        states(&rig, id),
        [(Status::Delivered, 1), (Status::Delivered, 1)]
    );
    rig.mailbox.delete(&rig.db, id.sequence).unwrap();
    assert!(matches!(
        end(&mut rig, id, &[(0, 200)]),
        MailboxReply::NotFound
    ));
    let request = MailboxRequest::EndTrial {
        sequence: id.sequence,
        report: "{".into(),
        answered: Vec::new(),
    };
    assert!(rig.mailbox.handle(&rig.db, request, rig.now).is_err());
}

#[test]
fn the_end_of_a_trial_of_a_deleted_webhook_finds_nothing() {
    let mut rig = Rig::new(1);
    let id = begin(&mut rig);
    let webhook = rig.mailbox.config().unwrap().id;
    rig.mailbox.retire(&rig.db, webhook, 2).unwrap();
    assert!(matches!(
        end(&mut rig, id, &[(0, 200)]),
        MailboxReply::NotFound
    ));
}

#[test]
fn it_is_begun_with_the_configuration_that_made_it_only() {
    let mut rig = Rig::new(1);
    rig.change(|webhook| {
        webhook.is_active = false;
        webhook.is_paused = true;
    });
    begin(&mut rig);
    let mut ask = |version| {
        let accept = crate::messages::Accept {
            config_version: version,
            ..sample()
        };
        rig.mailbox.begin_trial(&rig.db, &accept, rig.now).unwrap()
    };
    assert_eq!(ask(1), AcceptReply::Stale { version: 2 });
    assert_eq!(ask(3), AcceptReply::Unconfigured);
    let webhook = rig.mailbox.config().unwrap().id;
    rig.mailbox.retire(&rig.db, webhook, 3).unwrap();
    let gone = rig.mailbox.begin_trial(&rig.db, &sample(), rig.now);
    assert_eq!(gone, Ok(AcceptReply::Stale { version: 3 }));
}

#[test]
fn a_number_that_may_have_stuck_is_not_given_again() {
    for call in 0.. {
        let mut rig = Rig::new(1);
        let db = Faulty::new(&rig.db);
        db.fail(call, Fault::Stuck);
        let begun = rig.mailbox.begin_trial(&db, &sample(), rig.now);
        if db.is_armed() {
            assert!(begun.is_ok() && call > 1);
            break;
        }
        assert!(begun.is_err());
        begin(&mut rig);
        rig.take("1");
        assert_eq!(rig.run(200), 1);
    }
}
