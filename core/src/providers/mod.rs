//! Who sends, how they prove it, what they send and what they want to hear.
//!
//! One provider, one file, the same rooms in each: about, verify, split, describe,
//! sign, tests. [`ALL`] is the table. No provider's name appears outside its
//! file and the table.

mod abaha;
mod authentic;
mod bank;
mod beepay;
mod casso;
mod casso_v2;
mod custom;
mod diagnosis;
#[cfg(test)]
pub(crate) mod examples;
mod github;
mod guide;
mod naming;
mod pay2s;
mod payos;
mod presented;
mod sample;
mod sepay;
mod sepay_bankhub;
mod sepay_bankhub_ipn;
mod sepay_hmac;
mod sepay_pg;
mod shopify;
mod signing;
mod split;
mod standard_webhooks;
mod stripe;
mod svix;
mod template;
mod thueapi;

pub use authentic::{Authentic, MOST_READ_UNPROVEN, authenticate};
pub use diagnosis::diagnose;
#[cfg(feature = "guides")]
pub use guide::list_json;
pub use guide::{Guide, guide};
pub use naming::facts;
pub use signing::{Renewal, StandardMessage, Unsigned, renew};
pub use split::{MOST_ELEMENTS, Split};

pub mod settings;

use crate::{
    event::Summary,
    headers::Headers,
    inbound::{Inbound, Refusal},
    problem::FieldError,
    secret::Secret,
    time::Timestamp,
    webhook::{Retry, Settings},
};
use std::{borrow::Cow, time::Duration};

/// What the provider table says of one provider: `GET /api/v1/providers` shows it, but
/// for `whsec`, `secret_from` and `credential_headers`.
#[derive(Debug)]
pub struct About {
    /// The id that a webhook's `provider` names.
    pub id: &'static str,
    /// The name people know.
    pub name: &'static str,
    /// What to paste where at the provider.
    pub setup: Guide,
    /// Methods that are taken.
    pub methods: &'static [&'static str],
    /// Settings that it takes, by field name (`answer`, `event_id` and
    /// `event_name` are taken by all and not repeated here).
    pub settings: &'static [&'static str],
    /// Those of them that it cannot do without.
    pub required_settings: &'static [&'static str],
    /// Event names that are known; empty when they are open or there are none.
    pub events: &'static [&'static str],
    /// Pairs of names of one and the same event, the one in `events` and another: a filter
    /// that holds either takes both.
    pub same_events: &'static [[&'static str; 2]],
    /// How long after an event the provider itself may still send it again.
    pub retry_window: Duration,
    /// Default for `tolerance_seconds`; `None` is no limit or no timestamp.
    pub tolerance_seconds: Option<u32>,
    /// Secrets are `whsec_…` (base64 behind the prefix); else any text.
    pub whsec: bool,
    /// Who makes the secret.
    pub secret_from: SecretFrom,
    /// Lower-case header fields that carry the credential: relayed to the first
    /// destination and to those with `forward_credentials` only.
    pub credential_headers: &'static [&'static str],
    /// The schedule of a webhook for which none is chosen.
    pub default_retry: fn() -> Retry,
    /// The usual success answer.
    pub answer: SuccessAnswer,
    /// Where this is documented.
    pub documentation: Guide,
}

/// Who makes the secret that the provider and the operator share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretFrom {
    /// The operator, who tells the provider: one that is made here will do.
    Owner,
    /// The provider, which takes no other: one that is made here proves nothing.
    Provider,
    /// One or the other, which the table cannot know.
    Either,
}

/// What the provider wants to hear when all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuccessAnswer {
    /// A 2xx.
    pub status: u16,
    /// `content-type`; empty for none.
    pub content_type: &'static str,
    /// The body.
    pub body: &'static str,
}

/// The success answer of most banks' providers.
const SUCCESS: SuccessAnswer = SuccessAnswer {
    status: 200,
    content_type: "application/json",
    body: r#"{"success":true}"#,
};

/// Where an identity stood, which decides how far it is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// In the authenticated part of the request: the id alone names the event.
    Proven(String),
    /// In an unsigned header: combined with the body's SHA-256, so that a forged id
    /// can neither block another event nor pass for it.
    Unproven(String),
    /// There is no usable id: all that is relayed names it, which is the method, the
    /// query and SHA-256 of the body's bytes (of the fields of a form). An empty body names
    /// nothing: each such request is an event.
    Bytes,
}

