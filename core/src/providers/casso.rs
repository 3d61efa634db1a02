//! Casso webhooks, version 1: a shared token in a header and an array of bank
//! transactions.
//!
//! Source: <https://docs.casso.vn>, its sample handler
//! <https://github.com/CassoHQ/casso-webhook-handler-sample> and the integration
//! guide ("Thiết lập Webhook thủ công"). Nothing is signed and nothing carries a
//! time, so a replay is recognised by the transaction's id alone.
//!
//! Out of scope: version 2 (`X-Casso-Signature`), which is another provider.

use super::{
    About, Facts, Identity, Proof, Provider, SUCCESS, SecretFrom, Split, Unsigned,
    bank::{Transaction, has_test_id},
    guide,
    naming::is_whole,
    presented::check_token,
    signing,
};
use crate::{
    headers::Headers,
    inbound::{Inbound, Refusal},
    json::Json,
    secret::Secret,
    time::Timestamp,
    webhook::{Retry, Settings},
};
use std::time::Duration;

const TOKEN: &str = "secure-token";

/// The array of transactions, also when there is only one.
const TRANSACTIONS: &str = "/data";

static ABOUT: About = About {
    id: "casso",
    name: "Casso",
    setup: guide(
        "At casso.vn open Thiết lập > Tích hợp > Thêm tích hợp > Webhook. Paste the ingest \
            URL as Webhook URL and the secret as Key bảo mật, press Gọi thử, then Lưu.",
    ),
    methods: &["POST"],
    settings: &[],
    required_settings: &[],
    events: &[],
    same_events: &[],
    // "Casso sẽ gọi lại liên tục webhook trong 12 giờ sau đó."
    retry_window: Duration::from_secs(12 * 3_600),
    tolerance_seconds: None,
    whsec: false,
    secret_from: SecretFrom::Owner,
    credential_headers: &[TOKEN],
    // Strict mode asks for status 200 and `success` being true or 1.
    default_retry: Retry::default,
    answer: SUCCESS,
    documentation: guide("https://casso.vn/tich-hop-webhook-tuy-chinh-vao-casso"),
};

/// The table's entry.
pub(super) static CASSO: Casso = Casso;

/// Casso, version 1.
pub(super) struct Casso;

/// What "Gọi thử" sends, but for the amount.
const SAMPLE: &str = r#"{"error":0,"data":[{"id":0,"tid":"MA_GIAO_DICH_THU_NGHIEM","description":"giao dich thu nghiem","amount":1,"cusum_balance":0,"when":"2026-11-20 09:30:00","bank_sub_acc_id":"88888888","subAccId":"88888888","bankName":"VPBank","bankAbbreviation":"VPB","virtualAccount":"","virtualAccountName":"","corresponsiveName":"NGUYEN VAN A","corresponsiveAccount":"8888888888","corresponsiveBankId":"970415","corresponsiveBankName":"VietinBank"}]}"#;

impl Provider for Casso {
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
        check_token(inbound, TOKEN, "", secret)
    }

    fn proof(&self, _settings: &Settings) -> Proof {
        Proof::Token
    }

    fn split<'a>(&self, _settings: &Settings, content: &'a [u8]) -> Split<'a> {
        Split::at(content, TRANSACTIONS)
    }

    fn describe(&self, _settings: &Settings, inbound: &Inbound, content: &[u8]) -> Facts {
        let mut element = Json::parse(content);
        if is_whole(inbound, content) {
            // Not a batch: perhaps one transaction in the array's stead.
            element = element.and_then(|document| document.at(TRANSACTIONS));
        }
        match element.and_then(Json::object) {
            Some(transaction) => {
                let facts = TRANSACTION.facts(&transaction);
                Facts {
                    test: has_test_id(&facts),
                    ..facts
                }
            }
            None => Facts::named_by(Identity::Bytes),
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
        signing::token(TOKEN, "", secret)
    }
}

