//! The Mailbox as a Durable Object: lends the core its database, its clock and
//! its outgoing requests.
//!
//! The alarm is what drives deliveries. While one runs, new events wake it
//! through memory; no borrow of the core is held across an `.await`.

#![expect(missing_docs, reason = "the methods that the macro exports")]

use crate::{
    clock, database::SqlDatabase, http, join, log, objects, outbound, signal::Signal, station,
    thrown::Thrown,
};
use futures_util::future::{self, Either};
use std::{cell::RefCell, collections::VecDeque, pin::pin, time::Duration};
use tram_core::{
    alert::Alert,
    delivery::{Job, Verdict},
    mailbox::{LINGER, Mailbox as Core, MailboxError},
    messages::{self, Accept, MailboxRequest, NotUnderstood},
    time::Timestamp,
    webhook::Webhook,
};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{Delay, Env, State, web_sys, worker_sys::DurableObjectState};

/// A run ends after this and lets the alarm call it again: the platform stops an
/// alarm at 15 minutes.
const LONGEST_RUN: Duration = Duration::from_secs(600);
/// When nothing else can be armed.
const LAST_RESORT: Duration = Duration::from_secs(30);

/// One shard of one webhook.
#[wasm_bindgen]
pub struct Mailbox {
    env: Env,
    database: SqlDatabase,
    core: RefCell<Option<Core>>,
    to_tell: RefCell<VecDeque<Alert>>,
    wake: Signal,
}

/// What has ended of what was under way.
enum Ended {
    /// An attempt, and what it came to.
    Attempt(Job, Option<Verdict>),
    /// An alert, heard or not.
    Alert,
}

/// Why the object could not do what was asked.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Core(#[from] MailboxError),
    #[error("the runtime failed: {0}")]
    Runtime(#[from] Thrown),
    #[error("a message could not be read or written: {0}")]
    Message(#[from] NotUnderstood),
    #[error("the object was called while it was busy with itself")]
    Busy,
}

// What the SDK's `durable_object` writes, without its requests and answers, of which
// only bytes are wanted here.
#[wasm_bindgen(wasm_bindgen_futures = worker::wasm_bindgen_futures, js_sys = worker::js_sys)]
impl Mailbox {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        Self {
            env,
            database: SqlDatabase::new(&State::from(state)),
            core: RefCell::new(None),
            to_tell: RefCell::default(),
            wake: Signal::default(),
        }
    }

    pub async fn fetch(&self, request: web_sys::Request) -> Result<web_sys::Response, JsValue> {
        http::message(self.answer(&request).await.map_err(complain))
    }

    /// Never throws: the platform deletes an alarm that has thrown seven times.
    pub async fn alarm(&self) {
        if let Err(trouble) = self.run().await {
            log::trouble(format_args!("mailbox alarm: {trouble}"));
            self.arm_last_resort();
        }
    }
}

fn complain(trouble: Trouble) {
    log::trouble(format_args!("mailbox: {trouble}"));
}

impl Mailbox {
    async fn answer(&self, request: &web_sys::Request) -> Result<Vec<u8>, Trouble> {
        let (path, bytes) = http::read_message(request).await?;
        if self.ready().await? {
            // Awake again: an alarm that was lost is set again.
            self.with(|core, db| core.ensure_armed(db, clock::now()))?;
        }
        if path == objects::ACCEPT {
            return self.accept(&bytes);
        }
        if path == objects::ACCEPTS {
            let mut answers = Vec::new();
            for accept in messages::frames(&bytes)? {
                // One that fails fails alone.
                let answer = self.accept(accept).map_err(complain);
                messages::push_frame(&mut answers, &answer.unwrap_or_default())?;
            }
            return Ok(answers);
        }
        if path == objects::TRIAL {
            let accept = Accept::from_bytes(&bytes)?;
            let reply = self.with(|core, db| core.begin_trial(db, &accept, clock::now()))?;
            return Ok(messages::to_bytes(&reply)?);
        }
        let question: MailboxRequest = messages::from_bytes(&bytes)?;
        let reply = self.with(|core, db| {
            let now = clock::now();
            let reply = core.handle(db, question, now)?;
            core.ensure_armed(db, now)?;
            Ok(reply)
        })?;
        // A resend or a new configuration may have made something due.
        self.wake.raise();
        Ok(messages::to_bytes(&reply)?)
    }

