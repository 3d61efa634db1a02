use super::{redact::headers, *};
use crate::{
    providers::{self, examples},
    receive,
    secret::Secret,
    webhook::PreviousSecret,
};
use serde_json::{Value, json};

const SECRET: &str = "canary-0123456789abcdef-tail";
const SIGNING: &str = "whsec_c2lnbmluZyBjYW5hcnkgc2VjcmV0";

fn webhook(provider: &str) -> Webhook {
    let mut webhook = examples::webhook(provider, SECRET, json!({}));
    webhook.signing_secret = Secret::new(SIGNING.into());
    webhook.previous_signing_secret = Some(PreviousSecret {
        secret: Secret::new("whsec_cHJldmlvdXMgY2FuYXJ5".into()),
        until: Timestamp::default(),
    });
    webhook
}

/// What is kept of a field.
fn kept(name: &str, value: &str) -> String {
    let sent: Headers = [(name, value)].into_iter().collect();
    let kept = headers(&webhook("casso"), &sent);
    let (_, value) = kept.iter().next().expect("a field");
    value.to_owned()
}

#[test]
fn what_every_provider_s_credential_stands_in_is_masked() {
    let fixed = ["authorization", "cookie"];
    for name in providers::all_credential_headers().chain(fixed) {
        assert_eq!(kept(name, "somebody-else-s-9876"), "***9876", "{name}");
        assert_eq!(kept(name, "short"), "***", "{name}");
        assert_eq!(kept(&name.to_uppercase(), SECRET), "***", "{name}");
    }
    let mut webhook = webhook("custom");
    webhook.settings.header = Some("X-Proof".into());
    let sent = [("x-proof", "somebody-else-s-9876")].into_iter().collect();
    assert_eq!(
        headers(&webhook, &sent).get("x-proof"),
        Some("***9876"),
        "the one that the settings name"
    );
}

#[test]
fn what_has_the_name_of_a_secret_is_masked() {
    for name in [
        "x-my-token",
        "client-secret",
        "x-api-key",
        "proxy-authorization",
        "x-signature-ed25519",
        "x-password",
        "set-cookie2",
        "x-session-id",
        "X-OAuth",
    ] {
        assert_eq!(kept(name, "whatever-it-may-be-1234"), "***", "{name}");
    }
    for (name, value) in [
        ("content-type", "application/json"),
        ("user-agent", "curl/8.5.0"),
        ("webhook-timestamp", "1763632800"),
    ] {
        assert_eq!(kept(name, value), value);
    }
}

#[test]
fn the_true_secret_is_masked_wherever_it_stands() {
    let stripped = SIGNING.strip_prefix("whsec_").unwrap();
    let long = format!("{}{SECRET}", "x".repeat(5_000));
    for value in [
        SECRET,
        &SECRET.to_uppercase(),
        &format!("Bearer {SECRET}"),
        &format!("a={SECRET}; b"),
        SECRET.strip_prefix("canary").unwrap(),
        SECRET.strip_suffix("abcdef-tail").unwrap(),
        SIGNING,
        stripped,
        "cHJldmlvdXMgY2FuYXJ5",
        &long,
        // What is cut off does not hide what is left.
        &format!("{}{SECRET}", "x".repeat(190)),
    ] {
        for name in ["x-wrong", "content-type", "secure-token"] {
            assert_eq!(kept(name, value), "***", "{value}");
        }
    }
    let sent: Headers = [(SECRET, "the wrong way round")].into_iter().collect();
    let kept = headers(&webhook("casso"), &sent);
    assert_eq!(kept.get("***"), Some("the wrong way round"));
}

#[test]
fn a_short_secret_is_looked_for_whole_and_one_of_three_letters_not_at_all() {
    let with = |secret: &str, value: &str| {
        let webhook = examples::webhook("casso", secret, json!({}));
        let sent: Headers = [("x-a", value)].into_iter().collect();
        headers(&webhook, &sent).get("x-a").unwrap().to_owned()
    };
    assert_eq!(with("pass", "my pass word"), "***");
    assert_eq!(with("pass", "pas"), "pas");
    assert_eq!(with("abc", "abc"), "abc");
    assert_eq!(with("", "abc"), "abc");
    assert_eq!(with("whsec_", "whsec_"), "whsec_");
}

