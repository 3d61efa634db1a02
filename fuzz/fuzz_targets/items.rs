#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tram_core::testing::fuzz::items(data));
