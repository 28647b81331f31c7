//! The example service: `/NAME/PATH` is answered by the handler of the tenant NAME.

#![forbid(unsafe_code)]

mod answer;
mod clients;
mod places;

use std::any::Any;
use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use clap::Parser;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use wasisocket_host::{Grants, Limits};
use wasisocket_python::{Cache, Certificates, Distribution, End, Python};
use wasisocket_service::{Guests, cgi};
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};

use answer::Answer;
use places::{Places, Share};

/// The most bytes of a request's body, and of what a handler writes.
const BODY_MAX: usize = 16 << 20;

/// How long a client may take to send the body.
const BODY_TIME: Duration = Duration::from_secs(30);

/// The limits of a tenant whose policy does not set them.
const TIMEOUT: Duration = Duration::from_secs(60);
const MAX_CPU: Duration = Duration::from_secs(10);

/// Runs a Python handler for each request, each in a guest of its own.
///
/// A tenant NAME is a folder NAME, in which `app` of handler.py is a WSGI application. Beside it NAME.toml says what
/// each guest of the tenant may reach and use, in the format of `wasisocket run --policy`. Without that file a guest
/// reaches nothing. The default of `timeout` is 60 seconds, of `max-cpu` 10 seconds and of `max-memory` 512 MiB.
///
/// Guests trust the certificates that this system trusts, or those of --ca-bundle, SSL_CERT_FILE or SSL_CERT_DIR.
///
/// For a browser all tenants are one origin, which share cookies: give each tenant a host name in a proxy in front.
#[derive(Debug, Parser)]
struct Cli {
    /// The python.wasm to run, or its folder [env: WASISOCKET_PYTHON]
    #[arg(long)]
    python: Option<PathBuf>,
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The most guests at a time, as far as the limit of open files allows (ulimit -n)
    #[arg(long, default_value_t = 1000)]
    guests: u32,
    /// The most guests of one tenant at a time; by default a quarter. Further requests are answered with 503
    #[arg(long)]
    tenant_guests: Option<u32>,
    /// A folder for compiled modules, which take seconds to make [env: WASISOCKET_CACHE]
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Trust the certificates in this file (PEM), and not the system's
    #[arg(long, value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// The folder that has a folder and a policy for each tenant
    tenants: PathBuf,
}

/// A tenant's handler, its grants, its share of places, and its guests once there was a request.
struct Tenant {
    folder: PathBuf,
    grants: Grants,
    share: Share,
    guests: OnceCell<Guests>,
}

impl Tenant {
    /// The guests of this tenant. Those of others do not have their secret for hashes.
    async fn guests(&self, all: &Guests) -> Result<&Guests> {
        let own = || async {
            let all = all.clone();
            spawn_blocking(move || all.with_private_image()).await?
        };
        self.guests.get_or_try_init(own).await
    }
}

struct Service {
    guests: Guests,
    certificates: Option<Certificates>,
    places: Places,
    tenants: HashMap<String, Tenant>,
}

/// The most memory that a policy can grant, and the default.
const MEMORY_MAX: usize = 512 << 20;

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let certificates = cli.ca_bundle.as_ref().map(Certificates::from_file);
    let certificates = certificates.transpose().context("--ca-bundle")?;
    let mut python = Python::builder()
        .distribution(Distribution::find(cli.python.as_deref())?)
        // Each tenant has an image of its own.
        .cold_start()
        .pool(cli.guests, MEMORY_MAX);
    if let Some(folder) = &cli.cache {
        python = python.cache(Cache::new(folder)?);
    }
    let each = cli.tenant_guests.unwrap_or(cli.guests.div_ceil(4));
    let places = Places::new(cli.guests)?;
    let tenants = tenants(&cli.tenants, |limits| places.share(each, limits))?;
    let python = python.load()?;
    if let Some(error) = python.cache_error() {
        tracing::warn!("compiled modules are not cached: {error:#}");
    }
    let service = Service {
        tenants,
        guests: Guests::new(python),
        certificates,
        places,
    };
    let listener = tokio::net::TcpListener::bind(cli.listen)
        .await
        .with_context(|| format!("cannot listen at {}", cli.listen))?;
    println!("http://{}/", listener.local_addr()?);
    let router = Router::new().fallback(answer).with_state(Arc::new(service));
    clients::serve(listener, router, async {
        // Where there are no signals it runs on.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
    .await;
    Ok(())
}

fn tenants(
    folder: &Path,
    share: impl Fn(&Limits) -> Result<Share>,
) -> Result<HashMap<String, Tenant>> {
    let mut tenants = HashMap::new();
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let folder = entry?.path();
        let Some(name) = folder.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if !folder.join("handler.py").is_file() {
            continue;
        }
        check(&folder)?;
        if folder.join("policy.toml").exists() {
            bail!("{name}/policy.toml: a tenant's policy is beside its folder: {name}.toml");
        }
        let grants = grants(&folder.with_file_name(format!("{name}.toml")))?;
        let share = share(&grants.limits).with_context(|| format!("tenant {name}"))?;
        let name = name.to_owned();
        let tenant = Tenant {
            folder,
            grants,
            share,
            guests: OnceCell::new(),
        };
        tenants.insert(name, tenant);
    }
    Ok(tenants)
}

