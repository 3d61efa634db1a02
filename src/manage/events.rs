//! The routes about events, and the figures: they ask all Mailboxes that may know, and
//! put together what these say.

use super::{Answer, Failed, Manager, event_id, unexpected};
use crate::{answers, clock, configs, glance, http::Response, join, objects, tallies};
use tram_core::{
    ids::{EventId, JobId, Sequence, WebhookId},
    mailbox::{
        jobs::JobKind,
        merge::{asked_at_once, events_json, list_json, merge, resend_body},
        metrics,
        pass::{Pass, Question},
        stats::Stats,
        view::EventQuery,
    },
    messages::{
        JobReply, MailboxReply, MailboxRequest, RegistryReply, RegistryRequest, ShardPlace,
        ShownEvents,
    },
    problem::Problem,
    query,
    refusals::mask_event,
    webhook::Webhook,
};

impl Manager<'_> {
    pub(super) async fn list_events(&mut self) -> Answer {
        let mut query = query::events(self.query())?;
        let under_way = query.pass.take();
        let is_new = under_way.is_none();
        let pass = under_way.map_or_else(|| Pass::begin(query.before), |pass| *pass);
        let Some(from) = pass.from() else {
            let mut questions = pass.to_show(&query);
            self.retain_known(&mut questions).await?;
            let pages = self.pages(&questions, &query).await?;
            let page = pass.shown(&query, questions.into_iter().zip(pages).collect());
            return Ok(answers::json_text(200, events_json(&page)));
        };
        let (shards, next) = self.shards(query.webhook_id, from).await?;
        if is_new && next.is_none() {
            let questions: Vec<Question> = shards
                .into_iter()
                .map(|shard| (shard, query.clone()))
                .collect();
            let per_page = usize::try_from(query.per_page).unwrap_or(1);
            let mut merged = ShownEvents::default();
            for some in questions.chunks(asked_at_once(&query)) {
                for page in self.pages(some, &query).await? {
                    merge(&mut merged, page, per_page);
                }
            }
            return Ok(answers::json_text(200, events_json(&merged)));
        }
        // More than may be asked at once: a part of a pass over all of them.
        let questions = pass.to_find(&query, shards);
        let pages = self.pages(&questions, &query).await?;
        let cursor = pass.found(&query, pages, next);
        let page = list_json(&ShownEvents::default(), cursor.as_deref());
        Ok(answers::json_text(200, page))
    }

    /// Asks nobody that is none: a cursor can be made up, and an object's first call
    /// makes it.
    async fn retain_known(&self, questions: &mut Vec<Question>) -> Result<(), Failed> {
        let shards = questions.iter().map(|(shard, _)| *shard).collect();
        match self.ask(&RegistryRequest::Known(shards)).await? {
            RegistryReply::Shards { shards, .. } => {
                questions.retain(|(shard, _)| shards.contains(shard));
                Ok(())
            }
            other => Err(unexpected(other)),
        }
    }

    /// What shards answer to these, in their order.
    async fn pages(
        &self,
        questions: &[Question],
        query: &EventQuery,
    ) -> Result<Vec<ShownEvents>, Failed> {
        let mut pages = Vec::with_capacity(questions.len());
        for some in questions.chunks(asked_at_once(query)) {
            let asked = some.iter().map(|((id, shard), query)| async move {
                let request = MailboxRequest::List(query.clone());
                objects::mailbox(self.env, id, *shard, &request).await
            });
            for reply in join::all(asked).await {
                pages.push(match reply? {
                    MailboxReply::Page(page) | MailboxReply::Events(page) => page,
                    // Nothing has ever come to this shard.
                    MailboxReply::NotFound => ShownEvents::default(),
                    other => return Err(unexpected(other)),
                });
            }
        }
        Ok(pages)
    }

    /// As many shards as one request may ask, from a place on; and where the next begin.
    async fn shards(
        &self,
        webhook: Option<WebhookId>,
        from: ShardPlace,
    ) -> Result<(Vec<(WebhookId, u8)>, Option<ShardPlace>), Failed> {
        match self.ask(&RegistryRequest::Shards { webhook, from }).await? {
            RegistryReply::Shards { shards, next } => Ok((shards, next)),
            other => Err(unexpected(other)),
        }
    }

    /// A request without parameters that is answered with one event.
    pub(super) async fn event(
        &mut self,
        id: &str,
        question: fn(Sequence) -> MailboxRequest,
    ) -> Answer {
        let id = event_id(id)?;
        query::none(self.query())?;
        let webhook = self.webhook_of(id).await?;
        let question = question(id.sequence);
        let event = match objects::mailbox(self.env, &id.webhook, id.shard, &question).await? {
            MailboxReply::Event(event) => event,
            MailboxReply::Deleted { event, key } => {
                glance::forget(self.env, &key).await;
                event
            }
            MailboxReply::NotFound => return Err(Problem::event_not_found().into()),
            other => return Err(unexpected(other)),
        };
        // The Mailbox does not know all the secrets that may stand in it.
        Ok(answers::json_text(200, mask_event(&webhook, event)))
    }

    /// The webhook of an event, when it has such a shard: an id that somebody made up must
    /// not make an object, which an object's first call does.
    async fn webhook_of(&self, id: EventId) -> Result<Webhook, Failed> {
        match self.ask(&RegistryRequest::Load(id.webhook)).await? {
            RegistryReply::Webhook { webhook, .. } if id.shard < webhook.shards => Ok(*webhook),
            RegistryReply::Webhook { .. } | RegistryReply::NotFound => {
                Err(Problem::event_not_found().into())
            }
            other => Err(unexpected(other)),
        }
    }

    pub(super) async fn resend(&mut self, id: &str) -> Answer {
        let id = event_id(id)?;
        query::none(self.query())?;
        let destination = resend_body(&self.bytes().await?)?;
        self.webhook_of(id).await?;
        let request = MailboxRequest::Resend {
            sequence: id.sequence,
            destination,
        };
        let ask = || objects::mailbox(self.env, &id.webhook, id.shard, &request);
        let mut reply = ask().await?;
        if matches!(reply, MailboxReply::Unconfigured)
            && let RegistryReply::Webhook { webhook, .. } =
                self.ask(&RegistryRequest::Load(id.webhook)).await?
        {
            objects::configure(self.env, &webhook, id.shard).await?;
            reply = ask().await?;
        }
        match reply {
            MailboxReply::Queued(queued) => {
                Ok(answers::json_text(202, format!("{{\"queued\":{queued}}}")))
            }
            MailboxReply::NotFound => Err(Problem::event_not_found().into()),
            MailboxReply::PayloadGone => Err(Problem::payload_gone().into()),
            other => Err(unexpected(other)),
        }
    }

    /// The figures of all Mailboxes, or of one webhook's, as JSON or for Prometheus.
    pub(super) async fn stats(&mut self, metrics: bool) -> Answer {
        let webhook = query::stats(self.query())?.webhook_id;
        let (shards, next) = self.shards(webhook, ShardPlace::FIRST).await?;
        // What this isolate has counted is told first.
        tallies::flush_all(self.env).await;
        let all = if next.is_none() {
            let asked = shards
                .iter()
                .map(|(id, shard)| objects::mailbox(self.env, id, *shard, &MailboxRequest::Stats));
            let mut all = Stats::default();
            for ((id, _), reply) in shards.iter().zip(join::all(asked).await) {
                match reply? {
                    MailboxReply::Stats(stats) => all.add(stats.of(*id)),
                    other => return Err(unexpected(other)),
                }
            }
            all
        } else {
            // More than may be asked at once: the Registry keeps what they tell.
            match self.ask(&RegistryRequest::Figures(webhook)).await? {
                RegistryReply::Figures(stats) => stats,
                other => return Err(unexpected(other)),
            }
        };
        let now = clock::now();
        Ok(if metrics {
            answers::text(200, metrics::CONTENT_TYPE, all.to_metrics(now))
        } else {
            answers::json_text(200, all.to_json(now))
        })
    }

    /// The same for all that match, in all Mailboxes that may have one.
    pub(super) async fn begin_job(&mut self, kind: JobKind) -> Answer {
        let body = match kind {
            JobKind::Delete => Vec::new(),
            JobKind::Resend | JobKind::Cancel => self.bytes().await?,
        };
        let (query, known) = query::job(kind, self.query(), &body)?;
        if let Some(known) = known {
            return self.how_far(known, 202).await;
        }
        match self.ask(&RegistryRequest::BeginJob { kind, query }).await? {
            RegistryReply::Job(job) => Ok(progress(&job, 202)),
            other => Err(unexpected(other)),
        }
    }

    pub(super) async fn job(&mut self, id: &str) -> Answer {
        query::none(self.query())?;
        let id = JobId::parse(id).ok_or_else(Problem::job_not_found)?;
        self.how_far(id, 200).await
    }

    async fn how_far(&self, id: JobId, status: u16) -> Answer {
        match self.ask(&RegistryRequest::Job(id)).await? {
            RegistryReply::Job(job) => Ok(progress(&job, status)),
            RegistryReply::NotFound => Err(Problem::job_not_found().into()),
            other => Err(unexpected(other)),
        }
    }
}

/// How far a job is. What one has deleted is new from then on, at once also to this
/// isolate: it asks a Mailbox before it believes a marker in KV again.
fn progress(job: &JobReply, status: u16) -> Response {
    if job.kind == JobKind::Delete {
        configs::doubt_all();
    }
    answers::json_text(status, job.to_json())
}
