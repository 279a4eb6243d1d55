//! Events, batches and contents as they may come from a store or a wire.
//!
//! The input is lines; each is tried as each of them.

use countersign_event::EventBytes;
use countersign_event::batch::{Batch, BatchAnswer, ContentUpload, Cursor};

/// Holds for any input: what is taken keeps its bytes, what is written is read again.
pub fn check(data: &[u8]) {
    for line in data.split(|&b| b == b'\n') {
        if let Ok(event) = EventBytes::parse(line) {
            assert_eq!(event.as_bytes(), line, "bytes stay as they are");
            event.header().expect("it was read before");
            if let Ok(payload) = event.payload() {
                let header = event.header().expect("it was read before");
                let written = serde_json::to_string(&payload).expect("payloads have string keys and finite numbers");
                let again =
                    countersign_event::Payload::parse(&header.event_type, &written).expect("what is written is read");
                assert_eq!(again, payload);
            }
        }
        if let Ok(batch) = serde_json::from_slice::<Batch>(line) {
            let written = serde_json::to_vec(&batch).expect("it is JSON");
            let again: Batch = serde_json::from_slice(&written).expect("what is written is read");
            assert_eq!(serde_json::to_vec(&again).expect("it is JSON"), written);
        }
        let _ = serde_json::from_slice::<BatchAnswer>(line);
        let _ = serde_json::from_slice::<Cursor>(line);
        let _ = serde_json::from_slice::<ContentUpload>(line);
    }
}
