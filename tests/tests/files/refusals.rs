//! Files that no granted folder has: a program that fails for want of one is told apart from others.

use std::fs;

use wasisocket_tests::guest::run;

/// Asserts which lines the command prints itself after this code.
#[track_caller]
fn tells(arguments: &[&str], code: &str, lines: &[&str]) {
    let ended = run().args(arguments).args(["-c", code]).end();
    let printed: Vec<_> = ended
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("wasisocket: "))
        .collect();
    assert_eq!(printed, lines, "{code}: {}", ended.stderr);
}

#[test]
fn program_that_fails_says_which_folder_was_not_granted() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let read_only = format!("--dir={}::/folder:ro", folder.path().display());
    let read_only = [read_only.as_str()];
    let root = format!("--dir={}::/:ro", folder.path().display());
    let root = [root.as_str()];

    let input = "open /data/input.csv refused: needs --dir DIR::/data:ro";
    tells(&[], "open('/data/input.csv')", &[input]);
    tells(&root, "open('/data/input.csv')", &[input]);
    tells(
        &root,
        "import os; os.chdir('/'); open('../data/./input.csv')",
        &[input],
    );
    let output = "write to /out/x.txt refused: needs --dir DIR::/out";
    tells(&[], "open('/out/x.txt', 'w')", &[output]);
    let output = "write to /folder/file refused: needs --dir DIR::/folder";
    tells(&read_only, "open('/folder/file', 'r+')", &[output]);
    let listed = "open /data/inner refused: needs --dir DIR::/data:ro";
    tells(&[], "import os; os.listdir('/data/inner')", &[listed]);
    let hidden = "open /data/\\u{1b}[2J refused: needs --dir DIR::/data:ro";
    tells(&[], "open('/data/\\x1b[2J')", &[hidden]);

    // The last three, each once.
    let many = "
for number in [1, 2, 3, 4, 3]:
    try: open(f'/data/{number}')
    except OSError: pass
raise SystemExit(1)";
    let lines =
        [2, 4, 3].map(|number| format!("open /data/{number} refused: needs --dir DIR::/data:ro"));
    tells(&[], many, &lines.each_ref().map(String::as_str));
}

#[test]
fn nothing_is_said_of_what_is_only_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let granted = format!("--dir={}::/folder", folder.path().display());
    let granted = [granted.as_str()];
    // It is handled.
    tells(&[], "try: open('/data/x')\nexcept OSError: pass", &[]);
    // It is not opened.
    tells(
        &[],
        "import os; os.path.exists('/data/x'); raise SystemExit(1)",
        &[],
    );
    // Nobody has it.
    tells(&granted, "open('/folder/missing')", &[]);
    tells(&granted, "open('/folder/missing/file', 'w')", &[]);
    tells(&[], "import missing", &[]);
    tells(&[], "raise ValueError", &[]);
}