/// What a provider proves itself with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The secret itself: nothing is signed.
    Token,
    /// A signature over bytes of the request.
    Bytes,
    /// A signature over what the body says, however that is written.
    Meaning,
}

/// What a provider's file reads from one element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What makes it the same event.
    pub identity: Identity,
    /// The event's name or kind.
    pub name: Option<String>,
    /// The id of what it is about.
    pub object_id: Option<String>,
    /// What a list shows.
    pub summary: Summary,
    /// A test call.
    pub test: bool,
}

impl Facts {
    /// Nothing but what names it.
    #[must_use]
    pub fn named_by(identity: Identity) -> Self {
        Self {
            identity,
            name: None,
            object_id: None,
            summary: Summary::default(),
            test: false,
        }
    }
}

/// One provider. The defaults fit a provider that sends one event per request.
pub trait Provider: Sync {
    /// Its entry in the table.
    fn about(&self) -> &'static About;

    /// Whether `secret` proves that the provider sent `inbound`. What is cheap is judged
    /// first: a header field that is missing, then the time, then anything hashed.
    ///
    /// # Errors
    /// Why it does not.
    fn verify(
        &self,
        inbound: &Inbound,
        secret: &Secret,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<(), Refusal>;

    /// Which of `secrets`, none of them empty, proves that the provider sent `inbound`.
    /// The only way to an [`Authentic`] is by [`authenticate`]. For
    /// providers where much has to be made of the body, once for all secrets.
    ///
    /// # Errors
    /// Why none does: the reason that came furthest.
    fn verify_any<'s>(
        &self,
        inbound: &Inbound,
        secrets: &[&'s Secret],
        settings: &Settings,
        now: Timestamp,
    ) -> Result<&'s Secret, Refusal> {
        authentic::first_that_proves(secrets, |secret| {
            self.verify(inbound, secret, settings, now)
        })
    }

    /// What it proves itself with.
    fn proof(&self, _settings: &Settings) -> Proof {
        Proof::Bytes
    }

    /// How the (decoded) body falls into events.
    fn split<'a>(&self, _settings: &Settings, _content: &'a [u8]) -> Split<'a> {
        Split::Whole
    }

    /// Reads one element: `content` is the whole body, or the element's bytes
    /// where it was split.
    fn describe(&self, settings: &Settings, inbound: &Inbound, content: &[u8]) -> Facts;

    /// What `content` says as JSON, where it is not JSON itself. The pointers of
    /// `event_id` and `event_name` look into it, and its hash stands for the content:
    /// contents that say different things must not become the same.
    fn document<'a>(&self, _inbound: &Inbound, content: &'a [u8]) -> Cow<'a, [u8]> {
        Cow::Borrowed(content)
    }

    /// Whether the proof of `inbound` covers this header field, so that an id in it is proven.
    fn proves_header(&self, _settings: &Settings, _inbound: &Inbound, _header: &str) -> bool {
        false
    }

    /// Whether the proof covers the body, or stands for the request as a whole.
    fn proves_body(&self, _settings: &Settings) -> bool {
        true
    }

    /// Mistakes in settings that only this provider can see; those that can be told
    /// from its [`About`] are found by [`settings::check`].
    fn check_settings(&self, _settings: &Settings) -> Vec<FieldError> {
        Vec::new()
    }

    /// Makes a request with what the provider might send. Its method, URL and content
    /// type (JSON) are there already, and [`sign`](Self::sign) adds the proof; `secret`
    /// is for a proof that stands in the body.
    fn sample(&self, inbound: &mut Inbound, secret: &Secret, settings: &Settings);

    /// The header fields that prove `request` as the provider would at `now`: for a
    /// sample, for a part of a split body, and for an attempt that leaves long after the
    /// request came. They replace those of the same names. `None` when the proof stands
    /// elsewhere or cannot be made.
    fn sign(
        &self,
        _request: Unsigned<'_>,
        _secret: &Secret,
        _settings: &Settings,
        _now: Timestamp,
    ) -> Option<Headers> {
        None
    }

    /// The time that the proof in these header fields holds; `None` when proofs of this
    /// provider hold none, or it cannot be read.
    fn signed_at(&self, _headers: &Headers, _settings: &Settings) -> Option<Timestamp> {
        None
    }

    /// The message in these header fields, where the provider itself signs after the
    /// Standard Webhooks specification.
    fn standard_message<'h>(&self, _headers: &'h Headers) -> Option<StandardMessage<'h>> {
        None
    }
}

