//! From an authentic request to events: split, described, filtered, named, and cut
//! out of the batch with the header fields that belong to each.
//!
//! Strange is no reason to lose it: an authentic body that cannot be read is one
//! event, named by its bytes.

use super::{Intake, reply};
use crate::{
    event::{DedupeKey, NewEvent, Summary},
    filter,
    headers::Headers,
    inbound::Inbound,
    providers::{self, Authentic, Facts, Identity, Proof, Split, Unsigned},
    signature::{sha256, sha256_of_parts},
    time::Timestamp,
    webhook::Webhook,
};
use std::borrow::Cow;

/// Fields that tell of the whole body's bytes, and are wrong of a part.
const OF_THE_WHOLE_BODY: [&str; 4] = ["digest", "content-md5", "content-digest", "repr-digest"];

/// What a list shows is bounded, in characters, so that a row always fits the
/// database beside its body. Identities are hashed whole.
const MOST_SHOWN: usize = 200;
const MOST_SHOWN_OF_DESCRIPTION: usize = 1_000;

/// The events of a proven request. With `dropped`, those are among them that the
/// filters drop, and `dropped` says which they are.
pub(super) fn take_in(
    authentic: &Authentic<'_>,
    now: Timestamp,
    mut dropped: Option<&mut Vec<usize>>,
) -> Intake {
    let (webhook, inbound) = (authentic.webhook(), authentic.inbound());
    let content = inbound.content();
    let mut intake = Intake {
        events: Vec::new(),
        filtered: 0,
        reply: reply(webhook),
    };
    let describe = |content: &[u8]| {
        providers::facts(authentic.provider(), &webhook.settings, inbound, content)
    };
    // Of a form what it says: a multipart body is framed anew at every try.
    let said = |content: &[u8]| sha256(&authentic.provider().document(inbound, content));
    let mut take = |facts: Facts, content: &[u8], whole: &[u8], relayed: &dyn Fn() -> Relayed| {
        if !filter::passes(webhook, &facts) {
            intake.filtered = intake.filtered.saturating_add(1);
            let Some(dropped) = &mut dropped else { return };
            dropped.push(intake.events.len());
        }
        let body_sha256 = said(content);
        let key = dedupe_key(webhook, inbound, &facts, body_sha256, &|| said(whole));
        intake
            .events
            .push(new_event(key, body_sha256, facts, relayed()));
    };
    match authentic.provider().split(&webhook.settings, content) {
        Split::Whole => take(describe(content), content, content, &|| as_it_came(inbound)),
        Split::Ping => {
            let ping = Facts {
                test: true,
                ..Facts::named_by(Identity::Bytes)
            };
            take(ping, content, content, &|| as_it_came(inbound));
        }
        Split::Elements {
            before,
            elements,
            after,
        } => {
            let is_alone = elements.len() == 1;
            for element in elements {
                if is_alone {
                    take(describe(element), element, content, &|| as_it_came(inbound));
                    continue;
                }
                let whole = [before, element, after].concat();
                take(describe(element), element, &whole, &|| {
                    cut_out(authentic, whole.clone(), now)
                });
            }
        }
    }
    intake
}

/// The bytes that are relayed of one event, and the header fields that differ.
struct Relayed {
    body: Vec<u8>,
    header_changes: Vec<(String, Option<String>)>,
}

fn as_it_came(inbound: &Inbound) -> Relayed {
    Relayed {
        body: inbound.body.clone(),
        header_changes: Vec::new(),
    }
}

