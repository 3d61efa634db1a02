//! A station with a thousand webhooks: lists, figures and jobs over all of them, with each
//! request asking no more Mailboxes than the platform's Free plan allows.

use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};
use tram_tests::{PATIENCE, Station, Webhook, wait_until};

const WEBHOOKS: usize = 1_000;
/// Of so many something has come to each n-th.
const EACH: usize = 25;
/// What one request may ask on the Free plan.
const FREE_PLAN: u64 = 50;

/// Creates them, some at a time.
fn create(station: &Station) -> Vec<Webhook> {
    let left = AtomicUsize::new(WEBHOOKS);
    let one_after_the_other = || {
        let mut made = Vec::new();
        while left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_ok()
        {
            made.push(station.create_webhook(&json!({
                "provider": "casso", "webhook_url": "http://127.0.0.1:9/", "is_paused": true,
            })));
        }
        made
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(one_after_the_other)).collect();
        let made = threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("made"));
        made.collect()
    })
}

#[test]
fn a_thousand_webhooks_are_listed_counted_and_sent_again_as_a_whole() {
    let station = Station::builder().counting().start();
    let webhooks = create(&station);
    let mut sent = Vec::new();
    for number in 1..3 {
        for webhook in webhooks.iter().step_by(EACH) {
            sent.push(station.send_transaction(webhook, number));
        }
    }
    sent.sort_by(|one, other| other.cmp(one));

    let (mut listed, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let before = station.calls("Mailbox").0;
        let path = format!("/events?per_page=100{cursor}");
        let page = station.api_expecting(200, "GET", &path, None);
        let asked = station.calls("Mailbox").0 - before;
        assert!(asked < FREE_PLAN, "{asked} Mailboxes asked for a page");
        let events = page["data"].as_array().expect("a list");
        listed.extend(
            events
                .iter()
                .map(|event| event["id"].as_str().expect("an id").to_owned()),
        );
        pages += 1;
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(listed, sent);
    assert!(pages > 25, "{pages} pages");

    // Each answer asks some of them anew, until all have told.
    let mut answers = 0;
    let stats = loop {
        let before = station.calls("Mailbox").0;
        let stats = station.api_expecting(200, "GET", "/stats", None);
        let asked = station.calls("Mailbox").0 - before;
        assert!(asked < FREE_PLAN, "{asked} Mailboxes asked for figures");
        answers += 1;
        if stats.get("complete").is_none() {
            break stats;
        }
        assert!(answers <= WEBHOOKS / 40, "not complete after {answers}");
    };
    assert_eq!(stats["counts"]["pending"], sent.len());
    assert_eq!(
        stats["destinations"].as_array().map(Vec::len),
        Some(WEBHOOKS)
    );

    let begun = station.api_expecting(202, "POST", "/events/cancel?status=pending", None);
    assert_eq!(begun["done"], false);
    let path = format!("/jobs/{}", begun["job_id"].as_str().expect("an id"));
    let done: Value = wait_until("the job to be done", PATIENCE * 4, || {
        let told = station.api_expecting(200, "GET", &path, None);
        (told["done"] == true).then_some(told)
    });
    assert_eq!(done["matched"], sent.len());
    let distinct: BTreeSet<_> = sent.iter().collect();
    assert_eq!(distinct.len(), sent.len());
}
