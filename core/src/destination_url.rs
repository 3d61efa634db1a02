//! Which URLs events may be relayed to: judged when they are saved and again
//! when they are sent to. The same holds for alert URLs.
//!
//! URLs are read by the WHATWG rules, the ones that `fetch` applies, so that an
//! address in an odd notation is seen here as what it would be there. Out of
//! scope: what a public name resolves to, which a Worker cannot see.

use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// What is known of the station itself when a URL is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Station {
    /// The station's own host names (of `PUBLIC_URL` and of the request), with
    /// their port where it is not the usual one: never a destination.
    pub own_hosts: Vec<String>,
    /// `ALLOW_PRIVATE_DESTINATIONS=true`: local development.
    pub allow_private: bool,
}

/// The longest URL that is taken, in bytes.
pub const MAX_BYTES: usize = 2_048;

/// Names that never mean a public host, alone or as the end of a name: RFC 6761
/// (`localhost`), RFC 6762 (`local`), RFC 8375 (`home.arpa`), ICANN's reservation of
/// `internal`, and `localdomain`, which resolvers use by habit.
const PRIVATE_NAMES: [&str; 5] = ["localhost", "local", "internal", "localdomain", "home.arpa"];

/// A URL that may be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedUrl(Url);

impl CheckedUrl {
    /// The URL as it is sent: one spelling for each.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host, without the port; an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }
}

/// Why a URL is not sent to. The message says how to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Not of the form `https://host/…`.
    #[error("is not a URL: write it as https://host/path")]
    NotAUrl,
    /// Longer than [`MAX_BYTES`].
    #[error("is longer than 2048 bytes")]
    TooLong,
    /// Blanks, tabs, line ends: `fetch` would drop or rewrite them.
    #[error("holds a blank or a control character: remove it or write it as %20")]
    Blank,
    /// Another scheme than `https`.
    #[error("must begin with https://")]
    NotHttps,
    /// Local development, and neither `http` nor `https`.
    #[error("must begin with https:// or http://")]
    NotHttp,
    /// `user:password@`.
    #[error("holds credentials before the host: send them in `headers` instead")]
    Credentials,
    /// `#…` is never sent.
    #[error("holds a fragment (#…), which is never sent: leave it out")]
    Fragment,
    /// Outside ASCII: look-alikes are not guessed at.
    #[error("has a host that is not ASCII: write the host in its ASCII form (xn--…)")]
    NotAscii,
    /// `%6c`: nobody needs it there.
    #[error("has a host with percent-encoding: write the host as it is")]
    EncodedHost,
    /// Not a name that the DNS could hold.
    #[error("has a host that is not a valid domain name or address")]
    NotAHost,
    /// Port 0.
    #[error("has port 0, which cannot be reached")]
    PortZero,
    /// A name without a dot.
    #[error("has a host without a dot: only public hosts are sent to")]
    SingleLabel,
    /// A name that never means a public host.
    #[error("has a private host (localhost, .local, .internal …): only public hosts are sent to")]
    PrivateName,
    /// An address that is not global unicast.
    #[error("has an IP address that is not public: only public hosts are sent to")]
    PrivateAddress,
    /// The station would send to itself.
    #[error("is this station itself: events would go in a circle")]
    OwnHost,
}

/// Whether events may be sent to `text`.
///
/// With `allow_private` only the form is judged, and that it is not the station
/// itself, by host and port: there the origin is a neighbour on the same host.
///
/// # Errors
/// Why not.
pub fn check(text: &str, station: &Station) -> Result<CheckedUrl, Forbidden> {
    let url = read(text, station.allow_private)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Forbidden::Credentials);
    }
    if url.fragment().is_some() {
        return Err(Forbidden::Fragment);
    }
    if url.port() == Some(0) {
        return Err(Forbidden::PortZero);
    }
    let host = url.host().ok_or(Forbidden::NotAHost)?;
    if let Host::Domain(name) = &host {
        check_name(name)?;
    }
    if !station.allow_private {
        check_public(&host)?;
    }
    if station
        .own_hosts
        .iter()
        .any(|own| is_own(own, &url, station.allow_private))
    {
        return Err(Forbidden::OwnHost);
    }
    Ok(CheckedUrl(url))
}

/// Whether two spellings are one URL to `fetch`.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    one == other
        || match (read(one, true), read(other, true)) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
}

