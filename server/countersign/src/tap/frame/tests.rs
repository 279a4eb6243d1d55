use proptest::prelude::*;

use super::*;

fn decode(chunks: &[&[u8]]) -> Vec<Frame> {
    let mut decoder = Decoder::new();
    let mut frames = Vec::new();
    for chunk in chunks {
        decoder.push(chunk);
        while let Some(frame) = decoder.next_frame() {
            frames.push(frame);
        }
    }
    frames.extend(decoder.finish());
    frames
}

fn framed(body: &str) -> String {
    format!("Content-Length: {}\r\n\r\n{body}", body.len())
}

fn message(body: &str) -> Frame {
    Frame::Message(body.as_bytes().to_vec())
}

#[test]
fn several_frames_in_one_chunk_are_found_in_order() {
    let bytes = framed(r#"{"a":1}"#) + &framed(r#"{"b":"é"}"#);
    assert_eq!(decode(&[bytes.as_bytes()]), [message(r#"{"a":1}"#), message(r#"{"b":"é"}"#)]);
}

#[test]
fn header_case_order_extra_headers_and_bare_line_feeds_do_not_matter() {
    for bytes in [
        "content-length:2\r\n\r\n{}",
        "CONTENT-LENGTH: 2\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n{}",
        "Content-Type: x\r\nContent-Length:  2 \r\n\r\n{}",
        "Content-Length: 2\n\n{}",
        "\r\n\nContent-Length: 2\r\n\r\n{}\n",
    ] {
        assert_eq!(decode(&[bytes.as_bytes()]), [message("{}")], "{bytes:?}");
    }
}

#[test]
fn a_raw_first_line_and_lines_of_json_are_messages() {
    let preamble = "{\"version\":\"1.0\",\"mode\":\"JWT\"}\n".to_owned() + &framed("{}") + "[0,{\"event\":1}]\r\n[1]";
    assert_eq!(
        decode(&[preamble.as_bytes()]),
        [message(r#"{"version":"1.0","mode":"JWT"}"#), message("{}"), message("[0,{\"event\":1}]\r"), message("[1]")]
    );
}

#[test]
fn a_word_before_lines_of_json_is_passed_over() {
    assert_eq!(decode(&[b"SM-MESS", b"AGE {\"a\":1}\nSM-MESSAGE [2]\n"]), [message("{\"a\":1}"), message("[2]")]);
    assert_eq!(decode(&[b"SM-MESS"]), [Frame::Malformed { bytes: 7 }]);
}

#[test]
fn a_printed_line_between_frames_is_counted_and_the_next_frame_is_found() {
    let bytes = framed("{}") + "Debugger listening on nowhere\n" + &framed("[]");
    assert_eq!(decode(&[bytes.as_bytes()]), [message("{}"), Frame::Malformed { bytes: 30 }, message("[]")]);
    let bytes = "half a line".to_owned() + &framed("[]");
    assert_eq!(decode(&[bytes.as_bytes()]), [Frame::Malformed { bytes: 11 }, message("[]")]);
}

#[test]
fn a_wrong_length_costs_the_frames_it_touches_and_no_more() {
    let long = "Content-Length: 9\r\n\r\n{}".to_owned() + &framed("[1]") + &framed("[2]");
    assert_eq!(decode(&[long.as_bytes()]).last(), Some(&message("[2]")));
    assert!(matches!(decode(&[long.as_bytes()])[0], Frame::Malformed { .. }));
    let short = "Content-Length: 2\r\n\r\n{\"a\":1}".to_owned() + &framed("[1]") + &framed("[2]");
    let frames = decode(&[short.as_bytes()]);
    assert_eq!(frames[frames.len() - 2..], [message("[1]"), message("[2]")]);
    for frame in &frames[..frames.len() - 2] {
        assert!(matches!(frame, Frame::Malformed { .. }), "{frame:?}");
    }
}

#[test]
fn an_oversized_message_is_passed_over_without_being_held() {
    let length = BODY_BYTES_MAX as u64 + 5;
    let mut decoder = Decoder::new();
    decoder.push(format!("Content-Length: {length}\r\n\r\n").as_bytes());
    let mut left = length as usize;
    while left > 0 {
        let now = left.min(1 << 16);
        assert_eq!(decoder.next_frame(), None);
        decoder.push(&vec![b'x'; now]);
        left -= now;
    }
    assert_eq!(decoder.next_frame(), Some(Frame::Oversized { bytes: length }));
    assert!(decoder.buffer.len() < 1 << 18);
    decoder.push(framed("{}").as_bytes());
    assert_eq!(decoder.next_frame(), Some(message("{}")));
}

#[test]
fn a_line_without_end_is_given_up() {
    let mut bytes = vec![b'x'; LINE_BYTES_MAX * 2 + 7];
    bytes.extend_from_slice(framed("{}").as_bytes());
    let frames = decode(&[&bytes]);
    assert_eq!(frames.last(), Some(&message("{}")));
}

#[test]
fn a_length_beyond_all_numbers_is_no_header() {
    let bytes = "Content-Length: 99999999999999999999999\r\n\r\n".to_owned() + &framed("{}");
    assert_eq!(decode(&[bytes.as_bytes()]).last(), Some(&message("{}")));
}

/// Streams of frames, lines and rubbish.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[a-zé🎉\"\\\\]{0,12}".prop_map(|text| framed(&serde_json::to_string(&text).unwrap()).into_bytes()),
        1 => Just(b"{\"a\":\"Content-Length: 3\"}\n".to_vec()),
        1 => Just(b"Content-Length: 40\r\nX-Other: 1\r\n\r\n{}".to_vec()),
        1 => Just(b"warning: something\n".to_vec()),
        1 => Just(b"cOnTeNt-LeNgTh:".to_vec()),
        1 => Just(b"{[\r\n\r\n".to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_split_of_a_stream_gives_the_same_frames(bytes in stream(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..20)) {
        let whole = decode(&[&bytes]);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.push(0);
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(&decode(&chunks), &whole);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&decode(&single), &whole);
    }

    #[test]
    fn no_byte_is_counted_twice(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let counted: usize = decode(&[&bytes]).iter().map(|frame| match frame {
            Frame::Message(body) => body.len(),
            Frame::Malformed { bytes } => *bytes,
            Frame::Oversized { .. } => 0,
        }).sum();
        prop_assert!(counted <= bytes.len());
    }
}
