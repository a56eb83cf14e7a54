#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| oxkeeper_fuzz::http(data));
