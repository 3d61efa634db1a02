//! Requests that were refused, as the operator is shown them: why, and what was seen
//! of each. The sender hears none of it.
//!
//! What could be a secret is taken out before anything is kept (`redact`), and how much
//! is kept how often is decided in [`gather`]: a flood of forgeries must not become a
//! flood of writes. The Mailbox stores the newest [`MOST`] of a webhook.

pub mod gather;
mod redact;
#[cfg(test)]
mod tests;

pub(crate) use redact::of_event;
pub use redact::{echoes as mask_echoes, event as mask_event};

use crate::{
    headers::Headers,
    inbound::{Inbound, Refusal},
    problem::Problem,
    providers,
    signature::{self, sha256},
    time::Timestamp,
    webhook::{Encoding, Webhook},
};
use serde::{Deserialize, Serialize, Serializer};

/// How many of a webhook are kept: the newest.
pub const MOST: usize = 50;

/// What is kept of a text, in bytes.
const MOST_OF_METHOD: usize = 32;
const MOST_OF_DETAIL: usize = 400;

/// A refused request as it is kept, without secrets. Stored and sent in this shape:
/// pinned by tests. What is shown of it is written once and passed on as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// When it came.
    pub at: Timestamp,
    /// The JSON that it is shown as.
    pub json: String,
}

/// A request that was judged, and by what.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// Whose request it is.
    pub webhook: &'a Webhook,
    /// As far as it was read.
    pub inbound: &'a Inbound,
    /// Whether that is to the end of its body.
    pub body_was_read: bool,
    /// The time it was judged by.
    pub at: Timestamp,
}

/// What stood against a request.
#[derive(Clone, Debug)]
pub enum Objection<'a> {
    /// The sender is not proven.
    Unproven(Refusal),
    /// Anything else: what the sender was answered.
    Problem(&'a Problem),
}

/// An [`Objection`] as the operator is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Why {
    /// Stable machine-readable code.
    pub(crate) reason: &'static str,
    /// The same for people.
    pub(crate) detail: String,
}

/// Whether a request that was answered with this problem is kept for the operator:
/// not when the station is to blame, or when there is no webhook.
#[must_use]
pub fn is_kept(problem: &Problem) -> bool {
    matches!(
        problem.code,
        "unauthenticated"
            | "method_not_allowed"
            | "webhook_inactive"
            | "loop"
            | "body_too_large"
            | "unsupported_encoding"
    )
}

impl Judged<'_> {
    /// What the operator is told, of a request that is kept as of one that is
    /// explained: the one place where a refusal becomes words.
    pub(crate) fn why(&self, objection: Objection<'_>) -> Why {
        let (reason, detail) = match objection {
            Objection::Unproven(refusal) => {
                let refusal = if self.body_was_read {
                    providers::diagnose(self.webhook, self.inbound, self.at, refusal)
                } else {
                    refusal
                };
                (refusal.code(), refusal.to_string())
            }
            Objection::Problem(problem) => (problem.code, problem.detail.clone()),
        };
        Why { reason, detail }
    }

    /// The request as it is kept.
    #[must_use]
    pub fn refused(&self, objection: Objection<'_>) -> Refused {
        #[derive(Serialize)]
        struct Shown<'a> {
            at: String,
            reason: &'a str,
            detail: &'a str,
            method: &'a str,
            #[serde(serialize_with = "fields")]
            headers: &'a Headers,
            body_bytes: Option<usize>,
            body_sha256: Option<String>,
        }
        fn fields<S: Serializer>(headers: &Headers, to: S) -> Result<S::Ok, S::Error> {
            to.collect_map(headers.iter())
        }
        let Why { reason, detail } = self.why(objection);
        let (webhook, inbound) = (self.webhook, self.inbound);
        let body = self.body_was_read.then_some(inbound.body.as_slice());
        let shown = Shown {
            at: self.at.to_rfc3339(),
            reason,
            detail: clip(&detail, MOST_OF_DETAIL),
            method: &redact::text(webhook, &inbound.method, MOST_OF_METHOD),
            headers: &redact::headers(webhook, &inbound.headers),
            body_bytes: body.map(<[u8]>::len),
            body_sha256: body.map(|body| signature::encode(Encoding::Hex, &sha256(body))),
        };
        Refused {
            at: self.at,
            // Strings, numbers and maps with text keys always serialise.
            json: serde_json::to_string(&shown).unwrap_or_default(),
        }
    }
}

/// The beginning of a text, so many bytes at most.
fn clip(text: &str, most: usize) -> &str {
    text.split_at_checked(text.floor_char_boundary(most))
        .map_or("", |(start, _)| start)
}

/// Adds what has come, in the order it came, to what is kept, newest first. Several
/// isolates write in turn, so that what comes may be older than what is kept.
pub fn add_newest(kept: &mut Vec<Refused>, come: Vec<Refused>) {
    for one in come {
        let place = kept.iter().position(|known| known.at <= one.at);
        kept.insert(place.unwrap_or(kept.len()), one);
    }
    kept.truncate(MOST);
}

/// The body of `GET /webhooks/{id}/refusals`.
#[must_use]
pub fn to_json(refusals: &[Refused]) -> String {
    let shown: Vec<&str> = refusals.iter().map(|one| one.json.as_str()).collect();
    ["{\"data\":[", &shown.join(","), "],\"next_cursor\":null}"].concat()
}
