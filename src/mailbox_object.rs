//! The Mailbox as a Durable Object: lends the core its database, its clock and
//! its outgoing requests.
//!
//! A run drives deliveries. One begins with the event that finds none under way, beside
//! the answer to it, or with the alarm; new events wake it through memory. No borrow of
//! the core is held across an `.await`.

#![expect(missing_docs, reason = "the methods that the macro exports")]

use crate::{
    clock,
    database::SqlDatabase,
    http, join, log, objects,
    outbound::{self, Attempted, Told},
    signal::Signal,
    station,
    thrown::Thrown,
};
use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};
use tram_core::{
    alert::Alert,
    delivery::Job,
    destination_url::Station,
    mailbox::{LINGER, Mailbox as Core, MailboxError},
    messages::{self, Accept, MailboxRequest, NotUnderstood},
    request_url::RequestUrl,
    time::Timestamp,
    webhook::Webhook,
};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{Delay, Env, State, js_sys::futures::spawn_local, worker_sys::DurableObjectState};

/// A run that the alarm called ends after this and lets the alarm call it again: the
/// platform stops an alarm at 15 minutes.
const LONGEST_RUN: Duration = Duration::from_secs(600);
/// One that an event began leaves the rest to the alarm when the object has not been
/// called for this long: without a request or an alarm the platform may take it out of
/// memory after 70 seconds, whatever it waits for, and the last attempts take 30. (Since
/// the compatibility date 2026-10-01 it may wait for 15 minutes. What is cut off is made
/// up for by the lease's alarm, so that neither figure decides but what is sent twice.)
const LONGEST_BESIDE: Duration = Duration::from_secs(30);
/// A run that has not gone round for this long will not any more: the platform has
/// broken it off. It goes round every 30 seconds, the longest attempt.
const BROKEN_OFF: Duration = Duration::from_secs(120);
/// When nothing else can be armed.
const LAST_RESORT: Duration = Duration::from_secs(30);

/// One shard of one webhook.
#[wasm_bindgen]
pub struct Mailbox(Rc<Object>);

struct Object {
    env: Env,
    station: OnceCell<Station>,
    database: SqlDatabase,
    core: RefCell<Option<Core>>,
    to_tell: RefCell<VecDeque<Alert>>,
    wake: Signal,
    /// When the run last went round; `None` when there is none.
    went_round: Cell<Option<Timestamp>>,
    /// When a request or an alarm last came.
    called: Cell<Timestamp>,
}

/// What has ended of what was under way.
enum Ended {
    /// An attempt, and what it came to.
    Attempt(Job, Attempted),
    /// An alert that was heard or not.
    Alert,
    /// One that is still to be told.
    Untold(Alert),
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
    #[error("no request could be made: this call of the object may make none")]
    OutOfRequests,
}

// What the SDK's `durable_object` writes, without its requests and answers, of which
// only bytes are wanted here.
#[wasm_bindgen(wasm_bindgen_futures = worker::wasm_bindgen_futures, js_sys = worker::js_sys)]
impl Mailbox {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        Self(Rc::new(Object {
            env,
            station: OnceCell::new(),
            database: SqlDatabase::new(&State::from(state)),
            core: RefCell::new(None),
            to_tell: RefCell::default(),
            wake: Signal::default(),
            went_round: Cell::new(None),
            called: Cell::default(),
        }))
    }

    /// The answer to a message, or a promise of it.
    pub fn fetch(&self, url: String, message: Vec<u8>) -> Result<JsValue, JsValue> {
        let object = Rc::clone(&self.0);
        join::begin(Box::pin(async move {
            let answer = object.answer(&url, &message).await.map_err(failed);
            Ok(http::message(answer)?.into())
        }))
    }

    /// Never throws: the platform deletes an alarm that has thrown seven times.
    pub async fn alarm(&self) {
        if let Some(run) = self.0.alarm().await {
            run.await;
        }
    }
}

fn failed(trouble: Trouble) {
    log::trouble(format_args!("mailbox: {trouble}"));
}

