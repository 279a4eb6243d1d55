//! The end of the process: documents are closed, what was seen is written down, and nobody is waited for
//! longer than a moment.

use std::time::Duration;

use countersign_event::payload::capture;
use countersign_event::{Fact, How, Payload};

use super::{Actor, FAREWELL, path};
use crate::lsp::event::Ending;
use crate::recorder::Record;
use crate::shell::now;

impl Actor {
    pub(super) async fn end(mut self, ending: Ending) {
        crate::lsp::exit_after(FAREWELL * 2, ending.code);
        self.guard(|actor| actor.say_farewell(&ending));
        let last = async { while self.background.join_next().await.is_some() {} };
        // Measurements that take longer than this are given up.
        let _ = tokio::time::timeout(FAREWELL / 2, last).await;
        if let Some(house) = &self.house
            && let Err(error) = tokio::task::block_in_place(|| house.recorder.close(FAREWELL))
        {
            tracing::error!("{}", error.message());
        }
        // An editor that does not read is not waited for.
        let _ = tokio::time::timeout(Duration::from_millis(200), self.client.flushed()).await;
        std::process::exit(ending.code);
    }

    pub(super) fn close_all(&mut self) {
        for uri in self.documents.keys().cloned().collect::<Vec<_>>() {
            self.closed(uri);
        }
    }

    fn say_farewell(&mut self, ending: &Ending) {
        if self.house.is_none() {
            return;
        }
        self.counted_troubles(true);
        let stopped = capture::Stopped {
            how: How::Observed,
            path: Fact::observed(path(&self.session_id)),
            reason: ending.reason.to_owned(),
            status: None,
        };
        self.record(Record::light(now(), "countersign-lsp", Payload::CaptureStopped(stopped)));
    }
}
