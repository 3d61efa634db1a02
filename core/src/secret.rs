//! Secrets: kept from logs, compared in constant time, shown once.

use serde::{Deserialize, Serialize};
use std::fmt;
use subtle::ConstantTimeEq;

/// A secret text. `Debug` never shows it; there is no `Display`; `==` compares in
/// constant time.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes the text as it is.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for signing and for the one answer that shows it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is the empty text, which never proves anything.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `presented` is this secret, in constant time. The empty secret
    /// equals nothing, not even the empty text.
    #[must_use]
    pub fn matches(&self, presented: &[u8]) -> bool {
        !self.is_empty() && bool::from(self.0.as_bytes().ct_eq(presented))
    }

    /// `***` and the last four characters, or `***` alone when the secret is
    /// shorter than 12.
    #[must_use]
    pub fn masked(&self) -> String {
        let count = self.0.chars().count();
        if count < 12 {
            return "***".to_owned();
        }
        let tail: String = self.0.chars().skip(count.saturating_sub(4)).collect();
        format!("***{tail}")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        bool::from(self.0.as_bytes().ct_eq(other.0.as_bytes()))
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Random bytes for one decision, filled by the edge before the core is asked.
#[derive(Default)]
pub struct Entropy {
    pool: Vec<u8>,
}

/// The pool that the edge filled was too small for what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not enough random bytes were supplied")]
pub struct EntropyExhausted;

impl Entropy {
    /// What the largest single decision draws: ids and secrets of a webhook with
    /// ten destinations, with room to spare.
    pub const ENOUGH: usize = 512;

    /// From bytes of a cryptographic source.
    #[must_use]
    pub const fn new(pool: Vec<u8>) -> Self {
        Self { pool }
    }

    /// Draws `N` bytes; none is handed out twice.
    ///
    /// # Errors
    /// When fewer than `N` are left.
    pub fn draw<const N: usize>(&mut self) -> Result<[u8; N], EntropyExhausted> {
        let start = self.pool.len().checked_sub(N).ok_or(EntropyExhausted)?;
        let drawn = self.pool.split_off(start);
        drawn.try_into().map_err(|_| EntropyExhausted)
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entropy({} bytes)", self.pool.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_and_mask_hide_the_secret() {
        let secret = Secret::new("0123456789abcdef5678".into());
        assert_eq!(format!("{secret:?}"), "Secret(***)");
        assert_eq!(secret.masked(), "***5678");
        assert_eq!(Secret::new("elevenchars".into()).masked(), "***");
        assert_eq!(Secret::new("đơn hàng số 9".into()).masked(), "***số 9");
    }

    #[test]
    fn the_empty_secret_matches_nothing() {
        assert!(!Secret::new(String::new()).matches(b""));
        assert!(Secret::new("a".into()).matches(b"a"));
        assert!(!Secret::new("a".into()).matches(b"A"));
        assert!(!Secret::new("a".into()).matches(b""));
    }

    #[test]
    fn entropy_is_drawn_once_and_runs_out() {
        let mut entropy = Entropy::new((0..6).collect());
        let first: [u8; 4] = entropy.draw().unwrap();
        let second: [u8; 2] = entropy.draw().unwrap();
        assert_eq!((first, second), ([2, 3, 4, 5], [0, 1]));
        assert_eq!(entropy.draw::<1>(), Err(EntropyExhausted));
    }
}
