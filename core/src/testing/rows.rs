//! What things cost: scenarios whose rows are counted where the platform counts them,
//! inside a real Durable Object. Alarms count as rows written.

use super::samples::{START, accept, event, refused, verdict, webhook};
use crate::{
    database::Database,
    delivery::Status,
    mailbox::{Mailbox, view::EventQuery},
    messages::MailboxRequest,
    time::{DAY, MINUTE, Timestamp},
};
use std::time::Duration;

/// How many events a burst has.
pub const BURST: u64 = 100;
/// Attempts that are out at once.
const SLOTS: usize = 6;

/// Runs a scenario on a new, empty database and says how many rows it wrote, by
/// `written`, the count of the database so far. What is written once, for the
/// schema and the configuration, is not counted.
///
/// `lone`: one event, alone, taken at its first attempt. `burst`: 100 events that
/// come while deliveries run, all taken. `third`: one event, taken at its third
/// attempt. `duplicate`: a second coming of a delivered event. `test`: a test call.
/// `refusals`: 200 refused requests in three writes. `payloads`, `keys`: the end of the
/// payloads, then of the keys, of 100 delivered events.
///
/// # Errors
/// When the database fails or there is no such scenario.
pub fn run(scenario: &str, db: &impl Database, written: &dyn Fn() -> u64) -> Result<u64, String> {
    let mut mailbox = Mailbox::open(db, None, START).map_err(|error| error.to_string())?;
    mailbox
        .configure(db, &webhook(1), 0, START)
        .map_err(|error| error.to_string())?;
    let mut station = Station {
        db,
        mailbox,
        now: START,
    };
    let before = written();
    match scenario {
        "lone" => {
            station.comes("1", false)?;
            station.wakes(&[200])?;
        }
        "third" => {
            station.comes("1", false)?;
            station.wakes(&[500])?;
            station.now = station.now.plus(MINUTE);
            station.wakes(&[500])?;
            station.now = station.now.plus(MINUTE);
            station.wakes(&[200])?;
        }
        "duplicate" => {
            station.comes("1", false)?;
            station.wakes(&[200])?;
            let before = written();
            station.comes("1", false)?;
            return Ok(written().saturating_sub(before));
        }
        "test" => {
            station.comes("0", true)?;
            station.wakes(&[200])?;
        }
        "refusals" => {
            for count in [1, 150, 49] {
                station.refuses(count)?;
            }
        }
        "burst" => station.bursts()?,
        "payloads" | "keys" => {
            station.bursts()?;
            let mut before = written();
            station.tends_after(DAY.saturating_mul(31))?;
            if scenario == "keys" {
                before = written();
                station.tends_after(DAY.saturating_mul(400))?;
            }
            return Ok(written().saturating_sub(before));
        }
        other => return Err(["no such scenario: ", other].concat()),
    }
    Ok(written().saturating_sub(before))
}

/// Events that a list is asked about; all but the oldest five are delivered.
pub const STORED: usize = 3_000;

/// How many rows a page of the list reads, by `read`, the count of the database so far.
///
/// `page`: the newest twenty. `none`: a text that is nowhere. `failed`: a status that
/// none has. `delivered`: one that nearly all have. `pending`: one that the oldest have.
///
/// # Errors
/// When the database fails, a page shows too little or too much, or there is no such
/// list.
pub fn read(list: &str, db: &impl Database, read: &dyn Fn() -> u64) -> Result<u64, String> {
    let mut query = EventQuery {
        per_page: 20,
        ..EventQuery::default()
    };
    let expected = match list {
        "page" => 20,
        "none" => {
            query.q = Some("nowhere".to_owned());
            0
        }
        "failed" => {
            query.status = Some(Status::Failed);
            0
        }
        "delivered" => {
            query.status = Some(Status::Delivered);
            20
        }
        "pending" => {
            query.status = Some(Status::Pending);
            5
        }
        other => return Err(["no such list: ", other].concat()),
    };
    let mut mailbox = Mailbox::open(db, None, START).map_err(|error| error.to_string())?;
    mailbox
        .configure(db, &webhook(1), 0, START)
        .map_err(|error| error.to_string())?;
    let mut station = Station {
        db,
        mailbox,
        now: START,
    };
    station.stores()?;
    let before = read();
    let page = station.mailbox.list(db, &query);
    let rows = read().saturating_sub(before);
    let shown = page.map_err(|error| error.to_string())?.data.len();
    if shown == expected {
        Ok(rows)
    } else {
        Err(format!("{shown} are shown instead of {expected}"))
    }
}

