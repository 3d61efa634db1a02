//! What is done with a request to `/in/{webhook_id}`, once its webhook is known:
//! the order of the checks, the events it becomes, the words it is answered with.
//!
//! Out of scope: storing (the Mailbox), and the HTTP around it (the edge).

mod encoding;
mod intake;
mod parts;
mod sample;
#[cfg(test)]
mod tests;

pub use encoding::{Coding, codings, unsupported_encoding};
pub use parts::{Part, Parts};
pub use sample::sample;

use crate::{
    event::NewEvent,
    headers::Headers,
    ids::{EventId, WebhookId},
    inbound::{Inbound, Refusal},
    json::Json,
    mailbox::stats::Tally,
    messages::Taken,
    problem::Problem,
    providers::{self, Proof},
    refusals,
    time::Timestamp,
    webhook::Webhook,
};

/// The header field in which a request carries how many stations it has passed.
pub const HOPS: &str = "x-tram-hops";
/// The header field that names the webhook that a request was relayed by.
pub const RELAYED_BY: &str = "x-tram-webhook";
/// The header field that names the webhooks before that one, with commas between.
pub const RELAYED_BEFORE: &str = "x-tram-via";

/// A request that has passed through so many stations goes round in circles.
const MOST_HOPS: u32 = 3;

/// How many event ids an answer names.
const MOST_IDS: usize = 20;

/// An answer to the sender that is not a problem.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// `content-type`; empty for none.
    pub content_type: String,
    /// The body.
    pub body: String,
}

/// An authentic request, ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intake {
    /// The events to store: new ones, duplicates and tests alike.
    pub events: Vec<NewEvent>,
    /// How many elements the webhook's filters dropped.
    pub filtered: usize,
    /// The provider's success answer.
    pub reply: Reply,
}

/// The methods that the webhook's provider uses.
#[must_use]
pub fn methods(webhook: &Webhook) -> &'static [&'static str] {
    providers::find(&webhook.provider).map_or(&["POST"], |provider| provider.about().methods)
}

/// The webhook that an address names: `segment` is what follows `/in/` in the path. A
/// slash behind the id and escaped letters (RFC 3986, section 2.4: escaping what need not
/// be escaped changes nothing) make no other address.
#[must_use]
pub fn addressed(segment: &str) -> Option<WebhookId> {
    let id = segment.strip_suffix('/').unwrap_or(segment);
    let unescaped = percent_encoding::percent_decode_str(id).decode_utf8();
    WebhookId::parse(&unescaped.ok()?)
}

/// Whether this only asks if somebody is there: people's browsers and providers try an
/// address so before it is saved. It is answered with [`probed`]; nothing is stored or
/// relayed.
#[must_use]
pub fn is_probe(webhook: &Webhook, method: &str, query: &str) -> bool {
    let asks = matches!(method, "HEAD" | "OPTIONS") || method == "GET" && query.is_empty();
    asks && !methods(webhook).contains(&method)
}

/// The answer to a probe.
#[must_use]
pub const fn probed() -> Reply {
    Reply {
        status: 200,
        content_type: String::new(),
        body: String::new(),
    }
}

/// What `x-tram-outcome` says of a probe.
pub const HANDSHAKE: &str = "handshake";

/// Whether what is behind the `content-encoding` is to be read: the sender is proven by
/// what came, or may be by what is behind it. What is refused whatever is behind it is not
/// unpacked.
#[must_use]
pub fn wants_decoded(webhook: &Webhook, inbound: &Inbound, now: Timestamp) -> bool {
    let Some(provider) = providers::find(&webhook.provider) else {
        return false;
    };
    let settings = &webhook.settings;
    match (
        providers::authenticate(webhook, inbound, now).err(),
        provider.proof(settings),
    ) {
        (None, _) => true,
        (Some(Refusal::WrongSecretOrAlteredBody), Proof::Bytes) => provider.proves_body(settings),
        (Some(Refusal::NotJson(_)), Proof::Meaning) => true,
        _ => false,
    }
}

/// Checks that need no body: method, switched off, loop.
///
/// # Errors
/// The problem to answer with.
pub fn precheck(webhook: &Webhook, method: &str, headers: &Headers) -> Result<(), Problem> {
    let methods = methods(webhook);
    if !methods.contains(&method) {
        return Err(Problem::method_not_allowed(methods));
    }
    if !webhook.is_active {
        return Err(Problem::new(
            503,
            "webhook_inactive",
            "This webhook is switched off",
            "Nothing was taken. Switch the webhook on, then the sender's next try will be.",
        )
        .with_header("retry-after", "60"));
    }
    let comes_back = relayed_by(headers).any(|id| id == webhook.id);
    if comes_back || hops(headers) >= MOST_HOPS {
        let why = if comes_back {
            "This webhook has relayed it before".to_owned()
        } else {
            format!("It has passed through {MOST_HOPS} stations already")
        };
        return Err(Problem::new(
            508,
            "loop",
            "This request goes round in circles",
            format!("{why}. Look for a destination that is, or leads back to, this ingest URL."),
        ));
    }
    Ok(())
}

/// The webhooks that say they have relayed a request, the last one first; no more than
/// it may have passed. Whoever forges them is refused, and nobody else.
pub(crate) fn relayed_by(headers: &Headers) -> impl Iterator<Item = WebhookId> {
    [RELAYED_BY, RELAYED_BEFORE]
        .into_iter()
        .filter_map(|name| headers.get(name))
        .flat_map(|ids| ids.split(','))
        .take(MOST_HOPS as usize)
        .filter_map(|id| WebhookId::parse(id.trim()))
}

