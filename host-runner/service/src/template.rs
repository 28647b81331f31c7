//! The guest in which a tenant's handler is imported. Each request is answered in a copy of it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Response;
use tokio::sync::Mutex;
use tokio::time::timeout;
use wasisocket_host::{Event, Limit};
use wasisocket_python::{Outcome, Program, Python, Sandbox, SandboxError, Value};

use crate::metrics::{Counted, Metrics, TenantMetrics};
use crate::places::Place;
use crate::refusal::Refusal;
use crate::wsgi;

/// Most bytes that are logged of a guest's standard output, of its standard error, and of what it was denied.
const OUTPUT_MAX: usize = 64 << 10;

/// Logs and counts what the guests of a tenant do.
pub(crate) struct Observer {
    pub(crate) tenant: String,
    pub(crate) counts: TenantMetrics,
    pub(crate) metrics: Arc<Metrics>,
}

/// A guest at rest that has imported the handler.
pub(crate) struct Template {
    sandbox: Mutex<Sandbox>,
    /// How long a request may wait for a copy.
    patience: Duration,
    observer: Arc<Observer>,
    _counted: Counted,
    _place: Place,
}

impl Template {
    /// Starts a guest, which imports its handler.
    ///
    /// # Errors
    /// Importing it failed, or reached a limit.
    pub(crate) async fn import(
        python: Python,
        program: Program,
        patience: Duration,
        observer: Arc<Observer>,
        place: Place,
    ) -> Result<Self, Refusal> {
        let counts = Arc::clone(&observer);
        let builder = Sandbox::builder(program)
            .max_output(OUTPUT_MAX)
            .on_event(move |event| counts.count(event));
        let sandbox = builder.open_async(&python).await;
        let mut sandbox = sandbox.map_err(|error| Refusal::service(&error))?;
        let ran = sandbox.run_async(wsgi::CODE, wsgi::CODE_NAME).await;
        if observer.outcome(ran)?.error.is_some() {
            return Err(Refusal::handler("cannot be imported"));
        }
        Ok(Self {
            sandbox: Mutex::new(sandbox),
            patience,
            _counted: Counted::one(&observer.metrics.templates),
            observer,
            _place: place,
        })
    }

    /// Answers a request in a copy.
    ///
    /// # Errors
    /// The handler failed or reached a limit, or there is no copy.
    pub(crate) async fn respond(
        self: Arc<Self>,
        environ: Value,
        body: Bytes,
    ) -> Result<Response<Bytes>, Refusal> {
        let observer = Arc::clone(&self.observer);
        let _counted = Counted::one(&observer.metrics.guests);
        // Code of the handler runs in a copy before it is called, such as another `random.seed`.
        let copy = timeout(self.patience, async {
            self.sandbox.lock().await.fork_async().await
        });
        let copy = copy.await.map_err(|_| Refusal::limit(Limit::Timeout))?;
        let mut guest = copy.map_err(|error| observer.not_copied(&error))?;
        drop(self);
        let body = Vec::from(body);
        let called = guest.call_async(wsgi::RESPOND, [environ, body.into()], []);
        match observer.outcome(called.await) {
            Ok(Outcome { error: Some(_), .. }) => Err(Refusal::handler("raised an exception")),
            // Nothing is awaited in between: a guest may return more than a response can have.
            Ok(outcome) => wsgi::response(outcome.value)
                .map_err(|error| Refusal::handler(format_args!("returned no response: {error:#}"))),
            Err(refusal) => Err(refusal),
        }
    }
}

impl Observer {
    fn not_copied(&self, error: &SandboxError) -> Refusal {
        let SandboxError::Host(error) = error else {
            return Refusal::of(error);
        };
        let text = format!("{error:#}");
        tracing::warn!(tenant = self.tenant, "no copy: {}", text.escape_debug());
        Refusal::handler("cannot be copied")
    }

    /// Logs what a guest did.
    ///
    /// # Errors
    /// The guest ended.
    fn outcome(&self, run: Result<Outcome, SandboxError>) -> Result<Outcome, Refusal> {
        match run {
            Ok(outcome) => {
                self.log(&outcome);
                Ok(outcome)
            }
            Err(error) => {
                let text = error.to_string();
                // The lines that follow say where in C.
                let text = text.lines().next().unwrap_or_default();
                tracing::info!(tenant = self.tenant, "{}", text.escape_debug());
                if let SandboxError::Limit { outcome, .. } | SandboxError::Ended { outcome, .. } =
                    &error
                {
                    self.log(outcome);
                }
                Err(Refusal::of(&error))
            }
        }
    }

    fn log(&self, outcome: &Outcome) {
        let tenant = self.tenant.as_str();
        let error = outcome.error.as_ref();
        let traceback = error.map_or("", |error| &error.traceback);
        let traceback = &traceback[..traceback.floor_char_boundary(OUTPUT_MAX)];
        let written = [&outcome.stdout, &outcome.stderr].map(|text| String::from_utf8_lossy(text));
        for text in [&written[0], &written[1], traceback] {
            for line in text.lines() {
                // The guest wrote it: it must not look like lines of the log.
                tracing::info!(tenant, "{}", line.escape_debug());
            }
        }
        if outcome.cut > 0 {
            tracing::info!(tenant, "... and {} bytes more", outcome.cut);
        }
        let mut room = OUTPUT_MAX;
        for event in &outcome.events {
            let (Event::Denied(_) | Event::LimitReached(_)) = event else {
                continue;
            };
            let text = event.to_string();
            let Some(left) = room.checked_sub(text.len()) else {
                break;
            };
            room = left;
            tracing::warn!(tenant, "{text}");
        }
    }

    fn count(&self, event: &Event) {
        let counts = &self.counts;
        match event {
            Event::Denied(_) => {
                counts.denials.inc();
            }
            Event::LimitReached(limit) => counts.limit_reached(*limit),
            Event::Ended {
                cpu_time,
                sent,
                received,
                ..
            } => {
                counts.cpu(*cpu_time);
                counts.sent.inc_by(*sent);
                counts.received.inc_by(*received);
            }
            _ => {}
        }
    }
}
