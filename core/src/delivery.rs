//! One event on its way to one destination, attempt by attempt: the shapes that
//! the Mailbox, the relay rules and the edge hand each other.

use crate::own_json::fields::read_in_place;
use crate::{
    event::Envelope,
    ids::{DestinationId, EventId},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// What a delivery, and an event as a whole, has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Still on its way.
    Pending,
    /// Taken.
    Delivered,
    /// Given up; kept, visible, resendable.
    Failed,
    /// Stopped by the operator.
    Cancelled,
}

/// A stored event as it is relayed, shared by all its deliveries.
#[derive(Clone)]
pub struct StoredEvent {
    /// Its id, which the origin sees as `webhook-id`.
    pub id: EventId,
    /// Method, query and headers, as they came or as the split changed them.
    pub envelope: Envelope,
    /// The bytes to relay.
    pub body: Vec<u8>,
    /// A test call.
    pub test: bool,
}

/// One attempt that is to be made now. The Mailbox holds its lease until it is
/// told how it ended.
#[derive(Clone, Debug)]
pub struct Job {
    /// The event.
    pub event: Rc<StoredEvent>,
    /// Where to.
    pub destination: DestinationId,
    /// 1 for the first attempt of this delivery.
    pub number: u32,
    /// The destination has answered lately, so that a connection to it may have been
    /// kept: the attempt may find it closed.
    pub connection_may_be_kept: bool,
}

impl Job {
    /// The attempt that follows at once on one that found its kept connection closed.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            number: self.number.saturating_add(1),
            connection_may_be_kept: false,
            ..self.clone()
        }
    }
}

/// What one HTTP request came to, as seen by the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// When the request was begun.
    pub started_at: Timestamp,
    /// How long it took, to the end of what was read.
    pub duration_ms: u64,
    /// The answer, or why there was none.
    pub result: Result<Answer, Failure>,
}

/// An answer of the origin.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `retry-after` field as it came.
    pub retry_after: Option<String>,
    /// The beginning of the body: of a 2xx at most 64 KiB where `strict` gives it a
    /// say, else at most the 1 KiB that is kept.
    pub body: Vec<u8>,
    /// Why the body could not be read to the end of what was needed, when it could
    /// not: time-out, broken connection.
    pub body_incomplete: Option<Failure>,
}

/// Why there was no answer, or no end of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Not within the destination's `timeout_seconds`.
    Timeout,
    /// Refused, reset, DNS, TLS: what the platform says.
    Connection(String),
    /// The destination is not one that may be sent to; says why.
    Forbidden(String),
}

impl Failure {
    /// Whether nothing was sent because the platform lets one call of the Worker or of an
    /// object make no more requests: 50 on its Free plan, where a run that has much to
    /// deliver comes to the end of them. It says nothing of the destination.
    #[must_use]
    pub fn is_out_of_requests(&self) -> bool {
        matches!(self, Self::Connection(why) if why.contains("Too many subrequests"))
    }
}

/// One HTTP request of a delivery, as it is kept and shown.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// When it was begun.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration_ms: u64,
    /// The origin's status, when it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// Why it was not taken; absent when it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The first 1 KiB of the answer, as text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub response_body: String,
}

read_in_place! {
    Attempt, unknown skipped,
    required { number, started_at, duration_ms },
    optional { status_code, error, response_body },
}

impl Attempt {
    const fn blank() -> Self {
        Self {
            number: 0,
            started_at: Timestamp::from_millis(0),
            duration_ms: 0,
            status_code: None,
            error: None,
            response_body: String::new(),
        }
    }
}

/// What an attempt means for its delivery: made by `relay::judge`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What is kept of it.
    pub attempt: Attempt,
    /// The origin has taken the event.
    pub taken: bool,
    /// The failure is of the kind that says the server is down: no connection,
    /// time-out, 5xx, 429.
    pub server_down: bool,
    /// The origin asked not to be tried before then (429 and 503 only; at most an
    /// hour ahead).
    pub not_before: Option<Timestamp>,
    /// The attempt just before it, which found its kept connection closed
    /// (`relay::found_connection_closed`).
    pub broken_before: Option<Attempt>,
}

impl Verdict {
    /// Whether the server has answered, and not with what says that it is down: a refusal
    /// of this one event shows that it lives, as much as a success does.
    #[must_use]
    pub const fn shows_life(&self) -> bool {
        self.attempt.status_code.is_some() && !self.server_down
    }
}
