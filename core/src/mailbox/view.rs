//! Events as operators see them, and what they may ask for.

use super::{MailboxError, pass::Pass};
use crate::{
    delivery::{Attempt, Status},
    event::Summary,
    ids::{DestinationId, EventId, WebhookId},
    own_json,
};
use serde::{Deserialize, Serialize};

/// What a list of events is narrowed by. Times are RFC 3339 in the API; here
/// they are milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventQuery {
    /// 1 to 100.
    pub per_page: u32,
    /// Only events before this one (exclusive): ids sort by time.
    pub before: Option<EventId>,
    /// Only of this webhook (the Worker uses it to choose Mailboxes).
    pub webhook_id: Option<WebhookId>,
    /// Only with this status.
    pub status: Option<Status>,
    /// Only with this event name.
    pub event: Option<String>,
    /// Received at or after (Unix milliseconds).
    pub from: Option<i64>,
    /// Received before or at (Unix milliseconds).
    pub to: Option<i64>,
    /// Found in transaction id, description, account, amount, payer or the payer's
    /// account, in any case and without regard to accents.
    pub q: Option<String>,
    /// With the attempts of each delivery.
    pub include_attempts: bool,
    /// A pass over many Mailboxes that goes on (the Worker's own).
    #[serde(skip)]
    pub pass: Option<Box<Pass>>,
}

/// What a page shows is at most so large, unless its first event alone is larger: an
/// event with all its attempts may be a megabyte.
pub(super) const PAGE_BYTES: usize = 1 << 20;

/// An event as the API shows it. Fields that only a single event shows are absent
/// in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventView {
    /// `evt_…`
    pub id: EventId,
    /// `wh_…`
    pub webhook_id: WebhookId,
    /// The provider's id.
    pub provider: String,
    /// The provider's event name or kind.
    pub event: Option<String>,
    /// The id of what it is about.
    pub object_id: Option<String>,
    /// The dedupe key, in hex.
    pub key: String,
    /// RFC 3339 UTC.
    pub received_at: String,
    /// `pending` if any delivery is, else `failed` if any is, else `delivered`, or
    /// `cancelled` when all are.
    pub status: Status,
    /// A test call.
    pub test: bool,
    /// How often the same id came with another body (counted to five).
    pub conflicts: u32,
    /// Attempts of all deliveries.
    pub attempts: u32,
    /// The origin's last status.
    pub last_status_code: Option<u16>,
    /// Why the last attempt of what is not delivered was not taken.
    pub last_error: Option<String>,
    /// When the next attempt is due, RFC 3339 UTC.
    pub next_attempt_at: Option<String>,
    /// What it says at a glance.
    #[serde(serialize_with = "Summary::shown")]
    pub summary: Summary,
    /// The request's headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<std::collections::BTreeMap<String, String>>,
    /// The request's query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The body, when it is UTF-8 and still kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body in base64, when it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// Each destination's delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliveries: Option<Vec<DeliveryView>>,
}

impl EventView {
    /// The JSON that the API answers with.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn shown(&self) -> Result<String, MailboxError> {
        own_json::write(self).map_err(|_| MailboxError::unreadable("an event"))
    }
}

/// A delivery as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeliveryView {
    /// `dst_…`
    pub destination_id: DestinationId,
    /// Where to; empty when the destination was removed since.
    pub url: String,
    /// What it has come to.
    pub status: Status,
    /// The first 5 and the last 20.
    pub attempts: Vec<AttemptView>,
}

/// An attempt as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttemptView {
    /// From 1.
    pub number: u32,
    /// RFC 3339 UTC.
    pub started_at: String,
    /// How long it took.
    pub duration_ms: u64,
    /// The origin's status, when it answered.
    pub status_code: Option<u16>,
    /// Why it was not taken.
    pub error: Option<String>,
    /// The first 1 KiB of the answer.
    pub response_body: String,
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            number: attempt.number,
            started_at: attempt.started_at.to_rfc3339(),
            duration_ms: attempt.duration_ms,
            status_code: attempt.status_code,
            error: attempt.error,
            response_body: attempt.response_body,
        }
    }
}
