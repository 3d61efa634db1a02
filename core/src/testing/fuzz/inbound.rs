//! Whole requests, rightly signed, and what becomes of them.

use super::{
    line,
    proof::{AT, OTHER_SECRET, SECRET, Stamp, prove, request, settings, time, webhook},
    text_line,
};
use crate::{
    canonical_json::{Canonical, Notation},
    event::{Envelope, NewEvent},
    inbound::Inbound,
    json::Json,
    messages::Accept,
    providers::{self, MOST_ELEMENTS, Provider},
    receive::{self, Intake},
    secret::Secret,
    signature::{encode, keyed_hash, sha256},
    time::Timestamp,
    webhook::{Algorithm, Encoding, Settings, Webhook},
};

/// Events of a batch that are looked at one by one.
const LOOKED_AT: usize = 3;

/// The provider in the first line, its settings as JSON in the second (the usual
/// ones when they are not sound), header fields up to an empty line, then the
/// body (for payOS, its `data`). `id: …` among the fields is the message's id where
/// one is signed, and `content-encoding: …` says that the body came compressed.
pub fn inbound(data: &[u8]) {
    let (name, rest) = text_line(data);
    let Some(provider) = providers::find(name.trim()).or_else(|| any(data)) else {
        return;
    };
    let name = provider.about().id;
    let (given, rest) = line(rest);
    let given = serde_json::from_slice::<Settings>(given).ok();
    let secrets = [Secret::new(SECRET.to_owned())];
    let given = given
        .filter(|given| providers::settings::check(provider, given, &secrets, &[]).is_empty())
        .filter(|given| {
            let answer = given.answer.as_ref();
            answer.is_none_or(|answer| (200..300).contains(&answer.status))
        })
        .filter(|given| *given != Settings::default());
    let is_usual = given.is_none();
    let settings = given.unwrap_or_else(|| settings(name));
    let (fields, body) = head(rest);
    let Some(request) = signed(provider, &settings, &fields, body) else {
        let unsigned = self::request(&fields, body);
        assert!(taken(name, &settings, &unsigned, SECRET, AT).is_none());
        return;
    };
    let webhook = webhook(name, settings, SECRET);
    let Some(intake) = take(&webhook, &request.inbound, AT) else {
        // Fields that settings name twice overwrite one another.
        assert!(!is_usual, "{name} is not proven by what was signed");
        return;
    };
    let again = take(&webhook, &request.inbound, AT);
    assert_eq!(
        again.as_ref(),
        Some(&intake),
        "another answer the second time"
    );
    sound(&webhook, &request.inbound, &intake);
    unproven(provider, &webhook, &request, is_usual, data);
}

/// A provider for inputs that name none.
fn any(data: &[u8]) -> Option<&'static dyn Provider> {
    let at = usize::from(*data.first()?).checked_rem(providers::ALL.len())?;
    providers::ALL.get(at).copied()
}

