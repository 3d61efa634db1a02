//! What an operator may not save, as a specification: what is sent, and the pointer and
//! the message of each mistake in it. The providers are the real ones.

use super::tests::{entropy, outcome, station};
use super::{Rules, create, update};
use crate::{providers, time::Timestamp};

/// The mistakes in a webhook of Casso's that goes to one shop, with these fields: each
/// as its pointer, a colon and its message.
fn mistakes(fields: &str) -> Vec<String> {
    let mut body = String::from("{");
    if !fields.contains(r#""provider":"#) {
        body.push_str(r#""provider":"casso","#);
    }
    if !fields.contains(r#""webhook_url":"#) && !fields.contains(r#""destinations":"#) {
        body.push_str(r#""webhook_url":"https://shop.example/hook","#);
    }
    body.extend([fields, "}"]);
    let rules = Rules {
        providers: providers::ALL,
        station: &station(),
        now: Timestamp::from_millis(0),
    };
    let written = outcome(create(&rules, &body, &mut entropy()));
    let mistakes = written.err().unwrap_or_default().into_iter();
    mistakes
        .map(|(pointer, message)| [pointer, message].join(": "))
        .collect()
}

fn check(table: &[(&str, &[&str])]) {
    let wrong: Vec<_> = table
        .iter()
        .map(|(fields, expected)| (fields, expected, mistakes(fields)))
        .filter(|(_, expected, found)| found != *expected)
        .map(|(fields, expected, found)| format!("{fields}\n  not {expected:#?}\n  but {found:#?}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Settings of `custom`.
fn custom(settings: &str) -> String {
    format!(r#""provider":"custom","settings":{{{settings}}}"#)
}

#[test]
fn every_field_takes_its_own_kind_of_value_alone() {
    /// Where a value stands (at `$`), the kinds that are taken there, and what is said
    /// of all others.
    const FIELDS: &[(&str, &str, &str)] = &[
        (r#""provider":$"#, "text", "/provider: must be a text"),
        (r#""name":$"#, "text", "/name: must be a text"),
        (
            r#""webhook_url":$"#,
            "text null",
            "/webhook_url: must be a text",
        ),
        (
            r#""destinations":$"#,
            "array",
            "/destinations: must be an array",
        ),
        (
            r#""destinations":[$]"#,
            "object",
            "/destinations/0: must be an object",
        ),
        (
            r#""destinations":[{"url":$}]"#,
            "text",
            "/destinations/0/url: must be a text",
        ),
        (
            r#""destinations":[{"url":"https://a.example/","id":$}]"#,
            "text",
            "/destinations/0/id: must be a text",
        ),
        (
            r#""destinations":[{"url":"https://a.example/","headers":$}]"#,
            "object",
            "/destinations/0/headers: must be an object",
        ),
        (
            r#""destinations":[{"url":"https://a.example/","headers":{"x-a":$}}]"#,
            "text",
            "/destinations/0/headers/x-a: must be a text",
        ),
        (
            r#""destinations":[{"url":"https://a.example/","timeout_seconds":$}]"#,
            "number",
            "/destinations/0/timeout_seconds: must be a whole number from 1 to 30",
        ),
        (
            r#""destinations":[{"url":"https://a.example/","strict":$}]"#,
            "boolean",
            "/destinations/0/strict: must be \"auto\", true or false",
        ),
        (
            r#""destinations":[{"url":"https://a.example/","sign":$}]"#,
            "boolean",
            "/destinations/0/sign: must be true or false",
        ),
        (
            r#""destinations":[{"url":"https://a.example/","resign":$}]"#,
            "text",
            "/destinations/0/resign: must be one of stale, never",
        ),
        (
            r#""destinations":[{"url":"https://a.example/","forward_credentials":$}]"#,
            "boolean",
            "/destinations/0/forward_credentials: must be true or false",
        ),
        (
            r#""destinations":[{"url":"https://a.example/","rate_per_second":$}]"#,
            "number",
            "/destinations/0/rate_per_second: must be a whole number from 1 to 10000",
        ),
        (
            r#""timeout_seconds":$"#,
            "number",
            "/timeout_seconds: must be a whole number from 1 to 30",
        ),
        (
            r#""strict":$"#,
            "boolean",
            "/strict: must be \"auto\", true or false",
        ),
        (
            r#""is_active":$"#,
            "boolean",
            "/is_active: must be true or false",
        ),
        (
            r#""is_paused":$"#,
            "boolean",
            "/is_paused: must be true or false",
        ),
        (
            r#""secret":$"#,
            "text array",
            "/secret: must be a text or an array of texts",
        ),
        (r#""secret":[$]"#, "text", "/secret/0: must be a text"),
        (r#""type":$"#, "", "/type: must be one of IN, OUT, ALL"),
        (r#""accounts":$"#, "array", "/accounts: must be an array"),
        (
            r#""accounts":["1",$]"#,
            "text",
            "/accounts/1: must be a text",
        ),
        (
            r#""allow_events":$"#,
            "array null",
            "/allow_events: must be an array",
        ),
        (
            r#""allow_events":[$]"#,
            "text",
            "/allow_events/0: must be a text",
        ),
        (r#""headers":$"#, "object", "/headers: must be an object"),
        (
            r#""headers":{"x-a":$}"#,
            "text",
            "/headers/x-a: must be a text",
        ),
        (r#""retry":$"#, "object", "/retry: must be an object"),
        (
            r#""retry":{"schedule":$}"#,
            "",
            "/retry/schedule: must be one of fibonacci, fixed, exponential, standard, custom",
        ),
        (
            r#""retry":{"schedule":"fixed","interval_seconds":$,"max_attempts":3}"#,
            "number",
            "/retry/interval_seconds: must be a number from 0 to 604800",
        ),
        (
            r#""retry":{"schedule":"fixed","interval_seconds":1,"max_attempts":$}"#,
            "number",
            "/retry/max_attempts: must be a whole number from 1 to 1000",
        ),
        (
            r#""retry":{"schedule":"exponential","initial_seconds":$,"factor":2,"max_seconds":60,"max_attempts":3}"#,
            "number",
            "/retry/initial_seconds: must be a number from 0 to 604800",
        ),
        (
            r#""retry":{"schedule":"exponential","initial_seconds":1,"factor":$,"max_seconds":60,"max_attempts":3}"#,
            "number",
            "/retry/factor: must be a number from 1 to 100",
        ),
        (
            r#""retry":{"schedule":"exponential","initial_seconds":1,"factor":2,"max_seconds":$,"max_attempts":3}"#,
            "number",
            "/retry/max_seconds: must be a number from 0 to 604800",
        ),
        (
            r#""retry":{"schedule":"custom","delays_seconds":$}"#,
            "array",
            "/retry/delays_seconds: must be an array",
        ),
        (
            r#""retry":{"schedule":"custom","delays_seconds":[1,$]}"#,
            "number",
            "/retry/delays_seconds/1: must be a number from 0 to 604800",
        ),
        (
            r#""give_up_after_hours":$"#,
            "number",
            "/give_up_after_hours: must be a whole number from 1 to 8760",
        ),
        (
            r#""retention_days":$"#,
            "number",
            "/retention_days: must be a whole number from 1 to 365",
        ),
        (
            r#""dedupe_days":$"#,
            "number",
            "/dedupe_days: must be a whole number from 1 to 3650",
        ),
        (
            r#""alert_url":$"#,
            "text null",
            "/alert_url: must be a text",
        ),
        (
            r#""alert_after_minutes":$"#,
            "number",
            "/alert_after_minutes: must be a whole number from 1 to 10080",
        ),
        (
            r#""shards":$"#,
            "number",
            "/shards: must be a whole number from 1 to 64",
        ),
        (r#""settings":$"#, "object", "/settings: must be an object"),
        (
            r#""provider":"stripe","settings":{"tolerance_seconds":$}"#,
            "number null",
            "/settings/tolerance_seconds: must be a whole number from 1 to 31536000",
        ),
        (
            r#""provider":"custom","settings":{"header":"x-s","scheme":"hmac","signed":"{url}{body}","url":$}"#,
            "text",
            "/settings/url: must be a text",
        ),
        (
            r#""provider":"abaha","settings":{"header":$}"#,
            "text",
            "/settings/header: must be a text",
        ),
        (
            r#""settings":{"access_key":$}"#,
            "text",
            "/settings/access_key: must be a text",
        ),
        (
            r#""settings":{"app_id":$}"#,
            "text",
            "/settings/app_id: must be a text",
        ),
        (
            r#""provider":"custom","settings":{"header":"x-s","scheme":$}"#,
            "",
            "/settings/scheme: must be one of token, hmac",
        ),
        (
            r#""provider":"custom","settings":{"header":"x-s","scheme":"hmac","algorithm":$}"#,
            "",
            "/settings/algorithm: must be one of sha1, sha256, sha512",
        ),
        (
            r#""provider":"custom","settings":{"header":"x-s","scheme":"hmac","encoding":$}"#,
            "",
            "/settings/encoding: must be one of hex, base64",
        ),
        (
            r#""provider":"custom","settings":{"header":"x-s","prefix":$}"#,
            "text",
            "/settings/prefix: must be a text",
        ),
        (
            r#""provider":"custom","settings":{"header":"x-s","scheme":"hmac","signed":$}"#,
            "text",
            "/settings/signed: must be a text",
        ),
        (
            r#""provider":"custom","settings":{"header":"x-s","timestamp_header":$}"#,
            "text",
            "/settings/timestamp_header: must be a text",
        ),
        (
            r#""provider":"custom","settings":{"header":"x-s","timestamp_header":"x-t","timestamp_unit":$}"#,
            "",
            "/settings/timestamp_unit: must be one of s, ms",
        ),
        (
            r#""settings":{"event_id":$}"#,
            "text array",
            "/settings/event_id: must be a text or an array of texts",
        ),
        (
            r#""settings":{"event_id":["/a",$]}"#,
            "text",
            "/settings/event_id/1: must be a text",
        ),
        (
            r#""settings":{"event_name":$}"#,
            "text array",
            "/settings/event_name: must be a text or an array of texts",
        ),
        (
            r#""settings":{"event_name":[$,"/a"]}"#,
            "text",
            "/settings/event_name/0: must be a text",
        ),
        (
            r#""provider":"custom","settings":{"header":"x-s","items":$}"#,
            "text",
            "/settings/items: must be a text",
        ),
        (
            r#""settings":{"answer":$}"#,
            "object",
            "/settings/answer: must be an object",
        ),
        (
            r#""settings":{"answer":{"status":$}}"#,
            "number",
            "/settings/answer/status: must be a whole number from 200 to 299",
        ),
        (
            r#""settings":{"answer":{"status":200,"body":$}}"#,
            "text",
            "/settings/answer/body: must be a text",
        ),
    ];
    const VALUES: [(&str, &str); 10] = [
        ("null", "null"),
        ("true", "boolean"),
        // No field takes these.
        ("-1", ""),
        ("1e400", ""),
        ("-1e400", ""),
        ("18446744073709551616", ""),
        ("1.0e-400", "number"),
        (r#""text""#, "text"),
        ("[]", "array"),
        ("{}", "object"),
    ];
    for (field, taken, message) in FIELDS {
        for (value, kind) in VALUES {
            if !taken.split(' ').any(|taken| taken == kind) || kind.is_empty() {
                let sent = field.replace('$', value);
                assert_eq!(mistakes(&sent), [*message], "{sent}");
            }
        }
    }
}

#[test]
fn every_object_takes_its_own_fields_alone() {
    let long = format!(r#""{}":1"#, "k".repeat(10_000));
    let long = mistakes(&long);
    assert!(long[0].len() < 700, "{long:?}");
    for (at, sent) in [
        ("", r#""colour":1"#),
        ("/settings", r#""settings":{"colour":1}"#),
        (
            "/settings/answer",
            r#""settings":{"answer":{"status":200,"colour":1}}"#,
        ),
        (
            "/destinations/0",
            r#""destinations":[{"url":"https://a.example/","colour":1}]"#,
        ),
        ("/retry", r#""retry":{"schedule":"fibonacci","colour":1}"#),
        (
            "/retry",
            r#""retry":{"schedule":"fixed","interval_seconds":1,"max_attempts":1,"colour":1}"#,
        ),
        (
            "/retry",
            r#""retry":{"schedule":"custom","delays_seconds":[],"colour":1}"#,
        ),
    ] {
        let found = mistakes(sent);
        assert_eq!(found.len(), 1, "{sent} {found:?}");
        let start = format!("{at}/colour: is not a known field; known are ");
        assert!(found[0].starts_with(&start), "{found:?}");
        // Named twice is one mistake more, wherever it stands.
        let twice = sent.replace(r#""colour":1"#, r#""colour":1,"colour":1"#);
        let found = mistakes(&twice);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(
            found[0],
            format!("{at}/colour: is named twice: send it once")
        );
    }
    check(&[
        (
            r#""name":"a","name":"b""#,
            &["/name: is named twice: send it once"],
        ),
        (
            r#""headers":{"x-a":"1","x-a":"1"}"#,
            &["/headers/x-a: is named twice: send it once"],
        ),
        (
            r#""headers":{"X-A":"1","x-a":"1"}"#,
            &["/headers/x-a: is named twice: header names are the same in any case"],
        ),
    ]);
}

#[test]
fn who_sends() {
    let known: Vec<_> = providers::ALL.iter().map(|p| p.about().id).collect();
    let known = known.join(", ");
    let one_of = format!("/provider: must be one of {known}");
    for sent in ["nobody", "Casso", "casso ", "", "\\u0000", "\\u202e"] {
        let sent = format!(r#""provider":"{sent}""#);
        assert_eq!(mistakes(&sent), [one_of.as_str()], "{sent}");
    }
    // What depends on it is not guessed at; what does not is still judged.
    check(&[(
        r#""provider":1,"secret":"x","settings":{"header":"x"},"allow_events":["no such"],"name":"""#,
        &[
            "/provider: must be a text",
            "/name: must have 1 to 200 characters",
        ],
    )]);
}

#[test]
fn where_events_go() {
    let unsafe_urls: &[(&str, &str)] = &[
        (
            "shop.example",
            "is not a URL: write it as https://host/path",
        ),
        ("", "is not a URL: write it as https://host/path"),
        ("http://shop.example/", "must begin with https://"),
        ("ftp://shop.example/", "must begin with https://"),
        (
            "https://shop.example/a b",
            "holds a blank or a control character: remove it or write it as %20",
        ),
        (
            "https://user:pa55word@shop.example/",
            "holds credentials before the host: send them in `headers` instead",
        ),
        (
            "https://shop.example/#a",
            "holds a fragment (#…), which is never sent: leave it out",
        ),
        (
            "https://localhost/",
            "has a private host (localhost, .local, .internal …): only public hosts are sent to",
        ),
        (
            "https://db.internal/",
            "has a private host (localhost, .local, .internal …): only public hosts are sent to",
        ),
        (
            "https://shop/",
            "has a host without a dot: only public hosts are sent to",
        ),
        (
            "https://10.0.0.1/",
            "has an IP address that is not public: only public hosts are sent to",
        ),
        (
            "https://[::1]/",
            "has an IP address that is not public: only public hosts are sent to",
        ),
        (
            "https://[::ffff:10.0.0.1]/",
            "has an IP address that is not public: only public hosts are sent to",
        ),
        (
            "https://0x7f000001/",
            "has a host that ends in a number: write an IPv4 address as four decimal numbers, as in 8.8.8.8",
        ),
        (
            "https://shop.example:0/",
            "has port 0, which cannot be reached",
        ),
        (
            "https://hooks.example.com/in/x",
            "is this station itself: events would go in a circle",
        ),
    ];
    for (url, message) in unsafe_urls {
        for (fields, pointer) in [
            (format!(r#""webhook_url":"{url}""#), "/webhook_url"),
            (
                format!(r#""destinations":[{{"url":"{url}"}}]"#),
                "/destinations/0/url",
            ),
            (format!(r#""alert_url":"{url}""#), "/alert_url"),
        ] {
            assert_eq!(
                mistakes(&fields),
                [format!("{pointer}: {message}")],
                "{fields}"
            );
        }
    }
    let long = format!(
        r#""webhook_url":"https://shop.example/{}""#,
        "a".repeat(2_048)
    );
    assert_eq!(mistakes(&long), ["/webhook_url: is longer than 2048 bytes"]);
    check(&[
        (
            r#""destinations":[]"#,
            &["/destinations: must have 1 to 10 entries: say where events are relayed to"],
        ),
        (
            r#""webhook_url":null"#,
            &["/webhook_url: must be a URL, or `destinations` be sent"],
        ),
        (
            r#""destinations":[{}]"#,
            &["/destinations/0/url: is missing"],
        ),
        (
            r#""destinations":[{"url":"https://a.example"},{"url":"https://b.example/"},{"url":"https://A.example:443/"}]"#,
            &["/destinations/2/url: has the URL of an earlier destination: name each once"],
        ),
        (
            r#""destinations":[{"url":"https://a.example/","id":"dst_0000000000000"}]"#,
            &[
                "/destinations/0/id: is not a destination of this webhook: leave it out for a new one",
            ],
        ),
        // Both forms at once, and what is wrong in the longer.
        (
            r#""webhook_url":"https://a.example/","destinations":[{"url":"http://a.example/"}]"#,
            &[
                "/webhook_url: send `webhook_url` or `destinations`, not both",
                "/destinations/0/url: must begin with https://",
            ],
        ),
        (
            r#""timeout_seconds":0,"destinations":[{"url":"https://a.example/","timeout_seconds":31,"rate_per_second":10001}]"#,
            &[
                "/timeout_seconds: must be a whole number from 1 to 30",
                "/destinations/0/timeout_seconds: must be a whole number from 1 to 30",
                "/destinations/0/rate_per_second: must be a whole number from 1 to 10000",
            ],
        ),
        (
            r#""alert_after_minutes":10081"#,
            &["/alert_after_minutes: must be a whole number from 1 to 10080"],
        ),
    ]);
    let many: Vec<_> = (0..12)
        .map(|n| format!(r#"{{"url":"https://a{n}.example/"}}"#))
        .collect();
    let many = format!(r#""destinations":[{}]"#, many.join(",").replace("a3.", ""));
    assert_eq!(
        mistakes(&many.replace("https://example/", "https://shop/")),
        [
            "/destinations: must have at most 10 entries",
            "/destinations/3/url: has a host without a dot: only public hosts are sent to",
        ]
    );
}

#[test]
fn header_fields() {
    let reserved = "is reserved: it is set by the station or the connection";
    let no_name = "is not a header name: use letters, digits and hyphens, at most 100";
    let control = "must not hold line ends or other control characters";
    for (name, value, message) in [
        ("Host", "a", reserved),
        ("content-length", "1", reserved),
        ("Webhook-Id", "a", reserved),
        ("x-tram-hops", "0", reserved),
        ("transfer-encoding", "chunked", reserved),
        ("", "a", no_name),
        ("x a", "a", no_name),
        ("x:", "a", no_name),
        ("tên", "a", no_name),
        ("x-a", "a\\r\\nx: y", control),
        ("x-a", "\\u0000", control),
    ] {
        let headers = format!(r#""headers":{{"{name}":"{value}"}}"#);
        assert_eq!(mistakes(&headers), [format!("/headers/{name}: {message}")]);
        let destination = format!(r#""destinations":[{{"url":"https://a.example/",{headers}}}]"#);
        let expected = format!("/destinations/0/headers/{name}: {message}");
        assert_eq!(mistakes(&destination), [expected]);
    }
    let long = format!(r#""headers":{{"x-a":"{}"}}"#, "a".repeat(8_193));
    assert_eq!(
        mistakes(&long),
        ["/headers/x-a: must have at most 8192 bytes"]
    );
    let much = "a".repeat(8_189);
    let fits = format!(r#""headers":{{"x-a":"{much}","x-b":"{much}"}}"#);
    assert_eq!(mistakes(&fits), [""; 0]);
    let much = format!(r#""headers":{{"x-a":"{much}","x-b":"{much}","c":""}}"#);
    assert_eq!(
        mistakes(&much),
        ["/headers: must have at most 16384 bytes in all"]
    );
    let many: Vec<_> = (0..51).map(|n| format!(r#""x-{n}":"a""#)).collect();
    let many = format!(r#""headers":{{"host":"a",{}}}"#, many.join(","));
    assert_eq!(
        mistakes(&many),
        [
            "/headers: must have at most 50 fields".to_owned(),
            format!("/headers/host: {reserved}")
        ]
    );
}

#[test]
fn what_is_kept_and_for_how_long() {
    check(&[
        (r#""name":"""#, &["/name: must have 1 to 200 characters"]),
        (
            r#""name":"a\u0007""#,
            &["/name: must not hold control characters"],
        ),
        (r#""type":"in""#, &["/type: must be one of IN, OUT, ALL"]),
        (
            r#""accounts":["","0011 "," 22"]"#,
            &[
                "/accounts/0: must have 1 to 200 characters",
                "/accounts/1: begins or ends with a blank: remove it, or nothing matches",
                "/accounts/2: begins or ends with a blank: remove it, or nothing matches",
            ],
        ),
        (
            r#""allow_events":[""," push"]"#,
            &[
                "/allow_events/0: must have 1 to 200 characters",
                "/allow_events/1: begins or ends with a blank: remove it, or nothing matches",
            ],
        ),
        (
            r#""retention_days":366"#,
            &["/retention_days: must be a whole number from 1 to 365"],
        ),
        (
            r#""retention_days":1.5"#,
            &["/retention_days: must be a whole number from 1 to 365"],
        ),
        (
            r#""dedupe_days":29"#,
            &["/dedupe_days: must be at least retention_days, which is 30"],
        ),
        (
            r#""retention_days":2,"give_up_after_hours":49"#,
            &["/give_up_after_hours: is 49 and must be at most retention_days, which is 48 hours"],
        ),
        (
            r#""provider":"github","retention_days":2"#,
            &["/retention_days: must be at least 3: this provider may send again for that long"],
        ),
        // Each by itself, even where another cannot be read.
        (
            r#""provider":"github","retention_days":2,"dedupe_days":"x","give_up_after_hours":49"#,
            &[
                "/dedupe_days: must be a whole number from 1 to 3650",
                "/retention_days: must be at least 3: this provider may send again for that long",
                "/give_up_after_hours: is 49 and must be at most retention_days, which is 48 hours",
            ],
        ),
        (
            r#""retention_days":0,"dedupe_days":0,"give_up_after_hours":0"#,
            &[
                "/retention_days: must be a whole number from 1 to 365",
                "/dedupe_days: must be a whole number from 1 to 3650",
                "/give_up_after_hours: must be a whole number from 1 to 8760",
            ],
        ),
        (
            r#""retry":{"schedule":"exponential","initial_seconds":61,"factor":0.5,"max_seconds":60,"max_attempts":0,"interval_seconds":1}"#,
            &[
                "/retry/interval_seconds: is not a known field; known are schedule, initial_seconds, factor, max_seconds, max_attempts",
                "/retry/factor: must be a number from 1 to 100",
                "/retry/max_attempts: must be a whole number from 1 to 1000",
                "/retry/max_seconds: must not be less than initial_seconds",
            ],
        ),
        (r#""retry":{}"#, &["/retry/schedule: is missing"]),
        (
            r#""retry":{"schedule":"fixed"}"#,
            &[
                "/retry/interval_seconds: is missing",
                "/retry/max_attempts: is missing",
            ],
        ),
        (
            r#""shards":65"#,
            &["/shards: must be a whole number from 1 to 64"],
        ),
        (
            r#""id":"x","ingest_url":"x","warnings":[],"created_at":"x","updated_at":"x""#,
            &[
                "/created_at: is read-only: leave it out",
                "/id: is read-only: leave it out",
                "/ingest_url: is read-only: leave it out",
                "/updated_at: is read-only: leave it out",
                "/warnings: is read-only: leave it out",
            ],
        ),
    ]);
    let delays = vec!["-1"; 101].join(",");
    let found = mistakes(&format!(
        r#""retry":{{"schedule":"custom","delays_seconds":[{delays}]}}"#
    ));
    assert_eq!(found.len(), 100, "the first hundred are listed");
    assert_eq!(
        found[0],
        "/retry/delays_seconds: must have at most 100 entries"
    );
}

#[test]
fn secrets_that_could_never_prove_anything() {
    let empty = "must not be empty: an empty secret proves nothing";
    let blank = "begins or ends with a blank or line end: remove it";
    let masked = "is masked and not what is shown now: send the secret itself, or leave it out";
    let whsec = "is not whsec_ followed by base64: paste it as the provider shows it";
    check(&[
        (r#""secret":"""#, &[&format!("/secret: {empty}")]),
        (r#""secret":"  ""#, &[&format!("/secret: {blank}")]),
        (r#""secret":"hunter2\n""#, &[&format!("/secret: {blank}")]),
        (r#""secret":"***5678""#, &[&format!("/secret: {masked}")]),
        (
            r#""secret":[]"#,
            &["/secret: must have 1 to 3 entries: without a secret nothing is proven"],
        ),
        (
            r#""secret":["hunter2","","hunter2","x"]"#,
            &[
                "/secret: must have at most 3 entries",
                &format!("/secret/1: {empty}"),
                "/secret/2: is the same as one before: leave it out",
            ],
        ),
        // A token travels in a header.
        (
            r#""secret":"hunter\n2""#,
            &["/secret: holds a control character, which no header can carry: remove it"],
        ),
        (r#""provider":"github","secret":"hunter\n2""#, &[]),
        // A key that is decoded has to be decodable.
        (
            r#""provider":"svix","secret":"whsec_not base64""#,
            &[&format!("/secret: {whsec}")],
        ),
        (
            r#""provider":"svix","secret":"whsec_""#,
            &[&format!("/secret: {whsec}")],
        ),
        (
            r#""provider":"standard-webhooks","secret":["whsec_YWJjZGVmZ2hpamtsbW5vcA==",1,"whpk_x"]"#,
            &["/secret/1: must be a text", &format!("/secret/2: {whsec}")],
        ),
        (
            r#""signing_secret":"whsec_YWJjZGVmZ2hpamtsbW5vcA==""#,
            &["/signing_secret: cannot be set: leave it out, or use rotate-secret for a new one"],
        ),
    ]);
    let long = format!(r#""secret":"{}""#, "h".repeat(4_097));
    assert_eq!(mistakes(&long), ["/secret: must have at most 4096 bytes"]);
}

#[test]
fn settings_that_the_provider_does_not_take_or_cannot_do_without() {
    check(&[
        (
            r#""settings":{"header":"x-a","tolerance_seconds":null}"#,
            &[
                "/settings/tolerance_seconds: is not taken by casso: send settings without it; taken are answer, event_id, event_name",
                "/settings/header: is not taken by casso: send settings without it; taken are answer, event_id, event_name",
            ],
        ),
        (
            r#""provider":"abaha""#,
            &["/settings/header: is missing: abaha cannot do without it"],
        ),
        (
            r#""provider":"custom","settings":{"scheme":"hmac"}"#,
            &["/settings/header: is missing: custom cannot do without it"],
        ),
        // One cannot be read: of the others everything is still said.
        (
            r#""settings":{"colour":1,"items":"/a","event_id":5,"answer":{"status":204,"body":"x"}}"#,
            &[
                "/settings/colour: is not a known field; known are tolerance_seconds, url, header, access_key, app_id, scheme, algorithm, encoding, prefix, signed, timestamp_header, timestamp_unit, event_id, event_name, items, answer",
                "/settings/event_id: must be a text or an array of texts",
                "/settings/items: is not taken by casso: send settings without it; taken are answer, event_id, event_name",
                "/settings/answer/body: must be empty with status 204 or 205: leave it out",
            ],
        ),
        (
            r#""settings":{"answer":{}}"#,
            &["/settings/answer/status: is missing"],
        ),
        (
            r#""settings":{"answer":{"status":302,"body":1}}"#,
            &[
                "/settings/answer/status: must be a whole number from 200 to 299",
                "/settings/answer/body: must be a text",
            ],
        ),
        (
            r#""settings":{"event_id":["tid",7,"/tid","header:"],"event_name":"$.name"}"#,
            &[
                "/settings/event_id/1: must be a text",
                "/settings/event_id/0: is neither header:X-Name nor a JSON pointer such as /data/id",
                "/settings/event_id/3: is neither header:X-Name nor a JSON pointer such as /data/id",
                "/settings/event_name: is neither header:X-Name nor a JSON pointer such as /data/id",
            ],
        ),
        (
            r#""settings":{"event_id":[]}"#,
            &["/settings/event_id: must name at least one place"],
        ),
        (
            r#""settings":{"event_id":["/1","/2","/3","/4","/5","/6","/7","/8","/9"]}"#,
            &["/settings/event_id: must have at most 8 entries"],
        ),
        // What proves the sender is not shown with every event.
        (
            r#""settings":{"event_id":"header:secure-token"}"#,
            &[
                "/settings/event_id: is the header that proves the sender, which is kept secret: name another place",
            ],
        ),
    ]);
    let long = format!(
        r#""settings":{{"answer":{{"status":200,"body":"{}"}}}}"#,
        "a".repeat(65_537)
    );
    assert_eq!(
        mistakes(&long),
        ["/settings/answer/body: must have at most 65536 bytes"]
    );
}

#[test]
fn a_custom_sender_that_could_never_be_proven() {
    let known = "{body}, {timestamp}, {id}, {url} and {method} are known";
    let same = "/settings/signed: is the same for every request, so that whoever has seen one could send any other: add {body}";
    let hmac = "belongs to the scheme hmac: set scheme to \"hmac\"";
    let table: &[(&str, &[&str])] = &[
        (r#""header":"x-s""#, &[]),
        (r#""header":"x-s","scheme":"hmac""#, &[]),
        (
            r#""header":"x-s","scheme":"hmac","signed":"{timestamp}.{body}","timestamp_header":"x-t""#,
            &[],
        ),
        (
            r#""header":"x-s","scheme":"hmac","signed":"{id}.{body}","event_id":["/a","header:x-i"]"#,
            &[],
        ),
        (
            r#""header":"x s""#,
            &[
                "/settings/header: is not the name of a header field: use letters, digits and hyphens",
            ],
        ),
        (
            r#""header":"Host""#,
            &["/settings/header: is set by the connection, not by the sender: name another header"],
        ),
        (
            r#""header":"x-s","prefix":" a""#,
            &["/settings/prefix: begins with a blank, which no value of a header does: remove it"],
        ),
        (
            r#""header":"x-s","timestamp_header":"X-S""#,
            &[
                "/settings/timestamp_header: is the header that carries the proof: name the one that carries the time",
            ],
        ),
        (
            r#""header":"x-s","timestamp_header":"x-t","event_id":"header:X-T""#,
            &[
                "/settings/event_id: is the time alone: of two events at the same time the second would be dropped. Name another place as well",
            ],
        ),
        (
            r#""header":"x-s","timestamp_header":"x-t","event_id":["header:x-t","/id"]"#,
            &[],
        ),
        (
            r#""header":"x-s","algorithm":"sha1","encoding":"hex","signed":"{body}""#,
            &[
                &format!("/settings/algorithm: {hmac}"),
                &format!("/settings/encoding: {hmac}"),
                &format!("/settings/signed: {hmac}"),
            ],
        ),
        (
            r#""header":"x-s","scheme":"hmac","signed":"{timestamp}{id}{body}""#,
            &[
                "/settings/timestamp_header: is missing: signed holds {timestamp}",
                "/settings/event_id: must name a header (header:X-Id): signed holds {id}",
            ],
        ),
        (
            r#""header":"x-s","scheme":"hmac","signed":"{id}{body}","event_id":"/id""#,
            &["/settings/event_id: must name a header (header:X-Id): signed holds {id}"],
        ),
        (
            r#""header":"x-s","scheme":"hmac","signed":"{boddy}","timestamp_unit":"m""#,
            &[
                "/settings/timestamp_unit: must be one of s, ms",
                &format!("/settings/signed: {{boddy}} is not known; {known}"),
            ],
        ),
        (
            r#""header":"x-s","scheme":"hmac","signed":"{body""#,
            &[&format!("/settings/signed: a {{ is not closed; {known}")],
        ),
        (
            r#""header":"x-s","scheme":"hmac","signed":"body""#,
            &[&format!(
                "/settings/signed: nothing of the request is signed; {known}"
            )],
        ),
        (
            r#""header":"x-s","scheme":"hmac","signed":"{method}""#,
            &[same],
        ),
        (
            r#""header":"x-s","scheme":"hmac","signed":"{method}{url}","url":"https://a.example/""#,
            &[same],
        ),
        (
            r#""header":"x-s","scheme":"hmac","signed":"{method}{url}""#,
            &[],
        ),
        (
            r#""header":"x-s","scheme":"hmac","url":"https://a.example/""#,
            &["/settings/url: is of no use: signed does not hold {url}"],
        ),
        (
            r#""header":"x-s","scheme":"hmac","signed":"{url}{body}","url":"a.example""#,
            &["/settings/url: is not a URL that begins with https:// or http://"],
        ),
        (
            r#""header":"x-s","timestamp_unit":"s","tolerance_seconds":60"#,
            &[
                "/settings/timestamp_unit: needs a timestamp_header",
                "/settings/tolerance_seconds: needs a timestamp_header",
            ],
        ),
        (
            r#""header":"x-s","timestamp_header":"x-t","tolerance_seconds":0"#,
            &["/settings/tolerance_seconds: must be a whole number from 1 to 31536000"],
        ),
        (
            r#""header":"x-s","items":"data""#,
            &["/settings/items: is not a JSON pointer such as /data"],
        ),
        // A scheme that cannot be read decides nothing about the others.
        (
            r#""header":"x-s","scheme":"HMAC","algorithm":"sha1","items":"data""#,
            &[
                "/settings/scheme: must be one of token, hmac",
                "/settings/items: is not a JSON pointer such as /data",
            ],
        ),
        (
            r#""header":"x-s","event_id":"header:X-S","event_name":["/a","header: x-s"]"#,
            &[
                "/settings/event_id: is the header that proves the sender, which is kept secret: name another place",
                "/settings/event_name/1: is the header that proves the sender, which is kept secret: name another place",
            ],
        ),
    ];
    for (settings, expected) in table {
        assert_eq!(mistakes(&custom(settings)), *expected, "{settings}");
    }
    // A long mistake is not repeated.
    let long = format!(
        r#""header":"x-s","scheme":"hmac","signed":"{{{}}}""#,
        "b".repeat(2_000)
    );
    let found = mistakes(&custom(&long));
    assert!(found[0].len() < 200, "{found:?}");
}

#[test]
fn messages_never_repeat_a_secret() {
    let secret = "hunter2-hunter2";
    for value in [
        format!(r#""***{secret}""#),
        format!(r#"" {secret}""#),
        format!(r#"["{secret}","{secret}"]"#),
        format!(r#"{{"a":"{secret}"}}"#),
        format!(r#""{secret}\n""#),
    ] {
        for field in [
            format!(r#""secret":{value}"#),
            format!(r#""provider":"svix","secret":{value}"#),
            format!(r#""signing_secret":{value}"#),
            format!(r#""settings":{{"access_key":{value}}}"#),
            format!(r#""headers":{{"authorization":{value}}}"#),
        ] {
            let found = mistakes(&field);
            assert!(!found.join(" ").contains("hunter2"), "{found:?}");
        }
    }
}

#[test]
fn a_change_of_provider_says_what_does_not_go_with_it() {
    let rules = Rules {
        providers: providers::ALL,
        station: &station(),
        now: Timestamp::from_millis(0),
    };
    let first = r#"{"provider":"custom","webhook_url":"https://shop.example/","secret":"key of 16 letters",
        "settings":{"header":"x-s","items":"/a"},"allow_events":["paid"],"retention_days":1}"#;
    let existing = outcome(create(&rules, first, &mut entropy()))
        .map(|it| it.webhook)
        .unwrap_err();
    assert_eq!(existing[0].0, "/retention_days");
    let first = first.replace(r#""retention_days":1"#, r#""retention_days":3"#);
    let existing = outcome(create(&rules, &first, &mut entropy())).unwrap();
    let change = |body: &str| {
        let written = update(&rules, &existing.webhook, body, &mut entropy());
        outcome(written).map(|it| it.webhook).map_err(|mistakes| {
            let mistakes = mistakes.into_iter();
            mistakes.map(|(at, _)| at).collect::<Vec<_>>()
        })
    };
    assert_eq!(
        change(r#"{"provider":"casso"}"#).unwrap_err(),
        ["/settings/header", "/settings/items"]
    );
    assert_eq!(
        change(r#"{"provider":"standard-webhooks","settings":{}}"#).unwrap_err(),
        ["/retention_days", "/secret"]
    );
    assert_eq!(
        change(r#"{"provider":"sepay-bankhub","settings":{}}"#).unwrap_err(),
        ["/allow_events"]
    );
    // Sent with it, all is well, and everything else stays.
    let changed = change(
        r#"{"provider":"sepay-bankhub","settings":{},"allow_events":["BANK_ACCOUNT_LINKED"]}"#,
    );
    let changed = changed.unwrap();
    assert_eq!(changed.secrets, existing.webhook.secrets);
    assert_eq!(changed.destinations, existing.webhook.destinations);
    assert_eq!(changed.settings, crate::webhook::Settings::default());
    let whsec = r#"{"provider":"svix","settings":{},"secret":"whsec_YWJjZGVmZ2hpamtsbW5vcA=="}"#;
    assert_eq!(change(whsec).unwrap().provider, "svix");
}
