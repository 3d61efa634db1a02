//! How an event leaves: the request to the origin, and what its answer means.
//!
//! [`outgoing`] makes the request of a [`Job`](crate::delivery::Job), the edge
//! sends it, [`judge()`] reads the [`Response`](crate::delivery::Response). Out of
//! scope: when to try again ([`retry`](crate::retry)), and what a row of failures
//! says of a destination (the Mailbox).

mod judge;
mod kept;
mod request;

pub(crate) use judge::{NOT_SENT, TIMED_OUT};
pub use judge::{judge, says_success};
pub use kept::{KEPT_FOR, found_connection_closed};
pub(crate) use request::{Message, sign};
pub use request::{Outgoing, outgoing};

/// How much of an answer is kept, in bytes.
pub const KEPT_OF_ANSWER: usize = 1_024;

/// How much of a 2xx answer that may be a JSON object is read where its body has a say,
/// in bytes.
pub const READ_OF_SUCCESS: usize = 64 * 1_024;

/// How many seconds a destination has to answer: what is configured, kept within
/// the 1 to 30 that may be.
fn timeout_seconds(destination: &crate::webhook::Destination) -> u32 {
    destination.timeout_seconds.clamp(1, 30)
}