impl Object {
    async fn answer(self: &Rc<Self>, url: &str, message: &[u8]) -> Result<Vec<u8>, Trouble> {
        let path = RequestUrl::split(url).map_or("", |url| url.path);
        self.called.set(clock::now());
        if self.ready().await? {
            // Awake again: an alarm that was lost is set again.
            self.with(|core, db| core.ensure_armed(db, clock::now()))?;
        }
        if path == objects::ACCEPT {
            return self.accept(message);
        }
        if path == objects::ACCEPTS {
            let mut answers = Vec::new();
            for accept in messages::frames(message)? {
                // One that fails fails alone.
                let answer = self.accept(accept).map_err(failed);
                messages::push_frame(&mut answers, &answer.unwrap_or_default())?;
            }
            return Ok(answers);
        }
        if path == objects::TRIAL {
            let accept = Accept::from_bytes(message)?;
            let reply = self.with(|core, db| core.begin_trial(db, &accept, clock::now()))?;
            return Ok(messages::to_bytes(&reply)?);
        }
        let question: MailboxRequest = messages::from_bytes(message)?;
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
    fn accept(self: &Rc<Self>, accept: &[u8]) -> Result<Vec<u8>, Trouble> {
        let accept = Accept::from_bytes(accept)?;
        let accepted = self.with(|core, db| core.accept_and_begin(db, &accept, clock::now()))?;
        if accepted.begin && !self.is_running() {
            spawn_local(self.begin(true));
        } else if accepted.begin || accepted.wake {
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
        complain(core);
        Ok(done?)
    }

    /// The alarm has fired; the run that it calls, unless one is under way: then that
    /// was begun beside an answer, and there is one at a time.
    async fn alarm(self: &Rc<Self>) -> Option<join::Part<'static, ()>> {
        self.called.set(clock::now());
        let outcome = self.ready().await.and_then(|_| {
            let runs = self.is_running();
            self.with(|core, db| {
                core.woken();
                if runs {
                    core.renew_lease(db, clock::now())?;
                }
                Ok(runs)
            })
        });
        match outcome {
            Ok(false) => return Some(self.begin(false)),
            Ok(true) => self.wake.raise(),
            Err(trouble) => self.in_trouble(&trouble),
        }
        None
    }

    /// A run. One beside an answer needs nobody to wait for it: what it waits for keeps
    /// the object in memory; and if it is lost all the same, there is the lease's alarm.
    fn begin(self: &Rc<Self>, beside: bool) -> join::Part<'static, ()> {
        self.went_round.set(Some(clock::now()));
        let object = Rc::clone(self);
        Box::pin(async move {
            if let Err(trouble) = object.run(beside).await {
                object.in_trouble(&trouble);
            }
        })
    }

    fn is_running(&self) -> bool {
        let went_round = self.went_round.get();
        went_round.is_some_and(|at| clock::now().since(at) < BROKEN_OFF)
    }

    /// Nobody is told but the log; the alarm is what is relied on now.
    fn in_trouble(&self, trouble: &Trouble) {
        log::trouble(format_args!("mailbox alarm: {trouble}"));
        self.arm_last_resort();
    }

    /// Delivers what is due, up to [`AT_ONCE`](outbound::AT_ONCE) at once, until nothing is.
    async fn run(&self, beside: bool) -> Result<(), Trouble> {
        let begun = self.with(|core, _| {
            core.begin_run();
            Ok(())
        });
        if begun.is_err() {
            self.went_round.set(None);
            return begun;
        }
        self.tend(|core, db| core.tend(db, clock::now()));
        let delivered = self.deliver(beside).await;
        self.went_round.set(None);
        let ended = self.with(|core, db| core.end_run(db, clock::now()));
        delivered.and(ended)
    }

