//! Identifiers: webhooks, destinations, events.
//!
//! Text form: a prefix and lower-case base32 with the *extended hex* alphabet
//! (RFC 4648, section 7), which sorts as the bytes do. An event id carries the
//! time, the webhook and the shard, so that the id alone finds the object that
//! holds the event.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(8).div_ceil(5));
    let (mut buffer, mut bits) = (0_u32, 0_u32);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits = bits.saturating_add(8);
        while bits >= 5 {
            bits = bits.saturating_sub(5);
            push(&mut text, buffer >> bits);
        }
    }
    if bits > 0 {
        push(&mut text, buffer << (5_u32.saturating_sub(bits)));
    }
    text
}

fn push(text: &mut String, five_bits: u32) {
    let at = usize::try_from(five_bits & 31).unwrap_or(0);
    text.push(char::from(*ALPHABET.get(at).unwrap_or(&b'0')));
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N.checked_mul(8)?.div_ceil(5) {
        return None;
    }
    let mut bytes = [0_u8; N];
    let mut out = bytes.iter_mut();
    let (mut buffer, mut bits) = (0_u32, 0_u32);
    for letter in text.bytes() {
        let value = match letter {
            b'0'..=b'9' => letter.checked_sub(b'0')?,
            b'a'..=b'v' => letter.checked_sub(b'a')?.checked_add(10)?,
            _ => return None,
        };
        buffer = (buffer << 5) | u32::from(value);
        bits = bits.checked_add(5)?;
        if bits >= 8 {
            bits = bits.checked_sub(8)?;
            *out.next()? = u8::try_from((buffer >> bits) & 255).ok()?;
        }
    }
    // Left-over bits must be zero: one id has one spelling.
    (buffer & (1_u32.checked_shl(bits)?.checked_sub(1)?) == 0).then_some(bytes)
}

macro_rules! text_form {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text)
                    .ok_or_else(|| D::Error::custom(concat!("not a ", stringify!($name))))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

/// A webhook: `wh_` and 128 random bits. Knowing it is what lets a sender try.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebhookId([u8; 16]);

impl WebhookId {
    /// From 16 random bytes.
    #[must_use]
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Reads the text form; `None` when it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        decode(text.strip_prefix("wh_")?).map(Self)
    }

    /// The bits, for hashing.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wh_{}", encode(&self.0))
    }
}
text_form!(WebhookId);

/// A destination of a webhook: `dst_` and 64 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationId([u8; 8]);

impl DestinationId {
    /// From 8 random bytes.
    #[must_use]
    pub const fn from_random(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Reads the text form; `None` when it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        decode(text.strip_prefix("dst_")?).map(Self)
    }
}

impl fmt::Display for DestinationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dst_{}", encode(&self.0))
    }
}
text_form!(DestinationId);

/// A job over many events: `job_` and 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId([u8; 16]);

impl JobId {
    /// From 16 random bytes.
    #[must_use]
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Reads the text form; `None` when it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        decode(text.strip_prefix("job_")?).map(Self)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job_{}", encode(&self.0))
    }
}
text_form!(JobId);

/// An event's place in its shard: grows with time, never repeats, fits the 53
/// bits that cross into JavaScript unharmed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Sequence(i64);

impl Sequence {
    /// Numbers within one millisecond.
    const PER_MILLI: i64 = 1_024;
    const MAX: i64 = (1 << 53) - 1;

    /// From the stored number; `None` when it cannot be one.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        (0..=Self::MAX).contains(&number).then_some(Self(number))
    }

    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The first of a millisecond.
    #[must_use]
    pub fn first_at(at: crate::time::Timestamp) -> Self {
        Self(
            at.millis()
                .saturating_mul(Self::PER_MILLI)
                .clamp(0, Self::MAX),
        )
    }

    /// The next after `last`: of the current millisecond, or one more than
    /// `last` when the clock stood still or went back.
    #[must_use]
    pub fn next(last: Self, now: crate::time::Timestamp) -> Self {
        Self(
            Self::first_at(now)
                .0
                .max(last.0.saturating_add(1))
                .min(Self::MAX),
        )
    }

    /// When it was given, to the millisecond (later than true in a shard that
    /// takes more than 1,024 in one).
    #[must_use]
    pub const fn at(self) -> crate::time::Timestamp {
        crate::time::Timestamp::from_millis(self.0.div_euclid(Self::PER_MILLI))
    }
}

/// An event: time, webhook, shard. `evt_…` sorts by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// Its place in the shard.
    pub sequence: Sequence,
    /// The webhook that received it.
    pub webhook: WebhookId,
    /// The shard that holds it, from 0.
    pub shard: u8,
}

impl EventId {
    /// Reads the text form; `None` when it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 24] = decode(text.strip_prefix("evt_")?)?;
        let (sequence, rest) = bytes.split_at_checked(7)?;
        let (webhook, shard) = rest.split_at_checked(16)?;
        let number = sequence
            .iter()
            .fold(0_i64, |number, byte| (number << 8) | i64::from(*byte));
        Some(Self {
            sequence: Sequence::from_number(number)?,
            webhook: WebhookId(webhook.try_into().ok()?),
            shard: *shard.first()?,
        })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(24);
        bytes.extend(self.sequence.0.to_be_bytes().iter().skip(1));
        bytes.extend(self.webhook.0);
        bytes.push(self.shard);
        write!(f, "evt_{}", encode(&bytes))
    }
}
text_form!(EventId);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_survive_their_text(bytes: [u8; 16], shard: u8, number in 0..=Sequence::MAX) {
            let webhook = WebhookId::from_random(bytes);
            prop_assert_eq!(WebhookId::parse(&webhook.to_string()), Some(webhook));
            let event = EventId { sequence: Sequence(number), webhook, shard };
            prop_assert_eq!(EventId::parse(&event.to_string()), Some(event));
        }

        #[test]
        fn event_ids_sort_by_time(a in 0..=Sequence::MAX, b in 0..=Sequence::MAX) {
            let webhook = WebhookId::from_random([7; 16]);
            let id = |number| EventId { sequence: Sequence(number), webhook, shard: 0 }.to_string();
            prop_assert_eq!(id(a).cmp(&id(b)), a.cmp(&b));
        }

        #[test]
        fn any_text_is_refused_or_round_trips(text in "(wh_|evt_|dst_)?[0-9a-w]{0,42}") {
            if let Some(id) = WebhookId::parse(&text) { prop_assert_eq!(id.to_string(), text.clone()); }
            if let Some(id) = EventId::parse(&text) { prop_assert_eq!(id.to_string(), text.clone()); }
            if let Some(id) = DestinationId::parse(&text) { prop_assert_eq!(id.to_string(), text); }
        }
    }

    #[test]
    fn sequences_grow_when_the_clock_does_not() {
        let now = Timestamp::from_millis(1_763_632_800_000);
        let first = Sequence::next(Sequence::default(), now);
        let second = Sequence::next(first, now);
        let third = Sequence::next(second, Timestamp::from_millis(5));
        assert!(first < second && second < third);
        assert_eq!(first.at(), now);
        assert_eq!(third.at(), now);
    }
}
