//! A request as it came: untrusted. What makes it trusted is
//! [`providers::authenticate`](crate::providers::authenticate) and nothing else.

use crate::headers::Headers;
use std::borrow::Cow;

/// A request as it came to `/in/{webhook_id}`.
#[derive(Clone, Default)]
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
    /// The body behind its `content-encoding`, for reading only; `None` when it was not
    /// encoded or could not be decoded.
    pub decoded: Option<Vec<u8>>,
    /// Random bytes, new for every request whose [`content`](Self::content) is empty:
    /// nothing else tells such a request from the next. Of any other they do not matter.
    pub nonce: [u8; 16],
}

impl AsRef<Headers> for Inbound {
    fn as_ref(&self) -> &Headers {
        &self.headers
    }
}

impl Inbound {
    /// The bytes to read meaning from: the decoded body where there is one.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        self.decoded.as_deref().unwrap_or(&self.body)
    }
}

/// Why a request was not taken for authentic. The sender sees none of it; the operator
/// reads what is wrong and how to mend it, and never a secret, the signature that would
/// have been right, or what the body says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The webhook has no usable secret: nothing can be proven.
    #[error(
        "the webhook has no secret that could prove the sender: none is set, or what is set \
         cannot be decoded where it has to be base64 behind whsec_"
    )]
    NoSecret,
    /// The header that carries the credential or signature is not there.
    #[error(
        "{0} is missing or empty: check that the sender is set up to prove itself in this way, \
         and that nothing on the way drops it"
    )]
    MissingHeader(String),
    /// It is there but cannot be read.
    #[error("{header} cannot be read: {why}")]
    MalformedHeader {
        /// Its name.
        header: String,
        /// What is wrong with its form.
        why: Cow<'static, str>,
    },
    /// It holds only signature versions that are not known.
    #[error(
        "{0} holds no signature of a version that proves anything: the sender has to sign with \
         version v1"
    )]
    UnknownVersion(String),
    /// The signed time is too far in the past.
    #[error(
        "the request was signed {age_seconds} s ago, more than the {tolerance_seconds} s allowed: \
         it came late or is a replay, or its time is in another unit; where later tries keep the \
         time of the first, raise tolerance_seconds"
    )]
    StaleTimestamp {
        /// How old it is.
        age_seconds: i64,
        /// How old it may be.
        tolerance_seconds: i64,
    },
    /// The signed time is too far in the future.
    #[error(
        "the request was signed {ahead_seconds} s in the future: check the sender's clock, and \
         whether its time is in seconds or milliseconds"
    )]
    FutureTimestamp {
        /// How far ahead it is.
        ahead_seconds: i64,
    },
    /// Nothing matched.
    #[error(
        "no secret of this webhook fits: compare it with the one at the sender; where they are \
         the same, something on the way alters what is signed"
    )]
    WrongSecretOrAlteredBody,
    /// The signature is the right one, written otherwise than this provider does.
    #[error("the signature in {header} is right but not as it has to be: {why}")]
    EncodingMismatch {
        /// The header, or where else it stands.
        header: String,
        /// What it is and what it has to be.
        why: &'static str,
    },
    /// The signature is the right one of the same JSON in other bytes.
    #[error(
        "the signature is that of the same JSON {spelling}: something between the sender and \
         here, such as a proxy or a framework, reads the body and writes it anew; have it pass \
         on the bytes as they came"
    )]
    ReserializedBody {
        /// How the bytes were written that were signed.
        spelling: &'static str,
    },
    /// What is signed is what the body says, and it is too long to be read unproven.
    #[error(
        "the sender signs what the body says, and finding that out takes long: of a body that \
         nothing proves yet {most} bytes at most are read, and this one has {bytes}; have the \
         sender split what it sends"
    )]
    TooLargeToProve {
        /// How long it is, decoded.
        bytes: usize,
        /// How long it may be.
        most: usize,
    },
    /// The scheme signs JSON, and this is not JSON (or has duplicate keys).
    #[error("what is signed is JSON, and the body cannot be read as such: {0}")]
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
            Self::EncodingMismatch { .. } => "encoding_mismatch",
            Self::ReserializedBody { .. } => "reserialized_body",
            Self::TooLargeToProve { .. } => "too_large_to_prove",
            Self::NotJson(_) => "not_json",
        }
    }
}
