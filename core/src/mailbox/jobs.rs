//! Doing the same to all events that match a filter: sending them again, stopping them,
//! forgetting them. A bounded number in each wake, the oldest first, until all that were
//! there when it was asked for have been looked at.
//!
//! A job has an id, and a row that says how far it is: whoever asks for it twice gets the
//! same job, and an object that is stopped goes on where it was. Several stand in line.

use super::{Mailbox, MailboxError, list, resend, scan, schema, sql, view::EventQuery};
use crate::{
    database::{Database, Value},
    ids::{DestinationId, JobId, Sequence},
    messages,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, time::Duration};

/// Events that one transaction changes at most …
pub(super) const BATCH: usize = 100;
/// … and looks at.
const LOOKED_AT: usize = 1_000;
/// Transactions of one wake.
const BATCHES: usize = 5;
/// The next wake comes after this.
const NEXT: Duration = Duration::from_millis(500);
/// After a failure it is tried again after this.
const AFTER_FAILURE: Duration = Duration::from_secs(60);
/// Jobs that are done with are remembered up to so many.
const REMEMBERED: usize = 50;

/// What is done to the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    /// Their deliveries are queued again.
    Resend,
    /// What is pending of them is ended.
    Cancel,
    /// They are forgotten, and that they were ever seen.
    Delete,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Events that matched so far.
    pub matched: u64,
    /// Deliveries queued so far.
    pub queued: u64,
    /// All that match have been gone through.
    pub done: bool,
}

impl Progress {
    /// Adds that of another shard.
    pub const fn add(&mut self, other: Self) {
        self.matched = self.matched.saturating_add(other.matched);
        self.queued = self.queued.saturating_add(other.queued);
        self.done &= other.done;
    }
}

/// A job of this shard, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Job {
    id: JobId,
    kind: JobKind,
    query: EventQuery,
    /// It has come this far …
    after: Sequence,
    /// … and goes so far.
    upto: Sequence,
    #[serde(default)]
    matched: u64,
    #[serde(default)]
    queued: u64,
}

impl Job {
    fn is_done(&self) -> bool {
        self.after >= self.upto
    }

    fn progress(&self) -> Progress {
        Progress {
            matched: self.matched,
            queued: self.queued,
            done: self.is_done(),
        }
    }
}

/// Jobs under way, and when they go on.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    /// The first is worked on.
    line: VecDeque<Job>,
    /// Not before then: after a failure.
    paused_until: Option<Timestamp>,
}

/// Where a resend of many stood before there were jobs.
const RESENDING: &str = "resending";

/// How it stood there.
#[derive(Serialize, Deserialize)]
pub(super) struct Resending {
    pub(super) wish: i64,
    pub(super) query: EventQuery,
    pub(super) after: Sequence,
    pub(super) upto: Sequence,
    pub(super) queued: u32,
}

/// Makes a job of a resend that an earlier release has begun. One that cannot be read is
/// over.
fn take_over(db: &impl Database) -> Result<(), MailboxError> {
    let Some(stored) = schema::meta(db, RESENDING)? else {
        return Ok(());
    };
    let begun: Option<Resending> = match stored {
        Value::Blob(bytes) => messages::from_stored(&bytes).ok(),
        _ => None,
    };
    db.atomically(|| {
        if let Some(begun) = begun.filter(|begun| begun.after < begun.upto) {
            let mut id = [0; 16];
            for (byte, of_wish) in id.iter_mut().zip(begun.wish.to_be_bytes()) {
                *byte = of_wish;
            }
            let job = Job {
                id: JobId::from_random(id),
                kind: JobKind::Resend,
                query: begun.query,
                after: begun.after,
                upto: begun.upto,
                matched: 0,
                queued: begun.queued.into(),
            };
            insert(db, &job)?;
        }
        schema::forget_meta(db, RESENDING)
    })
}

impl Jobs {
    pub(super) fn open(db: &impl Database) -> Result<Self, MailboxError> {
        take_over(db)?;
        let rows = db.run("SELECT job FROM jobs WHERE done = 0 ORDER BY number", &[])?;
        // One that cannot be read is over: the operator can ask again.
        let line = rows
            .iter()
            .filter_map(|row| serde_json::from_str(row.text(0).ok()?).ok());
        Ok(Self {
            line: line.collect(),
            ..Self::default()
        })
    }
}

