//! The Mailbox's statements as named cases that run on any [`Database`]: natively
//! in a unit test, and inside a real Durable Object. Each case gets a new, empty
//! database. Nothing here panics, sleeps or asks for the time.

use super::samples::{START, accept, destination, event, refused, verdict, webhook};
use crate::{
    database::{Database, DatabaseError, Value},
    delivery::{Job, Status},
    event::NewEvent,
    ids::{EventId, Sequence},
    mailbox::{
        Mailbox, MailboxError,
        view::{EventQuery, EventView},
    },
    messages::{AcceptReply, MailboxReply, MailboxRequest, Taken},
    time::{DAY, HOUR, MINUTE, Timestamp},
    webhook::{Retry, Webhook},
};
use std::{fmt::Debug, time::Duration};

type Outcome = Result<(), String>;

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        /// The names of all cases.
        #[must_use]
        pub const fn names() -> &'static [&'static str] {
            &[$(stringify!($name)),*]
        }

        /// Runs one case on a new, empty database.
        ///
        /// # Errors
        /// What was not as it should be, or that there is no such case.
        pub fn run(name: &str, db: &impl Database) -> Result<(), String> {
            match name {
                $(stringify!($name) => $name(db),)*
                _ => Err(["no such case: ", name].concat()),
            }
        }
    };
}

cases![
    opening_again_finds_everything,
    a_new_event_and_its_duplicate,
    a_batch_of_old_new_and_twins,
    nothing_is_taken_but_the_version_is_told,
    a_batch_of_a_thousand,
    delivered_at_the_first_attempt,
    retried_until_taken,
    a_used_up_schedule_fails_and_a_repeat_is_a_wish,
    several_destinations_live_for_themselves,
    resending_goes_on_counting,
    bodies_come_back_byte_for_byte,
    texts_come_back_as_they_were,
    numbers_of_53_bits,
    pages_and_filters,
    conflicts_are_counted_to_five,
    test_calls_stand_outside_of_memory,
    a_removed_destination_is_cancelled,
    immense_texts_do_not_lose_the_event,
    a_retired_mailbox_stays_gone,
    a_deletion_that_was_undone_begins_anew,
    what_fails_is_rolled_back,
    refusals_are_one_row,
    the_platform_s_limits,
];

fn equal<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Outcome {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: {found:?} instead of {expected:?}"))
    }
}

fn said(error: impl ToString) -> String {
    error.to_string()
}

fn nothing<T>(what: &str) -> impl FnOnce() -> Result<T, String> {
    move || Err(["nothing found: ", what].concat())
}

fn opened(db: &impl Database) -> Result<Mailbox, String> {
    let mut mailbox = Mailbox::open(db, None, START).map_err(said)?;
    mailbox.configure(db, &webhook(1), 0, START).map_err(said)?;
    Ok(mailbox)
}

fn take(
    mailbox: &mut Mailbox,
    db: &impl Database,
    events: Vec<NewEvent>,
    now: Timestamp,
) -> Result<Vec<Taken>, String> {
    let accepted = mailbox.accept(db, &accept(events), now).map_err(said)?;
    match accepted.reply {
        AcceptReply::Taken(taken) => Ok(taken),
        other => Err(format!("not taken: {other:?}")),
    }
}

fn take_new(
    mailbox: &mut Mailbox,
    db: &impl Database,
    new: NewEvent,
    now: Timestamp,
) -> Result<EventId, String> {
    match take(mailbox, db, vec![new], now)?.as_slice() {
        [Taken::New(id) | Taken::Test(Some(id))] => Ok(*id),
        other => Err(format!("not new: {other:?}")),
    }
}

fn lease_one(mailbox: &mut Mailbox, db: &impl Database, now: Timestamp) -> Result<Job, String> {
    mailbox
        .lease(db, now, 1)
        .map_err(said)?
        .pop()
        .map_or_else(nothing("a job"), Ok)
}

