//! What an event costs to write, and what redaction costs, each with a plain thing beside it.

#![allow(missing_docs, reason = "a benchmark has no callers")]

use countersign_event::redact::Redactor;
use countersign_event::{Event, EventBytes, Payload, Timestamp};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};

const OFFERED: &str = include_str!("../tests/golden/suggestion.offered.json");

fn main() {
    divan::main();
}

fn offered() -> Payload {
    let bytes = EventBytes::parse(OFFERED.trim_end().as_bytes()).expect("golden files are events");
    bytes.payload().expect("golden files have payloads")
}

mod write {
    use super::*;

    #[divan::bench]
    fn event_to_bytes(bencher: Bencher<'_, '_>) {
        let event = Event {
            id: uuid::Uuid::nil(),
            source: "urn:countersign:device:0".to_owned(),
            time: Timestamp::from_millis(1_767_323_045_678),
            subject: None,
            payload: offered(),
        };
        bencher.bench(|| black_box(&event).to_bytes());
    }

    #[divan::bench]
    fn payload_by_serde_json_alone(bencher: Bencher<'_, '_>) {
        let payload = offered();
        bencher.bench(|| serde_json::to_string(black_box(&payload)));
    }
}

/// Ordinary code, with words that sound like secrets and one secret at the end.
fn code(bytes: usize, secret: bool) -> String {
    let lines = "def load(path: str, token: str | None = None) -> dict:\n    \"\"\"Reads a file and checks the password policy.\"\"\"\n    with open(path, encoding=\"utf-8\") as file:\n        data = json.load(file)\n    for key, value in data.items():\n        if value.secret_name in known and not value.password:\n            raise ValueError(f\"{key}: no such secret\")\n    return {key: transform(value, tokens=max_tokens) for key, value in data.items()}\n\n";
    let mut text: String = lines.chars().cycle().take(bytes).collect();
    if secret {
        text.push_str("\npassword = \"kX9#mP2qLz\"\n");
    }
    text
}

#[divan::bench_group]
mod redact {
    use super::*;

    #[divan::bench(args = [2_000, 1_000_000])]
    fn text_without_secrets(bencher: Bencher<'_, '_>, bytes: usize) {
        let (redactor, text) = (Redactor::new(b"key"), code(bytes, false));
        bencher.counter(BytesCount::new(text.len())).bench(|| redactor.redact(black_box(&text)));
    }

    #[divan::bench(args = [2_000, 1_000_000])]
    fn text_with_one_secret(bencher: Bencher<'_, '_>, bytes: usize) {
        let (redactor, text) = (Redactor::new(b"key"), code(bytes, true));
        bencher.counter(BytesCount::new(text.len())).bench(|| redactor.redact(black_box(&text)));
    }

    #[divan::bench(args = [2_000, 1_000_000])]
    fn scan_for_one_word_and_copy(bencher: Bencher<'_, '_>, bytes: usize) {
        let text = code(bytes, false);
        bencher.counter(BytesCount::new(text.len())).bench(|| (black_box(&text).contains("ghp_"), text.clone()));
    }
}
