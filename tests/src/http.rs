//! Reading HTTP/1.1 messages (RFC 9112), for client and origin alike. Nothing is
//! normalised; names are compared in any case.

use std::io::{self, BufRead, Read};

/// The first line and the fields of a message.
pub(crate) struct Head {
    pub(crate) first_line: String,
    pub(crate) headers: Vec<(String, String)>,
}

/// Where a message without `content-length` and chunks ends.
pub(crate) enum WithoutLength {
    /// At once: a request.
    Empty,
    /// When the connection is closed: an answer.
    ToTheEnd,
}

pub(crate) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// Reads up to the empty line; `None` when the connection ended before it began.
pub(crate) fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Head>> {
    let Some(first_line) = read_line(reader)? else {
        return Ok(None);
    };
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            return Ok(Some(Head {
                first_line,
                headers,
            }));
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| io::Error::other(format!("not a header field: {line}")))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// Reads the body that `head` announces.
pub(crate) fn read_body(
    reader: &mut impl BufRead,
    head: &Head,
    without_length: WithoutLength,
) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let chunked = header(&head.headers, "transfer-encoding")
        .is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    if chunked {
        while let Some(size) = read_chunk_size(reader)? {
            read_exactly(reader, size, &mut body)?;
            read_line(reader)?;
        }
        // Trailers are read and dropped.
        while read_line(reader)?.is_some_and(|line| !line.is_empty()) {}
    } else if let Some(length) = header(&head.headers, "content-length") {
        let length = length.parse().map_err(io::Error::other)?;
        read_exactly(reader, length, &mut body)?;
    } else if matches!(without_length, WithoutLength::ToTheEnd) {
        reader.read_to_end(&mut body)?;
    }
    Ok(body)
}

fn read_chunk_size(reader: &mut impl BufRead) -> io::Result<Option<u64>> {
    let line = read_line(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let size = line.split(';').next().unwrap_or_default().trim();
    let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
    Ok((size > 0).then_some(size))
}

fn read_exactly(reader: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    let read = reader.take(length).read_to_end(body)?;
    if u64::try_from(read).is_ok_and(|read| read == length) {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if reader.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let line = String::from_utf8_lossy(&line);
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}
