//! What an origin does with a request: answers, or misbehaves.

use serde_json::Value;
use std::time::Duration;

/// What the origin does with a request.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) delay: Duration,
    pub(crate) ending: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A whole answer; the connection is kept.
    Whole,
    /// Nothing is ever said; ends when the other side gives up.
    Silence,
    /// The connection is closed without a word.
    Closed,
    /// The body alone is said, which is no HTTP, and the connection is closed.
    Garbage,
    /// More body is announced than comes, then the connection is closed.
    Cut,
    /// More body is announced than comes, and no end either.
    Stalled,
}

impl Reply {
    /// This status, without a body.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            delay: Duration::ZERO,
            ending: Ending::Whole,
        }
    }

    /// 200 with this JSON.
    #[must_use]
    pub fn json(body: &Value) -> Self {
        Self::status(200)
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    /// Never answers.
    #[must_use]
    pub fn hang() -> Self {
        Self {
            ending: Ending::Silence,
            ..Self::status(0)
        }
    }

    /// Closes the connection instead of an answer.
    #[must_use]
    pub fn close() -> Self {
        Self {
            ending: Ending::Closed,
            ..Self::status(0)
        }
    }

    /// Says something that is no HTTP, and closes the connection.
    #[must_use]
    pub fn garbage() -> Self {
        Self {
            ending: Ending::Garbage,
            ..Self::status(0).body("?\0 not HTTP\n\n")
        }
    }

    /// Adds a field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Waits that long before the first byte.
    #[must_use]
    pub const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Announces one byte more than the body has, and closes the connection.
    #[must_use]
    pub const fn cut(mut self) -> Self {
        self.ending = Ending::Cut;
        self
    }

    /// Announces one byte more than the body has, and never sends it.
    #[must_use]
    pub const fn stall(mut self) -> Self {
        self.ending = Ending::Stalled;
        self
    }
}
