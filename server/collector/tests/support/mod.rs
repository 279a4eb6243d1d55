//! A device that makes batches, for tests and benchmarks: no spool, no files.

use countersign_event::Timestamp;
use countersign_event::batch::{Batch, Hole, Item};
use countersign_event::chain::{Hash, Head, genesis, next, next_digest};
use countersign_event::digest::{hex, sha256};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::value::RawValue;

/// A device with one epoch.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) stream: String,
    pub(crate) epoch: String,
    pub(crate) key: SigningKey,
    /// What stands at each seq, from 1.
    pub(crate) items: Vec<Item>,
}

impl Device {
    pub(crate) fn new(n: u8) -> Device {
        Device {
            stream: format!("device-{n}"),
            epoch: "epoch-1".to_owned(),
            key: SigningKey::from_bytes(&[n; 32]),
            items: Vec::new(),
        }
    }

    pub(crate) fn genesis(&self) -> Hash {
        genesis(&self.stream, &self.epoch, self.key.verifying_key().as_bytes())
    }

    /// Appends an event about a contribution.
    pub(crate) fn accept(&mut self, contribution: &str) {
        let n = self.items.len() as u32 + 1;
        self.push(&accepted(n, contribution));
    }

    /// Appends these bytes, whatever they are.
    pub(crate) fn push(&mut self, json: &str) {
        self.items.push(Item::Event(RawValue::from_string(json.to_owned()).expect("tests push JSON")));
    }

    /// Returns the hash after `seq`.
    pub(crate) fn hash(&self, seq: u64) -> Hash {
        self.items[..seq as usize].iter().fold(self.genesis(), |previous, item| match item {
            Item::Event(bytes) => next(previous, bytes.get().as_bytes()),
            Item::Hole(hole) => hole.sha256.map_or(previous, |digest| next_digest(previous, &digest.0)),
        })
    }

    pub(crate) fn head(&self, seq: u64) -> Head {
        let (hash, time) = (self.hash(seq), Timestamp::from_millis(1_767_322_800_000));
        let signature = self.key.sign(&Head::message(&self.stream, &self.epoch, seq, hash, time));
        Head {
            stream: self.stream.clone(),
            epoch: self.epoch.clone(),
            seq,
            hash,
            time,
            public_key: hex(self.key.verifying_key().as_bytes()),
            signature: hex(&signature.to_bytes()),
        }
    }

    /// Returns the batch of `from..=to`, with a head at its last item.
    pub(crate) fn batch(&self, from: u64, to: u64) -> Batch {
        Batch {
            stream: self.stream.clone(),
            epoch: self.epoch.clone(),
            first_seq: from,
            previous: self.hash(from - 1),
            events: self.items[from as usize - 1..to as usize].to_vec(),
            head: self.head(to.max(from - 1)),
            sent_at: Timestamp::from_millis(1_767_322_800_000),
            backlog: 0,
        }
    }

    /// Puts a hole with a known digest in the place of an event.
    pub(crate) fn hole(&mut self, seq: u64) {
        let Item::Event(bytes) = &self.items[seq as usize - 1] else { return };
        let sha256 = Some(Hash(sha256(bytes.get().as_bytes())));
        self.items[seq as usize - 1] = Item::Hole(Hole { seq, sha256, reason: "shed".to_owned() });
    }
}

/// Writes an acceptance of about the size of a real one. `n` makes its id.
pub(crate) fn accepted(n: u32, contribution: &str) -> String {
    event(
        n,
        "suggestion.accepted",
        &format!(
            r#"{{"how":"observed","contribution":"{contribution}","act":1,"extent":"full","gesture":"both",
            "model":{{"requested":"gpt-41-copilot","how":"observed","absent":"not_on_wire"}},
            "prompt":{{"turns":1,"how":"observed"}},"output":{{"bytes":40,"lines":2,"how":"observed"}},
            "person":{{"id":"9f3a","via":"git","how":"reported"}},
            "path":{{"tool":"copilot","kind":"ide","transport":"tap","trust":"supervised","how":"observed"}},
            "place":{{"repository":"root/example.org/r","path":"src/a.rs","uri":"file:///r/src/a.rs",
            "range":{{"start":{{"line":4,"character":0}},"end":{{"line":4,"character":0}}}}}},
            "entered":[],"distance":{{"metric":"tokens","algorithm":"x","inserted":0,"deleted":0,"kept":9,"ratio":1.0,"exact":true}},
            "shown":{{"absent":"not_on_wire"}},"content":{{"output":{{"absent":"below_threshold"}}}}}}"#
        )
        .replace("\n            ", ""),
    )
}

pub(crate) fn event(n: u32, noun: &str, data: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"019a0000-0000-7000-8000-{n:012x}","source":"urn:countersign:device:d","type":"dev.countersign.{noun}.v1","time":"2026-01-02T03:04:05.678Z","subject":"s","data":{data}}}"#
    )
}
