//! Which pages of other origins may manage the station from a browser: none, unless the
//! variable `MANAGEMENT_ORIGINS` names them.
//!
//! A page that is named still needs the token, which it sends itself: no cookie is ever
//! taken, and no answer allows credentials. `/in` has none of this: senders are servers.

/// What an answer to a request with an `Origin` says besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors<'a> {
    /// The request only asks whether it may ask: answer 204, without a token.
    pub preflight: bool,
    /// Header fields of the answer.
    pub headers: Vec<(&'static str, &'a str)>,
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
    for named in origins.unwrap_or_default().split(',') {
        let named = named.trim();
        // `*` and `null` stand for anybody, and are nobody's origin.
        if named.starts_with("http") {
            // What is answered differs with the origin, also where it is not named.
            cors.headers = vec![("vary", "origin")];
            is_named |= origin == Some(named);
        }
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
            (
                Some("https://*.example.com"),
                "GET",
                Some(ADMIN),
                false,
                "vary",
            ),
        ];
        for (origins, method, origin, asks, expected) in table {
            let said = check(*origins, method, *origin, *asks);
            assert_eq!(said, *expected, "{origins:?} {method} {origin:?} {asks}");
        }
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
