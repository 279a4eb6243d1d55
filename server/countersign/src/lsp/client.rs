//! What we say to the editor of our own accord.
//!
//! Notifications are queued in the order of the calls. A request's answer is never awaited by a
//! handler or the actor: the answer is read by the same loop that would be waiting for it. Whoever
//! asks spawns a task and gives up after a while; an answer that comes later finds nobody, and that
//! is all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tower_lsp::jsonrpc::{Id, Response};

use super::stdio::Outbox;

/// The editor at the other end. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    outbox: Outbox,
    asked: Arc<Mutex<Asked>>,
}

#[derive(Default)]
struct Asked {
    last: i64,
    waiting: HashMap<Id, oneshot::Sender<Option<Box<RawValue>>>>,
}

#[derive(Serialize)]
struct Outgoing<'a, P> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Id>,
    method: &'a str,
    params: P,
}

impl Client {
    /// Speaks through `outbox`.
    pub(crate) fn new(outbox: Outbox) -> Client {
        Client { outbox, asked: Arc::default() }
    }

    /// Answers a request.
    pub(crate) fn answer(&self, response: &Response) {
        self.send(response);
    }

    /// Tells something.
    pub(crate) fn notify(&self, method: &str, params: impl Serialize) {
        self.send(&Outgoing { jsonrpc: "2.0", id: None, method, params });
    }

    /// Asks something. `None` for an error or when no answer came in time. Must be awaited in a task of its own.
    pub(crate) async fn ask(&self, method: &str, params: impl Serialize, patience: Duration) -> Option<Box<RawValue>> {
        let (sender, receiver) = oneshot::channel();
        let id = {
            let mut asked = self.asked();
            asked.last += 1;
            let id = Id::String(format!("countersign:{}", asked.last));
            asked.waiting.insert(id.clone(), sender);
            id
        };
        self.send(&Outgoing { jsonrpc: "2.0", id: Some(&id), method, params });
        let answer = tokio::time::timeout(patience, receiver).await;
        self.asked().waiting.remove(&id);
        answer.ok()?.ok()?
    }

    /// Takes the editor's answer to one of our requests. One that nobody waits for is let go.
    pub(crate) fn answered(&self, id: &Id, result: Option<&RawValue>) {
        let waiting = self.asked().waiting.remove(id);
        match waiting {
            Some(sender) => {
                // Whoever asked may have given up.
                let _ = sender.send(result.map(ToOwned::to_owned));
            }
            None => tracing::debug!("an answer to {id} came late or was never asked for"),
        }
    }

    /// Waits until everything said so far is written.
    pub(crate) async fn flushed(&self) {
        self.outbox.flushed().await;
    }

    /// Returns how many messages were dropped since the last call because nobody read.
    pub(crate) fn take_dropped(&self) -> usize {
        self.outbox.take_dropped()
    }

    fn send(&self, message: &impl Serialize) {
        match serde_json::to_vec(message) {
            Ok(body) => self.outbox.send(body),
            Err(error) => tracing::error!("a message could not be written as JSON: {error}"),
        }
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_late_an_unknown_and_a_second_answer_are_harmless() {
        let (mut theirs, ours) = tokio::io::duplex(1 << 16);
        let client = Client::new(Outbox::start(Box::pin(ours)));
        assert!(client.ask("workspace/configuration", (), Duration::ZERO).await.is_none());
        let mut asked = vec![0; 200];
        let n = theirs.read(&mut asked).await.unwrap();
        assert!(String::from_utf8_lossy(&asked[..n]).contains("countersign:1"));

        let null = RawValue::from_string("null".to_owned()).unwrap();
        client.answered(&Id::String("countersign:1".to_owned()), Some(&null));
        client.answered(&Id::Number(7), Some(&null));

        let asking = client.clone();
        let task = tokio::spawn(async move { asking.ask("m", (), Duration::from_secs(60)).await });
        let n = theirs.read(&mut asked).await.unwrap();
        assert!(String::from_utf8_lossy(&asked[..n]).contains("countersign:2"));
        for _ in 0..2 {
            client.answered(&Id::String("countersign:2".to_owned()), Some(&null));
        }
        assert_eq!(task.await.unwrap().unwrap().get(), "null");
    }

    #[tokio::test]
    async fn an_editor_that_does_not_read_stops_nobody() {
        let (_theirs, ours) = tokio::io::duplex(16);
        let client = Client::new(Outbox::start(Box::pin(ours)));
        let large = "x".repeat(1 << 20);
        for _ in 0..100 {
            client.notify("m", &large);
        }
        assert!((30..40).contains(&client.take_dropped()));
    }
}
