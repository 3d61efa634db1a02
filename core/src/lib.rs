//! Everything Trạm decides, without a clock, randomness or I/O.
//!
//! A request comes in as [`inbound::Inbound`], is proven by [`providers`], becomes
//! [`event::NewEvent`]s, is stored and driven by the [`mailbox`], and leaves as
//! [`relay`] says. What operators configure is [`webhook::Webhook`], kept by the
//! [`registry`].

pub mod alert;
pub mod allowance;
mod base64;
pub mod canonical_json;
pub mod config_cache;
pub mod cors;
pub mod database;
mod debug;
pub mod delivery;
pub mod destination_url;
pub mod event;
pub mod explain;
pub mod few;
pub mod filter;
pub mod form;
pub mod headers;
pub mod ids;
pub mod inbound;
pub mod json;
pub mod log;
pub mod mailbox;
pub mod messages;
#[cfg(test)]
mod openapi;
pub mod own_json;
pub mod problem;
pub mod providers;
pub mod query;
pub mod receive;
pub mod refusals;
pub mod registry;
pub mod relay;
pub mod request_url;
pub mod retry;
pub mod search;
pub mod secret;
pub mod signature;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod token;
pub mod variables;
pub mod webhook;
#[cfg(test)]
mod work;
