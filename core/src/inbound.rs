//! A request as it came: untrusted. What makes it trusted is
//! [`providers::authenticate`](crate::providers::authenticate) and nothing else.

use crate::headers::Headers;

/// A request as it came to `/in/{webhook_id}`.
#[derive(Clone, Debug, Default)]
pub struct Inbound {
    /// The HTTP method, upper case.
    pub method: String,
    /// The whole URL that was asked for.
    pub url: String,
    /// The query without `?`, as it was written.
    pub query: String,
    /// All header fields.
    pub headers: Headers,
    /// The bytes of the body as they came, and as they are relayed.
    pub body: Vec<u8>,
    /// The body behind `content-encoding: gzip`, for reading only; `None` when it
    /// was not encoded or could not be decoded.
    pub decoded: Option<Vec<u8>>,
}

impl Inbound {
    /// The bytes to read meaning from: the decoded body where there is one.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        self.decoded.as_deref().unwrap_or(&self.body)
    }

    /// Whether the body is said to be compressed with gzip.
    #[must_use]
    pub fn is_gzipped(&self) -> bool {
        self.headers
            .get("content-encoding")
            .is_some_and(|coding| coding.trim().eq_ignore_ascii_case("gzip"))
    }
}

/// Why a request was not taken for authentic. The sender sees none of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The webhook has no usable secret: nothing can be proven.
    #[error("the webhook has no secret, so nothing can prove the sender")]
    NoSecret,
    /// The header that carries the credential or signature is not there.
    #[error("the header {0} is missing or empty")]
    MissingHeader(String),
    /// It is there but cannot be read.
    #[error("the header {header} cannot be read: {why}")]
    MalformedHeader {
        /// Its name.
        header: String,
        /// What is wrong with its form.
        why: &'static str,
    },
    /// It holds only signature versions that are not known.
    #[error("the header {0} holds no signature of a known version")]
    UnknownVersion(String),
    /// The signed time is too far in the past.
    #[error(
        "the request was signed {age_seconds} s ago, more than the {tolerance_seconds} s allowed"
    )]
    StaleTimestamp {
        /// How old it is.
        age_seconds: i64,
        /// How old it may be.
        tolerance_seconds: i64,
    },
    /// The signed time is too far in the future.
    #[error("the request was signed {ahead_seconds} s in the future; check the clocks")]
    FutureTimestamp {
        /// How far ahead it is.
        ahead_seconds: i64,
    },
    /// Nothing matched.
    #[error("no secret of this webhook matches: the secret is wrong or the body was altered")]
    WrongSecretOrAlteredBody,
    /// The scheme signs JSON, and this is not JSON (or has duplicate keys).
    #[error("the signed body cannot be read as JSON: {0}")]
    NotJson(String),
}

impl Refusal {
    /// Stable machine-readable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoSecret => "no_secret",
            Self::MissingHeader(_) => "missing_header",
            Self::MalformedHeader { .. } => "malformed_header",
            Self::UnknownVersion(_) => "unknown_version",
            Self::StaleTimestamp { .. } => "stale_timestamp",
            Self::FutureTimestamp { .. } => "future_timestamp",
            Self::WrongSecretOrAlteredBody => "wrong_secret_or_altered_body",
            Self::NotJson(_) => "not_json",
        }
    }
}
