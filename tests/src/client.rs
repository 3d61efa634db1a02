//! An HTTP client that sends exactly what it is given: no redirects, no
//! normalising, no decoding, and no mercy with lengths that lie.

use crate::{
    http::{self, WithoutLength},
    openapi,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::{self, BufReader, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

/// Longer than anything that is answered at all.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Speaks to one address.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    address: SocketAddr,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The fields as they came.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first field of that name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        http::header(&self.headers, name)
    }

    /// What `x-tram-outcome` says; empty when it is not there.
    #[must_use]
    pub fn outcome(&self) -> &str {
        self.header("x-tram-outcome").unwrap_or_default()
    }

    /// The ids that `x-tram-event-id` names.
    #[must_use]
    pub fn event_ids(&self) -> Vec<String> {
        let ids = self.header("x-tram-event-id").unwrap_or_default();
        ids.split(',')
            .filter(|id| !id.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Asserts that it was taken, with this outcome, and returns the events' ids.
    ///
    /// # Panics
    /// When it says anything else.
    #[track_caller]
    pub fn assert_taken(&self, outcome: &str) -> Vec<String> {
        assert_eq!(
            (self.status / 100, self.outcome()),
            (2, outcome),
            "{} {:?} {}",
            self.status,
            self.headers,
            self.text()
        );
        self.event_ids()
    }

    /// Asserts that it is a problem (RFC 9457) with this status and code, as a
    /// refused request is answered.
    ///
    /// # Panics
    /// When it says anything else.
    #[track_caller]
    pub fn assert_refused(&self, status: u16, code: &str) {
        let told = (self.status, self.outcome());
        assert_eq!(told, (status, "refused"), "{}", self.text());
        self.assert_problem(status, code);
    }

    /// Asserts that nobody between keeps it or guesses at what it is, and that a
    /// browser that came to show it would load nothing and tell nobody.
    ///
    /// # Panics
    /// When somebody might.
    #[track_caller]
    pub fn assert_guarded(&self) {
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'",
            ),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(self.header(name), Some(value), "{name}");
        }
    }

    /// The code of a problem (RFC 9457) with this status.
    ///
    /// # Panics
    /// When it is none, or not guarded.
    #[must_use]
    #[track_caller]
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        let code = self.json()["code"].as_str().unwrap_or_default().to_owned();
        self.assert_problem(status, &code);
        self.assert_guarded();
        code
    }

    /// Where the mistakes are that a 422 names.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn mistakes(&self) -> BTreeSet<String> {
        assert_eq!(self.problem(422), "invalid");
        let body = self.json();
        let errors = body["errors"].as_array().expect("errors");
        let pointers: BTreeSet<_> = errors
            .iter()
            .map(|error| {
                let message = error["message"].as_str().unwrap_or_default();
                assert!(!message.is_empty(), "{error}");
                error["pointer"].as_str().expect("a pointer").to_owned()
            })
            .collect();
        assert!(!pointers.is_empty(), "{body}");
        pointers
    }

    /// Asserts that it is a problem (RFC 9457) with this status and code.
    ///
    /// # Panics
    /// When it says anything else.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        for field in ["type", "title", "detail"] {
            assert!(
                problem[field].as_str().is_some_and(|text| !text.is_empty()),
                "no {field} in {problem}"
            );
        }
        assert_eq!(self.header("x-tram-event-id"), None);
        assert_eq!(self.header("x-tram-event-count"), None);
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|why| panic!("{} is not JSON ({why}): {}", self.status, self.text()))
    }
}

impl Client {
    /// To this address.
    #[must_use]
    pub const fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Opens a connection that can be used again and again.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        Ok(Connection {
            reader: BufReader::new(stream),
            host: self.address.to_string(),
        })
    }

    /// One request on a connection of its own.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let mut connection = self.connect()?;
        let closing = [headers, &[("connection", "close")]].concat();
        connection.try_send(method, path, &closing, body)
    }

    /// One request on a connection of its own.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|why| panic!("{method} {path} was not answered: {why}"))
    }

    /// A POST on a connection of its own.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        self.send("POST", path, headers, body.as_ref())
    }

    /// A POST in chunks, without a length, on a connection of its own.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn post_chunked(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        chunks: &[&[u8]],
    ) -> io::Result<Answer> {
        let mut connection = self.connect()?;
        let chunked = [headers, &[("transfer-encoding", "chunked")]].concat();
        connection.write(connection.head("POST", path, &chunked).as_bytes())?;
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            connection.write(format!("{:x}\r\n", chunk.len()).as_bytes())?;
            connection.write(chunk)?;
            connection.write(b"\r\n")?;
        }
        connection.write(b"0\r\n\r\n")?;
        connection.read_answer()
    }

    /// A POST whose `content-length` says `announced`, whatever `body` is. Where
    /// more is announced than sent, the sending side is closed behind the body.
    ///
    /// # Errors
    /// When there is no answer, which a lie may well deserve.
    pub fn post_announcing(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        announced: u64,
        body: &[u8],
    ) -> io::Result<Answer> {
        let mut connection = self.connect()?;
        let announced = announced.to_string();
        let lying = [headers, &[("content-length", announced.as_str())]].concat();
        connection.write(connection.head("POST", path, &lying).as_bytes())?;
        connection.write(body)?;
        connection.finish()?;
        connection.read_answer()
    }
}

/// A connection that is kept, and that bytes can be put on by hand.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    /// The head of a request, its empty line included. `host` is added unless it
    /// is given.
    #[must_use]
    pub fn head(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        let given = |wanted: &str| {
            headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        if !given("host") {
            let _ = write!(head, "host: {}\r\n", self.host);
        }
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        head
    }

    /// A request, and its answer. What the management API answers must be as its
    /// description says.
    ///
    /// # Errors
    /// When there is none.
    pub fn try_send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let length = body.len().to_string();
        let mut all = headers.to_vec();
        if !body.is_empty() || !matches!(method, "GET" | "HEAD") {
            all.push(("content-length", &length));
        }
        let mut message = self.head(method, path, &all).into_bytes();
        message.extend_from_slice(body);
        self.write(&message)?;
        let answer = self.read_answer_to(method)?;
        openapi::check(method, path, &answer);
        Ok(answer)
    }

    /// A request, and its answer.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|why| panic!("{method} {path} was not answered: {why}"))
    }

    /// Puts these bytes on the wire.
    ///
    /// # Errors
    /// When the other side is gone.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// When the other side is gone.
    pub fn finish(&mut self) -> io::Result<()> {
        self.reader.get_ref().shutdown(Shutdown::Write)
    }

    /// Reads one answer.
    ///
    /// # Errors
    /// When there is none, or it ends too early.
    pub fn read_answer(&mut self) -> io::Result<Answer> {
        self.read_answer_to("POST")
    }

    fn read_answer_to(&mut self, method: &str) -> io::Result<Answer> {
        loop {
            let head =
                http::read_head(&mut self.reader)?.ok_or(io::ErrorKind::ConnectionAborted)?;
            let status: u16 = head
                .first_line
                .split(' ')
                .nth(1)
                .and_then(|status| status.parse().ok())
                .ok_or_else(|| io::Error::other(format!("not an answer: {}", head.first_line)))?;
            if status < 200 {
                continue;
            }
            let body = if method == "HEAD" || matches!(status, 204 | 304) {
                Vec::new()
            } else {
                http::read_body(&mut self.reader, &head, WithoutLength::ToTheEnd)?
            };
            return Ok(Answer {
                status,
                headers: head.headers,
                body,
            });
        }
    }
}
