//! See `countersign_fuzz::secrets`.

#![no_main]

use countersign_fuzz::{secrets, seeds};

libfuzzer_sys::fuzz_target!(init: seeds::write("secrets"), |data: &[u8]| secrets::check(data));
