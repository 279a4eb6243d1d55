//! See `countersign_fuzz::frames_content_length`.

#![no_main]

use countersign_fuzz::{frames_content_length, seeds};

libfuzzer_sys::fuzz_target!(init: seeds::write("frames_content_length"), |data: &[u8]| frames_content_length::check(data));
