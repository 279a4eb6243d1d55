//! What the actor answers: hover, attribution, contribution, status, pause. Each answer has seen every
//! message that came before the question.

use countersign_event::Timestamp;
use countersign_event::facts::Position;
use countersign_provenance::spans::{ContributionId, Origin};

use super::{Actor, positions};
use crate::lsp::event::{Ask, Known};
use crate::lsp::hover::Point;
use crate::lsp::order;
use crate::lsp::protocol::{Attribution, Span, Status};
use crate::pause::{self, Pause, Scope};
use crate::shell::now;

impl Actor {
    pub(super) fn answer(&mut self, ask: Ask) {
        // Whoever asked may be gone: then nobody needs the answer.
        match ask {
            Ask::Hover(document, position, reply) => drop(reply.send(self.point(&document.uri, position))),
            Ask::Attribution(document, reply) => drop(reply.send(self.attribution(&document.uri))),
            Ask::Contribution(id, reply) => drop(reply.send(self.known_of(&id))),
            Ask::Status(reply) => drop(reply.send(self.status())),
            Ask::Pause(params, reply) => {
                let since = now();
                let ms = params.minutes.map(|minutes| i64::from(minutes) * 60_000);
                let until = ms.map(|ms| Timestamp::from_millis(since.as_millis().saturating_add(ms)));
                let state = self.shell.paths.state.clone();
                let recorder = self.house().recorder.clone();
                let begin = || pause::begin(&state, &recorder, &Scope::All, until, "editor");
                if let Err(error) = tokio::task::block_in_place(begin) {
                    tracing::error!("{}", error.message());
                }
                self.tell_status();
                drop(reply.send(self.status()));
            }
            Ask::Resume(reply) => {
                let state = self.shell.paths.state.clone();
                let recorder = self.house().recorder.clone();
                if let Err(error) = tokio::task::block_in_place(|| pause::end(&state, &recorder, &Scope::All, "editor"))
                {
                    tracing::error!("{}", error.message());
                }
                self.tell_status();
                drop(reply.send(self.status()));
            }
        }
    }

    pub(super) fn point(&mut self, uri: &str, position: Position) -> Option<Point> {
        let encoding = self.encoding();
        let uri = self.named(uri)?;
        let session = &self.house.as_ref()?.session;
        if !session.is_synchronised(&uri) {
            return None;
        }
        let (text, spans) = (session.text(&uri)?, session.spans(&uri)?);
        let byte = text.byte_at(position, encoding).ok()?;
        let (range, origin) = spans.within(byte..byte + 1).next()?;
        let Origin::Ai(contribution) = origin else { return None };
        // The whole span, not only this byte of it.
        let range = spans.iter().map(|(span, _)| span).find(|span| span.contains(&range.start))?;
        let contribution = contribution.as_str().to_owned();
        let range = positions(text, range, encoding);
        let known = self.known_of(&contribution);
        Some(Point { contribution, range, known })
    }

    /// Finds an open document by a URI in which the protocol's types demanded more escapes.
    pub(super) fn named(&self, uri: &str) -> Option<String> {
        if self.documents.contains_key(uri) {
            return Some(uri.to_owned());
        }
        self.documents.keys().find(|key| order::escape(key) == uri).cloned()
    }

    pub(super) fn attribution(&self, uri: &str) -> Option<Attribution> {
        let document = self.documents.get(uri)?;
        let encoding = self.encoding();
        let session = &self.house.as_ref()?.session;
        let synchronised = session.is_synchronised(uri);
        let (text, spans) = (session.text(uri)?, session.spans(uri)?);
        let span = |(range, origin): (std::ops::Range<usize>, &Origin)| {
            let (origin, contribution) = match origin {
                Origin::Human(_) => ("human", None),
                Origin::Unknown => ("unknown", None),
                Origin::Ai(contribution) => ("ai", Some(contribution.as_str().to_owned())),
            };
            Span { range: positions(text, range, encoding), origin: origin.to_owned(), contribution }
        };
        let spans = if synchronised { spans.iter().map(span).collect() } else { Vec::new() };
        Some(Attribution { version: Some(document.version), synchronised, spans })
    }

    pub(super) fn known_of(&self, contribution: &str) -> Known {
        let id = ContributionId::new(contribution);
        let known = self.known.get(contribution);
        let surviving = self.house.as_ref().map(|house| {
            let bytes = |uri: &String| house.session.spans(uri).map_or(0, |spans| spans.bytes_of(&id));
            self.documents.keys().map(bytes).sum::<usize>() as u64
        });
        Known {
            facts: known.and_then(|known| known.facts.clone()),
            accepted_bytes: known.and_then(|known| known.accepted_bytes),
            surviving_bytes: surviving.filter(|bytes| *bytes > 0),
        }
    }

    pub(super) fn paused(&self) -> Option<Pause> {
        pause::current(&self.shell.paths.state, now(), None)
    }

    pub(super) fn status(&self) -> Status {
        let paused = self.paused();
        let mut unsynchronised: Vec<String> = match &self.house {
            Some(house) => self.documents.keys().filter(|uri| !house.session.is_synchronised(uri)).cloned().collect(),
            None => Vec::new(),
        };
        unsynchronised.sort();
        let problem = self.house.as_ref().and_then(|house| house.recorder.problem());
        let state = match (&paused, &problem, unsynchronised.is_empty()) {
            (Some(_), ..) => "paused",
            (None, None, true) => "recording",
            _ => "degraded",
        };
        Status {
            state: state.to_owned(),
            until: paused.and_then(|pause| pause.until),
            problem,
            unsynchronised,
            documents: u32::try_from(self.documents.len()).unwrap_or(u32::MAX),
        }
    }

    /// Tells the editor when something about the status changed.
    pub(super) fn tell_status(&mut self) {
        if !self.initialized {
            return;
        }
        let status = self.status();
        let told = Status { documents: 0, ..status.clone() };
        let is_news = match &self.last_status {
            Some(last) => *last != told,
            None => told.state != "recording",
        };
        if is_news {
            self.client.notify("countersign/statusChanged", status);
            self.last_status = Some(told);
        }
    }
}
