//! Compares the imports and exports of both builds of python.wasm with `tests/imports/preview1.txt` and the ABI's
//! table.

use std::fs;

use wasisocket_abi::{CORE_IMPORTS, Import, v1};
use wasisocket_tests::guest::built;
use wasmparser::{FuncType, Parser, Payload, TypeRef, ValType};

/// Imports of a module, sorted, each with its type; and its exports, sorted.
fn interface(name: &str) -> (Vec<(String, FuncType)>, Vec<String>) {
    let wasm = fs::read(built("WASISOCKET_PYTHON").join(name)).unwrap();
    let (mut types, mut imports, mut exports) = (Vec::new(), Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(&wasm) {
        match payload.unwrap() {
            Payload::TypeSection(section) => {
                types = section
                    .into_iter_err_on_gc_types()
                    .collect::<Result<_, _>>()
                    .unwrap();
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.unwrap();
                    let TypeRef::Func(ty) = import.ty else {
                        panic!("{import:?}");
                    };
                    let name = format!("{} {}", import.module, import.name);
                    imports.push((name, types[ty as usize].clone()));
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
    imports.sort_by(|(one, _), (other, _)| one.cmp(other));
    exports.sort();
    (imports, exports)
}

fn ty(import: &Import) -> FuncType {
    let parameters = import.parameters.iter();
    FuncType::new(
        parameters.map(|parameter| match parameter.is_i64() {
            true => ValType::I64,
            false => ValType::I32,
        }),
        [ValType::I32],
    )
}

/// The module imports these of the table, with the table's types, and what it has of preview1.
fn assert_imports<'a>(imports: &[(String, FuncType)], table: impl Iterator<Item = &'a Import>) {
    let table: Vec<_> = table
        .map(|import| (format!("{} {}", import.module, import.name), ty(import)))
        .collect();
    let of_table: Vec<_> = imports
        .iter()
        .filter(|import| table.contains(import))
        .cloned()
        .collect();
    let mut sorted = table.clone();
    sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(of_table, sorted);

    let others: Vec<_> = imports
        .iter()
        .filter(|import| !table.contains(import))
        .map(|(name, _)| name.as_str())
        .collect();
    let preview1: Vec<_> = include_str!("../imports/preview1.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    assert_eq!(others, preview1);
}

#[test]
fn default_build_imports_two_of_the_core_six_and_all_others() {
    let (imports, exports) = interface("python.wasm");
    let core = ["sock_open", "sock_close"];
    let core = CORE_IMPORTS
        .iter()
        .filter(|import| core.contains(&import.name));
    assert_imports(&imports, core.chain(v1::IMPORTS));
    assert_eq!(
        exports,
        [
            "__stack_pointer",
            "_start",
            "memory",
            "python-runtime",
            "session-begin",
            "session-call",
            "session-copied",
            "session-end",
            "session-request",
            "snapshot-initialize",
            "snapshot-resume",
            "thread-start"
        ]
    );
}

#[test]
fn core_build_imports_the_core_six() {
    let (imports, exports) = interface("python-core.wasm");
    assert_imports(&imports, CORE_IMPORTS.iter());
    assert_eq!(
        exports,
        [
            "PyRun_SimpleString",
            "Py_Finalize",
            "Py_Initialize",
            "__stack_pointer",
            "_start",
            "memory",
            "thread-start"
        ]
    );
}
