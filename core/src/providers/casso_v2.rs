//! Casso webhooks, version 2: HMAC-SHA512 over the time and the body's JSON with its
//! members sorted; one bank transaction per request.
//!
//! Source: <https://github.com/CassoHQ/casso-webhook-v2-verify-signature>. Its samples
//! in PHP, Python, Go, Java, .NET and JavaScript serialise what was parsed, so they
//! agree on plain ASCII alone. Here the values are taken as they came, and where that
//! does not match, in each of the samples' notations: all of them are keyed hashes of
//! the same statement, so trying several weakens none.
//!
//! How old a signature may be is not documented, nor whether a try after hours is
//! signed anew. So no age is too great unless the operator says so: replays are
//! recognised by the transaction's id.

use super::{
    About, Facts, Identity, Proof, Provider, SUCCESS, SecretFrom, Unsigned,
    bank::{Transaction, has_test_id},
    guide,
    presented::stamped,
    tolerance,
};
use crate::{
    canonical_json::{Canonical, Notation},
    headers::Headers,
    inbound::{Inbound, Refusal},
    json::Json,
    secret::Secret,
    signature,
    time::Timestamp,
    webhook::{Algorithm, Encoding, Retry, Settings},
};
use std::{borrow::Cow, time::Duration};

const SIGNATURE: &str = "x-casso-signature";

static ABOUT: About = About {
    id: "casso-v2",
    name: "Casso (version 2)",
    setup: guide(
        "At casso.vn open Thiết lập > Tích hợp > Thêm tích hợp > Webhook V2. Paste the ingest \
            URL as Webhook URL and the secret as Key bảo mật, press Gọi thử, then Lưu.",
    ),
    methods: &["POST"],
    settings: &["tolerance_seconds"],
    required_settings: &[],
    events: &[],
    same_events: &[],
    // Not stated for version 2; that of version 1.
    retry_window: Duration::from_secs(12 * 3_600),
    tolerance_seconds: None,
    whsec: false,
    secret_from: SecretFrom::Owner,
    credential_headers: &[SIGNATURE],
    default_retry: Retry::default,
    answer: SUCCESS,
    documentation: guide("https://github.com/CassoHQ/casso-webhook-v2-verify-signature"),
};

/// The table's entry.
pub(super) static CASSO_V2: CassoV2 = CassoV2;

/// Casso, version 2.
pub(super) struct CassoV2;

static TRANSACTION: Transaction = Transaction {
    identity: &["id"],
    object_id: &["id"],
    bank: &["bankName", "bankAbbreviation"],
    account: &["accountNumber"],
    // Money out is negative.
    direction: &[],
    amount: &["amount"],
    transaction_id: &["reference", "id"],
    description: &["description"],
    occurred_at: &["transactionDateTime"],
    payer: &["counterAccountName"],
    payer_account: &["counterAccountNumber"],
    currency: &[],
};

/// What "Gọi thử" sends, but for the amount.
const SAMPLE: &str = r#"{"data":{"accountNumber":"88888888","amount":1,"bankAbbreviation":"VPB","bankName":"VPBank","counterAccountBankId":"970415","counterAccountBankName":"VietinBank","counterAccountName":"NGUYEN VAN A","counterAccountNumber":"8888888888","description":"giao dich thu nghiem","id":0,"reference":"MA_GIAO_DICH_THU_NGHIEM","runningBalance":0,"transactionDateTime":"2026-11-20 09:30:00","virtualAccountName":"","virtualAccountNumber":""},"error":0}"#;

impl Provider for CassoV2 {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn verify(
        &self,
        inbound: &Inbound,
        secret: &Secret,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.verify_any(inbound, &[secret], settings, now).map(drop)
    }

