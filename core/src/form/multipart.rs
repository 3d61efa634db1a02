//! `multipart/form-data` (RFC 7578), as far as small forms need it.
//!
//! Lines end in CRLF, as RFC 2046 asks, and nothing stands around the parts. A part
//! that is a file is a field like any other. What does not keep to the form is not
//! read at all: half of a form could pass for another one.
//!
//! Out of scope: nested `multipart/mixed`, `_charset_`, `filename*`.

use super::{Field, MOST_FIELDS};

/// RFC 2046, section 5.1.1.
const LONGEST_BOUNDARY: usize = 70;

/// The boundary among the parameters of a `content-type`: what stands behind its
/// first `;`.
#[must_use]
pub fn boundary(parameters: &str) -> Option<String> {
    let boundary = parameter(parameters.as_bytes(), "boundary")?;
    let sound = (1..=LONGEST_BOUNDARY).contains(&boundary.len())
        && boundary.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if sound {
        String::from_utf8(boundary).ok()
    } else {
        None
    }
}

/// The fields in order. `None` when it is not such a form, a part has no name, or
/// there are more than [`MOST_FIELDS`].
#[must_use]
pub fn fields(boundary: &str, content: &[u8]) -> Option<Vec<Field>> {
    let delimiter = ["\r\n--", boundary].concat().into_bytes();
    let first = delimiter.strip_prefix(b"\r\n")?;
    let mut rest = content.strip_prefix(first)?;
    let mut fields = Vec::new();
    while !rest.starts_with(b"--") {
        let blanks = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        let begun = rest.get(blanks..)?.strip_prefix(b"\r\n")?;
        // The line end before the delimiter belongs to it, also when it is the one that
        // ends the line of the delimiter before.
        let (part, after) = split_at(begun, &delimiter)?;
        if fields.len() >= MOST_FIELDS {
            return None;
        }
        fields.push(field(part)?);
        rest = after;
    }
    let nothing_follows = rest.strip_prefix(b"--")?.trim_ascii().is_empty();
    nothing_follows.then_some(fields)
}

fn field(part: &[u8]) -> Option<Field> {
    let (head, value) = split_at(part, b"\r\n\r\n")?;
    let mut head = head;
    loop {
        let (line, after) = split_at(head, b"\r\n").unwrap_or((head, b""));
        if let Some(disposition) = disposition(line) {
            return Some((parameter(disposition, "name")?, value.to_vec()));
        }
        if after.is_empty() {
            return None;
        }
        head = after;
    }
}

/// The parameters of a `Content-Disposition: form-data` line.
fn disposition(line: &[u8]) -> Option<&[u8]> {
    let (name, value) = split_at(line, b":")?;
    if !name.eq_ignore_ascii_case(b"content-disposition") {
        return None;
    }
    let (kind, parameters) = split_at(value, b";")?;
    kind.trim_ascii()
        .eq_ignore_ascii_case(b"form-data")
        .then_some(parameters)
}

/// The value of the first parameter of that name among `a=b; c="d"`. In quotes, `\"`
/// and `\\` are what curl and PHP write for `"` and `\`; any other `\` is itself.
fn parameter(parameters: &[u8], wanted: &str) -> Option<Vec<u8>> {
    let mut rest = parameters;
    loop {
        let (name, after) = split_at(rest, b"=")?;
        let (value, after) = match after.trim_ascii_start().strip_prefix(b"\"") {
            Some(quoted) => {
                let (value, after) = unquote(quoted)?;
                (
                    value,
                    split_at(after, b";").map_or(&b""[..], |(_, after)| after),
                )
            }
            None => {
                let (value, after) = split_at(after, b";").unwrap_or((after, b""));
                (value.trim_ascii().to_vec(), after)
            }
        };
        if name.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()) {
            return Some(value);
        }
        rest = after;
    }
}

/// The text up to the closing quote, and what follows it.
fn unquote(quoted: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut rest = quoted;
    loop {
        rest = match rest {
            [b'\\', letter @ (b'"' | b'\\'), after @ ..] => {
                value.push(*letter);
                after
            }
            [b'"', after @ ..] => return Some((value, after)),
            [letter, after @ ..] => {
                value.push(*letter);
                after
            }
            [] => return None,
        };
    }
}

