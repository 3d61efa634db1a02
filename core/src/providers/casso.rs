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
    About, Facts, Identity, Provider, Split, SuccessAnswer, naming::is_whole, presented::header,
};
use crate::{
    event::{Direction, Summary},
    inbound::{Inbound, Refusal},
    json::{Json, Object},
    secret::Secret,
    time::Timestamp,
    webhook::Settings,
};
use std::time::Duration;

const TOKEN: &str = "secure-token";

/// The array of transactions, also when there is only one.
const TRANSACTIONS: &str = "/data";

static ABOUT: About = About {
    id: "casso",
    name: "Casso",
    setup: "At casso.vn open Thiết lập > Tích hợp > Thêm tích hợp > Webhook. Paste the ingest \
            URL as Webhook URL and the secret as Key bảo mật, press Gọi thử, then Lưu.",
    methods: &["POST"],
    settings: &[],
    required_settings: &[],
    events: &[],
    // "Casso sẽ gọi lại liên tục webhook trong 12 giờ sau đó."
    retry_window: Duration::from_secs(12 * 3_600),
    tolerance_seconds: None,
    whsec: false,
    credential_headers: &[TOKEN],
    // Strict mode asks for status 200 and `success` being true or 1.
    answer: SuccessAnswer {
        status: 200,
        content_type: "application/json",
        body: r#"{"success":true}"#,
    },
    documentation: "https://casso.vn/tich-hop-webhook-tuy-chinh-vao-casso",
};

/// The table's entry.
pub(super) static CASSO: Casso = Casso;

/// Casso, version 1.
pub(super) struct Casso;

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
        if secret.matches(header(inbound, TOKEN)?.as_bytes()) {
            Ok(())
        } else {
            Err(Refusal::WrongSecretOrAlteredBody)
        }
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
            Some(transaction) => facts(&transaction),
            None => Facts::named_by(Identity::Bytes),
        }
    }
}

fn facts(transaction: &Object<'_>) -> Facts {
    let id = transaction.id("id");
    let first = |names: [&str; 2]| names.iter().find_map(|name| transaction.shown(name));
    let (direction, amount) = match transaction.shown("amount") {
        Some(text) => (direction(&text), unsigned(&text)),
        None => (None, None),
    };
    Facts {
        // "Gọi thử" sends a transaction with the id 0.
        test: id.as_deref() == Some("0"),
        name: None,
        object_id: transaction.shown("id"),
        summary: Summary {
            bank: first(["bankName", "bankAbbreviation"]),
            account: first(["bank_sub_acc_id", "subAccId"]),
            direction,
            amount,
            transaction_id: first(["tid", "id"]),
            description: transaction.shown("description"),
            occurred_at: transaction
                .shown("when")
                .and_then(|when| Timestamp::parse_vietnamese(&when))
                .map(Timestamp::to_rfc3339),
        },
        identity: id.map_or(Identity::Bytes, Identity::Proven),
    }
}

/// Money out is negative. `None` when the text is no decimal number.
fn direction(amount: &str) -> Option<Direction> {
    let digits = unsigned(amount)?;
    let is_zero = digits.bytes().all(|letter| matches!(letter, b'0' | b'.'));
    if amount.trim().starts_with('-') && !is_zero {
        Some(Direction::Out)
    } else {
        Some(Direction::In)
    }
}

/// The digits of a decimal number, to the last one. `None` when it is none.
fn unsigned(amount: &str) -> Option<String> {
    let text = amount.trim();
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = [whole, fraction]
        .iter()
        .all(|part| !part.is_empty() && part.bytes().all(|letter| letter.is_ascii_digit()));
    is_number.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::examples::post;

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
    fn amounts_keep_every_digit() {
        for (written, direction, amount) in [
            ("200500", Some(Direction::In), Some("200500")),
            ("-1", Some(Direction::Out), Some("1")),
            ("0", Some(Direction::In), Some("0")),
            ("-0", Some(Direction::In), Some("0")),
            ("-0.01", Some(Direction::Out), Some("0.01")),
            (r#""-1250.50""#, Some(Direction::Out), Some("1250.50")),
            (r#"" +5 ""#, Some(Direction::In), Some("5")),
            (
                "9007199254740993",
                Some(Direction::In),
                Some("9007199254740993"),
            ),
            (r#""1,000""#, None, None),
            ("1e3", None, None),
            (r#""-""#, None, None),
            ("null", None, None),
            ("[1]", None, None),
        ] {
            let facts = describe(&format!(r#"{{"id":1,"amount":{written}}}"#));
            assert_eq!(facts.summary.direction, direction, "{written}");
            assert_eq!(facts.summary.amount.as_deref(), amount, "{written}");
        }
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