#[test]
fn what_is_kept_is_bounded() {
    let many: Headers = (0..100)
        .map(|n| (format!("x-{n}"), "đ".repeat(n)))
        .collect();
    let kept = headers(&webhook("casso"), &many);
    assert!(kept.iter().count() <= 40);
    let wide: Headers = (0..100)
        .map(|n| (format!("{}{n}", "n".repeat(500)), "v".repeat(9_000)))
        .collect();
    let kept = headers(&webhook("casso"), &wide);
    let of = |(name, value): (&str, &str)| name.len() + value.len();
    assert!(kept.iter().map(of).sum::<usize>() <= 3_700);

    let mut inbound = examples::post(&[], vec![b'x'; 1_000_000]);
    inbound.headers = wide;
    inbound.method = "M".repeat(10_000);
    let refusal = Refusal::MissingHeader("h".repeat(10_000));
    let refused = judged(&inbound, true).refused(Objection::Unproven(refusal));
    assert!(refused.json.len() < 5_000, "{}", refused.json.len());
}

fn judged(inbound: &Inbound, body_was_read: bool) -> Judged<'_> {
    static WEBHOOK: std::sync::OnceLock<Webhook> = std::sync::OnceLock::new();
    Judged {
        webhook: WEBHOOK.get_or_init(|| webhook("casso")),
        inbound,
        body_was_read,
        at: Timestamp::from_millis(1_795_158_000_123),
    }
}

#[test]
fn a_refusal_is_shown_letter_for_letter() {
    let inbound = examples::post(
        &[("content-type", "application/json"), ("secure-token", "no")],
        "{}",
    );
    let refused =
        judged(&inbound, true).refused(Objection::Unproven(Refusal::WrongSecretOrAlteredBody));
    assert_eq!(
        refused.json,
        concat!(
            r#"{"at":"2026-11-20T07:00:00.123Z","reason":"wrong_secret_or_altered_body","#,
            r#""detail":"no secret of this webhook fits: compare it with the one at the sender; where they are the same, something on the way alters what is signed","#,
            r#""method":"POST","headers":{"content-type":"application/json","secure-token":"***"},"#,
            r#""body_bytes":2,"#,
            r#""body_sha256":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}"#,
        )
    );
    let problem = Problem::method_not_allowed(&["POST"]);
    let unread = judged(&inbound, false).refused(Objection::Problem(&problem));
    let shown: Value = serde_json::from_str(&unread.json).unwrap();
    assert_eq!(shown["reason"], "method_not_allowed");
    assert_eq!(shown["detail"], "Use POST.");
    assert_eq!(shown["body_bytes"], Value::Null);
    assert_eq!(shown["body_sha256"], Value::Null);
}

#[test]
fn only_what_a_sender_did_to_a_known_webhook_is_kept() {
    let casso = webhook("casso");
    let off = Webhook {
        is_active: false,
        ..casso.clone()
    };
    let looping: Headers = [("x-tram-hops", "3")].into_iter().collect();
    for problem in [
        receive::unauthenticated(),
        receive::body_too_large(1),
        receive::precheck(&casso, "PUT", &Headers::new()).unwrap_err(),
        receive::precheck(&casso, "POST", &looping).unwrap_err(),
        receive::precheck(&off, "POST", &Headers::new()).unwrap_err(),
    ] {
        assert!(is_kept(&problem), "{}", problem.code);
    }
    for problem in [Problem::webhook_not_found(), Problem::try_again("")] {
        assert!(!is_kept(&problem), "{}", problem.code);
    }
}

fn at(second: i64) -> Refused {
    Refused {
        at: Timestamp::from_seconds(second),
        json: format!("{{\"n\":{second}}}"),
    }
}

#[test]
fn the_newest_fifty_are_kept_whoever_brings_them() {
    let mut kept = Vec::new();
    add_newest(&mut kept, [10, 20, 30].map(at).into());
    // Another isolate's, gathered meanwhile.
    add_newest(&mut kept, [15, 25].map(at).into());
    assert_eq!(kept, [30, 25, 20, 15, 10].map(at));
    add_newest(&mut kept, (100..1_000).map(at).collect());
    assert_eq!(kept.len(), MOST);
    assert_eq!((&kept[0], &kept[49]), (&at(999), &at(950)));
    add_newest(&mut kept, vec![at(1)]);
    assert_eq!((kept.len(), &kept[49]), (MOST, &at(950)));
    // Of two that came at the same time the one that came later is newer.
    let later = Refused {
        json: "later".into(),
        ..at(999)
    };
    add_newest(&mut kept, vec![later.clone()]);
    assert_eq!((&kept[0], &kept[1]), (&later, &at(999)));
}

