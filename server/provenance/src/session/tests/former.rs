//! What comes back: from elsewhere, by a reload, by undo, through a formatter.

use super::*;

// What was not seen being written

#[test]
fn an_answer_gives_an_opened_text_its_writers_and_takes_nothing_that_was_typed_since() {
    check(
        r#"
        open "fn a() {}\nfn b() {}\n"
        change 0:0-0:0 "x"
        change 1:3-1:4 "name"
        known 1 unknown 0..10 | ai c1 10..20
        change 0:0-0:1 ""
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: ask 3
            change: poll true
            known: attribution changed
            unknown "fn a() {}\n"
            ai c1 "fn "
            human "name"
            ai c1 "() {}\n"
        "#]],
    );
}

#[test]
fn what_was_pasted_is_not_reattributed_by_what_was_known_when_the_file_was_opened() {
    check(
        r#"
        open "a\n"
        change 1:0-1:0 "fn pasted(from: &str) -> usize {\n    from.lines().count() + 12\n}\n"
        known 1 ai c1 0..2
        known 2 human 0..2 | unknown 2..67
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            known: attribution changed
            ai c1 "a\n"
            unknown "fn pasted(from: &str) -> usize {\n    from.lines().count() + 12\n}\n"
        "#]],
    );
}

#[test]
fn a_small_change_that_stood_on_the_disk_first_was_not_typed() {
    check(
        r#"
        open "a = 1\n"
        full "a = 10\nb = 2\n"
        known 2 ai c1 0..7 | ai c2 7..13
        known 2 outside ai c1 0..7 | ai c2 7..13
        "#,
        expect![[r#"
            open: ask 1, opened
            full: ask 2
            full: poll true
            known: attribution changed
            known: poll false
            unknown "a = 1"
            ai c1 "0\n"
            ai c2 "b = 2"
            unknown "\n"
        "#]],
    );
    // Without anybody who knows it, it is nobody's.
    check(
        r#"
        open "a = 1\n"
        full "a = 1\nb = 2\n"
        known 2 outside unknown 0..12
        change 2:0-2:0 "c"
        known 2 outside ai c2 0..12
        "#,
        expect![[r#"
            open: ask 1, opened
            full: ask 2
            full: poll true
            known: attribution changed
            known: poll false
            change: ask 3
            known: attribution changed
            unknown "a = 1\n"
            ai c2 "b = 2\n"
            human "c"
        "#]],
    );
    // Before the editor wrote there it stood on the disk: whoever saves at once did not type it.
    check(
        r#"
        open "a = 1\n"
        change 1:0-1:0 "b = 2\n"
        change 2:0-2:0 "c"
        save
        known 2 before unknown 0..12
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            save: snapshot unknown 0..6 | human 6..13
            known: attribution changed
            known: snapshot unknown 0..12 | human 12..13
            known: poll false
            unknown "a = 1\nb = 2\n"
            human "c"
        "#]],
    );
    // A text as the file has it may be read anew, be it for one character; one that was changed may not.
    check(
        r#"
        open "a = 1\n"
        change 1:0-1:0 "b"
        known 2 outside unknown 0..7
        change 1:1-1:1 "c"
        change 1:2-1:2 "d"
        known 3 outside unknown 0..8
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            known: attribution changed
            change: ask 3
            known: attribution changed
            unknown "a = 1\nbc"
            human "d"
        "#]],
    );
    // Nor did a person change a line of which something was gone when it was read anew.
    let mut stage = Stage::new();
    stage.play(r#"open "let a = f(b, c);\nlet d = 1;\n""#);
    stage.play("known 1 ai c1 0..28");
    stage.play(r#"change 0:11-0:14 """#);
    assert_eq!([stage.line(0), stage.line(1)], ["mixed", "ai"]);
    assert_eq!(stage.writer(0), Origin::TYPED);
    stage.play(r#"change 1:8-1:9 "2""#);
    stage.play("known 2 before unknown 0..25");
    assert_eq!([stage.writer(0), stage.writer(1)], [Origin::Unknown, Origin::TYPED]);
    // What the editor wrote to the disk itself says nothing.
    check(
        r#"
        open "a = 1\n"
        change 1:0-1:0 "b = 2\n"
        save
        known 2 outside unknown 0..12
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            save: snapshot unknown 0..6 | human 6..12
            unknown "a = 1\n"
            human "b = 2\n"
        "#]],
    );
}

#[test]
fn a_reload_is_no_bulk_insertion() {
    check(
        r#"
        open "a\n"
        full "a\nfn theirs(from: &str) -> usize {\n    from.lines().count() + 12\n}\n"
        known 2 outside unknown 0..67
        wait 3000
        "#,
        expect![[r#"
            open: ask 1, opened
            full: ask 2
            full: poll true
            known: poll false
            unknown "a\nfn theirs(from: &str) -> usize {\n    from.lines().count() + 12\n}\n"
        "#]],
    );
}

#[test]
fn an_agents_edit_found_on_a_reload_is_measured_from_then_on() {
    check(
        r#"
        open "a\n"
        full "a\nfn theirs(from: &str) -> usize {\n    from.lines().count() + 12\n}\n"
        known 2 outside new unknown 0..2 | ai c1 2..67
        change 2:27-2:29 "13"
        wait 75000
        commit "a\nfn theirs(from: &str) -> usize {\n    from.lines().count() + 13\n}\n"
        commit "a\nfn theirs(from: &str) -> usize {\n    from.lines().count() + 13\n}\n"
        commit "a\n"
        "#,
        expect![[r#"
            open: ask 1, opened
            full: ask 2
            full: poll true
            known: attribution changed
            known: measure c1 "acceptance" 65/65 at 1:0-4:0 "fn theirs(from: &str) -> usize {\n    from.lines().count() + 12\n}\n" -> "fn theirs(from: &str) -> usize {\n    from.lines().count() + 12\n}\n"
            known: poll false
            change: ask 3
            change: poll true
            wait: measure c1 "2m" 64/65 at 1:0-4:0 "fn theirs(from: &str) -> usize {\n    from.lines().count() + 12\n}\n" -> "fn theirs(from: &str) -> usize {\n    from.lines().count() + 13\n}\n"
            wait: poll false
            commit: measure c1 "commit" 64/65 at 1:0-4:0 "fn theirs(from: &str) -> usize {\n    from.lines().count() + 12\n}\n" -> "fn theirs(from: &str) -> usize {\n    from.lines().count() + 13\n}\n"
            commit: measure c1 "commit" 0/65 at nowhere "fn theirs(from: &str) -> usize {\n    from.lines().count() + 12\n}\n" -> ""
            unknown "a\n"
            ai c1 "fn theirs(from: &str) -> usize {\n    from.lines().count() + 1"
            human "3"
            ai c1 "\n}\n"
        "#]],
    );
}

#[test]
fn ages_that_passed_while_nobody_looked_are_not_measured() {
    check(
        r#"
        open "let total = price * count;\n"
        known 1 ai c1 0..27
        wait 70000
        change 0:12-0:17 "cost"
        wait 5000
        close
        wait 190000
        open "let total = cost * counts;\n"
        wait 1000
        change 0:0-0:0 "x"
        save
        "#,
        expect![[r#"
            open: ask 1, opened
            known: attribution changed
            change: ask 2
            change: poll true
            wait: measure c1 "2m" 22/27 at 0:0-1:0 "let total = price * count;\n" -> "let total = cost * count;\n"
            wait: poll false
            open: attribution changed
            open: ask 3, opened
            change: ask 4
            save: measure c1 "save" 15/27 at 0:1-1:0 "let total = price * count;\n" -> "let total = cost * counts;\n"
            save: snapshot human 0..1 | ai c1 1..12 | human 12..17 | ai c1 17..19 | unknown 19..26 | ai c1 26..28
            human "x"
            ai c1 "let total ="
            human " cost"
            ai c1 " *"
            unknown " counts"
            ai c1 ";\n"
        "#]],
    );
}

#[test]
fn a_question_is_about_its_own_text_and_a_wrong_answer_changes_nothing() {
    let mut stage = Stage::new();
    stage.play(r#"open "abc\n""#);
    let attribution = Attribution::new(99, Origin::TYPED);
    let answer = Answer { uri: "a.rs".to_owned(), question: 1, attribution, disk: Disk::Holds, past: Vec::new() };
    let effects = stage.session.handle(Event::Known(answer.clone()), Timestamp::from_millis(0));
    assert_eq!(effects, []);
    let effects = stage.session.handle(Event::Known(Answer { question: 9, ..answer }), Timestamp::from_millis(0));
    assert_eq!(effects, []);
    assert_eq!(stage.session.attribution("a.rs").unwrap().origins.to_string(), "unknown 0..4");
}

// Whole texts

const AI_BLOCK: &str = "fn total(items: &[u64]) -> u64 {\\n    items.iter().sum()\\n}\\n";

#[test]
fn a_formatter_through_the_editor_changes_no_writer_and_its_undo_neither() {
    let formatted = "fn total(\\n    items: &[u64],\\n) -> u64 {\\n  items.iter().sum()\\n}\\n";
    for verb in ["full", "ranged"] {
        let mut stage = Stage::new();
        let whole = |text: &str| match verb {
            "full" => format!(r#"full "use std;\n{text}""#),
            // As an editor applies a formatter's edits: last first.
            _ if text == formatted => r#"change 2:0-2:4 "  " & 1:27-1:30 "\n) -> u64 {" & 1:9-1:9 "\n    ""#.to_owned(),
            _ => format!(r#"full "use std;\n{text}""#),
        };
        stage.play(r#"open "use std;\n""#);
        stage.play(&format!(r#"change 1:0-1:0 "{AI_BLOCK}""#));
        stage.play(&format!(r#"entered c1 1:0-1:0 "{AI_BLOCK}""#));
        if verb == "full" {
            stage.play(&whole(formatted));
            let of = |line: usize| stage.line(line);
            assert_eq!([1, 2, 3, 4, 5].map(of), ["ai", "ai", "ai", "ai", "ai"], "{verb}");
            stage.play(&whole(AI_BLOCK));
        } else {
            stage.play(r#"change 2:0-2:4 "  ""#);
        }
        let of = |line: usize| stage.line(line);
        assert_eq!([0, 1, 2, 3].map(of), ["unknown", "ai", "ai", "ai"], "{verb}");
    }
}

#[test]
fn other_line_ends_change_no_writer() {
    let mut stage = Stage::new();
    stage.play(r#"open "use std;\n""#);
    stage.play(&format!(r#"change 1:0-1:0 "{AI_BLOCK}""#));
    stage.play(&format!(r#"entered c1 1:0-1:0 "{AI_BLOCK}""#));
    stage.play(r#"change 0:8-0:8 " // x""#);
    for to in ["\\r\\n", "\\n"] {
        let all = format!("use std; // x\\n{AI_BLOCK}").replace("\\n", to);
        stage.play(&format!(r#"full "{all}""#));
        let of = |line: usize| stage.line(line);
        assert_eq!([0, 1, 2, 3].map(of), ["mixed", "ai", "ai", "ai"], "{to}");
    }
}

#[test]
fn undoing_and_redoing_a_large_insertion_brings_the_same_contribution_back() {
    let mut stage = Stage::new();
    let large = "    let value = compute(argument, other);\\n".repeat(2_000);
    stage.play(r#"open "fn a() {\n}\n""#);
    stage.play(&format!(r#"change 1:0-1:0 "{large}""#));
    stage.play(&format!(r#"entered c1 1:0-1:0 "{large}""#));
    stage.play(r#"change 1:0-1:0 "// mine\n""#);
    assert_eq!([0, 1, 2, 2_001].map(|line| stage.line(line)), ["unknown", "human", "ai", "ai"]);
    // One undo takes a whole block of changes back, and one redo brings it again.
    stage.play("wait 60000");
    stage.play(r#"full "fn a() {\n}\n""#);
    assert_eq!([0, 1].map(|line| stage.line(line)), ["unknown", "unknown"]);
    stage.play("wait 60000");
    stage.play(&format!(r#"full "fn a() {{\n// mine\n{large}}}\n""#));
    assert_eq!([0, 1, 2, 2_001, 2_002].map(|line| stage.line(line)), ["unknown", "human", "ai", "ai", "unknown"]);
}

#[test]
fn a_block_that_moves_in_one_message_keeps_its_writer() {
    let mut stage = Stage::new();
    let block = "fn total(items: &[u64]) -> u64 {\\n    items.iter().sum()\\n}\\n";
    stage.play(r#"open "use std::fmt;\n\nstruct A;\n\nstruct B;\n\nconst LONG_NAME: &str = \"one\";\n""#);
    stage.play(&format!(r#"change 1:0-1:0 "{block}""#));
    stage.play(&format!(r#"entered c1 1:0-1:0 "{block}""#));
    stage.play(&format!(
        r#"full "use std::fmt;\n\nstruct A;\n\nstruct B;\n\nconst LONG_NAME: &str = \"one\";\n{block}""#
    ));
    assert_eq!([0, 2, 6, 7, 8, 9].map(|line| stage.line(line)), ["unknown", "unknown", "unknown", "ai", "ai", "ai"]);
}

#[test]
fn text_typed_again_that_equals_discarded_ai_text_is_the_persons() {
    let mut stage = Stage::new();
    stage.play(r#"open "fn a() {\n}\n""#);
    stage.play(r#"change 1:0-1:0 "    return total / count;\n""#);
    stage.play(r#"entered c1 1:0-1:0 "    return total / count;\n""#);
    stage.play(r#"change 1:0-2:0 """#);
    stage.play(r#"change 1:0-1:0 "\n""#);
    for (at, key) in "    return total / ".chars().enumerate() {
        stage.play(&format!(r#"change 1:{at}-1:{at} "{key}""#));
    }
    // The last word by completion, so that it might have been a reload: somebody remembers the very text.
    stage.play(r#"change 1:19-1:19 "count;""#);
    assert_eq!(stage.line(1), "human");
    let question = stage.asked.last().unwrap().0;
    stage.play(&format!("known {question} unknown 0..9 | ai c1 9..35 | unknown 35..37"));
    assert_eq!(stage.line(1), "human");
}

#[test]
fn an_insertion_that_equals_a_live_suggestion_is_not_human_unless_it_was_typed() {
    check(
        r#"
        open "\n"
        offered c1 "total()"
        change 0:0-0:0 "total()"
        offered c2 "x()"
        withdrawn c2
        change 0:7-0:7 "x()"
        change 0:10-0:10 "y"
        change 0:11-0:11 "()"
        offered c3 "()"
        "#,
        expect![[r#"
            open: ask 1, opened
            change: ask 2
            change: poll true
            change: ask 3
            change: ask 4
            offered: attribution changed
            unknown "total()"
            human "x()y"
            unknown "()\n"
        "#]],
    );
}
