//! Whether settings and secrets fit a provider: asked when a webhook is
//! configured, so that what could never work is not accepted.

use super::{
    Proof, Provider, credential_headers,
    naming::{Place, is_header_name},
    template,
};
use crate::{
    headers::OF_THE_CONNECTION,
    json::{Json, is_pointer},
    own_json,
    problem::FieldError,
    request_url::RequestUrl,
    secret::Secret,
    signature,
    webhook::{CustomAnswer, OneOrMany, Settings},
};

/// Settings that every provider takes.
const TAKEN_BY_ALL: [&str; 3] = ["answer", "event_id", "event_name"];

/// Settings that decide what others mean: while one of them is wrong, how settings go
/// together is not judged.
const DECIDING: [&str; 4] = ["scheme", "signed", "timestamp_header", "event_id"];

/// A mistake in the setting `field`.
pub(super) fn mistake(field: &str, message: impl Into<String>) -> FieldError {
    FieldError {
        pointer: format!("/settings/{field}"),
        message: message.into(),
    }
}

/// All mistakes in a webhook's settings and secrets that can be seen without a
/// request. Pointers begin at the webhook: `/settings/header`, `/secret`.
///
/// What is `known` to be wrong already, since it could not be read, is not judged again.
#[must_use]
pub fn check(
    provider: &dyn Provider,
    settings: &Settings,
    secrets: &[Secret],
    known: &[FieldError],
) -> Vec<FieldError> {
    let mut mistakes = Vec::new();
    check_names(provider, settings, &mut mistakes);
    check_forms(settings, &mut mistakes);
    check_places(provider, settings, &mut mistakes);
    let undecided = DECIDING.iter().any(|name| {
        let pointer = ["/settings/", name].concat();
        let mut wrong = known.iter().chain(&mistakes);
        wrong.any(|wrong| is_within(&wrong.pointer, &pointer))
    });
    if !undecided {
        mistakes.extend(provider.check_settings(settings));
    }
    check_secrets(provider, settings, secrets, &mut mistakes);
    mistakes.retain(|found| {
        !known.iter().any(|known| {
            is_within(&known.pointer, &found.pointer) || is_within(&found.pointer, &known.pointer)
        })
    });
    mistakes
}

