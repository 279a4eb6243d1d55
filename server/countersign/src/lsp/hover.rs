//! What a person sees who points at AI-written text: five facts, each with how it is known.
//!
//! Names that tools gave stand in code spans: a model's name is not Markdown.

use countersign_event::facts::{IntegrationPath, Model, Person, Prompt, Range};
use countersign_event::{Absent, Fact, How};
use countersign_provenance::lines::{Author, LineAuthor};
use countersign_provenance::spans::Origin;
use serde::Serialize;
use tower_lsp::ls_types::{self, Hover, HoverContents, MarkupContent, MarkupKind};

use super::event::Known;
use super::protocol::Retention;
use super::scored::{self, Judged};

/// What stands at a position.
pub(crate) struct Point {
    /// The contribution's span there, else the line, in the connection's encoding.
    pub(crate) range: Range,
    /// The line's writers.
    pub(crate) line: LineAuthor,
    /// The contribution there, or the largest of the line, and what is known of it; completed from the
    /// spool where the actor does not know.
    pub(crate) contribution: Option<(String, Known)>,
    /// What the rules and the text say of that contribution.
    pub(crate) judged: Judged,
}

/// Writes the hover, as Markdown or for an editor that shows only text.
pub(crate) fn render(point: &Point, markdown: bool) -> Hover {
    let mut text = lines(point).join("\n");
    if !markdown {
        text = text.replace("**", "").replace('`', "");
    }
    let kind = if markdown { MarkupKind::Markdown } else { MarkupKind::PlainText };
    Hover { contents: HoverContents::Markup(MarkupContent { kind, value: text }), range: Some(range(point.range)) }
}

/// Turns a range into the protocol's type.
pub(crate) fn range(range: Range) -> ls_types::Range {
    let position = |p: countersign_event::facts::Position| ls_types::Position { line: p.line, character: p.character };
    ls_types::Range { start: position(range.start), end: position(range.end) }
}

fn lines(point: &Point) -> Vec<String> {
    let line = &point.line;
    let mut out: Vec<String> = match (line.author, &point.contribution) {
        (Author::Ai, _) => Vec::new(),
        (Author::Human, _) => vec![format!("**Written by a person** · {}", seen(&line.last_writer))],
        (Author::Unknown, _) => {
            vec!["**Origin unknown** · nobody saw this text entering, so it is called neither human nor AI".to_owned()]
        }
        (Author::Mixed, _) => {
            let shares = line.shares.iter().map(|(origin, share)| format!("{:.0} % {}", share * 100.0, kind(origin)));
            let shares: Vec<String> = shares.collect();
            vec![format!("**Mixed** · {} · last changed by {}", shares.join(", "), who(&line.last_writer))]
        }
    };
    if let Some((id, known)) = &point.contribution {
        out.extend(contribution(id, known, &point.judged));
    }
    out
}

fn contribution(id: &str, known: &Known, judged: &Judged) -> Vec<String> {
    let id = format!("- contribution {}", code(id));
    let left = known.retention().map(|Retention { accepted_bytes, surviving_bytes }| {
        let share = (surviving_bytes * 100).checked_div(accepted_bytes).unwrap_or(0);
        format!("- still there: {surviving_bytes} of {accepted_bytes} bytes ({share} %)")
    });
    let Some(facts) = &known.facts else {
        let head = "**AI-written** · its facts are not on this device".to_owned();
        return [head].into_iter().chain(left).chain([id]).collect();
    };
    let head = [
        format!("**AI-written** · accepted {} · {}", facts.time, word(facts.how)),
        fact("model", &facts.model, model),
        fact("prompt", &facts.prompt, prompt),
        fact("output", &facts.output, |output| format!("{} lines, {} bytes", output.lines, output.bytes)),
        fact("person", &facts.person, person),
        fact("path", &facts.path, path),
    ];
    head.into_iter().chain(left).chain(scored::line(known, judged)).chain([id]).collect()
}

fn kind(origin: &Origin) -> &'static str {
    match origin {
        Origin::Ai(_) => "AI",
        Origin::Human(_) => "human",
        Origin::Unknown => "unknown",
    }
}

