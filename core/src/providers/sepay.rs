//! SePay account webhooks that are proven by an API key: one bank transaction per
//! request, as JSON or as a form, whichever is chosen at SePay.
//!
//! Source: <https://developer.sepay.vn/vi/sepay-webhooks/xac-thuc> and
//! <https://developer.sepay.vn/vi/sepay-webhooks/tich-hop-webhook>. Nothing carries a
//! signed time, so a replay is recognised by the transaction's id alone.
//!
//! Out of scope: HMAC (another provider), OAuth 2.0, and webhooks without
//! authentication, which anybody could send.

use super::{
    About, Facts, Identity, Proof, Provider, SUCCESS, SecretFrom, Unsigned,
    bank::{Transaction, has_test_id},
    guide,
    presented::check_token,
    signing,
};
use crate::{
    form,
    headers::Headers,
    inbound::{Inbound, Refusal},
    json::Json,
    secret::Secret,
    time::Timestamp,
    webhook::{Retry, Settings},
};
use std::{borrow::Cow, time::Duration};

const AUTHORIZATION: &str = "authorization";

/// The tries end after about half an hour; what is older than five hours is not
/// picked up again.
pub(super) const RETRY_WINDOW: Duration = Duration::from_secs(5 * 3_600);

static ABOUT: About = About {
    id: "sepay",
    name: "SePay (API key)",
    setup: guide(
        "At my.sepay.vn open WebHooks > Thêm webhooks. Paste the ingest URL as URL, choose \
            API Key under Xác thực and paste the secret as API Key. Any content type is taken. Turn on \
            sending again on server errors (retry_conditions: non_2xx_status_code): otherwise SePay \
            sends again only when the connection fails, and what is answered 503 is lost.",
    ),
    methods: &["POST"],
    settings: &[],
    required_settings: &[],
    events: &[],
    same_events: &[],
    retry_window: RETRY_WINDOW,
    tolerance_seconds: None,
    whsec: false,
    secret_from: SecretFrom::Owner,
    credential_headers: &[AUTHORIZATION],
    default_retry: Retry::default,
    answer: SUCCESS,
    documentation: guide("https://developer.sepay.vn/vi/sepay-webhooks/xac-thuc"),
};

/// The table's entry.
pub(super) static SEPAY: SePay = SePay;

/// SePay with an API key.
pub(super) struct SePay;

static TRANSACTION: Transaction = Transaction {
    identity: &["id"],
    object_id: &["id"],
    bank: &["gateway"],
    account: &["accountNumber"],
    direction: &["transferType"],
    amount: &["transferAmount"],
    transaction_id: &["referenceCode", "id"],
    description: &["content", "description"],
    occurred_at: &["transactionDate"],
    payer: &[],
    payer_account: &[],
    currency: &[],
};

/// What a transaction says, in JSON or a form.
pub(super) fn facts(inbound: &Inbound, content: &[u8]) -> Facts {
    let document = form::document(&inbound.headers, content);
    Json::parse(&document).and_then(Json::object).map_or(
        Facts::named_by(Identity::Bytes),
        |transaction| {
            let facts = TRANSACTION.facts(&transaction);
            Facts {
                test: has_test_id(&facts),
                ..facts
            }
        },
    )
}

/// What "Gửi thử" sends has the id 0.
pub(super) const SAMPLE: &str = r#"{"id":0,"gateway":"Vietcombank","transactionDate":"2026-11-20 09:30:00","accountNumber":"88888888","code":null,"content":"TRAM TEST giao dich thu nghiem","transferType":"in","transferAmount":1,"accumulated":0,"subAccount":null,"referenceCode":"MA_GIAO_DICH_THU_NGHIEM","description":"TRAM TEST giao dich thu nghiem"}"#;

impl Provider for SePay {
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

    fn describe(&self, _settings: &Settings, inbound: &Inbound, content: &[u8]) -> Facts {
        facts(inbound, content)
    }

