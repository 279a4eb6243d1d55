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
        self.mailbox.push_always(Event::Lost(Lost { uri: None, reason: "oversized_message" }));
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
                Err(_) => self.unreadable(params),
            },
            "textDocument/didOpen" => match wire::params::<wire::DidOpen>(params) {
                Ok(open) => {
                    let uri = open.text_document.uri.clone();
                    let bytes = open.text_document.text.len();
                    self.whole(uri, bytes, Event::Opened(open.text_document));
                }
                Err(_) => self.unreadable(params),
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
            return self.whole(uri, bytes, Event::Changed(change));
        }
        // What builds on a lost change can't be applied.
        if self.lost.contains(&uri) {
            return;
        }
        if self.mailbox.push(bytes, Event::Changed(change)).is_err() {
            self.overflow(uri);
        }
    }

    /// Queues what brings a whole text, after which the document is known again.
    fn whole(&mut self, uri: String, bytes: usize, event: Event) {
        match self.mailbox.push(bytes, event) {
            Ok(()) => {
                self.lost.remove(&uri);
            }
            Err(_) => self.overflow(uri),
        }
    }

    fn overflow(&mut self, uri: String) {
        if self.lost.insert(uri.clone()) {
            self.mailbox.push_always(Event::Lost(Lost { uri: Some(uri), reason: "overflow" }));
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
    fn unreadable(&mut self, params: Option<&RawValue>) {
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
        self.mailbox.push_always(Event::Lost(Lost { uri, reason: "malformed_message" }));
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
                Ok(Some(params)) => request = request.params(params),
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
