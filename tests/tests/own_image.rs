//! Images with a user's own packages: `wasisocket snapshot` and `wasisocket run --image`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use wasisocket_python::{Capture, Distribution, End, Preload, Program, Python};
use wasisocket_tests::guest::{Ended, Run, built, run, snapshot};

/// A folder with packages, and an image of them.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Self { folder };
        site.write(
            "pack/__init__.py",
            "import os, time\nfrom . import inner\nmade = time.time_ns()\nstate = []\nmode = os.environ.get('MODE')\n",
        );
        site.write("pack/inner.py", "answer = 42\n");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path("site").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn image(&self) -> PathBuf {
        self.path("own.image")
    }

    fn make(&self, modules: &[&str]) -> Ended {
        snapshot()
            .arg("--preload")
            .args(modules)
            .arg("--site")
            .arg(self.path("site"))
            .arg("--out")
            .arg(self.image())
            .end()
    }

    fn run(&self) -> Run {
        run().arg("--image").arg(self.image())
    }

    /// Asserts that the image is refused, and returns the message.
    #[track_caller]
    fn refused(&self) -> String {
        let ended = self.run().args(["-c", "print('ran')"]).end();
        assert_eq!((ended.status, &*ended.stdout), (Some(2), ""));
        ended.stderr
    }
}

/// Code that prints whether the package is there before it is imported, and when its file was executed.
const CODE: &str = "import sys; before = [name for name in sys.modules if name.startswith('pack')]
import pack; print(before, pack.made, pack.inner.answer, pack.state, pack.mode, pack.__file__); pack.state.append(1)";

#[test]
fn package_is_executed_once_and_hidden_until_it_is_imported() {
    let site = Site::new();
    site.make(&["json", "pack"]).assert_success();
    let mode = fs::metadata(site.image()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o400);
    let outputs = [0, 1].map(|_| site.run().args(["-c", CODE]).succeeds());
    assert!(outputs[0].starts_with("[] "), "{outputs:?}");
    assert!(
        outputs[0].ends_with("42 [] None /usr/local/lib/site/pack/__init__.py\n"),
        "{outputs:?}"
    );
    assert_eq!(outputs[0], outputs[1]);
    // Made anew, in place of the first.
    site.make(&["pack.inner"]).assert_success();
    assert_ne!(site.run().args(["-c", CODE]).succeeds(), outputs[0]);
}

#[test]
fn guest_that_needs_a_cold_start_finds_the_package_too() {
    let site = Site::new();
    site.make(&["pack"]).assert_success();
    let path = "import sys; print(sys.path)";
    let warm = site.run().args(["-c", path]).succeeds();
    for setting in ["PYTHONHASHSEED=0", "MODE=some"] {
        let run = || site.run().args(["--env", setting]);
        assert_eq!(run().args(["-c", path]).succeeds(), warm);
        let outputs = [0, 1].map(|_| run().args(["-c", CODE]).succeeds());
        assert_ne!(outputs[0], outputs[1]);
        let mode = match setting.strip_prefix("MODE=") {
            Some(mode) => format!("42 [] {mode} "),
            None => "42 [] None ".into(),
        };
        assert!(outputs[0].contains(&mode), "{outputs:?}");
    }
    // One that no module looked for.
    let outputs = [0, 1].map(|_| site.run().args(["--env", "OTHER=1", "-c", CODE]).succeeds());
    assert_eq!(outputs[0], outputs[1]);
}

#[test]
fn guests_share_no_random_number() {
    let site = Site::new();
    site.write(
        "draws.py",
        "import random, secrets, uuid, ssl, tempfile, os\n\
         context = ssl.SSLContext()\n\
         def draw(): return [random.random(), secrets.token_hex(), str(uuid.uuid4()), ssl.RAND_bytes(8).hex(),\n    \
         os.urandom(8).hex(), tempfile.mktemp(dir='/')]\n",
    );
    site.make(&["draws"]).assert_success();
    let code = "import draws; print(*draws.draw(), sep='\\n')";
    // Also one that gets modules from their files, with the generators that OpenSSL has in the image.
    let changed =
        "import sys; sys.meta_path.insert(0, type('', (), {'find_spec': lambda *_: None})); ";
    let [one, other, changed, again] = [
        code,
        code,
        &(changed.to_owned() + code),
        &(changed.to_owned() + code),
    ]
    .map(|code| site.run().args(["-c", code]).succeeds());
    assert_eq!(one.lines().count(), 6);
    for number in one.lines() {
        assert!(!other.contains(number), "{one} {other}");
        assert!(!changed.contains(number), "{one} {changed}");
    }
    assert!(
        changed.lines().all(|number| !again.contains(number)),
        "{changed} {again}"
    );
}

