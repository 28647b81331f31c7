//! Requests: `/NAME/PATH` is answered by the handler of the tenant NAME.

use std::any::Any;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use wasisocket_python::{Certificates, TimeZones};
use wasisocket_service::Guests;

use crate::answer::Answer;
use crate::metrics::{Metrics, Observed};
use crate::places::{NoPlace, Place, Places};
use crate::refusal::Refusal;
use crate::template::{Observer, Template};
use crate::tenant::{Config, Import, Slot, TIMEOUT};
use crate::wsgi::{self, BODY_MAX};

/// How long a client may take to send the body.
const BODY_TIME: Duration = Duration::from_secs(30);

/// All that answers requests.
pub(crate) struct Service {
    pub(crate) guests: Guests,
    pub(crate) certificates: Option<Certificates>,
    pub(crate) time_zones: Option<TimeZones>,
    /// The folder that guests see as `/`.
    pub(crate) empty: PathBuf,
    pub(crate) places: Places,
    pub(crate) tenants: HashMap<String, Tenant>,
    pub(crate) metrics: Arc<Metrics>,
    /// Ends the requests that are being answered.
    pub(crate) end: CancellationToken,
}

/// A tenant's handler, its grants, its share of places, and its template.
pub(crate) struct Tenant {
    config: Config,
    observer: Arc<Observer>,
    template: Slot,
}

impl Tenant {
    pub(crate) fn new(name: &str, config: Config, metrics: &Arc<Metrics>) -> Self {
        let observer = Observer {
            tenant: name.to_owned(),
            counts: metrics.tenant(name),
            metrics: Arc::clone(metrics),
        };
        Self {
            config,
            observer: Arc::new(observer),
            template: Slot::new(),
        }
    }
}

/// The response of the handler, or that of the service.
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Response<Body> {
    let name = request.uri().path().split('/').nth(1).unwrap_or_default();
    let name = name.to_owned();
    let Some(tenant) = service.tenants.get(&name) else {
        service.metrics.no_tenant();
        return Refusal::new(StatusCode::NOT_FOUND, "no such tenant").response();
    };
    let mut observed = tenant.observer.counts.request();
    let response = tokio::select! {
        biased;
        response = respond(&service, &name, tenant, request) => response,
        () = service.end.cancelled() => {
            Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the service stops"))
        }
    };
    observe(&mut observed, &response);
    response.unwrap_or_else(Refusal::response)
}

fn observe(observed: &mut Observed<'_>, response: &Result<Response<Body>, Refusal>) {
    match response {
        Ok(response) => observed.responded(response.status()),
        Err(refusal) => observed.refused(refusal.status),
    }
}

async fn respond(
    service: &Arc<Service>,
    name: &str,
    tenant: &Tenant,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    // Everything that a request uses is bounded by its place.
    let place = service.place(tenant, || service.places.for_request(&tenant.config.share))?;
    let place: Arc<dyn Any + Send + Sync> = Arc::new(place);
    let (parts, body) = request.into_parts();
    let body = timeout(BODY_TIME, to_bytes(body, BODY_MAX))
        .await
        .map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body took too long"))?
        .map_err(|_| Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"))?;
    let environ = wsgi::environ(&parts, &format!("/{name}"), body.len());
    let import = tenant.template.import();
    let template = service.template(name, &import).await;
    // The next request tries anew.
    let template = template.inspect_err(|_| tenant.template.forget(&import))?;
    let respond = move |_| template.respond(environ, body);
    let response = service.guests.spawn(Some(Arc::clone(&place)), respond);
    let response = response.await.map_err(|error| Refusal::service(&error))??;
    Ok(response.map(|bytes| Body::new(Answer::new(bytes, place))))
}

impl Service {
    /// The template of an import, which is begun if nobody has. All requests that come meanwhile wait for the same one.
    async fn template(
        self: &Arc<Self>,
        name: &str,
        import: &Arc<Import>,
    ) -> Result<Arc<Template>, Refusal> {
        if !import.initialized() {
            let (service, name, import) = (Arc::clone(self), name.to_owned(), Arc::clone(import));
            // It goes on when this client goes away: the next one would have to wait as long.
            let task = tokio::spawn(async move {
                let template = || service.import(&service.tenants[&name]);
                import.get_or_init(template).await;
            });
            let done = task.await;
            done.map_err(|error| Refusal::service(&error.into()))?;
        }
        match import.get() {
            Some(template) => template.clone(),
            None => unreachable!("the task has set it"),
        }
    }

    async fn import(&self, tenant: &Tenant) -> Result<Arc<Template>, Refusal> {
        let config = &tenant.config;
        let place = self.place(tenant, || self.places.for_template(&config.share))?;
        let mut program = wsgi::program(&config.folder, &self.empty).grants(config.grants.clone());
        if let Some(certificates) = &self.certificates {
            program = program.certificates(certificates.clone());
        }
        if let Some(time_zones) = &self.time_zones {
            program = program.time_zones(time_zones.clone());
        }
        let patience = config.grants.limits.timeout.unwrap_or(TIMEOUT);
        let observer = Arc::clone(&tenant.observer);
        let import = move |python| Template::import(python, program, patience, observer, place);
        let template = self.guests.spawn(None, import).await;
        let template = template.map_err(|error| Refusal::service(&error))?;
        let counts = &tenant.observer.counts;
        match &template {
            Ok(_) => counts.imports.inc(),
            Err(_) => counts.failed_imports.inc(),
        };
        template.map(Arc::new)
    }

    /// A place. If all are occupied, the template of another tenant that was not used for the longest time gives up
    /// its own.
    fn place(
        &self,
        tenant: &Tenant,
        take: impl Fn() -> Result<Place, NoPlace>,
    ) -> Result<Place, Refusal> {
        loop {
            match take() {
                Ok(place) => return Ok(place),
                Err(NoPlace::AtAll) if self.give_up_template(tenant) => {}
                Err(_) => {
                    tenant.observer.counts.refused.inc();
                    let text = "too many requests at a time";
                    return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text));
                }
            }
        }
    }

    fn give_up_template(&self, except: &Tenant) -> bool {
        let others = self.tenants.values();
        let others = others.filter(|tenant| !std::ptr::eq(*tenant, except));
        let idle = others.filter_map(|tenant| Some((tenant.template.idle_since()?, tenant)));
        let oldest = idle.min_by_key(|(since, _)| *since);
        oldest.is_some_and(|(_, tenant)| tenant.template.give_up())
    }
}
