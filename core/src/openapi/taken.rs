//! What may be sent: the code takes what the document says, bound for bound, and
//! fills in the defaults that stand there.

use super::{compiled, keys, named, probes::probes, resolved};
use crate::{
    destination_url::Station,
    explain,
    mailbox::merge::resend_body,
    messages::{RegistryReply, RegistryRequest, Reveal, Write},
    problem::FieldError,
    providers,
    registry::{
        self, Registry,
        input::{self, Rejected, Rules},
        no_fields, view,
    },
    secret::Entropy,
    testing::{native::NativeDatabase, samples::START},
    webhook::Webhook,
};
use serde_json::{Value, json};

/// What a schema cannot say, or should not try to: where what is refused stands, and
/// how the refusal reads.
const BEYOND: [(&str, &str); 28] = [
    // Which URLs are sent to.
    ("", "must begin with https://"),
    ("", "is not a URL"),
    ("", "is longer than 2048 bytes"),
    ("", "has the URL of an earlier destination"),
    ("", "is not a destination of this webhook"),
    // Two names of a header field that differ in case alone; those of the connection.
    (
        "",
        "is reserved: it is set by the station or the connection",
    ),
    // Bytes are counted, a schema counts characters.
    (
        "/settings/answer/body",
        "must be empty with status 204 or 205",
    ),
    // One field against another.
    ("/retention_days", "this provider may send again"),
    ("/dedupe_days", "must be at least retention_days"),
    ("/give_up_after_hours", "must be at most retention_days"),
    (
        "/retry/max_seconds",
        "must not be less than initial_seconds",
    ),
    ("/secret", "is masked and not what is shown now"),
    ("/secret", "is the same as one before"),
    ("/shards", "is fixed at creation"),
    // Where it is sent as it is, in a header.
    ("/secret", "holds a control character"),
    // What a provider takes, which the provider table says.
    ("/allow_events", "is not an event of this provider"),
    ("/settings", "is not taken by"),
    ("/settings", "cannot do without it"),
    ("/settings", "is not the name of a header field"),
    ("/settings", "is neither header:X-Name nor a JSON pointer"),
    ("/settings", "is not a JSON pointer"),
    ("/settings", "is not a URL that begins with"),
    ("/settings", "needs a timestamp_header"),
    ("/settings", "belongs to the scheme hmac"),
    ("/settings", "nothing of the request is signed"),
    ("/settings", "is of no use"),
    // A text of lines.
    ("/headers", "is not a header field"),
    // Read as it is shown where there are several destinations.
    ("/webhook_url", "must be a URL, or `destinations` be sent"),
];

fn is_beyond(mistake: &FieldError) -> bool {
    BEYOND
        .iter()
        .any(|(place, words)| mistake.pointer.starts_with(place) && mistake.message.contains(words))
}

/// Each probe of the schema is taken as the schema says, but for what lies beyond it.
#[track_caller]
fn check(schema: &Value, judge: impl Fn(&Value) -> Result<(), Vec<FieldError>>) {
    let described = compiled(schema);
    let (mut taken, mut refused) = (0_u32, 0_u32);
    let mut wrong = Vec::new();
    for probe in probes(schema).all {
        let mut text = probe.to_string();
        text.truncate(text.floor_char_boundary(300));
        match (described.is_valid(&probe), judge(&probe)) {
            (true, Ok(())) => taken += 1,
            (false, Err(_)) => refused += 1,
            (true, Err(mistakes)) if mistakes.iter().all(is_beyond) => refused += 1,
            (true, Err(mistakes)) => wrong.push(format!("{text}\n  refused: {mistakes:?}")),
            (false, Ok(())) => wrong.push(format!("{text}\n  taken, and not described so")),
        }
    }
    let first: Vec<_> = wrong.iter().take(20).map(String::as_str).collect();
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        first.join("\n")
    );
    assert!(taken > 0 && refused > 0, "{taken} {refused}");
}

fn written(result: Result<input::Written, Rejected>) -> Result<Webhook, Vec<FieldError>> {
    match result {
        Ok(written) => Ok(written.webhook),
        Err(Rejected::Mistakes(mistakes)) => Err(mistakes),
        Err(Rejected::Entropy(error)) => panic!("{error}"),
    }
}

fn entropy() -> Entropy {
    Entropy::new(
        (0..Entropy::ENOUGH)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect(),
    )
}

fn create(body: &Value) -> Result<Webhook, Vec<FieldError>> {
    let station = Station::default();
    let rules = rules(&station);
    written(input::create(&rules, &body.to_string(), &mut entropy()))
}

fn update(existing: &Webhook, body: &Value) -> Result<Webhook, Vec<FieldError>> {
    let station = Station::default();
    let rules = rules(&station);
    written(input::update(
        &rules,
        existing,
        &body.to_string(),
        &mut entropy(),
    ))
}

const fn rules(station: &Station) -> Rules<'_> {
    Rules {
        providers: providers::ALL,
        station,
        now: START,
    }
}

fn least() -> Value {
    json!({"provider": "custom", "webhook_url": "https://shop.example/hook",
        "settings": {"header": "x-token"}})
}

fn shown(webhook: &Webhook) -> Value {
    let warnings = registry::warnings(webhook);
    let text = view::webhook(webhook, "", Reveal::default(), &warnings).to_json();
    serde_json::from_str(&text).unwrap()
}

