//! Forms as `multipart/form-data`.

use super::{forms::says, text_line};
use crate::form::{self, Field, multipart as parts};

/// The parameters of a content type in the first line, then a body. What is read can
/// be written and is read the same again; and any fields survive being sent.
pub fn multipart(data: &[u8]) {
    let (parameters, content) = text_line(data);
    let content_type = ["multipart/form-data;", &parameters].concat();
    let boundary = parts::boundary(&parameters);
    let read = boundary
        .as_deref()
        .and_then(|boundary| parts::fields(boundary, content));
    assert_eq!(
        form::fields(&content_type, content),
        read.clone().filter(|fields| !fields.is_empty()),
        "read through the content type"
    );
    if let (Some(boundary), Some(fields)) = (boundary, read) {
        says(form::to_json(&fields).as_bytes(), &fields);
        let written = written(&boundary, &fields);
        assert_eq!(parts::fields(&boundary, &written), Some(fields));
        // A part of a form is no form.
        let cut = written.len().saturating_sub(5);
        let part = written.get(..cut).unwrap_or_default();
        assert_eq!(parts::fields(&boundary, part), None, "cut short");
        for around in [[b"x".as_slice(), &written], [&written, b"x"]] {
            let whole = parts::fields(&boundary, &around.concat());
            assert_eq!(whole, None, "something stands around it");
        }
    }
    survives(content);
}

/// Sends fields made of `content`, with NUL between names and values.
fn survives(content: &[u8]) {
    const BOUNDARY: &str = "----tram'()+_,-./:=? fuzz";
    if content
        .windows(BOUNDARY.len())
        .any(|part| part == BOUNDARY.as_bytes())
    {
        return;
    }
    let pieces: Vec<_> = content.split(|byte| *byte == 0).collect();
    let fields: Vec<Field> = pieces
        .chunks(2)
        .map(|pair| {
            let name = pair.first().copied().unwrap_or_default();
            // A line end would end the name's line.
            let name = name.iter().copied().filter(|byte| *byte != b'\n');
            (
                name.collect(),
                pair.get(1).copied().unwrap_or_default().to_vec(),
            )
        })
        .take(form::MOST_FIELDS)
        .collect();
    let written = written(BOUNDARY, &fields);
    let boundary = parts::boundary(&format!(" charset=utf-8; boundary=\"{BOUNDARY}\""));
    let boundary = boundary.expect("a sound boundary is read");
    assert_eq!(parts::fields(&boundary, &written), Some(fields), "sent");
}

fn written(boundary: &str, fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.extend(b"--");
        out.extend(boundary.bytes());
        out.extend(b"\r\nContent-Type: text/plain\r\nContent-Disposition: form-data; name=\"");
        for byte in name {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(*byte);
        }
        out.extend(b"\"\r\n\r\n");
        out.extend(value);
        out.extend(b"\r\n");
    }
    out.extend(b"--");
    out.extend(boundary.bytes());
    out.extend(b"--\r\n");
    out
}
