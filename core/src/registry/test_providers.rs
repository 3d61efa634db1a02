//! Two providers that exist in tests only: one that names no events, and one with
//! known events, `whsec_` secrets and a long retry window.

use crate::{
    event::Summary,
    inbound::{Inbound, Refusal},
    providers::{About, Facts, Identity, Provider, SecretFrom, SuccessAnswer, guide},
    secret::Secret,
    time::{HOUR, Timestamp},
    webhook::{Retry, Settings},
};

struct Sample(&'static About);

const BANK: About = About {
    id: "bank",
    name: "Ngân hàng",
    setup: guide("Paste the address."),
    methods: &["POST"],
    settings: &["header"],
    required_settings: &[],
    events: &[],
    same_events: &[],
    retry_window: HOUR,
    tolerance_seconds: None,
    whsec: false,
    secret_from: SecretFrom::Owner,
    credential_headers: &["secure-token"],
    default_retry: Retry::default,
    answer: SuccessAnswer {
        status: 200,
        content_type: "application/json",
        body: r#"{"success":true}"#,
    },
    documentation: guide("https://bank.example/docs"),
};

const FORGE: About = About {
    id: "forge",
    name: "Forge",
    settings: &["header", "tolerance_seconds"],
    events: &["push", "release"],
    retry_window: HOUR.saturating_mul(50),
    tolerance_seconds: Some(300),
    whsec: true,
    default_retry: || Retry::Standard,
    ..BANK
};

pub(crate) static ALL: &[&dyn Provider] = &[&Sample(&BANK), &Sample(&FORGE)];

impl Provider for Sample {
    fn about(&self) -> &'static About {
        self.0
    }

    fn verify(&self, _: &Inbound, _: &Secret, _: &Settings, _: Timestamp) -> Result<(), Refusal> {
        Err(Refusal::NoSecret)
    }

    fn describe(&self, _: &Settings, _: &Inbound, _: &[u8]) -> Facts {
        Facts {
            identity: Identity::Bytes,
            name: None,
            object_id: None,
            summary: Summary::default(),
            test: false,
        }
    }

    fn sample(&self, _: &mut Inbound, _: &Secret, _: &Settings) {}
}
