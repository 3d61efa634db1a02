//! The template of the setting `signed`: which bytes a sender's keyed hash is over.

/// A piece of what is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// This text.
    Text(&'t str),
    /// The body.
    Body,
    /// The text of the header field that `timestamp_header` names.
    Timestamp,
    /// The text of the header field that `event_id` names.
    Id,
    /// The URL.
    Url,
    /// The HTTP method.
    Method,
}

/// What is signed when `signed` is not set.
pub(super) const BODY_ALONE: &str = "{body}";

/// Reads a template such as `v0:{timestamp}:{body}`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(template: &str) -> Result<Vec<Piece<'_>>, String> {
    const KNOWN: &str = "{body}, {timestamp}, {id}, {url} and {method} are known";
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        let (name, after) = after
            .split_once('}')
            .ok_or_else(|| format!("a {{ is not closed; {KNOWN}"))?;
        pieces.push(match name {
            "body" => Piece::Body,
            "timestamp" => Piece::Timestamp,
            "id" => Piece::Id,
            "url" => Piece::Url,
            "method" => Piece::Method,
            other => {
                let other: String = other.chars().take(20).collect();
                return Err(format!("{{{other}}} is not known; {KNOWN}"));
            }
        });
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    if pieces.iter().all(|piece| matches!(piece, Piece::Text(_))) {
        // The same hash every time would be a password sent in the clear.
        return Err(format!("nothing of the request is signed; {KNOWN}"));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_read() {
        use Piece::{Body, Id, Method, Text, Timestamp, Url};
        for (template, pieces) in [
            (BODY_ALONE, vec![Body]),
            (
                "v0:{timestamp}:{body}",
                vec![Text("v0:"), Timestamp, Text(":"), Body],
            ),
            (
                "{id}.{timestamp}.{body}",
                vec![Id, Text("."), Timestamp, Text("."), Body],
            ),
            ("{method}{url}{body}}", vec![Method, Url, Body, Text("}")]),
        ] {
            assert_eq!(parse(template), Ok(pieces), "{template}");
        }
        for (template, mistake) in [
            ("", "nothing of the request is signed"),
            ("secret", "nothing of the request is signed"),
            ("{body", "not closed"),
            ("{Body}", "{Body} is not known"),
            ("{}", "{} is not known"),
            ("{{body}}", "{{body} is not known"),
        ] {
            assert!(parse(template).unwrap_err().contains(mistake), "{template}");
        }
    }
}
