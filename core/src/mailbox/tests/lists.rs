//! Lists: what a page looks at is bounded, and following its cursors shows each event
//! that matches once, newest first, however many Mailboxes there are.

use super::*;
use crate::{
    delivery::{Attempt, Status},
    ids::WebhookId,
    mailbox::{
        deliveries::{Deliveries, History, State},
        merge::{asked_at_once, merge},
        scan::MOST_LOOKED_AT,
        view::{EventQuery, PAGE_BYTES},
    },
    messages::ShownEvents,
    testing::samples::destination,
    webhook::Retry,
};
use proptest::prelude::*;

/// A Mailbox of that webhook and shard, whose deliveries are tried twice.
pub(super) fn rig(webhook_number: u8, shard: u8, destinations: u8) -> Rig {
    let db = NativeDatabase::in_memory().unwrap();
    let mut mailbox = Mailbox::open(&db, None, START).unwrap();
    let mut webhook = webhook(destinations);
    webhook.id = WebhookId::from_random([webhook_number; 16]);
    webhook.retry = Retry::Custom {
        delays_seconds: vec![60.0],
    };
    mailbox.configure(&db, &webhook, shard, START).unwrap();
    Rig {
        db,
        mailbox,
        now: START,
    }
}

/// All pages from the first to the last, as the edge puts them together.
fn pages(rigs: &[Rig], query: &EventQuery, most: usize) -> Vec<ShownEvents> {
    let mut query = query.clone();
    let mut pages: Vec<ShownEvents> = Vec::new();
    loop {
        let mut merged = ShownEvents::default();
        for rig in rigs {
            let page = rig.mailbox.page(&rig.db, &query, most).unwrap();
            merge(
                &mut merged,
                page,
                usize::try_from(query.per_page.max(1)).unwrap(),
            );
        }
        let next = merged.next;
        assert!(query.before.is_none() || next < query.before, "no progress");
        pages.push(merged);
        if next.is_none() {
            return pages;
        }
        query.before = next;
    }
}

fn ids(pages: &[ShownEvents]) -> Vec<EventId> {
    let events = pages.iter().flat_map(|page| &page.data);
    events.map(|(id, _)| *id).collect()
}

/// What an operator would take for a match, event by event.
fn matches(view: &EventView, query: &EventQuery) -> bool {
    let at = view.id.sequence.at().millis();
    let summary = &view.summary;
    let texts = [
        &summary.transaction_id,
        &summary.description,
        &summary.account,
        &summary.amount,
    ];
    query.webhook_id.is_none_or(|id| id == view.webhook_id)
        && query.status.is_none_or(|status| status == view.status)
        && query
            .event
            .as_ref()
            .is_none_or(|name| Some(name) == view.event.as_ref())
        && query.from.is_none_or(|from| at >= from)
        && query.to.is_none_or(|to| at <= to)
        && query.q.as_ref().is_none_or(|q| {
            let mut texts = texts.into_iter().flatten();
            // The accents that are there at all.
            let plain = |text: &str| text.to_lowercase().replace('ễ', "e").replace('ă', "a");
            texts.any(|text| plain(text).contains(&plain(q)))
        })
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Take(u8),
    Run(u16),
    Lease(u16),
    Wait(u64),
    Cancel(usize),
    Delete(usize),
    Resend(usize),
    /// The object is made anew, its cursor as far as it may be.
    Reopen,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => any::<u8>().prop_map(Step::Take),
        2 => Just(Step::Run(200)),
        2 => Just(Step::Run(400)),
        2 => prop_oneof![Just(200), Just(400)].prop_map(Step::Lease),
        3 => prop_oneof![Just(1), Just(60_000)].prop_map(Step::Wait),
        1 => any::<usize>().prop_map(Step::Cancel),
        1 => any::<usize>().prop_map(Step::Delete),
        2 => any::<usize>().prop_map(Step::Resend),
        2 => Just(Step::Reopen),
    ]
}

pub(super) fn apply(rig: &mut Rig, events: &mut Vec<EventId>, step: &Step) {
    let chosen = |which: usize| events.get(which % events.len().max(1)).copied();
    match *step {
        Step::Take(kind) => {
            let mut new = event(&format!("{}", events.len()), b"{}");
            new.name = [None, Some("paid"), Some("refund")][usize::from(kind % 3)].map(Into::into);
            new.summary.amount = Some(u32::from(kind).to_string());
            let accepted = rig.offer(vec![new]);
            let AcceptReply::Taken(taken) = accepted.reply else {
                panic!("not taken");
            };
            if let [Taken::New(id)] = taken.as_slice() {
                events.push(*id);
            }
        }
        Step::Run(status) => drop(rig.run(status)),
        Step::Lease(status) => {
            for job in rig.lease(1) {
                rig.finish(&job, status);
            }
        }
        Step::Wait(time) => rig.wait(millis(time)),
        Step::Cancel(which) => {
            if let Some(id) = chosen(which) {
                rig.mailbox.cancel(&rig.db, id.sequence).unwrap();
            }
        }
        Step::Delete(which) => {
            if let Some(id) = chosen(which) {
                rig.mailbox.delete(&rig.db, id.sequence).unwrap();
            }
        }
        Step::Resend(which) => {
            if let Some(id) = chosen(which) {
                let now = rig.now;
                rig.mailbox.resend(&rig.db, id.sequence, None, now).unwrap();
            }
        }
        Step::Reopen => {
            rig.db
                .run(
                    "INSERT OR REPLACE INTO meta (name, value) SELECT 'cursor',
                     ifnull((SELECT min(seq) FROM events WHERE fresh = 1),
                            (SELECT ifnull(max(seq), 0) + 1 FROM events))",
                    &[],
                )
                .unwrap();
            // A number may be given again when the newest is deleted within its millisecond.
            rig.wait(millis(1));
            rig.reopen();
        }
    }
}

