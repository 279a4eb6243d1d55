//! See `countersign_fuzz::frames_json_lines`.

#![no_main]

use countersign_fuzz::{frames_json_lines, seeds};

libfuzzer_sys::fuzz_target!(init: seeds::write("frames_json_lines"), |data: &[u8]| frames_json_lines::check(data));
