//! The routes about events, and the figures: they ask all Mailboxes that may know, and
//! put together what these say.

use super::{Answer, Failed, Manager, event_id, unexpected};
use crate::{answers, clock, glance, join, objects, tallies};
use tram_core::{
    ids::{EventId, Sequence, WebhookId},
    mailbox::{
        merge::{MOST_MAILBOXES, asked_at_once, events_json, merge, resend_body},
        metrics,
        stats::Stats,
        view::EventQuery,
    },
    messages::{MailboxReply, MailboxRequest, RegistryReply, RegistryRequest, ShownEvents},
    problem::{FieldError, Problem},
    query,
    refusals::mask_event,
    webhook::Webhook,
};

impl Manager<'_> {
    pub(super) async fn list_events(&mut self) -> Answer {
        let query = query::events(self.query())?;
        let mailboxes = self.mailboxes(&query).await?;
        let request = MailboxRequest::List(query.clone());
        let per_page = usize::try_from(query.per_page).unwrap_or(1);
        let mut merged = ShownEvents::default();
        for some in mailboxes.chunks(asked_at_once(&query)) {
            let asked = some
                .iter()
                .map(|(id, shard)| objects::mailbox(self.env, id, *shard, &request));
            for reply in join::all(asked).await {
                match reply? {
                    MailboxReply::Page(page) | MailboxReply::Events(page) => {
                        merge(&mut merged, page, per_page);
                    }
                    // Nothing has ever come to this shard.
                    MailboxReply::NotFound => {}
                    other => return Err(unexpected(other)),
                }
            }
        }
        Ok(answers::json_text(200, events_json(&merged)))
    }

    /// The Mailboxes that a list must ask.
    async fn mailboxes(&mut self, query: &EventQuery) -> Result<Vec<(WebhookId, u8)>, Failed> {
        let shards = |webhook: &Webhook| {
            let id = webhook.id;
            (0..webhook.shards)
                .map(move |shard| (id, shard))
                .collect::<Vec<_>>()
        };
        if let Some(id) = query.webhook_id {
            return match self.ask(&RegistryRequest::Load(id)).await? {
                RegistryReply::Webhook { webhook, .. } => Ok(shards(&webhook)),
                other => Err(unexpected(other)),
            };
        }
        let mut mailboxes = Vec::new();
        let mut cursor = None;
        loop {
            match self
                .ask(&RegistryRequest::List {
                    per_page: 100,
                    cursor,
                })
                .await?
            {
                RegistryReply::Webhooks {
                    webhooks,
                    next_cursor,
                } => {
                    mailboxes.extend(webhooks.iter().flat_map(shards));
                    cursor = next_cursor;
                }
                other => return Err(unexpected(other)),
            }
            if mailboxes.len() > MOST_MAILBOXES {
                return Err(Problem::invalid(vec![FieldError {
                    pointer: "?webhook_id".into(),
                    message: format!(
                        "is required: there are more than {MOST_MAILBOXES} shards in all"
                    ),
                }])
                .into());
            }
            if cursor.is_none() {
                return Ok(mailboxes);
            }
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
        match objects::mailbox(self.env, &id.webhook, id.shard, &request).await? {
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
        let query = query::stats(self.query())?;
        let mailboxes = self.mailboxes(&query).await?;
        // What this isolate has counted is told first.
        tallies::flush_all(self.env).await;
        let asked = mailboxes
            .iter()
            .map(|(id, shard)| objects::mailbox(self.env, id, *shard, &MailboxRequest::Stats));
        let mut all = Stats::default();
        for ((id, _), reply) in mailboxes.iter().zip(join::all(asked).await) {
            match reply? {
                MailboxReply::Stats(stats) => all.add(stats.of(*id)),
                other => return Err(unexpected(other)),
            }
        }
        let now = clock::now();
        Ok(if metrics {
            answers::text(200, metrics::CONTENT_TYPE, all.to_metrics(now))
        } else {
            answers::json_text(200, all.to_json(now))
        })
    }

    /// All that match, in all Mailboxes that may have one.
    pub(super) async fn resend_all(&mut self) -> Answer {
        let body = self.bytes().await?;
        let (query, known) = query::events_to_resend(self.query(), &body)?;
        let mailboxes = self.mailboxes(&query).await?;
        // A wish has the moment for its id; to ask how far one is only asks.
        let wish = known.unwrap_or_else(|| clock::now().millis());
        let request = match known {
            Some(wish) => MailboxRequest::HowFar(wish),
            None => MailboxRequest::ResendAll { query, wish },
        };
        let asked = mailboxes
            .iter()
            .map(|(id, shard)| objects::mailbox(self.env, id, *shard, &request));
        let (mut all, mut finished, mut busy) = (0_u32, true, false);
        for reply in join::all(asked).await {
            match reply? {
                MailboxReply::Resending { queued, done } => {
                    all = all.saturating_add(queued);
                    finished &= done;
                }
                MailboxReply::Busy => busy = true,
                other => return Err(unexpected(other)),
            }
        }
        if busy {
            return Err(Problem::resend_under_way().into());
        }
        let body = format!("{{\"queued\":{all},\"done\":{finished},\"resend_id\":\"{wish}\"}}");
        Ok(answers::json_text(202, body))
    }
}
