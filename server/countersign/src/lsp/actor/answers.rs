//! What the actor answers: hover, attribution, contribution, status, pause. Each answer has seen every
//! message that came before the question.

use countersign_event::Timestamp;
use countersign_event::facts::{Position, Range};
use countersign_provenance::lines::{Author, LineAuthor, lines};
use countersign_provenance::spans::{ContributionId, Origin};

use super::{Actor, positions};
use crate::lsp::event::{Ask, Known};
use crate::lsp::hover::Point;
use crate::lsp::order;
use crate::lsp::protocol::{Attribution, AttributionChanged, Line, Share, Span, Status, Summary, TextDocument, Writer};
use crate::pause::{self, Pause, Scope};
use crate::shell::now;

impl Actor {
    pub(super) fn answer(&mut self, ask: Ask) {
        // Whoever asked may be gone: then nobody needs the answer.
        match ask {
            Ask::Hover(document, position, reply) => drop(reply.send(self.point(&document.uri, position))),
            Ask::Attribution(params, reply) => {
                drop(reply.send(self.attribution(&params.text_document.uri, params.range)))
            }
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
        let (text, attribution) = (session.text(&uri)?, session.attribution(&uri)?);
        let byte = text.byte_at(position, encoding).ok()?;
        let number = text.line_of(byte);
        let (_, line) = lines(text, attribution, number..number + 1).pop()?;
        // A position at a line's end points at what stands before it.
        let end = text.line_start(number + 1).unwrap_or(text.len_bytes());
        let byte = byte.min(end.saturating_sub(1));
        let here = attribution.origins.at(byte);
        let in_line = line.shares.iter().map(|(origin, _)| origin).chain([&line.last_writer]);
        let contribution = here.into_iter().chain(in_line).find_map(contribution_of);
        // The whole span of what stands here, where it is the contribution's.
        let span = attribution.origins.iter().find(|(span, _)| span.contains(&byte));
        let range = match span.filter(|(_, origin)| origin.is_ai()) {
            Some((span, _)) => span,
            None => text.line_start(number).unwrap_or(byte)..end,
        };
        let range = positions(text, range, encoding);
        let contribution = contribution.map(|id| {
            let known = self.known_of(&id);
            (id, known)
        });
        Some(Point { range, line, contribution })
    }

    /// Finds an open document by a URI in which the protocol's types demanded more escapes.
    pub(super) fn named(&self, uri: &str) -> Option<String> {
        if self.documents.contains_key(uri) {
            return Some(uri.to_owned());
        }
        self.documents.keys().find(|key| order::escape(key) == uri).cloned()
    }

    pub(super) fn attribution(&mut self, uri: &str, range: Option<Range>) -> Option<Attribution> {
        let encoding = self.encoding();
        let document = self.documents.get_mut(uri)?;
        document.is_asked_about = true;
        let version = Some(document.version);
        let session = &self.house.as_ref()?.session;
        let synchronised = session.is_synchronised(uri);
        let (text, attribution) = (session.text(uri)?, session.attribution(uri)?);
        let all = 0..text.len_bytes();
        let part = match range {
            Some(range) => {
                let byte = |position| text.byte_at(position, encoding).unwrap_or(all.end);
                let start = byte(range.start);
                start..byte(range.end).max(start)
            }
            None => all,
        };
        let pending = session.is_pending(uri);
        let (spans, lines_now, summary) = (Vec::new(), Vec::new(), Summary::default());
        let mut answer = Attribution { version, synchronised, pending, spans, lines: lines_now, summary };
        if !synchronised {
            return Some(answer);
        }
        let span = |(range, origin): (std::ops::Range<usize>, &Origin)| Span {
            range: positions(text, range, encoding),
            writer: self.writer(origin),
        };
        answer.spans = attribution.origins.within(part.clone()).map(span).collect();
        let touched = text.line_of(part.start)..text.line_of(part.end) + 1;
        answer.lines =
            lines(text, attribution, touched).into_iter().map(|(number, line)| self.line(number, &line)).collect();
        for line in &answer.lines {
            let count = match line.author.as_str() {
                "ai" => &mut answer.summary.ai,
                "human" => &mut answer.summary.human,
                "mixed" => &mut answer.summary.mixed,
                _ => &mut answer.summary.unknown,
            };
            *count += 1;
        }
        Some(answer)
    }

    fn line(&self, number: usize, line: &LineAuthor) -> Line {
        let share = |(origin, share): &(Origin, f64)| Share { writer: self.writer(origin), share: *share };
        Line {
            line: u32::try_from(number).unwrap_or(u32::MAX),
            author: author(line.author).to_owned(),
            last_writer: self.writer(&line.last_writer),
            shares: line.shares.iter().map(share).collect(),
        }
    }

    /// Names a writer. How a contribution is known is completed from the spool where this session was
    /// not told.
    fn writer(&self, origin: &Origin) -> Writer {
        let (name, how) = match origin {
            Origin::Human(how) => ("human", Some(*how)),
            Origin::Unknown => ("unknown", None),
            Origin::Ai(id) => ("ai", self.known.get(id.as_str()).and_then(|known| Some(known.facts.as_ref()?.how))),
        };
        Writer { origin: name.to_owned(), contribution: contribution_of(origin), how }
    }

    /// Tells an editor that asked for it that the writers of a document changed.
    pub(super) fn tell_attribution(&self, uri: &str) {
        if let Some(document) = self.documents.get(uri)
            && document.is_asked_about
        {
            let text_document = TextDocument { uri: uri.to_owned() };
            let changed = AttributionChanged { text_document, version: Some(document.version) };
            self.client.notify("countersign/attributionChanged", changed);
        }
    }

    pub(super) fn known_of(&self, contribution: &str) -> Known {
        let id = ContributionId::new(contribution);
        let known = self.known.get(contribution);
        let surviving = self.house.as_ref().map(|house| {
            let bytes = |uri: &String| house.session.attribution(uri).map_or(0, |it| it.origins.bytes_of(&id));
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
        let replay = self.replay_stands.clone();
        let summary = match (state, replay.as_ref().map(|replay| replay.state.as_str())) {
            ("paused", _) => "paused",
            ("degraded", _) | (_, Some("paused" | "unauthorised")) => "attention",
            (_, Some("offline")) => "offline",
            _ => "recording",
        };
        Status {
            state: state.to_owned(),
            summary: summary.to_owned(),
            until: paused.and_then(|pause| pause.until),
            problem,
            unsynchronised,
            documents: u32::try_from(self.documents.len()).unwrap_or(u32::MAX),
            replay,
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
            None => told.summary != "recording",
        };
        if is_news {
            self.client.notify("countersign/statusChanged", status);
            self.last_status = Some(told);
        }
    }
}

fn contribution_of(origin: &Origin) -> Option<String> {
    match origin {
        Origin::Ai(contribution) => Some(contribution.as_str().to_owned()),
        _ => None,
    }
}

/// An author in the words of the protocol.
pub(in crate::lsp) fn author(author: Author) -> &'static str {
    match author {
        Author::Ai => "ai",
        Author::Human => "human",
        Author::Mixed => "mixed",
        Author::Unknown => "unknown",
    }
}
