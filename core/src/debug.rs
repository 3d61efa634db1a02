//! What `{:?}` shows of types that carry secrets, wherever these stand: in a header, a
//! query, a URL, a body, a setting. Ids, names and sizes; [`Secret`] hides itself.
//!
//! Written by hand, so that a new field is hidden until somebody says otherwise.
//!
//! [`Secret`]: crate::secret::Secret

use crate::{
    delivery::{Answer, Attempt, StoredEvent},
    event::{Envelope, NewEvent},
    headers::Headers,
    inbound::Inbound,
    mailbox::stats::DestinationStats,
    messages::{RegistryRequest, Write},
    receive::Reply,
    relay::Outgoing,
    webhook::{Destination, Settings, Webhook},
};
use std::fmt::{Debug, Formatter, Result};

/// A struct with these of its fields.
macro_rules! shows {
    ($($kind:ty: $name:literal $($field:ident)*;)*) => {
        $(impl Debug for $kind {
            fn fmt(&self, f: &mut Formatter<'_>) -> Result {
                f.debug_struct($name)
                    $(.field(stringify!($field), &self.$field))*
                    .finish_non_exhaustive()
            }
        })*
    };
}

shows! {
    Inbound: "Inbound" method headers;
    Envelope: "Envelope" method headers;
    NewEvent: "NewEvent" name object_id test;
    StoredEvent: "StoredEvent" id test;
    Outgoing<'_>: "Outgoing" method timeout;
    Reply: "Reply" status content_type;
    Answer: "Answer" status retry_after body_incomplete;
    Attempt: "Attempt" number started_at duration_ms status_code error;
    Webhook: "Webhook" id version provider is_active is_paused destinations;
    Destination: "Destination" id;
    Settings: "Settings";
    Write: "Write" station;
    DestinationStats: "DestinationStats" id down_since pending;
}

/// The names.
impl Debug for Headers {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_list()
            .entries(self.iter().map(|(name, _)| name))
            .finish()
    }
}

/// What is asked, and of which webhook.
impl Debug for RegistryRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Load(id) => write!(f, "Load({id})"),
            Self::Create(_) => f.write_str("Create"),
            Self::List { .. } => f.write_str("List"),
            Self::Get(id) => write!(f, "Get({id})"),
            Self::Update(id, _) => write!(f, "Update({id})"),
            Self::Toggle(id) => write!(f, "Toggle({id})"),
            Self::Delete(id) => write!(f, "Delete({id})"),
            Self::DeleteByUrl(_) => f.write_str("DeleteByUrl"),
            Self::Pause(id, paused) => write!(f, "Pause({id}, {paused})"),
            Self::Note { webhook, shard } => write!(f, "Note({webhook}, {shard})"),
            Self::MakeRound => f.write_str("MakeRound"),
            Self::Shards { webhook, from } => write!(f, "Shards({webhook:?}, {from:?})"),
            Self::Known(shards) => write!(f, "Known({shards:?})"),
            Self::Figures(webhook) => write!(f, "Figures({webhook:?})"),
            // What is searched for is somebody's text.
            Self::BeginJob { kind, .. } => write!(f, "BeginJob({kind:?})"),
            Self::Job(id) => write!(f, "Job({id})"),
            Self::RotateSecret(id, _) => write!(f, "RotateSecret({id})"),
            Self::LoadNewer { webhook, than } => write!(f, "LoadNewer({webhook}, {than})"),
        }
    }
}

#[cfg(test)]
mod tests;
