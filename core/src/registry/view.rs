//! Webhooks as the management API shows them: field names, their
//! order, and what of a secret is seen.

use crate::{
    messages::{MOST_SECRETS, Reveal},
    own_json,
    secret::Secret,
    webhook::{AUTO, DirectionFilter, Resign, Retry, Settings, Strict, Webhook},
};
use serde::{Serialize, Serializer};
use std::{collections::BTreeMap, iter, time::Duration};

/// A webhook as it is shown. `base_url` is where the station is reached, such as
/// `https://hooks.example.com`.
#[must_use]
pub fn webhook<'a>(
    webhook: &'a Webhook,
    base_url: &str,
    reveal: Reveal,
    warnings: &'a [String],
) -> WebhookView<'a> {
    let destinations: Vec<_> = webhook
        .destinations
        .iter()
        .map(DestinationView::of)
        .collect();
    WebhookView {
        id: webhook.id.to_string(),
        name: &webhook.name,
        provider: &webhook.provider,
        settings: &webhook.settings,
        ingest_url: format!("{}/in/{}", base_url.trim_end_matches('/'), webhook.id),
        webhook_url: match webhook.destinations.as_slice() {
            [only] => Some(&only.url),
            _ => None,
        },
        destinations,
        is_active: webhook.is_active,
        is_paused: webhook.is_paused,
        secret: secrets(&webhook.secrets, reveal.secrets),
        signing_secret: secret(&webhook.signing_secret, reveal.signing_secret),
        r#type: webhook.direction,
        accounts: &webhook.accounts,
        allow_events: &webhook.allow_events,
        headers: &webhook.headers,
        retry: RetryView::of(&webhook.retry),
        give_up_after_hours: webhook.give_up_after_hours,
        retention_days: webhook.retention_days,
        dedupe_days: webhook.dedupe_days,
        alert_url: webhook.alert_url.as_deref(),
        alert_after_minutes: webhook.alert_after_minutes,
        shards: webhook.shards,
        warnings,
        created_at: webhook.created_at.to_rfc3339(),
        updated_at: webhook.updated_at.to_rfc3339(),
    }
}

/// What is shown of a webhook.
#[derive(Serialize)]
pub struct WebhookView<'a> {
    id: String,
    name: &'a str,
    provider: &'a str,
    settings: &'a Settings,
    ingest_url: String,
    webhook_url: Option<&'a str>,
    destinations: Vec<DestinationView<'a>>,
    is_active: bool,
    is_paused: bool,
    secret: OneOrMany,
    signing_secret: String,
    r#type: DirectionFilter,
    accounts: &'a [String],
    allow_events: &'a [String],
    headers: &'a BTreeMap<String, String>,
    retry: RetryView<'a>,
    give_up_after_hours: u32,
    retention_days: u32,
    dedupe_days: u32,
    alert_url: Option<&'a str>,
    alert_after_minutes: u32,
    shards: u8,
    warnings: &'a [String],
    created_at: String,
    updated_at: String,
}

impl WebhookView<'_> {
    /// The body of an answer that shows this webhook.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and maps with text keys always serialise.
        own_json::write(self).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct DestinationView<'a> {
    id: String,
    url: &'a str,
    headers: &'a BTreeMap<String, String>,
    timeout_seconds: u32,
    strict: StrictView,
    sign: bool,
    resign: Resign,
    forward_credentials: bool,
    rate_per_second: u32,
}

impl<'a> DestinationView<'a> {
    fn of(destination: &'a crate::webhook::Destination) -> Self {
        Self {
            id: destination.id.to_string(),
            url: &destination.url,
            headers: &destination.headers,
            timeout_seconds: destination.timeout_seconds,
            strict: StrictView::of(destination.strict),
            sign: destination.sign,
            resign: destination.resign,
            forward_credentials: destination.forward_credentials,
            rate_per_second: destination.rate_per_second,
        }
    }
}

/// `"auto"`, `true` or `false`.
#[derive(Serialize)]
#[serde(untagged)]
enum StrictView {
    Word(&'static str),
    Flag(bool),
}

impl StrictView {
    const fn of(strict: Strict) -> Self {
        match strict {
            Strict::Auto => Self::Word(AUTO),
            Strict::Success => Self::Flag(true),
            Strict::Status => Self::Flag(false),
        }
    }
}

/// One text stands alone, several in an array.
#[derive(Serialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn secret(secret: &Secret, whole: bool) -> String {
    if whole {
        secret.expose().to_owned()
    } else {
        secret.masked()
    }
}

fn secrets(secrets: &[Secret], whole: [bool; MOST_SECRETS]) -> OneOrMany {
    let whole = whole.into_iter().chain(iter::repeat(false));
    let mut shown = secrets
        .iter()
        .zip(whole)
        .map(|(one, whole)| secret(one, whole));
    match (secrets.len(), shown.next()) {
        (1, Some(only)) => OneOrMany::One(only),
        (_, first) => OneOrMany::Many(first.into_iter().chain(shown).collect()),
    }
}

