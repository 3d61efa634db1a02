//! The Registry over a real database: what is stored, listed, shown and told to
//! the Mailboxes, also when something fails on the way.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test may fail, and says so by panicking"
)]

use super::*;
use crate::destination_url::Station;
use crate::secret::Secret;
use crate::testing::{
    faulty::{Fault, Faulty},
    native::NativeDatabase,
};
use crate::{
    mailbox::{
        jobs::JobKind,
        stats::{Hour, Tally},
        view::EventQuery,
    },
    messages::{JobReply, ShardPlace},
};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_millis(1_763_632_800_000);

struct Fixture {
    db: NativeDatabase,
    registry: Registry,
    /// Grows with every request, so that no two webhooks are alike.
    requests: u8,
}

impl Fixture {
    fn new() -> Self {
        let db = NativeDatabase::in_memory().unwrap();
        let registry = Registry::with_providers(&db, test_providers::ALL).unwrap();
        Self {
            db,
            registry,
            requests: 0,
        }
    }

    fn try_ask(&mut self, request: &RegistryRequest) -> Result<RegistryReply, RegistryError> {
        self.requests = self.requests.checked_add(1).unwrap();
        let mut entropy = Entropy::new(vec![self.requests; Entropy::ENOUGH]);
        let now = NOW.plus(Duration::from_secs(u64::from(self.requests)));
        self.registry.handle(&self.db, request, &mut entropy, now)
    }

    fn ask(&mut self, request: RegistryRequest) -> RegistryReply {
        self.try_ask(&request).unwrap()
    }

    fn create(&mut self, body: &Value) -> Webhook {
        webhook(self.ask(RegistryRequest::Create(write(body))))
    }

    fn stored(&mut self, id: WebhookId) -> Option<Webhook> {
        match self.ask(RegistryRequest::Load(id)) {
            RegistryReply::NotFound => None,
            reply => Some(webhook(reply)),
        }
    }

    fn pending(&self) -> Vec<Push> {
        self.registry.pending_pushes(&self.db, 1_000).unwrap()
    }

    fn settle(&self) {
        for push in self.pending() {
            self.registry.pushed(&self.db, &push).unwrap();
        }
    }

    /// All pages of the list: names, newest first.
    fn names(&mut self, per_page: u32) -> Vec<String> {
        let (mut names, mut cursor) = (Vec::new(), None);
        loop {
            let RegistryReply::Webhooks {
                webhooks,
                next_cursor,
            } = self.ask(RegistryRequest::List { per_page, cursor })
            else {
                panic!()
            };
            assert!(webhooks.len() <= per_page as usize);
            names.extend(webhooks.into_iter().map(|webhook| webhook.name));
            if next_cursor.is_none() {
                return names;
            }
            cursor = next_cursor;
        }
    }
}

fn write(body: &Value) -> Write {
    Write {
        body: body.to_string(),
        station: Station::default(),
    }
}

fn webhook(reply: RegistryReply) -> Webhook {
    match reply {
        RegistryReply::Webhook { webhook, .. } => *webhook,
        other => panic!("{other:?}"),
    }
}

fn deleted(reply: RegistryReply) -> Vec<WebhookId> {
    match reply {
        RegistryReply::Deleted(webhooks) => webhooks.iter().map(|webhook| webhook.id).collect(),
        other => panic!("{other:?}"),
    }
}

fn body(name: &str) -> Value {
    json!({"provider": "bank", "name": name, "webhook_url": "https://shop.example/hook"})
}

#[test]
fn what_is_created_is_found_again() {
    let mut it = Fixture::new();
    let created = it.create(&body("A"));
    assert_eq!(it.stored(created.id), Some(created.clone()));
    assert_eq!(webhook(it.ask(RegistryRequest::Get(created.id))), created);
    let other = WebhookId::from_random([9; 16]);
    assert_eq!(it.stored(other), None);
    for request in [
        RegistryRequest::Get(other),
        RegistryRequest::Update(other, write(&json!({}))),
        RegistryRequest::Toggle(other),
        RegistryRequest::Delete(other),
        RegistryRequest::DeleteByUrl("https://elsewhere.example/".into()),
    ] {
        assert!(matches!(it.ask(request), RegistryReply::NotFound));
    }
}

#[test]
fn a_creation_shows_its_secrets_once() {
    let mut it = Fixture::new();
    let reply = it.ask(RegistryRequest::Create(write(&body("A"))));
    let RegistryReply::Webhook {
        webhook, reveal, ..
    } = reply
    else {
        panic!()
    };
    assert_eq!(
        reveal,
        Reveal {
            secrets: [true; 3],
            signing_secret: true
        }
    );
    let reply = it.ask(RegistryRequest::Get(webhook.id));
    let RegistryReply::Webhook { reveal, .. } = reply else {
        panic!()
    };
    assert_eq!(reveal, Reveal::default());
}

