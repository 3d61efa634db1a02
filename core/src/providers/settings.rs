//! Whether settings and secrets fit a provider: asked when a webhook is
//! configured, so that what could never work is not accepted.

use super::{
    Provider,
    naming::{Place, is_header_name},
};
use crate::{
    json::is_pointer,
    problem::FieldError,
    request_url::RequestUrl,
    secret::Secret,
    signature,
    webhook::{CustomAnswer, OneOrMany, Settings},
};

/// Settings that every provider takes.
const TAKEN_BY_ALL: [&str; 3] = ["answer", "event_id", "event_name"];

/// More places than that are a mistake.
const MOST_PLACES: usize = 8;

/// A mistake in the setting `field`.
pub(super) fn mistake(field: &str, message: impl Into<String>) -> FieldError {
    FieldError {
        pointer: format!("/settings/{field}"),
        message: message.into(),
    }
}

/// All mistakes in a webhook's settings and secrets that can be seen without a
/// request. Pointers begin at the webhook: `/settings/header`, `/secret`.
#[must_use]
pub fn check(provider: &dyn Provider, settings: &Settings, secrets: &[Secret]) -> Vec<FieldError> {
    let mut mistakes = Vec::new();
    check_names(provider, settings, &mut mistakes);
    check_forms(settings, &mut mistakes);
    mistakes.extend(provider.check_settings(settings));
    check_secrets(provider, secrets, &mut mistakes);
    mistakes
}

/// Settings that this provider does not take, and those it cannot do without.
fn check_names(provider: &dyn Provider, settings: &Settings, mistakes: &mut Vec<FieldError>) {
    let about = provider.about();
    let given = serde_json::to_vec(settings).unwrap_or_default();
    let given: serde_json::Value = serde_json::from_slice(&given).unwrap_or_default();
    let is_given = |name: &str| given.get(name).is_some();
    let given = given.as_object().into_iter().flatten();
    for (name, _) in given {
        let name = name.as_str();
        if !TAKEN_BY_ALL.contains(&name) && !about.settings.contains(&name) {
            let mut takes = TAKEN_BY_ALL.to_vec();
            takes.extend(about.settings);
            let message = format!("is not taken by {}, only: {}", about.id, takes.join(", "));
            mistakes.push(mistake(name, message));
        }
    }
    for name in about.required_settings {
        if !is_given(name) {
            let message = format!("is missing: {} cannot do without it", about.id);
            mistakes.push(mistake(name, message));
        }
    }
}

/// The form of each setting, whoever takes it.
fn check_forms(settings: &Settings, mistakes: &mut Vec<FieldError>) {
    for (name, header) in [
        ("header", &settings.header),
        ("timestamp_header", &settings.timestamp_header),
    ] {
        if header
            .as_deref()
            .is_some_and(|header| !is_header_name(header))
        {
            mistakes.push(mistake(name, "is not the name of a header field"));
        }
    }
    for (name, text) in [
        ("access_key", &settings.access_key),
        ("app_id", &settings.app_id),
    ] {
        if text.as_deref().is_some_and(str::is_empty) {
            mistakes.push(mistake(name, "must not be empty"));
        }
    }
    if settings.url.as_deref().is_some_and(|url| !is_web_url(url)) {
        mistakes.push(mistake(
            "url",
            "is not a URL that begins with https:// or http://",
        ));
    }
    if settings
        .items
        .as_deref()
        .is_some_and(|items| !is_pointer(items))
    {
        mistakes.push(mistake("items", "is not a JSON pointer such as /data"));
    }
    for (name, places) in [
        ("event_id", &settings.event_id),
        ("event_name", &settings.event_name),
    ] {
        if let Some(places) = places {
            check_places(name, places, mistakes);
        }
    }
    if let Some(answer) = &settings.answer {
        check_answer(answer, mistakes);
    }
}