/// Leases one, and the origin answers with that status.
fn attempt(
    mailbox: &mut Mailbox,
    db: &impl Database,
    status: u16,
    now: Timestamp,
) -> Result<u32, String> {
    let job = lease_one(mailbox, db, now)?;
    mailbox
        .finish(db, &job, verdict(&job, status, now), now, 0.0)
        .map_err(said)?;
    Ok(job.number)
}

fn shown(mailbox: &Mailbox, db: &impl Database, id: EventId) -> Result<EventView, String> {
    mailbox
        .get(db, id.sequence)
        .map_err(said)?
        .map_or_else(nothing("the event"), Ok)
}

fn rows(db: &impl Database, table: &str) -> Result<i64, String> {
    let found = db
        .run(&["SELECT count(*) FROM ", table].concat(), &[])
        .map_err(said)?;
    found
        .first()
        .map_or_else(nothing("a count"), |row| row.integer(0).map_err(said))
}

fn opening_again_finds_everything(db: &impl Database) -> Outcome {
    let mut mailbox = opened(db)?;
    let first = take_new(&mut mailbox, db, event("1", b"{}"), START)?;
    let second = take_new(&mut mailbox, db, event("2", b"{}"), START)?;
    attempt(&mut mailbox, db, 500, START)?;
    let mut again = Mailbox::open(db, None, START).map_err(said)?;
    equal("configuration", again.config(), Some(&webhook(1)))?;
    equal(
        "the fresh one",
        lease_one(&mut again, db, START)?.event.id,
        second,
    )?;
    equal(
        "the waiting one",
        lease_one(&mut again, db, START.plus(MINUTE))?.event.id,
        first,
    )?;
    let third = take_new(&mut again, db, event("3", b"{}"), START)?;
    equal("numbers grow", third > second, true)
}

fn a_new_event_and_its_duplicate(db: &impl Database) -> Outcome {
    let mut mailbox = opened(db)?;
    take_new(&mut mailbox, db, event("1", b"{}"), START)?;
    let memory = DAY.saturating_mul(webhook(1).dedupe_days);
    let repeat = |delivered: bool| {
        vec![Taken::Duplicate {
            delivered,
            known_until: delivered.then(|| START.plus(memory)),
        }]
    };
    equal(
        "pending",
        take(&mut mailbox, db, vec![event("1", b"{}")], START)?,
        repeat(false),
    )?;
    attempt(&mut mailbox, db, 200, START)?;
    equal(
        "delivered",
        take(&mut mailbox, db, vec![event("1", b"{}")], START)?,
        repeat(true),
    )?;
    // Memory that answered this one would hide it from the Mailbox, which notes it.
    equal(
        "delivered, with another body",
        take(&mut mailbox, db, vec![event("1", b"[]")], START)?,
        repeat(false),
    )?;
    equal("rows", rows(db, "events")?, 1)
}

fn a_batch_of_old_new_and_twins(db: &impl Database) -> Outcome {
    let mut mailbox = opened(db)?;
    take_new(&mut mailbox, db, event("1", b"{}"), START)?;
    let batch = ["1", "2", "3", "2"].map(|id| event(id, b"{}")).to_vec();
    let taken = take(&mut mailbox, db, batch, START)?;
    equal(
        "taken",
        matches!(
            taken.as_slice(),
            [
                Taken::Duplicate { .. },
                Taken::New(_),
                Taken::New(_),
                Taken::Duplicate { .. }
            ]
        ),
        true,
    )?;
    equal("rows", rows(db, "events")?, 3)
}

fn nothing_is_taken_but_the_version_is_told(db: &impl Database) -> Outcome {
    let mut mailbox = opened(db)?;
    equal("taken", take(&mut mailbox, db, Vec::new(), START)?, vec![])?;
    let mut older = accept(Vec::new());
    older.config_version = 0;
    let stale = mailbox.accept(db, &older, START).map_err(said)?;
    equal(
        "with an older configuration",
        stale.reply,
        AcceptReply::Stale { version: 1 },
    )?;
    equal("rows", rows(db, "events")?, 0)
}

