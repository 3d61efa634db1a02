//! Calling the objects: bytes there, bytes back, tried again once where the
//! platform says that helps.

use crate::thrown::Thrown;
use serde::{Serialize, de::DeserializeOwned};
use tram_core::{
    ids::WebhookId,
    messages::{
        self, Accept, AcceptReply, MailboxReply, MailboxRequest, NotUnderstood, RegistryReply,
        RegistryRequest,
    },
    webhook::Webhook,
};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use worker::{
    Env,
    js_sys::{Promise, Uint8Array, futures::JsFuture},
};

/// The route of an accept that goes alone.
pub(crate) const ACCEPT: &str = "/accept";
/// The route of several accepts at once, each of another request: framed by
/// [`messages::push_frame`], as the answers are. One that failed is answered with no bytes.
pub(crate) const ACCEPTS: &str = "/accepts";
/// The route of an accept that tries a webhook out.
pub(crate) const TRIAL: &str = "/trial";
/// No glance at KV.
pub(crate) const NO_GLANCE: (&str, &str) = ("", "");
/// The route of everything else.
pub(crate) const ASK: &str = "/ask";

/// Why an object did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The platform could not reach it, or it failed.
    #[error("the object could not be reached: {0}")]
    Unreachable(#[from] Thrown),
    /// It answered that it failed.
    #[error("the object failed with status {0}")]
    Failed(u16),
    /// Its answer was not understood.
    #[error("the object's answer was not understood: {0}")]
    Garbled(NotUnderstood),
}

/// The name of the object that is this shard.
fn mailbox_name(webhook: &WebhookId, shard: u8) -> String {
    format!("{webhook}/{shard}")
}

/// Puts the events of one request into a shard: by the route [`ACCEPT`] or [`TRIAL`].
/// With a `glance`, a key and a value, `None` when the value stands under the key in KV
/// before the shard has answered.
pub(crate) async fn accept(
    env: &Env,
    webhook: &WebhookId,
    shard: u8,
    route: &str,
    accept: &Accept,
    glance: (&str, &str),
) -> Result<Option<AcceptReply>, CallError> {
    let name = mailbox_name(webhook, shard);
    let bytes = accept.to_bytes().map_err(CallError::Garbled)?;
    let sending = send_accept(
        env,
        &name,
        route,
        bytes.as_slice().into(),
        glance.0,
        glance.1,
    );
    let answer = JsFuture::from(sending).await.map_err(Thrown::from)?;
    if answer.is_null() {
        return Ok(None);
    }
    understood(&bytes_of(answer)?).map(Some)
}

/// Asks a shard something else.
pub(crate) async fn mailbox(
    env: &Env,
    webhook: &WebhookId,
    shard: u8,
    request: &MailboxRequest,
) -> Result<MailboxReply, CallError> {
    ask(env, "MAILBOX", &mailbox_name(webhook, shard), request).await
}

/// Tells a shard its configuration.
pub(crate) async fn configure(env: &Env, webhook: &Webhook, shard: u8) -> Result<(), CallError> {
    let request = MailboxRequest::Configure {
        webhook: Box::new(webhook.clone()),
        shard,
    };
    match mailbox(env, &webhook.id, shard, &request).await? {
        MailboxReply::Done => Ok(()),
        _ => Err(CallError::Garbled(NotUnderstood)),
    }
}

/// Asks the Registry.
pub(crate) async fn registry(
    env: &Env,
    request: &RegistryRequest,
) -> Result<RegistryReply, CallError> {
    ask(env, "REGISTRY", "registry", request).await
}

async fn ask<Q: Serialize, A: DeserializeOwned>(
    env: &Env,
    binding: &str,
    name: &str,
    question: &Q,
) -> Result<A, CallError> {
    let question = messages::to_bytes(question).map_err(CallError::Garbled)?;
    understood(&call(env, binding, name, ASK, &question).await?)
}

fn understood<A: DeserializeOwned>(answer: &[u8]) -> Result<A, CallError> {
    messages::from_bytes(answer).map_err(CallError::Garbled)
}

#[wasm_bindgen(module = "/src/objects.js")]
extern "C" {
    /// See there.
    #[wasm_bindgen(js_name = call)]
    fn send(env: &Env, binding: &str, name: &str, path: &str, bytes: Uint8Array) -> Promise;

    /// See there.
    #[wasm_bindgen(js_name = accept)]
    fn send_accept(
        env: &Env,
        name: &str,
        path: &str,
        bytes: Uint8Array,
        key: &str,
        value: &str,
    ) -> Promise;
}

async fn call(
    env: &Env,
    binding: &str,
    name: &str,
    path: &str,
    bytes: &[u8],
) -> Result<Vec<u8>, CallError> {
    let sending = send(env, binding, name, path, Uint8Array::from(bytes));
    bytes_of(JsFuture::from(sending).await.map_err(Thrown::from)?)
}

fn bytes_of(answer: JsValue) -> Result<Vec<u8>, CallError> {
    match answer.dyn_into::<Uint8Array>() {
        Ok(bytes) => Ok(bytes.to_vec()),
        Err(status) => Err(CallError::Failed(status_of(&status))),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a status has three digits"
)]
fn status_of(number: &JsValue) -> u16 {
    number.as_f64().unwrap_or_default() as u16
}
