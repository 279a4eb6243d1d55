//! One function a request. Each asks the actor before its first await, so that it sees exactly the
//! changes that were sent before it, and never asks the editor anything.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use countersign_event::facts::Position;
use tokio::sync::oneshot;
use tower_lsp::LanguageServer;
use tower_lsp::jsonrpc::{Error, ErrorCode, Result};
use tower_lsp::ls_types::{
    ExecuteCommandOptions, ExecuteCommandParams, Hover, HoverParams, HoverProviderCapability, InitializeParams,
    InitializeResult, LSPAny, SaveOptions, ServerCapabilities, ServerInfo, TextDocumentSyncCapability,
    TextDocumentSyncKind, TextDocumentSyncOptions, TextDocumentSyncSaveOptions,
};

use super::event::{Ask, Event, Known};
use super::facts::FactBook;
use super::hello::{Hello, encoding_kind};
use super::hover;
use super::mailbox::Mailbox;
use super::protocol::{
    Attribution, AttributionParams, Contribution, ContributionParams, Nothing, PauseParams, Status, TextDocument,
    Writer,
};

/// What any editor can run; each answers with the status.
const COMMANDS: [&str; 3] = ["countersign.pause", "countersign.resume", "countersign.status"];

/// What answers requests.
pub(crate) struct Handlers {
    mailbox: Mailbox<Event>,
    hello: Arc<OnceLock<Hello>>,
    facts: FactBook,
}

impl Handlers {
    /// Answers by asking the actor behind `mailbox`, and `facts` for what is on record.
    pub(crate) fn new(mailbox: Mailbox<Event>, hello: Arc<OnceLock<Hello>>, facts: FactBook) -> Self {
        Handlers { mailbox, hello, facts }
    }

    /// Puts a question into the mailbox now; the answer can be awaited later.
    fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Asked<T> {
        let (sender, receiver) = oneshot::channel();
        Asked(self.mailbox.push(0, Event::Ask(ask(sender))).is_ok().then_some(receiver))
    }

    /// `countersign/attribution`.
    pub(crate) async fn attribution(&self, params: AttributionParams) -> Result<Option<Attribution>> {
        let mut answer = self.ask(|reply| Ask::Attribution(params, reply)).answer().await?;
        if let Some(attribution) = &mut answer {
            self.complete_writers(attribution).await;
        }
        Ok(answer)
    }

    /// `countersign/contribution`.
    pub(crate) async fn contribution(&self, params: ContributionParams) -> Result<Option<Contribution>> {
        let id = params.id;
        let mut known = self.ask(|reply| Ask::Contribution(id.clone(), reply)).answer().await?;
        self.complete(&id, &mut known).await;
        let retention = known.retention();
        Ok(known.facts.map(|facts| Contribution { id, facts, retention }))
    }

    /// Takes from the spool how a contribution is known, where the actor was not told.
    async fn complete_writers(&self, attribution: &mut Attribution) {
        let spans = attribution.spans.iter_mut().map(|span| &mut span.writer);
        let lines = attribution
            .lines
            .iter_mut()
            .flat_map(|line| line.shares.iter_mut().map(|share| &mut share.writer).chain([&mut line.last_writer]));
        let unknown: Vec<&mut Writer> =
            spans.chain(lines).filter(|writer| writer.contribution.is_some() && writer.how.is_none()).collect();
        let ids: HashSet<String> = unknown.iter().filter_map(|writer| writer.contribution.clone()).collect();
        if ids.is_empty() {
            return;
        }
        let hows = self.facts.hows(ids).await;
        for writer in unknown {
            writer.how = writer.contribution.as_ref().and_then(|id| hows.get(id).copied());
        }
    }

    /// Takes from the spool what the open documents do not say.
    async fn complete(&self, contribution: &str, known: &mut Known) {
        if known.facts.is_none() || known.accepted_bytes.is_none() {
            let (facts, accepted_bytes) = self.facts.look_up(contribution).await;
            known.facts = known.facts.take().or(facts);
            known.accepted_bytes = known.accepted_bytes.or(accepted_bytes);
        }
    }

