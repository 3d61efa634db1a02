//! Refused requests are kept for the operator, beside the answer. The core decides which
//! of them, when they are written, and what of them is shown.

use crate::{
    clock, join, log,
    objects::{self, CallError},
    rounds,
};
use std::{cell::RefCell, rc::Rc, time::Duration};
use tram_core::{
    inbound::{Inbound, Refusal},
    messages::{MailboxReply, MailboxRequest},
    problem::Problem,
    receive::Coding,
    refusals::{self, Judged, Objection, Refused, gather::Gathering},
    time::Timestamp,
    webhook::Webhook,
};
use worker::{Context, Delay, Env};

/// Which shard of a webhook keeps them.
pub(crate) const SHARD: u8 = 0;

thread_local! {
    static GATHERING: RefCell<Gathering> = const { RefCell::new(Gathering::new()) };
}

/// A request, as far as it has been looked at.
#[derive(Default)]
pub(crate) struct Seen {
    /// Whose request it is, as it was last judged.
    pub(crate) webhook: Option<Rc<Webhook>>,
    pub(crate) inbound: Inbound,
    pub(crate) body_was_read: bool,
    /// How its body is encoded, until it was tried to be decoded.
    pub(crate) codings: Vec<Coding>,
    /// Why its sender is not proven.
    pub(crate) refusal: Option<Refusal>,
}

/// Keeps a request that was answered with this problem, if it is one to keep.
pub(crate) fn keep(env: &Env, context: &Context, seen: Seen, problem: &Problem, at: Timestamp) {
    let Some(webhook) = seen.webhook.filter(|_| refusals::is_kept(problem)) else {
        return;
    };
    if !GATHERING.with_borrow_mut(|all| all.admit(webhook.id, at)) {
        return;
    }
    // What is kept there is pruned when its time comes.
    rounds::note(env, context, &webhook.id, SHARD);
    let problem = problem.clone();
    let env = env.clone();
    join::aside(context, async move {
        // What follows can take long, and the sender has waited enough: a turn of the
        // event loop later its answer is out.
        Delay::from(Duration::ZERO).await;
        let objection = match seen.refusal {
            Some(refusal) => Objection::Unproven(refusal),
            None => Objection::Problem(&problem),
        };
        let refused = Judged {
            webhook: &webhook,
            inbound: &seen.inbound,
            body_was_read: seen.body_was_read,
            at,
        }
        .refused(objection);
        drop(seen.inbound);
        let wait = GATHERING.with_borrow_mut(|all| all.add(webhook.id, at, refused));
        let Some(wait) = wait else { return };
        if !wait.is_zero() {
            Delay::from(wait).await;
        }
        flush(&env, &webhook).await;
    });
}

/// Writes what this isolate still holds back of a webhook's refusals. What cannot be
/// written is let go: it is no more than a sample.
pub(crate) async fn flush(env: &Env, webhook: &Webhook) {
    let refused = GATHERING.with_borrow_mut(|all| all.take(webhook.id, clock::now()));
    if refused.is_empty() {
        return;
    }
    if let Err(error) = write(env, webhook, refused).await {
        log::trouble(format_args!("refusals of {} not kept: {error}", webhook.id));
    }
}

async fn write(env: &Env, webhook: &Webhook, refused: Vec<Refused>) -> Result<(), CallError> {
    let request = MailboxRequest::Refused(refused);
    // The second time it has its configuration.
    for _ in 0..2 {
        match objects::mailbox(env, &webhook.id, SHARD, &request).await? {
            MailboxReply::Unconfigured => objects::configure(env, webhook, SHARD).await?,
            _ => break,
        }
    }
    Ok(())
}