fn is_web_url(text: &str) -> bool {
    RequestUrl::split(text).is_some() && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

fn check_places(name: &str, places: &OneOrMany, mistakes: &mut Vec<FieldError>) {
    let all = places.as_slice();
    if all.is_empty() || all.len() > MOST_PLACES {
        mistakes.push(mistake(
            name,
            format!("must hold 1 to {MOST_PLACES} places"),
        ));
    }
    for (at, text) in all.iter().enumerate() {
        if Place::parse(text).is_none() {
            let field = match places {
                OneOrMany::One(_) => name.to_owned(),
                OneOrMany::Many(_) => format!("{name}/{at}"),
            };
            let message = "is neither header:X-Name nor a JSON pointer such as /data/id";
            mistakes.push(mistake(&field, message));
        }
    }
}

fn check_answer(answer: &CustomAnswer, mistakes: &mut Vec<FieldError>) {
    if !(200..300).contains(&answer.status) {
        let message = "must be from 200 to 299: what is stored is answered with success";
        mistakes.push(mistake("answer/status", message));
    }
    // RFC 9110, sections 15.3.5 and 15.3.6.
    if matches!(answer.status, 204 | 205) && !answer.body.is_empty() {
        mistakes.push(mistake(
            "answer/body",
            "must be empty with status 204 or 205",
        ));
    }
}

fn check_secrets(provider: &dyn Provider, secrets: &[Secret], mistakes: &mut Vec<FieldError>) {
    if !provider.about().whsec {
        return;
    }
    for (at, secret) in secrets.iter().enumerate() {
        if signature::whsec_key(secret).is_none() {
            mistakes.push(FieldError {
                pointer: if secrets.len() == 1 {
                    "/secret".to_owned()
                } else {
                    format!("/secret/{at}")
                },
                message: "is not whsec_ followed by base64: nothing could be proven with it"
                    .to_owned(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::find;
    use serde_json::{Value, json};

    fn pointers(provider: &str, settings: Value, secrets: &[&str]) -> Vec<String> {
        let settings = serde_json::from_value(settings).unwrap();
        let secrets: Vec<_> = secrets
            .iter()
            .map(|secret| Secret::new((*secret).into()))
            .collect();
        check(find(provider).unwrap(), &settings, &secrets)
            .into_iter()
            .map(|mistake| mistake.pointer)
            .collect()
    }

    #[test]
    fn what_works_is_accepted() {
        for (provider, settings) in [
            ("casso", json!({})),
            (
                "casso",
                json!({"event_id": "/tid", "event_name": ["/a", "header:b"]}),
            ),
            ("github", json!({"answer": {"status": 204}})),
            ("standard-webhooks", json!({"tolerance_seconds": null})),
            ("standard-webhooks", json!({"tolerance_seconds": 60})),
            ("custom", json!({"header": "x-token"})),
            (
                "custom",
                json!({"header": "x-token", "items": "", "prefix": "Bearer "}),
            ),
            (
                "custom",
                json!({"header": "x-sig", "scheme": "hmac", "algorithm": "sha1", "encoding": "base64",
                    "prefix": "v0=", "signed": "{id}{timestamp}{url}{method}{body}", "url": "https://a.example/x",
                    "timestamp_header": "x-time", "timestamp_unit": "ms", "tolerance_seconds": 5,
                    "event_id": ["header:X-Id", "/id"], "event_name": "/type", "items": "/data",
                    "answer": {"status": 202, "body": "ok"}}),
            ),
        ] {
            let message = settings.to_string();
            assert_eq!(
                pointers(provider, settings, &["whsec_YWJj"]),
                [""; 0],
                "{message}"
            );
        }
    }

    #[test]
    fn each_mistake_has_its_pointer() {
        for (provider, settings, expected) in [
            ("casso", json!({"header": "x"}), "/settings/header"),
            (
                "casso",
                json!({"tolerance_seconds": null}),
                "/settings/tolerance_seconds",
            ),
            ("github", json!({"items": "/a"}), "/settings/items"),
            ("casso", json!({"event_id": "tid"}), "/settings/event_id"),
            (
                "casso",
                json!({"event_id": ["/tid", "x"]}),
                "/settings/event_id/1",
            ),
            ("casso", json!({"event_id": []}), "/settings/event_id"),
            (
                "casso",
                json!({"event_name": "header:"}),
                "/settings/event_name",
            ),
            (
                "casso",
                json!({"answer": {"status": 199}}),
                "/settings/answer/status",
            ),
            (
                "casso",
                json!({"answer": {"status": 302}}),
                "/settings/answer/status",
            ),
            (
                "casso",
                json!({"answer": {"status": 204, "body": "x"}}),
                "/settings/answer/body",
            ),
            ("custom", json!({}), "/settings/header"),
            ("custom", json!({"header": ""}), "/settings/header"),
            ("custom", json!({"header": "a b"}), "/settings/header"),
            (
                "custom",
                json!({"header": "x", "algorithm": "sha1"}),
                "/settings/algorithm",
            ),
            (
                "custom",
                json!({"header": "x", "scheme": "token", "signed": "{body}"}),
                "/settings/signed",
            ),
            (
                "custom",
                json!({"header": "x", "scheme": "hmac", "signed": "{boddy}"}),
                "/settings/signed",
            ),
            (
                "custom",
                json!({"header": "x", "scheme": "hmac", "signed": "{timestamp}"}),
                "/settings/timestamp_header",
            ),
            (
                "custom",
                json!({"header": "x", "scheme": "hmac", "signed": "{id}{body}"}),
                "/settings/event_id",
            ),
            (
                "custom",
                json!({"header": "x", "scheme": "hmac", "signed": "{id}", "event_id": "/id"}),
                "/settings/event_id",
            ),
            (
                "custom",
                json!({"header": "x", "timestamp_unit": "s"}),
                "/settings/timestamp_unit",
            ),
            (
                "custom",
                json!({"header": "x", "tolerance_seconds": 9}),
                "/settings/tolerance_seconds",
            ),
            (
                "custom",
                json!({"header": "x", "url": "https://a.example"}),
                "/settings/url",
            ),
            (
                "custom",
                json!({"header": "x", "scheme": "hmac", "signed": "{url}", "url": "a.example"}),
                "/settings/url",
            ),
            (
                "custom",
                json!({"header": "x", "scheme": "hmac", "signed": "{url}", "url": "ftp://a.example/"}),
                "/settings/url",
            ),
            (
                "custom",
                json!({"header": "x", "scheme": "hmac", "signed": "{url}", "url": "https://a.example/ x"}),
                "/settings/url",
            ),
            (
                "custom",
                json!({"header": "x", "items": "data"}),
                "/settings/items",
            ),
            (
                "custom",
                json!({"header": "x", "timestamp_header": "\n"}),
                "/settings/timestamp_header",
            ),
            (
                "custom",
                json!({"header": "x", "access_key": "k"}),
                "/settings/access_key",
            ),
        ] {
            let message = settings.to_string();
            assert_eq!(
                pointers(provider, settings, &["s"]),
                [expected],
                "{message}"
            );
        }
    }

    #[test]
    fn secrets_must_be_decodable_where_they_are_decoded() {
        let whsec = |secrets: &[&str]| pointers("standard-webhooks", json!({}), secrets);
        assert_eq!(whsec(&["whsec_YWI"]), [""; 0]);
        assert_eq!(whsec(&["whsec_!"]), ["/secret"]);
        assert_eq!(whsec(&["whsec_YWJj", "plain text"]), ["/secret/1"]);
        assert_eq!(pointers("casso", json!({}), &["plain text"]), [""; 0]);
    }
}
