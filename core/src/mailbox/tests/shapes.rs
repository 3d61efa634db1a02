//! What the API shows of an event, letter for letter.

use super::*;
use crate::mailbox::merge::events_json;
use crate::{mailbox::view::EventQuery, messages::MailboxReply, messages::MailboxRequest};
use serde_json::{Value, json};

fn rig_with_attempts() -> (Rig, EventId) {
    let mut rig = Rig::new(2);
    let id = rig.take("FT1");
    let jobs = rig.lease(6);
    rig.finish(&jobs[0], 200);
    let mut refused = verdict(&jobs[1], 500, rig.now.plus(millis(5)));
    refused.attempt.response_body = "Ối".into();
    rig.finish_with(&jobs[1], refused);
    (rig, id)
}

fn in_a_list(id: EventId) -> Value {
    json!({
        "id": id.to_string(),
        "webhook_id": "wh_0s3ge1o70s3ge1o70s3ge1o70s",
        "provider": "casso",
        "event": "payment",
        "object_id": "FT1",
        "key": hex::encode(event("FT1", b"").key),
        "received_at": "2026-11-20T07:00:00.000Z",
        "status": "pending",
        "test": false,
        "conflicts": 0,
        "attempts": 2,
        "last_status_code": 500,
        "last_error": "status 500",
        "next_attempt_at": "2026-11-20T07:01:00.000Z",
        "summary": {
            "bank": "VCB",
            "account": null,
            "direction": null,
            "amount": "200500",
            "transaction_id": "FT1",
            "description": "Nguyễn Văn A chuyển tiền DH1234",
            "payer": null,
            "currency": null,
            "occurred_at": null
        }
    })
}

fn deliveries() -> Value {
    json!([
        {
            "destination_id": "dst_0000000000000",
            "url": "https://shop.example/0",
            "status": "delivered",
            "attempts": [{
                "number": 1,
                "started_at": "2026-11-20T07:00:00.000Z",
                "duration_ms": 120,
                "status_code": 200,
                "error": null,
                "response_body": ""
            }]
        },
        {
            "destination_id": "dst_040g2081040g2",
            "url": "https://shop.example/1",
            "status": "pending",
            "attempts": [{
                "number": 1,
                "started_at": "2026-11-20T07:00:00.005Z",
                "duration_ms": 120,
                "status_code": 500,
                "error": "status 500",
                "response_body": "Ối"
            }]
        }
    ])
}

#[test]
fn an_event_in_a_list() {
    let (mut rig, id) = rig_with_attempts();
    let mut list = |include_attempts| {
        let query = EventQuery {
            include_attempts,
            ..EventQuery::default()
        };
        let reply = rig
            .mailbox
            .handle(&rig.db, MailboxRequest::List(query), START)
            .unwrap();
        match reply {
            MailboxReply::Page(page) => {
                serde_json::from_str::<serde_json::Value>(&events_json(&page)).unwrap()
            }
            other => panic!("not a page: {other:?}"),
        }
    };
    assert_eq!(
        list(false),
        json!({"data": [in_a_list(id)], "next_cursor": null})
    );
    let mut with_attempts = in_a_list(id);
    with_attempts["deliveries"] = deliveries();
    assert_eq!(list(true)["data"], json!([with_attempts]));
}

#[test]
fn one_event_whole() {
    let (mut rig, id) = rig_with_attempts();
    let reply = rig
        .mailbox
        .handle(&rig.db, MailboxRequest::Get(id.sequence), START)
        .unwrap();
    let MailboxReply::Event(view) = reply else {
        panic!("not an event: {reply:?}");
    };
    let mut expected = in_a_list(id);
    expected["headers"] = json!({
        "content-type": "application/json",
        "secure-token": rig.view(id).headers.unwrap()["secure-token"],
    });
    expected["query"] = json!("");
    expected["body"] = json!("{}");
    expected["deliveries"] = deliveries();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&view).unwrap(),
        expected
    );
}

#[test]
fn a_body_that_is_not_text_is_shown_in_base64() {
    let mut rig = Rig::new(1);
    let reply = rig.offer(vec![event("1", &[0xff, 0, 0xfe])]).reply;
    let AcceptReply::Taken(taken) = reply else {
        panic!("{reply:?}");
    };
    let Taken::New(id) = taken[0] else {
        panic!("{taken:?}");
    };
    let view = rig.view(id);
    assert_eq!((view.body, view.body_base64), (None, Some("/wD+".into())));
}

#[test]
fn credentials_among_the_headers_are_masked_in_the_view_and_whole_on_the_way() {
    let mut rig = Rig::new(1);
    rig.change(|webhook| webhook.settings.header = Some("Secure-Token".into()));
    let id = rig.take("1");
    let headers = rig.view(id).headers.unwrap();
    assert_eq!(headers["secure-token"], "***5678");
    let job = rig.lease_one();
    assert_eq!(
        job.event.envelope.headers.get("secure-token"),
        Some("0123456789abcdef5678")
    );
}

#[test]
fn header_changes_of_a_split_body_are_kept_with_its_event() {
    let mut rig = Rig::new(1);
    let mut split = event("1", b"[1]");
    split.header_changes = vec![
        ("Secure-Token".into(), Some("new".into())),
        ("content-type".into(), None),
    ];
    rig.offer(vec![split, event("2", b"[2]")]);
    let jobs = rig.lease(2);
    let of = |job: &Job| -> Vec<(String, String)> {
        job.event
            .envelope
            .headers
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    assert_eq!(of(&jobs[0]), [("secure-token".into(), "new".into())]);
    assert_eq!(of(&jobs[1]).len(), 2);
}

#[test]
fn a_page_goes_on_behind_an_event_of_another_shard() {
    let mut rig = Rig::new(1);
    let here = rig.take("1");
    let page = |shard: u8, webhook: u8| {
        let before = EventId {
            sequence: here.sequence,
            webhook: crate::ids::WebhookId::from_random([webhook; 16]),
            shard,
        };
        let query = EventQuery {
            before: Some(before),
            ..EventQuery::default()
        };
        rig.mailbox.list(&rig.db, &query).unwrap().data.len()
    };
    // (webhook 7, shard 0) is this Mailbox's own.
    assert_eq!(page(0, 7), 0);
    assert_eq!(page(1, 7), 1);
    assert_eq!(page(0, 8), 1);
    assert_eq!(page(9, 6), 0);
}

#[test]
fn there_is_no_event_and_it_is_said() {
    let mut rig = Rig::new(1);
    for request in [
        MailboxRequest::Get(Sequence::default()),
        MailboxRequest::Resend {
            sequence: Sequence::default(),
            destination: None,
        },
    ] {
        let reply = rig.mailbox.handle(&rig.db, request, START).unwrap();
        assert!(matches!(reply, MailboxReply::NotFound), "{reply:?}");
    }
}
