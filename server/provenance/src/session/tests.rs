use super::*;
use crate::lines::Author;
use crate::spans::Spans;
use countersign_event::digest;
use countersign_event::facts::Position;
use expect_test::{Expect, expect};
use proptest::prelude::*;

mod former;

const KEY: [u8; 32] = [7; 32];

/// Plays a script, one event a line, and shows the effects of each line and the writers at the end.
///
/// `open "text"`, `change 0:0-0:1 "text"` (several joined by `&`), `full "text"`,
/// `entered c1 0:0-0:0 "text"`, `wait 3000`, `save`, `close`, `overflow`, `version 3` (for the next change).
struct Stage {
    session: Session,
    now: i64,
    version: i32,
    acts: u32,
    encoding: Encoding,
    /// The questions, each with its text.
    asked: Vec<(u64, String)>,
}

impl Stage {
    fn new() -> Self {
        let session = Session::new(KEY);
        Stage { session, now: 1_000_000, version: 0, acts: 0, encoding: Encoding::Utf16, asked: Vec::new() }
    }

    fn play(&mut self, line: &str) -> Vec<Effect> {
        let uri = "a.rs".to_owned();
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let event = match verb {
            "open" => {
                self.version = 0;
                Event::Opened { uri, language: "rust".to_owned(), version: 0, text: text(rest) }
            }
            "change" | "full" => {
                let changes = rest.split(" & ").map(|change| change_of(verb, change)).collect();
                self.version += 1;
                Event::Changed { uri, version: self.version, changes, encoding: self.encoding }
            }
            "entered" => {
                let (contribution, rest) = rest.split_once(' ').unwrap();
                self.acts += 1;
                let entered = rest.split(" & ").map(entered_of).collect();
                Event::Entered(Acceptance {
                    contribution: ContributionId::new(contribution),
                    act: self.acts,
                    uri,
                    entered,
                })
            }
            "wait" => {
                self.now += rest.parse::<i64>().unwrap();
                Event::Tick
            }
            "version" => {
                self.version = rest.parse::<i32>().unwrap() - 1;
                Event::Tick
            }
            "save" => Event::Saved { uri },
            "close" => Event::Closed { uri },
            "commit" => Event::Committed { uri, text: text(rest) },
            "offered" => {
                let (contribution, offered) = rest.split_once(' ').unwrap();
                Event::Offered(Offer {
                    contribution: ContributionId::new(contribution),
                    uri,
                    digest: digest::entered(&KEY, &text(offered)),
                    since: Timestamp::from_millis(self.now),
                })
            }
            "withdrawn" => Event::Withdrawn(ContributionId::new(rest)),
            "known" => Event::Known(self.known(rest)),
            "overflow" => Event::Overflow { uri: None },
            other => panic!("no such event: {other}"),
        };
        let effects = self.session.handle(event, Timestamp::from_millis(self.now));
        for effect in &effects {
            if let Effect::Ask { question, text, .. } = effect {
                self.asked.push((*question, text.to_string()));
            }
        }
        effects
    }
}

impl Stage {
    /// Who changed a line last.
    fn writer(&self, number: usize) -> Origin {
        let (text, attribution) = (self.session.text("a.rs"), self.session.attribution("a.rs"));
        crate::lines::lines(text.unwrap(), attribution.unwrap(), number..number + 1)[0].1.last_writer.clone()
    }

