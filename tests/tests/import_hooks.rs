//! The modules that `_wasisocket_site.py` adapts when they are imported.

use wasisocket_tests::guest::{program, run};

#[test]
fn modules_are_adapted_whichever_finder_finds_them() {
    let printed = run()
        .args(["--allow-listen=127.0.0.1:0", "--allow-net=127.0.0.1"])
        .arg(program("imports/finder_in_front.py"))
        .succeeds();
    assert_eq!(printed, "3\nhello\nhello\n");
}
