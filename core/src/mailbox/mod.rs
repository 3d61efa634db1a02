//! The Mailbox: one shard of a webhook. Stores its events and drives their
//! deliveries, over a small synchronous [`Database`] whose alarm wakes it.
//!
//! Everything that must not be lost is in the database; what is in memory can be
//! rebuilt or forgotten. What is in flight is memory alone: after a crash it is
//! simply due again, and the alarm that every lease sets is there to say so.
//!
//! A run, as the edge drives it: the alarm fires ([`woken`](Mailbox::woken)) or an
//! accept says that one is to [`begin`](Accepted::begin);
//! [`begin_run`](Mailbox::begin_run), then [`lease`](Mailbox::lease) into free
//! slots and [`finish`](Mailbox::finish) as answers come, until nothing is leased
//! and nothing is out; then [`end_run`](Mailbox::end_run). After an error the
//! edge ends the run; nothing it was told is half done.
//!
//! Out of scope: requests to origins, what an answer means (`relay`), waiting
//! times (`retry`).

mod accept;
mod alarm;
mod alerts;
mod cancel;
mod choose;
mod counted;
mod deliveries;
mod finish;
mod fresh;
mod given_up;
mod health;
pub mod jobs;
mod lease;
mod list;
mod payload;
mod prune;
mod refusals;
mod removed;
mod resend;
mod scan;
mod schema;
mod sql;
pub mod trial;
mod waiting;

pub mod merge;
pub mod metrics;
pub mod pass;
pub mod recent_tests;
pub mod stats;
pub mod view;

#[cfg(test)]
mod tests;

pub use accept::Accepted;
pub use alarm::LINGER;
pub use cancel::Deleted;

use crate::{
    alert::Kind,
    database::{Database, DatabaseError, DatabaseTrouble, Value},
    few::Few,
    ids::{DestinationId, EventId, Sequence, WebhookId},
    messages::{MailboxReply, MailboxRequest},
    time::Timestamp,
    webhook::Webhook,
};
use counted::Counted;
use fresh::FirstAttempts;
use health::Health;
use jobs::{JobKind, Jobs};
use recent_tests::RecentTests;
use std::{fmt, rc::Rc, time::Duration};

/// Why a Mailbox could not do what it was asked. Nothing of it was done then,
/// unless the database failed in saying that it was. A pointer, as [`DatabaseError`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxError(Box<MailboxTrouble>);

/// The kinds of [`MailboxError`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailboxTrouble {
    /// The database refused or could not.
    #[error(transparent)]
    Database(DatabaseError),
    /// The database was written by a later release; it is left untouched.
    #[error("the database has schema {found}, but this release knows {known} only")]
    Newer {
        /// Its version.
        found: usize,
        /// The latest that is known here.
        known: usize,
    },
    /// Something stored cannot be read back.
    #[error("{0} cannot be read back")]
    Unreadable(&'static str),
    /// The message is for another webhook or shard.
    #[error("this is the mailbox of another webhook or shard")]
    Misdirected,
}

impl MailboxError {
    /// This, as it is stored, cannot be read back.
    #[cold]
    #[inline(never)]
    #[must_use]
    pub fn unreadable(what: &'static str) -> Self {
        MailboxTrouble::Unreadable(what).into()
    }

    /// Whether it is [`MailboxTrouble::Unreadable`].
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        matches!(self.trouble(), MailboxTrouble::Unreadable(_))
    }

    /// Which kind it is.
    #[must_use]
    pub fn trouble(&self) -> &MailboxTrouble {
        &self.0
    }
}

impl From<MailboxTrouble> for MailboxError {
    #[cold]
    #[inline(never)]
    fn from(trouble: MailboxTrouble) -> Self {
        Self(Box::new(trouble))
    }
}

impl From<DatabaseError> for MailboxError {
    #[cold]
    #[inline(never)]
    fn from(error: DatabaseError) -> Self {
        Self(Box::new(MailboxTrouble::Database(error)))
    }
}

impl fmt::Display for MailboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for MailboxError {}