/// All providers, in the order they are listed.
pub static ALL: &[&dyn Provider] = &[
    &casso::CASSO,
    &casso_v2::CASSO_V2,
    &sepay::SEPAY,
    &sepay_hmac::SEPAY_HMAC,
    &sepay_bankhub::SEPAY_BANKHUB,
    &sepay_bankhub_ipn::SEPAY_BANKHUB_IPN,
    &sepay_pg::SEPAY_PG,
    &thueapi::THUEAPI,
    &beepay::BEEPAY,
    &pay2s::PAY2S,
    &abaha::ABAHA,
    &payos::PAYOS,
    &standard_webhooks::STANDARD_WEBHOOKS,
    &svix::SVIX,
    &github::GITHUB,
    &stripe::STRIPE,
    &shopify::SHOPIFY,
    &custom::CUSTOM,
];

/// Every header field that carries a provider's credential. What came under another
/// provider's configuration is still held back and masked after a change.
pub fn all_credential_headers() -> impl Iterator<Item = &'static str> {
    ALL.iter()
        .flat_map(|provider| provider.about().credential_headers)
        .copied()
}

/// The provider of that id.
#[must_use]
pub fn find(id: &str) -> Option<&'static dyn Provider> {
    ALL.iter()
        .copied()
        .find(|provider| provider.about().id == id)
}

/// Lower-case header fields that carry the provider's credential under these
/// settings: those of the table and the one that the setting `header` names.
#[must_use]
pub fn credential_headers(provider: &dyn Provider, settings: &Settings) -> Vec<String> {
    let about = provider.about();
    let fixed = about.credential_headers.iter().copied();
    let set = settings
        .header
        .as_deref()
        .filter(|_| about.settings.contains(&"header"));
    fixed.chain(set).map(str::to_ascii_lowercase).collect()
}

/// The greatest age of a signed timestamp in seconds: the setting, else the
/// provider's default; `None` is no limit.
fn tolerance(about: &About, settings: &Settings) -> Option<u32> {
    settings
        .tolerance_seconds
        .unwrap_or(about.tolerance_seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::HashSet;

    #[test]
    fn the_table_is_sound() {
        let fields: HashSet<String> = [
            "tolerance_seconds",
            "url",
            "header",
            "access_key",
            "app_id",
            "scheme",
            "algorithm",
            "encoding",
            "prefix",
            "signed",
            "timestamp_header",
            "timestamp_unit",
            "items",
        ]
        .map(str::to_owned)
        .into();
        let mut ids = HashSet::new();
        for provider in ALL {
            let about = provider.about();
            assert!(ids.insert(about.id), "{} stands twice", about.id);
            assert!(std::ptr::eq(find(about.id).unwrap().about(), about));
            assert!((200..300).contains(&about.answer.status), "{}", about.id);
            assert!(
                !about.methods.is_empty() && !about.setup.text().is_empty(),
                "{}",
                about.id
            );
            assert!(
                about.documentation.text().starts_with("https://"),
                "{}",
                about.id
            );
            for setting in about.settings {
                assert!(fields.contains(*setting), "{} {setting}", about.id);
            }
            for setting in about.required_settings {
                assert!(about.settings.contains(setting), "{} {setting}", about.id);
            }
            assert!(
                about.tolerance_seconds.is_none() || about.settings.contains(&"tolerance_seconds"),
                "{}: a default age where there is an age",
                about.id
            );
            for names in about.same_events {
                let known = names.iter().filter(|name| about.events.contains(*name));
                assert_eq!(known.count(), 1, "{} {names:?}", about.id);
            }
            for header in about.credential_headers {
                assert_eq!(*header, header.to_ascii_lowercase(), "{}", about.id);
            }
        }
    }

    #[test]
    fn a_configured_credential_header_counts() {
        let settings = serde_json::from_value(json!({"header": "X-Token"})).unwrap();
        let headers = |id| credential_headers(find(id).unwrap(), &settings);
        assert_eq!(headers("custom"), ["x-token"]);
        assert_eq!(headers("casso"), ["secure-token"]);
    }
}