fn a_batch_of_a_thousand(db: &impl Database) -> Outcome {
    let mut mailbox = opened(db)?;
    let batch = (0..1_000)
        .map(|n: u32| event(&n.to_string(), b"{}"))
        .collect();
    let taken = take(&mut mailbox, db, batch, START)?;
    let new = taken.iter().filter(|one| matches!(one, Taken::New(_)));
    equal("new", new.count(), 1_000)?;
    let mut leased = 0_usize;
    loop {
        let jobs = mailbox.lease(db, START, 100).map_err(said)?;
        if jobs.is_empty() {
            break;
        }
        for job in &jobs {
            leased = leased.saturating_add(1);
            mailbox
                .finish(db, job, verdict(job, 204, START), START, 0.0)
                .map_err(said)?;
        }
    }
    equal("leased", leased, 1_000)
}

fn delivered_at_the_first_attempt(db: &impl Database) -> Outcome {
    let mut mailbox = opened(db)?;
    let id = take_new(&mut mailbox, db, event("1", b"{}"), START)?;
    mailbox.begin_run();
    equal("number", attempt(&mut mailbox, db, 200, START)?, 1)?;
    equal(
        "nothing more",
        mailbox.next_due(db, START).map_err(said)?,
        None,
    )?;
    mailbox.end_run(db, START).map_err(said)?;
    let view = shown(&mailbox, db, id)?;
    equal("status", view.status, Status::Delivered)?;
    equal("attempts", view.attempts, 1)?;
    equal("status code", view.last_status_code, Some(200))
}

fn retried_until_taken(db: &impl Database) -> Outcome {
    let mut mailbox = opened(db)?;
    let id = take_new(&mut mailbox, db, event("1", b"{}"), START)?;
    let mut now = START;
    for (number, minutes) in [(1, 1), (2, 1), (3, 2), (4, 3)] {
        equal("number", attempt(&mut mailbox, db, 503, now)?, number)?;
        let due = now.plus(MINUTE.saturating_mul(minutes));
        equal("due", mailbox.next_due(db, now).map_err(said)?, Some(due))?;
        let early = due.minus(Duration::from_millis(1));
        equal(
            "not early",
            mailbox.lease(db, early, 6).map_err(said)?.len(),
            0,
        )?;
        now = due;
    }
    attempt(&mut mailbox, db, 200, now)?;
    let view = shown(&mailbox, db, id)?;
    equal("status", view.status, Status::Delivered)?;
    equal("attempts", view.attempts, 5)?;
    equal("waiting", rows(db, "waiting")?, 0)
}

fn a_used_up_schedule_fails_and_a_repeat_is_a_wish(db: &impl Database) -> Outcome {
    let mut mailbox = opened(db)?;
    let mut short = webhook(1);
    short.version = 2;
    short.retry = Retry::Custom {
        delays_seconds: vec![1.5],
    };
    mailbox.configure(db, &short, 0, START).map_err(said)?;
    let mut request = accept(vec![event("1", b"{}")]);
    request.config_version = 2;
    mailbox.accept(db, &request, START).map_err(said)?;
    attempt(&mut mailbox, db, 500, START)?;
    let later = START.plus(Duration::from_millis(1_500));
    attempt(&mut mailbox, db, 500, later)?;
    let failed = EventQuery {
        status: Some(Status::Failed),
        ..EventQuery::default()
    };
    let page = mailbox.list(db, &failed).map_err(said)?;
    equal("failed", page.data.len(), 1)?;
    let reply = mailbox.accept(db, &request, later).map_err(said)?.reply;
    equal(
        "the repeat",
        reply,
        AcceptReply::Taken(vec![Taken::Duplicate {
            delivered: false,
            known_until: None,
        }]),
    )?;
    equal("number", attempt(&mut mailbox, db, 200, later)?, 3)
}