#[test]
fn they_are_listed_as_lists_are() {
    assert_eq!(to_json(&[]), r#"{"data":[],"next_cursor":null}"#);
    assert_eq!(
        to_json(&[at(2), at(1)]),
        r#"{"data":[{"n":2},{"n":1}],"next_cursor":null}"#
    );
}

#[test]
fn an_event_shows_no_secret_among_its_headers_nor_in_its_query() {
    let webhook = webhook("casso");
    let sent: Headers = [
        ("content-type", "application/json"),
        ("secure-token", "somebody-else-s-9876"),
        ("x-api-key", "whatever"),
        ("x-other", SECRET),
        ("x-other", "and more"),
        ("x-signed", SIGNING),
        ("x-quoted", &format!("\"{SECRET}\\")),
        (SECRET, "the wrong way round"),
    ]
    .into_iter()
    .collect();
    assert_eq!(of_event(&webhook, &sent)["x-other"], "***, and more");
    // A Mailbox that was told before there was this secret.
    let before = Webhook {
        secrets: Vec::new(),
        ..webhook.clone()
    };
    let by_mailbox = of_event(&before, &sent);
    assert_eq!(by_mailbox["content-type"], "application/json");
    assert_eq!(by_mailbox["secure-token"], "***9876");
    assert_eq!(by_mailbox["x-api-key"], "***");
    assert_eq!(by_mailbox["x-signed"], "***");
    assert_eq!(by_mailbox["x-other"], format!("{SECRET}, and more"));
    let query = format!("a=1&token={SECRET}");
    let body = format!("{{\"headers\":{{\"x-other\":\"{SECRET}\"}}}}");
    let event = |query: &str, body: &str| {
        json!({"id": "evt_1", "summary": {"description": "headers"}, "headers": by_mailbox,
            "query": query, "body": body})
    };
    let shown = mask_event(&webhook, event(&query, &body).to_string());
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let mut expected = event("***", &body);
    expected["headers"] = json!({"content-type": "application/json", "secure-token": "***9876",
        "x-api-key": "***", "x-signed": "***", "x-other": "***", "x-quoted": "***",
        "***": "the wrong way round"});
    assert_eq!(shown, expected);
    // Nothing to hide, nothing changed; what is no event is passed on.
    let webhook = examples::webhook("casso", "another-secret-000000", json!({}));
    for text in [
        event("a=1", &body).to_string(),
        "{}".into(),
        "[]".into(),
        String::new(),
    ] {
        assert_eq!(mask_event(&webhook, text.clone()), text);
    }
}

#[test]
fn what_was_sent_as_a_credential_is_taken_out_of_an_answer_that_repeats_it() {
    let webhook = crate::testing::samples::webhook(1);
    let sent: Vec<(String, String)> = [
        ("secure-token", "the-shop-s-key-0123456789"),
        ("authorization", "Apikey another-key-987654"),
        ("x-api-key", "short"),
        ("content-type", "application/json"),
        ("x-from", "a harmless text that is long"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for (answer, shown) in [
        ("", ""),
        (r#"{"success":true}"#, r#"{"success":true}"#),
        (
            r#"{"Secure-Token":"the-shop-s-key-0123456789","n":1}"#,
            r#"{"Secure-Token":"***","n":1}"#,
        ),
        (
            "Apikey another-key-987654 twice another-key-987654",
            "*** twice ***",
        ),
        ("cut off: the-shop-s-key-01234", "cut off: ***"),
        ("cut off: the-sho", "cut off: the-sho"),
        ("cut off: another-key", "cut off: ***"),
        (
            "short application/json a harmless text that is long",
            "short application/json a harmless text that is long",
        ),
        ("chữ có dấu the-shop-s-key-0123456789 ế", "chữ có dấu *** ế"),
    ] {
        let mut answer = answer.to_owned();
        super::mask_echoes(&webhook, &sent, &mut answer);
        assert_eq!(answer, shown);
    }
}

#[test]
fn masking_an_event_leaves_what_is_the_station_s_own() {
    let webhook = Webhook {
        secrets: vec![Secret::new("casso".into())],
        ..crate::testing::samples::webhook(1)
    };
    let text = r#"{"id":"evt_1","provider":"casso","summary":{},"headers":{"x":"casso","casso":"y"},"query":"","body":"casso"}"#;
    let shown = mask_event(&webhook, text.to_owned());
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["provider"], "casso");
    assert_eq!(shown["headers"]["x"], "***");
}
