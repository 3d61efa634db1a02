//! What stands in the header fields that prove a sender.

use super::{
    proof::{AT, OTHER_SECRET, SECRET, Stamp, prove, request, settings, time, webhook},
    text_line,
};
use crate::{
    headers::Headers,
    inbound::{Inbound, Refusal},
    providers::{self, Provider},
    time::Timestamp,
};

/// How far the age of a signature may be off, where it is limited.
const TOLERANCE: u64 = 300;

/// In the first three lines what the field with the proof holds (`$PROOF` stands for
/// the right one, `$TIME` for the second line), the time (`$NOW` for the right one)
/// and the id; then the body. Nothing is proven without the proof, and nothing beside
/// it takes it away.
pub fn headers(data: &[u8]) {
    let (value, rest) = text_line(data);
    let (time_line, rest) = text_line(rest);
    let (id, body) = text_line(rest);
    for provider in providers::ALL {
        presented(*provider, &value, &time_line, &id, body);
        among_noise(*provider, &value, body);
    }
}

fn presented(provider: &dyn Provider, value: &str, time_line: &str, id: &str, body: &[u8]) {
    let name = provider.about().id;
    let settings = settings(name);
    let signed_at = time_line.replace("$NOW", &time(name, &settings, AT));
    let stamp = Stamp {
        time: &signed_at,
        id,
    };
    let proof = prove(name, &settings, &stamp, body);
    let proof_text = proof.as_ref().map_or("", |proof| proof.text.as_str());
    let value = value
        .replace("$PROOF", proof_text)
        .replace("$TIME", &signed_at);
    let fields = proof.as_ref().map_or(&[][..], |proof| &proof.fields);
    let mut inbound = request(fields, body);
    for field in providers::credential_headers(provider, &settings) {
        inbound.headers.set(&field, value.clone());
    }
    let verdict = judge(name, &inbound, SECRET);
    assert!(judge(name, &inbound, OTHER_SECRET).is_err(), "{name}");
    match verdict {
        Ok(()) => {
            let written = value.to_ascii_lowercase();
            assert!(
                !proof_text.is_empty() && written.contains(&proof_text.to_ascii_lowercase()),
                "{name} is proven by {value:?}"
            );
            if provider.about().tolerance_seconds.is_some() {
                let signed_at = signed_at.trim().parse::<i64>();
                let apart = signed_at.map(|at| at.abs_diff(AT));
                assert!(apart.is_ok_and(|apart| apart <= TOLERANCE), "{name}");
            }
        }
        Err(why) => {
            let said = format!("{why} {why:?} {}", why.code());
            assert!(!said.contains(SECRET), "{name} tells its secret");
            assert!(
                proof_text.is_empty() || !said.contains(proof_text),
                "{name} tells what would have been right"
            );
        }
    }
}

/// The right proof behind anything else, and before it.
fn among_noise(provider: &dyn Provider, noise: &str, body: &[u8]) {
    let name = provider.about().id;
    let separator = match name {
        "sepay-hmac" | "thueapi" | "beepay" | "github" | "shopify" | "custom" | "stripe"
        | "casso-v2" => ",",
        "standard-webhooks" | "svix" => " ",
        // A token stands alone, and payOS signs in the body.
        _ => return,
    };
    let settings = settings(name);
    let time = time(name, &settings, AT);
    let stamp = Stamp {
        time: &time,
        id: "msg_1",
    };
    let Some(proof) = prove(name, &settings, &stamp, body) else {
        return;
    };
    let mut inbound = request(&proof.fields, body);
    assert_eq!(judge(name, &inbound, SECRET), Ok(()), "{name}");
    // Two times are one too many: which of them was signed would be a guess.
    let has_time = noise
        .split(',')
        .filter_map(|piece| piece.trim().split_once('='))
        .any(|(key, _)| key == "t");
    let is_stamped = matches!(name, "stripe" | "casso-v2");
    for field in providers::credential_headers(provider, &settings) {
        let Some(right) = inbound.headers.get(&field).map(str::to_owned) else {
            continue;
        };
        for beside in [[noise, separator, &right], [&right, separator, noise]] {
            inbound.headers.set(&field, beside.concat());
            assert_eq!(
                judge(name, &inbound, SECRET).is_ok(),
                !(is_stamped && has_time),
                "{name} beside {noise:?}"
            );
        }
    }
    inbound.headers = Headers::new();
    assert!(judge(name, &inbound, SECRET).is_err(), "{name} without any");
}

fn judge(name: &str, inbound: &Inbound, secret: &str) -> Result<(), Refusal> {
    let webhook = webhook(name, settings(name), secret);
    let now = Timestamp::from_seconds(AT);
    providers::authenticate(&webhook, inbound, now).map(drop)
}
