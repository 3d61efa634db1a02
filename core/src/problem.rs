//! What goes wrong, in the two voices of RFC 9457: a stable `code` for machines
//! and a `detail` for people that says how to mend it.

use crate::own_json;
use serde::Serialize;

/// One mistake in what was sent, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON pointer into the body (RFC 6901), or `?name` for a query parameter.
    pub pointer: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

/// An RFC 9457 problem and the HTTP answer that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// Stable machine-readable code.
    pub code: &'static str,
    /// Short and the same for every problem of this code.
    pub title: &'static str,
    /// What is wrong here and how to mend it. Never holds a secret.
    pub detail: String,
    /// Every mistake found, for `422`.
    pub errors: Vec<FieldError>,
    /// Header fields of the answer besides `content-type`.
    pub headers: Vec<(&'static str, String)>,
}

impl Problem {
    /// A problem of its own; the constructors below name the usual ones.
    #[must_use]
    pub fn new(
        status: u16,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            title,
            detail: detail.into(),
            errors: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Adds a header field to the answer.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// 422: something sent is not acceptable; each mistake has its pointer.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] if one.pointer.is_empty() => ["the body ", &one.message].concat(),
            [one] => [one.pointer.as_str(), ": ", &one.message].concat(),
            many => format!("{} mistakes; see errors", many.len()),
        };
        Self {
            errors,
            ..Self::new(
                422,
                "invalid",
                "Some of what was sent cannot be accepted",
                detail,
            )
        }
    }

    /// 404 for an unknown or malformed webhook id.
    #[must_use]
    pub fn webhook_not_found() -> Self {
        Self::new(
            404,
            "webhook_not_found",
            "No such webhook",
            "There is no webhook with this id. Check the address that was pasted at the provider.",
        )
    }

    /// 404 for an unknown or malformed event id.
    #[must_use]
    pub fn event_not_found() -> Self {
        Self::new(
            404,
            "event_not_found",
            "No such event",
            "There is no event with this id; it may have been deleted or its memory has ended.",
        )
    }

    /// 409: there is nothing to send again.
    #[must_use]
    pub fn payload_gone() -> Self {
        Self::new(
            409,
            "payload_gone",
            "The payload is not kept any more",
            "It was removed after `retention_days`, so it cannot be sent again. The event itself is remembered till the end of `dedupe_days`.",
        )
    }

    /// 404 for a job.
    #[must_use]
    pub fn job_not_found() -> Self {
        Self::new(
            404,
            "job_not_found",
            "No such job",
            "There is no job with this id. The last thousand are remembered.",
        )
    }

    /// 503 with `Retry-After`: too many jobs are under way.
    #[must_use]
    pub fn too_many_jobs() -> Self {
        Self::try_again(
            "50 jobs are under way. Send the same request again when one of them is done.",
        )
    }

    /// 404 for a path that is not a route.
    #[must_use]
    pub fn route_not_found() -> Self {
        Self::new(
            404,
            "route_not_found",
            "No such route",
            "Webhooks are received at /in/{webhook_id}; management is under /api/v1.",
        )
    }

    /// 405 with the methods that are taken.
    #[must_use]
    pub fn method_not_allowed(allow: &[&str]) -> Self {
        let allow = allow.join(", ");
        Self::new(
            405,
            "method_not_allowed",
            "This method is not taken here",
            format!("Use {allow}."),
        )
        .with_header("allow", allow)
    }

    /// 503 with `Retry-After`: nothing was taken; the sender should try again.
    #[must_use]
    pub fn try_again(detail: impl Into<String>) -> Self {
        Self::new(503, "try_again", "Try again", detail).with_header("retry-after", "5")
    }

    /// The body, `application/problem+json`.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Body<'a> {
            r#type: String,
            title: &'a str,
            status: u16,
            code: &'a str,
            detail: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            errors: &'a [FieldError],
        }
        let body = Body {
            r#type: format!("urn:tram:problem:{}", self.code),
            title: self.title,
            status: self.status,
            code: self.code,
            detail: &self.detail,
            errors: &self.errors,
        };
        // Strings and numbers always serialise.
        own_json::write(&body).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_the_fields_of_rfc_9457() {
        let problem = Problem::invalid(vec![FieldError {
            pointer: "/webhook_url".into(),
            message: "is missing".into(),
        }]);
        let body: serde_json::Value = serde_json::from_str(&problem.to_json()).unwrap();
        assert_eq!(body["type"], "urn:tram:problem:invalid");
        assert_eq!(body["status"], 422);
        assert_eq!(body["errors"][0]["pointer"], "/webhook_url");
        assert_eq!(body["detail"], "/webhook_url: is missing");
        let root = Problem::invalid(vec![FieldError {
            pointer: String::new(),
            message: "is not JSON".into(),
        }]);
        assert_eq!(root.detail, "the body is not JSON");
        assert!(
            serde_json::from_str::<serde_json::Value>(&Problem::webhook_not_found().to_json())
                .unwrap()
                .get("errors")
                .is_none()
        );
    }
}
