//! What operators may send, as tables: what it becomes, and which mistakes are
//! named where.

use super::{change::WRITABLE, *};
use crate::{
    registry::test_providers,
    webhook::{Destination, Strict},
};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_millis(1_763_632_800_000);

pub(super) fn station() -> Station {
    Station {
        own_hosts: vec!["hooks.example.com".into()],
        allow_private: false,
    }
}

pub(super) fn entropy() -> Entropy {
    Entropy::new(
        (0..Entropy::ENOUGH)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect(),
    )
}

/// Random bytes that no webhook of [`entropy`] was made with.
fn other_entropy() -> Entropy {
    Entropy::new(vec![255; Entropy::ENOUGH])
}

pub(super) type Outcome = Result<Written, Vec<(String, String)>>;

pub(super) fn outcome(written: Result<Written, Rejected>) -> Outcome {
    written.map_err(|rejected| match rejected {
        Rejected::Mistakes(mistakes) => mistakes
            .into_iter()
            .map(|mistake| (mistake.pointer, mistake.message))
            .collect(),
        Rejected::Entropy(error) => panic!("{error}"),
    })
}

fn create_text(body: &str) -> Outcome {
    let station = station();
    let rules = Rules {
        providers: test_providers::ALL,
        station: &station,
        now: NOW,
    };
    outcome(create(&rules, body, &mut entropy()))
}

fn update_of(existing: &Webhook, body: &Value) -> Outcome {
    let station = station();
    let rules = Rules {
        providers: test_providers::ALL,
        station: &station,
        now: NOW,
    };
    outcome(update(
        &rules,
        existing,
        &body.to_string(),
        &mut other_entropy(),
    ))
}

/// The least that makes a webhook, with `more` fields.
fn with(more: Value) -> Value {
    let mut body = json!({"provider": "bank", "webhook_url": "https://shop.example/hook"});
    let target = body.as_object_mut().unwrap();
    for (name, value) in more.as_object().unwrap() {
        if name == "destinations" {
            target.remove("webhook_url");
        }
        target.insert(name.clone(), value.clone());
    }
    body
}

fn created(more: Value) -> Webhook {
    create_text(&with(more).to_string()).unwrap().webhook
}

fn pointers(outcome: Outcome) -> Vec<String> {
    outcome.map_or_else(
        |mistakes| mistakes.into_iter().map(|(pointer, _)| pointer).collect(),
        |_| Vec::new(),
    )
}

fn urls(webhook: &Webhook) -> Vec<&str> {
    webhook
        .destinations
        .iter()
        .map(|d| d.url.as_str())
        .collect()
}

#[test]
fn the_least_takes_every_default() {
    let written = create_text(&with(json!({})).to_string()).unwrap();
    let webhook = written.webhook;
    assert_eq!(
        written.reveal,
        Reveal {
            secrets: [true; 3],
            signing_secret: true
        }
    );
    assert_eq!(webhook.version, 1);
    assert_eq!(webhook.name, "Ngân hàng");
    assert_eq!(webhook.secrets.len(), 1);
    assert_eq!(webhook.secrets[0].expose().len(), 64);
    assert!(webhook.signing_secret.expose().starts_with("whsec_"));
    assert_eq!(webhook.signing_secret.expose().len(), 50);
    assert!(webhook.is_active && !webhook.is_paused);
    assert_eq!(webhook.direction, DirectionFilter::All);
    assert_eq!(webhook.allow_events, ["*"]);
    assert_eq!(webhook.retry, Retry::Fibonacci);
    assert_eq!(
        (
            webhook.give_up_after_hours,
            webhook.retention_days,
            webhook.dedupe_days,
            webhook.shards
        ),
        (72, 30, 400, 1)
    );
    assert_eq!((webhook.created_at, webhook.updated_at), (NOW, NOW));
    let expected = Destination {
        id: webhook.destinations[0].id,
        url: "https://shop.example/hook".into(),
        headers: Default::default(),
        timeout_seconds: 5,
        strict: Strict::Auto,
        sign: true,
        forward_credentials: true,
        resign: crate::webhook::Resign::default(),
        rate_per_second: 20,
    };
    assert_eq!(webhook.destinations, [expected]);
}

