//! What python.wasm imports and exports, against the written lists in `tests/imports`.

use std::fs;

use wasisocket_tests::guest::built;
use wasmparser::{Parser, Payload, TypeRef};

/// Imports and exports of a module, sorted.
fn interface(name: &str) -> (Vec<String>, Vec<String>) {
    let wasm = fs::read(built("WASISOCKET_PYTHON").join(name)).unwrap();
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(&wasm) {
        match payload.unwrap() {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.unwrap();
                    assert!(matches!(import.ty, TypeRef::Func(_)), "{import:?}");
                    imports.push(format!("{} {}", import.module, import.name));
                }
            }
            Payload::ExportSection(section) => {
                exports = section
                    .into_iter()
                    .map(|export| export.unwrap().name.to_owned())
                    .collect();
            }
            _ => {}
        }
    }
    imports.sort();
    exports.sort();
    (imports, exports)
}

fn written(list: &str) -> Vec<&str> {
    list.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

#[test]
fn default_build_imports_what_is_written() {
    let (imports, exports) = interface("python.wasm");
    assert_eq!(imports, written(include_str!("../imports/default.txt")));
    assert_eq!(exports, ["_start", "memory"]);
}

#[test]
fn core_build_imports_and_exports_what_is_written() {
    let (imports, exports) = interface("python-core.wasm");
    assert_eq!(imports, written(include_str!("../imports/core.txt")));
    assert_eq!(
        exports,
        [
            "PyRun_SimpleString",
            "Py_Finalize",
            "Py_Initialize",
            "_start",
            "memory"
        ]
    );
}