/// Whether a pointer is `outer` or leads below it.
fn is_within(pointer: &str, outer: &str) -> bool {
    pointer
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Settings that this provider does not take, and those it cannot do without.
fn check_names(provider: &dyn Provider, settings: &Settings, mistakes: &mut Vec<FieldError>) {
    let about = provider.about();
    let given = own_json::write(settings).unwrap_or_default();
    let given = Json::parse(given.as_bytes()).and_then(Json::object);
    let given: Vec<_> = given.iter().flat_map(|given| given.iter()).collect();
    for (name, _) in &given {
        if !TAKEN_BY_ALL.contains(name) && !about.settings.contains(name) {
            let mut takes = TAKEN_BY_ALL.to_vec();
            takes.extend(about.settings);
            let message = format!(
                "is not taken by {}: send settings without it; taken are {}",
                about.id,
                takes.join(", ")
            );
            mistakes.push(mistake(name, message));
        }
    }
    for name in about.required_settings {
        if !given.iter().any(|(given, _)| given == name) {
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
        let Some(header) = header else { continue };
        if !is_header_name(header) {
            mistakes.push(mistake(
                name,
                "is not the name of a header field: use letters, digits and hyphens",
            ));
        } else if OF_THE_CONNECTION
            .iter()
            .any(|own| header.eq_ignore_ascii_case(own))
        {
            mistakes.push(mistake(
                name,
                "is set by the connection, not by the sender: name another header",
            ));
        }
    }
    if settings
        .prefix
        .as_deref()
        .is_some_and(|prefix| prefix.trim_start() != prefix)
    {
        mistakes.push(mistake(
            "prefix",
            "begins with a blank, which no value of a header does: remove it",
        ));
    }
    if let Some(Err(why)) = settings.signed.as_deref().map(template::parse) {
        mistakes.push(mistake("signed", why));
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
    if let Some(answer) = &settings.answer {
        check_answer(answer, mistakes);
    }
}

fn is_web_url(text: &str) -> bool {
    RequestUrl::split(text).is_some() && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// Where ids and names stand. Never in what proves the sender: they are shown to whoever
/// may see events, and stored beside them.
fn check_places(provider: &dyn Provider, settings: &Settings, mistakes: &mut Vec<FieldError>) {
    let secret = credential_headers(provider, settings);
    for (name, places) in [
        ("event_id", &settings.event_id),
        ("event_name", &settings.event_name),
    ] {
        let Some(places) = places else { continue };
        for (at, text) in places.as_slice().iter().enumerate() {
            let message = match Place::parse(text) {
                None => "is neither header:X-Name nor a JSON pointer such as /data/id",
                Some(Place::Header(header))
                    if secret.iter().any(|own| header.eq_ignore_ascii_case(own)) =>
                {
                    "is the header that proves the sender, which is kept secret: name another place"
                }
                Some(_) => continue,
            };
            let field = match places {
                OneOrMany::One(_) => name.to_owned(),
                OneOrMany::Many(_) => format!("{name}/{at}"),
            };
            mistakes.push(mistake(&field, message));
        }
    }
}

fn check_answer(answer: &CustomAnswer, mistakes: &mut Vec<FieldError>) {
    // RFC 9110, sections 15.3.5 and 15.3.6.
    if matches!(answer.status, 204 | 205) && !answer.body.is_empty() {
        mistakes.push(mistake(
            "answer/body",
            "must be empty with status 204 or 205: leave it out",
        ));
    }
}

/// Secrets that could never prove anything here.
fn check_secrets(
    provider: &dyn Provider,
    settings: &Settings,
    secrets: &[Secret],
    mistakes: &mut Vec<FieldError>,
) {
    let is_token = provider.proof(settings) == Proof::Token;
    for (at, secret) in secrets.iter().enumerate() {
        let message = if provider.about().whsec && signature::whsec_key(secret).is_none() {
            "is not whsec_ followed by base64: paste it as the provider shows it"
        } else if is_token && secret.expose().chars().any(|c| c.is_control() && c != '\t') {
            "holds a control character, which no header can carry: remove it"
        } else {
            continue;
        };
        mistakes.push(FieldError {
            pointer: if secrets.len() == 1 {
                "/secret".to_owned()
            } else {
                format!("/secret/{at}")
            },
            message: message.to_owned(),
        });
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
        check(find(provider).unwrap(), &settings, &secrets, &[])
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
            (
                "casso",
                json!({"event_name": "header:"}),
                "/settings/event_name",
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
                json!({"header": "x", "scheme": "hmac", "signed": "{url}{body}", "url": "a.example"}),
                "/settings/url",
            ),
            (
                "custom",
                json!({"header": "x", "scheme": "hmac", "signed": "{url}{body}", "url": "ftp://a.example/"}),
                "/settings/url",
            ),
            (
                "custom",
                json!({"header": "x", "scheme": "hmac", "signed": "{url}{body}", "url": "https://a.example/ x"}),
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
            // Nothing could ever be proven with these.
            ("custom", json!({"header": "Host"}), "/settings/header"),
            (
                "abaha",
                json!({"header": "content-length"}),
                "/settings/header",
            ),
            (
                "custom",
                json!({"header": "x", "timestamp_header": "Connection"}),
                "/settings/timestamp_header",
            ),
            (
                "custom",
                json!({"header": "x", "timestamp_header": "X"}),
                "/settings/timestamp_header",
            ),
            (
                "custom",
                json!({"header": "x", "prefix": " Bearer "}),
                "/settings/prefix",
            ),
            // Whoever has seen one request could send any other.
            (
                "custom",
                json!({"header": "x", "scheme": "hmac", "signed": "v1.{method}"}),
                "/settings/signed",
            ),
            (
                "custom",
                json!({"header": "x", "scheme": "hmac", "signed": "{method} {url}", "url": "https://a.example/"}),
                "/settings/signed",
            ),
            // The credential would be shown with the event.
            (
                "casso",
                json!({"event_id": "header:Secure-Token"}),
                "/settings/event_id",
            ),
            (
                "abaha",
                json!({"header": "X-Token", "event_name": ["/a", "header: x-token"]}),
                "/settings/event_name/1",
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
    fn what_could_not_be_read_is_not_judged_again() {
        let judged = |known: &str, settings: Value| {
            let known = [FieldError {
                pointer: known.into(),
                message: String::new(),
            }];
            let settings = serde_json::from_value(settings).unwrap();
            check(find("custom").unwrap(), &settings, &[], &known)
                .into_iter()
                .map(|mistake| mistake.pointer)
                .collect::<Vec<_>>()
        };
        // It is missing only because it could not be read.
        assert_eq!(judged("/settings/header", json!({})), [""; 0]);
        assert_eq!(judged("/settings", json!({})), [""; 0]);
        // A scheme that could not be read may have been hmac.
        let hmac = json!({"header": "x", "algorithm": "sha1", "items": "a"});
        assert_eq!(
            judged("/settings/scheme", hmac.clone()),
            ["/settings/items"]
        );
        assert_eq!(
            judged("/settings/schemes", hmac),
            ["/settings/items", "/settings/algorithm"]
        );
    }

    #[test]
    fn a_token_has_to_fit_a_header() {
        assert_eq!(pointers("casso", json!({}), &["a\nb"]), ["/secret"]);
        assert_eq!(
            pointers("casso", json!({}), &["a b\tc", "a\u{7f}b"]),
            ["/secret/1"]
        );
        // A key of a hash is never sent.
        assert_eq!(pointers("github", json!({}), &["a\nb"]), [""; 0]);
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
