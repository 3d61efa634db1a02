//! The Registry as a Durable Object: the truth about configuration, and what
//! tells the Mailboxes of its changes until each of them has heard.

#![expect(missing_docs, reason = "the methods that the macro exports")]

use crate::{clock, database::SqlDatabase, http, join, log, objects, thrown::Thrown};
use std::cell::RefCell;
use tram_core::{
    ids::{JobId, WebhookId},
    mailbox::jobs::JobKind,
    messages::{self, MailboxReply, MailboxRequest, NotUnderstood, RegistryReply, RegistryRequest},
    registry::{Payload, Push, Registry as Core, RegistryError, Visit},
    time::Timestamp,
};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{Env, State, web_sys, worker_sys::DurableObjectState};

/// Pushes performed in one go.
const PUSHES: u32 = 64;
/// Mailboxes visited at once.
const VISITS: u32 = 32;

/// What an operator hears when a change is stored but not yet known everywhere.
const UNTOLD: &str = "stored, but a shard of this webhook could not be reached and may go on with the configuration before; it is told as soon as it can be";

fn changes(question: &RegistryRequest) -> bool {
    match question {
        RegistryRequest::Create(_)
        | RegistryRequest::Update(..)
        | RegistryRequest::Toggle(_)
        | RegistryRequest::Pause(..)
        | RegistryRequest::RotateSecret(..)
        | RegistryRequest::LoadNewer { .. }
        | RegistryRequest::Delete(_)
        | RegistryRequest::DeleteByUrl(_) => true,
        RegistryRequest::Load(_)
        | RegistryRequest::List { .. }
        | RegistryRequest::Get(_)
        | RegistryRequest::Note { .. }
        | RegistryRequest::MakeRound
        | RegistryRequest::Shards { .. }
        | RegistryRequest::Known(_)
        | RegistryRequest::Figures(_)
        | RegistryRequest::BeginJob { .. }
        | RegistryRequest::Job(_) => false,
    }
}

/// The one Registry of a station.
#[wasm_bindgen]
pub struct Registry {
    env: Env,
    database: SqlDatabase,
    core: RefCell<Option<Core>>,
}

