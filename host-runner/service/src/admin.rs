//! What is for the operator alone: `/metrics` and `/healthz`, at an address of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;

use crate::metrics::Metrics;

/// What the operator can ask for.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) metrics: Arc<Metrics>,
    /// Whether requests are accepted.
    pub(crate) serves: Arc<AtomicBool>,
}

impl Admin {
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(health))
            .with_state(self)
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], admin.metrics.text())
}

async fn health(State(admin): State<Admin>) -> (StatusCode, &'static str) {
    match admin.serves.load(Ordering::Relaxed) {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not serving\n"),
    }
}