#[test]
fn file_that_changed_is_noticed() {
    let site = Site::new();
    site.write("pack/data.txt", "one");
    site.write(
        "pack/inner.py",
        "answer = 42; data = open(__file__[:-8] + 'data.txt').read()\n",
    );
    let changes: [fn(&Site); 3] = [
        |site| site.write("pack/data.txt", "two"),
        |site| site.write("pack/inner.py", "answer = 43\n"),
        |site| site.write("json.py", "answer = 43\n"),
    ];
    for change in changes {
        site.make(&["pack"]).assert_success();
        site.run().args(["-c", CODE]).succeeds();
        change(&site);
        let error = site.refused();
        assert!(error.contains("has changed since"), "{error}");
        let remedy = format!(
            "wasisocket snapshot --preload pack --site {} --out {}",
            site.path("site").display(),
            site.image().display()
        );
        assert!(error.contains(&remedy), "{error}");
    }
    let output = site.make(&["pack"]);
    output.assert_success();
    let output = site.run().args(["-c", CODE]).succeeds();
    assert!(output.contains(" 43 "), "{output}");
}

#[test]
fn image_of_another_python_is_refused() {
    let site = Site::new();
    let other = site.path("other");
    fs::create_dir_all(&other).unwrap();
    let python = built("WASISOCKET_PYTHON");
    std::os::unix::fs::symlink(python.join("lib"), other.join("lib")).unwrap();
    let mut wasm = fs::read(python.join("python.wasm")).unwrap();
    // A custom section without a name and content.
    wasm.extend([0, 1, 0]);
    fs::write(other.join("python.wasm"), wasm).unwrap();
    site.make(&["pack"]).assert_success();
    let ended = site
        .run()
        .arg("--python")
        .arg(&other)
        .args(["-c", "print('ran')"])
        .end();
    assert_eq!((ended.status, &*ended.stdout), (Some(2), ""));
    assert!(
        ended.stderr.contains("was made for another Python"),
        "{}",
        ended.stderr
    );
}

