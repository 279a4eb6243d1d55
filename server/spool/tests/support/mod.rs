//! Events to append, and a look into the file that the crate itself does not offer.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "every test file uses another part")]

use std::path::Path;

use countersign_event::content::{ContentName, ContentSlot, KeepReason, NewContent};
use countersign_event::payload::{Payload, trail};
use countersign_event::{Event, How, Timestamp};
use countersign_spool::{Append, Class};
use uuid::Uuid;

/// Makes the `n`th event: always the same bytes.
pub fn event(n: u64) -> Append {
    let event = Event {
        id: Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 + u128::from(n)),
        source: "urn:countersign:device:test".to_owned(),
        time: Timestamp::from_millis(1_760_000_000_000 + n as i64),
        subject: Some(format!("subject-{}", n % 3)),
        payload: Payload::TrailGap(trail::Gap {
            how: How::Observed,
            reason: "test".to_owned(),
            count: Some(n),
            from: None,
            to: None,
            by: None,
        }),
    };
    Append { event: event.to_bytes(), class: Class::Normal, contents: Vec::new(), if_told: None }
}

pub fn with_class(append: Append, class: Class) -> Append {
    Append { class, ..append }
}

/// Makes the `n`th event with one text, committed to as a producer does.
pub fn event_with_content(n: u64, text: &str) -> Append {
    let salt = vec![n as u8; 16];
    let content = NewContent::new(ContentName::Output, text.to_owned(), text, salt, KeepReason::Always, "default");
    let plain = event(n);
    let slot = serde_json::to_string(&ContentSlot::Kept(content.commitment.clone())).unwrap();
    // No payload that is as short as a gap has contents; a type of a later version may.
    let json = plain
        .event
        .as_str()
        .replace("trail.gap.v1", "test.texted.v1")
        .replace("\"reason\":\"test\"", &format!("\"content\":{{\"output\":{slot}}}"));
    let event = countersign_event::EventBytes::parse(json.as_bytes()).unwrap();
    Append { event, class: Class::Full, contents: vec![content], if_told: None }
}

/// Runs SQL on the file behind the crate's back.
pub fn tamper(state: &Path, sql: &str) {
    rusqlite::Connection::open(state.join("spool.db")).unwrap().execute_batch(sql).unwrap();
}

/// Asks one thing of the file behind the crate's back.
pub fn ask<T: rusqlite::types::FromSql>(state: &Path, sql: &str) -> T {
    rusqlite::Connection::open(state.join("spool.db")).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Writes a line for the parent process.
pub fn say(line: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}
