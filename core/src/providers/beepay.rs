//! BeePay: HMAC-SHA256 over the raw body, one bank transaction per request.
//!
//! Source: <https://docs.beepay.vn/api/webhooks>, with both of its payload formats,
//! `standard` and `woocommerce`.

use super::{
    About, Facts, Identity, Provider, SUCCESS, SecretFrom, Unsigned,
    bank::Transaction,
    guide,
    presented::{any_signature, body_hashes},
    signing,
};
use crate::{
    headers::Headers,
    inbound::{Inbound, Refusal},
    json::Json,
    secret::Secret,
    time::Timestamp,
    webhook::{Encoding, Retry, Settings},
};
use std::time::Duration;

const SIGNATURE: &str = "x-webhook-signature";

static ABOUT: About = About {
    id: "beepay",
    name: "BeePay",
    setup: guide(
        "At beepay.vn add a webhook rule with the ingest URL as url, and paste its secret_key \
            as secret here. Either payload_format is taken.",
    ),
    methods: &["POST"],
    settings: &[],
    required_settings: &[],
    events: &[],
    same_events: &[],
    // Not found in what is published; most senders end within three days.
    retry_window: Duration::from_secs(3 * 86_400),
    tolerance_seconds: None,
    whsec: false,
    secret_from: SecretFrom::Provider,
    credential_headers: &[SIGNATURE],
    default_retry: Retry::default,
    answer: SUCCESS,
    documentation: guide("https://docs.beepay.vn/api/webhooks"),
};

/// The table's entry.
pub(super) static BEEPAY: BeePay = BeePay;

/// BeePay.
pub(super) struct BeePay;

static TRANSACTION: Transaction = Transaction {
    identity: &["transaction_id", "transaction_ref"],
    object_id: &["transaction_id", "transaction_ref"],
    bank: &["bank_name", "bank_code"],
    account: &["account_number"],
    direction: &["transaction_type"],
    amount: &["amount"],
    transaction_id: &["transaction_ref", "transaction_id"],
    description: &["description"],
    occurred_at: &["transaction_date"],
    payer: &[],
    payer_account: &[],
    currency: &["currency"],
};

const SAMPLE: &str = r#"{"event":"bank_transaction","transaction_id":0,"bank_code":"VCB","bank_name":"Vietcombank","account_number":"88888888","transaction_type":"credit","amount":"1.00","currency":"VND","balance_after":null,"description":"TRAM TEST giao dich thu nghiem","transaction_ref":"MA_GIAO_DICH_THU_NGHIEM","transaction_date":"2026-11-20T02:30:00.000Z","counterpart_name":"NGUYEN VAN A","order_id":null,"timestamp":1763632800}"#;

impl Provider for BeePay {
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
        let expected = body_hashes(inbound, secret);
        any_signature(inbound, SIGNATURE, "sha256=", Encoding::Hex, &expected)
    }

    fn describe(&self, _settings: &Settings, _inbound: &Inbound, content: &[u8]) -> Facts {
        match Json::parse(content).and_then(Json::object) {
            Some(transaction) => Facts {
                name: transaction.shown("event"),
                ..TRANSACTION.facts(&transaction)
            },
            None => Facts::named_by(Identity::Bytes),
        }
    }

    fn sample(&self, inbound: &mut Inbound, _: &Secret, _: &Settings) {
        inbound.body = SAMPLE.into();
    }

    fn sign(
        &self,
        request: Unsigned<'_>,
        secret: &Secret,
        _: &Settings,
        _: Timestamp,
    ) -> Option<Headers> {
        signing::body_hash(request, SIGNATURE, "sha256=", Encoding::Hex, secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::Direction, providers::examples::post};

    fn describe(body: &str) -> Facts {
        BEEPAY.describe(&Settings::default(), &post(&[], body), body.as_bytes())
    }

    // https://docs.beepay.vn/api/webhooks
    #[test]
    fn both_formats_are_read() {
        let standard = describe(
            r#"{"event":"bank_transaction","bank_code":"MB","bank_name":"MB Bank","transaction_type":"credit","amount":"500000.00",
                "currency":"VND","balance_after":null,"account_number":"008000888","transaction_ref":"FT26111330819043",
                "transaction_date":"2026-04-21T08:25:04.000Z","description":"BEEPAY42 thanh toan","counterpart_name":"NGUYEN VAN A",
                "order_id":"BEEPAY42","transaction_id":5669,"timestamp":1745227504}"#,
        );
        assert_eq!(standard.identity, Identity::Proven("5669".into()));
        assert_eq!(standard.name.as_deref(), Some("bank_transaction"));
        assert_eq!(standard.object_id.as_deref(), Some("5669"));
        assert_eq!(standard.summary.bank.as_deref(), Some("MB Bank"));
        assert_eq!(standard.summary.account.as_deref(), Some("008000888"));
        assert_eq!(standard.summary.direction, Some(Direction::In));
        assert_eq!(standard.summary.amount.as_deref(), Some("500000.00"));
        assert_eq!(
            standard.summary.transaction_id.as_deref(),
            Some("FT26111330819043")
        );
        assert_eq!(
            standard.summary.occurred_at.as_deref(),
            Some("2026-04-21T08:25:04.000Z")
        );
        let woocommerce = describe(
            r#"{"order_id":"BEEPAY42","payment_method":"bank_transfer","transaction_id":"FT26111330819043","amount":"500000.00",
                "currency":"VND","status":"completed","description":"BEEPAY42 thanh toan","bank_code":"MB","bank_name":"MB Bank",
                "transaction_type":"credit","payer_name":"NGUYEN VAN A","timestamp":1745227504}"#,
        );
        let id = "FT26111330819043".to_owned();
        assert_eq!(woocommerce.identity, Identity::Proven(id.clone()));
        assert_eq!(woocommerce.summary.transaction_id, Some(id));
        assert_eq!(woocommerce.summary.direction, Some(Direction::In));
        assert_eq!(describe("[]").identity, Identity::Bytes);
    }
}
