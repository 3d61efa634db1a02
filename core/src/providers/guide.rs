//! What only people read in the provider table, and the list that tells it to them:
//! `assets/api/v1/providers.json`, which is served as it stands. The Worker is compiled
//! without the feature `guides`, and so without these texts.

/// A text for people alone.
#[derive(Debug)]
pub struct Guide {
    #[cfg(feature = "guides")]
    text: &'static str,
}

/// The text for people; nothing without the feature `guides`. For statics, where what
/// is left out comes into no program.
#[must_use]
#[cfg_attr(not(feature = "guides"), expect(unused_variables, reason = "left out"))]
pub const fn guide(text: &'static str) -> Guide {
    Guide {
        #[cfg(feature = "guides")]
        text,
    }
}

#[cfg(feature = "guides")]
pub use list::list_json;

#[cfg(feature = "guides")]
mod list {
    use super::super::{About, Provider};
    use crate::webhook::Retry;
    use serde::Serialize;

    impl super::Guide {
        /// What it says.
        #[must_use]
        pub fn text(&self) -> &'static str {
            self.text
        }
    }

    /// The provider table: the body of `GET /providers`, in one page.
    #[must_use]
    pub fn list_json(providers: &[&dyn Provider]) -> String {
        let list = List {
            data: providers.iter().map(|one| View::of(one.about())).collect(),
            next_cursor: (),
        };
        // Texts, numbers and lists always serialise.
        serde_json::to_string_pretty(&list).unwrap_or_default()
    }

    /// Settings that every provider takes besides its own.
    const SETTINGS_OF_ALL: [&str; 3] = ["event_id", "event_name", "answer"];

    #[derive(Serialize)]
    struct List {
        data: Vec<View>,
        next_cursor: (),
    }

    #[derive(Serialize)]
    struct View {
        id: &'static str,
        name: &'static str,
        setup: &'static str,
        methods: &'static [&'static str],
        settings: Vec<&'static str>,
        required_settings: &'static [&'static str],
        tolerance_seconds: Option<u32>,
        events: &'static [&'static str],
        retry_window_seconds: u64,
        default_retry: Retry,
        answer: Answer,
        documentation: &'static str,
    }

    #[derive(Serialize)]
    struct Answer {
        status: u16,
        content_type: &'static str,
        body: &'static str,
    }

    impl View {
        fn of(about: &About) -> Self {
            let settings = about.settings.iter().chain(&SETTINGS_OF_ALL);
            Self {
                id: about.id,
                name: about.name,
                setup: about.setup.text(),
                methods: about.methods,
                settings: settings.copied().collect(),
                required_settings: about.required_settings,
                tolerance_seconds: about.tolerance_seconds,
                events: about.events,
                retry_window_seconds: about.retry_window.as_secs(),
                default_retry: (about.default_retry)(),
                answer: Answer {
                    status: about.answer.status,
                    content_type: about.answer.content_type,
                    body: about.answer.body,
                },
                documentation: about.documentation.text(),
            }
        }
    }
}

#[cfg(all(test, feature = "guides"))]
mod tests {
    use crate::registry::test_providers;
    use serde_json::{Value, json};

    #[test]
    fn a_provider_is_shown_with_what_an_operator_needs() {
        let list = super::list_json(test_providers::ALL);
        let list: Value = serde_json::from_str(&list).unwrap();
        assert_eq!(
            list["data"][1],
            json!({
                "id": "forge", "name": "Forge", "setup": "Paste the address.", "methods": ["POST"],
                "settings": ["header", "tolerance_seconds", "event_id", "event_name", "answer"], "required_settings": [],
                "tolerance_seconds": 300, "events": ["push", "release"], "retry_window_seconds": 180_000,
                "default_retry": {"schedule": "standard"},
                "answer": {"status": 200, "content_type": "application/json", "body": r#"{"success":true}"#},
                "documentation": "https://bank.example/docs",
            })
        );
        assert_eq!(list["next_cursor"], Value::Null);
    }
}
