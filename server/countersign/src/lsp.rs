//! `countersign lsp`: the language server beside all others. It sees what text is there, tells which
//! of it an AI wrote, and stays out of the way.
//!
//! Bytes come in at [`stdio`], [`frame`] finds messages, [`order`] takes them in arrival order and hands
//! them to the [`actor`], the one owner of all documents; [`handlers`] answer by asking it. No message
//! waits for a disk, for git, for the rules or for the editor.

mod actor;
mod client;
mod commits;
mod diagnostics;
mod disk;
mod effects;
mod event;
mod facts;
mod frame;
mod handlers;
mod hello;
mod history;
mod hover;
mod mailbox;
mod order;
mod protocol;
mod replay_watch;
mod rules;
mod serve;
mod spool_watch;
mod stdio;
mod suggestions;
mod sys;
mod wire;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tower_lsp::LspService;

use crate::cli::LspArgs;
use crate::error::Failure;
use crate::shell::Shell;
use actor::Actor;
use client::Client;
use facts::FactBook;
use handlers::Handlers;
use mailbox::MAILBOX_BYTES_MAX;
use order::Order;
use stdio::Outbox;

/// How long the end may take before it is forced.
const END: Duration = Duration::from_secs(5);

/// Runs the server; the process ends in here.
pub(crate) fn run(_: &LspArgs, shell: &Shell) -> Result<ExitCode, Failure> {
    // One worker: from a request to its answer no thread has to be woken. What takes long is handled
    // aside (`block_in_place`), and the reader goes on.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let shell = shell.clone();
    runtime.block_on(async move {
        // On a worker, where waking the actor costs no system call.
        let _ = tokio::spawn(run_server(shell)).await;
        // The actor ends the process once it has written everything down.
        exit_after(END, 1);
        std::future::pending().await
    })
}

async fn run_server(shell: Shell) {
    let (input, output) = stdio::ends();
    let client = Client::new(Outbox::start(output));
    let (mailbox, inbox) = mailbox::mailbox(MAILBOX_BYTES_MAX);
    let hello = Arc::default();
    let facts = FactBook::new(shell.paths.state.clone());
    let handlers = Handlers::new(mailbox.clone(), Arc::clone(&hello), facts);
    let (service, _socket) = LspService::build(|_| handlers)
        .custom_method("countersign/attribution", Handlers::attribution)
        .custom_method("countersign/contribution", Handlers::contribution)
        .custom_method("countersign/status", Handlers::status)
        .custom_method("countersign/pause", Handlers::pause)
        .custom_method("countersign/resume", Handlers::resume)
        .finish();
    tokio::spawn(Actor::new(shell, mailbox.clone(), client.clone()).run(inbox));
    serve::serve(input, Order::new(service, mailbox, client, hello)).await;
}

/// Ends the process after a while, whatever hangs.
fn exit_after(wait: Duration, code: i32) {
    std::thread::spawn(move || {
        std::thread::sleep(wait);
        std::process::exit(code);
    });
}
