//! What operators send: JSON, query strings, URLs, ids and times.

use super::{messages::is_exact, text_line};
use crate::{
    destination_url::{self, Station},
    ids::{DestinationId, EventId, WebhookId},
    json::{Json, is_pointer},
    messages::Reveal,
    problem::Problem,
    providers, query,
    registry::{
        self,
        input::{self, Rejected, Rules, Written},
        view,
    },
    request_url::RequestUrl,
    secret::Entropy,
    testing::samples::START,
    time::Timestamp,
    token,
    webhook::Webhook,
};
use std::fmt::Write as _;
use url::Url;

/// The webhook that is changed.
const EXISTING: &str = r#"{"name": "Đơn hàng", "provider": "custom", "secret": ["an old secret 0001", "a new secret 0002"],
    "settings": {"header": "x-sig", "scheme": "hmac", "event_id": ["/data/id", "header:x-id"], "items": "/data"},
    "destinations": [{"url": "https://shop.example/hook", "headers": {"x-from": "tram"}}, {"url": "https://books.example/"}],
    "retry": {"schedule": "exponential", "initial_seconds": 0.1, "factor": 1.7, "max_seconds": 600, "max_attempts": 9},
    "accounts": ["19034567890011"]}"#;

/// What is meant in the first line (`create`, `update`, `query`, `url`, `text`; all
/// of them otherwise), then what is sent.
pub fn management(data: &[u8]) {
    let (kind, rest) = text_line(data);
    let sent = String::from_utf8_lossy(rest);
    let is = |wanted: &str| {
        kind == wanted || !["create", "update", "query", "url", "text"].contains(&kind.as_str())
    };
    if is("create") {
        create(&sent);
    }
    if is("update") {
        update(&sent);
    }
    if is("query") {
        queries(&sent);
    }
    if is("url") {
        urls(&sent);
    }
    if is("text") {
        texts(&sent);
    }
}

fn station(allow_private: bool) -> Station {
    Station {
        own_hosts: vec!["hooks.example.com".to_owned()],
        allow_private,
    }
}

/// Creates, or changes `existing`; `None` when it is refused.
fn write(existing: Option<&Webhook>, body: &str) -> Option<Written> {
    let station = station(false);
    let rules = Rules {
        providers: providers::ALL,
        station: &station,
        now: START,
    };
    let mut entropy = Entropy::new(vec![7; Entropy::ENOUGH]);
    let written = match existing {
        Some(webhook) => input::update(&rules, webhook, body, &mut entropy),
        None => input::create(&rules, body, &mut entropy),
    };
    match written {
        Ok(written) => Some(written),
        Err(Rejected::Mistakes(mistakes)) => {
            assert!(!mistakes.is_empty(), "refused without a reason");
            for mistake in mistakes {
                assert!(is_pointer(&mistake.pointer), "{}", mistake.pointer);
                assert!(!mistake.message.is_empty());
            }
            None
        }
        Err(Rejected::Entropy(why)) => panic!("{why}"),
    }
}

fn create(sent: &str) {
    if let Some(written) = write(None, sent) {
        sound(&written.webhook);
    }
}

fn update(sent: &str) {
    let existing = write(None, EXISTING).expect("the webhook is sound").webhook;
    if let Some(written) = write(Some(&existing), sent) {
        let webhook = written.webhook;
        assert_eq!(webhook.id, existing.id);
        assert_eq!(webhook.shards, existing.shards);
        assert_eq!(webhook.created_at, existing.created_at);
        assert_eq!(webhook.signing_secret, existing.signing_secret);
        sound(&webhook);
    }
}

/// What was accepted can be stored, sent to, and sent back as it is shown.
fn sound(webhook: &Webhook) {
    let stored = serde_json::to_vec(webhook).expect("a webhook can be stored");
    let read: Webhook = serde_json::from_slice(&stored).expect("what is stored can be read");
    assert!(&read == webhook || !is_exact(webhook), "{webhook:?}");

    let provider = providers::find(&webhook.provider).expect("the provider is in the table");
    let mistakes = providers::settings::check(provider, &webhook.settings, &webhook.secrets, &[]);
    assert!(mistakes.is_empty(), "{mistakes:?}");
    assert!(!webhook.secrets.is_empty() && webhook.secrets.iter().all(|one| !one.is_empty()));
    for destination in &webhook.destinations {
        let checked = destination_url::check(&destination.url, &station(false));
        assert!(checked.is_ok(), "{}", destination.url);
    }

    let warnings = registry::warnings(webhook);
    let shown = view::webhook(
        webhook,
        "https://hooks.example.com",
        Reveal::default(),
        &warnings,
    );
    let shown = shown.to_json();
    for secret in webhook.secrets.iter().chain([&webhook.signing_secret]) {
        let masked = secret.masked();
        assert!(masked == "***" || masked.len() < secret.expose().len());
    }
    for same in [shown.as_str(), "{}"] {
        let again = write(Some(webhook), same).expect("what is shown can be sent back");
        assert_eq!(&again.webhook, webhook, "changed by {same}");
    }
}

