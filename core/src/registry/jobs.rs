//! Jobs over many Mailboxes: which shards a job has still to go through, and what came of
//! those that it has. Some shards at a time, so that a job over a thousand webhooks asks no
//! more at once than one over ten.

use super::{
    RegistryError,
    shards::{self, ShardId},
    store::{self, text},
    store_as_newer,
};
use crate::{
    database::{Database, DatabaseError, Row, Value},
    ids::{JobId, WebhookId},
    mailbox::{
        jobs::{JobKind, Progress},
        view::EventQuery,
    },
    messages::{JobReply, ShardPlace},
    time::{DAY, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};

/// Jobs that may be under way at once.
const UNDER_WAY: usize = 50;
/// Jobs that are done with are remembered up to so many.
const REMEMBERED: i64 = 1_000;
/// The shards of a job are asked again after this; twice as long each time that none of
/// them has got on …
const NEXT: Duration = Duration::from_millis(1_000);
/// … up to this.
const LONGEST: Duration = Duration::from_secs(300);
/// Where none gets on for so long, and was asked so often, the job is given up in them.
const GIVEN_UP: (Duration, u32) = (DAY, 100);
/// Shards in which a job was given up are named up to so many.
const NAMED: usize = 100;
/// Whoever asks has them asked at once, unless they were within this.
const LATELY: Duration = Duration::from_millis(200);

/// A shard that a job is under way in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Member {
    shard: ShardId,
    #[serde(default)]
    progress: Progress,
}

/// A job, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Job {
    id: JobId,
    kind: JobKind,
    query: EventQuery,
    /// Where the shards begin that it has not come to; `None` when it has come to all.
    rest: Option<ShardPlace>,
    /// Those that it is under way in.
    #[serde(default)]
    members: Vec<Member>,
    /// What came of those that it is done with.
    #[serde(default)]
    sum: Progress,
    /// Steps since one of them got on, and when that was (Unix milliseconds).
    #[serde(default)]
    idle: u32,
    #[serde(default)]
    got_on: Option<i64>,
    /// Those in which it was given up.
    #[serde(default)]
    failed: Vec<ShardId>,
}

impl Job {
    fn is_done(&self) -> bool {
        self.rest.is_none() && self.members.is_empty()
    }

    fn reply(&self) -> JobReply {
        let mut progress = Progress {
            done: true,
            ..self.sum
        };
        for member in &self.members {
            progress.add(member.progress);
        }
        progress.done = self.is_done();
        JobReply {
            id: self.id,
            kind: self.kind,
            progress,
            failed: self.failed.clone(),
        }
    }

    fn gets_on(&mut self, now: Timestamp) {
        self.idle = 0;
        self.got_on = Some(now.millis());
    }

    /// Gives up the shards that have not got on for too long; says whose they are.
    fn give_up(&mut self, now: Timestamp) -> BTreeSet<WebhookId> {
        let mut given_up = BTreeSet::new();
        let (long, often) = GIVEN_UP;
        let got_on = *self.got_on.get_or_insert(now.millis());
        if self.idle < often || now.since(Timestamp::from_millis(got_on)) < long {
            return given_up;
        }
        for member in self.members.drain(..) {
            if self.failed.len() < NAMED {
                self.failed.push(member.shard);
            }
            self.sum.add(member.progress);
            given_up.insert(member.shard.0);
        }
        self.gets_on(now);
        given_up
    }

    /// When it is asked how far its shards are, unless they get on.
    fn due(&self, now: Timestamp) -> Timestamp {
        let times = 1_u32
            .checked_shl(self.idle.saturating_sub(1))
            .unwrap_or(u32::MAX);
        now.plus(NEXT.saturating_mul(times).min(LONGEST))
    }

    /// Goes on to the next shards, where those before are done with.
    fn fill(&mut self, db: &impl Database) -> Result<(), RegistryError> {
        if !self.members.is_empty() {
            return Ok(());
        }
        if let Some(place) = self.rest {
            let (found, next) = shards::page(db, self.query.webhook_id, place)?;
            let member = |shard| Member {
                shard,
                progress: Progress::default(),
            };
            self.members = found.into_iter().map(member).collect();
            self.rest = next;
        }
        Ok(())
    }
}

/// A step of a job: what is to be asked of which shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStep {
    /// The job.
    pub id: JobId,
    /// What is done.
    pub kind: JobKind,
    /// To which events.
    pub query: EventQuery,
    /// The shards to ask.
    pub shards: Vec<ShardId>,
}

/// Why a job was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotBegun {
    /// There is no such webhook.
    NotFound,
    /// Too many are under way.
    TooMany,
}

fn read(json: &str) -> Result<Job, RegistryError> {
    serde_json::from_str(json).map_err(|_| RegistryError::Unreadable("a job".to_owned()))
}

fn json(job: &Job) -> Result<Value, RegistryError> {
    serde_json::to_string(job)
        .map(Value::Text)
        .map_err(|_| RegistryError::Unreadable("a job".to_owned()))
}

fn load(db: &impl Database, id: JobId) -> Result<Option<Job>, RegistryError> {
    let rows = db.run(
        "SELECT job FROM jobs WHERE id = ?",
        &[Value::Text(id.to_string())],
    )?;
    rows.first().map(|row| read(row.text(0)?)).transpose()
}

fn save(
    db: &impl Database,
    job: &Job,
    due: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), RegistryError> {
    db.run(
        "UPDATE jobs SET done = ?, stepped = ?, due = ifnull(?, due), job = ? WHERE id = ?",
        &[
            Value::Integer(i64::from(job.is_done())),
            Value::Integer(now.millis()),
            due.map_or(Value::Null, |due| Value::Integer(due.millis())),
            json(job)?,
            Value::Text(job.id.to_string()),
        ],
    )?;
    Ok(())
}

