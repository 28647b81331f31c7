//! Runs the bodies of the fuzz targets with random input, so that they keep compiling and easy faults are found here.

#[expect(unreachable_pub, reason = "cargo-fuzz has it as a crate")]
#[path = "../fuzz/src/lib.rs"]
mod targets;

use arbitrary::{Arbitrary as _, Unstructured};
use proptest::collection::vec;
use proptest::prelude::{any, proptest};

proptest! {
    #[test]
    fn imports(bytes in vec(any::<u8>(), 0..2048)) {
        // Too few bytes also make an input.
        let input = targets::imports::Input::arbitrary(&mut Unstructured::new(&bytes));
        targets::imports::call(&input.unwrap());
    }

    #[test]
    fn rules(text in "[-a-z0-9.:/*\\[\\]]{0,40}|\\PC{0,40}") {
        targets::policy::read(&text);
    }

    #[test]
    fn policy_files(text in r#"((allow-net|resolve|timeout|rate-in|[a-z-]{0,9})( = |=)(\[?"[-a-z0-9.:*]{0,9}",?\]?|[0-9_]{0,9}|\PC{0,9})\n){0,5}"#) {
        targets::policy::read(&text);
    }
}