    fn verify_any<'s>(
        &self,
        inbound: &Inbound,
        secrets: &[&'s Secret],
        settings: &Settings,
        now: Timestamp,
    ) -> Result<&'s Secret, Refusal> {
        let presented = stamped(inbound, SIGNATURE, "v1")?;
        // `t` is in milliseconds.
        let signed_at = Timestamp::from_millis(presented.at).seconds();
        signature::check_age(signed_at, now, tolerance(&ABOUT, settings))?;
        let not_json = |why: &str| Refusal::NotJson(why.to_owned());
        let document = Json::parse(inbound.content()).ok_or_else(|| not_json("it is not JSON"))?;
        let document = Canonical::of(document).map_err(not_json)?;
        let mut tried: Vec<String> = Vec::new();
        for notation in Notation::ALL {
            let written = document.written(notation);
            // Most bodies are the same in every notation.
            if tried.contains(&written) {
                continue;
            }
            let signed = [presented.time.as_bytes(), b".", written.as_bytes()];
            let proves = |secret: &&&Secret| {
                let key = secret.expose().as_bytes();
                signature::keyed_hash(Algorithm::Sha512, key, &signed)
                    .is_some_and(|mac| presented.holds(&mac))
            };
            if let Some(secret) = secrets.iter().find(proves) {
                return Ok(secret);
            }
            tried.push(written);
        }
        Err(Refusal::WrongSecretOrAlteredBody)
    }

    fn proof(&self, _settings: &Settings) -> Proof {
        Proof::Meaning
    }

    fn describe(&self, _settings: &Settings, _inbound: &Inbound, content: &[u8]) -> Facts {
        let transaction = Json::parse(content)
            .and_then(|document| document.at("/data"))
            .and_then(Json::object);
        match transaction {
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

    /// What is signed: a body that is only spelled otherwise says the same.
    fn document<'a>(&self, _inbound: &Inbound, content: &'a [u8]) -> Cow<'a, [u8]> {
        Json::parse(content)
            .and_then(|document| Canonical::of(document).ok())
            .map_or(Cow::Borrowed(content), |document| {
                Cow::Owned(document.written(Notation::JAVASCRIPT).into_bytes())
            })
    }

    fn sample(&self, inbound: &mut Inbound, _: &Secret, _: &Settings) {
        inbound.body = SAMPLE.into();
    }

    fn sign(
        &self,
        request: Unsigned<'_>,
        secret: &Secret,
        _: &Settings,
        now: Timestamp,
    ) -> Option<Headers> {
        let document = Canonical::of(Json::parse(request.body)?).ok()?;
        let key = secret.expose().as_bytes();
        let mac = |time: &str, notation: Notation| {
            let written = document.written(notation);
            let signed = [time.as_bytes(), b".", written.as_bytes()];
            signature::keyed_hash(Algorithm::Sha512, key, &signed)
        };
        // In the notation that was signed before: the origin's check knows one only.
        let before = stamped(request.headers, SIGNATURE, "v1").ok();
        let notation = before.and_then(|before| {
            let is_it = |notation: &Notation| {
                mac(before.time, *notation).is_some_and(|mac| before.holds(&mac))
            };
            Notation::ALL.into_iter().find(is_it)
        });
        let time = now.millis().to_string();
        let mac = mac(&time, notation.unwrap_or(Notation::JAVASCRIPT))?;
        let mac = signature::encode(Encoding::Hex, &mac);
        let value = ["t=", &time, ",v1=", &mac].concat();
        Some([(SIGNATURE, value)].into_iter().collect())
    }

    fn signed_at(&self, headers: &Headers, _: &Settings) -> Option<Timestamp> {
        let presented = stamped(headers, SIGNATURE, "v1").ok()?;
        Some(Timestamp::from_millis(presented.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::Direction, providers::examples::post};
    use serde_json::json;

    // python.py of the samples
    const KEY: &str = "mgExMrjj4i7a1p8Cs6LmFbpCd8lbw4sSX4LZXPag7TKazeIogtR90tvWYTkwQbvs";
    const AT: i64 = 1_727_948_258;
    const SIGNED: &str = "t=1727948258788,v1=ed0a4bd2e826d5cb69988cdb141e6c1a080e21f3b57eb72cd78192220042b9e7dde0868fc667faea8e224900fa7904e7c88dfa098032fb2d6b6996856e8b7ff3";
    const BODY: &str = r#"{"error":0,"data":{"id":0,"reference":"MA_GIAO_DICH_THU_NGHIEM","description":"giao dich thu nghiem","amount":599000,"runningBalance":25000000,"transactionDateTime":"2024-10-03 15:06:37","accountNumber":"88888888","bankName":"VPBank","bankAbbreviation":"VPB","virtualAccountNumber":"","virtualAccountName":"","counterAccountName":"NGUYEN VAN A","counterAccountNumber":"8888888888","counterAccountBankId":"970415","counterAccountBankName":"VietinBank"}}"#;

    fn verify_at(
        now: i64,
        settings: serde_json::Value,
        header: &str,
        body: &str,
    ) -> Result<(), &'static str> {
        CASSO_V2
            .verify(
                &post(&[("X-Casso-Signature", header)], body),
                &Secret::new(KEY.into()),
                &serde_json::from_value(settings).unwrap(),
                Timestamp::from_seconds(now),
            )
            .map_err(|why| why.code())
    }

    fn verify(body: &str) -> Result<(), &'static str> {
        verify_at(AT, json!({}), SIGNED, body)
    }

    #[test]
    fn order_and_blanks_do_not_matter_and_values_do() {
        let value: serde_json::Value = serde_json::from_str(BODY).unwrap();
        assert_eq!(verify(BODY), Ok(()));
        assert_eq!(verify(&value.to_string()), Ok(()), "sorted");
        assert_eq!(
            verify(&serde_json::to_string_pretty(&value).unwrap()),
            Ok(())
        );
        assert_eq!(
            verify(&BODY.replace("giao", r"\u0067iao")),
            Ok(()),
            "escaped"
        );
        let wrong = Err("wrong_secret_or_altered_body");
        for (from, to) in [
            ("599000", "599001"),
            ("599000", "599000.0"),
            ("599000", "5.99e5"),
            ("\"id\":0", "\"id\":\"0\""),
            ("\"error\":0", "\"error\":1"),
            ("\"error\":0,", ""),
            ("\"970415\"", "970415"),
            ("giao", "Giao"),
            ("\"\"", "null"),
        ] {
            assert_eq!(verify(&BODY.replacen(from, to, 1)), wrong, "{from}");
        }
    }

    #[test]
    fn what_could_be_understood_in_two_ways_is_not_json() {
        let twice = BODY.replace("\"amount\":599000", "\"amount\":599000,\"amount\":1");
        assert_eq!(verify(&twice), Err("not_json"));
        assert_eq!(
            verify(&BODY.replace("\"error\":0", "\"error\":0,\"error\":0")),
            Err("not_json")
        );
        for body in ["", "error=0", "{", &"[".repeat(100_000)] {
            assert_eq!(verify(body), Err("not_json"), "{body:.9}");
        }
    }

    #[test]
    fn the_time_is_in_milliseconds_and_unlimited_unless_limited() {
        let at = |now, settings| verify_at(now, settings, SIGNED, BODY);
        assert_eq!(at(AT + 12 * 3_600, json!({})), Ok(()), "the last try");
        assert_eq!(at(0, json!({})), Ok(()));
        assert_eq!(at(AT + 300, json!({"tolerance_seconds": 300})), Ok(()));
        let stale = Err("stale_timestamp");
        assert_eq!(at(AT + 301, json!({"tolerance_seconds": 300})), stale);
        let future = Err("future_timestamp");
        assert_eq!(at(AT - 301, json!({"tolerance_seconds": 300})), future);
        let earlier = SIGNED.replace("788,", "787,");
        let wrong = Err("wrong_secret_or_altered_body");
        assert_eq!(verify_at(AT, json!({}), &earlier, BODY), wrong);
    }

    #[test]
    fn a_compressed_body_is_read_behind_its_encoding() {
        let mut inbound = post(&[("x-casso-signature", SIGNED)], "gzip bytes");
        inbound.decoded = Some(BODY.as_bytes().to_vec());
        let secret = Secret::new(KEY.into());
        let settings = Settings::default();
        let result = CASSO_V2.verify(&inbound, &secret, &settings, Timestamp::default());
        assert_eq!(result, Ok(()));
    }

    #[test]
    fn the_transaction_is_read() {
        let describe =
            |body: &str| CASSO_V2.describe(&Settings::default(), &post(&[], body), body.as_bytes());
        let test = describe(BODY);
        assert!(test.test);
        assert_eq!(test.summary.account.as_deref(), Some("88888888"));
        let real = describe(
            &BODY
                .replace("\"id\":0", "\"id\":218897")
                .replace("599000", "-599000"),
        );
        assert!(!real.test);
        assert_eq!(real.identity, Identity::Proven("218897".into()));
        assert_eq!(real.object_id.as_deref(), Some("218897"));
        assert_eq!(real.summary.direction, Some(Direction::Out));
        assert_eq!(real.summary.amount.as_deref(), Some("599000"));
        assert_eq!(real.summary.bank.as_deref(), Some("VPBank"));
        assert_eq!(
            real.summary.transaction_id.as_deref(),
            Some("MA_GIAO_DICH_THU_NGHIEM")
        );
        assert_eq!(
            real.summary.occurred_at.as_deref(),
            Some("2024-10-03T08:06:37.000Z")
        );
        for body in ["{}", r#"{"data":[]}"#, r#"{"data":null}"#, "", "5"] {
            assert_eq!(describe(body).identity, Identity::Bytes, "{body}");
        }
    }
}
