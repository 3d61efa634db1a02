//! `docs/providers.md` and `assets/api/v1/providers.json` are written from the provider
//! table. These tests fail when they differ from it;
//! `UPDATE_DOCS=1 cargo test -p tram-core --test provider_docs` writes them anew.

#[cfg(test)]
mod samples;

#[cfg(test)]
mod docs {
    use super::samples::{AT, SECRET, webhook};
    use std::{collections::BTreeSet, fmt::Write as _, path::PathBuf, time::Duration};
    use tram_core::{
        inbound::Inbound,
        providers::{self, About, SecretFrom},
        receive,
        time::Timestamp,
        webhook::Retry,
    };

    const HEAD: &str = "\
# Providers

Written from the provider table in `core/src/providers` (also served as `GET /api/v1/providers`): change it there, then run
`UPDATE_DOCS=1 cargo test -p tram-core --test provider_docs`.

Every provider also takes the settings `event_id`, `event_name` and `answer`. A **retry window** is how long after an event the
provider itself may still send it again; what is remembered of an event outlives it. The **schedule** is how an event is relayed to your
server when you choose none.

`secret` is what the provider shares with you, or an array of up to three while it is being changed: any of them proves the sender. If
you have a handler already, send the secret that it and the provider know. When you send none, one is made and shown once; where the
provider makes its own, a warning stays until you have sent that one. `PUT` changes just what is sent: a masked secret as it is
shown stays what it is, `settings` are replaced as a whole, and what another `provider` cannot work with has to be sent with it: `settings`
that it takes, a `secret` in its form, the `allow_events` that it has.
";

    /// What each setting means, and what is refused when a webhook is saved.
    const SETTINGS: [(&str, &str); 14] = [
        (
            "tolerance_seconds",
            "greatest age of what is signed with a time, and how far it may lie ahead: 1 to 31,536,000, or `null` for no limit",
        ),
        (
            "header",
            "the header that carries the credential; not one that the connection sets, such as `Host`",
        ),
        (
            "scheme",
            "`token` (the header holds the secret itself; the default) or `hmac` (it holds a keyed hash)",
        ),
        (
            "algorithm",
            "of the hash: `sha1`, `sha256` (default) or `sha512`",
        ),
        (
            "encoding",
            "how the hash is written: `hex` (default) or `base64`",
        ),
        (
            "prefix",
            "text before the token or hash in its header, such as `sha256=` or `Bearer `; it cannot begin with a blank",
        ),
        (
            "signed",
            "what is hashed, put together from `{body}`, `{timestamp}`, `{id}`, `{url}` and `{method}` with any text between; default `{body}`. `{timestamp}` needs `timestamp_header`, `{id}` an `event_id` in a header. What is the same for every request is refused; what leaves out `{body}` is warned of",
        ),
        (
            "url",
            "what `{url}` stands for when the sender signs another address than it posts to",
        ),
        (
            "timestamp_header",
            "the header with the Unix time; it is only worth something when `signed` holds `{timestamp}`, else that is warned of",
        ),
        ("timestamp_unit", "`s` (default) or `ms`"),
        (
            "items",
            "JSON pointer to the array that is split into one event each, such as `/data`; empty when the body is that array",
        ),
        (
            "event_id",
            "where the event's id stands: `header:X-Id` or a JSON pointer such as `/data/id` (from the element, where the body is split); an array of up to 8 places is joined. Not the header of the credential",
        ),
        (
            "event_name",
            "where the event's name stands, likewise; for `event` and `allow_events`",
        ),
        (
            "answer",
            "`{\"status\": 202, \"body\": \"…\"}` in place of the usual success answer; `status` is a 2xx",
        ),
    ];

    fn duration(duration: Duration) -> String {
        let seconds = duration.as_secs();
        for (one, several, length) in [("day", "days", 86_400), ("hour", "hours", 3_600)] {
            if seconds == length {
                return format!("1 {one}");
            }
            if seconds.is_multiple_of(length) {
                return format!("{} {several}", seconds.checked_div(length).unwrap());
            }
        }
        format!("{seconds} s")
    }

    fn schedule(retry: &Retry) -> String {
        match retry {
            Retry::Fibonacci => "`fibonacci`".to_owned(),
            Retry::Fixed {
                interval_seconds,
                max_attempts,
            } => format!("`fixed`: {max_attempts} sends, {interval_seconds} s apart"),
            other => panic!("say how {other:?} is to be read"),
        }
    }

    fn list(items: &[&str]) -> String {
        let items: Vec<_> = items.iter().map(|item| format!("`{item}`")).collect();
        items.join(", ")
    }

