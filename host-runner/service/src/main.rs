//! The example service: `/NAME/PATH` is answered by the handler of the tenant NAME.

#![forbid(unsafe_code)]

mod admin;
mod answer;
mod clients;
mod metrics;
mod places;
mod refusal;
mod service;
mod stop;
mod template;
mod tenant;
mod wsgi;

use std::fs::File;
use std::future::pending;
use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use clap::Parser;
use prometheus_client::metrics::gauge::Gauge;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wasisocket_host::{Limit, LimitError, Limits};
use wasisocket_python::{Cache, Certificates, Distribution, Python, TimeZones};
use wasisocket_service::Guests;
use wasmtime::Result;
use wasmtime::error::Context as _;

use admin::Admin;
use clients::Clients;
use metrics::Metrics;
use places::Places;
use service::{Service, Tenant};
use stop::Signals;

/// The most clients at a time. Further ones wait.
const CLIENTS_MAX: usize = 1024;

/// The same for those of the operator.
const ADMIN_CLIENTS_MAX: usize = 16;

/// The most memory that a policy can grant, and the default.
const MEMORY_MAX: usize = 512 << 20;

/// Answers each request by a Python handler, in a guest of its own.
///
/// A tenant NAME is a folder NAME, in which `app` of handler.py is a WSGI application. Beside it NAME.toml says what
/// each guest of the tenant may reach and use, in the format of `wasisocket run --policy`. Without that file a guest
/// reaches nothing. The default of `timeout` is 60 seconds, of `max-cpu` 10 seconds and of `max-memory` 512 MiB.
///
/// A handler is imported once, and each request is answered in a copy of that guest.
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
    /// Where to answer the operator's requests for /metrics and /healthz: an address that tenants and clients must not
    /// reach
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// The most guests at a time, as far as the limit of open files allows (ulimit -n). Each tenant that is in use has
    /// one more than it has requests
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..))]
    guests: u32,
    /// The most requests of one tenant at a time; by default a quarter of the guests. Further requests are answered
    /// with 503
    #[arg(long)]
    tenant_guests: Option<u32>,
    /// How long requests may take to finish after SIGTERM or SIGINT
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    grace: Duration,
    /// A folder for compiled modules, which take seconds to make [env: WASISOCKET_CACHE]
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Trust the certificates in this file (PEM), and not the system's
    #[arg(long, value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// Show guests the time zones in this folder, and not the system's
    #[arg(long, value_name = "DIR")]
    tzdata: Option<PathBuf>,
    /// The folder that has a folder and a policy for each tenant
    tenants: PathBuf,
}

/// A time as limits have it.
fn duration(text: &str) -> Result<Duration, LimitError> {
    let mut limits = Limits::default();
    limits.set(Limit::Timeout, text)?;
    Ok(limits.timeout.unwrap_or_default())
}

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    let metrics = Arc::new(Metrics::new(cli.guests));
    let serves = Arc::<AtomicBool>::default();
    if let Some(address) = cli.admin {
        let listener = listen(address).await?;
        println!("admin http://{}/", listener.local_addr()?);
        let admin = Admin {
            metrics: Arc::clone(&metrics),
            serves: Arc::clone(&serves),
        };
        let clients = Clients {
            listener,
            most: ADMIN_CLIENTS_MAX,
            connected: Gauge::default(),
        };
        tokio::spawn(clients.serve(admin.router(), pending()));
    }
    let empty = EmptyFolder::new().context("cannot make a temporary folder")?;
    let end = CancellationToken::new();
    let service = service(&cli, &empty, &metrics, &end)?;
    let clients = Clients {
        listener: listen(cli.listen).await?,
        most: CLIENTS_MAX,
        connected: metrics.clients.clone(),
    };
    let mut signals = Signals::new()?;
    println!("http://{}/", clients.listener.local_addr()?);
    serves.store(true, Ordering::Relaxed);
    let stop = async {
        signals.next().await;
        serves.store(false, Ordering::Relaxed);
    };
    let router = Router::new()
        .fallback(service::answer)
        .with_state(Arc::new(service));
    let open = clients.serve(router, stop).await;
    tracing::info!("stopping: requests have {:?} to finish", cli.grace);
    tokio::select! {
        () = stop::finish(open, cli.grace, &end) => Ok(()),
        number = signals.next() => std::process::exit(128 + number),
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("cannot listen at {address}"))
}

/// A folder that is empty, and is removed in the end.
struct EmptyFolder {
    folder: TempDir,
    /// It is locked as long as it is used: systemd-tmpfiles(8) and others then do not remove it.
    _lock: File,
}

impl EmptyFolder {
    fn new() -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("wasisocket-service-")
            .tempdir()?;
        let lock = File::open(folder.path())?;
        lock.lock()?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }
}

fn service(
    cli: &Cli,
    empty: &EmptyFolder,
    metrics: &Arc<Metrics>,
    end: &CancellationToken,
) -> Result<Service> {
    let certificates = cli.ca_bundle.as_ref().map(Certificates::from_file);
    let certificates = certificates.transpose().context("--ca-bundle")?;
    let time_zones = cli.tzdata.as_ref().map(TimeZones::from_folder);
    let time_zones = time_zones.transpose().context("--tzdata")?;
    let mut python = Python::builder()
        .distribution(Distribution::find(cli.python.as_deref())?)
        // Each template has a secret for hashes of its own, and copies do not start.
        .cold_start()
        .pool(cli.guests, MEMORY_MAX);
    if let Some(folder) = &cli.cache {
        python = python.cache(Cache::new(folder)?);
    }
    let each = cli.tenant_guests.unwrap_or(cli.guests.div_ceil(4));
    let places = Places::new(cli.guests)?;
    let configs = tenant::configs(&cli.tenants, |limits| places.share(each, limits))?;
    let python = python.load()?;
    if let Some(error) = python.cache_error() {
        tracing::warn!("compiled modules are not cached: {error:#}");
    }
    let tenants = configs.into_iter().map(|(name, config)| {
        let tenant = Tenant::new(&name, config, metrics);
        (name, tenant)
    });
    Ok(Service {
        guests: Guests::new(python),
        certificates,
        time_zones,
        empty: empty.folder.path().to_owned(),
        places,
        tenants: tenants.collect(),
        metrics: Arc::clone(metrics),
        end: end.clone(),
    })
}
