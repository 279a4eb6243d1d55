//! What travels from a device to a collector, and what comes back.
//!
//! A batch carries the exact stored bytes of events, in order, with holes in place, and a signed
//! head. Nothing is acknowledged but by `acked_through` of a 200 answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::chain::{Hash, Head};
use crate::time::Timestamp;

/// At most this many events in one batch.
pub const BATCH_EVENTS_MAX: usize = 500;
/// At most this many bytes of JSON in one batch, before compression.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// The body of `POST /v1/batches` (zstd). An empty one announces a head and a backlog.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Batch {
    /// The stream.
    pub stream: String,
    /// The epoch.
    pub epoch: String,
    /// Seq of the first item; where there is none, the seq that would come next.
    pub first_seq: u64,
    /// The hash before the first item.
    pub previous: Hash,
    /// Events and holes, without gaps in seq.
    pub events: Vec<Item>,
    /// The newest signed head of the epoch, at or after the last item.
    pub head: Head,
    /// By the device's clock.
    pub sent_at: Timestamp,
    /// How many events wait on the device, these included.
    #[serde(default)]
    pub backlog: u64,
}

/// One place in the chain.
#[derive(Clone, Debug)]
pub enum Item {
    /// An event: the exact stored bytes.
    Event(Box<RawValue>),
    /// An event that is known to be missing; `{"hole":{...}}` in JSON.
    Hole(Hole),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HoleItem {
    hole: Hole,
}

impl Serialize for Item {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Item::Event(bytes) => bytes.serialize(serializer),
            Item::Hole(hole) => HoleItem { hole: hole.clone() }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Box::<RawValue>::deserialize(deserializer)?;
        Ok(match serde_json::from_str::<HoleItem>(bytes.get()) {
            Ok(item) => Item::Hole(item.hole),
            Err(_) => Item::Event(bytes),
        })
    }
}

/// An event that is known to be missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hole {
    /// Its seq.
    pub seq: u64,
    /// SHA-256 of its bytes, or nothing where they are unknown too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Hash>,
    /// `shed`, `quarantined` or `unreadable`, then detail.
    pub reason: String,
}

/// The body of a 200 answer to a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BatchAnswer {
    /// Every event up to this seq of the epoch is durable at the collector.
    pub acked_through: u64,
    /// The hash after that event, as the collector computed it.
    pub head_hash: Hash,
    /// What is wrong with single events; an event without a verdict is accepted.
    #[serde(default)]
    pub verdicts: Vec<Verdict>,
    /// What the collector knows to be missing.
    #[serde(default)]
    pub gaps: Vec<GapNote>,
    /// Seconds to wait before the next batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The device's token is old: it should ask for another (`POST /v1/token`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rotate: bool,
}

/// What a collector says of one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// Which event.
    pub seq: u64,
    /// Why it can never be accepted.
    pub reason: String,
}

/// A gap a collector knows of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GapNote {
    /// The epoch.
    pub epoch: String,
    /// First missing event.
    pub from_seq: u64,
    /// Last missing event.
    pub to_seq: u64,
    /// Why.
    pub reason: String,
}

/// The body of `GET /v1/streams/{id}/cursor`, one for each epoch the collector knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cursor {
    /// The epoch.
    pub epoch: String,
    /// Every event up to this seq is durable at the collector.
    pub acked_through: u64,
    /// The hash after that event.
    pub head_hash: Hash,
}

/// The body of `PUT /v1/contents/{commitment}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContentUpload {
    /// The salt, hexadecimal.
    pub salt: String,
    /// The redacted text.
    pub text: String,
    /// The event that holds the commitment.
    pub event: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_keep_their_bytes_and_holes_are_told_apart() {
        let json = r#"[{"specversion" : "1.0", "x":1.50},{"hole":{"seq":7,"reason":"shed"}}]"#;
        let items: Vec<Item> = serde_json::from_str(json).unwrap();
        assert!(matches!(&items[0], Item::Event(e) if e.get() == r#"{"specversion" : "1.0", "x":1.50}"#));
        assert!(matches!(&items[1], Item::Hole(hole) if hole.seq == 7 && hole.sha256.is_none()));
        assert_eq!(serde_json::to_string(&items).unwrap(), json);
    }
}
