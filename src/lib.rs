//! The edge: routes, Durable Objects, outbound requests. Thin: what can be
//! decided is decided in `tram-core`.

use worker::{Context, Env, Request, Response, Result, event};

/// Every request that reaches the Worker.
///
/// # Errors
/// When the runtime cannot build a response.
#[event(fetch)]
pub async fn fetch(_request: Request, _env: Env, _context: Context) -> Result<Response> {
    Response::ok("tram")
}
