//! `/in/{webhook_id}`: one request from a provider, from its first byte to the
//! provider's own success answer. Every decision is the core's.

use crate::{
    answers::{self, OUTCOME},
    body::{self, Body, Unpacked},
    clock,
    configs::{self, Found, Known},
    glance,
    http::{Head, Request, Response},
    join, log,
    manage::BROKEN_OFF,
    objects,
    refusals::{self, Seen},
    rounds, station, tallies,
};
use tram_core::{
    event::NewEvent,
    headers::Headers,
    ids::WebhookId,
    inbound::{Inbound, Refusal},
    messages::{Accept, AcceptReply, Taken, shard_of},
    problem::Problem,
    receive::{self, Intake, Parts, Reply},
    request_url::RequestUrl,
    webhook::Webhook,
};
use worker::{Context, Env, web_sys};

/// What the paths begin with that providers are given.
pub(crate) const PATH: &str = "/in/";

/// How often one request may find that the configuration has moved on.
const RELOADS: usize = 3;

/// Answers one inbound request; `address` is what follows [`PATH`].
pub(crate) async fn handle(
    request: Request,
    env: &Env,
    context: &Context,
    address: &str,
) -> Response {
    let came = request.came;
    let mut seen = Seen::default();
    let webhook_id = receive::addressed(address);
    let outcome = match webhook_id {
        Some(id) => {
            let receiver = Receiver { env, context, id };
            receiver.receive(request, &mut seen).await
        }
        None => Err(Problem::webhook_not_found()),
    };
    let now = clock::now();
    let reason = seen.refusal.as_ref().map(Refusal::code);
    if let Some(webhook) = &seen.webhook {
        let tally = match &outcome {
            Ok(done) => receive::tally(done.filtered, &done.taken),
            Err(problem) => receive::tally_of_refused(problem),
        };
        tallies::add(env, context, webhook.id, tally, now);
    }
    let (became, status, taken) = match &outcome {
        Ok(done) => (done.outcome, done.reply.status, done.taken.as_slice()),
        Err(problem) => (
            receive::outcome_of_refused(problem),
            problem.status,
            [].as_slice(),
        ),
    };
    // Before the answer is built: a line is written also when the runtime fails at that.
    log::write(tram_core::log::inbound(&tram_core::log::Inbound {
        webhook_id,
        provider: seen
            .webhook
            .as_deref()
            .map(|webhook| webhook.provider.as_str()),
        taken,
        outcome: became,
        status,
        ms: u64::try_from(now.since(came).as_millis()).unwrap_or(u64::MAX),
        reason,
    }));
    match outcome {
        Ok(done) => {
            let mut response = answers::reply(&done.reply, became);
            if let Some(ids) = receive::event_ids_header(&done.taken) {
                response.own.push("x-tram-event-id", ids);
            }
            if became != receive::HANDSHAKE {
                let count = receive::set_out(&done.taken).count();
                response
                    .headers
                    .push("x-tram-event-count", count.to_string());
            }
            response
        }
        Err(problem) => {
            let answer = || {
                let mut response = answers::problem(&problem);
                response.headers.push(OUTCOME, became);
                response
            };
            // What most of a flood is answered with says nothing of the request.
            let response = match problem.code {
                code @ "unauthenticated" => Response::same(code, answer),
                _ => answer(),
            };
            refusals::keep(env, context, seen, &problem, now);
            response
        }
    }
}

/// An inbound request that was not refused.
struct Done {
    /// As in `x-tram-outcome`.
    outcome: &'static str,
    reply: Reply,
    taken: Vec<Taken>,
    /// How many elements the filters dropped.
    filtered: usize,
}

impl Done {
    fn taken(intake: Intake, taken: Vec<Taken>) -> Self {
        Self {
            outcome: receive::outcome(intake.filtered, &taken),
            reply: intake.reply,
            taken,
            filtered: intake.filtered,
        }
    }

