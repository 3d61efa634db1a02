//! Any sender that the table does not know: a token or a keyed hash in a header,
//! described by settings.
//!
//! What names its events, and where a batch is split, stands in the settings
//! `event_id`, `event_name` and `items`; where they are absent, the body's bytes
//! name the one event.
//!
//! Out of scope: signatures and times that share one header (`t=…,v1=…`), signatures
//! inside the body, and asymmetric ones.

use super::{
    About, Facts, Identity, Proof, Provider, SUCCESS, SecretFrom, Split, Unsigned, guide,
    naming::{event_id_header, is_named_by},
    presented::{any_signature, header, malformed, prove, signed_bodies, unix_time},
    settings::mistake,
    template::{self, Piece},
    tolerance,
};
use crate::{
    headers::Headers,
    inbound::{Inbound, Refusal},
    problem::FieldError,
    secret::Secret,
    signature,
    time::Timestamp,
    webhook::{Algorithm, Encoding, Retry, Scheme, Settings, TimestampUnit},
};
use std::time::Duration;

static ABOUT: About = About {
    id: "custom",
    name: "Custom",
    setup: guide(
        "Paste the ingest URL at the sender. Say in the settings which header carries its \
            token or signature, how that is made, and where the event's id stands.",
    ),
    methods: &["POST", "PUT", "PATCH"],
    settings: &[
        "header",
        "scheme",
        "algorithm",
        "encoding",
        "prefix",
        "signed",
        "timestamp_header",
        "timestamp_unit",
        "tolerance_seconds",
        "url",
        "items",
    ],
    required_settings: &["header"],
    events: &[],
    same_events: &[],
    // Unknown; most senders end within three days.
    retry_window: Duration::from_secs(3 * 86_400),
    // Where a `timestamp_header` is set; without one there is no time to judge.
    tolerance_seconds: Some(300),
    whsec: false,
    secret_from: SecretFrom::Either,
    // The one that `header` names: see `credential_headers` in the table.
    credential_headers: &[],
    default_retry: Retry::default,
    answer: SUCCESS,
    documentation: guide(
        "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
    ),
};

/// The table's entry.
pub(super) static CUSTOM: Custom = Custom;

/// A sender described by settings.
pub(super) struct Custom;

fn scheme(settings: &Settings) -> Scheme {
    settings.scheme.unwrap_or(Scheme::Token)
}

fn encoding(settings: &Settings) -> Encoding {
    settings.encoding.unwrap_or(Encoding::Hex)
}

fn prefix(settings: &Settings) -> &str {
    settings.prefix.as_deref().unwrap_or_default()
}

fn pieces(settings: &Settings) -> Option<Vec<Piece<'_>>> {
    let template = settings.signed.as_deref();
    template::parse(template.unwrap_or(template::BODY_ALONE)).ok()
}

/// Whether a keyed hash covers this piece of the request.
fn signs(settings: &Settings, piece: Piece<'_>) -> bool {
    scheme(settings) == Scheme::Hmac
        && pieces(settings).is_some_and(|pieces| pieces.contains(&piece))
}

/// Whether this piece of what is signed differs from request to request.
const fn varies(settings: &Settings, piece: Piece<'_>) -> bool {
    match piece {
        Piece::Body | Piece::Timestamp | Piece::Id => true,
        Piece::Text(_) | Piece::Method => false,
        Piece::Url => settings.url.is_none(),
    }
}

/// The header that carries the proof.
fn proof_header(settings: &Settings) -> Result<&str, Refusal> {
    let named = settings.header.as_deref().filter(|name| !name.is_empty());
    named.ok_or_else(|| Refusal::MissingHeader("(the setting header is missing)".to_owned()))
}

/// A time as the sender writes it.
const fn read_time(time: i64, settings: &Settings) -> Timestamp {
    match settings.timestamp_unit {
        Some(TimestampUnit::Milliseconds) => Timestamp::from_millis(time),
        Some(TimestampUnit::Seconds) | None => Timestamp::from_seconds(time),
    }
}