    /// `countersign/status`.
    pub(crate) async fn status(&self, _: Nothing) -> Result<Status> {
        self.ask(Ask::Status).answer().await
    }

    /// `countersign/pause`.
    pub(crate) async fn pause(&self, params: PauseParams) -> Result<Status> {
        self.ask(|reply| Ask::Pause(params, reply)).answer().await
    }

    /// `countersign/resume`.
    pub(crate) async fn resume(&self, _: Nothing) -> Result<Status> {
        self.ask(Ask::Resume).answer().await
    }
}

/// A question in the mailbox, or one that had no room there.
struct Asked<T>(Option<oneshot::Receiver<T>>);

impl<T> Asked<T> {
    async fn answer(self) -> Result<T> {
        match self.0 {
            // The actor drops a question only when handling it failed.
            Some(answer) => answer.await.map_err(|_| Error::internal_error()),
            None => Err(Error {
                code: ErrorCode::ServerError(-32803),
                message: "too much is waiting; ask again".into(),
                data: None,
            }),
        }
    }
}

impl LanguageServer for Handlers {
    async fn initialize(&self, _: InitializeParams) -> Result<InitializeResult> {
        let hello = self.hello.get().ok_or_else(Error::internal_error)?;
        Ok(InitializeResult {
            capabilities: ServerCapabilities {
                position_encoding: Some(encoding_kind(hello.encoding)),
                text_document_sync: Some(TextDocumentSyncCapability::Options(TextDocumentSyncOptions {
                    open_close: Some(true),
                    change: Some(TextDocumentSyncKind::INCREMENTAL),
                    save: Some(TextDocumentSyncSaveOptions::SaveOptions(SaveOptions { include_text: Some(false) })),
                    ..TextDocumentSyncOptions::default()
                })),
                hover_provider: Some(HoverProviderCapability::Simple(true)),
                execute_command_provider: Some(ExecuteCommandOptions {
                    commands: COMMANDS.map(str::to_owned).to_vec(),
                    ..ExecuteCommandOptions::default()
                }),
                ..ServerCapabilities::default()
            },
            server_info: Some(ServerInfo {
                name: "countersign".to_owned(),
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            }),
            ..InitializeResult::default()
        })
    }

    async fn hover(&self, params: HoverParams) -> Result<Option<Hover>> {
        let place = params.text_document_position_params;
        let document = TextDocument { uri: place.text_document.uri.as_str().to_owned() };
        let position = Position { line: place.position.line, character: place.position.character };
        let Some(mut point) = self.ask(|reply| Ask::Hover(document, position, reply)).answer().await? else {
            return Ok(None);
        };
        if let Some((contribution, known)) = &mut point.contribution {
            self.complete(&contribution.clone(), known).await;
        }
        let markdown = self.hello.get().is_none_or(|hello| hello.markdown);
        Ok(Some(hover::render(&point, markdown)))
    }

    async fn execute_command(&self, params: ExecuteCommandParams) -> Result<Option<LSPAny>> {
        let status = match params.command.as_str() {
            "countersign.pause" => {
                let minutes = params.arguments.first().and_then(LSPAny::as_u64);
                let minutes = minutes.map(|minutes| u32::try_from(minutes).unwrap_or(u32::MAX));
                self.pause(PauseParams { minutes }).await?
            }
            "countersign.resume" => self.resume(Nothing {}).await?,
            "countersign.status" => self.status(Nothing {}).await?,
            other => return Err(Error::invalid_params(format!("there is no command {other:?}"))),
        };
        serde_json::to_value(status).map(Some).map_err(|_| Error::internal_error())
    }

    async fn shutdown(&self) -> Result<()> {
        Ok(())
    }
}
