//! The configuration of one webhook, as the Registry stores it and everything
//! else reads it. How it is written by an operator, validated and shown is the
//! business of `registry`.
//!
//! The serialised shape is stored and pinned by a test: later fields are `optional` in
//! `webhook/read.rs`.

mod read;
mod strict;

pub(crate) use strict::AUTO;
pub use strict::Strict;

use crate::{
    ids::{DestinationId, WebhookId},
    secret::Secret,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// One configured route from a provider to one or more destinations.
#[derive(Clone, PartialEq, Serialize)]
pub struct Webhook {
    /// `wh_…`
    pub id: WebhookId,
    /// Grows with every change, so that old knowledge is recognised: the time of the
    /// change in milliseconds, or one more than before where that is not more. A
    /// Registry that was restored to an earlier point so gives no version twice.
    pub version: u64,
    /// The operator's name for it.
    pub name: String,
    /// A provider's id, from the table in `providers`.
    pub provider: String,
    /// What this provider wants to know besides the secret.
    pub settings: Settings,
    /// What the provider shares with the operator; any of them proves the sender.
    pub secrets: Vec<Secret>,
    /// None was sent, so that one was made here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_generated_secret: bool,
    /// Where events are relayed to; at least one.
    pub destinations: Vec<Destination>,
    /// Off means refused with 503: the provider keeps it and tries again.
    pub is_active: bool,
    /// Paused means received but not relayed.
    pub is_paused: bool,
    /// What Trạm signs with (Standard Webhooks, `whsec_…`).
    pub signing_secret: Secret,
    /// The signing secret before the last rotation, while it still signs beside.
    pub previous_signing_secret: Option<PreviousSecret>,
    /// Those before it that were rotated away while still in their grace time, the
    /// latest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub older_signing_secrets: Vec<PreviousSecret>,
    /// Money in, out or both.
    pub direction: DirectionFilter,
    /// Only these account numbers; empty means all.
    pub accounts: Vec<String>,
    /// Only these event names; `["*"]` means all, empty means none.
    pub allow_events: Vec<String>,
    /// Added to every relayed request.
    pub headers: BTreeMap<String, String>,
    /// When to try again.
    pub retry: Retry,
    /// A delivery not taken this long after its event came is `failed`.
    pub give_up_after_hours: u32,
    /// How long payloads and history are kept.
    pub retention_days: u32,
    /// How long a repeated event is recognised. At least `retention_days`, which is
    /// at least the provider's own retry window: otherwise a captured request
    /// could be replayed.
    pub dedupe_days: u32,
    /// Where the operator is told of what goes wrong; the station's address when there
    /// is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_url: Option<String>,
    /// An event that has been pending for so long is told of.
    #[serde(skip_serializing_if = "is_usual_alert_after")]
    pub alert_after_minutes: u32,
    /// Mailboxes the events are spread over, 1 to 64, fixed at creation.
    pub shards: u8,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Minutes after which the operator is told of an event that waits, when nothing else
/// is set.
pub(crate) const USUAL_ALERT_AFTER: u32 = 15;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_usual_alert_after(minutes: &u32) -> bool {
    *minutes == USUAL_ALERT_AFTER
}

/// Rotated signing secrets that may still sign: whoever rotates again because an
/// answer was lost does not cut off the secret that the origin still has.
const MOST_PREVIOUS: usize = 4;

impl Webhook {
    /// Puts `new` in the place of the signing secret, which goes on signing beside it
    /// until `until`. No older one outlives it: whoever gives no grace wants none of
    /// them to sign any more.
    pub fn rotate_signing_secret(&mut self, new: Secret, now: Timestamp, until: Timestamp) {
        let mut previous = vec![PreviousSecret {
            secret: std::mem::replace(&mut self.signing_secret, new),
            until,
        }];
        previous.extend(self.previous_signing_secret.take());
        previous.append(&mut self.older_signing_secrets);
        for one in &mut previous {
            one.until = one.until.min(until);
        }
        previous.retain(|one| one.until > now);
        previous.truncate(MOST_PREVIOUS);
        let mut previous = previous.into_iter();
        self.previous_signing_secret = previous.next();
        self.older_signing_secrets = previous.collect();
    }

    /// All rotated signing secrets that are kept, whether or not their time is over.
    pub fn previous_signing_secrets(&self) -> impl Iterator<Item = &PreviousSecret> {
        self.previous_signing_secret
            .iter()
            .chain(&self.older_signing_secrets)
    }
}

/// A rotated signing secret in its grace time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PreviousSecret {
    /// The secret.
    pub secret: Secret,
    /// It signs beside the new one until then.
    pub until: Timestamp,
}

/// Where events are relayed to.
#[derive(Clone, PartialEq, Serialize)]
pub struct Destination {
    /// `dst_…`; stays while the URL stays.
    pub id: DestinationId,
    /// `https` and a public host, unless private ones are allowed.
    pub url: String,
    /// Added to every request to it, after the webhook's own.
    pub headers: BTreeMap<String, String>,
    /// 1 to 30 seconds, to the end of the body where that is needed.
    pub timeout_seconds: u32,
    /// What its answers have to say to be taken for success.
    pub strict: Strict,
    /// Sign with Standard Webhooks headers.
    pub sign: bool,
    /// Whether the provider's proof is made anew for an attempt that leaves late.
    #[serde(skip_serializing_if = "Resign::is_usual")]
    pub resign: Resign,
    /// Pass on the provider's credentials.
    pub forward_credentials: bool,
    /// How fast waiting deliveries are released when it has come back.
    pub rate_per_second: u32,
}

/// When the provider's own proof is made anew on its way to a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resign {
    /// When the time that it holds has become old: otherwise the provider's own check
    /// would refuse each attempt that is made minutes after the request.
    #[default]
    Stale,
    /// Never: what came is relayed.
    Never,
}

