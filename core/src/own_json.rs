//! JSON of our own making: what is stored, what is shown to operators, what the station
//! tells itself. Whatever derives serde's traits is written exactly as serde_json writes
//! it, and read back.
//!
//! serde_json says of every mistake where it is and what was expected instead. Of our own
//! JSON nobody is told, and those words took a tenth of the wasm. What others write
//! (bodies, what operators send) is read by [`json`](crate::json) and by
//! [`registry`](crate::registry), strictly; this reader is not strict.

pub(crate) mod fields;
mod read;
mod write;

pub use read::read;
pub use write::write;

use serde::{de, ser};
use std::fmt;

/// It cannot be written, or is not what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit;

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the JSON that was expected")
    }
}

impl std::error::Error for Unfit {}

impl de::Error for Unfit {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl ser::Error for Unfit {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests;
