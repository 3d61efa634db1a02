//! What the Worker and its objects say to each other.

use crate::{
    messages::{
        Accept, AcceptReply, MailboxReply, MailboxRequest, RegistryReply, RegistryRequest,
        from_bytes, to_bytes,
    },
    webhook::{Retry, Webhook},
};
use serde::{Serialize, de::DeserializeOwned};

/// Bytes as any of the messages, and a webhook as it is stored. What is understood
/// is said the same again.
pub fn messages(data: &[u8]) {
    if let Ok(accept) = Accept::from_bytes(data) {
        let bytes = accept.to_bytes().expect("what was read can be written");
        assert_eq!(Accept::from_bytes(&bytes), Ok(accept));
        let cut = bytes.len().saturating_sub(1);
        let cut = bytes.get(..cut).unwrap_or_default();
        assert!(Accept::from_bytes(cut).is_err(), "cut short");
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(Accept::from_bytes(&longer).is_err(), "something follows");
    }
    said_again::<AcceptReply>(data, |_| Vec::new());
    said_again::<MailboxRequest>(data, |request| match request {
        MailboxRequest::Configure { webhook, .. } => vec![webhook],
        _ => Vec::new(),
    });
    said_again::<MailboxReply>(data, |_| Vec::new());
    said_again::<RegistryRequest>(data, |_| Vec::new());
    said_again::<RegistryReply>(data, |reply| match reply {
        RegistryReply::Webhook { webhook, .. } => vec![webhook],
        RegistryReply::Webhooks { webhooks, .. } | RegistryReply::Deleted(webhooks) => {
            webhooks.iter().collect()
        }
        _ => Vec::new(),
    });
    if let Ok(webhook) = serde_json::from_slice::<Webhook>(data) {
        let stored = serde_json::to_vec(&webhook).expect("a webhook can be stored");
        let again: Webhook = serde_json::from_slice(&stored).expect("what is stored can be read");
        assert!(again == webhook || !is_exact(&webhook), "{webhook:?}");
    }
}

/// Whether the waits of a webhook's schedule are read as they were written. With many
/// digits or a large exponent serde_json is off by the last bit, now and then, on
/// which nothing depends.
pub(super) fn is_exact(webhook: &Webhook) -> bool {
    let written = serde_json::to_vec(&webhook.retry).expect("a schedule can be written");
    serde_json::from_slice::<Retry>(&written).is_ok_and(|read| read == webhook.retry)
}

fn said_again<T: Serialize + DeserializeOwned>(
    data: &[u8],
    webhooks: impl Fn(&T) -> Vec<&Webhook>,
) {
    let Ok(message) = from_bytes::<T>(data) else {
        return;
    };
    let bytes = to_bytes(&message).expect("what was read can be written");
    let again: T = from_bytes(&bytes).expect("what was written can be read");
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(from_bytes::<T>(&longer).is_err(), "something follows");
    if webhooks(&message).into_iter().all(is_exact) {
        assert_eq!(to_bytes(&again), Ok(bytes), "said otherwise");
    }
}