/// [`Retry`] with whole seconds written without a fraction, as they were sent.
#[derive(Serialize)]
#[serde(tag = "schedule", rename_all = "lowercase")]
enum RetryView<'a> {
    Fibonacci,
    Fixed {
        interval_seconds: Seconds,
        max_attempts: u32,
    },
    Exponential {
        initial_seconds: Seconds,
        factor: Seconds,
        max_seconds: Seconds,
        max_attempts: u32,
    },
    Standard,
    Custom {
        #[serde(serialize_with = "all_seconds")]
        delays_seconds: &'a [f64],
    },
}

impl<'a> RetryView<'a> {
    fn of(retry: &'a Retry) -> Self {
        match retry {
            Retry::Fibonacci => Self::Fibonacci,
            Retry::Fixed {
                interval_seconds,
                max_attempts,
            } => Self::Fixed {
                interval_seconds: Seconds(*interval_seconds),
                max_attempts: *max_attempts,
            },
            Retry::Exponential {
                initial_seconds,
                factor,
                max_seconds,
                max_attempts,
            } => Self::Exponential {
                initial_seconds: Seconds(*initial_seconds),
                factor: Seconds(*factor),
                max_seconds: Seconds(*max_seconds),
                max_attempts: *max_attempts,
            },
            Retry::Standard => Self::Standard,
            Retry::Custom { delays_seconds } => Self::Custom { delays_seconds },
        }
    }
}

/// A number that is written without a fraction when it has none.
struct Seconds(f64);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match Duration::try_from_secs_f64(self.0) {
            Ok(whole) if whole.subsec_nanos() == 0 => serializer.serialize_u64(whole.as_secs()),
            _ => serializer.serialize_f64(self.0),
        }
    }
}

fn all_seconds<S: Serializer>(delays: &&[f64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(delays.iter().map(|delay| Seconds(*delay)))
}

/// A page of a list.
#[derive(Serialize)]
struct Page<T> {
    data: Vec<T>,
    next_cursor: Option<String>,
}

/// A page of webhooks: the body of `GET /webhooks`.
#[must_use]
pub fn webhooks_json(webhooks: &[Webhook], base_url: &str, next_cursor: Option<String>) -> String {
    let warnings: Vec<_> = webhooks.iter().map(super::warnings).collect();
    let page = Page {
        data: views(webhooks, base_url, &warnings),
        next_cursor,
    };
    own_json::write(&page).unwrap_or_default()
}

/// Deleted webhooks: the body of `DELETE /webhooks?webhook_url=…`.
#[must_use]
pub fn deleted_json(webhooks: &[Webhook], base_url: &str) -> String {
    #[derive(Serialize)]
    struct Deleted<'a> {
        deleted: Vec<WebhookView<'a>>,
    }
    let warnings: Vec<_> = webhooks.iter().map(super::warnings).collect();
    let deleted = Deleted {
        deleted: views(webhooks, base_url, &warnings),
    };
    own_json::write(&deleted).unwrap_or_default()
}

