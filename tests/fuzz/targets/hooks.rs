//! See `countersign_fuzz::hooks`.

#![no_main]

use countersign_fuzz::{hooks, mutate, seeds};

libfuzzer_sys::fuzz_target!(init: seeds::write("hooks"), |data: &[u8]| hooks::check(data));

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::lines(data, size, max_size, seed)
});