fn who(origin: &Origin) -> &'static str {
    match origin {
        Origin::Ai(_) => "an AI",
        Origin::Human(_) => "a person",
        Origin::Unknown => "nobody that was seen",
    }
}

fn seen(origin: &Origin) -> String {
    match origin {
        Origin::Human(How::Observed) => "seen typing it in an editor · observed".to_owned(),
        Origin::Human(how) => word(*how),
        _ => String::new(),
    }
}

fn fact<T>(name: &str, fact: &Fact<T>, tell: impl Fn(&T) -> String) -> String {
    match fact {
        Fact::Known { value, how, rule, confidence, absent } => {
            let mut line = format!("- {name}: {} · {}", tell(value), word(*how));
            if let Some(rule) = rule {
                line += &format!(" by {}", code(rule));
            }
            if let Some(confidence) = confidence {
                line += &format!(" ({:.0} %)", confidence * 100.0);
            }
            if let Some(absent) = absent {
                line += &format!("; the rest: {}", why(*absent));
            }
            line
        }
        Fact::Absent { absent } => format!("- {name}: none · {}", why(*absent)),
    }
}

fn model(model: &Model) -> String {
    let mut parts = Vec::new();
    if let Some(responded) = &model.responded {
        parts.push(code(responded));
    }
    if let Some(requested) = &model.requested
        && model.responded.as_ref() != Some(requested)
    {
        parts.push(format!("{} requested", code(requested)));
    }
    if let Some(provider) = &model.provider {
        parts.push(format!("by {}", code(provider)));
    }
    if parts.is_empty() { "named by nobody".to_owned() } else { parts.join(", ") }
}

fn prompt(prompt: &Prompt) -> String {
    match prompt.turns {
        Some(1) => "1 turn".to_owned(),
        Some(turns) => format!("{turns} turns"),
        None => "on record".to_owned(),
    }
}

fn person(person: &Person) -> String {
    match person.via {
        Some(via) => format!("{} via {}", code(&person.id), word(via)),
        None => code(&person.id),
    }
}

fn path(path: &IntegrationPath) -> String {
    let mut parts = Vec::new();
    if let Some(tool) = &path.tool {
        let version = path.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        parts.push(code(&format!("{tool}{version}")));
    }
    parts.push(word(path.kind));
    if let Some(transport) = path.transport {
        parts.push(word(transport));
    }
    parts.push(word(path.trust));
    parts.join(" · ")
}

/// A closed word as it stands in events.
fn word(word: impl Serialize) -> String {
    match serde_json::to_value(word) {
        Ok(serde_json::Value::String(text)) => text.replace('_', " "),
        _ => String::new(),
    }
}

fn why(absent: Absent) -> &'static str {
    match absent {
        Absent::NotOnWire => "the protocol does not carry it",
        Absent::NotSignedIn => "nobody was signed in",
        Absent::EncryptedOnWire => "it was encrypted for somebody else",
        Absent::Headless => "nobody sat in front of it",
        Absent::BelowThreshold => "below the threshold",
        Absent::Policy => "policy says no",
        Absent::Redacted => "it was a secret",
        Absent::Shed => "given up to make room",
        Absent::Erased => "erased on request",
        Absent::Truncated => "too long",
    }
}

/// Puts a name into a code span that it can't leave.
fn code(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| {
            if c.is_control() {
                ' '
            } else if c == '`' {
                '\''
            } else {
                c
            }
        })
        .take(100)
        .collect();
    format!("`{text}`")
}

#[cfg(test)]
mod tests {
    use countersign_event::facts::{Output, PathKind, PersonVia, Transport};
    use countersign_event::{How, Timestamp};
    use countersign_provenance::spans::ContributionId;

    use super::super::protocol::Facts;
    use super::*;

