//! The collector's own stream: who read what, written before the bytes leave.

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
    let event = json!({
        "specversion": "1.0",
        "id": Uuid::now_v7(),
        "source": format!("urn:countersign:collector:{}", keys.stream),
        "type": "dev.countersign.archive.read.v1",
        "time": Timestamp::from_millis(now_ms),
        "subject": caller.subject,
        "data": {
            "how": "observed",
            "role": caller.role.as_str(),
            "action": read.action.as_str(),
            "question": read.question,
            "purpose": read.purpose,
            "ticket": read.ticket,
        },
    });
    archive.put_record(keys.genesis(), &event.to_string(), now_ms)
}
