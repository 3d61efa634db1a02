//! `/api/v1` and `/metrics`: the routes of operators. Reads the request, asks the objects, shows
//! what they say; what is acceptable is decided in the core.

mod events;
mod refused;
mod trial;

use crate::{
    answers, assets,
    body::{self, Body},
    configs,
    http::{Request, Response},
    log,
    objects::{self, CallError},
    station,
};
use tram_core::{
    cors,
    ids::{EventId, WebhookId},
    mailbox::jobs::JobKind,
    messages::{MailboxReply, MailboxRequest, RegistryReply, RegistryRequest, Reveal, Write},
    problem::{FieldError, Problem},
    query,
    registry::{self, view},
    token,
    webhook::Webhook,
};
use worker::{Context, Env};

/// What a sender hears whose body did not come to its end.
pub(crate) const BROKEN_OFF: &str = "The body ended early. Send the same request again.";
/// Bytes of an operator's request that are read.
const LONGEST_BODY: usize = 1_048_576;

type Answer = Result<Response, Failed>;

/// Why there is no answer from the route itself: what the operator is told.
struct Failed(Box<Problem>);

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<CallError> for Failed {
    fn from(error: CallError) -> Self {
        log::trouble(format_args!("management: {error}"));
        Problem::try_again(
            "An object of the station could not be reached. Send the same request again.",
        )
        .into()
    }
}

/// What operators' routes stand below.
pub(crate) const API: &str = "/api/v1";
/// The one that does not.
pub(crate) const METRICS: &str = "/metrics";

/// Answers a request to a path of operators'.
pub(crate) async fn handle(request: Request, env: &Env, context: &Context, path: &str) -> Response {
    let parts: Vec<&str> = match path.strip_prefix(API) {
        Some(route) => route.split('/').skip(1).collect(),
        // With its slash: no part of another route has one.
        None => vec![path],
    };
    let origins = station::variable(env, "MANAGEMENT_ORIGINS");
    let origin = request.head.headers.get("origin").map(str::to_owned);
    let asks = request
        .head
        .headers
        .get("access-control-request-method")
        .is_some();
    let cors = cors::judge(
        origins.as_deref(),
        &request.head.method,
        origin.as_deref(),
        asks,
    );
    let mut response = if cors.preflight {
        answers::text(204, "", String::new())
    } else {
        let mut manager = Manager {
            env,
            context,
            request,
        };
        match manager.route(&parts).await {
            Ok(response) => response,
            Err(Failed(problem)) => answers::problem(&problem),
        }
    };
    for (name, value) in cors.headers {
        response.headers.push(name, value);
    }
    response
}

struct Manager<'a> {
    env: &'a Env,
    context: &'a Context,
    request: Request,
}