/// One element of several in the batch's envelope, signed again where the
/// provider signs bodies, so that a handler written for it keeps working.
fn cut_out(authentic: &Authentic<'_>, body: Vec<u8>, now: Timestamp) -> Relayed {
    let inbound = authentic.inbound();
    let is_present = |name: &&str| inbound.headers.get(name).is_some();
    let mut header_changes: Vec<_> = OF_THE_WHOLE_BODY
        .iter()
        .copied()
        // What was cut out is not compressed.
        .chain(inbound.decoded.is_some().then_some("content-encoding"))
        .filter(is_present)
        .map(|name| (name.to_owned(), None))
        .collect();
    let (provider, settings) = (authentic.provider(), &authentic.webhook().settings);
    // A token vouches for a part as for the whole.
    if provider.proof(settings) != Proof::Token {
        let request = Unsigned {
            body: &body,
            ..Unsigned::from(inbound)
        };
        let signed = provider.sign(request, authentic.secret(), settings, now);
        let fields = signed.iter().flat_map(Headers::iter);
        header_changes
            .extend(fields.map(|(name, value)| (name.to_owned(), Some(value.to_owned()))));
    }
    Relayed {
        body,
        header_changes,
    }
}

fn new_event(key: DedupeKey, body_sha256: [u8; 32], facts: Facts, relayed: Relayed) -> NewEvent {
    let shown = |text: Option<String>| text.map(|text| clip(text, MOST_SHOWN));
    let summary = facts.summary;
    NewEvent {
        key,
        body_sha256,
        name: shown(facts.name),
        object_id: shown(facts.object_id),
        summary: Summary {
            bank: shown(summary.bank),
            account: shown(summary.account),
            direction: summary.direction,
            // A number that is cut off is another number.
            amount: summary.amount.filter(|text| text.len() <= MOST_SHOWN),
            transaction_id: shown(summary.transaction_id),
            description: summary
                .description
                .map(|text| clip(text, MOST_SHOWN_OF_DESCRIPTION)),
            occurred_at: summary.occurred_at,
            payer: shown(summary.payer),
            payer_account: shown(summary.payer_account),
            currency: shown(summary.currency),
        },
        test: facts.test,
        body: relayed.body,
        header_changes: relayed.header_changes,
    }
}

fn clip(mut text: String, most: usize) -> String {
    if let Some((at, _)) = text.char_indices().nth(most) {
        text.truncate(at);
    }
    text
}

/// What makes it the same event. Two events have the same key exactly when
/// provider, webhook and identity are the same: each part stands behind its length,
/// and what kind of identity it is, is a part of it.
///
/// Signatures and times are never part of it: they change from one try to the next.
///
/// `said` is the hash of the element, and `relayed` makes that of the element in its
/// envelope, as it is relayed.
fn dedupe_key(
    webhook: &Webhook,
    inbound: &Inbound,
    facts: &Facts,
    said: [u8; 32],
    relayed: &dyn Fn() -> [u8; 32],
) -> DedupeKey {
    let request = || request_line(inbound);
    let (kind, id, of): (&str, Cow<'_, str>, &[u8]) = match &facts.identity {
        // All test calls have the same id; only identical ones are the same.
        _ if facts.test => ("test", request(), &said),
        Identity::Proven(id) => ("id", id.into(), &[]),
        // Combined, a forged id can neither block another event nor pass for it.
        Identity::Unproven(id) => ("unsigned id", id.into(), &said),
        Identity::Bytes if inbound.content().is_empty() => ("nonce", "".into(), &inbound.nonce),
        Identity::Bytes => ("bytes", request(), &relayed()),
    };
    sha256_of_parts(&[
        b"tram dedupe key 1",
        webhook.provider.as_bytes(),
        webhook.id.bytes(),
        kind.as_bytes(),
        id.as_bytes(),
        of,
    ])
}

/// What is relayed of a request besides its body and header fields, as one text. That of
/// a POST without a query is empty, so that the keys of the usual request stay those of
/// the time before method and query counted.
fn request_line(inbound: &Inbound) -> Cow<'_, str> {
    if inbound.method == "POST" && inbound.query.is_empty() {
        return Cow::Borrowed("");
    }
    // A method holds no blank.
    Cow::Owned([inbound.method.as_str(), " ", &inbound.query].concat())
}
