//! The service as a process, and a client of it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The name, the handler and the policy of a tenant.
pub(crate) type Tenant<'a> = (&'a str, &'a str, &'a str);

pub(crate) struct Service {
    child: Child,
    pub(crate) address: String,
    pub(crate) admin: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the service with tenants.
pub(crate) fn start(folder: &Path, tenants: &[Tenant<'_>], options: &[&str]) -> Service {
    for (name, handler, policy) in tenants {
        let tenant = folder.join(name);
        fs::create_dir(&tenant).unwrap();
        fs::write(tenant.join("handler.py"), handler).unwrap();
        fs::write(tenant.with_extension("toml"), policy).unwrap();
    }
    let python =
        std::env::var_os("WASISOCKET_PYTHON").expect("run the tests with `cargo xtask test`");
    let mut child = Command::new(env!("CARGO_BIN_EXE_wasisocket-service"))
        .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(options)
        .arg("--python")
        .arg(python)
        .arg(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut address = |before: &str| {
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.strip_prefix(before).unwrap().trim();
        address.trim_end_matches('/').to_owned()
    };
    Service {
        admin: address("admin http://"),
        address: address("http://"),
        child,
    }
}

impl Service {
    /// The status and the body of the response to a request.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        receive(self.send(method, path, body))
    }

    /// Sends a request, after whose response the connection is closed.
    pub(crate) fn send(&self, method: &str, path: &str, body: &str) -> TcpStream {
        send(&self.address, method, path, body)
    }

    /// The same for the operator.
    pub(crate) fn admin(&self, path: &str) -> (u16, String) {
        receive(send(&self.admin, "GET", path, ""))
    }

    /// A metric, given its name and labels as the service writes them.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (status, text) = self.admin("/metrics");
        assert_eq!(status, 200);
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("there is no {name} in\n{text}"));
        value.parse().unwrap()
    }

    /// Waits until a metric has a value.
    pub(crate) fn wait_for_metric(&self, name: &str, value: f64) {
        wait_for(name, || (self.metric(name) == value).then_some(()));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// Waits until the process has ended.
    pub(crate) fn end(mut self) -> ExitStatus {
        wait_for("the end", || self.child.try_wait().unwrap())
    }
}

/// A server on loopback, and its port.
pub(crate) fn listener() -> (TcpListener, u16) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    (server, port)
}

/// The rule of a policy that allows connections to it.
pub(crate) fn allows(port: u16) -> String {
    format!("allow-net = ['127.0.0.1:{port}']\n")
}

/// Waits until there is something.
pub(crate) fn wait_for<T>(what: &str, mut get: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = get() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "there is no {what}");
        sleep(Duration::from_millis(10));
    }
}

pub(crate) fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn send(address: &str, method: &str, path: &str, body: &str) -> TcpStream {
    let mut stream = connect(address);
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    stream
}

/// The status and the body of a response.
pub(crate) fn receive(mut stream: TcpStream) -> (u16, String) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}