fn queries(sent: &str) {
    if let Some((per_page, _)) = read(query::list(sent)) {
        assert!((1..=100).contains(&per_page));
    }
    if read(query::webhook_url(sent)).is_some() {
        assert!(sent.contains("webhook_url") || sent.contains('%'));
    }
    let is_empty = sent.bytes().all(|letter| letter == b'&');
    assert_eq!(read(query::none(sent)).is_some(), is_empty);
    let Some(asked) = read(query::events(sent)) else {
        return;
    };
    assert!((1..=100).contains(&asked.per_page));
    let mut again = format!("per_page={}", asked.per_page);
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(again, "&{name}=");
            for byte in value.bytes() {
                let _ = write!(again, "%{byte:02x}");
            }
        }
    };
    let time = |millis: i64| Timestamp::from_millis(millis).to_rfc3339();
    add("cursor", asked.before.map(|id| id.to_string()));
    add("webhook_id", asked.webhook_id.map(|id| id.to_string()));
    add("event", asked.event.clone());
    add("from", asked.from.map(time));
    add("to", asked.to.map(time));
    add("q", asked.q.clone());
    let status = asked.status.map(|status| format!("{status:?}"));
    add("status", status.map(|status| status.to_ascii_lowercase()));
    let attempts = asked.include_attempts.then(|| "attempts".to_owned());
    add("include", attempts);
    // Years of five digits or none cannot be written.
    if [asked.from, asked.to]
        .into_iter()
        .flatten()
        .all(is_writable)
    {
        assert_eq!(read(query::events(&again)), Some(asked), "{again}");
    }
}

fn is_writable(millis: i64) -> bool {
    (-62_167_219_200_000..253_402_300_800_000).contains(&millis)
}

/// A refusal is a 422 with its reasons.
fn read<T>(asked: Result<T, Problem>) -> Option<T> {
    asked
        .map_err(|problem| {
            assert_eq!(problem.status, 422);
            assert!(!problem.errors.is_empty());
            assert!(Json::parse(problem.to_json().as_bytes()).is_some());
        })
        .ok()
}

fn urls(sent: &str) {
    for allow_private in [false, true] {
        let station = station(allow_private);
        let Ok(url) = destination_url::check(sent, &station) else {
            continue;
        };
        let text = url.as_str();
        assert_eq!(destination_url::check(text, &station), Ok(url.clone()));
        assert!(destination_url::same(sent, text));
        assert!(text.is_ascii() && (allow_private || text.starts_with("https://")));
        assert!(url.host() != "hooks.example.com" || allow_private);
        if url.host().contains("xn--") {
            // What no name may hold is known to those with the tables of Unicode, and
            // the crate that has them stops at some of it where assertions are on.
            continue;
        }
        let standard = Url::parse(sent).expect("what is taken is a URL to others as well");
        let same = standard.as_str() == text;
        assert!(same || has_drive_letter(sent), "{text} is {standard}");
        assert_eq!(standard.host_str(), Some(url.host()));
        assert!(standard.username().is_empty() && standard.password().is_none());
    }
    if let Some(parts) = RequestUrl::split(sent) {
        let (origin, authority) = (parts.origin(), parts.authority());
        let whole = [&origin, parts.path, "?", parts.query].concat();
        let again = RequestUrl::split(&whole).expect("what was taken apart can be put together");
        assert_eq!((again.path, again.query), (parts.path, parts.query));
        assert!(!authority.is_empty() && authority.chars().all(|c| !c.is_ascii_uppercase()));
    }
}

/// The `url` crate keeps `/S:/..` as in a path on Windows, whatever the scheme; the
/// standard does so for `file:` alone, and so do the runtimes.
fn has_drive_letter(url: &str) -> bool {
    url.as_bytes().windows(4).any(
        |part| matches!(part, [b'/', letter, b':' | b'|', b'/'] if letter.is_ascii_alphabetic()),
    )
}

fn texts(text: &str) {
    // One id has one spelling.
    if let Some(id) = EventId::parse(text) {
        assert_eq!(id.to_string(), text);
    }
    if let Some(id) = WebhookId::parse(text) {
        assert_eq!(id.to_string(), text);
    }
    if let Some(id) = DestinationId::parse(text) {
        assert_eq!(id.to_string(), text);
    }
    let times = [
        Timestamp::parse_rfc3339(text),
        Timestamp::parse_vietnamese(text),
        Timestamp::parse_http_date(text),
    ];
    for at in times.into_iter().flatten() {
        if is_writable(at.millis()) {
            assert_eq!(Timestamp::parse_rfc3339(&at.to_rfc3339()), Some(at));
        }
    }
    if let Some(at) = Timestamp::parse_unix(text) {
        // What no calendar reaches is the last second that can be said.
        let seconds = text.parse::<i64>().map(|it| it.min(i64::MAX / 1_000));
        assert_eq!(seconds, Ok(at.seconds()));
    }
    let authorised = |header: &str| token::authorise(Some("t0ken-a,t0ken-b"), Some(header)).is_ok();
    assert!(!authorised(text) || text.contains("t0ken-a") || text.contains("t0ken-b"));
    assert!(token::authorise(None, Some(text)).is_err());
    assert!(token::authorise(Some(text), Some("Bearer ")).is_err());
}