#[test]
fn everything_that_can_be_said_is_taken() {
    let webhook = created(json!({
        "name": "Webhook đơn hàng",
        "provider": "forge",
        "settings": {"tolerance_seconds": null},
        "destinations": [
            {"url": "https://a.example/", "headers": {"X-A": "1"}, "timeout_seconds": 30,
             "sign": false, "forward_credentials": false, "rate_per_second": 10_000},
            {"url": "https://b.example/", "strict": false},
        ],
        "timeout_seconds": 7, "strict": true,
        "is_active": false, "is_paused": true,
        "secret": ["whsec_Zmlyc3Qtc2VjcmV0LW9mLXR3bw==", "whsec_c2Vjb25kLXNlY3JldC1vZi10d28="],
        "type": "IN", "accounts": ["0011", "22"], "allow_events": ["push"],
        "headers": {"X-From": "tram"},
        "retry": {"schedule": "fixed", "interval_seconds": 60, "max_attempts": 3},
        "give_up_after_hours": 24, "retention_days": 3, "dedupe_days": 3, "shards": 64,
    }));
    assert_eq!(webhook.name, "Webhook đơn hàng");
    assert_eq!(webhook.settings.tolerance_seconds, Some(None));
    assert_eq!(urls(&webhook), ["https://a.example/", "https://b.example/"]);
    let [a, b] = &webhook.destinations[..] else {
        panic!()
    };
    assert_eq!((a.timeout_seconds, b.timeout_seconds), (30, 7));
    assert_eq!((a.strict, b.strict), (Strict::Success, Strict::Status));
    assert_eq!((a.sign, b.sign), (false, true));
    assert_eq!(
        (a.forward_credentials, b.forward_credentials),
        (false, false)
    );
    assert_eq!((a.rate_per_second, b.rate_per_second), (10_000, 20));
    assert_eq!(a.headers["x-a"], "1");
    assert_ne!(a.id, b.id);
    assert!(!webhook.is_active && webhook.is_paused);
    assert_eq!(webhook.secrets.len(), 2);
    assert_eq!(webhook.direction, DirectionFilter::In);
    assert_eq!(webhook.accounts, ["0011", "22"]);
    assert_eq!(webhook.allow_events, ["push"]);
    assert_eq!(webhook.headers["x-from"], "tram");
    assert_eq!(
        (
            webhook.give_up_after_hours,
            webhook.retention_days,
            webhook.dedupe_days,
            webhook.shards
        ),
        (24, 3, 3, 64)
    );
}

#[test]
fn a_generated_secret_has_the_providers_form() {
    let webhook = created(json!({"provider": "forge"}));
    assert!(webhook.secrets[0].expose().starts_with("whsec_"));
    assert_ne!(webhook.secrets[0], webhook.signing_secret);
}

#[test]
fn event_names() {
    for (sent, kept) in [
        (json!(null), vec![]),
        (json!([]), vec![]),
        (json!(["*"]), vec!["*"]),
        (json!(["any", "name"]), vec!["any", "name"]),
        (json!(["any", "*"]), vec!["*"]),
    ] {
        assert_eq!(created(json!({"allow_events": sent})).allow_events, kept);
    }
    let forge = |events: Value| {
        create_text(&with(json!({"provider": "forge", "allow_events": events})).to_string())
    };
    assert!(forge(json!(["push", "release"])).is_ok());
    assert_eq!(
        pointers(forge(json!(["push", 1, "pull"]))),
        ["/allow_events/1", "/allow_events/2"]
    );
}

#[test]
fn giving_up_defaults_to_at_most_the_retention() {
    assert_eq!(
        created(json!({"retention_days": 1})).give_up_after_hours,
        24
    );
    assert_eq!(
        created(json!({"retention_days": 365})).give_up_after_hours,
        72
    );
}

