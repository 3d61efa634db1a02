//! Verifies what was relayed as an origin would, after the text of the Standard
//! Webhooks specification and without the code under test.

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
    id.to_owned()
}
