//! See `countersign_fuzz::frames_editor`.

#![no_main]

use countersign_fuzz::{frames_editor, seeds};

libfuzzer_sys::fuzz_target!(init: seeds::write("frames_editor"), |data: &[u8]| frames_editor::check(data));
