//! What holds for every provider of the table, whatever is sent: what was signed
//! proves, what was altered does not, the same id is the same event and nothing else
//! is, and no input stops anything.
//!
//! Requests are signed with the product's own hashes; that those are right is the
//! business of the known answers.

#[cfg(test)]
mod samples;

#[cfg(test)]
mod properties {
    use crate::samples::{AT, SECRET, Sample, body, ids, webhook};
    use proptest::{prelude::*, sample::Index};
    use std::collections::HashSet;
    use tram_core::{
        inbound::Inbound,
        providers::{self, settings},
        receive::{self, Intake},
        signature,
        time::Timestamp,
        webhook::{Algorithm, Encoding},
    };

    fn take(
        provider: &str,
        webhook_id: char,
        inbound: &Inbound,
        at: i64,
    ) -> Result<Intake, &'static str> {
        let webhook = webhook(provider, webhook_id, SECRET);
        receive::receive(&webhook, inbound, Timestamp::from_seconds(at)).map_err(|why| why.code())
    }

    /// One letter of the text replaced, unless that makes no difference: then `None`.
    fn altered(text: &str, at: Index, letter: char, either_case: bool) -> Option<String> {
        let letters: Vec<char> = text.chars().collect();
        let at = at.index(letters.len());
        let old = letters[at];
        let same = old == letter
            || either_case && old.eq_ignore_ascii_case(&letter)
            || old.is_whitespace() && letter.is_whitespace();
        if same {
            return None;
        }
        let before = letters[..at].iter();
        Some(
            before
                .chain([&letter])
                .chain(letters[at..].iter().skip(1))
                .collect(),
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_was_signed_proves_and_the_id_names_it(
            one in "[a-zA-Z0-9_-]{1,20}", other in "[a-zA-Z0-9_-]{1,20}", later in 0_i64..300
        ) {
            let mut keys = HashSet::new();
            for provider in ids() {
                let key = |webhook, id: &str, at: i64| {
                    let intake = take(provider, webhook, &Sample::of(provider, id, at).inbound(), AT.saturating_add(300));
                    let events = intake.unwrap_or_else(|why| panic!("{provider}: {why}")).events;
                    assert_eq!(events.len(), 1, "{provider}");
                    events[0].key
                };
                let first = key('0', &one, AT);
                prop_assert_eq!(key('0', &one, AT.saturating_add(later)), first, "{}: signed anew for a retry", provider);
                prop_assert_eq!(key('0', &other, AT) == first, one == other, "{}", provider);
                prop_assert_ne!(key('1', &one, AT), first, "{}: of another webhook", provider);
                prop_assert!(keys.insert(first), "{}: the key of another provider", provider);
            }
        }

        #[test]
        fn one_letter_changed_proves_nothing(
            id in "[a-zA-Z0-9_-]{1,20}", at: Index, letter in proptest::char::range(' ', '~')
        ) {
            for provider in ids() {
                let sample = || Sample::of(provider, &id, AT);
                prop_assert_eq!(take(provider, '0', &sample().inbound(), AT).map(|it| it.events.len()), Ok(1));

                if let Some(secret) = altered(SECRET, at, letter, false) {
                    let webhook = webhook(provider, '0', &secret);
                    let now = Timestamp::from_seconds(AT);
                    let result = receive::receive(&webhook, &sample().inbound(), now);
                    prop_assert!(result.is_err(), "{}: the secret {}", provider, secret);
                }
                let unsigned = ["x-github-delivery", "x-shopify-event-id"];
                for field in 0..sample().headers.len() {
                    let mut sample = sample();
                    let (name, value) = &mut sample.headers[field];
                    if let Some(changed) = altered(value, at, letter, sample.hex)
                        && !unsigned.contains(&name.as_str())
                    {
                        *value = changed;
                        let result = take(provider, '0', &sample.inbound(), AT);
                        prop_assert!(result.is_err(), "{}: {:?}", provider, sample.headers);
                    }
                }
                let mut sample = sample();
                if let Some(changed) = altered(&sample.body, at, letter, provider == "payos")
                    && sample.signs
                {
                    sample.body = changed;
                    let result = take(provider, '0', &sample.inbound(), AT);
                    prop_assert!(result.is_err(), "{}: {}", provider, sample.body);
                }
            }
        }

        #[test]
        fn splitting_loses_and_invents_nothing(amounts in prop::collection::vec(1_u32..1_000_000, 1..12)) {
            for (provider, array) in [("casso", "data"), ("thueapi", "transactions"), ("pay2s", "transactions")] {
                let elements: Vec<_> = amounts.iter().enumerate()
                    .map(|(at, amount)| format!(r#"{{ "id":"{at}x", "transferAmount":{amount}, "amount":{amount}}}"#))
                    .collect();
                let body = format!(r#"{{"error":0, "{array}" : [{}] }}"#, elements.join(" ,\n"));
                let mut sample = Sample::of(provider, "x", AT);
                if sample.signs {
                    let mac = signature::keyed_hash(Algorithm::Sha256, SECRET.as_bytes(), &[body.as_bytes()]).unwrap();
                    sample.headers[0].1 = signature::encode(Encoding::Hex, &mac);
                }
                sample.body = body;
                let events = take(provider, '0', &sample.inbound(), AT).unwrap().events;
                let read: Vec<_> = events.iter().map(|event| event.summary.amount.clone().unwrap()).collect();
                prop_assert_eq!(read, amounts.iter().map(u32::to_string).collect::<Vec<_>>());
                for (event, element) in events.iter().zip(&elements) {
                    let relayed = String::from_utf8(event.body.clone()).unwrap();
                    prop_assert_eq!(relayed.matches(r#""id""#).count(), 1);
                    prop_assert!(relayed.contains(element.as_str()));
                }
            }
        }
    }

    fn names() -> impl Strategy<Value = String> {
        let mut names: Vec<String> = ids()
            .flat_map(|id| Sample::of(id, "x", AT).headers)
            .map(|(name, _)| name)
            .collect();
        names.extend(["content-type", "x-github-event", "x-shopify-topic"].map(str::to_owned));
        prop::sample::select(names)
    }

    fn values() -> impl Strategy<Value = String> {
        let piece = "(t=|v1=|v1,|sha256=|Apikey |Bearer |,| |00|ab|170000|application/x-www-form-urlencoded|multipart/form-data; boundary=x|ping|[ -~]|é)";
        prop_oneof![
            prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat()),
            any::<String>(),
        ]
    }

    fn bodies() -> impl Strategy<Value = Vec<u8>> {
        let bodies: Vec<String> = ids().map(|id| Sample::of(id, "x", AT).body).collect();
        let piece = "(\\{|\\}|\\[|\\]|\"|:|,|\"data\"|\"transactions\"|\"id\"|\"signature\"|1|-|null|\\\\ud800|&|=|%|\r\n|--x|--|Content-Disposition: form-data; name=\"id\"|é)";
        prop_oneof![
            any::<Vec<u8>>(),
            prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat().into_bytes()),
            (prop::sample::select(bodies), any::<Index>(), any::<u8>()).prop_map(
                |(body, at, byte)| {
                    let mut bytes = body.into_bytes();
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                    bytes
                }
            ),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_input_stops_anything(
            fields in prop::collection::vec((names(), values()), 0..8), body in bodies(),
            decoded in prop::option::of(bodies()), secret: String, at: i64
        ) {
            let inbound = Inbound {
                method: "POST".into(),
                headers: fields.iter().map(|(name, value)| (name, value.as_str())).collect(),
                body,
                decoded,
                ..Inbound::default()
            };
            for provider in providers::ALL {
                let webhook = webhook(provider.about().id, '0', &secret);
                let given = &webhook.settings;
                let secret = &webhook.secrets[0];
                let now = Timestamp::from_millis(at);
                if let Err(why) = receive::receive(&webhook, &inbound, now) {
                    let _ = providers::diagnose(&webhook, &inbound, now, why);
                }
                let content = inbound.content();
                let _ = provider.split(given, content);
                let _ = providers::facts(*provider, given, &inbound, content);
                let _ = provider.document(&inbound, content);
                let request = providers::Unsigned { body: content, ..(&inbound).into() };
                let _ = provider.sign(request, secret, given, now);
                let _ = provider.signed_at(&inbound.headers, given);
                let _ = provider.standard_message(&inbound.headers);
                let _ = settings::check(*provider, given, &webhook.secrets, &[]);
            }
        }
    }

    #[test]
    fn a_number_and_its_text_are_the_same_id() {
        for provider in ["casso", "sepay", "pay2s", "sepay-bankhub-ipn"] {
            let key = |body: String| {
                let sample = Sample {
                    body,
                    ..Sample::of(provider, "7", AT)
                };
                take(provider, '0', &sample.inbound(), AT).unwrap().events[0].key
            };
            let text = body(provider, "7");
            let number = text.replace("\"7\"", "7");
            assert_ne!(text, number);
            assert_eq!(key(text), key(number), "{provider}");
        }
    }

    #[test]
    fn large_numbers_are_told_apart_to_the_last_digit() {
        for provider in ["casso", "sepay", "pay2s", "sepay-bankhub-ipn"] {
            let key = |id: &str| {
                let sample = Sample {
                    body: body(provider, id).replace(&format!("\"{id}\""), id),
                    ..Sample::of(provider, id, AT)
                };
                take(provider, '0', &sample.inbound(), AT).unwrap().events[0].key
            };
            // As floating point they are the same.
            assert_ne!(
                key("9007199254740993"),
                key("9007199254740992"),
                "{provider}"
            );
        }
    }

    #[test]
    fn a_success_is_answered_in_the_provider_s_own_words() {
        for provider in ids() {
            let answer = take(provider, '0', &Sample::of(provider, "7", AT).inbound(), AT);
            let answer = answer.unwrap().reply;
            let body = match provider {
                "abaha" => r#"{"status":200,"message":"OK"}"#,
                _ => r#"{"success":true}"#,
            };
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (200, body),
                "{provider}"
            );
            assert_eq!(answer.content_type, "application/json", "{provider}");
        }
    }

    #[test]
    fn an_empty_secret_never_proves_anything() {
        for provider in ids() {
            let mut sample = Sample::of(provider, "7", AT);
            for (_, value) in &mut sample.headers {
                *value = value.replace(SECRET, "");
            }
            let webhook = webhook(provider, '0', "");
            let now = Timestamp::from_seconds(AT);
            assert!(
                receive::receive(&webhook, &sample.inbound(), now).is_err(),
                "{provider}"
            );
        }
    }
}
