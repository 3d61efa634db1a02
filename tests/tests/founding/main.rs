//! What the systems that Trạm was made after offer, row by row of
//! `docs/founding-systems.md`, with the requests and payloads of their own documents.

mod abaha;
mod bankhub;
mod casso;
mod casso_guide;
mod end_to_end;
mod thueapi;

use serde_json::Value;
use std::collections::BTreeSet;
use tram_tests::{Answer, Station, Webhook};

/// A body from a provider's documentation, byte for byte.
macro_rules! payload {
    ($name:literal) => {
        include_str!(concat!("../../vectors/payloads/", $name))
    };
}
pub(crate) use payload;

/// A body of a provider's documentation as JSON.
#[track_caller]
fn json_of(payload: &str) -> Value {
    serde_json::from_str(payload).expect("JSON")
}

/// A webhook as it is shown.
#[track_caller]
fn shown(station: &Station, webhook: &Webhook) -> Value {
    station.api_expecting(200, "GET", &format!("/webhooks/{}", webhook.id), None)
}

/// Changes these fields of a webhook.
#[track_caller]
fn change(station: &Station, webhook: &Webhook, change: &Value) -> Value {
    let path = format!("/webhooks/{}", webhook.id);
    station.api_expecting(200, "PUT", &path, Some(change))
}

/// Where the mistakes are that a refused creation names.
#[track_caller]
fn mistakes(station: &Station, webhook: &Value) -> BTreeSet<String> {
    station.api("POST", "/webhooks", Some(webhook)).mistakes()
}

/// Asserts that it was taken with this outcome, in these words; the events' ids.
#[track_caller]
fn assert_told(answer: &Answer, outcome: &str, words: &str) -> Vec<String> {
    let ids = answer.assert_taken(outcome);
    assert_eq!((answer.status, answer.text().as_str()), (200, words));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    ids
}
