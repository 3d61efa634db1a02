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

use body::Body;
use http::{Head, Request, Response};
use tram_core::{own_json, problem::Problem, token};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use worker::{Context, Env, web_sys, worker_sys};

/// The body of `GET /healthz`, but for the last brace.
const HEALTHY: &str = concat!(
    r#"{"status":"ok","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#"""#
);

// What the SDK's `event` writes, without its requests, answers and errors.
/// Every request that reaches the Worker: its answer, or a promise of that. `entry.js` has
/// written its head, and read its body where [`ahead`] says so.
///
/// # Errors
/// None, for all that is known: what cannot be done is answered with a problem.
#[wasm_bindgen]
pub fn fetch(
    request: web_sys::Request,
    env: Env,
    context: worker_sys::Context,
    head: &str,
    body: Option<Vec<u8>>,
    known: u8,
    came: f64,
) -> Result<JsValue, JsValue> {
    let request = Request {
        raw: request,
        head: Head::read(head),
        body: Body::ahead(body, known),
        came: clock::read(came),
    };
    join::begin(Box::pin(async move {
        let is_whole = matches!(request.body, Some(Body::Whole(_)));
        let undrained = (!is_whole).then(|| Clone::clone(&request.raw));
        let response = answer(request, &env, &Context::new(context)).await;
        if let Some(raw) = undrained {
            body::drain(raw).await;
        }
        let made = response.into_runtime().or_else(|trouble| {
            log::trouble(format_args!("an answer could not be made: {trouble}"));
            http::message(Err(()))
        });
        Ok(made?.into())
    }))
}

/// How many bytes of a request's body are to be read before [`fetch`] is called; 0 when it
/// is not to be read yet. `hops` is what its head says of them.
#[wasm_bindgen]
pub fn ahead(env: &JsValue, method: &str, url: &str, hops: Option<String>) -> u32 {
    let limit = receive::ahead(env.unchecked_ref(), method, url, hops);
    limit.and_then(|limit| limit.try_into().ok()).unwrap_or(0)
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
    station::tell_of_wrong_variables(env);
    let path = request.head.path().to_owned();
    if let Some(id) = path.strip_prefix(receive::PATH) {
        return receive::handle(request, env, context, id).await;
    }
    let is_managed = match path.strip_prefix(manage::API) {
        Some(route) => route.is_empty() || route.starts_with('/'),
        None => path == manage::METRICS,
    };
    if is_managed {
        return manage::handle(request, env, context, &path).await;
    }
    match (path.as_str(), request.head.method.as_str()) {
        ("/healthz", "GET" | "HEAD") => health(&request.head, env),
        ("/healthz", _) => answers::problem(&Problem::method_not_allowed(&["GET", "HEAD"])),
        _ => answers::problem(&Problem::route_not_found()),
    }
}

/// That it is alive; with `?details`, for operators, what is wrong with how it is set up.
fn health(head: &Head, env: &Env) -> Response {
    let mut names = head
        .query()
        .split('&')
        .filter_map(|one| one.split('=').next());
    if !names.any(|name| name == "details") {
        return answers::json_text(200, [HEALTHY, "}"].concat());
    }
    let tokens = station::variable(env, "ADMIN_TOKEN");
    if let Err(problem) = token::authorise(tokens.as_deref(), head.headers.get("authorization")) {
        return answers::problem(&problem);
    }
    match own_json::write(&station::wrong_variables(env)) {
        Ok(warnings) => {
            let body = [HEALTHY, ",\"warnings\":", &warnings, "}"].concat();
            answers::json_text(200, body)
        }
        Err(_) => answers::problem(&Problem::try_again("What is wrong could not be written.")),
    }
}