    /// Takes the events of one request.
    fn accept(&self, accept: &[u8]) -> Result<Vec<u8>, Trouble> {
        let accept = Accept::from_bytes(accept)?;
        let accepted = self.with(|core, db| core.accept(db, &accept, clock::now()))?;
        if accepted.wake {
            self.wake.raise();
        }
        Ok(messages::to_bytes(&accepted.reply)?)
    }

    /// Opens the core on first use in this instance; says whether it was.
    async fn ready(&self) -> Result<bool, Trouble> {
        if self.core.try_borrow().map_err(|_| Trouble::Busy)?.is_some() {
            return Ok(false);
        }
        let armed = self.database.alarm().await?;
        let mut core = self.core.try_borrow_mut().map_err(|_| Trouble::Busy)?;
        // Another request may have opened it while this one waited.
        let opens = core.is_none();
        if opens {
            let mut new = Core::open(&self.database, armed, clock::now())?;
            new.set_station_alerts(station::alert_url(&self.env).is_some());
            *core = Some(new);
        }
        Ok(opens)
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut Core, &SqlDatabase) -> Result<T, MailboxError>,
    ) -> Result<T, Trouble> {
        let mut core = self.core.try_borrow_mut().map_err(|_| Trouble::Busy)?;
        let core = core.as_mut().ok_or(Trouble::Busy)?;
        let done = work(core, &self.database);
        for complaint in core.complaints() {
            log::trouble(format_args!("mailbox: {complaint}"));
        }
        Ok(done?)
    }

    /// Delivers what is due, up to [`AT_ONCE`](outbound::AT_ONCE) at once, until nothing is.
    async fn run(&self) -> Result<(), Trouble> {
        self.ready().await?;
        self.with(|core, _| {
            core.woken();
            core.begin_run();
            Ok(())
        })?;
        self.tend(|core, db| core.tend(db, clock::now()));
        let delivered = self.deliver().await;
        let ended = self.with(|core, db| core.end_run(db, clock::now()));
        delivered.and(ended)
    }

    /// After a trouble nothing new is begun, but what is under way is seen to its
    /// end and written down.
    async fn deliver(&self) -> Result<(), Trouble> {
        let deadline = clock::now().plus(LONGEST_RUN);
        let mut under_way: Vec<join::Part<'_, Ended>> = Vec::new();
        let mut outcome = Ok(());
        let mut telling = false;
        loop {
            let now = clock::now();
            let mut wait = None;
            let goes_on = outcome.is_ok() && now < deadline;
            if goes_on {
                let alert = self.next_alert(now, telling);
                // One at a time: an alert takes one of the slots, never more.
                if let Some(alert) = alert {
                    under_way.push(Box::pin(self.tell(alert)));
                    telling = true;
                }
                self.tend(|core, db| core.tend_again(db, now));
            }
            if goes_on && under_way.len() < outbound::AT_ONCE {
                match self.lease(outbound::AT_ONCE.saturating_sub(under_way.len()), now) {
                    Ok((jobs, until)) => {
                        for job in jobs {
                            under_way.push(Box::pin(self.attempt(job)));
                        }
                        wait = Some(until);
                    }
                    Err(trouble) => outcome = Err(trouble),
                }
            }
            if under_way.is_empty() && wait.is_none_or(|wait| wait > LINGER) {
                return outcome;
            }
            // With no slot free only an end can help; else also news, or the next due.
            let finished = match wait {
                Some(wait) if under_way.is_empty() => {
                    let news = Box::pin(self.wake.wait());
                    future::select(news, Delay::from(wait)).await;
                    None
                }
                Some(wait) if under_way.len() < outbound::AT_ONCE => {
                    let news = future::select(Box::pin(self.wake.wait()), Delay::from(wait));
                    match future::select(pin!(join::first(&mut under_way)), news).await {
                        Either::Left((finished, _)) => finished,
                        Either::Right(_) => None,
                    }
                }
                _ => join::first(&mut under_way).await,
            };
            match finished {
                Some(Ended::Attempt(job, verdict)) => {
                    if let Err(trouble) = self.record(&job, verdict) {
                        outcome = outcome.and(Err(trouble));
                    }
                }
                Some(Ended::Alert) => telling = false,
                None => {}
            }
        }
    }

    /// Attempts for the free slots, and how long there will be no more of them unless
    /// something happens.
    fn lease(&self, free: usize, now: Timestamp) -> Result<(Vec<Job>, Duration), Trouble> {
        let jobs = self.with(|core, db| core.lease(db, now, free))?;
        match self.with(|core, db| core.pause(db, now)) {
            Ok(pause) => Ok((jobs, pause)),
            Err(trouble) => {
                // They are not begun, so that nobody waits for them.
                self.with(|core, _| {
                    jobs.iter().for_each(|job| core.abandon(job));
                    Ok(())
                })?;
                Err(trouble)
            }
        }
    }

    /// The configuration as it is now.
    fn webhook(&self) -> Option<Webhook> {
        let core = self.core.try_borrow().ok()?;
        core.as_ref()?.config().cloned()
    }

    /// What is done beside relaying, which does not wait for it.
    fn tend(&self, work: impl FnOnce(&mut Core, &SqlDatabase) -> Result<(), MailboxError>) {
        if let Err(trouble) = self.with(work) {
            log::trouble(format_args!("mailbox: {trouble}"));
        }
    }

    /// What the operator is to be told next, unless something is being told. What this
    /// run does not come to is left to the next.
    fn next_alert(&self, now: Timestamp, telling: bool) -> Option<Alert> {
        let new = self.with(|core, db| core.alerts(db, now));
        let mut to_tell = self.to_tell.try_borrow_mut().ok()?;
        match new {
            Ok(alerts) => to_tell.extend(alerts),
            Err(trouble) => log::trouble(format_args!("mailbox: alerts: {trouble}")),
        }
        if telling { None } else { to_tell.pop_front() }
    }

    async fn tell(&self, alert: Alert) -> Ended {
        if let Some(webhook) = self.webhook() {
            let own = webhook.alert_url.clone();
            if let Some(url) = own.or_else(|| station::alert_url(&self.env)) {
                let station = station::station(&self.env, None);
                if !outbound::alert(&webhook, &alert, &url, &station).await {
                    log::trouble(format_args!(
                        "mailbox: an alert was not heard: {:?}",
                        alert.kind
                    ));
                }
            }
        }
        Ended::Alert
    }

    /// One attempt, from the configuration as it is now. No verdict: the destination
    /// is gone.
    async fn attempt(&self, job: Job) -> Ended {
        let verdict = match self.webhook() {
            Some(webhook) => {
                outbound::attempt(&webhook, &job, &station::station(&self.env, None)).await
            }
            None => None,
        };
        Ended::Attempt(job, verdict)
    }

    fn record(&self, job: &Job, verdict: Option<Verdict>) -> Result<(), Trouble> {
        self.with(|core, db| match verdict {
            Some(verdict) => core.finish(db, job, verdict, clock::now(), clock::jitter()),
            None => {
                core.abandon(job);
                Ok(())
            }
        })
    }

    fn arm_last_resort(&self) {
        use tram_core::database::Database;
        if let Err(error) = self.database.set_alarm(clock::now().plus(LAST_RESORT)) {
            log::trouble(format_args!("mailbox alarm could not be set: {error}"));
        }
        // The core does not know of it: it is not to rely on one it set itself.
        if let Ok(mut core) = self.core.try_borrow_mut()
            && let Some(core) = core.as_mut()
        {
            core.woken();
        }
    }
}
