//! What is done with a request to `/in/{webhook_id}`, once its webhook is known:
//! the order of the checks, the events it becomes, the words it is answered with.

use crate::{
    event::NewEvent,
    headers::Headers,
    inbound::{Inbound, Refusal},
    problem::Problem,
    time::Timestamp,
    webhook::Webhook,
};

/// An answer to the sender that is not a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// `content-type`; empty for none.
    pub content_type: String,
    /// The body.
    pub body: String,
}

/// An authentic request, ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intake {
    /// The events to store: new ones, duplicates and tests alike.
    pub events: Vec<NewEvent>,
    /// How many elements the webhook's filters dropped.
    pub filtered: usize,
    /// The provider's success answer.
    pub reply: Reply,
}

/// Checks that need no body: method, switched off, loop.
///
/// # Errors
/// The problem to answer with.
pub fn precheck(_webhook: &Webhook, _method: &str, _headers: &Headers) -> Result<(), Problem> {
    Ok(())
}

/// Proves the sender and names the events.
///
/// # Errors
/// Why the request is not taken for authentic; the sender only ever hears 401.
pub fn receive(_webhook: &Webhook, _inbound: &Inbound, _now: Timestamp) -> Result<Intake, Refusal> {
    Err(Refusal::NoSecret)
}
