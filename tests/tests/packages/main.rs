//! Popular packages, unpatched, and real servers and clients. What a program prints under native CPython with
//! the same packages, it prints in the guest.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use wasisocket_tests::guest::{Run, built, program, run};
use wasisocket_tests::nginx::Nginx;
use wasisocket_tests::servers::{blocks, closed, hexadecimal, loopback, silent};
use wasisocket_tests::tls::{Authority, date};

const LARGE: usize = 100 << 20;

/// What the certificates of a test are about: an authority that is trusted, and a folder with its certificate
/// and a client's.
struct Trust {
    authority: Authority,
    folder: TempDir,
}

impl Trust {
    fn new() -> Self {
        let authority = Authority::new("ours");
        let folder = tempfile::tempdir().unwrap();
        let client = authority.identity("a client", |_| {});
        for (name, content) in [
            ("ca.pem", authority.pem()),
            ("client.pem", client.certificate),
            ("client.key", client.key),
        ] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        Self { authority, folder }
    }

    fn ca(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    /// A program in the guest with the packages, which may connect to these ports.
    fn guest(&self, ports: &[u16]) -> Run {
        let mut run = with_packages().args(["--ca-bundle", &self.ca()]);
        for port in ports {
            run = run.arg(format!("--allow-net=localhost:{port},127.0.0.1:{port}"));
        }
        // Of these packages some bring certificates of their own.
        run.arg("--env=REQUESTS_CA_BUNDLE=/etc/ssl/cert.pem")
            .arg("--env=SSL_CERT_FILE=/etc/ssl/cert.pem")
            .arg(format!("--dir={}::/given:ro", self.folder.path().display()))
    }

    /// The same in native CPython.
    fn native(&self) -> Command {
        let mut python = Command::new(built("WASISOCKET_SITE_PYTHON"));
        python
            .env("PYTHONPATH", built("WASISOCKET_SITE"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("REQUESTS_CA_BUNDLE", self.ca())
            .env("SSL_CERT_FILE", self.ca());
        for proxy in ["http_proxy", "https_proxy", "all_proxy"] {
            python.env_remove(proxy).env_remove(proxy.to_uppercase());
        }
        python
    }

    /// Runs a program of `tests/programs/packages` with ports for arguments, natively and in the guest, and
    /// returns what both print. A last argument is the folder, if wanted.
    fn same_in_both(&self, name: &str, ports: &[u16], with_folder: bool) -> String {
        let program = program("packages").join(name);
        let ports_given = ports.iter().map(u16::to_string);
        let folder = |folder: &Path| with_folder.then(|| folder.display().to_string());
        let native = self
            .native()
            .arg("-Wignore")
            .arg(&program)
            .args(ports_given.clone())
            .args(folder(self.folder.path()))
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(native.status.success(), "{name} fails in native CPython");
        let native = String::from_utf8(native.stdout).unwrap();
        let guest = self
            .guest(ports)
            .arg("--env=PYTHONWARNINGS=ignore")
            .arg(&program)
            .args(ports_given)
            .args(folder(Path::new("/given")))
            .succeeds();
        assert_eq!(guest, native);
        guest
    }
}

fn with_packages() -> Run {
    run()
        .arg(format!(
            "--dir={}::/site:ro",
            built("WASISOCKET_SITE").display()
        ))
        .arg("--env=PYTHONPATH=/site")
}

/// A web server that does what servers do; the other has a certificate that has expired.
struct Web {
    trust: Trust,
    nginx: Nginx,
    expired: Nginx,
    /// SHA-256 of `/large`.
    large: String,
}

impl Web {
    fn start() -> Self {
        let trust = Trust::new();
        let [v4, _] = loopback();
        let silent = silent(v4);
        let ca = trust.ca();
        let locations = format!(
            "
client_max_body_size 0;
ssl_client_certificate {ca};
ssl_verify_client optional;
add_header Connection-Number $connection always;
location = /redirect {{ return 301 /again; }}
location = /again {{ return 302 https://localhost:$server_port/text; }}
location = /loop {{ return 302 /loop; }}
location = /busy {{ return 503; }}
location = /close {{ keepalive_timeout 0; return 200 closing; }}
location /gzip/ {{ alias root/; gzip on; gzip_types *; }}
# A body that may be changed on its way has no length beforehand.
location /chunked/ {{ alias root/; ssi on; ssi_types *; }}
location /slow/ {{ alias root/; limit_rate 1k; }}
location = /silent {{ proxy_pass http://{silent}; }}
location /upload/ {{ dav_methods PUT; create_full_put_path on; }}
location = /client {{
    if ($ssl_client_verify != SUCCESS) {{ return 403; }}
    return 200 $ssl_client_verify;
}}
"
        );
        let nginx = Nginx::start(&trust.authority.identity("localhost", |_| {}), &locations);
        let text: String = (0..20_000).map(|line| format!("line {line}\n")).collect();
        fs::write(nginx.root().join("text"), &text).unwrap();
        let large: Vec<u8> = blocks(LARGE).flatten().collect();
        fs::write(nginx.root().join("large"), &large).unwrap();
        let expired = trust.authority.identity("localhost", |params| {
            params.not_before = date(2001, 1, 1);
            params.not_after = date(2002, 1, 1);
        });
        Self {
            trust,
            nginx,
            expired: Nginx::start(&expired, "location / { return 200; }"),
            large: hexadecimal(&Sha256::digest(&large)),
        }
    }

    fn ports(&self) -> [u16; 2] {
        [self.nginx.port(), self.expired.port()]
    }
}

#[test]
fn requests_fetches_and_sends() {
    let web = Web::start();
    let printed = web
        .trust
        .same_in_both("requests_client.py", &web.ports(), true);
    let uploaded = fs::read(web.nginx.root().join("upload/wasi")).unwrap();
    let chunked = fs::read(web.nginx.root().join("upload/wasi-chunked")).unwrap();
    assert_eq!(uploaded, chunked);
    assert_eq!(
        printed,
        format!(
            "loop: TooManyRedirects
missing: 404
large: {LARGE} {}
upload: 201 {}
chunked upload: 201
silent: ReadTimeout
slow: ConnectionError
client: 403 SUCCESS
wrong name: SSLError
expired: SSLError
unverified: nothing
not TLS: nothing
",
            web.large,
            hexadecimal(&Sha256::digest(&uploaded))
        )
    );
}

#[test]
fn urllib3_keeps_connections_and_tries_again() {
    let web = Web::start();
    let [v4, _] = loopback();
    let ports = [web.nginx.port(), closed(v4).port()];
    let printed = web.trust.same_in_both("urllib3_pools.py", &ports, false);
    assert_eq!(
        printed,
        "connections: 2 requests: 8
no redirects: 301
two redirects: 200
one redirect: MaxRetryError ResponseError
busy: MaxRetryError ResponseError
silent: ReadTimeoutError NoneType
closed: NewConnectionError NoneType
closed, again: MaxRetryError NewConnectionError
"
    );
}

#[test]
fn httpx_speaks_both_versions_with_and_without_asyncio() {
    let web = Web::start();
    let printed = web
        .trust
        .same_in_both("httpx_clients.py", &web.ports(), true);
    let version = |version: &str| {
        format!(
            "{version} {0}\nupload: 201\nclient: SUCCESS\n{version} {0}\nsilent: ReadTimeout 200\n",
            web.large
        )
    };
    assert_eq!(
        printed,
        version("HTTP/1.1") + &version("HTTP/2") + "ConnectError\nConnectError\nTooManyRedirects\n"
    );
}

#[test]
fn aiohttp_fetches_and_sends() {
    let web = Web::start();
    let printed = web
        .trust
        .same_in_both("aiohttp_client.py", &web.ports(), true);
    assert_eq!(
        printed,
        format!(
            "connections: 4
large: {}
upload: 201
client: SUCCESS
silent: SocketTimeoutError
slow: TimeoutError
loop: TooManyRedirects
wrong name: ClientConnectorCertificateError
expired: ClientConnectorCertificateError
unverified: nothing
",
            web.large
        )
    );
}

#[test]
fn every_program_is_run() {
    let tests = include_str!("packages.rs");
    for entry in fs::read_dir(program("packages")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let uses = tests.matches(&format!("\"{name}\"")).count();
        assert_eq!(uses, 1, "{name}");
    }
}
