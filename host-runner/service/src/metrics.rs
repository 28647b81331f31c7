//! What an operator watches: Prometheus metrics, whose labels have a bounded number of values.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use wasisocket_host::Limit;

/// The upper bounds of the histogram's buckets, in seconds: from a fork to the default `timeout`.
const BUCKETS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0,
];

/// The tenant of requests for one that does not exist. For Prometheus they have no such label.
const NO_TENANT: &str = "";

/// The code of a request whose client went away.
const CLIENT_GONE: &str = "gone";

/// Names and values.
type Labels<const COUNT: usize> = [(&'static str, String); COUNT];

/// CPU time is counted in fractions of a second.
type Seconds = Counter<f64, AtomicU64>;

/// All metrics of the service.
pub(crate) struct Metrics {
    registry: Registry,
    /// Clients of the service that are connected.
    pub(crate) clients: Gauge,
    /// Guests that answer a request.
    pub(crate) guests: Gauge,
    /// Handlers that are imported.
    pub(crate) templates: Gauge,
    requests: Family<Labels<2>, Counter>,
    durations: Family<Labels<1>, Histogram>,
    imports: Family<Labels<2>, Counter>,
    refused: Family<Labels<1>, Counter>,
    limits: Family<Labels<2>, Counter>,
    denials: Family<Labels<1>, Counter>,
    cpu: Family<Labels<1>, Seconds>,
    sent: Family<Labels<1>, Counter>,
    received: Family<Labels<1>, Counter>,
}

/// The metrics of one tenant.
pub(crate) struct TenantMetrics {
    tenant: String,
    requests: Family<Labels<2>, Counter>,
    limits: Family<Labels<2>, Counter>,
    duration: Histogram,
    pub(crate) imports: Counter,
    pub(crate) failed_imports: Counter,
    /// Requests for whose guests there was no place.
    pub(crate) refused: Counter,
    pub(crate) denials: Counter,
    cpu: Seconds,
    pub(crate) sent: Counter,
    pub(crate) received: Counter,
}

impl Metrics {
    /// `guests_max` is how many guests there may be.
    pub(crate) fn new(guests_max: u32) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("wasisocket"),
            clients: Gauge::default(),
            guests: Gauge::default(),
            templates: Gauge::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            imports: Family::default(),
            refused: Family::default(),
            limits: Family::default(),
            denials: Family::default(),
            cpu: Family::default(),
            sent: Family::default(),
            received: Family::default(),
        };
        metrics.register(guests_max);
        metrics
    }

    /// The encoder adds the suffix `_total`, the unit, and the full stop of the help.
    fn register(&mut self, guests_max: u32) {
        let most = Gauge::<i64>::default();
        most.set(guests_max.into());
        let all = &mut self.registry;
        all.register(
            "requests",
            "Requests, by the class of the handler's status or the service's own code",
            self.requests.clone(),
        );
        all.register_with_unit(
            "request_duration",
            "Time from the head of a request until its response is there, without its delivery",
            Unit::Seconds,
            self.durations.clone(),
        );
        all.register(
            "clients_connected",
            "Clients that are connected",
            self.clients.clone(),
        );
        all.register(
            "guests_running",
            "Guests that answer a request",
            self.guests.clone(),
        );
        all.register(
            "templates",
            "Guests with an imported handler, of which requests get copies",
            self.templates.clone(),
        );
        all.register(
            "guests_max",
            "Most guests, templates among them, at a time",
            most,
        );
        all.register(
            "guests_refused",
            "Requests refused because no place for a guest was free",
            self.refused.clone(),
        );
        all.register(
            "handler_imports",
            "Imports of the handler, by result",
            self.imports.clone(),
        );
        all.register(
            "limits_reached",
            "Limits that guests reached",
            self.limits.clone(),
        );
        all.register(
            "denials",
            "Operations of guests that were denied",
            self.denials.clone(),
        );
        all.register_with_unit(
            "guest_cpu",
            "CPU time of guests",
            Unit::Seconds,
            self.cpu.clone(),
        );
        all.register_with_unit(
            "guest_sent",
            "Data that guests sent over sockets",
            Unit::Bytes,
            self.sent.clone(),
        );
        all.register_with_unit(
            "guest_received",
            "Data that guests received over sockets",
            Unit::Bytes,
            self.received.clone(),
        );
    }

    /// The metrics of a tenant. They exist from now on, with the value 0.
    pub(crate) fn tenant(&self, name: &str) -> TenantMetrics {
        let label = [("tenant", name.to_owned())];
        let imports = |result: &str| {
            let [tenant] = label.clone();
            let labels = [tenant, ("result", result.to_owned())];
            self.imports.get_or_create_owned(&labels)
        };
        TenantMetrics {
            tenant: name.to_owned(),
            requests: self.requests.clone(),
            limits: self.limits.clone(),
            duration: self.durations.get_or_create_owned(&label),
            imports: imports("success"),
            failed_imports: imports("failure"),
            refused: self.refused.get_or_create_owned(&label),
            denials: self.denials.get_or_create_owned(&label),
            cpu: self.cpu.get_or_create_owned(&label),
            sent: self.sent.get_or_create_owned(&label),
            received: self.received.get_or_create_owned(&label),
        }
    }

    /// Counts a request for a tenant that does not exist.
    pub(crate) fn no_tenant(&self) {
        count_request(
            &self.requests,
            NO_TENANT,
            StatusCode::NOT_FOUND.as_str().into(),
        );
    }

    /// All metrics in the text format, version 0.0.4.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }
}

impl TenantMetrics {
    /// Counts a request once what this returns is dropped.
    pub(crate) fn request(&self) -> Observed<'_> {
        Observed {
            metrics: self,
            begun: Instant::now(),
            code: CLIENT_GONE.into(),
        }
    }

    pub(crate) fn limit_reached(&self, limit: Limit) {
        let labels = [
            ("tenant", self.tenant.clone()),
            ("limit", limit.name().into()),
        ];
        self.limits.get_or_create(&labels).inc();
    }

    pub(crate) fn cpu(&self, time: Duration) {
        self.cpu.inc_by(time.as_secs_f64());
    }
}

fn count_request(requests: &Family<Labels<2>, Counter>, tenant: &str, code: String) {
    let labels = [("tenant", tenant.into()), ("code", code)];
    requests.get_or_create(&labels).inc();
}

/// A request that is being answered.
pub(crate) struct Observed<'a> {
    metrics: &'a TenantMetrics,
    begun: Instant,
    code: String,
}

impl Observed<'_> {
    /// The handler responded with this.
    pub(crate) fn responded(&mut self, status: StatusCode) {
        self.code = match status.as_u16() {
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            500..600 => "5xx",
            _ => "other",
        }
        .into();
    }

    /// The service responded with this.
    pub(crate) fn refused(&mut self, status: StatusCode) {
        self.code = status.as_str().into();
    }
}

impl Drop for Observed<'_> {
    fn drop(&mut self) {
        let metrics = self.metrics;
        metrics.duration.observe(self.begun.elapsed().as_secs_f64());
        count_request(
            &metrics.requests,
            &metrics.tenant,
            std::mem::take(&mut self.code),
        );
    }
}

/// Counts one more until it is dropped.
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn one(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
