//! Abaha: orders, products and customers of a shop, with a header of the operator's
//! choice.
//!
//! Source: <https://tailieu.abaha.vn> ("Tài liệu Webhook"). Nothing is signed; the only
//! thing that can prove Abaha is the pair of Key and Value under "Thông tin header",
//! which Abaha leaves optional and which is required here.
//!
//! A body has neither an event's name nor its id. The kind shows in its shape, and as
//! a retry carries the same body, what it says names it: an object that is edited
//! twice within one second is two events.

use super::{
    About, Facts, Identity, Proof, Provider, SecretFrom, SuccessAnswer, Unsigned, bank::unsigned,
    guide, presented::check_token, signing,
};
use crate::{
    event::Summary,
    form,
    headers::Headers,
    inbound::{Inbound, Refusal},
    json::{Json, Object},
    secret::Secret,
    time::Timestamp,
    webhook::{Retry, Settings},
};
use std::{borrow::Cow, time::Duration};

const ORDER: &str = "order";
const PRODUCT: &str = "product";
const CUSTOMER: &str = "customer";

static ABOUT: About = About {
    id: "abaha",
    name: "Abaha",
    setup: guide(
        "Choose the name of a header and set it as settings.header here. At Abaha open Cấu hình \
            webhook > Thêm mới: paste the ingest URL as Webhook URL, choose the Sự kiện, and under \
            Thông tin header enter that name as Key and the secret as Value; press Cập nhật.",
    ),
    methods: &["POST"],
    settings: &["header"],
    required_settings: &["header"],
    events: &[ORDER, PRODUCT, CUSTOMER],
    same_events: &[],
    // Three tries, x minutes apart; x is chosen at Abaha.
    retry_window: Duration::from_secs(86_400),
    tolerance_seconds: None,
    whsec: false,
    secret_from: SecretFrom::Owner,
    // The one that `header` names: see `credential_headers` in the table.
    credential_headers: &[],
    // "Sau x phút sẽ gửi lại lần 2, tối đa 3 lần tự động gửi": five minutes are ours.
    default_retry: || Retry::Fixed {
        interval_seconds: 300.0,
        max_attempts: 3,
    },
    answer: SuccessAnswer {
        status: 200,
        content_type: "application/json",
        body: r#"{"status":200,"message":"OK"}"#,
    },
    documentation: guide("https://tailieu.abaha.vn"),
};

/// The table's entry.
pub(super) static ABAHA: Abaha = Abaha;

/// Abaha.
pub(super) struct Abaha;

/// A customer, since an order could be taken for one.
const SAMPLE: &str =
    r#"{"user_id":"0","name":"TRAM TEST","tel":"","email":"","modified":"2026-11-20 09:30:00"}"#;

impl Provider for Abaha {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn verify(
        &self,
        inbound: &Inbound,
        secret: &Secret,
        settings: &Settings,
        _now: Timestamp,
    ) -> Result<(), Refusal> {
        let name = settings.header.as_deref().filter(|name| !name.is_empty());
        let missing = || Refusal::MissingHeader("(the setting header is missing)".to_owned());
        check_token(inbound, name.ok_or_else(missing)?, "", secret)
    }

    fn proof(&self, _settings: &Settings) -> Proof {
        Proof::Token
    }

    fn describe(&self, _settings: &Settings, inbound: &Inbound, content: &[u8]) -> Facts {
        let document = form::document(&inbound.headers, content);
        Json::parse(&document)
            .and_then(Json::object)
            .map_or(Facts::named_by(Identity::Bytes), |object| facts(&object))
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
        settings: &Settings,
        _: Timestamp,
    ) -> Option<Headers> {
        let header = settings.header.as_deref().unwrap_or_default();
        signing::token(header, "", secret)
    }
}

