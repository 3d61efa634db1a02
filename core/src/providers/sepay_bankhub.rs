//! SePay Bank Hub: what happens to link tokens, link sessions and bank accounts,
//! proven by a secret in a header.
//!
//! Source: <https://developer.sepay.vn/vi/bankhub/webhook-event> and the page on the
//! webhook's configuration ("API Lấy cấu hình Webhook"), which lists the 13 events.
//!
//! Out of scope: the notification of balance changes, which is another provider.

use super::{
    About, Facts, Identity, Proof, Provider, SUCCESS, SecretFrom, Unsigned, guide,
    presented::check_token, sepay, signing,
};
use crate::{
    event::Summary,
    headers::Headers,
    inbound::{Inbound, Refusal},
    json::Json,
    secret::Secret,
    time::Timestamp,
    webhook::{Retry, Settings},
};

const SECRET_KEY: &str = "x-secret-key";

static ABOUT: About = About {
    id: "sepay-bankhub",
    name: "SePay Bank Hub (events)",
    setup: guide(
        "Send POST https://bankhub-api-sandbox.sepay.vn/v1/webhook (or the live host) with \
            your access token and {\"webhook_url\": the ingest URL, \"auth_type\": \"SECRET_KEY\", \
            \"secret_key\": the secret, \"active\": 1, \"allow_events\": [\"*\"]}. Bank Hub \
            sends again only when the connection fails, for five hours at most, unless a retry \
            condition (non_2xx_status_code) is set there: what is answered 503 is lost.",
    ),
    methods: &["POST"],
    settings: &[],
    required_settings: &[],
    events: &[
        "LINK_TOKEN_CREATED",
        "LINK_TOKEN_REVOKED",
        "LINK_TOKEN_EXPIRED",
        "LINK_SESSION_INITIALIZED",
        "LINK_SESSION_REINITIALIZED",
        "LINK_SESSION_STATE_CHANGED",
        "LINK_SESSION_COMPLETED",
        "LINK_SESSION_FAILED",
        "LINK_SESSION_ABANDONED",
        "LINK_SESSION_EXPIRED",
        "BANK_ACCOUNT_LINKED",
        "BANK_ACCOUNT_UNLINKED",
        "BANK_ACCOUNT_INACTIVATED",
    ],
    // The page on the configuration writes the first, the page on the events the second.
    same_events: &[["BANK_ACCOUNT_INACTIVATED", "BANK_ACCOUNT_INACTIVED"]],
    // At most seven more tries, within five hours of the first failure.
    retry_window: sepay::RETRY_WINDOW,
    tolerance_seconds: None,
    whsec: false,
    secret_from: SecretFrom::Owner,
    credential_headers: &[SECRET_KEY],
    default_retry: Retry::default,
    answer: SUCCESS,
    documentation: guide("https://developer.sepay.vn/vi/bankhub/webhook-event"),
};

/// The table's entry.
pub(super) static SEPAY_BANKHUB: SePayBankHub = SePayBankHub;

/// SePay Bank Hub.
pub(super) struct SePayBankHub;

const SAMPLE: &str = r#"{"timestamp":1763632800,"xid":"00000000-0000-0000-0000-000000000000","version":"1.0","event":"LINK_TOKEN_CREATED","metadata":{"purpose":"LINK_BANK_ACCOUNT","brand_name":"TRAM TEST","link_token_xid":"00000000-0000-0000-0000-000000000000","link_session_xid":null}}"#;

impl Provider for SePayBankHub {
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
        check_token(inbound, SECRET_KEY, "", secret)
    }

    fn proof(&self, _settings: &Settings) -> Proof {
        Proof::Token
    }

    fn describe(&self, _settings: &Settings, _inbound: &Inbound, content: &[u8]) -> Facts {
        let document = Json::parse(content);
        let text = |pointer: &str| document.and_then(|document| document.shown_at(pointer));
        let id = document
            .and_then(Json::object)
            .and_then(|event| event.id("xid"));
        Facts {
            identity: id.map_or(Identity::Bytes, Identity::Proven),
            name: text("/event"),
            object_id: [
                "/metadata/bank_account_xid",
                "/metadata/link_session_xid",
                "/metadata/link_token_xid",
            ]
            .iter()
            .find_map(|pointer| text(pointer)),
            summary: Summary {
                description: text("/metadata/state").or_else(|| text("/metadata/purpose")),
                occurred_at: text("/timestamp")
                    .and_then(|at| Timestamp::parse_unix(&at))
                    .map(Timestamp::to_rfc3339),
                ..Summary::default()
            },
            test: false,
        }
    }

    fn sample(&self, inbound: &mut Inbound, _: &Secret, _: &Settings) {
        inbound.body = SAMPLE.into();
    }

    fn sign(
        &self,
        _: Unsigned<'_>,
        secret: &Secret,
        _: &Settings,
        _: Timestamp,
    ) -> Option<Headers> {
        signing::token(SECRET_KEY, "", secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::examples::post;

    #[test]
    fn an_event_is_named_by_its_xid() {
        let describe = |body: &str| {
            SEPAY_BANKHUB.describe(&Settings::default(), &post(&[], body), body.as_bytes())
        };
        // https://developer.sepay.vn/en/bankhub/webhook-event
        let facts = describe(
            r#"{"timestamp":1768312100,"xid":"e61cdae9-505e-4349-9713-a3e5b8b80b5e","version":"1.0","event":"LINK_TOKEN_CREATED",
                "metadata":{"purpose":"LINK_BANK_ACCOUNT","link_token_xid":"628af450-6f83-443f-b2f1-7d8ae4664e45","link_session_xid":null}}"#,
        );
        let id = "e61cdae9-505e-4349-9713-a3e5b8b80b5e";
        assert_eq!(facts.identity, Identity::Proven(id.into()));
        assert_eq!(facts.name.as_deref(), Some("LINK_TOKEN_CREATED"));
        assert_eq!(
            facts.object_id.as_deref(),
            Some("628af450-6f83-443f-b2f1-7d8ae4664e45")
        );
        assert_eq!(
            facts.summary.description.as_deref(),
            Some("LINK_BANK_ACCOUNT")
        );
        assert_eq!(
            facts.summary.occurred_at.as_deref(),
            Some("2026-01-13T13:48:20.000Z")
        );
        let unreadable = describe(r#"{"event":"SOMETHING_NEW","timestamp":"soon"}"#);
        assert_eq!(unreadable.identity, Identity::Bytes);
        assert_eq!(unreadable.name.as_deref(), Some("SOMETHING_NEW"));
        assert_eq!(unreadable.summary, Summary::default());
        let extreme = describe(r#"{"timestamp":9223372036854775807}"#);
        assert!(extreme.summary.occurred_at.is_some());
    }
}