/// What stands before and behind the first `separator`.
fn split_at<'a>(bytes: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes
        .windows(separator.len())
        .position(|window| window == separator)?;
    let (before, from) = bytes.split_at_checked(at)?;
    Some((before, from.strip_prefix(separator)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Option<Vec<(String, String)>> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let fields = fields("AaB03x", body.as_bytes())?;
        Some(
            fields
                .into_iter()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
        )
    }

    #[test]
    fn the_boundary_is_a_parameter() {
        for (parameters, expected) in [
            ("boundary=AaB03x", Some("AaB03x")),
            (" charset=utf-8; Boundary=\"a b;c\"", Some("a b;c")),
            (" boundary = x ; charset=utf-8", Some("x")),
            (
                "boundary=------------------------d74496d66958873e",
                Some("------------------------d74496d66958873e"),
            ),
            ("boundary=", None),
            ("boundary=\"\"", None),
            ("boundary=\"x", None),
            ("boundary", None),
            ("charset=utf-8", None),
            ("boundary=ä", None),
            ("", None),
        ] {
            assert_eq!(boundary(parameters).as_deref(), expected, "{parameters}");
        }
        let long = |length: usize| boundary(&format!("boundary={}", "a".repeat(length)));
        assert!(long(70).is_some());
        assert_eq!(long(71), None);
    }

    #[test]
    fn parts_are_fields() {
        let body = "--AaB03x\r\n\
            Content-Disposition: form-data; name=\"id\"\r\n\r\n92704\r\n--AaB03x \t\r\n\
            content-type: text/plain; charset=utf-8\r\ncontent-disposition:form-data;name=content\r\n\r\n\
            Chuyển khoản\r\n\r\n--AaB03 x\r\n--AaB03x\r\n\
            Content-Disposition: form-data; filename=\"a;name=b\"; name=\"a \\\"b\\\\\\c;\"\r\n\r\n\r\n--AaB03x--\r\n";
        let expected = [
            ("id", "92704"),
            ("content", "Chuyển khoản\r\n\r\n--AaB03 x"),
            ("a \"b\\\\c;", ""),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read(body).unwrap(), expected);
        assert_eq!(read("--AaB03x--").unwrap(), []);
    }

    #[test]
    fn what_does_not_keep_to_the_form_is_not_read() {
        let part = "--AaB03x\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\n1\r\n";
        assert!(read(&format!("{part}--AaB03x--")).is_some());
        for body in [
            "",
            "--AaB03x",
            "--AaB03x\r\n",
            "id=1",
            part,
            &format!("{part}--AaB03x"),
            &format!("{part}--AaB03y--"),
            &format!("x{part}--AaB03x--"),
            &format!("x\r\n{part}--AaB03x--"),
            &format!("{part}--AaB03x--\r\nx"),
            &part.replace("\r\n", "\n"),
            &format!("{}--AaB03x--", part.replace("name", "nom")),
            &format!("{}--AaB03x--", part.replace("form-data", "attachment")),
            &format!("{}--AaB03x--", part.replace("Disposition", "Type")),
            &format!("{}--AaB03x--", part.replace("\"id\"", "\"id")),
            &format!("{}--AaB03x--", part.replace("\r\n\r\n", "\r\n")),
        ] {
            assert_eq!(read(body), None, "{body:?}");
        }
        let many = |count: usize| format!("{}--AaB03x--", part.repeat(count));
        assert_eq!(read(&many(1_000)).unwrap().len(), 1_000);
        assert_eq!(read(&many(1_001)), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            pieces in prop::collection::vec("(\r\n|--x|--|content-disposition|:|form-data|;|name=|\"|\\\\|a|\u{e9})", 0..40)
        ) {
            let _ = fields("x", pieces.concat().as_bytes());
            let _ = boundary(&pieces.concat());
        }

        #[test]
        fn what_was_written_is_read(
            written in prop::collection::vec(("[a-z\"\\\\;=]{1,8}", prop::collection::vec(any::<u8>(), 0..40)), 0..8)
        ) {
            let mut body = Vec::new();
            for (name, value) in &written {
                let name = name.replace('\\', "\\\\").replace('"', "\\\"");
                body.extend(format!("--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").bytes());
                body.extend(value);
                body.extend(b"\r\n");
            }
            body.extend(b"--b0undary--\r\n");
            let expected: Vec<_> = written.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect();
            prop_assert_eq!(fields("b0undary", &body), Some(expected));
        }
    }
}
