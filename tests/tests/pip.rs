//! `wasisocket pip`, with indexes on loopback.

use std::ffi::OsStr;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use wasisocket_tests::guest::{Ended, Run, pip, program, run};
use wasisocket_tests::servers::{closed, loopback, pages, silent, tls_pages};
use wasisocket_tests::tls::Authority;

const PURE: &str = "py3-none-any";
const COMPILED: &str = "cp313-cp313-manylinux_2_17_x86_64";

/// A folder with wheels of the package `hello`.
fn wheels(tags: &[&str]) -> TempDir {
    let wheels: Vec<_> = tags.iter().map(|tag| format!("hello-1.0-{tag}")).collect();
    wheels_of(&wheels)
}

/// A folder with these wheels, as `pip/wheel.py` has them.
fn wheels_of(wheels: &[impl AsRef<OsStr>]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    run()
        .arg(format!("--dir={}::/wheels", folder.path().display()))
        .arg(program("pip/wheel.py"))
        .arg("/wheels")
        .args(wheels)
        .succeeds();
    folder
}

fn wheel(tag: &str) -> String {
    format!("hello-1.0-{tag}.whl")
}

/// An index as PEP 503 defines it, in which the URLs of files begin with `base`.
fn index(files: &Path, base: &str) -> impl Fn(&str) -> Option<Vec<u8>> + Clone + Send + 'static {
    let (files, base) = (files.to_owned(), base.to_owned());
    move |path| {
        let Some(project) = path.strip_prefix("/simple/") else {
            return fs::read(files.join(path.strip_prefix("/files/")?)).ok();
        };
        let start = project.replace('/', "-");
        let names = fs::read_dir(&files)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let links: String = names
            .filter(|name| name.starts_with(&start))
            .map(|name| format!("<a href=\"{base}/files/{name}\">{name}</a>\n"))
            .collect();
        (!links.is_empty()).then(|| links.into_bytes())
    }
}

fn serve(files: &Path) -> SocketAddr {
    let [v4, _] = loopback();
    pages(v4, index(files, ""))
}

fn install(run: Run, site: &Path, packages: &[&str]) -> Ended {
    run.args(["install", "--retries=0", "--target"])
        .arg(site)
        .args(packages)
        .end()
}

#[track_caller]
fn installed(ended: &Ended, site: &Path) {
    ended.assert_success();
    let printed = run()
        .arg(format!("--dir={}::/site:ro", site.display()))
        .args(["--env=PYTHONPATH=/site", "-c"])
        .arg("import hello, importlib.metadata as m; print(hello.greeting, m.version('hello'))")
        .succeeds();
    assert_eq!(printed, "hello 1.0\n");
}

#[test]
fn package_is_installed_from_the_index_of_the_environment() {
    let wheels = wheels(&[PURE]);
    let site = wheels.path().join("not/yet there");
    let server = serve(wheels.path());
    let url = format!("http://{server}/simple");
    let ended = install(pip().env("PIP_INDEX_URL", &url), &site, &["hello"]);
    installed(&ended, &site);
    assert_eq!(ended.stderr, "");
}

