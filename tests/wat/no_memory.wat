;; Calls an import although it exports no memory.
(module
  (import "wasi_snapshot_preview1" "sock_close" (func $close (param i32) (result i32)))
  (func (export "call") (result i32) (call $close (i32.const 1000))))
