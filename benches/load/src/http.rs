//! As much of HTTP/1.1 as two programs on loopback need: kept-alive connections,
//! bodies with a length or in chunks.

use std::{
    io::{BufRead, BufReader, Error, ErrorKind, Read, Result},
    net::TcpStream,
};

/// A message as it came.
pub(crate) struct Message {
    /// The first line.
    pub(crate) start: String,
    headers: Vec<(String, String)>,
}

impl Message {
    /// The first header of that name, in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn bad(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

/// One kept-alive connection, from which messages are read.
pub(crate) struct Reader {
    from: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            from: BufReader::with_capacity(16 << 10, stream),
            line: String::new(),
            body: Vec::new(),
        }
    }

    /// The next message, its body read and dropped; `None` when the other side is
    /// done.
    pub(crate) fn next(&mut self) -> Result<Option<Message>> {
        if self.read_line()? == 0 {
            return Ok(None);
        }
        let start = self.line.trim_end().to_owned();
        let mut headers = Vec::new();
        loop {
            if self.read_line()? == 0 {
                return Err(bad("a head without an end"));
            }
            let line = self.line.trim_end();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| bad("no header"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let message = Message { start, headers };
        if message.header("transfer-encoding") == Some("chunked") {
            loop {
                self.read_line()?;
                let size = usize::from_str_radix(self.line.trim_end(), 16)
                    .map_err(|_| bad("no length of a chunk"))?;
                self.read_body(size + 2)?;
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = message.header("content-length") {
            let length = length.parse().map_err(|_| bad("no length"))?;
            self.read_body(length)?;
        }
        Ok(Some(message))
    }

    fn read_line(&mut self) -> Result<usize> {
        self.line.clear();
        self.from.read_line(&mut self.line)
    }

    fn read_body(&mut self, bytes: usize) -> Result<()> {
        self.body.resize(bytes, 0);
        self.from.read_exact(&mut self.body)
    }
}
