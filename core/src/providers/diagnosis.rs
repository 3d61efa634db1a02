//! Why a signature did not fit, found by trying what commonly goes wrong: the right
//! signature in another notation, and the right signature of the same JSON in other
//! bytes.
//!
//! A request that this recognises stays refused: what comes out is a [`Refusal`], and
//! nothing else. It takes many times as long as [`authenticate`], so it is for the few
//! refusals that are kept or explained, never for each of a flood. What it does is
//! bounded: by [`MOST_BYTES`] and [`MOST_HASHED`], by the length of [`SPELLINGS`], and by
//! [`MOST_FOUND`].

use super::{Proof, Provider, authenticate, credential_headers, find, split::offset};
use crate::{
    canonical_json::{Canonical, Layout, Notation},
    inbound::{Inbound, Refusal},
    json::Json,
    secret::Secret,
    signature,
    time::Timestamp,
    webhook::{Encoding, Settings, Webhook},
};

/// Of a longer body nothing is tried.
const MOST_BYTES: usize = 256 << 10;

/// Bytes of other spellings that are hashed, over all secrets: of a long body only the
/// likeliest are tried.
const MOST_HASHED: usize = 4 << 20;

/// Signatures of one header field, or in one body, that are looked at.
const MOST_FOUND: usize = 4;

/// One way in which JSON is written.
struct Spelling {
    is_sorted: bool,
    notation: Notation,
    layout: Layout,
    ending: &'static str,
    /// As it stands in [`Refusal::ReserializedBody`].
    name: &'static str,
}

const fn written(notation: Notation, layout: Layout, name: &'static str) -> Spelling {
    Spelling {
        is_sorted: false,
        notation,
        layout,
        ending: "",
        name,
    }
}

const fn sorted(notation: Notation, layout: Layout, name: &'static str) -> Spelling {
    Spelling {
        is_sorted: true,
        ..written(notation, layout, name)
    }
}

const fn with_line_break(spelling: Spelling) -> Spelling {
    Spelling {
        ending: "\n",
        ..spelling
    }
}

/// What senders usually send, the likeliest first. Most bodies are the same in several.
static SPELLINGS: [Spelling; 19] = {
    use Layout as L;
    use Notation as N;
    [
        written(N::VERBATIM, L::COMPACT, "without blanks"),
        written(N::JAVASCRIPT, L::COMPACT, "as JSON.stringify writes it"),
        written(N::PHP, L::COMPACT, "as PHP's json_encode writes it"),
        written(
            N::PHP_UNICODE,
            L::COMPACT,
            "as PHP's json_encode writes it with JSON_UNESCAPED_UNICODE",
        ),
        written(N::PYTHON, L::SPACED, "as Python's json.dumps writes it"),
        written(
            N::JAVASCRIPT,
            L::SPACED,
            "as Python's json.dumps writes it with ensure_ascii=False",
        ),
        written(
            N::PYTHON,
            L::COMPACT,
            "as Python's json.dumps writes it without blanks",
        ),
        written(N::GO, L::COMPACT, "as Go's json.Marshal writes it"),
        with_line_break(written(N::GO, L::COMPACT, "as Go's json.Encoder writes it")),
        written(N::JAVASCRIPT, L::INDENTED_2, "indented by two blanks"),
        with_line_break(written(
            N::JAVASCRIPT,
            L::INDENTED_2,
            "indented by two blanks, with a line break at the end",
        )),
        written(N::JAVASCRIPT, L::INDENTED_4, "indented by four blanks"),
        written(
            N::PHP,
            L::INDENTED_4,
            "as PHP's json_encode writes it with JSON_PRETTY_PRINT",
        ),
        written(
            N::PYTHON,
            L::INDENTED_2,
            "as Python's json.dumps writes it with indent=2",
        ),
        written(
            N::PYTHON,
            L::INDENTED_4,
            "as Python's json.dumps writes it with indent=4",
        ),
        sorted(
            N::JAVASCRIPT,
            L::COMPACT,
            "with its members sorted, without blanks",
        ),
        sorted(
            N::PHP,
            L::COMPACT,
            "with its members sorted, as PHP writes it",
        ),
        sorted(
            N::PYTHON,
            L::SPACED,
            "as Python's json.dumps writes it with sort_keys=True",
        ),
        sorted(
            N::PYTHON,
            L::COMPACT,
            "with its members sorted, as Python's json.dumps writes it without blanks",
        ),
    ]
};

