//! Svix: the Standard Webhooks specification under its older header names.
//!
//! Source: <https://docs.svix.com/receiving/verifying-payloads/how-manual> and, for the
//! schedule, <https://docs.svix.com/retries>.

use super::{About, SUCCESS, SecretFrom, guide, standard_webhooks::StandardWebhooks};
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
    credential_headers: &["svix-signature"],
    default_retry: Retry::default,
    answer: SUCCESS,
    documentation: guide("https://docs.svix.com/receiving/verifying-payloads/how-manual"),
};

/// The table's entry.
pub(super) static SVIX: StandardWebhooks = StandardWebhooks {
    about: &ABOUT,
    id: "svix-id",
    timestamp: "svix-timestamp",
    signature: "svix-signature",
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

    #[test]
    fn its_own_header_names_count_and_no_others() {
        // libraries/python/tests/test_webhooks.py, test_sign_function
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into());
        let signed = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let verify = |prefix: &str| {
            let inbound = post(
                &[
                    (&format!("{prefix}-id"), "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                    (&format!("{prefix}-timestamp"), "1614265330"),
                    (&format!("{prefix}-signature"), signed),
                ],
                r#"{"test": 2432232314}"#,
            );
            let now = Timestamp::from_seconds(1_614_265_330);
            let settings = Settings::default();
            let result = SVIX.verify(&inbound, &secret, &settings, now);
            let facts = SVIX.describe(&settings, &inbound, &inbound.body);
            (result.map_err(|why| why.code()), facts.identity)
        };
        let id = Identity::Proven("msg_p5jXN8AQM9LWM0D4loKWxJek".into());
        assert_eq!(verify("Svix"), (Ok(()), id));
        assert_eq!(verify("webhook"), (Err("missing_header"), Identity::Bytes));
    }
}
