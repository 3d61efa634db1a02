//! The Standard Webhooks specification, and senders that use it under other
//! header names.
//!
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.
//! The signature covers `id.timestamp.body`, so the id is proven.
//!
//! Out of scope: `v1a` (Ed25519), whose signatures are passed over.

use super::{
    About, Facts, Identity, Provider, SUCCESS, SecretFrom, StandardMessage, Unsigned, guide,
    presented::{header, malformed, prove, signed_bodies, unix_time},
    tolerance,
};
use crate::{
    event::Summary,
    headers::Headers,
    inbound::{Inbound, Refusal},
    json::Json,
    secret::Secret,
    signature,
    time::Timestamp,
    webhook::{Encoding, Retry, Settings},
};
use std::time::Duration;

static ABOUT: About = About {
    id: "standard-webhooks",
    name: "Standard Webhooks",
    setup: guide(
        "Paste the ingest URL as the endpoint's URL at the sender, and the sender's signing \
            secret (whsec_…) as secret here.",
    ),
    methods: &["POST"],
    settings: &["tolerance_seconds"],
    required_settings: &[],
    events: &[],
    same_events: &[],
    // 5 s, 5 m, 30 m, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h come to 75 h 35 m.
    retry_window: Duration::from_secs(76 * 3_600),
    tolerance_seconds: Some(300),
    whsec: true,
    secret_from: SecretFrom::Provider,
    credential_headers: &["webhook-signature"],
    default_retry: Retry::default,
    answer: SUCCESS,
    documentation: guide("https://www.standardwebhooks.com"),
};

/// The table's entry.
pub(super) static STANDARD_WEBHOOKS: StandardWebhooks = StandardWebhooks {
    about: &ABOUT,
    names: &[STANDARD_NAMES],
};

/// The names that the specification gives.
pub(super) const STANDARD_NAMES: Names = Names {
    id: "webhook-id",
    timestamp: "webhook-timestamp",
    signature: "webhook-signature",
};

/// A sender that signs after the specification.
pub(super) struct StandardWebhooks {
    /// Its entry in the table.
    pub(super) about: &'static About,
    /// The names that its header fields may have; the first are the usual ones.
    pub(super) names: &'static [Names],
}

/// The header fields that make up a message.
#[derive(Debug)]
pub(super) struct Names {
    /// The message's id.
    pub(super) id: &'static str,
    /// The Unix time in seconds.
    pub(super) timestamp: &'static str,
    /// The signatures.
    pub(super) signature: &'static str,
}

impl Names {
    /// The message under these names; `None` when a part of it is missing.
    fn message<'h>(&self, headers: &'h Headers) -> Option<StandardMessage<'h>> {
        Some(StandardMessage {
            id: header(headers, self.id).ok()?,
            timestamp: header(headers, self.timestamp).ok()?,
            signature: header(headers, self.signature).ok()?,
        })
    }
}

impl StandardWebhooks {
    /// The names that a proof counts under: the first under which a message is whole, as
    /// in Svix's own libraries.
    fn names_in(&self, headers: &Headers) -> &'static Names {
        let whole = |names: &&Names| names.message(headers).is_some();
        let known = self.names.iter().find(whole).or(self.names.first());
        known.unwrap_or(&STANDARD_NAMES)
    }

    /// The `v1` signatures that are presented, decoded. All of them are to be tried:
    /// a sender that rotates its secret sends several.
    fn presented(inbound: &Inbound, name: &str) -> Result<Vec<Vec<u8>>, Refusal> {
        let value = header(inbound, name)?;
        let versioned: Vec<_> = value
            .split_ascii_whitespace()
            // A repeated field is joined by a comma.
            .filter_map(|entry| entry.trim_end_matches(',').split_once(','))
            .collect();
        if versioned.is_empty() {
            return Err(malformed(name, "it has to be v1,<signature in base64>"));
        }
        let known: Vec<_> = versioned
            .iter()
            .filter(|(version, _)| *version == "v1")
            .collect();
        if known.is_empty() {
            return Err(Refusal::UnknownVersion(name.to_owned()));
        }
        let decoded: Vec<_> = known
            .iter()
            .filter_map(|(_, text)| signature::decode(Encoding::Base64, text))
            .collect();
        if decoded.is_empty() {
            return Err(malformed(
                name,
                "its signature is not base64, padded and in the standard alphabet",
            ));
        }
        Ok(decoded)
    }
}

const SAMPLE_ID: &str = "msg_tram_test";
const SAMPLE: &str = r#"{"type":"tram.test","timestamp":"2026-11-20T02:30:00Z","data":{"id":"tram_test","description":"TRAM TEST"}}"#;

