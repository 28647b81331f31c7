//! TLS in the guest, whose records the host seals and opens: with every cipher, in pieces of every size, and with records
//! that were changed on the way.

use std::fs;

use wasisocket_tests::guest::{program, run};
use wasisocket_tests::tls::Authority;

#[test]
fn every_record_arrives_as_it_was_sent_and_changed_ones_are_refused() {
    let identity = Authority::new("pieces").identity("localhost", |_| {});
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("certificate.pem", &identity.certificate);
    write("key.pem", &identity.key);
    let suites = [
        ("TLSv1_3", "TLS_AES_128_GCM_SHA256"),
        ("TLSv1_3", "TLS_AES_256_GCM_SHA384"),
        ("TLSv1_3", "TLS_CHACHA20_POLY1305_SHA256"),
        ("TLSv1_2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ("TLSv1_2", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("TLSv1_2", "ECDHE-ECDSA-CHACHA20-POLY1305"),
    ];
    for (version, suite) in suites {
        let settings = "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n";
        let settings = match version {
            "TLSv1_3" => format!("{settings}Ciphersuites = {suite}\n"),
            _ => settings.to_owned(),
        };
        write("openssl.cnf", &settings);
        let printed = run()
            .arg(format!("--dir={}::/tls:ro", folder.path().display()))
            .arg("--env=OPENSSL_CONF=/tls/openssl.cnf")
            .arg(program("tls/pieces.py"))
            .args(["/tls/certificate.pem", "/tls/key.pem", version, suite])
            .succeeds();
        assert_eq!(printed, format!("{suite}\nok\n"));
    }
}
