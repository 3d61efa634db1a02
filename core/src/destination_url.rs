//! Which URLs events may be relayed to.

use serde::{Deserialize, Serialize};

/// What is known of the station itself when a URL is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Station {
    /// The station's own host names (of `PUBLIC_URL` and of the request): never a
    /// destination.
    pub own_hosts: Vec<String>,
    /// `ALLOW_PRIVATE_DESTINATIONS=true`: local development.
    pub allow_private: bool,
}

/// A URL that may be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedUrl(url::Url);

impl CheckedUrl {
    /// The URL as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Why a URL is not sent to. The message says how to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Cannot be read.
    #[error("is not a URL: write it as https://host/path")]
    NotAUrl,
    /// Another scheme than `https`.
    #[error("must begin with https://")]
    NotHttps,
    /// The station would send to itself.
    #[error("is this station itself: events would go in a circle")]
    OwnHost,
}

/// Whether events may be sent to `url`.
///
/// # Errors
/// Why not.
pub fn check(url: &str, station: &Station) -> Result<CheckedUrl, Forbidden> {
    let url = url::Url::parse(url).map_err(|_| Forbidden::NotAUrl)?;
    let host = url.host_str().ok_or(Forbidden::NotAUrl)?;
    if url.scheme() != "https" && !(station.allow_private && url.scheme() == "http") {
        return Err(Forbidden::NotHttps);
    }
    if station.own_hosts.iter().any(|own| own == host) {
        return Err(Forbidden::OwnHost);
    }
    Ok(CheckedUrl(url))
}