/// How many stations a request has passed. What cannot be read counts as too many.
#[must_use]
pub fn hops(headers: &Headers) -> u32 {
    headers.get(HOPS).map_or(0, |text| {
        let text = text.trim();
        let is_number = text.bytes().all(|letter| letter.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_number);
        number.unwrap_or(MOST_HOPS)
    })
}

/// Bytes of a body that are taken when nothing else is set.
const USUAL_BODY_BYTES: usize = 1_048_576;
/// The most that may be set: a row holds less than 2 MB.
pub const MOST_BODY_BYTES: usize = 1_572_864;

/// How many bytes of a body are taken: the variable `MAX_BODY_BYTES`, at most
/// 1.5 MiB; 1 MiB when it is not set or not a whole number.
#[must_use]
pub fn max_body_bytes(variable: Option<&str>) -> usize {
    variable
        .and_then(|text| text.trim().parse().ok())
        .map_or(USUAL_BODY_BYTES, |bytes: usize| bytes.min(MOST_BODY_BYTES))
}

/// 413: the body is longer than `limit` bytes.
#[must_use]
pub fn body_too_large(limit: usize) -> Problem {
    Problem::new(
        413,
        "body_too_large",
        "The body is too large",
        format!("At most {limit} bytes are taken (variable MAX_BODY_BYTES)."),
    )
}

/// 413: there is more than `limit` bytes behind the `content-encoding`.
#[must_use]
pub fn body_unpacks_too_large(limit: usize) -> Problem {
    Problem {
        detail: format!(
            "At most {limit} bytes are taken (variable MAX_BODY_BYTES), also of what is behind \
             its content-encoding."
        ),
        ..body_too_large(limit)
    }
}

/// 401, the same for every [`Refusal`]: the sender learns nothing of what was wrong.
#[must_use]
pub fn unauthenticated() -> Problem {
    Problem::new(
        401,
        "unauthenticated",
        "The sender is not proven",
        "The credential or signature of this request could not be verified.",
    )
}

/// Proves the sender and names the events.
///
/// # Errors
/// Why the request is not taken for authentic; the sender only ever hears 401.
pub fn receive(webhook: &Webhook, inbound: &Inbound, now: Timestamp) -> Result<Intake, Refusal> {
    judge(webhook, inbound, now, None)
}

/// The same, with `dropped` for an operator who asks about the request: then the events
/// are all that it holds, and `dropped` says which of them the filters drop.
///
/// # Errors
/// Why the request is not taken for authentic.
pub(crate) fn judge(
    webhook: &Webhook,
    inbound: &Inbound,
    now: Timestamp,
    dropped: Option<&mut Vec<usize>>,
) -> Result<Intake, Refusal> {
    let authentic = providers::authenticate(webhook, inbound, now)?;
    Ok(intake::take_in(&authentic, now, dropped))
}

/// The provider's success answer, or the operator's own.
#[must_use]
pub fn reply(webhook: &Webhook) -> Reply {
    if let Some(answer) = &webhook.settings.answer {
        let content_type = match answer.body.as_bytes() {
            [] => "",
            body if Json::parse(body).is_some() => "application/json",
            _ => "text/plain; charset=utf-8",
        };
        return Reply {
            status: answer.status,
            content_type: content_type.to_owned(),
            body: answer.body.clone(),
        };
    }
    providers::find(&webhook.provider).map_or_else(
        || Reply {
            status: 200,
            content_type: String::new(),
            body: String::new(),
        },
        |provider| {
            let answer = provider.about().answer;
            Reply {
                status: answer.status,
                content_type: answer.content_type.to_owned(),
                body: answer.body.to_owned(),
            }
        },
    )
}

/// What `x-tram-outcome` says of an authentic request: of what became of its
/// elements the first in the order `accepted`, `duplicate`, `filtered`, `test`.
#[must_use]
pub fn outcome(filtered: usize, taken: &[Taken]) -> &'static str {
    let any = |is: fn(&Taken) -> bool| taken.iter().any(is);
    if any(|one| matches!(one, Taken::New(_))) {
        "accepted"
    } else if any(|one| matches!(one, Taken::Duplicate { .. })) {
        "duplicate"
    } else if filtered > 0 {
        "filtered"
    } else {
        "test"
    }
}

/// What `x-tram-outcome` says of a request that was answered with a problem.
#[must_use]
pub fn outcome_of_refused(problem: &Problem) -> &'static str {
    if problem.code == "try_again" {
        "unavailable"
    } else {
        "refused"
    }
}

/// What an authentic request adds to the figures besides its events.
#[must_use]
pub fn tally(filtered: usize, taken: &[Taken]) -> Tally {
    let again = |one: &&Taken| matches!(one, Taken::Duplicate { .. });
    Tally {
        refused: 0,
        duplicate: u32::try_from(taken.iter().filter(again).count()).unwrap_or(u32::MAX),
        filtered: u32::try_from(filtered).unwrap_or(u32::MAX),
    }
}

/// What a request that was answered with a problem adds to the figures.
#[must_use]
pub fn tally_of_refused(problem: &Problem) -> Tally {
    Tally {
        refused: u32::from(refusals::is_kept(problem)),
        ..Tally::default()
    }
}

/// The events that are on their way because of this request.
pub fn set_out(taken: &[Taken]) -> impl Iterator<Item = EventId> {
    taken.iter().filter_map(|one| match one {
        Taken::New(id) | Taken::Test(Some(id)) => Some(*id),
        Taken::Test(None) | Taken::Duplicate { .. } => None,
    })
}

/// What `x-tram-event-id` says: the events that are on their way because of this
/// request, the first 20. `None` when there are none.
#[must_use]
pub fn event_ids_header(taken: &[Taken]) -> Option<String> {
    let ids: Vec<String> = set_out(taken)
        .take(MOST_IDS)
        .map(|id| id.to_string())
        .collect();
    (!ids.is_empty()).then(|| ids.join(","))
}
