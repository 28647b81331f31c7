; Asks for wide arithmetic in the name of all that it is linked with: LLVM's code for WebAssembly gives each function of
; a module the features of every other one (WebAssemblyTargetMachine.cpp, CoalesceFeaturesAndStripAtomics).

target datalayout = "e-m:e-p:32:32-p10:8:8-p20:8:8-i64:64-n32:64-S128-ni:1:10:20"
target triple = "wasm32-unknown-wasi"

define void @wasisocket_wide_arithmetic() #0 {
  ret void
}

attributes #0 = { noinline nounwind "target-features"="+wide-arithmetic" }
