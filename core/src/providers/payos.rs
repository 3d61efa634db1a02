//! payOS: HMAC-SHA256 over the fields of `data`, sorted and joined, in the body's
//! `signature`.
//!
//! Source: <https://payos.vn/docs/tich-hop-webhook/kiem-tra-du-lieu-voi-signature> and
//! <https://github.com/payOSHQ/payos-lib-node>. Of the body only `data` is signed:
//! `code`, `desc` and `success` beside it prove nothing and nothing is read from them.
//!
//! The call that confirms a webhook's URL is signed like any other, and is refused
//! when it is not.

use super::{
    About, Facts, Identity, Proof, Provider, SUCCESS, SecretFrom, bank::Transaction, guide,
    naming::unambiguous,
};
use crate::{
    canonical_json::{Canonical, Notation},
    inbound::{Inbound, Refusal},
    json::{Json, Object},
    secret::Secret,
    signature,
    time::Timestamp,
    webhook::{Algorithm, Encoding, Retry, Settings},
};
use std::{borrow::Cow, time::Duration};

static ABOUT: About = About {
    id: "payos",
    name: "payOS",
    setup: guide(
        "At my.payos.vn open Kênh thanh toán, paste the ingest URL as Webhook URL and press Lưu; \
            paste the channel's Checksum Key as secret here first, for payOS sends a test call.",
    ),
    methods: &["POST"],
    settings: &[],
    required_settings: &[],
    events: &[],
    same_events: &[],
    // Unpublished; most senders end within three days.
    retry_window: Duration::from_secs(3 * 86_400),
    tolerance_seconds: None,
    whsec: false,
    secret_from: SecretFrom::Provider,
    // The signature stands in the body.
    credential_headers: &[],
    default_retry: Retry::default,
    answer: SUCCESS,
    documentation: guide("https://payos.vn/docs/tich-hop-webhook/kiem-tra-du-lieu-voi-signature"),
};

/// The table's entry.
pub(super) static PAYOS: PayOs = PayOs;

/// payOS.
pub(super) struct PayOs;

static TRANSACTION: Transaction = Transaction {
    // Both together: see `describe`.
    identity: &[],
    object_id: &["orderCode"],
    // The one at the other end is named, not one's own.
    bank: &[],
    account: &["accountNumber"],
    direction: &[],
    amount: &["amount"],
    transaction_id: &["reference", "paymentLinkId"],
    description: &["description"],
    occurred_at: &["transactionDateTime"],
    payer: &["counterAccountName"],
    payer_account: &["counterAccountNumber"],
    currency: &["currency"],
};

/// `name=value` of all fields, sorted by name, with `&` between them; nothing is
/// encoded.
fn signed(data: Object<'_>) -> Result<String, &'static str> {
    let mut text = String::new();
    let fields = data
        .sorted()
        .ok_or("data has two members of one name, or too many")?;
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(&name);
        text.push('=');
        if value.is_null() {
            continue;
        }
        match value.exact_text() {
            Some(word) if matches!(word.as_str(), "null" | "undefined") => {}
            Some(word) => text.push_str(&word),
            // payOS documents arrays: of objects, each with its members sorted.
            None => text.push_str(&Canonical::of(value)?.written(Notation::JAVASCRIPT)),
        }
    }
    Ok(text)
}

/// The `data` of the call that confirms a webhook's URL, but for the amount. Handlers know
/// it by one or the other of its texts.
const SAMPLE: &str = r#"{"orderCode":123,"amount":1,"description":"VQRIO123","accountNumber":"88888888","reference":"MA_GIAO_DICH_THU_NGHIEM","transactionDateTime":"2026-11-20 09:30:00","currency":"VND","paymentLinkId":"00000000000000000000000000000000","code":"00","desc":"Giao dich thu nghiem","counterAccountBankId":"","counterAccountBankName":"","counterAccountName":"","counterAccountNumber":"","virtualAccountName":"","virtualAccountNumber":""}"#;

