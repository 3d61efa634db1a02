//! Which pages of other origins may manage the station from a browser: none, unless the
//! variable `MANAGEMENT_ORIGINS` names them.
//!
//! A page that is named still needs the token, which it sends itself: no cookie is ever
//! taken, and no answer allows credentials. `/in` has none of this: senders are servers.

use crate::request_url::RequestUrl;

/// What an answer to a request with an `Origin` says besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors<'a> {
    /// The request only asks whether it may ask: answer 204, without a token.
    pub preflight: bool,
    /// Header fields of the answer.
    pub headers: Vec<(&'static str, &'a str)>,
}

/// The origin that an operator means, as browsers write it (lower case, without the
/// scheme's own port); `None` when it is none. A trailing slash is no path. `*` and `null`
/// stand for anybody, and are nobody's origin.
fn origin_meant(named: &str) -> Option<String> {
    let url = RequestUrl::split(named)?;
    let is_bare = matches!(url.path, "" | "/") && url.query.is_empty();
    // What browsers write otherwise, or never, would match nobody.
    let odd = |sign: char| !sign.is_ascii_graphic() || "*?#@%\\".contains(sign);
    (is_bare && !named.contains(odd)).then(|| url.origin())
}

/// The entries of the variable, numbered from 1.
fn entries(origins: &str) -> impl Iterator<Item = (usize, &str)> {
    let entries = origins.split(',').map(str::trim);
    (1..).zip(entries).filter(|(_, named)| !named.is_empty())
}

/// The numbers (from 1) of the entries in the variable that are no origins.
pub fn no_origins(origins: &str) -> impl Iterator<Item = usize> {
    let wrong = entries(origins).filter(|(_, named)| origin_meant(named).is_none());
    wrong.map(|(number, _)| number)
}