/// Begins a job.
pub(super) fn begin(
    db: &impl Database,
    id: JobId,
    kind: JobKind,
    query: &EventQuery,
    now: Timestamp,
) -> Result<Result<JobReply, NotBegun>, RegistryError> {
    if let Some(webhook) = query.webhook_id {
        let rows = db.run("SELECT 1 FROM webhooks WHERE id = ?", &[text(webhook)])?;
        if rows.is_empty() {
            return Ok(Err(NotBegun::NotFound));
        }
    }
    let under_way = db.run("SELECT number FROM jobs WHERE done = 0", &[])?;
    if under_way.len() >= UNDER_WAY {
        return Ok(Err(NotBegun::TooMany));
    }
    let mut job = Job {
        id,
        kind,
        query: query.clone(),
        rest: Some(ShardPlace::FIRST),
        members: Vec::new(),
        sum: Progress::default(),
        idle: 0,
        got_on: Some(now.millis()),
        failed: Vec::new(),
    };
    job.fill(db)?;
    db.run(
        "INSERT INTO jobs (id, done, stepped, job) VALUES (?, 0, ?, ?)",
        &[Value::Text(id.to_string()), Value::Integer(0), json(&job)?],
    )?;
    db.run(
        "DELETE FROM jobs WHERE done = 1 AND number <= (SELECT max(number) FROM jobs) - ?",
        &[Value::Integer(REMEMBERED)],
    )?;
    db.set_alarm(now.plus(NEXT))?;
    Ok(Ok(job.reply()))
}

/// How far a job is; `None` when there is none.
pub(super) fn reply(db: &impl Database, id: JobId) -> Result<Option<JobReply>, RegistryError> {
    Ok(load(db, id)?.map(|job| job.reply()))
}

/// The next step: of that job, or of the one that has been due longest. `None` when there
/// is nothing to do now. Until its shards are known to get on, they do not; but that
/// somebody asks puts nothing off.
pub(super) fn step(
    db: &impl Database,
    id: Option<JobId>,
    now: Timestamp,
) -> Result<Option<JobStep>, RegistryError> {
    let rows = match id {
        Some(id) => db.run(
            "SELECT job FROM jobs WHERE id = ? AND done = 0 AND stepped <= ?",
            &[
                Value::Text(id.to_string()),
                Value::Integer(now.minus(LATELY).millis()),
            ],
        )?,
        None => db.run(
            "SELECT job FROM jobs WHERE done = 0 AND due <= ? ORDER BY due, stepped LIMIT 1",
            &[Value::Integer(now.millis())],
        )?,
    };
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let mut job = match read(row.text(0)?) {
        Ok(job) => job,
        Err(error) => {
            // Over: it must not stand in the way of the others.
            db.run(
                "UPDATE jobs SET done = 1 WHERE job = ?",
                &[Value::Text(row.text(0)?.to_owned())],
            )?;
            return Err(error);
        }
    };
    let given_up = job.give_up(now);
    if job.kind == JobKind::Delete {
        // What they have deleted by now is not known.
        end_markers(db, given_up, now)?;
    }
    job.fill(db)?;
    let mut due = None;
    if id.is_none() {
        job.idle = job.idle.saturating_add(1);
        due = Some(job.due(now));
    }
    save(db, &job, due, now)?;
    if job.is_done() {
        return Ok(None);
    }
    Ok(Some(JobStep {
        id: job.id,
        kind: job.kind,
        query: job.query,
        shards: job.members.iter().map(|member| member.shard).collect(),
    }))
}

/// Gives webhooks of which events were deleted a new version: with it every marker in KV
/// ends that says an event is known.
fn end_markers(
    db: &impl Database,
    webhooks: BTreeSet<WebhookId>,
    now: Timestamp,
) -> Result<(), RegistryError> {
    for webhook in webhooks {
        match store::load(db, webhook) {
            Ok(Some(mut webhook)) => store_as_newer(db, &mut webhook, now)?,
            // For one that cannot be read nothing is received.
            Ok(None) | Err(RegistryError::Unreadable(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Notes what the shards of a step have said. One that did not answer is asked again.
/// Where nothing has changed, no row is written. Where a shard is done with deleting, the
/// markers of its webhook end.
pub(super) fn stepped(
    db: &impl Database,
    id: JobId,
    said: &[(ShardId, Progress)],
    now: Timestamp,
) -> Result<(), RegistryError> {
    let Some(mut job) = load(db, id)? else {
        return Ok(());
    };
    let mut has_changed = false;
    let mut shortened = BTreeSet::new();
    for (shard, progress) in said {
        let Some(at) = job.members.iter().position(|one| one.shard == *shard) else {
            continue;
        };
        if progress.done {
            job.members.remove(at);
            job.sum.add(*progress);
            has_changed = true;
            if job.kind == JobKind::Delete && progress.matched > 0 {
                shortened.insert(shard.0);
            }
        } else if let Some(member) = job.members.get_mut(at) {
            has_changed |= member.progress != *progress;
            member.progress = *progress;
        }
    }
    if !has_changed {
        return Ok(());
    }
    end_markers(db, shortened, now)?;
    job.gets_on(now);
    job.fill(db)?;
    save(db, &job, Some(job.due(now)), now)
}

/// When the next step is due; `None` when no job is under way.
pub(super) fn due(db: &impl Database, now: Timestamp) -> Result<Option<Timestamp>, DatabaseError> {
    let rows = db.run("SELECT min(due) FROM jobs WHERE done = 0", &[])?;
    let due = match rows.first() {
        Some(row) => row.optional(0, Row::integer)?,
        None => None,
    };
    Ok(due.map(|due| Timestamp::from_millis(due).max(now.plus(NEXT))))
}
