//! Which time zones a guest knows, and which is its own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;
use wasisocket_tests::guest::run;

/// Prints the offset of a zone, or that there is none.
const KNOWS: &str = "\
import sys, zoneinfo, datetime
for name in sys.argv[1:]:
    try:
        print(datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo(name)).strftime('%Z %z'))
    except (zoneinfo.ZoneInfoNotFoundError, OSError, ValueError) as error:
        print(type(error).__name__)";

/// Prints what `time` says of the guest's own zone.
const LOCAL: &str = "import time; print(time.tzname, time.timezone, time.localtime(0).tm_hour)";

/// A file with one zone that has a rule only: tzfile(5).
fn zone(rule: &str) -> Vec<u8> {
    let mut file = Vec::new();
    for _ in 0..2 {
        file.extend(b"TZif2");
        file.extend([0; 15]);
        for count in [0_u32, 0, 0, 0, 1, 4] {
            file.extend(count.to_be_bytes());
        }
        file.extend([0; 6]);
        file.extend(b"LMT\0");
    }
    file.extend(format!("\n{rule}\n").bytes());
    file
}

/// A database with UTC and with a zone `Own/City` of three hours.
fn database() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("UTC"), zone("UTC0")).unwrap();
    fs::create_dir(folder.path().join("Own")).unwrap();
    fs::write(folder.path().join("Own/City"), zone("OWN-3")).unwrap();
    folder
}

fn tzdata(folder: &Path) -> String {
    format!("--tzdata={}", folder.display())
}

#[test]
fn guest_without_tz_is_in_utc() {
    for cold in [&[][..], &["--cold"]] {
        // The host's own zone is none of the guest's business.
        let ended = run().env("TZ", "Asia/Tokyo").args(cold).args(["-c", LOCAL]);
        assert_eq!(ended.succeeds(), "('UTC', 'UTC') 0 0\n");
    }
}

#[test]
fn tz_is_honoured_from_an_image_and_cold() {
    for cold in [&[][..], &["--cold"]] {
        for (zone, said) in [
            ("Asia/Kolkata", "('IST', 'IST') -19800 5\n"),
            ("America/New_York", "('EST', 'EDT') 18000 19\n"),
            ("<+03>-3", "('+03', '+03') -10800 3\n"),
        ] {
            let run = run().args(cold).arg(format!("--env=TZ={zone}"));
            assert_eq!(run.args(["-c", LOCAL]).succeeds(), said, "{cold:?}");
        }
    }
}

#[test]
fn zones_are_those_of_the_host_unless_given() {
    let database = database();
    let names = ["Own/City", "Europe/Paris"];
    let none = "ZoneInfoNotFoundError\n";
    let own = format!("OWN +0300\n{none}");
    for (run, known) in [
        (run(), format!("{none}CEST +0200\n")),
        (run().env("TZDIR", database.path()), own.clone()),
        (run().arg(tzdata(database.path())), own),
        (run().arg("--tzdata=none"), none.repeat(2)),
    ] {
        let printed = run.args(["-c", KNOWS]).args(names).succeeds();
        assert_eq!(printed, known);
    }
    // Rules need no database.
    let rule = run().args(["--tzdata=none", "--env=TZ=OWN-3", "-c", LOCAL]);
    assert_eq!(rule.succeeds(), "('OWN', 'OWN') -10800 3\n");
    let missing = run().args(["--tzdata=none", "--env=TZ=Europe/Paris", "-c", LOCAL]);
    assert_eq!(missing.succeeds(), "('Europe', 'Europe') 0 0\n");
}

#[test]
fn granted_folder_with_zones_comes_first() {
    let database = database();
    for place in ["/usr/share/zoneinfo:ro", "/zones:ro"] {
        let grant = format!("--dir={}::{place}", database.path().display());
        let printed = run()
            .arg(grant)
            .args(["--env=PYTHONTZPATH=/usr/share/zoneinfo:/zones", "-c", KNOWS])
            .args(["Own/City", "Europe/Paris"])
            .succeeds();
        let paris = match place.starts_with("/usr") {
            true => "ZoneInfoNotFoundError",
            false => "CEST +0200",
        };
        assert_eq!(printed, format!("OWN +0300\n{paris}\n"));
    }
}

#[test]
fn links_do_not_lead_out_of_the_zones() {
    let database = database();
    let secret = tempfile::tempdir().unwrap();
    fs::write(secret.path().join("zone"), zone("SECRET-1")).unwrap();
    symlink(secret.path().join("zone"), database.path().join("Absolute")).unwrap();
    let up = "../".repeat(database.path().components().count());
    let relative = format!("{up}{}", secret.path().join("zone").display());
    symlink(relative, database.path().join("Relative")).unwrap();
    symlink("Own/City", database.path().join("Link")).unwrap();
    symlink("../Link", database.path().join("Own/Link")).unwrap();
    let names = ["Absolute", "Relative", "Link", "Own/Link"];
    let printed = run()
        .arg(tzdata(database.path()))
        .args(["-c", KNOWS])
        .args(names)
        .succeeds();
    let none = "ZoneInfoNotFoundError\n";
    assert_eq!(printed, format!("{none}{none}OWN +0300\nOWN +0300\n"));
    // The same for TZ. Names that begin the value are then UTC's.
    for (name, said) in [("Absolute", "Absolute"), ("Own/Link", "OWN")] {
        let run = run().arg(tzdata(database.path()));
        let printed = run.arg(format!("--env=TZ={name}")).args(["-c", LOCAL]);
        let printed = printed.succeeds();
        assert!(printed.starts_with(&format!("('{said}', ")), "{printed}");
    }
}

#[test]
fn guest_cannot_change_the_zones() {
    let database = database();
    let code = "\
import os
for name in ('UTC', 'New'):
    try:
        open(f'/usr/share/zoneinfo/{name}', 'w')
    except OSError as error:
        print(type(error).__name__)
print(sorted(os.listdir('/usr/share/zoneinfo')))";
    let run = run().arg(tzdata(database.path())).args(["-c", code]);
    let printed = run.succeeds();
    assert!(printed.ends_with("['Own', 'UTC']\n"), "{printed}");
    assert_eq!(printed.lines().count(), 3, "{printed}");
    assert_eq!(fs::read(database.path().join("UTC")).unwrap(), zone("UTC0"));
}

#[test]
fn folder_without_zones_is_refused() {
    let empty = tempfile::tempdir().unwrap();
    let ended = run().arg(tzdata(empty.path())).args(["-c", ""]).end();
    assert_eq!(ended.status, Some(2));
    let message = "--tzdata: no time zones in ";
    assert!(ended.stderr.contains(message), "{}", ended.stderr);
}