/// Judges a request to the management API by the variable (comma-separated origins such
/// as `https://admin.example.com`), its method, its `Origin`, and whether it has
/// `Access-Control-Request-Method`.
#[must_use]
pub fn judge<'a>(
    origins: Option<&str>,
    method: &str,
    origin: Option<&'a str>,
    asks_for_method: bool,
) -> Cors<'a> {
    let mut cors = Cors::default();
    let mut is_named = false;
    for named in entries(origins.unwrap_or_default()).filter_map(|(_, named)| origin_meant(named)) {
        // What is answered differs with the origin, also where it is not named.
        cors.headers = vec![("vary", "origin")];
        is_named |= origin == Some(named.as_str());
    }
    let Some(origin) = origin.filter(|_| is_named) else {
        return cors;
    };
    cors.headers.push(("access-control-allow-origin", origin));
    if method == "OPTIONS" && asks_for_method {
        cors.preflight = true;
        cors.headers.extend([
            (
                "access-control-allow-methods",
                "GET, POST, PUT, PATCH, DELETE",
            ),
            (
                "access-control-allow-headers",
                "authorization, content-type",
            ),
            ("access-control-max-age", "3600"),
        ]);
    }
    cors
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMIN: &str = "https://admin.example.com";

    /// The variable, the method, the origin, whether a method is asked for, what is said.
    type Row<'a> = (Option<&'a str>, &'a str, Option<&'a str>, bool, &'a str);

    /// `vary`, `origin` and `preflight` where the answer says so.
    fn check(origins: Option<&str>, method: &str, origin: Option<&str>, asks: bool) -> String {
        let cors = judge(origins, method, origin, asks);
        let mut said = Vec::new();
        for (name, value) in &cors.headers {
            assert_ne!(*value, "*");
            assert!(!name.contains("credentials"), "{name}");
            match *name {
                "vary" => said.push("vary"),
                "access-control-allow-origin" => {
                    assert_eq!(Some(*value), origin);
                    said.push("origin");
                }
                _ => assert!(cors.preflight, "{name}"),
            }
        }
        if cors.preflight {
            said.push("preflight");
        }
        said.join(" ")
    }

    #[test]
    fn it_is_closed_but_for_the_origins_that_are_named() {
        let one = Some(ADMIN);
        let two = Some("https://a.example , http://localhost:5173");
        let table: &[Row] = &[
            (None, "GET", Some(ADMIN), false, ""),
            (None, "OPTIONS", Some(ADMIN), true, ""),
            (Some(""), "OPTIONS", Some(""), true, ""),
            (Some(" , "), "OPTIONS", Some(""), true, ""),
            (one, "GET", Some(ADMIN), false, "vary origin"),
            (one, "DELETE", Some(ADMIN), false, "vary origin"),
            (one, "OPTIONS", Some(ADMIN), true, "vary origin preflight"),
            // No preflight: an ordinary request with an odd method.
            (one, "OPTIONS", Some(ADMIN), false, "vary origin"),
            (one, "GET", Some(ADMIN), true, "vary origin"),
            (two, "GET", Some("https://a.example"), false, "vary origin"),
            (
                two,
                "OPTIONS",
                Some("http://localhost:5173"),
                true,
                "vary origin preflight",
            ),
            // Not named, or not exactly.
            (one, "GET", None, false, "vary"),
            (one, "OPTIONS", None, true, "vary"),
            (one, "OPTIONS", Some("https://evil.example"), true, "vary"),
            (
                one,
                "OPTIONS",
                Some("http://admin.example.com"),
                true,
                "vary",
            ),
            (
                one,
                "OPTIONS",
                Some("https://admin.example.com:8443"),
                true,
                "vary",
            ),
            (
                one,
                "OPTIONS",
                Some("https://admin.example.com.evil.example"),
                true,
                "vary",
            ),
            (
                one,
                "OPTIONS",
                Some("https://admin.example.co"),
                true,
                "vary",
            ),
            (
                one,
                "OPTIONS",
                Some("https://ADMIN.example.com"),
                true,
                "vary",
            ),
            (
                two,
                "GET",
                Some("https://a.example , http://localhost:5173"),
                false,
                "vary",
            ),
            // Nobody stands for anybody.
            (Some("*"), "OPTIONS", Some("*"), true, ""),
            (Some("*"), "OPTIONS", Some(ADMIN), true, ""),
            (Some("null"), "GET", Some("null"), false, ""),
            (
                Some("null, https://a.example"),
                "GET",
                Some("null"),
                false,
                "vary",
            ),
            (Some("https://*.example.com"), "GET", Some(ADMIN), false, ""),
            (
                Some("https://admin.example.com/page"),
                "GET",
                Some(ADMIN),
                false,
                "",
            ),
            (
                Some("https://admin.example.com?"),
                "GET",
                Some(ADMIN),
                false,
                "",
            ),
            // As an operator may write it, and a browser does not.
            (
                Some("https://Admin.example.com/"),
                "GET",
                Some(ADMIN),
                false,
                "vary origin",
            ),
            (
                Some("HTTPS://ADMIN.EXAMPLE.COM:443"),
                "OPTIONS",
                Some(ADMIN),
                true,
                "vary origin preflight",
            ),
            (
                Some("http://localhost:80/"),
                "GET",
                Some("http://localhost"),
                false,
                "vary origin",
            ),
        ];
        for (origins, method, origin, asks, expected) in table {
            let said = check(*origins, method, *origin, *asks);
            assert_eq!(said, *expected, "{origins:?} {method} {origin:?} {asks}");
        }
    }

    #[test]
    fn entries_that_are_no_origins_are_numbered() {
        let entries = "https://a.example/ , *,, null, https://b.example, http://[::1]:5173, \
             https://c.example/x, https://đ.example, a.example, https://u@d.example";
        let wrong: Vec<usize> = no_origins(entries).collect();
        assert_eq!(wrong, [2, 4, 7, 8, 9, 10]);
        assert_eq!(no_origins("").count(), 0);
    }

    #[test]
    fn a_preflight_is_told_what_may_be_sent() {
        let cors = judge(Some(ADMIN), "OPTIONS", Some(ADMIN), true);
        assert_eq!(
            cors.headers,
            [
                ("vary", "origin"),
                ("access-control-allow-origin", ADMIN),
                (
                    "access-control-allow-methods",
                    "GET, POST, PUT, PATCH, DELETE"
                ),
                (
                    "access-control-allow-headers",
                    "authorization, content-type"
                ),
                ("access-control-max-age", "3600"),
            ]
        );
    }
}
