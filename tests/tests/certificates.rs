//! Which certificates a guest trusts, with real TLS servers.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;

use tempfile::TempDir;
use wasisocket_host::prefers_aes;
use wasisocket_tests::guest::{Run, program, run};
use wasisocket_tests::servers::{loopback, tls_pages};
use wasisocket_tests::tls::{Authority, date};

const PAGE: &str = "page";

/// The suites of TLS 1.3, in the order in which guests prefer them on this machine.
fn suites() -> [&'static str; 3] {
    let aes = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"];
    let chacha20 = "TLS_CHACHA20_POLY1305_SHA256";
    match prefers_aes() {
        true => [aes[0], aes[1], chacha20],
        false => [chacha20, aes[0], aes[1]],
    }
}

/// An authority, and the folder with its certificate, `ca.pem`.
fn authority(name: &str) -> (Authority, TempDir) {
    let authority = Authority::new(name);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    (authority, folder)
}

fn serve(at: SocketAddr, config: Arc<ServerConfig>) -> SocketAddr {
    tls_pages(at, config, |_| Some(PAGE.into()))
}

fn run_trusting(folder: &Path) -> Run {
    run()
        .arg("--ca-bundle")
        .arg(folder.join("ca.pem"))
        .arg("--allow-net=localhost")
}

fn fetch(run: Run, host: &str, server: SocketAddr) -> String {
    run.arg(program("tls/fetch.py"))
        .args([host, &server.port().to_string()])
        .succeeds()
}

fn fetched() -> String {
    format!("{PAGE}\n{PAGE}\n{PAGE} {}\n", suites()[0])
}

#[test]
fn default_context_verifies_with_the_given_bundle() {
    let (authority, folder) = authority("ours");
    for at in loopback() {
        let ip = at.ip().to_string();
        for host in ["localhost", &ip] {
            let server = serve(at, authority.server(host));
            if host == "localhost" && at.is_ipv6() {
                continue; // On some machines localhost has only an IPv4 address.
            }
            let printed = fetch(run_trusting(folder.path()), host, server);
            assert_eq!(printed, fetched(), "{host}");
        }
    }
}

#[test]
fn certificate_is_refused_with_the_reason() {
    let (ours, folder) = authority("ours");
    let others = Authority::new("others");
    let expired = ours.server_with("localhost", |params| {
        params.not_before = date(2001, 1, 1);
        params.not_after = date(2002, 1, 1);
    });
    let early = ours.server_with("localhost", |params| params.not_before = date(4000, 1, 1));
    // The codes are OpenSSL's, x509_vfy.h.
    for (config, code, message) in [
        (others.server("localhost"), 20, "local issuer certificate"),
        (ours.server("other.example"), 62, "Hostname mismatch"),
        (expired, 10, "certificate has expired"),
        (early, 9, "not yet valid"),
    ] {
        let [v4, _] = loopback();
        let server = serve(v4, config);
        let printed = run_trusting(folder.path())
            .arg(program("tls/refused.py"))
            .args(["localhost", &server.port().to_string()])
            .succeeds();
        let lines: Vec<_> = printed.lines().collect();
        assert!(lines[0].starts_with(&format!("{code} ")), "{printed}");
        assert!(lines[0].contains(message), "{printed}");
        assert_eq!(lines[1], code.to_string());
    }
}

#[test]
fn certificates_are_those_of_the_host_unless_given() {
    let (authority, folder) = authority("the host's");
    let [v4, _] = loopback();
    let server = serve(v4, authority.server("localhost"));
    let run = run()
        .env("SSL_CERT_FILE", folder.path().join("ca.pem"))
        .env("SSL_CERT_DIR", "")
        .arg("--allow-net=localhost");
    assert_eq!(fetch(run, "localhost", server), fetched());
}

