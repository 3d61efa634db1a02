//! What names an event: the provider's own rule, or where the settings `event_id`
//! and `event_name` say that it stands. They may be set for any provider, so the
//! providers' files know nothing of them.

use super::{Facts, Identity, Provider, presented::header};
use crate::{
    inbound::Inbound,
    json::{Json, is_blank, is_pointer},
    webhook::{OneOrMany, Settings},
};

const HEADER: &str = "header:";

/// Where an id or a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'s> {
    /// In the header field of that name.
    Header(&'s str),
    /// In the JSON, where this pointer (RFC 6901) points to.
    Pointer(&'s str),
}

impl<'s> Place<'s> {
    /// Reads `header:X-Id` or `/data/id`; `None` when it is neither.
    pub(super) fn parse(text: &'s str) -> Option<Self> {
        if let Some(name) = text.strip_prefix(HEADER) {
            let name = name.trim();
            return is_header_name(name).then_some(Self::Header(name));
        }
        (!text.is_empty() && is_pointer(text)).then_some(Self::Pointer(text))
    }

    /// The text that stands there, unless it is blank.
    fn read(self, inbound: &Inbound, document: Option<Json<'_>>) -> Option<String> {
        let text = match self {
            Self::Header(name) => header(inbound, name).ok().map(str::to_owned),
            Self::Pointer(pointer) => document?.at(pointer)?.exact_text(),
        };
        text.filter(|text| !is_blank(text))
    }
}

/// Whether the text can be the name of a header field (RFC 9110, section 5.6.2).
pub(super) fn is_header_name(text: &str) -> bool {
    let is_token =
        |letter: u8| letter.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&letter);
    !text.is_empty() && text.bytes().all(is_token)
}

/// The header field that the setting `event_id` names, if any does.
pub(super) fn event_id_header(settings: &Settings) -> Option<&str> {
    places(settings.event_id.as_ref()?).find_map(|place| match place {
        Place::Header(name) => Some(name),
        Place::Pointer(_) => None,
    })
}

/// Whether the setting `event_id` names this header field and nothing else.
pub(super) fn is_named_by(settings: &Settings, header: &str) -> bool {
    settings.event_id.as_ref().is_some_and(|setting| {
        places(setting)
            .all(|place| matches!(place, Place::Header(name) if name.eq_ignore_ascii_case(header)))
    })
}

fn places(setting: &OneOrMany) -> impl Iterator<Item = Place<'_>> {
    setting
        .as_slice()
        .iter()
        .filter_map(|text| Place::parse(text))
}

/// What the provider, or the settings in its stead, read from one element of an
/// authentic request: `content` is the whole body, or the element's bytes.
#[must_use]
pub fn facts(
    provider: &dyn Provider,
    settings: &Settings,
    inbound: &Inbound,
    content: &[u8],
) -> Facts {
    let mut facts = provider.describe(settings, inbound, content);
    if settings.event_id.is_none() && settings.event_name.is_none() {
        return facts;
    }
    let document = provider.document(inbound, content);
    let document = Json::parse(&document);
    if let Some(setting) = &settings.event_id {
        let ids: Option<Vec<String>> = places(setting)
            .map(|place| place.read(inbound, document))
            .collect();
        // Where a part of it is missing there is no usable id.
        let ids = ids.filter(|ids| !ids.is_empty()).unwrap_or_default();
        let proven = places(setting).all(|place| match place {
            // All elements of a batch share its header fields: alone they name none.
            Place::Header(name) => {
                is_whole(inbound, content) && provider.proves_header(settings, inbound, name)
            }
            Place::Pointer(_) => provider.proves_body(settings),
        });
        facts.identity = match (unambiguous(&ids), proven) {
            (None, _) => Identity::Bytes,
            (Some(id), true) => Identity::Proven(id),
            (Some(id), false) => Identity::Unproven(id),
        };
        if facts.object_id.is_none() && !ids.is_empty() {
            facts.object_id = Some(ids.join(" "));
        }
    }
    if let Some(setting) = &settings.event_name {
        let names: Vec<String> = places(setting)
            .filter_map(|place| place.read(inbound, document))
            .collect();
        facts.name = (!names.is_empty()).then(|| names.join("."));
    }
    facts
}

