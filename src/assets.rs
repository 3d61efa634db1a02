//! Files that are deployed beside the wasm and cost it nothing.

use tram_core::problem::Problem;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{
    Env,
    js_sys::{self, futures::JsFuture},
};

#[wasm_bindgen(module = "/src/assets.js")]
extern "C" {
    fn asset(env: &Env, url: &str) -> js_sys::Promise;
}

/// The asset of this URL, a text: the file in `assets` that stands at its path, with
/// `.json` where that has none.
///
/// # Errors
/// 503 when it cannot be read.
pub(crate) async fn text(env: &Env, url: &str) -> Result<String, Problem> {
    let found = JsFuture::from(asset(env, url)).await;
    let text = found.ok().and_then(|text| text.as_string());
    text.ok_or_else(|| Problem::try_again("The file could not be read. Send the request again."))
}
