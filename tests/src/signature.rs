//! Verifies what was relayed as an origin would: with the library of the Standard
//! Webhooks specification, and after its text, without the code under test.

use crate::origin::Received;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Asserts that the request is signed with `signing_secret` (one signature of
/// several is enough) and returns its `webhook-id`.
///
/// # Panics
/// When it is not.
#[track_caller]
pub fn assert_signed(request: &Received, signing_secret: &str) -> String {
    let field = |name: &str| {
        request
            .header(name)
            .unwrap_or_else(|| panic!("no {name} in {:#?}", request.headers))
    };
    let (id, timestamp) = (field("webhook-id"), field("webhook-timestamp"));
    let key = signing_secret
        .strip_prefix("whsec_")
        .and_then(|key| STANDARD.decode(key).ok())
        .expect("a whsec_ secret");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(&request.body);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let given = field("webhook-signature");
    assert!(
        given.split(' ').any(|signature| signature == expected),
        "signed {given}, expected {expected}"
    );
    // The library takes texts only.
    assert!(
        std::str::from_utf8(&request.body).is_err() || is_signed_by(request, signing_secret),
        "the specification's library does not take it"
    );
    id.to_owned()
}

/// Whether the library of the specification takes the request for one that is signed
/// with this secret, alone or among others.
///
/// # Panics
/// When the secret is none.
#[must_use]
pub fn is_signed_by(request: &Received, signing_secret: &str) -> bool {
    let mut fields = http::HeaderMap::new();
    for (name, value) in &request.headers {
        if let (Ok(name), Ok(value)) = (
            http::HeaderName::from_bytes(name.as_bytes()),
            http::HeaderValue::from_bytes(value.as_bytes()),
        ) {
            fields.append(name, value);
        }
    }
    standardwebhooks::Webhook::new(signing_secret)
        .expect("a whsec_ secret")
        .verify(&request.body, &fields)
        .is_ok()
}
