//! Clients in the guest, and servers outside: nginx and smaller ones.

use std::fs;

use sha2::{Digest, Sha256};
use wasisocket_tests::dns::name_server;
use wasisocket_tests::guest::program;
use wasisocket_tests::nginx::Nginx;
use wasisocket_tests::scripted::{mqtt, mysql};
use wasisocket_tests::servers::{
    blocks, closed, hexadecimal, loopback, silent, stalling, tls_pages,
};
use wasisocket_tests::tls::{Authority, date};

use crate::{GIVEN, Trust, with_packages};

const LARGE: usize = 100 << 20;

/// A web server, and another one whose certificate has expired.
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
        let stalling = stalling(v4);
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
location = /silent {{ proxy_pass http://{silent}; }}
location = /stalling {{ proxy_pass http://{stalling}; proxy_buffering off; }}
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

    /// Runs a program whose arguments are both ports and the folder.
    fn same_in_both(&self, name: &str) -> String {
        let ports = [self.nginx.port(), self.expired.port()];
        let [port, expired] = ports.map(|port| port.to_string());
        self.trust
            .same_in_both(name, &ports, &[&port, &expired, GIVEN])
    }
}

#[test]
fn requests_fetches_and_sends() {
    let web = Web::start();
    let printed = web.same_in_both("requests_client.py");
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
stalling: ConnectionError
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
    let [port, closed] = ports.map(|port| port.to_string());
    let printed = web
        .trust
        .same_in_both("urllib3_pools.py", &ports, &[&port, &closed]);
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
    let printed = web.same_in_both("httpx_clients.py");
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
    let printed = web.same_in_both("aiohttp_client.py");
    assert_eq!(
        printed,
        format!(
            "connections: 4
large: {}
upload: 201
client: SUCCESS
silent: SocketTimeoutError
stalling: TimeoutError
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
fn paho_publishes_and_receives() {
    let [v4, _] = loopback();
    let port = mqtt(v4).port();
    // paho also makes a pair of sockets by connecting to itself.
    let printed = Trust::new().same_in_both("mqtt_client.py", &[port], &[&port.to_string()]);
    assert_eq!(printed, "connected: Success\n[4, 9, 100000]\n");
}

#[test]
fn pymysql_queries() {
    let [v4, _] = loopback();
    let ports = [mysql(v4), closed(v4)].map(|server| server.port());
    let [port, closed] = ports.map(|port| port.to_string());
    let printed = Trust::new().same_in_both("mysql_client.py", &ports, &[&port, &closed]);
    assert_eq!(
        printed,
        "10000 ('row 0',) ('row 9999',)
1064 You have an error in your SQL syntax
2003 ConnectionRefusedError
"
    );
}

#[test]
fn starlette_and_anyio_run_calls_in_threads() {
    let printed = Trust::new().same_in_both("starlette_app.py", &[], &[GIVEN]);
    assert!(printed.contains("42\nca.pem client.key"), "{printed}");
}

#[test]
fn ca_bundle_is_also_what_certifi_answers() {
    let trust = Trust::new();
    let [v4, _] = loopback();
    let config = trust.authority.server("localhost");
    let server = tls_pages(v4, config, |_| Some(Vec::new()));
    let others = trust.folder.path().join("others.pem");
    fs::write(others, Authority::new("others").pem()).unwrap();
    let connect = |options: &[String]| {
        let printed = with_packages()
            .args(options)
            .arg(format!("--allow-net=localhost:{}", server.port()))
            .arg(trust.grant())
            .arg(program("packages").join("ca_bundle.py"))
            .args([&server.port().to_string(), &format!("{GIVEN}/others.pem")])
            .succeeds();
        let (accepted, refused): (Vec<String>, Vec<_>) = printed
            .lines()
            .map(str::to_owned)
            .partition(|line| line.ends_with(": accepted"));
        (accepted.len(), refused)
    };
    let (accepted, refused) = connect(&["--ca-bundle".to_owned(), trust.ca()]);
    let explicit = ["requests, others", "httpx, others", "urllib3, others"];
    assert_eq!(refused, explicit.map(|name| format!("{name}: refused")));
    assert_eq!(accepted, 7);
    // The system does not trust this authority.
    assert_eq!(connect(&[]).0, 0);
}

#[test]
fn dnspython_queries_over_udp_and_tcp() {
    let port = name_server().port();
    let printed = Trust::new().same_in_both("dns_queries.py", &[port], &[&port.to_string()]);
    assert_eq!(
        printed,
        "one.test. 60 192.0.2.1
100
NXDOMAIN
LifetimeTimeout
192.0.2.1
192.0.2.1
Answer Answer NXDOMAIN 192.0.2.1 100
"
    );
}
