use super::*;
use countersign_event::facts::Position;
use proptest::prelude::*;

const ENCODINGS: [Encoding; 3] = [Encoding::Utf8, Encoding::Utf16, Encoding::Utf32];

fn at(line: u32, character: u32) -> Position {
    Position { line, character }
}

fn change(start: Position, end: Position, text: &str) -> Change {
    Change { range: Some(facts::Range { start, end }), text: text.to_owned() }
}

fn full(text: &str) -> Change {
    Change { range: None, text: text.to_owned() }
}

/// Applies edits to a plain string, taking what came from the final text.
fn replay(before: &str, edits: &[Edit], after: &str) -> String {
    let mut text = before.as_bytes().to_vec();
    let mut unknown = vec![false; text.len()];
    for edit in edits {
        text.splice(edit.start..edit.start + edit.deleted, vec![0; edit.inserted]);
        unknown.splice(edit.start..edit.start + edit.deleted, vec![true; edit.inserted]);
    }
    assert_eq!(text.len(), after.len());
    for (i, unknown) in unknown.into_iter().enumerate() {
        if unknown {
            text[i] = after.as_bytes()[i];
        }
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn only_lf_crlf_and_cr_end_a_line() {
    for (text, lines) in [
        ("", 1),
        ("a", 1),
        ("a\n", 2),
        ("a\r\nb", 2),
        ("a\rb", 2),
        ("a\u{2028}b", 1),
        ("a\u{2029}b", 1),
        ("a\u{85}b", 1),
        ("a\u{b}b", 1),
        ("a\u{c}b", 1),
    ] {
        assert_eq!(Text::new(text).line_count(), lines, "{text:?}");
        assert_eq!(change::lines(text).len(), lines - usize::from(text.is_empty() || text.ends_with('\n')), "{text:?}");
    }
}

#[test]
fn a_character_outside_the_plane_is_four_bytes_two_units_one_character() {
    let text = Text::new("a😀b\r\nä");
    for (encoding, b, past) in [(Encoding::Utf8, 5, 9), (Encoding::Utf16, 3, 9), (Encoding::Utf32, 2, 9)] {
        assert_eq!(text.byte_at(at(0, b), encoding), Ok(5), "{encoding:?}");
        assert_eq!(text.position(5, encoding), at(0, b));
        assert_eq!(text.byte_at(at(0, past), encoding), Ok(6), "a column past the end is the end, before CRLF");
        assert_eq!(text.byte_at(at(1, past), encoding), Ok(10));
        assert_eq!(text.byte_at(at(2, 0), encoding), Ok(10), "editors name the line after the last");
        assert!(text.byte_at(at(2, 1), encoding).is_err());
        assert!(text.byte_at(at(3, 0), encoding).is_err());
    }
}

#[test]
fn an_impossible_range_is_an_error_and_changes_nothing() {
    for (change, encoding, error) in [
        (change(at(9, 0), at(9, 0), "x"), Encoding::Utf16, "line 9 (from 0) of a text of 2 lines"),
        (change(at(0, 2), at(0, 2), "x"), Encoding::Utf16, "0:2 is inside a character"),
        (change(at(0, 3), at(0, 3), "x"), Encoding::Utf8, "0:3 is inside a character"),
        (change(at(0, 1), at(0, 0), "x"), Encoding::Utf32, "the range 0:1-0:0 ends before it begins"),
    ] {
        let mut text = Text::new("a😀b\nc");
        assert_eq!(text.apply(&change, encoding).unwrap_err().to_string(), error);
        assert_eq!(text.to_string(), "a😀b\nc");
    }
}

#[test]
fn a_replacement_is_only_what_differs() {
    for (before, after, edits) in [
        ("", "", vec![]),
        ("same", "same", vec![]),
        ("", "new", vec![(0, 0, 3)]),
        ("old", "", vec![(0, 3, 0)]),
        ("foo", "foo()", vec![(3, 0, 2)]),
        ("aaa", "aaaa", vec![(3, 0, 1)]),
        ("a\r\nb", "a\nb", vec![(1, 2, 1)]),
        ("a\nb", "a\r\nb", vec![(1, 1, 2)]),
        ("a\r\nb", "a\r\r\nb", vec![(1, 0, 1)]),
        ("aéb", "aèb", vec![(1, 2, 2)]),
        ("a😀", "a😁", vec![(1, 4, 4)]),
        ("no newline", "no newline\n", vec![(10, 0, 1)]),
    ] {
        let mut text = Text::new(before);
        let got: Vec<_> = text
            .apply(&full(after), Encoding::Utf16)
            .unwrap()
            .iter()
            .map(|e| (e.start, e.deleted, e.inserted))
            .collect();
        assert_eq!(text.to_string(), after);
        assert_eq!(got, edits, "{before:?} -> {after:?}");
    }
}

#[test]
fn a_full_text_leaves_unrelated_regions_alone() {
    let before = "use a;\n\nfn one() {\n    first();\n}\n\nfn two() {\n    second(1, 2, 3, 4);\n}\n\nfn three() {}\n";
    let after = "use a;\nuse b;\n\nfn one() {\n    first();\n}\n\nfn two() {\n  second(1, 2, 3, 4, 5);\n}\n\nfn three() {}\n// end\n";
    let mut text = Text::new(before);
    let edits = text.apply(&full(after), Encoding::Utf16).unwrap();
    expect_test::expect![[r#"
        7 -0 +"use b;\n"
        55 -2 +""
        72 -0 +", 5"
        94 -0 +"\n// end""#]]
    .assert_eq(&shown(&edits, after));
    assert_eq!(text.to_string(), after);
}

fn shown(edits: &[Edit], after: &str) -> String {
    let shown: Vec<String> = edits
        .iter()
        .map(|e| format!("{} -{} +{:?}", e.start, e.deleted, &after[e.start..e.start + e.inserted]))
        .collect();
    shown.join("\n")
}

fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("a".to_owned()),
        Just("fn f(x) { y }\n".to_owned()),
        Just("  ".to_owned()),
        Just("\r".to_owned()),
        Just("\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("😀".to_owned()),
        Just("é\u{2028}".to_owned()),
        "[a-d ]{1,6}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_full_text_is_explained_by_its_edits(before in any_text(), after in any_text()) {
        let mut text = Text::new(&before);
        let edits = text.apply(&full(&after), Encoding::Utf16).unwrap();
        prop_assert_eq!(text.to_string(), &after[..]);
        prop_assert_eq!(replay(&before, &edits, &after), after);
    }

    #[test]
    fn every_encoding_finds_every_byte_again(text in any_text()) {
        let rope = Text::new(&text);
        for (byte, _) in text.char_indices() {
            // Between CR and LF there is no position.
            if text.as_bytes()[byte] == b'\n' && byte > 0 && text.as_bytes()[byte - 1] == b'\r' {
                continue;
            }
            for encoding in ENCODINGS {
                let position = rope.position(byte, encoding);
                prop_assert_eq!(rope.byte_at(position, encoding), Ok(byte));
            }
        }
    }

    #[test]
    fn any_change_applies_or_is_refused_and_all_encodings_agree(
        before in any_text(), after in any_text(), from in (0u32..6, 0u32..9), to in (0u32..6, 0u32..9)
    ) {
        let range = (at(from.0, from.1), at(to.0, to.1));
        for encoding in ENCODINGS {
            let mut text = Text::new(&before);
            let bytes = (text.byte_at(range.0, encoding), text.byte_at(range.1, encoding));
            match (text.apply(&change(range.0, range.1, &after), encoding), bytes) {
                (Ok(_), (Ok(start), Ok(end))) => {
                    let expected = format!("{}{}{}", &before[..start], after, &before[end..]);
                    prop_assert_eq!(text.to_string(), expected);
                }
                (Err(_), bytes) => {
                    prop_assert_eq!(text.to_string(), &before[..]);
                    let refused = match bytes { (Ok(start), Ok(end)) => start > end, _ => true };
                    prop_assert!(refused);
                }
                (Ok(_), _) => prop_assert!(false, "applied where no byte is"),
            }
        }
    }
}
