//! Which URLs events may be relayed to: judged when they are saved and again
//! when they are sent to. The same holds for alert URLs.
//!
//! Taken is only what every reader of URLs reads as the same host: there is nothing
//! that could be seen here as one thing and asked for by `fetch` as another. Out of
//! scope: what a public name resolves to, which a Worker cannot see.

mod punycode;
mod spelling;

use serde::{Deserialize, Serialize};
use spelling::{Address, Host};
use std::net::{Ipv4Addr, Ipv6Addr};

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
pub struct CheckedUrl(Address);

impl CheckedUrl {
    /// The URL as it is sent: one spelling for each.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The host, without the port; an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.0.host_text
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
    /// `127.1`, `0x7f000001`, `017700000001`: to some an address, to some a name.
    #[error(
        "has a host that ends in a number: write an IPv4 address as four decimal numbers, as in 8.8.8.8"
    )]
    OddAddress,
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
    let address = spelling::read(text, station.allow_private)?;
    if !station.allow_private {
        check_public(&address.host)?;
    }
    if station
        .own_hosts
        .iter()
        .any(|own| is_own(own, &address, station.allow_private))
    {
        return Err(Forbidden::OwnHost);
    }
    Ok(CheckedUrl(address))
}

/// Whether two spellings are one URL to `fetch`.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    one == other
        || match (spelling::read(one, true), spelling::read(other, true)) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
}

fn check_public(host: &Host) -> Result<(), Forbidden> {
    match host {
        Host::Name(name) => {
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
        Host::V4(address) if is_global_v4(*address) => Ok(()),
        Host::V6(address) if is_global_v6(*address) => Ok(()),
        Host::V4(_) | Host::V6(_) => Err(Forbidden::PrivateAddress),
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

/// Whether `address` leads to the station's own host `own` (`host` or `host:port`).
/// By name alone, or by name and port where neighbours share a host.
fn is_own(own: &str, address: &Address, with_port: bool) -> bool {
    let Ok((host, port)) = spelling::authority(own) else {
        return false;
    };
    let same_host = match (&host, &address.host) {
        (Host::Name(own), Host::Name(name)) => {
            own.trim_end_matches('.') == name.trim_end_matches('.')
        }
        (own, host) => own == host,
    };
    same_host && (!with_port || port.unwrap_or(spelling::usual_port(address.https)) == address.port)
}

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod tests;
