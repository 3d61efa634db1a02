//! The Mailbox as a whole: what it costs, when it wakes, what a failing database
//! and chance do to it.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test may fail, and says so by panicking"
)]

mod alarms;
mod alerts;
mod cost;
mod ends;
mod faults;
mod figures;
mod health;
mod jobs;
mod lists;
mod meetings;
mod order;
mod random;
mod recovery;
mod resending;
mod room;
mod shapes;
mod stats;
mod time_over;
mod trial;

use crate::{
    database::Database,
    delivery::{Job, Verdict},
    event::NewEvent,
    ids::{EventId, JobId, Sequence},
    mailbox::{
        Accepted, Mailbox,
        jobs::{JobKind, Progress},
        view::{EventQuery, EventView},
    },
    messages::{AcceptReply, Taken},
    testing::{
        native::NativeDatabase,
        samples::{START, accept, event, verdict, webhook},
    },
    time::Timestamp,
    webhook::Webhook,
};
use std::time::Duration;

/// A Mailbox, its database and its clock.
struct Rig {
    db: NativeDatabase,
    mailbox: Mailbox,
    now: Timestamp,
}

impl Rig {
    fn new(destinations: u8) -> Self {
        Self::with(&webhook(destinations))
    }

    fn with(webhook: &Webhook) -> Self {
        let db = NativeDatabase::in_memory().unwrap();
        let mut mailbox = Mailbox::open(&db, None, START).unwrap();
        mailbox.configure(&db, webhook, 0, START).unwrap();
        Self {
            db,
            mailbox,
            now: START,
        }
    }

    /// The object dies and is made anew.
    fn reopen(&mut self) {
        let alarm = self.db.alarm().unwrap();
        self.mailbox = Mailbox::open(&self.db, alarm, self.now).unwrap();
    }

    /// A change of configuration.
    fn change(&mut self, change: impl FnOnce(&mut Webhook)) {
        let mut webhook = self.mailbox.config().unwrap().clone();
        webhook.version += 1;
        change(&mut webhook);
        self.mailbox
            .configure(&self.db, &webhook, 0, self.now)
            .unwrap();
    }

    fn wait(&mut self, duration: Duration) {
        self.now = self.now.plus(duration);
    }

    fn offer(&mut self, events: Vec<NewEvent>) -> Accepted {
        let mut request = accept(events);
        request.config_version = self.mailbox.config().unwrap().version;
        self.mailbox.accept(&self.db, &request, self.now).unwrap()
    }

    /// The same by an edge that begins runs.
    fn offer_and_begin(&mut self, events: Vec<NewEvent>) -> Accepted {
        let mut request = accept(events);
        request.config_version = self.mailbox.config().unwrap().version;
        self.mailbox
            .accept_and_begin(&self.db, &request, self.now)
            .unwrap()
    }

    /// Takes a small event of that name, which must be new.
    fn take(&mut self, id: &str) -> EventId {
        let accepted = self.offer(vec![event(id, b"{}")]);
        match accepted.reply {
            AcceptReply::Taken(taken) => match taken.as_slice() {
                [Taken::New(id)] => *id,
                other => panic!("not new: {other:?}"),
            },
            other => panic!("not taken: {other:?}"),
        }
    }

    fn lease(&mut self, slots: usize) -> Vec<Job> {
        self.mailbox.lease(&self.db, self.now, slots).unwrap()
    }

    fn lease_one(&mut self) -> Job {
        self.lease(1).pop().expect("something is due")
    }

    fn finish(&mut self, job: &Job, status: u16) {
        self.finish_with(job, verdict(job, status, self.now));
    }

    fn finish_with(&mut self, job: &Job, verdict: Verdict) {
        self.mailbox
            .finish(&self.db, job, verdict, self.now, 0.0)
            .unwrap();
    }

    fn end_run(&mut self) {
        self.mailbox.end_run(&self.db, self.now).unwrap();
    }

    /// The alarm fires, and a whole run is made: every origin answers `status`.
    /// How many attempts were made.
    fn run(&mut self, status: u16) -> usize {
        self.db.clear_alarm().unwrap();
        self.mailbox.woken();
        self.mailbox.begin_run();
        let mut attempts = 0;
        loop {
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
        attempts
    }

    /// Runs until what was due now is done, at whatever pace it goes out.
    fn run_all(&mut self, status: u16) -> usize {
        let mut attempts = self.run(status);
        while let Some(due) = self.due().filter(|due| due.since(self.now) < millis(1_000)) {
            self.now = self.now.max(due);
            attempts += self.run(status);
        }
        attempts
    }

    /// Begins the `n`th job over what the query is for, or asks for it.
    fn job(&mut self, n: u8, kind: JobKind, query: &EventQuery) -> Progress {
        let id = JobId::from_random([n; 16]);
        self.mailbox
            .job(&self.db, id, kind, query, self.now)
            .unwrap()
    }

    fn due(&self) -> Option<Timestamp> {
        self.mailbox.next_due(&self.db, self.now).unwrap()
    }

    fn alarm(&self) -> Option<Timestamp> {
        self.db.alarm().unwrap()
    }

    fn view(&self, id: EventId) -> EventView {
        self.mailbox.get(&self.db, id.sequence).unwrap().unwrap()
    }

    fn count(&self, table: &str) -> i64 {
        self.number(&format!("SELECT count(*) FROM {table}"))
    }

    fn number(&self, sql: &str) -> i64 {
        self.db.run(sql, &[]).unwrap()[0].integer(0).unwrap()
    }

    /// Every fresh row stands at the persisted cursor or behind it.
    fn assert_cursor(&self) {
        let cursor = self.number("SELECT ifnull(max(value), 0) FROM meta WHERE name = 'cursor'");
        let below = self
            .db
            .run(
                "SELECT seq FROM events WHERE fresh = 1 AND seq < ?",
                &[crate::database::Value::Integer(cursor)],
            )
            .unwrap();
        assert!(below.is_empty(), "fresh below the cursor: {below:?}");
        assert!(Sequence::from_number(cursor).is_some());
    }
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
