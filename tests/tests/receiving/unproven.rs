//! 401, of which nobody can tell the reason.

use crate::{assert_no_trace, setting};
use serde_json::{Value, json};
use tram_tests::{Answer, casso, github_signature, now, standard_webhooks, transaction};

#[test]
fn who_is_not_proven_hears_the_same_whatever_was_wrong() {
    let (station, origin, webhook) = setting();
    let body = casso(&[transaction(1)]);
    let mut heard: Vec<Answer> = Vec::new();
    let mut ask = |path: &str, headers: &[(&str, &str)], body: &[u8]| {
        let answer = station.post(path, headers, body);
        answer.assert_refused(401, "unauthenticated");
        heard.push(answer);
    };

    let secret = webhook.secret.as_str();
    let upper = secret.to_uppercase();
    let longer = format!("{secret}0");
    let twice = format!("{secret}, {secret}");
    for token in ["", "wrong", &secret[1..], &upper, &longer, &twice] {
        ask(&webhook.path, &[("secure-token", token)], body.as_bytes());
    }
    let bearer = format!("Bearer {secret}");
    ask(&webhook.path, &[], body.as_bytes());
    ask(&webhook.path, &[], b"");
    ask(
        &webhook.path,
        &[("authorization", &bearer)],
        body.as_bytes(),
    );
    ask(
        &webhook.path,
        &[("secure-token", secret), ("secure-token", secret)],
        body.as_bytes(),
    );

    let github = station
        .create_webhook(&json!({"provider": "github", "webhook_url": origin.url("/github")}));
    let signature = github_signature(&github.secret, b"{}");
    let truncated = &signature[..signature.len() - 2];
    let of_nobody = github_signature("", b"{}");
    for (signature, body) in [
        (signature.as_str(), "{ }"),
        (truncated, "{}"),
        (&of_nobody, "{}"),
        ("sha256=", "{}"),
        ("sha256=zz", "{}"),
    ] {
        ask(
            &github.path,
            &[("x-hub-signature-256", signature)],
            body.as_bytes(),
        );
    }

    let standard = station.create_webhook(
        &json!({"provider": "standard-webhooks", "webhook_url": origin.url("/standard")}),
    );
    let signed = |at: u64| standard_webhooks(&standard.secret, "msg_1", at, b"{}");
    for (fields, id, body) in [
        (signed(now() - 360), "msg_1", "{}"),
        (signed(now() + 360), "msg_1", "{}"),
        (signed(now()), "msg_2", "{}"),
        (signed(now()), "msg_1", "[]"),
    ] {
        let headers = [
            ("webhook-id", id),
            (fields[1].0, &fields[1].1),
            (fields[2].0, &fields[2].1),
        ];
        ask(&standard.path, &headers, body.as_bytes());
    }

    for answer in &heard {
        assert_eq!(answer.body, heard[0].body);
        assert_eq!(names(answer), names(&heard[0]));
    }
    for webhook in [&github, &standard] {
        assert_eq!(station.events(webhook), [] as [Value; 0]);
    }
    assert_no_trace(&station, &origin, &webhook);
}

/// The names of the header fields, but those of one answer in particular.
fn names(answer: &Answer) -> Vec<&str> {
    let mut names: Vec<&str> = answer
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    names
}
