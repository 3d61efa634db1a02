//! `content-encoding` (RFC 9110, section 8.4): what a body is packed in, for reading it.
//! What is relayed are the bytes as they came.
//!
//! Out of scope: unpacking, which is the runtime's.

use crate::{headers::Headers, problem::Problem};

/// What `accept-encoding` says beside a 415.
const KNOWN: &str = "gzip, deflate, br, zstd";

/// Codings over each other. Nobody uses two; each costs one more unpacking.
const MOST: usize = 3;

/// One coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip` or `x-gzip` (RFC 1952).
    Gzip,
    /// `deflate`: a zlib stream (RFC 1950) or, as some senders have it, the bare one
    /// (RFC 1951).
    Deflate,
    /// `br` (RFC 7932).
    Brotli,
    /// `zstd` (RFC 8878), with a window of at most 8 MiB (RFC 9659).
    Zstd,
}

impl Coding {
    /// Its registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

/// The codings of a body in the order in which they are taken off, the last applied first;
/// empty where it is not encoded.
///
/// # Errors
/// 415 where one of them is not known, or there are more than three.
pub fn codings(headers: &Headers) -> Result<Vec<Coding>, Problem> {
    let mut codings = Vec::new();
    let named = headers.get("content-encoding").unwrap_or_default();
    for name in named.rsplit(',').map(str::trim) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        // An element of a list may be empty (RFC 9110, section 5.6.1).
        if name.is_empty() || is("identity") {
            continue;
        }
        let coding = if is("gzip") || is("x-gzip") {
            Coding::Gzip
        } else if is("deflate") {
            Coding::Deflate
        } else if is("br") {
            Coding::Brotli
        } else if is("zstd") {
            Coding::Zstd
        } else {
            return Err(unsupported_encoding());
        };
        codings.push(coding);
        if codings.len() > MOST {
            return Err(unsupported_encoding());
        }
    }
    Ok(codings)
}

/// 415: the body is packed in what is not unpacked here.
#[must_use]
pub fn unsupported_encoding() -> Problem {
    Problem::new(
        415,
        "unsupported_encoding",
        "This content-encoding is not supported",
        format!("Send the body as it is, or in up to {MOST} of: {KNOWN}."),
    )
    .with_header("accept-encoding", KNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codings_are_taken_off_from_the_last_to_the_first() {
        use Coding::{Brotli, Deflate, Gzip, Zstd};
        let read = |value: &str| {
            let headers = [("Content-Encoding", value)].into_iter().collect();
            codings(&headers).map_err(|problem| (problem.status, problem.code))
        };
        for (value, expected) in [
            ("", vec![]),
            ("identity", vec![]),
            ("Identity, ", vec![]),
            ("gzip", vec![Gzip]),
            (" GZIP ", vec![Gzip]),
            ("x-gzip", vec![Gzip]),
            ("deflate", vec![Deflate]),
            ("br", vec![Brotli]),
            ("zstd", vec![Zstd]),
            ("gzip, br", vec![Brotli, Gzip]),
            ("identity,gzip,,identity", vec![Gzip]),
            ("gzip, gzip, gzip", vec![Gzip; 3]),
        ] {
            assert_eq!(read(value), Ok(expected), "{value}");
        }
        for other in [
            "compress",
            "x-compress",
            "gzip;q=1",
            "gzip br",
            "gzip, compress",
            "*",
            "\"",
            "gzip, gzip, gzip, gzip",
        ] {
            assert_eq!(read(other), Err((415, "unsupported_encoding")), "{other}");
        }
        assert_eq!(codings(&Headers::new()), Ok(vec![]));
        let problem = unsupported_encoding();
        assert_eq!(
            problem.headers,
            [("accept-encoding", "gzip, deflate, br, zstd".to_owned())]
        );
    }
}
