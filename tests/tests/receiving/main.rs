//! The table *Receiving* of the contract, row by row: what is answered, in which
//! order the checks go, and that nothing that is refused leaves a trace.

mod limits;
mod probes;
mod refused;
mod taken;
mod unproven;

use serde_json::Value;
use tram_tests::{Origin, Shared, Station, Webhook, casso, transaction};

/// How many bytes of a body are taken unless it is set.
const LIMIT: usize = 1_048_576;

/// A webhook of Casso's, and where it relays to.
fn setting() -> (Shared, Origin, Webhook) {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    (station, origin, webhook)
}

/// What was refused is neither stored nor relayed: an event that comes later is the
/// only one of the webhook.
#[track_caller]
fn assert_no_trace(station: &Station, origin: &Origin, webhook: &Webhook) {
    assert_eq!(station.events(webhook), [] as [Value; 0]);
    let later = station.post_casso(webhook, casso(&[transaction("later")]));
    let ids = later.assert_taken("accepted");
    let _ = station.wait_for_status(&ids[0], "delivered");
    assert_eq!(station.events(webhook).len(), 1);
    assert_eq!(origin.count(), 1);
}
