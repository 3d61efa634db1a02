//! SePay payment gateway: the instant payment notification (IPN), proven by a secret
//! in a header.
//!
//! Source: <https://developer.sepay.vn/vi/cong-thanh-toan/IPN>. One transaction brings
//! several notifications (paid, later void), so the type is part of the identity.

use super::{
    About, Facts, Identity, Proof, Provider, SUCCESS, SecretFrom, Unsigned, bank::unsigned, guide,
    naming::unambiguous, presented::check_token, sepay, signing,
};
use crate::{
    event::{Direction, Summary},
    headers::Headers,
    inbound::{Inbound, Refusal},
    json::Json,
    secret::Secret,
    time::Timestamp,
    webhook::{Retry, Settings},
};

const SECRET_KEY: &str = "x-secret-key";

/// Money in; what is void says nothing of a direction.
const PAID: [&str; 2] = ["ORDER_PAID", "RENEWAL_ORDER_PAID"];

static ABOUT: About = About {
    id: "sepay-pg",
    name: "SePay payment gateway",
    setup: guide(
        "At my.sepay.vn open Cổng thanh toán > Cấu hình > IPN. Paste the ingest URL as IPN URL, \
            choose the authentication SECRET_KEY and paste the secret as Secret Key.",
    ),
    methods: &["POST"],
    settings: &[],
    required_settings: &[],
    events: &["ORDER_PAID", "RENEWAL_ORDER_PAID", "TRANSACTION_VOID"],
    same_events: &[],
    // Not stated for the gateway; that of SePay's account webhooks.
    retry_window: sepay::RETRY_WINDOW,
    tolerance_seconds: None,
    whsec: false,
    secret_from: SecretFrom::Owner,
    credential_headers: &[SECRET_KEY],
    default_retry: Retry::default,
    answer: SUCCESS,
    documentation: guide("https://developer.sepay.vn/vi/cong-thanh-toan/IPN"),
};

/// The table's entry.
pub(super) static SEPAY_PG: SePayGateway = SePayGateway;

/// SePay's payment gateway.
pub(super) struct SePayGateway;

/// No type of SePay's: of those each pays an order or voids it.
const SAMPLE: &str = r#"{"timestamp":1763632800,"notification_type":"TRAM_TEST","order":{"id":"00000000-0000-0000-0000-000000000000","order_id":"","order_status":"TEST","order_currency":"VND","order_amount":"1","order_invoice_number":"","custom_data":[],"order_description":"TRAM TEST"},"transaction":{"id":"00000000-0000-0000-0000-000000000000","payment_method":"BANK_TRANSFER","transaction_id":"TRAM_TEST","transaction_type":"TEST","transaction_date":"2026-11-20 09:30:00","transaction_status":"TEST","transaction_amount":"1","transaction_currency":"VND"},"customer":null}"#;

impl Provider for SePayGateway {
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
        let id = |pointer: &str| document?.at(pointer)?.exact_text();
        let ids = [id("/notification_type"), id("/transaction/id")];
        let ids: Option<Vec<String>> = ids
            .into_iter()
            .map(|id| id.filter(|id| !id.trim().is_empty()))
            .collect();
        let name = text("/notification_type");
        let is_paid = name.as_deref().is_some_and(|name| PAID.contains(&name));
        Facts {
            identity: ids
                .and_then(|ids| unambiguous(&ids))
                .map_or(Identity::Bytes, Identity::Proven),
            name,
            object_id: text("/order/order_invoice_number").or_else(|| text("/order/order_id")),
            summary: Summary {
                direction: is_paid.then_some(Direction::In),
                amount: text("/transaction/transaction_amount")
                    .or_else(|| text("/order/order_amount"))
                    .and_then(|amount| unsigned(&amount)),
                transaction_id: text("/transaction/transaction_id"),
                description: text("/order/order_description"),
                occurred_at: text("/transaction/transaction_date")
                    .and_then(|when| Timestamp::parse_vietnamese(&when))
                    .map(Timestamp::to_rfc3339),
                currency: text("/transaction/transaction_currency")
                    .or_else(|| text("/order/order_currency")),
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

    // https://developer.sepay.vn/vi/cong-thanh-toan/IPN
    const PAYMENT: &str = r#"{"timestamp":1757058220,"notification_type":"ORDER_PAID","order":{"id":"e2c195be-c721-47eb-b323-99ab24e52d85",
        "order_id":"NPSETVI00101000042R","order_status":"CAPTURED","order_currency":"VND","order_amount":"50000.00",
        "order_invoice_number":"SUB_202509_001","custom_data":[],"order_description":"Thanh toán định kỳ gói Premium tháng 9/2025"},
        "transaction":{"id":"384c66dd-41e6-4316-a544-b4141682595c","payment_method":"CARD","transaction_id":"68ba94ac80123",
        "transaction_type":"PAYMENT","transaction_date":"2025-09-01 00:00:15","transaction_status":"APPROVED",
        "transaction_amount":"50000","transaction_currency":"VND"},"customer":null}"#;

    fn describe(body: &str) -> Facts {
        SEPAY_PG.describe(&Settings::default(), &post(&[], body), body.as_bytes())
    }

    #[test]
    fn a_payment_is_read() {
        let facts = describe(PAYMENT);
        assert_eq!(facts.name.as_deref(), Some("ORDER_PAID"));
        assert_eq!(facts.object_id.as_deref(), Some("SUB_202509_001"));
        assert_eq!(facts.summary.direction, Some(Direction::In));
        assert_eq!(facts.summary.amount.as_deref(), Some("50000"));
        assert_eq!(
            facts.summary.transaction_id.as_deref(),
            Some("68ba94ac80123")
        );
        assert_eq!(
            facts.summary.occurred_at.as_deref(),
            Some("2025-08-31T17:00:15.000Z")
        );
    }

    #[test]
    fn the_type_is_part_of_the_identity() {
        let paid = describe(PAYMENT);
        let void = describe(&PAYMENT.replace("ORDER_PAID", "TRANSACTION_VOID"));
        assert!(matches!(&paid.identity, Identity::Proven(_)));
        assert_ne!(paid.identity, void.identity);
        assert_eq!(void.summary.direction, None);
        let sent_again = describe(&PAYMENT.replace("1757058220", "1757058280"));
        assert_eq!(sent_again.identity, paid.identity);
        for missing in ["notification_type", "384c66dd-41e6-4316-a544-b4141682595c"] {
            let without = describe(&PAYMENT.replace(missing, " "));
            assert_eq!(without.identity, Identity::Bytes, "{missing}");
        }
    }
}