impl Manager<'_> {
    async fn route(&mut self, parts: &[&str]) -> Answer {
        let method = self.request.head.method.clone();
        // What providers there are is no secret, nor what can be asked.
        if let ["providers" | "openapi.json"] = parts {
            if method != "GET" {
                return Err(Problem::method_not_allowed(&["GET"]).into());
            }
            query::none(self.query())?;
            let text = assets::text(self.env, &self.request.head.url).await?;
            return Ok(answers::json_text(200, text));
        }
        token::authorise(
            station::variable(self.env, "ADMIN_TOKEN").as_deref(),
            self.request.head.headers.get("authorization"),
        )?;
        match (method.as_str(), parts) {
            ("GET", ["webhooks"]) => self.list_webhooks().await,
            ("POST", ["webhooks"]) => self.create().await,
            ("DELETE", ["webhooks"]) => self.delete_by_url().await,
            ("GET", ["webhooks", id]) => self.one(RegistryRequest::Get(webhook_id(id)?), 200).await,
            ("PUT", ["webhooks", id]) => self.update(id).await,
            ("DELETE", ["webhooks", id]) => self.delete(id).await,
            ("PATCH", ["webhooks", id, "toggle"]) => {
                self.switch(RegistryRequest::Toggle(webhook_id(id)?)).await
            }
            ("GET", ["webhooks", id, "refusals"]) => self.why_refused(id, false).await,
            ("POST", ["webhooks", id, "explain"]) => self.why_refused(id, true).await,
            ("POST", ["webhooks", id, what @ ("pause" | "resume")]) => {
                let pauses = *what == "pause";
                self.switch(RegistryRequest::Pause(webhook_id(id)?, pauses))
                    .await
            }
            ("POST", ["webhooks", id, "rotate-secret"]) => self.rotate_secret(id).await,
            ("POST", ["webhooks", id, "test"]) => self.try_out(id).await,
            ("GET", ["stats"]) => self.stats(false).await,
            ("GET", [METRICS]) => self.stats(true).await,
            ("GET", ["events"]) => self.list_events().await,
            ("DELETE", ["events"]) => self.begin_job(JobKind::Delete).await,
            // Before the ids: they are none.
            ("POST", ["events", "resend"]) => self.begin_job(JobKind::Resend).await,
            ("POST", ["events", "cancel"]) => self.begin_job(JobKind::Cancel).await,
            (_, ["events", "resend" | "cancel"]) => {
                Err(Problem::method_not_allowed(&["POST"]).into())
            }
            ("GET", ["jobs", id]) => self.job(id).await,
            (_, ["jobs", _]) => Err(Problem::method_not_allowed(&["GET"]).into()),
            ("GET", ["events", id]) => self.event(id, MailboxRequest::Get).await,
            ("DELETE", ["events", id]) => self.event(id, MailboxRequest::Delete).await,
            ("POST", ["events", id, "cancel"]) => {
                self.nothing_said().await?;
                self.event(id, MailboxRequest::Cancel).await
            }
            ("POST", ["events", id, "resend"]) => self.resend(id).await,
            (_, ["webhooks"]) => {
                Err(Problem::method_not_allowed(&["GET", "POST", "DELETE"]).into())
            }
            (_, ["webhooks", _]) => {
                Err(Problem::method_not_allowed(&["GET", "PUT", "DELETE"]).into())
            }
            (_, ["webhooks", _, "toggle"]) => Err(Problem::method_not_allowed(&["PATCH"]).into()),
            (_, ["webhooks", _, "refusals"]) => Err(Problem::method_not_allowed(&["GET"]).into()),
            (_, ["events"]) => Err(Problem::method_not_allowed(&["GET", "DELETE"]).into()),
            (_, ["stats"] | [METRICS]) => Err(Problem::method_not_allowed(&["GET"]).into()),
            (_, ["events", _]) => Err(Problem::method_not_allowed(&["GET", "DELETE"]).into()),
            (
                _,
                [
                    "webhooks",
                    _,
                    "explain" | "pause" | "resume" | "rotate-secret" | "test",
                ]
                | ["events", _, "resend" | "cancel"],
            ) => Err(Problem::method_not_allowed(&["POST"]).into()),
            _ => Err(Problem::route_not_found().into()),
        }
    }

    async fn list_webhooks(&mut self) -> Answer {
        let (per_page, cursor) = query::list(self.query())?;
        match self
            .ask(&RegistryRequest::List { per_page, cursor })
            .await?
        {
            RegistryReply::Webhooks {
                webhooks,
                next_cursor,
            } => {
                let page = view::webhooks_json(&webhooks, &self.public_url(), next_cursor);
                Ok(answers::json_text(200, page))
            }
            other => Err(unexpected(other)),
        }
    }

    async fn create(&mut self) -> Answer {
        let write = self.write().await?;
        self.one(RegistryRequest::Create(write), 201).await
    }

    async fn update(&mut self, id: &str) -> Answer {
        let id = webhook_id(id)?;
        let write = self.write().await?;
        self.one(RegistryRequest::Update(id, write), 200).await
    }

    /// A change of which nothing can be said: whoever sends `is_active` to the switch
    /// means something else than to turn it over.
    async fn switch(&mut self, question: RegistryRequest) -> Answer {
        self.nothing_said().await?;
        self.one(question, 200).await
    }

    async fn nothing_said(&mut self) -> Result<(), Failed> {
        Ok(registry::no_fields(&self.write().await?.body)?)
    }

    async fn rotate_secret(&mut self, id: &str) -> Answer {
        let id = webhook_id(id)?;
        let body = self.write().await?.body;
        self.one(RegistryRequest::RotateSecret(id, body), 200).await
    }

    async fn delete(&mut self, id: &str) -> Answer {
        let id = webhook_id(id)?;
        query::none(self.query())?;
        match self.ask(&RegistryRequest::Delete(id)).await? {
            RegistryReply::Deleted(webhooks) => {
                self.forget(&webhooks);
                let webhook = webhooks.first().ok_or_else(Problem::webhook_not_found)?;
                let warnings = registry::warnings(webhook);
                let shown =
                    view::webhook(webhook, &self.public_url(), Reveal::default(), &warnings);
                Ok(answers::json_text(200, shown.to_json()))
            }
            other => Err(unexpected(other)),
        }
    }

    async fn delete_by_url(&mut self) -> Answer {
        let url = query::webhook_url(self.query())?;
        match self.ask(&RegistryRequest::DeleteByUrl(url)).await? {
            RegistryReply::Deleted(webhooks) => {
                self.forget(&webhooks);
                Ok(answers::json_text(
                    200,
                    view::deleted_json(&webhooks, &self.public_url()),
                ))
            }
            other => Err(unexpected(other)),
        }
    }

    fn forget(&self, webhooks: &[Webhook]) {
        for webhook in webhooks {
            configs::forget(self.env, self.context, &webhook.id);
        }
    }

    /// A request without parameters that is answered with one webhook.
    async fn one(&mut self, question: RegistryRequest, status: u16) -> Answer {
        query::none(self.query())?;
        let changes = !matches!(question, RegistryRequest::Get(_));
        match self.ask(&question).await? {
            RegistryReply::Webhook {
                webhook,
                reveal,
                warnings,
            } => {
                if changes {
                    configs::changed(self.env, self.context, &webhook);
                }
                let shown = view::webhook(&webhook, &self.public_url(), reveal, &warnings);
                Ok(answers::json_text(status, shown.to_json()))
            }
            other => Err(unexpected(other)),
        }
    }

    async fn ask(&self, question: &RegistryRequest) -> Result<RegistryReply, Failed> {
        Ok(objects::registry(self.env, question).await?)
    }

    async fn bytes(&mut self) -> Result<Vec<u8>, Failed> {
        match body::read(&self.request.raw, LONGEST_BODY).await {
            Body::Whole(bytes) => Ok(bytes),
            Body::TooLarge => Err(tram_core::receive::body_too_large(LONGEST_BODY).into()),
            Body::BrokenOff => Err(Problem::try_again(BROKEN_OFF).into()),
        }
    }

    async fn write(&mut self) -> Result<Write, Failed> {
        let station = station::station(self.env, Some(&self.request.head.url));
        let body = String::from_utf8(self.bytes().await?).map_err(|_| {
            Problem::invalid(vec![FieldError {
                pointer: String::new(),
                message: "is not UTF-8: send JSON".into(),
            }])
        })?;
        Ok(Write { body, station })
    }

    fn query(&self) -> &str {
        self.request.head.query()
    }

    fn public_url(&self) -> String {
        station::public_url(self.env, &self.request.head.url)
    }
}