#[test]
fn guest_chooses_other_certificates_as_anywhere() {
    let (authority, folder) = authority("the guest's");
    let [v4, _] = loopback();
    let server = serve(v4, authority.server("localhost"));
    let port = server.port().to_string();
    let granted = || {
        run().arg("--allow-net=localhost").arg(format!(
            "--dir={}::/certificates:ro",
            folder.path().display()
        ))
    };
    let by_variable = granted().arg("--env=SSL_CERT_FILE=/certificates/ca.pem");
    assert_eq!(fetch(by_variable, "localhost", server), fetched());
    // Packages with their own bundle pass cafile=.
    let by_name =
        granted()
            .arg(program("tls/fetch.py"))
            .args(["localhost", &port, "/certificates/ca.pem"]);
    assert_eq!(by_name.succeeds(), fetched());
}

#[test]
fn granted_etc_ssl_replaces_that_of_the_host() {
    let (authority, folder) = authority("the user's");
    fs::copy(folder.path().join("ca.pem"), folder.path().join("cert.pem")).unwrap();
    let [v4, _] = loopback();
    let server = serve(v4, authority.server("localhost"));
    let dir = format!("--dir={}::/etc/ssl:ro", folder.path().display());
    let code = "import ssl, sys, http.client\n\
        http.client.HTTPSConnection('localhost', int(sys.argv[1])).request('GET', '/')\n";
    let code = |run: Run| run.args(["-c", code, &server.port().to_string()]);
    code(run().args(["--allow-net=localhost", &dir])).succeeds();
    let ended = code(run_trusting(folder.path()).arg(&dir)).end();
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("leave one out"), "{}", ended.stderr);
}

#[test]
fn host_without_certificates_leaves_the_guest_without() {
    let code = "import os, ssl\n\
        print(os.listdir('/etc/ssl'), ssl.create_default_context().cert_store_stats()['x509'])\n";
    let printed = run()
        .env("SSL_CERT_FILE", "/nowhere/cert.pem")
        .env("SSL_CERT_DIR", "")
        .args(["-c", code])
        .succeeds();
    assert_eq!(printed, "['openssl.cnf'] 0\n");
}

#[test]
fn file_without_certificates_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    fs::write(&file, "no certificate\n").unwrap();
    let ended = run()
        .arg("--ca-bundle")
        .arg(&file)
        .args(["-c", "print('ran')"])
        .end();
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""));
    assert!(
        ended.stderr.contains("--ca-bundle: no certificate in "),
        "{}",
        ended.stderr
    );
}

#[test]
fn guest_cannot_change_the_certificates_it_trusts() {
    let code = "import os\n\
        before = sorted(os.listdir('/etc/ssl'))\n\
        for change in [\n\
        \x20   lambda: open('/etc/ssl/cert.pem', 'w'),\n\
        \x20   lambda: open('/etc/ssl/openssl.cnf', 'a'),\n\
        \x20   lambda: open('/etc/ssl/new', 'x'),\n\
        \x20   lambda: os.remove('/etc/ssl/cert.pem'),\n\
        \x20   lambda: os.rename('/etc/ssl/openssl.cnf', '/etc/ssl/new'),\n\
        \x20   lambda: os.mkdir('/etc/ssl/certs'),\n\
        \x20   lambda: os.symlink('cert.pem', '/etc/ssl/new'),\n\
        \x20   lambda: open('/etc/ssl/../modules/new', 'x'),\n\
        ]:\n\
        \x20   try: change()\n\
        \x20   except OSError: continue\n\
        \x20   raise SystemExit('changed')\n\
        print(before, sorted(os.listdir('/etc/ssl')) == before)\n";
    let (_, folder) = authority("ours");
    let printed = run_trusting(folder.path()).args(["-c", code]).succeeds();
    assert_eq!(
        printed,
        "['ca-bundle.pem', 'cert.pem', 'openssl.cnf'] True\n"
    );
}

#[test]
fn guest_offers_the_fastest_suite_first() {
    let code = "import ssl\n\
        print(*[suite['name'] for suite in ssl.create_default_context().get_ciphers()[:3]])\n";
    let printed = run().args(["-c", code]).succeeds();
    assert_eq!(printed, format!("{}\n", suites().join(" ")));
}
