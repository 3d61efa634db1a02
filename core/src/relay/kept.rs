//! A kept connection that the origin has closed in the meantime.
//!
//! A server that keeps connections closes them when nothing has come for a while. A
//! request that is on its way just then gets no answer, though the server is well: it
//! is sent once more at once.

use crate::delivery::{Failure, Job, Response};
use std::time::Duration;

/// A connection may be kept for so long after an answer.
pub const KEPT_FOR: Duration = Duration::from_secs(60);

/// A closed connection is found out within so many milliseconds: no longer than a way
/// there and back. What breaks later broke while the server was at work.
const FOUND_OUT_WITHIN_MS: u64 = 1_000;

/// What the runtime says of a connection that ended before an answer began. It says the
/// same of one that was refused; DNS and TLS failures are "internal error".
const CONNECTION_LOST: &str = "Network connection lost.";

/// Whether an attempt has found the connection closed that was kept from an earlier one.
/// Only where there can be one: the destination has answered lately. So a server that
/// goes down is asked once more by each attempt that was on its way, and then no more.
#[must_use]
pub fn found_connection_closed(job: &Job, response: &Response) -> bool {
    job.connection_may_be_kept
        && response.duration_ms <= FOUND_OUT_WITHIN_MS
        && matches!(&response.result, Err(Failure::Connection(why)) if why.contains(CONNECTION_LOST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        delivery::{Answer, StoredEvent},
        event::Envelope,
        ids::DestinationId,
        testing::samples::{START, event_id},
    };
    use std::rc::Rc;

    fn job() -> Job {
        Job {
            event: Rc::new(StoredEvent {
                id: event_id(1),
                envelope: Envelope::default(),
                body: Vec::new(),
                test: false,
            }),
            destination: DestinationId::from_random([1; 8]),
            number: 3,
            connection_may_be_kept: true,
        }
    }

    fn response(duration_ms: u64, result: Result<Answer, Failure>) -> Response {
        Response {
            started_at: START,
            duration_ms,
            result,
        }
    }

    fn lost() -> Result<Answer, Failure> {
        let why = "Error: Network connection lost.";
        Err(Failure::Connection(why.to_owned()))
    }

    #[test]
    fn a_kept_connection_that_breaks_at_once_is_another_attempt_and_nothing_else_is() {
        assert!(found_connection_closed(&job(), &response(2, lost())));
        let again = job().again();
        assert_eq!(again.number, 4);
        assert!(!found_connection_closed(&again, &response(2, lost())));
        assert!(!found_connection_closed(&job(), &response(1_001, lost())));
        let answered = Ok(Answer {
            status: 200,
            retry_after: None,
            body: Vec::new(),
            body_incomplete: Some(Failure::Connection("Network connection lost.".into())),
        });
        for other in [
            answered,
            Err(Failure::Timeout),
            Err(Failure::Forbidden("Network connection lost.".into())),
            Err(Failure::Connection("Error: internal error".into())),
        ] {
            assert!(!found_connection_closed(&job(), &response(2, other)));
        }
    }
}