    fn document<'a>(&self, inbound: &Inbound, content: &'a [u8]) -> Cow<'a, [u8]> {
        form::document(&inbound.headers, content)
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

    fn describe(content_type: &str, body: &str) -> Facts {
        let inbound = post(&[("Content-Type", content_type)], body);
        SEPAY.describe(&Settings::default(), &inbound, body.as_bytes())
    }

    #[test]
    fn json_and_forms_say_the_same() {
        let json = describe(
            "application/json",
            r#"{"id":92704,"gateway":"Vietcombank","transactionDate":"2024-07-02 11:08:33","accountNumber":"1017588888",
                "subAccount":null,"code":null,"content":"Nguyễn Văn A chuyển tiền","transferType":"out","transferAmount":10000,
                "accumulated":105010000,"referenceCode":"FT24012345678","description":"BankAPINotify"}"#,
        );
        assert_eq!(json.identity, Identity::Proven("92704".into()));
        assert_eq!(json.summary.bank.as_deref(), Some("Vietcombank"));
        assert_eq!(json.summary.account.as_deref(), Some("1017588888"));
        assert_eq!(json.summary.direction, Some(Direction::Out));
        assert_eq!(json.summary.amount.as_deref(), Some("10000"));
        assert_eq!(
            json.summary.transaction_id.as_deref(),
            Some("FT24012345678")
        );
        assert_eq!(
            json.summary.description.as_deref(),
            Some("Nguyễn Văn A chuyển tiền")
        );
        assert_eq!(
            json.summary.occurred_at.as_deref(),
            Some("2024-07-02T04:08:33.000Z")
        );
        let form = "id=92704&gateway=Vietcombank&transactionDate=2024-07-02+11%3A08%3A33&accountNumber=1017588888\
            &subAccount=&code=&content=Nguy%E1%BB%85n+V%C4%83n+A+chuy%E1%BB%83n+ti%E1%BB%81n&transferType=out\
            &transferAmount=10000&accumulated=105010000&referenceCode=FT24012345678&description=BankAPINotify";
        assert_eq!(describe("application/x-www-form-urlencoded", form), json);
        let multipart: String = [
            ("id", "92704"),
            ("gateway", "Vietcombank"),
            ("transactionDate", "2024-07-02 11:08:33"),
            ("accountNumber", "1017588888"),
            ("subAccount", ""),
            ("content", "Nguyễn Văn A chuyển tiền"),
            ("transferType", "out"),
            ("transferAmount", "10000"),
            ("referenceCode", "FT24012345678"),
        ]
        .map(|(name, value)| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        })
        .concat();
        let multipart = format!("{multipart}--b--\r\n");
        assert_eq!(
            describe("multipart/form-data; boundary=b", &multipart),
            json
        );
    }

    #[test]
    fn a_test_call_has_the_id_0_in_json_and_in_forms() {
        let form = "application/x-www-form-urlencoded";
        let multipart = "--b\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\n0\r\n--b--\r\n";
        for (content_type, body, test) in [
            (
                "application/json",
                r#"{"id":0,"transferAmount":2277000}"#,
                true,
            ),
            ("application/json", r#"{"id":"0"}"#, true),
            (form, "id=0&transferAmount=2277000", true),
            ("multipart/form-data; boundary=b", multipart, true),
            ("application/json", r#"{"id":10}"#, false),
            ("application/json", r#"{"id":null}"#, false),
            (form, "id=&transferAmount=0", false),
        ] {
            assert_eq!(describe(content_type, body).test, test, "{body}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_bytes() {
        for (content_type, body) in [
            ("application/json", ""),
            ("application/json", "[]"),
            ("application/json", "{}"),
            ("application/json", "id=1"),
            ("application/x-www-form-urlencoded", "name=1"),
            ("application/x-www-form-urlencoded", "id=%ff"),
            ("multipart/form-data; boundary=b", "--b\r\nid=1"),
        ] {
            assert_eq!(
                describe(content_type, body).identity,
                Identity::Bytes,
                "{body}"
            );
        }
    }
}
