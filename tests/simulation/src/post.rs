//! What providers post: events that are told apart by their names.

use crate::{chance::hash, plan::Kind};
use tram_core::event::{DedupeKey, NewEvent, Summary};

/// What an event says that arrives.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) first: u8,
    pub(crate) count: u8,
    pub(crate) kind: Kind,
    pub(crate) stale: bool,
    /// How often the provider has sent it.
    pub(crate) sent: u32,
}

impl Post {
    /// The events in it.
    pub(crate) fn events(&self) -> Vec<NewEvent> {
        let numbers = (0..self.count).map(|n| u32::from(self.first) + u32::from(n));
        let doubled = (self.kind == Kind::Doubled).then_some(u32::from(self.first));
        numbers
            .chain(doubled)
            .map(|n| event(n, self.kind))
            .collect()
    }
}

/// The body of an event says its name.
pub(crate) fn body_of(name: &str) -> String {
    format!("{{\"id\":\"{name}\"")
}

pub(crate) fn event(number: u32, kind: Kind) -> NewEvent {
    let name = match kind {
        Kind::Test => format!("t{}", number % 3),
        _ => number.to_string(),
    };
    let mut body = body_of(&name).into_bytes();
    match kind {
        Kind::Conflict => body.extend_from_slice(b",\"again\":true}"),
        Kind::Large => {
            body.extend_from_slice(b",\"pad\":\"");
            body.resize(5_000, b'x');
            body.extend_from_slice(b"\"}");
        }
        _ => body.push(b'}'),
    }
    NewEvent {
        key: key(&name),
        body_sha256: key(&format!("{}{}", name, kind == Kind::Conflict)),
        name: None,
        object_id: Some(name),
        summary: Summary::default(),
        test: kind == Kind::Test,
        body,
        header_changes: Vec::new(),
    }
}

/// The dedupe key of a name: as good as a digest here, and quicker.
pub(crate) fn key(name: &str) -> DedupeKey {
    let number = name
        .bytes()
        .fold(7, |sum, byte| hash(&[sum, u64::from(byte)]));
    let mut key = [0; 32];
    for (at, eight) in key.chunks_mut(8).enumerate() {
        eight.copy_from_slice(&hash(&[number, at as u64]).to_be_bytes());
    }
    key
}
