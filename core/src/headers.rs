//! HTTP header fields as the runtime hands them over: names in lower case, a
//! repeated field joined by `, `.

use serde::{Deserialize, Serialize};

/// Set by the connection and not by who sends through it (RFC 9110, section 7.6.1, and
/// RFC 2616, section 13.5.1, for the older of them): never sent on, wherever they come from.
pub(crate) const OF_THE_CONNECTION: [&str; 12] = [
    "connection",
    "content-length",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What the names of fields begin with that the station sets itself: an operator who could
/// set them could forge what origins trust.
pub(crate) const OF_THE_STATION: [&str; 2] = ["webhook-", "x-tram-"];

/// Header fields in the order they came; names are lower case.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a field at the end; its name is lower-cased.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_ascii_lowercase(), value.into()));
    }

    /// Replaces every field of that name by one.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.push(name, value);
    }

    /// Adds a value to the field of that name, behind a comma, as the runtime joins
    /// repeated fields; adds the field when it is not there.
    pub fn join(&mut self, name: &str, value: &str) {
        let place = self
            .0
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        match place {
            Some((_, known)) => known.extend([", ", value]),
            None => self.push(name, value),
        }
    }

    /// Drops every field of that name.
    pub fn remove(&mut self, name: &str) {
        self.0
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    /// The first field of that name, in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// All fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl AsRef<Headers> for Headers {
    fn as_ref(&self) -> &Headers {
        self
    }
}

impl<N: AsRef<str>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in fields {
            headers.push(name.as_ref(), value);
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_set_replaces_and_join_adds() {
        let mut headers: Headers = [("Secure-Token", "a"), ("X-A", "1"), ("x-a", "2")]
            .into_iter()
            .collect();
        assert_eq!(headers.get("secure-TOKEN"), Some("a"));
        headers.set("X-A", "3");
        assert_eq!(headers.iter().filter(|(name, _)| *name == "x-a").count(), 1);
        assert_eq!(headers.get("x-a"), Some("3"));
        headers.join("x-A", "4");
        headers.join("X-B", "5");
        assert_eq!(headers.get("x-a"), Some("3, 4"));
        assert_eq!(headers.get("x-b"), Some("5"));
    }
}