    /// The header fields without which a request is refused, and the other credentials.
    fn proofs(about: &About) -> (Vec<&'static str>, Vec<&'static str>) {
        let webhook = webhook(about.id, '0', SECRET);
        let now = Timestamp::from_seconds(AT);
        let url = "https://hooks.example.com/in/x";
        let (envelope, event) = receive::sample(&webhook, url, now).unwrap();
        let proves = |header: &&str| {
            let fields = envelope.headers.iter();
            let kept = fields.filter(|(name, _)| !name.eq_ignore_ascii_case(header));
            let inbound = Inbound {
                method: envelope.method.clone(),
                url: url.to_owned(),
                headers: kept.collect(),
                body: event.body.clone(),
                ..Inbound::default()
            };
            receive::receive(&webhook, &inbound, now).is_err()
        };
        about
            .credential_headers
            .iter()
            .partition(|header| proves(header))
    }

    fn section(about: &About) -> String {
        let mut text = format!(
            "\n## {}\n\nProvider `{}`. {}\n\n",
            about.name,
            about.id,
            about.setup.text()
        );
        let mut row = |name: &str, value: &str| {
            if !value.is_empty() {
                writeln!(text, "- {name}: {value}").unwrap();
            }
        };
        if about.methods != ["POST"] {
            row("Methods", &list(about.methods));
        }
        let (proofs, others) = proofs(about);
        let proof = match (proofs.as_slice(), about.settings.contains(&"header")) {
            ([], true) => "the header that the setting `header` names".to_owned(),
            ([], false) => "in the body".to_owned(),
            (headers, _) => list(headers),
        };
        row("Proof", &proof);
        if !others.is_empty() {
            let others = list(&others);
            row(
                "No proof",
                &format!("{others}: passed on as a credential is, never accepted as proof"),
            );
        }
        let secret = match about.secret_from {
            SecretFrom::Owner => "yours to make, or made here",
            SecretFrom::Provider => "the provider makes it: send it as soon as you have it",
            SecretFrom::Either => "the sender's, or one made here that the sender takes",
        };
        row("Secret", secret);
        row("Settings", &list(about.settings));
        row("Required settings", &list(about.required_settings));
        if about.settings.contains(&"tolerance_seconds") {
            let age = about
                .tolerance_seconds
                .map_or("no limit".to_owned(), |age| format!("{age} s"));
            row("Greatest age unless set", &age);
        }
        row("Events", &list(about.events));
        for names in about.same_events {
            row("One event to `allow_events`", &list(names));
        }
        row(
            "Success answer",
            &format!("{} `{}`", about.answer.status, about.answer.body),
        );
        row("Retry window", &duration(about.retry_window));
        row("Schedule", &schedule(&(about.default_retry)()));
        row(
            "Documentation",
            &format!("<{}>", about.documentation.text()),
        );
        text
    }

    fn document() -> String {
        let mut text = HEAD.to_owned();
        text.push_str("\n| id | name |\n|---|---|\n");
        for provider in providers::ALL {
            let about = provider.about();
            writeln!(text, "| `{}` | {} |", about.id, about.name).unwrap();
        }
        text.push_str("\n| setting | what it says |\n|---|---|\n");
        for (name, meaning) in SETTINGS {
            writeln!(text, "| `{name}` | {meaning} |").unwrap();
        }
        for provider in providers::ALL {
            text.push_str(&section(provider.about()));
        }
        text
    }

    #[test]
    fn every_setting_is_said_to_mean_something() {
        let taken = providers::ALL.iter().flat_map(|p| p.about().settings);
        let taken = taken.copied().chain(["event_id", "event_name", "answer"]);
        let said = SETTINGS.iter().map(|(name, _)| *name);
        assert_eq!(
            said.collect::<BTreeSet<_>>(),
            taken.collect::<BTreeSet<_>>()
        );
    }

    #[test]
    fn docs_providers_md_is_what_the_table_says() {
        kept("docs/providers.md", &document());
    }

    #[test]
    fn the_list_that_is_served_is_what_the_table_says() {
        let list = providers::list_json(providers::ALL);
        kept("assets/api/v1/providers.json", &format!("{list}\n"));
    }

    fn kept(file: &str, written: &str) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(file);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, written).unwrap();
        }
        assert!(
            std::fs::read_to_string(&path).unwrap_or_default() == written,
            "{file} differs: UPDATE_DOCS=1 cargo test -p tram-core --test provider_docs writes it anew"
        );
    }
}
