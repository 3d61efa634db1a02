//! The request to the origin: where it goes, what of the original request goes
//! with it, and what is signed.
//!
//! Fields are put together in the order in which they win, the last first:
//! the destination's own, the webhook's own, the station's, the provider's.

mod dropped;
mod proof;

use super::{KEPT_OF_ANSWER, READ_OF_SUCCESS, timeout_seconds};
use crate::{
    delivery::Job,
    destination_url::{self, Station},
    headers::{Headers, OF_THE_CONNECTION, OF_THE_STATION},
    receive::{HOPS, RELAYED_BEFORE, RELAYED_BY, relayed_by},
    signature::standard_webhooks_signature,
    time::Timestamp,
    webhook::{Destination, Strict, Webhook},
};
use dropped::is_dropped;
use proof::Proof;
use std::{collections::BTreeMap, time::Duration};

/// A request as the edge is to send it: redirects not followed, nothing added.
/// Names of header fields are lower case and stand once each, unless the provider
/// sent one several times.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// The HTTP method.
    pub method: String,
    /// The destination with the query of the original request.
    pub url: String,
    /// All header fields but `host` and `content-length`, which are the sender's.
    pub headers: Vec<(String, String)>,
    /// The event's bytes as they came; `None` for GET and HEAD.
    pub body: Option<&'a [u8]>,
    /// For the whole attempt, to the end of what is read.
    pub timeout: Duration,
    /// How many bytes are to be read of a 2xx answer's body that may be a JSON object; of
    /// any other [`KEPT_OF_ANSWER`] will do.
    pub read_limit: usize,
}

/// The fields of the Standard Webhooks specification.
const SIGNED_FIELDS: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/// The request of `job`.
///
/// `credential_headers` are the provider's, in lower case; the field that
/// `settings.header` names is one of them without being listed. `version` is the
/// station's own. With `sign: false` nothing inbound is replaced: `webhook-*` and
/// `user-agent` stay as the provider sent them, and only `x-tram-*` are the
/// station's. Whether the provider's proof is made anew, is the destination's `resign`.
///
/// # Errors
/// Why nothing may be sent: the URL is none that events may be relayed to, or the
/// signing secret cannot be used. Nothing leaves unsigned that should be signed.
pub fn outgoing<'a>(
    webhook: &Webhook,
    destination: &Destination,
    job: &'a Job,
    credential_headers: &[&str],
    station: &Station,
    version: &str,
    now: Timestamp,
) -> Result<Outgoing<'a>, String> {
    let url = destination_url::check(&destination.url, station)
        .map_err(|why| format!("the destination's URL {why}"))?;
    let event = job.event.as_ref();
    let method = event.envelope.method.clone();
    // `fetch` refuses a body on these two.
    let body = (method != "GET" && method != "HEAD").then_some(event.body.as_slice());

    let proof = proof::of(webhook, destination, event, body.unwrap_or_default(), now);
    let mut headers = passed_on(webhook, destination, &proof, credential_headers);
    add_own(&mut headers, webhook, destination, job, version);
    if destination.sign {
        let message = proof.message(&event.id.to_string(), now);
        sign(
            &mut headers,
            webhook,
            &message,
            body.unwrap_or_default(),
            now,
        )?;
    }
    add_configured(&mut headers, &webhook.headers);
    add_configured(&mut headers, &destination.headers);
    headers.retain(|(name, value)| is_name(name) && is_value(value));

    Ok(Outgoing {
        method,
        url: with_query(url.as_str(), &event.envelope.query),
        headers,
        body,
        timeout: Duration::from_secs(u64::from(timeout_seconds(destination))),
        read_limit: match destination.strict {
            Strict::Status => KEPT_OF_ANSWER,
            // The byte beyond tells an answer that ends there from one that does not.
            Strict::Auto | Strict::Success => READ_OF_SUCCESS + 1,
        },
    })
}

