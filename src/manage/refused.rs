//! Why requests are refused: those that were, and one that the operator asks about.

use super::{Answer, Manager, unexpected, webhook_id};
use crate::{answers, clock, objects, refusals, station};
use tram_core::{
    explain,
    messages::{MailboxReply, MailboxRequest, RegistryReply, RegistryRequest},
    query,
};

impl Manager<'_> {
    /// The refusals of a webhook, or `explains` what would become of a request to it.
    /// Both want the webhook with its secrets, and one future costs less code than two.
    pub(super) async fn why_refused(&mut self, id: &str, explains: bool) -> Answer {
        query::none(self.query())?;
        let webhook = match self.ask(&RegistryRequest::Load(webhook_id(id)?)).await? {
            RegistryReply::Webhook { webhook, .. } => webhook,
            other => return Err(unexpected(other)),
        };
        if explains {
            let body = self.bytes().await?;
            let question = explain::read(&webhook, &self.public_url(), &body, clock::now())?;
            let limit = station::max_body_bytes(self.env);
            let explained = explain::explain(&webhook, &question, limit);
            return Ok(answers::json_text(200, explained));
        }
        refusals::flush(self.env, &webhook).await;
        let request = MailboxRequest::Refusals;
        match objects::mailbox(self.env, &webhook.id, refusals::SHARD, &request).await? {
            MailboxReply::Refusals(list) => Ok(answers::json_text(200, list)),
            other => Err(unexpected(other)),
        }
    }
}
