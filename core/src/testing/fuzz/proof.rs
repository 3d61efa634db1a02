//! Requests as the providers would sign them. Of the product's own code only the
//! hashes and the canonical JSON are used: that those are right is the business of
//! the known answers.

use crate::{
    canonical_json::{Canonical, Notation},
    inbound::Inbound,
    json::Json,
    secret::Secret,
    signature::{encode, keyed_hash, standard_webhooks_mac, whsec_key},
    webhook::{Algorithm, Encoding, Scheme, Settings, TimestampUnit, Webhook},
};
use serde_json::{Value, json};

/// When requests are judged, in Unix seconds.
pub(super) const AT: i64 = 1_700_000_000;
/// Good for every provider.
pub(crate) const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u";
/// Good for every provider, and not the secret.
pub(super) const OTHER_SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1v";

/// A webhook of this provider.
pub(super) fn webhook(provider: &str, settings: Settings, secret: &str) -> Webhook {
    let mut webhook = crate::testing::samples::webhook(1);
    provider.clone_into(&mut webhook.provider);
    webhook.settings = settings;
    webhook.secrets = vec![Secret::new(secret.to_owned())];
    webhook
}

/// Settings with which a provider works that cannot do without any.
pub(crate) fn settings(provider: &str) -> Settings {
    let settings: Value = match provider {
        "abaha" => json!({"header": "x-abaha"}),
        "custom" => json!({"header": "x-sig", "scheme": "hmac", "signed": "{timestamp}.{body}",
            "timestamp_header": "x-time", "event_id": "/id", "items": "/items"}),
        _ => json!({}),
    };
    serde_json::from_value(settings).expect("the settings are sound")
}

/// What one message is signed with besides its body.
pub(super) struct Stamp<'a> {
    /// The time as it is written.
    pub(super) time: &'a str,
    /// The message's id.
    pub(super) id: &'a str,
}

/// How a provider proves itself.
pub(super) struct Proof {
    /// The secret, or the keyed hash as it is written, without what stands around it.
    pub(super) text: String,
    /// Header fields that make it whole.
    pub(super) fields: Vec<(String, String)>,
    /// Whether it covers the body's bytes.
    pub(super) of_body: bool,
}

/// The proof of this body. `None` when such a body cannot be signed: it is not JSON
/// where JSON is signed, or the signature stands in the body.
pub(super) fn prove(
    provider: &str,
    settings: &Settings,
    stamp: &Stamp<'_>,
    body: &[u8],
) -> Option<Proof> {
    let mac = |algorithm, encoding, parts: &[&[u8]]| {
        let mac = keyed_hash(algorithm, SECRET.as_bytes(), parts).unwrap_or_default();
        encode(encoding, &mac)
    };
    let hex = |parts: &[&[u8]]| mac(Algorithm::Sha256, Encoding::Hex, parts);
    let (time, id) = (stamp.time.as_bytes(), stamp.id.as_bytes());
    let token = SECRET.to_owned();
    let (text, of_body) = match provider {
        "casso" | "sepay" | "sepay-bankhub" | "sepay-bankhub-ipn" | "sepay-pg" | "pay2s"
        | "abaha" => (token, false),
        "casso-v2" => {
            let document = Canonical::of(Json::parse(body)?).ok()?;
            let written = document.written(Notation::JAVASCRIPT);
            let parts: [&[u8]; 3] = [time, b".", written.as_bytes()];
            (mac(Algorithm::Sha512, Encoding::Hex, &parts), true)
        }
        "sepay-hmac" | "stripe" => (hex(&[time, b".", body]), true),
        "thueapi" | "beepay" | "github" => (hex(&[body]), true),
        "shopify" => (mac(Algorithm::Sha256, Encoding::Base64, &[body]), true),
        "standard-webhooks" | "svix" => {
            let key = whsec_key(&Secret::new(token))?;
            let mac = standard_webhooks_mac(&key, stamp.id, stamp.time, body)?;
            (encode(Encoding::Base64, &mac), true)
        }
        "custom" if settings.scheme != Some(Scheme::Hmac) => (token, false),
        "custom" => {
            let template = settings.signed.as_deref().unwrap_or("{body}");
            let id = if has_the_time_as_id(settings) {
                time
            } else {
                id
            };
            let mut signed: Vec<&[u8]> = Vec::new();
            for piece in template.split_inclusive('}') {
                let (text, name) = piece.split_once('{').unwrap_or((piece, ""));
                signed.push(text.as_bytes());
                signed.push(match name {
                    "body}" => body,
                    "timestamp}" => time,
                    "id}" => id,
                    "method}" => b"POST",
                    "url}" => settings.url.as_deref().unwrap_or(URL).as_bytes(),
                    _ => b"",
                });
            }
            let encoding = settings.encoding.unwrap_or(Encoding::Hex);
            let algorithm = settings.algorithm.unwrap_or(Algorithm::Sha256);
            let of_body = template.contains("{body}");
            (mac(algorithm, encoding, &signed), of_body)
        }
        "payos" => return None,
        other => panic!("say here how {other} signs, so that it is fuzzed as well"),
    };
    let fields = fields(provider, settings, stamp, &text);
    Some(Proof {
        text,
        fields,
        of_body,
    })
}

