//! What JavaScript throws. The SDK's error stands for all that any part of the SDK could
//! say, and brings the words for it into the wasm.

use std::fmt;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

#[wasm_bindgen(module = "/src/thrown.js")]
extern "C" {
    /// See there.
    fn told(thrown: &JsValue) -> String;
}

/// What was thrown, in words.
#[derive(Debug)]
pub(crate) struct Thrown(pub(crate) String);

impl From<JsValue> for Thrown {
    fn from(thrown: JsValue) -> Self {
        Self(told(&thrown))
    }
}

impl fmt::Display for Thrown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Thrown {}