fn views<'a>(
    webhooks: &'a [Webhook],
    base_url: &str,
    warnings: &'a [Vec<String>],
) -> Vec<WebhookView<'a>> {
    webhooks
        .iter()
        .zip(warnings)
        .map(|(one, warnings)| webhook(one, base_url, Reveal::default(), warnings))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::{DestinationId, WebhookId},
        time::Timestamp,
        webhook::{Destination, Resign},
    };

    fn destination(number: u8, url: &str) -> Destination {
        Destination {
            id: DestinationId::from_random([number; 8]),
            url: url.into(),
            headers: BTreeMap::new(),
            timeout_seconds: 5,
            strict: Strict::Auto,
            sign: true,
            forward_credentials: number == 0,
            resign: Resign::default(),
            rate_per_second: 20,
        }
    }

    fn sample() -> Webhook {
        Webhook {
            id: WebhookId::from_random([0; 16]),
            version: 7,
            name: "Webhook đơn hàng".into(),
            provider: "bank".into(),
            settings: Settings::default(),
            secrets: vec![Secret::new("abcdefgh12345678".into())],
            has_generated_secret: false,
            destinations: vec![destination(0, "https://shop.example/hook")],
            is_active: true,
            is_paused: false,
            signing_secret: Secret::new("whsec_abcdefghijklmnop".into()),
            previous_signing_secret: None,
            older_signing_secrets: Vec::new(),
            direction: DirectionFilter::All,
            accounts: vec![],
            allow_events: vec!["*".into()],
            headers: BTreeMap::from([("x-from".into(), "tram".into())]),
            retry: Retry::Fibonacci,
            give_up_after_hours: 72,
            retention_days: 30,
            dedupe_days: 400,
            alert_url: None,
            alert_after_minutes: 15,
            shards: 1,
            created_at: Timestamp::from_millis(1_763_632_800_000),
            updated_at: Timestamp::from_millis(1_763_632_801_500),
        }
    }

    fn shown(one: &Webhook, reveal: Reveal) -> serde_json::Value {
        let json = webhook(one, "https://hooks.example.com", reveal, &[]).to_json();
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn a_webhook_is_shown_as_the_contract_says() {
        let expected = r#"{"id":"wh_00000000000000000000000000","name":"Webhook đơn hàng","provider":"bank","settings":{},"ingest_url":"https://hooks.example.com/in/wh_00000000000000000000000000","webhook_url":"https://shop.example/hook","destinations":[{"id":"dst_0000000000000","url":"https://shop.example/hook","headers":{},"timeout_seconds":5,"strict":"auto","sign":true,"resign":"stale","forward_credentials":true,"rate_per_second":20}],"is_active":true,"is_paused":false,"secret":"***5678","signing_secret":"***mnop","type":"ALL","accounts":[],"allow_events":["*"],"headers":{"x-from":"tram"},"retry":{"schedule":"fibonacci"},"give_up_after_hours":72,"retention_days":30,"dedupe_days":400,"alert_url":null,"alert_after_minutes":15,"shards":1,"warnings":["careful"],"created_at":"2025-11-20T10:00:00.000Z","updated_at":"2025-11-20T10:00:01.500Z"}"#;
        let warnings = ["careful".to_owned()];
        for base in ["https://hooks.example.com", "https://hooks.example.com/"] {
            let sample = sample();
            let view = webhook(&sample, base, Reveal::default(), &warnings);
            assert_eq!(view.to_json(), expected);
        }
    }

    #[test]
    fn secrets_are_masked_unless_revealed() {
        let mut sample = sample();
        let show = |sample: &Webhook, secrets, signing_secret| {
            let shown = shown(
                sample,
                Reveal {
                    secrets,
                    signing_secret,
                },
            );
            (shown["secret"].clone(), shown["signing_secret"].clone())
        };
        assert_eq!(
            show(&sample, [true; 3], false),
            ("abcdefgh12345678".into(), "***mnop".into())
        );
        assert_eq!(
            show(&sample, [false; 3], true),
            ("***5678".into(), "whsec_abcdefghijklmnop".into())
        );
        sample.secrets = vec![Secret::new("elevenchars".into())];
        assert_eq!(show(&sample, [false; 3], false).0, "***");
        sample.secrets.push(Secret::new("abcdefgh12345678".into()));
        assert_eq!(
            show(&sample, [false; 3], false).0,
            serde_json::json!(["***", "***5678"])
        );
        assert_eq!(
            show(&sample, [true; 3], false).0,
            serde_json::json!(["elevenchars", "abcdefgh12345678"])
        );
        assert_eq!(
            show(&sample, [true, false, true], false).0,
            serde_json::json!(["elevenchars", "***5678"])
        );
    }

    #[test]
    fn the_short_form_is_null_when_there_are_several() {
        let mut sample = sample();
        sample
            .destinations
            .push(destination(1, "https://b.example/"));
        let shown = shown(&sample, Reveal::default());
        assert_eq!(shown["webhook_url"], serde_json::Value::Null);
        assert_eq!(shown["destinations"][1]["forward_credentials"], false);
    }

    #[test]
    fn a_schedule_shows_its_own_fields_and_whole_seconds_without_a_fraction() {
        for (retry, expected) in [
            (Retry::Standard, r#"{"schedule":"standard"}"#),
            (
                Retry::Fixed {
                    interval_seconds: 300.0,
                    max_attempts: 3,
                },
                r#"{"schedule":"fixed","interval_seconds":300,"max_attempts":3}"#,
            ),
            (
                Retry::Exponential {
                    initial_seconds: 0.5,
                    factor: 2.0,
                    max_seconds: 3_600.0,
                    max_attempts: 9,
                },
                r#"{"schedule":"exponential","initial_seconds":0.5,"factor":2,"max_seconds":3600,"max_attempts":9}"#,
            ),
            (
                Retry::Custom {
                    delays_seconds: vec![0.5, 2.0, 0.0],
                },
                r#"{"schedule":"custom","delays_seconds":[0.5,2,0]}"#,
            ),
        ] {
            assert_eq!(own_json::write(&RetryView::of(&retry)).unwrap(), expected);
        }
    }

    #[test]
    fn lists_hold_the_same_webhooks() {
        let sample = sample();
        let one = shown(&sample, Reveal::default());
        let read = |json: String| serde_json::from_str::<serde_json::Value>(&json).unwrap();
        let base = "https://hooks.example.com";
        let page = read(webhooks_json(
            std::slice::from_ref(&sample),
            base,
            Some("w7".into()),
        ));
        assert_eq!(
            page,
            serde_json::json!({"data": [one], "next_cursor": "w7"})
        );
        assert_eq!(
            webhooks_json(&[], base, None),
            r#"{"data":[],"next_cursor":null}"#
        );
        let gone = read(deleted_json(std::slice::from_ref(&sample), base));
        assert_eq!(gone, serde_json::json!({"deleted": [one]}));
    }
}
