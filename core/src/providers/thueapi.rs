//! ThueAPI: HMAC-SHA256 over the raw body, and an array of bank transactions.
//!
//! Source: <https://dev.thueapi.vn/docs/xac-thuc-chu-ky>, whose sample compares bare
//! hex, and <https://dev.thueapi.vn/docs/nhan-webhook>, which shows `sha256=` before
//! it. Nothing carries a time, so a replay is recognised by the transaction alone:
//! its `checksum` is documented as unique.

use super::{
    About, Facts, Identity, Provider, SUCCESS, SecretFrom, Split, Unsigned,
    bank::Transaction,
    guide,
    naming::is_whole,
    presented::{any_signature, body_hashes, header},
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
const PREFIX: &str = "sha256=";

/// The array of transactions.
pub(super) const TRANSACTIONS: &str = "/transactions";

static ABOUT: About = About {
    id: "thueapi",
    name: "ThueAPI",
    setup: guide(
        "At thueapi.vn add a webhook (or send POST /api/v1/webhooks) with the ingest URL as \
            webhook_url, and paste the secret, which ThueAPI shows only once, as secret here.",
    ),
    methods: &["POST"],
    settings: &[],
    required_settings: &[],
    events: &[],
    same_events: &[],
    // Not documented; people can send again for as long as they like.
    retry_window: Duration::from_secs(3 * 86_400),
    tolerance_seconds: None,
    whsec: false,
    secret_from: SecretFrom::Provider,
    credential_headers: &[SIGNATURE],
    default_retry: Retry::default,
    answer: SUCCESS,
    documentation: guide("https://dev.thueapi.vn/docs/nhan-webhook"),
};

/// The table's entry.
pub(super) static THUEAPI: ThueApi = ThueApi;

/// ThueAPI.
pub(super) struct ThueApi;

static TRANSACTION: Transaction = Transaction {
    identity: &["checksum", "id"],
    object_id: &["id", "checksum"],
    bank: &["gateway"],
    account: &["accountNumber"],
    direction: &["transferType"],
    amount: &["transferAmount"],
    transaction_id: &["transactionNumber", "id"],
    description: &["content"],
    occurred_at: &["transactionDate"],
    payer: &[],
    payer_account: &[],
    currency: &[],
};

/// What one transaction of an array says.
pub(super) fn facts(inbound: &Inbound, content: &[u8]) -> Facts {
    // A body that was not split is no transaction.
    let element = Json::parse(content).filter(|_| !is_whole(inbound, content));
    element
        .and_then(Json::object)
        .map_or(Facts::named_by(Identity::Bytes), |transaction| {
            TRANSACTION.facts(&transaction)
        })
}

pub(super) const SAMPLE: &str = r#"{"transactions":[{"id":"0","gateway":"Vietcombank","transactionDate":"2026-11-20 09:30:00","transactionNumber":"MA_GIAO_DICH_THU_NGHIEM","accountNumber":"88888888","content":"TRAM TEST giao dich thu nghiem","transferType":"IN","transferAmount":1,"checksum":"00000000000000000000000000000000"}]}"#;

impl Provider for ThueApi {
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
        let under = |prefix| any_signature(inbound, SIGNATURE, prefix, Encoding::Hex, &expected);
        under(PREFIX).or_else(|why| match under("") {
            Err(Refusal::MalformedHeader { .. }) => Err(why),
            bare => bare,
        })
    }

    fn split<'a>(&self, _settings: &Settings, content: &'a [u8]) -> Split<'a> {
        Split::at(content, TRANSACTIONS)
    }

    fn describe(&self, _settings: &Settings, inbound: &Inbound, content: &[u8]) -> Facts {
        facts(inbound, content)
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
        // The documented check compares the text, so it is written as it came.
        let is_bare = header(request.headers, SIGNATURE).is_ok_and(|value| !value.contains(PREFIX));
        let prefix = if is_bare { "" } else { PREFIX };
        signing::body_hash(request, SIGNATURE, prefix, Encoding::Hex, secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::Direction, providers::examples::post};

    // tests/vectors/providers.json; the body and the secret are those of the documentation.
    const SECRET: &str = "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6";
    const HEX: &str = "4d196e4051b6345f8eab11ed9bc8e519184fd6b02ab98066bc01085e52245c01";
    const BODY: &str = r#"{"transactions":[{"id":"3521","gateway":"ACB","transactionDate":"2025-10-14 10:59:30","transactionNumber":"FT253146879VN","accountNumber":"19354957","content":"NAPTIEN MOMO 963869789","transferType":"IN","transferAmount":200000,"checksum":"a1b2c3d4e5f6"}]}"#;

    fn verify(value: &str, body: &str, secret: &str) -> Result<(), &'static str> {
        let inbound = post(&[("X-Webhook-Signature", value)], body);
        let secret = Secret::new(secret.into());
        THUEAPI
            .verify(
                &inbound,
                &secret,
                &Settings::default(),
                Timestamp::default(),
            )
            .map_err(|why| why.code())
    }

    #[test]
    fn bare_and_prefixed_hex_prove() {
        let wrong = Err("wrong_secret_or_altered_body");
        let malformed = Err("malformed_header");
        let other = "0".repeat(64);
        let short = HEX.strip_suffix("01").unwrap();
        for (value, result) in [
            (HEX.to_owned(), Ok(())),
            (HEX.to_uppercase(), Ok(())),
            (format!("sha256={HEX}"), Ok(())),
            (format!("sha256={other}, {HEX}"), Ok(())),
            (format!("{other}, sha256={HEX}"), Ok(())),
            (format!("sha256={other}"), wrong),
            (other, wrong),
            (short.to_owned(), wrong),
            (format!("sha256={short}"), wrong),
            (format!("sha1={HEX}"), malformed),
            ("sha256=".to_owned(), malformed),
            ("x".to_owned(), malformed),
            (String::new(), Err("missing_header")),
        ] {
            assert_eq!(verify(&value, BODY, SECRET), result, "{value}");
        }
        assert_eq!(
            verify(HEX, &BODY.replace("200000", "200001"), SECRET),
            wrong
        );
        assert_eq!(verify(HEX, BODY, "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p7"), wrong);
        assert_eq!(verify(HEX, BODY, ""), wrong);
    }

    #[test]
    fn what_is_split_is_signed_again_in_the_form_it_came() {
        let secret = Secret::new(SECRET.into());
        let resign = |value: &str| {
            let inbound = post(&[("x-webhook-signature", value)], "{}");
            let request = Unsigned {
                body: BODY.as_bytes(),
                ..Unsigned::from(&inbound)
            };
            let settings = Settings::default();
            let fields = THUEAPI.sign(request, &secret, &settings, Timestamp::default());
            fields.unwrap().get(SIGNATURE).unwrap().to_owned()
        };
        assert_eq!(resign("00"), HEX);
        assert_eq!(resign("sha256=00"), format!("sha256={HEX}"));
    }

    #[test]
    fn each_transaction_is_read() {
        let Split::Elements { elements, .. } = THUEAPI.split(&Settings::default(), BODY.as_bytes())
        else {
            panic!("a batch")
        };
        let facts = THUEAPI.describe(&Settings::default(), &post(&[], BODY), elements[0]);
        assert_eq!(facts.identity, Identity::Proven("a1b2c3d4e5f6".into()));
        assert_eq!(facts.object_id.as_deref(), Some("3521"));
        assert_eq!(facts.summary.bank.as_deref(), Some("ACB"));
        assert_eq!(facts.summary.account.as_deref(), Some("19354957"));
        assert_eq!(facts.summary.direction, Some(Direction::In));
        assert_eq!(facts.summary.amount.as_deref(), Some("200000"));
        assert_eq!(
            facts.summary.transaction_id.as_deref(),
            Some("FT253146879VN")
        );
        assert_eq!(
            facts.summary.occurred_at.as_deref(),
            Some("2025-10-14T03:59:30.000Z")
        );
        let element = r#"{"id":3521,"transferType":"OUT"}"#;
        let sparse = THUEAPI.describe(&Settings::default(), &post(&[], BODY), element.as_bytes());
        assert_eq!(sparse.identity, Identity::Proven("id 3521".into()));
        assert_eq!(sparse.summary.direction, Some(Direction::Out));
    }

    #[test]
    fn a_body_that_is_no_batch_is_one_event() {
        for body in [
            r#"{"transactions":{"id":"1"}}"#,
            r#"{"id":"1"}"#,
            "",
            "id=1",
        ] {
            let bytes = body.as_bytes();
            assert_eq!(THUEAPI.split(&Settings::default(), bytes), Split::Whole);
            let facts = THUEAPI.describe(&Settings::default(), &post(&[], body), bytes);
            assert_eq!(facts.identity, Identity::Bytes, "{body}");
        }
    }
}
