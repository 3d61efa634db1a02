//! A webhook on its way from what it was to what is asked for, field by field.

use super::{
    MAX_RETENTION_DAYS, Rejected, Rules, Written, destinations, drop_unchanged, headers,
    reader::{Mistakes, Node, Object},
    schedule, secrets, settings,
};
use crate::{
    messages::{MOST_SECRETS, Reveal},
    providers::{self, Provider},
    secret::{Entropy, EntropyExhausted},
    time::DAY,
    webhook::{DirectionFilter, Webhook},
};

const MAX_NAME: usize = 200;
const MAX_ACCOUNTS: usize = 1_000;
const MAX_EVENTS: usize = 500;
const MAX_SHARDS: u32 = 64;
const MAX_DEDUPE_DAYS: u32 = 3_650;
/// A week.
const MAX_ALERT_AFTER: u32 = 10_080;

/// Fields that an operator may set.
pub(super) const WRITABLE: [&str; 22] = [
    "name",
    "provider",
    "settings",
    "webhook_url",
    "destinations",
    "timeout_seconds",
    "strict",
    "is_active",
    "is_paused",
    "secret",
    "type",
    "accounts",
    "allow_events",
    "headers",
    "retry",
    "give_up_after_hours",
    "retention_days",
    "dedupe_days",
    "alert_url",
    "alert_after_minutes",
    "shards",
    "signing_secret",
];
/// Fields that are shown and never set.
const READ_ONLY: [&str; 5] = ["id", "ingest_url", "warnings", "created_at", "updated_at"];

/// A webhook on its way from what it was to what is asked for.
pub(super) struct Change<'a> {
    rules: &'a Rules<'a>,
    webhook: Webhook,
    existing: Option<&'a Webhook>,
    /// What was sent and is not as it was; `None` when it is not an object.
    sent: Option<Object<'a>>,
    reveal: Reveal,
    mistakes: Mistakes,
}

impl<'a> Change<'a> {
    pub(super) fn begin(
        rules: &'a Rules<'a>,
        webhook: Webhook,
        existing: Option<&'a Webhook>,
        body: &'a serde_json::Value,
        mut mistakes: Mistakes,
    ) -> Self {
        let known: Vec<_> = WRITABLE.iter().chain(&READ_ONLY).copied().collect();
        let mut sent = Node::root(body).object(&known, &mut mistakes);
        if let Some(sent) = &mut sent {
            if let Some(existing) = existing {
                drop_unchanged(sent, existing);
            }
            sent.retain(|name, node| {
                let read_only = READ_ONLY.contains(&name);
                if read_only {
                    node.wrong("is read-only: leave it out", &mut mistakes);
                }
                !read_only
            });
        }
        Self {
            rules,
            webhook,
            existing,
            sent,
            reveal: Reveal::default(),
            mistakes,
        }
    }

    pub(super) fn finish(mut self, entropy: &mut Entropy) -> Result<Written, Rejected> {
        if let Some(sent) = self.sent.take() {
            let provider = self.provider(&sent);
            self.plain(&sent);
            self.signing_secret(&sent);
            self.secrets(&sent, provider, entropy)?;
            self.webhook.destinations = destinations::read(
                &sent,
                &self.webhook.destinations,
                self.rules.station,
                entropy,
                &mut self.mistakes,
            )?;
            self.events(&sent, provider);
            self.days(&sent, provider);
            self.alerts(&sent);
            self.settings(&sent, provider);
        }
        if self.mistakes.is_empty() {
            Ok(Written {
                webhook: self.webhook,
                reveal: self.reveal,
            })
        } else {
            Err(Rejected::Mistakes(self.mistakes.into_vec()))
        }
    }

    /// Whether what depends on these fields has to be judged: what a webhook has
    /// been accepted with is not held against an unrelated change.
    fn touches(&self, sent: &Object<'_>, names: &[&str]) -> bool {
        self.existing.is_none() || names.iter().any(|name| sent.get(name).is_some())
    }

