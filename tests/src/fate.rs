//! Says what becomes of calls to Mailboxes, one by one: done, failed, or both.

use crate::origin::{Origin, Received};
use crate::reply::Reply;

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// It is done, and answered.
    Done,
    /// The object throws, and nothing is done.
    Thrown,
    /// The object answers 500, and nothing is done.
    Failed,
    /// It is done, and then the object throws.
    Forgotten,
    /// It is done, and answered with what nobody understands.
    Babble,
    /// It is done, but for statements that store a body which holds this.
    Poisoned(String),
}

/// What calls to Mailboxes come to; give it to [`Builder::fated`](crate::Builder::fated).
pub struct Fate(Origin);

impl Fate {
    /// All of them are done.
    #[must_use]
    pub fn start() -> Self {
        let fate = Self(Origin::start());
        fate.decide(|_| Becomes::Done);
        fate
    }

    /// From now on `rule` decides, by the path of a call and what it carries. The call
    /// waits for it.
    pub fn decide(&self, rule: impl Fn(&Received) -> Becomes + Send + Sync + 'static) {
        self.0.answer_with(move |call| {
            let told = match rule(call) {
                Becomes::Done => "do".to_owned(),
                Becomes::Thrown => "throw".to_owned(),
                Becomes::Failed => "fail".to_owned(),
                Becomes::Forgotten => "forget".to_owned(),
                Becomes::Babble => "babble".to_owned(),
                Becomes::Poisoned(text) => format!("do {text}"),
            };
            Reply::status(200).body(told)
        });
    }

    /// What calls of this path have carried so far.
    #[must_use]
    pub fn calls(&self, path: &str) -> Vec<String> {
        let mut calls = self.0.received();
        calls.retain(|call| call.target == path);
        calls.iter().map(Received::text).collect()
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        self.0.url("")
    }
}

impl Default for Fate {
    fn default() -> Self {
        Self::start()
    }
}