fn facts(object: &Object<'_>) -> Facts {
    let has = |name: &str| object.get(name).is_some();
    let (kind, id, code, description) = if has("cart_code") {
        (ORDER, "id", "cart_code", "payment_status_name")
    } else if has("product_code") {
        (PRODUCT, "id", "product_code", "name")
    } else if has("user_id") && has("tel") && !has("id") {
        (CUSTOMER, "user_id", "", "name")
    } else {
        return Facts::named_by(Identity::Bytes);
    };
    Facts {
        identity: Identity::Bytes,
        name: Some(kind.to_owned()),
        object_id: object.shown(id),
        summary: Summary {
            // What the customer pays; products and customers have none.
            amount: object
                .shown("total_after")
                .and_then(|amount| unsigned(&amount)),
            transaction_id: object.shown(code),
            description: object.shown(description),
            occurred_at: object
                .shown("modified")
                .and_then(|when| Timestamp::parse_vietnamese(&when))
                .map(Timestamp::to_rfc3339),
            ..Summary::default()
        },
        test: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::examples::post;
    use serde_json::json;

    #[test]
    fn the_operator_s_header_proves() {
        let verify = |settings: serde_json::Value, value: &str, secret: &str| {
            let settings = serde_json::from_value(settings).unwrap();
            let inbound = post(&[("X-Abaha-Key", value)], "{}");
            ABAHA
                .verify(
                    &inbound,
                    &Secret::new(secret.into()),
                    &settings,
                    Timestamp::default(),
                )
                .map_err(|why| why.code())
        };
        let settings = || json!({"header": "x-abaha-key"});
        assert_eq!(verify(settings(), "v4lue", "v4lue"), Ok(()));
        assert_eq!(
            verify(json!({"header": "X-ABAHA-KEY"}), "v4lue", "v4lue"),
            Ok(())
        );
        let wrong = Err("wrong_secret_or_altered_body");
        assert_eq!(verify(settings(), "v4luE", "v4lue"), wrong);
        assert_eq!(verify(settings(), "x", ""), wrong);
        let missing = Err("missing_header");
        assert_eq!(verify(settings(), "", ""), missing);
        assert_eq!(verify(json!({}), "v4lue", "v4lue"), missing);
        assert_eq!(verify(json!({"header": ""}), "v4lue", "v4lue"), missing);
        assert_eq!(
            verify(json!({"header": "x-other"}), "v4lue", "v4lue"),
            missing
        );
    }

    #[test]
    fn the_kind_shows_in_the_shape() {
        for (body, kind, object_id) in [
            (
                r#"{"id":"208610","cart_code":"0208610","user_id":"56913"}"#,
                Some("order"),
                Some("208610"),
            ),
            (
                r#"{"id":"873167","product_code":"CEkJ48H4W4"}"#,
                Some("product"),
                Some("873167"),
            ),
            (
                r#"{"user_id":"1347849","name":"Robot 2","tel":"09"}"#,
                Some("customer"),
                Some("1347849"),
            ),
            (r#"{"id":1,"user_id":"1347849","tel":"09"}"#, None, None),
            (r#"{"user_id":"1347849"}"#, None, None),
            ("{}", None, None),
            ("[]", None, None),
            ("", None, None),
        ] {
            let inbound = post(&[], body);
            let facts = ABAHA.describe(&Settings::default(), &inbound, body.as_bytes());
            assert_eq!(facts.name.as_deref(), kind, "{body}");
            assert_eq!(facts.object_id.as_deref(), object_id, "{body}");
            assert_eq!(facts.identity, Identity::Bytes);
        }
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let body = "user_id=1347849&name=Robot+2&tel=09&modified=2022-06-09+13%3A16%3A01";
        let facts = ABAHA.describe(&Settings::default(), &post(&form, body), body.as_bytes());
        assert_eq!(facts.name.as_deref(), Some("customer"));
        assert_eq!(facts.summary.description.as_deref(), Some("Robot 2"));
        assert_eq!(
            facts.summary.occurred_at.as_deref(),
            Some("2022-06-09T06:16:01.000Z")
        );
    }
}