/// Why [`authenticate`] refused this, more precisely where that can be told.
#[must_use]
pub fn diagnose(webhook: &Webhook, inbound: &Inbound, now: Timestamp, refusal: Refusal) -> Refusal {
    // The time was judged before the signature was looked at.
    let mut webhook = webhook.clone();
    webhook.settings.tolerance_seconds = Some(None);
    let refusal = match refusal {
        Refusal::StaleTimestamp { .. } | Refusal::FutureTimestamp { .. } => {
            let at_any_time = authenticate(&webhook, inbound, now);
            at_any_time.err().unwrap_or(refusal)
        }
        other => other,
    };
    let longest = inbound.body.len().max(inbound.content().len());
    let Some(provider) = find(&webhook.provider).filter(|_| longest <= MOST_BYTES) else {
        return refusal;
    };
    let trial = Trial {
        provider,
        webhook: &webhook,
        inbound,
        now,
    };
    let sharper = match (&refusal, provider.proof(&webhook.settings)) {
        (_, Proof::Token) => None,
        (Refusal::WrongSecretOrAlteredBody, _) => trial
            .signature()
            .or_else(|| trial.key())
            .or_else(|| trial.body()),
        (Refusal::MalformedHeader { .. }, _) => trial.signature(),
        (Refusal::NoSecret, _) => trial.key(),
        _ => None,
    };
    sharper.unwrap_or(refusal)
}

/// A refused request, to be tried in other forms.
struct Trial<'a> {
    provider: &'static dyn Provider,
    /// Takes signatures of any age.
    webhook: &'a Webhook,
    inbound: &'a Inbound,
    now: Timestamp,
}

impl Trial<'_> {
    /// Whether the signature would fit.
    fn fits(&self, webhook: &Webhook, inbound: &Inbound) -> bool {
        authenticate(webhook, inbound, self.now).is_ok()
    }

    /// The right signature in another notation.
    fn signature(&self) -> Option<Refusal> {
        let settings = &self.webhook.settings;
        let headers = credential_headers(self.provider, settings);
        if headers.is_empty() {
            return self.signature_in_body();
        }
        let mut other = self.inbound.clone();
        for header in headers {
            let Some(value) = self.inbound.headers.get(&header) else {
                continue;
            };
            for (respelled, why) in respellings(value, settings).into_iter().flatten() {
                other.headers.set(&header, respelled);
                if self.fits(self.webhook, &other) {
                    return Some(Refusal::EncodingMismatch { header, why });
                }
            }
            other.headers.set(&header, value);
        }
        None
    }

    /// The same of a provider whose signature is a member of the body.
    fn signature_in_body(&self) -> Option<Refusal> {
        let content = self.inbound.content();
        let members = Json::parse(content)?.object()?;
        let mut other = self.inbound.clone();
        other.decoded = None;
        let mut looked_at = 0;
        for (name, value) in members.iter() {
            let text = value.text().unwrap_or_default();
            if looked_at == MOST_FOUND || signature::decode_leniently(&text).is_none() {
                continue;
            }
            looked_at = looked_at.saturating_add(1);
            let start = offset(content, value.verbatim())?;
            let end = start.checked_add(value.verbatim().len())?;
            let (before, after) = (content.get(..start)?, content.get(end..)?);
            for (text, why) in respellings(&text, &self.webhook.settings)? {
                other.body = [before, b"\"", text.as_bytes(), b"\"", after].concat();
                if self.fits(self.webhook, &other) {
                    let header = format!("{name} (in the body)");
                    return Some(Refusal::EncodingMismatch { header, why });
                }
            }
        }
        None
    }

    /// The secret's text as the key, where the key is what it decodes to.
    fn key(&self) -> Option<Refusal> {
        let about = self.provider.about();
        let header = about.credential_headers.first().filter(|_| about.whsec)?;
        let mut secrets = Vec::new();
        for secret in &self.webhook.secrets {
            let text = secret.expose();
            for key in [text, text.strip_prefix(signature::WHSEC).unwrap_or(text)] {
                // Without the prefix, which may be missing.
                let key = signature::encode(Encoding::Base64, key.as_bytes());
                secrets.push(Secret::new(key));
            }
        }
        let webhook = Webhook {
            secrets,
            ..self.webhook.clone()
        };
        self.fits(&webhook, self.inbound)
            .then(|| Refusal::EncodingMismatch {
                header: (*header).to_owned(),
                why: "its key is the secret's text, and has to be the bytes that the base64 behind \
                      whsec_ stands for",
            })
    }

    /// The right signature of other bytes that say the same.
    fn body(&self) -> Option<Refusal> {
        let settings = &self.webhook.settings;
        if self.provider.proof(settings) == Proof::Meaning || !self.provider.proves_body(settings) {
            return None;
        }
        let content = self.inbound.content();
        let mut other = self.inbound.clone();
        other.decoded = None;
        let mut tried = vec![content.to_vec()];
        let mut left = MOST_HASHED;
        let mut fits = |bytes: Vec<u8>, spelling| {
            if tried.contains(&bytes) {
                return None;
            }
            left = left.checked_sub(bytes.len().saturating_mul(self.webhook.secrets.len()))?;
            other.body.clone_from(&bytes);
            tried.push(bytes);
            self.fits(self.webhook, &other)
                .then_some(Refusal::ReserializedBody { spelling })
        };
        let line_break = match content.strip_suffix(b"\n") {
            Some(line) => {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                fits(line.to_vec(), "without the line break at its end")
            }
            None => fits([content, b"\n"].concat(), "with a line break at its end"),
        };
        line_break.or_else(|| {
            let document = Json::parse(content)?;
            let as_it_came = Canonical::unsorted(document).ok()?;
            // Two members of one name cannot be sorted, and need not be.
            let sorted = Canonical::of(document).ok();
            SPELLINGS.iter().find_map(|spelling| {
                let document = if spelling.is_sorted {
                    sorted.as_ref()?
                } else {
                    &as_it_came
                };
                let mut text = document.laid_out(spelling.notation, spelling.layout);
                text.push_str(spelling.ending);
                fits(text.into_bytes(), spelling.name)
            })
        })
    }
}

