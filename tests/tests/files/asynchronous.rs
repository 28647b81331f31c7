//! Guests in an asynchronous store: their files are read on other threads.

use wasisocket_python::{Capture, Distribution, End, Folder, Program, Python};
use wasisocket_tests::guest::{built, program, runtime};

use crate::{assert_same, in_native};

const OUTPUT: usize = 1 << 20;

#[test]
fn directories_and_names_are_the_same_in_an_asynchronous_store() {
    let distribution = Distribution::open(&built("WASISOCKET_PYTHON")).unwrap();
    let python = Python::builder().distribution(distribution).load().unwrap();
    let runtime = runtime();
    for name in ["names.py", "listing.py"] {
        let [native, guest] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let expected = in_native(name, &[native.path().to_str().unwrap()]);
        let [stdout, stderr] = [(); 2].map(|()| Capture::new(OUTPUT));
        let program = Program::script(program("files").join(name))
            .args(["/w"])
            .folder(Folder::read_write(guest.path(), "/w"))
            .stdout(&stdout)
            .stderr(&stderr);
        let end = runtime.block_on(python.run_async(program)).unwrap();
        let [stdout, stderr] =
            [stdout, stderr].map(|output| String::from_utf8(output.bytes()).unwrap());
        assert!(matches!(end, End::Exit(0)), "{end:?} {stderr}");
        assert_same(&expected, &stdout);
    }
}