fn find(db: &impl Database, id: JobId) -> Result<Option<Job>, MailboxError> {
    let rows = db.run(
        "SELECT job FROM jobs WHERE id = ?",
        &[sql::text(&id.to_string())],
    )?;
    Ok(rows
        .first()
        .and_then(|row| serde_json::from_str(row.text(0).ok()?).ok()))
}

fn written(job: &Job) -> Result<Value, MailboxError> {
    serde_json::to_string(job)
        .map(Value::Text)
        .map_err(|_| MailboxError::unreadable("a job that is no JSON"))
}

fn insert(db: &impl Database, job: &Job) -> Result<(), MailboxError> {
    db.run(
        "INSERT INTO jobs (id, done, job) VALUES (?, ?, ?)",
        &[
            sql::text(&job.id.to_string()),
            sql::flag(job.is_done()),
            written(job)?,
        ],
    )?;
    db.run(
        "DELETE FROM jobs WHERE done = 1 AND number <= (SELECT max(number) FROM jobs) - ?",
        &[sql::size(REMEMBERED)],
    )?;
    Ok(())
}

fn update(db: &impl Database, job: &Job) -> Result<(), MailboxError> {
    db.run(
        "UPDATE jobs SET done = ?, job = ? WHERE id = ?",
        &[
            sql::flag(job.is_done()),
            written(job)?,
            sql::text(&job.id.to_string()),
        ],
    )?;
    Ok(())
}

/// What a batch did, for memory to follow.
#[derive(Default)]
struct Done {
    queued_to: Vec<DestinationId>,
    ended: Vec<super::cancel::Ended>,
}

impl Mailbox {
    /// Begins a job or, where one of that id is known, says how far it is.
    ///
    /// # Errors
    /// When the database fails; what was done until then goes on.
    pub fn job(
        &mut self,
        db: &impl Database,
        id: JobId,
        kind: JobKind,
        query: &EventQuery,
        now: Timestamp,
    ) -> Result<Progress, MailboxError> {
        let done = Progress {
            done: true,
            ..Progress::default()
        };
        let Some(config) = &self.config else {
            return Ok(done);
        };
        if let Some(job) = self.jobs.line.iter().find(|job| job.id == id) {
            return Ok(job.progress());
        }
        if let Some(known) = find(db, id)? {
            let progress = known.progress();
            if !progress.done {
                // Written down, though that seemed to fail.
                self.jobs.line.push_back(known);
            }
            return Ok(progress);
        }
        let upto = self.upper_bound(config, query);
        let job = Job {
            id,
            kind,
            query: query.clone(),
            after: Sequence::default(),
            upto,
            matched: 0,
            queued: 0,
        };
        db.atomically(|| insert(db, &job))?;
        self.jobs.line.push_back(job);
        if kind == JobKind::Resend {
            self.ask_for_probes(&self.configured());
        }
        if self.jobs.line.len() == 1 {
            self.work_on_jobs(db, now)?;
        }
        let job = self.jobs.line.iter().find(|job| job.id == id);
        match job {
            Some(job) => Ok(job.progress()),
            None => Ok(find(db, id)?.map_or(done, |job| job.progress())),
        }
    }

