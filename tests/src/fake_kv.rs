//! A KV namespace that does as it is told: works, hangs, fails or forgets, and
//! writes down what it was asked.

use crate::{
    origin::{Origin, Received},
    reply::Reply,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What a Worker asked of KV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `GET`, `PUT` or `DELETE`.
    pub method: String,
    /// The key.
    pub key: String,
    /// What is to be stored.
    pub value: String,
    /// `expirationTtl`, in seconds.
    pub ttl: Option<u64>,
}

impl From<&Received> for Call {
    fn from(request: &Received) -> Self {
        let target = request.target.trim_start_matches('/');
        let (key, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: request.method.clone(),
            key: key.to_owned(),
            value: request.text(),
            ttl: query
                .strip_prefix("expiration_ttl=")
                .and_then(|seconds| seconds.parse().ok()),
        }
    }
}

/// A KV namespace; give it to [`Builder::kv_at`](crate::Builder::kv_at).
pub struct FakeKv {
    server: Origin,
    stored: Arc<Mutex<HashMap<String, String>>>,
}

impl FakeKv {
    /// One that works.
    #[must_use]
    pub fn start() -> Self {
        let kv = Self {
            server: Origin::start(),
            stored: Arc::default(),
        };
        kv.work();
        kv
    }

    /// From now on it works.
    pub fn work(&self) {
        let stored = Arc::clone(&self.stored);
        self.server.answer_with(move |request| {
            let call = Call::from(request);
            let mut stored = stored.lock().unwrap_or_else(PoisonError::into_inner);
            match call.method.as_str() {
                "GET" => stored.get(&call.key).map_or(Reply::status(404), |value| {
                    Reply::status(200).body(value.clone())
                }),
                "PUT" => {
                    stored.insert(call.key, call.value);
                    Reply::status(200)
                }
                _ => {
                    stored.remove(&call.key);
                    Reply::status(200)
                }
            }
        });
    }

    /// Puts a value in, as if somebody had stored it.
    pub fn set(&self, key: &str, value: &str) {
        self.stored().insert(key.to_owned(), value.to_owned());
    }

    /// Takes a value out.
    pub fn remove(&self, key: &str) {
        self.stored().remove(key);
    }

    fn stored(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on no call is ever answered.
    pub fn hang(&self) {
        self.server.always(Reply::hang());
    }

    /// From now on every call throws.
    pub fn fail(&self) {
        self.server.always(Reply::status(500));
    }

    /// From now on nothing that is stored is ever found.
    pub fn forget(&self) {
        self.server
            .answer_with(|request| Reply::status(if request.method == "GET" { 404 } else { 200 }));
    }

    /// What it was asked, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.server.received().iter().map(Call::from).collect()
    }

    /// What it was asked with this method, of keys that begin so.
    #[must_use]
    pub fn calls_of(&self, method: &str, prefix: &str) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.method == method && call.key.starts_with(prefix));
        calls
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        self.server.url("")
    }
}
