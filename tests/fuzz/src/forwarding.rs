//! A guest that passes its arguments on to the imports, whatever they are. It has one page of memory.

use std::fmt::Write as _;

use wasisocket_abi::{CORE_IMPORTS, v1};

/// The text of the module, from the ABI's table: it exports each import under its own name, and its memory.
///
/// # Panics
/// Never: a string takes all that is written to it.
#[must_use]
pub fn module() -> String {
    let mut imports = String::new();
    let mut exports = String::new();
    for import in CORE_IMPORTS.iter().chain(v1::IMPORTS) {
        let (module, name) = (import.module, import.name);
        let mut parameters = String::new();
        let mut arguments = String::new();
        for (at, parameter) in import.parameters.iter().enumerate() {
            parameters.push_str(if parameter.is_i64() { " i64" } else { " i32" });
            write!(arguments, " (local.get {at})").expect("a string");
        }
        let ty = format!("(param{parameters}) (result i32)");
        writeln!(
            imports,
            "(import \"{module}\" \"{name}\" (func ${name} {ty}))"
        )
        .expect("a string");
        writeln!(
            exports,
            "(func (export \"{name}\") {ty} (call ${name}{arguments}))"
        )
        .expect("a string");
    }
    format!("(module\n{imports}(memory (export \"memory\") 1 1)\n{exports})")
}
