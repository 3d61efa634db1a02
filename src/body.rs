//! Reading bodies without trusting their length. The reading itself is the platform's,
//! in `body.js`: no byte of wasm.

use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use worker::{
    js_sys::{Promise, Uint8Array, futures::JsFuture},
    web_sys,
};

/// What came of reading a body.
pub(crate) enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// There is more of it than the limit.
    TooLarge,
    /// The sender broke off.
    BrokenOff,
}

impl Body {
    /// What was read before Rust was called, in the words of `entry.js`; `None` when
    /// nothing was.
    pub(crate) fn ahead(bytes: Option<Vec<u8>>, known: u8) -> Option<Self> {
        match (known, bytes) {
            (0, _) => None,
            (_, Some(bytes)) => Some(Self::Whole(bytes)),
            (2, None) => Some(Self::TooLarge),
            (_, None) => Some(Self::BrokenOff),
        }
    }
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
pub(crate) async fn read(request: &web_sys::Request, limit: usize) -> Body {
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    match JsFuture::from(read_body(request, limit)).await {
        Ok(read) => bytes(&read).map_or(Body::TooLarge, Body::Whole),
        Err(_) => Body::BrokenOff,
    }
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
    (!value.is_null()).then(|| value.unchecked_ref::<Uint8Array>().to_vec())
}
