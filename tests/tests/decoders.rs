//! Addresses, options and look-ups as C code in a guest may pass them. Any bytes give an answer or an errno, never a
//! panic. These tests run natively, over the in-memory host.

use proptest::prelude::*;
use wasisocket_posix::netdb::{Hints, getaddrinfo};
use wasisocket_posix::{Address, Family, Type, close, getsockopt, setsockopt, socket};

/// Existing levels and names, and others.
fn option() -> impl Strategy<Value = (i32, i32)> {
    let level = prop_oneof![Just(0), Just(1), Just(6), Just(41), any::<i32>()];
    let name = prop_oneof![0..80_i32, any::<i32>()];
    (level, name)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn any_bytes_are_an_address_or_none(family in 0..12_u16, rest in prop::collection::vec(any::<u8>(), 0..130)) {
        let bytes = [family.to_ne_bytes().as_slice(), &rest].concat();
        if let Ok(address) = Address::from_sockaddr(&bytes) {
            // An address that was understood encodes to the same.
            let (again, length) = address.to_sockaddr();
            if length > 0 {
                prop_assert_eq!(Address::from_sockaddr(&again[..length]), Ok(address));
            }
        }
        // And the same bytes without a family in front.
        let _ = Address::from_sockaddr(&rest);
    }

    #[test]
    fn any_option_has_a_value_or_an_errno(
        (level, name) in option(),
        value in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        for (family, ty) in [
            (Family::Inet, Type::Stream),
            (Family::Inet6, Type::Datagram),
            (Family::Unix, Type::Stream),
        ] {
            let fd = socket(family, ty, 0).unwrap();
            let _ = setsockopt(fd, level, name, &value);
            if let Ok((bytes, length)) = getsockopt(fd, level, name, value.len()) {
                prop_assert!(length <= bytes.len());
            }
            close(fd).unwrap();
        }
    }

    #[test]
    fn any_name_is_looked_up_or_not(
        host in prop::option::of("[0-9a-z.:%]{0,40}|\\PC{0,20}"),
        service in prop::option::of("[0-9]{0,7}|[a-z]{0,5}"),
        flags in prop_oneof![0..0x800, any::<i32>()],
        family in prop_oneof![Just(0), Just(2), Just(10), any::<i32>()],
        socktype in prop_oneof![0..7_i32, any::<i32>()],
        protocol in prop_oneof![Just(0), Just(6), Just(17), any::<i32>()],
    ) {
        let hints = Hints { flags, family, socktype, protocol };
        let answers = getaddrinfo(
            host.as_deref().map(str::as_bytes),
            service.as_deref().map(str::as_bytes),
            hints,
        );
        if let Ok(answers) = answers {
            prop_assert!(!answers.is_empty());
        }
    }
}
