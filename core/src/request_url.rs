//! The parts of an absolute URL as the runtime states it for a request that has
//! come in, or as the operator has set it in `PUBLIC_URL`.
//!
//! Only taken apart, at the delimiters of RFC 3986: nothing is decided here by what
//! the parts hold, and nothing is sent to them. For that there is
//! [`destination_url`](crate::destination_url).

/// The parts of a URL with the scheme `https` or `http`, as they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestUrl<'a> {
    scheme: &'static str,
    /// `host` or `host:port`.
    host: &'a str,
    /// From the first `/` on; empty or without query.
    pub path: &'a str,
    /// Without `?`; empty when there is none.
    pub query: &'a str,
}

impl<'a> RequestUrl<'a> {
    /// Takes a URL apart; `None` when it is not of the form `https://host…` or
    /// `http://host…`.
    #[must_use]
    pub fn split(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let scheme = ["https", "http"]
            .into_iter()
            .find(|known| scheme.eq_ignore_ascii_case(known))?;
        let (rest, _) = rest.split_once('#').unwrap_or((rest, ""));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let start = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(start)?;
        let (_, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let has_name = !host.is_empty() && !host.starts_with(':');
        has_name.then_some(Self {
            scheme,
            host,
            path,
            query,
        })
    }

    /// `host`, or `host:port` where the port is not the scheme's own; lower case.
    #[must_use]
    pub fn authority(&self) -> String {
        let usual = if self.scheme == "https" {
            ":443"
        } else {
            ":80"
        };
        let host = self.host.strip_suffix(usual).unwrap_or(self.host);
        host.to_ascii_lowercase()
    }

    /// The scheme and the authority: `https://hooks.example.com`.
    #[must_use]
    pub fn origin(&self) -> String {
        [self.scheme, "://", &self.authority()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_url_has_an_origin_a_path_and_a_query() {
        for (url, origin, path, query) in [
            (
                "https://hooks.example.com/in/wh_1?a=1&b=?",
                "https://hooks.example.com",
                "/in/wh_1",
                "a=1&b=?",
            ),
            ("http://localhost:8787/", "http://localhost:8787", "/", ""),
            ("http://[::1]:8787/x?", "http://[::1]:8787", "/x", ""),
            ("https://[2606::443]/", "https://[2606::443]", "/", ""),
            ("https://a.example:443", "https://a.example", "", ""),
            ("http://a.example:80?q=/", "http://a.example", "", "q=/"),
            ("http://a.example:443/", "http://a.example:443", "/", ""),
            ("HTTPS://A.Example:80/P", "https://a.example:80", "/P", ""),
            ("https://u:p@a.example/@x", "https://a.example", "/@x", ""),
            ("https://a.example/p#/x?y", "https://a.example", "/p", ""),
            (
                "https://a.example/đơn?hàng",
                "https://a.example",
                "/đơn",
                "hàng",
            ),
        ] {
            let parts = RequestUrl::split(url).unwrap();
            assert_eq!(
                (parts.origin().as_str(), parts.path, parts.query),
                (origin, path, query),
                "{url}"
            );
        }
        for url in [
            "",
            "a.example",
            "/in/wh_1",
            "ftp://a.example/",
            "https:a.example",
            "https://",
            "https:///in",
            "https://?q",
            "https://u@/",
            // A port of nothing.
            "https://:443/in",
            "https://u@:8443/",
        ] {
            assert_eq!(RequestUrl::split(url), None, "{url}");
        }
    }

    proptest! {
        #[test]
        fn the_parts_are_those_that_the_standard_finds(
            text in "https?://([a-z0-9.-]{1,9}|\\[::[0-9a-f]{1,4}\\])(:[0-9]{1,4})?([/?#][ -~đ]{0,20})?",
        ) {
            if let Ok(standard) = url::Url::parse(&text) {
                let parts = RequestUrl::split(standard.as_str()).unwrap();
                prop_assert_eq!(parts.origin(), standard.origin().ascii_serialization());
                prop_assert_eq!(parts.path, standard.path());
                prop_assert_eq!(parts.query, standard.query().unwrap_or_default());
            }
        }
    }
}