    /// After a trouble nothing new is begun, but what is under way is seen to its
    /// end and written down.
    async fn deliver(&self, beside: bool) -> Result<(), Trouble> {
        let deadline = clock::now().plus(LONGEST_RUN);
        let mut under_way: Vec<join::Part<'_, Ended>> = Vec::new();
        let mut outcome = Ok(());
        let mut telling = false;
        // What the platform lets one call of the object send comes to an end: then the
        // alarm calls it again, at once unless this call could send nothing at all.
        let (mut has_sent, mut may_send) = (false, true);
        // When it rings next, and whether it does so too early does no harm: it is kept
        // from one turn to the next.
        let mut clock: Option<(Timestamp, Delay)> = None;
        loop {
            let now = clock::now();
            self.went_round.set(Some(now));
            let mut wait = None;
            let left_alone = beside && now >= self.called.get().plus(LONGEST_BESIDE);
            let goes_on = outcome.is_ok() && now < deadline && !left_alone && may_send;
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
                let told = self.to_tell.try_borrow().is_ok_and(|left| left.is_empty());
                return match may_send || (has_sent && told) {
                    true => outcome,
                    false => outcome.and(Err(Trouble::OutOfRequests)),
                };
            }
            // With no slot free only an end can help; else also news (which may be that it
            // is not left alone any more), or the next due.
            let looks = under_way.len() < outbound::AT_ONCE;
            if let Some(wait) = wait.filter(|_| looks) {
                let rings_at = now.plus(wait);
                if clock
                    .as_ref()
                    .is_none_or(|(at, _)| *at <= now || *at > rings_at)
                {
                    clock = Some((rings_at, Delay::from(wait)));
                }
            }
            let ended = poll_fn(|context| {
                let ended = join::ended(&mut under_way, context);
                if !ended.is_empty() {
                    return Poll::Ready(ended);
                }
                if !looks {
                    return Poll::Pending;
                }
                let rings = clock.as_mut();
                if rings.is_some_and(|(_, delay)| pin!(delay).poll(context).is_ready()) {
                    clock = None;
                } else if !self.wake.is_raised(context) {
                    return Poll::Pending;
                }
                Poll::Ready(ended)
            })
            .await;
            for ended in ended {
                match ended {
                    Ended::Attempt(job, attempted) => {
                        match &attempted {
                            Attempted::Judged(_) => has_sent = true,
                            Attempted::Gone => {}
                            Attempted::OutOfRequests => may_send = false,
                        }
                        if let Err(trouble) = self.record(&job, attempted) {
                            outcome = outcome.and(Err(trouble));
                        }
                    }
                    Ended::Alert => {
                        telling = false;
                        has_sent = true;
                    }
                    Ended::Untold(alert) => {
                        telling = false;
                        may_send = false;
                        if let Ok(mut to_tell) = self.to_tell.try_borrow_mut() {
                            to_tell.push_front(alert);
                        }
                    }
                }
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
    fn webhook(&self) -> Option<Rc<Webhook>> {
        self.core.try_borrow().ok()?.as_ref()?.shared_config()
    }

    fn station(&self) -> &Station {
        self.station
            .get_or_init(|| station::station(&self.env, None))
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
                match outbound::alert(&webhook, &alert, &url, self.station()).await {
                    Told::Heard => {}
                    Told::NotHeard => log::trouble(format_args!(
                        "mailbox: an alert was not heard: {:?}",
                        alert.kind
                    )),
                    Told::OutOfRequests => return Ended::Untold(alert),
                }
            }
        }
        Ended::Alert
    }

    /// One attempt, from the configuration as it is now.
    async fn attempt(&self, job: Job) -> Ended {
        let attempted = match self.webhook() {
            Some(webhook) => outbound::attempt(&webhook, &job, self.station()).await,
            None => Attempted::Gone,
        };
        Ended::Attempt(job, attempted)
    }

    fn record(&self, job: &Job, attempted: Attempted) -> Result<(), Trouble> {
        self.with(|core, db| match attempted {
            Attempted::Judged(verdict) => {
                core.finish(db, job, verdict, clock::now(), clock::jitter())
            }
            Attempted::Gone | Attempted::OutOfRequests => {
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

/// What the core has to say goes into the log.
#[inline(never)]
fn complain(core: &mut Core) {
    for complaint in core.complaints() {
        log::trouble(format_args!("mailbox: {complaint}"));
    }
}
