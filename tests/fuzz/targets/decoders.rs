//! See `countersign_fuzz::decoders`.

#![no_main]

use countersign_fuzz::{decoders, mutate, seeds};

libfuzzer_sys::fuzz_target!(init: seeds::write("decoders"), |data: &[u8]| decoders::check(data));

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::lines(data, size, max_size, seed)
});