    /// Who wrote a line, in a word.
    fn line(&self, number: usize) -> &'static str {
        let (text, attribution) = (self.session.text("a.rs"), self.session.attribution("a.rs"));
        let lines = crate::lines::lines(text.unwrap(), attribution.unwrap(), number..number + 1);
        match lines[0].1.author {
            Author::Ai => "ai",
            Author::Human => "human",
            Author::Mixed => "mixed",
            Author::Unknown => "unknown",
        }
    }

    /// `1 outside new ai c1 0..5 | human 5..9`: an answer to a question, in the notation of spans. `outside`: the
    /// file holds that text; `before`: it did before the editor wrote there.
    fn known(&self, told: &str) -> Answer {
        let (question, told) = told.split_once(' ').unwrap();
        let question: u64 = question.parse().unwrap();
        let (disk, told) = match told.split_once(' ') {
            Some(("outside", rest)) => (Disk::Holds, rest),
            Some(("before", rest)) => (Disk::HeldBefore, rest),
            _ => (Disk::Silent, told),
        };
        let (is_new, told) = told.strip_prefix("new ").map_or((false, told), |rest| (true, rest));
        let mut origins = Spans::default();
        let mut past: Vec<Past> = Vec::new();
        for span in told.split(" | ") {
            let (origin, range) = span.rsplit_once(' ').unwrap();
            let (start, end) = range.split_once("..").unwrap();
            let origin = match origin {
                "human" => Origin::TYPED,
                "unknown" => Origin::Unknown,
                ai => Origin::Ai(ContributionId::new(ai.strip_prefix("ai ").unwrap())),
            };
            origins.push(end.parse::<usize>().unwrap() - start.parse::<usize>().unwrap(), origin.clone());
            if let Origin::Ai(contribution) = origin
                && past.iter().all(|past| past.contribution != contribution)
            {
                let since = Timestamp::from_millis(self.now - 45_000);
                past.push(Past {
                    contribution,
                    since,
                    accepted: None,
                    accepted_bytes: None,
                    measured_bytes: None,
                    is_new,
                });
            }
        }
        let (_, text) = self.asked.iter().find(|(asked, _)| *asked == question).expect("it was asked");
        let attribution = Attribution::of_origins(text, origins);
        Answer { uri: "a.rs".to_owned(), question, attribution, disk, past }
    }
}

fn text(quoted: &str) -> String {
    serde_json::from_str(quoted).unwrap_or_else(|error| panic!("{quoted}: {error}"))
}

fn range(range: &str) -> facts::Range {
    let place = |place: &str| {
        let (line, character) = place.split_once(':').unwrap();
        Position { line: line.parse().unwrap(), character: character.parse().unwrap() }
    };
    let (start, end) = range.split_once('-').unwrap();
    facts::Range { start: place(start), end: place(end) }
}

fn change_of(verb: &str, change: &str) -> Change {
    if verb == "full" {
        return Change { range: None, text: text(change) };
    }
    let (at, new) = change.split_once(' ').unwrap();
    Change { range: Some(range(at)), text: text(new) }
}

fn entered_of(entered: &str) -> Entered {
    let (at, new) = entered.split_once(' ').unwrap();
    let new = text(new);
    Entered { range: range(at), bytes: new.len() as u64, digest: digest::entered(&KEY, &new) }
}

fn shown_range(range: facts::Range) -> String {
    format!("{}:{}-{}:{}", range.start.line, range.start.character, range.end.line, range.end.character)
}

fn shown(effect: &Effect) -> String {
    match effect {
        Effect::Measure(m) => {
            let place = m.range.map_or("nowhere".to_owned(), shown_range);
            let moment = serde_json::to_value(m.moment).unwrap();
            let (c, surviving, accepted) = (&m.contribution, m.surviving_bytes, m.accepted_bytes);
            format!("measure {c} {moment} {surviving}/{accepted} at {place} {:?} -> {:?}", m.accepted, m.now)
        }
        Effect::Evidence { contribution, act, range, .. } => {
            format!("evidence {contribution} act {act} {}", shown_range(*range))
        }
        Effect::BulkInsertion(bulk) => {
            let ranges: Vec<String> = bulk.entered.iter().map(|e| shown_range(e.range)).collect();
            format!("bulk {} {} bytes, entered {}", shown_range(bulk.range), bulk.text.len(), ranges.join(" "))
        }
        Effect::Degraded { reason, detail, .. } => {
            format!("degraded {reason}{}", detail.as_ref().map_or(String::new(), |detail| format!(": {detail}")))
        }
        Effect::PollSpool(poll) => format!("poll {poll}"),
        Effect::SaveSnapshot { attribution, text, .. } => {
            assert!(attribution.covers(text.len_bytes()));
            format!("snapshot {}", attribution.origins)
        }
        Effect::Ask { question, is_change, .. } => {
            format!("ask {question}{}", if *is_change { "" } else { ", opened" })
        }
        Effect::AttributionChanged { .. } => "attribution changed".to_owned(),
    }
}

