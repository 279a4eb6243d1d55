//! Edits of a document, against a text that is a plain string.

use countersign_event::facts::{Position, Range};
use countersign_provenance::distance::distance;
use countersign_provenance::text::{Change, Encoding, Text};

/// Holds for any input: an edit gives what a plain string would give, and says exactly what changed.
pub fn check(data: &[u8]) {
    let mut pieces = data.split(|&b| b == 0);
    let mut text = Text::new(&String::from_utf8_lossy(pieces.next().unwrap_or_default()));
    for piece in pieces {
        let Some((head, new)) = piece.split_at_checked(5) else { break };
        let encoding = [Encoding::Utf8, Encoding::Utf16, Encoding::Utf32][usize::from(head[0] >> 2) % 3];
        let position = |line: u8, character: u8| Position { line: line.into(), character: character.into() };
        let range = Range { start: position(head[1], head[2]), end: position(head[3], head[4]) };
        let range = (head[0] & 3 != 0).then_some(range);
        let change = Change { range, text: String::from_utf8_lossy(new).into_owned() };
        apply(&mut text, &change, encoding);
    }
}

fn apply(text: &mut Text, change: &Change, encoding: Encoding) {
    let old = text.slice(0..text.len_bytes());
    let bytes = match change.range {
        None => Ok(0..old.len()),
        Some(range) => {
            text.byte_at(range.start, encoding).and_then(|start| Ok(start..text.byte_at(range.end, encoding)?))
        }
    };
    let applied = text.apply(change, encoding);
    let new = text.slice(0..text.len_bytes());
    let Ok(edits) = applied else {
        assert_eq!(new, old, "an edit that is refused changes nothing");
        return;
    };
    let bytes = bytes.expect("what was applied has a place");
    assert_eq!(new, [&old[..bytes.start], &change.text, &old[bytes.end..]].concat());
    // The edits said are the difference.
    let mut replayed = old.clone();
    for edit in &edits {
        replayed.replace_range(edit.start..edit.start + edit.deleted, &new[edit.start..edit.start + edit.inserted]);
    }
    assert_eq!(replayed, new, "{edits:?}");
    // No position lies between the two halves of a line end.
    let has_position =
        |at: &usize| text.is_border(*at) && !(new[..*at].ends_with('\r') && new[*at..].starts_with('\n'));
    for at in (0..=new.len()).filter(has_position) {
        for encoding in [Encoding::Utf8, Encoding::Utf16, Encoding::Utf32] {
            assert_eq!(text.byte_at(text.position(at, encoding), encoding), Ok(at));
        }
    }
    let far = distance(&old, &new);
    assert_eq!(far, distance(&old, &new));
}
