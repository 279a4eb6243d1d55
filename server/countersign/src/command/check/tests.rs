//! Places, snippets, texts: what needs no process.

use super::read::{Left, text_of};
use super::*;

#[test]
fn places_count_characters_and_end_lines_where_everybody_does() {
    let text = "a\r\nbé\u{2028}c\rd\n";
    let places = Places::new(text);
    let at = |piece: &str| places.place(text.find(piece).unwrap());
    assert_eq!((at("a"), at("b"), at("c"), at("d")), ((1, 1), (2, 1), (2, 4), (3, 1)));
    assert_eq!(places.place(text.len()), (4, 1));
}

#[test]
fn of_an_endless_line_only_the_part_around_the_finding_is_shown() {
    let text = format!("{}HERE{}", "é".repeat(5000), "ü".repeat(5000));
    let code = Places::new(&text).code(1, text.find("HERE").unwrap());
    assert!(code.contains("HERE") && code.starts_with('…') && code.ends_with('…'), "{code}");
    assert!(code.len() < 220, "{}", code.len());
    assert_eq!(Places::new("  x = 1\n").code(1, 2), "x = 1");
}

#[test]
fn bytes_become_text_or_say_why_not() {
    assert_eq!(text_of(b"caf\xe9 = 1\n".to_vec()).unwrap(), "caf\u{fffd} = 1\n");
    assert_eq!(text_of(vec![0xff, 0xfe, b'a', 0, b'b', 0]).unwrap(), "ab");
    assert_eq!(text_of(b"\x7fELF\0\0".to_vec()), Err(Left::Binary));
    assert_eq!(text_of(vec![b' '; read::BYTES_MAX as usize + 1]), Err(Left::TooLong));
}
