//! What a light event costs: on the disk, and on the wire in a batch.
//!
//! The events are as a day of inline completion leaves them: offers, most of them passed over, what was taken,
//! and what is left of it later; every text below the threshold, ids and digests as random as they are.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails here")]

mod support;

use countersign_event::{EventBytes, Timestamp};
use countersign_spool::{Append, Class, Spool};
use support::ask;
use uuid::Uuid;

/// As replay compresses.
const ZSTD_LEVEL: i32 = 1;

/// Makes the `n`th event of such a day.
fn event(n: u32) -> Append {
    let time = Timestamp::from_millis(1_767_322_800_000 + i64::from(n) * 1_737);
    let (contribution, request) = (Uuid::now_v7(), random_uuid());
    let (line, bytes) = (n * 7 % 900, 20 + n * 13 % 700);
    let digest = random_uuid().simple();
    let model = r#""model":{"requested":"gpt-41-copilot","responded":{"absent":"not_on_wire"},"how":"observed"}"#;
    let path = format!(
        r#""path":{{"tool":"copilot","version":"1.539.0","kind":"ide","transport":"tap","session":"019b7d0e-8c1a-7b2f-9d35-5f1f6a3f1c11","request_id":"{request}","trust":"supervised","how":"observed"}}"#
    );
    let at =
        format!(r#"{{"start":{{"line":{line},"character":4}},"end":{{"line":{line},"character":{}}}}}"#, 4 + n % 40);
    let place = format!(
        r#""place":{{"repository":"4b825dc642cb6eb9a060e54bf8d69288fbee4904@github.com/acme/app","base":"9fceb02d0ae598e95dc970b74767f19372d61af8","uri":"file:///home/dev/app/src/file{}.rs","path":"src/file{}.rs","range":{at},"language":"rust"}}"#,
        n / 40,
        n / 40
    );
    let person = r#""person":{"id":"5f0b7c2d9e8a4413b6d1a2c3e4f50617","via":"git","how":"reported"}"#;
    let output = format!(r#""output":{{"bytes":{bytes},"lines":{},"how":"observed"}}"#, 1 + bytes / 30);
    let content = r#""content":{"prompt":{"absent":"below_threshold","policy":"3f2c9a1b77d0"},"output":{"absent":"below_threshold","policy":"3f2c9a1b77d0"}}"#;
    let (noun, data) = match n % 10 {
        0..=5 => (
            "suggestion.offered",
            format!(
                r#""digest":"{digest}",{model},"prompt":{{"turns":1,"how":"observed"}},{output},{person},{path},{place},{content}"#
            ),
        ),
        6 | 7 => (
            "suggestion.rejected",
            format!(r#""act":1,"reason":"typed_over",{model},{output},{person},{path},{place},{content}"#),
        ),
        8 => (
            "suggestion.accepted",
            format!(
                r#""act":1,"extent":"full","gesture":"both",{model},{output},{person},{path},{place},"entered":[{{"range":{at},"bytes":{bytes},"digest":"{digest}"}}],"distance":{{"metric":"tokens","algorithm":"similar 3.2.1 histogram","inserted":0,"deleted":0,"kept":{},"ratio":1.0,"exact":true,"levenshtein":0}},"shown":{{"absent":"not_on_wire"}},{content}"#,
                bytes / 4
            ),
        ),
        _ => (
            "contribution.measured",
            format!(
                r#""occasion":"save",{place},"surviving_bytes":{bytes},"accepted_bytes":{bytes},"distance":{{"metric":"tokens","algorithm":"similar 3.2.1 histogram","inserted":0,"deleted":0,"kept":{},"ratio":1.0,"exact":true}}"#,
                bytes / 4
            ),
        ),
    };
    let json = format!(
        r#"{{"specversion":"1.0","id":"{}","source":"urn:countersign:device:0f6d9c1e-7a43-4a51-9a57-6a2c5f0f8d11","type":"dev.countersign.{noun}.v1","time":"{time}","subject":"{contribution}","data":{{"how":"observed","contribution":"{contribution}",{data}}}}}"#,
        Uuid::now_v7()
    );
    let event = EventBytes::parse(json.as_bytes()).unwrap();
    Append { event, class: Class::Normal, contents: Vec::new(), if_told: None }
}

fn random_uuid() -> Uuid {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

#[test]
fn a_light_event_is_small_as_json_on_the_disk_and_on_the_wire() {
    const EVENTS: u32 = 5_000;
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    let empty = ask::<i64>(dir.path(), "PRAGMA page_count") * 4096;
    let (mut json, mut largest) = (0, 0);
    for group in 0..EVENTS / 50 {
        let events: Vec<Append> = (group * 50..(group + 1) * 50).map(event).collect();
        json += events.iter().map(|it| it.event.as_bytes().len()).sum::<usize>();
        largest = events.iter().map(|it| it.event.as_bytes().len()).max().unwrap().max(largest);
        spool.append(&events).unwrap();
    }
    spool.barrier().unwrap();
    let disk = ask::<i64>(dir.path(), "PRAGMA page_count") * 4096 - empty;
    let batch = spool.next_batch("https://collector.example", 500, 1 << 20).unwrap().unwrap().batch;
    let body = serde_json::to_vec(&batch).unwrap();
    let wire = zstd::bulk::compress(&body, ZSTD_LEVEL).unwrap().len() / batch.events.len();
    let (json, disk) = (json / EVENTS as usize, disk / i64::from(EVENTS));
    eprintln!("a light event: {json} B of JSON (at most {largest}), {disk} B on disk, {wire} B on the wire");
    assert!(wire <= 150, "{wire}");
    // Two rows a page, and what the indexes take.
    assert!(json <= 1_300 && disk <= 2_500, "{json} {disk}");
}
