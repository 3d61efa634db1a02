//! What of a request may be shown. In doubt it is masked: a sender who was set
//! up wrongly puts the true secret into a field of any name.

use super::clip;
use crate::{
    headers::Headers,
    json::{Json, Object},
    providers,
    secret::Secret,
    webhook::{Settings, Webhook},
};
use std::collections::BTreeMap;

/// What is kept of header fields: how many, and in bytes of each name and value and of
/// all together.
const MOST_FIELDS: usize = 40;
const MOST_OF_NAME: usize = 64;
const MOST_OF_VALUE: usize = 200;
const MOST_OF_ALL: usize = 3_500;

/// A text that may be a secret.
const MASKED: &str = "***";

/// A name with any of these in it is one of a secret.
const SECRETIVE: [&str; 8] = [
    "token",
    "secret",
    "key",
    "auth",
    "signature",
    "password",
    "cookie",
    "session",
];

/// A secret that is shorter is found in too much.
const SHORTEST: usize = 4;
/// A text that has so many bytes in common with a secret says too much of it.
const MOST_IN_COMMON: usize = 8;

/// Whether a header field of this name carries what proves a sender: any provider's,
/// since what came under another provider's configuration is still masked after a
/// change, or the one that these settings name.
fn carries_credential(settings: &Settings, name: &str) -> bool {
    let is = |known: &str| known.eq_ignore_ascii_case(name);
    providers::all_credential_headers().any(is)
        || ["authorization", "cookie"].into_iter().any(is)
        || settings.header.as_deref().is_some_and(is)
}

/// The header fields as they are kept: without secrets, each name once, and not more
/// than there is room for.
pub(super) fn headers(webhook: &Webhook, headers: &Headers) -> Headers {
    let mut kept = Headers::new();
    let mut room = MOST_OF_ALL;
    for (name, value) in headers.iter().take(MOST_FIELDS) {
        let masked = masked(webhook, name, value);
        let value = masked.unwrap_or_else(|| clip(value, MOST_OF_VALUE).to_owned());
        let name = text(webhook, name, MOST_OF_NAME);
        let size = name.len().saturating_add(value.len());
        let Some(left) = room.checked_sub(size) else {
            break;
        };
        room = left;
        kept.join(&name, &value);
    }
    kept
}

/// What is shown in place of a field's value, if it may not be shown.
fn masked(webhook: &Webhook, name: &str, value: &str) -> Option<String> {
    if holds_secret(webhook, value) {
        Some(MASKED.to_owned())
    } else if carries_credential(&webhook.settings, name) {
        Some(Secret::new(value.to_owned()).masked())
    } else if SECRETIVE.iter().any(|word| name.contains(word)) {
        Some(MASKED.to_owned())
    } else {
        None
    }
}

/// The header fields of an event as its Mailbox shows them, a repeated one joined.
/// Secrets that were configured when it was told last are masked; [`event`] masks those
/// that are configured now.
pub(crate) fn of_event(webhook: &Webhook, headers: &Headers) -> BTreeMap<String, String> {
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers.iter() {
        // Of the credential itself the end is shown, as it is of the webhook's secret.
        let value = if carries_credential(&webhook.settings, name) {
            Secret::new(value.to_owned()).masked()
        } else {
            masked(webhook, name, value).unwrap_or_else(|| value.to_owned())
        };
        shown
            .entry(name.to_owned())
            .and_modify(|known| known.extend([", ", &value]))
            .or_insert(value);
    }
    shown
}

/// An event as its Mailbox shows it, without what among its header fields and in its
/// query holds one of the webhook's secrets. The body is shown as it came.
#[must_use]
pub fn event(webhook: &Webhook, mut shown: String) -> String {
    let mut secrets = Vec::new();
    let mut look = |text: Option<String>| {
        secrets.extend(text.filter(|text| holds_secret(webhook, text)));
    };
    if let Some(event) = Json::parse(shown.as_bytes()).and_then(Json::object) {
        look(event.get("query").and_then(Json::text));
        let headers = event.get("headers").and_then(Json::object);
        for (name, value) in headers.iter().flat_map(Object::iter) {
            look(value.text());
            look(Some(name.to_owned()));
        }
    }
    // What stands before them is the station's own. (Within a text the quotes would be
    // escaped.)
    let Some(at) = shown.find(",\"headers\":{") else {
        return shown;
    };
    let mut rest = shown.split_off(at);
    for secret in secrets {
        // As a text of its own: within another its quotes would be escaped.
        let written = serde_json::to_string(&secret).unwrap_or_default();
        rest = rest.replace(&written, "\"***\"");
    }
    shown.push_str(&rest);
    shown
}

/// Takes out of an answer's text what was sent along as a credential: an origin that
/// repeats the request it got would have it stored and shown.
pub fn echoes(webhook: &Webhook, sent: &[(String, String)], answer: &mut String) {
    if answer.is_empty() {
        return;
    }
    for (name, value) in sent {
        let secretive = || SECRETIVE.iter().any(|word| name.contains(word));
        if !carries_credential(&webhook.settings, name) && !secretive() {
            continue;
        }
        // Whole, and without the name of a scheme before it.
        let bare = value.rsplit(' ').next().unwrap_or_default();
        for secret in [value.as_str(), bare] {
            if secret.len() < MOST_IN_COMMON {
                continue;
            }
            if answer.contains(secret) {
                *answer = answer.replace(secret, MASKED);
            }
            // Cut off where the answer is.
            let mut ends = secret.char_indices().rev().map(|(at, _)| at);
            let cut = ends.find_map(|at| {
                let part = secret
                    .get(..at)
                    .filter(|part| part.len() >= MOST_IN_COMMON)?;
                answer.strip_suffix(part).map(str::len)
            });
            if let Some(cut) = cut {
                answer.truncate(cut);
                answer.push_str(MASKED);
            }
        }
    }
}

/// A text clipped after so many bytes, or masked where it says something of a secret.
pub(super) fn text(webhook: &Webhook, text: &str, most: usize) -> String {
    if holds_secret(webhook, text) {
        MASKED.to_owned()
    } else {
        clip(text, most).to_owned()
    }
}

/// Whether a text holds one of the webhook's own secrets or a good part of one, in any
/// case. Of a long text all is searched for whole secrets, and what could be shown of
/// it for parts of them.
fn holds_secret(webhook: &Webhook, text: &str) -> bool {
    let text = text.to_ascii_lowercase().into_bytes();
    let start = text.get(..MOST_OF_VALUE).unwrap_or(&text);
    let previous = webhook.previous_signing_secrets();
    webhook
        .secrets
        .iter()
        .chain([&webhook.signing_secret])
        .chain(previous.map(|previous| &previous.secret))
        .any(|secret| {
            let secret = secret.expose().to_ascii_lowercase();
            let secret = secret.strip_prefix("whsec_").unwrap_or(&secret).as_bytes();
            secret.len() >= SHORTEST
                && (contains(&text, secret)
                    || secret
                        .windows(MOST_IN_COMMON)
                        .any(|part| contains(start, part)))
        })
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