/// Where a transaction's parts stand.
const TRANSACTION: Transaction = Transaction {
    identity: &["id"],
    object_id: &["id"],
    bank: &["bankName", "bankAbbreviation"],
    account: &["bank_sub_acc_id", "subAccId"],
    // Money out is negative.
    direction: &[],
    amount: &["amount"],
    transaction_id: &["tid", "id"],
    description: &["description"],
    occurred_at: &["when"],
    payer: &["corresponsiveName"],
    payer_account: &["corresponsiveAccount"],
    currency: &[],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Direction, Summary},
        providers::examples::post,
    };

    fn verify(headers: &[(&str, &str)], secret: &str) -> Result<(), &'static str> {
        let secret = Secret::new(secret.into());
        CASSO
            .verify(
                &post(headers, "{}"),
                &secret,
                &Settings::default(),
                Timestamp::default(),
            )
            .map_err(|why| why.code())
    }

    #[test]
    fn the_token_is_compared_exactly() {
        let wrong = Err("wrong_secret_or_altered_body");
        assert_eq!(verify(&[("Secure-Token", "@123#abc")], "@123#abc"), Ok(()));
        for token in ["@123#abC", "@123#ab", "@123#abcd", "@123#abc, @123#abc"] {
            assert_eq!(
                verify(&[("secure-token", token)], "@123#abc"),
                wrong,
                "{token}"
            );
        }
        assert_eq!(
            verify(&[("secure-token", "")], "@123#abc"),
            Err("missing_header")
        );
        assert_eq!(
            verify(&[("authorization", "x")], "x"),
            Err("missing_header")
        );
        assert!(verify(&[("secure-token", "")], "").is_err());
        assert!(verify(&[("secure-token", "x")], "").is_err());
    }

    fn describe(element: &str) -> Facts {
        let inbound = post(&[], format!(r#"{{"error":0,"data":[{element}]}}"#));
        CASSO.describe(&Settings::default(), &inbound, element.as_bytes())
    }

    #[test]
    fn a_transaction_is_summarised() {
        let facts = describe(
            r#"{"id":6889,"tid":"BANK_REF_ID","description":"Chuyển khoản \"DH35\"","amount":-599000,
                "cusum_balance":25000000,"when":"2020-10-14 00:34:57","bank_sub_acc_id":"88888888",
                "subAccId":"1","bankName":"VPBank","bankAbbreviation":"VPB","new_field":{"a":[]}}"#,
        );
        assert_eq!(
            facts,
            Facts {
                identity: Identity::Proven("6889".into()),
                name: None,
                object_id: Some("6889".into()),
                test: false,
                summary: Summary {
                    bank: Some("VPBank".into()),
                    account: Some("88888888".into()),
                    direction: Some(Direction::Out),
                    amount: Some("599000".into()),
                    transaction_id: Some("BANK_REF_ID".into()),
                    description: Some("Chuyển khoản \"DH35\"".into()),
                    occurred_at: Some("2020-10-13T17:34:57.000Z".into()),
                    ..Summary::default()
                },
            }
        );
        let sparse =
            describe(r#"{"id":"7","subAccId":12,"bankAbbreviation":"VPB","when":"2020-11-02"}"#);
        assert_eq!(sparse.summary.account.as_deref(), Some("12"));
        assert_eq!(sparse.summary.bank.as_deref(), Some("VPB"));
        assert_eq!(sparse.summary.transaction_id.as_deref(), Some("7"));
        assert_eq!(sparse.summary.direction, None);
        assert_eq!(
            sparse.summary.occurred_at.as_deref(),
            Some("2020-11-01T17:00:00.000Z")
        );
    }

    #[test]
    fn ids_are_text_and_zero_is_a_test_call() {
        for (id, identity, test) in [
            ("1", Identity::Proven("1".into()), false),
            (r#""1""#, Identity::Proven("1".into()), false),
            (
                "123456789012345678901",
                Identity::Proven("123456789012345678901".into()),
                false,
            ),
            ("0", Identity::Proven("0".into()), true),
            (r#""0""#, Identity::Proven("0".into()), true),
            ("10", Identity::Proven("10".into()), false),
            ("null", Identity::Bytes, false),
            (r#""""#, Identity::Bytes, false),
            (r#""\ud800""#, Identity::Bytes, false),
            ("{}", Identity::Bytes, false),
        ] {
            let facts = describe(&format!(r#"{{"id":{id},"tid":"T"}}"#));
            assert_eq!((facts.identity, facts.test), (identity, test), "{id}");
        }
        for element in ["5", "null", "[]", r#""0""#, r#"{"tid":"T"}"#] {
            assert_eq!(describe(element).identity, Identity::Bytes, "{element}");
        }
    }

    #[test]
    fn a_body_that_is_no_batch_is_one_event() {
        let whole = |body: &str| {
            assert_eq!(
                CASSO.split(&Settings::default(), body.as_bytes()),
                Split::Whole,
                "{body}"
            );
            CASSO.describe(&Settings::default(), &post(&[], body), body.as_bytes())
        };
        let one = whole(r#"{"error":0,"data":{"id":9,"amount":1}}"#);
        assert_eq!(one.identity, Identity::Proven("9".into()));
        assert_eq!(one.summary.amount.as_deref(), Some("1"));
        for strange in [r#"{"error":0}"#, r#"{"id":9,"data":null}"#, "", "id=9"] {
            assert_eq!(whole(strange).identity, Identity::Bytes, "{strange}");
        }
    }
}
