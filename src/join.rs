//! Several things at once, and things beside an answer. One loop for all kinds of them: the
//! library's would be compiled again for each, queue and all, and here they are a few dozen
//! at most.

use futures_util::task::AtomicWaker;
use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};
use wasm_bindgen::JsValue;
use worker::js_sys::futures::future_to_promise;

/// One of several things.
pub(crate) type Part<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What each of `works` comes to, in their order.
pub(crate) async fn all<W>(works: impl IntoIterator<Item = W>) -> Vec<W::Output>
where
    W: Future,
{
    let ends: RefCell<Vec<Option<W::Output>>> = RefCell::default();
    let mut parts: Vec<Part<'_, ()>> = Vec::new();
    for (place, work) in works.into_iter().enumerate() {
        ends.borrow_mut().push(None);
        let ends = &ends;
        parts.push(Box::pin(async move {
            let end = work.await;
            if let Some(slot) = ends.borrow_mut().get_mut(place) {
                *slot = Some(end);
            }
        }));
    }
    finish(parts).await;
    ends.into_inner().into_iter().flatten().collect()
}

async fn finish(mut parts: Vec<Part<'_, ()>>) {
    poll_fn(|context| {
        parts.retain_mut(|part| part.as_mut().poll(context).is_pending());
        if parts.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// What those of `parts` come to that have ended, which are taken out of them.
pub(crate) fn ended<T>(parts: &mut Vec<Part<'_, T>>, context: &mut Context<'_>) -> Vec<T> {
    let mut ends = Vec::new();
    parts.retain_mut(|part| match part.as_mut().poll(context) {
        Poll::Ready(end) => {
            ends.push(end);
            false
        }
        Poll::Pending => true,
    });
    ends
}

/// Begins `work` at once: what it comes to, when it has to wait for nothing, or else a
/// promise of that.
///
/// # Errors
/// What `work` comes to.
pub(crate) fn begin(mut work: Part<'static, Result<JsValue, JsValue>>) -> Result<JsValue, JsValue> {
    let waiting = Arc::new(Waiting::default());
    let waker = Waker::from(waiting.clone());
    if let Poll::Ready(end) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
        return end;
    }
    let rest = poll_fn(move |context| {
        waiting.0.register(context.waker());
        work.as_mut().poll(&mut Context::from_waker(&waker))
    });
    Ok(future_to_promise(rest).into())
}

/// Wakes what was begun, by whatever polls it now: some keep the waker that they were
/// polled with first, when nothing was there yet to be woken.
#[derive(Default)]
struct Waiting(AtomicWaker);

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }
}

/// Has `work` done beside the answer, and after it.
pub(crate) fn aside(context: &worker::Context, work: impl Future<Output = ()> + 'static) {
    // Boxed: for each kind of work the SDK would be compiled again.
    let work: Part<'static, ()> = Box::pin(work);
    context.wait_until(work);
}
