//! Pay2S: a bearer token and an array of bank transactions, in the shape of ThueAPI's.
//!
//! Source: <https://docs.pay2s.vn/webhook/tai-lieu-ky-thuat.html>. It stops sending
//! again only on status 200 and `{"success": true}`.

use super::{
    About, Facts, Proof, Provider, SUCCESS, SecretFrom, Split, Unsigned, guide,
    presented::check_token, signing, thueapi,
};
use crate::{
    headers::Headers,
    inbound::{Inbound, Refusal},
    secret::Secret,
    time::Timestamp,
    webhook::{Retry, Settings},
};
use std::time::Duration;

const AUTHORIZATION: &str = "authorization";

static ABOUT: About = About {
    id: "pay2s",
    name: "Pay2S",
    setup: guide(
        "At my.pay2s.vn add a Webhook with the ingest URL as its URL, and paste its token, \
            without the word Bearer, as secret here.",
    ),
    methods: &["POST"],
    settings: &[],
    required_settings: &[],
    events: &[],
    same_events: &[],
    // Six more tries a minute apart, with room for slow answers.
    retry_window: Duration::from_secs(3_600),
    tolerance_seconds: None,
    whsec: false,
    secret_from: SecretFrom::Provider,
    credential_headers: &[AUTHORIZATION],
    default_retry: Retry::default,
    answer: SUCCESS,
    documentation: guide("https://docs.pay2s.vn/webhook/tai-lieu-ky-thuat.html"),
};

/// The table's entry.
pub(super) static PAY2S: Pay2S = Pay2S;

/// Pay2S.
pub(super) struct Pay2S;

impl Provider for Pay2S {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn verify(
        &self,
        inbound: &Inbound,
        secret: &Secret,
        _settings: &Settings,
        _now: Timestamp,
    ) -> Result<(), Refusal> {
        check_token(inbound, AUTHORIZATION, "Bearer", secret)
    }

    fn proof(&self, _settings: &Settings) -> Proof {
        Proof::Token
    }

    fn split<'a>(&self, _settings: &Settings, content: &'a [u8]) -> Split<'a> {
        Split::at(content, thueapi::TRANSACTIONS)
    }

    fn describe(&self, _settings: &Settings, inbound: &Inbound, content: &[u8]) -> Facts {
        thueapi::facts(inbound, content)
    }

    fn sample(&self, inbound: &mut Inbound, _: &Secret, _: &Settings) {
        inbound.body = thueapi::SAMPLE.into();
    }

    fn sign(
        &self,
        _: Unsigned<'_>,
        secret: &Secret,
        _: &Settings,
        _: Timestamp,
    ) -> Option<Headers> {
        signing::token(AUTHORIZATION, "Bearer", secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::{Identity, examples::post};

    #[test]
    fn it_stops_on_exactly_this_answer() {
        assert_eq!(ABOUT.answer.status, 200);
        let answer: serde_json::Value = serde_json::from_str(ABOUT.answer.body).unwrap();
        assert_eq!(answer, serde_json::json!({"success": true}));
    }

    #[test]
    fn each_transaction_of_a_batch_is_read() {
        // https://docs.pay2s.vn/webhook/tai-lieu-ky-thuat.html
        let body = r#"{"transactions":[{"id":"1788052","gateway":"ACB","transactionDate":"2025-04-01 00:02:18","transactionNumber":"10418","accountNumber":"12805521","content":"SHOPVPS12537 GD 789604-040125 00:05:38","transferType":"IN","transferAmount":50000,"checksum":"7e2b3bbc03d1083017e3d2a96d3b8e01"}]}"#;
        let Split::Elements { elements, .. } = PAY2S.split(&Settings::default(), body.as_bytes())
        else {
            panic!("a batch")
        };
        let facts = PAY2S.describe(&Settings::default(), &post(&[], body), elements[0]);
        let checksum = "7e2b3bbc03d1083017e3d2a96d3b8e01";
        assert_eq!(facts.identity, Identity::Proven(checksum.into()));
        assert_eq!(facts.object_id.as_deref(), Some("1788052"));
        assert_eq!(facts.summary.transaction_id.as_deref(), Some("10418"));
    }
}