/// Why the Registry could not do what was asked.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Core(#[from] RegistryError),
    #[error("the database failed: {0}")]
    Database(#[from] tram_core::database::DatabaseError),
    #[error("the runtime failed: {0}")]
    Runtime(#[from] Thrown),
    #[error(transparent)]
    Call(#[from] objects::CallError),
    #[error("a message could not be read or written: {0}")]
    Message(#[from] NotUnderstood),
    #[error("no random bytes: {0}")]
    Entropy(#[from] getrandom::Error),
    #[error("the object was called while it was busy with itself")]
    Busy,
}

// What the SDK's `durable_object` writes, without its requests and answers, of which
// only bytes are wanted here.
#[wasm_bindgen(wasm_bindgen_futures = worker::wasm_bindgen_futures, js_sys = worker::js_sys)]
impl Registry {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        Self {
            env,
            database: SqlDatabase::new(&State::from(state)),
            core: RefCell::new(None),
        }
    }

    pub async fn fetch(
        &self,
        _url: String,
        message: Vec<u8>,
    ) -> Result<web_sys::Response, JsValue> {
        let answer = self.answer(&message).await.map_err(|trouble| {
            log::trouble(format_args!("registry: {trouble}"));
        });
        http::message(answer)
    }

    /// Never throws; what could not be pushed stays armed.
    pub async fn alarm(&self) {
        if let Err(trouble) = self.push_all().await {
            log::trouble(format_args!("registry alarm: {trouble}"));
        }
        if let Err(trouble) = self.step(None).await {
            log::trouble(format_args!("registry: a job: {trouble}"));
        }
        if let Err(trouble) = self.with(|core, db| Ok(core.rearm(db, clock::now())?.is_some())) {
            log::trouble(format_args!("registry alarm could not be set: {trouble}"));
        }
    }
}

impl Registry {
    async fn answer(&self, message: &[u8]) -> Result<Vec<u8>, Trouble> {
        let question: RegistryRequest = messages::from_bytes(message)?;
        let mut entropy = clock::entropy()?;
        match &question {
            RegistryRequest::Figures(webhook) => self.ask_for_figures(*webhook).await?,
            RegistryRequest::Job(id) => self.step(Some(*id)).await?,
            _ => {}
        }
        let mut reply =
            self.with(|core, db| Ok(core.handle(db, &question, &mut entropy, clock::now())?))?;
        if changes(&question) {
            let untold = self.push_all().await?;
            if let RegistryReply::Webhook {
                webhook, warnings, ..
            } = &mut reply
                && untold.contains(&webhook.id)
            {
                warnings.push(UNTOLD.to_owned());
            }
        }
        if let RegistryReply::Job(job) = &mut reply
            && matches!(question, RegistryRequest::BeginJob { .. })
        {
            self.step(Some(job.id)).await?;
            let again = RegistryRequest::Job(job.id);
            reply =
                self.with(|core, db| Ok(core.handle(db, &again, &mut entropy, clock::now())?))?;
        }
        if matches!(question, RegistryRequest::MakeRound) {
            self.make_round().await?;
        }
        Ok(messages::to_bytes(&reply)?)
    }

    /// Visits every Mailbox that is to be visited.
    async fn make_round(&self) -> Result<(), Trouble> {
        loop {
            let visits =
                self.with(|core, db| Ok(core.begin_visits(db, VISITS, clock::now())?))?;
            if visits.is_empty() {
                return Ok(());
            }
            let calls = visits.iter().map(|visit| self.visit(visit));
            for (visit, next) in visits.iter().zip(join::all(calls).await) {
                // One that did not answer is visited in the next round.
                if let Some(next) = next {
                    self.with(|core, db| Ok(core.visited(db, visit, next, clock::now())?))?;
                }
            }
        }
    }

    /// The next step of a job, or of the one that has been due longest.
    async fn step(&self, id: Option<JobId>) -> Result<(), Trouble> {
        let step = self.with(|core, db| Ok(core.job_step(db, id, clock::now())?))?;
        let Some(step) = step else { return Ok(()) };
        let request = MailboxRequest::Job {
            id: step.id,
            kind: step.kind,
            query: step.query,
        };
        let asked = step
            .shards
            .iter()
            .map(|(webhook, shard)| self.ask_configured(webhook, *shard, &request));
        let mut said = Vec::with_capacity(step.shards.len());
        for (shard, reply) in step.shards.iter().zip(join::all(asked).await) {
            match reply {
                Ok(MailboxReply::Job(progress)) => said.push((*shard, progress)),
                // It is asked again.
                Ok(_) => {}
                Err(error) => log::trouble(format_args!(
                    "registry: a job in shard {} of {}: {error}",
                    shard.1, shard.0
                )),
            }
        }
        self.with(|core, db| Ok(core.job_stepped(db, step.id, &said, clock::now())?))?;
        // Whoever reads that a deletion is done is to find it in force.
        if step.kind == JobKind::Delete && said.iter().any(|(_, progress)| progress.done) {
            self.push_all().await?;
            self.with(|core, db| Ok(core.rearm(db, clock::now())?))?;
        }
        Ok(())
    }

    /// Asks some shards anew for their figures.
    async fn ask_for_figures(&self, webhook: Option<WebhookId>) -> Result<(), Trouble> {
        let shards = self.with(|core, db| Ok(core.shards_to_ask(db, webhook)?))?;
        let asked = shards.iter().map(|(webhook, shard)| {
            objects::mailbox(&self.env, webhook, *shard, &MailboxRequest::Stats)
        });
        let mut told = Vec::with_capacity(shards.len());
        for (shard, reply) in shards.iter().zip(join::all(asked).await) {
            match reply {
                Ok(MailboxReply::Stats(stats)) => told.push((*shard, stats)),
                Ok(_) => {}
                Err(error) => log::trouble(format_args!(
                    "registry: figures of shard {} of {}: {error}",
                    shard.1, shard.0
                )),
            }
        }
        self.with(|core, db| Ok(core.keep_figures(db, &told, clock::now())?))
    }

    /// When a Mailbox wants to be visited again; `None` when it did not answer.
    async fn visit(&self, visit: &Visit) -> Option<Option<Timestamp>> {
        let (webhook, shard) = (&visit.webhook, visit.shard);
        let asked = self.ask_configured(webhook, shard, &MailboxRequest::Visit);
        match asked.await {
            Ok(MailboxReply::VisitAt(next)) => Some(next.map(Timestamp::from_millis)),
            Ok(_) => None,
            Err(error) => {
                log::trouble(format_args!(
                    "registry: shard {shard} of {webhook} not visited: {error}"
                ));
                None
            }
        }
    }

    /// Asks a Mailbox; one that lacks something of its configuration is told it first.
    async fn ask_configured(
        &self,
        id: &WebhookId,
        shard: u8,
        request: &MailboxRequest,
    ) -> Result<MailboxReply, Trouble> {
        let ask = || objects::mailbox(&self.env, id, shard, request);
        let reply = ask().await?;
        if !matches!(reply, MailboxReply::Unconfigured) {
            return Ok(reply);
        }
        let Some(webhook) = self.with(|core, db| Ok(core.load(db, *id)?))? else {
            return Ok(reply);
        };
        objects::configure(&self.env, &webhook, shard).await?;
        Ok(ask().await?)
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&Core, &SqlDatabase) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let mut core = self.core.try_borrow_mut().map_err(|_| Trouble::Busy)?;
        if core.is_none() {
            *core = Some(Core::open(&self.database)?);
        }
        work(core.as_ref().ok_or(Trouble::Busy)?, &self.database)
    }

    /// Tells every Mailbox that has not heard of a change yet; the webhooks of those
    /// that could not be told.
    async fn push_all(&self) -> Result<Vec<WebhookId>, Trouble> {
        loop {
            let pushes = self.with(|core, db| Ok(core.pending_pushes(db, PUSHES)?))?;
            let told = join::all(pushes.iter().map(|push| self.tell(push))).await;
            let mut untold = Vec::new();
            for (push, told) in pushes.iter().zip(told) {
                if told {
                    self.with(|core, db| Ok(core.pushed(db, push)?))?;
                } else {
                    untold.push(push.webhook);
                }
            }
            if pushes.is_empty() || !untold.is_empty() {
                return Ok(untold);
            }
        }
    }

    async fn tell(&self, push: &Push) -> bool {
        let request = match &push.payload {
            Payload::Configure(webhook) => MailboxRequest::Configure {
                webhook: webhook.clone(),
                shard: push.shard,
            },
            Payload::Retire => MailboxRequest::Retire {
                webhook: push.webhook,
                version: push.version,
            },
        };
        match objects::mailbox(&self.env, &push.webhook, push.shard, &request).await {
            Ok(MailboxReply::Done) => true,
            Ok(_) => false,
            Err(error) => {
                log::trouble(format_args!(
                    "registry: shard {} of {} not told: {error}",
                    push.shard, push.webhook
                ));
                false
            }
        }
    }
}
