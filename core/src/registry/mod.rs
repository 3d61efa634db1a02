//! The Registry: the truth about webhook configuration.
//!
//! Every change gives a webhook a new version and, in the same transaction, notes
//! which Mailboxes have to be told of it. The edge tells them at once; what could
//! not be told is tried again by alarm until it is, so that a change that was
//! answered with success always arrives. Out of scope: the calls themselves.

pub(crate) mod input;
mod jobs;
mod rotation;
mod shards;
mod store;
#[cfg(test)]
pub(crate) mod test_providers;
#[cfg(test)]
mod tests;
pub mod view;
mod visits;
mod warnings;

pub use input::no_fields;
pub use jobs::JobStep;
pub use shards::ShardId;
pub use visits::Visit;

use crate::{
    database::{Database, DatabaseError},
    destination_url,
    ids::{JobId, WebhookId},
    mailbox::{jobs::Progress, stats::Stats},
    messages::{Mistake, RegistryReply, RegistryRequest, Reveal, Write},
    problem::FieldError,
    providers::{self, Provider},
    secret::{Entropy, EntropyExhausted},
    time::Timestamp,
    webhook::Webhook,
};
pub use warnings::warnings;

use input::{Rejected, Rules, Written};
use jobs::NotBegun;
use std::time::Duration;

/// How long after a change the Mailboxes are told again, should the first call to
/// them fail.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// The longest wait between such tries.
const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// Why the Registry could not do what was asked. Holds nothing of what is stored.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The database failed; nothing was changed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The edge supplied too few random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyExhausted),
    /// What is stored of a webhook cannot be read.
    #[error("the stored configuration of {0} cannot be read")]
    Unreadable(String),
    /// A webhook cannot be written as JSON.
    #[error("the configuration of {0} cannot be written")]
    Unwritable(WebhookId),
}

/// What one Mailbox has to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// The webhook.
    pub webhook: WebhookId,
    /// The Mailbox of it, from 0.
    pub shard: u8,
    /// The version that is told of: what is newer by then is told on its own.
    pub version: u64,
    /// What to tell.
    pub payload: Payload,
}

/// What is told in a [`Push`].
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// The configuration without the provider's secrets.
    Configure(Box<Webhook>),
    /// The webhook was deleted, as that version.
    Retire,
}

/// The Registry's logic over its object's database.
#[derive(Clone, Copy)]
pub struct Registry {
    providers: &'static [&'static dyn Provider],
}

impl Registry {
    /// Brings the database to the shape that is known here.
    ///
    /// # Errors
    /// When the database refuses, or has a later shape than is known.
    pub fn open(db: &impl Database) -> Result<Self, DatabaseError> {
        Self::with_providers(db, providers::ALL)
    }

