//! Rules and policy files with any text: a grant or an error, never a panic; and a rule prints as what it means.

use proptest::prelude::*;
use wasisocket_host::{Grants, Limit, Limits, List, Resolver};

fn list() -> impl Strategy<Value = List> {
    prop::sample::select(List::ALL)
}

/// Every key of a policy file.
fn keys() -> Vec<&'static str> {
    let lists = List::ALL.iter().map(|list| list.name());
    lists
        .chain(Limit::ALL.iter().map(|limit| limit.name()))
        .collect()
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("*".to_owned()),
        Just("localhost".to_owned()),
        any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|ip| format!("[{ip}]")),
        any::<std::net::Ipv6Addr>().prop_map(|ip| ip.to_string()),
        (any::<u32>(), 0..=32_u32).prop_map(|(ip, prefix)| {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            format!("{}/{prefix}", std::net::Ipv4Addr::from(ip & mask))
        }),
        (any::<u128>(), 0..=128_u32).prop_map(|(ip, prefix)| {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            format!("[{}/{prefix}]", std::net::Ipv6Addr::from(ip & mask))
        }),
        "(\\*\\.)?[A-Za-z0-9_-]{1,9}(\\.[a-zA-Z0-9-]{1,9}){0,3}\\.?",
        "(\\*\\.)?\\PC{1,9}\\.test",
    ]
}

fn ports() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        (0..=65536_u32).prop_map(|port| format!(":{port}")),
        (0..=65536_u32, 0..=65536_u32).prop_map(|(first, last)| format!(":{first}-{last}")),
    ]
}

fn rule() -> impl Strategy<Value = String> {
    let protocol = prop::sample::select(vec!["", "/tcp", "/udp", "/TCP", "/sctp"]);
    (host(), ports(), protocol)
        .prop_map(|(host, ports, protocol)| format!("{host}{ports}{protocol}"))
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,40}", "[a-z0-9.:/*\\[\\], -]{0,40}", any::<String>(),]
}

/// Checks that a rule, if it parses, prints as a rule that parses to the same.
fn check(list: List, text: &str) -> Result<(), TestCaseError> {
    let mut grants = Grants::default();
    if grants.add(list, text).is_err() {
        return Ok(());
    }
    let mut again = Grants::default();
    let mut file = String::new();
    for (list, rule) in grants.policy.rules() {
        again.add(list, &rule).unwrap();
        prop_assert_eq!(again.policy.rules().last(), Some((list, rule.clone())));
        file = format!("{list} = ['{rule}']\n");
    }
    prop_assert_eq!(&again.policy, &grants.policy);
    prop_assert_eq!(Grants::from_toml(&file).unwrap().policy, grants.policy);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn rule_that_parses_prints_and_parses_back_to_the_same(list in list(), rule in rule()) {
        check(list, &rule)?;
    }

    #[test]
    fn any_text_is_a_rule_or_an_error(list in list(), text in any_text()) {
        check(list, &text)?;
        let _ = Resolver::new().resolve(&text);
        let _ = Resolver::new().dns(&text);
        for limit in Limit::ALL {
            let _ = Limits::default().set(*limit, &text);
        }
    }

    #[test]
    fn any_text_is_a_policy_file_or_an_error(text in any_text()) {
        if let Err(error) = Grants::from_toml(&text) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn any_entries_are_a_policy_file_or_an_error(
        entries in prop::collection::vec(
            (
                prop_oneof![
                    prop::sample::select(keys()).prop_map(str::to_owned),
                    "[a-z-]{1,12}",
                ],
                prop_oneof![
                    rule().prop_map(|rule| format!("[{rule:?}]")),
                    any_text().prop_map(|text| format!("[{text:?}]")),
                    any_text(),
                    any::<i64>().prop_map(|number| number.to_string()),
                    any::<f64>().prop_map(|number| number.to_string()),
                    "\"[0-9]{1,9}[kKmMsG]{0,2}\"",
                    Just("{ a = [[], {}] }".to_owned()),
                ],
            ),
            0..6,
        ),
    ) {
        let lines: Vec<_> = entries.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        if let Err(error) = Grants::from_toml(&lines.join("\n")) {
            prop_assert!(error.line() >= 1 && error.column() >= 1);
        }
    }
}

#[test]
fn deep_nesting_is_an_error() {
    let deep = format!("dns = {}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Grants::from_toml(&deep).is_err());
    let dotted = format!("{}a = 1", "a.".repeat(100_000));
    assert!(Grants::from_toml(&dotted).is_err());
}
