//! See `countersign_fuzz::frames_preamble`.

#![no_main]

use countersign_fuzz::{frames_preamble, seeds};

libfuzzer_sys::fuzz_target!(init: seeds::write("frames_preamble"), |data: &[u8]| frames_preamble::check(data));
