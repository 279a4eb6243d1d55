//! The layer in front of tower-lsp's service that keeps the order of what the editor says.
//!
//! tower-lsp runs handlers concurrently, and the protocol demands that changes apply in order. So the
//! order is taken where messages arrive, one at a time, before any handler runs: what changes
//! documents goes into the actor's mailbox and nowhere else; a request runs to its first await, which
//! is where it puts its question into the same mailbox, and from there in a task of its own.
//!
//! It must never wait, for the actor, the disk or the editor. A panic in a handler costs that request.

use std::collections::HashSet;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use serde::Deserialize;
use serde_json::value::RawValue;
use tower::Service;
use tower_lsp::jsonrpc::{Error, Id, Request, Response};

use super::client::Client;
use super::event::{Ending, Event, Lost};
use super::hello::Hello;
use super::mailbox::Mailbox;
use super::wire::{self, Message};

/// Routes messages in arrival order.
pub(crate) struct Order<S> {
    inner: S,
    mailbox: Mailbox<Event>,
    client: Client,
    hello: Arc<OnceLock<Hello>>,
    /// Documents that lost a change here and wait for a full text.
    lost: HashSet<String>,
    shut_down: bool,
    ended: bool,
}

impl<S> Order<S>
where
    S: Service<Request, Response = Option<Response>>,
    S::Future: Send + 'static,
{
    /// Puts itself in front of `inner`. `hello` is set before `inner` sees `initialize`.
    pub(crate) fn new(inner: S, mailbox: Mailbox<Event>, client: Client, hello: Arc<OnceLock<Hello>>) -> Self {
        Order { inner, mailbox, client, hello, lost: HashSet::new(), shut_down: false, ended: false }
    }

    /// Takes the next message.
    pub(crate) fn take(&mut self, body: &[u8]) {
        match wire::read(body) {
            Ok(Message::Notification { method, params }) => self.notification(&method, params),
            Ok(Message::Request { id, method, params }) => self.request(id, method.into_owned(), params),
            Ok(Message::Response { id, result }) => self.client.answered(&id, result),
            Err(answer) => {
                self.client.answer(&answer);
                self.degraded("malformed_message");
            }
        }
    }

    /// Takes note of bytes that were no message.
    pub(crate) fn garbage(&mut self) {
        self.client.answer(&Response::from_error(Id::Null, Error::parse_error()));
        self.degraded("malformed_frame");
    }

    /// Takes note of a message that was too long to be read: it may have been a change of any document.
    pub(crate) fn oversized(&mut self) {
        self.client.answer(&Response::from_error(Id::Null, Error::invalid_request()));
        self.mailbox.push_always(Event::Lost(Lost { uri: None, opening: false, reason: "oversized_message" }));
    }

    /// Whether nothing more is to be taken.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Takes note that nothing more will come. Only the first reason counts.
    pub(crate) fn end(&mut self, reason: &'static str) {
        if !std::mem::replace(&mut self.ended, true) {
            self.mailbox.push_always(Event::End(Ending { reason, code: i32::from(!self.shut_down) }));
        }
    }

    fn notification(&mut self, method: &str, params: Option<&RawValue>) {
        if method == "exit" {
            return self.end("exit");
        }
        // Before `initialize` the protocol says: drop.
        if self.hello.get().is_none() {
            return;
        }
        match method {
            "textDocument/didChange" => match wire::params::<wire::DidChange>(params) {
                Ok(change) => self.changed(change),
                Err(_) => self.unreadable(params, false),
            },
            "textDocument/didOpen" => match wire::params::<wire::DidOpen>(params) {
                Ok(open) => {
                    let uri = open.text_document.uri.clone();
                    let bytes = open.text_document.text.len();
                    self.whole(uri, bytes, true, Event::Opened(open.text_document));
                }
                Err(_) => self.unreadable(params, true),
            },
            "textDocument/didSave" => self.one_document(params, Event::Saved),
            "textDocument/didClose" => self.one_document(params, Event::Closed),
            "initialized" => self.mailbox.push_always(Event::Initialized),
            "workspace/didChangeConfiguration" => self.mailbox.push_always(Event::Configure),
            "countersign/suggestion" => match wire::params(params) {
                Ok(suggestion) => self.push_small(params, Event::Suggestion(Box::new(suggestion))),
                Err(error) => {
                    tracing::warn!("countersign/suggestion: {error}");
                    self.degraded("malformed_suggestion");
                }
            },
            "$/cancelRequest" => self.cancel(params),
            // Whatever else an editor tells is not for us.
            _ => {}
        }
    }

    fn changed(&mut self, change: wire::DidChange) {
        let uri = change.text_document.uri.clone();
        let bytes = change.content_changes.iter().map(|change| change.text.len() + 64).sum();
        if change.content_changes.iter().any(|change| change.range.is_none()) {
            return self.whole(uri, bytes, false, Event::Changed(change));
        }
        // What builds on a lost change can't be applied.
        if self.lost.contains(&uri) {
            return;
        }
        if self.mailbox.push(bytes, Event::Changed(change)).is_err() {
            self.overflow(uri, false);
        }
    }

    /// Queues what brings a whole text, after which the document is known again.
    fn whole(&mut self, uri: String, bytes: usize, opening: bool, event: Event) {
        match self.mailbox.push(bytes, event) {
            Ok(()) => {
                self.lost.remove(&uri);
            }
            Err(_) => self.overflow(uri, opening),
        }
    }

    fn overflow(&mut self, uri: String, opening: bool) {
        if self.lost.insert(uri.clone()) || opening {
            self.mailbox.push_always(Event::Lost(Lost { uri: Some(uri), opening, reason: "overflow" }));
        }
    }

    fn one_document(&mut self, params: Option<&RawValue>, event: fn(String) -> Event) {
        match wire::params::<wire::OneDocument>(params) {
            Ok(one) => {
                let event = event(one.text_document.uri);
                if let Event::Closed(uri) = &event {
                    self.lost.remove(uri);
                }
                self.mailbox.push_always(event);
            }
            Err(_) => self.degraded("malformed_message"),
        }
    }

    /// A change that can't be read is a change that is missing.
    fn unreadable(&mut self, params: Option<&RawValue>, opening: bool) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Named {
            text_document: Uri,
        }
        #[derive(Deserialize)]
        struct Uri {
            uri: String,
        }
        let uri = wire::params::<Named>(params).ok().map(|named| named.text_document.uri);
        self.mailbox.push_always(Event::Lost(Lost { uri, opening, reason: "malformed_message" }));
    }

    fn push_small(&mut self, params: Option<&RawValue>, event: Event) {
        if self.mailbox.push(params.map_or(0, |params| params.get().len()), event).is_err() {
            self.degraded("overflow");
        }
    }

    fn degraded(&mut self, reason: &'static str) {
        // When even this does not fit, an overflow is on record already.
        let _ = self.mailbox.push(0, Event::Degraded(reason));
    }

    /// The handler of `$/cancelRequest` is done at its first step.
    fn cancel(&mut self, params: Option<&RawValue>) {
        let Ok(params) = wire::params::<serde_json::Value>(params) else { return };
        let mut future = Box::pin(self.inner.call(Request::build("$/cancelRequest").params(params).finish()));
        let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }

    fn request(&mut self, id: Id, method: String, params: Option<&RawValue>) {
        let mut request = Request::build(method.clone()).id(id.clone());
        match method.as_str() {
            "initialize" => {
                self.mailbox.push_always(Event::Hello(self.hello.get_or_init(|| Hello::read(params)).clone()));
                // We have read what we need, leniently. tower-lsp's own types refuse a URI with a
                // bracket in it, and then the server would never start.
                request = request.params(serde_json::json!({ "capabilities": {} }));
            }
            "shutdown" => self.shut_down = self.hello.get().is_some(),
            _ => match wire::params::<Option<serde_json::Value>>(params) {
                Ok(Some(mut params)) => {
                    if let Some(serde_json::Value::String(uri)) = params.pointer_mut("/textDocument/uri")
                        && !method.starts_with("countersign/")
                    {
                        *uri = escape(uri);
                    }
                    request = request.params(params);
                }
                // Ours all take an object; who has nothing to say may leave it out.
                Ok(None) if method.starts_with("countersign/") => request = request.params(serde_json::json!({})),
                Ok(None) => {}
                Err(_) => return self.client.answer(&Response::from_error(id, Error::parse_error())),
            },
        }
        let request = request.finish();
        let inner = &mut self.inner;
        let first = catch_unwind(AssertUnwindSafe(|| {
            let mut future = Box::pin(inner.call(request));
            let first = step(&mut future, &mut Context::from_waker(Waker::noop()));
            (future, first)
        }));
        match first {
            Ok((_, Poll::Ready(answer))) => answer_with(&self.client, id, answer),
            Ok((mut future, Poll::Pending)) => {
                let client = self.client.clone();
                tokio::spawn(async move {
                    let answer = std::future::poll_fn(|cx| step(&mut future, cx)).await;
                    answer_with(&client, id, answer);
                });
            }
            Err(_) => answer_with(&self.client, id, Err(())),
        }
    }
}