fn several_destinations_live_for_themselves(db: &impl Database) -> Outcome {
    let mut mailbox = Mailbox::open(db, None, START).map_err(said)?;
    mailbox.configure(db, &webhook(3), 0, START).map_err(said)?;
    let id = take_new(&mut mailbox, db, event("1", b"{}"), START)?;
    let jobs = mailbox.lease(db, START, 6).map_err(said)?;
    equal("jobs", jobs.len(), 3)?;
    for (job, status) in jobs.iter().zip([200, 500, 404]) {
        mailbox
            .finish(db, job, verdict(job, status, START), START, 0.0)
            .map_err(said)?;
    }
    let view = shown(&mailbox, db, id)?;
    equal("status", view.status, Status::Pending)?;
    let states: Vec<Status> = view
        .deliveries
        .iter()
        .flatten()
        .map(|delivery| delivery.status)
        .collect();
    equal(
        "each",
        states,
        vec![Status::Delivered, Status::Pending, Status::Pending],
    )?;
    for _ in 0..2 {
        attempt(&mut mailbox, db, 200, START.plus(MINUTE))?;
    }
    equal(
        "in the end",
        shown(&mailbox, db, id)?.status,
        Status::Delivered,
    )
}

fn resending_goes_on_counting(db: &impl Database) -> Outcome {
    let mut mailbox = opened(db)?;
    let id = take_new(&mut mailbox, db, event("1", b"{}"), START)?;
    attempt(&mut mailbox, db, 200, START)?;
    let mut now = START.plus(DAY.saturating_mul(5));
    for number in 2..32 {
        let queued = mailbox.resend(db, id.sequence, None, now).map_err(said)?;
        equal("queued", queued, Some(1))?;
        equal("number", attempt(&mut mailbox, db, 200, now)?, number)?;
        now = now.plus(HOUR);
    }
    let view = shown(&mailbox, db, id)?;
    equal("attempts", view.attempts, 31)?;
    let kept = view
        .deliveries
        .iter()
        .flatten()
        .map(|delivery| delivery.attempts.len())
        .sum();
    equal("kept", kept, 25_usize)?;
    let other = Some(destination(9).id);
    equal(
        "unknown destination",
        mailbox.resend(db, id.sequence, other, now).map_err(said)?,
        None,
    )
}

fn bodies_come_back_byte_for_byte(db: &impl Database) -> Outcome {
    let all_bytes: Vec<u8> = (0..=u8::MAX).collect();
    let bodies = [
        Vec::new(),
        vec![0],
        all_bytes.clone(),
        vec![b'a'; 4_096],
        all_bytes.repeat(4_096),
        vec![0xff; 1_572_864],
    ];
    let mut mailbox = opened(db)?;
    for (n, body) in bodies.iter().enumerate() {
        let id = take_new(&mut mailbox, db, event(&n.to_string(), body), START)?;
        let job = lease_one(&mut mailbox, db, START)?;
        equal("length", job.event.body.len(), body.len())?;
        equal("bytes", job.event.body == *body, true)?;
        equal(
            "header",
            job.event.envelope.headers.get("content-type"),
            Some("application/json"),
        )?;
        mailbox
            .finish(db, &job, verdict(&job, 200, START), START, 0.0)
            .map_err(said)?;
        let view = shown(&mailbox, db, id)?;
        equal(
            "shown as text",
            view.body.is_some(),
            std::str::from_utf8(body).is_ok(),
        )?;
    }
    Ok(())
}

