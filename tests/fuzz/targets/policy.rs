//! See `wasisocket_fuzz::policy`.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| wasisocket_fuzz::policy::read(text));