#[test]
fn image_that_others_could_have_written_or_that_is_none_is_refused() {
    let site = Site::new();
    site.make(&["pack"]).assert_success();
    let chmod = |mode| fs::set_permissions(site.image(), fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o600, 0o440, 0o402] {
        chmod(mode);
        let error = site.refused();
        assert!(error.contains(&format!("has mode {mode:o}")), "{error}");
    }
    chmod(0o600);
    let content = fs::read(site.image()).unwrap();
    fs::write(site.image(), &content[..content.len() - 1]).unwrap();
    chmod(0o400);
    assert!(site.refused().contains("is damaged"));
    fs::remove_file(site.image()).unwrap();
    assert!(site.refused().contains("cannot open"));
    fs::write(site.image(), "mine").unwrap();
    assert!(site.refused().contains("is no image"));
    let ended = site.make(&["pack"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("is no image"), "{}", ended.stderr);
    assert_eq!(fs::read(site.image()).unwrap(), b"mine");
}

#[test]
fn guest_cannot_change_the_packages_of_its_image() {
    let site = Site::new();
    site.make(&["pack"]).assert_success();
    let code = "open('/usr/local/lib/site/new', 'w')";
    let ended = site.run().args(["-c", code]).end();
    assert_eq!(ended.status, Some(1));
    for folder in ["", "site"] {
        let dir = format!("--dir={}::/data", site.path(folder).display());
        let ended = site.run().arg(dir).args(["-c", "print('ran')"]).end();
        assert_eq!(ended.status, Some(2));
        assert!(ended.stderr.contains("could change"), "{}", ended.stderr);
    }
}

#[test]
fn module_that_cannot_be_in_an_image_is_named() {
    let site = Site::new();
    for (code, reason) in [
        ("import pack.nowhere", "No module named 'pack.nowhere'"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise SystemExit", "SystemExit"),
        ("print('text')", "prints when it is imported"),
        ("import os; os.urandom(1)", "takes random bytes"),
        (
            "import ssl; ssl.RAND_bytes(1)",
            "takes random bytes from OpenSSL",
        ),
        (
            "import ssl; c = ssl.create_default_context()",
            "it opens /etc/ssl/",
        ),
        ("import random; r = random.Random()", "takes random bytes"),
        ("import random; random.random()", "uses the module random"),
        ("f = open(__file__)", "leaves a file or a socket open"),
        (
            "import socket; s = socket.socket()",
            "leaves a file or a socket open",
        ),
        (
            "import threading as t; t.Thread(target=t.Event().wait, daemon=True).start()",
            "leaves a thread",
        ),
    ] {
        site.write("bad.py", code);
        let ended = site.make(&["pack", "bad"]);
        assert_eq!(ended.status, Some(2), "{code}");
        assert!(ended.stderr.contains("bad"), "{code}: {}", ended.stderr);
        assert!(ended.stderr.contains(reason), "{code}: {}", ended.stderr);
        assert!(!site.image().exists());
    }
    // By the name of the module that does it.
    site.write("bad.py", "import os; os.urandom(1)");
    site.write("outer.py", "import bad, pack.inner");
    let ended = site.make(&["outer"]);
    let reason = "bad cannot be in an image: it takes random bytes";
    assert!(ended.stderr.contains(reason), "{}", ended.stderr);
    for (name, reason) in [
        (
            "nowhere",
            "nowhere cannot be in an image: ModuleNotFoundError: No module named 'nowhere'",
        ),
        ("pack.nowhere", "No module named 'pack.nowhere'"),
        ("pack/inner", "is not the name of a module"),
    ] {
        let ended = site.make(&[name]);
        assert_eq!(ended.status, Some(2), "{name}");
        assert!(ended.stderr.contains(reason), "{name}: {}", ended.stderr);
    }
    site.write("sitecustomize.py", "");
    let ended = site.make(&["pack"]);
    assert_eq!(ended.status, Some(2));
    assert!(
        ended.stderr.contains("sitecustomize.py"),
        "{}",
        ended.stderr
    );
}

#[test]
fn file_of_the_guest_comes_before_the_package() {
    let site = Site::new();
    site.make(&["pack"]).assert_success();
    let own = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(own.path().join(name), text).unwrap();
    write("main.py", "import pack, json; print(pack.own)");
    write("pack.py", "own = 'own'");
    let output = site.run().arg(own.path().join("main.py")).succeeds();
    assert_eq!(output, "own\n");
    // A folder behind the packages does not hide them.
    let code = "import sys; sys.path.insert(sys.path.index('/usr/local/lib/site') + 1, '/own'); import pack; print(pack.own)";
    let dir = format!("--dir={}::/own:ro", own.path().display());
    let ended = site.run().arg(&dir).args(["-c", code]).end();
    assert!(ended.stderr.contains("AttributeError"), "{}", ended.stderr);
    let code = code.replace("+ 1, ", ", ");
    assert_eq!(site.run().arg(&dir).args(["-c", &code]).succeeds(), "own\n");
}

fn python(image: Option<&Path>) -> Python {
    let distribution = Distribution::open(&built("WASISOCKET_PYTHON")).unwrap();
    let builder = Python::builder().distribution(distribution);
    match image {
        Some(image) => builder.image(image),
        None => builder.cold_start(),
    }
    .load()
    .unwrap()
}

#[tokio::test]
async fn library_makes_and_uses_images() {
    let site = Site::new();
    let more = tempfile::tempdir().unwrap();
    fs::write(
        more.path().join("more.py"),
        "import pack, time\nmade = time.time_ns()\n",
    )
    .unwrap();
    let preload = Preload::new()
        .module("more")
        .site(site.path("site"))
        .site(more.path());
    python(None).write_image(site.image(), &preload).unwrap();
    let python = python(Some(&site.image()));
    let private = python.with_private_image().unwrap();
    let mut outputs = Vec::new();
    for python in [&python, &python, &private, &private] {
        let stdout = Capture::new(1 << 16);
        let code = "import more; print(more.made, more.__file__)";
        let program = Program::code(code).stdout(&stdout).inherit_stderr();
        assert_eq!(python.run_async(program).await.unwrap(), End::Exit(0));
        outputs.push(String::from_utf8(stdout.bytes()).unwrap());
    }
    assert!(
        outputs[0].ends_with(" /usr/local/lib/site-2/more.py\n"),
        "{outputs:?}"
    );
    assert_eq!(outputs[0], outputs[1]);
    assert_eq!(outputs[2], outputs[3]);
    assert_ne!(outputs[0], outputs[2]);
}