    /// The next part of what is under way.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) fn work_on_jobs(
        &mut self,
        db: &impl Database,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        if self.jobs.paused_until.is_some_and(|at| at > now) {
            return Ok(());
        }
        for _ in 0..BATCHES {
            let Some(job) = self.jobs.line.front().cloned() else {
                break;
            };
            match self.batch(db, &job, now) {
                Ok(next) if next.is_done() => drop(self.jobs.line.pop_front()),
                Ok(next) => {
                    if let Some(first) = self.jobs.line.front_mut() {
                        *first = next;
                    }
                }
                Err(error) => {
                    // Not over and over, whatever is the matter. It may have stuck, and
                    // what is done already is not done twice.
                    self.jobs.paused_until = Some(now.plus(AFTER_FAILURE));
                    if let Ok(Some(stored)) = find(db, job.id) {
                        self.jobs.line.pop_front();
                        if !stored.is_done() {
                            self.jobs.line.push_front(stored);
                        }
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// When the object wants to be called to go on.
    pub(super) fn more_jobs(&self, now: Timestamp) -> Option<Timestamp> {
        let next = now.plus(NEXT);
        let paused = self.jobs.paused_until;
        (!self.jobs.line.is_empty()).then(|| paused.map_or(next, |at| at.max(next)))
    }

    /// The events of the next batch, and how far it goes.
    fn next_of(
        &self,
        db: &impl Database,
        job: &Job,
    ) -> Result<(Vec<Sequence>, Sequence), MailboxError> {
        let rows = db.run(
            "SELECT seq FROM events WHERE seq > ? AND seq < ? ORDER BY seq LIMIT 1 OFFSET ?",
            &[
                sql::sequence(job.after),
                sql::sequence(job.upto),
                sql::size(LOOKED_AT.saturating_sub(1)),
            ],
        )?;
        let end = match rows.first() {
            Some(row) => sql::read_sequence(row, 0)?,
            None => job.upto,
        };
        let search = scan::search(&job.query);
        let columns = match &search {
            None => "SELECT seq",
            Some(_) => "SELECT seq, summary",
        };
        let mut sql = [columns, " FROM events WHERE seq > ? AND seq <= ?"].concat();
        let mut values = vec![sql::sequence(job.after), sql::sequence(end)];
        list::narrow(&job.query, &mut sql, &mut values);
        sql.push_str(" AND seq < ? ORDER BY seq");
        values.push(sql::sequence(job.upto));
        if search.is_none() {
            sql.push_str(" LIMIT ?");
            values.push(sql::size(BATCH));
        }
        let rows = db.run(&sql, &values)?;
        let events = rows
            .iter()
            .filter(|row| scan::is_found(search.as_ref(), row))
            .take(BATCH)
            .map(|row| sql::read_sequence(row, 0))
            .collect::<Result<Vec<_>, _>>()?;
        let end = match events.last() {
            Some(last) if events.len() >= BATCH => *last,
            _ => end,
        };
        Ok((events, end))
    }

    /// One transaction.
    fn batch(
        &mut self,
        db: &impl Database,
        job: &Job,
        now: Timestamp,
    ) -> Result<Job, MailboxError> {
        let (events, end) = self.next_of(db, job)?;
        let mut next = job.clone();
        next.after = end;
        next.matched = next
            .matched
            .saturating_add(u64::try_from(events.len()).unwrap_or(u64::MAX));
        let configured = self.configured();
        let stored = db.atomically(|| {
            let mut done = Done::default();
            for event in events {
                let one = match job.kind {
                    JobKind::Resend => {
                        resend::again(db, &configured, self.counted, event, None, now).map(
                            |chosen| {
                                let chosen = chosen.unwrap_or_default();
                                let count = u64::try_from(chosen.len()).unwrap_or(u64::MAX);
                                next.queued = next.queued.saturating_add(count);
                                done.queued_to.extend(chosen);
                            },
                        )
                    }
                    JobKind::Cancel => self
                        .cancel_within(db, event)
                        .map(|ended| done.ended.extend(ended)),
                    JobKind::Delete => self
                        .delete_within(db, event)
                        .map(|gone| done.ended.extend(gone.map(|(_, ended)| ended))),
                };
                match one {
                    // One that cannot be read must not stop the others.
                    Err(error) if error.is_unreadable() => {}
                    one => one?,
                }
            }
            update(db, &next)?;
            Ok::<_, MailboxError>(done)
        });
        let done = match stored {
            Ok(done) => done,
            Err(error) => {
                self.armed = None;
                // It may have stuck.
                self.waiting.extend(self.configured());
                return Err(error);
            }
        };
        for destination in done.queued_to {
            self.waiting.insert(destination, ());
            // So many at once are not thrown at anybody.
            let mut health = self.health.get(&destination).cloned().unwrap_or_default();
            health.catch_up(now);
            self.health.insert(destination, health);
        }
        for ended in done.ended {
            self.has_ended(ended);
        }
        Ok(next)
    }
}