fn head(mut rest: &[u8]) -> (Vec<(String, String)>, &[u8]) {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (text, after) = text_line(rest);
        rest = after;
        if text.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = text.split_once(':') {
            fields.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    (fields, rest)
}

/// Whether this webhook, one of whose secrets is [`SECRET`], takes what its provider
/// would have signed with that.
#[cfg(test)]
pub(crate) fn proves(webhook: &Webhook) -> bool {
    let provider = providers::find(&webhook.provider).expect("the provider is in the table");
    let body = br#"{"id":"7","data":[{"id":"7"}],"amount":5000}"#;
    let request = signed(provider, &webhook.settings, &[], body);
    request.is_some_and(|request| take(webhook, &request.inbound, AT).is_some())
}

struct Signed {
    inbound: Inbound,
    /// Whether the proof covers the body.
    of_body: bool,
}

/// The request that a provider would have made; `None` when it could not.
fn signed(
    provider: &dyn Provider,
    settings: &Settings,
    fields: &[(String, String)],
    body: &[u8],
) -> Option<Signed> {
    let name = provider.about().id;
    let mut inbound = request(fields, body);
    if inbound.headers.get("content-encoding").is_some() {
        inbound.decoded = Some(body.to_vec());
        inbound.body.reverse();
    }
    if name == "payos" {
        let body = with_signature(body)?;
        inbound.body.clone_from(&body);
        inbound.decoded = inbound.decoded.map(|_| body);
        return Some(Signed {
            inbound,
            of_body: true,
        });
    }
    let id = inbound.headers.get("id").unwrap_or_default().to_owned();
    let stamp = Stamp {
        time: &time(name, settings, AT),
        id: if id.is_empty() { "msg_7" } else { &id },
    };
    // What is signed is what came, but where it is the meaning.
    let signed = if name == "casso-v2" {
        inbound.content()
    } else {
        &inbound.body
    };
    let proof = prove(name, settings, &stamp, signed)?;
    for (name, value) in &proof.fields {
        inbound.headers.set(name, value.clone());
    }
    Some(Signed {
        inbound,
        of_body: proof.of_body,
    })
}

/// payOS's envelope around `data`.
fn with_signature(data: &[u8]) -> Option<Vec<u8>> {
    let data = Json::parse(data)?;
    let mut pairs = Vec::new();
    for (name, value) in data.object()?.sorted()? {
        let text = match value.exact_text() {
            _ if value.is_null() => String::new(),
            Some(word) if word == "null" || word == "undefined" => String::new(),
            Some(word) => word,
            None => Canonical::of(value).ok()?.written(Notation::JAVASCRIPT),
        };
        pairs.push([&name, "=", &text].concat());
    }
    let signed = pairs.join("&");
    let mac = keyed_hash(Algorithm::Sha256, SECRET.as_bytes(), &[signed.as_bytes()])?;
    let signature = encode(Encoding::Hex, &mac);
    let data = data.verbatim();
    Some(format!(r#"{{"code":"00","data":{data},"signature":"{signature}"}}"#).into_bytes())
}

fn take(webhook: &Webhook, inbound: &Inbound, at: i64) -> Option<Intake> {
    receive::receive(webhook, inbound, Timestamp::from_seconds(at)).ok()
}

fn taken(
    name: &str,
    settings: &Settings,
    inbound: &Inbound,
    secret: &str,
    at: i64,
) -> Option<Intake> {
    take(&webhook(name, settings.clone(), secret), inbound, at)
}

/// What holds of everything that is taken.
fn sound(webhook: &Webhook, inbound: &Inbound, intake: &Intake) {
    assert!((200..300).contains(&intake.reply.status));
    assert_eq!(intake.filtered, 0, "filtered without a filter");
    assert!((1..=MOST_ELEMENTS).contains(&intake.events.len()));
    for event in &intake.events {
        fits_a_row(event);
    }
    match intake.events.as_slice() {
        [only] => {
            assert_eq!(only.body, inbound.body, "the body was changed");
            assert!(only.header_changes.is_empty());
        }
        events => {
            for event in events.iter().take(LOOKED_AT).chain(events.last()) {
                alone(webhook, inbound, event);
            }
        }
    }
    let accept = Accept {
        config_version: 1,
        envelope: Envelope {
            method: inbound.method.clone(),
            query: inbound.query.clone(),
            headers: inbound.headers.clone(),
        },
        events: intake.events.clone(),
    };
    let bytes = accept.to_bytes().expect("what was taken can be sent on");
    assert_eq!(Accept::from_bytes(&bytes), Ok(accept));
}

/// What a list shows is short, and amounts and times are in their form.
fn fits_a_row(event: &NewEvent) {
    let summary = &event.summary;
    for text in [
        &event.name,
        &event.object_id,
        &summary.bank,
        &summary.account,
        &summary.amount,
        &summary.transaction_id,
    ]
    .into_iter()
    .flatten()
    {
        assert!(text.chars().count() <= 200, "{text}");
    }
    let description = summary.description.as_deref().unwrap_or_default();
    assert!(description.chars().count() <= 1_000);
    if let Some(amount) = &summary.amount {
        let is_digit = |letter: char| letter.is_ascii_digit() || letter == '.';
        assert!(amount.starts_with(|letter: char| letter.is_ascii_digit()));
        assert!(amount.chars().all(is_digit), "{amount}");
        assert!(amount.matches('.').count() <= 1, "{amount}");
    }
    if let Some(at) = &summary.occurred_at {
        let is_positive = !at.starts_with('-') && !at.starts_with('+');
        let is_year = at.split('-').next().is_some_and(|year| year.len() == 4);
        let read = Timestamp::parse_rfc3339(at);
        assert!(read.is_some() || !is_positive || !is_year, "{at}");
    }
}

/// The same element alone, as it is relayed, is proven and is the same event.
fn alone(webhook: &Webhook, inbound: &Inbound, event: &NewEvent) {
    let mut cut = inbound.clone();
    cut.body.clone_from(&event.body);
    cut.decoded = None;
    for (name, value) in &event.header_changes {
        match value {
            Some(value) => cut.headers.set(name, value.clone()),
            None => cut.headers.remove(name),
        }
    }
    for (name, _) in cut.headers.iter() {
        let of_the_whole = ["digest", "content-md5", "content-digest", "repr-digest"];
        let of_the_coding = inbound.decoded.is_some() && name == "content-encoding";
        assert!(!of_the_whole.contains(&name) && !of_the_coding, "{name}");
    }
    let intake = take(webhook, &cut, AT).expect("what was cut out is signed anew");
    let [only] = intake.events.as_slice() else {
        panic!("what was cut out is {} events", intake.events.len());
    };
    let relayed = NewEvent {
        header_changes: event.header_changes.clone(),
        ..only.clone()
    };
    assert_eq!(&relayed, event, "alone it is another event");
}

/// What is not what was signed, or not signed at all, is refused.
fn unproven(
    provider: &dyn Provider,
    webhook: &Webhook,
    request: &Signed,
    is_usual: bool,
    data: &[u8],
) {
    let name = provider.about().id;
    let settings = &webhook.settings;
    let inbound = &request.inbound;
    let other = taken(name, settings, inbound, OTHER_SECRET, AT);
    assert!(other.is_none(), "{name} is proven by another secret");
    if name != "payos" {
        let mut stripped = inbound.clone();
        for field in providers::credential_headers(provider, settings) {
            stripped.headers.remove(&field);
        }
        assert!(take(webhook, &stripped, AT).is_none(), "{name} unsigned");
    }
    if is_usual && provider.about().tolerance_seconds == Some(300) {
        for (seconds, fresh) in [(-301, false), (-300, true), (300, true), (301, false)] {
            let at = AT.saturating_add(seconds);
            assert_eq!(take(webhook, inbound, at).is_some(), fresh, "{name}");
        }
    }
    if !request.of_body || inbound.decoded.is_some() {
        return;
    }
    let altered = Inbound {
        body: flipped(&inbound.body, data),
        ..inbound.clone()
    };
    if altered.body != inbound.body && take(webhook, &altered, AT).is_some() {
        // Where the meaning is signed, it has to be the same.
        let said = provider.document(inbound, &inbound.body);
        let says_the_same = said == provider.document(&altered, &altered.body);
        let of_meaning = matches!(name, "casso-v2" | "payos");
        assert!(of_meaning && says_the_same, "{name} is proven when altered");
    }
}

/// One bit is another, somewhere.
fn flipped(body: &[u8], data: &[u8]) -> Vec<u8> {
    let [high, low, bit, ..] = sha256(data);
    let place = usize::from(u16::from_be_bytes([high, low]));
    let place = place.checked_rem(body.len()).unwrap_or_default();
    let mut flipped = body.to_vec();
    if let Some(byte) = flipped.get_mut(place) {
        *byte ^= 1_u8 << (bit & 7);
    }
    flipped
}
