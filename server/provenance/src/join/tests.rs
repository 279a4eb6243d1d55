use countersign_event::facts::Position;
use countersign_event::payload::suggestion::Extent;
use expect_test::{Expect, expect};

use super::answers::MAX_SUGGESTIONS;
use super::*;

const URI: &str = "file:///a.py";

/// Plays a script against a joiner and prints what it said.
///
/// `open TEXT` · `ask L:C` · `offer ID L:C-L:C TEXT` (again on the same line of the script: alternatives) ·
/// `more ID L:C-L:C TEXT` (another part of the answer) · `next ID L:C-L:C TEXT` (a next edit) · `menu L:C TEXT` (without a
/// range) · `snippet ID L:C-L:C PLAIN SNIPPET` · `propose ID L:C-L:C TEXT` · `insert ID TEXT` (of a conversation) · `snapshot TEXT` ·
/// `none` · `edit L:C-L:C TEXT` (several with ` ;; `) · `type L:C TEXT` (key by key) · `full TEXT` ·
/// `quick` (the next edit follows at once) · `shown ID` · `accept ID` · `part ID` · `reject ID` · `wait MS` · `close` · `lost` · `end`. In texts `\n`, `\r`, `_`
/// (for a blank).
fn check(script: &str, expected: Expect) {
    expected.assert_eq(&play(script));
}

fn play(script: &str) -> String {
    outcomes(script).iter().map(|outcome| print(outcome) + "\n").collect()
}

fn acts(script: &str) -> Vec<Accepted> {
    let accepted = |outcome| if let Outcome::Accepted(accepted) = outcome { Some(accepted) } else { None };
    outcomes(script).into_iter().filter_map(accepted).collect()
}

fn outcomes(script: &str) -> Vec<Outcome> {
    let mut joiner = Joiner::new();
    let mut now = 0;
    let mut request = 0;
    let mut out = Vec::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        now += 100;
        let mut say = |now: i64, observation| {
            out.extend(joiner.handle(Timestamp::from_millis(now), observation));
        };
        let uri = URI.to_owned();
        match word {
            "open" => say(now, Observation::Opened { uri, language: "python".into(), text: text(rest) }),
            "ask" => {
                request += 1;
                say(now, Observation::Asked { request, uri, position: position(rest) });
            }
            "offer" => {
                let items = rest.split(" | ").map(item).collect();
                say(now, Observation::Answered(Answer { request, uri, items, ..Answer::default() }));
            }
            "more" => {
                let items = vec![item(rest)];
                let channel = Channel::Panel;
                let answer = Answer { request, uri, items, channel, more: true, ..Answer::default() };
                say(now, Observation::Answered(answer));
            }
            "next" => {
                let items = vec![item(rest)];
                let channel = Channel::NextEdit;
                say(now, Observation::Answered(Answer { request, uri, items, channel, ..Answer::default() }));
            }
            "menu" => {
                let items = vec![Item { text: text(rest), ..Item::default() }];
                let channel = Channel::Menu;
                say(now, Observation::Answered(Answer { request, uri, items, channel, ..Answer::default() }));
            }
            "propose" => {
                request += 1;
                say(now, Observation::Proposed { request, edits: vec![(uri, item(rest))], model: None });
            }
            "insert" => {
                let (id, code) = rest.split_once(' ').unwrap();
                let (id, text) = (id.to_owned(), text(code));
                say(now, Observation::Inserted(Insertion { id, uri, text, whole: true, model: None }));
            }
            "snapshot" => say(now, Observation::Snapshot { uri, language: "python".into(), text: text(rest) }),
            "snippet" => {
                let (front, raw) = rest.rsplit_once(' ').unwrap();
                let mut item = item(front);
                item.plain = Some(std::mem::replace(&mut item.text, text(raw)));
                say(now, Observation::Answered(Answer { request, uri, items: vec![item], ..Answer::default() }));
            }
            "none" => say(now, Observation::Answered(Answer { request, uri, ..Answer::default() })),
            "edit" => {
                let changes = rest.split(" ;; ").map(change).collect();
                say(now, Observation::Changed { uri, changes });
            }
            "full" => say(now, Observation::Changed { uri, changes: vec![Change { range: None, text: text(rest) }] }),
            "type" => {
                let (at, typed) = rest.split_once(' ').unwrap();
                let mut at = position(at);
                for c in text(typed).chars() {
                    now += 100;
                    let changes = vec![Change { range: Some(Range { start: at, end: at }), text: c.to_string() }];
                    say(now, Observation::Changed { uri: uri.clone(), changes });
                    if c == '\n' {
                        at = Position { line: at.line + 1, character: 0 };
                    } else {
                        at.character += c.len_utf16() as u32;
                    }
                }
            }
            "shown" => say(now, Observation::Shown { id: rest.into() }),
            "accept" => say(now, Observation::AcceptedExplicitly { id: rest.into(), whole: true }),
            "part" => say(now, Observation::AcceptedExplicitly { id: rest.into(), whole: false }),
            "reject" => say(now, Observation::RejectedExplicitly { id: rest.into(), reason: RejectReason::Dismissed }),
            "quick" => now -= 190,
            "wait" => {
                now += rest.parse::<i64>().unwrap();
                say(now, Observation::Tick);
            }
            "close" => say(now, Observation::Closed { uri }),
            "lost" => say(now, Observation::Lost),
            "end" => say(now, Observation::Ended),
            _ => panic!("{line}"),
        }
    }
    out
}

