//! Unique events, as GitHub sends them: signed with HMAC-SHA256, 2 KB.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a body has.
pub(crate) const BYTES: usize = 2_048;
/// The origin finds here which event came.
pub(crate) const SEQUENCE: &str = "x-load-sequence";

/// The sender's secret, ready to sign.
#[derive(Clone)]
pub(crate) struct Signer(Hmac<Sha256>);

impl Signer {
    pub(crate) fn new(secret: &str) -> Self {
        Self(Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length"))
    }

    fn sign(&self, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(body);
        hex::encode(mac.finalize().into_bytes())
    }
}

/// One event's request, whole.
pub(crate) fn request(path: &str, port: u16, signer: &Signer, sequence: u64) -> Vec<u8> {
    let body = body(sequence);
    let signature = signer.sign(body.as_bytes());
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: */*\r\n\
         user-agent: GitHub-Hookshot/044aadd\r\ncontent-type: application/json\r\n\
         x-github-event: push\r\nx-github-delivery: 72d3162e-cc78-11e3-81ab-{sequence:012}\r\n\
         x-github-hook-id: 292430182\r\nx-hub-signature-256: sha256={signature}\r\n\
         {SEQUENCE}: {sequence}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A push with a few commits: 2,048 bytes of nested JSON.
fn body(sequence: u64) -> String {
    let mut body = format!(
        r#"{{"ref":"refs/heads/main","sequence":{sequence},"repository":{{"id":1296269,"name":"Hello-World","full_name":"octocat/Hello-World","private":false,"owner":{{"login":"octocat","id":1,"site_admin":false}},"pushed_at":1763632800,"default_branch":"main"}},"pusher":{{"name":"octocat","email":"octocat@github.com"}},"commits":["#
    );
    for commit in 0..4 {
        let id = sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ commit;
        let comma = if commit == 0 { "" } else { "," };
        body.push_str(&format!(
            r#"{comma}{{"id":"{id:040x}","message":"Update README.md","timestamp":"2026-11-20T09:15:00+07:00","author":{{"name":"The Octocat","email":"octocat@github.com"}},"added":[],"removed":[],"modified":["README.md","docs/index.md"]}}"#
        ));
    }
    body.push_str(r#"],"note":""#);
    let end = r#""}"#;
    let room = BYTES - body.len() - end.len();
    body.push_str(&"x".repeat(room));
    body.push_str(end);
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_two_kilobytes_of_json_and_its_own() {
        for sequence in [0, 7, 99_999_999] {
            let text = body(sequence);
            assert_eq!(text.len(), BYTES);
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(json["sequence"], sequence);
        }
        assert_ne!(body(1), body(2));
    }
}
