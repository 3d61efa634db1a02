//! Known answers: requests whose signatures others have published or an independent
//! program has made, and what has to be said of each. `tests/vectors/README.md` says
//! what the files hold.

#[cfg(test)]
mod known_answers {
    use serde::Deserialize;
    use serde_json::{Value, json};
    use std::{
        collections::{BTreeMap, BTreeSet},
        path::PathBuf,
    };
    use tram_core::{
        event::NewEvent,
        headers::Headers,
        inbound::Inbound,
        providers::{self, settings},
        receive,
        secret::Secret,
        signature,
        time::Timestamp,
        webhook::{Algorithm, Encoding, Webhook},
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
        #[serde(default)]
        events: Option<Vec<BTreeMap<String, Value>>>,
        source: String,
        #[serde(rename = "note")]
        _note: String,
    }

    /// What stands in every `.json` directly in this folder of `tests/vectors`.
    fn load<T: for<'de> Deserialize<'de>>(folder: &str) -> Vec<T> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../tests/vectors")
            .join(folder);
        let mut files: Vec<_> = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|file| file.extension().is_some_and(|ending| ending == "json"))
            .collect();
        files.sort();
        assert!(!files.is_empty());
        let mut all = Vec::new();
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let read: Value = serde_json::from_str(&text).unwrap();
            let entries = match read {
                Value::Array(entries) => entries,
                one => vec![one],
            };
            for entry in entries {
                let label = file.display();
                all.push(
                    serde_json::from_value(entry).unwrap_or_else(|why| panic!("{label}: {why}")),
                );
            }
        }
        all
    }

    fn vectors() -> Vec<Vector> {
        load("")
    }

    fn label(vector: &Vector) -> String {
        format!("{}: {} ({})", vector.provider, vector.name, vector.source)
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
            ..Inbound::default()
        }
    }

    #[test]
    fn every_vector_is_judged_as_it_says() {
        for vector in vectors() {
            let webhook = webhook(&vector);
            let now = Timestamp::from_seconds(vector.now);
            let judged = receive::receive(&webhook, &inbound(&vector), now);
            let label = label(&vector);
            match (vector.expect.as_str(), judged) {
                ("accept", Ok(intake)) => {
                    assert!(!intake.events.is_empty(), "{label}");
                    if let Some(expected) = &vector.events {
                        check_events(&label, expected, &intake.events);
                    }
                }
                ("reject", Err(_)) => {}
                (_, Ok(_)) => panic!("accepted {label}"),
                (_, Err(why)) => panic!("{} {label}: {why}", why.code()),
            }
        }
    }

    fn check_events(label: &str, expected: &[BTreeMap<String, Value>], events: &[NewEvent]) {
        assert_eq!(events.len(), expected.len(), "{label}");
        let keys: BTreeSet<_> = events.iter().map(|event| event.key).collect();
        assert_eq!(keys.len(), events.len(), "{label}: two events are one");
        for (expected, event) in expected.iter().zip(events) {
            let mut read = serde_json::to_value(&event.summary).unwrap();
            let changes: BTreeMap<_, _> = event.header_changes.iter().cloned().collect();
            read["name"] = json!(event.name);
            read["object_id"] = json!(event.object_id);
            read["test"] = json!(event.test);
            read["body"] = json!(String::from_utf8(event.body.clone()).unwrap());
            read["headers"] = json!(changes);
            for (part, value) in expected {
                assert_eq!(read.get(part), Some(value), "{label}: {part}");
            }
        }
    }

    #[test]
    fn what_is_split_proves_itself_at_the_origin() {
        let mut split = 0;
        for vector in vectors() {
            let webhook = webhook(&vector);
            let now = Timestamp::from_seconds(vector.now);
            let arrived = inbound(&vector);
            let Ok(intake) = receive::receive(&webhook, &arrived, now) else {
                continue;
            };
            for event in intake.events.iter().filter(|_| intake.events.len() > 1) {
                let mut headers: Headers = arrived.headers.clone();
                for (name, value) in &event.header_changes {
                    headers.remove(name);
                    if let Some(value) = value {
                        headers.push(name, value.clone());
                    }
                }
                let relayed = Inbound {
                    headers,
                    body: event.body.clone(),
                    ..arrived.clone()
                };
                let again = receive::receive(&webhook, &relayed, now).unwrap();
                assert_eq!(again.events.len(), 1, "{}", label(&vector));
                assert_eq!(again.events[0].key, event.key, "{}", label(&vector));
                split += 1;
            }
        }
        assert!(split >= 9);
    }

    #[test]
    fn every_accepted_vector_could_be_configured() {
        for vector in vectors() {
            let provider = providers::find(&vector.provider).unwrap();
            if vector.expect == "accept" {
                let webhook = webhook(&vector);
                let secrets = [Secret::new(vector.secret.clone())];
                assert_eq!(
                    settings::check(provider, &webhook.settings, &secrets, &[]),
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
    fn every_known_event_has_a_vector() {
        let names: BTreeSet<_> = vectors()
            .iter()
            .flat_map(|vector| {
                let events = vector.events.iter().flatten();
                let names =
                    events.filter_map(|event| Some(event.get("name")?.as_str()?.to_owned()));
                names
                    .map(|name| (vector.provider.clone(), name))
                    .collect::<Vec<_>>()
            })
            .collect();
        for provider in providers::ALL {
            let about = provider.about();
            for event in about.events {
                let name = (about.id.to_owned(), (*event).to_owned());
                assert!(names.contains(&name), "{} {event}", about.id);
            }
        }
        let bankhub = providers::find("sepay-bankhub").unwrap();
        assert_eq!(bankhub.about().events.len(), 13);
    }

    #[test]
    fn what_was_computed_here_is_told_from_what_was_published() {
        for vector in vectors() {
            let known = ["published", "derived", "constructed"];
            assert!(known.contains(&vector.origin.as_str()), "{}", vector.name);
        }
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct HmacFile {
        algorithm: String,
        test_groups: Vec<HmacGroup>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct HmacGroup {
        /// Bits; fewer than the hash has where the result is truncated.
        tag_size: usize,
        tests: Vec<HmacCase>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct HmacCase {
        tc_id: u32,
        comment: String,
        key: String,
        msg: String,
        tag: String,
        result: String,
    }

    #[test]
    fn keyed_hashes_are_those_of_rfc_4231_and_wycheproof() {
        let mut files: Vec<HmacFile> = load("hmac");
        files.extend(load::<HmacFile>("hmac/wycheproof"));
        let mut cases = 0;
        for file in files {
            let algorithm = match file.algorithm.as_str() {
                "HMACSHA1" => Algorithm::Sha1,
                "HMACSHA256" => Algorithm::Sha256,
                "HMACSHA512" => Algorithm::Sha512,
                other => panic!("{other}"),
            };
            for group in file.test_groups {
                for case in group.tests {
                    let label = format!("{} {}: {}", file.algorithm, case.tc_id, case.comment);
                    let (key, message) = (
                        hex::decode(&case.key).unwrap(),
                        hex::decode(&case.msg).unwrap(),
                    );
                    let mac = signature::keyed_hash(algorithm, &key, &[&message]).unwrap();
                    let tag = signature::decode(Encoding::Hex, &case.tag).unwrap();
                    let leading = mac.get(..group.tag_size / 8).unwrap();
                    assert_eq!(leading == tag, case.result == "valid", "{label}");
                    // A truncated signature proves nothing here, right as it is.
                    let is_whole = leading.len() == mac.len();
                    let proves = case.result == "valid" && is_whole;
                    assert_eq!(signature::equal(&mac, &tag), proves, "{label}");
                    cases += 1;
                }
            }
        }
        assert_eq!(cases, 12 + 170 + 174 + 174);
    }
}
