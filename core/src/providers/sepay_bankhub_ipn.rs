//! SePay Bank Hub: the notification of a balance change (IPN), proven by an API key.
//!
//! Source: <https://developer.sepay.vn/vi/bankhub/thong-bao-bien-dong-so-du>.

use super::{
    About, Facts, Identity, Proof, Provider, SUCCESS, SecretFrom, Unsigned, bank::Transaction,
    guide, presented::check_token, sepay, signing,
};
use crate::{
    headers::Headers,
    inbound::{Inbound, Refusal},
    json::Json,
    secret::Secret,
    time::Timestamp,
    webhook::{Retry, Settings},
};

const AUTHORIZATION: &str = "authorization";

static ABOUT: About = About {
    id: "sepay-bankhub-ipn",
    name: "SePay Bank Hub (balance changes)",
    setup: guide(
        "Give SePay the ingest URL as the IPN URL for Thông báo biến động số dư, and paste the \
            API key that SePay gives you as secret here. Bank Hub \
            sends again only when the connection fails, for five hours at most, unless a retry \
            condition (non_2xx_status_code) is set there: what is answered 503 is lost.",
    ),
    methods: &["POST"],
    settings: &[],
    required_settings: &[],
    events: &[],
    same_events: &[],
    // At most seven more tries, within five hours of the first failure.
    retry_window: sepay::RETRY_WINDOW,
    tolerance_seconds: None,
    whsec: false,
    secret_from: SecretFrom::Provider,
    credential_headers: &[AUTHORIZATION],
    default_retry: Retry::default,
    answer: SUCCESS,
    documentation: guide("https://developer.sepay.vn/vi/bankhub/thong-bao-bien-dong-so-du"),
};

/// The table's entry.
pub(super) static SEPAY_BANKHUB_IPN: SePayBankHubIpn = SePayBankHubIpn;

/// SePay Bank Hub's notification of balance changes.
pub(super) struct SePayBankHubIpn;

static TRANSACTION: Transaction = Transaction {
    identity: &["transaction_id"],
    object_id: &["transaction_id"],
    bank: &["gateway"],
    account: &["account_number"],
    direction: &["transfer_type"],
    amount: &["amount"],
    transaction_id: &["reference_code", "transaction_id"],
    description: &["content"],
    occurred_at: &["transaction_date"],
    payer: &[],
    payer_account: &[],
    currency: &[],
};

const SAMPLE: &str = r#"{"gateway":"Vietcombank","transaction_date":"2026-11-20 09:30:00","account_number":"88888888","va":"","payment_code":null,"content":"TRAM TEST giao dich thu nghiem","transfer_type":"credit","amount":1,"reference_code":"MA_GIAO_DICH_THU_NGHIEM","accumulated":0,"transaction_id":"00000000-0000-0000-0000-000000000000","bank_account_xid":"00000000-0000-0000-0000-000000000000"}"#;

impl Provider for SePayBankHubIpn {
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
        check_token(inbound, AUTHORIZATION, "Apikey", secret)
    }

    fn proof(&self, _settings: &Settings) -> Proof {
        Proof::Token
    }

    fn describe(&self, _settings: &Settings, _inbound: &Inbound, content: &[u8]) -> Facts {
        Json::parse(content)
            .and_then(Json::object)
            .map_or(Facts::named_by(Identity::Bytes), |transaction| {
                TRANSACTION.facts(&transaction)
            })
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
        signing::token(AUTHORIZATION, "Apikey", secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::Direction, providers::examples::post};

    #[test]
    fn a_balance_change_is_read() {
        let body = r#"{"gateway":"MBBank","transaction_date":"2025-09-01 00:00:15","account_number":"0123499999",
            "bank_account_xid":"52930e2b-c38b-4cd1-b2a2-9ddcdc603104","va":null,"payment_code":null,"content":"Thanh toán",
            "transfer_type":"debit","amount":500000,"reference_code":"FT25","accumulated":0,"transaction_id":"a1b2"}"#;
        let facts =
            SEPAY_BANKHUB_IPN.describe(&Settings::default(), &post(&[], body), body.as_bytes());
        assert_eq!(facts.identity, Identity::Proven("a1b2".into()));
        assert_eq!(facts.summary.direction, Some(Direction::Out));
        assert_eq!(facts.summary.amount.as_deref(), Some("500000"));
        assert_eq!(facts.summary.transaction_id.as_deref(), Some("FT25"));
        assert_eq!(facts.summary.account.as_deref(), Some("0123499999"));
        assert_eq!(
            facts.summary.occurred_at.as_deref(),
            Some("2025-08-31T17:00:15.000Z")
        );
    }
}
