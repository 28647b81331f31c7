//! The example service: `/NAME/PATH` is answered by the handler of the tenant NAME.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use clap::Parser;
use wasisocket_host::Grants;
use wasisocket_service::{End, Python, Run, cgi};
use wasmtime::error::Context as _;
use wasmtime::{Cache, CacheConfig, Result};

/// Most bytes of a request's body, and of what a handler writes.
const BODY_MAX: usize = 16 << 20;

/// Runs a Python handler for each request, each in a guest of its own.
///
/// A tenant is a folder: handler.py, whose `app` is a WSGI application, and policy.toml, which says what the
/// handler may reach and use, as `wasisocket run --policy` has it. Without policy.toml it reaches nothing.
#[derive(Debug, Parser)]
struct Cli {
    /// The folder of python.wasm
    #[arg(long, env = "WASISOCKET_PYTHON")]
    python: PathBuf,
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The most guests at a time
    #[arg(long, default_value_t = 1000)]
    guests: u32,
    /// A folder for the compiled module, which takes seconds to make
    #[arg(long)]
    cache: Option<PathBuf>,
    /// The folder with a folder for each tenant
    tenants: PathBuf,
}

/// A tenant's handler, and what it is granted.
#[derive(Clone)]
struct Tenant {
    folder: PathBuf,
    grants: Grants,
}

struct Service {
    python: Python,
    tenants: HashMap<String, Tenant>,
}

/// The most memory that a tenant may grant itself.
const MEMORY_MAX: usize = 512 << 20;

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let cache = match &cli.cache {
        None => None,
        Some(folder) => {
            let mut config = CacheConfig::new();
            config.with_directory(std::path::absolute(folder)?);
            Some(Cache::new(config)?)
        }
    };
    let service = Service {
        python: Python::load(&cli.python, cli.guests, MEMORY_MAX, cache)?,
        tenants: tenants(&cli.tenants)?,
    };
    let listener = tokio::net::TcpListener::bind(cli.listen)
        .await
        .with_context(|| format!("cannot listen at {}", cli.listen))?;
    println!("http://{}/", listener.local_addr()?);
    let router = Router::new().fallback(answer).with_state(Arc::new(service));
    axum::serve(listener, router)
        .with_graceful_shutdown(async {
            // Where there are no signals it runs on.
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;
    Ok(())
}

fn tenants(folder: &Path) -> Result<HashMap<String, Tenant>> {
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
        tenants.insert(name.to_owned(), tenant(&folder)?);
    }
    Ok(tenants)
}

fn tenant(folder: &Path) -> Result<Tenant> {
    let file = folder.join("policy.toml");
    let grants = match file.exists() {
        true => {
            let text = std::fs::read_to_string(&file)?;
            Grants::from_toml(&text).with_context(|| file.display().to_string())?
        }
        false => Grants::default(),
    };
    Ok(Tenant {
        folder: folder.to_owned(),
        grants,
    })
}

/// The handler's answer, or why there is none.
async fn answer(State(service): State<Arc<Service>>, request: Request) -> Response<Body> {
    match handle(&service, request).await {
        Ok(response) => response,
        Err(error) => {
            eprintln!("{error:#}");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the service failed\n")
        }
    }
}

async fn handle(service: &Service, request: Request) -> Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let name = parts.uri.path().split('/').nth(1).unwrap_or_default();
    let Some(tenant) = service.tenants.get(name) else {
        return Ok(plain(StatusCode::NOT_FOUND, "no such tenant\n"));
    };
    let Ok(body) = to_bytes(body, BODY_MAX).await else {
        return Ok(plain(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is too large\n",
        ));
    };
    let ended = service
        .python
        .run(Run {
            arguments: vec!["-c".into(), cgi::BOOTSTRAP.into()],
            env: cgi::variables(&parts, &format!("/{name}"), body.len()),
            folders: vec![(tenant.folder.clone(), "/app".into())],
            input: body.into(),
            grants: tenant.grants.clone(),
            output: BODY_MAX,
        })
        .await?;
    eprint!("{}", String::from_utf8_lossy(&ended.stderr));
    Ok(match ended.end {
        End::Exit(0) => cgi::response(&ended.stdout).unwrap_or_else(|error| {
            plain(
                StatusCode::BAD_GATEWAY,
                &format!("the handler's answer: {error}\n"),
            )
        }),
        End::Exit(status) => plain(
            StatusCode::BAD_GATEWAY,
            &format!("the handler ended with status {status}\n"),
        ),
        End::Limit(limit) => plain(
            StatusCode::GATEWAY_TIMEOUT,
            &format!("the handler reached its limit {limit}\n"),
        ),
        End::Trap(_) => plain(StatusCode::BAD_GATEWAY, "the handler trapped\n"),
    })
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    response
}
