//! nginx on loopback, in a temporary folder of its own. Dropping it ends it.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process, kill_process_group};
use tempfile::TempDir;

use crate::guest::built;
use crate::tls::Identity;

/// The longest that nginx may take to start or to stop.
const LIMIT: Duration = Duration::from_secs(30);

/// A server with TLS, HTTP/1.1 and HTTP/2.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    folder: TempDir,
    address: SocketAddr,
}

impl Nginx {
    /// Starts nginx with the certificate of `identity` and the directives `server` in its `server` block. It serves
    /// the files in [`Nginx::root`].
    ///
    /// # Panics
    /// nginx cannot be started, or rejects its configuration.
    #[must_use]
    pub fn start(identity: &Identity, server: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("root")).expect("a folder");
        for (name, content) in [
            ("certificate.pem", &identity.certificate),
            ("key.pem", &identity.key),
            ("nginx.conf", &configuration(address, server)),
        ] {
            fs::write(folder.path().join(name), content).expect("a file");
        }
        let errors = fs::File::create(folder.path().join("stderr")).expect("a file");
        let child = Command::new(built("WASISOCKET_NGINX"))
            .arg("-p")
            .arg(folder.path())
            .args(["-c", "nginx.conf", "-e", "error.log"])
            // nginx cannot listen at a port that the system picks, but it inherits listening sockets by their
            // numbers: that is how a new nginx takes over from an old one.
            .env("NGINX", "0;")
            // The worker must not outlive its parent, however that ends.
            .process_group(0)
            .stdin(OwnedFd::from(listener))
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .expect("nginx starts");
        let mut this = Self {
            child,
            folder,
            address,
        };
        this.wait_for_answer();
        this
    }

    /// Waits until nginx answers. Connecting is no proof: the socket listened before nginx started.
    fn wait_for_answer(&mut self) {
        let started = Instant::now();
        let answers = |address| -> io::Result<bool> {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(LIMIT))?;
            // This request is not TLS, so nginx answers with an error page.
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            stream.read(&mut [0; 64]).map(|length| length > 0)
        };
        while !answers(self.address).unwrap_or(false) {
            let ended = self.child.try_wait().expect("it is our child");
            assert!(
                ended.is_none() && started.elapsed() < LIMIT,
                "{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The port that it listens at.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The folder with the files that it serves.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// The content of its error log.
    #[must_use]
    pub fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("stderr") + &read("error.log")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = Pid::from_child(&self.child);
        // On this signal nginx stops its worker and waits for it.
        let _ = kill_process(pid, Signal::TERM);
        let told = Instant::now();
        while let Ok(None) = self.child.try_wait() {
            if told.elapsed() > LIMIT {
                let _ = kill_process_group(pid, Signal::KILL);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn configuration(address: SocketAddr, server: &str) -> String {
    // The worker would run as another user, who may not enter the temporary folder.
    let user = match geteuid().is_root() {
        true => "user root root;",
        false => "",
    };
    let mut temporary = String::new();
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(temporary, "    {kind}_temp_path {kind};").expect("a string");
    }
    format!(
        "daemon off;
{user}
error_log error.log;
pid nginx.pid;
events {{}}
http {{
    access_log off;
    default_type application/octet-stream;
{temporary}    server {{
        listen {address} ssl http2;
        root root;
        ssl_certificate certificate.pem;
        ssl_certificate_key key.pem;
{server}
    }}
}}
"
    )
}