    fn probed() -> Self {
        Self {
            outcome: receive::HANDSHAKE,
            reply: receive::probed(),
            taken: Vec::new(),
            filtered: 0,
        }
    }
}

struct Receiver<'a> {
    env: &'a Env,
    context: &'a Context,
    id: WebhookId,
}

/// Why a shard did not take its events.
enum NotTaken {
    /// Proven with an older configuration than the Mailbox knows.
    Stale {
        /// The version that it knows; 0 when it says none.
        version: u64,
    },
    /// A marker in KV says that it was seen and delivered.
    Seen,
    /// Anything else: the provider keeps it and tries again.
    Unavailable(String),
}

/// How many bytes of its body a request may bring, when it will be read by all that is
/// known without asking anybody: then it can be read first.
pub(crate) fn ahead(env: &Env, method: &str, url: &str, hops: Option<String>) -> Option<usize> {
    let path = RequestUrl::split(url)?.path;
    let id = receive::addressed(path.strip_prefix(PATH)?)?;
    let known = configs::at_hand(&id, clock::now())?;
    let headers: Headers = hops.map(|hops| (receive::HOPS, hops)).into_iter().collect();
    receive::precheck(&known.webhook, method, &headers).ok()?;
    Some(station::max_body_bytes(env))
}

/// The request without its body.
fn without_body(head: Head) -> Inbound {
    Inbound {
        query: head.query().to_owned(),
        method: head.method,
        url: head.url,
        headers: head.headers,
        ..Inbound::default()
    }
}

fn is_probe(known: &Known, seen: &Seen) -> bool {
    receive::is_probe(&known.webhook, &seen.inbound.method, &seen.inbound.query)
}

fn precheck(known: &Known, seen: &Seen) -> Result<(), Problem> {
    receive::precheck(&known.webhook, &seen.inbound.method, &seen.inbound.headers)
}

