//! Reading bodies without trusting their length. The reading itself is the platform's,
//! in `body.js`: no byte of wasm.

use tram_core::receive::Coding;
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

    fn decode(bytes: Uint8Array, codings: &str, limit: u32) -> JsValue;
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

/// What unpacking a body has come to.
pub(crate) enum Unpacked {
    /// What is in it.
    Whole(Vec<u8>),
    /// There is more in it than the limit.
    TooLarge,
    /// It is not what it says it is.
    Damaged,
}

/// What is behind these codings, which are taken off in this order: each of them no longer
/// than `limit` bytes.
pub(crate) fn unpack(encoded: &[u8], codings: &[Coding], limit: usize) -> Unpacked {
    let names: Vec<&str> = codings.iter().map(|coding| coding.name()).collect();
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let decoded = decode(encoded.into(), &names.join(","), limit);
    if decoded.is_undefined() {
        return Unpacked::Damaged;
    }
    bytes(&decoded).map_or(Unpacked::TooLarge, Unpacked::Whole)
}

fn bytes(value: &JsValue) -> Option<Vec<u8>> {
    (!value.is_null()).then(|| value.unchecked_ref::<Uint8Array>().to_vec())
}
