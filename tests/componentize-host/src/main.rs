//! Runs a component that is a command, with HTTPS that trusts one authority. Usage: CAFILE CWASM ARGUMENT...
//!
//! Components made by componentize-py reach TLS through wasi:http, where the host implements it. wasmtime's own host
//! trusts only the public authorities, so it accepts no certificate of a server on loopback. Apart from that, this host
//! is made of the same parts: hyper, and rustls over ring.

// `Component::deserialize_file` is unsafe: see there.
#![allow(unsafe_code)]

use std::process::ExitCode;
use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper::http::uri::{PathAndQuery, Scheme};
use hyper::{Request, Response, Uri};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Result, Store, bail};
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

/// The rest of a connection after the head of the response.
type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(Response<WasiBody>, Rest), Error>;

/// Sends each request over its own connection, after a full handshake.
struct Https(TlsConnector);

impl Https {
    fn new(cafile: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(cafile)?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        // wasmtime's own host resumes no session either: it makes a new configuration for each request.
        config.resumption = Resumption::disabled();
        Ok(Self(Arc::new(config).into()))
    }
}

impl WasiHttpHooks for Https {
    fn is_supported_scheme(&mut self, scheme: &Scheme) -> bool {
        *scheme == Scheme::HTTPS
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Rest,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        Box::new(send(self.0.clone(), request))
    }
}

async fn send(connector: TlsConnector, mut request: Request<WasiBody>) -> Sent {
    let authority = request.uri().authority().cloned();
    let authority = authority.ok_or(Error::HttpRequestUriInvalid)?;
    let host = authority.host().to_owned();
    let name = ServerName::try_from(host.clone()).map_err(|_| Error::HttpRequestUriInvalid)?;
    let peer = (host, authority.port_u16().unwrap_or(443));
    let stream = TcpStream::connect(peer).await.map_err(Error::Connect)?;
    // As Python's http.client does, which the other columns use.
    stream.set_nodelay(true).map_err(Error::Connect)?;
    let stream = connector.connect(name, stream).await.map_err(Error::Tls)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = wasmtime_wasi::runtime::spawn(connection);

    // The request line has scheme and authority only for a proxy (RFC 9112, 3.2).
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from(path.unwrap_or(PathAndQuery::from_static("/")));
    let response = sender.send_request(request).await?;
    Ok((
        response.map(|body| body.map_err(Error::from).boxed_unsync()),
        Box::new(async { connection.await.map_err(Error::from) }),
    ))
}

struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    https: Https,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            hooks: &mut self.https,
            table: &mut self.table,
        }
    }
}

async fn run(cafile: &str, component: &str, arguments: &[String]) -> Result<ExitCode> {
    let engine = Engine::default();
    // SAFETY: the file must have been written by wasmtime. `cargo xtask bench` runs `wasmtime compile` of this very
    // version, which writes it into a folder of the benchmark's own, and passes its path to this program.
    let component = unsafe { Component::deserialize_file(&engine, component) }?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    let state = State {
        wasi: WasiCtx::builder().inherit_stdio().args(arguments).build(),
        http: WasiHttpCtx::new(),
        https: Https::new(cafile)?,
        table: ResourceTable::new(),
    };
    let mut store = Store::new(&engine, state);
    let command = Command::instantiate_async(&mut store, &component, &linker).await?;
    let ended = command.wasi_cli_run().call_run(&mut store).await?;
    Ok(match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(()) => ExitCode::FAILURE,
    })
}

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [cafile, program @ ..] = arguments.as_slice() else {
        bail!("usage: CAFILE CWASM ARGUMENT...");
    };
    let [component, ..] = program else {
        bail!("no component is named");
    };
    // As many threads as cores, as in wasmtime's own command.
    tokio::runtime::Runtime::new()?.block_on(run(cafile, component, program))
}