fn webhook_id(text: &str) -> Result<WebhookId, Problem> {
    WebhookId::parse(text).ok_or_else(Problem::webhook_not_found)
}

fn event_id(text: &str) -> Result<EventId, Problem> {
    EventId::parse(text).ok_or_else(Problem::event_not_found)
}

/// An object's answer that is a problem, or makes no sense here.
trait Objection {
    fn problem(self) -> Problem;
}

impl Objection for RegistryReply {
    fn problem(self) -> Problem {
        match self {
            Self::NotFound => Problem::webhook_not_found(),
            Self::Invalid(mistakes) => {
                Problem::invalid(mistakes.into_iter().map(FieldError::from).collect())
            }
            Self::TooMany => Problem::too_many_jobs(),
            Self::Webhook { .. }
            | Self::Webhooks { .. }
            | Self::Deleted(_)
            | Self::Done
            | Self::Shards { .. }
            | Self::Figures(_)
            | Self::Job(_) => senseless(),
        }
    }
}

impl Objection for MailboxReply {
    fn problem(self) -> Problem {
        senseless()
    }
}

fn unexpected(reply: impl Objection) -> Failed {
    reply.problem().into()
}

fn senseless() -> Problem {
    Problem::try_again(
        "The station gave itself an answer it did not expect, as may happen for a moment during a deploy. Send the same request again.",
    )
}
