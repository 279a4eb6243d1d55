//! The collector's own stream: who read what, written before the bytes leave, and who was let in or out.

use countersign_event::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::archive::{Archive, ArchiveError, Record};
use crate::auth::Caller;
use crate::keys::Keys;
use crate::roles::Action;

/// A read that is about to happen.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    /// What is asked.
    pub(crate) action: Action,
    /// The question: route and parameters.
    pub(crate) question: Value,
    /// Why a person reads text.
    pub(crate) purpose: Option<String>,
    /// What stands behind the purpose.
    pub(crate) ticket: Option<String>,
}

/// Writes a read down. Where this fails, nothing may be read.
pub(crate) fn record(
    archive: &mut dyn Archive,
    keys: &Keys,
    caller: &Caller,
    read: &Read,
    now_ms: i64,
) -> Result<Record, ArchiveError> {
    let data = json!({
        "how": "observed",
        "role": caller.role.as_str(),
        "action": read.action.as_str(),
        "question": read.question,
        "purpose": read.purpose,
        "ticket": read.ticket,
    });
    note(archive, keys, "read", &caller.subject, data, now_ms)
}

/// Writes down something else that concerns who may come near the archive.
pub(crate) fn note(
    archive: &mut dyn Archive,
    keys: &Keys,
    verb: &str,
    subject: &str,
    data: Value,
    now_ms: i64,
) -> Result<Record, ArchiveError> {
    let event = json!({
        "specversion": "1.0",
        "id": Uuid::now_v7(),
        "source": format!("urn:countersign:collector:{}", keys.stream),
        "type": format!("dev.countersign.archive.{verb}.v1"),
        "time": Timestamp::from_millis(now_ms),
        "subject": subject,
        "data": data,
    });
    archive.put_record(keys.genesis(), &event.to_string(), now_ms)
}
