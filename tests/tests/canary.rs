//! Nothing that is secret comes out again: values that stand nowhere else are put in at
//! every entrance, and looked for in every answer and in the log.

use serde_json::{Value, json};
use tram_tests::{
    Answer, Origin, PATIENCE, Reply, Station, Webhook, casso, transaction, wait_until,
};

/// A value of its own. Two of them have less in common than makes a part of a secret.
fn canary(place: &str) -> String {
    format!("{place}-cnry")
}

/// What an answer shows by contract: what one answer may hold, another may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shows {
    /// Nothing of what anybody sent.
    Nothing,
    /// A webhook's configuration, its secrets masked.
    Webhook,
    /// The same with its secrets in full, once.
    NewWebhook,
    /// Events: payload, where they went, what was answered there.
    Events,
    /// Where destinations are.
    Figures,
}

/// Values that have been put in, and where they may be seen.
fn canaries() -> Vec<(String, &'static [Shows])> {
    let secret: &[Shows] = &[Shows::NewWebhook];
    let configured: &[Shows] = &[Shows::Webhook, Shows::NewWebhook];
    let places: [(&str, &[Shows]); 21] = [
        ("adminright", &[]),
        ("adminsecond", &[]),
        ("adminwrong", &[]),
        ("providersecret", secret),
        ("rotatedsecret", secret),
        ("headerofwebhook", configured),
        ("headerofdestination", configured),
        ("alertquery", configured),
        (
            "destinationquery",
            &[
                Shows::Webhook,
                Shows::NewWebhook,
                Shows::Events,
                Shows::Figures,
            ],
        ),
        ("accesskey", configured),
        ("mistake", &[]),
        ("managementpath", &[]),
        ("managementquery", &[]),
        ("inboundpath", &[]),
        ("wrongheader", &[]),
        ("wrongquery", &[]),
        ("wrongbody", &[]),
        ("cookievalue", &[]),
        ("payloadvalue", &[Shows::Events]),
        ("originanswer", &[Shows::Events]),
        ("originheader", &[]),
    ];
    places.map(|(place, shown)| (canary(place), shown)).into()
}

#[derive(Default)]
struct Answers(Vec<(Shows, String, String)>);

impl Answers {
    fn add(&mut self, shows: Shows, what: &str, answer: &Answer) {
        let text = format!("{:?} {}", answer.headers, answer.text());
        self.0
            .push((shows, format!("{what} ({})", answer.status), text));
    }

    /// Asks the management API and keeps the answer.
    fn ask(
        &mut self,
        station: &Station,
        shows: Shows,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) {
        let answer = station.api(method, path, body);
        self.add(shows, &format!("{method} {path}"), &answer);
    }

    #[track_caller]
    fn check(&self, log: &str, more: &[&str]) {
        let log: Vec<_> = log
            .lines()
            .filter(|line| !line.starts_with("[wrangler:"))
            .collect();
        let log = log.join("\n");
        let mut found = Vec::new();
        let known = canaries();
        let more = more
            .iter()
            .map(|secret| ((*secret).to_owned(), [].as_slice()));
        let mut seen_at_all = 0;
        for (value, allowed) in known.into_iter().chain(more) {
            let value = value.to_lowercase();
            if log.to_lowercase().contains(&value) {
                found.push(format!("{value} in the log"));
            }
            for (shows, what, text) in &self.0 {
                if text.to_lowercase().contains(&value) {
                    seen_at_all += 1;
                    if !allowed.contains(shows) {
                        found.push(format!("{value} in {what}: {text}"));
                    }
                }
            }
        }
        assert!(found.is_empty(), "{:#?}", found);
        assert!(seen_at_all > 10, "what may be shown was shown");
    }
}

fn create(answers: &mut Answers, station: &Station, webhook: &Value) -> Webhook {
    let created = station.create_webhook(webhook);
    let text = created.shown.to_string();
    answers
        .0
        .push((Shows::NewWebhook, "POST /webhooks".into(), text));
    created
}