#[test]
fn package_is_installed_over_tls_with_the_certificates_given() {
    let wheels = wheels(&[PURE]);
    let authority = Authority::new("ours");
    let bundle = wheels.path().join("ca.pem");
    fs::write(&bundle, authority.pem()).unwrap();
    let [v4, _] = loopback();
    let server = tls_pages(v4, authority.server("localhost"), index(wheels.path(), ""));
    let url = format!("https://localhost:{}/simple", server.port());
    let pip = || pip().env("PIP_INDEX_URL", &url);
    let site = |name: &str| wheels.path().join(name);

    for (name, run) in [
        ("option", pip().arg("--ca-bundle").arg(&bundle)),
        ("pips", pip().env("PIP_CERT", &bundle)),
        ("requests", pip().env("REQUESTS_CA_BUNDLE", &bundle)),
        ("system", pip().env("SSL_CERT_FILE", &bundle)),
    ] {
        let ended = install(run, &site(name), &["hello"]);
        installed(&ended, &site(name));
    }
    let ended = install(pip(), &site("without"), &["hello"]);
    assert_eq!(ended.status, Some(1), "{}", ended.stdout);
    let reported = ended.stdout.contains("CERTIFICATE_VERIFY_FAILED");
    assert!(reported, "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn command_line_overrides_the_index_of_a_configuration_file() {
    let wheels = wheels(&[PURE]);
    let server = serve(wheels.path());
    let [v4, _] = loopback();
    let config = wheels.path().join("pip.conf");
    let site = wheels.path().join("site");
    fs::write(
        &config,
        format!(
            "[global]\nindex-url = http://{}/simple\n[install]\nno-deps = yes\ntarget = {}\n",
            closed(v4),
            site.display()
        ),
    )
    .unwrap();
    let url = format!("http://{server}/simple");
    let ended = pip()
        .env("PIP_CONFIG_FILE", &config)
        .args(["install", "-i", &url, "hello"])
        .end();
    installed(&ended, &site);

    fs::write(&config, format!("[global]\nextra_index_url =\n    {url}\n")).unwrap();
    let site = wheels.path().join("site of two");
    let run = pip()
        .env("PIP_CONFIG_FILE", &config)
        .env("PIP_INDEX_URL", format!("http://{}/simple", closed(v4)));
    installed(&install(run, &site, &["hello"]), &site);
}

#[test]
fn files_on_another_host_need_the_grant_that_is_named() {
    let wheels = wheels(&[PURE]);
    let files = serve(wheels.path());
    let [v4, _] = loopback();
    let server = pages(v4, index(wheels.path(), &format!("http://{files}")));
    let site = wheels.path().join("site");
    let url = format!("http://{server}/simple");
    // A host in no_proxy is not granted for that.
    let no_proxy = format!("localhost,.example.com,*,{}", files.ip());
    let pip = || pip().env("PIP_INDEX_URL", &url).env("no_proxy", &no_proxy);

    let grant = format!("--allow-net={files}");
    let ended = install(pip(), &site, &["hello"]);
    assert_eq!(ended.status, Some(1), "{}", ended.stdout);
    let denial = format!("wasisocket: connect to {files} denied: needs {grant}\n");
    assert!(ended.stderr.contains(&denial), "{}", ended.stderr);

    installed(&install(pip().arg(&grant), &site, &["hello"]), &site);
}

#[test]
fn requirements_and_wheels_are_read_where_they_are() {
    let wheels = wheels(&[PURE]);
    let top = wheels.path();
    fs::create_dir(top.join("more")).unwrap();
    fs::write(top.join("all.txt"), "-r more/some.txt\n-c limits.txt\n").unwrap();
    fs::write(top.join("more/some.txt"), "hello\n").unwrap();
    fs::write(top.join("limits.txt"), "hello==1.0\n").unwrap();
    let name = wheel(PURE);
    for (site, words) in [
        (
            "one",
            vec!["-r", "all.txt", "--find-links", ".", "--no-index"],
        ),
        (
            "two",
            vec!["hello", "-c", "limits.txt", "-f.", "--no-index"],
        ),
        ("three", vec![&name, "--no-index"]),
    ] {
        let site = top.join(site);
        installed(&install(pip().folder(top), &site, &words), &site);
    }
    let site = top.join("four");
    let ended = install(pip(), &site, &["-r", "nowhere.txt"]);
    assert_eq!(ended.status, Some(2));
    assert_eq!(ended.stderr, "wasisocket: no such file: nowhere.txt\n");
}

#[test]
fn package_that_cannot_run_here_is_explained() {
    let compiled = wheels(&[COMPILED]);
    let server = serve(compiled.path());
    let site = compiled.path().join("site");
    let url = format!("--index-url=http://{server}/simple");
    let ended = install(pip(), &site, &[&url, "hello"]);
    assert_eq!(ended.status, Some(1), "{}", ended.stdout);
    for note in [
        "wasisocket: hello 1.0 has compiled parts, and no wheel for this platform\n",
        "wasisocket: hello 1.0 does not work without its compiled parts: importing hello raises",
    ] {
        assert!(ended.stderr.contains(note), "{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("--platform"), "{}", ended.stderr);

    let file = compiled.path().join(wheel(COMPILED));
    let ended = install(pip(), &site, &[file.to_str().unwrap()]);
    assert_eq!(ended.status, Some(1), "{}", ended.stdout);
    assert!(
        ended.stderr.contains("has compiled parts"),
        "{}",
        ended.stderr
    );

    // For no version of Linux, either.
    let other = wheels(&["cp313-cp313-win_amd64"]);
    let server = serve(other.path());
    let url = format!("--index-url=http://{server}/simple");
    let ended = install(pip(), &site, &[&url, "hello"]);
    assert_eq!(ended.status, Some(1), "{}", ended.stdout);
    let note = "wasisocket: hello has compiled parts, and no wheel for this platform\n";
    assert!(ended.stderr.contains(note), "{}", ended.stderr);

    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("hello-1.0.tar.gz"), "").unwrap();
    let server = serve(source.path());
    let url = format!("--index-url=http://{server}/simple");
    let ended = install(pip(), &site, &[&url, "hello"]);
    assert_eq!(ended.status, Some(1), "{}", ended.stdout);
    let note = "wasisocket: hello comes as source only";
    assert!(ended.stderr.contains(note), "{}", ended.stderr);
}

/// Packages of which only older versions do without compiled parts, themselves or in what they need. For `softmix` both
/// kinds of wheels are there.
const BACKWARDS: [&str; 9] = [
    "hello-1.0-py3-none-any",
    "hello-2.0-py3-none-any:between",
    "between-1.0-py3-none-any:hard,softmix",
    "hard-1.0-cp313-cp313-manylinux_2_17_x86_64",
    "softmix-1.0-py3-none-any",
    "softmix-1.0-cp313-cp313-manylinux_2_17_x86_64",
    "soft-1.0-py3-none-any",
    "soft-2.0-cp313-abi3-manylinux_2_28_x86_64",
    "plain-3.0-py3-none-any:softmix",
];

#[test]
fn passed_over_versions_are_reported() {
    let wheels = wheels_of(&BACKWARDS);
    let url = format!("http://{}/simple", serve(wheels.path()));
    let pip = || pip().env("PIP_INDEX_URL", &url);
    let site = |name: &str| wheels.path().join(name);

    let ended = install(pip(), &site("hello"), &["hello", "plain"]);
    installed(&ended, &site("hello"));
    for line in [
        "wasisocket: hello 2.0 needs hard, which has compiled parts; pip looks for an older version\n",
        "wasisocket: hello 1.0 was installed; 2.0 needs hard, which has compiled parts\n",
        "wasisocket: hard 1.0 does not work without its compiled parts: ",
    ] {
        assert!(ended.stderr.contains(line), "{line}\n{}", ended.stderr);
    }
    for package in ["plain", "softmix", "installs the newest"] {
        assert!(!ended.stderr.contains(package), "{}", ended.stderr);
    }

    // The hint is given for what works, and then holds.
    let ended = install(pip(), &site("soft"), &["soft"]);
    ended.assert_success();
    let hint = "soft 2.0 can be imported without compiled parts: \
                --platform manylinux_2_28_x86_64 installs the newest versions\n";
    for line in [
        "wasisocket: soft 1.0 was installed; 2.0 has compiled parts, and no wheel for this platform\n",
        hint,
    ] {
        assert!(ended.stderr.contains(line), "{line}\n{}", ended.stderr);
    }
    let platform = ["--platform", "manylinux_2_28_x86_64"];
    let ended = install(
        pip().arg("--strict"),
        &site("newest"),
        &[&platform[..], &["soft"]].concat(),
    );
    ended.assert_success();
    assert_eq!(ended.stderr, "");
    assert!(site("newest/soft-2.0.dist-info").is_dir());

    // Nothing is passed over.
    let ended = install(pip().arg("--strict"), &site("plain"), &["plain"]);
    ended.assert_success();
    assert_eq!(ended.stderr, "");
}

#[test]
fn strict_installs_nothing_rather_than_an_older_version() {
    let wheels = wheels_of(&BACKWARDS);
    let url = format!("http://{}/simple", serve(wheels.path()));
    let strict = || pip().env("PIP_INDEX_URL", &url).arg("--strict");
    let site = wheels.path().join("site");

    let ended = install(strict(), &site, &["plain", "hello"]);
    assert_eq!(ended.status, Some(1), "{}", ended.stdout);
    let line = "wasisocket: hello 2.0 needs hard, which has compiled parts\n";
    assert!(ended.stderr.contains(line), "{}", ended.stderr);
    assert_eq!(fs::read_dir(&site).unwrap().count(), 0);

    // A version that the user wants needs nothing of that.
    installed(&install(strict(), &site, &["hello<2"]), &site);

    // What is for another platform is installed, and found out not to work.
    let site = wheels.path().join("other");
    let options = ["hard", "--platform", "manylinux_2_17_x86_64"];
    let line = "wasisocket: hard 1.0 does not work without its compiled parts: ";
    for (run, status) in [(strict(), 1), (pip().env("PIP_INDEX_URL", &url), 0)] {
        let ended = install(run, &site, &options);
        assert_eq!(ended.status, Some(status), "{}", ended.stdout);
        assert!(ended.stderr.contains(line), "{}", ended.stderr);
    }

    let ended = install(strict(), &site, &["absent"]);
    assert_eq!(ended.status, Some(1), "{}", ended.stdout);
    let said = ended.stderr.contains("No matching distribution found");
    assert!(said, "{}", ended.stderr);
}

/// Packages that can be locked: the newest version of `hello` has compiled parts.
const LOCKABLE: [&str; 3] = [
    "hello-1.0-py3-none-any:between",
    "hello-2.0-cp313-cp313-manylinux_2_17_x86_64",
    "between-1.0-py3-none-any",
];

/// What is in a folder.
fn count(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn lock_is_written_where_the_user_wants_it() {
    let wheels = wheels_of(&LOCKABLE);
    let top = wheels.path();
    let server = serve(top);
    let url = format!("http://{server}/simple");
    let pip = || pip().env("PIP_INDEX_URL", &url).folder(top);
    let read = |name: &str| fs::read_to_string(top.join(name)).unwrap();

    pip().args(["lock", "hello"]).succeeds();
    let lock = read("pylock.toml");
    for name in ["between", "hello"] {
        let file = format!("{name}-1.0-py3-none-any.whl");
        for part in [
            format!("name = \"{name}\"\nversion = \"1.0\"\n"),
            format!("name = \"{file}\"\nurl = \"http://{server}/files/{file}\"\n"),
        ] {
            // A table of wheels may be written in one line.
            let flat = |text: &str| text.replace([' ', '\n', ','], "");
            assert!(flat(&lock).contains(&flat(&part)), "{part}\n{lock}");
        }
    }
    assert_eq!(lock.matches("sha256 = ").count(), 2, "{lock}");

    fs::write(top.join("all.txt"), "hello\n").unwrap();
    fs::create_dir(top.join("sub")).unwrap();
    pip()
        .args(["lock", "-o", "sub/pylock.dev.toml", "-r", "all.txt"])
        .succeeds();
    assert_eq!(read("sub/pylock.dev.toml"), lock);
    assert_eq!(count(&top.join("sub")), 1);
    let ended = pip().args(["lock", "--output=-", "hello"]).end();
    ended.assert_success();
    assert_eq!(ended.stdout, lock);

    // What is there stays if there is no new one.
    let ended = pip().args(["lock", "absent"]).end();
    assert_eq!(ended.status, Some(1), "{}", ended.stdout);
    assert_eq!(read("pylock.toml"), lock);
    for (options, told) in [
        (
            vec!["lock", "-o", "nowhere/pylock.toml", "hello"],
            "no such folder",
        ),
        (vec!["lock", "-o", "sub", "hello"], "no name for a file"),
        (vec!["--strict", "lock", "hello"], "--strict is for install"),
    ] {
        let ended = pip().args(options).end();
        assert_eq!(ended.status, Some(2), "{}", ended.stdout);
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
    }

    // Files of this machine have their paths of this machine.
    let options = ["lock", "--no-index", "--find-links", ".", "hello"];
    pip().args(options).succeeds();
    let path = top.canonicalize().unwrap();
    let path = format!("\"file://{}/{}\"", path.display(), wheel(PURE));
    let lock = read("pylock.toml");
    assert!(lock.contains(&path), "{lock}");
}

#[test]
fn locked_wheels_are_installed_and_no_others() {
    let wheels = wheels_of(&LOCKABLE);
    let top = wheels.path();
    let url = format!("http://{}/simple", serve(top));
    let pip = || pip().env("PIP_INDEX_URL", &url).folder(top);
    pip().args(["lock", "hello"]).succeeds();

    let newer = wheels_of(&["hello-1.5-py3-none-any", "other-1.0-py3-none-any"]);
    for name in ["hello-1.5-py3-none-any.whl", "other-1.0-py3-none-any.whl"] {
        fs::copy(newer.path().join(name), top.join(name)).unwrap();
    }
    let site = top.join("site");
    let ended = install(pip(), &site, &["-r", "pylock.toml"]);
    installed(&ended, &site);
    assert!(site.join("between.py").is_file());

    let refused = |options: &[&str], status: i32, told: &str| {
        let site = top.join("refused");
        let ended = install(pip(), &site, options);
        assert_eq!(ended.status, Some(status), "{}", ended.stdout);
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
        assert_eq!(count(&site), 0);
    };
    let locked = ["-r", "pylock.toml"];
    refused(&[&locked[..], &["other"]].concat(), 1, "--require-hashes");
    fs::write(top.join("all.txt"), "other\n").unwrap();
    refused(
        &[&locked[..], &["-r", "all.txt"]].concat(),
        2,
        "leave out the other requirements file",
    );
    // The index has another file now.
    let between = top.join("between-1.0-py3-none-any.whl");
    let mut bytes = fs::read(&between).unwrap();
    bytes.push(0);
    fs::write(&between, bytes).unwrap();
    refused(&locked, 1, "DO NOT MATCH THE HASHES");

    let text = "lock-version = '1.0'\n[[packages]]\nname = 'hello'\nversion = '1.0'\n\
        sdist = {name = 'hello-1.0.tar.gz', hashes = {sha256 = 'x'}}\n";
    fs::write(top.join("pylock.toml"), text).unwrap();
    refused(&locked, 2, "pylock.toml: package hello: it has no wheel");
    refused(
        &["-r", "https://192.0.2.1/pylock.toml"],
        2,
        "fetch the lock file",
    );
}

#[test]
fn guest_gets_only_the_variables_that_pip_needs() {
    let printed = pip()
        .env("PIP_EXTRA_INDEX_URL", "http://user:secret@127.0.0.1:9/")
        .env("PIP_TRUSTED_HOST", "127.0.0.1")
        .env("PIP_CACHE_DIR", "/cache")
        .env("PIP_LOG", "/log")
        .env("PIP_NO_BINARY", ":all:")
        .env("PIP_PYTHON", "/usr/bin/python3")
        .args(["config", "list"])
        .succeeds();
    let mut lines: Vec<_> = printed.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            ":env:.disable-pip-version-check='1'",
            ":env:.extra-index-url='http://user:secret@127.0.0.1:9/'",
            ":env:.no-cache-dir='1'",
            ":env:.no-input='1'",
            ":env:.only-binary=':all:'",
            ":env:.progress-bar='off'",
            ":env:.trusted-host='127.0.0.1'",
        ]
    );
}

#[test]
fn proxy_is_reached_in_place_of_the_index() {
    let wheels = wheels(&[PURE]);
    let [v4, _] = loopback();
    let pages_behind = index(wheels.path(), "");
    // A request to a proxy has the whole URL (RFC 9112, 3.2.2).
    let proxy = pages(v4, move |url| {
        pages_behind(url.strip_prefix("http://192.0.2.1")?)
    });
    let site = wheels.path().join("site");
    let run = pip()
        .env("PIP_INDEX_URL", "http://192.0.2.1/simple")
        .env("PIP_TRUSTED_HOST", "192.0.2.1")
        .env("http_proxy", format!("http://{proxy}"));
    installed(&install(run, &site, &["hello"]), &site);
}

#[test]
fn temporary_folder_is_removed() {
    let wheels = wheels(&[PURE]);
    let temporary = tempfile::tempdir().unwrap();
    let site = wheels.path().join("site");
    let pip = || pip().env("TMPDIR", temporary.path());
    let left = || fs::read_dir(temporary.path()).unwrap().count();
    let [v4, _] = loopback();

    let url = format!("http://{}/simple", serve(wheels.path()));
    installed(
        &install(pip().env("PIP_INDEX_URL", url), &site, &["hello"]),
        &site,
    );
    assert_eq!(left(), 0);

    let url = format!("http://{}/simple", closed(v4));
    let ended = install(pip().env("PIP_INDEX_URL", url), &site, &["hello"]);
    assert_eq!((ended.status, left()), (Some(1), 0), "{}", ended.stderr);

    let url = format!("http://{}/simple", silent(v4));
    let run = pip().env("PIP_INDEX_URL", url).arg("--timeout=5s");
    let ended = install(run, &site, &["hello"]);
    assert_eq!((ended.status, left()), (Some(124), 0), "{}", ended.stderr);

    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/simple", server.local_addr().unwrap());
    let run = pip()
        .env("PIP_INDEX_URL", url)
        .args(["install", "--target"]);
    let mut started = run.arg(&site).arg("hello").start();
    let _asking = server.accept().unwrap();
    assert_eq!(left(), 1);
    let process = Pid::from_raw(started.child.id().try_into().unwrap()).unwrap();
    kill_process(process, Signal::TERM).unwrap();
    let ended = started.child.wait().unwrap();
    assert_eq!((ended.signal(), left()), (Some(15), 0));
}

#[test]
fn interrupt_ends_what_pip_does_and_what_it_would_do_next() {
    let site = tempfile::tempdir().unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/simple", server.local_addr().unwrap());
    let run = pip().default_interrupt().env("PIP_INDEX_URL", url);
    let run = run.args(["install", "--target"]);
    let started = run.arg(site.path()).arg("hello").start();
    let _asking = server.accept().unwrap();
    let process = Pid::from_raw(started.child.id().try_into().unwrap()).unwrap();
    kill_process(process, Signal::INT).unwrap();
    let ended = started.end();
    assert_eq!(
        (ended.status, ended.stderr.as_str()),
        (Some(1), "ERROR: Operation cancelled by user\n")
    );
}

#[test]
fn install_without_a_folder_says_what_to_add() {
    let ended = pip().args(["install", "hello"]).end();
    assert_eq!(ended.status, Some(2), "{}", ended.stdout);
    assert!(ended.stderr.contains("--target DIR"), "{}", ended.stderr);
}