/// Where a leased delivery came from, and goes back to when it is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The event's row: its first attempt.
    Event,
    /// Its row in `waiting`.
    Waiting,
    /// The same, in the line of those that are released.
    Released,
}

/// What a Mailbox keeps in memory. See the [module](self).
#[derive(Debug, Default)]
pub struct Mailbox {
    config: Option<Rc<Webhook>>,
    shard: u8,
    /// The version that the webhook was deleted as, if it was.
    retired: Option<u64>,
    /// The greatest number that an event was (or may have been) given.
    last: Sequence,
    first_attempts: FirstAttempts,
    /// Destinations that may have rows in `waiting`.
    waiting: Few<DestinationId, ()>,
    in_flight: Few<(Sequence, DestinationId), Source>,
    /// Destinations about whose health there is something to know.
    health: Few<DestinationId, Health>,
    /// When each of them last answered this instance, whatever it said.
    answered_at: Few<DestinationId, Timestamp>,
    running: bool,
    /// The alarm that is set for certain; `None` when there may be none.
    armed: Option<Timestamp>,
    /// Test calls of the last seconds.
    recent_tests: RecentTests,
    /// Events whose rows cannot be read: left alone, so that the others go on. They
    /// are tried again by the next instance, which may be of a release that can.
    unreadable: Few<Sequence, ()>,
    /// What the log should say.
    complaints: Vec<String>,
    jobs: Jobs,
    /// When it was last seen to what is done beside relaying.
    tended_at: Timestamp,
    /// The station has an address for alerts.
    station_alerts: bool,
    /// What is to be told and not stored yet.
    untold: Vec<(Kind, DestinationId, u32, Option<Sequence>)>,
    /// There is nothing to tell before then; `None` when that is not known.
    alerts_at: Option<Timestamp>,
    /// When what is held back may be told, and when the oldest will have waited too
    /// long, as things stand.
    told_due: Option<Timestamp>,
    waiting_due: Option<Timestamp>,
    /// Which events are in the figures that are kept.
    counted: Counted,
    /// There is much that was never counted.
    count_more: bool,
    /// There is nothing to prune before then; `None` when that is not known.
    prune_at: Option<Timestamp>,
    /// A pruning is under way.
    prune_more: bool,
}

/// In a run that goes on for long, what is done beside relaying goes on this often.
const TEND_AGAIN: Duration = Duration::from_secs(1);

/// So many complaints wait for the log.
const COMPLAINTS: usize = 20;

const CONFIG: &str = "config";
const SHARD: &str = "shard";
const RETIRED: &str = "retired";
/// What is stored of a webhook that was deleted before the version of that was kept.
const RETIRED_EARLIER: u64 = 1;

