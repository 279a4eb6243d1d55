//! The detector of secrets, and redaction by it.

use countersign_event::redact::Redactor;
use countersign_event::secret::Detector;

/// Holds for any input.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let found = Detector::shared().find(&text);
    let mut last = 0;
    for secret in &found {
        assert!(last <= secret.range.start && secret.range.start < secret.range.end, "sorted, apart, not empty");
        assert!(text.get(secret.range.clone()).is_some(), "on borders of characters");
        last = secret.range.end;
    }
    let redactor = Redactor::new(b"fuzz");
    let once = redactor.redact(&text);
    assert_eq!(once.count == 0, once.text == text, "a text without secrets stays as it was");
    assert_eq!(once.count, once.taken.len());
    assert_eq!(once.count == 0, found.is_empty());
    let left = Detector::shared().find(&once.text);
    assert!(left.is_empty(), "found again: {left:?} in {:?}", once.text);
    let twice = redactor.redact(&once.text);
    assert_eq!((twice.text, twice.count), (once.text, 0), "idempotent");

    let json = redactor.redact_json(&text);
    if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
        serde_json::from_str::<serde_json::Value>(&json.text).expect("JSON stays JSON");
    }
    let again = redactor.redact_json(&json.text);
    assert_eq!((again.text, again.count), (json.text, 0), "idempotent for JSON");
}
