//! See `countersign_fuzz::events`.

#![no_main]

use countersign_fuzz::{events, mutate, seeds};

libfuzzer_sys::fuzz_target!(init: seeds::write("events"), |data: &[u8]| events::check(data));

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::lines(data, size, max_size, seed)
});
