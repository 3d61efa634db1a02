//! What would become of a request, told to the operator: whether it is authentic, the
//! events it holds and the answer to it, or why it would be refused. Nothing is stored
//! and nothing relayed, and no secret or expected signature is ever shown.
//!
//! Out of scope: whether an event was seen before, which only its Mailbox knows.

mod input;
#[cfg(test)]
mod tests;

pub use input::{Question, read};

use crate::{
    event::Summary,
    own_json,
    receive::{self, Intake},
    refusals::{Judged, Objection, Why},
    webhook::Webhook,
};
use serde::Serialize;

/// What is said of a request that is authentic.
#[derive(Serialize)]
struct Taken<'a> {
    authentic: bool,
    outcome: &'static str,
    events: Vec<Told<'a>>,
    answer: Answer<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

#[derive(Serialize)]
struct Told<'a> {
    event: Option<&'a str>,
    object_id: Option<&'a str>,
    test: bool,
    filtered: bool,
    #[serde(serialize_with = "shown")]
    summary: &'a Summary,
}

#[derive(Serialize)]
struct Answer<'a> {
    status: u16,
    body: &'a str,
}

fn shown<S: serde::Serializer>(summary: &&Summary, to: S) -> Result<S::Ok, S::Error> {
    summary.shown(to)
}

/// What is said of one that is not, or is refused before that is looked at.
#[derive(Serialize)]
struct NotTaken<'a> {
    authentic: bool,
    reason: &'static str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

/// The body of the answer to `POST /webhooks/{id}/explain`. `limit` is how many bytes
/// of a body the station takes.
#[must_use]
pub fn explain(webhook: &Webhook, question: &Question, limit: usize) -> String {
    let judged = Judged {
        webhook,
        inbound: &question.inbound,
        body_was_read: true,
        at: question.at,
    };
    let codings = receive::codings(&question.inbound.headers).unwrap_or_default();
    let note = (!codings.is_empty()).then_some(
        "The body is judged as it stands here. What was compressed is also read decoded when it \
         is received: leave content-encoding out and send the body decoded to see that.",
    );
    let mut dropped = Vec::new();
    let written = match judge(&judged, limit, &mut dropped) {
        Ok(intake) => own_json::write(&Taken {
            authentic: true,
            outcome: outcome(&intake, &dropped),
            events: told(&intake, &dropped),
            answer: Answer {
                status: intake.reply.status,
                body: &intake.reply.body,
            },
            note,
        }),
        Err(why) => own_json::write(&NotTaken {
            authentic: false,
            reason: why.reason,
            detail: &why.detail,
            note,
        }),
    };
    // Strings, numbers and lists of them always serialise.
    written.unwrap_or_default()
}

/// The checks in the order in which a request that is received meets them.
fn judge(judged: &Judged<'_>, limit: usize, dropped: &mut Vec<usize>) -> Result<Intake, Why> {
    let Judged {
        webhook, inbound, ..
    } = judged;
    if receive::is_probe(webhook, &inbound.method, &inbound.query) {
        return Err(Why {
            reason: "probe",
            detail: "It only asks whether somebody is there, and is answered with 200: nothing \
                     is stored or relayed."
                .to_owned(),
        });
    }
    let checked = receive::precheck(webhook, &inbound.method, &inbound.headers);
    let fits = inbound.body.len() <= limit;
    checked
        .and_then(|()| {
            fits.then_some(())
                .ok_or_else(|| receive::body_too_large(limit))
        })
        .and_then(|()| receive::codings(&inbound.headers).map(drop))
        .map_err(|problem| judged.why(Objection::Problem(&problem)))?;
    receive::judge(webhook, inbound, judged.at, Some(dropped))
        .map_err(|refusal| judged.why(Objection::Unproven(refusal)))
}

fn told<'a>(intake: &'a Intake, dropped: &[usize]) -> Vec<Told<'a>> {
    let events = intake.events.iter().enumerate();
    events
        .map(|(at, event)| Told {
            event: event.name.as_deref(),
            object_id: event.object_id.as_deref(),
            test: event.test,
            filtered: dropped.contains(&at),
            summary: &event.summary,
        })
        .collect()
}

/// What `x-tram-outcome` would say if none of them had come before. A test call is
/// never dropped.
fn outcome(intake: &Intake, dropped: &[usize]) -> &'static str {
    let tests = intake.events.iter().filter(|event| event.test).count();
    if intake.events.len() > dropped.len().saturating_add(tests) {
        "accepted"
    } else if dropped.is_empty() {
        "test"
    } else {
        "filtered"
    }
}