/// Bodies of an operator who has made a mistake, with a value in each.
fn mistaken(value: &str) -> Vec<String> {
    let with = |field: &str, value: Value| {
        let mut body = json!({"provider": "custom", "webhook_url": "http://127.0.0.1:9/"});
        body[field] = value;
        body.to_string()
    };
    let url = |before: &str| format!("{before}{value}");
    let mut bodies: Vec<String> = [
        "name",
        "secret",
        "provider",
        "settings",
        "webhook_url",
        "destinations",
        "headers",
        "accounts",
        "allow_events",
        "retry",
        "type",
        "is_active",
        "is_paused",
        "alert_url",
        "give_up_after_hours",
        "retention_days",
        "dedupe_days",
        "shards",
        "timeout_seconds",
        "strict",
        "alert_after_minutes",
        "grace_seconds",
        "destination_id",
        "resend_id",
        "status",
        "body_base64",
        "at",
        "method",
        "query",
    ]
    .into_iter()
    .flat_map(|field| {
        [
            json!(value),
            json!([value, 1]),
            json!({"a": value}),
            json!([{"b": [value]}]),
        ]
        .map(|wrong| (field, wrong))
    })
    // A name and such may be any text.
    .filter(|(field, wrong)| {
        !wrong.is_string() || !["name", "secret", "query", "method"].contains(field)
    })
    .filter(|(field, wrong)| !(wrong.is_object() && *field == "headers"))
    .map(|(field, wrong)| with(field, wrong))
    .collect();
    bodies.extend([
        with("webhook_url", json!(url("ftp://shop.example/?token="))),
        with("webhook_url", json!(format!("https://user:{value}@shop.example/"))),
        with("webhook_url", json!(url("http://[::1/"))),
        with("alert_url", json!(url("gopher://a/"))),
        with("destinations", json!([{"url": url("ws://a/?"), "headers": {"a": 1}}])),
        with("destinations", json!([{"url": "http://127.0.0.1:9/", "headers": {"host": value}}])),
        with("destinations", json!([{"url": "http://127.0.0.1:9/", "headers": {"x-a": format!("{value}\r\n")}}])),
        with("headers", json!({"webhook-id": value, "x b": value, "x-c": [value]})),
        with("settings", json!({"access_key": [value], "scheme": value, "answer": {"status": 500, "body": value}})),
        with("settings", json!({"header": value, "algorithm": {"a": value}, "signed": [value]})),
        with("settings", json!({"event_id": value, "items": value, "tolerance_seconds": value})),
        with("retry", json!({"schedule": value, "max_attempts": value})),
        with("secret", json!(["", format!("{value}\n")])),
        format!("{{\"secret\":\"{value}"),
        format!("{{\"secret\":\"{value}\",\"secret\":\"{value}\"}}"),
        format!("{{\"secret\": {value}}}"),
        format!("\"{value}\""),
        format!("[\"{value}\"]"),
        value.to_owned(),
    ]);
    bodies
}

