//! See `countersign_fuzz::text`.

#![no_main]

use countersign_fuzz::{seeds, text};

libfuzzer_sys::fuzz_target!(init: seeds::write("text"), |data: &[u8]| text::check(data));