/// Whether `{id}`, which is the first header among the places of `event_id`, is the
/// header with the time.
fn has_the_time_as_id(settings: &Settings) -> bool {
    let places = settings.event_id.iter().flat_map(|all| all.as_slice());
    let mut headers = places.filter_map(|place| place.strip_prefix("header:"));
    let time = settings.timestamp_header.as_deref().unwrap_or_default();
    headers
        .next()
        .is_some_and(|name| name.trim().eq_ignore_ascii_case(time))
}

/// The URL that requests come to.
const URL: &str = "https://hooks.example.com/in/x";

/// The header fields around a proof.
fn fields(
    provider: &str,
    settings: &Settings,
    stamp: &Stamp<'_>,
    proof: &str,
) -> Vec<(String, String)> {
    let (time, id) = (stamp.time, stamp.id);
    let written = [settings.prefix.as_deref().unwrap_or_default(), proof].concat();
    let fields: Vec<(&str, String)> = match provider {
        "casso" => vec![("secure-token", proof.to_owned())],
        "sepay" | "sepay-bankhub-ipn" => vec![("authorization", format!("Apikey {proof}"))],
        "sepay-bankhub" | "sepay-pg" => vec![("x-secret-key", proof.to_owned())],
        "pay2s" => vec![("authorization", format!("Bearer {proof}"))],
        "casso-v2" => vec![("x-casso-signature", format!("t={time},v1={proof}"))],
        "stripe" => vec![("stripe-signature", format!("t={time},v1={proof}"))],
        "sepay-hmac" => vec![
            ("x-sepay-signature", format!("sha256={proof}")),
            ("x-sepay-timestamp", time.to_owned()),
        ],
        "thueapi" => vec![("x-webhook-signature", proof.to_owned())],
        "beepay" => vec![("x-webhook-signature", format!("sha256={proof}"))],
        "github" => vec![
            ("x-hub-signature-256", format!("sha256={proof}")),
            ("x-github-delivery", id.to_owned()),
        ],
        "shopify" => vec![
            ("x-shopify-hmac-sha256", proof.to_owned()),
            ("x-shopify-event-id", id.to_owned()),
        ],
        "standard-webhooks" => vec![
            ("webhook-signature", format!("v1,{proof}")),
            ("webhook-timestamp", time.to_owned()),
            ("webhook-id", id.to_owned()),
        ],
        "svix" => vec![
            ("svix-signature", format!("v1,{proof}")),
            ("svix-timestamp", time.to_owned()),
            ("svix-id", id.to_owned()),
        ],
        _ => {
            let mut fields = Vec::new();
            // The proof last: it wins where a name is given twice.
            let places = settings
                .event_id
                .iter()
                .flat_map(|places| places.as_slice());
            for place in places {
                fields.extend(
                    place
                        .strip_prefix("header:")
                        .map(|name| (name.trim(), id.to_owned())),
                );
            }
            fields.extend(
                settings
                    .timestamp_header
                    .as_deref()
                    .map(|name| (name, time.to_owned())),
            );
            fields.extend(settings.header.as_deref().map(|name| (name, written)));
            fields
        }
    };
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The time of signing as the provider writes it.
pub(super) fn time(provider: &str, settings: &Settings, seconds: i64) -> String {
    let millis =
        provider == "casso-v2" || settings.timestamp_unit == Some(TimestampUnit::Milliseconds);
    let factor = if millis { 1_000 } else { 1 };
    seconds.saturating_mul(factor).to_string()
}

/// A request with these header fields.
pub(super) fn request(fields: &[(String, String)], body: &[u8]) -> Inbound {
    let mut inbound = Inbound {
        method: "POST".to_owned(),
        url: URL.to_owned(),
        body: body.to_vec(),
        ..Inbound::default()
    };
    for (name, value) in fields {
        inbound.headers.set(name, value.clone());
    }
    inbound
}
