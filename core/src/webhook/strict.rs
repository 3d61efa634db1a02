//! When a 2xx answer of an origin is taken for success.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// What an origin has to answer, besides a 2xx status, for an event to count as
/// delivered. `"auto"`, `true` and `false` in the API.
///
/// It is stored as `false` ([`Auto`](Self::Auto)), `true` and `"status"`. `false` used to
/// be the default and to stand for the status alone; it was stored whether or not
/// anybody had chosen it, so that it is read as the default of today. Whoever has chosen
/// it says `false` once more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strict {
    /// Anything but a JSON object whose `success` is `false` or `0`.
    #[default]
    Auto,
    /// A JSON object whose `success` is `true` or `1`.
    Success,
    /// Nothing: the status alone decides, however the body ends.
    Status,
}

/// What is sent and shown of [`Strict::Auto`].
pub(crate) const AUTO: &str = "auto";
/// What is stored of [`Strict::Status`].
const STATUS: &str = "status";

impl Strict {
    /// What `true` and `false` of the API mean.
    #[must_use]
    pub const fn of(strict: bool) -> Self {
        if strict { Self::Success } else { Self::Status }
    }
}

impl Serialize for Strict {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => to.serialize_bool(false),
            Self::Success => to.serialize_bool(true),
            Self::Status => to.serialize_str(STATUS),
        }
    }
}

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Stored;

        impl de::Visitor<'_> for Stored {
            type Value = Strict;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or a word")
            }

            fn visit_bool<E: de::Error>(self, strict: bool) -> Result<Strict, E> {
                Ok(if strict {
                    Strict::Success
                } else {
                    Strict::Auto
                })
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Strict, E> {
                match word {
                    STATUS => Ok(Strict::Status),
                    _ => Err(E::unknown_variant(word, &[STATUS])),
                }
            }
        }

        from.deserialize_any(Stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own_json;

    #[test]
    fn each_is_stored_so_that_the_default_of_yesterday_is_the_default_of_today() {
        for (strict, stored) in [
            (Strict::Auto, "false"),
            (Strict::Success, "true"),
            (Strict::Status, "\"status\""),
        ] {
            assert_eq!(own_json::write(&strict).unwrap(), stored);
            assert_eq!(own_json::read::<Strict>(stored), Ok(strict));
            assert_eq!(serde_json::from_str::<Strict>(stored).unwrap(), strict);
        }
        assert!(own_json::read::<Strict>("\"no\"").is_err());
        assert!(own_json::read::<Strict>("1").is_err());
    }
}