/// The keyed hash that the sender would have made of this request.
fn keyed_hash(
    request: Unsigned<'_>,
    secret: &Secret,
    settings: &Settings,
) -> Result<Vec<u8>, Refusal> {
    let pieces = pieces(settings)
        .ok_or_else(|| malformed("(the setting signed)", "it has to be corrected"))?;
    let mut signed: Vec<&[u8]> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        signed.push(match piece {
            Piece::Text(text) => text.as_bytes(),
            Piece::Body => request.body,
            Piece::Timestamp => {
                let name = settings.timestamp_header.as_deref().unwrap_or_default();
                header(request.headers, name)?.as_bytes()
            }
            Piece::Id => {
                let name = event_id_header(settings).unwrap_or_default();
                header(request.headers, name)?.as_bytes()
            }
            Piece::Url => {
                let url = settings.url.as_deref().or(request.url);
                url.ok_or(Refusal::WrongSecretOrAlteredBody)?.as_bytes()
            }
            Piece::Method => request.method.as_bytes(),
        });
    }
    let algorithm = settings.algorithm.unwrap_or(Algorithm::Sha256);
    signature::keyed_hash(algorithm, secret.expose().as_bytes(), &signed).ok_or(Refusal::NoSecret)
}

impl Provider for Custom {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn verify(
        &self,
        inbound: &Inbound,
        secret: &Secret,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let name = proof_header(settings)?;
        // What is missing or unreadable is a plainer reason than what does not fit.
        let value = header(inbound, name)?;
        let time = settings.timestamp_header.as_deref();
        if let Some(name) = time {
            let time = unix_time(inbound, name)?;
            let seconds = read_time(time, settings).seconds();
            signature::check_age(seconds, now, tolerance(&ABOUT, settings))?;
        }
        match scheme(settings) {
            Scheme::Token => {
                let token = value.strip_prefix(prefix(settings)).ok_or_else(|| {
                    malformed(name, "it has to begin with the prefix of the settings")
                })?;
                // As every scheme of `authorization` has it: the prefix may be `Bearer`
                // alone. A secret never begins with a blank.
                prove(secret.matches(token.trim_start().as_bytes()))
            }
            Scheme::Hmac => {
                let expected: Vec<_> = signed_bodies(inbound)
                    .map(|body| {
                        let request = Unsigned {
                            body,
                            ..Unsigned::from(inbound)
                        };
                        keyed_hash(request, secret, settings)
                    })
                    .collect::<Result<_, _>>()?;
                any_signature(
                    inbound,
                    name,
                    prefix(settings),
                    encoding(settings),
                    &expected,
                )
            }
        }
    }

    fn proof(&self, settings: &Settings) -> Proof {
        match scheme(settings) {
            Scheme::Token => Proof::Token,
            Scheme::Hmac => Proof::Bytes,
        }
    }