#[test]
fn a_rotated_signing_secret_is_shown_once_and_the_old_ones_sign_on_for_their_grace() {
    let mut it = Fixture::new();
    let created = it.create(&body("A"));
    it.settle();
    let mut rotate =
        |body: &str| match it.ask(RegistryRequest::RotateSecret(created.id, body.into())) {
            RegistryReply::Webhook {
                webhook, reveal, ..
            } => {
                assert!(reveal.signing_secret && reveal.secrets == [false; 3]);
                assert_eq!(it.pending().len(), 1, "the Mailbox is told");
                it.settle();
                *webhook
            }
            other => panic!("{other:?}"),
        };
    let signs = |webhook: &Webhook| -> Vec<(String, i64)> {
        let begun = webhook.updated_at;
        webhook
            .previous_signing_secrets()
            .map(|one| {
                let left = one.until.since(begun).as_secs();
                (one.secret.expose().to_owned(), i64::try_from(left).unwrap())
            })
            .collect()
    };
    let [first, second, third] = ["", "{}", r#"{"grace_seconds":60}"#].map(&mut rotate);
    assert!(first.signing_secret.expose().starts_with("whsec_"));
    assert!(first.version > created.version);
    assert_eq!(first.secrets, created.secrets);
    let secret = |webhook: &Webhook| webhook.signing_secret.expose().to_owned();
    let old = created.signing_secret.expose().to_owned();
    assert_eq!(signs(&first), [(old.clone(), 86_400)]);
    // An answer was lost, it is rotated again: what the origin has still signs.
    let of_second = signs(&second);
    assert_eq!(of_second[0], (secret(&first), 86_400));
    assert_eq!(of_second[1].0, old);
    // The shortest grace goes for all that is old.
    assert_eq!(
        signs(&third),
        [(secret(&second), 60), (secret(&first), 60), (old, 60)]
    );
    let many: Vec<_> = (0..5).map(|_| rotate("{}")).collect();
    assert_eq!(signs(&many[4]).len(), 4, "no more than four");
    let last = rotate(r#"{"grace_seconds":0}"#);
    assert_eq!(signs(&last), [], "at once");
    assert_ne!(secret(&last), secret(&many[4]));
}

#[test]
fn a_rotation_says_what_is_wrong_with_it() {
    let mut it = Fixture::new();
    let created = it.create(&body("A"));
    for (body, pointer) in [
        ("[]", ""),
        ("{", ""),
        (r#"{"grace":1}"#, "/grace"),
        (r#"{"grace_seconds":-1}"#, "/grace_seconds"),
        (r#"{"grace_seconds":2592001}"#, "/grace_seconds"),
        (r#"{"grace_seconds":1.5}"#, "/grace_seconds"),
        (r#"{"grace_seconds":null}"#, "/grace_seconds"),
    ] {
        match it.ask(RegistryRequest::RotateSecret(created.id, body.into())) {
            RegistryReply::Invalid(mistakes) => {
                assert_eq!(mistakes.len(), 1, "{body}");
                assert_eq!(mistakes[0].pointer, pointer, "{body}");
            }
            other => panic!("{body}: {other:?}"),
        }
    }
    let now = webhook(it.ask(RegistryRequest::Get(created.id)));
    assert_eq!(now, created);
    let nobody = WebhookId::from_random([9; 16]);
    assert!(matches!(
        it.ask(RegistryRequest::RotateSecret(nobody, "{".into())),
        RegistryReply::NotFound
    ));
}

#[test]
fn a_short_secret_is_warned_of() {
    let mut it = Fixture::new();
    let mut body = body("A");
    body["secret"] = "fifteen letters".into();
    let RegistryReply::Webhook {
        warnings, webhook, ..
    } = it.ask(RegistryRequest::Create(write(&body)))
    else {
        panic!()
    };
    assert_eq!(warnings.len(), 1);
    let longer = write(&json!({"secret": "sixteen letters."}));
    let RegistryReply::Webhook { warnings, .. } =
        it.ask(RegistryRequest::Update(webhook.id, longer))
    else {
        panic!()
    };
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn what_is_wrong_changes_nothing() {
    let mut it = Fixture::new();
    let created = it.create(&body("A"));
    it.settle();
    for request in [
        RegistryRequest::Create(write(&json!({"provider": "bank"}))),
        RegistryRequest::Update(created.id, write(&json!({"name": "B", "colour": 1}))),
    ] {
        let RegistryReply::Invalid(mistakes) = it.ask(request) else {
            panic!()
        };
        assert_eq!(mistakes.len(), 1);
    }
    assert_eq!(it.stored(created.id), Some(created));
    assert_eq!(it.names(10), ["A"]);
    assert_eq!(it.pending(), []);
}

#[test]
fn every_change_is_a_new_version_and_every_mailbox_is_told() {
    let mut it = Fixture::new();
    let mut three = body("A");
    three["shards"] = 3.into();
    let created = it.create(&three);
    assert_eq!(created.version, 1);
    let told = |it: &Fixture| -> Vec<(u8, u64)> {
        let pending = it.pending();
        pending
            .iter()
            .map(|push| (push.shard, push.version))
            .collect()
    };
    assert_eq!(told(&it), [(0, 1), (1, 1), (2, 1)]);

    let renamed = write(&json!({"name": "B"}));
    let changed = webhook(it.ask(RegistryRequest::Update(created.id, renamed)));
    let time = |webhook: &Webhook| u64::try_from(webhook.updated_at.millis()).unwrap();
    assert_eq!(changed.version, time(&changed));
    assert!(changed.updated_at > created.updated_at);
    assert_eq!(changed.created_at, created.created_at);
    let toggled = webhook(it.ask(RegistryRequest::Toggle(created.id)));
    assert_eq!(
        (toggled.version, toggled.is_active),
        (time(&toggled), false)
    );
    assert_eq!(told(&it), [0, 1, 2].map(|shard| (shard, toggled.version)));
    let latest = toggled.version;
    let toggled = webhook(it.ask(RegistryRequest::Toggle(created.id)));
    assert!(toggled.version > latest && toggled.is_active);

    // Nothing changed: nothing to tell.
    it.settle();
    let same = webhook(it.ask(RegistryRequest::Update(
        created.id,
        write(&json!({"name": "B"})),
    )));
    assert_eq!(same, toggled);
    assert_eq!(told(&it), []);

    // Gone is told too, as the latest version.
    assert_eq!(
        deleted(it.ask(RegistryRequest::Delete(created.id))),
        [created.id]
    );
    let gone = told(&it);
    assert!(gone.len() == 3 && gone.iter().all(|(_, version)| *version > toggled.version));
    assert!(
        it.pending()
            .iter()
            .all(|push| push.payload == Payload::Retire)
    );
}

#[test]
fn a_registry_that_knows_less_than_its_mailboxes_goes_beyond_them() {
    let mut it = Fixture::new();
    let mut two = body("A");
    two["shards"] = 2.into();
    let created = it.create(&two);
    it.settle();
    let newer = |it: &mut Fixture, than| {
        let id = created.id;
        webhook(it.ask(RegistryRequest::LoadNewer { webhook: id, than }))
    };
    // A Mailbox that knows no more than the Registry changes nothing.
    for than in [0, created.version] {
        assert_eq!(newer(&mut it, than), created);
        assert_eq!(it.pending(), []);
    }
    // What a Mailbox knows was lost here: this goes beyond it, and all are told.
    let future = u64::try_from(NOW.plus(crate::time::DAY).millis()).unwrap();
    for than in [2, future] {
        let before = it.stored(created.id).unwrap();
        let raised = newer(&mut it, than);
        assert!(raised.version > than);
        let same = Webhook {
            version: before.version,
            updated_at: before.updated_at,
            ..raised.clone()
        };
        assert_eq!(same, before, "nothing else changes");
        let told = it.pending();
        let told: Vec<_> = told.iter().map(|it| (it.shard, it.version)).collect();
        assert_eq!(told, [(0, raised.version), (1, raised.version)]);
        it.settle();
    }
    // Also what a later change makes of it.
    let toggled = webhook(it.ask(RegistryRequest::Toggle(created.id)));
    assert!(toggled.version > future);
    let other = RegistryRequest::LoadNewer {
        webhook: WebhookId::from_random([9; 16]),
        than: 7,
    };
    assert!(matches!(it.ask(other), RegistryReply::NotFound));
}

#[test]
fn a_mailbox_is_told_everything_with_the_provider_s_secrets() {
    let mut it = Fixture::new();
    let created = it.create(&body("A"));
    let [push] = &it.pending()[..] else { panic!() };
    assert_eq!(push.webhook, created.id);
    assert_eq!(push.payload, Payload::Configure(Box::new(created.clone())));
    // Signing for the provider again is the Mailbox's business.
    assert!(!created.secrets.is_empty());
}

#[test]
fn a_change_while_telling_is_told_again() {
    let mut it = Fixture::new();
    let created = it.create(&body("A"));
    let [old] = &it.pending()[..] else { panic!() };
    it.ask(RegistryRequest::Toggle(created.id));
    it.registry.pushed(&it.db, old).unwrap();
    let [new] = &it.pending()[..] else { panic!() };
    assert!(new.version > old.version);
    it.registry.pushed(&it.db, new).unwrap();
    assert_eq!(it.pending(), []);
}

#[test]
fn a_deletion_while_telling_is_told_again_and_then_forgotten() {
    let mut it = Fixture::new();
    let created = it.create(&body("A"));
    let [old] = &it.pending()[..] else { panic!() };
    it.ask(RegistryRequest::Delete(created.id));
    it.registry.pushed(&it.db, old).unwrap();
    let [retire] = &it.pending()[..] else {
        panic!()
    };
    assert_eq!(retire.payload, Payload::Retire);
    it.registry.pushed(&it.db, retire).unwrap();
    assert_eq!(it.pending(), []);
    for table in ["webhooks", "pushes"] {
        assert_eq!(
            it.db.run(&format!("SELECT * FROM {table}"), &[]),
            Ok(vec![])
        );
    }
}

#[test]
fn those_that_were_tried_least_come_first() {
    let mut it = Fixture::new();
    for name in ["A", "B", "C"] {
        it.create(&body(name));
    }
    let two = |it: &Fixture| -> Vec<WebhookId> {
        let pushes = it.registry.pending_pushes(&it.db, 2).unwrap();
        pushes.iter().map(|push| push.webhook).collect()
    };
    let (first, second) = (two(&it), two(&it));
    assert!(!first.contains(&second[0]));
}

#[test]
fn the_alarm_follows_every_change_and_its_distance_grows() {
    let mut it = Fixture::new();
    assert_eq!(it.registry.rearm(&it.db, NOW), Ok(None));
    assert_eq!(it.db.alarm().unwrap(), None);
    let created = it.create(&body("A"));
    assert_eq!(
        it.db.alarm().unwrap(),
        Some(created.created_at.plus(FIRST_RETRY))
    );
    let mut waits = Vec::new();
    for _ in 0..9 {
        it.pending();
        let at = it.registry.rearm(&it.db, NOW).unwrap().unwrap();
        assert_eq!(it.db.alarm().unwrap(), Some(at));
        waits.push(at.since(NOW).as_secs());
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    // A later change is told soon, and everything else with it.
    it.create(&body("B"));
    it.pending();
    assert_eq!(
        it.registry.rearm(&it.db, NOW),
        Ok(Some(NOW.plus(FIRST_RETRY)))
    );
    it.settle();
    assert_eq!(it.registry.rearm(&it.db, NOW), Ok(None));
}

#[test]
fn a_change_is_kept_whole_or_not_at_all() {
    for kind in 0..5 {
        let mut steps = 0;
        loop {
            let mut it = Fixture::new();
            let created = it.create(&body("A"));
            it.settle();
            let alarm = it.db.alarm().unwrap();
            let request = match kind {
                0 => RegistryRequest::Create(write(&body("B"))),
                1 => RegistryRequest::Update(created.id, write(&json!({"name": "C"}))),
                2 => RegistryRequest::Toggle(created.id),
                3 => RegistryRequest::Delete(created.id),
                _ => RegistryRequest::DeleteByUrl("https://shop.example/hook".into()),
            };
            let faulty = Faulty::new(&it.db);
            faulty.fail(steps, Fault::Before);
            let mut entropy = Entropy::new(vec![99; Entropy::ENOUGH]);
            let outcome = it.registry.handle(&faulty, &request, &mut entropy, NOW);
            if faulty.is_armed() {
                assert!(outcome.is_ok(), "{request:?}: {outcome:?}");
                break;
            }
            assert!(
                matches!(outcome, Err(RegistryError::Database(_))),
                "{request:?} at step {steps}"
            );
            assert_eq!(it.stored(created.id), Some(created));
            assert_eq!(it.names(10), ["A"]);
            assert_eq!(it.pending(), []);
            assert_eq!(it.db.alarm().unwrap(), alarm);
            steps += 1;
        }
        assert!(steps >= 3, "{kind}: only {steps} steps");
    }
}

#[test]
fn the_list_is_newest_first_in_pages() {
    let mut it = Fixture::new();
    assert_eq!(it.names(10), Vec::<String>::new());
    for name in ["A", "B", "C", "D", "E"] {
        it.create(&body(name));
    }
    for per_page in [1, 2, 4, 5, 100] {
        assert_eq!(it.names(per_page), ["E", "D", "C", "B", "A"], "{per_page}");
    }
}

#[test]
fn pages_go_on_where_they_ended_whatever_comes_or_goes() {
    let mut it = Fixture::new();
    let ids: Vec<_> = ["A", "B", "C", "D"]
        .map(|name| it.create(&body(name)).id)
        .into();
    let page = |it: &mut Fixture, cursor| {
        let RegistryReply::Webhooks {
            webhooks,
            next_cursor,
        } = it.ask(RegistryRequest::List {
            per_page: 2,
            cursor,
        })
        else {
            panic!()
        };
        let names: Vec<_> = webhooks.into_iter().map(|webhook| webhook.name).collect();
        (names, next_cursor)
    };
    let (names, cursor) = page(&mut it, None);
    assert_eq!(names, ["D", "C"]);
    it.create(&body("E"));
    it.ask(RegistryRequest::Delete(ids[2]));
    it.ask(RegistryRequest::Toggle(ids[0]));
    assert_eq!(page(&mut it, cursor), (vec!["B".into(), "A".into()], None));
}

#[test]
fn a_cursor_that_is_none_is_a_mistake() {
    let mut it = Fixture::new();
    for cursor in [
        "",
        "w",
        "w-1",
        "w+1",
        "w01",
        "1",
        "wx",
        "w99999999999999999999",
        "w9007199254740992",
    ] {
        let cursor = Some(cursor.to_owned());
        let RegistryReply::Invalid(mistakes) = it.ask(RegistryRequest::List {
            per_page: 20,
            cursor,
        }) else {
            panic!()
        };
        assert_eq!(mistakes[0].pointer, "?cursor");
    }
}

#[test]
fn all_with_one_destination_url_are_deleted() {
    let mut it = Fixture::new();
    let one = it.create(&body("A")).id;
    let several = json!({"provider": "bank", "destinations": [
        {"url": "https://other.example/"}, {"url": "https://SHOP.example/hook"},
    ]});
    let two = it.create(&several).id;
    let mut other = body("C");
    other["webhook_url"] = "https://shop.example/hook2".into();
    let three = it.create(&other).id;
    let request = || RegistryRequest::DeleteByUrl("https://shop.example:443/hook".into());
    assert_eq!(deleted(it.ask(request())), [two, one]);
    assert!(matches!(it.ask(request()), RegistryReply::NotFound));
    assert!(it.stored(three).is_some());
}

#[test]
fn many_webhooks_are_all_looked_at() {
    let mut it = Fixture::new();
    for _ in 0..205 {
        it.create(&body("A"));
    }
    let request = RegistryRequest::DeleteByUrl("https://shop.example/hook".into());
    assert_eq!(deleted(it.ask(request)).len(), 205);
}

#[test]
fn tables_are_made_once_and_later_ones_are_left_alone() {
    let mut it = Fixture::new();
    let created = it.create(&body("A"));
    it.registry = Registry::with_providers(&it.db, test_providers::ALL).unwrap();
    assert!(it.stored(created.id).is_some());
    it.db
        .run("UPDATE schema_version SET version = 99", &[])
        .unwrap();
    assert!(Registry::open(&it.db).is_err());
}

#[test]
fn what_cannot_be_read_is_an_error_without_its_content() {
    let mut it = Fixture::new();
    let broken = it.create(&body("A"));
    let sound = it.create(&body("B"));
    let json = format!(r#"{{"id":"{}","version":"hunter2"}}"#, broken.id);
    it.db
        .run(
            "UPDATE webhooks SET json = ? WHERE id = ?",
            &[
                crate::database::Value::Text(json),
                crate::database::Value::Text(broken.id.to_string()),
            ],
        )
        .unwrap();
    let error = it.try_ask(&RegistryRequest::Load(broken.id)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the stored configuration of {} cannot be read", broken.id)
    );
    assert!(!format!("{error:?}").contains("hunter2"));
    // It does not hold up what the others' Mailboxes are told, nor is it forgotten.
    let told: Vec<_> = it.pending().iter().map(|push| push.webhook).collect();
    assert_eq!(told, [sound.id]);
    it.settle();
    assert!(it.registry.rearm(&it.db, NOW).unwrap().is_some());
}

/// What the first version stored, to the letter: later versions must read it.
const STORED: &str = r#"{"id":"wh_040g2081040g2081040g208104","version":1,"name":"Webhook đơn hàng","provider":"forge","settings":{"tolerance_seconds":null,"event_id":["/a","header:X-Id"],"answer":{"status":202,"body":"ok"}},"secrets":["whsec_Zmlyc3Qtc2VjcmV0LW9mLXR3bw==","whsec_c2Vjb25kLXNlY3JldC1vZi10d28="],"destinations":[{"id":"dst_040g2081040g2","url":"https://shop.example/hook","headers":{"x-a":"1"},"timeout_seconds":5,"strict":false,"sign":true,"forward_credentials":true,"rate_per_second":20}],"is_active":true,"is_paused":false,"signing_secret":"whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=","previous_signing_secret":null,"direction":"IN","accounts":["0011"],"allow_events":["push"],"headers":{"x-from":"tram"},"retry":{"schedule":"fixed","interval_seconds":60.0,"max_attempts":3},"give_up_after_hours":72,"retention_days":30,"dedupe_days":400,"shards":1,"created_at":1763632801000,"updated_at":1763632801000}"#;

fn everything() -> Value {
    json!({
        "name": "Webhook đơn hàng", "provider": "forge",
        "settings": {"tolerance_seconds": null, "event_id": ["/a", "header:X-Id"], "answer": {"status": 202, "body": "ok"}},
        "destinations": [{"url": "https://shop.example/hook", "headers": {"x-a": "1"}}],
        "secret": ["whsec_Zmlyc3Qtc2VjcmV0LW9mLXR3bw==", "whsec_c2Vjb25kLXNlY3JldC1vZi10d28="],
        "type": "IN", "accounts": ["0011"], "allow_events": ["push"], "headers": {"x-from": "tram"},
        "retry": {"schedule": "fixed", "interval_seconds": 60, "max_attempts": 3},
    })
}

#[test]
fn the_stored_format_is_unchanged() {
    let mut it = Fixture::new();
    let created = it.create(&everything());
    let rows = it.db.run("SELECT json FROM webhooks", &[]).unwrap();
    assert_eq!(rows[0].text(0), Ok(STORED));
    assert_eq!(it.stored(created.id), Some(created));
}

#[test]
fn a_round_visits_what_was_noted_and_forgets_what_has_nothing_left() {
    let mut it = Fixture::new();
    let (a, b) = (
        WebhookId::from_random([1; 16]),
        WebhookId::from_random([2; 16]),
    );
    let note = |it: &mut Fixture, webhook, shard| {
        it.ask(RegistryRequest::Note { webhook, shard });
    };
    for _ in 0..3 {
        note(&mut it, a, 0);
        note(&mut it, a, 63);
        note(&mut it, b, 0);
    }
    let begin = |it: &Fixture, now| -> Vec<(WebhookId, u8)> {
        let visits = it.registry.begin_visits(&it.db, 100, now).unwrap();
        visits
            .iter()
            .map(|visit| (visit.webhook, visit.shard))
            .collect()
    };
    let now = NOW.plus(crate::time::HOUR);
    let mut visits = it.registry.begin_visits(&it.db, 100, now).unwrap();
    visits.sort_by_key(|visit| (visit.webhook, visit.shard));
    assert_eq!(begin(&it, now), [], "each once in a round");
    // Something comes to the second while it is being visited.
    note(&mut it, a, 63);
    it.registry.visited(&it.db, &visits[0], None, now).unwrap();
    it.registry.visited(&it.db, &visits[1], None, now).unwrap();
    it.registry
        .visited(&it.db, &visits[2], Some(now), now)
        .unwrap();
    assert_eq!(begin(&it, now), [(a, 63)], "what was noted meanwhile");
    let later = now.plus(crate::time::HOUR);
    // The one that did not answer, and the one that asked for it.
    assert_eq!(begin(&it, later).len(), 2);
    let far = later.plus(crate::time::DAY);
    let visits = it.registry.begin_visits(&it.db, 100, far).unwrap();
    for visit in &visits {
        it.registry.visited(&it.db, visit, None, far).unwrap();
    }
    assert_eq!(begin(&it, far.plus(crate::time::DAY)), []);
}

#[test]
fn pausing_and_resuming_are_changes_once() {
    let mut it = Fixture::new();
    let created = it.create(&body("A"));
    it.settle();
    let paused = webhook(it.ask(RegistryRequest::Pause(created.id, true)));
    assert!(paused.is_paused && paused.version > created.version);
    assert_eq!(it.pending().len(), 1);
    it.settle();
    let again = webhook(it.ask(RegistryRequest::Pause(created.id, true)));
    assert_eq!((again.version, it.pending().len()), (paused.version, 0));
    let resumed = webhook(it.ask(RegistryRequest::Pause(created.id, false)));
    assert!(!resumed.is_paused);
    let unknown = RegistryRequest::Pause(WebhookId::from_random([9; 16]), true);
    assert!(matches!(it.ask(unknown), RegistryReply::NotFound));
}

/// Secrets of which two look alike when masked, and two show nothing.
const SHARED: [&str; 5] = [
    "the first of two that end in 7a24",
    "the second of two that end in 7a24",
    "sh0rt!",
    "t1ny!!",
    "one-more-0123456789",
];

/// What an operator is answered.
fn answer(reply: &RegistryReply) -> String {
    match reply {
        RegistryReply::Webhook {
            webhook,
            reveal,
            warnings,
        } => view::webhook(webhook, "https://hooks.example.com", *reveal, warnings).to_json(),
        RegistryReply::Webhooks { webhooks, .. } => {
            view::webhooks_json(webhooks, "https://hooks.example.com", None)
        }
        RegistryReply::Deleted(webhooks) => {
            view::deleted_json(webhooks, "https://hooks.example.com")
        }
        other => format!("{other:?}"),
    }
}

proptest::proptest! {
    #[test]
    fn an_answer_shows_in_full_what_its_request_brought_in_full_and_nothing_else(
        kept in proptest::sample::subsequence(SHARED.as_slice(), 1..=3),
        sent in proptest::collection::vec((proptest::sample::select(SHARED.as_slice()), proptest::bool::ANY), 1..=3),
        is_alone: bool,
        renamed: bool,
    ) {
        let mut it = Fixture::new();
        let mut new = body("A");
        new["secret"] = json!(kept);
        let created = it.create(&new);
        let texts: Vec<_> = sent
            .iter()
            .map(|(text, masked)| if *masked { Secret::new((*text).into()).masked() } else { (*text).into() })
            .collect();
        let mut change = match texts.as_slice() {
            [only] if is_alone => json!({"secret": only}),
            several => json!({"secret": several}),
        };
        if renamed {
            change["name"] = "B".into();
        }
        let id = created.id;
        let signing = created.signing_secret.expose().to_owned();
        let change = change.to_string();
        let reply = it.ask(RegistryRequest::Update(id, Write { body: change.clone(), station: Station::default() }));
        let shown = answer(&reply);
        for secret in SHARED {
            proptest::prop_assert!(!shown.contains(secret) || change.contains(secret), "{change} {shown}");
        }
        proptest::prop_assert!(!shown.contains(&signing));
        if let RegistryReply::Webhook { webhook, .. } = &reply {
            for secret in webhook.secrets.iter().filter(|it| !created.secrets.contains(it)) {
                proptest::prop_assert!(shown.contains(secret.expose()), "{change} {shown}");
            }
        }
        for request in [
            RegistryRequest::Get(id),
            RegistryRequest::Load(id),
            RegistryRequest::Toggle(id),
            RegistryRequest::Pause(id, true),
            RegistryRequest::Update(id, Write { body: r#"{"name":"C"}"#.into(), station: Station::default() }),
            RegistryRequest::RotateSecret(id, String::new()),
            RegistryRequest::List { per_page: 9, cursor: None },
            RegistryRequest::Delete(id),
        ] {
            let shown = answer(&it.ask(request));
            for secret in SHARED.iter().copied().chain([signing.as_str()]) {
                proptest::prop_assert!(!shown.contains(secret), "{shown}");
            }
        }
    }
}
/// A job, stepped as the edge does it; every shard has two events that match, and is done
/// with them when it is asked for the second time.
fn steps(it: &mut Fixture, id: JobId, answers: impl Fn(ShardId) -> bool) -> Vec<usize> {
    steps_from(it, id, NOW.plus(Duration::from_secs(1_000)), answers)
}

fn steps_from(
    it: &mut Fixture,
    id: JobId,
    from: Timestamp,
    answers: impl Fn(ShardId) -> bool,
) -> Vec<usize> {
    let (mut asked, mut sizes) = (std::collections::BTreeMap::new(), Vec::new());
    for n in 0..200_u64 {
        let now = from.plus(Duration::from_secs(1 + n));
        let Some(step) = it.registry.job_step(&it.db, Some(id), now).unwrap() else {
            break;
        };
        sizes.push(step.shards.len());
        let mut said = Vec::new();
        for shard in step.shards.into_iter().filter(|shard| answers(*shard)) {
            let times = asked.entry(shard).or_insert(0);
            *times += 1;
            let progress = Progress {
                matched: (*times).min(2),
                queued: (*times).min(2) * 3,
                done: *times >= 2,
            };
            said.push((shard, progress));
        }
        it.registry.job_stepped(&it.db, id, &said, now).unwrap();
    }
    assert!(asked.values().all(|times| *times == 2), "{asked:?}");
    sizes
}

fn job(reply: RegistryReply) -> JobReply {
    match reply {
        RegistryReply::Job(job) => job,
        other => panic!("{other:?}"),
    }
}

fn begin(query: EventQuery) -> RegistryRequest {
    RegistryRequest::BeginJob {
        kind: JobKind::Resend,
        query,
    }
}

#[test]
fn a_job_goes_through_all_shards_some_at_a_time() {
    let mut it = Fixture::new();
    for n in 0..30 {
        let mut body = body(&n.to_string());
        body["shards"] = json!(1 + n % 5);
        it.create(&body);
    }
    // 90 shards in all.
    let begun = job(it.ask(begin(EventQuery::default())));
    assert_eq!(begun.progress, Progress::default());
    let later = it.create(&body("made since"));
    assert_eq!(
        steps(&mut it, begun.id, |shard| shard.0 != later.id),
        [40, 40, 40, 40, 10, 10]
    );
    let told = job(it.ask(RegistryRequest::Job(begun.id)));
    let done = Progress {
        matched: 180,
        queued: 540,
        done: true,
    };
    assert_eq!(
        (told.id, told.kind, told.progress),
        (begun.id, JobKind::Resend, done)
    );
    // Of one webhook, and of none.
    let query = EventQuery {
        webhook_id: Some(later.id),
        ..EventQuery::default()
    };
    let of_one = job(it.ask(begin(query)));
    assert_eq!(steps(&mut it, of_one.id, |_| true), [1, 1]);
    let query = EventQuery {
        webhook_id: Some(WebhookId::from_random([255; 16])),
        ..EventQuery::default()
    };
    assert!(matches!(it.ask(begin(query)), RegistryReply::NotFound));
    let unknown = RegistryRequest::Job(JobId::from_random([255; 16]));
    assert!(matches!(it.ask(unknown), RegistryReply::NotFound));
}

#[test]
fn a_shard_that_does_not_answer_is_asked_again_and_the_alarm_sees_to_it() {
    let mut it = Fixture::new();
    let one = it.create(&body("A"));
    it.settle();
    let begun = job(it.ask(begin(EventQuery::default())));
    let alarm = it.db.alarm().unwrap().expect("it goes on by itself");
    assert!(alarm <= NOW.plus(Duration::from_secs(10)));
    let mut now = NOW.plus(Duration::from_secs(100));
    for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
        let step = it.registry.job_step(&it.db, None, now).unwrap().unwrap();
        assert_eq!((step.id, step.shards), (begun.id, vec![(one.id, 0)]));
        let before = it.db.changes();
        it.registry.job_stepped(&it.db, begun.id, &[], now).unwrap();
        assert_eq!(it.db.changes(), before, "nothing has changed");
        let next = it.registry.rearm(&it.db, now).unwrap();
        assert_eq!(next, Some(now.plus(Duration::from_secs(wait))));
        // Whoever asks within a moment has nobody asked.
        let at_once = it.registry.job_step(&it.db, Some(begun.id), now).unwrap();
        assert_eq!(at_once, None);
        assert_eq!(it.registry.job_step(&it.db, None, now).unwrap(), None);
        // Whoever asks later puts nothing off.
        for millis in [300, 600, 900] {
            let later = now.plus(Duration::from_millis(millis));
            let step = it.registry.job_step(&it.db, Some(begun.id), later);
            assert!(step.unwrap().is_some());
            it.registry
                .job_stepped(&it.db, begun.id, &[], later)
                .unwrap();
        }
        assert_eq!(it.registry.rearm(&it.db, now).unwrap(), next);
        now = next.unwrap();
    }
    // It answers again, and is asked soon.
    it.registry.job_step(&it.db, None, now).unwrap().unwrap();
    let progress = Progress {
        matched: 1,
        ..Progress::default()
    };
    let said = [((one.id, 0), progress)];
    it.registry
        .job_stepped(&it.db, begun.id, &said, now)
        .unwrap();
    let next = it.registry.rearm(&it.db, now).unwrap();
    assert_eq!(next, Some(now.plus(Duration::from_secs(1))));
    steps_from(&mut it, begun.id, now, |_| true);
    let now = now.plus(Duration::from_secs(9_000));
    assert_eq!(it.registry.job_step(&it.db, None, now).unwrap(), None);
    assert_eq!(it.registry.rearm(&it.db, now).unwrap(), None);
}

#[test]
fn a_job_ends_after_a_day_in_which_a_shard_does_not_get_on_and_names_it() {
    let mut it = Fixture::new();
    let mut body = body("A");
    body["shards"] = json!(42);
    let one = it.create(&body);
    it.settle();
    let begun = job(it.ask(begin(EventQuery::default())));
    // The first answers half, the second nothing; others are done at once.
    let (half, silent) = ((one.id, 0), (one.id, 1));
    let (mut now, mut steps) = (NOW, 0);
    let before = it.db.changes();
    while let Some(at) = it.registry.rearm(&it.db, now).unwrap() {
        now = at;
        let Some(step) = it.registry.job_step(&it.db, None, now).unwrap() else {
            continue;
        };
        steps += 1;
        assert!(steps < 1_000);
        let answers = step.shards.into_iter().filter(|shard| *shard != silent);
        let said: Vec<_> = answers
            .map(|shard| {
                let progress = Progress {
                    matched: 1,
                    queued: 1,
                    done: shard != half,
                };
                (shard, progress)
            })
            .collect();
        it.registry
            .job_stepped(&it.db, begun.id, &said, now)
            .unwrap();
    }
    assert!(it.db.changes() - before < 400);
    let day = now.since(NOW);
    assert!(
        day > crate::time::DAY && day < crate::time::DAY * 2,
        "{day:?}"
    );
    let told = job(it.ask(RegistryRequest::Job(begun.id)));
    let progress = Progress {
        matched: 41,
        queued: 41,
        done: true,
    };
    assert_eq!(
        (told.progress, &told.failed),
        (progress, &vec![half, silent])
    );
    let id = one.id;
    let failed = format!(
        r#""failed_shards":[{{"webhook_id":"{id}","shard":0}},{{"webhook_id":"{id}","shard":1}}]"#
    );
    assert!(told.to_json().contains(&failed), "{}", told.to_json());
}

#[test]
fn an_object_that_slept_for_a_day_gives_no_shard_up() {
    let mut it = Fixture::new();
    it.create(&body("A"));
    let begun = job(it.ask(begin(EventQuery::default())));
    let later = NOW.plus(crate::time::DAY * 3);
    steps_from(&mut it, begun.id, later, |_| true);
    let told = job(it.ask(RegistryRequest::Job(begun.id)));
    assert_eq!((told.progress.matched, told.failed), (2, Vec::new()));
}

#[test]
fn shards_that_somebody_made_up_are_not_known() {
    let mut it = Fixture::new();
    let mut body = body("A");
    body["shards"] = json!(3);
    let (one, gone) = (it.create(&body), it.create(&body));
    it.ask(RegistryRequest::Delete(gone.id));
    let made_up = WebhookId::from_random([255; 16]);
    let asked = [
        (one.id, 2),
        (one.id, 3),
        (made_up, 0),
        (gone.id, 0),
        (one.id, 0),
    ];
    match it.ask(RegistryRequest::Known(asked.to_vec())) {
        RegistryReply::Shards { shards, next } => {
            assert_eq!((shards, next), (vec![(one.id, 2), (one.id, 0)], None));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_job_deletes_gives_its_webhook_a_new_version_and_nothing_else_does() {
    let tell = |it: &Fixture| {
        let pushes = it.registry.pending_pushes(&it.db, 100).unwrap();
        for push in &pushes {
            it.registry.pushed(&it.db, push).unwrap();
        }
        pushes.len()
    };
    for (kind, matched, newer) in [
        (JobKind::Delete, 2, true),
        (JobKind::Delete, 0, false),
        (JobKind::Cancel, 2, false),
        (JobKind::Resend, 2, false),
    ] {
        let mut it = Fixture::new();
        let mut sharded = body("of it");
        sharded["shards"] = json!(3);
        let webhook = it.create(&sharded);
        let other = it.create(&body("another"));
        tell(&it);
        let query = EventQuery::default();
        let begun = job(it.ask(RegistryRequest::BeginJob { kind, query }));
        // Not before it is done: until then its Mailbox may know an event that is to go.
        let says = |done: bool| {
            let progress = Progress {
                matched,
                queued: 0,
                done,
            };
            [(webhook.id, 0), (webhook.id, 1), (webhook.id, 2)].map(|shard| (shard, progress))
        };
        it.registry
            .job_stepped(&it.db, begun.id, &says(false), NOW)
            .unwrap();
        assert_eq!(it.stored(webhook.id), Some(webhook.clone()));
        it.registry
            .job_stepped(&it.db, begun.id, &says(true), NOW)
            .unwrap();
        let now = it.stored(webhook.id).unwrap();
        assert_eq!(now.version > webhook.version, newer, "{kind:?} {matched}");
        assert_eq!(
            now,
            Webhook {
                version: now.version,
                ..webhook
            }
        );
        assert_eq!(tell(&it), if newer { 3 } else { 0 }, "its shards are told");
        assert_eq!(it.stored(other.id), Some(other));
    }
}

#[test]
fn what_a_shard_has_deleted_that_is_given_up_gives_a_new_version_too() {
    for (kind, newer) in [(JobKind::Delete, true), (JobKind::Resend, false)] {
        let mut it = Fixture::new();
        let webhook = it.create(&body("A"));
        it.settle();
        let query = EventQuery::default();
        let begun = job(it.ask(RegistryRequest::BeginJob { kind, query }));
        let mut now = NOW;
        // A day is three hundred of the longest pauses.
        for _ in 0..400 {
            now = it.registry.rearm(&it.db, now).unwrap().unwrap_or(now);
            it.registry.job_step(&it.db, None, now).unwrap();
        }
        assert!(job(it.ask(RegistryRequest::Job(begun.id))).progress.done);
        let stored = it.stored(webhook.id).unwrap();
        assert_eq!(stored.version > webhook.version, newer, "{kind:?}");
        let pushes = it.registry.pending_pushes(&it.db, 100).unwrap();
        assert_eq!(pushes.len(), usize::from(newer));
    }
}

#[test]
fn jobs_take_turns_and_fifty_are_under_way_at_most() {
    let mut it = Fixture::new();
    it.create(&body("A"));
    let ids: Vec<JobId> = (0..50)
        .map(|_| job(it.ask(begin(EventQuery::default()))).id)
        .collect();
    assert!(matches!(
        it.ask(begin(EventQuery::default())),
        RegistryReply::TooMany
    ));
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..50_u64 {
        let now = NOW.plus(Duration::from_secs(100 + n));
        let step = it.registry.job_step(&it.db, None, now).unwrap().unwrap();
        seen.insert(step.id);
    }
    assert_eq!(seen, ids.iter().copied().collect());
    for id in ids {
        steps(&mut it, id, |_| true);
    }
    job(it.ask(begin(EventQuery::default())));
}

#[test]
fn shards_are_told_in_pages_that_any_one_request_may_ask() {
    let mut it = Fixture::new();
    let mut expected = Vec::new();
    for n in 0..30 {
        let mut body = body(&n.to_string());
        body["shards"] = json!(1 + n % 5);
        let webhook = it.create(&body);
        expected.push(
            (0..webhook.shards)
                .map(|shard| (webhook.id, shard))
                .collect::<Vec<_>>(),
        );
    }
    expected.reverse();
    let expected: Vec<ShardId> = expected.into_iter().flatten().collect();
    let (mut found, mut from, mut sizes) = (Vec::new(), Some(ShardPlace::FIRST), Vec::new());
    while let Some(place) = from {
        let request = RegistryRequest::Shards {
            webhook: None,
            from: place,
        };
        let RegistryReply::Shards { shards, next } = it.ask(request) else {
            panic!()
        };
        sizes.push(shards.len());
        found.extend(shards);
        from = next;
    }
    assert_eq!((found, sizes), (expected, vec![40, 40, 10]));
    let unknown = RegistryRequest::Shards {
        webhook: Some(WebhookId::from_random([255; 16])),
        from: ShardPlace::FIRST,
    };
    assert!(matches!(it.ask(unknown), RegistryReply::NotFound));
}

#[test]
fn figures_of_many_shards_are_asked_for_some_at_a_time_and_add_up() {
    let mut it = Fixture::new();
    let mut webhooks = Vec::new();
    for n in 0..10 {
        let mut body = body(&n.to_string());
        body["shards"] = json!(9);
        webhooks.push(it.create(&body));
    }
    let figures = |it: &mut Fixture, webhook| match it.ask(RegistryRequest::Figures(webhook)) {
        RegistryReply::Figures(stats) => stats,
        other => panic!("{other:?}"),
    };
    assert!(figures(&mut it, None).is_partial);
    let one = Stats {
        counts: [1, 2, 3, 4],
        ..Stats::default()
    };
    let mut asked = Vec::new();
    for n in 0..4_u64 {
        let shards = it.registry.shards_to_ask(&it.db, None).unwrap();
        assert_eq!(shards.len(), 40);
        let now = NOW.plus(Duration::from_secs(n));
        let answers: Vec<_> = shards.iter().map(|shard| (*shard, one.clone())).collect();
        it.registry.keep_figures(&it.db, &answers, now).unwrap();
        asked.extend(shards);
        // 90 shards in all.
        let told = figures(&mut it, None);
        assert_eq!(
            (told.is_partial, told.counts[0]),
            (n < 2, [40, 80, 90, 90][usize::try_from(n).unwrap()])
        );
    }
    // By turns: after three times all have been asked, and 30 of them twice.
    let distinct: std::collections::BTreeSet<_> = asked.iter().collect();
    assert_eq!(distinct.len(), 90);
    let told = figures(&mut it, None);
    assert_eq!(told.counts, [90, 180, 270, 360]);
    assert_eq!(told.as_of, Some(NOW.plus(Duration::from_secs(1)).millis()));
    let of_one = figures(&mut it, Some(webhooks[0].id));
    assert_eq!(of_one.counts, [9, 18, 27, 36]);
    it.ask(RegistryRequest::Delete(webhooks[0].id));
    assert_eq!(figures(&mut it, None).counts, [81, 162, 243, 324]);
}

/// Notes how much text is read.
struct Measured<'a>(&'a NativeDatabase, std::cell::Cell<usize>);

impl Database for Measured<'_> {
    fn run(
        &self,
        sql: &str,
        values: &[crate::database::Value],
    ) -> Result<Vec<crate::database::Row>, DatabaseError> {
        let rows = self.0.run(sql, values)?;
        for value in rows.iter().flat_map(|row| &row.0) {
            if let crate::database::Value::Text(text) = value {
                self.1.set(self.1.get() + text.len());
            }
        }
        Ok(rows)
    }

    fn set_alarm(&self, at: Timestamp) -> Result<(), DatabaseError> {
        self.0.set_alarm(at)
    }

    fn atomically<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.0.atomically(work)
    }
}

#[test]
fn the_hours_of_many_shards_are_kept_added_up_and_little_is_read() {
    let mut it = Fixture::new();
    let webhooks: Vec<_> = (0..10)
        .map(|n| {
            let mut body = body(&n.to_string());
            body["shards"] = json!(9);
            it.create(&body)
        })
        .collect();
    let hour = Duration::from_secs(3_600);
    let now = NOW;
    // A week of hours; what is told grows with the number of times that it was told.
    let stats = |id: ShardId, time: u32, now: Timestamp| Stats {
        counts: [1, 2, 3, 4],
        hours: (0..169_u32)
            .map(|n| Hour {
                begins: now.minus(hour * (168 - n)).millis(),
                received: n * time + u32::from(id.1),
                delivered: u32::MAX,
                failed: time,
                tally: Tally {
                    refused: 3 * time,
                    duplicate: 4,
                    filtered: 5,
                },
            })
            .collect(),
        ..Stats::default()
    };
    let mut latest = std::collections::BTreeMap::new();
    let expected = |latest: &std::collections::BTreeMap<ShardId, Stats>, now: Timestamp| {
        let mut all = Stats::default();
        for one in latest.values() {
            all.add(one.clone());
        }
        all.hours
            .retain(|one| one.begins >= now.minus(hour * 168).millis());
        all.hours
    };
    let figures = |it: &Fixture, webhook, now| {
        let read = std::cell::Cell::new(0);
        let db = Measured(&it.db, read);
        let mut entropy = Entropy::new(vec![9; Entropy::ENOUGH]);
        let request = RegistryRequest::Figures(webhook);
        let reply = it
            .registry
            .handle(&db, &request, &mut entropy, now)
            .unwrap();
        match reply {
            RegistryReply::Figures(stats) => (stats, db.1.get()),
            other => panic!("{other:?}"),
        }
    };
    for n in 0..6_u32 {
        let now = now.plus(hour * n);
        let shards = it.registry.shards_to_ask(&it.db, None).unwrap();
        let answers: Vec<_> = shards
            .into_iter()
            .map(|shard| (shard, stats(shard, n, now)))
            .collect();
        it.registry.keep_figures(&it.db, &answers, now).unwrap();
        latest.extend(answers);
        let (told, read) = figures(&it, None, now);
        assert_eq!(told.hours, expected(&latest, now), "{n}");
        // A week of one shard alone is twice as much.
        assert!(read < 20_000, "{read}");
    }
    let now = now.plus(hour * 5);
    let id = webhooks[4].id;
    let of_one = latest.iter().filter(|(shard, _)| shard.0 == id);
    let of_one = of_one.map(|(id, one)| (*id, one.clone())).collect();
    assert_eq!(figures(&it, Some(id), now).0.hours, expected(&of_one, now));
    // One that cannot be read stands in nobody's way.
    let broken = latest.keys().next().unwrap();
    let key = broken.0.to_string();
    let spoil = "UPDATE figures SET stats = '!', hours = '!' WHERE webhook = ? AND shard = 0";
    let values = [crate::database::Value::Text(key)];
    it.db.run(spoil, &values).unwrap();
    assert!(figures(&it, None, now).0.is_partial);
    assert!(figures(&it, Some(broken.0), now).0.is_partial);
    let again = [(*broken, Stats::default())];
    it.registry.keep_figures(&it.db, &again, now).unwrap();
    assert!(!figures(&it, None, now).0.is_partial);
    // As after a week: what it had told has gone.
    it.db.run("DELETE FROM figure_hours", &[]).unwrap();
    it.db.run("UPDATE figures SET hours = NULL", &[]).unwrap();
    let all: Vec<_> = latest.clone().into_iter().collect();
    it.registry.keep_figures(&it.db, &all, now).unwrap();
    assert_eq!(figures(&it, None, now).0.hours, expected(&latest, now));
    // Told once more without a change: no hour is written.
    let same: Vec<_> = latest.clone().into_iter().take(3).collect();
    let before = it.db.changes();
    it.registry.keep_figures(&it.db, &same, now).unwrap();
    assert_eq!(it.db.changes() - before, 3);
    // What a deleted webhook has told goes with it, and late answers of it count nowhere.
    it.ask(RegistryRequest::Delete(id));
    let late: Vec<_> = latest
        .iter()
        .filter(|(shard, _)| shard.0 == id)
        .map(|(id, one)| (*id, one.clone()))
        .collect();
    it.registry.keep_figures(&it.db, &late, now).unwrap();
    latest.retain(|shard, _| shard.0 != id);
    assert_eq!(figures(&it, None, now).0.hours, expected(&latest, now));
    it.ask(RegistryRequest::DeleteByUrl(
        webhooks[0].destinations[0].url.clone(),
    ));
    assert!(figures(&it, None, now).0.hours.is_empty());
}

#[test]
fn the_tables_of_yesterday_s_registry_learn_of_its_shards() {
    let db = NativeDatabase::in_memory().unwrap();
    store::migrate_to(&db, 2).unwrap();
    for (id, shards) in [(1_u8, ""), (2, ",\"shards\":64")] {
        let id = WebhookId::from_random([id; 16]);
        let json = format!("{{\"id\":\"{id}\"{shards}}}");
        let row = [Value::from(id.to_string()), Value::from(json)]
            .map(|one| crate::database::Value::Text(one.as_str().unwrap().to_owned()));
        db.run("INSERT INTO webhooks (id, json) VALUES (?, ?)", &row)
            .unwrap();
    }
    let registry = Registry::open(&db).unwrap();
    assert_eq!(registry.shards_to_ask(&db, None).unwrap().len(), 40);
    let rows = db.run("SELECT count(*) FROM figures", &[]).unwrap();
    assert_eq!(rows[0].integer(0), Ok(65));
}
