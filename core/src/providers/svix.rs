//! Svix: the Standard Webhooks specification under its older header names.
//!
//! Source: <https://docs.svix.com/receiving/verifying-payloads/how-manual> and, for the
//! schedule, <https://docs.svix.com/retries>.

use super::{
    About, SUCCESS, SecretFrom, guide,
    standard_webhooks::{Names, STANDARD_NAMES, StandardWebhooks},
};
use crate::webhook::Retry;
use std::time::Duration;

static ABOUT: About = About {
    id: "svix",
    name: "Svix",
    setup: guide(
        "Add an endpoint with the ingest URL at the sender, and paste its Signing Secret \
            (whsec_…) as secret here.",
    ),
    methods: &["POST"],
    settings: &["tolerance_seconds"],
    required_settings: &[],
    events: &[],
    same_events: &[],
    // 5 s, 5 m, 30 m, 2 h, 5 h, 10 h and 10 h come to 27 h 35 m.
    retry_window: Duration::from_secs(28 * 3_600),
    tolerance_seconds: Some(300),
    whsec: true,
    secret_from: SecretFrom::Provider,
    credential_headers: &["svix-signature", "webhook-signature"],
    default_retry: Retry::default,
    answer: SUCCESS,
    documentation: guide("https://docs.svix.com/receiving/verifying-payloads/how-manual"),
};

/// The table's entry.
pub(super) static SVIX: StandardWebhooks = StandardWebhooks {
    about: &ABOUT,
    names: &[
        Names {
            id: "svix-id",
            timestamp: "svix-timestamp",
            signature: "svix-signature",
        },
        // Its libraries take the same message under these as well.
        STANDARD_NAMES,
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        providers::{Identity, Provider, examples::post},
        secret::Secret,
        time::Timestamp,
        webhook::Settings,
    };

    // libraries/python/tests/test_webhooks.py, test_sign_function
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const TIME: &str = "1614265330";

    fn message(prefix: &str, id: &str, signature: &str) -> Vec<(String, String)> {
        [("id", id), ("timestamp", TIME), ("signature", signature)]
            .map(|(name, value)| (format!("{prefix}-{name}"), value.to_owned()))
            .into()
    }

    fn verify(fields: &[(String, String)]) -> (Result<(), &'static str>, Identity) {
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let inbound = post(&fields, r#"{"test": 2432232314}"#);
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into());
        let now = Timestamp::from_seconds(1_614_265_330);
        let settings = Settings::default();
        let result = SVIX.verify(&inbound, &secret, &settings, now);
        let facts = SVIX.describe(&settings, &inbound, &inbound.body);
        let header = |name| SVIX.proves_header(&settings, &inbound, name);
        // An id proves itself under the names that the proof counts under, and no others.
        assert_ne!(header("svix-id"), header("webhook-id"));
        (result.map_err(|why| why.code()), facts.identity)
    }

    #[test]
    fn its_own_names_count_and_else_those_of_the_specification() {
        let id = |id: &str| Identity::Proven(id.into());
        let (own, standard) = (message("Svix", ID, SIGNED), message("webhook", ID, SIGNED));
        assert_eq!(verify(&own), (Ok(()), id(ID)));
        assert_eq!(verify(&standard), (Ok(()), id(ID)));
        assert_eq!(
            verify(&message("other", ID, SIGNED)),
            (Err("missing_header"), Identity::Bytes)
        );
        // As in its libraries: where both are whole, its own alone are looked at.
        let forged = message("svix", "msg_forged", SIGNED);
        let wrong = Err("wrong_secret_or_altered_body");
        let both = [forged.clone(), standard.clone()].concat();
        assert_eq!(verify(&both), (wrong, id("msg_forged")));
        let other = message("webhook", "msg_forged", "v1,eA==");
        assert_eq!(verify(&[own, other].concat()), (Ok(()), id(ID)));
        // A part of a message is none, and names nothing.
        let part = [&forged[..1], &standard].concat();
        assert_eq!(verify(&part), (Ok(()), id(ID)));
    }
}
