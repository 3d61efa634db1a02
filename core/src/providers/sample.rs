//! Requests as providers send them, for trying a webhook out: proven with the webhook's
//! own secret, so that they go through what a real one goes through, here and at the
//! origin.
//!
//! No handler can take one for a payment, an order or something to deploy. Where the
//! provider has a test call of its own, the sample is that call, with an amount of 1.
//! Elsewhere it names no order, its amount is 1 or there is none, and its text says test.

#[cfg(test)]
mod tests {
    use super::super::{ALL, examples};
    use crate::{
        event::{Envelope, NewEvent},
        inbound::Inbound,
        receive,
        time::Timestamp,
    };
    use serde_json::{Value, json};

    const URL: &str = "https://hooks.example.com/in/wh_00000000000000000000000000";
    const NOW: Timestamp = Timestamp::from_millis(1_795_158_000_000);

    fn check(provider: &str, secret: &str, settings: Value) {
        let webhook = examples::webhook(provider, secret, settings.clone());
        let (envelope, event) = receive::sample(&webhook, URL, NOW)
            .unwrap_or_else(|problem| panic!("{provider} {settings}: {problem:?}"));
        assert!(event.test);
        assert_eq!(
            envelope.headers.get("content-type"),
            Some("application/json")
        );
        assert!(
            serde_json::from_slice::<Value>(&event.body).is_ok(),
            "{provider}"
        );
        let has = |name: &str| envelope.headers.get(name).is_some();
        for header in super::super::find(provider)
            .unwrap()
            .about()
            .credential_headers
        {
            assert!(
                has(header)
                    || *header == "x-hub-signature"
                    || (provider == "svix" && *header == "webhook-signature"),
                "{provider}: {header}"
            );
        }
        assert_harmless(provider, &envelope, &event);
    }

    /// No handler can take it for a payment or for something to deploy.
    fn assert_harmless(provider: &str, envelope: &Envelope, event: &NewEvent) {
        let body: Value = serde_json::from_slice(&event.body).unwrap();
        assert_small(provider, "", &body);
        let name = event.name.as_deref().unwrap_or_default();
        let headers = envelope.headers.iter().map(|(_, value)| value);
        for said in headers.chain([name]) {
            let said = said.to_ascii_lowercase();
            for acting in [
                "push",
                "release",
                "deploy",
                "workflow",
                "check",
                "status",
                "paid",
                "payment",
                "order",
                "invoice",
                "charge",
                "checkout",
                "succeeded",
                "captured",
            ] {
                assert!(!said.contains(acting), "{provider}: {said}");
            }
        }
        let text = body.to_string().to_ascii_lowercase();
        assert!(
            text.contains("test") || text.contains("thu nghiem"),
            "{provider}: {text}"
        );
        // What is known of a payment is read from it.
        let summary = serde_json::to_value(&event.summary).unwrap();
        let amount = summary["amount"].as_str().map(str::parse::<f64>);
        let has_amount = !matches!(
            provider,
            "sepay-bankhub"
                | "abaha"
                | "standard-webhooks"
                | "svix"
                | "github"
                | "stripe"
                | "shopify"
                | "custom"
        );
        assert_eq!(amount, has_amount.then_some(Ok(1.0)), "{provider}");
    }

    /// The call by which payOS confirms a URL, known by its order code and description.
    const OF_PAYOS: [(&str, &str); 2] = [("orderCode", "123"), ("description", "\"VQRIO123\"")];

    /// No number is above 1, as an amount, a balance or the number of an order would be,
    /// and no text holds a digit, as the code of an order does. Times, signatures and the
    /// numbers of accounts, banks and versions are none of these.
    fn assert_small(provider: &str, name: &str, value: &Value) {
        const NO_AMOUNT: [&str; 11] = [
            "time",
            "date",
            "when",
            "created",
            "updated",
            "modified",
            "account",
            "accid",
            "acc_id",
            "version",
            "signature",
        ];
        let lower = name.to_ascii_lowercase();
        let is_excepted = NO_AMOUNT.iter().any(|known| lower.contains(known))
            || lower.ends_with("bankid")
            || (provider == "payos" && OF_PAYOS.contains(&(name, value.to_string().as_str())));
        match value {
            Value::Array(list) => list.iter().for_each(|it| assert_small(provider, name, it)),
            Value::Object(object) => object
                .iter()
                .for_each(|(name, value)| assert_small(provider, name, value)),
            _ if is_excepted => {}
            Value::Number(number) => {
                assert!(
                    number.as_f64().unwrap() <= 1.0,
                    "{provider} {name} {number}"
                );
            }
            Value::String(text) => {
                let is_small = text.parse::<f64>().is_ok_and(|number| number <= 1.0);
                let digits = |letter: char| matches!(letter, '1'..='9');
                assert!(
                    is_small || !text.contains(digits),
                    "{provider} {name} {text}"
                );
            }
            Value::Bool(_) | Value::Null => {}
        }
    }