/// A provider that takes every setting there is would need none of them: what is probed
/// alone is put beside what `custom` cannot do without.
fn with_header(body: &Value) -> Value {
    let mut body = body.clone();
    if body["provider"] == "custom"
        && let Some(fields) = body.as_object_mut()
    {
        let settings = fields.entry("settings").or_insert_with(|| json!({}));
        if let Some(settings) = settings.as_object_mut() {
            settings.entry("header").or_insert_with(|| json!("x-token"));
        }
    }
    body
}

#[test]
fn a_new_webhook_is_taken_as_described() {
    check(named("NewWebhook"), |body| {
        create(&with_header(body)).map(drop)
    });
}

#[test]
fn a_change_is_taken_as_described() {
    let existing = create(&least()).unwrap();
    let shown = shown(&existing);
    let described = compiled(named("WebhookChange"));
    let read_only = |body: &Value| {
        let properties = &named("WebhookChange")["properties"];
        let fields = body.as_object().into_iter().flatten();
        fields
            .filter(|(name, _)| properties[name]["readOnly"] == true)
            .all(|(name, value)| shown[name] == *value)
    };
    check(named("WebhookChange"), |body| {
        // What is read-only is taken as it is shown, and a schema cannot know that.
        let judged = update(&existing, body).map(drop);
        match judged {
            Err(_) if !read_only(body) && described.is_valid(body) => Ok(()),
            judged => judged,
        }
    });
}

#[test]
fn what_is_shown_may_be_sent_back() {
    let existing = create(&least()).unwrap();
    let shown = shown(&existing);
    assert_eq!(update(&existing, &shown), Ok(existing));
    let sent = compiled(named("WebhookChange"));
    assert!(sent.is_valid(&shown), "{shown}");
}

#[test]
fn the_writable_fields_are_those_of_the_document() {
    let mistakes = create(&json!({"no_such_field": 1})).unwrap_err();
    let listed = mistakes[0].message.split_once("known are ").unwrap().1;
    let mut known: Vec<_> = listed.split(", ").map(str::to_owned).collect();
    known.sort();
    let described: Vec<_> = keys(&named("WebhookChange")["properties"])
        .into_iter()
        .collect();
    assert_eq!(known, described);
}

#[test]
fn defaults_are_those_of_the_document() {
    let shown = shown(&create(&least()).unwrap());
    let mut seen = 0_u32;
    let mut same = |described: &Value, shown: &Value| {
        for (name, schema) in described["properties"].as_object().unwrap() {
            if let Some(default) = schema.get("default") {
                assert_eq!(shown[name], *default, "{name}");
                seen += 1;
            }
        }
    };
    same(named("NewWebhook"), &shown);
    same(named("NewDestination"), &shown["destinations"][0]);
    assert!(seen >= 13, "{seen}");
    let answered = json!({"header": "x", "answer": {"status": 200}});
    let body = json!({"provider": "custom", "webhook_url": "https://shop.example/hook", "settings": answered});
    let settings = create(&body).unwrap().settings;
    let described = resolved(&named("Settings")["properties"]["answer"]);
    let default = &described["properties"]["body"]["default"];
    assert_eq!(settings.answer.unwrap().body, *default);
}

#[test]
fn the_providers_are_those_of_the_document() {
    let described = super::texts(&named("ProviderId")["enum"]);
    let known = providers::ALL.iter().map(|one| one.about().id.to_owned());
    assert_eq!(described, known.collect());
}

#[test]
fn a_request_to_explain_is_taken_as_described() {
    let webhook = create(&least()).unwrap();
    check(named("Question"), |body| {
        let read = explain::read(&webhook, "", body.to_string().as_bytes(), START);
        read.map(drop).map_err(|problem| problem.errors)
    });
}

#[test]
fn a_rotation_is_taken_as_described() {
    let db = NativeDatabase::in_memory().unwrap();
    let registry = Registry::open(&db).unwrap();
    let ask = |request| {
        registry
            .handle(&db, &request, &mut entropy(), START)
            .unwrap()
    };
    let created = ask(RegistryRequest::Create(Write {
        body: least().to_string(),
        station: Station::default(),
    }));
    let RegistryReply::Webhook { webhook, .. } = created else {
        panic!("{created:?}");
    };
    check(named("Rotation"), |body| {
        match ask(RegistryRequest::RotateSecret(webhook.id, body.to_string())) {
            RegistryReply::Webhook { .. } => Ok(()),
            RegistryReply::Invalid(mistakes) => {
                Err(mistakes.into_iter().map(FieldError::from).collect())
            }
            other => panic!("{other:?}"),
        }
    });
    let grace = &named("Rotation")["properties"]["grace_seconds"];
    let usual = ask(RegistryRequest::RotateSecret(webhook.id, String::new()));
    let RegistryReply::Webhook { webhook, .. } = usual else {
        panic!("{usual:?}");
    };
    let until = webhook.previous_signing_secret.unwrap().until;
    assert_eq!(grace["default"], until.since(START).as_secs());
}

#[test]
fn a_trial_takes_nothing() {
    check(named("Nothing"), |body| {
        no_fields(&body.to_string()).map_err(|problem| problem.errors)
    });
}

#[test]
fn one_resend_is_taken_as_described() {
    check(named("ResendOne"), |body| {
        let read = resend_body(body.to_string().as_bytes());
        read.map(drop).map_err(|problem| problem.errors)
    });
}
