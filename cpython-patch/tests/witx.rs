//! `guest-ext/abi/wasisocket.witx` is valid, and means what the ABI's table says.
//!
//! A test of this package, because the parser switches on features of crates that wasmtime uses too: in the package of
//! the ABI it would have wasmtime compiled twice.

use wasisocket_abi::{CORE_IMPORTS, v1};
use witx::{Document, WasmType};

fn document() -> Document {
    let text = include_str!("../../guest-ext/abi/wasisocket.witx");
    witx::parse(text).unwrap_or_else(|error| panic!("{}", error.report()))
}

#[test]
fn witx_has_the_same_functions() {
    let document = document();
    for (name, imports) in [("core_six", CORE_IMPORTS), ("wasisocket_v1", v1::IMPORTS)] {
        let module = document.module(&name.into()).unwrap();
        assert_eq!(module.funcs().count(), imports.len());
        for import in imports {
            let function = module.func(&import.name.into()).unwrap();
            let (params, results) = function.wasm_signature();
            let expected: Vec<_> = import
                .parameters
                .iter()
                .map(|parameter| match parameter.is_i64() {
                    true => WasmType::I64,
                    false => WasmType::I32,
                })
                .collect();
            assert_eq!(params, expected, "{}", import.name);
            assert_eq!(results, [WasmType::I32]);
        }
    }
}

#[test]
fn witx_has_the_same_layouts() {
    let document = document();
    let sizes = [
        ("core_socket_addr", 19),
        ("addr", 112),
        ("socket_addr", 28),
        ("unix_addr", 112),
        ("pair", 8),
        ("iovec", 8),
        ("received", 8),
        ("ancillary", 12),
        ("poll_entry", 8),
        ("event", 16),
        ("interface", 20),
        ("right", 8),
        ("received_right", 16),
        ("received_rights", 12),
    ];
    for (name, size) in sizes {
        let ty = document.typename(&name.into()).unwrap();
        assert_eq!(witx::Layout::mem_size(&*ty), size, "{name}");
    }
}