/// Whether `content` is the whole body: an element cut out of it is shorter.
pub(super) fn is_whole(inbound: &Inbound, content: &[u8]) -> bool {
    content.len() == inbound.content().len()
}

/// One text for several, so that no two lists give the same.
pub(super) fn unambiguous(ids: &[String]) -> Option<String> {
    match ids {
        [] => None,
        [one] => Some(one.clone()),
        several => {
            let mut joined = String::new();
            for id in several {
                joined.push_str(&id.len().to_string());
                joined.push(':');
                joined.push_str(id);
            }
            Some(joined)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::{examples::post, find};
    use serde_json::json;

    #[test]
    fn places_are_headers_or_pointers() {
        for (text, place) in [
            ("header:X-Id", Some(Place::Header("X-Id"))),
            ("header: X-Id", Some(Place::Header("X-Id"))),
            ("/data/id", Some(Place::Pointer("/data/id"))),
            ("/", Some(Place::Pointer("/"))),
            ("", None),
            ("header:", None),
            ("header:a b", None),
            ("header:ä", None),
            ("data.id", None),
            ("/~x", None),
        ] {
            assert_eq!(Place::parse(text), place, "{text:?}");
        }
    }

    fn named(provider: &str, settings: serde_json::Value, content: &str) -> Facts {
        let inbound = post(
            &[
                ("x-github-delivery", "guid"),
                ("x-github-event", "issues"),
                ("x-id", "h1"),
            ],
            r#"{"id":7,"action":"opened","more":["a","bc"],"null":null,"blank":" ","pad":"................"}"#,
        );
        let whole = inbound.body.clone();
        let content = if content.is_empty() {
            &whole
        } else {
            content.as_bytes()
        };
        let settings = serde_json::from_value(settings).unwrap();
        facts(find(provider).unwrap(), &settings, &inbound, content)
    }

    #[test]
    fn an_id_stands_where_the_settings_say() {
        let proven = |id: &str| Identity::Proven(id.into());
        let unproven = |id: &str| Identity::Unproven(id.into());
        for (setting, identity) in [
            (json!("/id"), proven("7")),
            (json!("/more/0"), proven("a")),
            (json!(["/id", "/action"]), proven("1:76:opened")),
            (json!(["/more/0", "/more/1"]), proven("1:a2:bc")),
            (json!("header:X-Id"), unproven("h1")),
            (json!(["/id", "header:X-Id"]), unproven("1:72:h1")),
            (json!("/missing"), Identity::Bytes),
            (json!("/null"), Identity::Bytes),
            (json!("/blank"), Identity::Bytes),
            (json!("/more"), Identity::Bytes),
            (json!("header:x-missing"), Identity::Bytes),
            (json!(["/id", "/missing"]), Identity::Bytes),
        ] {
            let facts = named("github", json!({"event_id": setting}), "");
            assert_eq!(facts.identity, identity, "{setting}");
            assert_eq!(facts.name.as_deref(), Some("issues"));
        }
        let facts = named(
            "casso",
            json!({"event_id": "/tid"}),
            r#"{"id":1,"tid":"T"}"#,
        );
        assert_eq!(facts.identity, proven("T"), "looked up in the element");
        assert_eq!(
            facts.object_id.as_deref(),
            Some("1"),
            "the provider's own stays"
        );
    }

    #[test]
    fn names_are_joined_and_may_be_absent() {
        let name = |setting| named("github", json!({"event_name": setting}), "").name;
        assert_eq!(name(json!("/action")).as_deref(), Some("opened"));
        assert_eq!(
            name(json!(["header:x-github-event", "/action"])).as_deref(),
            Some("issues.opened")
        );
        assert_eq!(
            name(json!(["header:x-github-event", "/missing"])).as_deref(),
            Some("issues")
        );
        assert_eq!(name(json!("/missing")), None);
    }
}