fn texts_come_back_as_they_were(db: &impl Database) -> Outcome {
    let mut mailbox = opened(db)?;
    let texts = [
        "",
        "Nguyễn Thị Ánh chuyển tiền đơn hàng №5",
        "a\0b",
        "'; DROP TABLE events; --",
        "100% _ \\ \"",
        "😀\u{202e}",
        "\u{feff}a byte order mark",
    ];
    for (n, text) in texts.into_iter().enumerate() {
        let mut new = event(&n.to_string(), text.as_bytes());
        new.name = Some(text.to_owned());
        new.object_id = Some(text.to_owned());
        new.summary.description = Some(text.to_owned());
        let id = take_new(&mut mailbox, db, new, START)?;
        let view = shown(&mailbox, db, id)?;
        equal("name", view.event.as_deref(), Some(text))?;
        equal("object", view.object_id.as_deref(), Some(text))?;
        equal(
            "description",
            view.summary.description.as_deref(),
            Some(text),
        )?;
        equal("body", view.body.as_deref(), Some(text))?;
        let by_name = EventQuery {
            event: Some(text.to_owned()),
            ..EventQuery::default()
        };
        let page = mailbox.list(db, &by_name).map_err(said)?;
        equal("found by name", page.data.len(), 1)?;
    }
    Ok(())
}

fn numbers_of_53_bits(db: &impl Database) -> Outcome {
    let mut mailbox = opened(db)?;
    // The last moment that a number can name: in the year 2248.
    let late = Timestamp::from_millis(((1_i64 << 53) - 1).div_euclid(1_024));
    let id = take_new(&mut mailbox, db, event("1", b"{}"), late)?;
    equal(
        "found",
        shown(&mailbox, db, id)?.received_at,
        late.to_rfc3339(),
    )?;
    attempt(&mut mailbox, db, 500, late)?;
    equal(
        "due",
        mailbox.next_due(db, late).map_err(said)?,
        Some(late.plus(MINUTE)),
    )?;
    let exact = (1_i64 << 53) - 1;
    let back = db
        .run("SELECT ?, ? + 0", &vec![Value::Integer(exact); 2])
        .map_err(said)?;
    let row = back.first().map_or_else(nothing("a row"), Ok)?;
    equal("bound", row.integer(0), Ok(exact))?;
    equal("computed", row.integer(1), Ok(exact))?;
    equal(
        "greatest",
        Sequence::from_number(exact).map(Sequence::number),
        Some(exact),
    )
}