    /// Who sends. `None` when it is missing or unknown: what depends on it is then
    /// not judged.
    fn provider(&mut self, sent: &Object<'_>) -> Option<&'static dyn Provider> {
        let mistakes = &mut self.mistakes;
        let id = match sent.get("provider") {
            Some(node) => node.text(mistakes)?,
            None if self.existing.is_some() => return self.rules.provider(&self.webhook.provider),
            None => sent.need("provider", mistakes)?.text(mistakes)?,
        };
        let provider = self.rules.provider(id);
        match (provider, sent.get("provider")) {
            (Some(provider), _) => {
                id.clone_into(&mut self.webhook.provider);
                if self.existing.is_none() {
                    provider.about().name.clone_into(&mut self.webhook.name);
                    self.webhook.retry = (provider.about().default_retry)();
                }
            }
            (None, Some(node)) => {
                let known: Vec<_> = self.rules.providers.iter().map(|p| p.about().id).collect();
                node.wrong(format!("must be one of {}", known.join(", ")), mistakes);
            }
            (None, None) => {}
        }
        provider
    }

    /// Fields that depend on nothing else.
    fn plain(&mut self, sent: &Object<'_>) {
        let (webhook, mistakes) = (&mut self.webhook, &mut self.mistakes);
        if let Some(name) = sent
            .get("name")
            .and_then(|node| node.line(MAX_NAME, mistakes))
        {
            name.clone_into(&mut webhook.name);
        }
        if let Some(value) = sent
            .get("is_active")
            .and_then(|node| node.boolean(mistakes))
        {
            webhook.is_active = value;
        }
        if let Some(value) = sent
            .get("is_paused")
            .and_then(|node| node.boolean(mistakes))
        {
            webhook.is_paused = value;
        }
        let directions = [
            ("IN", DirectionFilter::In),
            ("OUT", DirectionFilter::Out),
            ("ALL", DirectionFilter::All),
        ];
        if let Some(value) = sent
            .get("type")
            .and_then(|node| node.choice(&directions, mistakes))
        {
            webhook.direction = value;
        }
        if let Some(entries) = sent
            .get("accounts")
            .and_then(|node| node.list(MAX_ACCOUNTS, mistakes))
        {
            let accounts = entries.iter().filter_map(|entry| exact(entry, mistakes));
            webhook.accounts = accounts.map(str::to_owned).collect();
        }
        if let Some(value) = sent
            .get("headers")
            .and_then(|node| headers::read(node, mistakes))
        {
            webhook.headers = value;
        }
        if let Some(value) = sent
            .get("retry")
            .and_then(|node| schedule::read(node, mistakes))
        {
            webhook.retry = value;
        }
        if let Some(node) = sent.get("shards")
            && let Some(shards) = node.whole(1, MAX_SHARDS, mistakes)
        {
            let shards = u8::try_from(shards).unwrap_or(1);
            if self.existing.is_some() && shards != webhook.shards {
                node.wrong(
                    format!(
                        "is fixed at creation and is {}: leave it out",
                        webhook.shards
                    ),
                    mistakes,
                );
            }
            webhook.shards = shards;
        }
    }

    fn signing_secret(&mut self, sent: &Object<'_>) {
        let Some(node) = sent.get("signing_secret") else {
            return;
        };
        let unchanged = self.existing.is_some()
            && node
                .value
                .as_str()
                .is_some_and(|text| self.webhook.signing_secret.matches(text.as_bytes()));
        if !unchanged {
            node.wrong(
                "cannot be set: leave it out, or use rotate-secret for a new one",
                &mut self.mistakes,
            );
        }
    }

    fn secrets(
        &mut self,
        sent: &Object<'_>,
        provider: Option<&dyn Provider>,
        entropy: &mut Entropy,
    ) -> Result<(), EntropyExhausted> {
        if let Some(node) = sent.get("secret") {
            let current = &self.webhook.secrets;
            let Some(secrets) = secrets::read(node, current, &mut self.mistakes) else {
                return Ok(());
            };
            // What was here already may stand in the request masked.
            for (is_shown, secret) in self.reveal.secrets.iter_mut().zip(&secrets) {
                *is_shown = !current.contains(secret);
            }
            self.webhook.has_generated_secret &= secrets == *current;
            self.webhook.secrets = secrets;
        } else if self.existing.is_none() {
            let whsec = provider.is_some_and(|provider| provider.about().whsec);
            self.webhook.secrets = vec![secrets::generate(whsec, entropy)?];
            self.webhook.has_generated_secret = true;
            self.reveal.secrets = [true; MOST_SECRETS];
        }
        self.reveal.signing_secret = self.existing.is_none();
        Ok(())
    }

    /// Which event names are kept. Of a provider whose names are known, no others.
    fn events(&mut self, sent: &Object<'_>, provider: Option<&dyn Provider>) {
        let (webhook, mistakes) = (&mut self.webhook, &mut self.mistakes);
        let about = provider.map(|provider| provider.about());
        let known = about.map_or(&[] as &[&str], |about| about.events);
        let same = about.map_or(&[] as &[[&str; 2]], |about| about.same_events);
        let taken = |name: &str| {
            name == "*"
                || known.is_empty()
                || known.contains(&name)
                || same.iter().flatten().any(|other| *other == name)
        };
        match sent.get("allow_events") {
            None => {
                // The provider may have been changed.
                if sent.get("provider").is_some()
                    && !webhook.allow_events.iter().all(|name| taken(name))
                {
                    mistakes.add(
                        "/allow_events",
                        format!(
                            "holds what is no event of this provider: send it too, with *, {}",
                            known.join(", ")
                        ),
                    );
                }
            }
            Some(node) if node.is_null() => webhook.allow_events = Vec::new(),
            Some(node) => {
                let Some(entries) = node.list(MAX_EVENTS, mistakes) else {
                    return;
                };
                webhook.allow_events = Vec::new();
                for entry in entries {
                    match exact(&entry, mistakes) {
                        Some(name) if taken(name) => webhook.allow_events.push(name.to_owned()),
                        Some(_) => entry.wrong(
                            format!(
                                "is not an event of this provider: use *, {}",
                                known.join(", ")
                            ),
                            mistakes,
                        ),
                        None => {}
                    }
                }
            }
        }
        // `*` beside others means all just the same.
        if webhook.allow_events.iter().any(|name| name == "*") {
            webhook.allow_events = vec!["*".to_owned()];
        }
    }

    /// How long things are kept: memory ≥ history ≥ what the provider may send again.
    fn days(&mut self, sent: &Object<'_>, provider: Option<&dyn Provider>) {
        let days = [
            "retention_days",
            "dedupe_days",
            "give_up_after_hours",
            "provider",
        ];
        if !self.touches(sent, &days) {
            return;
        }
        let (webhook, mistakes) = (&mut self.webhook, &mut self.mistakes);
        let mut whole = |name: &str, most: u32, target: &mut u32| match sent.get(name) {
            None => true,
            Some(node) => node.whole(1, most, mistakes).is_some_and(|value| {
                *target = value;
                true
            }),
        };
        // What is wrong in itself is not compared with the others.
        let [has_retention, has_dedupe, has_give_up] = [
            whole(
                "retention_days",
                MAX_RETENTION_DAYS,
                &mut webhook.retention_days,
            ),
            whole("dedupe_days", MAX_DEDUPE_DAYS, &mut webhook.dedupe_days),
            whole(
                "give_up_after_hours",
                MAX_RETENTION_DAYS.saturating_mul(24),
                &mut webhook.give_up_after_hours,
            ),
        ];
        if !has_retention {
            return;
        }
        let retention = webhook.retention_days;
        let retention_hours = retention.saturating_mul(24);
        if self.existing.is_none() && sent.get("give_up_after_hours").is_none() {
            webhook.give_up_after_hours = webhook.give_up_after_hours.min(retention_hours);
        }
        if let Some(provider) = provider
            && DAY.saturating_mul(retention) < provider.about().retry_window
        {
            let window = provider
                .about()
                .retry_window
                .as_secs()
                .div_ceil(DAY.as_secs());
            mistakes.add(
                "/retention_days",
                format!("must be at least {window}: this provider may send again for that long"),
            );
        }
        if has_dedupe && webhook.dedupe_days < retention {
            mistakes.add(
                "/dedupe_days",
                format!("must be at least retention_days, which is {retention}"),
            );
        }
        if has_give_up && webhook.give_up_after_hours > retention_hours {
            mistakes.add(
                "/give_up_after_hours",
                format!(
                    "is {} and must be at most retention_days, which is {retention_hours} hours",
                    webhook.give_up_after_hours
                ),
            );
        }
    }

    /// Who is told of what goes wrong, and when.
    fn alerts(&mut self, sent: &Object<'_>) {
        let (webhook, mistakes) = (&mut self.webhook, &mut self.mistakes);
        if let Some(node) = sent.get("alert_url") {
            if node.is_null() {
                webhook.alert_url = None;
            } else if let Some(url) = destinations::url(node, self.rules.station, mistakes) {
                webhook.alert_url = Some(url.to_owned());
            }
        }
        if let Some(node) = sent.get("alert_after_minutes")
            && let Some(minutes) = node.whole(1, MAX_ALERT_AFTER, mistakes)
        {
            webhook.alert_after_minutes = minutes;
        }
    }

    /// What the provider wants to know.
    fn settings(&mut self, sent: &Object<'_>, provider: Option<&dyn Provider>) {
        if let Some(node) = sent.get("settings")
            && let Some(settings) = settings::read(node, &mut self.mistakes)
        {
            self.webhook.settings = settings;
        }
        let Some(provider) = provider else { return };
        if !self.touches(sent, &["provider", "settings", "secret"]) {
            return;
        }
        let Webhook {
            settings, secrets, ..
        } = &self.webhook;
        let known = self.mistakes.as_slice();
        for wrong in providers::settings::check(provider, settings, secrets, known) {
            self.mistakes.add(wrong.pointer, wrong.message);
        }
    }
}

/// A text that is compared with what a provider sends, which has no blanks around it.
fn exact<'a>(node: &Node<'a>, mistakes: &mut Mistakes) -> Option<&'a str> {
    let text = node.line(MAX_NAME, mistakes)?;
    if text.trim() != text {
        node.wrong(
            "begins or ends with a blank: remove it, or nothing matches",
            mistakes,
        );
        return None;
    }
    Some(text)
}
