//! Requests that the station makes. Built on the runtime's own types: the SDK's
//! would bring every option of Cloudflare's image service into the wasm.

use wasm_bindgen::JsValue;
use worker::{
    Headers, Request, Result,
    js_sys::Uint8Array,
    web_sys::{self, RequestInit, RequestRedirect},
};

/// A request with this body, if any. Redirects are not followed.
///
/// # Errors
/// When the runtime does not take it: a header that cannot be sent, a body with GET.
pub(crate) fn build(
    method: &str,
    url: &str,
    headers: Headers,
    body: Option<&[u8]>,
) -> Result<Request> {
    let init = RequestInit::new();
    init.set_method(method);
    init.set_headers(&JsValue::from(headers.0));
    init.set_redirect(RequestRedirect::Manual);
    if let Some(body) = body {
        init.set_body(&Uint8Array::from(body));
    }
    Ok(web_sys::Request::new_with_str_and_init(url, &init)?.into())
}
