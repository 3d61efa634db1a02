//! What the operator should know of a webhook as it is: each warning says what is wrong
//! and how to mend it. None of it is a mistake, so it is saved all the same.

use super::input::is_short;
use crate::{
    inbound::Inbound,
    providers::{self, Provider, SecretFrom},
    webhook::Webhook,
};

/// Characters that are seen nowhere and come along when a text is copied from a page.
const UNSEEN: [char; 6] = [
    '\u{a0}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}',
];

/// The keys in README's commands, to be replaced by the reader's own.
const EXAMPLES: [&str; 4] = [
    "the-key-that-your-handler-knows",
    "the-value-that-your-handler-knows",
    "whsec_the_secret_key_that_sepay_showed",
    "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6",
];

/// What the operator should know of a webhook as it is.
#[must_use]
pub fn warnings(webhook: &Webhook) -> Vec<String> {
    let mut warnings = Vec::new();
    of_secrets(webhook, &mut warnings);
    of_filters(webhook, &mut warnings);
    if let Some(provider) = providers::find(&webhook.provider) {
        of_the_provider(webhook, provider, &mut warnings);
    }
    warnings
}

fn of_secrets(webhook: &Webhook, warnings: &mut Vec<String>) {
    if webhook.secrets.iter().any(is_short) {
        warnings.push(
            "secret is shorter than 16 characters: it could be guessed. Use a longer one where the provider lets you."
                .to_owned(),
        );
    }
    let is_example = |example: &&str| {
        let mut secrets = webhook.secrets.iter();
        secrets.any(|secret| secret.matches(example.as_bytes()))
    };
    if EXAMPLES.iter().any(is_example) {
        warnings.push(
            "secret is the example of the documentation, which everybody knows: send the one that your handler knows."
                .to_owned(),
        );
    }
    let unseen = webhook
        .secrets
        .iter()
        .find_map(|secret| unseen(secret.expose()));
    if let Some(unseen) = unseen {
        warnings.push(format!(
            "secret holds a character that cannot be seen (U+{:04X}), which comes along when a text is copied: \
             the provider's own secret hardly has it, and with it nothing is proven. Send secret again without it.",
            u32::from(unseen)
        ));
    }
}

/// A filter that matches nothing drops what the provider is answered success for.
fn of_filters(webhook: &Webhook, warnings: &mut Vec<String>) {
    for (field, texts) in [
        ("accounts", &webhook.accounts),
        ("allow_events", &webhook.allow_events),
    ] {
        if let Some(unseen) = texts.iter().find_map(|text| unseen(text)) {
            warnings.push(format!(
                "{field} holds a character that cannot be seen (U+{:04X}), which comes along when a text is copied: \
                 no event has it, so all are dropped that are to match this entry. Send {field} again without it.",
                u32::from(unseen)
            ));
        }
    }
}

fn of_the_provider(webhook: &Webhook, provider: &dyn Provider, warnings: &mut Vec<String>) {
    let (about, settings) = (provider.about(), &webhook.settings);
    if webhook.has_generated_secret && about.secret_from == SecretFrom::Provider {
        warnings.push(format!(
            "secret was made here, but {} makes its own: until you send that one (PUT {{\"secret\": \"…\"}}), whatever it \
             posts is refused.",
            about.name
        ));
    }
    if !provider.proves_body(settings) {
        warnings.push(
            "settings.signed does not hold {body}: whoever has seen one request could send another body with its signature."
                .to_owned(),
        );
    }
    let time = settings.timestamp_header.as_deref();
    if time.is_some_and(|time| !provider.proves_header(settings, &Inbound::default(), time)) {
        warnings.push(
            "settings.timestamp_header is not signed: a captured request could be sent again under a new time."
                .to_owned(),
        );
    }
    if about.id == "custom" && settings.event_id.is_none() {
        warnings.push(
            "settings.event_id is not set: events are told apart by method, query and bytes alone, so one that is sent again with another \
             time or counter in it is relayed again, and two events that say the same are one. Name where the id stands: \
             header:X-Id or a JSON pointer such as /data/id."
                .to_owned(),
        );
    }
    let credentials = providers::credential_headers(provider, settings).join(", ");
    let without = webhook
        .destinations
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(_, destination)| !destination.forward_credentials);
    for (at, _) in without.filter(|_| !credentials.is_empty()) {
        warnings.push(format!(
            "destinations[{at}] is sent what comes without the provider's credential ({credentials}): a handler that checks it \
             refuses everything. Set forward_credentials to true, or let it check Trạm's signature."
        ));
    }
}

