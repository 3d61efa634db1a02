//! Reads a URL of the form `https://host:port/path?query` and writes it as `fetch`
//! would send it.
//!
//! The rules are those of the WHATWG URL standard (<https://url.spec.whatwg.org/>)
//! for what they and RFC 3986 read alike. What `fetch` would mend or guess at
//! (blanks, backslashes, odd addresses, Unicode and percent-encoding in hosts) is
//! refused: an operator should see the URL that is sent to. Out of scope: which
//! hosts may be sent to.

use super::{Forbidden, MAX_BYTES, punycode};
use std::net::{Ipv4Addr, Ipv6Addr};

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The scheme is `https`, else `http`.
    pub(super) https: bool,
    /// The host.
    pub(super) host: Host,
    /// The host as it stands in `text`.
    pub(super) host_text: String,
    /// The port, also where it is not written.
    pub(super) port: u16,
    /// The whole URL in its one spelling.
    pub(super) text: String,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// A name in lower case; a dot at the end is kept.
    Name(String),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
}

impl Host {
    /// As it stands in a URL.
    fn text(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::V4(address) => address.to_string(),
            Self::V6(address) => match address.segments() {
                // The standard writes mapped addresses without dots; the library does not.
                [0, 0, 0, 0, 0, 0xffff, high, low] => format!("[::ffff:{high:x}:{low:x}]"),
                _ => format!("[{address}]"),
            },
        }
    }
}

/// Reads a URL.
pub(super) fn read(text: &str, allow_http: bool) -> Result<Address, Forbidden> {
    if text.len() > MAX_BYTES {
        return Err(Forbidden::TooLong);
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Forbidden::Blank);
    }
    let (scheme, rest) = text.split_once(':').ok_or(Forbidden::NotAUrl)?;
    let https = scheme.eq_ignore_ascii_case("https");
    if !https && !allow_http {
        return Err(Forbidden::NotHttps);
    }
    if !https && !scheme.eq_ignore_ascii_case("http") {
        return Err(Forbidden::NotHttp);
    }
    let rest = rest.strip_prefix("//").ok_or(Forbidden::NotAUrl)?;
    let (rest, fragment) = match rest.split_once('#') {
        Some((rest, _)) => (rest, true),
        None => (rest, false),
    };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    if rest.contains('\\') {
        return Err(Forbidden::NotAUrl);
    }
    let (before_path, path) = rest.split_once('/').unwrap_or((rest, ""));
    if before_path.is_empty() {
        return Err(Forbidden::NotAUrl);
    }
    let (host, port) = authority(before_path)?;
    if fragment {
        return Err(Forbidden::Fragment);
    }

    let host_text = host.text();
    let mut text = String::with_capacity(text.len());
    text.push_str(if https { "https://" } else { "http://" });
    text.push_str(&host_text);
    let usual = usual_port(https);
    let port = port.unwrap_or(usual);
    if port != usual {
        text.push(':');
        text.push_str(&port.to_string());
    }
    write_path(path, &mut text);
    if let Some(query) = query {
        text.push('?');
        encode(query, "\"'<>", &mut text);
    }
    // Percent-encoding makes three bytes of one: what is sent counts as well.
    if text.len() > MAX_BYTES {
        return Err(Forbidden::TooLong);
    }
    Ok(Address {
        https,
        host,
        host_text,
        port,
        text,
    })
}

/// The port of a URL without one.
pub(super) const fn usual_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// Reads `host` or `host:port`.
pub(super) fn authority(text: &str) -> Result<(Host, Option<u16>), Forbidden> {
    if text.contains('@') {
        return Err(Forbidden::Credentials);
    }
    if !text.is_ascii() {
        return Err(Forbidden::NotAscii);
    }
    if text.contains('%') {
        return Err(Forbidden::EncodedHost);
    }
    let (host, port) = if let Some(text) = text.strip_prefix('[') {
        let (address, after) = text.split_once(']').ok_or(Forbidden::NotAHost)?;
        let address = address.parse().map_err(|_| Forbidden::NotAHost)?;
        let port = match after.strip_prefix(':') {
            None if !after.is_empty() => return Err(Forbidden::NotAHost),
            port => port,
        };
        (Host::V6(address), port)
    } else {
        match text.split_once(':') {
            Some((host, port)) => (name_or_v4(host)?, Some(port)),
            None => (name_or_v4(text)?, None),
        }
    };
    Ok((host, port.map(read_port).transpose()?))
}

/// 1 to 65535, without a sign or zeros before it.
fn read_port(text: &str) -> Result<u16, Forbidden> {
    if text == "0" {
        return Err(Forbidden::PortZero);
    }
    if text.starts_with(['0', '+']) {
        return Err(Forbidden::NotAUrl);
    }
    text.parse().map_err(|_| Forbidden::NotAUrl)
}

/// A name in the form of the DNS (RFC 1035, section 2.3.4; underscores are met in
/// practice), or an IPv4 address in the one form that all agree on.
fn name_or_v4(text: &str) -> Result<Host, Forbidden> {
    let name = text.to_ascii_lowercase();
    let labels = name.strip_suffix('.').unwrap_or(&name);
    if labels.len() > 253 || !labels.split('.').all(is_label) {
        return Err(Forbidden::NotAHost);
    }
    // The standard's sign that a host is an address, whatever comes before. There
    // `0x` must be followed by digits, but no name ends in anything else of the kind.
    let last = labels.rsplit('.').next().unwrap_or_default();
    if last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit()) {
        let address = name.parse().map_err(|_| Forbidden::OddAddress)?;
        return Ok(Host::V4(address));
    }
    Ok(Host::Name(name))
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && label
            .strip_prefix("xn--")
            .is_none_or(punycode::is_well_formed)
}

/// Appends a path, given without its first slash, with `.` and `..` resolved.
fn write_path(path: &str, text: &mut String) {
    let start = text.len();
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let dots = dots(segment);
        if dots == Some(2)
            && let Some(last) = text.rfind('/').filter(|last| *last >= start)
        {
            text.truncate(last);
        }
        if dots.is_none() {
            text.push('/');
            encode(segment, "\"<>`{}", text);
        } else if segments.peek().is_none() {
            text.push('/');
        }
    }
}

/// The number of dots, when a segment is nothing else and they mean something. A dot
/// may be percent-encoded.
fn dots(segment: &str) -> Option<usize> {
    let mut rest = segment;
    let mut count = 0_usize;
    while let Some(after) = ["%2e", "%2E", "."]
        .iter()
        .find_map(|dot| rest.strip_prefix(dot))
    {
        rest = after;
        count = count.saturating_add(1);
    }
    (rest.is_empty() && (1..=2).contains(&count)).then_some(count)
}

/// Appends `part` with what is not visible ASCII, and the characters `also`,
/// percent-encoded.
fn encode(part: &str, also: &str, text: &mut String) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or_default();
    for byte in part.bytes() {
        if byte.is_ascii_graphic() && !also.as_bytes().contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(digit(byte >> 4));
            text.push(digit(byte & 15));
        }
    }
}
