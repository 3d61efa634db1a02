//! Requests that come in, and answers: each crosses between JavaScript and Rust once, field
//! by field would be a dozen times. The SDK's own types do the latter, and bring what is not
//! needed here into the wasm.

use crate::{body::Body, thrown::Thrown};
use lru::LruCache;
use std::{cell::RefCell, num::NonZeroUsize};
use tram_core::{few::Few, headers::Headers, request_url::RequestUrl, time::Timestamp};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::web_sys;

#[wasm_bindgen(module = "/src/http.js")]
extern "C" {
    /// See there.
    #[wasm_bindgen(catch)]
    fn like(head: &str) -> Result<JsValue, JsValue>;

    /// See there.
    #[wasm_bindgen(catch)]
    fn respond(like: &JsValue, own: &str, body: &JsValue) -> Result<web_sys::Response, JsValue>;

    /// See there.
    #[wasm_bindgen(catch, js_name = message)]
    fn make_message(status: u16, bytes: &[u8]) -> Result<web_sys::Response, JsValue>;
}

/// A request.
pub(crate) struct Request {
    /// As the runtime has it.
    pub(crate) raw: web_sys::Request,
    pub(crate) head: Head,
    /// What was read of it before Rust was called.
    pub(crate) body: Option<Body>,
    /// When it came.
    pub(crate) came: Timestamp,
}

/// A request without its body.
pub(crate) struct Head {
    /// Upper case.
    pub(crate) method: String,
    /// As the runtime states it.
    pub(crate) url: String,
    /// All header fields.
    pub(crate) headers: Headers,
}

impl Head {
    /// Reads what `http.js` has written.
    pub(crate) fn read(head: &str) -> Self {
        let mut lines = head.split('\n');
        let mut line = || lines.next().unwrap_or_default().to_owned();
        let (method, url) = (line(), line());
        let mut headers = Headers::new();
        while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
            headers.push(name, value);
        }
        Self {
            method,
            url,
            headers,
        }
    }

    /// The path of its URL.
    pub(crate) fn path(&self) -> &str {
        RequestUrl::split(&self.url).map_or("/", |url| url.path)
    }

    /// The query of its URL, without `?`.
    pub(crate) fn query(&self) -> &str {
        RequestUrl::split(&self.url).map_or("", |url| url.query)
    }
}

/// How many answers are known by their heads.
const MOST_ALIKE: NonZeroUsize = NonZeroUsize::new(100).unwrap();
/// Longer bodies are not kept for another answer.
const LONGEST_KEPT: usize = 1024;

thread_local! {
    static ALIKE: RefCell<LruCache<String, Alike>> = RefCell::new(LruCache::new(MOST_ALIKE));
    static SAME: RefCell<Few<&'static str, Alike>> = RefCell::default();
}

/// What the runtime knows already of answers with the same head.
struct Alike {
    like: JsValue,
    /// The body of the last one, as Rust and as JavaScript have it.
    body: String,
    text: JsValue,
}

impl Alike {
    fn new(head: &str) -> Result<Self, Thrown> {
        Ok(Self {
            like: like(head)?,
            body: String::new(),
            text: JsValue::from_str(""),
        })
    }

    fn answer(&mut self, own: &str, body: String) -> Result<web_sys::Response, Thrown> {
        if body.len() > LONGEST_KEPT {
            return Ok(respond(&self.like, own, &body.into())?);
        }
        if self.body != body {
            self.text = JsValue::from_str(&body);
            self.body = body;
        }
        Ok(respond(&self.like, own, &self.text)?)
    }
}

/// An answer.
#[derive(Default)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Fields that other answers have as well.
    pub(crate) headers: Headers,
    /// Fields that are this one's alone, such as an id.
    pub(crate) own: Headers,
    pub(crate) body: String,
    /// The name of an answer that is always the same: see [`Response::same`].
    pub(crate) same: Option<&'static str>,
}

impl Response {
    /// An answer that is the same to the byte whenever it is given under this name, with no
    /// fields of its own: made once in an isolate.
    pub(crate) fn same(name: &'static str, make: impl FnOnce() -> Self) -> Self {
        let known = SAME.with_borrow(|all| all.has(&name));
        let made = if known { Self::default() } else { make() };
        Self {
            same: Some(name),
            ..made
        }
    }

    /// What stands in its first lines.
    fn head(&self) -> String {
        [self.status.to_string(), lines(self.headers.iter())].join("\n")
    }

    /// As the runtime has it.
    ///
    /// # Errors
    /// When the runtime does not take a header field.
    pub(crate) fn into_runtime(self) -> Result<web_sys::Response, Thrown> {
        if let Some(name) = self.same {
            return SAME.with_borrow_mut(|all| {
                if let Some(known) = all.get(&name) {
                    return Ok(respond(&known.like, "", &known.text)?);
                }
                let mut first = Alike::new(&self.head())?;
                let answer = first.answer("", self.body)?;
                all.insert(name, first);
                Ok(answer)
            });
        }
        let head = self.head();
        let own = lines(self.own.iter());
        ALIKE.with_borrow_mut(|alike| {
            if let Some(known) = alike.get_mut(&head) {
                return known.answer(&own, self.body);
            }
            let mut first = Alike::new(&head)?;
            let answer = first.answer(&own, self.body);
            alike.put(head, first);
            answer
        })
    }
}

/// An object's answer to a message: bytes, or that it failed.
///
/// # Errors
/// Never, for all that is known.
pub(crate) fn message(answer: Result<Vec<u8>, ()>) -> Result<web_sys::Response, JsValue> {
    let (status, body) = match answer {
        Ok(bytes) => (200, bytes),
        Err(()) => (500, Vec::new()),
    };
    make_message(status, &body)
}

/// Names and values of header fields, a line each. None of them holds a line end.
pub(crate) fn lines<N: AsRef<str>>(fields: impl Iterator<Item = (N, N)>) -> String {
    let mut lines = String::new();
    for (name, value) in fields {
        let separator = if lines.is_empty() { "" } else { "\n" };
        lines.extend([separator, name.as_ref(), "\n", value.as_ref()]);
    }
    lines
}
