//! `POST /webhooks/{id}/test`: stores a sample, makes one attempt to each destination,
//! and tells what came of them.

use super::{Answer, Failed, Manager, unexpected, webhook_id};
use crate::{
    answers, clock, join, log, objects,
    outbound::{self, Attempted},
    rounds, station,
};
use std::rc::Rc;
use tram_core::{
    delivery::{Job, StoredEvent},
    ids::{DestinationId, EventId},
    mailbox::trial,
    messages::{
        Accept, AcceptReply, MailboxReply, MailboxRequest, RegistryReply, RegistryRequest, Taken,
        shard_of,
    },
    problem::Problem,
    query, receive,
    webhook::Webhook,
};

/// Shards that are told of a test that was answered, beside the one that it went through:
/// what is left of 50 requests, the least that a plan allows, with some destinations.
const SHARDS_TOLD: usize = 32;

impl Manager<'_> {
    pub(super) async fn try_out(&mut self, id: &str) -> Answer {
        query::none(self.query())?;
        let id = webhook_id(id)?;
        self.nothing_said().await?;
        let mut webhook = self.load(RegistryRequest::Load(id)).await?;
        let url = [&self.public_url(), "/in/", &id.to_string()].concat();
        let (envelope, sample) = receive::sample(&webhook, &url, clock::now())?;
        let body = sample.body.clone();
        let mut accept = Accept {
            config_version: webhook.version,
            envelope,
            events: vec![sample],
        };
        let event = self.begin(&mut webhook, &mut accept).await?;
        let stored = Rc::new(StoredEvent {
            id: event,
            envelope: accept.envelope,
            body,
            test: true,
        });
        let station = station::station(self.env, None);
        let mut outcomes = Vec::new();
        for destinations in webhook.destinations.chunks(outbound::AT_ONCE) {
            let attempts = destinations.iter().map(|destination| {
                let job = Job {
                    event: Rc::clone(&stored),
                    destination: destination.id,
                    number: 1,
                    connection_may_be_kept: false,
                };
                let (webhook, station) = (&webhook, &station);
                async move {
                    match outbound::attempt(webhook, &job, station).await {
                        Attempted::Judged(verdict) => Some((job.destination, verdict)),
                        // There are ten destinations at most.
                        Attempted::Gone | Attempted::OutOfRequests => None,
                    }
                }
            });
            outcomes.extend(join::all(attempts).await.into_iter().flatten());
        }
        let answered: Vec<DestinationId> = outcomes
            .iter()
            .filter(|(_, verdict)| verdict.shows_life())
            .map(|(destination, _)| *destination)
            .collect();
        let report = trial::report(outcomes)
            .map_err(|_| Problem::try_again("What came of the attempts could not be written."))?;
        let request = MailboxRequest::EndTrial {
            sequence: event.sequence,
            report,
            answered: answered.clone(),
        };
        match objects::mailbox(self.env, &webhook.id, event.shard, &request).await? {
            MailboxReply::Event(trial) => {
                self.tell_other_shards(&webhook, event.shard, &answered);
                Ok(answers::json_text(200, trial))
            }
            MailboxReply::NotFound => Err(Problem::event_not_found().into()),
            other => Err(unexpected(other)),
        }
    }

    async fn load(&self, request: RegistryRequest) -> Result<Box<Webhook>, Failed> {
        match self.ask(&request).await? {
            RegistryReply::Webhook { webhook, .. } => Ok(webhook),
            other => Err(unexpected(other)),
        }
    }

    /// Each shard judges for itself whether a destination is down: those that the sample
    /// did not go through probe it at once. Beside the answer, and no more of them than a
    /// request may ask; the others come to it within a probe's time.
    fn tell_other_shards(&self, webhook: &Webhook, told: u8, answered: &[DestinationId]) {
        if answered.is_empty() {
            return;
        }
        let others = (0..webhook.shards).filter(|shard| *shard != told);
        for shard in others.take(SHARDS_TOLD) {
            let (env, id) = (self.env.clone(), webhook.id);
            let request = MailboxRequest::Probe(answered.to_vec());
            join::aside(self.context, async move {
                if let Err(error) = objects::mailbox(&env, &id, shard, &request).await {
                    log::trouble(format_args!("a shard was not told of a test: {error}"));
                }
            });
        }
    }

    /// Stores the sample; its id.
    async fn begin(
        &self,
        webhook: &mut Box<Webhook>,
        accept: &mut Accept,
    ) -> Result<EventId, Failed> {
        let key = accept.events.first().map(|event| event.key);
        let shard = shard_of(&key.unwrap_or_default(), webhook.shards);
        let (mut configured, mut reloaded) = (false, false);
        // What is stored there is pruned when its time comes.
        rounds::note(self.env, self.context, &webhook.id, shard);
        loop {
            let (route, glance) = (objects::TRIAL, objects::NO_GLANCE);
            let reply = objects::accept(self.env, &webhook.id, shard, route, accept, glance);
            let Some(reply) = reply.await? else {
                return Err(super::senseless().into());
            };
            match reply {
                AcceptReply::Taken(taken) => {
                    return match taken.as_slice() {
                        [Taken::Test(Some(id))] => Ok(*id),
                        _ => Err(super::senseless().into()),
                    };
                }
                AcceptReply::Gone => return Err(Problem::webhook_not_found().into()),
                AcceptReply::Unconfigured if !configured => {
                    objects::configure(self.env, webhook, shard).await?;
                    configured = true;
                }
                AcceptReply::Stale { version } if !reloaded => {
                    let newer = RegistryRequest::LoadNewer {
                        webhook: webhook.id,
                        than: version,
                    };
                    *webhook = self.load(newer).await?;
                    accept.config_version = webhook.version;
                    reloaded = true;
                }
                // Changed this very moment, or the object cannot keep what it is told.
                AcceptReply::Unconfigured | AcceptReply::Stale { .. } => {
                    return Err(super::senseless().into());
                }
            }
        }
    }
}
