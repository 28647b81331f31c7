//! Responses that are no handler's.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use wasisocket_host::Limit;
use wasisocket_python::{End, SandboxError};
use wasmtime::Error;

/// Why a request has no response of the handler.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    text: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { status, text }
    }

    /// The handler failed.
    pub(crate) fn handler(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, format!("the handler {what}"))
    }

    /// The handler reached a limit.
    pub(crate) fn limit(limit: Limit) -> Self {
        let text = format!("the handler reached its limit {limit}");
        Self::new(StatusCode::GATEWAY_TIMEOUT, text)
    }

    /// The guest of a handler ended.
    pub(crate) fn ended(end: &End) -> Self {
        match end {
            End::Exit(status) => Self::handler(format_args!("ended with status {status}")),
            End::Limit(limit) => Self::limit(*limit),
            _ => Self::handler("trapped"),
        }
    }

    /// The service is at fault, and its log has the reason.
    pub(crate) fn service(error: &Error) -> Self {
        tracing::error!("{error:#}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the service failed")
    }

    pub(crate) fn of(error: &SandboxError) -> Self {
        match error {
            SandboxError::Limit { limit, .. } => Self::limit(*limit),
            SandboxError::Ended { end, .. } => Self::ended(end),
            SandboxError::Host(error) => Self::service(error),
            error => Self::service(&Error::msg(error.to_string())),
        }
    }

    pub(crate) fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.text + "\n"));
        *response.status_mut() = self.status;
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let soon = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        response
    }
}