    #[test]
    #[should_panic(expected = "casso amount 200000")]
    fn an_amount_is_seen() {
        assert_small(
            "casso",
            "",
            &json!({"data": [{"id": 0, "amount": 200_000}]}),
        );
    }

    #[test]
    #[should_panic(expected = "sepay accumulated 25000000")]
    fn a_balance_is_seen() {
        assert_small("sepay", "", &json!({"accumulated": 25_000_000}));
    }

    #[test]
    #[should_panic(expected = "sepay content TRAM TEST DH1001")]
    fn the_code_of_an_order_is_seen() {
        assert_small(
            "sepay",
            "",
            &json!({"amount": "1.00", "content": "TRAM TEST DH1001"}),
        );
    }

    #[test]
    fn where_a_provider_has_a_test_call_the_sample_is_one() {
        for (provider, pointer, value) in [
            ("casso", "/data/0/id", json!(0)),
            ("casso-v2", "/data/id", json!(0)),
            ("sepay", "/id", json!(0)),
            ("sepay-hmac", "/id", json!(0)),
            ("payos", "/data/orderCode", json!(123)),
            ("github", "/hook_id", json!(0)),
        ] {
            let webhook = examples::webhook(provider, "a secret of 24 letters..", json!({}));
            let (envelope, event) = receive::sample(&webhook, URL, NOW).unwrap();
            let body: Value = serde_json::from_slice(&event.body).unwrap();
            assert_eq!(body.pointer(pointer), Some(&value), "{provider}");
            // Also when it comes from the provider itself.
            let inbound = Inbound {
                method: envelope.method,
                url: URL.into(),
                headers: envelope.headers,
                body: event.body,
                ..Inbound::default()
            };
            let intake = receive::receive(&webhook, &inbound, NOW).unwrap();
            assert!(intake.events.iter().all(|event| event.test), "{provider}");
        }
    }

    #[test]
    fn every_provider_takes_its_own_sample() {
        for provider in ALL {
            let about = provider.about();
            let secret = if about.whsec {
                "whsec_c2VjcmV0IGZvciB0ZXN0cyBvbmx5"
            } else {
                "a secret of 24 letters.."
            };
            let settings = match about.id {
                "abaha" | "custom" => json!({"header": "X-Shop-Token"}),
                _ => json!({}),
            };
            check(about.id, secret, settings);
        }
    }

    #[test]
    fn a_custom_one_is_proven_however_it_is_set_up() {
        for settings in [
            json!({"prefix": "Token "}),
            json!({"scheme": "hmac"}),
            json!({"scheme": "hmac", "algorithm": "sha512", "encoding": "base64", "prefix": "v1="}),
            json!({"scheme": "hmac", "signed": "{timestamp}.{body}", "timestamp_header": "X-Time"}),
            json!({"timestamp_header": "X-Time", "timestamp_unit": "ms"}),
            json!({"scheme": "hmac", "signed": "{id}|{method}|{url}|{body}", "event_id": "header:X-Id"}),
            json!({"scheme": "hmac", "signed": "{url}{body}", "url": "https://registered.example/a"}),
            json!({"items": "/data", "event_id": "/id"}),
            json!({"answer": {"status": 204}, "event_name": "header:X-Event"}),
        ] {
            let mut settings = settings;
            settings["header"] = "X-Proof".into();
            check("custom", "a secret of 24 letters..", settings);
        }
    }

    #[test]
    fn filters_do_not_drop_it() {
        let mut webhook = examples::webhook("casso", "a secret of 24 letters..", json!({}));
        webhook.accounts = vec!["nobody's".into()];
        webhook.allow_events.clear();
        assert!(receive::sample(&webhook, "https://a.example/in/wh", NOW).is_ok());
    }

    #[test]
    fn without_a_secret_that_proves_anything_there_is_none_and_it_says_why() {
        for (provider, secret) in [("casso", ""), ("svix", "not base64!"), ("nobody", "x")] {
            let webhook = examples::webhook(provider, secret, json!({}));
            let problem = receive::sample(&webhook, "https://a.example/in/wh", NOW).unwrap_err();
            assert_eq!((problem.status, problem.code), (409, "sample_refused"));
            assert!(!problem.detail.contains("base64!"), "{}", problem.detail);
        }
    }
}