    fn point(tool: &str) -> Point {
        let mut path = IntegrationPath::new(PathKind::Ide, Transport::Tap);
        path.tool = Some(tool.to_owned());
        path.version = Some("1.388.0".to_owned());
        let ai = Origin::Ai(ContributionId::new("0192-c"));
        Point {
            range: Range::default(),
            line: LineAuthor { author: Author::Ai, last_writer: ai.clone(), shares: vec![(ai, 1.0)] },
            contribution: Some((
                "0192-c".to_owned(),
                Known {
                    accepted_bytes: Some(120),
                    surviving_bytes: Some(97),
                    facts: Some(Facts {
                        how: How::Observed,
                        time: Timestamp::from_millis(1_767_322_800_000),
                        model: Fact::observed(Model { requested: Some("gpt-41-copilot".into()), ..Model::default() })
                            .without(Absent::NotOnWire),
                        prompt: Fact::absent(Absent::EncryptedOnWire),
                        output: Fact::observed(Output { bytes: 120, lines: 5 }),
                        person: Fact::reported(Person { id: "p:1".into(), via: Some(PersonVia::Git) }),
                        path: Fact::inferred(path, "bulk_insertion", 0.3),
                    }),
                },
            )),
            judged: Judged { findings: vec![countersign_risk::Severity::High], text: "run(command)\n".to_owned() },
        }
    }

    #[test]
    fn a_line_without_an_ai_says_whose_it_is_and_how_that_is_known() {
        let of = |author, last_writer: Origin, shares: Vec<(Origin, f64)>| {
            let line = LineAuthor { author, last_writer, shares };
            text(render(&Point { range: Range::default(), line, contribution: None, judged: Judged::default() }, true))
        };
        let reported = Origin::Human(How::Reported);
        let shown = [
            of(Author::Human, Origin::TYPED, vec![(Origin::TYPED, 1.0)]),
            of(Author::Human, reported.clone(), vec![(reported, 1.0)]),
            of(Author::Unknown, Origin::Unknown, vec![(Origin::Unknown, 1.0)]),
            of(Author::Mixed, Origin::TYPED, vec![(Origin::Unknown, 0.75), (Origin::TYPED, 0.25)]),
        ];
        expect_test::expect![[r#"
            **Written by a person** · seen typing it in an editor · observed
            **Written by a person** · reported
            **Origin unknown** · nobody saw this text entering, so it is called neither human nor AI
            **Mixed** · 75 % unknown, 25 % human · last changed by a person"#]]
        .assert_eq(&shown.join("\n"));
    }

    #[test]
    fn a_mixed_line_shows_its_shares_and_the_facts_of_its_contribution() {
        let mut point = point("copilot");
        point.line.author = Author::Mixed;
        point.line.last_writer = Origin::TYPED;
        point.line.shares = vec![(Origin::Ai(ContributionId::new("0192-c")), 0.9), (Origin::TYPED, 0.1)];
        let text = text(render(&point, true));
        assert!(
            text.starts_with("**Mixed** · 90 % AI, 10 % human · last changed by a person\n**AI-written** · accepted"),
            "{text}"
        );
    }

    fn text(hover: Hover) -> String {
        match hover.contents {
            HoverContents::Markup(markup) => markup.value,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_five_facts_stand_with_how_they_are_known() {
        expect_test::expect![[r#"
            **AI-written** · accepted 2026-01-02T03:00:00.000Z · observed
            - model: `gpt-41-copilot` requested · observed; the rest: the protocol does not carry it
            - prompt: none · it was encrypted for somebody else
            - output: 5 lines, 120 bytes · observed
            - person: `p:1` via git · reported
            - path: `copilot 1.388.0` · ide · tap · supervised · inferred by `bulk_insertion` (30 %)
            - still there: 97 of 120 bytes (80 %)
            - score 38 of 100: the model is not known (+5), findings worth stopping for (+28), lines an AI wrote: 5 (+6), share a person changed since: 0.19 (-1)
            - contribution `0192-c`"#]]
        .assert_eq(&text(render(&point("copilot"), true)));
    }

    #[test]
    fn a_tools_name_cannot_write_markdown() {
        let text = text(render(&point("x`\n# [click](http://evil)"), true));
        assert!(text.contains("- path: `x' # [click](http://evil) 1.388.0` · ide"), "{text}");
        assert!(!text.contains("\n#"));
    }

    #[test]
    fn an_editor_without_markdown_gets_plain_text() {
        let text = text(render(&point("copilot"), false));
        assert!(text.starts_with("AI-written · accepted"), "{text}");
        assert!(!text.contains(['*', '`']));
    }
}