/// Every insertion of the acts of a script.
fn entered(script: &str) -> Vec<String> {
    acts(script).iter().flat_map(|a| &a.entered).map(|(range, text)| format!("{} {text}", show(Some(*range)))).collect()
}

fn text(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\r", "\r").replace('_', " ")
}

fn position(text: &str) -> Position {
    let (line, character) = text.split_once(':').unwrap();
    Position { line: line.parse().unwrap(), character: character.parse().unwrap() }
}

fn range(text: &str) -> Range {
    let (start, end) = text.split_once('-').unwrap();
    Range { start: position(start), end: position(end) }
}

fn item(words: &str) -> Item {
    let mut words = words.splitn(3, ' ');
    let id = words.next().unwrap();
    let id = (id != "-").then(|| id.to_owned());
    let range = range(words.next().unwrap());
    Item { id, text: text(words.next().unwrap()), plain: None, range: Some(range) }
}

fn change(words: &str) -> Change {
    let (at, new) = words.split_once(' ').unwrap_or((words, ""));
    Change { range: Some(range(at)), text: text(new) }
}

fn show(range: Option<Range>) -> String {
    range.map_or("?".into(), |r| format!("{}:{}-{}:{}", r.start.line, r.start.character, r.end.line, r.end.character))
}

fn print(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Offered(o) => format!("offered {} at {} {:?}", o.key, show(o.range), o.text),
        Outcome::Accepted(a) => {
            let because = a.rule.map_or(String::new(), |rule| format!(" ({rule} {})", a.confidence.unwrap_or(1.0)));
            format!(
                "accepted {}#{} {:?} {:?} {:?}{because} at {} {:?} of {:?}",
                a.key,
                a.act,
                a.extent,
                a.gesture,
                a.how,
                show(a.range),
                a.inserted,
                a.earlier
            )
        }
        Outcome::Rejected(r) => {
            let undoes = r.undoes.map_or(String::new(), |act| format!(" of #{act}"));
            format!("rejected {}#{} {:?}{undoes} {:?} {}", r.key, r.act, r.reason, r.how, r.rule.unwrap_or(""))
        }
        Outcome::Evidenced { key, act, saw } => format!("evidenced {key}#{act} {saw}"),
        Outcome::Forgotten { key } => format!("forgotten {key}"),
        Outcome::Degraded { reason, detail, .. } => format!("degraded {reason} {}", detail.as_deref().unwrap_or("")),
    }
}

const OFFERED: &str = "
    open def_f():\\n____
    ask 1:4
    offer a 1:0-1:4 ____return_a_+_b
";

fn offered(more: &str) -> String {
    format!("{OFFERED}\n{more}")
}

#[test]
fn the_edit_and_then_its_message_are_one_act() {
    check(
        &offered("edit 1:4-1:4 return_a_+_b\n accept a\n wait 5000\n end"),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            accepted 1#1 Full Both Observed at 1:4-1:4 Some("return a + b") of "return a + b"
        "#]],
    );
}

#[test]
fn the_message_and_then_its_edit_are_one_act_and_the_edit_says_how_much() {
    check(
        &offered("accept a\n edit 1:4-1:4 return_a\n reject a\n end"),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            accepted 1#1 Partial Both Observed at 1:4-1:4 Some("return a") of "return a + b"
            rejected 1#2 Dismissed Reported 
        "#]],
    );
}

#[test]
fn a_replacement_of_the_whole_range_enters_only_what_is_new() {
    check(
        &offered("edit 1:0-1:4 ____return_a_+_b\n accept a"),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            accepted 1#1 Full Both Observed at 1:4-1:4 Some("return a + b") of "return a + b"
        "#]],
    );
}

#[test]
fn the_whole_document_may_be_sent_instead_of_an_edit() {
    check(
        &offered("full def_f():\\n____return_a_+_b\n accept a"),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            accepted 1#1 Full Both Observed at 1:4-1:4 Some("return a + b") of "return a + b"
        "#]],
    );
}

#[test]
fn an_edit_without_a_message_is_an_inferred_act() {
    check(
        &offered("edit 1:4-1:4 return_a_+_b\n wait 2000"),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            accepted 1#1 Full Edit Inferred (edit_equals_live_suggestion 0.8) at 1:4-1:4 Some("return a + b") of "return a + b"
        "#]],
    );
}

#[test]
fn a_message_after_more_than_two_seconds_is_evidence_of_its_act_and_no_second_act() {
    check(
        &offered("edit 1:4-1:4 return_a\n wait 3000\n part a\n wait 3000\n end"),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            accepted 1#1 Partial Edit Inferred (edit_equals_live_suggestion 0.8) at 1:4-1:4 Some("return a") of "return a + b"
            evidenced 1#1 explicit_message
            rejected 1#2 SessionEnded Observed 
        "#]],
    );
}

#[test]
fn a_message_without_an_edit_is_a_reported_act_without_text() {
    check(
        &offered("accept a\n wait 1999\n wait 1\n end"),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            accepted 1#1 Full Explicit Reported at ? None of "return a + b"
        "#]],
    );
}

