//! Drives the built Worker in the real runtime from outside, as providers,
//! operators and origins do.
//!
//! A [`Station`] is `wrangler dev` with its own port, state and variables; an
//! [`Origin`] is a server that records what is relayed to it and answers as it is
//! told; a [`Client`] speaks HTTP without following, normalising or mending
//! anything. Nothing here knows the code under test but by its contract.
//!
//! Tests share one station per test binary ([`Station::shared`]), each with a
//! webhook of its own; a test that kills its station, or needs other variables,
//! starts one for itself. Unix only: stations are killed by process group.

mod api;
mod casso;
mod client;
mod disk;
mod fake_kv;
mod fate;
mod gate;
mod http;
mod memory;
mod openapi;
mod origin;
mod pasting;
mod project;
mod reply;
mod sender;
mod signature;
mod station;
mod wait;
mod watchdog;

pub use api::{Webhook, attempts_to, each_attempt, millis, waits};
pub use casso::{casso, casso_body, transaction};
pub use client::{Answer, Client, Connection};
pub use disk::{DatabaseCopy, StoredObject};
pub use fake_kv::{Call, FakeKv};
pub use fate::{Becomes, Fate};
pub use gate::Gate;
pub use openapi::{description, methods};
pub use origin::{Origin, Received};
pub use pasting::{is_there, paste, shell_blocks};
pub use project::{node, root as project_root, script};
pub use reply::Reply;
pub use sender::{github_signature, hex, hmac_sha256, now, sepay_signature, standard_webhooks};
pub use signature::{assert_signed, is_signed_by};
pub use station::{ADMIN_TOKEN, Builder, ELSEWHERE, Shared, Station};
pub use wait::{PATIENCE, wait_until};
