//! The edge: routes, Durable Objects, outbound requests. Thin: what can be
//! decided is decided in `tram-core`.

mod answers;
mod assets;
mod body;
mod clock;
mod configs;
mod database;
mod glance;
mod http;
mod join;
mod kv;
mod log;
mod mailbox_object;
mod manage;
mod objects;
mod outbound;
mod receive;
mod refusals;
mod registry_object;
mod rounds;
mod signal;
mod station;
mod tallies;
mod thrown;

pub use mailbox_object::Mailbox;
pub use registry_object::Registry;

use http::{Request, Response};
use tram_core::problem::Problem;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{Context, Env, web_sys, worker_sys};

/// The body of `GET /healthz`.
const HEALTHY: &str = concat!(
    r#"{"status":"ok","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}"#
);

// What the SDK's `event` writes, without its requests, answers and errors.
/// Every request that reaches the Worker.
///
/// # Errors
/// None, for all that is known: what cannot be done is answered with a problem.
#[wasm_bindgen(wasm_bindgen_futures = worker::wasm_bindgen_futures, js_sys = worker::js_sys)]
pub async fn fetch(
    request: web_sys::Request,
    env: Env,
    context: worker_sys::Context,
) -> Result<web_sys::Response, JsValue> {
    let raw = Clone::clone(&request);
    let response = answer(request.into(), &env, &Context::new(context)).await;
    body::drain(raw).await;
    response.into_runtime().or_else(|trouble| {
        log::trouble(format_args!("an answer could not be made: {trouble}"));
        http::message(Err(()))
    })
}

/// The Cron Trigger, every hour.
#[wasm_bindgen(wasm_bindgen_futures = worker::wasm_bindgen_futures, js_sys = worker::js_sys)]
pub async fn scheduled(
    _event: worker_sys::ScheduledEvent,
    env: Env,
    _context: worker_sys::ScheduleContext,
) {
    rounds::make(&env).await;
}

async fn answer(request: Request, env: &Env, context: &Context) -> Response {
    let path = request.path().to_owned();
    if let Some(id) = path.strip_prefix("/in/") {
        return receive::handle(request, env, context, id).await;
    }
    let is_managed = match path.strip_prefix(manage::API) {
        Some(route) => route.is_empty() || route.starts_with('/'),
        None => path == manage::METRICS,
    };
    if is_managed {
        return manage::handle(request, env, context, &path).await;
    }
    match (path.as_str(), request.method.as_str()) {
        ("/healthz", "GET" | "HEAD") => answers::json_text(200, HEALTHY.to_owned()),
        ("/healthz", _) => answers::problem(&Problem::method_not_allowed(&["GET", "HEAD"])),
        _ => answers::problem(&Problem::route_not_found()),
    }
}
