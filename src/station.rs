//! What the operator has set for the whole station: variables and secrets.

use tram_core::{destination_url::Station, receive};
use worker::{Env, Url};

/// The variable or secret of that name, when it is set and not empty.
pub(crate) fn variable(env: &Env, name: &str) -> Option<String> {
    let value = env.var(name).ok()?.to_string();
    (!value.is_empty()).then_some(value)
}

/// The address that providers are given: `PUBLIC_URL`, else where this request
/// came in. Without a trailing slash.
pub(crate) fn public_url(env: &Env, request_url: Option<&Url>) -> String {
    let url = variable(env, "PUBLIC_URL")
        .or_else(|| request_url.map(|url| url.origin().ascii_serialization()))
        .unwrap_or_default();
    url.trim_end_matches('/').to_owned()
}

/// What destinations are judged by.
pub(crate) fn station(env: &Env, request_url: Option<&Url>) -> Station {
    let configured = variable(env, "PUBLIC_URL").and_then(|url| Url::parse(&url).ok());
    let own_hosts = configured
        .iter()
        .chain(request_url)
        .filter_map(authority)
        .collect();
    Station {
        own_hosts,
        allow_private: variable(env, "ALLOW_PRIVATE_DESTINATIONS").as_deref() == Some("true"),
    }
}

/// `host`, or `host:port` where the port is not the scheme's own.
fn authority(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(
        url.port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
    )
}

/// How many bytes of a body are taken: `MAX_BODY_BYTES` within its bounds.
pub(crate) fn max_body_bytes(env: &Env) -> usize {
    receive::max_body_bytes(variable(env, "MAX_BODY_BYTES").as_deref())
}