fn check(script: &str, expect: Expect) {
    check_on(&mut Stage::new(), script, expect);
}

fn check_on(stage: &mut Stage, script: &str, expect: Expect) {
    let mut log = String::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        for effect in stage.play(line) {
            log.push_str(&format!("{}: {}\n", line.split(' ').next().unwrap(), shown(&effect)));
        }
    }
    if let (Some(text), Some(attribution)) = (stage.session.text("a.rs"), stage.session.attribution("a.rs")) {
        assert!(attribution.covers(text.len_bytes()));
        for (range, origin) in attribution.origins.iter() {
            log.push_str(&format!("{origin} {:?}\n", text.slice(range)));
        }
    }
    expect.assert_eq(&log);
}

#[test]
fn an_act_meets_its_edit_in_either_order() {
    check(
        r#"
        open "fn a() {}\n"
        change 0:8-0:8 " x + 1 "
        entered c1 0:8-0:8 " x + 1 "
        wait 6000
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            entered: attribution changed
            entered: evidence c1 act 1 0:8-0:15
            entered: measure c1 "acceptance" 7/7 at 0:8-0:15 " x + 1 " -> " x + 1 "
            entered: poll false
            unknown "fn a() {"
            ai c1 " x + 1 "
            unknown "}\n"
        "#]],
    );
    check(
        r#"
        open "fn a() {}\n"
        entered c1 0:8-0:8 " x + 1 "
        wait 4000
        change 0:8-0:8 " x + 1 "
        "#,
        expect![[r#"
            open: ask 1, opened
            change: attribution changed
            change: ask 2
            change: evidence c1 act 1 0:8-0:15
            change: measure c1 "acceptance" 7/7 at 0:8-0:15 " x + 1 " -> " x + 1 "
            unknown "fn a() {"
            ai c1 " x + 1 "
            unknown "}\n"
        "#]],
    );
}

#[test]
fn a_human_edit_inside_accepted_text_splits_the_span() {
    check(
        r#"
        open "fn a() {}\n"
        change 0:8-0:8 " x + 1 "
        change 0:11-0:12 "-"
        entered c1 0:8-0:8 " x + 1 "
        save
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            entered: attribution changed
            entered: evidence c1 act 1 0:8-0:15
            entered: measure c1 "acceptance" 6/7 at 0:8-0:15 " x + 1 " -> " x - 1 "
            entered: poll false
            save: snapshot unknown 0..8 | ai c1 8..11 | human 11..12 | ai c1 12..15 | unknown 15..17
            unknown "fn a() {"
            ai c1 " x "
            human "-"
            ai c1 " 1 "
            unknown "}\n"
        "#]],
    );
}

#[test]
fn what_a_person_types_in_the_message_of_an_acceptance_stays_theirs() {
    check(
        r#"
        open "\n"
        change 0:0-0:0 "return run(True)" & 0:11-0:15 "" & 0:11-0:11 "F" & 0:12-0:12 "a"
        entered c1 0:0-0:0 "return run(True)"
        save
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            entered: attribution changed
            entered: evidence c1 act 1 0:0-0:14
            entered: measure c1 "acceptance" 12/16 at 0:0-0:14 "return run(True)" -> "return run(Fa)"
            entered: poll false
            save: snapshot ai c1 0..11 | human 11..13 | ai c1 13..14 | unknown 14..15
            ai c1 "return run("
            human "Fa"
            ai c1 ")"
            unknown "\n"
        "#]],
    );
}

#[test]
fn a_text_saved_before_its_act_was_known_is_snapshot_again_with_it() {
    check(
        r#"
        open "\n"
        change 0:0-0:0 "return 1"
        save
        entered c1 0:0-0:0 "return 1"
        change 0:8-0:8 ";"
        entered c2 0:8-0:8 ";"
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            save: snapshot human 0..8 | unknown 8..9
            entered: attribution changed
            entered: evidence c1 act 1 0:0-0:8
            entered: measure c1 "acceptance" 8/8 at 0:0-0:8 "return 1" -> "return 1"
            entered: snapshot ai c1 0..8 | unknown 8..9
            entered: poll false
            change: ask 3
            entered: attribution changed
            entered: evidence c2 act 2 0:8-0:9
            entered: measure c2 "acceptance" 1/1 at 0:8-0:9 ";" -> ";"
            ai c1 "return 1"
            ai c2 ";"
            unknown "\n"
        "#]],
    );
}

#[test]
fn an_act_that_never_reached_the_buffer_is_counted() {
    check(
        r#"
        open "a\n"
        entered c1 0:0-0:0 "never"
        change 0:0-0:0 "other"
        wait 5001
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            wait: degraded act_not_found: 1 of 1 insertions
            wait: poll false
            human "other"
            unknown "a\n"
        "#]],
    );
}

#[test]
fn an_act_is_found_in_a_full_text_and_in_several_messages() {
    check(
        r#"
        open "let a = 1;\nlet b = 2;\n"
        full "let a = 1;\nlet a = 2;\nlet c = 3;\nlet b = 2;\n"
        entered c1 1:0-1:0 "let a = 2;\nlet c = 3;\n"
        "#,
        expect![[r#"
            open: ask 1, opened
            full: ask 2
            full: poll true
            entered: attribution changed
            entered: evidence c1 act 1 1:0-3:0
            entered: measure c1 "acceptance" 22/22 at 1:0-3:0 "let a = 2;\nlet c = 3;\n" -> "let a = 2;\nlet c = 3;\n"
            entered: poll false
            unknown "let a = 1;\n"
            ai c1 "let a = 2;\nlet c = 3;\n"
            unknown "let b = 2;\n"
        "#]],
    );
    check(
        r#"
        open "fo\n"
        change 0:0-0:2 "foo("
        change 0:4-0:4 "one, two)"
        entered c1 0:0-0:2 "foo(one, two)"
        change 0:13-0:13 ";"
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            change: ask 3
            entered: attribution changed
            entered: evidence c1 act 1 0:0-0:13
            entered: measure c1 "acceptance" 11/11 at 0:0-0:13 "foo(one, two)" -> "foo(one, two)"
            entered: poll false
            unknown "fo"
            ai c1 "o(one, two)"
            human ";"
            unknown "\n"
        "#]],
    );
    check(
        r#"
        open "fo\n"
        change 0:0-0:2 "" & 0:0-0:0 "foo(" & 0:4-0:4 "one)"
        entered c1 0:0-0:2 "foo(one)"
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            entered: attribution changed
            entered: evidence c1 act 1 0:0-0:8
            entered: measure c1 "acceptance" 8/8 at 0:0-0:8 "foo(one)" -> "foo(one)"
            entered: poll false
            ai c1 "foo(one)"
            unknown "\n"
        "#]],
    );
}

#[test]
fn a_second_claim_takes_nothing_from_the_first() {
    check(
        r#"
        open "\n"
        change 0:0-0:0 "total()"
        entered c1 0:0-0:0 "total()"
        entered c2 0:0-0:0 "total()"
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            entered: attribution changed
            entered: evidence c1 act 1 0:0-0:7
            entered: measure c1 "acceptance" 7/7 at 0:0-0:7 "total()" -> "total()"
            entered: poll false
            entered: attribution changed
            entered: evidence c2 act 2 0:0-0:7
            entered: measure c2 "acceptance" 0/7 at 0:0-0:7 "total()" -> "total()"
            ai c1 "total()"
            unknown "\n"
        "#]],
    );
}

#[test]
fn one_act_may_enter_at_several_places() {
    check(
        r#"
        open "a\nb\n"
        change 1:1-1:1 "beta" & 0:1-0:1 "alpha"
        entered c1 1:1-1:1 "beta" & 0:1-0:1 "alpha"
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            entered: attribution changed
            entered: evidence c1 act 1 0:1-1:5
            entered: measure c1 "acceptance" 9/9 at 0:1-1:5 "betaalpha" -> "betaalpha"
            entered: poll false
            unknown "a"
            ai c1 "alpha"
            unknown "\nb"
            ai c1 "beta"
            unknown "\n"
        "#]],
    );
}

#[test]
fn what_nobody_explains_is_unknown_and_reported_after_three_seconds() {
    check(
        r#"
        open "\n"
        change 0:0-0:0 "fn pasted(from: &str) -> usize {\n    from.lines().count() + 12\n}"
        change 0:3-0:9 "copied"
        wait 2999
        wait 1
        wait 3000
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            change: ask 3
            wait: bulk 0:0-2:1 60 bytes, entered 0:0-0:0
            wait: poll false
            unknown "fn "
            human "copi"
            unknown "ed(from: &str) -> usize {\n    from.lines().count() + 12\n}\n"
        "#]],
    );
}

#[test]
fn what_a_person_types_is_a_persons_and_never_reported() {
    check(
        r#"
        open "\n"
        change 0:0-0:0 "l"
        change 0:1-0:1 "et"
        change 0:3-0:3 " ()"
        change 0:4-0:4 "x"
        wait 9000
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: ask 3
            change: poll true
            change: ask 4
            wait: poll false
            human "let x()"
            unknown "\n"
        "#]],
    );
}

#[test]
fn an_undone_acceptance_survives_with_nothing_and_a_redone_one_with_all() {
    check(
        r#"
        open "a\n"
        change 0:1-0:1 " = compute()"
        entered c1 0:1-0:1 " = compute()"
        change 0:1-0:13 ""
        save
        change 0:1-0:1 " = compute()"
        entered c1 0:1-0:1 " = compute()"
        save
        close
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            entered: attribution changed
            entered: evidence c1 act 1 0:1-0:13
            entered: measure c1 "acceptance" 12/12 at 0:1-0:13 " = compute()" -> " = compute()"
            entered: poll false
            save: measure c1 "save" 0/12 at nowhere " = compute()" -> ""
            save: snapshot unknown 0..2
            change: ask 3
            change: poll true
            entered: attribution changed
            entered: evidence c1 act 2 0:1-0:13
            entered: measure c1 "acceptance" 12/12 at 0:1-0:13 " = compute()" -> " = compute()"
            entered: poll false
            save: snapshot unknown 0..1 | ai c1 1..13 | unknown 13..14
        "#]],
    );
}

#[test]
fn an_undone_deletion_brings_the_writers_back() {
    check(
        r#"
        open "ab\n"
        change 0:1-0:1 "xyz"
        entered c1 0:1-0:1 "xyz"
        change 0:0-0:5 ""
        change 0:0-0:0 "axyzb"
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            entered: attribution changed
            entered: evidence c1 act 1 0:1-0:4
            entered: measure c1 "acceptance" 3/3 at 0:1-0:4 "xyz" -> "xyz"
            entered: poll false
            change: ask 3
            change: poll true
            unknown "a"
            ai c1 "xyz"
            unknown "b\n"
        "#]],
    );
}

#[test]
fn a_contribution_is_measured_at_its_moments_when_it_changed() {
    check(
        r#"
        open "\n"
        change 0:0-0:0 "let total = price * count;"
        entered c1 0:0-0:0 "let total = price * count;"
        save
        wait 30000
        change 0:12-0:17 "cost"
        wait 90000
        wait 480000
        change 0:0-0:0 "//"
        close
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            entered: attribution changed
            entered: evidence c1 act 1 0:0-0:26
            entered: measure c1 "acceptance" 26/26 at 0:0-0:26 "let total = price * count;" -> "let total = price * count;"
            entered: poll false
            save: snapshot ai c1 0..26 | unknown 26..27
            change: ask 3
            change: poll true
            wait: measure c1 "2m" 21/26 at 0:0-0:25 "let total = price * count;" -> "let total = cost * count;"
            wait: poll false
            change: ask 4
            change: poll true
        "#]],
    );
}

#[test]
fn a_version_that_does_not_grow_ends_all_claims_until_the_next_full_text() {
    check(
        r#"
        open "a\n"
        change 0:1-0:1 "bcd"
        entered c1 0:1-0:1 "bcd"
        version 1
        change 0:0-0:0 "x"
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            entered: attribution changed
            entered: evidence c1 act 1 0:1-0:4
            entered: measure c1 "acceptance" 3/3 at 0:1-0:4 "bcd" -> "bcd"
            entered: poll false
            change: degraded version_did_not_grow: version 1 after 1
            change: attribution changed
            unknown "abcd\n"
        "#]],
    );
    check(
        r#"
        open "a\n"
        change 0:1-0:1 " bee cee dee"
        entered c1 0:1-0:1 " bee cee dee"
        version 1
        change 0:0-0:0 "lost"
        version 2
        change 0:0-0:0 "ignored"
        save
        full "first();\na bee cee dee\n"
        save
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            entered: attribution changed
            entered: evidence c1 act 1 0:1-0:13
            entered: measure c1 "acceptance" 12/12 at 0:1-0:13 " bee cee dee" -> " bee cee dee"
            entered: poll false
            change: degraded version_did_not_grow: version 1 after 1
            change: attribution changed
            full: attribution changed
            full: ask 3, opened
            save: snapshot unknown 0..10 | ai c1 10..22 | unknown 22..23
            unknown "first();\na"
            ai c1 " bee cee dee"
            unknown "\n"
        "#]],
    );
}

#[test]
fn opening_resets_the_version_and_finds_the_writers_again() {
    check(
        r#"
        open "a\n"
        version 7
        change 0:1-0:1 " bee cee dee"
        entered c1 0:1-0:1 " bee cee dee"
        open "a bee cee dee\nmore();\n"
        change 0:0-0:0 "1"
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            entered: attribution changed
            entered: evidence c1 act 1 0:1-0:13
            entered: measure c1 "acceptance" 12/12 at 0:1-0:13 " bee cee dee" -> " bee cee dee"
            entered: poll false
            open: attribution changed
            open: ask 3, opened
            change: ask 4
            human "1"
            unknown "a"
            ai c1 " bee cee dee"
            unknown "\nmore();\n"
        "#]],
    );
}

#[test]
fn what_does_not_fit_is_said_and_changes_nothing() {
    check(
        r#"
        change 0:0-0:0 "closed"
        open "a\n"
        change 0:0-0:0 "fits" & 7:0-7:0 "does not"
        change 0:0-0:0 "ignored"
        full "b\n"
        overflow
        close
        save
        "#,
        expect![[r#"
            change: degraded change_of_closed_document
            open: ask 1, opened
            change: degraded impossible_range: line 7 (from 0) of a text of 2 lines
            change: attribution changed
            full: attribution changed
            full: ask 2, opened
            overflow: degraded overflow
            overflow: attribution changed
        "#]],
    );
}

/// Start, end and text.
type Told = ((u32, u32), (u32, u32), String);

fn any_edit() -> impl Strategy<Value = Told> {
    let place = || (0u32..5, 0u32..8);
    let text = prop_oneof![
        "[a-c]{0,2}",
        Just("x😀\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("a long insertion, longer than anybody types at once, let us say\n".to_owned()),
    ];
    (place(), place(), text)
}

fn changes_of(edits: &[Told]) -> Vec<Change> {
    let at = |(line, character)| Position { line, character };
    let change = |(start, end, text): &Told| Change {
        range: Some(facts::Range { start: at(*start), end: at(*end) }),
        text: text.clone(),
    };
    edits.iter().map(change).collect()
}

fn after(messages: &[Vec<Change>], encoding: Encoding) -> Session {
    let mut session = Session::new(KEY);
    let uri = "a.rs".to_owned();
    let start = "one(1);\ntwo😀(2);\n\nfour(4);";
    let now = Timestamp::from_millis(0);
    let opened = Event::Opened { uri: uri.clone(), language: String::new(), version: 0, text: start.to_owned() };
    session.handle(opened, now);
    for (i, changes) in messages.iter().enumerate() {
        let event = Event::Changed { uri: uri.clone(), version: i as i32 + 1, changes: changes.clone(), encoding };
        session.handle(event, now);
    }
    session
}

proptest! {
    #[test]
    fn any_changes_and_acts_are_handled(
        messages in prop::collection::vec(prop::collection::vec(any_edit(), 1..4), 0..12),
        versions in prop::collection::vec(-1i32..3, 12),
        others in prop::collection::vec(0u8..9, 12),
    ) {
        let mut session = after(&[], Encoding::Utf16);
        let (mut version, mut now) = (0, 0);
        for ((edits, step), other) in messages.iter().zip(versions).zip(others) {
            version += step;
            now += i64::from(other) * 500;
            let changes = changes_of(edits);
            let entered = Acceptance {
                contribution: ContributionId::new("c1"), act: u32::from(other), uri: "a.rs".to_owned(),
                entered: changes.iter().map(|change| Entered {
                    range: change.range.unwrap(), bytes: change.text.len() as u64, digest: digest::entered(&KEY, &change.text),
                }).collect(),
            };
            let uri = "a.rs".to_owned();
            let extra = match other {
                0 => Event::Saved { uri },
                1 => Event::Overflow { uri: Some(uri) },
                2 => Event::Changed { uri, version: version + 1, changes: vec![Change { range: None, text: edits[0].2.clone() }], encoding: Encoding::Utf16 },
                3 => Event::Closed { uri },
                4 => Event::Opened { uri, language: String::new(), version: 0, text: edits[0].2.clone() },
                _ => Event::Tick,
            };
            let changed = Event::Changed { uri: "a.rs".to_owned(), version, changes, encoding: Encoding::Utf16 };
            for event in [changed, Event::Entered(entered), extra] {
                for effect in session.handle(event, Timestamp::from_millis(now)) {
                    if let Effect::Measure(measured) = effect {
                        prop_assert!(measured.surviving_bytes <= measured.accepted_bytes, "{:?}", measured);
                    }
                }
                if let (Some(text), Some(attribution)) = (session.text("a.rs"), session.attribution("a.rs")) {
                    prop_assert!(attribution.covers(text.len_bytes()));
                    prop_assert!(attribution.origins.iter().all(|(range, _)| text.is_border(range.start)));
                    let starts_line = |byte: usize| text.line_start(text.line_of(byte)).unwrap() == byte;
                    prop_assert!(attribution.writers.iter().all(|(range, _)| starts_line(range.start)));
                }
            }
        }
    }

    #[test]
    fn any_split_of_an_edit_list_gives_the_same_writers(
        edits in prop::collection::vec(((0u32..3, 0u32..8), "[a-c]{1,5}\n?"), 1..8), cut in any::<prop::sample::Index>()
    ) {
        // Short enough that one message of them all is a person's too.
        let edits: Vec<_> = edits.into_iter().map(|(at, text)| (at, at, text.replace('\n', ""))).collect();
        let all = changes_of(&edits);
        let (head, tail) = all.split_at(cut.index(all.len() + 1));
        let one_by_one: Vec<Vec<Change>> = all.iter().map(|change| vec![change.clone()]).collect();
        let together = after(std::slice::from_ref(&all), Encoding::Utf32);
        for split in [vec![head.to_vec(), tail.to_vec()], one_by_one] {
            let split = after(&split, Encoding::Utf32);
            prop_assert_eq!(split.text("a.rs"), together.text("a.rs"));
            prop_assert_eq!(split.attribution("a.rs"), together.attribution("a.rs"));
        }
    }

    #[test]
    fn every_encoding_gives_the_same_writers(edits in prop::collection::vec(any_edit(), 1..8)) {
        // Places as bytes, from a plain session; then told in each encoding.
        let mut text = Text::new("one(1);\ntwo😀(2);\n\nfour(4);");
        let mut told: [Vec<Vec<Change>>; 3] = Default::default();
        let encodings = [Encoding::Utf8, Encoding::Utf16, Encoding::Utf32];
        for (start, end, new) in &edits {
            let byte = |(line, character): (u32, u32)| text.byte_at(Position { line, character }, Encoding::Utf32);
            let (Ok(start), Ok(end)) = (byte(*start), byte(*end)) else { continue };
            let (start, end) = (start.min(end), start.max(end));
            for (told, encoding) in told.iter_mut().zip(encodings) {
                let range = facts::Range { start: text.position(start, encoding), end: text.position(end, encoding) };
                told.push(vec![Change { range: Some(range), text: new.clone() }]);
            }
            text.replace(start..end, new);
        }
        let [a, b, c] = [0, 1, 2].map(|i| after(&told[i], encodings[i]));
        prop_assert_eq!(a.text("a.rs"), Some(&text));
        prop_assert_eq!(b.text("a.rs"), Some(&text));
        prop_assert_eq!(c.text("a.rs"), Some(&text));
        prop_assert_eq!(a.attribution("a.rs"), b.attribution("a.rs"));
        prop_assert_eq!(b.attribution("a.rs"), c.attribution("a.rs"));
    }
}

#[test]
fn an_act_that_is_told_after_its_document_was_closed_still_counts() {
    check(
        r#"
        open "a\n"
        change 1:0-1:0 "fn b() {}\nfn c() {}\n"
        save
        close
        entered c1 1:0-1:0 "fn b() {}\nfn c() {}\n"
        wait 3000
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            save: snapshot unknown 0..22
            entered: attribution changed
            entered: evidence c1 act 1 1:0-3:0
            entered: measure c1 "acceptance" 20/20 at 1:0-3:0 "fn b() {}\nfn c() {}\n" -> "fn b() {}\nfn c() {}\n"
            entered: snapshot unknown 0..2 | ai c1 2..22
            entered: poll false
        "#]],
    );
}

#[test]
fn a_document_that_was_closed_with_an_insertion_nobody_explains_is_let_go() {
    check(
        r#"
        open "a\n"
        change 1:0-1:0 "fn b() {}\nfn c() {}\nfn d() {}\nfn e() {}\nfn f() {}\n"
        close
        wait 3000
        wait 3000
        entered c1 1:0-1:0 "fn b() {}\nfn c() {}\nfn d() {}\nfn e() {}\nfn f() {}\n"
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            wait: bulk 1:0-6:0 50 bytes, entered 1:0-1:0
            wait: poll false
        "#]],
    );
}

#[test]
fn a_line_begun_at_the_end_of_another_before_it_is_known_leaves_that_its_writer() {
    let mut stage = Stage::new();
    stage.play(r#"open "let a = 1;\nlet b = 2;\n""#);
    assert!(stage.session.is_pending("a.rs"));
    stage.play(r#"change 0:10-0:10 "\n""#);
    stage.play(r#"change 1:0-1:0 "x();""#);
    stage.play(r#"change 2:4-2:4 "b""#);
    stage.play("known 1 ai c1 0..22");
    assert_eq!([stage.line(0), stage.line(1), stage.line(2)], ["ai", "human", "mixed"]);
    for (question, _) in stage.asked.clone() {
        let looked_up = Event::LookedUp { uri: "a.rs".to_owned(), question, is_over: false };
        stage.session.handle(looked_up, Timestamp::from_millis(stage.now));
    }
    assert!(!stage.session.is_pending("a.rs"));
}

#[test]
fn a_rewrite_that_only_adds_to_a_line_leaves_it_its_writer() {
    let mut stage = Stage::new();
    stage.play(r#"open "call(first_argument, second_argument)\n""#);
    stage.play("known 1 ai c1 0..38");
    stage.play(r#"change 0:0-1:0 "call(\n    first_argument,\n    second_argument,\n)\n""#);
    assert_eq!([0, 1, 2, 3].map(|line| stage.line(line)), ["ai"; 4]);
}
