//! Popular packages, unmodified, with real servers and clients. A program must print the same in the guest as under
//! native CPython with the same packages.

mod clients;
mod hostile;
mod pytest;
mod servers;
mod threads;

use std::fs;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use wasisocket_tests::guest::{Run, Started, built, program, run};
use wasisocket_tests::tls::Authority;

/// The guest's path of the folder of [`Trust`].
const GIVEN: &str = "/given";

/// The certificates of a test: a trusted authority, and a folder with its certificate, a client's and a server's.
struct Trust {
    authority: Authority,
    folder: TempDir,
}

impl Trust {
    fn new() -> Self {
        let authority = Authority::new("ours");
        let folder = tempfile::tempdir().unwrap();
        let client = authority.identity("a client", |_| {});
        let server = authority.identity("localhost", |_| {});
        for (name, content) in [
            ("ca.pem", authority.pem()),
            ("client.pem", client.certificate),
            ("client.key", client.key),
            ("server.pem", server.certificate),
            ("server.key", server.key),
        ] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        Self { authority, folder }
    }

    fn ca(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    /// The command for a guest with the packages, which may connect to these ports.
    fn guest(&self, ports: &[u16]) -> Run {
        let mut run = with_packages().args(["--ca-bundle", &self.ca()]);
        for port in ports {
            run = run.arg(format!("--allow-net=localhost:{port},127.0.0.1:{port}"));
        }
        // No program keeps a large body in memory.
        run.arg("--max-memory=192M").arg(self.grant())
    }

    /// The grant of the folder, read-only.
    fn grant(&self) -> String {
        format!("--dir={}::{GIVEN}:ro", self.folder.path().display())
    }

    /// The command for native CPython with the packages.
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

    /// The arguments for the native program, with the folder's host path in place of [`GIVEN`].
    fn natively(&self, arguments: &[&str]) -> Vec<String> {
        let folder = self.folder.path().display().to_string();
        let arguments = arguments.iter().map(|argument| match *argument {
            GIVEN => folder.clone(),
            other => other.to_owned(),
        });
        arguments.collect()
    }

    /// Runs a program of `tests/programs/packages` in native CPython, and returns its output.
    fn in_native(&self, name: &str, arguments: &[&str]) -> String {
        let mut python = self.native();
        python
            .arg("-Wignore")
            .arg(program("packages").join(name))
            .args(self.natively(arguments))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = python.spawn().unwrap();
        let ended = Started { child }.end();
        assert_eq!(
            ended.status,
            Some(0),
            "{name} in native CPython:\n{}",
            ended.stderr
        );
        ended.stdout
    }

    /// Runs it in the guest, which may connect to these ports, and returns its output.
    fn in_guest(&self, name: &str, ports: &[u16], arguments: &[&str]) -> String {
        self.guest(ports)
            .arg("--env=PYTHONWARNINGS=ignore")
            .arg(program("packages").join(name))
            .args(arguments)
            .succeeds()
    }

    /// Runs a program in both, asserts that the output is the same, and returns it.
    fn same_in_both(&self, name: &str, ports: &[u16], arguments: &[&str]) -> String {
        let native = self.in_native(name, arguments);
        let guest = self.in_guest(name, ports, arguments);
        if guest != native {
            for (guest, native) in guest.lines().zip(native.lines()) {
                if guest != native {
                    eprintln!("guest:  {guest}\nnative: {native}");
                }
            }
            panic!("{name} prints in the guest:\n{guest}");
        }
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

#[test]
fn every_program_is_run() {
    let tests = [
        include_str!("clients.rs"),
        include_str!("hostile.rs"),
        include_str!("servers.rs"),
        include_str!("threads.rs"),
    ]
    .concat();
    for entry in fs::read_dir(program("packages")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(tests.contains(&format!("\"{name}\"")), "{name}");
    }
}