impl Mailbox {
    /// Opens the Mailbox that lives in this database, making it when it is new.
    /// `alarm` is the one that is set now.
    ///
    /// # Errors
    /// When the database fails, is of a later release, or holds what cannot be read.
    pub fn open(
        db: &impl Database,
        alarm: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, MailboxError> {
        schema::make_meta(db)?;
        let retired = match schema::meta(db, RETIRED)? {
            Some(Value::Integer(version)) => u64::try_from(version).ok().filter(|it| *it > 0),
            _ => None,
        };
        let mut mailbox = Self {
            retired,
            armed: alarm.filter(|at| !alarm::is_lost(*at, now)),
            ..Self::default()
        };
        if retired.is_some() {
            // Its tables are gone, whatever the schema's version says.
            return Ok(mailbox);
        }
        schema::migrate(db, schema::MIGRATIONS)?;
        mailbox.config = match schema::meta(db, CONFIG)? {
            Some(Value::Text(json)) => Some(Rc::new(
                serde_json::from_slice(json.as_bytes())
                    .map_err(|_| MailboxError::unreadable("the configuration"))?,
            )),
            Some(_) => return Err(MailboxError::unreadable("the configuration")),
            None => None,
        };
        mailbox.shard = match schema::meta(db, SHARD)? {
            Some(Value::Integer(shard)) => {
                u8::try_from(shard).map_err(|_| MailboxError::unreadable("the shard"))?
            }
            Some(_) => return Err(MailboxError::unreadable("the shard")),
            None => 0,
        };
        if let Some(row) = db
            .run("SELECT seq FROM events ORDER BY seq DESC LIMIT 1", &[])?
            .first()
        {
            mailbox.last = sql::read_sequence(row, 0)?;
        }
        mailbox.counted = Counted::open(db)?;
        // A number that was counted is not given again, whatever became of its event.
        mailbox.last = mailbox.last.max(mailbox.counted.below());
        mailbox.first_attempts = FirstAttempts::open(db, mailbox.last)?;
        mailbox.waiting.extend(waiting::destinations(db)?);
        mailbox.jobs = Jobs::open(db)?;
        for (destination, health) in health::load(db)? {
            mailbox.health.insert(destination, health);
        }
        Ok(mailbox)
    }

    /// What the Mailbox knows of its webhook: what the edge relays by.
    #[must_use]
    pub fn config(&self) -> Option<&Webhook> {
        self.config.as_deref()
    }

    /// The same, to be kept over an attempt.
    #[must_use]
    pub fn shared_config(&self) -> Option<Rc<Webhook>> {
        self.config.clone()
    }

    /// Takes a newer configuration; one that is not newer is ignored and writes
    /// nothing, unless it brings the provider's secrets that are still lacking. What waits
    /// is governed by it from its next attempt on. One that is newer than the deletion of
    /// the webhook undoes that, but for what was forgotten: the Registry was restored to a
    /// point before it.
    ///
    /// # Errors
    /// When it is another webhook's or shard's, or the database fails.
    pub fn configure(
        &mut self,
        db: &impl Database,
        webhook: &Webhook,
        shard: u8,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        match self.retired {
            None => {}
            Some(retired) if retired != RETIRED_EARLIER && webhook.version > retired => {
                self.revive(db)?;
            }
            Some(_) => return Ok(()),
        }
        if let Some(known) = &self.config {
            if known.id != webhook.id || self.shard != shard {
                return Err(MailboxTrouble::Misdirected.into());
            }
            let is_completed = known.version == webhook.version
                && known.secrets.is_empty()
                && !webhook.secrets.is_empty();
            if known.version >= webhook.version && !is_completed {
                return Ok(());
            }
        }
        let webhook = webhook.clone();
        let json = sql::json(&webhook)?;
        let new = self.config.is_none();
        // The alarm is decided under the new configuration, which may have ended
        // a pause; if storing fails, memory goes back to what is stored.
        let health_before = self.health.clone();
        self.adapt_health(&webhook, now);
        let config_before = self.config.replace(Rc::new(webhook));
        let shard_before = std::mem::replace(&mut self.shard, shard);
        let stored = db.atomically(|| {
            let alarm = self.arm_for_pending(db, now)?;
            for (destination, before) in health_before.iter() {
                match self.health.get(destination) {
                    Some(after) => health::save(db, *destination, before, after)?,
                    None => health::forget(db, *destination)?,
                }
            }
            if new {
                schema::set_meta(db, SHARD, sql::integer(i64::from(shard)))?;
            }
            schema::set_meta(db, CONFIG, json)?;
            Ok(alarm)
        });
        if stored.is_err() {
            self.config = config_before;
            self.shard = shard_before;
            self.health = health_before;
        }
        self.answered_at = Few::default();
        // Other times to keep things, perhaps.
        self.prune_at = None;
        self.alerts_at = None;
        self.committed(stored)
    }

    /// Whether the configuration is one that was stored before Mailboxes were told the
    /// provider's secrets. Until they are, what the provider signed goes as it came.
    fn lacks_secrets(&self) -> bool {
        let config = self.config.as_ref();
        config.is_some_and(|config| config.secrets.is_empty())
    }

    /// What a new configuration means for the health of its destinations: what is
    /// gone is forgotten, what was asked of the old one does not bind, what is down is
    /// probed at once, and what has gathered in a pause is not thrown at them at once.
    fn adapt_health(&mut self, webhook: &Webhook, now: Timestamp) {
        let resumed =
            !webhook.is_paused && self.config.as_ref().is_some_and(|known| known.is_paused);
        let known = std::mem::take(&mut self.health);
        for destination in &webhook.destinations {
            let mut health = known.get(&destination.id).cloned();
            if resumed {
                health.get_or_insert_default().catch_up(now);
            }
            if let Some(mut health) = health {
                health.configured_anew();
                self.health.insert(destination.id, health);
            }
        }
    }

    /// The webhook was deleted: everything is forgotten, and nothing is taken any
    /// more.
    ///
    /// # Errors
    /// When it is another webhook's, or the database fails.
    pub fn retire(
        &mut self,
        db: &impl Database,
        webhook: WebhookId,
        version: u64,
    ) -> Result<(), MailboxError> {
        if self.retired.is_some() {
            return Ok(());
        }
        let version = version.max(RETIRED_EARLIER);
        if self
            .config
            .as_ref()
            .is_some_and(|known| known.id != webhook)
        {
            return Err(MailboxTrouble::Misdirected.into());
        }
        let stored = db.atomically(|| {
            let version = i64::try_from(version).unwrap_or(i64::MAX);
            schema::set_meta(db, RETIRED, sql::integer(version))?;
            // It holds the provider's secrets and the signing secrets.
            schema::forget_meta(db, CONFIG)?;
            schema::drop_all(db)
        });
        if let Err(error) = stored {
            // What failed may have stuck: then there are no tables to go on with.
            if !matches!(schema::meta(db, RETIRED), Ok(Some(_))) {
                return Err(error);
            }
        }
        *self = Self {
            shard: self.shard,
            retired: Some(version),
            last: self.last,
            running: self.running,
            armed: self.armed,
            station_alerts: self.station_alerts,
            ..Self::default()
        };
        Ok(())
    }

    /// Begins anew after a deletion that was undone. Whatever of it sticks, it is a
    /// retired Mailbox until all has.
    fn revive(&mut self, db: &impl Database) -> Result<(), MailboxError> {
        db.atomically(|| {
            schema::drop_all(db)?;
            schema::forget_all_meta_but(db, RETIRED)
        })?;
        schema::migrate(db, schema::MIGRATIONS)?;
        schema::forget_meta(db, RETIRED)?;
        self.retired = None;
        self.first_attempts = FirstAttempts::open(db, self.last)?;
        Ok(())
    }

    /// Answers a message. A run under way should look for work afterwards.
    ///
    /// # Errors
    /// When the database fails or the message is for another Mailbox.
    pub fn handle(
        &mut self,
        db: &impl Database,
        request: MailboxRequest,
        now: Timestamp,
    ) -> Result<MailboxReply, MailboxError> {
        Ok(match request {
            MailboxRequest::Configure { webhook, shard } => {
                self.configure(db, &webhook, shard, now)?;
                MailboxReply::Done
            }
            MailboxRequest::Retire { webhook, version } => {
                self.retire(db, webhook, version)?;
                MailboxReply::Done
            }
            MailboxRequest::List(query) => MailboxReply::Page(self.list(db, &query)?),
            MailboxRequest::Get(sequence) => match self.get(db, sequence)? {
                Some(event) => MailboxReply::Event(event.shown()?),
                None => MailboxReply::NotFound,
            },
            // It is to be signed as the provider would.
            MailboxRequest::Resend { .. } if self.lacks_secrets() => MailboxReply::Unconfigured,
            MailboxRequest::Resend {
                sequence,
                destination,
            } => match self.resend(db, sequence, destination, now)? {
                Some(0) => MailboxReply::PayloadGone,
                Some(queued) => MailboxReply::Queued(queued),
                None => MailboxReply::NotFound,
            },
            MailboxRequest::Refused(come) => self.keep_refused(db, come)?,
            MailboxRequest::Refusals => self.refusals(db)?,
            MailboxRequest::Cancel(sequence) => {
                self.cancel(db, sequence)?;
                match self.get(db, sequence)? {
                    Some(event) => MailboxReply::Event(event.shown()?),
                    None => MailboxReply::NotFound,
                }
            }
            MailboxRequest::Delete(sequence) => match self.delete(db, sequence)? {
                Some(deleted) => MailboxReply::Deleted {
                    event: deleted.event.shown()?,
                    key: deleted.key,
                },
                None => MailboxReply::NotFound,
            },
            MailboxRequest::Job {
                kind: JobKind::Resend,
                ..
            } if self.lacks_secrets() => MailboxReply::Unconfigured,
            MailboxRequest::Job { id, kind, query } => {
                MailboxReply::Job(self.job(db, id, kind, &query, now)?)
            }
            MailboxRequest::Stats => MailboxReply::Stats(self.stats(db, now)?),
            MailboxRequest::Tally(tally) => {
                self.tally(db, tally, now)?;
                MailboxReply::Done
            }
            MailboxRequest::EndTrial {
                sequence,
                report,
                answered,
            } => self.end_trial(db, sequence, &report, &answered, now)?,
            MailboxRequest::Probe(destinations) => {
                self.ask_for_probes(&destinations);
                MailboxReply::Done
            }
            MailboxRequest::Visit => {
                self.count_more = true;
                self.tend(db, now)?;
                if self.lacks_secrets() {
                    MailboxReply::Unconfigured
                } else {
                    MailboxReply::VisitAt(self.visit_at(db, now)?.map(Timestamp::millis))
                }
            }
        })
    }

    /// What is done beside relaying, in every wake: prunes what is over its time, and
    /// goes on with jobs and with counting. Bounded; where more is left,
    /// [`wake_at`](Self::wake_at) says so.
    ///
    /// # Errors
    /// When the database fails; what was done until then is.
    pub fn tend(&mut self, db: &impl Database, now: Timestamp) -> Result<(), MailboxError> {
        self.tended_at = now;
        let worked = self.work_on_jobs(db, now);
        let counted = self.count_more(db, now);
        let pruned = self.prune(db, now);
        if pruned.is_err() {
            // Not over and over, whatever is the matter.
            self.prune_later(now);
        }
        worked.and(counted).and(pruned)
    }

    /// [`tend`](Self::tend) in a run that goes on for long, if more is left to do.
    ///
    /// # Errors
    /// When the database fails; what was done until then is.
    pub fn tend_again(&mut self, db: &impl Database, now: Timestamp) -> Result<(), MailboxError> {
        let next = self.tended_at.plus(TEND_AGAIN);
        let more = self
            .more_to_prune(now)
            .into_iter()
            .chain(self.more_jobs(now))
            .chain(self.more_to_count(now))
            .min();
        if more.is_none_or(|at| at > now.plus(TEND_AGAIN)) || (next > now && self.tended_at <= now)
        {
            return Ok(());
        }
        self.tend(db, now)
    }

    /// What the log should say, once.
    pub fn complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }

    /// An event that cannot be read is set aside. Any other error is one.
    fn set_aside(&mut self, event: Sequence, error: MailboxError) -> Result<(), MailboxError> {
        let unreadable = match error.trouble() {
            MailboxTrouble::Unreadable(_) => true,
            MailboxTrouble::Database(error) => {
                matches!(error.trouble(), DatabaseTrouble::Unexpected(_))
            }
            _ => false,
        };
        if !unreadable {
            return Err(error);
        }
        if !self.unreadable.has(&event) && self.complaints.len() < COMPLAINTS {
            let number = event.number();
            self.complaints
                .push(format!("event number {number} is set aside: {error}"));
        }
        self.unreadable.insert(event, ());
        Ok(())
    }

    /// The configuration, when relaying goes on.
    fn relaying(&self) -> Option<&Rc<Webhook>> {
        self.config.as_ref().filter(|config| !config.is_paused)
    }

    fn event_id(config: &Webhook, shard: u8, sequence: Sequence) -> EventId {
        EventId {
            sequence,
            webhook: config.id,
            shard,
        }
    }
}

/// Cuts a text after at most `bytes`, between characters.
fn clip(text: &mut String, bytes: usize) {
    text.truncate(text.floor_char_boundary(bytes));
}
