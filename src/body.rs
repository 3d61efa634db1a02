//! Reading bodies without trusting their length. The reading itself is the platform's,
//! in `body.js`: no byte of wasm.

use crate::thrown::Thrown;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{
    js_sys::{Promise, Uint8Array, futures::JsFuture},
    web_sys,
};

/// A body, or the fact that there is more of it than is taken.
pub(crate) enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// More than the limit.
    TooLarge,
}

#[wasm_bindgen(module = "/src/body.js")]
extern "C" {
    #[wasm_bindgen(js_name = read)]
    fn read_body(request: &web_sys::Request, limit: u32) -> Promise;

    #[wasm_bindgen(js_name = drain)]
    fn drain_body(request: &web_sys::Request) -> Promise;

    fn gunzip(bytes: Uint8Array, limit: u32) -> Promise;
}

/// Reads a request's body up to `limit` bytes.
///
/// # Errors
/// When the sender breaks off.
pub(crate) async fn read(request: &web_sys::Request, limit: usize) -> Result<Body, Thrown> {
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let read = JsFuture::from(read_body(request, limit)).await?;
    Ok(bytes(&read).map_or(Body::TooLarge, Body::Whole))
}

/// Reads what of a request nobody has read. An answer that overtakes the body it
/// answers can be lost with the connection, and the sender is left guessing.
pub(crate) async fn drain(request: web_sys::Request) {
    if !request.body_used() && request.body().is_some() {
        let _ = JsFuture::from(drain_body(&request)).await;
    }
}

/// What is behind `content-encoding: gzip`, when it can be decoded and is no
/// longer than `limit`.
pub(crate) async fn decode_gzip(encoded: &[u8], limit: usize) -> Option<Vec<u8>> {
    let limit = u32::try_from(limit).ok()?;
    let decoded = JsFuture::from(gunzip(encoded.into(), limit)).await.ok()?;
    bytes(&decoded)
}

fn bytes(value: &JsValue) -> Option<Vec<u8>> {
    (!value.is_null()).then(|| Uint8Array::new(value).to_vec())
}