impl Provider for PayOs {
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
        _settings: &Settings,
        _now: Timestamp,
    ) -> Result<&'s Secret, Refusal> {
        let not_json = |why: &str| Refusal::NotJson(why.to_owned());
        let body = Json::parse(inbound.content())
            .and_then(Json::object)
            .ok_or_else(|| not_json("it is not a JSON object"))?;
        // Else another reader could take the other one of two.
        let body = body
            .sorted()
            .ok_or_else(|| not_json("it has two members of one name, or too many"))?;
        let member = |wanted: &str| {
            let found = body.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| *value)
        };
        let presented = member("signature")
            .and_then(Json::text)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Refusal::MissingHeader("signature (in the body)".to_owned()))?;
        let presented = signature::decode(Encoding::Hex, &presented).ok_or_else(|| {
            Refusal::MalformedHeader {
                header: "signature (in the body)".to_owned(),
                why: "it is not hex".into(),
            }
        })?;
        let data = member("data")
            .and_then(Json::object)
            .ok_or_else(|| not_json("data is not an object"))?;
        let signed = signed(data).map_err(not_json)?;
        let proves = |secret: &&&Secret| {
            let key = secret.expose().as_bytes();
            signature::keyed_hash(Algorithm::Sha256, key, &[signed.as_bytes()])
                .is_some_and(|mac| signature::equal(&mac, &presented))
        };
        let proven = secrets.iter().find(proves);
        proven.copied().ok_or(Refusal::WrongSecretOrAlteredBody)
    }

    fn proof(&self, _settings: &Settings) -> Proof {
        Proof::Meaning
    }

    fn describe(&self, _settings: &Settings, _inbound: &Inbound, content: &[u8]) -> Facts {
        let data = Json::parse(content)
            .and_then(|document| document.at("/data"))
            .and_then(Json::object);
        let Some(data) = data else {
            return Facts::named_by(Identity::Bytes);
        };
        let ids: Option<Vec<_>> = ["reference", "paymentLinkId"]
            .iter()
            .map(|name| data.id(name))
            .collect();
        let is = |name: &str, value: &str| data.id(name).as_deref() == Some(value);
        Facts {
            identity: ids
                .and_then(|ids| unambiguous(&ids))
                .map_or(Identity::Bytes, Identity::Proven),
            // What confirming a webhook's URL sends.
            test: is("orderCode", "123") && is("description", "VQRIO123")
                || is("reference", "MA_GIAO_DICH_THU_NGHIEM"),
            ..TRANSACTION.facts(&data)
        }
    }

    /// What is signed and nothing beside it, so that nothing unproven names an event.
    fn document<'a>(&self, _inbound: &Inbound, content: &'a [u8]) -> Cow<'a, [u8]> {
        Json::parse(content)
            .and_then(|document| document.at("/data"))
            .and_then(|data| Canonical::of(data).ok())
            .map_or(Cow::Borrowed(content), |data| {
                let data = data.written(Notation::JAVASCRIPT);
                Cow::Owned(["{\"data\":", &data, "}"].concat().into_bytes())
            })
    }

    fn sample(&self, inbound: &mut Inbound, secret: &Secret, _: &Settings) {
        let data = Json::parse(SAMPLE.as_bytes()).and_then(Json::object);
        let signed = data.and_then(|data| signed(data).ok()).unwrap_or_default();
        let key = secret.expose().as_bytes();
        let mac = signature::keyed_hash(Algorithm::Sha256, key, &[signed.as_bytes()]);
        let mac = signature::encode(Encoding::Hex, &mac.unwrap_or_default());
        let body = [
            r#"{"code":"00","desc":"Giao dich thu nghiem","success":true,"data":"#,
            SAMPLE,
            r#","signature":""#,
            &mac,
            "\"}",
        ];
        inbound.body = body.concat().into_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::Direction, providers::examples::post};
    use serde_json::json;

    // https://payos.vn/docs/tich-hop-webhook/kiem-tra-du-lieu-voi-signature
    const KEY: &str = "1a54716c8f0efb2744fb28b6e38b25da7f67a925d98bc1c18bd8faaecadd7675";
    const BODY: &str = r#"{"code":"00","desc":"success","success":true,"data":{"orderCode":123,"amount":3000,"description":"VQRIO123","accountNumber":"12345678","reference":"TF230204212323","transactionDateTime":"2023-02-04 18:25:00","currency":"VND","paymentLinkId":"124c33293c43417ab7879e14c8d9eb18","code":"00","desc":"Thành công","counterAccountBankId":"","counterAccountBankName":"","counterAccountName":"","counterAccountNumber":"","virtualAccountName":"","virtualAccountNumber":""},"signature":"412e915d2871504ed31be63c8f62a149a4410d34c4c42affc9006ef9917eaa03"}"#;

    fn verify(body: &str) -> Result<(), &'static str> {
        PAYOS
            .verify(
                &post(&[], body),
                &Secret::new(KEY.into()),
                &Settings::default(),
                Timestamp::default(),
            )
            .map_err(|why| why.code())
    }

    #[test]
    fn data_is_signed_and_nothing_else() {
        let altered = |from: &str, to: &str| verify(&BODY.replacen(from, to, 1));
        let wrong = Err("wrong_secret_or_altered_body");
        assert_eq!(verify(BODY), Ok(()));
        let sorted: serde_json::Value = serde_json::from_str(BODY).unwrap();
        assert_eq!(verify(&sorted.to_string()), Ok(()));
        assert_eq!(altered("Thành công", r"Th\u00e0nh c\u00f4ng"), Ok(()));
        assert_eq!(altered("\"\"", "null"), Ok(()), "null is nothing");
        assert_eq!(altered("\"\"", "\"undefined\""), Ok(()));
        assert_eq!(
            altered("\"success\":true", "\"success\":false"),
            Ok(()),
            "not signed"
        );
        assert_eq!(altered("412e", "412E"), Ok(()));
        for (from, to) in [
            ("3000", "3001"),
            ("VQRIO123", "VQRIO124"),
            ("\"currency\":\"VND\",", ""),
            ("\"\"", "\" \""),
            ("\"\"", "false"),
            ("412e", "412f"),
            ("412e", ""),
        ] {
            assert_eq!(altered(from, to), wrong, "{from}");
        }
        assert_eq!(altered("\"412e915d", "\"x12e915d"), Err("malformed_header"));
        assert_eq!(altered("\"signature\"", "\"sig\""), Err("missing_header"));
        let empty = BODY.replace(
            "412e915d2871504ed31be63c8f62a149a4410d34c4c42affc9006ef9917eaa03",
            "",
        );
        assert_eq!(verify(&empty), Err("missing_header"));
    }

    #[test]
    fn what_could_be_understood_in_two_ways_is_not_json() {
        for (from, to) in [
            ("\"amount\":3000", "\"amount\":3000,\"amount\":1"),
            (
                "\"code\":\"00\",\"desc\":\"success\"",
                "\"data\":{},\"code\":\"00\"",
            ),
            ("\"data\":{", "\"data\":[{"),
            ("\"data\":", "\"date\":"),
            ("3000", "3000,"),
            ("12345678\"", "12345678\",\"list\":[{\"a\":1,\"a\":2}]"),
        ] {
            let body = BODY.replacen(from, to, 1);
            assert_eq!(verify(&body), Err("not_json"), "{from}");
        }
        for body in ["", "[]", "a=1"] {
            assert_eq!(verify(body), Err("not_json"), "{body}");
        }
    }

    #[test]
    fn fields_are_sorted_and_joined() {
        let check = |data: serde_json::Value| {
            let data = data.to_string();
            signed(Json::parse(data.as_bytes()).unwrap().object().unwrap()).unwrap()
        };
        assert_eq!(check(json!({})), "");
        assert_eq!(
            check(
                json!({"b": 1, "a": "x&y=z %", "B": true, "c": null, "d": "null", "e": "undefined", "f": 1.5})
            ),
            "B=true&a=x&y=z %&b=1&c=&d=&e=&f=1.5"
        );
        assert_eq!(
            check(json!({"items": [{"q": 1, "name": "Mì/ly"}, {}], "z": []})),
            r#"items=[{"name":"Mì/ly","q":1},{}]&z=[]"#
        );
    }

    fn describe(body: &str) -> Facts {
        PAYOS.describe(&Settings::default(), &post(&[], body), body.as_bytes())
    }

    #[test]
    fn a_payment_is_read() {
        let facts = describe(&BODY.replace("VQRIO123", "don 7").replace("3000", "5000"));
        assert_eq!(
            facts.identity,
            Identity::Proven("14:TF23020421232332:124c33293c43417ab7879e14c8d9eb18".into())
        );
        assert!(!facts.test);
        assert_eq!(facts.object_id.as_deref(), Some("123"));
        assert_eq!(facts.summary.amount.as_deref(), Some("5000"));
        assert_eq!(facts.summary.direction, Some(Direction::In));
        assert_eq!(facts.summary.account.as_deref(), Some("12345678"));
        assert_eq!(
            facts.summary.occurred_at.as_deref(),
            Some("2023-02-04T11:25:00.000Z")
        );
        for missing in ["\"TF230204212323\"", "\"124c33293c43417ab7879e14c8d9eb18\""] {
            let without = describe(&BODY.replace(missing, "null"));
            assert_eq!(without.identity, Identity::Bytes, "{missing}");
        }
        assert_eq!(describe("{}").identity, Identity::Bytes);
    }

    #[test]
    fn nothing_beside_data_names_an_event() {
        let facts = |body: &str, settings: serde_json::Value| {
            let inbound = post(&[], body);
            let settings = serde_json::from_value(settings).unwrap();
            crate::providers::facts(&PAYOS, &settings, &inbound, body.as_bytes())
        };
        let proven = facts(BODY, json!({"event_id": "/data/reference"}));
        assert_eq!(proven.identity, Identity::Proven("TF230204212323".into()));
        let beside = facts(BODY, json!({"event_id": "/desc", "event_name": "/code"}));
        assert_eq!((beside.identity, beside.name), (Identity::Bytes, None));
        let said = |body: &str| {
            let inbound = post(&[], body);
            PAYOS.document(&inbound, body.as_bytes()).into_owned()
        };
        let altered = BODY.replace("\"success\":true", "\"success\": false");
        assert_eq!(said(&altered), said(BODY));
    }

    #[test]
    fn test_calls_are_known_by_what_is_signed() {
        assert!(describe(BODY).test);
        assert!(!describe(&BODY.replace("\"orderCode\":123", "\"orderCode\":124")).test);
        assert!(!describe(&BODY.replace("VQRIO123", "VQRIO124")).test);
        let other = BODY.replace("TF230204212323", "MA_GIAO_DICH_THU_NGHIEM");
        assert!(describe(&other.replace("VQRIO123", "x")).test);
        let unsigned = BODY.replace(
            "\"desc\":\"success\"",
            "\"reference\":\"MA_GIAO_DICH_THU_NGHIEM\"",
        );
        assert!(!describe(&unsigned.replace("VQRIO123", "x")).test);
    }
}