/// Refuses what is neither a file nor a folder: opening a FIFO would block the thread that many guests share.
fn check(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() {
            check(&path)?;
        } else if !kind.is_file() && !kind.is_symlink() {
            bail!("{} is neither a file nor a folder", path.display());
        }
    }
    Ok(())
}

fn grants(policy: &Path) -> Result<Grants> {
    let mut grants = match policy.exists() {
        true => {
            let text = std::fs::read_to_string(policy)?;
            Grants::from_toml(&text).with_context(|| policy.display().to_string())?
        }
        false => Grants::default(),
    };
    grants.limits.timeout.get_or_insert(TIMEOUT);
    grants.limits.max_cpu.get_or_insert(MAX_CPU);
    grants.limits.max_memory.get_or_insert(MEMORY_MAX);
    Ok(grants)
}

/// The status and the text of a response that is no handler's.
type Refusal = (StatusCode, String);

fn refusal(status: StatusCode, text: &str) -> Refusal {
    (status, text.to_owned())
}

/// The response of the handler, or an error.
async fn answer(State(service): State<Arc<Service>>, request: Request) -> Response<Body> {
    let (status, text) = match handle(&service, request).await {
        Ok(response) => return response,
        Err(refusal) => refusal,
    };
    let mut response = Response::new(Body::from(text + "\n"));
    *response.status_mut() = status;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let soon = HeaderValue::from_static("1");
        response.headers_mut().insert(header::RETRY_AFTER, soon);
    }
    response
}

async fn handle(service: &Service, request: Request) -> Result<Response<Body>, Refusal> {
    let (parts, body) = request.into_parts();
    let name = parts.uri.path().split('/').nth(1).unwrap_or_default();
    let tenant = service.tenants.get(name);
    let tenant = tenant.ok_or_else(|| refusal(StatusCode::NOT_FOUND, "no such tenant"))?;
    // Everything that a request uses is bounded by its place.
    let place = service.places.take(&tenant.share).ok_or_else(|| {
        let text = "too many requests at a time";
        refusal(StatusCode::SERVICE_UNAVAILABLE, text)
    })?;
    let place: Arc<dyn Any + Send + Sync> = Arc::new(place);
    let body = timeout(BODY_TIME, to_bytes(body, BODY_MAX))
        .await
        .map_err(|_| refusal(StatusCode::REQUEST_TIMEOUT, "the body took too long"))?
        .map_err(|_| refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"))?;
    let env = cgi::variables(&parts, &format!("/{name}"), body.len())
        .map_err(|_| refusal(StatusCode::BAD_REQUEST, "the path is not UTF-8"))?;
    let mut program = cgi::handler(&tenant.folder)
        .stdin(body)
        .grants(tenant.grants.clone());
    if let Some(certificates) = &service.certificates {
        program = program.certificates(certificates.clone());
    }
    for (variable, value) in env {
        program = program.env(variable, value);
    }
    let run = async {
        let guests = tenant.guests(&service.guests).await?;
        guests
            .run(program, BODY_MAX, Some(Arc::clone(&place)))
            .await
    };
    let ended = run.await.map_err(|error| {
        tracing::error!("{error:#}");
        refusal(StatusCode::INTERNAL_SERVER_ERROR, "the service failed")
    })?;
    // The guest wrote it: it must not look like lines of the log.
    for line in String::from_utf8_lossy(&ended.stderr).lines() {
        tracing::info!(tenant = name, "{}", line.escape_debug());
    }
    let (status, what) = match ended.end {
        End::Exit(0) => match cgi::response(&ended.stdout) {
            Ok(response) => return Ok(response.map(|bytes| Body::new(Answer::new(bytes, place)))),
            Err(error) => {
                let text = format!("the handler's answer: {error}");
                return Err((StatusCode::BAD_GATEWAY, text));
            }
        },
        End::Exit(status) => (
            StatusCode::BAD_GATEWAY,
            format!("ended with status {status}"),
        ),
        End::Limit(limit) => (
            StatusCode::GATEWAY_TIMEOUT,
            format!("reached its limit {limit}"),
        ),
        _ => (StatusCode::BAD_GATEWAY, "trapped".into()),
    };
    Err((status, format!("the handler {what}")))
}