fn unseen(text: &str) -> Option<char> {
    text.chars().find(|letter| UNSEEN.contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{providers::examples, secret::Secret};
    use serde_json::{Value, json};

    const LONG: &str = "a secret of 24 letters..";

    fn webhook(provider: &str, settings: Value) -> Webhook {
        examples::webhook(provider, LONG, settings)
    }

    #[track_caller]
    fn warned(webhook: &Webhook, beginnings: &[&str]) {
        let warnings = warnings(webhook);
        assert_eq!(warnings.len(), beginnings.len(), "{warnings:#?}");
        for (warning, beginning) in warnings.iter().zip(beginnings) {
            assert!(warning.starts_with(beginning), "{warning}");
            assert!(
                !webhook
                    .secrets
                    .iter()
                    .any(|it| warning.contains(it.expose()))
            );
        }
    }

    #[test]
    fn what_is_well_is_not_warned_of() {
        warned(&webhook("casso", json!({})), &[]);
        let settings = json!({"header": "x-token", "event_id": "/id"});
        warned(&webhook("custom", settings), &[]);
    }

    #[test]
    fn a_secret_that_was_left_as_it_stands_in_readme_is_warned_of() {
        let readme = include_str!("../../../README.md");
        let keys: Vec<_> = readme
            .lines()
            .filter_map(|line| line.trim().strip_prefix("KEY='")?.strip_suffix('\''))
            .collect();
        assert!(keys.len() >= 7, "{keys:?}");
        for key in keys {
            let mut casso = webhook("casso", json!({}));
            casso.secrets = vec![Secret::new(key.into())];
            let warnings = warnings(&casso);
            assert!(warnings[0].starts_with("secret is the example"), "{key}");
        }
    }

    #[test]
    fn a_character_that_cannot_be_seen_is_warned_of() {
        for unseen in UNSEEN {
            let mut casso = webhook("casso", json!({}));
            casso
                .secrets
                .push(Secret::new(format!("another{unseen} secret of 32 letters")));
            let code = format!("U+{:04X}", u32::from(unseen));
            warned(&casso, &["secret holds a character that cannot be seen"]);
            assert!(warnings(&casso)[0].contains(&code), "{code}");
            casso.secrets.pop();
            casso.accounts = vec!["0011".into(), format!("19{unseen}03")];
            casso.allow_events = vec![format!("paid{unseen}")];
            warned(&casso, &["accounts holds", "allow_events holds"]);
        }
        let mut casso = webhook("casso", json!({}));
        casso.secrets = vec![Secret::new("mật khẩu có dấu và cách".into())];
        warned(&casso, &[]);
    }

    #[test]
    fn a_secret_made_here_is_warned_of_where_the_provider_makes_its_own() {
        for provider in providers::ALL {
            let about = provider.about();
            let settings = match about.id {
                "abaha" => json!({"header": "x-shop"}),
                "custom" => json!({"header": "x-shop", "event_id": "/id"}),
                _ => json!({}),
            };
            let mut webhook = webhook(about.id, settings);
            warned(&webhook, &[]);
            webhook.has_generated_secret = true;
            let makes_its_own = about.secret_from == SecretFrom::Provider;
            let expected: &[_] = if makes_its_own {
                &["secret was made here"]
            } else {
                &[]
            };
            warned(&webhook, expected);
        }
    }

    #[test]
    fn a_custom_webhook_without_an_event_id_is_warned_of() {
        let settings = json!({"header": "x-token"});
        warned(
            &webhook("custom", settings),
            &["settings.event_id is not set"],
        );
    }

    #[test]
    fn a_further_destination_without_credentials_is_warned_of() {
        let with = |provider, settings, forwarded: &[bool]| {
            let mut webhook = webhook(provider, settings);
            let first = webhook.destinations[0].clone();
            webhook.destinations = forwarded
                .iter()
                .map(|forward_credentials| crate::webhook::Destination {
                    forward_credentials: *forward_credentials,
                    ..first.clone()
                })
                .collect();
            webhook
        };
        warned(&with("casso", json!({}), &[false, true]), &[]);
        let two = with("casso", json!({}), &[true, false, true, false]);
        warned(
            &two,
            &["destinations[1] is sent", "destinations[3] is sent"],
        );
        assert!(warnings(&two)[0].contains("(secure-token)"));
        // What proves payOS stands in the body, which every destination is sent.
        warned(&with("payos", json!({}), &[true, false]), &[]);
        let abaha = with("abaha", json!({"header": "X-Shop"}), &[true, false]);
        warned(&abaha, &["destinations[1] is sent"]);
    }
}