/// How many rows are read for the figures of so many events, by `read`, the count of the
/// database so far. They have been counted once before.
///
/// # Errors
/// When the database fails or the figures are wrong.
pub fn figures(stored: u32, db: &impl Database, read: &dyn Fn() -> u64) -> Result<u64, String> {
    let said = |error: crate::mailbox::MailboxError| error.to_string();
    let mut mailbox = Mailbox::open(db, None, START).map_err(said)?;
    mailbox.configure(db, &webhook(1), 0, START).map_err(said)?;
    let mut now = START;
    let (mut from, mut complete) = (0, false);
    while from < stored {
        let to = from.saturating_add(100).min(stored);
        let batch = (from..to).map(|n| event(&n.to_string(), &[b'x'; 500]));
        mailbox
            .accept(db, &accept(batch.collect()), now)
            .map_err(said)?;
        now = now.plus(Duration::from_secs(1));
        from = to;
    }
    now = now.plus(MINUTE);
    while !complete {
        complete = !mailbox.stats(db, now).map_err(said)?.is_partial;
    }
    let before = read();
    let stats = mailbox.stats(db, now).map_err(said)?;
    let rows = read().saturating_sub(before);
    let [pending, ..] = stats.counts;
    if (pending, stats.is_partial) == (stored, false) {
        Ok(rows)
    } else {
        Err(format!("{pending} are counted instead of {stored}"))
    }
}

struct Station<'a, D> {
    db: &'a D,
    mailbox: Mailbox,
    now: Timestamp,
}

impl<D: Database> Station<'_, D> {
    fn comes(&mut self, id: &str, test: bool) -> Result<(), String> {
        let mut event = event(id, &[b'x'; 2_000]);
        event.test = test;
        let taken = self.mailbox.accept(self.db, &accept(vec![event]), self.now);
        taken.map(drop).map_err(|error| error.to_string())
    }

    fn bursts(&mut self) -> Result<(), String> {
        self.comes("0", false)?;
        self.mailbox.woken();
        self.mailbox.begin_run();
        for n in 1..=BURST {
            self.deliver(&[200])?;
            if n < BURST {
                self.comes(&n.to_string(), false)?;
            }
            self.now = self.now.plus(Duration::from_millis(10));
        }
        self.ends()
    }

    fn tends_after(&mut self, rest: Duration) -> Result<(), String> {
        self.now = self.now.plus(rest);
        let tended = self.mailbox.tend(self.db, self.now);
        tended.map_err(|error| error.to_string())
    }

    fn stores(&mut self) -> Result<(), String> {
        self.mailbox.woken();
        self.mailbox.begin_run();
        for n in 0..STORED {
            self.comes(&n.to_string(), false)?;
            self.deliver(if n < 5 { &[400] } else { &[200] })?;
            // The first are not due again before the last.
            self.now = self.now.plus(Duration::from_millis(10));
        }
        self.ends()
    }

    fn refuses(&mut self, count: i64) -> Result<(), String> {
        let request = MailboxRequest::Refused(refused(self.now, count));
        let kept = self.mailbox.handle(self.db, request, self.now);
        kept.map(drop).map_err(|error| error.to_string())
    }

    fn wakes(&mut self, statuses: &[u16]) -> Result<(), String> {
        self.mailbox.woken();
        self.mailbox.begin_run();
        self.deliver(statuses)?;
        self.ends()
    }

    fn deliver(&mut self, statuses: &[u16]) -> Result<(), String> {
        let jobs = self
            .mailbox
            .lease(self.db, self.now, SLOTS)
            .map_err(|error| error.to_string())?;
        if jobs.len() != statuses.len() {
            return Err(format!(
                "{} attempts are due instead of {}",
                jobs.len(),
                statuses.len()
            ));
        }
        for (job, status) in jobs.iter().zip(statuses) {
            let verdict = verdict(job, *status, self.now);
            self.mailbox
                .finish(self.db, job, verdict, self.now, 0.0)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn ends(&mut self) -> Result<(), String> {
        self.mailbox
            .end_run(self.db, self.now)
            .map_err(|error| error.to_string())
    }
}
