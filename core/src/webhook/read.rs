//! How a webhook is read: see [`fields`](crate::own_json::fields).

use super::{
    CustomAnswer, Destination, PreviousSecret, RetryFields, Settings, Strict, USUAL_ALERT_AFTER,
    Webhook,
};
use crate::{
    ids::{DestinationId, WebhookId},
    own_json::fields::read_in_place,
    secret::Secret,
    time::Timestamp,
};
use std::collections::BTreeMap;

const NEVER: Timestamp = Timestamp::from_millis(0);

read_in_place! {
    Webhook, unknown skipped,
    required {
        id, version, name, provider, settings, secrets, destinations, is_active, is_paused,
        signing_secret, direction, accounts, allow_events, headers, retry, give_up_after_hours,
        retention_days, dedupe_days, shards, created_at, updated_at,
    },
    optional {
        previous_signing_secret, older_signing_secrets, alert_url, alert_after_minutes,
        has_generated_secret,
    },
}

impl Webhook {
    fn blank() -> Self {
        Self {
            id: WebhookId::from_random([0; 16]),
            version: 0,
            name: String::new(),
            provider: String::new(),
            settings: Settings::default(),
            secrets: Vec::new(),
            has_generated_secret: false,
            destinations: Vec::new(),
            is_active: false,
            is_paused: false,
            signing_secret: Secret::new(String::new()),
            previous_signing_secret: None,
            older_signing_secrets: Vec::new(),
            direction: super::DirectionFilter::All,
            accounts: Vec::new(),
            allow_events: Vec::new(),
            headers: BTreeMap::new(),
            retry: super::Retry::Fibonacci,
            give_up_after_hours: 0,
            retention_days: 0,
            dedupe_days: 0,
            alert_url: None,
            alert_after_minutes: USUAL_ALERT_AFTER,
            shards: 0,
            created_at: NEVER,
            updated_at: NEVER,
        }
    }
}

read_in_place! {
    Destination, unknown skipped,
    required {
        id, url, headers, timeout_seconds, strict, sign, forward_credentials, rate_per_second,
    },
    optional { resign },
}

impl Destination {
    fn blank() -> Self {
        Self {
            id: DestinationId::from_random([0; 8]),
            url: String::new(),
            headers: BTreeMap::new(),
            timeout_seconds: 0,
            strict: Strict::Auto,
            sign: false,
            resign: super::Resign::default(),
            forward_credentials: false,
            rate_per_second: 0,
        }
    }
}

read_in_place! {
    PreviousSecret, unknown skipped,
    required { secret, until },
    optional {},
}

impl PreviousSecret {
    fn blank() -> Self {
        Self {
            secret: Secret::new(String::new()),
            until: NEVER,
        }
    }
}

read_in_place! {
    Settings, unknown refused,
    required {},
    optional {
        tolerance_seconds by fields::put_given, url, header, access_key, app_id, scheme,
        algorithm, encoding, prefix, signed, timestamp_header, timestamp_unit, event_id,
        event_name, items, answer,
    },
}

impl Settings {
    fn blank() -> Self {
        Self::default()
    }
}

read_in_place! {
    CustomAnswer, unknown refused,
    required { status },
    optional { body },
}

impl CustomAnswer {
    fn blank() -> Self {
        Self::default()
    }
}

read_in_place! {
    RetryFields, unknown skipped,
    required { schedule },
    optional {
        interval_seconds, max_attempts, initial_seconds, factor, max_seconds, delays_seconds,
    },
}

impl RetryFields {
    fn blank() -> Self {
        Self::default()
    }
}