    fn with_providers(
        db: &impl Database,
        providers: &'static [&'static dyn Provider],
    ) -> Result<Self, DatabaseError> {
        store::migrate(db)?;
        Ok(Self { providers })
    }

    /// Does what is asked. After a change [`pending_pushes`](Self::pending_pushes)
    /// says which Mailboxes to tell.
    ///
    /// # Errors
    /// When nothing was done.
    pub fn handle(
        &self,
        db: &impl Database,
        request: &RegistryRequest,
        entropy: &mut Entropy,
        now: Timestamp,
    ) -> Result<RegistryReply, RegistryError> {
        match request {
            RegistryRequest::Load(id) | RegistryRequest::Get(id) => {
                Ok(store::load(db, *id)?.map_or(RegistryReply::NotFound, shown))
            }
            RegistryRequest::LoadNewer { webhook, than } => db.atomically(|| {
                let Some(mut webhook) = store::load(db, *webhook)? else {
                    return Ok(RegistryReply::NotFound);
                };
                // Every version that a Mailbox knows came from here. A later one than
                // the latest means that this database was restored to an earlier point.
                if webhook.version < *than {
                    webhook.version = *than;
                    store_changed(db, &mut webhook, now)?;
                }
                Ok(shown(webhook))
            }),
            RegistryRequest::List { per_page, cursor } => list(db, *per_page, cursor.as_deref()),
            RegistryRequest::Create(write) => self.create(db, write, entropy, now),
            RegistryRequest::Update(id, write) => self.update(db, *id, write, entropy, now),
            RegistryRequest::Toggle(id) => db.atomically(|| {
                let Some(mut webhook) = store::load(db, *id)? else {
                    return Ok(RegistryReply::NotFound);
                };
                webhook.is_active = !webhook.is_active;
                store_changed(db, &mut webhook, now)?;
                Ok(shown(webhook))
            }),
            RegistryRequest::Pause(id, paused) => db.atomically(|| {
                let Some(mut webhook) = store::load(db, *id)? else {
                    return Ok(RegistryReply::NotFound);
                };
                if webhook.is_paused != *paused {
                    webhook.is_paused = *paused;
                    store_changed(db, &mut webhook, now)?;
                }
                Ok(shown(webhook))
            }),
            RegistryRequest::RotateSecret(id, body) => {
                rotation::rotate(db, *id, body, entropy, now)
            }
            RegistryRequest::Note { webhook, shard } => {
                visits::note(db, *webhook, *shard, now)?;
                Ok(RegistryReply::Done)
            }
            // The calls are the edge's.
            RegistryRequest::MakeRound => Ok(RegistryReply::Done),
            RegistryRequest::Shards { webhook, from } => {
                let (shards, next) = shards::page(db, *webhook, *from)?;
                Ok(if shards.is_empty() && webhook.is_some() {
                    RegistryReply::NotFound
                } else {
                    RegistryReply::Shards { shards, next }
                })
            }
            RegistryRequest::Known(shards) => Ok(RegistryReply::Shards {
                shards: shards::known(db, shards)?,
                next: None,
            }),
            RegistryRequest::Figures(webhook) => {
                Ok(RegistryReply::Figures(shards::sum(db, *webhook, now)?))
            }
            RegistryRequest::BeginJob { kind, query } => db.atomically(|| {
                let id = JobId::from_random(entropy.draw()?);
                Ok(match jobs::begin(db, id, *kind, query, now)? {
                    Ok(reply) => RegistryReply::Job(reply),
                    Err(NotBegun::NotFound) => RegistryReply::NotFound,
                    Err(NotBegun::TooMany) => RegistryReply::TooMany,
                })
            }),
            RegistryRequest::Job(id) => {
                Ok(jobs::reply(db, *id)?.map_or(RegistryReply::NotFound, RegistryReply::Job))
            }
            RegistryRequest::Delete(id) => db.atomically(|| {
                let Some(webhook) = store::load(db, *id)? else {
                    return Ok(RegistryReply::NotFound);
                };
                store::delete(db, &webhook, now)?;
                shards::forget(db, std::slice::from_ref(&webhook), now)?;
                db.set_alarm(now.plus(FIRST_RETRY))?;
                Ok(RegistryReply::Deleted(vec![webhook]))
            }),
            RegistryRequest::DeleteByUrl(url) => db.atomically(|| {
                let deleted = store::select(db, |webhook| {
                    webhook
                        .destinations
                        .iter()
                        .any(|destination| destination_url::same(&destination.url, url))
                })?;
                if deleted.is_empty() {
                    return Ok(RegistryReply::NotFound);
                }
                for webhook in &deleted {
                    store::delete(db, webhook, now)?;
                }
                shards::forget(db, &deleted, now)?;
                db.set_alarm(now.plus(FIRST_RETRY))?;
                Ok(RegistryReply::Deleted(deleted))
            }),
        }
    }

    fn create(
        self,
        db: &impl Database,
        write: &Write,
        entropy: &mut Entropy,
        now: Timestamp,
    ) -> Result<RegistryReply, RegistryError> {
        let written = match input::create(&self.rules(write, now), &write.body, entropy) {
            Ok(written) => written,
            Err(rejected) => return rejected.into_reply(),
        };
        db.atomically(|| {
            store::insert(db, &written.webhook)?;
            db.set_alarm(now.plus(FIRST_RETRY))?;
            Ok(written.into_reply())
        })
    }

    fn update(
        self,
        db: &impl Database,
        id: WebhookId,
        write: &Write,
        entropy: &mut Entropy,
        now: Timestamp,
    ) -> Result<RegistryReply, RegistryError> {
        db.atomically(|| {
            let Some(existing) = store::load(db, id)? else {
                return Ok(RegistryReply::NotFound);
            };
            let rules = self.rules(write, now);
            let mut written = match input::update(&rules, &existing, &write.body, entropy) {
                Ok(written) => written,
                Err(rejected) => return rejected.into_reply(),
            };
            if written.webhook != existing {
                store_changed(db, &mut written.webhook, now)?;
            }
            Ok(written.into_reply())
        })
    }

    const fn rules<'a>(self, write: &'a Write, now: Timestamp) -> Rules<'a> {
        Rules {
            providers: self.providers,
            station: &write.station,
            now,
        }
    }

    /// The webhook as it is now; `None` when there is none.
    ///
    /// # Errors
    /// When the database fails or the webhook cannot be read.
    pub fn load(
        &self,
        db: &impl Database,
        id: WebhookId,
    ) -> Result<Option<Webhook>, RegistryError> {
        store::load(db, id)
    }

    /// Mailboxes that have to be told of a change, those first that were tried
    /// least. Asking counts as a try.
    ///
    /// # Errors
    /// When the database fails or a webhook cannot be read.
    pub fn pending_pushes(
        &self,
        db: &impl Database,
        limit: u32,
    ) -> Result<Vec<Push>, RegistryError> {
        db.atomically(|| store::pending(db, limit))
    }

    /// Notes that a Mailbox has been told. Of a later change it still has to be.
    ///
    /// # Errors
    /// When the database fails: it will then be told once more, which does no harm.
    pub fn pushed(&self, db: &impl Database, push: &Push) -> Result<(), DatabaseError> {
        store::pushed(db, push)
    }

    /// Mailboxes to be visited now. Beginning a visit counts for a while, answered or
    /// not.
    ///
    /// # Errors
    /// When the database fails.
    pub fn begin_visits(
        &self,
        db: &impl Database,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Visit>, RegistryError> {
        db.atomically(|| visits::begin(db, limit, now))
    }

    /// Notes when a visited Mailbox wants to be visited again; `None` is never, until
    /// something comes to it.
    ///
    /// # Errors
    /// When the database fails: it will then be visited once more, which does no harm.
    pub fn visited(
        &self,
        db: &impl Database,
        visit: &Visit,
        next: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), DatabaseError> {
        visits::done(db, visit, next, now)
    }

    /// The shards to be asked anew for their figures, of one webhook or of all: those that
    /// told theirs longest ago.
    ///
    /// # Errors
    /// When the database fails.
    pub fn shards_to_ask(
        &self,
        db: &impl Database,
        webhook: Option<WebhookId>,
    ) -> Result<Vec<ShardId>, RegistryError> {
        shards::to_ask(db, webhook)
    }

    /// Keeps the figures that shards have told.
    ///
    /// # Errors
    /// When the database fails: they will then be asked once more.
    pub fn keep_figures(
        &self,
        db: &impl Database,
        told: &[(ShardId, Stats)],
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        db.atomically(|| shards::told(db, told, now))
    }

    /// What a job, or the one that has been due longest, asks of which shards next. `None`
    /// when there is nothing to do now.
    ///
    /// # Errors
    /// When the database fails or the job cannot be read.
    pub fn job_step(
        &self,
        db: &impl Database,
        id: Option<JobId>,
        now: Timestamp,
    ) -> Result<Option<JobStep>, RegistryError> {
        db.atomically(|| jobs::step(db, id, now))
    }

    /// Notes how far the shards of a step are; those that did not answer are left out.
    /// Where events were deleted [`pending_pushes`](Self::pending_pushes) says which
    /// Mailboxes to tell.
    ///
    /// # Errors
    /// When the database fails: they will then be asked once more, which does no harm.
    pub fn job_stepped(
        &self,
        db: &impl Database,
        id: JobId,
        said: &[(ShardId, Progress)],
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        db.atomically(|| jobs::stepped(db, id, said, now))
    }

    /// Sets the alarm for jobs that are under way, and for what is still to be told: 5 seconds after the first try,
    /// then twice as long each time, up to 5 minutes. `None` when nothing is.
    ///
    /// # Errors
    /// When the database or the alarm fails.
    pub fn rearm(
        &self,
        db: &impl Database,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, DatabaseError> {
        let tell = store::fewest_tries(db)?.map(|tries| {
            let doublings = tries.saturating_sub(1).min(16);
            let wait = FIRST_RETRY
                .saturating_mul(1_u32.checked_shl(doublings).unwrap_or(1))
                .min(LONGEST_RETRY);
            now.plus(wait)
        });
        let at = tell.into_iter().chain(jobs::due(db, now)?).min();
        if let Some(at) = at {
            db.set_alarm(at)?;
        }
        Ok(at)
    }
}

fn shown(webhook: Webhook) -> RegistryReply {
    RegistryReply::Webhook {
        warnings: warnings(&webhook),
        webhook: Box::new(webhook),
        reveal: Reveal::default(),
    }
}

fn next_version(webhook: &Webhook, now: Timestamp) -> u64 {
    let time = u64::try_from(now.millis()).unwrap_or(0);
    webhook.version.saturating_add(1).max(time)
}

fn store_changed(
    db: &impl Database,
    webhook: &mut Webhook,
    now: Timestamp,
) -> Result<(), RegistryError> {
    webhook.updated_at = now;
    store_as_newer(db, webhook, now)
}

/// Stores a webhook under a new version, of which its Mailboxes are to be told.
fn store_as_newer(
    db: &impl Database,
    webhook: &mut Webhook,
    now: Timestamp,
) -> Result<(), RegistryError> {
    webhook.version = next_version(webhook, now);
    store::replace(db, webhook)?;
    db.set_alarm(now.plus(FIRST_RETRY))?;
    Ok(())
}

fn list(
    db: &impl Database,
    per_page: u32,
    cursor: Option<&str>,
) -> Result<RegistryReply, RegistryError> {
    let before = match cursor.map(store::Place::parse) {
        None => None,
        Some(Some(place)) => Some(place),
        Some(None) => {
            return Ok(RegistryReply::Invalid(vec![Mistake {
                pointer: "?cursor".to_owned(),
                message: "is not a `next_cursor` of this list".to_owned(),
            }]));
        }
    };
    let (webhooks, next) = store::page(db, per_page.clamp(1, 100), before)?;
    Ok(RegistryReply::Webhooks {
        webhooks,
        next_cursor: next.map(store::Place::to_cursor),
    })
}

impl Written {
    fn into_reply(self) -> RegistryReply {
        RegistryReply::Webhook {
            warnings: warnings(&self.webhook),
            webhook: Box::new(self.webhook),
            reveal: self.reveal,
        }
    }
}

impl Rejected {
    fn into_reply(self) -> Result<RegistryReply, RegistryError> {
        match self {
            Self::Mistakes(mistakes) => Ok(RegistryReply::Invalid(
                mistakes.into_iter().map(Mistake::from).collect(),
            )),
            Self::Entropy(error) => Err(error.into()),
        }
    }
}

impl From<FieldError> for Mistake {
    fn from(error: FieldError) -> Self {
        Self {
            pointer: error.pointer,
            message: error.message,
        }
    }
}

impl From<Mistake> for FieldError {
    fn from(mistake: Mistake) -> Self {
        Self {
            pointer: mistake.pointer,
            message: mistake.message,
        }
    }
}