#[test]
fn a_body_that_is_no_object_is_one_mistake() {
    for body in ["", "{", "[]", "null", "\"x\"", "1", "1e400"] {
        assert_eq!(pointers(create_text(body)), [""], "{body}");
    }
    let long = format!("{{\"name\":\"{}\"}}", "a".repeat(MAX_BODY));
    assert_eq!(pointers(create_text(&long)), [""]);
}

#[test]
fn mistakes_of_a_creation() {
    let twice = json!([{"url": "https://a.example"}, {"url": "https://A.example:443/"}]);
    let eleven: Vec<_> = (0..11)
        .map(|n| json!({"url": format!("https://a{n}.example/")}))
        .collect();
    for (more, expected) in [
        (
            json!({"colour": "red", "webhookUrl": 1}),
            vec!["/colour", "/webhookUrl"],
        ),
        (json!({"a/b": 1}), vec!["/a~1b"]),
        // Who sends.
        (json!({"provider": "nobody"}), vec!["/provider"]),
        (json!({"provider": "Bank"}), vec!["/provider"]),
        (json!({"provider": null}), vec!["/provider"]),
        (json!({"provider": 1}), vec!["/provider"]),
        // Where to.
        (json!({"webhook_url": null}), vec!["/webhook_url"]),
        (json!({"webhook_url": 1}), vec!["/webhook_url"]),
        (json!({"webhook_url": ""}), vec!["/webhook_url"]),
        (
            json!({"webhook_url": "http://shop.example/"}),
            vec!["/webhook_url"],
        ),
        (
            json!({"webhook_url": "https://localhost/"}),
            vec!["/webhook_url"],
        ),
        (
            json!({"webhook_url": "https://hooks.example.com/in/x"}),
            vec!["/webhook_url"],
        ),
        (json!({"destinations": {}}), vec!["/destinations"]),
        (json!({"destinations": null}), vec!["/destinations"]),
        (json!({"destinations": []}), vec!["/destinations"]),
        (json!({"destinations": eleven}), vec!["/destinations"]),
        (
            json!({"destinations": ["https://a.example/"]}),
            vec!["/destinations/0"],
        ),
        (json!({"destinations": [{}]}), vec!["/destinations/0/url"]),
        (
            json!({"destinations": [{"url": "https://10.0.0.1/"}]}),
            vec!["/destinations/0/url"],
        ),
        (
            json!({"destinations": [{"url": "https://a.example/", "uri": 1}]}),
            vec!["/destinations/0/uri"],
        ),
        (json!({"destinations": twice}), vec!["/destinations/1/url"]),
        (
            json!({"destinations": [{"url": "https://a.example/", "id": "dst_0000000000000"}]}),
            vec!["/destinations/0/id"],
        ),
        (
            json!({"destinations": [{"url": "https://a.example/", "headers": {"Host": "b", "X-Tram-Hops": "0"},
                "timeout_seconds": 0, "rate_per_second": 0, "strict": 1, "sign": "yes", "forward_credentials": null}]}),
            vec![
                "/destinations/0/headers/Host",
                "/destinations/0/headers/X-Tram-Hops",
                "/destinations/0/timeout_seconds",
                "/destinations/0/rate_per_second",
                "/destinations/0/strict",
                "/destinations/0/sign",
                "/destinations/0/forward_credentials",
            ],
        ),
        (json!({"timeout_seconds": 31}), vec!["/timeout_seconds"]),
        (json!({"timeout_seconds": 1.5}), vec!["/timeout_seconds"]),
        (json!({"timeout_seconds": "5"}), vec!["/timeout_seconds"]),
        (json!({"strict": "true"}), vec!["/strict"]),
        // What is kept.
        (json!({"name": ""}), vec!["/name"]),
        (json!({"name": "x".repeat(201)}), vec!["/name"]),
        (json!({"name": null}), vec!["/name"]),
        (json!({"name": "a\nb"}), vec!["/name"]),
        (
            json!({"is_active": 1, "is_paused": "no"}),
            vec!["/is_active", "/is_paused"],
        ),
        (json!({"type": "in"}), vec!["/type"]),
        (json!({"type": null}), vec!["/type"]),
        (json!({"accounts": "1"}), vec!["/accounts"]),
        (
            json!({"accounts": ["1", 2, ""]}),
            vec!["/accounts/1", "/accounts/2"],
        ),
        (json!({"allow_events": "*"}), vec!["/allow_events"]),
        (
            json!({"allow_events": ["a", null]}),
            vec!["/allow_events/1"],
        ),
        (
            json!({"headers": {"webhook-id": "a"}}),
            vec!["/headers/webhook-id"],
        ),
        (
            json!({"retry": {"schedule": "never"}}),
            vec!["/retry/schedule"],
        ),
        (
            json!({"settings": {"colour": 1, "tolerance_seconds": "x"}}),
            vec!["/settings/colour", "/settings/tolerance_seconds"],
        ),
        (json!({"shards": 0}), vec!["/shards"]),
        (json!({"shards": 65}), vec!["/shards"]),
        (json!({"shards": "4"}), vec!["/shards"]),
        // How long.
        (json!({"retention_days": 0}), vec!["/retention_days"]),
        (json!({"retention_days": 366}), vec!["/retention_days"]),
        (json!({"dedupe_days": 3_651}), vec!["/dedupe_days"]),
        (
            json!({"retention_days": 30, "dedupe_days": 29}),
            vec!["/dedupe_days"],
        ),
        (
            json!({"give_up_after_hours": 0}),
            vec!["/give_up_after_hours"],
        ),
        (
            json!({"retention_days": 2, "give_up_after_hours": 49}),
            vec!["/give_up_after_hours"],
        ),
        (
            json!({"provider": "forge", "retention_days": 2}),
            vec!["/retention_days"],
        ),
        // Secrets.
        (json!({"secret": ""}), vec!["/secret"]),
        (json!({"secret": null}), vec!["/secret"]),
        (json!({"secret": ["a", ""]}), vec!["/secret/1"]),
        (json!({"secret": "***5678"}), vec!["/secret"]),
        (
            json!({"signing_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}),
            vec!["/signing_secret"],
        ),
        // What is shown only.
        (
            json!({"id": "wh_1", "ingest_url": "x", "warnings": [], "created_at": "", "updated_at": ""}),
            vec![
                "/created_at",
                "/id",
                "/ingest_url",
                "/updated_at",
                "/warnings",
            ],
        ),
    ] {
        assert_eq!(
            pointers(create_text(&with(more.clone()).to_string())),
            expected,
            "{more}"
        );
    }
    let both = json!({"provider": "bank", "webhook_url": "https://a.example/", "destinations": [{"url": "https://a.example/"}]});
    assert_eq!(pointers(create_text(&both.to_string())), ["/webhook_url"]);
}

#[test]
fn every_mistake_is_found_at_once() {
    let body =
        json!({"destinations": [{"url": "x"}], "retry": 1, "type": 2, "secret": "", "colour": 3});
    assert_eq!(
        pointers(create_text(&body.to_string())),
        [
            "/colour",
            "/provider",
            "/type",
            "/retry",
            "/secret",
            "/destinations/0/url"
        ]
    );
    assert_eq!(pointers(create_text("{}")), ["/provider", "/webhook_url"]);
}

#[test]
fn messages_say_how_to_mend_it() {
    let message = |more: Value| {
        create_text(&with(more).to_string())
            .unwrap_err()
            .remove(0)
            .1
    };
    assert_eq!(
        message(json!({"provider": "x"})),
        "must be one of bank, forge"
    );
    assert_eq!(
        message(json!({"webhook_url": "http://a.example"})),
        "must begin with https://"
    );
    assert_eq!(
        message(json!({"shards": 65})),
        "must be a whole number from 1 to 64"
    );
    assert_eq!(
        message(json!({"provider": "forge", "retention_days": 1})),
        "must be at least 3: this provider may send again for that long"
    );
}

#[test]
fn only_what_is_sent_changes() {
    let existing = created(json!({"name": "A", "secret": "0123456789abcdef"}));
    for (body, expected) in [
        (json!({}), existing.clone()),
        (
            json!({"name": "B"}),
            Webhook {
                name: "B".into(),
                ..existing.clone()
            },
        ),
        (
            json!({"is_paused": true}),
            Webhook {
                is_paused: true,
                ..existing.clone()
            },
        ),
        (
            json!({"accounts": ["1"]}),
            Webhook {
                accounts: vec!["1".into()],
                ..existing.clone()
            },
        ),
        (
            json!({"provider": "forge"}),
            Webhook {
                provider: "forge".into(),
                ..existing.clone()
            },
        ),
        (json!({"secret": "***cdef"}), existing.clone()),
        (json!({"secret": "0123456789abcdef"}), existing.clone()),
        (
            json!({"signing_secret": existing.signing_secret.expose()}),
            existing.clone(),
        ),
        (json!({"shards": 1, "id": existing.id}), existing.clone()),
    ] {
        let written = update_of(&existing, &body).unwrap();
        assert_eq!(written.webhook, expected, "{body}");
        assert_eq!(written.reveal, Reveal::default(), "{body}");
    }
}

#[test]
fn what_is_read_can_be_sent_back_whole() {
    for more in [
        json!({}),
        json!({"secret": "short"}),
        json!({"secret": ["short", "a-much-longer-secret"]}),
        json!({"provider": "forge", "allow_events": ["push"], "settings": {"tolerance_seconds": null}}),
        json!({"allow_events": [], "destinations": [{"url": "https://a.example"}, {"url": "https://b.example", "headers": {"x-a": "1"}}]}),
        json!({"retry": {"schedule": "custom", "delays_seconds": [0.5, 2]}}),
        json!({"retry": {"schedule": "exponential", "initial_seconds": 1, "factor": 1.5, "max_seconds": 60, "max_attempts": 9}}),
    ] {
        let existing = created(more);
        for reveal in [
            Reveal::default(),
            Reveal {
                secrets: [true; 3],
                signing_secret: true,
            },
        ] {
            let warnings = crate::registry::warnings(&existing);
            let shown = view::webhook(&existing, "https://hooks.example.com", reveal, &warnings);
            let mut shown: Value = serde_json::from_str(&shown.to_json()).unwrap();
            let written = update_of(&existing, &shown).unwrap();
            assert_eq!(written.webhook, existing);
            assert_eq!(written.reveal, Reveal::default());
            // One field changed, all others as they were read.
            shown["name"] = "Tên mới".into();
            let written = update_of(&existing, &shown).unwrap();
            assert_eq!(
                written.webhook,
                Webhook {
                    name: "Tên mới".into(),
                    ..existing.clone()
                }
            );
        }
    }
}

#[test]
fn what_was_once_accepted_is_not_held_against_an_unrelated_change() {
    let mut existing = created(json!({"provider": "forge"}));
    existing.retention_days = 1;
    existing.allow_events = vec!["event of yesterday".into()];
    existing.destinations[0].url = "https://hooks.example.com/".into();
    assert!(update_of(&existing, &json!({"name": "B"})).is_ok());
    assert_eq!(
        pointers(update_of(&existing, &json!({"dedupe_days": 100}))),
        ["/retention_days", "/give_up_after_hours"]
    );
}

#[test]
fn mistakes_of_a_change() {
    let existing =
        created(json!({"shards": 4, "secret": "0123456789abcdef", "allow_events": ["paid"]}));
    for (body, expected) in [
        (json!({"shards": 5}), vec!["/shards"]),
        (json!({"id": WebhookId::from_random([0; 16])}), vec!["/id"]),
        (
            json!({"ingest_url": "https://elsewhere.example/"}),
            vec!["/ingest_url"],
        ),
        (
            json!({"created_at": "2020-01-01T00:00:00.000Z"}),
            vec!["/created_at"],
        ),
        (json!({"warnings": ["x"]}), vec!["/warnings"]),
        (json!({"secret": "***ffff"}), vec!["/secret"]),
        (json!({"secret": ""}), vec!["/secret"]),
        (
            json!({"signing_secret": "***ffff"}),
            vec!["/signing_secret"],
        ),
        (
            json!({"signing_secret": "whsec_new"}),
            vec!["/signing_secret"],
        ),
        (json!({"retention_days": 2}), vec!["/give_up_after_hours"]),
        (json!({"dedupe_days": 29}), vec!["/dedupe_days"]),
        (
            json!({"retention_days": 1, "give_up_after_hours": 24, "provider": "forge"}),
            vec!["/allow_events", "/retention_days"],
        ),
        (json!({"webhook_url": null}), vec!["/webhook_url"]),
        (json!({"destinations": []}), vec!["/destinations"]),
        (
            json!({"webhook_url": "https://a.example/", "destinations": [{"url": "https://a.example/"}]}),
            vec!["/webhook_url"],
        ),
        (json!({"colour": 1}), vec!["/colour"]),
    ] {
        assert_eq!(pointers(update_of(&existing, &body)), expected, "{body}");
    }
}

#[test]
fn a_new_secret_is_shown_and_an_old_one_may_stay_masked() {
    let existing = created(json!({"secret": "0123456789abcdef"}));
    let written = update_of(
        &existing,
        &json!({"secret": ["***cdef", "another-secret-16"]}),
    )
    .unwrap();
    let shown = Reveal {
        secrets: [false, true, false],
        signing_secret: false,
    };
    assert_eq!(written.reveal, shown);
    let texts: Vec<_> = written.webhook.secrets.iter().map(Secret::expose).collect();
    assert_eq!(texts, ["0123456789abcdef", "another-secret-16"]);
    // Dropping one again shows nothing.
    let written = update_of(&written.webhook, &json!({"secret": "***t-16"})).unwrap();
    assert_eq!(written.webhook.secrets[0].expose(), "another-secret-16");
    assert_eq!(written.reveal, Reveal::default());
}

#[test]
fn a_destination_whose_url_stays_keeps_its_id() {
    let existing = created(json!({"destinations": [
        {"url": "https://a.example/", "timeout_seconds": 9},
        {"url": "https://b.example/", "headers": {"x-b": "1"}},
    ]}));
    let [a, b] = [&existing.destinations[0], &existing.destinations[1]];
    let change = |body: Value| update_of(&existing, &body).unwrap().webhook.destinations;

    // In any order and spelling, without ids; what is not said stays.
    let read = change(
        json!({"destinations": [{"url": "https://B.example"}, {"url": "https://a.example/", "strict": true}]}),
    );
    assert_eq!((read[0].id, read[1].id), (b.id, a.id));
    assert_eq!(read[0].headers, b.headers);
    assert_eq!(
        (read[1].timeout_seconds, read[1].strict),
        (9, Strict::Success)
    );

    // A new URL is a new destination with defaults.
    let read = change(
        json!({"destinations": [{"url": "https://a.example/"}, {"url": "https://c.example/"}]}),
    );
    assert_eq!(read[0], *a);
    assert!(read[1].id != a.id && read[1].id != b.id);
    assert!(read[1].headers.is_empty());

    // Named by its id, a destination may move.
    let read = change(
        json!({"destinations": [{"id": a.id, "url": "https://b.example/"}, {"id": b.id, "url": "https://c.example/"}]}),
    );
    assert_eq!((read[0].id, read[1].id), (a.id, b.id));
    assert_eq!(read[0].url, "https://b.example/");
    let read = change(
        json!({"destinations": [{"url": "https://a.example/"}, {"id": a.id, "url": "https://d.example/"}]}),
    );
    assert!(read[0].id != a.id);
    assert_eq!(read[1].id, a.id);

    // The short form makes it one.
    assert_eq!(
        change(json!({"webhook_url": "https://b.example/"})),
        std::slice::from_ref(b)
    );
    // At the top for all.
    let read = change(json!({"timeout_seconds": 3}));
    assert_eq!((read[0].timeout_seconds, read[1].timeout_seconds), (3, 3));
    assert_eq!((read[0].id, read[1].id), (a.id, b.id));

    for (body, expected) in [
        (
            json!([{"id": "dst_0000000000000", "url": "https://a.example/"}]),
            "/destinations/0/id",
        ),
        (json!([{"id": a.id}, {"id": a.id}]), "/destinations/1/id"),
        (
            json!([{"id": a.id, "url": "https://b.example/"}, {"id": b.id}]),
            "/destinations/1/id",
        ),
        (
            json!([{"id": a.id, "url": "https://a.example/"}, {"id": a.id, "url": "https://c.example/"}]),
            "/destinations/1/id",
        ),
    ] {
        assert_eq!(
            pointers(update_of(&existing, &json!({"destinations": body}))),
            [expected],
            "{body}"
        );
    }
}

#[test]
fn the_only_destination_may_move() {
    let existing = created(json!({"timeout_seconds": 9}));
    let moved = update_of(&existing, &json!({"webhook_url": "https://new.example/"})).unwrap();
    let [new] = &moved.webhook.destinations[..] else {
        panic!()
    };
    assert_eq!(
        (new.url.as_str(), new.timeout_seconds),
        ("https://new.example/", 9)
    );
    // The same destination, so that what is on its way to it is not cancelled.
    assert_eq!(new.id, existing.destinations[0].id);
    let long = json!({"destinations": [{"url": "https://new.example/"}]});
    let moved = update_of(&existing, &long).unwrap();
    assert_eq!(
        moved.webhook.destinations[0].id,
        existing.destinations[0].id
    );
    // As read but for the short form, or for the long one.
    let warnings = [];
    let shown = view::webhook(&existing, "", Reveal::default(), &warnings);
    let mut shown = serde_json::to_value(shown).unwrap();
    shown["webhook_url"] = "https://new.example/".into();
    assert_eq!(
        urls(&update_of(&existing, &shown).unwrap().webhook),
        ["https://new.example/"]
    );
    shown["webhook_url"] = "https://shop.example/hook".into();
    shown["destinations"][0]["url"] = "https://other.example/".into();
    assert_eq!(
        urls(&update_of(&existing, &shown).unwrap().webhook),
        ["https://other.example/"]
    );
}

#[test]
fn too_few_random_bytes_are_an_error_not_a_weak_secret() {
    let station = station();
    let rules = Rules {
        providers: test_providers::ALL,
        station: &station,
        now: NOW,
    };
    let body = with(json!({})).to_string();
    for supplied in [0, 16, 48, 80] {
        let mut entropy = Entropy::new(vec![7; supplied]);
        assert!(matches!(
            create(&rules, &body, &mut entropy),
            Err(Rejected::Entropy(_))
        ));
    }
    let ten: Vec<_> = (0..10)
        .map(|n| json!({"url": format!("https://a{n}.example/")}))
        .collect();
    let body = with(json!({"destinations": ten})).to_string();
    assert!(create(&rules, &body, &mut entropy()).is_ok());
}

proptest::proptest! {
    #[test]
    fn any_text_is_taken_or_refused(text in r#"[\{\}\[\]",:a-z0-9_]{0,60}"#) {
        let _ = create_text(&text);
    }

    #[test]
    fn any_value_in_any_field_is_taken_or_refused(
        field in 0..WRITABLE.len(),
        value in proptest::sample::select(vec![
            json!(null), json!(true), json!(-1), json!(1e308), json!(""), json!("***"), json!([]),
            json!([[]]), json!([{}]), json!({}), json!({"": null}), json!({"schedule": []}), json!(u64::MAX),
        ]),
    ) {
        let body = with(json!({ WRITABLE[field]: value }));
        if let Ok(written) = create_text(&body.to_string()) {
            // Whatever is taken can be stored and read again.
            let stored = serde_json::to_string(&written.webhook).unwrap();
            proptest::prop_assert_eq!(serde_json::from_str::<Webhook>(&stored).unwrap(), written.webhook);
        }
    }
}

/// A webhook of a real provider with nothing but what it needs.
fn create_real(provider: &Value, more: &[(&str, Value)]) -> Outcome {
    let mut body = json!({"provider": provider, "webhook_url": "https://shop.example/hook"});
    if provider == "abaha" || provider == "custom" {
        body["settings"] = json!({"header": "x-token"});
    }
    for (name, value) in more {
        body[*name] = value.clone();
    }
    let station = station();
    let rules = Rules {
        providers: crate::providers::ALL,
        station: &station,
        now: NOW,
    };
    outcome(create(&rules, &body.to_string(), &mut entropy()))
}

#[test]
fn memory_outlives_every_provider_s_retries_by_default() {
    for provider in crate::providers::ALL {
        let about = provider.about();
        let webhook = create_real(&json!(about.id), &[]).unwrap().webhook;
        let day = std::time::Duration::from_secs(86_400);
        assert_eq!(webhook.dedupe_days, 400, "{}", about.id);
        assert!(webhook.dedupe_days >= webhook.retention_days);
        assert!(
            day * webhook.retention_days >= about.retry_window,
            "{}",
            about.id
        );
    }
}

#[test]
fn the_provider_s_own_schedule_is_the_default() {
    let retry = |provider: &str, more: &[(&str, Value)]| {
        create_real(&json!(provider), more).unwrap().webhook.retry
    };
    let abaha = Retry::Fixed {
        interval_seconds: 300.0,
        max_attempts: 3,
    };
    assert_eq!(retry("abaha", &[]), abaha);
    assert_eq!(retry("casso", &[]), Retry::Fibonacci);
    let standard = [("retry", json!({"schedule": "standard"}))];
    assert_eq!(retry("abaha", &standard), Retry::Standard);
    let forge = create_text(&with(json!({"provider": "forge"})).to_string());
    assert_eq!(forge.unwrap().webhook.retry, Retry::Standard);
}

#[test]
fn bank_hub_s_13_events_are_known_and_no_others() {
    let events = |events: Value| {
        create_real(&json!("sepay-bankhub"), &[("allow_events", events)])
            .map(|written| written.webhook.allow_events)
            .map_err(|mistakes| mistakes.into_iter().map(|(at, _)| at).collect::<Vec<_>>())
    };
    let provider = crate::providers::find("sepay-bankhub").unwrap();
    let all = provider.about().events;
    assert_eq!(all.len(), 13);
    assert_eq!(events(json!(all)).unwrap(), all);
    // As it is written on the wire.
    let inactived = "BANK_ACCOUNT_INACTIVED";
    assert_eq!(events(json!([inactived])).unwrap(), [inactived]);
    assert_eq!(events(json!(["*"])).unwrap(), ["*"]);
    assert_eq!(events(json!([])).unwrap(), [""; 0]);
    assert_eq!(events(Value::Null).unwrap(), [""; 0]);
    assert_eq!(
        events(json!([
            "BANK_ACCOUNT_LINKED",
            "BANK_ACCOUNT_BORROWED",
            "bank_account_linked"
        ])),
        Err(vec![
            "/allow_events/1".to_owned(),
            "/allow_events/2".to_owned()
        ])
    );
}

#[test]
fn abaha_cannot_do_without_its_header() {
    let without = [("settings", json!({}))];
    let mistakes = create_real(&json!("abaha"), &without).unwrap_err();
    assert_eq!(mistakes[0].0, "/settings/header");
}

#[test]
fn an_alert_address_is_judged_as_a_destination_is() {
    let webhook = created(json!({"alert_url": "https://ops.example/a"}));
    assert_eq!(webhook.alert_url.as_deref(), Some("https://ops.example/a"));
    assert_eq!(webhook.alert_after_minutes, 15);
    let gone = update_of(
        &webhook,
        &json!({"alert_url": null, "alert_after_minutes": 60}),
    );
    let gone = gone.unwrap().webhook;
    assert_eq!((gone.alert_url, gone.alert_after_minutes), (None, 60));
    let wrong = |more: Value| pointers(create_text(&with(more).to_string()));
    for url in [
        "http://ops.example/",
        "https://localhost/",
        "https://10.0.0.1/",
        "x",
    ] {
        assert_eq!(wrong(json!({"alert_url": url})), ["/alert_url"], "{url}");
    }
    for minutes in [json!(0), json!(10_081), json!("15"), json!(1.5)] {
        let found = wrong(json!({"alert_after_minutes": minutes}));
        assert_eq!(found, ["/alert_after_minutes"], "{minutes}");
    }
}
