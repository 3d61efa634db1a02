//! What the operator has set for the whole station: variables and secrets.

use crate::log;
use std::cell::Cell;
use tram_core::{
    destination_url::Station,
    receive,
    request_url::RequestUrl,
    variables::{self, Wrong},
};
use worker::{Env, js_sys::Reflect};

/// The variable or secret of that name, when it is set and not empty.
pub(crate) fn variable(env: &Env, name: &str) -> Option<String> {
    let value = Reflect::get(env, &name.into()).ok()?.as_string()?;
    (!value.is_empty()).then_some(value)
}

/// What is wrong with the variables.
pub(crate) fn wrong_variables(env: &Env) -> Vec<Wrong> {
    variables::wrong(|name| variable(env, name))
}

thread_local! {
    static TOLD: Cell<bool> = const { Cell::new(false) };
}

/// Writes what is wrong with the variables to the log, once in an isolate: it must not
/// depend on somebody asking.
pub(crate) fn tell_of_wrong_variables(env: &Env) {
    if TOLD.replace(true) {
        return;
    }
    for Wrong { variable, message } in wrong_variables(env) {
        log::trouble(format_args!("the variable {variable} {message}"));
    }
}

/// The address that providers are given: `PUBLIC_URL`, else where this request
/// came in. Without a trailing slash.
pub(crate) fn public_url(env: &Env, request_url: &str) -> String {
    let set = variable(env, "PUBLIC_URL");
    match set.as_deref().and_then(variables::public_url) {
        Some(url) => url.to_owned(),
        None => RequestUrl::split(request_url)
            .map(|url| url.origin())
            .unwrap_or_default(),
    }
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
        allow_private: variables::allow_private(
            variable(env, "ALLOW_PRIVATE_DESTINATIONS").as_deref(),
        ),
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
