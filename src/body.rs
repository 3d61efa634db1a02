//! Reading bodies without trusting their length.

use futures_util::StreamExt;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{
    ByteStream, Request, Result,
    js_sys::{self, futures::JsFuture},
};

/// A body, or the fact that there is more of it than is taken.
pub(crate) enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// More than the limit.
    TooLarge,
}

/// Reads a request's body up to `limit` bytes.
///
/// # Errors
/// When the sender breaks off.
pub(crate) async fn read(request: &mut Request, limit: usize) -> Result<Body> {
    let declared = request
        .headers()
        .get("content-length")?
        .and_then(|text| text.parse::<usize>().ok());
    if request.inner().body().is_none() {
        return Ok(Body::Whole(Vec::new()));
    }
    match declared {
        Some(length) if length > limit => Ok(Body::TooLarge),
        // One crossing; what arrives is still measured, whatever was declared.
        Some(_) => {
            let bytes = request.bytes().await?;
            Ok(if bytes.len() > limit {
                Body::TooLarge
            } else {
                Body::Whole(bytes)
            })
        }
        None => {
            let mut bytes = Vec::new();
            Ok(
                if gather(&mut request.stream()?, limit, &mut bytes).await? {
                    Body::Whole(bytes)
                } else {
                    Body::TooLarge
                },
            )
        }
    }
}

/// Reads up to `limit` bytes into `bytes`; says whether the stream ended within
/// them. What has come stays there, also when the rest does not.
///
/// # Errors
/// When the stream fails.
pub(crate) async fn gather(
    stream: &mut ByteStream,
    limit: usize,
    bytes: &mut Vec<u8>,
) -> Result<bool> {
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        let room = limit.saturating_sub(bytes.len());
        if chunk.len() > room {
            bytes.extend(chunk.into_iter().take(room));
            return Ok(false);
        }
        bytes.extend(chunk);
    }
    Ok(true)
}

#[wasm_bindgen(module = "/src/gunzip.js")]
extern "C" {
    fn gunzip(bytes: js_sys::Uint8Array, limit: u32) -> js_sys::Promise;
}

/// What is behind `content-encoding: gzip`, when it can be decoded and is no
/// longer than `limit`. The platform's own decoder: no byte of wasm.
pub(crate) async fn decode_gzip(bytes: &[u8], limit: usize) -> Option<Vec<u8>> {
    let limit = u32::try_from(limit).ok()?;
    let decoding = gunzip(js_sys::Uint8Array::from(bytes), limit);
    let decoded = JsFuture::from(decoding).await.ok()?;
    (!decoded.is_null()).then(|| js_sys::Uint8Array::new(&decoded).to_vec())
}