impl Receiver<'_> {
    /// What is known of the request stands in `seen`, whatever it comes to.
    async fn receive(&self, request: Request, seen: &mut Seen) -> Result<Done, Problem> {
        let mut known = self.found(configs::find(self.env, self.context, &self.id).await, seen)?;
        seen.inbound = without_body(request.head);
        // A probe or a refusal counts only if it is the Registry's configuration that says so.
        loop {
            let stop = if is_probe(&known, seen) {
                Ok(Done::probed())
            } else {
                let Err(problem) = precheck(&known, seen) else {
                    break;
                };
                Err(problem)
            };
            match self.refreshed(&known, seen).await? {
                Some(newer) => known = newer,
                None => return stop,
            }
        }
        self.read_body(&request.raw, request.body, seen).await?;
        let mut parts = Parts::default();
        for _ in 0..RELOADS {
            self.unpack(&known, seen)?;
            let intake = match receive::receive(&known.webhook, &seen.inbound, clock::now()) {
                Ok(intake) => intake,
                Err(refusal) => {
                    let Some(newer) = self.refreshed(&known, seen).await? else {
                        seen.refusal = Some(refusal);
                        return Err(receive::unauthenticated());
                    };
                    known = newer;
                    precheck(&known, seen)?;
                    continue;
                }
            };
            match self.store(&known, &seen.inbound, &intake, &mut parts).await {
                Ok(taken) => return Ok(Done::taken(intake, taken)),
                Err(NotTaken::Stale { version }) => {
                    let newer =
                        configs::load_newer(self.env, self.context, &self.id, version).await;
                    known = self.found(newer, seen)?;
                    precheck(&known, seen)?;
                }
                Err(NotTaken::Seen) => {
                    let taken = vec![Taken::Duplicate {
                        delivered: true,
                        known_until: None,
                    }];
                    return Ok(Done::taken(intake, taken));
                }
                Err(NotTaken::Unavailable(why)) => {
                    log::trouble(format_args!("events of {} not stored: {why}", self.id));
                    break;
                }
            }
        }
        Err(Problem::try_again(
            "The events could not be stored. Send the same request again.",
        ))
    }

    fn found(&self, found: Found, seen: &mut Seen) -> Result<Known, Problem> {
        match found {
            Found::Known(known) => {
                seen.webhook = Some(known.webhook.clone());
                Ok(known)
            }
            Found::Unknown => Err(Problem::webhook_not_found()),
            Found::Unavailable | Found::AskedEnough => Err(Problem::try_again(
                "The configuration could not be read. Send the same request again.",
            )),
        }
    }

    /// The Registry's configuration, when it is another than the one that refused;
    /// `None` when the refusal stands.
    async fn refreshed(
        &self,
        refused_by: &Known,
        seen: &mut Seen,
    ) -> Result<Option<Known>, Problem> {
        if refused_by.fresh {
            return Ok(None);
        }
        match configs::before_refusing(self.env, self.context, &self.id).await {
            // It was asked moments ago, and has nothing new: the refusal stands.
            Found::AskedEnough => Ok(None),
            other => self.found(other, seen).map(Some),
        }
    }

    async fn read_body(
        &self,
        request: &web_sys::Request,
        ahead: Option<Body>,
        seen: &mut Seen,
    ) -> Result<(), Problem> {
        let limit = station::max_body_bytes(self.env);
        let read = match ahead {
            Some(read) => read,
            None => body::read(request, limit).await,
        };
        seen.inbound.body = match read {
            Body::Whole(bytes) => bytes,
            Body::TooLarge => return Err(receive::body_too_large(limit)),
            Body::BrokenOff => return Err(Problem::try_again(BROKEN_OFF)),
        };
        seen.body_was_read = true;
        seen.codings = receive::codings(&seen.inbound.headers)?;
        Ok(())
    }

    /// Reads what is behind the content-encoding, once and where that is of use; and finds
    /// something to tell an empty body by.
    fn unpack(&self, known: &Known, seen: &mut Seen) -> Result<(), Problem> {
        let (inbound, limit) = (&mut seen.inbound, station::max_body_bytes(self.env));
        if !seen.codings.is_empty() && receive::wants_decoded(&known.webhook, inbound, clock::now())
        {
            let codings = std::mem::take(&mut seen.codings);
            inbound.decoded = match body::unpack(&inbound.body, &codings, limit) {
                Unpacked::Whole(bytes) => Some(bytes),
                Unpacked::TooLarge => return Err(receive::body_unpacks_too_large(limit)),
                // Strange is no reason to lose it: it is read as it came.
                Unpacked::Damaged => None,
            };
        }
        if inbound.content().is_empty() && inbound.nonce == [0; 16] {
            inbound.nonce = clock::nonce().map_err(|error| {
                log::trouble(format_args!("no random bytes: {error}"));
                Problem::try_again("Send the same request again.")
            })?;
        }
        Ok(())
    }

    /// Puts the events into their shards; what each became, in order.
    async fn store(
        &self,
        known: &Known,
        inbound: &Inbound,
        intake: &Intake,
        parts: &mut Parts,
    ) -> Result<Vec<Taken>, NotTaken> {
        let webhook: &Webhook = &known.webhook;
        let event = match intake.events.as_slice() {
            // What the filters drop is answered with success: a Mailbox says whether the
            // configuration that drops it still holds, without a row and without
            // troubling the one Registry.
            [] => {
                return self
                    .store_shard(webhook, inbound, 0, Vec::new(), false)
                    .await;
            }
            [event] if !event.test && intake.filtered == 0 && parts.is_empty() => event,
            events if known.confirmed && glance::repeated_tests(events) => {
                return Ok(events.iter().map(|_| Taken::Test(None)).collect());
            }
            events => {
                let taken = self.store_shards(webhook, inbound, events, parts).await?;
                glance::told(events);
                return Ok(taken);
            }
        };
        // Where a marker answers, no Mailbox says that the configuration is an old one.
        // Before the call only while repeats are coming; else beside it: then it may
        // answer first, but never delays the call.
        let first = known.confirmed && glance::repeats_coming(&webhook.id);
        if first && glance::look_briefly(self.env, webhook, event).await {
            return Err(NotTaken::Seen);
        }
        self.store_alone(webhook, inbound, event, known.confirmed && !first)
            .await
    }

    /// One event that came alone. Only of such a one is a repeat looked up in KV, so
    /// only of such a one is it remembered there.
    async fn store_alone(
        &self,
        webhook: &Webhook,
        inbound: &Inbound,
        event: &NewEvent,
        glances: bool,
    ) -> Result<Vec<Taken>, NotTaken> {
        let shard = shard_of(&event.key, webhook.shards);
        let events = vec![event.clone()];
        let taken = self
            .store_shard(webhook, inbound, shard, events, glances)
            .await?;
        if let [
            Taken::Duplicate {
                delivered: true,
                known_until: Some(until),
            },
        ] = taken.as_slice()
        {
            glance::seen(self.env, self.context, webhook, event, *until);
        }
        Ok(taken)
    }

    async fn store_shards(
        &self,
        webhook: &Webhook,
        inbound: &Inbound,
        events: &[NewEvent],
        parts: &mut Parts,
    ) -> Result<Vec<Taken>, NotTaken> {
        let left = parts.left(events, webhook.shards);
        let calls = left.iter().map(|part| {
            let events = part.of(events).cloned().collect();
            self.store_shard(webhook, inbound, part.shard, events, false)
        });
        let answers = join::all(calls).await;
        let mut outcome = Ok(());
        for (part, answer) in left.iter().zip(answers) {
            match answer {
                Ok(taken) => parts.took(part, events, taken),
                Err(why) => outcome = outcome.and(Err(why)),
            }
        }
        outcome?;
        parts
            .all(events)
            .ok_or_else(|| NotTaken::Unavailable("a shard did not account for every event".into()))
    }

    async fn store_shard(
        &self,
        webhook: &Webhook,
        inbound: &Inbound,
        shard: u8,
        events: Vec<NewEvent>,
        glances: bool,
    ) -> Result<Vec<Taken>, NotTaken> {
        let accept = Accept {
            config_version: webhook.version,
            envelope: tram_core::event::Envelope {
                method: inbound.method.clone(),
                query: inbound.query.clone(),
                headers: inbound.headers.clone(),
            },
            events,
        };
        // There is nothing to visit where nothing is stored.
        if !accept.events.is_empty() {
            rounds::note(self.env, self.context, &self.id, shard);
        }
        let place = match accept.events.as_slice() {
            [event] if glances => glance::at(webhook, event),
            _ => Default::default(),
        };
        let mut glance = (place.0.as_str(), place.1.as_str());
        let mut configured = false;
        let unavailable = |error: objects::CallError| NotTaken::Unavailable(error.to_string());
        let reply = loop {
            let reply =
                objects::accept(self.env, &self.id, shard, objects::ACCEPT, &accept, glance)
                    .await
                    .map_err(unavailable)?
                    .ok_or(NotTaken::Seen)?;
            if configured || reply != AcceptReply::Unconfigured {
                break reply;
            }
            objects::configure(self.env, webhook, shard)
                .await
                .map_err(unavailable)?;
            configured = true;
            glance = objects::NO_GLANCE;
        };
        match reply {
            AcceptReply::Taken(taken) => {
                configs::confirmed(webhook);
                Ok(taken)
            }
            AcceptReply::Stale { version } => Err(NotTaken::Stale { version }),
            AcceptReply::Gone => Err(NotTaken::Stale { version: 0 }),
            AcceptReply::Unconfigured => Err(NotTaken::Unavailable(
                "the mailbox has no configuration".into(),
            )),
        }
    }
}
