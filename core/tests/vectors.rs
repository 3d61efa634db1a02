//! Known answers: requests whose signatures others have published, those derived
//! from them by one change, and what has to be said of each.
//!
//! `tests/vectors/providers.json` holds, for each: the provider, the request, the
//! secret, the time it is judged at (Unix seconds; 0 when there is none), whether it
//! is to be accepted, and the source. `published` answers were computed by others.

#[cfg(test)]
mod known_answers {
    use serde::Deserialize;
    use serde_json::{Value, json};
    use std::collections::{BTreeMap, BTreeSet};
    use tram_core::{
        inbound::Inbound,
        providers::{self, settings},
        receive,
        secret::Secret,
        time::Timestamp,
        webhook::Webhook,
    };

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Vector {
        provider: String,
        name: String,
        origin: String,
        method: String,
        url: String,
        headers: BTreeMap<String, String>,
        body: String,
        secret: String,
        #[serde(default)]
        settings: Option<Value>,
        #[serde(default)]
        now: i64,
        expect: String,
        source: String,
        #[serde(rename = "note")]
        _note: String,
    }

    fn vectors() -> Vec<Vector> {
        serde_json::from_str(include_str!("../../tests/vectors/providers.json")).unwrap()
    }

    fn webhook(vector: &Vector) -> Webhook {
        serde_json::from_value(json!({
            "id": "wh_00000000000000000000000000", "version": 1, "name": "",
            "provider": vector.provider, "settings": vector.settings.clone().unwrap_or(json!({})),
            "secrets": [vector.secret], "destinations": [], "is_active": true, "is_paused": false,
            "signing_secret": "whsec_YWJj", "previous_signing_secret": null, "direction": "ALL",
            "accounts": [], "allow_events": ["*"], "headers": {}, "retry": {"schedule": "fibonacci"},
            "give_up_after_hours": 72, "retention_days": 30, "dedupe_days": 400, "shards": 1,
            "created_at": 0, "updated_at": 0
        }))
        .unwrap()
    }

    fn inbound(vector: &Vector) -> Inbound {
        Inbound {
            method: vector.method.clone(),
            query: vector
                .url
                .split_once('?')
                .map_or("", |(_, query)| query)
                .into(),
            url: vector.url.clone(),
            headers: vector
                .headers
                .iter()
                .map(|(name, value)| (name, value.as_str()))
                .collect(),
            body: vector.body.clone().into_bytes(),
            decoded: None,
        }
    }

    #[test]
    fn every_vector_is_judged_as_it_says() {
        for vector in vectors() {
            let webhook = webhook(&vector);
            let now = Timestamp::from_seconds(vector.now);
            let judged = receive::receive(&webhook, &inbound(&vector), now);
            let label = format!("{}: {} ({})", vector.provider, vector.name, vector.source);
            match (vector.expect.as_str(), judged) {
                ("accept", Ok(intake)) => assert!(!intake.events.is_empty(), "{label}"),
                ("reject", Err(_)) => {}
                (_, Ok(_)) => panic!("accepted {label}"),
                (_, Err(why)) => panic!("{} {label}: {why}", why.code()),
            }
        }
    }

    #[test]
    fn every_accepted_vector_could_be_configured() {
        for vector in vectors() {
            let provider = providers::find(&vector.provider).unwrap();
            if vector.expect == "accept" {
                let webhook = webhook(&vector);
                let secrets = [Secret::new(vector.secret.clone())];
                assert_eq!(
                    settings::check(provider, &webhook.settings, &secrets),
                    [],
                    "{}",
                    vector.name
                );
            }
        }
    }

    #[test]
    fn every_provider_has_both_sides() {
        let sides: BTreeSet<_> = vectors()
            .into_iter()
            .map(|vector| (vector.provider, vector.expect))
            .collect();
        for provider in providers::ALL {
            let id = provider.about().id;
            for expect in ["accept", "reject"] {
                let side = (id.to_owned(), expect.to_owned());
                assert!(sides.contains(&side), "{id} has no vector to {expect}");
            }
        }
    }

    #[test]
    fn what_was_computed_here_is_told_from_what_was_published() {
        for vector in vectors() {
            let known = ["published", "derived", "constructed"];
            assert!(known.contains(&vector.origin.as_str()), "{}", vector.name);
        }
    }
}