    fn split<'a>(&self, settings: &Settings, content: &'a [u8]) -> Split<'a> {
        match &settings.items {
            Some(pointer) => Split::at(content, pointer),
            None => Split::Whole,
        }
    }

    fn describe(&self, _settings: &Settings, _inbound: &Inbound, _content: &[u8]) -> Facts {
        Facts::named_by(Identity::Bytes)
    }

    fn proves_header(&self, settings: &Settings, _inbound: &Inbound, header: &str) -> bool {
        let named = |name: Option<&str>| name.is_some_and(|name| name.eq_ignore_ascii_case(header));
        signs(settings, Piece::Id) && named(event_id_header(settings))
            || signs(settings, Piece::Timestamp) && named(settings.timestamp_header.as_deref())
    }

    /// A token vouches for the request that carries it; a keyed hash for what it is
    /// over.
    fn proves_body(&self, settings: &Settings) -> bool {
        scheme(settings) == Scheme::Token || signs(settings, Piece::Body)
    }

    fn check_settings(&self, settings: &Settings) -> Vec<FieldError> {
        let mut mistakes = Vec::new();
        let mut add = |field: &str, message: &str| mistakes.push(mistake(field, message));
        let is_hmac = scheme(settings) == Scheme::Hmac;
        if !is_hmac {
            for (field, is_set) in [
                ("algorithm", settings.algorithm.is_some()),
                ("encoding", settings.encoding.is_some()),
                ("signed", settings.signed.is_some()),
            ] {
                if is_set {
                    add(field, "belongs to the scheme hmac: set scheme to \"hmac\"");
                }
            }
        }
        if is_hmac
            && pieces(settings).is_some_and(|all| !all.iter().any(|it| varies(settings, *it)))
        {
            add(
                "signed",
                "is the same for every request, so that whoever has seen one could send any other: add {body}",
            );
        }
        let named = settings.header.as_deref().unwrap_or_default();
        let time = settings.timestamp_header.as_deref();
        if time.is_some_and(|time| time.eq_ignore_ascii_case(named)) {
            add(
                "timestamp_header",
                "is the header that carries the proof: name the one that carries the time",
            );
        }
        if time.is_some_and(|time| is_named_by(settings, time)) {
            add(
                "event_id",
                "is the time alone: of two events at the same time the second would be dropped. Name another place as well",
            );
        }
        if signs(settings, Piece::Timestamp) && settings.timestamp_header.is_none() {
            add("timestamp_header", "is missing: signed holds {timestamp}");
        }
        if signs(settings, Piece::Id) && event_id_header(settings).is_none() {
            add(
                "event_id",
                "must name a header (header:X-Id): signed holds {id}",
            );
        }
        if settings.url.is_some() && !signs(settings, Piece::Url) {
            add("url", "is of no use: signed does not hold {url}");
        }
        if settings.timestamp_header.is_none() {
            for (field, is_set) in [
                ("timestamp_unit", settings.timestamp_unit.is_some()),
                (
                    "tolerance_seconds",
                    matches!(settings.tolerance_seconds, Some(Some(_))),
                ),
            ] {
                if is_set {
                    add(field, "needs a timestamp_header");
                }
            }
        }
        mistakes
    }

    fn sample(&self, inbound: &mut Inbound, _: &Secret, settings: &Settings) {
        inbound.body = br#"{"id":"tram-test","type":"test","message":"TRAM TEST"}"#.to_vec();
        if let Some(name) = event_id_header(settings) {
            inbound.headers.set(name, "tram-test");
        }
    }

    fn sign(
        &self,
        request: Unsigned<'_>,
        secret: &Secret,
        settings: &Settings,
        now: Timestamp,
    ) -> Option<Headers> {
        let mut fields = Headers::new();
        // A time that nobody signs is the sender's word, and stays as it came.
        let time = settings.timestamp_header.as_ref();
        if let Some(name) = time.filter(|name| {
            signs(settings, Piece::Timestamp) || header(request.headers, name).is_err()
        }) {
            let time = match settings.timestamp_unit {
                Some(TimestampUnit::Milliseconds) => now.millis(),
                Some(TimestampUnit::Seconds) | None => now.seconds(),
            };
            fields.set(name, time.to_string());
        }
        let name = proof_header(settings).ok()?;
        let value = match scheme(settings) {
            // It covers nothing, and there are several ways to write the prefix.
            Scheme::Token if header(request.headers, name).is_ok() => return Some(fields),
            Scheme::Token => secret.expose().to_owned(),
            Scheme::Hmac => {
                // The time may be a part of the id.
                let mut headers = request.headers.clone();
                fields
                    .iter()
                    .for_each(|(name, time)| headers.set(name, time));
                let request = Unsigned {
                    headers: &headers,
                    ..request
                };
                let mac = keyed_hash(request, secret, settings).ok()?;
                signature::encode(encoding(settings), &mac)
            }
        };
        fields.set(name, [prefix(settings), &value].concat());
        Some(fields)
    }

    fn signed_at(&self, headers: &Headers, settings: &Settings) -> Option<Timestamp> {
        if !signs(settings, Piece::Timestamp) {
            return None;
        }
        let time = unix_time(headers, settings.timestamp_header.as_deref()?).ok()?;
        Some(read_time(time, settings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::{examples::post, facts};
    use serde_json::{Value, json};

    fn settings(value: Value) -> Settings {
        serde_json::from_value(value).unwrap()
    }

    fn verify_at(
        now: i64,
        given: Value,
        inbound: &Inbound,
        secret: &str,
    ) -> Result<(), &'static str> {
        let secret = Secret::new(secret.into());
        CUSTOM
            .verify(
                inbound,
                &secret,
                &settings(given),
                Timestamp::from_seconds(now),
            )
            .map_err(|why| why.code())
    }

    const WRONG: Result<(), &str> = Err("wrong_secret_or_altered_body");

    #[test]
    fn a_token_is_compared_whole() {
        let check = |given: Value, value: &str, secret: &str| {
            verify_at(0, given, &post(&[("X-Token", value)], "x"), secret)
        };
        let plain = || json!({"header": "x-token", "scheme": "token"});
        assert_eq!(check(plain(), "abc", "abc"), Ok(()));
        assert_eq!(check(json!({"header": "X-TOKEN"}), "abc", "abc"), Ok(()));
        for value in ["ab", "abcd", "Abc", "abc, abc", "abc x"] {
            assert_eq!(check(plain(), value, "abc"), WRONG, "{value}");
        }
        assert_eq!(check(plain(), "", "abc"), Err("missing_header"));
        assert_eq!(check(plain(), "", ""), Err("missing_header"));
        assert_eq!(check(plain(), "x", ""), WRONG);
        let bearer = || json!({"header": "x-token", "prefix": "Bearer "});
        assert_eq!(check(bearer(), "Bearer abc", "abc"), Ok(()));
        assert_eq!(check(bearer(), "abc", "abc"), Err("malformed_header"));
        assert_eq!(check(bearer(), "Bearer", "abc"), Err("malformed_header"));
        assert_eq!(check(json!({}), "abc", "abc"), Err("missing_header"));
        // As it is often written; what is compared is whole all the same.
        let bearer = || json!({"header": "x-token", "prefix": "Bearer"});
        assert_eq!(check(bearer(), "Bearer abc", "abc"), Ok(()));
        assert_eq!(check(bearer(), "Bearer abcd", "abc"), WRONG);
        assert_eq!(check(bearer(), "Bearer", "abc"), WRONG);
    }

    #[test]
    fn every_part_of_the_template_is_signed() {
        let given = || {
            json!({"header": "x-sig", "scheme": "hmac", "algorithm": "sha512", "encoding": "base64",
                "signed": "{method} {url} {id}.{timestamp}.{body}", "timestamp_header": "x-time",
                "timestamp_unit": "ms", "event_id": "header:x-id"})
        };
        let make = |method: &str, url: &str, id: &str, time: &str, body: &str| {
            let signed = format!("{method} {url} {id}.{time}.{body}");
            let mac =
                signature::keyed_hash(Algorithm::Sha512, b"key", &[signed.as_bytes()]).unwrap();
            let mac = signature::encode(Encoding::Base64, &mac);
            let mut inbound = post(&[("x-sig", &mac), ("x-id", id), ("x-time", time)], body);
            method.clone_into(&mut inbound.method);
            url.clone_into(&mut inbound.url);
            inbound
        };
        let good = || {
            make(
                "PUT",
                "https://a.example/in/x?b=1",
                "id-1",
                "5000",
                "the body",
            )
        };
        assert_eq!(verify_at(5, given(), &good(), "key"), Ok(()));
        assert_eq!(verify_at(5, given(), &good(), "kez"), WRONG);
        let altered = |alter: fn(&mut Inbound)| {
            let mut inbound = good();
            alter(&mut inbound);
            verify_at(5, given(), &inbound, "key")
        };
        assert_eq!(altered(|inbound| inbound.method = "POST".into()), WRONG);
        assert_eq!(altered(|inbound| inbound.url.push('1')), WRONG);
        assert_eq!(
            altered(|inbound| inbound.headers.set("x-id", "id-2")),
            WRONG
        );
        assert_eq!(
            altered(|inbound| inbound.headers.set("x-time", "5001")),
            WRONG
        );
        assert_eq!(altered(|inbound| inbound.body.push(b' ')), WRONG);
        let missing = Err("missing_header");
        assert_eq!(altered(|inbound| inbound.headers.remove("x-id")), missing);
        assert_eq!(altered(|inbound| inbound.headers.remove("x-time")), missing);
        assert_eq!(altered(|inbound| inbound.headers.remove("x-sig")), missing);
        assert_eq!(
            verify_at(306, given(), &good(), "key"),
            Err("stale_timestamp")
        );
        assert_eq!(verify_at(305, given(), &good(), "key"), Ok(()));

        let mut registered = given();
        registered["url"] = json!("https://a.example/in/x?b=1");
        let mut elsewhere = good();
        elsewhere.url = "http://localhost/".into();
        assert_eq!(verify_at(5, registered, &elsewhere, "key"), Ok(()));
    }

    #[test]
    fn seconds_are_not_milliseconds() {
        let mac = signature::keyed_hash(Algorithm::Sha256, b"key", &[b"1700000000."]).unwrap();
        let mac = signature::encode(Encoding::Hex, &mac);
        let inbound = post(&[("x-sig", &mac), ("x-time", "1700000000")], "");
        let given = |unit: &str, tolerance: Value| {
            json!({"header": "x-sig", "scheme": "hmac", "signed": "{timestamp}.{body}",
                "timestamp_header": "x-time", "timestamp_unit": unit, "tolerance_seconds": tolerance})
        };
        let at = 1_700_000_000;
        assert_eq!(
            verify_at(at, given("s", json!(300)), &inbound, "key"),
            Ok(())
        );
        let stale = Err("stale_timestamp");
        assert_eq!(
            verify_at(at, given("ms", json!(300)), &inbound, "key"),
            stale
        );
        assert_eq!(
            verify_at(at, given("ms", Value::Null), &inbound, "key"),
            Ok(())
        );
    }

    #[test]
    fn only_what_is_signed_is_proven() {
        let identity = |given: Value| {
            let inbound = post(&[("x-id", "h")], r#"{"id":1}"#);
            facts(&CUSTOM, &settings(given), &inbound, &inbound.body).identity
        };
        let proven = |id: &str| Identity::Proven(id.into());
        let unproven = |id: &str| Identity::Unproven(id.into());
        let hmac = |signed: &str, event_id: &str| {
            identity(json!({"scheme": "hmac", "signed": signed, "event_id": event_id}))
        };
        assert_eq!(hmac("{body}", "/id"), proven("1"));
        assert_eq!(hmac("{body}", "header:X-Id"), unproven("h"));
        assert_eq!(hmac("{id}.{body}", "header:X-Id"), proven("h"));
        assert_eq!(hmac("{timestamp}", "/id"), unproven("1"));
        assert_eq!(identity(json!({"event_id": "/id"})), proven("1"));
        assert_eq!(identity(json!({"event_id": "header:x-id"})), unproven("h"));
        assert_eq!(
            identity(json!({"signed": "{id}", "event_id": "header:x-id"})),
            unproven("h")
        );
        assert_eq!(identity(json!({})), Identity::Bytes);
    }

    #[test]
    fn a_header_names_no_element_of_a_batch() {
        let given = json!({"scheme": "hmac", "signed": "{id}{body}", "event_id": "header:x-id", "items": "/a"});
        let inbound = post(&[("x-id", "h")], r#"{"a":[1,2]}"#);
        let element = facts(&CUSTOM, &settings(given), &inbound, b"1");
        assert_eq!(element.identity, Identity::Unproven("h".into()));
    }

    #[test]
    fn what_is_split_is_signed_again() {
        let given = settings(json!({"header": "X-Sig", "scheme": "hmac", "prefix": "sha256="}));
        let secret = Secret::new("key".into());
        let mut inbound = post(&[("x-sig", "sha256=00")], "old");
        inbound.body = b"new".to_vec();
        let request = Unsigned::from(&inbound);
        let headers = CUSTOM
            .sign(request, &secret, &given, Timestamp::default())
            .unwrap();
        inbound.headers.set("x-sig", headers.get("x-sig").unwrap());
        assert!(
            CUSTOM
                .verify(&inbound, &secret, &given, Timestamp::default())
                .is_ok()
        );
    }
}
