//! `secret`: what the provider shares with the operator, sent or generated.

use super::reader::{Mistakes, Node};
use crate::{
    base64,
    messages::MOST_SECRETS,
    secret::{Entropy, EntropyExhausted, Secret},
};

const MAX_BYTES: usize = 4_096;
/// What a masked secret begins with.
const MASK: &str = "***";

/// Reads one secret or several. A masked one that is shown now stands for the one
/// it hides. Messages never repeat what was sent.
pub(super) fn read(
    node: &Node<'_>,
    current: &[Secret],
    mistakes: &mut Mistakes,
) -> Option<Vec<Secret>> {
    if node.value.is_string() {
        return one(node, current, 0, mistakes).map(|secret| vec![secret]);
    }
    if !node.value.is_array() {
        node.wrong("must be a text or an array of texts", mistakes);
        return None;
    }
    let entries = node.list(MOST_SECRETS, mistakes)?;
    if entries.is_empty() {
        node.wrong(
            "must have 1 to 3 entries: without a secret nothing is proven",
            mistakes,
        );
    }
    let mut secrets: Vec<Secret> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let secret = one(entry, current, index, mistakes);
        if secret.as_ref().is_some_and(|it| secrets.contains(it)) {
            entry.wrong("is the same as one before: leave it out", mistakes);
        }
        // What is wrong keeps its place, so that the others keep theirs.
        secrets.push(secret.unwrap_or_else(|| Secret::new(String::new())));
    }
    Some(secrets)
}

fn one(
    node: &Node<'_>,
    current: &[Secret],
    index: usize,
    mistakes: &mut Mistakes,
) -> Option<Secret> {
    let text = node.text(mistakes)?;
    if text.is_empty() {
        node.wrong(
            "must not be empty: an empty secret proves nothing",
            mistakes,
        );
        return None;
    }
    if text.len() > MAX_BYTES {
        node.wrong(format!("must have at most {MAX_BYTES} bytes"), mistakes);
        return None;
    }
    if text.trim() != text {
        node.wrong(
            "begins or ends with a blank or line end: remove it",
            mistakes,
        );
        return None;
    }
    if text.starts_with(MASK) {
        let hidden = unmask(text, current, index);
        if hidden.is_none() {
            node.wrong(
                "is masked and not what is shown now: send the secret itself, or leave it out",
                mistakes,
            );
        }
        return hidden;
    }
    Some(Secret::new(text.to_owned()))
}

/// The secret that `mask` stands for: at the same place, else the only one.
fn unmask(mask: &str, current: &[Secret], index: usize) -> Option<Secret> {
    let shown = |secret: &&Secret| secret.masked() == mask;
    if let Some(same_place) = current.get(index).filter(shown) {
        return Some(same_place.clone());
    }
    let mut hidden = current.iter().filter(shown);
    match (hidden.next(), hidden.next()) {
        (Some(only), None) => Some(only.clone()),
        _ => None,
    }
}

/// 256 random bits as the provider takes them: `whsec_` and base64, or hex.
pub(super) fn generate(whsec: bool, entropy: &mut Entropy) -> Result<Secret, EntropyExhausted> {
    let bits: [u8; 32] = entropy.draw()?;
    Ok(Secret::new(if whsec {
        format!("whsec_{}", base64::encode(&bits))
    } else {
        hex::encode(bits)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(secret: &Value, current: &[&str]) -> Result<Vec<String>, Vec<String>> {
        let current: Vec<_> = current
            .iter()
            .map(|text| Secret::new((*text).into()))
            .collect();
        let mut mistakes = Mistakes::default();
        let read = read(&Node::root(secret), &current, &mut mistakes);
        let wrong = mistakes.into_vec();
        for mistake in &wrong {
            assert!(!mistake.message.contains("hunter2"), "{}", mistake.message);
        }
        if wrong.is_empty() {
            Ok(read
                .unwrap()
                .iter()
                .map(|secret| secret.expose().to_owned())
                .collect())
        } else {
            Err(wrong.into_iter().map(|mistake| mistake.pointer).collect())
        }
    }

    #[test]
    fn taken() {
        let current = ["0123456789abcdef", "fedcba9876543210", "short", "tiny"];
        for (sent, read) in [
            (json!("hunter2"), vec!["hunter2"]),
            (json!(["hunter2"]), vec!["hunter2"]),
            (json!(["a", "b", "c"]), vec!["a", "b", "c"]),
            (json!("mật khẩu có dấu"), vec!["mật khẩu có dấu"]),
            // Masked as shown.
            (json!("***cdef"), vec!["0123456789abcdef"]),
            (json!("***3210"), vec!["fedcba9876543210"]),
            (
                json!(["***3210", "hunter2"]),
                vec!["fedcba9876543210", "hunter2"],
            ),
            // By its place where several look alike.
            (json!(["x", "y", "***"]), vec!["x", "y", "short"]),
        ] {
            let read: Vec<String> = read.into_iter().map(str::to_owned).collect();
            assert_eq!(check(&sent, &current), Ok(read), "{sent}");
        }
    }

    #[test]
    fn refused() {
        let current = ["0123456789abcdef", "short", "tiny"];
        for (sent, pointers) in [
            (json!(null), vec![""]),
            (json!(12_345), vec![""]),
            (json!({}), vec![""]),
            (json!(""), vec![""]),
            (json!(" "), vec![""]),
            (json!("hunter2\n"), vec![""]),
            (json!(" hunter2"), vec![""]),
            (json!("h".repeat(4_097)), vec![""]),
            (json!([]), vec![""]),
            (json!(["a", "b", "c", "d"]), vec![""]),
            (json!(["hunter2", ""]), vec!["/1"]),
            (json!(["hunter2", 2]), vec!["/1"]),
            (json!(["hunter2", "hunter2"]), vec!["/1"]),
            (json!("***wxyz"), vec![""]),
            (json!("***"), vec![""]),
            (json!(["***cdef", "***cdef"]), vec!["/1"]),
        ] {
            let pointers: Vec<String> = pointers.into_iter().map(str::to_owned).collect();
            assert_eq!(check(&sent, &current), Err(pointers), "{sent}");
        }
        assert_eq!(check(&json!("***5678"), &[]), Err(vec![String::new()]));
    }

    #[test]
    fn generated_ones_have_256_bits() {
        let mut entropy = Entropy::new((0..64).collect());
        let hex = generate(false, &mut entropy).unwrap();
        assert_eq!(hex.expose().len(), 64);
        assert!(hex.expose().starts_with("2021"));
        let whsec = generate(true, &mut entropy).unwrap();
        let encoded = whsec.expose().strip_prefix("whsec_").unwrap();
        assert_eq!(
            base64::decode(encoded, base64::Spelling::Canonical).unwrap(),
            (0..32).collect::<Vec<u8>>()
        );
        assert!(generate(false, &mut entropy).is_err());
    }
}
