//! What the actor does with documents: it tells the session what the editor did, and runs what the
//! session wants.

use countersign_provenance::session::{self, Effect};
use countersign_provenance::text::Change;
use countersign_risk::Language;

use super::{Actor, Document, path, to_i32, typed_line};
use crate::lsp::event::Lost;
use crate::lsp::history::Asked;
use crate::lsp::{effects, wire};
use crate::recorder::SavedText;
use crate::shell::now;

impl Actor {
    pub(super) fn opened(&mut self, document: wire::OpenedDocument) {
        let wire::OpenedDocument { uri, language_id, version, text } = document;
        let language = match Language::from_id(&language_id) {
            Language::Other => Language::from_path(&uri),
            language => language,
        };
        let (shown, is_asked_about) =
            self.documents.remove(&uri).map(|before| (before.shown, before.is_asked_about)).unwrap_or_default();
        let changed_ms = self.clock_ms();
        self.documents.insert(
            uri.clone(),
            Document {
                version,
                language,
                revision: 0,
                changed_ms,
                typed: None,
                is_asked_about,
                current: Vec::new(),
                shown,
            },
        );
        let version = to_i32(version);
        // Before anything that takes longer: only what is committed after this look is noticed.
        self.house().history.look_at_heads(vec![uri.clone()]);
        self.session(session::Event::Opened { uri: uri.clone(), language: language_id, version, text });
        let house = self.house();
        if let Some(text) = house.session.text(&uri) {
            house.history.is_file(&uri, text, false);
        }
        self.look(&uri);
    }

    pub(super) fn saved(&mut self, uri: String) {
        let house = self.house();
        if let Some(text) = house.session.text(&uri) {
            house.history.is_file(&uri, text, true);
        }
        self.session(session::Event::Saved { uri });
    }

    pub(super) fn changed(&mut self, change: wire::DidChange) {
        let uri = change.text_document.uri;
        let encoding = self.encoding();
        let changed_ms = self.clock_ms();
        let changes: Vec<Change> = change.content_changes.into_iter().map(Change::from).collect();
        let version = match self.documents.get_mut(&uri) {
            Some(document) => {
                document.version = change.text_document.version.unwrap_or(document.version + 1);
                document.revision += 1;
                document.changed_ms = changed_ms;
                document.typed = typed_line(&changes);
                document.version
            }
            None => 0,
        };
        self.session(session::Event::Changed { uri: uri.clone(), version: to_i32(version), changes, encoding });
        self.look(&uri);
    }

    pub(super) fn closed(&mut self, uri: String) {
        if let Some(mut document) = self.documents.remove(&uri)
            && document.shown.clear()
        {
            self.client.notify("textDocument/publishDiagnostics", document.shown.publication(&uri, None, false));
        }
        self.house().history.closed(&uri);
        self.session(session::Event::Closed { uri });
    }

    pub(super) fn lost(&mut self, lost: Lost) {
        if let (Some(uri), true) = (&lost.uri, lost.opening) {
            // Its first text never came: it is open, and nothing is known of it until the next one.
            let (uri, text) = (uri.clone(), String::new());
            self.opened(wire::OpenedDocument { uri, language_id: String::new(), version: i64::from(i32::MIN), text });
        }
        let event = session::Event::Overflow { uri: lost.uri.clone() };
        let effects = self.house().session.handle(event, now());
        let mut is_told = false;
        for effect in effects {
            match effect {
                Effect::Degraded { detail, uri, .. } => {
                    is_told = true;
                    self.trouble(lost.reason, detail, uri);
                }
                effect => self.run_effect(effect),
            }
        }
        if !is_told {
            self.trouble(lost.reason, None, lost.uri);
        }
        self.tell_status();
    }

    /// Hands an event to the session and runs what follows.
    pub(super) fn session(&mut self, event: session::Event) {
        let effects = self.house().session.handle(event, now());
        for effect in effects {
            self.run_effect(effect);
        }
    }

    fn run_effect(&mut self, effect: Effect) {
        let at = now();
        match effect {
            Effect::Measure(measurement) => {
                let known = self.known.entry(measurement.contribution.as_str().to_owned()).or_default();
                known.accepted_bytes = Some(measurement.accepted_bytes);
                let recorder = self.house().recorder.clone();
                self.background.spawn_blocking(move || recorder.record(effects::measured(&measurement, at)));
            }
            Effect::Evidence { contribution, act, uri, range } => {
                let record = effects::evidenced(&contribution, act, uri, range, path(&self.session_id), at);
                self.record(record);
            }
            Effect::BulkInsertion(bulk) => {
                let recorder = &self.house().recorder;
                let id = recorder.mint().to_string();
                recorder.record(effects::bulk_insertion(bulk, id));
            }
            Effect::Degraded { reason, detail, uri } => {
                self.trouble(reason, detail, uri);
                self.tell_status();
            }
            Effect::PollSpool(on) => {
                self.polling = on;
                self.house().watch.watch(on);
            }
            Effect::SaveSnapshot { uri, text, attribution, retained } => {
                self.house().recorder.snapshot(SavedText { at, uri, text, attribution, retained });
            }
            Effect::Ask { uri, question, text, is_change, is_typed } => {
                self.house().history.ask(Asked { uri, question, text, is_change, is_typed });
            }
            Effect::AttributionChanged { uri } => {
                if let Some(document) = self.documents.get_mut(&uri) {
                    document.typed = None;
                }
                self.look(&uri);
                self.tell_attribution(&uri);
            }
        }
    }
}
