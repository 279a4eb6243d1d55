//! What could not be seen: recorded when it happens, and counted while it goes on.

use std::time::{Duration, Instant};

use countersign_event::payload::capture;
use countersign_event::{Fact, How, Payload};

use super::{Actor, path};
use crate::recorder::Record;
use crate::shell::now;

/// One trouble with one document is recorded at most this often; in between it is counted.
const AGAIN: Duration = Duration::from_secs(10);

/// A trouble that was recorded, and how often it came since.
pub(super) struct Trouble {
    recorded: Instant,
    detail: Option<String>,
    count: u64,
}

impl Actor {
    /// Records a trouble, or counts it where it was recorded a moment ago.
    pub(super) fn trouble(&mut self, reason: &str, detail: Option<String>, uri: Option<String>) {
        let key = (reason.to_owned(), uri);
        match self.troubles.get_mut(&key) {
            Some(trouble) if trouble.recorded.elapsed() < AGAIN => trouble.count += 1,
            _ => {
                let before = self
                    .troubles
                    .insert(key.clone(), Trouble { recorded: Instant::now(), detail: detail.clone(), count: 0 });
                self.degraded(key, detail, 1 + before.map_or(0, |trouble| trouble.count));
            }
        }
    }

    /// Records what was only counted, where that was long enough ago.
    pub(super) fn counted_troubles(&mut self, all: bool) {
        let due = |trouble: &Trouble| all || trouble.recorded.elapsed() >= AGAIN;
        let mut past = Vec::new();
        self.troubles.retain(|key, trouble| {
            let is_due = due(trouble);
            if is_due && trouble.count > 0 {
                past.push((key.clone(), trouble.detail.take(), trouble.count));
            }
            !is_due
        });
        for (key, detail, count) in past {
            self.degraded(key, detail, count);
        }
    }

    fn degraded(&mut self, (reason, uri): (String, Option<String>), detail: Option<String>, count: u64) {
        let subject = uri.clone().unwrap_or_else(|| "countersign-lsp".to_owned());
        let path = Fact::observed(path(&self.session_id));
        let payload = capture::Degraded { how: How::Observed, path, reason, detail, count, uri };
        self.record(Record::light(now(), subject, Payload::CaptureDegraded(payload)));
    }
}
