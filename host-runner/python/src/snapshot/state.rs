//! Whether memory is all the state that a module's instance has.

use wasmparser::{Operator, Parser, Payload};
use wasmtime::{Result, bail};

/// Checks that an instance of this module, when no call is in it, differs from a new one in its memory only.
///
/// # Errors
/// It has a global that changes beside the stack pointer, writes to tables, or initializes memory later.
pub(super) fn check(wasm: &[u8]) -> Result<()> {
    let mut mutable = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::GlobalSection(globals) => {
                for global in globals {
                    mutable += u32::from(global?.ty.mutable);
                }
            }
            Payload::StartSection { .. } => bail!("it has a start function"),
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader()? {
                    match operator? {
                        Operator::TableSet { .. }
                        | Operator::TableGrow { .. }
                        | Operator::TableFill { .. }
                        | Operator::TableCopy { .. }
                        | Operator::TableInit { .. }
                        | Operator::ElemDrop { .. } => bail!("it writes to a table"),
                        Operator::MemoryInit { .. } | Operator::DataDrop { .. } => {
                            bail!("it initializes memory later")
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if mutable > 1 {
        bail!(
            "it has {mutable} globals that change: only the stack pointer is the same when no call runs"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn state_beside_memory_is_found() {
        for (module, error) in [
            ("(memory 1) (global (mut i32) (i32.const 0))", None),
            (
                "(global (mut i32) (i32.const 0)) (global (mut i32) (i32.const 0))",
                Some("2 globals"),
            ),
            (
                "(table 1 funcref) (func (table.set (i32.const 0) (ref.null func)))",
                Some("table"),
            ),
            (
                r#"(memory 1) (data $d "x") (func (data.drop $d))"#,
                Some("later"),
            ),
            ("(func) (start 0)", Some("start")),
        ] {
            let wasm = wat::parse_str(format!("(module {module})")).unwrap();
            let found = super::check(&wasm).err().map(|error| error.to_string());
            match error {
                None => assert_eq!(found, None),
                Some(error) => assert!(found.unwrap().contains(error), "{module}"),
            }
        }
    }
}
