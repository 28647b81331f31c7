//! Listing directories: os.listdir and os.scandir.

use std::fs::{self, File};
use std::path::Path;

use wasisocket_tests::guest::{program, run};

use crate::{dir, in_native};

fn fill(folder: &Path, files: usize) {
    fs::create_dir(folder).unwrap();
    for number in 0..files {
        File::create(folder.join(format!("file-{number:06}"))).unwrap();
    }
}

/// Reads the seconds for each file that os.listdir and os.scandir took.
fn seconds(printed: &str) -> Vec<f64> {
    printed.lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn entries_are_listed_once_while_others_come_and_go() {
    let [native, guest] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    in_native("listing.py", &[native.path().to_str().unwrap()]);
    run()
        .arg(dir(guest.path(), "/w"))
        .arg(program("files/listing.py"))
        .arg("/w")
        .succeeds();
}

#[test]
fn time_to_list_a_directory_is_linear() {
    let folder = tempfile::tempdir().unwrap();
    let in_guest = |files: usize| {
        fill(&folder.path().join(files.to_string()), files);
        let printed = run()
            .arg(dir(folder.path(), "/w"))
            .arg(program("files/big_folder.py"))
            .arg(format!("/w/{files}"))
            .succeeds();
        seconds(&printed)
    };
    let (small, large) = (in_guest(2_000), in_guest(100_000));
    let path = folder.path().join("100000");
    let native = seconds(&in_native("big_folder.py", &[path.to_str().unwrap()]));
    println!(
        "seconds for each file: {small:?} of 2,000, {large:?} of 100,000, natively {native:?}"
    );
    for (small, large) in small.iter().zip(&large) {
        // In quadratic time it would be 50 times as much.
        assert!(
            *large < small * 5.0,
            "{small} for 2,000, {large} for 100,000"
        );
    }
}