/// The original request's fields that go on, under the names they go on with.
fn passed_on(
    webhook: &Webhook,
    destination: &Destination,
    proof: &Proof<'_>,
    credential_headers: &[&str],
) -> Vec<(String, String)> {
    let original = proof.headers.as_ref();
    let with_credentials = destination.forward_credentials;
    let is_credential = |name: &str| {
        credential_headers.contains(&name)
            || webhook
                .settings
                .header
                .as_deref()
                .is_some_and(|header| header.trim().eq_ignore_ascii_case(name))
    };
    let named_by_connection: Vec<String> = original
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"))
        .flat_map(|(_, value)| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();

    let mut headers = Vec::new();
    for (name, value) in original.iter() {
        let name = name.to_ascii_lowercase();
        if OF_THE_CONNECTION.contains(&name.as_str())
            || is_dropped(&name)
            || named_by_connection.contains(&name)
            || (!with_credentials && is_credential(&name))
        {
            continue;
        }
        let is_replaced = destination.sign && SIGNED_FIELDS.contains(&name.as_str());
        if is_replaced && proof.is_standard() {
            // Signed beside: see `proof`.
            continue;
        }
        let name = if is_replaced {
            format!("x-tram-original-{name}")
        } else {
            name
        };
        headers.push((name, value.to_owned()));
    }
    headers
}

/// The fields by which the station says what this is.
fn add_own(
    headers: &mut Vec<(String, String)>,
    webhook: &Webhook,
    destination: &Destination,
    job: &Job,
    version: &str,
) {
    let hops = hops_of(&job.event.envelope.headers).saturating_add(1);
    set(headers, "x-tram-event-id", job.event.id.to_string());
    set(headers, "x-tram-attempt", job.number.to_string());
    set(headers, "x-tram-provider", webhook.provider.clone());
    set(headers, RELAYED_BY, webhook.id.to_string());
    set(headers, HOPS, hops.to_string());
    let before: Vec<String> = relayed_by(&job.event.envelope.headers)
        .map(|id| id.to_string())
        .collect();
    if !before.is_empty() {
        set(headers, RELAYED_BEFORE, before.join(", "));
    }
    if job.event.test {
        set(headers, "x-tram-test", "true".to_owned());
    }
    let has_user_agent = headers.iter().any(|(name, _)| name == "user-agent");
    if destination.sign || !has_user_agent {
        set(headers, "user-agent", format!("tram/{version}"));
    }
}

/// How many stations the request has come through before this one. Of several
/// values the greatest counts; what is no number counts nothing.
fn hops_of(original: &Headers) -> u32 {
    original
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(HOPS))
        .flat_map(|(_, value)| value.split(','))
        .filter_map(|hops| hops.trim().parse().ok())
        .max()
        .unwrap_or(0)
}

/// What is signed besides the body, and what is signed of it already.
pub(crate) struct Message {
    /// The same for every attempt.
    pub(crate) id: String,
    /// Unix seconds, as text.
    pub(crate) timestamp: String,
    /// The provider's signatures over the same, with blanks between them; empty for none.
    pub(crate) signatures: String,
}

impl Message {
    /// One that is signed by the station alone, at this time.
    pub(crate) fn new(id: &str, now: Timestamp) -> Self {
        Self {
            id: id.to_owned(),
            timestamp: now.seconds().to_string(),
            signatures: String::new(),
        }
    }
}

/// Signs after the Standard Webhooks specification, with the webhook's signing secret
/// and with those that were rotated and are in their grace time.
pub(crate) fn sign(
    headers: &mut Vec<(String, String)>,
    webhook: &Webhook,
    message: &Message,
    body: &[u8],
    now: Timestamp,
) -> Result<(), String> {
    let (id, timestamp) = (&message.id, &message.timestamp);
    let signed = |secret| standard_webhooks_signature(secret, id, timestamp, body);
    let own = signed(&webhook.signing_secret).ok_or_else(|| {
        "the webhook's signing secret cannot be used: rotate it to get a new one".to_owned()
    })?;
    let previous = webhook
        .previous_signing_secrets()
        .filter(|previous| previous.until > now)
        .filter_map(|previous| signed(&previous.secret));
    let mut signature = message.signatures.clone();
    for one in std::iter::once(own).chain(previous) {
        if !signature.is_empty() {
            signature.push(' ');
        }
        signature.push_str(&one);
    }
    let [id_field, timestamp_field, signature_field] = SIGNED_FIELDS;
    set(headers, id_field, id.clone());
    set(headers, timestamp_field, timestamp.clone());
    set(headers, signature_field, signature);
    Ok(())
}

/// The operator's own fields. What they may not name was refused when they were
/// configured and is passed over here.
fn add_configured(headers: &mut Vec<(String, String)>, configured: &BTreeMap<String, String>) {
    for (name, value) in configured {
        let name = name.to_ascii_lowercase();
        let reserved =
            OF_THE_CONNECTION.contains(&name.as_str()) || begins_with_any(&name, &OF_THE_STATION);
        if !reserved && is_name(&name) && is_value(value) {
            set(headers, &name, value.clone());
        }
    }
}

/// Replaces every field of that lower-case name by one, at the end.
fn set(headers: &mut Vec<(String, String)>, name: &str, value: String) {
    headers.retain(|(known, _)| known != name);
    headers.push((name.to_owned(), value));
}

fn begins_with_any(name: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// A token (RFC 9110, section 5.6.2), in lower case.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| {
            matches!(byte, b'a'..=b'z' | b'0'..=b'9') || b"!#$%&'*+-.^_`|~".contains(&byte)
        })
}

/// What can be sent as a value: anything but control characters, the tab excepted.
fn is_value(value: &str) -> bool {
    value.chars().all(|c| c == '\t' || !c.is_control())
}

/// The destination's own query first, then the original request's as it was
/// written.
fn with_query(url: &str, query: &str) -> String {
    if query.is_empty() {
        return url.to_owned();
    }
    let (address, fragment) = match url.split_once('#') {
        Some((address, fragment)) => (address, Some(fragment)),
        None => (url, None),
    };
    let mut url = address.to_owned();
    if !address.contains('?') {
        url.push('?');
    } else if !address.ends_with(['?', '&']) {
        url.push('&');
    }
    // A bare `#` would cut off what follows it.
    url.push_str(&query.replace('#', "%23"));
    if let Some(fragment) = fragment {
        url.push('#');
        url.push_str(fragment);
    }
    url
}

#[cfg(test)]
mod proof_tests;
#[cfg(test)]
mod tests;
