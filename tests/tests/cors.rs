//! Pages of other origins: closed, unless the operator names them.

use tram_tests::{ADMIN_TOKEN, Answer, Station};

const ADMIN: &str = "https://admin.example.com";

fn names(answer: &Answer) -> Vec<String> {
    let headers = answer.headers.iter();
    let mut names: Vec<_> = headers
        .map(|(name, _)| name.to_ascii_lowercase())
        .filter(|name| name.starts_with("access-control-"))
        .collect();
    names.sort_unstable();
    names
}

fn preflight(station: &Station, path: &str, origin: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "PUT"),
        (
            "access-control-request-headers",
            "authorization, content-type",
        ),
    ];
    station.client().send("OPTIONS", path, &headers, b"")
}

fn get(station: &Station, path: &str, origin: &str) -> Answer {
    let token = format!("Bearer {ADMIN_TOKEN}");
    let headers = [("origin", origin), ("authorization", token.as_str())];
    station.client().send("GET", path, &headers, b"")
}

#[test]
fn nobody_is_let_in_unless_named() {
    let station = Station::shared();
    for path in ["/api/v1/webhooks", "/api/v1/providers", "/metrics", "/in/x"] {
        let answer = preflight(&station, path, ADMIN);
        assert!(answer.status >= 400, "{path} {}", answer.status);
        assert!(names(&answer).is_empty(), "{path}");
    }
    let answer = get(&station, "/api/v1/webhooks", ADMIN);
    assert_eq!((answer.status, answer.header("vary")), (200, None));
    assert!(names(&answer).is_empty());
}

#[test]
fn who_is_named_may_manage_with_the_token() {
    let station = Station::builder()
        .variable(
            "MANAGEMENT_ORIGINS",
            // As an operator may write it; browsers do not.
            "https://b.example, https://Admin.example.com:443/, *",
        )
        .start();
    for path in [
        "/api/v1/webhooks",
        "/api/v1/providers",
        "/api/v1/x",
        "/metrics",
    ] {
        let answer = preflight(&station, path, ADMIN);
        assert_eq!(answer.status, 204, "{path} {}", answer.text());
        answer.assert_guarded();
        for (name, value) in [
            ("access-control-allow-origin", ADMIN),
            (
                "access-control-allow-methods",
                "GET, POST, PUT, PATCH, DELETE",
            ),
            (
                "access-control-allow-headers",
                "authorization, content-type",
            ),
            ("access-control-max-age", "3600"),
            ("vary", "origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path} {name}");
        }
        assert_eq!(names(&answer).len(), 4);

        for other in [
            "https://evil.example",
            "*",
            "null",
            "https://admin.example.com.evil",
        ] {
            let answer = preflight(&station, path, other);
            assert!(answer.status >= 400, "{path} {other}");
            assert!(names(&answer).is_empty(), "{path} {other}");
        }
    }
    let answer = get(&station, "/api/v1/webhooks", ADMIN);
    assert_eq!(answer.status, 200);
    assert_eq!(names(&answer), ["access-control-allow-origin"]);
    assert_eq!(answer.header("access-control-allow-origin"), Some(ADMIN));
    assert_eq!(answer.header("vary"), Some("origin"));
    let answer = get(&station, "/api/v1/webhooks", "https://evil.example");
    assert_eq!(
        (answer.status, answer.header("vary")),
        (200, Some("origin"))
    );
    assert!(names(&answer).is_empty());

    // A page can read why it was turned away, and no more without the token.
    let headers = [("origin", ADMIN), ("authorization", "Bearer wrong")];
    let answer = station
        .client()
        .send("GET", "/api/v1/webhooks", &headers, b"");
    assert_eq!(answer.problem(401), "unauthorized");
    assert_eq!(answer.header("access-control-allow-origin"), Some(ADMIN));

    // Senders are servers.
    let path = "/in/wh_00000000000000000000000000";
    let answer = preflight(&station, path, ADMIN);
    assert!(answer.status >= 400 && names(&answer).is_empty());
    let answer = get(&station, path, ADMIN);
    assert!(names(&answer).is_empty() && answer.header("vary").is_none());
}
