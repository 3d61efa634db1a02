//! `docs/providers.md` is written from the provider table. This test fails when they
//! differ; `UPDATE_DOCS=1 cargo test -p tram-core --test provider_docs` writes it anew.

#[cfg(test)]
mod docs {
    use std::{fmt::Write as _, path::PathBuf, time::Duration};
    use tram_core::{
        providers::{self, About},
        webhook::Retry,
    };

    const HEAD: &str = "\
# Providers

Written from the provider table in `core/src/providers` (also served as `GET /api/v1/providers`): change it there, then run
`UPDATE_DOCS=1 cargo test -p tram-core --test provider_docs`.

Every provider also takes the settings `event_id`, `event_name` and `answer`. A **retry window** is how long after an event the
provider itself may still send it again; what is remembered of an event outlives it. The **schedule** is how an event is relayed to your
server when you choose none.
";

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

    fn section(about: &About) -> String {
        let mut text = format!(
            "\n## {}\n\nProvider `{}`. {}\n\n",
            about.name, about.id, about.setup
        );
        let mut row = |name: &str, value: &str| {
            if !value.is_empty() {
                writeln!(text, "- {name}: {value}").unwrap();
            }
        };
        if about.methods != ["POST"] {
            row("Methods", &list(about.methods));
        }
        let proof = match (about.credential_headers, about.settings.contains(&"header")) {
            ([], true) => "the header that the setting `header` names".to_owned(),
            ([], false) => "in the body".to_owned(),
            (headers, _) => list(headers),
        };
        row("Proof", &proof);
        row("Settings", &list(about.settings));
        row("Required settings", &list(about.required_settings));
        if about.settings.contains(&"tolerance_seconds") {
            let age = about
                .tolerance_seconds
                .map_or("no limit".to_owned(), |age| format!("{age} s"));
            row("Greatest age unless set", &age);
        }
        row("Events", &list(about.events));
        row(
            "Success answer",
            &format!("{} `{}`", about.answer.status, about.answer.body),
        );
        row("Retry window", &duration(about.retry_window));
        row("Schedule", &schedule(&(about.default_retry)()));
        row("Documentation", &format!("<{}>", about.documentation));
        text
    }

    fn document() -> String {
        let mut text = HEAD.to_owned();
        text.push_str("\n| id | name |\n|---|---|\n");
        for provider in providers::ALL {
            let about = provider.about();
            writeln!(text, "| `{}` | {} |", about.id, about.name).unwrap();
        }
        for provider in providers::ALL {
            text.push_str(&section(provider.about()));
        }
        text
    }

    #[test]
    fn docs_providers_md_is_what_the_table_says() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/providers.md");
        let written = document();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &written).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == written,
            "docs/providers.md differs: UPDATE_DOCS=1 writes it anew"
        );
    }
}