fn query() -> impl Strategy<Value = EventQuery> {
    let status = prop_oneof![
        2 => Just(None),
        2 => Just(Some(Status::Pending)),
        1 => Just(Some(Status::Delivered)),
        1 => Just(Some(Status::Failed)),
        1 => Just(Some(Status::Cancelled)),
    ];
    let name = prop::option::weighted(0.3, Just("paid".to_owned()));
    let q = prop::option::weighted(0.3, prop_oneof![Just("1"), Just("23"), Just("NGUYEN v")]);
    let webhook = prop::option::weighted(0.2, 1_u8..3);
    let time = || prop::option::weighted(0.3, 0_i64..200_000);
    (1_u32..6, status, name, q, webhook, time(), time()).prop_map(
        |(per_page, status, event, q, webhook, from, to)| EventQuery {
            per_page,
            before: None,
            webhook_id: webhook.map(|n| WebhookId::from_random([n; 16])),
            status,
            event,
            from: from.map(|from| START.millis() + from),
            to: to.map(|to| START.millis() + to),
            q: q.map(str::to_owned),
            include_attempts: false,
            pass: None,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn cursors_lead_to_all_that_match_once_and_in_order(
        lives in prop::collection::vec(prop::collection::vec(step(), 0..40), 1..5),
        queries in prop::collection::vec((query(), 1_usize..9), 8),
    ) {
        let mut rigs = Vec::new();
        let mut views = Vec::new();
        for (n, life) in lives.iter().enumerate() {
            let n = u8::try_from(n).unwrap();
            // Webhooks 1 and 2, shards 0 and 1.
            let mut rig = rig(1 + n % 2, n / 2, 1 + n % 3);
            let mut events = Vec::new();
            for step in life {
                apply(&mut rig, &mut events, step);
            }
            let stored = events.iter().filter_map(|id| rig.mailbox.get(&rig.db, id.sequence).unwrap());
            views.extend(stored);
            rigs.push(rig);
        }
        views.sort_by_key(|view| std::cmp::Reverse(view.id));
        for (query, most) in queries {
            let expected: Vec<EventId> = views
                .iter()
                .filter(|view| matches(view, &query))
                .map(|view| view.id)
                .collect();
            let pages = pages(&rigs, &query, most);
            for page in &pages {
                prop_assert!(page.data.len() <= usize::try_from(query.per_page).unwrap());
            }
            prop_assert_eq!(ids(&pages), expected, "{:?}, looking at {}", query, most);
        }
    }
}

/// Takes so many, a millisecond apart from one batch to the next.
fn take_many(rig: &mut Rig, from: usize, count: usize) {
    for chunk in (from..from + count).collect::<Vec<_>>().chunks(100) {
        let batch = chunk.iter().map(|n| event(&n.to_string(), b"{}")).collect();
        rig.offer(batch);
        rig.wait(millis(1));
    }
}

#[test]
fn a_page_that_finds_nothing_ends_after_a_thousand_events_and_says_where() {
    let mut rig = Rig::new(1);
    take_many(&mut rig, 0, MOST_LOOKED_AT + 500);
    let for_query = |query: EventQuery| rig.mailbox.list(&rig.db, &query).unwrap();
    for mut query in [
        EventQuery {
            q: Some("nowhere".into()),
            ..EventQuery::default()
        },
        EventQuery {
            event: Some("nowhere".into()),
            ..EventQuery::default()
        },
        EventQuery {
            status: Some(Status::Failed),
            per_page: 100,
            ..EventQuery::default()
        },
    ] {
        let page = for_query(query.clone());
        assert!(page.data.is_empty());
        let next = page.next.expect("there is more");
        let newer = rig.number(&format!(
            "SELECT count(*) FROM events WHERE seq >= {}",
            next.sequence.number()
        ));
        assert_eq!(usize::try_from(newer).unwrap(), MOST_LOOKED_AT);
        query.before = Some(next);
        assert_eq!(for_query(query), ShownEvents::default());
    }
    // What matches everywhere fills its page.
    let page = for_query(EventQuery {
        q: Some("dh1234".into()),
        per_page: 100,
        ..EventQuery::default()
    });
    assert_eq!(page.data.len(), 100);
}

#[test]
fn the_few_that_are_pending_are_found_at_once_however_old() {
    let mut rig = Rig::new(2);
    take_many(&mut rig, 0, 3);
    while rig.run(400) > 0 {}
    take_many(&mut rig, 3, MOST_LOOKED_AT + 500);
    while rig.run(200) > 0 {}
    let query = EventQuery {
        status: Some(Status::Pending),
        per_page: 2,
        ..EventQuery::default()
    };
    let pages = pages(std::slice::from_ref(&rig), &query, MOST_LOOKED_AT);
    let sizes: Vec<usize> = pages.iter().map(|page| page.data.len()).collect();
    assert_eq!(sizes, [2, 1]);
    // A first attempt is still to be made of the newest.
    let newest = rig.take("newest");
    let page = rig.mailbox.list(&rig.db, &query).unwrap();
    assert_eq!((page.data.len(), page.data[0].0), (2, newest));
}

#[test]
fn what_waits_is_found_by_its_index() {
    let rig = Rig::new(2);
    let plan = |sql: &str| -> String {
        let explain = format!("EXPLAIN QUERY PLAN {sql}");
        let sql = explain.replace('?', "7");
        let rows = rig.db.run(&sql, &[]).unwrap();
        let steps: Vec<&str> = rows.iter().map(|row| row.text(3).unwrap()).collect();
        steps.join("; ")
    };
    let destinations = [destination(0).id, destination(1).id];
    let sql = [
        "SELECT seq",
        &crate::mailbox::waiting::events(&destinations),
    ]
    .concat();
    let plan_of_waiting =
        plan(&[&sql, " AND status = 'pending' ORDER BY seq DESC LIMIT ?"].concat());
    assert!(
        plan_of_waiting.contains("SEARCH events USING INTEGER PRIMARY KEY (rowid=?)")
            && plan_of_waiting
                .contains("SEARCH waiting USING PRIMARY KEY (destination=? AND seq>? AND seq<?)"),
        "{plan_of_waiting}"
    );
}

/// As much about a delivery's attempts as is kept.
fn long_history() -> History {
    let mut history = History::default();
    for _ in 0..30 {
        history.push(Attempt {
            number: 0,
            started_at: START,
            duration_ms: 7,
            status_code: Some(500),
            error: Some("x".repeat(400)),
            response_body: "ế\n".repeat(400),
        });
    }
    history
}

/// An event all of whose deliveries have failed after so much.
fn heavy(rig: &mut Rig, id: &str, history: &History) -> EventId {
    let id = rig.take(id);
    let mut deliveries = Deliveries::load(&rig.db, id.sequence).unwrap().unwrap();
    for record in &mut deliveries.0 {
        record.set(State::Failed, history.clone());
    }
    deliveries.save(&rig.db, id.sequence, None).unwrap();
    id
}

fn weight(page: &ShownEvents) -> usize {
    page.data.iter().map(|(_, json)| json.len()).sum()
}

#[test]
fn with_all_attempts_of_many_shards_little_is_held_at_once() {
    const SHARDS: u8 = 40;
    const EVENTS: usize = 18;
    let mut rigs: Vec<Rig> = (0..SHARDS).map(|shard| rig(1, shard, 2)).collect();
    let history = long_history();
    let mut stored = Vec::new();
    for n in 0..EVENTS {
        for rig in &mut rigs {
            stored.push(heavy(rig, &n.to_string(), &history));
            rig.wait(millis(10));
        }
    }
    stored.sort_by_key(|id| std::cmp::Reverse(*id));
    let query = EventQuery {
        per_page: 100,
        include_attempts: true,
        ..EventQuery::default()
    };
    let (mut held_most, mut one) = (0, 0);
    // As the edge asks them.
    let mut merged = ShownEvents::default();
    for some in rigs.chunks(asked_at_once(&query)) {
        let ask = |rig: &Rig| rig.mailbox.list(&rig.db, &query).unwrap();
        let pages: Vec<ShownEvents> = some.iter().map(ask).collect();
        held_most = held_most.max(weight(&merged) + pages.iter().map(weight).sum::<usize>());
        for page in pages {
            assert!(weight(&page) <= PAGE_BYTES, "{}", weight(&page));
            assert!(page.data.len() < EVENTS && page.next.is_some());
            one = page.data[0].1.len();
            merge(&mut merged, page, 100);
            assert!(weight(&merged) <= PAGE_BYTES);
        }
    }
    let found = ids(&[merged]);
    assert!(found.len() > 5, "{}", found.len());
    assert_eq!(found, stored[..found.len()]);
    let bound = (asked_at_once(&query) + 1) * PAGE_BYTES;
    assert!(held_most <= bound, "{held_most}");
    // All of them at once would be far more.
    assert!(one * EVENTS * usize::from(SHARDS) > 6 * bound, "{one}");

    // To the end, with fewer.
    rigs.truncate(2);
    let expected = stored.into_iter().filter(|id| id.shard < 2);
    let pages = pages(&rigs, &query, MOST_LOOKED_AT);
    assert_eq!(ids(&pages), expected.collect::<Vec<_>>());
    assert!(pages.len() > 2);
}