#[test]
fn what_is_secret_never_comes_out_again() {
    let (right, second) = (canary("adminright"), canary("adminsecond"));
    let station = Station::builder()
        .variable("ADMIN_TOKEN", &format!("{right},{second}"))
        .start();
    let origin = Origin::start();
    let echo = canary("originanswer");
    let held_up = canary("originheader");
    let answer = move || {
        Reply::status(500)
            .body(echo.clone())
            .header("retry-after", &held_up)
    };
    let (first, later) = (answer(), answer());
    origin.then(first).always(later);
    let mut answers = Answers::default();
    let secret = canary("providersecret");
    let webhook = create(
        &mut answers,
        &station,
        &json!({
            "provider": "casso", "secret": secret,
            "headers": {"x-webhook": canary("headerofwebhook")},
            "destinations": [{
                "url": origin.url(&format!("/?token={}", canary("destinationquery"))),
                "headers": {"x-destination": canary("headerofdestination")},
            }],
            "alert_url": origin.url(&format!("/alerts?token={}", canary("alertquery"))),
            "retry": {"schedule": "custom", "delays_seconds": [0.1]},
        }),
    );
    let keyed = create(
        &mut answers,
        &station,
        &json!({
            "provider": "custom", "secret": canary("rotatedsecret"), "webhook_url": origin.url("/keyed"),
            "settings": {"scheme": "token", "header": "x-proof", "answer": {"status": 200, "body": canary("accesskey")}},
        }),
    );
    let one = format!("/webhooks/{}", webhook.id);

    // Senders, proven and not.
    let mut paid = transaction(1);
    paid["description"] = json!(canary("payloadvalue"));
    let cookie = canary("cookievalue");
    let token = format!("Bearer {secret}");
    let proven = [
        ("secure-token", secret.as_str()),
        ("cookie", cookie.as_str()),
        ("x-odd", secret.as_str()),
        ("x-forwarded", token.as_str()),
        ("x-api-key", cookie.as_str()),
    ];
    let path = format!("{}?token={secret}", webhook.path);
    let accepted = station.post(&path, &proven, casso(&[paid]));
    let event = accepted.assert_taken("accepted").remove(0);
    answers.add(Shows::Nothing, "accepted", &accepted);
    let (wrong_header, wrong_body) = (canary("wrongheader"), canary("wrongbody"));
    // A name that says nothing of a secret can be any field's.
    for (path, proof) in [(&webhook.path, "secure-token"), (&keyed.path, "x-proof")] {
        let asked = format!("{path}?token={}", canary("wrongquery"));
        for name in [proof, "authorization", "x-auth-token", "cookie"] {
            for method in ["POST", "GET", "PUT"] {
                let fields = [(name, wrong_header.as_str())];
                let body = if method == "GET" {
                    ""
                } else {
                    wrong_body.as_str()
                };
                let answer = station
                    .client()
                    .send(method, &asked, &fields, body.as_bytes());
                assert!(answer.status >= 400);
                answers.add(Shows::Nothing, "forged", &answer);
            }
        }
    }
    for path in ["/in/", "/", "/metrics/", "/healthz/", "/api/v2/"] {
        let path = format!("{path}{}", canary("inboundpath"));
        answers.add(
            Shows::Nothing,
            &path,
            &station.post(&path, &proven, &wrong_body),
        );
    }
    let not_json = [("secure-token", secret.as_str())];
    let odd = station.post(&webhook.path, &not_json, canary("payloadvalue"));
    answers.add(Shows::Nothing, "not JSON", &odd);
    let proof = [("x-proof", canary("rotatedsecret"))];
    let proof = proof
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let taken = station.post(&keyed.path, &proof, canary("payloadvalue"));
    // The operator's own answer, which is meant for this sender.
    assert_eq!(taken.text(), canary("accesskey"));
    station.wait_for_status(&event, "failed");

    // Operators, with tokens that are wrong.
    let bearer = format!("Bearer {}", canary("adminwrong"));
    for (path, token) in [
        ("/api/v1/webhooks", bearer.as_str()),
        ("/metrics", bearer.as_str()),
        ("/api/v1/webhooks", canary("adminwrong").as_str()),
        (
            &format!("/api/v1/webhooks?token={}", canary("managementquery")),
            "Basic x",
        ),
    ] {
        for method in ["GET", "POST", "OPTIONS"] {
            let fields = [("authorization", token), ("origin", "https://a.example")];
            let answer = station.client().send(method, path, &fields, b"");
            assert_eq!(answer.status, 401);
            answers.add(Shows::Nothing, path, &answer);
        }
    }
    // And with mistakes.
    for body in mistaken(&canary("mistake")) {
        for (method, path) in [
            ("POST", "/webhooks".to_owned()),
            ("PUT", format!("/webhooks/{}", keyed.id)),
            ("POST", format!("{one}/rotate-secret")),
            ("POST", format!("{one}/test")),
            ("POST", format!("{one}/explain")),
            ("POST", format!("/events/{event}/resend")),
            ("POST", "/events/resend".to_owned()),
            ("POST", "/events/cancel".to_owned()),
        ] {
            let token = format!("Bearer {right}");
            let fields = [("authorization", token.as_str())];
            let path = format!("/api/v1{path}");
            let answer = station
                .client()
                .send(method, &path, &fields, body.as_bytes());
            // Of some routes it is none.
            if answer.status >= 400 {
                answers.add(Shows::Nothing, &format!("{method} {path} {body}"), &answer);
            }
        }
    }
    let (in_path, in_query) = (canary("managementpath"), canary("managementquery"));
    for path in [
        format!("/{in_path}"),
        format!("/webhooks/{in_path}"),
        format!("/webhooks/{in_path}/refusals"),
        format!("/events/{in_path}"),
        format!("/events?per_page={in_query}&cursor={in_query}&from={in_query}&status={in_query}"),
        format!("/events?webhook_id={in_query}&include={in_query}"),
        format!("/events?q={in_query}"),
        format!("/webhooks?cursor={in_query}"),
        format!("/stats?webhook_id={in_query}"),
    ] {
        for method in ["GET", "DELETE", "PUT"] {
            answers.ask(&station, Shows::Nothing, method, &path, Some(&json!({})));
        }
    }
    let absent = format!("/webhooks?webhook_url=https://shop.example/?token={in_query}");
    answers.ask(&station, Shows::Nothing, "DELETE", &absent, None);

    // And all that is shown to those who may see it.
    wait_until("the refusals to be kept", PATIENCE, || {
        let answer = station.api("GET", &format!("{one}/refusals"), None);
        (answer.json()["data"].as_array()?.len() > 1).then_some(())
    });
    let question = json!({"headers": {"secure-token": secret, "x-odd": secret}, "query": secret,
        "body": casso(&[transaction(5)])});
    let wrong = json!({"headers": {"secure-token": wrong_header}, "query": wrong_header,
        "body": wrong_body});
    for (shows, method, path, body) in [
        (Shows::Webhook, "GET", "/webhooks".to_owned(), None),
        (Shows::Webhook, "GET", one.clone(), None),
        (
            Shows::Webhook,
            "GET",
            format!("/webhooks/{}", keyed.id),
            None,
        ),
        (
            Shows::Webhook,
            "PUT",
            one.clone(),
            Some(json!({"name": "other"})),
        ),
        (Shows::Webhook, "PATCH", format!("{one}/toggle"), None),
        (Shows::Webhook, "PATCH", format!("{one}/toggle"), None),
        (Shows::Webhook, "POST", format!("{one}/pause"), None),
        (Shows::Webhook, "POST", format!("{one}/resume"), None),
        (
            Shows::Webhook,
            "POST",
            format!("{one}/rotate-secret"),
            Some(json!({})),
        ),
        (Shows::Nothing, "GET", format!("{one}/refusals"), None),
        (
            Shows::Nothing,
            "GET",
            format!("/webhooks/{}/refusals", keyed.id),
            None,
        ),
        (
            Shows::Nothing,
            "POST",
            format!("{one}/explain"),
            Some(question),
        ),
        (
            Shows::Nothing,
            "POST",
            format!("{one}/explain"),
            Some(wrong),
        ),
        (Shows::Events, "GET", "/events".to_owned(), None),
        (
            Shows::Events,
            "GET",
            "/events?include=attempts".to_owned(),
            None,
        ),
        (Shows::Events, "GET", format!("/events/{event}"), None),
        (
            Shows::Events,
            "POST",
            format!("/events/{event}/cancel"),
            None,
        ),
        (
            Shows::Nothing,
            "POST",
            format!("/events/{event}/resend"),
            None,
        ),
        (
            Shows::Events,
            "POST",
            format!("{one}/test"),
            Some(json!({})),
        ),
        (Shows::Figures, "GET", "/stats".to_owned(), None),
        (Shows::Nothing, "GET", "/providers".to_owned(), None),
        (Shows::Events, "DELETE", format!("/events/{event}"), None),
        (Shows::Webhook, "DELETE", one, None),
    ] {
        let answer = station.api(method, &path, body.as_ref());
        assert!(answer.status < 300, "{method} {path}: {}", answer.text());
        answers.add(shows, &format!("{method} {path}"), &answer);
    }
    let fields = [("authorization", format!("Bearer {second}"))];
    let fields = fields
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let metrics = station.client().send("GET", "/metrics", &fields, b"");
    assert_eq!(metrics.status, 200);
    answers.add(Shows::Nothing, "/metrics", &metrics);
    // What was relayed is as it came.
    let relayed = origin.received();
    let whole = relayed
        .iter()
        .find(|request| request.header("x-odd").is_some())
        .expect("it");
    assert_eq!(whole.header("secure-token"), Some(secret.as_str()));
    assert_eq!(whole.header("x-odd"), Some(secret.as_str()));
    assert_eq!(whole.header("x-api-key"), Some(cookie.as_str()));

    let log = station.log();
    assert!(log.contains(r#""log":"attempt""#) && log.contains(r#""log":"inbound""#));
    answers.check(&log, &[]);
    // Signing secrets are made by the station: not in the log either.
    for webhook in [&webhook, &keyed] {
        let bare = webhook.signing_secret.trim_start_matches("whsec_");
        assert!(bare.len() > 20 && !log.contains(bare));
        for (shows, what, text) in &answers.0 {
            assert!(
                *shows == Shows::NewWebhook || !text.contains(bare),
                "{what}: {text}"
            );
        }
    }
}
