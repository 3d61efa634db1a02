//! SePay account webhooks that are proven by HMAC-SHA256 over `time.body`; otherwise
//! those of `sepay`.
//!
//! Source: <https://developer.sepay.vn/vi/sepay-webhooks/xac-thuc>. The key is the
//! secret's text as SePay shows it, with its `whsec_`, not the base64 behind that.

use super::{
    About, Facts, Provider, SUCCESS, SecretFrom, Unsigned, guide,
    presented::{any_signature, header, signed_bodies, unix_time},
    sepay, signing, tolerance,
};
use crate::{
    form,
    headers::Headers,
    inbound::{Inbound, Refusal},
    secret::Secret,
    signature,
    time::Timestamp,
    webhook::{Algorithm, Encoding, Retry, Settings},
};
use std::borrow::Cow;

const SIGNATURE: &str = "x-sepay-signature";
const TIMESTAMP: &str = "x-sepay-timestamp";

static ABOUT: About = About {
    id: "sepay-hmac",
    name: "SePay (HMAC-SHA256)",
    setup: guide(
        "At my.sepay.vn open WebHooks > Thêm webhooks. Paste the ingest URL as URL, choose \
            HMAC-SHA256 under Xác thực, and copy the Secret Key, which SePay shows in full only \
            once, whole into secret here. Any content type is taken. Turn on sending again on server \
            errors (retry_conditions: non_2xx_status_code): otherwise SePay sends again only when the \
            connection fails, and what is answered 503 is lost.",
    ),
    methods: &["POST"],
    settings: &["tolerance_seconds"],
    required_settings: &[],
    events: &[],
    same_events: &[],
    retry_window: sepay::RETRY_WINDOW,
    // SePay asks to refuse what is older than five minutes.
    tolerance_seconds: Some(300),
    whsec: false,
    secret_from: SecretFrom::Provider,
    credential_headers: &[SIGNATURE],
    default_retry: Retry::default,
    answer: SUCCESS,
    documentation: guide("https://developer.sepay.vn/vi/sepay-webhooks/xac-thuc"),
};

/// The table's entry.
pub(super) static SEPAY_HMAC: SePayHmac = SePayHmac;

/// SePay with signatures.
pub(super) struct SePayHmac;

impl Provider for SePayHmac {
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
        header(inbound, SIGNATURE)?;
        let signed_at = unix_time(inbound, TIMESTAMP)?;
        signature::check_age(signed_at, now, tolerance(&ABOUT, settings))?;
        let time = header(inbound, TIMESTAMP)?.as_bytes();
        let key = secret.expose().as_bytes();
        let expected: Vec<_> = signed_bodies(inbound)
            .filter_map(|body| signature::keyed_hash(Algorithm::Sha256, key, &[time, b".", body]))
            .collect();
        any_signature(inbound, SIGNATURE, "sha256=", Encoding::Hex, &expected)
    }

    fn describe(&self, _settings: &Settings, inbound: &Inbound, content: &[u8]) -> Facts {
        sepay::facts(inbound, content)
    }

    fn document<'a>(&self, inbound: &Inbound, content: &'a [u8]) -> Cow<'a, [u8]> {
        form::document(&inbound.headers, content)
    }

    fn proves_header(&self, _settings: &Settings, _inbound: &Inbound, header: &str) -> bool {
        header.eq_ignore_ascii_case(TIMESTAMP)
    }

    fn sample(&self, inbound: &mut Inbound, _: &Secret, _: &Settings) {
        inbound.body = sepay::SAMPLE.into();
    }

    fn sign(
        &self,
        request: Unsigned<'_>,
        secret: &Secret,
        _: &Settings,
        now: Timestamp,
    ) -> Option<Headers> {
        let time = now.seconds().to_string();
        let signed = [time.as_bytes(), b".", request.body];
        let mut fields = signing::keyed_hash(SIGNATURE, "sha256=", Encoding::Hex, secret, &signed)?;
        fields.push(TIMESTAMP, time);
        Some(fields)
    }

    fn signed_at(&self, headers: &Headers, _: &Settings) -> Option<Timestamp> {
        unix_time(headers, TIMESTAMP)
            .ok()
            .map(Timestamp::from_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::examples::post;
    use serde_json::json;

    // tests/vectors/providers.json
    const SECRET: &str = "whsec_test_0123456789abcdef0123456789abcd";
    const AT: i64 = 1_719_893_313;
    const SIGNED: &str = "sha256=288ac5964c9b0a93f0cca128f99b7f6e6460139fd2af0b37e82e891881914928";
    const BODY: &str = r#"{"id":92704,"gateway":"Vietcombank","transactionDate":"2024-07-02 11:08:33","accountNumber":"1017588888","subAccount":"","code":null,"content":"NGUYEN VAN A chuyen tien","transferType":"in","transferAmount":10000,"accumulated":105010000,"referenceCode":"FT24012345678"}"#;

    fn verify(headers: &[(&str, &str)], secret: &str, now: i64) -> Result<(), &'static str> {
        let settings = serde_json::from_value(json!({})).unwrap();
        let secret = Secret::new(secret.into());
        let now = Timestamp::from_seconds(now);
        SEPAY_HMAC
            .verify(&post(headers, BODY), &secret, &settings, now)
            .map_err(|why| why.code())
    }

    #[test]
    fn the_whole_secret_is_the_key_and_age_is_limited() {
        let time = ("X-SePay-Timestamp", "1719893313");
        let right = [time, ("X-SePay-Signature", SIGNED)];
        let upper = SIGNED.to_uppercase().replace("SHA", "sha");
        let wrong = Err("wrong_secret_or_altered_body");
        assert_eq!(verify(&right, SECRET, AT), Ok(()));
        assert_eq!(
            verify(&[time, ("x-sepay-signature", &upper)], SECRET, AT),
            Ok(())
        );
        assert_eq!(verify(&right, SECRET, AT + 300), Ok(()));
        assert_eq!(verify(&right, SECRET, AT + 301), Err("stale_timestamp"));
        assert_eq!(verify(&right, SECRET, AT - 301), Err("future_timestamp"));
        let without_prefix = SECRET.strip_prefix("whsec_").unwrap();
        assert_eq!(verify(&right, without_prefix, AT), wrong);
        assert_eq!(verify(&right, "", AT), wrong);
        let bare = SIGNED.strip_prefix("sha256=").unwrap();
        let later = [("x-sepay-timestamp", "1719893314"), right[1]];
        assert_eq!(verify(&later, SECRET, AT), wrong);
        for (headers, why) in [
            (&[time][..], "missing_header"),
            (&[right[1]], "missing_header"),
            (&[right[1], ("x-sepay-timestamp", "")], "missing_header"),
            (
                &[right[1], ("x-sepay-timestamp", "now")],
                "malformed_header",
            ),
            (&[time, ("x-sepay-signature", bare)], "malformed_header"),
            (
                &[time, ("x-sepay-signature", "sha256=")],
                "malformed_header",
            ),
        ] {
            assert_eq!(verify(headers, SECRET, AT), Err(why), "{headers:?}");
        }
    }
}