#[test]
fn a_paste_that_equals_a_suggestion_nobody_was_shown_is_doubtful() {
    check(
        "open x\n ask 0:1\n offer a 0:1-0:1 yyy\n shown a\n reject a\n ask 0:1\n offer b 0:1-0:1 zzz\n edit 0:1-0:1 zzz\n wait 2000",
        expect![[r#"
            offered 1 at 0:1-0:1 "yyy"
            rejected 1#1 Dismissed Reported 
            offered 2 at 0:1-0:1 "zzz"
            accepted 2#1 Full Edit Inferred (edit_equals_unshown_suggestion 0.3) at 0:1-0:1 Some("zzz") of "zzz"
        "#]],
    );
}

#[test]
fn typing_what_was_offered_key_by_key_is_no_acceptance() {
    check(
        &offered("type 1:4 return_a_+_b\n wait 2000\n end"),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            rejected 1#1 TypedAsSuggested Inferred typed_key_by_key
        "#]],
    );
}

#[test]
fn typing_a_beginning_and_taking_the_rest_accepts_the_rest() {
    check(
        &offered("type 1:4 ret\n edit 1:7-1:7 urn_a_+_b\n accept a"),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            accepted 1#1 Full Both Observed at 1:7-1:7 Some("urn a + b") of "urn a + b"
        "#]],
    );
}

#[test]
fn a_last_single_character_is_accepted_if_a_message_says_so() {
    check(
        &offered("type 1:4 return_a_+_\n edit 1:15-1:15 b\n accept a"),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            accepted 1#1 Full Both Observed at 1:15-1:15 Some("b") of "b"
        "#]],
    );
}

#[test]
fn something_else_typed_in_its_place_ends_a_suggestion_at_once() {
    check(
        &offered("type 1:4 pass\n end"),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            rejected 1#1 TypedOver Inferred other_text_entered
        "#]],
    );
}

#[test]
fn another_text_with_the_message_is_a_modified_acceptance() {
    check(
        &offered("edit 1:4-1:4 return_sum((a,b))\n accept a"),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            accepted 1#1 Modified Both Observed at 1:4-1:4 Some("return sum((a,b))") of "return a + b"
        "#]],
    );
}

#[test]
fn another_text_without_a_message_is_typed_over() {
    check(
        &offered("edit 1:4-1:4 return_sum((a,b))\n wait 2000"),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            rejected 1#1 TypedOver Inferred other_text_entered
        "#]],
    );
}

#[test]
fn parts_are_acts_of_their_own_and_never_cumulative() {
    check(
        &offered("edit 1:4-1:4 retur\n part a\n edit 1:9-1:9 n_a\n part a\n edit 1:12-1:12 _+_b\n accept a\n end"),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            accepted 1#1 Partial Both Observed at 1:4-1:4 Some("retur") of "return a + b"
            accepted 1#2 Partial Both Observed at 1:9-1:9 Some("n a") of "n a + b"
            accepted 1#3 Full Both Observed at 1:12-1:12 Some(" + b") of " + b"
        "#]],
    );
}

#[test]
fn a_part_without_a_message_needs_a_words_end() {
    check(
        &offered("edit 1:4-1:4 retur\n wait 2000\n edit 1:9-1:9 n_a\n wait 2000\n end"),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            accepted 1#1 Partial Edit Inferred (edit_equals_live_suggestion 0.8) at 1:9-1:9 Some("n a") of "n a + b"
            rejected 1#2 SessionEnded Observed 
        "#]],
    );
}

#[test]
fn lines_sent_one_by_one_are_one_act() {
    check(
        "open x:\\n
         ask 1:0
         offer a 1:0-1:0 one\\ntwo\\nthree
         edit 1:0-1:0 one\\n
         quick
         edit 2:0-2:0 two\\n
         quick
         edit 3:0-3:0 three
         accept a
         end",
        expect![[r#"
            offered 1 at 1:0-1:0 "one\ntwo\nthree"
            accepted 1#1 Full Both Observed at 1:0-1:0 Some("one\ntwo\nthree") of "one\ntwo\nthree"
        "#]],
    );
}

#[test]
fn the_same_text_offered_again_is_the_same_suggestion() {
    check(
        &offered(
            "type 1:4 re\n ask 1:6\n offer b 1:0-1:6 ____return_a_+_b\n ask 1:6\n offer c 1:6-1:6 turn_a_+_b
             edit 1:6-1:6 turn_a_+_b\n accept b\n end",
        ),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            accepted 1#1 Full Both Observed at 1:6-1:6 Some("turn a + b") of "turn a + b"
        "#]],
    );
}

#[test]
fn a_newer_answer_ends_the_older_but_not_before_its_message_had_time() {
    check(
        &offered("ask 1:4\n offer b 1:0-1:4 ____pass\n edit 1:4-1:4 pass\n ask 1:8\n none\n accept b\n end"),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            offered 2 at 1:0-1:4 "    pass"
            rejected 1#1 Superseded Inferred newer_answer
            accepted 2#1 Full Both Observed at 1:4-1:4 Some("pass") of "pass"
        "#]],
    );
}

#[test]
fn taking_one_alternative_ends_the_others() {
    check(
        "open x\n ask 0:1\n offer a 0:1-0:1 .one() | b 0:1-0:1 .one(two)\n edit 0:1-0:1 .one()\n accept a\n end",
        expect![[r#"
            offered 1 at 0:1-0:1 ".one()"
            offered 2 at 0:1-0:1 ".one(two)"
            accepted 1#1 Full Both Observed at 0:1-0:1 Some(".one()") of ".one()"
            rejected 2#1 Superseded Inferred another_alternative_taken
        "#]],
    );
}

#[test]
fn an_undo_takes_an_act_back_and_a_redo_is_a_new_act() {
    check(
        &offered(
            "edit 1:4-1:4 return_a_+_b\n accept a\n edit 1:4-1:16\n edit 1:4-1:4 return_a_+_b\n edit 1:4-1:16\n end",
        ),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            accepted 1#1 Full Both Observed at 1:4-1:4 Some("return a + b") of "return a + b"
            rejected 1#2 Undone of #1 Inferred inverse_edit
            accepted 1#3 Full Edit Inferred (redone 0.8) at 1:4-1:4 Some("return a + b") of "return a + b"
            rejected 1#4 Undone of #3 Inferred inverse_edit
        "#]],
    );
}

#[test]
fn an_undo_before_the_message_still_follows_its_act() {
    check(
        &offered("edit 1:4-1:4 return_a_+_b\n edit 1:4-1:16\n end"),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            accepted 1#1 Full Edit Inferred (edit_equals_live_suggestion 0.8) at 1:4-1:4 Some("return a + b") of "return a + b"
            rejected 1#2 Undone of #1 Inferred inverse_edit
        "#]],
    );
}

#[test]
fn an_undo_of_an_acceptance_together_with_typing_takes_the_act_back() {
    // What was typed before and behind it goes with it, as it does where one insertion is one step.
    check(
        "open def_f():\\n____\\nx
         ask 1:4
         offer a 1:4-1:4 return_a_+_b
         type 1:4 ret
         edit 1:7-1:7 urn_a_+_b
         accept a
         type 1:16 _+_c
         edit 1:4-1:20
         edit 1:4-1:4 return_a_+_b_+_c
         edit 1:4-1:20
         end",
        expect![[r#"
            offered 1 at 1:4-1:4 "return a + b"
            accepted 1#1 Full Both Observed at 1:7-1:7 Some("urn a + b") of "urn a + b"
            rejected 1#2 Undone of #1 Inferred text_as_before
            accepted 1#3 Full Edit Inferred (redone 0.8) at 1:7-1:7 Some("urn a + b") of "urn a + b"
            rejected 1#4 Undone of #3 Inferred text_as_before
        "#]],
    );
}

#[test]
fn an_undo_in_several_steps_takes_the_act_back_with_the_last() {
    check(
        "open x:\\n
         ask 1:0
         offer a 1:0-1:0 one()\\ntwo()\\nthree()
         edit 1:0-1:0 one()\\ntwo()\\nthree()
         accept a
         edit 2:5-3:7
         edit 1:5-2:5
         edit 1:0-1:5
         edit 1:0-1:0 one()
         edit 1:5-1:5 \\ntwo()\\nthree()
         end",
        expect![[r#"
            offered 1 at 1:0-1:0 "one()\ntwo()\nthree()"
            accepted 1#1 Full Both Observed at 1:0-1:0 Some("one()\ntwo()\nthree()") of "one()\ntwo()\nthree()"
            rejected 1#2 Undone of #1 Inferred text_as_before
            accepted 1#3 Full Edit Inferred (redone 0.8) at 1:0-1:0 Some("one()\ntwo()\nthree()") of "one()\ntwo()\nthree()"
        "#]],
    );
}

#[test]
fn an_undo_of_several_words_at_once_takes_each_act_back() {
    check(
        &offered(
            "edit 1:4-1:4 return_\n part a\n edit 1:11-1:11 a_\n part a\n edit 1:4-1:13\n edit 1:4-1:4 return_a_\n end",
        ),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            accepted 1#1 Partial Both Observed at 1:4-1:4 Some("return ") of "return a + b"
            accepted 1#2 Partial Both Observed at 1:11-1:11 Some("a ") of "a + b"
            rejected 1#3 Undone of #2 Inferred text_as_before
            rejected 1#4 Undone of #1 Inferred text_as_before
            accepted 1#5 Full Edit Inferred (redone 0.8) at 1:4-1:4 Some("return ") of "return "
            accepted 1#6 Full Edit Inferred (redone 0.8) at 1:11-1:11 Some("a ") of "a "
        "#]],
    );
}

#[test]
fn an_undo_before_the_message_together_with_typing_still_follows_its_act() {
    check(
        &offered("edit 1:4-1:4 return_a_+_b\n type 1:16 ;\n edit 1:4-1:17\n wait 3000\n end"),
        expect![[r#"
        offered 1 at 1:0-1:4 "    return a + b"
        accepted 1#1 Full Edit Inferred (edit_equals_live_suggestion 0.8) at 1:4-1:4 Some("return a + b") of "return a + b"
        rejected 1#2 Undone of #1 Inferred text_as_before
    "#]],
    );
}

#[test]
fn deleting_what_was_taken_key_by_key_is_no_undo() {
    check(
        "open x\n ask 0:1\n offer a 0:1-0:1 .ab\n edit 0:1-0:1 .ab\n accept a\n edit 0:3-0:4\n edit 0:2-0:3\n edit 0:1-0:2\n end",
        expect![[r#"
            offered 1 at 0:1-0:1 ".ab"
            accepted 1#1 Full Both Observed at 0:1-0:1 Some(".ab") of ".ab"
        "#]],
    );
}

#[test]
fn line_by_line_acceptance_is_one_act_a_line() {
    check(
        "open x:\\n
         ask 1:0
         offer a 1:0-1:0 one()\\ntwo()\\nthree()
         edit 1:0-1:0 one()\\n
         part a
         edit 2:0-2:0 two()\\n
         part a
         edit 3:0-3:0 three()
         accept a
         end",
        expect![[r#"
            offered 1 at 1:0-1:0 "one()\ntwo()\nthree()"
            accepted 1#1 Partial Both Observed at 1:0-1:0 Some("one()\n") of "one()\ntwo()\nthree()"
            accepted 1#2 Partial Both Observed at 2:0-2:0 Some("two()\n") of "two()\nthree()"
            accepted 1#3 Full Both Observed at 3:0-3:0 Some("three()") of "three()"
        "#]],
    );
}

#[test]
fn a_snippet_is_taken_with_its_placeholders_filled_or_empty() {
    for entered in ["f(x,_y)", "f()"] {
        let script = format!(
            "open _\n ask 0:1\n snippet a 0:1-0:1 f(x,_y) f(${{1:x}},_${{2:y}})\n edit 0:1-0:1 {entered}\n accept a\n end"
        );
        let extents: Vec<_> = acts(&script).iter().map(|act| (act.extent, act.gesture)).collect();
        let extent = if entered == "f()" { Extent::Partial } else { Extent::Full };
        assert_eq!(extents, [(extent, Gesture::Both)], "{entered}");
    }
}

#[test]
fn a_next_edit_elsewhere_in_the_file_is_found_after_the_text_before_it_grew() {
    check(
        "open import_a\\n\\ndef_f():\\n____return_a.x\\n
         ask 0:8
         next e 3:11-3:14 b.x
         edit 0:8-0:8 \\nimport_b
         edit 4:11-4:14 b.x
         accept e
         end",
        expect![[r#"
            offered 1 at 3:11-3:14 "b.x"
            accepted 1#1 Full Both Observed at 4:11-4:14 Some("b.x") of "b.x"
        "#]],
    );
}

#[test]
fn an_answer_to_a_text_that_went_on_finds_its_place() {
    check(
        "open a\\nx
         ask 1:1
         edit 0:0-0:0 new_line\\n
         type 2:1 =
         offer a 1:0-1:1 x=1+1
         edit 2:2-2:2 1+1
         accept a",
        expect![[r#"
            offered 1 at 2:0-2:2 "x=1+1"
            accepted 1#1 Full Both Observed at 2:2-2:2 Some("1+1") of "1+1"
        "#]],
    );
}

#[test]
fn an_answer_to_a_text_that_became_another_was_never_shown() {
    check(
        "open x\n ask 0:1\n type 0:1 yz\n offer a 0:0-0:1 x=1+1\n end",
        expect![[r#"
            offered 1 at 0:0-0:1 "x=1+1"
            rejected 1#1 NeverShown Inferred text_moved_on
        "#]],
    );
}

#[test]
fn line_ends_and_indentation_may_be_the_editors() {
    check(
        "open x\\r\\n\n ask 1:0\n offer a 1:0-1:0 if_y:\\n____z\n edit 1:0-1:0 if_y:\\r\\n____z\n accept a
         ask 2:5\n offer b 2:5-2:5 \\n____w\n edit 2:5-2:5 \\r\\n__w\n accept b",
        expect![[r#"
            offered 1 at 1:0-1:0 "if y:\n    z"
            accepted 1#1 Full Both Observed at 1:0-1:0 Some("if y:\r\n    z") of "if y:\n    z"
            offered 2 at 2:5-2:5 "\n    w"
            accepted 2#1 Full Both Observed at 2:5-2:5 Some("\r\n  w") of "\n    w"
        "#]],
    );
}

#[test]
fn what_cannot_be_followed_is_said_and_messages_still_count() {
    check(
        &offered(
            "edit 9:0-9:0 x\n edit 1:4-1:4 return_a_+_b\n accept a\n wait 2000\n full y\n ask 0:1\n offer b 0:1-0:1 z_z\n edit 0:1-0:1 z_z\n accept b",
        ),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            degraded impossible_range line 9 (from 0) of a text of 2 lines
            accepted 1#1 Full Explicit Reported at ? None of "return a + b"
            offered 2 at 0:1-0:1 "z z"
            accepted 2#1 Full Both Observed at 0:1-0:1 Some("z z") of "z z"
        "#]],
    );
}

#[test]
fn every_suggestion_ends_with_the_document_or_the_session() {
    check(
        &offered("close\n open y\n ask 0:1\n offer b 0:1-0:1 zz\n lost\n end"),
        expect![[r#"
            offered 1 at 1:0-1:4 "    return a + b"
            rejected 1#1 SessionEnded Observed 
            offered 2 at 0:1-0:1 "zz"
            rejected 2#1 SessionEnded Observed 
        "#]],
    );
}

#[test]
fn a_next_edit_is_told_as_a_whole_and_an_undo_of_it_is_found() {
    check(
        "open def_f(a):\\n____return_a+a
         ask 0:7
         next a 1:4-1:14 return_b+b
         edit 1:4-1:14 return_b+b
         accept a
         edit 1:4-1:14 return_a+a
         end",
        expect![[r#"
            offered 1 at 1:4-1:14 "return b+b"
            accepted 1#1 Full Both Observed at 1:4-1:14 Some("return b+b") of "return b+b"
            rejected 1#2 Undone of #1 Inferred inverse_edit
        "#]],
    );
}

#[test]
fn a_next_edit_typed_by_hand_or_lost_in_another_edit_is_no_acceptance() {
    check(
        "open f(a)\n ask 0:3\n next a 0:2-0:3 abc\n type 0:3 bc\n ask 0:5\n next b 0:2-0:5 longer\n edit 0:0-0:6 gone\n end",
        expect![[r#"
            offered 1 at 0:2-0:3 "abc"
            offered 2 at 0:2-0:5 "longer"
            rejected 1#1 TypedAsSuggested Inferred typed_key_by_key
            rejected 2#1 TypedOver Inferred other_text_entered
        "#]],
    );
}

#[test]
fn a_next_edit_may_only_delete() {
    check(
        "open a_long_word\n ask 0:0\n next a 0:0-0:11 a\n edit 0:1-0:11\n accept a\n end",
        expect![[r#"
        offered 1 at 0:0-0:11 "a"
        accepted 1#1 Full Both Observed at 0:0-0:11 Some("a") of "a"
    "#]],
    );
}

#[test]
fn answers_end_the_older_ones_of_their_own_channel_only() {
    check(
        "open xx\n ask 0:2\n offer a 0:2-0:2 one\n ask 0:2\n next b 0:0-0:2 yy\n ask 0:2\n offer c 0:2-0:2 two\n end",
        expect![[r#"
            offered 1 at 0:2-0:2 "one"
            offered 2 at 0:0-0:2 "yy"
            offered 3 at 0:2-0:2 "two"
            rejected 1#1 Superseded Inferred newer_answer
            rejected 2#1 SessionEnded Observed 
            rejected 3#1 SessionEnded Observed 
        "#]],
    );
}

#[test]
fn the_parts_of_an_answer_are_alternatives_of_it() {
    check(
        "open x\n ask 0:1\n more a 0:1-0:1 .one()\n more b 0:1-0:1 .two()\n none\n edit 0:1-0:1 .two()\n accept b\n end",
        expect![[r#"
            offered 1 at 0:1-0:1 ".one()"
            offered 2 at 0:1-0:1 ".two()"
            accepted 2#1 Full Both Observed at 0:1-0:1 Some(".two()") of ".two()"
            rejected 1#1 Superseded Inferred another_alternative_taken
        "#]],
    );
}

#[test]
fn a_menus_item_without_a_range_stands_for_the_word_at_the_cursor() {
    check(
        "open a_=_pri\n ask 0:7\n menu print(a)\n edit 0:7-0:7 nt(a)\n wait 200\n end",
        expect![[r#"
            offered 1 at 0:4-0:7 "print(a)"
            accepted 1#1 Full Edit Inferred (edit_equals_live_suggestion 0.8) at 0:7-0:7 Some("nt(a)") of "nt(a)"
        "#]],
    );
}

#[test]
fn an_edit_that_a_command_proposed_is_accepted_when_it_is_made() {
    check(
        "open a\\nb\\n\n propose e1 1:0-1:1 #_doc\\nb\n full a\\n#_doc\\nb\\n\n accept e1\n end",
        expect![[r##"
            offered 1 at 1:0-1:1 "# doc\nb"
            accepted 1#1 Full Both Observed at 1:0-1:1 Some("# doc\nb") of "# doc\nb"
        "##]],
    );
}

#[test]
fn code_of_a_conversation_is_offered_when_it_is_put_somewhere() {
    // The edit first, then the message first, then without an edit, then the first again.
    check(
        "open x\\n\n edit 1:0-1:0 foo(bar)\n insert t#0 foo(bar)\n insert t#1 baz()\n edit 0:1-0:1 baz()\n insert t#2 qux()\n wait 2000
         insert t#0 foo(bar)\n edit 0:0-0:0 foo(bar)\n end",
        expect![[r#"
            offered 1 at ? "foo(bar)"
            accepted 1#1 Full Both Observed at 1:0-1:0 Some("foo(bar)") of "foo(bar)"
            offered 2 at ? "baz()"
            accepted 2#1 Full Both Observed at 0:1-0:1 Some("baz()") of "baz()"
            offered 3 at ? "qux()"
            accepted 3#1 Full Explicit Reported at ? None of "qux()"
            accepted 1#2 Full Both Observed at 0:0-0:0 Some("foo(bar)") of "foo(bar)"
        "#]],
    );
}

#[test]
fn the_same_text_at_several_cursors_is_one_act() {
    check(
        "open a\\nb\n ask 0:1\n offer a 0:1-0:1 .call()\n edit 0:1-0:1 .call() ;; 1:1-1:1 .call()\n accept a\n end",
        expect![[r#"
            offered 1 at 0:1-0:1 ".call()"
            accepted 1#1 Full Both Observed at 0:1-0:1 Some(".call()") of ".call()"
        "#]],
    );
    let entered =
        entered("open a\\nb\n ask 0:1\n offer a 0:1-0:1 .call()\n edit 0:1-0:1 .call() ;; 1:1-1:1 .call()\n accept a");
    assert_eq!(entered, ["0:1-0:1 .call()", "1:1-1:1 .call()"]);
}

#[test]
fn keys_at_several_cursors_are_keys() {
    check(
        "open a\\nb\n ask 0:1\n offer a 0:1-0:1 .c\n edit 0:1-0:1 . ;; 1:1-1:1 .\n edit 0:2-0:2 c ;; 1:2-1:2 c\n wait 2000\n end",
        expect![[r#"
            offered 1 at 0:1-0:1 ".c"
            rejected 1#1 TypedAsSuggested Inferred typed_key_by_key
        "#]],
    );
}

#[test]
fn brackets_that_the_editor_closed_do_not_make_an_acceptance_partial() {
    check(
        "open print()\n ask 0:6\n offer - 0:6-0:6 msg)\n edit 0:6-0:6 msg\n end",
        expect![[r#"
            offered 1 at 0:6-0:6 "msg)"
            accepted 1#1 Full Edit Inferred (edit_equals_live_suggestion 0.8) at 0:6-0:6 Some("msg") of "msg)"
        "#]],
    );
    check(
        "open x\n ask 0:1\n offer - 0:1-0:1 .call(\n edit 0:1-0:1 .call()\n end",
        expect![[r#"
        offered 1 at 0:1-0:1 ".call("
        accepted 1#1 Full Edit Inferred (edit_equals_live_suggestion 0.8) at 0:1-0:1 Some(".call()") of ".call("
    "#]],
    );
}

#[test]
fn an_answer_that_came_late_is_accepted_with_doubt() {
    check(
        "open x\n ask 0:1\n type 0:1 y\n offer - 0:1-0:1 yzz()\n edit 0:2-0:2 zz()\n end",
        expect![[r#"
            offered 1 at 0:1-0:2 "yzz()"
            accepted 1#1 Full Edit Inferred (edit_equals_late_suggestion 0.4) at 0:2-0:2 Some("zz()") of "zz()"
        "#]],
    );
}

#[test]
fn a_text_that_the_person_had_left_is_accepted_with_doubt() {
    check(
        "open a\\nb\n ask 0:1\n offer - 0:1-0:1 .one()\n type 1:1 c\n edit 0:1-0:1 .one()\n end",
        expect![[r#"
        offered 1 at 0:1-0:1 ".one()"
        accepted 1#1 Full Edit Inferred (edit_equals_left_suggestion 0.3) at 0:1-0:1 Some(".one()") of ".one()"
    "#]],
    );
}

#[test]
fn an_insertion_described_at_another_place_is_found() {
    // Difference of two texts: the line end that was there seems to be the first of the insertion.
    let script = "open x\\nz\n ask 0:1\n offer a 0:1-0:1 \\n__y\n edit 1:0-1:0 __y\\n\n accept a\n edit 1:0-2:0\n end";
    check(
        script,
        expect![[r#"
            offered 1 at 0:1-0:1 "\n  y"
            accepted 1#1 Full Both Observed at 0:1-0:1 Some("\n  y") of "\n  y"
            rejected 1#2 Undone of #1 Inferred inverse_edit
        "#]],
    );
    assert_eq!(entered(script), ["1:0-1:0   y\n"]);
    check(
        "open a\\nf()\\n\n ask 1:0\n offer - 1:0-1:0 f(1)\\n\n full a\\nf(1)\\nf()\\n\n end",
        expect![[r#"
        offered 1 at 1:0-1:0 "f(1)\n"
        accepted 1#1 Full Edit Inferred (edit_equals_live_suggestion 0.8) at 1:0-1:0 Some("f(1)\n") of "f(1)\n"
    "#]],
    );
}

#[test]
fn a_text_that_comes_with_the_next_question_proves_what_a_message_said() {
    check(
        "snapshot x\n ask 0:1\n offer a 0:1-0:1 .one()\n accept a\n snapshot x.one()\\ny\n ask 1:1\n offer b 1:1-1:1 .two()
         snapshot x.one()\\ny.two()\n ask 1:7\n none\n end",
        expect![[r#"
            offered 1 at 0:1-0:1 ".one()"
            accepted 1#1 Full Both Observed at 0:1-0:1 Some(".one()") of ".one()"
            offered 2 at 1:1-1:1 ".two()"
            rejected 2#1 Superseded Inferred newer_answer
        "#]],
    );
}

#[test]
fn a_message_about_an_unknown_suggestion_is_counted() {
    check("accept nobody", expect![["degraded unknown_suggestion \n"]]);
}

#[test]
fn memory_is_bounded_and_what_is_forgotten_was_ended() {
    let mut joiner = Joiner::new();
    let now = Timestamp::from_millis(0);
    joiner.handle(now, Observation::Opened { uri: URI.into(), language: "x".into(), text: "x".into() });
    let mut open = 0i64;
    for request in 0..3 {
        joiner
            .handle(now, Observation::Asked { request, uri: URI.into(), position: Position { line: 0, character: 1 } });
        let items = (0..400)
            .map(|i| Item { id: Some(format!("{request}-{i}")), text: format!("{request}-{i}"), ..Item::default() })
            .collect();
        for outcome in
            joiner.handle(now, Observation::Answered(Answer { request, uri: URI.into(), items, ..Answer::default() }))
        {
            open += match outcome {
                Outcome::Offered(_) => 1,
                Outcome::Rejected(_) => -1,
                _ => 0,
            };
        }
    }
    assert!(joiner.suggestions.len() <= MAX_SUGGESTIONS);
    assert!(joiner.by_id.len() <= MAX_SUGGESTIONS);
    assert_eq!(open, 400);
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn observation() -> impl Strategy<Value = Observation> {
        let position = (0u32..3, 0u32..6).prop_map(|(line, character)| Position { line, character });
        let range = (position.clone(), position.clone()).prop_map(|(start, end)| Range { start, end });
        let piece = "[abé🎉\r\n]{0,4}";
        let id = prop_oneof![Just("i".to_owned()), Just("j".to_owned())];
        let channel = prop_oneof![
            Just(Channel::Inline),
            Just(Channel::Menu),
            Just(Channel::Panel),
            Just(Channel::NextEdit),
            Just(Channel::Edit)
        ];
        prop_oneof![
            1 => piece.prop_map(|text| Observation::Opened { uri: URI.into(), language: "x".into(), text }),
            6 => proptest::collection::vec((proptest::option::weighted(0.9, range.clone()), piece), 1..3).prop_map(|changes| {
                let changes = changes.into_iter().map(|(range, text)| Change { range, text }).collect();
                Observation::Changed { uri: URI.into(), changes }
            }),
            2 => (0u64..3, position).prop_map(|(request, position)| Observation::Asked { request, uri: URI.into(), position }),
            3 => (0u64..3, channel, any::<bool>(), proptest::collection::vec((proptest::option::of(id.clone()), piece, range.clone()), 0..3)).prop_map(
                |(request, channel, more, items)| Observation::Answered(Answer {
                    request,
                    uri: URI.into(),
                    channel,
                    items: items
                        .into_iter()
                        .map(|(id, text, range)| Item { id, text, plain: None, range: Some(range) })
                        .collect(),
                    more,
                    model: None,
                })
            ),
            1 => (id.clone(), piece, range).prop_map(|(id, text, range)| {
                let item = Item { id: Some(id), text, plain: None, range: Some(range) };
                Observation::Proposed { request: 9, edits: vec![(URI.into(), item)], model: None }
            }),
            1 => (id.clone(), piece, any::<bool>()).prop_map(|(id, text, whole)| {
                Observation::Inserted(Insertion { id, uri: URI.into(), text, whole, model: None })
            }),
            1 => piece.prop_map(|text| Observation::Snapshot { uri: URI.into(), language: "x".into(), text }),
            1 => id.clone().prop_map(|id| Observation::Shown { id }),
            2 => (id.clone(), any::<bool>()).prop_map(|(id, whole)| Observation::AcceptedExplicitly { id, whole }),
            1 => id.prop_map(|id| Observation::RejectedExplicitly { id, reason: RejectReason::Ignored }),
            1 => Just(Observation::Lost),
            1 => Just(Observation::Closed { uri: URI.into() }),
            1 => Just(Observation::Tick),
        ]
    }

    proptest! {
        #[test]
        fn acts_are_numbered_without_gaps_and_every_offer_ends(
            script in proptest::collection::vec((observation(), 0i64..1500), 0..60)
        ) {
            let mut joiner = Joiner::new();
            let mut now = 0;
            let mut acts: HashMap<u64, (u32, bool)> = HashMap::new();
            let script = script.into_iter().chain([(Observation::Ended, 0)]);
            for (observation, ms) in script {
                now += ms;
                for outcome in joiner.handle(Timestamp::from_millis(now), observation) {
                    match outcome {
                        Outcome::Offered(o) => prop_assert!(acts.insert(o.key, (0, false)).is_none()),
                        Outcome::Accepted(a) => {
                            let (act, over) = acts.get_mut(&a.key).expect("offered first");
                            prop_assert_eq!(a.act, *act + 1);
                            (*act, *over) = (a.act, a.extent != Extent::Partial);
                            prop_assert_eq!(a.gesture == Gesture::Explicit, a.inserted.is_none());
                        }
                        Outcome::Rejected(r) => {
                            let (act, over) = acts.get_mut(&r.key).expect("offered first");
                            prop_assert_eq!(r.act, *act + 1);
                            (*act, *over) = (r.act, true);
                        }
                        Outcome::Evidenced { key, act, .. } => prop_assert!(act <= acts[&key].0, "told before"),
                        Outcome::Forgotten { .. } | Outcome::Degraded { .. } => {}
                    }
                }
            }
            for (key, (_, over)) in acts {
                prop_assert!(over, "suggestion {key} has no end");
            }
        }
    }
}
