//! See `wasisocket_fuzz::imports`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: wasisocket_fuzz::imports::Input| {
    wasisocket_fuzz::imports::call(&input);
});