impl Resign {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// Which way the money goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DirectionFilter {
    /// Money in only.
    In,
    /// Money out only.
    Out,
    /// Both.
    #[default]
    All,
}

/// The wait before each next attempt. Counts include the first attempt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "schedule", rename_all = "lowercase")]
#[serde(try_from = "RetryFields")]
pub enum Retry {
    /// 1, 1, 2, 3, 5, 8 … minutes, for 12 hours, as Casso does.
    #[default]
    Fibonacci,
    /// The same wait every time.
    Fixed {
        /// Seconds between attempts.
        interval_seconds: f64,
        /// Attempts in all, the first included.
        max_attempts: u32,
    },
    /// Growing waits.
    Exponential {
        /// Seconds before the second attempt.
        initial_seconds: f64,
        /// What each wait is multiplied by.
        factor: f64,
        /// The longest wait.
        max_seconds: f64,
        /// Attempts in all, the first included.
        max_attempts: u32,
    },
    /// 5 s, 5 m, 30 m, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h (Standard Webhooks).
    Standard,
    /// The waits one by one.
    Custom {
        /// Seconds before the second, third … attempt.
        delays_seconds: Vec<f64>,
    },
}

/// [`Retry`] as it is read: every field of every schedule. (Reading an enum by its
/// tag would have serde buffer it first, which costs more code than all of this.)
#[derive(Default)]
struct RetryFields {
    schedule: String,
    interval_seconds: Option<f64>,
    max_attempts: Option<u32>,
    initial_seconds: Option<f64>,
    factor: Option<f64>,
    max_seconds: Option<f64>,
    delays_seconds: Option<Vec<f64>>,
}

impl TryFrom<RetryFields> for Retry {
    type Error = &'static str;

    fn try_from(fields: RetryFields) -> Result<Self, Self::Error> {
        const MISSING: &str = "a field of the schedule is missing";
        Ok(match fields.schedule.as_str() {
            "fibonacci" => Self::Fibonacci,
            "standard" => Self::Standard,
            "fixed" => Self::Fixed {
                interval_seconds: fields.interval_seconds.ok_or(MISSING)?,
                max_attempts: fields.max_attempts.ok_or(MISSING)?,
            },
            "exponential" => Self::Exponential {
                initial_seconds: fields.initial_seconds.ok_or(MISSING)?,
                factor: fields.factor.ok_or(MISSING)?,
                max_seconds: fields.max_seconds.ok_or(MISSING)?,
                max_attempts: fields.max_attempts.ok_or(MISSING)?,
            },
            "custom" => Self::Custom {
                delays_seconds: fields.delays_seconds.ok_or(MISSING)?,
            },
            _ => return Err("no such schedule"),
        })
    }
}

/// What a provider wants to know besides the secret. Which of them a provider
/// takes, and which it needs, stands in its table entry.
#[derive(Clone, Default, PartialEq, Serialize)]
pub struct Settings {
    /// Greatest age of a signed timestamp in seconds. Absent: the provider's
    /// default; `null`: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance_seconds: Option<Option<u32>>,
    /// The URL as registered at the provider, which it signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The header that carries the credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// MoMo: part of the signed string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key: Option<String>,
    /// Zalo OA: part of the signed string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// `custom`: equality or HMAC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// `custom` HMAC: the hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// `custom` HMAC: how the signature is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// `custom` HMAC: text before the value, such as `sha256=`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// `custom` HMAC: template of the signed bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
    /// `custom`: the header with the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp_header: Option<String>,
    /// `custom`: the unit of that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp_unit: Option<TimestampUnit>,
    /// Where the event's id stands: `header:X-Id` or JSON pointers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<OneOrMany>,
    /// Where the event's name stands, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_name: Option<OneOrMany>,
    /// `custom`: JSON pointer to an array that is split into events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<String>,
    /// Instead of the provider's usual success answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<CustomAnswer>,
}

/// How a `custom` provider proves itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// The header equals the secret.
    Token,
    /// The header holds a keyed hash.
    Hmac,
}

/// The hash of an HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// HMAC-SHA1.
    Sha1,
    /// HMAC-SHA256.
    Sha256,
    /// HMAC-SHA512.
    Sha512,
}

/// How bytes are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Either case is read.
    Hex,
    /// Standard alphabet, exact.
    Base64,
}

/// The unit of a numeric timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimestampUnit {
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
}

/// One text or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several, joined.
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;

        impl<'de> serde::de::Visitor<'de> for Texts {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(text.to_owned()))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> Result<OneOrMany, A::Error> {
                let mut many = Vec::new();
                while let Some(text) = list.next_element()? {
                    many.push(text);
                }
                Ok(OneOrMany::Many(many))
            }
        }

        deserializer.deserialize_any(Texts)
    }
}

impl OneOrMany {
    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// The operator's own success answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CustomAnswer {
    /// A 2xx.
    pub status: u16,
    /// The body as it is sent.
    pub body: String,
}

/// Seconds as an operator wrote them, as a duration; `None` when negative, not
/// a number or out of range.
#[must_use]
pub fn seconds(value: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value).ok()
}
