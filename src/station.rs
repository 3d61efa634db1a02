//! What the operator has set for the whole station: variables and secrets.

use std::cell::Cell;
use tram_core::{destination_url::Station, receive, request_url::RequestUrl};
use worker::{Env, js_sys::Reflect};

/// The variable or secret of that name, when it is set and not empty.
pub(crate) fn variable(env: &Env, name: &str) -> Option<String> {
    let value = Reflect::get(env, &name.into()).ok()?.as_string()?;
    (!value.is_empty()).then_some(value)
}

/// The address that providers are given: `PUBLIC_URL`, else where this request
/// came in. Without a trailing slash.
pub(crate) fn public_url(env: &Env, request_url: &str) -> String {
    let url = variable(env, "PUBLIC_URL")
        .or_else(|| RequestUrl::split(request_url).map(|url| url.origin()))
        .unwrap_or_default();
    url.trim_end_matches('/').to_owned()
}

/// What destinations are judged by.
pub(crate) fn station(env: &Env, request_url: Option<&str>) -> Station {
    let configured = variable(env, "PUBLIC_URL");
    let own_hosts = [configured.as_deref(), request_url]
        .into_iter()
        .flatten()
        .filter_map(RequestUrl::split)
        .map(|url| url.authority())
        .collect();
    Station {
        own_hosts,
        allow_private: variable(env, "ALLOW_PRIVATE_DESTINATIONS").as_deref() == Some("true"),
    }
}

/// Where operators are told of webhooks that have no address of their own for it.
pub(crate) fn alert_url(env: &Env) -> Option<String> {
    variable(env, "ALERT_URL")
}

thread_local! {
    static MAX_BODY_BYTES: Cell<Option<usize>> = const { Cell::new(None) };
}

/// How many bytes of a body are taken: `MAX_BODY_BYTES` within its bounds. Asked for by
/// every request, and the same as long as an isolate lives.
pub(crate) fn max_body_bytes(env: &Env) -> usize {
    MAX_BODY_BYTES.get().unwrap_or_else(|| {
        let bytes = receive::max_body_bytes(variable(env, "MAX_BODY_BYTES").as_deref());
        MAX_BODY_BYTES.set(Some(bytes));
        bytes
    })
}