fn pages_and_filters(db: &impl Database) -> Outcome {
    let mut mailbox = opened(db)?;
    for n in 0..25_u32 {
        let now = START.plus(MINUTE.saturating_mul(n));
        let mut new = event(&format!("FT{n}"), b"{}");
        new.name = Some(if n < 5 { "out" } else { "in" }.to_owned());
        new.summary.amount = Some((1_000_u32.saturating_add(n)).to_string());
        take_new(&mut mailbox, db, new, now)?;
    }
    let ids = |query: &EventQuery| -> Result<Vec<String>, String> {
        let page = mailbox.list(db, query).map_err(said)?;
        let mut found = Vec::new();
        for (id, _) in page.data {
            found.extend(shown(&mailbox, db, id)?.object_id);
        }
        Ok(found)
    };
    let mut seen = Vec::new();
    let mut query = EventQuery {
        per_page: 10,
        ..EventQuery::default()
    };
    loop {
        let page = mailbox.list(db, &query).map_err(said)?;
        seen.push(page.data.len());
        query.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    equal("pages", seen, vec![10, 10, 5])?;
    let all = EventQuery {
        per_page: 100,
        ..EventQuery::default()
    };
    let newest = ids(&all)?.first().cloned();
    equal("newest first", newest.as_deref(), Some("FT24"))?;
    let named = EventQuery {
        event: Some("out".into()),
        ..all.clone()
    };
    equal("by name", ids(&named)?.len(), 5)?;
    let minute = |n: u32| Some(START.plus(MINUTE.saturating_mul(n)).millis());
    let between = EventQuery {
        from: minute(3),
        to: minute(4),
        ..all.clone()
    };
    equal("by time", ids(&between)?, vec!["FT4".into(), "FT3".into()])?;
    let long = "Nguyễn Văn A chuyển tiền DH1234 ".repeat(20);
    for (q, count) in [
        ("ft12", 1),
        ("1024", 1),
        ("dh1234", 25),
        ("Nguyễn Văn A", 25),
        ("VCB", 0),
        ("nguyen van a", 25),
        ("CHUYỂN TIEN DH1234", 25),
        ("1.024", 1),
        ("FT24\nNguy", 0),
        ("%", 0),
        (long.as_str(), 0),
    ] {
        let found = ids(&EventQuery {
            q: Some(q.to_owned()),
            ..all.clone()
        })?;
        equal(q, found.len(), count)?;
    }
    let delivered = EventQuery {
        status: Some(Status::Delivered),
        ..all.clone()
    };
    equal("by status", ids(&delivered)?.len(), 0)?;
    let elsewhere = EventQuery {
        webhook_id: Some(crate::ids::WebhookId::from_random([1; 16])),
        ..all
    };
    equal("by webhook", ids(&elsewhere)?.len(), 0)
}

fn conflicts_are_counted_to_five(db: &impl Database) -> Outcome {
    let mut mailbox = opened(db)?;
    let id = take_new(&mut mailbox, db, event("1", b"{}"), START)?;
    for n in 0..8_u32 {
        let other = event("1", n.to_string().as_bytes());
        take(&mut mailbox, db, vec![other, event("1", b"{}")], START)?;
        let expected = n.saturating_add(1).min(5);
        equal("conflicts", shown(&mailbox, db, id)?.conflicts, expected)?;
    }
    Ok(())
}

fn test_calls_stand_outside_of_memory(db: &impl Database) -> Outcome {
    let mut mailbox = opened(db)?;
    let test = || NewEvent {
        test: true,
        ..event("0", b"{}")
    };
    let id = take_new(&mut mailbox, db, test(), START)?;
    equal("marked", shown(&mailbox, db, id)?.test, true)?;
    let soon = START.plus(Duration::from_millis(4_999));
    equal(
        "at once",
        take(&mut mailbox, db, vec![test(), test()], soon)?,
        vec![Taken::Test(None), Taken::Test(None)],
    )?;
    let later = START.plus(Duration::from_millis(5_000));
    take_new(&mut mailbox, db, test(), later)?;
    // A true event with the same key is new.
    take_new(&mut mailbox, db, event("0", b"{}"), later)?;
    equal("rows", rows(db, "events")?, 3)
}

fn a_removed_destination_is_cancelled(db: &impl Database) -> Outcome {
    let mut mailbox = Mailbox::open(db, None, START).map_err(said)?;
    let mut config = webhook(2);
    mailbox.configure(db, &config, 0, START).map_err(said)?;
    let id = take_new(&mut mailbox, db, event("1", b"{}"), START)?;
    for _ in 0..2 {
        attempt(&mut mailbox, db, 500, START)?;
    }
    take_new(&mut mailbox, db, event("2", b"{}"), START)?;
    config.version = 2;
    config.destinations.truncate(1);
    mailbox.configure(db, &config, 0, START).map_err(said)?;
    let later = START.plus(MINUTE);
    let jobs = mailbox.lease(db, later, 6).map_err(said)?;
    equal("leased", jobs.len(), 2)?;
    for job in &jobs {
        mailbox
            .finish(db, job, verdict(job, 200, later), later, 0.0)
            .map_err(said)?;
    }
    let view = shown(&mailbox, db, id)?;
    equal("status", view.status, Status::Delivered)?;
    equal("waiting", rows(db, "waiting")?, 0)?;
    equal("done", mailbox.next_due(db, later).map_err(said)?, None)
}

fn immense_texts_do_not_lose_the_event(db: &impl Database) -> Outcome {
    let mut mailbox = opened(db)?;
    let immense = "ế".repeat(500_000);
    let mut new = event("1", immense.as_bytes());
    new.name = Some(immense.clone());
    new.object_id = Some(immense.clone());
    new.summary.description = Some(immense.clone());
    new.summary.account = Some(immense.clone());
    let id = take_new(&mut mailbox, db, new, START)?;
    let view = shown(&mailbox, db, id)?;
    equal("name", view.event, Some("ế".repeat(682)))?;
    equal("body", view.body, Some(immense))
}

fn a_retired_mailbox_stays_gone(db: &impl Database) -> Outcome {
    let mut mailbox = opened(db)?;
    let id = take_new(&mut mailbox, db, event("1", b"{}"), START)?;
    let job = lease_one(&mut mailbox, db, START)?;
    // As yesterday's are: of no known version.
    mailbox.retire(db, webhook(1).id, 1).map_err(said)?;
    mailbox
        .finish(db, &job, verdict(&job, 200, START), START, 0.0)
        .map_err(said)?;
    for mut mailbox in [mailbox, Mailbox::open(db, None, START).map_err(said)?] {
        let request = accept(vec![event("2", b"{}")]);
        let reply = mailbox.accept(db, &request, START).map_err(said)?.reply;
        equal("accept", reply, AcceptReply::Gone)?;
        let later = Webhook {
            version: 9,
            ..webhook(1)
        };
        mailbox.configure(db, &later, 0, START).map_err(said)?;
        equal("configuration", mailbox.config(), None)?;
        equal("event", mailbox.get(db, id.sequence).map_err(said)?, None)?;
        let page = mailbox.list(db, &EventQuery::default()).map_err(said)?;
        equal("list", page.data.len(), 0)?;
        equal("lease", mailbox.lease(db, START, 6).map_err(said)?.len(), 0)?;
        equal("due", mailbox.next_due(db, START).map_err(said)?, None)?;
        mailbox.end_run(db, START).map_err(said)?;
    }
    Ok(())
}

fn a_deletion_that_was_undone_begins_anew(db: &impl Database) -> Outcome {
    let mut mailbox = opened(db)?;
    let id = take_new(&mut mailbox, db, event("1", b"{}"), START)?;
    mailbox.retire(db, webhook(1).id, 7).map_err(said)?;
    let version = |version| Webhook {
        version,
        ..webhook(1)
    };
    for mut mailbox in [mailbox, Mailbox::open(db, None, START).map_err(said)?] {
        let request = accept(vec![event("2", b"{}")]);
        let reply = mailbox.accept(db, &request, START).map_err(said)?.reply;
        equal("accept", reply, AcceptReply::Stale { version: 7 })?;
        // Told late of what it was before.
        mailbox.configure(db, &version(7), 0, START).map_err(said)?;
        equal("configuration", mailbox.config(), None)?;
    }
    let mut mailbox = Mailbox::open(db, None, START).map_err(said)?;
    mailbox.configure(db, &version(8), 0, START).map_err(said)?;
    let now = START.plus(HOUR);
    let mut request = accept(vec![event("1", b"{}")]);
    request.config_version = 8;
    let reply = mailbox.accept(db, &request, now).map_err(said)?.reply;
    let is_new = matches!(reply, AcceptReply::Taken(taken) if matches!(taken[..], [Taken::New(_)]));
    equal("what was forgotten is new", is_new, true)?;
    lease_one(&mut mailbox, db, now)?;
    for mailbox in [&mailbox, &Mailbox::open(db, None, now).map_err(said)?] {
        equal("event", mailbox.get(db, id.sequence).map_err(said)?, None)?;
        let page = mailbox.list(db, &EventQuery::default()).map_err(said)?;
        equal("list", page.data.len(), 1)?;
        equal("version", mailbox.config().map(|it| it.version), Some(8))?;
    }
    Ok(())
}

fn what_fails_is_rolled_back(db: &impl Database) -> Outcome {
    let mut mailbox = opened(db)?;
    take_new(&mut mailbox, db, event("1", b"{}"), START)?;
    let undone: Result<(), MailboxError> = db.atomically(|| {
        db.run("DELETE FROM events", &[])?;
        db.set_alarm(START.plus(HOUR))?;
        Err(DatabaseError::failed("on purpose".into()).into())
    });
    equal("refused", undone.is_err(), true)?;
    equal("rows", rows(db, "events")?, 1)?;
    // A row that is too large: all of its accept is undone. (2 MB are promised; the
    // local runtime takes 8 MiB.)
    let too_large = vec![event("2", b"{}"), event("3", &vec![1; 9_000_000])];
    let refused = mailbox.accept(db, &accept(too_large), START);
    equal("too large", refused.is_err(), true)?;
    equal("rows after it", rows(db, "events")?, 1)?;
    take_new(&mut mailbox, db, event("2", b"{}"), START).map(drop)
}

fn refusals_are_one_row(db: &impl Database) -> Outcome {
    let mut mailbox = Mailbox::open(db, None, START).map_err(said)?;
    let list = |mailbox: &mut Mailbox| {
        let reply = mailbox.handle(db, MailboxRequest::Refusals, START);
        match reply.map_err(said)? {
            MailboxReply::Refusals(list) => Ok(list),
            other => Err(format!("{other:?}")),
        }
    };
    let keep = |mailbox: &mut Mailbox, count| {
        let request = MailboxRequest::Refused(refused(START, count));
        mailbox.handle(db, request, START).map_err(said)
    };
    let nothing = r#"{"data":[],"next_cursor":null}"#;
    equal("at first", list(&mut mailbox)?.as_str(), nothing)?;
    let unknown = matches!(keep(&mut mailbox, 1)?, MailboxReply::Unconfigured);
    equal("not configured", unknown, true)?;
    equal("rows", rows(db, "refusals")?, 0)?;
    mailbox.configure(db, &webhook(1), 0, START).map_err(said)?;
    for count in [2, 200, 3] {
        let done = matches!(keep(&mut mailbox, count)?, MailboxReply::Done);
        equal("kept", done, true)?;
        equal("rows", rows(db, "refusals")?, 1)?;
    }
    for mailbox in [
        &mut mailbox,
        &mut Mailbox::open(db, None, START).map_err(said)?,
    ] {
        let list = list(mailbox)?;
        equal("listed", list.matches("\"n\":").count(), 50)?;
        let newest = list.starts_with(r#"{"data":[{"n":199},{"n":198},"#);
        equal("newest first", newest, true)?;
    }
    // Of another shape: forgotten, and begun anew.
    db.run("UPDATE refusals SET data = x'ff01'", &[])
        .map_err(said)?;
    equal("unreadable", list(&mut mailbox)?.as_str(), nothing)?;
    keep(&mut mailbox, 1)?;
    equal("begun anew", list(&mut mailbox)?.contains("\"n\":0"), true)?;
    mailbox.retire(db, webhook(1).id, 2).map_err(said)?;
    let ignored = matches!(keep(&mut mailbox, 1)?, MailboxReply::Done);
    equal("ignored", ignored, true)?;
    equal("forgotten", list(&mut mailbox)?.as_str(), nothing)?;
    equal("dropped", rows(db, "refusals").is_err(), true)
}

fn the_platform_s_limits(db: &impl Database) -> Outcome {
    let refused = |sql: &str| match db.run(sql, &[]) {
        Ok(_) => Err(["not refused: ", sql].concat()),
        Err(_) => Ok(()),
    };
    refused("BEGIN")?;
    refused("SAVEPOINT a")?;
    refused("PRAGMA user_version")?;
    refused(&["SELECT 'a' LIKE '", &"a".repeat(51), "'"].concat())?;
    let variables = ["SELECT ", &vec!["?"; 101].join(",")].concat();
    let many = db.run(&variables, &vec![Value::Integer(1); 101]);
    equal("101 variables", many.is_err(), true)
}

#[cfg(test)]
mod tests {
    use crate::testing::native::NativeDatabase;

    #[test]
    fn every_case_holds_natively() {
        let mut wrong = Vec::new();
        for name in super::names() {
            let db = NativeDatabase::in_memory().unwrap();
            if let Err(why) = super::run(name, &db) {
                wrong.push(format!("{name}: {why}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
