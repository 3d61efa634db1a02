//! Reading bodies without trusting their length.

use crate::clock;
use futures_util::StreamExt;
use std::time::Duration;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{
    ByteStream, Request, Result,
    js_sys::{self, futures::JsFuture},
    web_sys,
};

/// How much of a body is read only to be dropped, in bytes and in time.
const MOST_DISCARDED: usize = 16 << 20;
const DISCARD_PATIENCE: Duration = Duration::from_secs(5);

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
            let mut stream = request.stream()?;
            Ok(if gather(&mut stream, limit, &mut bytes).await? {
                Body::Whole(bytes)
            } else {
                discard(&mut stream).await;
                Body::TooLarge
            })
        }
    }
}

/// Reads what of a request nobody has read. An answer that overtakes the body it
/// answers can be lost with the connection, and the sender is left guessing.
pub(crate) async fn drain(request: web_sys::Request) {
    if request.body_used() || request.body().is_none() {
        return;
    }
    if let Ok(mut stream) = Request::from(request).stream() {
        discard(&mut stream).await;
    }
}

/// Reads on and keeps nothing, within what can be spent on that.
async fn discard(stream: &mut ByteStream) {
    let reading = async {
        let mut left = MOST_DISCARDED;
        while let Some(Ok(chunk)) = stream.next().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    let _ = clock::within(DISCARD_PATIENCE, reading).await;
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