/// The field as it would stand with its signatures in other notations, with what that
/// says of the one that came.
fn respellings(value: &str, settings: &Settings) -> Option<[(String, &'static str); 3]> {
    let prefix = settings.prefix.as_deref().unwrap_or_default();
    let (before, value) = match value.strip_prefix(prefix) {
        Some(rest) => (prefix, rest),
        None => ("", value),
    };
    let mut found = Vec::new();
    // The same field in hex and in base64, and every signature alone in every form.
    let (mut in_hex, mut in_base64, mut alone) =
        (before.to_owned(), before.to_owned(), String::new());
    let mut rest = value;
    while let Some(part) = next_part(rest) {
        let read = signature::decode_leniently(part.letters).filter(|_| found.len() < MOST_FOUND);
        for text in [&mut in_hex, &mut in_base64] {
            text.push_str(part.before);
        }
        match read {
            Some((encoding, mac)) => {
                let hex = signature::encode(Encoding::Hex, &mac);
                let base64 = signature::encode(Encoding::Base64, &mac);
                in_hex.push_str(&hex);
                in_base64.push_str(&base64);
                for (before, text) in [
                    (prefix, &hex),
                    (prefix, &base64),
                    ("sha256=", &hex),
                    ("v1,", &base64),
                    ("", &hex),
                    ("", &base64),
                ] {
                    alone.push_str(before);
                    alone.push_str(text);
                    alone.push_str(", ");
                }
                found.push(encoding);
                rest = part.after.trim_start_matches('=');
            }
            None => {
                in_hex.push_str(part.letters);
                in_base64.push_str(part.letters);
                rest = part.after;
            }
        }
    }
    if found.is_empty() {
        return None;
    }
    in_hex.push_str(rest);
    in_base64.push_str(rest);
    let why_not_base64 = if found.contains(&Encoding::Hex) {
        "it is hex and has to be base64 (setting encoding of a custom webhook)"
    } else {
        "its base64 has to be padded and in the standard alphabet, with + and /"
    };
    Some([
        (
            in_hex,
            "it is base64 and has to be hex (setting encoding of a custom webhook)",
        ),
        (in_base64, why_not_base64),
        (
            alone,
            "what stands before it, such as sha256= or v1, is missing or another one (setting \
             prefix of a custom webhook)",
        ),
    ])
}

/// The next run of letters that a signature could be written in.
struct Part<'t> {
    before: &'t str,
    letters: &'t str,
    after: &'t str,
}

fn next_part(text: &str) -> Option<Part<'_>> {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "+/-_".contains(letter);
    let (before, from) = text.split_at_checked(text.find(is_letter)?)?;
    let end = from.find(|letter| !is_letter(letter)).unwrap_or(from.len());
    let (letters, after) = from.split_at_checked(end)?;
    Some(Part {
        before,
        letters,
        after,
    })
}