/// Reads a URL that is spelled as it should be.
fn read(text: &str, allow_http: bool) -> Result<Url, Forbidden> {
    check_spelling(text, allow_http)?;
    Url::parse(text).map_err(|why| match why {
        url::ParseError::InvalidPort | url::ParseError::RelativeUrlWithoutBase => {
            Forbidden::NotAUrl
        }
        _ => Forbidden::NotAHost,
    })
}

/// What `fetch` would silently mend is refused: an operator should see the URL
/// that is sent to.
fn check_spelling(text: &str, allow_http: bool) -> Result<(), Forbidden> {
    if text.len() > MAX_BYTES {
        return Err(Forbidden::TooLong);
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Forbidden::Blank);
    }
    let (scheme, rest) = text.split_once(':').ok_or(Forbidden::NotAUrl)?;
    if allow_http {
        if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
            return Err(Forbidden::NotHttp);
        }
    } else if !scheme.eq_ignore_ascii_case("https") {
        return Err(Forbidden::NotHttps);
    }
    let rest = rest.strip_prefix("//").ok_or(Forbidden::NotAUrl)?;
    let before_query = rest.split(['?', '#']).next().unwrap_or_default();
    if before_query.contains('\\') {
        return Err(Forbidden::NotAUrl);
    }
    let authority = before_query.split('/').next().unwrap_or_default();
    if authority.is_empty() {
        return Err(Forbidden::NotAUrl);
    }
    if authority.contains('@') {
        return Err(Forbidden::Credentials);
    }
    // Percent-encoding in a host has no use but to hide it, and could carry what
    // is not ASCII past this check: the Unicode back end that the workspace pins
    // asserts, in debug builds, that it never meets both capitals and such bytes.
    if !authority.is_ascii() {
        return Err(Forbidden::NotAscii);
    }
    if authority.contains('%') {
        return Err(Forbidden::EncodedHost);
    }
    Ok(())
}

/// The form of a name in the DNS (RFC 1035, section 2.3.4; underscores are met in
/// practice). A dot at the end is taken.
fn check_name(name: &str) -> Result<(), Forbidden> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let sound = name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        });
    if sound {
        Ok(())
    } else {
        Err(Forbidden::NotAHost)
    }
}

fn check_public(host: &Host<&str>) -> Result<(), Forbidden> {
    match host {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            if PRIVATE_NAMES.iter().any(|private| {
                name.strip_suffix(private)
                    .is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }) {
                Err(Forbidden::PrivateName)
            } else if name.contains('.') {
                Ok(())
            } else {
                Err(Forbidden::SingleLabel)
            }
        }
        Host::Ipv4(address) if is_global_v4(*address) => Ok(()),
        Host::Ipv6(address) if is_global_v6(*address) => Ok(()),
        Host::Ipv4(_) | Host::Ipv6(_) => Err(Forbidden::PrivateAddress),
    }
}

/// Whether an IPv4 address is global unicast (IANA's registry of special-purpose
/// addresses, RFC 6890).
const fn is_global_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127 | 224..=255, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

/// Whether an IPv6 address is global unicast: in 2000::/3 and not special there.
/// Addresses that carry an IPv4 address (mapped, NAT64, 6to4, Teredo) are refused
/// whatever they carry: they are a way round, and nobody's server has only that.
const fn is_global_v6(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [0x2000..=0x3fff, ..])
        && !matches!(
            address.segments(),
            // 2001::/23: Teredo, benchmarking, ORCHID and other protocol use.
            [0x2001, 0..=0x1ff, ..]
                // Documentation.
                | [0x2001, 0xdb8, ..]
                | [0x3fff, 0..=0xfff, ..]
                // 6to4.
                | [0x2002, ..]
        )
}

/// Whether `url` leads to the station's own host `own` (`host` or `host:port`). By
/// name alone, or by name and port where neighbours share a host.
fn is_own(own: &str, url: &Url, with_port: bool) -> bool {
    let Ok(own) = read(&format!("{}://{own}", url.scheme()), true) else {
        return false;
    };
    let name = |url: &Url| {
        url.host_str()
            .map(|host| host.trim_end_matches('.').to_owned())
    };
    name(&own) == name(url)
        && (!with_port || own.port_or_known_default() == url.port_or_known_default())
}

#[cfg(test)]
mod tests;
