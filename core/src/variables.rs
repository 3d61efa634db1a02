//! The variables that an operator sets for the whole station, where what is set may mean
//! nothing: what is wrong with them is told (in the log, and by `GET /healthz?details`)
//! instead of being ignored in silence. Values are never repeated: one may be a secret in
//! the wrong place.

use crate::{
    cors,
    destination_url::{self, Station},
    receive,
    request_url::RequestUrl,
};
use serde::Serialize;

/// A variable that does not do what it is there for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// Its name.
    pub variable: &'static str,
    /// What is wrong with it, what holds instead, how to write it.
    pub message: String,
}

/// The address that providers are given, by `PUBLIC_URL`: without the trailing slash.
/// `None` when it is no address.
#[must_use]
pub fn public_url(text: &str) -> Option<&str> {
    let url = RequestUrl::split(text)?;
    let is_plain = url.query.is_empty()
        && !text.contains(|sign: char| "?#@".contains(sign) || sign.is_whitespace());
    is_plain.then(|| text.trim_end_matches('/'))
}

/// Whether `ALLOW_PRIVATE_DESTINATIONS` says so: `true` alone does.
#[must_use]
pub fn allow_private(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.trim() == "true")
}

/// What is wrong, `read` giving what is set and not empty.
pub fn wrong(read: impl Fn(&'static str) -> Option<String>) -> Vec<Wrong> {
    let mut all = Vec::new();
    let mut tell = |variable, message: String| all.push(Wrong { variable, message });
    let url = read("PUBLIC_URL");
    if url.as_deref().is_some_and(|url| public_url(url).is_none()) {
        tell(
            "PUBLIC_URL",
            "is not an address, and is not used: write it as https://hooks.example.com".into(),
        );
    }
    let private = read("ALLOW_PRIVATE_DESTINATIONS");
    if private
        .as_deref()
        .is_some_and(|text| !["true", "false"].contains(&text.trim()))
    {
        tell(
            "ALLOW_PRIVATE_DESTINATIONS",
            "is neither true nor false, and counts as false".into(),
        );
    }
    if let Some(text) = read("ALERT_URL") {
        let own_host = url.as_deref().and_then(RequestUrl::split);
        let station = Station {
            own_hosts: own_host.iter().map(RequestUrl::authority).collect(),
            allow_private: allow_private(private.as_deref()),
        };
        if let Err(why) = destination_url::check(&text, &station) {
            tell("ALERT_URL", format!("{why}; no alert goes there"));
        }
    }
    if let Some(text) = read("MAX_BODY_BYTES") {
        let taken = receive::max_body_bytes(Some(&text));
        if taken == 0 || text.trim().parse() != Ok(taken) {
            let message = format!(
                "is not a whole number from 1 to {}: {taken} bytes are taken",
                receive::MOST_BODY_BYTES
            );
            tell("MAX_BODY_BYTES", message);
        }
    }
    for entry in cors::no_origins(&read("MANAGEMENT_ORIGINS").unwrap_or_default()) {
        let message = format!(
            "entry {entry} is not an origin, and lets no page in: write scheme and host alone, such as https://admin.example.com"
        );
        tell("MANAGEMENT_ORIGINS", message);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of these variables: their names and the beginnings of what is said.
    fn said(set: &[(&str, &str)]) -> Vec<String> {
        let read = |name: &str| {
            let known = set.iter().find(|(known, _)| *known == name);
            known.map(|(_, value)| (*value).to_owned())
        };
        let wrong = wrong(read);
        wrong
            .iter()
            .map(|wrong| {
                let (variable, message) = (wrong.variable, &wrong.message);
                for (name, value) in set.iter().filter(|(_, value)| value.len() > 6) {
                    assert!(!message.contains(value), "{name}: {message}");
                }
                let begins = message.split([',', ':', ';']).next();
                format!("{variable} {}", begins.unwrap_or_default())
            })
            .collect()
    }

    #[test]
    fn what_does_what_it_is_there_for_is_not_told_of() {
        assert_eq!(said(&[]), [""; 0]);
        let right = [
            ("PUBLIC_URL", "https://hooks.example.com/"),
            ("ALERT_URL", "https://ops.example.com/tram?channel=1"),
            ("MAX_BODY_BYTES", " 1572864 "),
            ("ALLOW_PRIVATE_DESTINATIONS", "false"),
            (
                "MANAGEMENT_ORIGINS",
                "https://Admin.example.com/, http://localhost:5173 ,,",
            ),
        ];
        assert_eq!(said(&right), [""; 0]);
        let local = [
            ("PUBLIC_URL", "http://localhost:8787"),
            ("ALERT_URL", "http://localhost:9000/"),
            ("ALLOW_PRIVATE_DESTINATIONS", "true"),
        ];
        assert_eq!(said(&local), [""; 0]);
    }

    #[test]
    fn each_variable_that_means_nothing_is_told_of() {
        for (variable, value, expected) in [
            ("PUBLIC_URL", "relay.example.com", "is not an address"),
            ("PUBLIC_URL", "ftp://relay.example.com", "is not an address"),
            ("PUBLIC_URL", "https://h.example?x=1", "is not an address"),
            ("PUBLIC_URL", "https://a@h.example", "is not an address"),
            ("PUBLIC_URL", "https://h.example y", "is not an address"),
            ("ALERT_URL", "ops.example.com", "is not a URL"),
            (
                "ALERT_URL",
                "http://ops.example.com",
                "must begin with https",
            ),
            (
                "ALERT_URL",
                "https://localhost/x",
                "has a private host (localhost",
            ),
            (
                "MAX_BODY_BYTES",
                "1MB",
                "is not a whole number from 1 to 1572864",
            ),
            (
                "MAX_BODY_BYTES",
                "1.5",
                "is not a whole number from 1 to 1572864",
            ),
            (
                "MAX_BODY_BYTES",
                "9000000",
                "is not a whole number from 1 to 1572864",
            ),
            (
                "MAX_BODY_BYTES",
                "0",
                "is not a whole number from 1 to 1572864",
            ),
            (
                "MAX_BODY_BYTES",
                "-1",
                "is not a whole number from 1 to 1572864",
            ),
            (
                "ALLOW_PRIVATE_DESTINATIONS",
                "yes",
                "is neither true nor false",
            ),
            (
                "ALLOW_PRIVATE_DESTINATIONS",
                "True",
                "is neither true nor false",
            ),
            ("MANAGEMENT_ORIGINS", "*", "entry 1 is not an origin"),
            (
                "MANAGEMENT_ORIGINS",
                "pages.example.com",
                "entry 1 is not an origin",
            ),
            (
                "MANAGEMENT_ORIGINS",
                "https://a.example, https://b.example/page",
                "entry 2 is not an origin",
            ),
        ] {
            let [said] = &said(&[(variable, value)])[..] else {
                panic!("{variable}={value} is told of once");
            };
            assert_eq!(said, &format!("{variable} {expected}"), "{value}");
        }
        // The station itself would be told.
        let circle = [
            ("PUBLIC_URL", "https://hooks.example.com"),
            ("ALERT_URL", "https://hooks.example.com/in/x"),
        ];
        assert_eq!(said(&circle), ["ALERT_URL is this station itself"]);
    }
}