impl Provider for StandardWebhooks {
    fn about(&self) -> &'static About {
        self.about
    }

    fn verify(
        &self,
        inbound: &Inbound,
        secret: &Secret,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let key = signature::whsec_key(secret).ok_or(Refusal::NoSecret)?;
        let names = self.names_in(&inbound.headers);
        let id = header(inbound, names.id)?;
        let signed_at = unix_time(inbound, names.timestamp)?;
        let timestamp = header(inbound, names.timestamp)?;
        let presented = Self::presented(inbound, names.signature)?;
        signature::check_age(signed_at, now, tolerance(self.about, settings))?;
        let proven = signed_bodies(inbound)
            .filter_map(|body| signature::standard_webhooks_mac(&key, id, timestamp, body))
            .any(|mac| presented.iter().any(|one| signature::equal(&mac, one)));
        prove(proven)
    }

    fn describe(&self, _settings: &Settings, inbound: &Inbound, content: &[u8]) -> Facts {
        let document = Json::parse(content);
        let text = |pointer: &str| document.and_then(|document| document.shown_at(pointer));
        Facts {
            identity: header(inbound, self.names_in(&inbound.headers).id)
                .map_or(Identity::Bytes, |id| Identity::Proven(id.to_owned())),
            name: text("/type"),
            object_id: text("/data/id"),
            summary: Summary {
                occurred_at: text("/timestamp")
                    .and_then(|at| Timestamp::parse_rfc3339(&at))
                    .map(Timestamp::to_rfc3339),
                ..Summary::default()
            },
            test: false,
        }
    }

    fn proves_header(&self, _settings: &Settings, inbound: &Inbound, header: &str) -> bool {
        let names = self.names_in(&inbound.headers);
        header.eq_ignore_ascii_case(names.id) || header.eq_ignore_ascii_case(names.timestamp)
    }

    fn sample(&self, inbound: &mut Inbound, _: &Secret, _: &Settings) {
        inbound.body = SAMPLE.into();
        let names = self.names_in(&inbound.headers);
        inbound.headers.push(names.id, SAMPLE_ID);
    }

    fn sign(
        &self,
        request: Unsigned<'_>,
        secret: &Secret,
        _: &Settings,
        now: Timestamp,
    ) -> Option<Headers> {
        let id = header(request.headers, self.names_in(request.headers).id).ok()?;
        let time = now.seconds().to_string();
        let value = signature::standard_webhooks_signature(secret, id, &time, request.body)?;
        let mut fields = Headers::new();
        // Under all names that it came with. What has another id is not proven.
        for names in self.names {
            if header(request.headers, names.id) == Ok(id) {
                fields.push(names.timestamp, time.as_str());
                fields.push(names.signature, value.as_str());
            }
        }
        Some(fields)
    }

    fn signed_at(&self, headers: &Headers, _: &Settings) -> Option<Timestamp> {
        let time = unix_time(headers, self.names_in(headers).timestamp).ok()?;
        Some(Timestamp::from_seconds(time))
    }

    fn standard_message<'h>(&self, headers: &'h Headers) -> Option<StandardMessage<'h>> {
        self.names_in(headers).message(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::examples::post;
    use serde_json::json;

    // libraries/python/tests/test_webhooks.py, test_sign_function
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: i64 = 1_614_265_330;
    const BODY: &str = r#"{"test": 2432232314}"#;
    const GOOD: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    struct Case<'a> {
        id: &'a str,
        timestamp: &'a str,
        signature: &'a str,
        body: &'a str,
        secret: &'a str,
        now: i64,
        settings: serde_json::Value,
    }

    fn case() -> Case<'static> {
        Case {
            id: ID,
            timestamp: "1614265330",
            signature: GOOD,
            body: BODY,
            secret: SECRET,
            now: AT,
            settings: json!({}),
        }
    }

    fn verify(case: &Case<'_>) -> Result<(), &'static str> {
        let inbound = post(
            &[
                ("webhook-id", case.id),
                ("webhook-timestamp", case.timestamp),
                ("webhook-signature", case.signature),
            ],
            case.body,
        );
        let settings = serde_json::from_value(case.settings.clone()).unwrap();
        let secret = Secret::new(case.secret.into());
        STANDARD_WEBHOOKS
            .verify(
                &inbound,
                &secret,
                &settings,
                Timestamp::from_seconds(case.now),
            )
            .map_err(|why| why.code())
    }

    #[test]
    fn id_time_and_body_are_signed() {
        let wrong = Err("wrong_secret_or_altered_body");
        assert_eq!(verify(&case()), Ok(()));
        assert_eq!(
            verify(&Case {
                id: "msg_other",
                ..case()
            }),
            wrong
        );
        assert_eq!(
            verify(&Case {
                timestamp: "1614265331",
                ..case()
            }),
            wrong
        );
        assert_eq!(
            verify(&Case {
                body: r#"{"test": 2432232315}"#,
                ..case()
            }),
            wrong
        );
        assert_eq!(
            verify(&Case {
                secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx",
                ..case()
            }),
            wrong
        );
        for secret in ["", "whsec_", "whsec_not base64"] {
            assert_eq!(
                verify(&Case { secret, ..case() }),
                Err("no_secret"),
                "{secret}"
            );
        }
        assert_eq!(verify(&Case { id: "", ..case() }), Err("missing_header"));
        assert_eq!(
            verify(&Case {
                timestamp: "",
                ..case()
            }),
            Err("missing_header")
        );
        for timestamp in ["1614265330.0", "yesterday", "-1614265330"] {
            assert_eq!(
                verify(&Case {
                    timestamp,
                    ..case()
                }),
                Err("malformed_header")
            );
        }
    }

    #[test]
    fn any_signature_proves_and_unknown_versions_are_passed_over() {
        let wrong = Err("wrong_secret_or_altered_body");
        let other = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        for (signature, result) in [
            (format!("{other} {GOOD}"), Ok(())),
            (format!("{GOOD} {other}"), Ok(())),
            (format!("{other} {other} {GOOD}"), Ok(())),
            (format!("{other}, {GOOD}"), Ok(())),
            (format!("v1a,AAAA v2,xyz {GOOD}"), Ok(())),
            (other.to_owned(), wrong),
            (GOOD.replace("g0hM", "G0hM"), wrong),
            (GOOD.replace("OE=", "OE"), Err("malformed_header")),
            (GOOD.replace("OE=", "OF="), Err("malformed_header")),
            ("v1,g0hM9SsE".to_owned(), wrong),
            ("v1,".to_owned(), Err("malformed_header")),
            (GOOD.replace("v1,", ""), Err("malformed_header")),
            (GOOD.replace("v1,", "v1a,"), Err("unknown_version")),
            (GOOD.replace("v1,", "v0,"), Err("unknown_version")),
            (String::new(), Err("missing_header")),
        ] {
            let signature = signature.as_str();
            assert_eq!(
                verify(&Case {
                    signature,
                    ..case()
                }),
                result,
                "{signature}"
            );
        }
    }

    #[test]
    fn age_is_limited_unless_the_operator_says_otherwise() {
        let at = |now, settings| {
            verify(&Case {
                now,
                settings,
                ..case()
            })
        };
        assert_eq!(at(AT + 300, json!({})), Ok(()));
        assert_eq!(at(AT + 301, json!({})), Err("stale_timestamp"));
        assert_eq!(at(AT - 300, json!({})), Ok(()));
        assert_eq!(at(AT - 301, json!({})), Err("future_timestamp"));
        assert_eq!(at(AT + 301, json!({"tolerance_seconds": 600})), Ok(()));
        assert_eq!(
            at(AT + 11, json!({"tolerance_seconds": 10})),
            Err("stale_timestamp")
        );
        assert_eq!(
            at(AT + 99_999_999, json!({"tolerance_seconds": null})),
            Ok(())
        );
    }

    #[test]
    fn the_signed_id_names_it() {
        let body = r#"{"type":"invoice.paid","timestamp":"2022-11-03T20:26:10.344522Z","data":{"id":"in_1"}}"#;
        let inbound = post(&[("Webhook-Id", "msg_1")], body);
        let facts = STANDARD_WEBHOOKS.describe(&Settings::default(), &inbound, body.as_bytes());
        assert_eq!(facts.identity, Identity::Proven("msg_1".into()));
        assert_eq!(facts.name.as_deref(), Some("invoice.paid"));
        assert_eq!(facts.object_id.as_deref(), Some("in_1"));
        assert_eq!(
            facts.summary.occurred_at.as_deref(),
            Some("2022-11-03T20:26:10.344Z")
        );
        assert!(STANDARD_WEBHOOKS.proves_header(
            &Settings::default(),
            &Inbound::default(),
            "Webhook-ID"
        ));
        assert!(!STANDARD_WEBHOOKS.proves_header(
            &Settings::default(),
            &Inbound::default(),
            "x-id"
        ));
    }
}