/// Escapes what the protocol's own types refuse in a URI and editors send all the same, such as brackets.
pub(crate) fn escape(uri: &str) -> String {
    let mut out = String::with_capacity(uri.len());
    for c in uri.chars() {
        if c.is_ascii_alphanumeric() || "-._~:/?#@!$&'()*+,;=%".contains(c) {
            out.push(c);
        } else {
            c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| out.push_str(&format!("%{byte:02X}")));
        }
    }
    out
}

/// One step of a handler. A panic ends it.
fn step<F, E>(future: &mut Pin<Box<F>>, cx: &mut Context<'_>) -> Poll<Result<Option<Response>, ()>>
where
    F: Future<Output = Result<Option<Response>, E>>,
{
    match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(answer)) => Poll::Ready(answer.map_err(|_| ())),
        Err(_) => Poll::Ready(Err(())),
    }
}

fn answer_with(client: &Client, id: Id, answer: Result<Option<Response>, ()>) {
    match answer {
        Ok(Some(response)) => client.answer(&response),
        Ok(None) | Err(()) => client.answer(&Response::from_error(id, Error::internal_error())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task;

    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt, DuplexStream};
    use tokio::sync::Notify;

    use super::super::mailbox::{Inbox, mailbox};
    use super::super::stdio::Outbox;
    use super::*;

    /// Handlers that panic, wait for ever, or answer, by method.
    #[derive(Clone, Default)]
    struct Fake {
        called: Arc<AtomicUsize>,
        go: Arc<Notify>,
    }

    impl Service<Request> for Fake {
        type Response = Option<Response>;
        type Error = ();
        type Future = Pin<Box<dyn Future<Output = Result<Option<Response>, ()>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> task::Poll<Result<(), ()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request) -> Self::Future {
            self.called.fetch_add(1, Ordering::SeqCst);
            let go = self.go.clone();
            let (method, id, _) = request.into_parts();
            assert_ne!(method, "panic/at/once");
            Box::pin(async move {
                match &*method {
                    "panic/later" => {
                        tokio::task::yield_now().await;
                        panic!("a handler is broken");
                    }
                    "panic/first/step" => panic!("a handler is broken"),
                    "wait" => go.notified().await,
                    _ => {}
                }
                Ok(id.map(|id| Response::from_ok(id, Value::String(method.into_owned()))))
            })
        }
    }

    struct Bench {
        order: Order<Fake>,
        inbox: Inbox<Event>,
        output: DuplexStream,
        fake: Fake,
    }

    fn bench(bytes_max: usize) -> Bench {
        let (mailbox, inbox) = mailbox(bytes_max);
        let (output, ours) = tokio::io::duplex(1 << 20);
        let fake = Fake::default();
        let client = Client::new(Outbox::start(Box::pin(ours)));
        let order = Order::new(fake.clone(), mailbox, client, Arc::default());
        Bench { order, inbox, output, fake }
    }

    impl Bench {
        fn initialized(mut self) -> Self {
            self.request(0, "initialize", json!({}));
            assert!(matches!(self.inbox.try_next(), Some(Event::Hello(_))));
            self
        }

        fn request(&mut self, id: i64, method: &str, params: Value) {
            let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
            self.order.take(message.to_string().as_bytes());
        }

        fn notify(&mut self, method: &str, params: Value) {
            let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
            self.order.take(message.to_string().as_bytes());
        }

        fn change(&mut self, version: i64, text: &str, whole: bool) {
            let range = if whole { Value::Null } else { json!({ "start": at(0), "end": at(0) }) };
            self.notify(
                "textDocument/didChange",
                json!({ "textDocument": { "uri": "file:///a", "version": version },
                        "contentChanges": [{ "range": range, "text": text }] }),
            );
        }

        /// The next event in a word.
        fn next(&mut self) -> Option<String> {
            Some(match self.inbox.try_next()? {
                Event::Changed(change) => format!("changed {:?}", change.text_document.version.unwrap_or(-1)),
                Event::Opened(document) => format!("opened {}", document.version),
                Event::Closed(uri) => format!("closed {uri}"),
                Event::Lost(lost) => format!("lost {:?} {}", lost.uri, lost.reason),
                Event::Degraded(reason) => format!("degraded {reason}"),
                Event::End(ending) => format!("end {} {}", ending.reason, ending.code),
                _ => "other".to_owned(),
            })
        }

        /// Reads `n` answers, whatever their order, as `id:result` or `id:code`.
        async fn answers(&mut self, n: usize) -> Vec<String> {
            let mut frames = super::super::frame::Frames::default();
            let mut answers = Vec::new();
            while answers.len() < n {
                while let Some(super::super::frame::Frame::Body(body)) = frames.next() {
                    let answer: Value = serde_json::from_slice(body).unwrap();
                    let result = answer.get("result").unwrap_or(&answer["error"]["code"]);
                    answers.push(format!("{}:{result}", answer["id"]));
                }
                if answers.len() < n {
                    let read = self.output.read_buf(frames.buffer());
                    let deadline = std::time::Duration::from_secs(30);
                    tokio::time::timeout(deadline, read).await.expect("an answer in time").unwrap();
                }
            }
            answers.sort();
            answers
        }
    }

    fn at(line: u32) -> Value {
        json!({ "line": line, "character": 0 })
    }

    #[tokio::test]
    async fn two_thousand_changes_stand_in_the_mailbox_in_their_order() {
        let mut bench = bench(1 << 30).initialized();
        for version in 0..2_000 {
            bench.change(version, "x", false);
        }
        for version in 0..2_000 {
            assert_eq!(bench.next(), Some(format!("changed {version}")));
        }
    }

    #[tokio::test]
    async fn a_panic_costs_the_request_it_happened_in() {
        let mut bench = bench(1 << 20).initialized();
        for (id, method) in [(1, "panic/at/once"), (2, "panic/first/step"), (3, "panic/later"), (4, "fine")] {
            bench.request(id, method, json!({}));
        }
        assert_eq!(bench.answers(5).await, ["0:\"initialize\"", "1:-32603", "2:-32603", "3:-32603", "4:\"fine\""]);
    }

    #[tokio::test]
    async fn waiting_requests_hold_up_nobody() {
        let mut bench = bench(1 << 20).initialized();
        for id in 1..=500 {
            bench.request(id, "wait", json!({}));
        }
        bench.change(1, "x", false);
        bench.request(501, "fine", json!({}));
        assert_eq!(bench.next().as_deref(), Some("changed 1"));
        assert_eq!(bench.answers(2).await, ["0:\"initialize\"", "501:\"fine\""]);
        bench.fake.go.notify_waiters();
        assert_eq!(bench.answers(500).await.len(), 500);
    }

    #[tokio::test]
    async fn an_overflow_marks_the_document_once_until_its_next_whole_text() {
        let mut bench = bench(4_000).initialized();
        bench.change(1, &"x".repeat(2_000), false);
        bench.change(2, &"x".repeat(2_000), false);
        bench.change(3, "small, but it builds on what is lost", false);
        bench.change(4, &"x".repeat(4_000), true);
        assert_eq!(bench.next().as_deref(), Some("changed 1"));
        assert_eq!(bench.next().as_deref(), Some("lost Some(\"file:///a\") overflow"));
        assert_eq!(bench.next(), None);
        bench.change(5, "again lost", false);
        assert_eq!(bench.next(), None);
        bench.change(6, "whole", true);
        bench.change(7, "x", false);
        assert_eq!(bench.next().as_deref(), Some("changed 6"));
        assert_eq!(bench.next().as_deref(), Some("changed 7"));
    }

    #[tokio::test]
    async fn what_cannot_be_read_as_a_change_is_a_lost_change() {
        let mut bench = bench(1 << 20).initialized();
        let uri = json!({ "uri": "file:///a", "version": 1 });
        bench.notify("textDocument/didChange", json!({ "textDocument": uri, "contentChanges": 7 }));
        bench.notify(
            "textDocument/didChange",
            json!({ "textDocument": uri, "contentChanges":
            [{ "text": "", "range": { "start": { "line": -1, "character": 0 }, "end": at(0) } }] }),
        );
        bench.notify("textDocument/didChange", json!([]));
        bench.notify("textDocument/didOpen", json!({ "textDocument": { "uri": "file:///b" } }));
        bench.order.oversized();
        for expected in [
            "Some(\"file:///a\") malformed",
            "Some(\"file:///a\") malformed",
            "None malformed",
            "Some(\"file:///b\") malformed",
        ] {
            assert_eq!(bench.next(), Some(format!("lost {expected}_message")));
        }
        assert_eq!(bench.next().as_deref(), Some("lost None oversized_message"));
    }

    #[tokio::test]
    async fn before_initialize_nothing_is_taken_and_exit_says_how_it_ended() {
        let mut early = bench(1 << 20);
        early.change(1, "x", true);
        early.order.end("end_of_input");
        early.order.end("parent_gone");
        assert_eq!(early.next().as_deref(), Some("end end_of_input 1"));
        assert_eq!(early.next(), None);

        let mut late = bench(1 << 20).initialized();
        late.request(1, "shutdown", Value::Null);
        late.notify("exit", Value::Null);
        assert_eq!(late.next().as_deref(), Some("end exit 0"));
    }

    #[tokio::test]
    async fn malformed_messages_are_answered_and_counted_and_the_next_one_is_heard() {
        let mut bench = bench(1 << 20).initialized();
        bench.order.take(b"{\"jsonrpc\":\"2.0\",");
        bench.order.take(b"[]");
        bench.order.garbage();
        bench.change(1, "x", true);
        assert_eq!(bench.next().as_deref(), Some("degraded malformed_message"));
        assert_eq!(bench.next().as_deref(), Some("degraded malformed_message"));
        assert_eq!(bench.next().as_deref(), Some("degraded malformed_frame"));
        assert_eq!(bench.next().as_deref(), Some("changed 1"));
        assert_eq!(bench.answers(4).await, ["0:\"initialize\"", "null:-32600", "null:-32700", "null:-32700"]);
    }
}
